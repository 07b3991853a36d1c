//! Reading one table of the file without stopping at the first mistake.
//!
//! A [`Table`] remembers every key it was asked for; [`Table::finish`] reports the rest as unknown, with
//! the nearest of those. So the reader's code is the one list of what a table may hold. A getter that
//! returns `None` has either found nothing, or has already reported why what it found will not do.

mod scalars;
mod shapes;

pub(crate) use scalars::pick;
pub(crate) use shapes::{Unique, wrong_item};

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnose::{Diagnostic, Place, Severity, Span};
use crate::nearest;
use crate::pending;

/// A value together with where it was written.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub value: T,
    pub place: Place,
}

/// What every reader shares: the surroundings of the file, and the list of what was found wrong.
pub(crate) struct Reading<'a> {
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The folder that relative paths start from.
    pub folder: PathBuf,
    /// Set when the text itself was broken: then absent things say nothing.
    pub incomplete: bool,
    found: RefCell<Vec<Diagnostic>>,
    files: RefCell<Vec<PathBuf>>,
    masks: RefCell<Vec<Span>>,
    /// Every key that was asked for, and whether any table had it: so a test can tell what a file leaves out.
    #[cfg(test)]
    pub asked: RefCell<std::collections::BTreeMap<String, bool>>,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(env: &'a dyn Fn(&str) -> Option<String>, folder: PathBuf) -> Self {
        Reading {
            env,
            folder,
            incomplete: false,
            found: RefCell::default(),
            files: RefCell::default(),
            masks: RefCell::default(),
            #[cfg(test)]
            asked: RefCell::default(),
        }
    }

    pub(crate) fn report(&self, diagnostic: Diagnostic) {
        self.found.borrow_mut().push(diagnostic);
    }

    /// The configuration depends on what is in that file.
    pub(crate) fn depends_on(&self, path: &Path) {
        let mut files = self.files.borrow_mut();
        if !files.iter().any(|known| known == path) {
            files.push(path.to_owned());
        }
    }

    /// Every file that the configuration depends on, beside its own.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.files.borrow().clone()
    }

    /// The path that was written, from the configuration's folder; its file is one that the configuration depends on.
    pub(crate) fn file(&self, written: &str) -> PathBuf {
        let path = self.folder.join(written);
        self.depends_on(&path);
        path
    }

    /// Whether anything found so far is an error.
    pub(crate) fn has_errors(&self) -> bool {
        let found = self.found.borrow();
        found.iter().any(|item| item.severity() == Severity::Error)
    }

    /// That part of the text is a secret and must not be shown.
    pub(crate) fn mask(&self, place: &Place) {
        if let Place::File(span) = place {
            self.masks.borrow_mut().push(span.clone());
        }
    }

    /// The diagnostics, and the places to mask.
    pub(crate) fn into_parts(self) -> (Vec<Diagnostic>, Vec<Span>) {
        (self.found.into_inner(), self.masks.into_inner())
    }
}

/// A value before its type is known.
pub(super) struct Raw<'t> {
    pub key: &'static str,
    pub place: Place,
    pub source: Source<'t>,
}

pub(super) enum Source<'t> {
    Toml(&'t DeValue<'t>),
    Env(String),
}

/// One table being read.
pub(crate) struct Table<'t> {
    entries: Option<&'t DeTable<'t>>,
    place: Place,
    /// Dotted path without array indices: `providers.limits`; empty for the file itself.
    path: String,
    known: Vec<&'static str>,
    env_prefix: Option<&'static str>,
}

impl<'t> Table<'t> {
    /// The file itself.
    pub(crate) fn root(entries: &'t DeTable<'t>) -> Self {
        Table {
            entries: Some(entries),
            place: Place::Whole,
            path: String::new(),
            known: Vec::new(),
            env_prefix: None,
        }
    }

    fn child(&self, key: &str, entries: Option<&'t DeTable<'t>>, place: Place) -> Self {
        Table {
            entries,
            place,
            path: self.path_of(key),
            known: Vec::new(),
            env_prefix: None,
        }
    }

    /// Lets `<prefix><KEY>` in the environment stand for scalars of this table.
    pub(crate) fn with_env(mut self, prefix: &'static str) -> Self {
        self.env_prefix = Some(prefix);
        self
    }

    /// The keys written in this table, for tables whose keys are free.
    pub(crate) fn free_keys(&self) -> Vec<At<&'t str>> {
        let entries = self.entries.into_iter().flat_map(|e| e.iter());
        entries
            .map(|(key, _)| At {
                value: key.get_ref().as_ref(),
                place: Place::File(key.span()),
            })
            .collect()
    }

    /// Where it is.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Where the value of that key is in the file.
    pub(crate) fn place_of(&self, key: &str) -> Option<Place> {
        self.entry(key).map(|(_, value)| Place::File(value.span()))
    }

    /// Whether the file (not the environment) has that key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// Whether the file or the environment has that key.
    pub(crate) fn is_set(&self, cx: &Reading<'_>, key: &str) -> bool {
        let var = |prefix| format!("{prefix}{}", key.to_ascii_uppercase());
        self.has(key) || (self.env_prefix).is_some_and(|prefix| (cx.env)(&var(prefix)).is_some())
    }

    fn entry(
        &self,
        key: &str,
    ) -> Option<(
        &'t Spanned<std::borrow::Cow<'t, str>>,
        &'t Spanned<DeValue<'t>>,
    )> {
        self.entries?.get_key_value(key)
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// The value of `key`, from the environment first.
    fn take(&mut self, cx: &Reading<'_>, key: &'static str) -> Option<Raw<'t>> {
        let from_file = self.take_from_file(key);
        let Some(prefix) = self.env_prefix else {
            return from_file;
        };
        let var = format!("{prefix}{}", key.to_ascii_uppercase());
        match (cx.env)(&var) {
            Some(value) => Some(Raw {
                key,
                place: Place::Env {
                    var,
                    value: value.clone(),
                },
                source: Source::Env(value),
            }),
            None => from_file,
        }
    }

    fn take_from_file(&mut self, key: &'static str) -> Option<Raw<'t>> {
        self.known.push(key);
        let (_, value) = self.entry(key)?;
        Some(Raw {
            key,
            place: Place::File(value.span()),
            source: Source::Toml(value.get_ref()),
        })
    }

    /// Reports that `key` must be there and is not.
    pub(crate) fn missing(&self, cx: &Reading<'_>, key: &str, help: impl Into<String>) {
        // A broken line may have been that key, and so may a misspelt one that is reported already.
        let misspelt = self
            .free_keys()
            .iter()
            .any(|k| !self.known.contains(&k.value) && nearest::nearest(k.value, [key]).is_some());
        if cx.incomplete || misspelt {
            return;
        }
        let message = match self.path.as_str() {
            "" => format!("`{key}` is missing"),
            path => format!("`{key}` is missing in `{path}`"),
        };
        cx.report(
            Diagnostic::error(&self.place, message, format!("needs `{key}`")).help(help.into()),
        );
    }

    /// Reports unknown keys and keys that are not in effect yet; returns the known ones.
    pub(crate) fn finish(self, cx: &Reading<'_>) -> Vec<&'static str> {
        self.finish_with(cx, |_| None)
    }

    /// The same, with further advice for keys that are not near any known one.
    pub(crate) fn finish_with(
        self,
        cx: &Reading<'_>,
        advice: impl Fn(&str) -> Option<String>,
    ) -> Vec<&'static str> {
        #[cfg(test)]
        for key in &self.known {
            let mut asked = cx.asked.borrow_mut();
            *asked.entry(self.path_of(key)).or_default() |= self.has(key);
        }
        for key in self.free_keys() {
            if self.known.contains(&key.value) {
                if let Some(row) = pending::find(&self.path_of(key.value)) {
                    cx.report(pending::warning(row, &key.place));
                }
                continue;
            }
            self.unknown(cx, &key, &advice);
        }
        self.known
    }

    fn unknown(&self, cx: &Reading<'_>, key: &At<&str>, advice: &impl Fn(&str) -> Option<String>) {
        if let Some((_, value)) = self.entry(key.value)
            && value.get_ref().as_str().is_some_and(looks_secret)
        {
            cx.mask(&Place::File(value.span()));
        }
        let written = self.entry(key.value).map(|(_, value)| value.get_ref());
        let what = match written {
            Some(DeValue::Table(_)) => "table",
            _ => "key",
        };
        let message = match self.path.as_str() {
            "" => format!("unknown {what} `{}`", key.value),
            path => format!("unknown {what} `{}` in `{path}`", key.value),
        };
        let near = nearest::nearest(key.value, self.known.iter().copied());
        let help = near
            .map(|near| format!("did you mean `{near}`?"))
            .or_else(|| advice(key.value))
            .or_else(|| nearest::suggestion(key.value, "known keys", &self.known));
        cx.report(Diagnostic::error(&key.place, message, "unknown").maybe_help(help));
    }
}

/// A long run without spaces or slashes under a key that we do not know may be a secret under a misspelt one.
fn looks_secret(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+=$/".contains(c);
    text.len() >= 16
        && text.chars().all(plain)
        && !text.starts_with("env:")
        && !text.starts_with("file:")
}
