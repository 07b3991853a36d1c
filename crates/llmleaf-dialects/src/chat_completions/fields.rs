//! One level of a request, read with types: a field of the wrong type is the consumer's fault and is named.

use crate::object::{self, Object};
use llmleaf_model::{CacheHint, Failure, Json, Rest};
use serde_json::Number;
use serde_json::value::RawValue;
use std::fmt;

/// The reference's own cache hint at a part.
pub(super) const BREAKPOINT: &str = "prompt_cache_breakpoint";

/// Where in the request a value lies. Linked on the stack; written out only when something is wrong.
#[derive(Clone, Copy)]
pub(super) struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Root,
    Key(&'p str),
    Index(usize),
}

impl<'p> Path<'p> {
    pub(super) const ROOT: Path<'static> = Path {
        parent: None,
        step: Step::Root,
    };

    pub(super) fn key(&'p self, key: &'p str) -> Self {
        Self {
            parent: Some(self),
            step: Step::Key(key),
        }
    }

    pub(super) fn index(&'p self, index: usize) -> Self {
        Self {
            parent: Some(self),
            step: Step::Index(index),
        }
    }

    /// The failure of a value that is not what it must be.
    pub(super) fn must(&self, what: &str) -> Failure {
        let path = self.to_string();
        Failure::invalid(format!("`{path}` must be {what}"), Some(&path))
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Key(key) if self.parent.is_none_or(|p| matches!(p.step, Step::Root)) => {
                f.write_str(key)
            }
            Step::Key(key) => write!(f, ".{key}"),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// The fields of one object. Each is taken once; `null` is absence; what is left is the rest.
pub(super) struct Fields<'a, 'p> {
    object: Object<'a>,
    path: &'p Path<'p>,
    returned: Vec<(String, Json)>,
}

impl<'a, 'p> Fields<'a, 'p> {
    pub(super) fn read(raw: &'a RawValue, path: &'p Path<'p>) -> Result<Self, Failure> {
        if !raw.get().starts_with('{') {
            return Err(path.must("an object"));
        }
        let object = Object::parse(raw.get()).map_err(|error| {
            let path = path.to_string();
            Failure::invalid(format!("`{path}`: {error}"), Some(&path))
        })?;
        Ok(Self::of(object, path))
    }

    pub(super) fn of(object: Object<'a>, path: &'p Path<'p>) -> Self {
        Self {
            object,
            path,
            returned: Vec::new(),
        }
    }

    pub(super) fn must(&self, key: &str, what: &str) -> Failure {
        self.path.key(key).must(what)
    }

    pub(super) fn raw(&mut self, key: &str) -> Option<&'a RawValue> {
        self.object.take(key)
    }

    pub(super) fn json(&mut self, key: &str) -> Option<Json> {
        self.raw(key).map(Json::from)
    }

    pub(super) fn string(&mut self, key: &str) -> Result<Option<String>, Failure> {
        let Some(raw) = self.raw(key) else {
            return Ok(None);
        };
        match object::string(raw) {
            Some(text) => Ok(Some(text.into_owned())),
            None => Err(self.must(key, "a string")),
        }
    }

    pub(super) fn needed_string(&mut self, key: &str) -> Result<String, Failure> {
        self.string(key)?.ok_or_else(|| self.must(key, "a string"))
    }

    /// The model of a body, which may stand in a list only (see [`crate::preferences`]). The list stays.
    pub(super) fn model(&mut self) -> Result<String, Failure> {
        let listed = |fields: &Self| crate::preferences::listed(fields.object.get("models")?);
        let model = self.string("model")?.or_else(|| listed(self));
        model.ok_or_else(|| self.must("model", "a string"))
    }

    /// Takes a string; a value of another type stays.
    pub(super) fn string_if(&mut self, key: &str) -> Option<String> {
        let text = object::string(self.object.get(key)?)?.into_owned();
        self.raw(key);
        Some(text)
    }

    pub(super) fn boolean(&mut self, key: &str) -> Result<Option<bool>, Failure> {
        match self.raw(key).map(RawValue::get) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(self.must(key, "true or false")),
        }
    }

    /// Takes a boolean; a value of another type stays.
    pub(super) fn boolean_if(&mut self, key: &str) -> Option<bool> {
        let value = match self.object.get(key)?.get() {
            "true" => true,
            "false" => false,
            _ => return None,
        };
        self.raw(key);
        Some(value)
    }

    /// Takes a value out that says no more than its absence.
    pub(super) fn pass(&mut self, key: &str, means_nothing: &str) {
        if self.object.get(key).map(RawValue::get) == Some(means_nothing) {
            self.raw(key);
        }
    }

    /// Takes a number out that says nothing, whichever it is.
    pub(super) fn pass_number(&mut self, key: &str) {
        let is_number = |raw: &RawValue| raw.get().starts_with(|c: char| c.is_ascii_digit());
        if self.object.get(key).is_some_and(is_number) {
            self.raw(key);
        }
    }

    /// A whole number within the bounds.
    pub(super) fn integer(
        &mut self,
        key: &str,
        least: u64,
        most: u64,
    ) -> Result<Option<u64>, Failure> {
        let Some(raw) = self.raw(key) else {
            return Ok(None);
        };
        let read: Option<super::wire::Integer> = serde_json::from_str(raw.get()).ok();
        match read.and_then(|i| i.0) {
            Some(value) if (least..=most).contains(&value) => Ok(Some(value)),
            _ if most == u64::MAX => {
                Err(self.must(key, &format!("a whole number of at least {least}")))
            }
            _ => Err(self.must(key, &format!("a whole number from {least} to {most}"))),
        }
    }

    /// A number that is kept exactly: a whole one that no 64-bit integer holds is refused, not rounded.
    pub(super) fn number(&mut self, key: &str) -> Result<Option<Number>, Failure> {
        let Some(raw) = self.raw(key) else {
            return Ok(None);
        };
        let text = raw.get();
        let numeric = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        let whole = !text.contains(['.', 'e', 'E']);
        match serde_json::from_str::<Number>(text) {
            Ok(number) if numeric && !(whole && number.is_f64()) => Ok(Some(number)),
            _ => Err(self.must(key, "a number")),
        }
    }

    pub(super) fn list(&mut self, key: &str) -> Result<Option<Vec<&'a RawValue>>, Failure> {
        let Some(raw) = self.raw(key) else {
            return Ok(None);
        };
        match object::items(raw) {
            Some(items) => Ok(Some(items)),
            None => Err(self.must(key, "a list")),
        }
    }

    /// A list of strings; one bare string counts as a list of it.
    pub(super) fn strings(&mut self, key: &str) -> Result<Vec<String>, Failure> {
        let Some(raw) = self.raw(key) else {
            return Ok(Vec::new());
        };
        if let Some(one) = object::string(raw) {
            return Ok(vec![one.into_owned()]);
        }
        object::items(raw)
            .and_then(|items| {
                items
                    .into_iter()
                    .map(|item| object::string(item).map(|s| s.into_owned()))
                    .collect()
            })
            .ok_or_else(|| self.must(key, "a list of strings"))
    }

    /// A cache hint in `cache_control`, or in the reference's own `prompt_cache_breakpoint` (OpenAPI document 2.3.0, 2026-08), whose
    /// `mode` stays with it and tells them apart. Anything that is not an object stays.
    pub(super) fn cache(&mut self) -> Result<Option<CacheHint>, Failure> {
        const KEY: &str = "cache_control";
        if !self
            .object
            .get(KEY)
            .is_some_and(|r| r.get().starts_with('{'))
        {
            return self.breakpoint();
        }
        let Some(raw) = self.raw(KEY) else {
            return Ok(None);
        };
        let path = self.path.key(KEY);
        let mut fields = Fields::read(raw, &path)?;
        let ttl = fields.string_if("ttl");
        // Beside a `mode` it stays, which alone would make a breakpoint of it.
        let plain = fields.object.get("mode").is_none();
        if plain && fields.object.get("type").map(RawValue::get) == Some("\"ephemeral\"") {
            fields.raw("type");
        }
        Ok(Some(CacheHint {
            ttl,
            rest: fields.rest(),
        }))
    }

    fn breakpoint(&mut self) -> Result<Option<CacheHint>, Failure> {
        let found = self.object.get(BREAKPOINT);
        let Some(hint) = found.and_then(Object::from_raw) else {
            return Ok(None);
        };
        if hint.get("mode").is_none() {
            return Ok(None);
        }
        self.raw(BREAKPOINT);
        Ok(Some(CacheHint {
            ttl: None,
            rest: hint.into_rest(),
        }))
    }

    /// Puts a string back that nothing could be made of.
    pub(super) fn put_back(&mut self, key: &str, text: &str) {
        self.returned.push((key.to_owned(), Json::from_value(text)));
    }

    /// What was not taken, as an object; `None` where nothing is left.
    pub(super) fn left(self) -> Option<Json> {
        (!self.object.fields.is_empty()).then(|| self.into_json())
    }

    /// What was not taken.
    pub(super) fn rest(self) -> Rest {
        let mut rest = self.object.into_rest();
        rest.0.extend(self.returned);
        rest
    }

    fn into_json(self) -> Json {
        let mut out = Vec::new();
        let mut object = super::json::ObjectWriter::begin(&mut out);
        object.rest(&self.rest());
        object.end();
        super::json::to_json(&out)
    }
}
