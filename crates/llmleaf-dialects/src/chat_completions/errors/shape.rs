//! The shapes of error bodies.
//!
//! Seen (recordings of 2025 and 2026): `{error: {message, type, param, code}}`, `{error: "text", code}`,
//! `{message, …}`, `{detail: "text"}`, `{detail: [{msg, loc}]}`, `{errors: [{message}]}`, one of these in a list,
//! and text or HTML. `code` may be a slug, a number in quotes, or the HTTP status as a number.

use super::super::wire::{Integer, List, Maybe, Raw, Text};
use crate::object;
use serde::Deserialize;
use std::time::Duration;

/// What an error body says.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Said {
    pub message: String,
    pub code: Option<String>,
    pub wire_type: Option<String>,
    pub param: Option<String>,
    /// The status that the body itself names.
    pub status: Option<u16>,
    pub retry_after: Option<Duration>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow)]
    error: Raw<'a>,
    #[serde(borrow)]
    errors: List<Fields<'a>>,
    #[serde(borrow)]
    detail: Raw<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Fields<'a> {
    #[serde(borrow)]
    message: Raw<'a>,
    #[serde(borrow)]
    code: Raw<'a>,
    #[serde(borrow, rename = "type")]
    wire_type: Text<'a>,
    #[serde(borrow)]
    param: Text<'a>,
    status: Integer,
    status_code: Integer,
    raw_status_code: Integer,
    #[serde(borrow)]
    innererror: Maybe<Inner<'a>>,
    #[serde(borrow)]
    metadata: Maybe<Metadata<'a>>,
}

/// Azure's place for the reason of a content filter.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Inner<'a> {
    #[serde(borrow)]
    code: Text<'a>,
}

/// A router's words about the service behind it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata<'a> {
    #[serde(borrow)]
    raw: Text<'a>,
    #[serde(borrow)]
    error_type: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Detail<'a> {
    #[serde(borrow)]
    msg: Text<'a>,
    #[serde(borrow)]
    loc: Raw<'a>,
}

impl Said {
    /// Reads any body; what is not JSON is the message itself, unless it is a page for people.
    pub(super) fn read(text: &str) -> Self {
        let text = text.trim();
        match text.as_bytes().first() {
            Some(b'{') => Self::object(text).unwrap_or_default(),
            Some(b'[') => serde_json::from_str::<Vec<Raw<'_>>>(text)
                .ok()
                .and_then(|items| items.first().and_then(|raw| raw.0))
                .and_then(|raw| Self::object(raw.get()))
                .unwrap_or_default(),
            Some(b'"') => Self {
                message: serde_json::from_str(text).unwrap_or_default(),
                ..Self::default()
            },
            Some(b'<') | None => Self::default(),
            Some(_) => Self {
                message: text.to_owned(),
                ..Self::default()
            },
        }
    }

    fn object(text: &str) -> Option<Self> {
        let body: Body<'_> = serde_json::from_str(text).ok()?;
        let flat: Fields<'_> = serde_json::from_str(text).ok()?;
        let mut said = Self::default();
        match body.error.0 {
            Some(raw) if raw.get().starts_with('{') => {
                said.learn(&serde_json::from_str(raw.get()).ok()?);
            }
            Some(raw) => said.message = plain(raw.get()),
            None => {}
        }
        said.learn(&flat);
        if let Some(first) = body.errors.0.first() {
            said.learn(first);
        }
        if let Some(raw) = body.detail.0 {
            said.learn_detail(raw.get());
        }
        Some(said)
    }

    /// Takes what is not known yet.
    fn learn(&mut self, fields: &Fields<'_>) {
        if let Some(raw) = fields.message.0.filter(|_| self.message.is_empty()) {
            self.message = plain(raw.get());
        }
        if let Some(raw) = fields.code.0 {
            self.learn_code(&plain(raw.get()));
        }
        set(&mut self.wire_type, fields.wire_type.filled());
        set(&mut self.param, fields.param.filled());
        for status in [fields.status, fields.status_code, fields.raw_status_code] {
            self.learn_status(status.0);
        }
        if let Some(inner) = &fields.innererror.0
            && inner.code.filled().is_some()
        {
            set(&mut self.code, inner.code.filled());
        }
        if let Some(metadata) = &fields.metadata.0 {
            set(&mut self.wire_type, metadata.error_type.filled());
            // "Provider returned error" alone helps nobody; what the provider said does.
            if let Some(raw) = metadata.raw.filled() {
                let inner = Self::read(raw);
                let words = if inner.message.is_empty() {
                    raw
                } else {
                    &inner.message
                };
                self.message = if self.message.is_empty() {
                    words.to_owned()
                } else {
                    [self.message.as_str(), ": ", words].concat()
                };
                set(&mut self.param, inner.param.as_deref());
                set(&mut self.wire_type, inner.wire_type.as_deref());
            }
        }
    }

    /// A code that is an HTTP status is that, and no slug.
    fn learn_code(&mut self, code: &str) {
        match code.parse::<u64>() {
            Ok(number) if (400..600).contains(&number) => self.learn_status(Some(number)),
            _ if code.is_empty() => {}
            _ => set(&mut self.code, Some(code)),
        }
    }

    fn learn_status(&mut self, status: Option<u64>) {
        let status = status
            .and_then(|s| u16::try_from(s).ok())
            .filter(|s| (400..600).contains(s));
        self.status = self.status.or(status);
    }

    fn learn_detail(&mut self, text: &str) {
        let details: List<Detail<'_>> = serde_json::from_str(text).unwrap_or_default();
        if let Some(first) = details.0.first() {
            if self.message.is_empty() {
                first.msg.get().clone_into(&mut self.message);
            }
            let path = first.loc.0.and_then(object::items).unwrap_or_default();
            let path: Vec<String> = path
                .into_iter()
                .map(|step| plain(step.get()))
                .filter(|step| step != "body")
                .collect();
            set(&mut self.param, Some(path.join(".").as_str()));
        } else if self.message.is_empty() {
            self.message = plain(text);
        }
    }
}

fn set(slot: &mut Option<String>, value: Option<&str>) {
    if slot.is_none() {
        *slot = value.filter(|v| !v.is_empty()).map(str::to_owned);
    }
}

/// A JSON string's text, or any other value as written.
fn plain(json: &str) -> String {
    serde_json::from_str::<String>(json).unwrap_or_else(|_| json.to_owned())
}
