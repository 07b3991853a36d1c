//! What events and whole messages of a provider mean.
//!
//! At most one block of words is open: content, or the plan. A content block that ended stays open until something else than
//! a citation comes, because citations may stand behind the text that cites. Calls end where the wire says so.

use crate::broken::{ANSWER, Broken, corrupt, truncated};
use crate::cohere::wire::{inner, opened, text};
use crate::cohere::{answer, citation, errors, finish, usage};
use crate::object::{Object, items, string};
use llmleaf_model::{
    Artefact, BlockKind, Delta, DialectName, Event, Failure, FailureKind, Finish, FinishReason,
    Json, ReasoningForm, ResponseStart, ToolFlavour,
};
use serde_json::value::RawValue;
use std::collections::HashSet;

/// Most blocks of one response; no answer seen has more than a few dozen.
const MAX_BLOCKS: u32 = 100_000;
/// Most calls open at once; the service opens one.
const MAX_OPEN: usize = 64;
/// Longest name of an unknown event that is kept for counting.
const MAX_NAME: usize = 64;

/// What a block of words is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Words {
    Text,
    Thinking,
    Plan,
    Other,
}

#[derive(Debug)]
struct Open {
    /// Its number in the content.
    index: Option<u64>,
    block: u32,
    words: Words,
    /// The wire said that it is complete.
    ended: bool,
}

/// Where the answer is.
#[derive(Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Before,
    Running,
    /// The end was told; only the end marker may follow.
    Complete,
    Ended,
}

/// The state of one answer.
#[derive(Debug, Default)]
pub(in crate::cohere) struct Reading {
    phase: Phase,
    next_block: u32,
    words: Option<Open>,
    /// Index and block of each open call.
    calls: Vec<(Option<u64>, u32)>,
    call_ids: HashSet<String>,
    /// A text block was opened.
    texts: u32,
}

impl Reading {
    /// Where it failed in the middle of something, takes back what that told behind its end.
    pub fn cut(&self, out: &mut Vec<Event>) {
        if self.has_ended()
            && let Some(end) = out.iter().position(Event::is_terminal)
        {
            out.truncate(end + 1);
        }
    }

    /// Nothing may follow.
    pub fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// Ends with a failure; the provider may have done the work.
    pub fn fail(&mut self, mut failure: Failure, out: &mut Vec<Event>) {
        if self.has_ended() {
            return;
        }
        failure.possibly_billed = true;
        self.phase = Phase::Ended;
        out.push(Event::Error(Box::new(failure)));
    }

    /// The stream is over.
    pub fn finish(&mut self, out: &mut Vec<Event>) {
        match self.phase {
            Phase::Ended => {}
            Phase::Complete => {
                self.phase = Phase::Ended;
                out.push(Event::ResponseEnd);
            }
            Phase::Before | Phase::Running => {
                self.fail(truncated("before the message was complete"), out)
            }
        }
    }

    /// Takes an event of a stream; `name` is what the frame calls it.
    pub fn take(&mut self, event: &Object<'_>, name: &str, out: &mut Vec<Event>) {
        let kind = text(event, "type").or_else(|| text(event, "event_type"));
        let kind = kind.as_deref().unwrap_or(name);
        let delta = inner(event, "delta").unwrap_or_default();
        let message = inner(&delta, "message").unwrap_or_default();
        let index = event.get("index").and_then(|raw| raw.get().parse().ok());
        if self.phase == Phase::Complete {
            return out.push(unknown(kind));
        }
        match kind {
            "message-start" if self.phase == Phase::Before => self.start(event, &message, out),
            "content-start" | "content-delta" => {
                let begins = kind == "content-start";
                let raw = message.get("content");
                self.content(begins, index, raw, out);
                if let Some(raw) = event.get("logprobs").filter(|raw| raw.get() != "null") {
                    self.logprobs(raw, out);
                }
            }
            "content-end" => {
                if let Some(open) = &mut self.words
                    && open.index == index
                {
                    open.ended = true;
                }
            }
            "tool-plan-delta" => {
                let words = text(&message, "tool_plan").unwrap_or_default();
                self.plan(&words, out);
            }
            "tool-call-start" => self.calls_of(&message, index, out, Self::open_call),
            "tool-call-delta" => self.calls_of(&message, index, out, Self::grow_call),
            "tool-call-end" => self.end_call(index, out),
            "citation-start" => {
                let raw = message.get("citations");
                for raw in raw.map(one_or_many).unwrap_or_default() {
                    self.cite(raw, out);
                }
            }
            "citation-end" => {}
            "message-end" => self.end(&delta, out),
            _ => out.push(unknown(kind)),
        }
    }

    fn start(&mut self, event: &Object<'_>, message: &Object<'_>, out: &mut Vec<Event>) {
        self.phase = Phase::Running;
        let mut rest = llmleaf_model::Rest::default();
        for (name, value) in &message.fields {
            let known = ["role", "content", "tool_plan", "tool_calls", "citations"];
            if !known.contains(&name.as_ref()) && value.get() != "null" {
                rest.push(name.clone(), Json::from(*value));
            }
        }
        out.push(Event::ResponseStart(ResponseStart {
            id: text(event, "id"),
            rest,
            ..ResponseStart::default()
        }));
    }

    /// A block of content begins or grows.
    fn content(
        &mut self,
        begins: bool,
        index: Option<u64>,
        raw: Option<&RawValue>,
        out: &mut Vec<Event>,
    ) {
        self.phase = Phase::Running;
        let Some(raw) = raw else {
            return;
        };
        let object = Object::from_raw(raw).unwrap_or_default();
        let kind = text(&object, "type");
        let words = match kind.as_deref() {
            Some("text") => Words::Text,
            Some("thinking") => Words::Thinking,
            Some(_) => Words::Other,
            None if object.get("text").is_some() => Words::Text,
            None if object.get("thinking").is_some() || object.get("signature").is_some() => {
                Words::Thinking
            }
            None => Words::Other,
        };
        let grows = self.words.as_ref().filter(|open| {
            !begins
                && !open.ended
                && open.index == index
                && (open.words == words || words == Words::Other && kind.is_none())
        });
        let (block, words) = match grows {
            Some(open) => (open.block, open.words),
            None => {
                let form = match words {
                    Words::Text => BlockKind::Text,
                    Words::Thinking | Words::Plan => thought(ReasoningForm::Full),
                    Words::Other => BlockKind::Opaque {
                        dialect: DialectName::CohereChat,
                        kind: kind.unwrap_or_default(),
                        json: Json::from(raw),
                    },
                };
                let Some(block) = self.open(index, words, form, out) else {
                    return;
                };
                if words == Words::Other {
                    return;
                }
                (block, words)
            }
        };
        let delta = match words {
            Words::Text => Delta::Text(text(&object, "text").unwrap_or_default()),
            Words::Thinking => Delta::Text(text(&object, "thinking").unwrap_or_default()),
            Words::Plan | Words::Other => Delta::Opaque {
                dialect: DialectName::CohereChat,
                json: Json::from(raw),
            },
        };
        if !delta.is_empty() {
            out.push(Event::BlockDelta { block, delta });
        }
        if words == Words::Thinking
            && let Some(artefact) = opened(&object).and_then(|sealed| sealed.artefact)
        {
            let delta = Delta::Artefact(artefact);
            out.push(Event::BlockDelta { block, delta });
        }
    }

    fn open(
        &mut self,
        index: Option<u64>,
        words: Words,
        kind: BlockKind,
        out: &mut Vec<Event>,
    ) -> Option<u32> {
        self.close(out);
        let block = self.new_block(kind, out)?;
        self.texts += u32::from(words == Words::Text);
        self.words = Some(Open {
            index,
            block,
            words,
            ended: false,
        });
        Some(block)
    }

    /// An answer without some of its words or calls is not the model's.
    fn too_many(&mut self, out: &mut Vec<Event>) {
        self.fail(Broken("too many blocks".into()).failure(), out);
    }

    fn new_block(&mut self, kind: BlockKind, out: &mut Vec<Event>) -> Option<u32> {
        let block = self.next_block;
        if block >= MAX_BLOCKS {
            self.too_many(out);
            return None;
        }
        self.next_block += 1;
        out.push(Event::BlockStart {
            block,
            choice: 0,
            kind,
        });
        Some(block)
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        if let Some(Open { block, .. }) = self.words.take() {
            out.push(Event::BlockEnd { block });
        }
    }

    fn plan(&mut self, words: &str, out: &mut Vec<Event>) {
        self.phase = Phase::Running;
        if words.is_empty() {
            return;
        }
        let open = self.words.as_ref().filter(|open| open.words == Words::Plan);
        let block = match open {
            Some(open) => Some(open.block),
            None => self.open(None, Words::Plan, thought(ReasoningForm::Summary), out),
        };
        if let Some(block) = block {
            let delta = Delta::Text(words.to_owned());
            out.push(Event::BlockDelta { block, delta });
        }
    }

    fn logprobs(&mut self, raw: &RawValue, out: &mut Vec<Event>) {
        let Some(json) = answer::logprobs_in(raw) else {
            return;
        };
        match &self.words {
            Some(open) if open.words != Words::Other => out.push(Event::BlockDelta {
                block: open.block,
                delta: Delta::Logprobs(json),
            }),
            _ => out.push(unknown("logprobs")),
        }
    }

    fn cite(&mut self, raw: &RawValue, out: &mut Vec<Event>) {
        let Some(open) = self
            .words
            .as_ref()
            .filter(|open| open.words != Words::Other)
        else {
            return out.push(unknown("citation"));
        };
        let before = (self.texts == 1 && open.words == Words::Text).then_some(0);
        for one in citation::parse(raw, before) {
            out.push(Event::BlockDelta {
                block: open.block,
                delta: Delta::Citation(Box::new(one)),
            });
        }
    }

    /// Calls of an event: one, or a list as in whole messages.
    fn calls_of(
        &mut self,
        message: &Object<'_>,
        index: Option<u64>,
        out: &mut Vec<Event>,
        each: fn(&mut Self, &Object<'_>, Option<u64>, &mut Vec<Event>),
    ) {
        self.phase = Phase::Running;
        let raw = message.get("tool_calls");
        for call in raw.map(one_or_many).unwrap_or_default() {
            if let Some(call) = Object::from_raw(call) {
                each(self, &call, index, out);
            }
        }
    }

    fn open_call(&mut self, call: &Object<'_>, index: Option<u64>, out: &mut Vec<Event>) {
        self.close(out);
        if self.calls.len() >= MAX_OPEN || self.next_block >= MAX_BLOCKS {
            return self.too_many(out);
        }
        let function = inner(call, "function").unwrap_or_default();
        let mut id = text(call, "id").filter(|id| !id.is_empty());
        let number = self.next_block;
        let id = id.get_or_insert_with(|| format!("call_{number}"));
        // Two calls of one answer never share an id: results could not be told apart.
        while !self.call_ids.insert(id.clone()) {
            id.push_str(&format!("_{number}"));
        }
        let kind = BlockKind::ToolCall {
            id: id.clone(),
            name: text(&function, "name").unwrap_or_default(),
            flavour: ToolFlavour::Function,
        };
        if let Some(block) = self.new_block(kind, out) {
            self.calls.push((index, block));
            self.grow_call(call, index, out);
        }
    }

    fn grow_call(&mut self, call: &Object<'_>, index: Option<u64>, out: &mut Vec<Event>) {
        let found = self.calls.iter().rev().find(|(known, _)| *known == index);
        let Some(&(_, block)) = found else {
            return out.push(unknown("tool-call-delta"));
        };
        let arguments = inner(call, "function").and_then(|f| text(&f, "arguments"));
        if let Some(more) = arguments.filter(|more| !more.is_empty()) {
            let delta = Delta::Arguments(more);
            out.push(Event::BlockDelta { block, delta });
        }
        if let Some(artefact) = opened(call).and_then(|sealed| sealed.artefact) {
            out.push(proof(block, artefact));
        }
    }

    fn end_call(&mut self, index: Option<u64>, out: &mut Vec<Event>) {
        let at = self.calls.iter().rposition(|(known, _)| *known == index);
        if let Some(at) = at {
            let (_, block) = self.calls.remove(at);
            out.push(Event::BlockEnd { block });
        }
    }

    /// The answer is complete, or failed: `delta` holds the reason and the usage.
    fn end(&mut self, delta: &Object<'_>, out: &mut Vec<Event>) {
        self.close(out);
        for (_, block) in std::mem::take(&mut self.calls) {
            out.push(Event::BlockEnd { block });
        }
        let word = text(delta, "finish_reason");
        let report = delta.get("usage").and_then(usage::parse);
        let error = text(delta, "error").filter(|error| !error.is_empty());
        let reason = word.as_deref().map(finish::reason);
        if error.is_some() || reason == Some(FinishReason::Error) {
            out.extend(report.map(Event::UsageReport));
            return self.fail(failed(word.as_deref(), error), out);
        }
        let finish = Finish {
            reason: reason.unwrap_or(FinishReason::Unstated),
            native: word,
            stop_sequence: None,
            rest: llmleaf_model::Rest::default(),
        };
        out.push(Event::ChoiceEnd { choice: 0, finish });
        out.extend(report.map(Event::UsageReport));
        self.phase = Phase::Complete;
    }

    /// Reads a whole answer as the events that its stream would have had.
    pub fn whole(&mut self, body: Object<'_>, out: &mut Vec<Event>) {
        let Some(message) = inner(&body, "message") else {
            let failure =
                errors::in_body(&body).unwrap_or_else(|| corrupt(ANSWER, "it holds no message"));
            return self.fail(failure, out);
        };
        self.start(&body, &message, out);
        let cited = message.get("citations").and_then(items).unwrap_or_default();
        let mut cited: Vec<&RawValue> = cited;
        let content = message.get("content");
        let bare = content.and_then(string);
        let list = content.and_then(items).unwrap_or_default();
        if let Some(words) = bare {
            if let Some(block) = self.open(Some(0), Words::Text, BlockKind::Text, out) {
                let delta = Delta::Text(words.into_owned());
                if !delta.is_empty() {
                    out.push(Event::BlockDelta { block, delta });
                }
            }
            self.cite_here(&mut cited, Some(0), out);
        }
        let mut logprobs = body.get("logprobs").filter(|raw| raw.get() != "null");
        for (index, raw) in (0u64..).zip(list) {
            self.content(true, Some(index), Some(raw), out);
            self.cite_here(&mut cited, Some(index), out);
            if self.words.as_ref().is_some_and(|o| o.words == Words::Text)
                && let Some(raw) = logprobs.take()
            {
                self.logprobs(raw, out);
            }
        }
        if let Some(raw) = logprobs.filter(|_| self.words.is_some()) {
            self.logprobs(raw, out);
        }
        self.plan(&text(&message, "tool_plan").unwrap_or_default(), out);
        for raw in std::mem::take(&mut cited) {
            self.cite(raw, out);
        }
        let calls = message
            .get("tool_calls")
            .and_then(items)
            .unwrap_or_default();
        for (index, raw) in (0u64..).zip(calls) {
            if let Some(call) = Object::from_raw(raw) {
                self.open_call(&call, Some(index), out);
                self.end_call(Some(index), out);
            }
        }
        self.end(&body, out);
        self.finish(out);
    }

    /// Tells the citations of the block that is open, and takes them from the list.
    fn cite_here(&mut self, cited: &mut Vec<&RawValue>, index: Option<u64>, out: &mut Vec<Event>) {
        let text = self.words.as_ref().is_some_and(|o| o.words == Words::Text);
        let first = text && self.texts == 1;
        let mine = |raw: &RawValue| match citation::content_index(raw) {
            Some(named) => Some(named) == index,
            None => first && !citation::is_of_plan(raw),
        };
        let (here, others): (Vec<&RawValue>, Vec<&RawValue>) =
            cited.iter().partition(|raw| mine(raw));
        *cited = others;
        for raw in here {
            self.cite(raw, out);
        }
    }
}

fn thought(form: ReasoningForm) -> BlockKind {
    BlockKind::Reasoning { id: None, form }
}

fn proof(block: u32, artefact: Artefact) -> Event {
    let delta = Delta::Artefact(artefact);
    Event::BlockDelta { block, delta }
}

fn unknown(name: &str) -> Event {
    Event::Unknown {
        name: name.chars().take(MAX_NAME).collect(),
    }
}

fn one_or_many(raw: &RawValue) -> Vec<&RawValue> {
    items(raw).unwrap_or_else(|| vec![raw])
}

/// The generation failed; what was said before stands.
fn failed(word: Option<&str>, error: Option<String>) -> Failure {
    let kind = match word {
        Some("TIMEOUT") => FailureKind::Timeout,
        _ => FailureKind::Server,
    };
    let told = error.unwrap_or_else(|| match kind {
        FailureKind::Timeout => "the provider's time for the answer ran out".to_owned(),
        _ => "the provider failed while it generated the answer".to_owned(),
    });
    let mut failure = Failure::upstream(kind, told);
    failure.wire_type = word.map(str::to_owned);
    failure
}
