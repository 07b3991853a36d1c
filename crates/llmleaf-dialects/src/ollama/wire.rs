//! The words of this wire: lines, images, ids.

pub(super) use crate::writer::{
    ObjectWriter, array, json_object, one_line, string as write_string,
};

use crate::object::{Object, string};
use std::borrow::Cow;

/// First letters of the id of a provider's call that had none. Rendered requests leave it out again.
pub(super) const MADE_UP: &str = "leaf_";

/// First letters of the id of a consumer's call that had none: it is known within one request alone.
pub(super) const NAMELESS: &str = "leaf-";

/// Name of the one field that holds the free text of a custom tool's input.
pub(super) const FREE_TEXT: &str = "input";

/// Field of a message in which sealed artefacts of other families travel.
pub(super) const SIGNATURES: &str = "signatures";

/// Writes one line of a stream.
pub(super) fn line(out: &mut Vec<u8>, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
    let mut object = ObjectWriter::new(out);
    fill(&mut object);
    object.end();
    out.push(b'\n');
}

/// A string field of an answer.
pub(super) fn text<'a>(object: &Object<'a>, name: &str) -> Option<Cow<'a, str>> {
    object.get(name).and_then(string)
}

/// A token count of an answer; what makes no sense is none.
pub(super) fn tokens(object: &Object<'_>, name: &str) -> u64 {
    object
        .get(name)
        .and_then(|raw| raw.get().parse().ok())
        .filter(|count| *count <= crate::LARGEST_COUNT)
        .unwrap_or(0)
}

/// The type that the first bytes of an image give away, in base64: the wire does not say it.
pub(super) fn sniff(data: &str) -> Option<&'static str> {
    const MAGIC: [(&str, &str); 4] = [
        ("/9j/", "image/jpeg"),
        ("iVBOR", "image/png"),
        ("R0lGOD", "image/gif"),
        ("Qk", "image/bmp"),
    ];
    if data.starts_with("UklGR") {
        // RIFF holds several; the name stands at the ninth byte.
        return (data.get(12..16) == Some("RUJQ")).then_some("image/webp");
    }
    MAGIC
        .iter()
        .find(|(magic, _)| data.starts_with(magic))
        .map(|(_, mime)| *mime)
}

/// Type and data of a `data:` URL in base64.
pub(super) fn data_url(url: &str) -> Option<(Option<&str>, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let head = head.strip_suffix(";base64")?;
    let mime = head.split(';').next().filter(|mime| !mime.is_empty());
    Some((mime, data))
}

#[cfg(test)]
mod tests {
    use super::{data_url, sniff};

    #[test]
    fn an_image_says_what_it_is() {
        for (data, mime) in [
            ("iVBORw0KGgo=", Some("image/png")),
            ("/9j/4AAQSkZJRg==", Some("image/jpeg")),
            ("UklGRhIAAABXRUJQVlA4", Some("image/webp")),
            ("UklGRgAAAABXQVZF", None),
            ("UklGR", None),
            ("AAAA", None),
            ("", None),
        ] {
            assert_eq!(sniff(data), mime, "{data}");
        }
        let png = data_url("data:image/png;base64,AA==");
        assert_eq!(png, Some((Some("image/png"), "AA==")));
        assert_eq!(data_url("data:;base64,AA=="), Some((None, "AA==")));
        assert_eq!(data_url("https://x/y,z"), None);
    }
}
