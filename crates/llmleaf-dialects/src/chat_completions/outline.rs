//! A whole answer that is forwarded as it is, read for its usage only.

use super::{json_text, usage};
use crate::skim;
use llmleaf_model::Usage;
use memchr::memmem::Finder;
use std::sync::LazyLock;

/// What a choice that may hold an error has somewhere. Quotes inside strings are escaped, so that this is a key or a whole string,
/// and never part of a text.
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"error\""));

/// The usage of an answer; `None` where the answer must be read whole: it is not JSON, reports no usage or several, has no
/// choice, or may hold an error. The report as it came is in the answer, which goes through.
pub fn outline(body: &[u8]) -> Option<Usage> {
    let text = json_text(body)?;
    let mut choices = Once::default();
    let mut report = Once::default();
    let mut tier = Once::default();
    skim::object(text, |scan, key, escaped| {
        match skim::plain_key(text, key, escaped) {
            Some("choices") => choices.put(text.get(scan.passed()?)?),
            Some("usage") => report.put(usage::read_at(scan, text)?),
            Some("service_tier") => tier.put(text.get(scan.passed()?)?),
            Some("error" | "base_resp") | None => return None,
            Some(_) => {
                scan.passed()?;
            }
        }
        Some(())
    })?;
    let choices = choices.only()?;
    if ERROR.find(choices.as_bytes()).is_some() {
        return None;
    }
    choices
        .strip_prefix('[')?
        .trim_ascii_start()
        .strip_prefix('{')?;
    let mut usage = report.only()??;
    if tier.twice {
        return None;
    }
    let tier = tier.value.and_then(|text| text.strip_prefix('"'));
    if let Some(tier) = tier.and_then(|text| text.strip_suffix('"')) {
        // No class is written with escapes.
        if tier.contains('\\') {
            return None;
        }
        usage.set_tier(tier);
    }
    Some(usage)
}

/// A field that must not stand twice.
struct Once<T> {
    value: Option<T>,
    twice: bool,
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        let (value, twice) = (None, false);
        Self { value, twice }
    }
}

impl<T> Once<T> {
    fn put(&mut self, value: T) {
        self.twice |= self.value.replace(value).is_some();
    }

    fn only(self) -> Option<T> {
        self.value.filter(|_| !self.twice)
    }
}
