//! What a chunk or a whole completion says, as events: the two have the same shape.

use super::logprobs;
use crate::assembly::Assembly;
use crate::chat_completions::{self, errors, usage};
use crate::object::{Object, items, string};
use llmleaf_model::{Delta, Event, Failure, Json, ResponseStart, Rest};
use serde_json::value::RawValue;

/// The state of one response that is being read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    assembly: Assembly,
    started: bool,
    /// The last usage report as written: a repeated one is told once.
    usage: Option<Box<str>>,
}

impl Reading {
    /// Takes a chunk. False where it is no chunk of this wire.
    ///
    /// # Errors
    /// It tells of an error; what it says beside it was taken.
    pub fn take(
        &mut self,
        chunk: &Object<'_>,
        text: &str,
        out: &mut Vec<Event>,
    ) -> Result<bool, Failure> {
        let choices = chunk.get("choices").and_then(items).unwrap_or_default();
        let choices: Vec<Object<'_>> = choices.into_iter().filter_map(Object::from_raw).collect();
        let failed = failed(chunk, &choices);
        let report = chunk.get("usage").filter(|raw| raw.get().starts_with('{'));
        let known = !choices.is_empty() || report.is_some() || chunk.get("id").is_some();
        if failed && choices.is_empty() || !known {
            return if failed {
                Err(errors::in_band(text))
            } else {
                Ok(false)
            };
        }
        self.start(chunk, !choices.is_empty(), out);
        for (at, choice) in choices.iter().enumerate() {
            self.choice(at, choice, out);
        }
        if let Some(raw) = report
            && self.usage.as_deref() != Some(raw.get())
            && let Some(mut usage) = usage::parse(raw)
        {
            self.usage = Some(raw.get().into());
            if let Some(tier) = chunk.get("service_tier").and_then(string) {
                usage.set_tier(&tier);
            }
            out.push(Event::UsageReport(usage));
        }
        if failed {
            Err(errors::in_band(text))
        } else {
            Ok(true)
        }
    }

    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.assembly.is_empty()
    }

    /// Whether every choice has its finish.
    pub fn all_finished(&self) -> bool {
        self.assembly.all_finished()
    }

    /// Ends the response: open blocks, finishes.
    pub fn end(&mut self, out: &mut Vec<Event>) {
        self.assembly.end(out);
    }

    fn start(&mut self, chunk: &Object<'_>, says: bool, out: &mut Vec<Event>) {
        let filled = |name: &str| {
            let text = chunk.get(name).and_then(string);
            text.filter(|text| !text.is_empty())
                .map(|text| text.into_owned())
        };
        let (id, model) = (filled("id"), filled("model"));
        if self.started || (id.is_none() && model.is_none() && !says) {
            return;
        }
        self.started = true;
        let mut rest = Rest::default();
        for name in ["system_fingerprint", "service_tier", "provider"] {
            if let Some(raw) = chunk.get(name).filter(|raw| raw.get() != "null") {
                rest.push(name, Json::from(raw));
            }
        }
        let created = chunk.get("created").and_then(|raw| raw.get().parse().ok());
        out.push(Event::ResponseStart(ResponseStart {
            id,
            model,
            created: created.filter(|created| *created > 0),
            usage: None,
            rest,
        }));
    }

    fn choice(&mut self, at: usize, choice: &Object<'_>, out: &mut Vec<Event>) {
        let index = choice.get("index").and_then(|raw| raw.get().parse().ok());
        let index = index.unwrap_or_else(|| u32::try_from(at).unwrap_or(u32::MAX));
        self.assembly.touch(index);
        if let Some(text) = choice.get("text").and_then(string) {
            self.assembly.text(index, &text, out);
        }
        if let Some(json) = choice.get("logprobs").and_then(logprobs::read) {
            self.assembly.annotate(index, Delta::Logprobs(json), out);
        }
        let word = choice.get("finish_reason").and_then(string);
        if let Some(word) = word.filter(|word| !word.is_empty()) {
            self.assembly
                .finish(index, chat_completions::events::parse_finish(&word, None));
        }
    }
}

/// Whether a chunk tells of an error, for itself or for a choice.
fn failed(chunk: &Object<'_>, choices: &[Object<'_>]) -> bool {
    let stated = |raw: &RawValue| !matches!(raw.get(), "null" | "false" | "\"\"" | "{}" | "[]");
    let whole = chunk.get("error").is_some_and(stated);
    let flat =
        choices.is_empty() && chunk.get("object").and_then(string).as_deref() == Some("error");
    let one = |choice: &Object<'_>| {
        choice.get("error").is_some_and(stated)
            || choice.get("finish_reason").and_then(string).as_deref() == Some("error")
    };
    whole || flat || choices.iter().any(one)
}
