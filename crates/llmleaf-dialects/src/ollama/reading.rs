//! What a line or a whole answer says, as events: the two are the same message.

use super::wire::{MADE_UP, sniff, text};
use super::{Form, answer, finish, moment, usage};
use crate::assembly::{Assembly, MediaStart, ReasoningKey, ToolFragment};
use crate::object::{Object, items, string};
use llmleaf_model::{
    Delta, Event, Finish, FinishReason, Json, MediaKind, ReasoningForm, ResponseStart,
};
use serde_json::value::RawValue;

/// This wire gives one answer.
const CHOICE: u32 = 0;
/// Letters of the answer's time that ids of its calls repeat.
const ID_LETTERS: usize = 32;

/// The state of one response that is being read.
pub(super) struct Reading {
    form: Form,
    pub assembly: Assembly,
    started: bool,
    /// First letters of the ids that are made up here; they differ from response to response.
    made_up: String,
    calls: u64,
}

impl Reading {
    pub fn new(form: Form) -> Self {
        Self {
            form,
            assembly: Assembly::new(),
            started: false,
            made_up: MADE_UP.to_owned(),
            calls: 0,
        }
    }

    /// Takes a line. Errors in it are the caller's business. `None` where it is no line of this wire, else whether it is
    /// the last.
    pub fn take(&mut self, line: &Object<'_>, out: &mut Vec<Event>) -> Option<bool> {
        let known = ["message", "response", "thinking", "done"];
        if !known.iter().any(|name| line.get(name).is_some()) {
            return None;
        }
        self.start(line, out);
        let message = line.get("message").and_then(Object::from_raw);
        // The other form says the same without a message around it.
        let said = message.as_ref().unwrap_or(line);
        let key = ReasoningKey::default();
        if let Some(thinking) = text(said, "thinking") {
            let form = ReasoningForm::Full;
            self.assembly.reasoning(CHOICE, &key, form, &thinking, out);
        }
        if let Some(words) = text(said, "content").or_else(|| text(line, "response")) {
            self.assembly.text(CHOICE, &words, out);
        }
        if let Some(json) = line.get("logprobs").and_then(answer::logprobs) {
            self.assembly.annotate(CHOICE, Delta::Logprobs(json), out);
        }
        for image in said.get("images").and_then(items).unwrap_or_default() {
            self.image(image, out);
        }
        for raw in said.get("tool_calls").and_then(items).unwrap_or_default() {
            self.call(raw, out);
        }
        let done = line.get("done").is_some_and(|raw| raw.get() == "true");
        if done {
            self.end(line, out);
        }
        Some(done)
    }

    fn start(&mut self, line: &Object<'_>, out: &mut Vec<Event>) {
        if self.started {
            return;
        }
        self.started = true;
        let at = text(line, "created_at");
        if let Some(at) = &at {
            let digits = at.chars().filter(char::is_ascii_digit);
            self.made_up.extend(digits.take(ID_LETTERS));
            self.made_up.push('_');
        }
        let model = text(line, "model").filter(|model| !model.is_empty());
        out.push(Event::ResponseStart(ResponseStart {
            model: model.map(|model| model.into_owned()),
            created: at.as_deref().and_then(moment::read),
            ..ResponseStart::default()
        }));
        self.assembly.touch(CHOICE);
    }

    fn end(&mut self, line: &Object<'_>, out: &mut Vec<Event>) {
        let word = text(line, "done_reason").unwrap_or_default();
        let mut reason = finish::reason(&word);
        // Calls end an answer here like anything else does.
        if self.calls > 0 && matches!(reason, FinishReason::Stop | FinishReason::Unstated) {
            reason = FinishReason::ToolCalls;
        }
        let mut end = Finish::new(reason, word.clone());
        end.native = Some(word.into_owned()).filter(|word| !word.is_empty());
        if let Some(context) = line.get("context") {
            end.rest.push("context", Json::from(context));
        }
        self.assembly.finish(CHOICE, end);
        self.assembly.end(out);
        if let Some(report) = usage::parse(line, self.form.name()) {
            out.push(Event::UsageReport(report));
        }
    }

    fn image(&mut self, raw: &RawValue, out: &mut Vec<Event>) {
        let Some(data) = string(raw).filter(|data| !data.is_empty()) else {
            return;
        };
        let start = MediaStart {
            kind: MediaKind::Image,
            mime: sniff(&data),
            id: None,
        };
        self.assembly.break_prose(CHOICE, out);
        let delta = Delta::MediaData(data.into_owned());
        self.assembly.media(CHOICE, &start, delta, out);
        self.assembly.break_prose(CHOICE, out);
    }

    fn call(&mut self, raw: &RawValue, out: &mut Vec<Event>) {
        let Some(call) = Object::from_raw(raw) else {
            return;
        };
        let Some(function) = call.get("function").and_then(Object::from_raw) else {
            return;
        };
        // The index that services give starts again in every line; each call comes whole.
        let index = self.calls;
        self.calls += 1;
        let id = match text(&call, "id").filter(|id| !id.is_empty()) {
            Some(id) => id.into_owned(),
            None => format!("{}{index}", self.made_up),
        };
        let arguments = function.get("arguments").filter(|raw| raw.get() != "null");
        let arguments = match arguments.and_then(string) {
            Some(text) => Some(text.into_owned()),
            None => arguments.map(|raw| raw.get().to_owned()),
        };
        let name = text(&function, "name").unwrap_or_default();
        self.assembly.tool(
            CHOICE,
            &ToolFragment {
                index: Some(index),
                id: Some(&id),
                name: Some(&name),
                arguments: arguments.as_deref(),
                ..ToolFragment::default()
            },
            out,
        );
    }
}
