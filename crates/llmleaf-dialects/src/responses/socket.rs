//! The WebSocket form of this wire: requests as `response.create` messages, events as messages of their own.
//!
//! Reference: OpenAI's document 2.3.0 (2026-08), `ResponsesClientEvent` and `ResponseWsError`; its guide "WebSocket mode", read
//! 2026-11; frames of Codex 0.169.
//!
//! - A message is the body of a request with `type`, and perhaps `stream_id`: messages of one such lane are answered one after the
//!   other, and their events bear its name.
//! - A message that goes on from a response of the same connection brings only what is new. [`Memory`] knows what came
//!   before, so that the request can be whole for a provider that was never told; nothing of it outlives the connection.
//! - `generate: false` prepares a response without an answer ([`warmed`]).

use super::wire::{ObjectWriter, json_object};
use crate::object::{self, Object};
use bytes::Bytes;
use llmleaf_model::{Failure, Json};
use serde_json::value::RawValue;
use std::collections::VecDeque;
use std::rc::Rc;

/// Responses of a connection that can be gone on from. Codex goes on from the last one; a fork, from one before it.
const REMEMBERED: usize = 8;
/// Longest name of a lane.
const LONGEST_LANE: usize = 256;

/// One message of a consumer.
#[derive(Debug)]
pub struct Create {
    /// The lane that it asks for.
    pub lane: Option<String>,
    /// An answer is wanted.
    pub generate: bool,
    /// The response that it goes on from.
    pub previous: Option<String>,
    /// The provider may keep the answer.
    pub store: bool,
    fields: Vec<(String, Json)>,
    input: Vec<Rc<str>>,
    size: usize,
}

/// A message that cannot be taken, and the lane that is to hear of it.
#[derive(Debug)]
pub struct Refused {
    pub lane: Option<String>,
    pub failure: Failure,
}

/// Reads a message.
///
/// # Errors
/// It is no JSON object, is of an unknown type, or asks for what this form does not have.
pub fn read(text: &str) -> Result<Create, Refused> {
    let refused = |lane: &Option<String>, message: String, param: Option<&str>| Refused {
        lane: lane.clone(),
        failure: Failure::invalid(message, param),
    };
    let mut top = Object::parse(text).map_err(|error| {
        refused(
            &None,
            format!("the message is not a JSON object: {error}"),
            None,
        )
    })?;
    let lane = top.take("stream_id").filter(|raw| raw.get() != "null");
    let lane = match lane.map(|raw| object::string(raw).filter(|name| is_lane(name))) {
        Some(None) => {
            let why = "`stream_id` must be 1 to 256 letters, digits, `_`, `.` or `-`";
            return Err(refused(&None, why.to_owned(), Some("stream_id")));
        }
        Some(Some(name)) => Some(name.into_owned()),
        None => None,
    };
    let kind = top
        .take("type")
        .and_then(object::string)
        .unwrap_or_default();
    if kind != "response.create" {
        let why = "the only message that is taken is `response.create`";
        return Err(refused(&lane, why.to_owned(), Some("type")));
    }
    if top
        .take("background")
        .is_some_and(|raw| raw.get() == "true")
    {
        let why = "`background` is not offered over a WebSocket; POST /v1/responses has it";
        return Err(refused(&lane, why.to_owned(), Some("background")));
    }
    top.take("stream");
    let generate = top.take("generate").is_none_or(|raw| raw.get() != "false");
    let previous = top.take("previous_response_id").and_then(object::string);
    let input = top.take("input").map(items).unwrap_or_default();
    Ok(Create {
        lane,
        generate,
        previous: previous.map(std::borrow::Cow::into_owned),
        store: top.get("store").is_none_or(|raw| raw.get() != "false"),
        fields: top.into_rest().0,
        input,
        size: text.len(),
    })
}

fn is_lane(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=LONGEST_LANE).contains(&name.len()) && name.bytes().all(plain)
}

/// An input as items. What is neither a text nor a list stays as it is: the request will be refused for it.
fn items(raw: &RawValue) -> Vec<Rc<str>> {
    if let Some(list) = object::items(raw) {
        return list.into_iter().map(|item| Rc::from(item.get())).collect();
    }
    if object::string(raw).is_none() {
        return vec![Rc::from(raw.get())];
    }
    let message = json_object(|object| {
        object
            .string("type", "message")
            .string("role", "user")
            .raw("content", raw.get());
    });
    vec![Rc::from(message.as_str())]
}

impl Create {
    /// Bytes that it came in.
    pub fn size(&self) -> usize {
        self.size
    }

    /// What it asks, in whole: what came before, and what is new.
    pub fn items(&self, before: Option<&Known>) -> Known {
        let known = before.map(|known| known.0.as_slice()).unwrap_or_default();
        Known(known.iter().chain(&self.input).cloned().collect())
    }

    /// The request that a POST would make. With `items` it goes on from nothing and is whole in itself.
    pub fn body(&self, items: Option<&Known>) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        let mut object = ObjectWriter::new(&mut out);
        for (name, json) in &self.fields {
            object.raw(name, json.as_str());
        }
        if items.is_none()
            && let Some(previous) = &self.previous
        {
            object.string("previous_response_id", previous);
        }
        let own = Known(self.input.clone());
        let items = items.unwrap_or(&own);
        if !items.0.is_empty() {
            items.write(object.key("input"));
        }
        object.bool("stream", true);
        object.end();
        out
    }
}

/// What an item takes beside its text: two pointers to it, and the block that it lies in.
const ITEM_BYTES: usize = 48;

/// The items of a conversation up to some response.
#[derive(Clone, Debug, Default)]
pub struct Known(Vec<Rc<str>>);

impl Known {
    /// Bytes that they take.
    pub fn size(&self) -> usize {
        // A short item takes more than its letters.
        self.0.iter().map(|item| item.len() + ITEM_BYTES).sum()
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (at, item) in self.0.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(item.as_bytes());
        }
        out.push(b']');
    }
}

/// What was said on a connection.
#[derive(Debug, Default)]
pub struct Memory(VecDeque<(String, Known)>);

impl Memory {
    /// All up to a response, its own items included.
    pub fn recall(&self, id: &str) -> Option<&Known> {
        self.0
            .iter()
            .rev()
            .find(|(known, _)| known == id)
            .map(|(_, items)| items)
    }

    /// Keeps a response. The oldest ones are forgotten, so that all take no more than `most` bytes.
    pub fn keep(&mut self, id: String, items: Known, most: usize) {
        self.0.retain(|(known, _)| *known != id);
        if items.size() > most {
            return;
        }
        if items.size() > most {
            return;
        }
        self.0.push_back((id, items));
        let size = |memory: &Self| {
            memory
                .0
                .iter()
                .map(|(_, items)| items.size())
                .sum::<usize>()
        };
        while self.0.len() > REMEMBERED || size(self) > most {
            self.0.pop_front();
        }
    }
}

/// Listens to the events of one answer, for what a later request may go on from.
#[derive(Debug)]
pub struct Listener {
    items: Known,
    /// The provider keeps the answer: its items can be named.
    kept: bool,
    id: Option<String>,
    complete: bool,
}

impl Listener {
    /// For the answer to these items.
    pub fn new(items: Known, kept: bool) -> Self {
        Self {
            items,
            kept,
            id: None,
            complete: false,
        }
    }

    /// Takes an event's data.
    pub fn hear(&mut self, data: &str) {
        // Most events are pieces of text.
        let told = ["output_item.done", "completed", "incomplete"];
        if !told
            .iter()
            .any(|kind| data.contains(&["\"response.", kind, "\""].concat()))
        {
            return;
        }
        let Ok(event) = Object::parse(data) else {
            return;
        };
        let kind = event
            .get("type")
            .and_then(object::string)
            .unwrap_or_default();
        match &*kind {
            "response.output_item.done" => {
                let item = event.get("item").and_then(|item| self.replayed(item));
                self.items.0.extend(item);
            }
            "response.completed" | "response.incomplete" => {
                let response = event.get("response").and_then(Object::from_raw);
                let id = response.as_ref().and_then(|response| response.get("id"));
                self.id = id
                    .and_then(object::string)
                    .map(std::borrow::Cow::into_owned);
                self.complete = true;
            }
            _ => {}
        }
    }

    /// An item of the answer as a request may repeat it. Where nothing is kept its id would name nothing, and reasoning without
    /// its own proof cannot be given back.
    fn replayed(&self, item: &RawValue) -> Option<Rc<str>> {
        if self.kept {
            return Some(Rc::from(item.get()));
        }
        let mut object = Object::from_raw(item)?;
        let is_reasoning =
            object.get("type").and_then(object::string).as_deref() == Some("reasoning");
        let proof = object
            .get("encrypted_content")
            .is_some_and(|raw| raw.get() != "null");
        if is_reasoning && !proof {
            return None;
        }
        object.take("id");
        let rest = object.into_rest();
        let json = json_object(|object| {
            object.rest(&rest);
        });
        Some(Rc::from(json.as_str()))
    }

    /// The response, where its end was told.
    pub fn into_known(self) -> Option<(String, Known)> {
        let id = self.id.filter(|_| self.complete)?;
        Some((id, self.items))
    }
}

/// An event as the message of a lane.
pub fn tagged(data: &str, lane: Option<&str>) -> String {
    let (Some(lane), Some(rest)) = (lane, data.trim_start().strip_prefix('{')) else {
        return data.to_owned();
    };
    let comma = if rest.trim_start().starts_with('}') {
        ""
    } else {
        ","
    };
    format!("{{\"stream_id\":\"{lane}\"{comma}{rest}")
}

/// A refusal as an event: the status and the headers that a reply would have had, and its body's words.
pub fn refusal(status: u16, headers: &[(&str, &str)], body: &Bytes, lane: Option<&str>) -> String {
    let body = std::str::from_utf8(body).unwrap_or_default();
    let said = Object::parse(body).unwrap_or_default();
    let json = json_object(|object| {
        object
            .string("type", "error")
            .number("status", u64::from(status));
        match said.get("error") {
            Some(error) => object.raw("error", error.get()),
            None => object.object("error", |error| {
                error.string("type", "server_error").string("message", body);
            }),
        };
        if !headers.is_empty() {
            object.object("headers", |object| {
                for (name, value) in headers {
                    object.string(name, value);
                }
            });
        }
    });
    tagged(json.as_str(), lane)
}

/// The events of a response that was prepared and has no answer.
pub fn warmed(id: &str, model: &str, created: u64, lane: Option<&str>) -> [String; 2] {
    let event = |name: &str, number: u64, status: &str| {
        let json = json_object(|event| {
            event.string("type", name).number("sequence_number", number);
            event.object("response", |object| {
                empty(object, id, model, created, status)
            });
        });
        tagged(json.as_str(), lane)
    };
    [
        event("response.created", 0, "in_progress"),
        event("response.completed", 1, "completed"),
    ]
}

fn empty(object: &mut ObjectWriter<'_>, id: &str, model: &str, created: u64, status: &str) {
    object
        .string("id", id)
        .string("object", "response")
        .number("created_at", created)
        .string("status", status)
        .raw("error", "null")
        .raw("incomplete_details", "null")
        .raw("instructions", "null")
        .raw("metadata", "{}")
        .string("model", model)
        .raw("output", "[]")
        .bool("parallel_tool_calls", true)
        .raw("previous_response_id", "null")
        .bool("store", false)
        .string("tool_choice", "auto")
        .raw("tools", "[]");
    if status == "completed" {
        object.object("usage", |usage| {
            usage.number("input_tokens", 0);
            usage.object("input_tokens_details", |details| {
                details.number("cached_tokens", 0);
            });
            usage.number("output_tokens", 0);
            usage.object("output_tokens_details", |details| {
                details.number("reasoning_tokens", 0);
            });
            usage.number("total_tokens", 0);
        });
    } else {
        object.raw("usage", "null");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: Vec<u8>) -> String {
        String::from_utf8(body).unwrap()
    }

    #[test]
    fn a_message_is_the_body_of_a_request() {
        let message = r#"{"type":"response.create","model":"m","x":1.50,"stream":false,"input":"hi","stream_id":"a_1"}"#;
        let create = read(message).unwrap();
        assert_eq!(
            (create.lane.as_deref(), create.generate, create.store),
            (Some("a_1"), true, true)
        );
        assert_eq!(
            text(create.body(None)),
            r#"{"model":"m","x":1.50,"input":[{"type":"message","role":"user","content":"hi"}],"stream":true}"#
        );
    }

    #[test]
    fn a_turn_that_brings_what_is_new_is_made_whole() {
        let mut memory = Memory::default();
        let first =
            read(r#"{"type":"response.create","model":"m","store":false,"input":[1]}"#).unwrap();
        let mut listener = Listener::new(first.items(None), first.store);
        for event in [
            r#"{"type":"response.created","response":{"id":"resp_1"}}"#,
            r#"{"type":"response.output_item.done","item":{"type":"reasoning","id":"rs_1","encrypted_content":null}}"#,
            r#"{"type":"response.output_item.done","item":{"type":"reasoning","id":"rs_2","encrypted_content":"e"}}"#,
            r#"{"type":"response.output_text.delta","delta":"\"response.completed\""}"#,
            r#"{"type":"response.output_item.done","item":{"id":"m_1","type":"message","n":1.0}}"#,
            r#"{"type":"response.completed","response":{"id":"resp_1"}}"#,
        ] {
            listener.hear(event);
        }
        let (id, known) = listener.into_known().unwrap();
        memory.keep(id, known, 1000);
        let next = read(
            r#"{"type":"response.create","model":"m","previous_response_id":"resp_1","input":[2]}"#,
        )
        .unwrap();
        let before = memory.recall(next.previous.as_deref().unwrap());
        assert_eq!(
            text(next.body(Some(&next.items(before)))),
            r#"{"model":"m","input":[1,{"type":"reasoning","encrypted_content":"e"},{"type":"message","n":1.0},2],"stream":true}"#
        );
        assert_eq!(
            text(next.body(None)),
            r#"{"model":"m","previous_response_id":"resp_1","input":[2],"stream":true}"#
        );
    }

    #[test]
    fn memory_is_bounded() {
        let mut memory = Memory::default();
        for number in 0..20 {
            memory.keep(format!("r{number}"), Known(vec!["[]".into()]), 1000);
        }
        assert!(memory.recall("r11").is_none() && memory.recall("r12").is_some());
        memory.keep("r19".into(), Known(vec!["x".repeat(200).into()]), 100);
        assert!(memory.recall("r19").is_none());
        // All together take no more than one may, and a short item is not taken for nothing.
        let mut memory = Memory::default();
        for number in 0..8 {
            let items = Known(vec!["1".into(); 10]);
            memory.keep(format!("r{number}"), items, 1000);
        }
        assert!(memory.recall("r5").is_none() && memory.recall("r6").is_some());
        // A text that speaks of events is an item like any other.
        let mut listener = Listener::new(Known::default(), true);
        listener.hear(r#"{"type":"response.output_item.done","item":{"type":"message","text":"see \"response.output_text.delta\" and x.delta"}}"#);
        assert_eq!(listener.items.0.len(), 1);
    }

    #[test]
    fn what_is_no_request_is_refused_to_its_lane() {
        for (message, lane, param) in [
            ("[]", None, None),
            (
                r#"{"type":"response.steer","stream_id":"a"}"#,
                Some("a"),
                Some("type"),
            ),
            (
                r#"{"type":"response.create","stream_id":"a b"}"#,
                None,
                Some("stream_id"),
            ),
            (
                r#"{"type":"response.create","background":true}"#,
                None,
                Some("background"),
            ),
        ] {
            let refused = read(message).unwrap_err();
            assert_eq!(refused.lane.as_deref(), lane, "{message}");
            assert_eq!(refused.failure.param.as_deref(), param, "{message}");
        }
        let body = Bytes::from_static(br#"{"error":{"code":"c"}}"#);
        assert_eq!(
            refusal(429, &[("retry-after", "1")], &body, Some("a")),
            r#"{"stream_id":"a","type":"error","status":429,"error":{"code":"c"},"headers":{"retry-after":"1"}}"#
        );
    }
}
