//! What a chunk or a whole response says, as events: the two are the same message.

use super::arguments::Partial;
use super::quirks::Quirks;
use super::request::media_kind as kind;
use super::wire::{MADE_UP, text, whole};
use super::{finish, signature, usage};
use crate::assembly::{Assembly, MediaStart, ReasoningKey, ToolFragment};
use crate::object::{Object, items, string};
use llmleaf_model::{
    BlockKind, Citation, Delta, DialectName, Event, Finish, FinishReason, Json, MediaKind,
    Provenance, ReasoningForm, ResponseStart, Rest, ServerToolResult, ServerToolUse,
};
use serde_json::value::RawValue;

/// Facts of a candidate's end, in the order this wire writes them.
const FACTS: [&str; 8] = [
    "finishMessage",
    "safetyRatings",
    "citationMetadata",
    "groundingMetadata",
    "urlContextMetadata",
    "avgLogprobs",
    "logprobsResult",
    "tokenCount",
];

/// Fields of a part that hold a medium.
const MEDIA: [&str; 2] = ["inlineData", "fileData"];

/// Letters of a response's id that ids of its calls repeat.
const ID_LETTERS: usize = 32;

/// The state of one response that is being read.
pub(super) struct Reading {
    provenance: Provenance,
    pub assembly: Assembly,
    started: bool,
    /// First letters of the ids that are made up here; they differ from response to response.
    made_up: String,
    calls: u64,
    /// Calls whose arguments come in pieces, by candidate.
    partial: Vec<(u32, Partial)>,
    finishes: Vec<Stop>,
    /// The last usage report as written, and the searches told with it: a repeated one is told once.
    usage: Option<(Box<str>, u64)>,
    /// Searches that the provider bills by the piece.
    searches: u64,
    /// The prompt was blocked, and why.
    blocked: Option<Finish>,
    /// The pieces of a call go past a bound.
    overflown: bool,
}

/// How a candidate ended, and whether it calls tools.
struct Stop {
    choice: u32,
    finish: Option<Finish>,
    called: bool,
    facts: Rest,
    sources: Sources,
}

/// The lists of sources that a candidate had last, as written: chunks repeat what was told, and go on.
#[derive(Default)]
struct Sources {
    cited: Vec<Box<str>>,
    queries: Vec<Box<str>>,
    grounds: Vec<Box<str>>,
}

/// What of a list was not told with the one before it, which it replaces.
fn news<'r>(told: &mut Vec<Box<str>>, mut list: Vec<&'r RawValue>) -> Vec<&'r RawValue> {
    let pairs = list.iter().zip(&*told);
    let known = pairs.take_while(|(raw, told)| *raw.get() == ***told);
    let known = known.count();
    let new = list.split_off(known);
    if !new.is_empty() {
        told.truncate(known);
        told.extend(new.iter().map(|raw| raw.get().into()));
    }
    new
}

impl Reading {
    pub fn new(quirks: &Quirks) -> Self {
        Self {
            provenance: quirks.provenance(),
            assembly: Assembly::new(),
            started: false,
            made_up: MADE_UP.to_owned(),
            calls: 0,
            partial: Vec::new(),
            finishes: Vec::new(),
            usage: None,
            searches: 0,
            blocked: None,
            overflown: false,
        }
    }

    /// Why the response cannot be read on, if so. No call may be told that lacks a part of its arguments.
    pub fn broken(&self) -> Option<&'static str> {
        self.overflown
            .then_some("the arguments of a call are too many pieces or nested too deep")
    }

    /// Takes a chunk. Errors in it are the caller's business. False where it is no chunk of this wire.
    pub fn take(&mut self, chunk: &Object<'_>, out: &mut Vec<Event>) -> bool {
        let known = [
            "candidates",
            "promptFeedback",
            "usageMetadata",
            "modelVersion",
            "responseId",
        ];
        if !known.iter().any(|name| chunk.get(name).is_some()) {
            return false;
        }
        self.start(chunk, out);
        let candidates = chunk.get("candidates").and_then(items).unwrap_or_default();
        for (at, raw) in candidates.into_iter().enumerate() {
            if let Some(candidate) = Object::from_raw(raw) {
                let index = candidate.get("index").and_then(whole);
                let index = index.and_then(|index| u32::try_from(index).ok());
                let index = index.unwrap_or(u32::try_from(at).unwrap_or(u32::MAX));
                self.candidate(index, &candidate, out);
            }
        }
        if let Some(feedback) = chunk.get("promptFeedback") {
            self.feedback(feedback);
        }
        if let Some(raw) = chunk.get("usageMetadata")
            && !self.has_told(raw)
            && let Some(usage) = usage::parse(raw, self.searches)
        {
            self.usage = Some((raw.get().into(), self.searches));
            out.push(Event::UsageReport(usage));
        }
        true
    }

    fn has_told(&self, usage: &RawValue) -> bool {
        let told = self.usage.as_ref();
        told.is_some_and(|(text, searches)| **text == *usage.get() && *searches == self.searches)
    }

    /// True where the response is complete, if nothing more comes: every candidate has its finish reason, or there is
    /// none since the prompt was blocked.
    pub fn is_complete(&self) -> bool {
        if self.assembly.is_empty() {
            return self.blocked.is_some();
        }
        self.finishes.iter().all(|stop| stop.finish.is_some())
    }

    /// Ends the response: open calls, open blocks, finishes.
    pub fn end(&mut self, out: &mut Vec<Event>) {
        for (choice, partial) in std::mem::take(&mut self.partial) {
            self.close(choice, partial, out);
        }
        if let Some(blocked) = self.blocked.take().filter(|_| self.assembly.is_empty()) {
            self.assembly.finish(0, blocked);
        }
        for stop in std::mem::take(&mut self.finishes) {
            let Some(mut finish) = stop.finish else {
                continue;
            };
            // Calls end an answer here like anything else does.
            if stop.called && finish.reason == FinishReason::Stop {
                finish.reason = FinishReason::ToolCalls;
            }
            finish.rest = stop.facts;
            self.assembly.finish(stop.choice, finish);
        }
        self.assembly.end(out);
    }

    fn start(&mut self, chunk: &Object<'_>, out: &mut Vec<Event>) {
        if self.started {
            return;
        }
        self.started = true;
        let id = text(chunk, "responseId").filter(|id| !id.is_empty());
        if let Some(id) = &id {
            let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            self.made_up
                .extend(id.chars().filter(plain).take(ID_LETTERS));
            self.made_up.push('_');
        }
        let model = text(chunk, "modelVersion").filter(|model| !model.is_empty());
        out.push(Event::ResponseStart(ResponseStart {
            id: id.map(|id| id.into_owned()),
            model: model.map(|model| model.into_owned()),
            ..ResponseStart::default()
        }));
    }

    fn feedback(&mut self, raw: &RawValue) {
        let Some(feedback) = Object::from_raw(raw) else {
            return;
        };
        let Some(why) = text(&feedback, "blockReason") else {
            return;
        };
        let mut finish = Finish::new(FinishReason::ContentFilter, why);
        finish.rest.push("promptFeedback", Json::from(raw));
        self.blocked = Some(finish);
    }

    fn stop(&mut self, choice: u32) -> Option<&mut Stop> {
        if self.finishes.iter().all(|stop| stop.choice != choice)
            && self.finishes.len() < crate::assembly::MAX_CHOICES
        {
            self.finishes.push(Stop {
                choice,
                finish: None,
                called: false,
                facts: Rest::default(),
                sources: Sources::default(),
            });
        }
        self.finishes.iter_mut().find(|stop| stop.choice == choice)
    }

    fn candidate(&mut self, choice: u32, candidate: &Object<'_>, out: &mut Vec<Event>) {
        self.assembly.touch(choice);
        let content = candidate.get("content").and_then(Object::from_raw);
        let parts = content.and_then(|content| content.get("parts").and_then(items));
        for raw in parts.unwrap_or_default() {
            if let Some(part) = Object::from_raw(raw) {
                self.part(choice, raw, &part, out);
            }
        }
        self.sources(choice, candidate, out);
        if let Some(raw) = candidate.get("logprobsResult")
            && let Some(json) = super::answer::logprobs(raw)
        {
            self.assembly.annotate(choice, Delta::Logprobs(json), out);
        }
        let word = candidate.get("finishReason").and_then(|raw| {
            let word = string(raw).map(|word| word.into_owned());
            // `enum-encoding=int` writes the number of the word.
            word.or_else(|| whole(raw).map(|number| number.to_string()))
        });
        let Some(stop) = self.stop(choice) else {
            return;
        };
        for name in FACTS {
            if let Some(value) = candidate.get(name) {
                stop.facts.take(name);
                stop.facts.push(name, Json::from(value));
            }
        }
        let word = word.filter(|word| !word.is_empty());
        let reason = word.as_deref().map(finish::reason);
        // A reason that is not stated is the enum's default, and ends nothing.
        if let (Some(word), Some(reason)) = (word, reason.filter(|r| *r != FinishReason::Unstated))
        {
            stop.finish = Some(Finish::new(reason, word));
        }
    }

    fn part(&mut self, choice: u32, raw: &RawValue, part: &Object<'_>, out: &mut Vec<Event>) {
        let proof = text(part, "thoughtSignature");
        let is_thought = part.get("thought").is_some_and(|v| v.get() == "true");
        let key = ReasoningKey::default();
        if let Some(words) = text(part, "text") {
            if is_thought {
                let form = ReasoningForm::Summary;
                self.assembly.reasoning(choice, &key, form, &words, out);
            } else {
                self.assembly.text(choice, &words, out);
            }
        } else if let Some(call) = part.get("functionCall").and_then(Object::from_raw) {
            return self.call(choice, &call, proof.as_deref(), out);
        } else if is_thought && MEDIA.iter().any(|name| part.get(name).is_some()) {
            // A draft that the model made while it thought is no part of the answer, and the model has no place for one.
        } else if let Some(blob) = part.get("inlineData").and_then(Object::from_raw) {
            let data = text(&blob, "data").unwrap_or_default();
            self.media(choice, &blob, Delta::MediaData(data.into_owned()), out);
        } else if let Some(file) = part.get("fileData").and_then(Object::from_raw) {
            let uri = text(&file, "fileUri").unwrap_or_default();
            self.media(choice, &file, Delta::MediaUrl(uri.into_owned()), out);
        } else if let Some(kind) = whole_block(raw, part) {
            return self.assembly.whole(choice, kind, [], out);
        }
        if let Some(proof) = proof {
            let artefact = signature::own(proof, self.provenance.clone());
            self.assembly
                .reasoning_artefact(choice, &key, artefact, out);
        }
    }

    fn media(&mut self, choice: u32, blob: &Object<'_>, delta: Delta, out: &mut Vec<Event>) {
        let mime = text(blob, "mimeType");
        let kind = match kind(mime.as_deref()) {
            MediaKind::Document => MediaKind::File,
            kind => kind,
        };
        self.assembly.break_prose(choice, out);
        let start = MediaStart {
            kind,
            mime: mime.as_deref(),
            id: None,
        };
        self.assembly.media(choice, &start, delta, out);
        self.assembly.break_prose(choice, out);
    }

    fn call(&mut self, choice: u32, call: &Object<'_>, proof: Option<&str>, out: &mut Vec<Event>) {
        if let Some(stop) = self.stop(choice) {
            stop.called = true;
        }
        let name = text(call, "name").unwrap_or_default();
        let goes_on = call.get("willContinue").is_some_and(|v| v.get() == "true");
        let open = self.partial.iter().position(|(of, _)| *of == choice);
        let open = open.filter(|_| name.is_empty());
        let pieces = call.get("partialArgs");
        if let Some(partial) = open.map(|at| self.partial.remove(at).1) {
            self.pieces(choice, partial, pieces, goes_on, out);
            return;
        }
        let index = self.calls;
        let id = match text(call, "id").filter(|id| !id.is_empty()) {
            Some(id) => id.into_owned(),
            None => format!("{}{index}", self.made_up),
        };
        self.calls += 1;
        let in_pieces = goes_on || pieces.is_some();
        let arguments = call.get("args").filter(|_| !in_pieces).map(RawValue::get);
        let proof = proof.map(|proof| signature::own(proof, self.provenance.clone()));
        self.assembly.tool(
            choice,
            &ToolFragment {
                index: Some(index),
                id: Some(&id),
                name: Some(&name),
                arguments: arguments.filter(|json| *json != "null"),
                artefact: proof.as_ref(),
                ..ToolFragment::default()
            },
            out,
        );
        if in_pieces {
            self.pieces(choice, Partial::new(index), pieces, goes_on, out);
        }
    }

    /// Takes the pieces of a fragment; its call is complete where it does not go on.
    fn pieces(
        &mut self,
        choice: u32,
        mut partial: Partial,
        pieces: Option<&RawValue>,
        goes_on: bool,
        out: &mut Vec<Event>,
    ) {
        if pieces.is_some_and(|pieces| partial.take(pieces).is_err()) {
            self.overflown = true;
        } else if goes_on {
            self.partial.push((choice, partial));
        } else {
            self.close(choice, partial, out);
        }
    }

    fn close(&mut self, choice: u32, partial: Partial, out: &mut Vec<Event>) {
        let index = Some(partial.index);
        let arguments = partial.finish();
        let fragment = ToolFragment {
            index,
            arguments: Some(&arguments),
            ..ToolFragment::default()
        };
        self.assembly.tool(choice, &fragment, out);
    }

    /// Sources of a candidate. Their places are counted in bytes of the whole answer, which nobody holds here, so the
    /// model has them without place; the native form goes on with the finish.
    fn sources(&mut self, choice: u32, candidate: &Object<'_>, out: &mut Vec<Event>) {
        let Some(stop) = self.stop(choice) else {
            return;
        };
        let cited = candidate.get("citationMetadata").and_then(Object::from_raw);
        let cited = cited.and_then(|meta| {
            let list = meta
                .get("citationSources")
                .or_else(|| meta.get("citations"));
            list.and_then(items)
        });
        let cited = news(&mut stop.sources.cited, cited.unwrap_or_default());
        let ground = candidate
            .get("groundingMetadata")
            .and_then(Object::from_raw)
            .unwrap_or_default();
        let list = |name: &str| ground.get(name).and_then(items).unwrap_or_default();
        let queries = news(&mut stop.sources.queries, list("webSearchQueries"));
        let chunks = news(&mut stop.sources.grounds, list("groundingChunks"));
        self.searches += queries.len() as u64;
        for raw in cited {
            self.source(choice, raw, raw, out);
        }
        for raw in chunks {
            let chunk = Object::from_raw(raw).unwrap_or_default();
            // `web`, `retrievedContext`, `maps`: the one field says what it is.
            if let Some((_, inner)) = chunk.fields.first() {
                self.source(choice, raw, inner, out);
            }
        }
    }

    fn source(&mut self, choice: u32, native: &RawValue, source: &RawValue, out: &mut Vec<Event>) {
        let source = Object::from_raw(source).unwrap_or_default();
        let field = |name: &str| text(&source, name).map(|text| text.into_owned());
        let citation = Citation {
            dialect: DialectName::GenerateContent,
            native: Json::from(native),
            url: field("uri").filter(|uri| !uri.is_empty()),
            title: field("title").filter(|title| !title.is_empty()),
            cited_text: None,
            span: None,
        };
        let delta = Delta::Citation(Box::new(citation));
        self.assembly.annotate(choice, delta, out);
    }
}

/// Parts that only this wire understands.
fn whole_block(raw: &RawValue, part: &Object<'_>) -> Option<BlockKind> {
    let dialect = DialectName::GenerateContent;
    let names = ["executableCode", "toolCall"];
    if let Some((name, inner)) = names
        .into_iter()
        .find_map(|name| part.get(name).map(|inner| (name, inner)))
    {
        let object = Object::from_raw(inner).unwrap_or_default();
        let tool = match name {
            "executableCode" => Some("code_execution".into()),
            _ => text(&object, "toolType"),
        };
        return Some(BlockKind::ServerToolUse(ServerToolUse {
            dialect,
            id: text(&object, "id").unwrap_or_default().into_owned(),
            name: tool.unwrap_or_default().into_owned(),
            input: inner.get().to_owned(),
            json: Some(Json::from(raw)),
        }));
    }
    for name in ["codeExecutionResult", "toolResponse"] {
        if let Some(inner) = part.get(name) {
            let object = Object::from_raw(inner).unwrap_or_default();
            return Some(BlockKind::ServerToolResult(ServerToolResult {
                dialect,
                call_id: text(&object, "id").unwrap_or_default().into_owned(),
                kind: name.to_owned(),
                json: Json::from(raw),
            }));
        }
    }
    let quiet = ["thought", "thoughtSignature", "text"];
    let kind = part
        .fields
        .iter()
        .find(|(name, _)| !quiet.contains(&&**name))?;
    Some(BlockKind::Opaque {
        dialect,
        kind: kind.0.clone().into_owned(),
        json: Json::from(raw),
    })
}
