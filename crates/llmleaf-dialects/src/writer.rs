//! The writer of JSON by hand: fields in the order of the calls, raw pieces as they were written.

use crate::object::{self, Object};
use crate::skim;
use llmleaf_model::{Json, Loss, Rest};
use memchr::memchr2;
use std::io::Write as _;

/// Writes one JSON object field by field. Keys are written in the order of the calls.
pub(crate) struct ObjectWriter<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> ObjectWriter<'o> {
    /// Opens the object.
    pub fn new(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Writes a key; the caller writes the value into what is returned.
    pub fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if self.empty {
            self.empty = false;
        } else {
            self.out.push(b',');
        }
        string(self.out, key);
        self.out.push(b':');
        self.out
    }

    /// A string field.
    pub fn string(&mut self, key: &str, value: &str) -> &mut Self {
        string(self.key(key), value);
        self
    }

    /// A string field, where there is one.
    pub fn string_if(&mut self, key: &str, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            self.string(key, value);
        }
        self
    }

    /// A field whose value is JSON already.
    pub fn raw(&mut self, key: &str, json: &str) -> &mut Self {
        one_line(self.key(key), json);
        self
    }

    /// An integer field.
    pub fn number(&mut self, key: &str, value: u64) -> &mut Self {
        number(self.key(key), value);
        self
    }

    /// A boolean field.
    pub fn bool(&mut self, key: &str, value: bool) -> &mut Self {
        self.raw(key, if value { "true" } else { "false" })
    }

    /// A boolean field, where there is one.
    pub fn bool_if(&mut self, key: &str, value: Option<bool>) -> &mut Self {
        if let Some(value) = value {
            self.bool(key, value);
        }
        self
    }

    /// Fields that were kept as they were written.
    pub fn rest(&mut self, rest: &Rest) -> &mut Self {
        for (key, value) in rest.iter() {
            self.raw(key, value.as_str());
        }
        self
    }

    /// A field that is an object.
    pub fn object(&mut self, key: &str, fill: impl FnOnce(&mut ObjectWriter<'_>)) -> &mut Self {
        let mut inner = ObjectWriter::new(self.key(key));
        fill(&mut inner);
        inner.end();
        self
    }

    /// Closes the object.
    pub fn end(self) {
        self.out.push(b'}');
    }
}

/// Writes a comma-separated JSON array.
pub(crate) fn array<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// Writes a JSON string.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut written = 0;
    skim::specials(bytes, |at, special| {
        out.extend_from_slice(bytes.get(written..at).unwrap_or_default());
        escape(out, special);
        written = at + 1;
    });
    out.extend_from_slice(bytes.get(written..).unwrap_or_default());
    out.push(b'"');
}

/// Writes a quote, a backslash or a control character, in as few letters as there are for it.
fn escape(out: &mut Vec<u8>, special: u8) {
    let short = match special {
        b'\n' => b'n',
        b'"' | b'\\' => special,
        b'\t' => b't',
        b'\r' => b'r',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            let _ = write!(out, "\\u{special:04x}");
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Writes an integer.
pub(crate) fn number(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Writes JSON text on one line: a bare line break is white space between tokens, and would end a line of an
/// event stream.
pub(crate) fn one_line(out: &mut Vec<u8>, json: &str) {
    let start = out.len();
    out.extend_from_slice(json.as_bytes());
    if memchr2(b'\n', b'\r', json.as_bytes()).is_some() {
        for byte in out.iter_mut().skip(start) {
            if matches!(*byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
    }
}

/// Writes an amount of nano-dollars as a decimal number of dollars.
pub(crate) fn dollars(out: &mut Vec<u8>, nano: u64) {
    let _ = write!(out, "{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000);
}

/// Builds a JSON object as a value of the model.
pub(crate) fn json_object(fill: impl FnOnce(&mut ObjectWriter<'_>)) -> Json {
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    fill(&mut object);
    object.end();
    to_json(&out)
}

/// What was written, as a value; `null` should it not be one.
pub(crate) fn to_json(written: &[u8]) -> Json {
    let Ok(text) = std::str::from_utf8(written) else {
        return Json::from_value(&());
    };
    // An object without white space around it, in nearly all cases.
    let trimmed = text.starts_with('{') && text.ends_with('}');
    let skimmed = || skim::each(text, |_| ()).and_then(|()| object::raw(text));
    match trimmed.then(skimmed).flatten() {
        Some(raw) => Json::from(raw),
        None => Json::parse(text).unwrap_or_else(|_| Json::from_value(&())),
    }
}

/// Names fields of an answer that its consumer's wire does not have, but for those that are `told` all the same.
pub(crate) fn untold(rest: &Rest, told: &[&str]) -> impl Iterator<Item = Loss> {
    let names = rest.iter().map(|(name, _)| name);
    let untold = names.filter(|name| !told.contains(name));
    untold.map(|name| Loss::dropped(name, "not a field of this wire"))
}

/// Why a stop text is lost on wires that have no field for it.
pub(crate) const STOP_TEXT: &str = "this wire does not say which text stopped it";

/// Objects that are read: what was not read of one is kept under its name, and the object itself is sent.
const INNER: [&str; 10] = [
    "image_url",
    "video_url",
    "input_audio",
    "file",
    "function",
    "custom",
    "functionCall",
    "functionResponse",
    "generationConfig",
    "options",
];

/// Fields that were kept of another dialect, as they are lost: of objects that were read only what is left in them. Many clients write
/// `null` for every field that they know, which says nothing.
pub(crate) fn foreign(rest: &Rest, path: &str) -> Vec<Loss> {
    let mut losses = Vec::new();
    for (name, value) in rest.iter() {
        foreign_field(name, value, path, &mut losses);
    }
    losses
}

/// One such field.
pub(crate) fn foreign_field(name: &str, value: &Json, path: &str, losses: &mut Vec<Loss>) {
    if value.is_null() {
        return;
    }
    let mut lose = |field| losses.push(Loss::dropped(field, "a field of another dialect"));
    let path = match path {
        "" => name.to_owned(),
        _ => [path, ".", name].concat(),
    };
    let inner = INNER.contains(&name).then(|| Object::from_raw(value.raw()));
    match inner.flatten() {
        Some(inner) => {
            for (key, _) in inner.fields.iter().filter(|(_, v)| v.get() != "null") {
                lose(format!("{path}.{key}"));
            }
        }
        None => lose(path),
    }
}

/// Writes fields that were kept as they came. Without an object they belong to another dialect, and are lost.
pub(crate) fn write_rest(
    object: Option<&mut ObjectWriter<'_>>,
    rest: &Rest,
    path: &str,
    losses: &mut Vec<Loss>,
) {
    match object {
        Some(object) => {
            object.rest(rest);
        }
        None => losses.extend(foreign(rest, path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Would take minutes if each line were a search through all that is behind it.
    #[test]
    fn a_long_text_of_short_lines_is_written_as_the_library_writes_it() {
        for line in [299, 271, 272, 1295, 1296, 5000] {
            let text = ("a".repeat(line) + "\n").repeat((8 << 20) / (line + 1));
            let mut out = Vec::new();
            string(&mut out, &text);
            assert!(out == serde_json::to_vec(&text).unwrap(), "lines of {line}");
        }
    }
}
