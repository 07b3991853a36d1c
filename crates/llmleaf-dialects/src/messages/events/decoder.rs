//! Frames to events.

use crate::broken::{Broken, truncated};
use crate::messages::content::{self, Class, Opening};
use crate::messages::errors;
use crate::messages::finish;
use crate::messages::usage::Counts;
use crate::messages::{Quirks, reasoning};
use crate::object::Object;
use crate::{Decoder, Frame};
use llmleaf_model::{
    ArtefactKind, Delta, DialectName, Event, Finish, FinishReason, Json, Provenance, ResponseStart,
    Rest,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashSet;

/// Most blocks of one response; no answer seen has more than a few dozen.
const MAX_BLOCKS: u32 = 100_000;
/// Most blocks open at once; the reference opens one.
const MAX_OPEN: usize = 64;
/// Longest name of an unknown event that is kept for counting.
const MAX_UNKNOWN_NAME: usize = 64;

/// One event of the wire, first level. The index is signed because nothing says it is not.
#[derive(Deserialize)]
struct WireEvent<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    index: Option<i64>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    context_management: Option<&'a RawValue>,
}

/// A delta of a content block.
#[derive(Deserialize)]
struct WireDelta<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    thinking: Option<Cow<'a, str>>,
    #[serde(borrow)]
    partial_json: Option<Cow<'a, str>>,
    #[serde(borrow)]
    signature: Option<Cow<'a, str>>,
    #[serde(borrow)]
    citation: Option<&'a RawValue>,
}

/// A block that is open.
struct Open {
    index: i64,
    block: u32,
    class: Class,
    /// Input it came with, until any is streamed.
    input: Option<String>,
}

/// Where the stream is.
#[derive(PartialEq, Eq)]
enum Phase {
    Before,
    Running,
    Ended,
}

/// Reads one stream of this wire.
pub(in crate::messages) struct MessagesDecoder {
    provenance: Provenance,
    phase: Phase,
    open: Vec<Open>,
    next_block: u32,
    call_ids: HashSet<String>,
    counts: Counts,
    finished: bool,
}

type Read = Result<(), Broken>;

impl MessagesDecoder {
    pub fn new(quirks: &Quirks) -> Self {
        Self {
            provenance: quirks.provenance(),
            phase: Phase::Before,
            open: Vec::new(),
            next_block: 0,
            call_ids: HashSet::new(),
            counts: Counts::default(),
            finished: false,
        }
    }

    fn read(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Read {
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
        match kind {
            "content_block_delta" => self.delta(&event, out),
            "ping" => Ok(()),
            "content_block_start" => self.start_block(&event, out),
            "content_block_stop" => self.stop_block(&event, out),
            "message_start" => self.start(&event, out),
            "message_delta" => self.message_delta(&event, out),
            "message_stop" => self.stop(out),
            "error" => {
                self.error(frame, out);
                Ok(())
            }
            other => {
                out.push(Event::Unknown {
                    name: other.chars().take(MAX_UNKNOWN_NAME).collect(),
                });
                Ok(())
            }
        }
    }

    fn start(&mut self, event: &WireEvent<'_>, out: &mut Vec<Event>) -> Read {
        if self.phase != Phase::Before {
            return Err(Broken("the message started twice".into()));
        }
        let message = event
            .message
            .and_then(Object::from_raw)
            .ok_or(Broken("message_start holds no message".into()))?;
        out.push(Event::ResponseStart(self.begin(message)));
        Ok(())
    }

    /// Takes the head of a message, whole or streamed.
    pub fn begin(&mut self, mut message: Object<'_>) -> ResponseStart {
        self.phase = Phase::Running;
        let mut text = |name: &str| {
            message
                .take(name)
                .and_then(crate::object::string)
                .map(Cow::into_owned)
        };
        let (id, model) = (text("id"), text("model"));
        if let Some(usage) = message.take("usage") {
            self.counts.merge(usage);
        }
        for name in ["type", "role", "content", "stop_reason", "stop_sequence"] {
            message.take(name);
        }
        let mut rest = message.into_rest();
        rest.0.retain(|(_, value)| !value.is_null());
        ResponseStart {
            id,
            model,
            created: None,
            usage: self.counts.usage(),
            rest,
        }
    }

    fn start_block(&mut self, event: &WireEvent<'_>, out: &mut Vec<Event>) -> Read {
        let index = self.index(event)?;
        if self.open.iter().any(|open| open.index == index) {
            return Err(Broken(format!("block {index} was opened twice").into()));
        }
        let raw = event
            .content_block
            .ok_or(Broken("content_block_start holds no block".into()))?;
        self.open_block(index, raw, out)
    }

    /// Opens a block; whole responses come here too.
    fn open_block(&mut self, index: i64, raw: &RawValue, out: &mut Vec<Event>) -> Read {
        if self.finished {
            return Err(Broken("a block opened after the end of the answer".into()));
        }
        if self.open.len() >= MAX_OPEN || self.next_block >= MAX_BLOCKS {
            return Err(Broken("too many blocks".into()));
        }
        let block = self.next_block;
        let made_up = || format!("toolu_llmleaf_{block}");
        let Some(mut opening) = content::open(raw, &self.provenance, &made_up) else {
            return Err(Broken("a content block has no type".into()));
        };
        self.keep_ids_apart(&mut opening, block);
        self.next_block += 1;
        let Opening {
            kind,
            class,
            deltas,
            input,
        } = opening;
        out.push(Event::BlockStart {
            block,
            choice: 0,
            kind,
        });
        out.extend(
            deltas
                .into_iter()
                .map(|delta| Event::BlockDelta { block, delta }),
        );
        self.open.push(Open {
            index,
            block,
            class,
            input,
        });
        Ok(())
    }

    /// Two calls of one answer never share an id: results could not be told apart.
    fn keep_ids_apart(&mut self, opening: &mut Opening, block: u32) {
        if let llmleaf_model::BlockKind::ToolCall { id, .. } = &mut opening.kind {
            while !self.call_ids.insert(id.clone()) {
                id.push_str(&format!("_{block}"));
            }
        }
    }

    fn delta(&mut self, event: &WireEvent<'_>, out: &mut Vec<Event>) -> Read {
        let index = self.index(event)?;
        let raw = event
            .delta
            .ok_or(Broken("content_block_delta holds no delta".into()))?;
        let provenance = &self.provenance;
        let open = self
            .open
            .iter_mut()
            .find(|open| open.index == index)
            .ok_or_else(|| Broken(format!("block {index} is not open").into()))?;
        let delta: WireDelta<'_> = serde_json::from_str(raw.get())
            .map_err(|e| Broken(format!("a delta is not what it should be: {e}").into()))?;
        let kind = delta
            .kind
            .as_deref()
            .ok_or(Broken("a delta has no type".into()))?;
        let delta = match (open.class, kind) {
            (Class::Text, "text_delta") => Delta::Text(owned(delta.text)),
            (Class::Thinking, "thinking_delta") => Delta::Text(owned(delta.thinking)),
            (Class::Input, "input_json_delta") => {
                let text = owned(delta.partial_json);
                if !text.is_empty() {
                    open.input = None;
                }
                Delta::Arguments(text)
            }
            (Class::Thinking, "signature_delta") => Delta::Artefact(reasoning::own(
                ArtefactKind::Signature,
                owned(delta.signature),
                provenance.clone(),
            )),
            (Class::Text, "citations_delta") => match delta.citation {
                Some(raw) => Delta::Citation(Box::new(content::citation(raw))),
                None => return Ok(()),
            },
            _ => Delta::Opaque {
                dialect: DialectName::Messages,
                json: Json::from(raw),
            },
        };
        if !delta.is_empty() {
            let block = open.block;
            out.push(Event::BlockDelta { block, delta });
        }
        Ok(())
    }

    fn stop_block(&mut self, event: &WireEvent<'_>, out: &mut Vec<Event>) -> Read {
        let index = self.index(event)?;
        self.close_block(index, out)
    }

    fn close_block(&mut self, index: i64, out: &mut Vec<Event>) -> Read {
        let at = self
            .open
            .iter()
            .position(|open| open.index == index)
            .ok_or_else(|| Broken(format!("block {index} is not open").into()))?;
        let Open { block, input, .. } = self.open.remove(at);
        if let Some(input) = input {
            let delta = Delta::Arguments(input);
            out.push(Event::BlockDelta { block, delta });
        }
        out.push(Event::BlockEnd { block });
        Ok(())
    }

    fn message_delta(&mut self, event: &WireEvent<'_>, out: &mut Vec<Event>) -> Read {
        self.must_run()?;
        if !self.open.is_empty() {
            return Err(Broken("the answer ended inside a block".into()));
        }
        let mut delta = event.delta.and_then(Object::from_raw).unwrap_or_default();
        if let Some(mut finish) = finish::take(&mut delta) {
            if let Some(value) = event.context_management.filter(|v| v.get() != "null") {
                finish.rest.push("context_management", value.into());
            }
            self.finish_answer(finish, out);
        }
        if let Some(usage) = event.usage {
            self.counts.merge(usage);
        }
        if let Some(usage) = self.counts.usage() {
            out.push(Event::UsageReport(usage));
        }
        Ok(())
    }

    fn finish_answer(&mut self, finish: Finish, out: &mut Vec<Event>) {
        if !self.finished {
            self.finished = true;
            out.push(Event::ChoiceEnd { choice: 0, finish });
        }
    }

    fn stop(&mut self, out: &mut Vec<Event>) -> Read {
        self.must_run()?;
        if !self.open.is_empty() {
            return Err(Broken("the message ended inside a block".into()));
        }
        self.finish_answer(
            Finish {
                reason: FinishReason::Unstated,
                native: None,
                stop_sequence: None,
                rest: Rest::default(),
            },
            out,
        );
        self.phase = Phase::Ended;
        out.push(Event::ResponseEnd);
        Ok(())
    }

    /// Reads a whole message as the events that its stream would have had.
    pub fn whole(&mut self, mut message: Object<'_>, out: &mut Vec<Event>) {
        if let Err(broken) = self.read_whole(&mut message, out) {
            self.fail(broken, out);
        }
    }

    fn read_whole(&mut self, message: &mut Object<'_>, out: &mut Vec<Event>) -> Read {
        let content = message
            .take("content")
            .ok_or(Broken("the message has no content".into()))?;
        let blocks =
            crate::object::items(content).ok_or(Broken("the content is not a list".into()))?;
        let finish = finish::take(message);
        let start = self.begin(std::mem::take(message));
        let usage = start.usage.clone();
        out.push(Event::ResponseStart(start));
        for raw in blocks {
            self.open_block(0, raw, out)?;
            self.close_block(0, out)?;
        }
        if let Some(finish) = finish {
            self.finish_answer(finish, out);
        }
        out.extend(usage.map(Event::UsageReport));
        self.stop(out)
    }

    fn error(&mut self, frame: &Frame, out: &mut Vec<Event>) {
        let mut failure = errors::stream_failure(&frame.data);
        failure.possibly_billed = self.phase == Phase::Running;
        self.phase = Phase::Ended;
        out.push(Event::Error(Box::new(failure)));
    }

    fn index(&self, event: &WireEvent<'_>) -> Result<i64, Broken> {
        self.must_run()?;
        event
            .index
            .ok_or(Broken("an event of a block has no index".into()))
    }

    fn must_run(&self) -> Read {
        if self.phase == Phase::Running {
            Ok(())
        } else {
            Err(Broken("content came before message_start".into()))
        }
    }

    fn fail(&mut self, broken: Broken, out: &mut Vec<Event>) {
        self.phase = Phase::Ended;
        out.push(Event::Error(Box::new(broken.failure())));
    }
}

impl Decoder for MessagesDecoder {
    fn push(&mut self, frame: &Frame, out: &mut Vec<Event>) {
        if self.phase == Phase::Ended || !frame.has_data {
            return;
        }
        if let Err(broken) = self.read(frame, out) {
            self.fail(broken, out);
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        if self.phase == Phase::Ended {
            return;
        }
        let failure = truncated("before the message was complete");
        self.phase = Phase::Ended;
        out.push(Event::Error(Box::new(failure)));
    }
}

fn owned(text: Option<Cow<'_, str>>) -> String {
    text.map(Cow::into_owned).unwrap_or_default()
}
