//! Strings, numbers, booleans and choices.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::DeValue;

use super::{At, Raw, Reading, Source, Table};
use crate::diagnose::Diagnostic;
use crate::nearest;

impl<'t> Table<'t> {
    /// A string; an empty one is a mistake everywhere in this file.
    pub(crate) fn string(&mut self, cx: &Reading<'_>, key: &'static str) -> Option<At<String>> {
        let raw = self.take(cx, key)?;
        let text = raw.text(cx)?;
        if text.value.trim().is_empty() {
            let message = format!("`{key}` is empty");
            cx.report(
                Diagnostic::error(&text.place, message, "nothing here")
                    .help("leave the key out, or give it a value"),
            );
            return None;
        }
        Some(text)
    }

    /// A string that must be there.
    pub(crate) fn required(
        &mut self,
        cx: &Reading<'_>,
        key: &'static str,
        help: &str,
    ) -> Option<At<String>> {
        let found = self.string(cx, key);
        if found.is_none() && !self.has(key) {
            self.missing(cx, key, help);
        }
        found
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, cx: &Reading<'_>, key: &'static str) -> Option<bool> {
        let raw = self.take(cx, key)?;
        match &raw.source {
            Source::Toml(value) => value
                .as_bool()
                .or_else(|| raw.wrong_type(cx, "true or false")),
            Source::Env(text) => text
                .parse()
                .ok()
                .or_else(|| raw.wrong_type(cx, "true or false")),
        }
    }

    /// A whole number within `range`.
    pub(crate) fn whole(
        &mut self,
        cx: &Reading<'_>,
        key: &'static str,
        range: RangeInclusive<u64>,
    ) -> Option<u64> {
        let raw = self.take(cx, key)?;
        let number = match &raw.source {
            Source::Toml(DeValue::Integer(n)) => i128::from_str_radix(n.as_str(), n.radix()).ok(),
            Source::Env(text) => match text.trim().parse::<i128>() {
                Ok(n) => Some(n),
                Err(_) => return raw.wrong_type(cx, "a whole number"),
            },
            Source::Toml(_) => return raw.wrong_type(cx, "a whole number"),
        };
        let fitting = number
            .and_then(|n| u64::try_from(n).ok())
            .filter(|n| range.contains(n));
        if fitting.is_none() {
            let (low, high) = (range.start(), range.end());
            let below = number.is_some_and(|n| n < i128::from(*low));
            let (message, label) = if below && *low == 0 {
                (format!("`{key}` cannot be negative"), "too small")
            } else if below {
                (format!("`{key}` must be at least {low}"), "too small")
            } else {
                (format!("`{key}` must be at most {high}"), "too large")
            };
            let help = (below && *low == 1).then(|| format!("leave `{key}` out for the default"));
            cx.report(Diagnostic::error(&raw.place, message, label).maybe_help(help));
        }
        fitting
    }

    /// A length in seconds.
    pub(crate) fn seconds(
        &mut self,
        cx: &Reading<'_>,
        key: &'static str,
        range: RangeInclusive<u64>,
    ) -> Option<Duration> {
        self.whole(cx, key, range).map(Duration::from_secs)
    }

    /// A length in milliseconds.
    pub(crate) fn millis(
        &mut self,
        cx: &Reading<'_>,
        key: &'static str,
        range: RangeInclusive<u64>,
    ) -> Option<Duration> {
        self.whole(cx, key, range).map(Duration::from_millis)
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        cx: &Reading<'_>,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let text = self.take(cx, key)?.text(cx)?;
        pick(cx, key, &text, words)
    }
}

/// The meaning of one of a few words.
pub(crate) fn pick<T: Copy>(
    cx: &Reading<'_>,
    key: &str,
    text: &At<String>,
    words: &[(&'static str, T)],
) -> Option<T> {
    let found = words.iter().find(|(word, _)| *word == text.value);
    if found.is_none() {
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let message = format!("`{}` is no value of `{key}`", text.value);
        cx.report(
            Diagnostic::error(&text.place, message, "unknown value")
                .maybe_help(nearest::suggestion(&text.value, "one of", &names)),
        );
    }
    found.map(|(_, meaning)| *meaning)
}

impl Raw<'_> {
    /// The value as text, or a report.
    pub(super) fn text(self, cx: &Reading<'_>) -> Option<At<String>> {
        let text = match &self.source {
            Source::Toml(DeValue::String(text)) => text.as_ref().to_owned(),
            Source::Env(text) => text.clone(),
            Source::Toml(_) => return self.wrong_type(cx, "a string"),
        };
        Some(At {
            value: text,
            place: self.place,
        })
    }

    /// Reports that this is not `expected`. Always `None`, to be returned.
    pub(super) fn wrong_type<T>(&self, cx: &Reading<'_>, expected: &str) -> Option<T> {
        let key = self.key;
        let found = match &self.source {
            Source::Toml(value) => kind_of(value).to_owned(),
            // Numbers and booleans are no secrets.
            Source::Env(text) => format!("`{text}`"),
        };
        let message = format!("`{key}` must be {expected}, not {found}");
        cx.report(
            Diagnostic::error(&self.place, message, format!("expected {expected}"))
                .maybe_help(self.way_to(expected)),
        );
        None
    }

    /// How to turn what is there into what is wanted, for the usual slips.
    fn way_to(&self, expected: &str) -> Option<String> {
        let key = self.key;
        let Source::Toml(value) = &self.source else {
            return None;
        };
        match (expected, value) {
            ("a whole number" | "true or false", DeValue::String(text)) => {
                let bare = text.trim();
                let fits = bare.parse::<i64>().is_ok() || bare.parse::<bool>().is_ok();
                fits.then(|| format!("without quotes: `{key} = {bare}`"))
            }
            ("a string", DeValue::Integer(n)) => Some(format!("with quotes: `{key} = \"{n}\"`")),
            ("a list of strings", DeValue::String(_)) => {
                Some(format!("in brackets: `{key} = [\"…\"]`"))
            }
            ("a list of tables", DeValue::Table(_)) => {
                Some(format!("in double brackets: `[[{key}]]`"))
            }
            ("a table", DeValue::Array(_)) => Some(format!("in single brackets: `[{key}]`")),
            _ => None,
        }
    }
}

/// What a value is, with its article.
pub(super) fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(items) if items.iter().all(|i| i.get_ref().is_table()) => "a list of tables",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
