//! One level of a request's JSON: fields taken by name and type, with the path of what is wrong.

use crate::object::{Object, items, string};
use crate::preferences;
use crate::writer::json_object;
use llmleaf_model::{Failure, Json, Rest};
use serde::Deserialize;
use serde_json::Number;
use serde_json::value::RawValue;
use std::collections::HashSet;

/// An object and where it stands.
pub(crate) struct Level<'a> {
    object: Object<'a>,
    path: String,
}

impl<'a> Level<'a> {
    /// The top of a request.
    pub fn top(body: &'a str) -> Result<Self, Failure> {
        let object = Object::parse(body).map_err(|e| crate::head::invalid_json(&e))?;
        Ok(Self {
            object,
            path: String::new(),
        })
    }

    /// A value that must be an object.
    pub fn of(raw: &'a RawValue, path: String) -> Result<Self, Failure> {
        match Object::from_raw(raw) {
            Some(object) => Ok(Self { object, path }),
            None => Err(wrong(&path, "an object")),
        }
    }

    /// The same fields under the names that `rename` gives them; `None` leaves a name as it is.
    pub fn renamed(mut self, rename: impl Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        // Past this many fields a set finds doubles: the fields are the consumer's, and may be a million.
        const PAIRWISE: usize = 32;
        let fields = &self.object.fields;
        let mut names: HashSet<String> = HashSet::new();
        if fields.len() > PAIRWISE {
            names.extend(fields.iter().map(|(name, _)| name.clone().into_owned()));
        }
        for at in 0..self.object.fields.len() {
            let Some(name) = self.object.fields.get(at).and_then(|(key, _)| rename(key)) else {
                continue;
            };
            let double = if names.is_empty() {
                self.object.get(&name).is_some()
            } else {
                !names.insert(name.clone())
            };
            if double {
                let path = self.at(&name);
                let why = format!("the field `{path}` is given twice, in two spellings");
                return Err(Failure::invalid(why, Some(&path)));
            }
            if let Some((key, _)) = self.object.fields.get_mut(at) {
                *key = name.into();
            }
        }
        Ok(self)
    }

    /// Path of a field of this level.
    pub fn at(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// A field, whatever it is; `null` counts as absent.
    pub fn raw(&mut self, name: &str) -> Option<&'a RawValue> {
        self.object.take(name)
    }

    /// Looks at a field without taking it.
    pub fn peek(&self, name: &str) -> Option<&'a RawValue> {
        self.object.get(name)
    }

    /// A string.
    pub fn string(&mut self, name: &str) -> Result<Option<String>, Failure> {
        self.object
            .take(name)
            .map(|raw| match string(raw) {
                Some(text) => Ok(text.into_owned()),
                None => Err(wrong(&self.at(name), "a string")),
            })
            .transpose()
    }

    /// A string that must be there.
    pub fn required(&mut self, name: &str) -> Result<String, Failure> {
        self.string(name)?.ok_or_else(|| self.missing(name))
    }

    /// The model of a body, which may stand in a list only (see [`crate::preferences`]). The list stays.
    pub fn model(&mut self) -> Result<String, Failure> {
        let listed = |level: &Self| preferences::listed(level.peek("models")?);
        let model = self.string("model")?.or_else(|| listed(self));
        model.ok_or_else(|| self.missing("model"))
    }

    /// The failure for a field that must be there.
    pub fn missing(&self, name: &str) -> Failure {
        let path = self.at(name);
        Failure::invalid(format!("the field `{path}` is missing"), Some(&path))
    }

    /// An integer of at least 0.
    pub fn integer(&mut self, name: &str) -> Result<Option<u64>, Failure> {
        self.typed(name, "an integer of at least 0")
    }

    /// A number as written.
    pub fn number(&mut self, name: &str) -> Result<Option<Number>, Failure> {
        self.typed(name, "a number")
    }

    /// A boolean.
    pub fn bool(&mut self, name: &str) -> Result<Option<bool>, Failure> {
        self.typed(name, "true or false")
    }

    fn typed<T: Deserialize<'a>>(&mut self, name: &str, what: &str) -> Result<Option<T>, Failure> {
        self.object
            .take(name)
            .map(|raw| serde_json::from_str(raw.get()).map_err(|_| wrong(&self.at(name), what)))
            .transpose()
    }

    /// A list of raw items.
    pub fn list(&mut self, name: &str) -> Result<Option<Vec<&'a RawValue>>, Failure> {
        self.object
            .take(name)
            .map(|raw| items(raw).ok_or_else(|| wrong(&self.at(name), "a list")))
            .transpose()
    }

    /// An object one level down.
    pub fn object(&mut self, name: &str) -> Result<Option<Level<'a>>, Failure> {
        self.object
            .take(name)
            .map(|raw| Level::of(raw, self.at(name)))
            .transpose()
    }

    /// True where every field was taken.
    pub fn is_empty(&self) -> bool {
        self.object.fields.is_empty()
    }

    /// What was not taken, as an object; `None` where nothing is left that says anything.
    pub fn left(self) -> Option<Json> {
        let mut rest = self.object.into_rest();
        rest.0.retain(|(_, value)| !value.is_null());
        let left = !rest.is_empty();
        left.then(|| {
            json_object(|object| {
                object.rest(&rest);
            })
        })
    }

    /// What was not taken.
    pub fn into_rest(self) -> Rest {
        self.object.into_rest()
    }
}

/// The failure for a value of the wrong type.
pub(crate) fn wrong(path: &str, what: &str) -> Failure {
    Failure::invalid(format!("`{path}` must be {what}"), Some(path))
}
