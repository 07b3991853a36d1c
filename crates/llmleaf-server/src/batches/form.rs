//! A form with a file of requests in it (RFC 7578).

use bytes::Bytes;
use llmleaf_model::Failure;
use memchr::memmem;

/// The one purpose that is served.
const PURPOSE: &str = "batch";
/// Most parts of a form.
const PARTS: usize = 16;

/// What a form says.
#[derive(Debug)]
pub struct Form {
    /// The file.
    pub file: Bytes,
    /// What its consumer calls it, as far as that can be given on.
    pub filename: String,
}

/// The boundary that a content type names.
pub fn boundary(content_type: &str) -> Option<&str> {
    let (kind, rest) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let named = rest.split(';').find_map(|field| {
        let (name, value) = field.split_once('=')?;
        let is_it = name.trim().eq_ignore_ascii_case("boundary");
        is_it.then(|| value.trim().trim_matches('"'))
    })?;
    // RFC 2046, section 5.1.1.
    (1..=70).contains(&named.len()).then_some(named)
}

/// Reads a form.
///
/// # Errors
/// It is none, has no file, or is for something else than batches.
pub fn read(body: &Bytes, boundary: &str) -> Result<Form, Failure> {
    let wrong = |what: &str| Failure::invalid(format!("the form is not well-formed: {what}"), None);
    let delimiter = ["\r\n--", boundary].concat();
    let first = delimiter.get(2..).unwrap_or_default();
    if !body.starts_with(first.as_bytes()) {
        return Err(wrong("it does not begin with its boundary"));
    }
    let (mut file, mut filename, mut purpose) = (None, None, None);
    let mut at = first.len();
    for _ in 0..PARTS {
        let rest = body.slice(at..);
        if rest.starts_with(b"--") {
            return told(file, filename, purpose);
        }
        let end = memmem::find(&rest, b"\r\n\r\n").ok_or_else(|| wrong("a head has no end"))?;
        let head = std::str::from_utf8(rest.get(..end).unwrap_or_default());
        let head = head.map_err(|_| wrong("a head is not UTF-8"))?;
        let content = rest.slice(end + 4..);
        let length = memmem::find(&content, delimiter.as_bytes());
        let length = length.ok_or_else(|| wrong("it ended before its closing boundary"))?;
        let content = content.slice(..length);
        at += end + 4 + length + delimiter.len();
        let disposition = head.split("\r\n").find(|line| {
            let name = line.split(':').next().unwrap_or_default();
            name.eq_ignore_ascii_case("content-disposition")
        });
        let disposition = disposition.ok_or_else(|| wrong("a part has no name"))?;
        match parameter(disposition, "name") {
            Some("file") if file.is_none() => {
                filename = parameter(disposition, "filename").map(str::to_owned);
                file = Some(content);
            }
            Some("purpose") if purpose.is_none() => purpose = Some(content),
            Some("file" | "purpose") => return Err(wrong("a field is given twice")),
            _ => {}
        }
    }
    Err(wrong("it has too many parts"))
}

fn told(
    file: Option<Bytes>,
    filename: Option<String>,
    purpose: Option<Bytes>,
) -> Result<Form, Failure> {
    if purpose.as_deref().map(<[u8]>::trim_ascii) != Some(PURPOSE.as_bytes()) {
        let message = "files are served for batches: `purpose` must be \"batch\"";
        return Err(Failure::invalid(message, Some("purpose")));
    }
    let missing = || Failure::invalid("the form has no `file`", Some("file"));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_. ".contains(c);
    let fits = |name: &String| (1..=128).contains(&name.len()) && name.chars().all(plain);
    Ok(Form {
        file: file.ok_or_else(missing)?,
        filename: filename
            .filter(fits)
            .unwrap_or_else(|| "batch.jsonl".to_owned()),
    })
}

/// A quoted parameter of a header.
fn parameter<'h>(header: &'h str, name: &str) -> Option<&'h str> {
    let mut fields = header.split(';').skip(1);
    fields.find_map(|field| {
        let (key, value) = field.split_once('=')?;
        let is_it = key.trim().eq_ignore_ascii_case(name);
        is_it.then(|| value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_whichever_part_comes_first_and_nothing_else_is_one() {
        let file = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\nContent-Type: x/y\r\n\r\n{}\r\n--c\r\n";
        let purpose = "--b\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n";
        for form in [
            format!("{file}{purpose}--b--\r\n"),
            format!("{purpose}{file}--b--"),
        ] {
            let form = read(&form.into(), "b").expect("a form");
            assert_eq!(&*form.file, b"{}\r\n--c");
            assert_eq!(form.filename, "a.jsonl");
        }
        for bad in [
            String::new(),
            "x".to_owned(),
            "--b".to_owned(),
            "--b--".to_owned(),
            format!("{file}--b--"),
            format!("{purpose}--b--"),
            format!("{purpose}{file}{file}--b--"),
            format!("{purpose}{file}"),
        ] {
            assert!(read(&bad.clone().into(), "b").is_err(), "{bad}");
        }
        assert_eq!(
            boundary("multipart/form-data; boundary=\"a b\""),
            Some("a b")
        );
        assert_eq!(boundary("multipart/form-data"), None);
        assert_eq!(boundary("application/json; boundary=x"), None);
    }
}
