//! Tables, lists, and rules about several values.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::scalars::kind_of;
use super::{At, Raw, Reading, Source, Table};
use crate::diagnose::{Diagnostic, Place};

impl<'t> Table<'t> {
    /// A table within this one.
    pub(crate) fn table(&mut self, cx: &Reading<'_>, key: &'static str) -> Option<Table<'t>> {
        let raw = self.take_from_file(key)?;
        match raw.source {
            Source::Toml(DeValue::Table(entries)) => {
                Some(self.child(key, Some(entries), raw.place))
            }
            _ => raw.wrong_type(cx, "a table"),
        }
    }

    /// The same, empty when absent: for tables that the environment can fill.
    pub(crate) fn table_or_empty(&mut self, cx: &Reading<'_>, key: &'static str) -> Table<'t> {
        self.table(cx, key)
            .unwrap_or_else(|| self.child(key, None, Place::Whole))
    }

    /// Every `[[key]]`.
    pub(crate) fn tables(&mut self, cx: &Reading<'_>, key: &'static str) -> Vec<Table<'t>> {
        let Some(raw) = self.take_from_file(key) else {
            return Vec::new();
        };
        let Source::Toml(DeValue::Array(items)) = raw.source else {
            raw.wrong_type::<()>(cx, "a list of tables");
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items.iter() {
            let place = Place::File(item.span());
            match item.get_ref() {
                DeValue::Table(entries) => tables.push(self.child(key, Some(entries), place)),
                other => cx.report(
                    mismatch(key, &place, other, "a table")
                        .help(format!("each one in braces: `{key} = [{{ … }}]`")),
                ),
            }
        }
        tables
    }

    /// One table, or each of a list of them.
    pub(crate) fn table_or_tables(
        &mut self,
        cx: &Reading<'_>,
        key: &'static str,
    ) -> Vec<Table<'t>> {
        let is_list = self
            .entry(key)
            .is_some_and(|(_, value)| value.get_ref().as_array().is_some());
        match is_list {
            true => self.tables(cx, key),
            false => self.table(cx, key).into_iter().collect(),
        }
    }

    /// Whether the file has `key = []`.
    pub(crate) fn is_empty_list(&self, key: &str) -> bool {
        self.entry(key)
            .is_some_and(|(_, value)| value.get_ref().as_array().is_some_and(|a| a.is_empty()))
    }

    /// The table under a key that the file's author chose.
    pub(crate) fn free_table(&self, cx: &Reading<'_>, key: &At<&'t str>) -> Option<Table<'t>> {
        let (_, value) = self.entry(key.value)?;
        let place = Place::File(value.span());
        match value.get_ref() {
            DeValue::Table(entries) => Some(self.child("*", Some(entries), place)),
            other => {
                wrong_item(cx, key.value, place, other, "a table");
                None
            }
        }
    }

    /// The strings under a key that the file's author chose.
    pub(crate) fn free_strings(&self, cx: &Reading<'_>, key: &At<&'t str>) -> Vec<At<String>> {
        let Some((_, value)) = self.entry(key.value) else {
            return Vec::new();
        };
        let place = Place::File(value.span());
        match value.get_ref() {
            DeValue::Array(items) => strings_of(cx, key.value, items),
            other => {
                wrong_item(cx, key.value, place, other, "a list of strings");
                Vec::new()
            }
        }
    }

    /// A list of strings.
    pub(crate) fn strings(
        &mut self,
        cx: &Reading<'_>,
        key: &'static str,
    ) -> Option<At<Vec<At<String>>>> {
        let raw = self.take_from_file(key)?;
        match raw.source {
            Source::Toml(DeValue::Array(items)) => Some(At {
                value: strings_of(cx, key, items),
                place: raw.place,
            }),
            _ => raw.wrong_type(cx, "a list of strings"),
        }
    }

    /// A string, or a list of them.
    pub(crate) fn string_or_strings(
        &mut self,
        cx: &Reading<'_>,
        key: &'static str,
    ) -> Option<Vec<String>> {
        let is_list = self
            .entry(key)
            .is_some_and(|(_, value)| value.get_ref().as_array().is_some());
        if is_list {
            let list = self.strings(cx, key)?.value.into_iter();
            return Some(list.map(|at| at.value).collect());
        }
        self.string(cx, key).map(|at| vec![at.value])
    }

    /// The place of a table within this one, and the text of a key in it, before it is read.
    pub(crate) fn peek_in(&self, table: &str, key: &str) -> Option<(Place, Option<&'t str>)> {
        let (_, value) = self.entry(table)?;
        let inner = value.get_ref().as_table()?.get(key);
        let text = inner.and_then(|value| value.get_ref().as_str());
        Some((Place::File(value.span()), text))
    }

    /// A value whose type is the reader's own affair.
    pub(crate) fn value(&mut self, key: &'static str) -> Option<At<&'t DeValue<'t>>> {
        let Raw { place, source, .. } = self.take_from_file(key)?;
        match source {
            Source::Toml(value) => Some(At { value, place }),
            Source::Env(_) => None,
        }
    }

    /// The value under a key that the file's author chose.
    pub(crate) fn free_value(&self, key: &At<&'t str>) -> Option<At<&'t DeValue<'t>>> {
        let (_, value) = self.entry(key.value)?;
        Some(At {
            value: value.get_ref(),
            place: Place::File(value.span()),
        })
    }

    /// A table that was found inside a list.
    pub(crate) fn inner(&self, key: &str, at: &At<&'t DeValue<'t>>) -> Option<Table<'t>> {
        let entries = at.value.as_table()?;
        Some(self.child(key, Some(entries), at.place.clone()))
    }
}

fn strings_of(cx: &Reading<'_>, key: &str, items: &toml::de::DeArray<'_>) -> Vec<At<String>> {
    let mut strings = Vec::new();
    for item in items.iter() {
        let place = Place::File(item.span());
        match item.get_ref() {
            DeValue::String(text) if !text.trim().is_empty() => strings.push(At {
                value: text.as_ref().to_owned(),
                place,
            }),
            DeValue::String(_) => cx.report(Diagnostic::error(
                &place,
                format!("`{key}` holds an empty string"),
                "nothing here",
            )),
            other => wrong_item(cx, key, place, other, "a string"),
        }
    }
    strings
}

/// Reports a value within `key` that is not `expected`.
pub(crate) fn wrong_item(
    cx: &Reading<'_>,
    key: &str,
    place: Place,
    found: &DeValue<'_>,
    expected: &str,
) {
    cx.report(mismatch(key, &place, found, expected));
}

fn mismatch(key: &str, place: &Place, found: &DeValue<'_>, expected: &str) -> Diagnostic {
    let message = format!("`{key}` holds {}, not {expected}", kind_of(found));
    Diagnostic::error(place, message, format!("expected {expected}"))
}

/// Values that may be given only once; a second one is shown together with the first.
pub(crate) struct Unique {
    what: &'static str,
    seen: BTreeMap<String, Place>,
}

impl Unique {
    pub(crate) fn new(what: &'static str) -> Self {
        Unique {
            what,
            seen: BTreeMap::new(),
        }
    }

    /// Takes note of a value, or reports where it was given before.
    pub(crate) fn check(&mut self, cx: &Reading<'_>, at: &At<String>) -> bool {
        let Some(first) = self.seen.get(&at.value) else {
            self.seen.insert(at.value.clone(), at.place.clone());
            return true;
        };
        let message = format!("{} `{}` is given twice", self.what, at.value);
        cx.report(
            Diagnostic::error(&at.place, message, "second time").related(first, "first time"),
        );
        false
    }
}
