//! What every room needs while a request is written: the quirks, whose request it is, and what got lost.

use super::Quirks;
use super::fields::BREAKPOINT;
use super::json::ObjectWriter;
use llmleaf_model::{CacheHint, DialectName, Loss, Rest};
use std::borrow::Cow;

/// Most losses told of one request; a long history would else repeat one a thousand times.
const MAX_LOSSES: usize = 256;

/// The state of one rendering.
pub(super) struct Rendering<'q> {
    pub quirks: &'q Quirks,
    /// The dialect the request was read from.
    pub dialect: DialectName,
    /// The model that is asked.
    pub model: &'q str,
    pub losses: Vec<Loss>,
}

impl<'q> Rendering<'q> {
    pub(super) fn new(quirks: &'q Quirks, dialect: DialectName, model: &'q str) -> Self {
        Self {
            quirks,
            dialect,
            model,
            losses: Vec::new(),
        }
    }

    /// True where the request was written on this wire, so that its unknown fields mean something here.
    pub(super) fn own(&self) -> bool {
        self.dialect == DialectName::ChatCompletions
    }

    fn lose(&mut self, loss: Loss) {
        if self.losses.len() < MAX_LOSSES {
            self.losses.push(loss);
        }
    }

    pub(super) fn dropped(&mut self, path: &str, why: impl Into<Cow<'static, str>>) {
        self.lose(Loss::dropped(path, why));
    }

    pub(super) fn altered(&mut self, path: &str, why: impl Into<Cow<'static, str>>) {
        self.lose(Loss::altered(path, why));
    }

    pub(super) fn approximated(&mut self, path: &str, why: impl Into<Cow<'static, str>>) {
        self.lose(Loss::approximated(path, why));
    }

    /// Writes the unknown fields of a node, or loses them where they belong to another dialect. The field `but` was
    /// written already, as an inner object's rest.
    pub(super) fn rest(
        &mut self,
        object: &mut ObjectWriter<'_>,
        rest: &Rest,
        but: Option<&str>,
        path: &str,
    ) {
        if !self.own() {
            return self.lose_rest(rest, path);
        }
        for (key, value) in rest.iter().filter(|(key, _)| Some(*key) != but) {
            object.raw(key, value.as_str());
        }
    }

    /// Unknown fields of another dialect.
    pub(super) fn lose_rest(&mut self, rest: &Rest, path: &str) {
        for loss in crate::writer::foreign(rest, path) {
            self.lose(loss);
        }
    }

    /// The unknown fields of an inner object, kept under its key in the outer rest.
    pub(super) fn inner_rest(&self, object: &mut ObjectWriter<'_>, rest: &Rest, key: &str) {
        let inner = rest.get(key).filter(|_| self.own());
        if let Some(inner) = inner.and_then(|json| crate::object::Object::from_raw(json.raw())) {
            object.rest(&inner.into_rest());
        }
    }

    /// Writes a cache hint, where the service takes any.
    pub(super) fn cache(
        &mut self,
        object: &mut ObjectWriter<'_>,
        hint: Option<&CacheHint>,
        path: &str,
    ) {
        let Some(hint) = hint else { return };
        let breakpoint = hint.ttl.is_none()
            && hint.rest.get("type").is_none()
            && hint.rest.get("mode").is_some();
        if self.own() && breakpoint {
            let mut inner = ObjectWriter::begin(object.key(BREAKPOINT));
            inner.rest(&hint.rest);
            inner.end();
        } else if self.quirks.request.cache_control {
            self.write_cache(object, hint);
        } else {
            self.dropped(
                &join(path, "cache_control"),
                "the service takes no cache hints",
            );
        }
    }

    /// Writes a cache hint.
    pub(super) fn write_cache(&self, object: &mut ObjectWriter<'_>, hint: &CacheHint) {
        let mut inner = ObjectWriter::begin(object.key("cache_control"));
        if hint.rest.get("type").is_none() || !self.own() {
            inner.string("type", "ephemeral");
        }
        inner.string_if("ttl", hint.ttl.as_deref());
        if self.own() {
            inner.rest(&hint.rest);
        }
        inner.end();
    }
}

/// A path with one more step.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        [path, ".", key].concat()
    }
}
