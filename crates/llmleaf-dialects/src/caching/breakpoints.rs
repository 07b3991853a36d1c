//! Marks (`cache_control`) at the end of what stays the same.
//!
//! A mark says: keep everything up to here. At most four may stand in a request, the consumer's own included. Where they
//! serve best, first things first: the end of the instructions (tools stand before them, so they are kept as well; without
//! instructions the last tool), the end of a conversation, which the next request repeats, the end of the model's last
//! turn, by which a request is found again that differs in what was asked last, and the last tool, for requests with
//! other instructions. A single question is marked nowhere: who would ask it again?
//!
//! Source: "Prompt caching", platform.claude.com/docs/en/build-with-claude/prompt-caching, read 2026-11: four marks, no
//! marks on thoughts, empty texts and deferred tools, the order tools, system, messages, a longer lifetime only in front
//! of a shorter one, and the shortest prompt by model.

use super::{Body, Lifetime};
use crate::ladder::family;
use crate::object::{Object, items, string};
use crate::splice::Splices;
use serde_json::value::RawValue;
use std::ops::Range;

const KEY: &str = "cache_control";
/// Most marks in a request.
const MOST: usize = 4;
/// Bytes of JSON that one token is thought to have, at least: shorter prompts than the model keeps are surely not marked.
const BYTES_PER_TOKEN: usize = 3;

/// Shortest prompt that is kept, in tokens, by the beginning of the model's name; the first that fits counts.
const SHORTEST: &[(&str, usize)] = &[
    ("claude-opus-4-5", 4096),
    ("claude-opus-4-6", 4096),
    ("claude-opus-4-7", 2048),
    ("claude-haiku-4", 4096),
    ("claude-3-5-haiku", 2048),
    ("claude-3-haiku", 2048),
    ("claude-haiku-3", 2048),
    ("claude-opus-5", 512),
    ("claude-sonnet-5-5", 512),
    ("claude-haiku-5", 512),
    ("claude-fable-5", 512),
    ("claude-mythos-5", 512),
    ("", 1024),
];

/// Whether a model behind a service of many models keeps only what is marked.
pub(super) fn are_wanted(model: &str) -> bool {
    family(model).starts_with("claude")
}

fn shortest(model: &str) -> usize {
    let name = family(model);
    let fits = |(prefix, _): &&(&str, usize)| name.starts_with(prefix);
    SHORTEST.iter().find(fits).map_or(1024, |(_, least)| *least)
}

/// Marks a body of the Messages wire.
pub(super) fn messages<'a>(body: &Body<'_>, model: &str, lifetime: Lifetime) -> Splices<'a> {
    let mut prompt = Prompt::default();
    prompt.tools(body, true);
    let system = body.get("system");
    let system = system.and_then(|raw| prompt.content(body, raw, BLOCKS));
    let turns = prompt.turns(body, BLOCKS, |_| false);
    prompt.mark(body, model, lifetime, [system, turns.newest, turns.stable])
}

/// Marks a body of the Chat Completions wire. `on_tools`: tools take marks as well.
pub(super) fn completions<'a>(
    body: &Body<'_>,
    model: &str,
    lifetime: Lifetime,
    on_tools: bool,
) -> Splices<'a> {
    let mut prompt = Prompt::default();
    prompt.tools(body, on_tools);
    let instructs = |role: &str| matches!(role, "system" | "developer");
    let turns = prompt.turns(body, PARTS, instructs);
    prompt.mark(
        body,
        model,
        lifetime,
        [turns.system, turns.newest, turns.stable],
    )
}

/// Types of blocks that take a mark, on the Messages wire.
const BLOCKS: &[&str] = &[
    "text",
    "image",
    "document",
    "search_result",
    "tool_use",
    "tool_result",
];
/// Types of parts that take a mark, on the Chat Completions wire.
const PARTS: &[&str] = &["text"];

/// A place for a mark.
#[derive(Clone, Debug)]
struct Spot<'a> {
    /// Bytes of the prompt up to here: its size, and where it stands among the others.
    upto: usize,
    at: At<'a>,
}

#[derive(Clone, Debug)]
enum At<'a> {
    /// A block that takes the field.
    Block(&'a RawValue),
    /// A bare text, which becomes a list of one block.
    Text(Range<usize>),
}

/// A mark of the consumer.
struct Hint {
    upto: usize,
    long: bool,
}

#[derive(Default)]
struct Turns<'a> {
    system: Option<Spot<'a>>,
    stable: Option<Spot<'a>>,
    newest: Option<Spot<'a>>,
}

/// A prompt in the order in which it is kept, as far as it was read.
#[derive(Default)]
struct Prompt<'a> {
    read: usize,
    hints: Vec<Hint>,
    tool: Option<Spot<'a>>,
}

impl<'a> Prompt<'a> {
    /// Counts what is read, and notes a mark on it.
    fn pass(&mut self, raw: &'a RawValue) -> Option<Object<'a>> {
        self.read = self.read.saturating_add(raw.get().len());
        let object = Object::from_raw(raw)?;
        self.note(&object);
        Some(object)
    }

    fn note(&mut self, object: &Object<'_>) {
        let hint = object.get(KEY).filter(|raw| raw.get() != "null");
        if let Some(hint) = hint {
            let ttl = Object::from_raw(hint).and_then(|hint| hint.get("ttl"));
            self.hints.push(Hint {
                upto: self.read,
                long: ttl.and_then(string).as_deref() == Some("1h"),
            });
        }
    }

    fn tools(&mut self, body: &Body<'a>, take_marks: bool) {
        for raw in body.get("tools").and_then(items).unwrap_or_default() {
            let Some(tool) = self.pass(raw) else { continue };
            let deferred = tool.get("defer_loading").map(RawValue::get) == Some("true");
            if take_marks && !deferred {
                self.tool = Some(Spot {
                    upto: self.read,
                    at: At::Block(raw),
                });
            }
        }
    }

    /// Reads a text or a list of blocks; the last place in it that takes a mark.
    fn content(&mut self, body: &Body<'a>, raw: &'a RawValue, kinds: &[&str]) -> Option<Spot<'a>> {
        if let Some(text) = string(raw) {
            self.read = self.read.saturating_add(raw.get().len());
            return Some(Spot {
                upto: self.read,
                at: At::Text(body.range(raw)?),
            })
            .filter(|_| !text.trim().is_empty());
        }
        let mut last = None;
        for raw in items(raw).unwrap_or_default() {
            let Some(block) = self.pass(raw) else {
                continue;
            };
            // Results of tools hold blocks that may be marked, too.
            for inner in block.get("content").and_then(items).unwrap_or_default() {
                if let Some(inner) = Object::from_raw(inner) {
                    self.note(&inner);
                }
            }
            let kind = block.get("type").and_then(string).unwrap_or_default();
            let text = block.get("text").and_then(string);
            let blank = kind == "text" && text.is_none_or(|text| text.trim().is_empty());
            if kinds.contains(&&*kind) && !blank {
                last = Some(Spot {
                    upto: self.read,
                    at: At::Block(raw),
                });
            }
        }
        last
    }

    /// Reads the messages. `instructs` tells the roles whose messages at the head are instructions.
    fn turns(
        &mut self,
        body: &Body<'a>,
        kinds: &[&str],
        instructs: impl Fn(&str) -> bool,
    ) -> Turns<'a> {
        let mut turns = Turns::default();
        let (mut spoken, mut answered, mut conversed) = (false, false, false);
        let (mut answer, mut asked): (Option<Spot<'a>>, Option<Spot<'a>>) = (None, None);
        for raw in body.get("messages").and_then(items).unwrap_or_default() {
            let Some(message) = Object::from_raw(raw) else {
                continue;
            };
            self.note(&message);
            let before = self.read;
            let spot = message
                .get("content")
                .and_then(|raw| self.content(body, raw, kinds));
            // Calls stand beside the content, on one of the wires.
            self.read = self.read.max(before.saturating_add(raw.get().len()));
            let role = message.get("role").and_then(string).unwrap_or_default();
            if !spoken && instructs(&role) {
                turns.system = spot.or(turns.system);
                continue;
            }
            spoken = true;
            if role == "assistant" {
                answered = true;
                answer = spot.or(answer);
            } else {
                // What the model said before this is history now.
                conversed |= answered;
                turns.stable = answer.clone().or(turns.stable);
                asked = spot.or(asked);
            }
        }
        turns.newest = asked.filter(|_| conversed);
        turns
    }

    fn mark<'s>(
        mut self,
        body: &Body<'a>,
        model: &str,
        lifetime: Lifetime,
        [system, mut newest, stable]: [Option<Spot<'a>>; 3],
    ) -> Splices<'s> {
        if body.get(KEY).is_some() {
            // A mark on the whole stands at the end of the conversation.
            self.read = usize::MAX;
            self.note(&body.body);
            newest = None;
        }
        let tool = self.tool.take();
        let mut order = vec![system, newest, stable, tool];
        if order.first().is_none_or(Option::is_none) {
            order.rotate_right(1);
        }
        let least = shortest(model).saturating_mul(BYTES_PER_TOKEN);
        let mut left = MOST.saturating_sub(self.hints.len());
        let mut splices = Splices::new();
        for spot in order.into_iter().flatten() {
            if left == 0 {
                break;
            }
            let Some(ttl) = self.lifetime(&spot, lifetime) else {
                continue;
            };
            if spot.upto >= least && put(body, &mut splices, &spot, ttl).is_some() {
                left -= 1;
            }
        }
        splices
    }

    /// The mark for a place; `None` where it would stand before a longer one, or where the consumer put one.
    fn lifetime(&self, spot: &Spot<'_>, asked: Lifetime) -> Option<&'static str> {
        if self.hints.iter().any(|hint| hint.upto == spot.upto) {
            return None;
        }
        let short_before = |hint: &Hint| hint.upto < spot.upto && !hint.long;
        let long_behind = |hint: &Hint| hint.upto > spot.upto && hint.long;
        let long = asked == Lifetime::OneHour && !self.hints.iter().any(short_before);
        match long {
            true => Some(r#"{"type":"ephemeral","ttl":"1h"}"#),
            false if self.hints.iter().any(long_behind) => None,
            false => Some(r#"{"type":"ephemeral"}"#),
        }
    }
}

fn put(body: &Body<'_>, splices: &mut Splices<'_>, spot: &Spot<'_>, mark: &str) -> Option<()> {
    match &spot.at {
        At::Block(raw) => body.set(splices, raw, KEY, mark),
        At::Text(range) => {
            splices.insert(range.start, "[{\"type\":\"text\",\"text\":");
            splices.insert(range.end, format!(",\"{KEY}\":{mark}}}]"));
            Some(())
        }
    }
}
