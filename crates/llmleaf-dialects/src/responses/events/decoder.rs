//! Frames to events.
//!
//! A stream says most things three times: piece by piece, whole at the end of a part, and whole again at the end of its item
//! and of the response. What came in pieces is not told again; what did not is taken from the next whole that has it, since
//! several services leave some of the pieces out.

use super::items::{Items, PartKey, Wanted};
use crate::broken::{Broken, truncated};
use crate::object::{Object, items, string};
use crate::responses::wire::WireEvent;
use crate::responses::{Quirks, errors, finish, usage};
use crate::{Decoder, Frame};
use llmleaf_model::{Event, Failure, Finish, ReasoningForm, ResponseStart, Rest};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Longest name of an unknown event that is kept for counting.
const MAX_UNKNOWN_NAME: usize = 64;

/// Events that say how far a provider's own tool is, and what in it grew: the whole item follows.
const PROGRESS: [&str; 8] = [
    "response.web_search_call.",
    "response.file_search_call.",
    "response.code_interpreter_call",
    "response.image_generation_call.",
    "response.mcp_call",
    "response.mcp_list_tools.",
    "response.shell_call",
    "response.apply_patch_call",
];

/// Where the stream is.
#[derive(PartialEq, Eq)]
enum Phase {
    Before,
    Running,
    Ended,
}

/// Reads one stream of this wire.
pub(in crate::responses) struct ResponsesDecoder {
    phase: Phase,
    items: Items,
}

type Read = Result<(), Broken>;

impl ResponsesDecoder {
    pub fn new(quirks: &Quirks) -> Self {
        Self {
            phase: Phase::Before,
            items: Items::new(quirks.provenance()),
        }
    }

    fn read(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Read {
        // One service closes its streams as the chat wire does.
        if frame.data.is_empty() || frame.data.as_ref() == b"[DONE]" {
            return Ok(());
        }
        let event: WireEvent<'_> = serde_json::from_slice(&frame.data)
            .map_err(|e| Broken(format!("an event is not what it should be: {e}").into()))?;
        let kind = match &event.kind {
            Some(kind) => kind.as_ref(),
            None => frame
                .event
                .as_deref()
                .and_then(|name| std::str::from_utf8(name).ok())
                .unwrap_or(""),
        };
        let Some(name) = kind.strip_prefix("response.") else {
            return self.other(kind, frame, out);
        };
        match name {
            "output_text.delta" => self.text(&event, Wanted::Text, event.delta, true, out),
            "output_text.done" => self.text(&event, Wanted::Text, event.text, false, out),
            "refusal.delta" => self.text(&event, Wanted::Refusal, event.delta, true, out),
            "refusal.done" => self.text(&event, Wanted::Refusal, event.refusal, false, out),
            "reasoning_text.delta" => {
                let full = Wanted::Reasoning(ReasoningForm::Full);
                self.text(&event, full, event.delta, true, out)
            }
            "reasoning_text.done" => {
                let full = Wanted::Reasoning(ReasoningForm::Full);
                self.text(&event, full, event.text, false, out)
            }
            "reasoning_summary_text.delta" => {
                let summary = Wanted::Reasoning(ReasoningForm::Summary);
                self.text(&event, summary, event.delta, true, out)
            }
            "reasoning_summary_text.done" => {
                let summary = Wanted::Reasoning(ReasoningForm::Summary);
                self.text(&event, summary, event.text, false, out)
            }
            "function_call_arguments.delta" | "custom_tool_call_input.delta" => {
                self.arguments(&event, event.delta, true, out)
            }
            "function_call_arguments.done" => self.arguments(&event, event.arguments, false, out),
            "custom_tool_call_input.done" => self.arguments(&event, event.input, false, out),
            "output_text.annotation.added" => self.annotation(&event, out),
            "output_item.added" => self.item(&event, false, out),
            "output_item.done" => self.item(&event, true, out),
            "content_part.added" | "content_part.done" => self.part(&event, name, out),
            "reasoning_summary_part.added" | "reasoning_summary_part.done" => {
                self.part(&event, name, out)
            }
            "created" | "in_progress" | "queued" => self.start(&event, out),
            "completed" | "incomplete" => self.end(&event, out),
            "failed" | "cancelled" => self.failed(&event, frame, out),
            _ => {
                self.unknown(kind, out);
                Ok(())
            }
        }
    }

    fn other(&mut self, kind: &str, frame: &Frame, out: &mut Vec<Event>) -> Read {
        let whole: Option<&RawValue> = serde_json::from_slice(&frame.data).ok();
        let object = whole.and_then(Object::from_raw).unwrap_or_default();
        let flat = kind.is_empty() && object.get("error").is_some_and(|e| e.get() != "null");
        if kind != "error" && !flat {
            if kind.is_empty() && object.get("choices").is_some() {
                return Err(Broken("the events are those of another wire".into()));
            }
            self.unknown(kind, out);
            return Ok(());
        }
        let words = whole.map(|whole| errors::words_of(&object, whole));
        self.tell_failure(errors::in_band(words, &frame.data), out);
        Ok(())
    }

    fn unknown(&self, kind: &str, out: &mut Vec<Event>) {
        if !PROGRESS.iter().any(|known| kind.starts_with(known)) {
            out.push(Event::Unknown {
                name: kind.chars().take(MAX_UNKNOWN_NAME).collect(),
            });
        }
    }

    fn start(&mut self, event: &WireEvent<'_>, out: &mut Vec<Event>) -> Read {
        let response = event.response.and_then(Object::from_raw);
        self.begin(&response.unwrap_or_default(), out);
        Ok(())
    }

    /// Tells that the response began, once.
    fn begin(&mut self, response: &Object<'_>, out: &mut Vec<Event>) {
        if self.phase != Phase::Before {
            return;
        }
        self.phase = Phase::Running;
        let text = |name: &str| {
            let text = response.get(name).and_then(string)?;
            Some(text.into_owned())
        };
        let mut rest = Rest::default();
        let tier = response.get("service_tier");
        if let Some(tier) = tier.filter(|raw| !matches!(raw.get(), "null" | "\"auto\"")) {
            rest.push("service_tier", tier.into());
        }
        out.push(Event::ResponseStart(ResponseStart {
            id: text("id"),
            model: text("model"),
            created: response.get("created_at").and_then(seconds),
            usage: None,
            rest,
        }));
    }

    fn must_run(&mut self, out: &mut Vec<Event>) {
        // Some services leave the beginning out.
        self.begin(&Object::default(), out);
    }

    fn text(
        &mut self,
        event: &WireEvent<'_>,
        wanted: Wanted,
        value: Option<&RawValue>,
        piece: bool,
        out: &mut Vec<Event>,
    ) -> Read {
        self.must_run(out);
        let text = words(value)?;
        let slot = self.slot(event, wanted)?;
        let key = PartKey::of(wanted, event);
        let logprobs = event.logprobs.filter(|_| wanted == Wanted::Text);
        self.items
            .text(slot, key, wanted, &text, piece, logprobs, out);
        Ok(())
    }

    fn slot(&mut self, event: &WireEvent<'_>, wanted: Wanted) -> Result<usize, Broken> {
        self.items
            .find(event.output_index, event.item_id.as_deref(), wanted)
            .ok_or(Broken("too many items".into()))
    }

    fn arguments(
        &mut self,
        event: &WireEvent<'_>,
        value: Option<&RawValue>,
        piece: bool,
        out: &mut Vec<Event>,
    ) -> Read {
        self.must_run(out);
        let text = words(value)?;
        let slot = self.slot(event, Wanted::Call)?;
        self.items.arguments(slot, &text, piece, out);
        Ok(())
    }

    fn annotation(&mut self, event: &WireEvent<'_>, out: &mut Vec<Event>) -> Read {
        self.must_run(out);
        let Some(raw) = event.annotation.filter(|raw| raw.get().starts_with('{')) else {
            return Ok(());
        };
        let slot = self.slot(event, Wanted::Text)?;
        let key = PartKey::of(Wanted::Text, event);
        self.items.annotation(slot, key, raw, out);
        Ok(())
    }

    fn part(&mut self, event: &WireEvent<'_>, name: &str, out: &mut Vec<Event>) -> Read {
        self.must_run(out);
        let part = event.part.and_then(Object::from_raw).unwrap_or_default();
        let kind = part.get("type").and_then(string).unwrap_or_default();
        let wanted = match &*kind {
            "output_text" => Wanted::Text,
            "refusal" => Wanted::Refusal,
            "reasoning_text" => Wanted::Reasoning(ReasoningForm::Full),
            "summary_text" => Wanted::Reasoning(ReasoningForm::Summary),
            _ => return Ok(()),
        };
        let slot = self.slot(event, wanted)?;
        let key = PartKey::of(wanted, event);
        self.items.part(slot, key, wanted, &part, out);
        if name.ends_with(".done") {
            self.items.part_done(slot, key, out);
        }
        Ok(())
    }

    fn item(&mut self, event: &WireEvent<'_>, done: bool, out: &mut Vec<Event>) -> Read {
        self.must_run(out);
        let raw = event
            .item
            .filter(|raw| raw.get().starts_with('{'))
            .ok_or(Broken("an event of an item holds no item".into()))?;
        let told = self.items.item(event.output_index, raw, done, out);
        told.ok_or(Broken("too many items".into()))
    }

    fn end(&mut self, event: &WireEvent<'_>, out: &mut Vec<Event>) -> Read {
        let response = event
            .response
            .and_then(Object::from_raw)
            .ok_or(Broken("the end holds no response".into()))?;
        self.begin(&response, out);
        self.complete(&response, out)
    }

    /// What the response says at its end: items that no event told of, usage, and why it ended.
    fn complete(&mut self, response: &Object<'_>, out: &mut Vec<Event>) -> Read {
        let output = response.get("output").and_then(items).unwrap_or_default();
        for (at, raw) in (0u64..).zip(output) {
            if !self.items.knows(at, raw) {
                self.items
                    .item(Some(at), raw, true, out)
                    .ok_or(Broken("too many items".into()))?;
            }
        }
        self.items.end(out);
        if let Some(usage) = usage::of(response) {
            out.push(Event::UsageReport(usage));
        }
        let finish: Finish = finish::read(response, self.items.called());
        out.push(Event::ChoiceEnd { choice: 0, finish });
        out.push(Event::ResponseEnd);
        self.phase = Phase::Ended;
        Ok(())
    }

    fn failed(&mut self, event: &WireEvent<'_>, frame: &Frame, out: &mut Vec<Event>) -> Read {
        let response = event.response.and_then(Object::from_raw);
        let response = response.unwrap_or_default();
        self.begin(&response, out);
        self.fail_as(&response, &frame.data, out);
        Ok(())
    }

    fn fail_as(&mut self, response: &Object<'_>, whole: &[u8], out: &mut Vec<Event>) {
        if let Some(usage) = usage::of(response) {
            out.push(Event::UsageReport(usage));
        }
        let words = response.get("error").filter(|raw| raw.get() != "null");
        self.tell_failure(errors::in_band(words, whole), out);
    }

    fn tell_failure(&mut self, mut failure: Failure, out: &mut Vec<Event>) {
        failure.possibly_billed |= self.phase == Phase::Running;
        self.phase = Phase::Ended;
        out.push(Event::Error(Box::new(failure)));
    }

    /// Reads a whole response as the events that its stream would have had.
    pub fn whole(&mut self, response: &Object<'_>, body: &[u8], out: &mut Vec<Event>) {
        let status = response.get("status").and_then(string).unwrap_or_default();
        let words = response.get("error").filter(|raw| raw.get() != "null");
        if words.is_some() || matches!(&*status, "failed" | "cancelled") {
            return self.fail_as(response, body, out);
        }
        if response.get("output").and_then(items).is_none() {
            return self.break_off(Broken("the response has no output".into()), out);
        }
        self.begin(response, out);
        if let Err(broken) = self.complete(response, out) {
            self.break_off(broken, out);
        }
    }

    fn break_off(&mut self, broken: Broken, out: &mut Vec<Event>) {
        self.phase = Phase::Ended;
        out.push(Event::Error(Box::new(broken.failure())));
    }
}

impl Decoder for ResponsesDecoder {
    fn push(&mut self, frame: &Frame, out: &mut Vec<Event>) {
        if self.phase == Phase::Ended || !frame.has_data {
            return;
        }
        if let Err(broken) = self.read(frame, out) {
            self.break_off(broken, out);
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        if self.phase == Phase::Ended {
            return;
        }
        let failure = truncated("before the response was complete");
        self.phase = Phase::Ended;
        out.push(Event::Error(Box::new(failure)));
    }
}

/// The text of a field that must be a string; absent is empty.
fn words(value: Option<&RawValue>) -> Result<Cow<'_, str>, Broken> {
    match value.filter(|raw| raw.get() != "null") {
        None => Ok(Cow::Borrowed("")),
        Some(raw) => string(raw).ok_or(Broken("a delta is not a text".into())),
    }
}

/// Unix seconds; some services write a fraction.
fn seconds(raw: &RawValue) -> Option<u64> {
    let text = raw.get();
    text.split('.').next()?.parse().ok()
}
