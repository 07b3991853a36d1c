//! Prompt caching that somebody opted into: what a service needs to be told for a prompt's beginning to be kept.
//!
//! It works on a finished body, edited or rendered, and so is one named edit for both ways. Three kinds of services:
//!
//! - They keep what is marked ([`breakpoints`]): Messages, and Chat Completions in front of the same models.
//! - They keep by themselves, and may be told what belongs together and for how long ([`implicit`]): OpenAI's two wires.
//! - They keep by themselves and take no word about it: the rest. Nothing is written.
//!
//! What the consumer wrote stays as and where it is: its marks count, and a field that is there is not set.

mod breakpoints;
mod implicit;
#[cfg(test)]
mod tests;

use crate::object::Object;
use crate::responses::quirks::Storage;
use crate::splice::Splices;
use crate::{ChatWire, Rendered, head};
use serde_json::value::RawValue;
use std::ops::Range;

/// How long a prompt's beginning shall be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Five minutes, or what the service does by itself.
    FiveMinutes,
    /// One hour, or the next longer that the service offers.
    OneHour,
}

impl ChatWire {
    /// Tells the service to keep the beginning of a prompt, as far as its wire and model want to be told. `key` is a name
    /// for all requests that begin alike; it is sent where a service asks for one and the consumer gave none.
    ///
    /// True where the body was changed.
    pub fn keep_prompt(
        &self,
        rendered: &mut Rendered,
        model: &str,
        lifetime: Lifetime,
        key: u64,
    ) -> bool {
        let Ok(text) = head::checked(&rendered.body) else {
            return false;
        };
        let Ok(body) = Object::parse(text) else {
            return false;
        };
        let body = Body { text, body };
        let splices = match self {
            Self::Messages(_) => breakpoints::messages(&body, model, lifetime),
            Self::Completions(quirks)
                if quirks.request.cache_control && breakpoints::are_wanted(model) =>
            {
                breakpoints::completions(&body, model, lifetime, quirks.request.extended)
            }
            Self::Completions(quirks) => implicit::fields(&body, model, lifetime, key, |name| {
                let request = &quirks.request;
                // In front of many services only the key is known.
                let known = !request.cache_control || request.extended && name == implicit::KEY;
                known && !request.unsupported.iter().any(|gone| gone == name)
            }),
            Self::Responses(quirks) => implicit::fields(&body, model, lifetime, key, |name| {
                // What keeps no answers keeps no prompts for a day.
                let keeps = quirks.storage == Storage::Offered || name == implicit::KEY;
                keeps && !quirks.unsupported.iter().any(|gone| gone == name)
            }),
            _ => return false,
        };
        if splices.is_empty() {
            return false;
        }
        let changed = splices.apply(text);
        rendered.body = changed.into();
        true
    }
}

/// A body and its first level.
struct Body<'a> {
    text: &'a str,
    body: Object<'a>,
}

impl<'a> Body<'a> {
    /// A field that is there, and not `null`.
    fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.body.get(name).filter(|raw| raw.get() != "null")
    }

    /// Where a value lies in the text.
    fn range(&self, raw: &RawValue) -> Option<Range<usize>> {
        let start = (raw.get().as_ptr() as usize).checked_sub(self.text.as_ptr() as usize)?;
        let range = start..start + raw.get().len();
        self.text.get(range.clone()).map(|_| range)
    }

    /// Sets a field of an object that lies in the text: in place of a `null`, else in front of the others.
    fn set(
        &self,
        splices: &mut Splices<'_>,
        object: &RawValue,
        name: &str,
        json: &str,
    ) -> Option<()> {
        let fields = Object::from_raw(object)?;
        if let Some(null) = fields.get(name) {
            splices.replace(self.range(null)?, json.to_owned());
        } else {
            let comma = if fields.fields.is_empty() { "" } else { "," };
            let at = self.range(object)?.start + 1;
            splices.insert(at, format!("\"{name}\":{json}{comma}"));
        }
        Some(())
    }
}
