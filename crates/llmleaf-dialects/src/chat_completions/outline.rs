//! A whole answer that is forwarded as it is, read for its usage only.

use super::{json_text, usage};
use crate::skim;
use llmleaf_model::Usage;
use memchr::memmem::Finder;
use std::sync::LazyLock;

/// What an answer that may hold an error has somewhere. Quotes inside strings are escaped, so that these are keys or whole strings,
/// and never part of a text.
static ERRORS: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| [Finder::new("\"error\""), Finder::new("\"base_resp\"")]);

/// The usage of an answer; `None` where the answer must be read whole: it is not JSON, reports no usage or several, has no
/// choice, or may hold an error. The report as it came is in the answer, which goes through.
pub fn outline(body: &[u8]) -> Option<Usage> {
    let text = json_text(body)?;
    if ERRORS
        .iter()
        .any(|mark| mark.find(text.as_bytes()).is_some())
    {
        return None;
    }
    let fields = skim::fields(text)?;
    let only = |name: &str| {
        let mut found = fields.iter().filter(|field| {
            let key = text.get(field.key.clone()).unwrap_or_default();
            key.strip_prefix('"').and_then(|key| key.strip_suffix('"')) == Some(name)
        });
        let value = found.next().and_then(|field| text.get(field.value.clone()));
        value.filter(|_| found.next().is_none())
    };
    only("choices")?
        .strip_prefix('[')?
        .trim_ascii_start()
        .strip_prefix('{')?;
    usage::read(only("usage")?)
}
