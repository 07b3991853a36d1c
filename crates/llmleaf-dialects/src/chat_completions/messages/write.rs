//! Messages, written.

use super::super::json::{ObjectWriter, push_list};
use super::super::quirks::{InstructionRole, ReasoningEcho};
use super::super::rendering::{Rendering, join};
use super::super::{answer, media, reasoning};
use llmleaf_model::{
    DialectName, Media, Message, Part, PartKind, Reasoning, Role, ToolCall, ToolResult,
};
use serde_json::value::RawValue;

/// Writes the conversation as a list.
pub(in super::super) fn write_all(
    rendering: &mut Rendering<'_>,
    messages: &[Message],
    out: &mut Vec<u8>,
) {
    let mut writer = Writer {
        rendering,
        written: Vec::new(),
        moved: Vec::new(),
    };
    for (at, message) in messages.iter().enumerate() {
        writer.message(message, &format!("messages[{at}]"));
    }
    writer.flush_moved();
    push_list(out, writer.written, |out, one| out.extend_from_slice(&one));
}

struct Writer<'r, 'q> {
    rendering: &'r mut Rendering<'q>,
    /// Whole messages.
    written: Vec<Vec<u8>>,
    /// Parts of tool results that wait for a user message: results must stand right behind their calls.
    moved: Vec<Vec<u8>>,
}

impl Writer<'_, '_> {
    fn message(&mut self, message: &Message, path: &str) {
        // Results stand in messages of their own, before whatever else their turn says.
        let mut others = 0;
        let is_result = |part: &Part| matches!(part.kind, PartKind::ToolResult(_));
        let last = message.parts.iter().rposition(is_result).unwrap_or(0);
        if let Some(early) = message.parts.iter().position(|part| !is_result(part))
            && early < last
        {
            self.rendering.approximated(
                &format!("{path}.content[{early}]"),
                "it goes behind the tool results, which must follow their calls",
            );
        }
        for (at, part) in message.parts.iter().enumerate() {
            match &part.kind {
                PartKind::ToolResult(result) => {
                    let path = format!("{path}.content[{at}]");
                    self.result(message, part, result, &path);
                }
                _ => others += 1,
            }
        }
        match message.role {
            Role::Tool => {}
            _ if others == 0 && others < message.parts.len() => {}
            Role::Assistant => {
                self.flush_moved();
                self.assistant(message, path);
            }
            Role::System | Role::Developer | Role::User => self.spoken(message, path),
        }
    }

    fn spoken(&mut self, message: &Message, path: &str) {
        let role = match message.role {
            Role::System => "system",
            Role::Developer
                if self.rendering.quirks.request.instructions == InstructionRole::SystemOnly =>
            {
                "system"
            }
            Role::Developer => "developer",
            _ => "user",
        };
        let mut moved = Vec::new();
        if role == "user" {
            moved = std::mem::take(&mut self.moved);
        } else {
            self.flush_moved();
        }
        let mut out = Vec::new();
        let mut object = ObjectWriter::begin(&mut out);
        object.string("role", role);
        object.string_if("name", message.name.as_deref());
        let bare = message.bare || !self.rendering.own() && message.role != Role::User;
        match Part::only_text(&message.parts).filter(|_| bare && moved.is_empty()) {
            Some(text) => object.string("content", text),
            None => {
                let bare = bare && moved.is_empty();
                let mut parts = moved;
                self.parts(&message.parts, path, &mut parts);
                if parts.is_empty() && !message.parts.is_empty() {
                    // All of it was lost; the wire refuses a message that says nothing.
                    return;
                }
                write_content(&mut object, parts, bare);
            }
        }
        self.rendering.rest(&mut object, &message.rest, None, path);
        object.end();
        self.written.push(out);
    }

    /// Writes the parts that go into a content list, each as a value.
    fn parts(&mut self, parts: &[Part], path: &str, list: &mut Vec<Vec<u8>>) {
        for (at, part) in parts.iter().enumerate() {
            let path = format!("{path}.content[{at}]");
            let mut out = Vec::new();
            if self.part(part, &path, &mut out) {
                list.push(out);
            }
        }
    }

    fn part(&mut self, part: &Part, path: &str, out: &mut Vec<u8>) -> bool {
        match &part.kind {
            PartKind::Text { text, citations } => {
                if !citations.is_empty() {
                    self.rendering.dropped(
                        &join(path, "citations"),
                        "the wire takes no citations in requests",
                    );
                }
                self.text_part("text", text, part, path, out);
                true
            }
            PartKind::Refusal(text) => {
                self.text_part("refusal", text, part, path, out);
                true
            }
            PartKind::Media(medium) => self.media_part(medium, part, path, out),
            PartKind::Opaque {
                dialect: DialectName::ChatCompletions,
                json,
                ..
            } => {
                out.extend_from_slice(json.as_str().as_bytes());
                true
            }
            PartKind::Opaque { .. }
            | PartKind::ServerToolUse(_)
            | PartKind::ServerToolResult(_) => {
                self.rendering
                    .dropped(path, "a part that only another dialect understands");
                false
            }
            PartKind::Reasoning(_) => {
                self.rendering
                    .dropped(path, "only an assistant's message can hold reasoning");
                false
            }
            PartKind::ToolCall(_) => {
                self.rendering
                    .dropped(path, "only an assistant's message can hold a tool call");
                false
            }
            // Written before, as a message of its own.
            PartKind::ToolResult(_) => false,
        }
    }

    fn text_part(&mut self, kind: &str, text: &str, part: &Part, path: &str, out: &mut Vec<u8>) {
        let mut object = ObjectWriter::begin(out);
        object.string("type", kind);
        object.string(kind, text);
        self.rendering.cache(&mut object, part.cache.as_ref(), path);
        self.rendering.rest(&mut object, &part.rest, None, path);
        object.end();
    }

    /// Writes a medium; one that is made of parts becomes those parts.
    fn media_part(&mut self, medium: &Media, part: &Part, path: &str, out: &mut Vec<u8>) -> bool {
        let llmleaf_model::MediaSource::Parts(inner) = &medium.source else {
            return media::write_media(self.rendering, medium, part, path, out);
        };
        self.rendering
            .approximated(path, "a document of parts goes as its parts");
        media::lose_beside(self.rendering, medium, path);
        let mut list = Vec::new();
        self.parts(inner, path, &mut list);
        for (at, one) in list.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(one);
        }
        !list.is_empty()
    }

    fn assistant(&mut self, message: &Message, path: &str) {
        let mut out = Vec::new();
        let mut object = ObjectWriter::begin(&mut out);
        object.string("role", "assistant");
        object.string_if("name", message.name.as_deref());
        let echo = reasoning::write_echo(self.rendering, &mut object, &message.parts, path);
        let mut said = Said::default();
        for (at, part) in message.parts.iter().enumerate() {
            let path = format!("{path}.content[{at}]");
            self.assistant_part(part, &path, (message, &echo), &mut said);
        }
        let bare = message.bare || !self.rendering.own();
        match said.list.is_empty() {
            true if said.silent(message) => object.raw("content", "null"),
            true if message.bare => object.string("content", ""),
            _ => write_content(&mut object, said.list, bare),
        }
        object.string_if("refusal", said.refusal);
        if let Some(id) = said.audio {
            let mut audio = ObjectWriter::begin(object.key("audio"));
            audio.string("id", id);
            audio.end();
        }
        if !said.calls.is_empty() {
            push_list(object.key("tool_calls"), said.calls, |out, one| {
                out.extend_from_slice(&one);
            });
        }
        self.rendering.rest(&mut object, &message.rest, None, path);
        object.end();
        self.written.push(out);
    }

    fn assistant_part<'m>(
        &mut self,
        part: &'m Part,
        path: &str,
        (message, echo): (&Message, &reasoning::Echo),
        said: &mut Said<'m>,
    ) {
        let mut out = Vec::new();
        match &part.kind {
            PartKind::Reasoning(thought) => {
                if echo.in_content {
                    self.thinking(part, thought, path, &mut out);
                    said.list.push(out);
                }
            }
            PartKind::Opaque { kind, .. } if kind.starts_with("reasoning_details:") => {}
            PartKind::Refusal(text) if message.bare && said.refusal.is_none() => {
                said.refusal = Some(text);
            }
            PartKind::ToolCall(call) => {
                self.call(part, call, path, &mut out);
                said.calls.push(out);
            }
            PartKind::Media(Media {
                source: llmleaf_model::MediaSource::FileId(id),
                kind: llmleaf_model::MediaKind::Audio,
                ..
            }) => said.audio = Some(id),
            // Assistant messages take text alone; an image of an earlier answer cannot go back.
            PartKind::Media(medium) if !self.rendering.own() => {
                let kind = medium.kind.as_str();
                self.rendering
                    .dropped(path, ["an assistant's message cannot hold ", kind].concat());
            }
            _ => {
                if self.part(part, path, &mut out) {
                    said.list.push(out);
                }
            }
        }
    }

    fn thinking(&mut self, part: &Part, thought: &Reasoning, path: &str, out: &mut Vec<u8>) {
        reasoning::write_thinking_part(self.rendering, part, thought, path, out);
    }

    fn call(&mut self, part: &Part, call: &ToolCall, path: &str, out: &mut Vec<u8>) {
        if call.namespace.is_some() {
            self.rendering
                .dropped(&join(path, "namespace"), "the wire has no groups of tools");
        }
        // Who takes proofs among the thoughts gets it there.
        let apart = self.rendering.quirks.reasoning.echo == ReasoningEcho::Details;
        let artefact = call.artefact.as_ref().filter(|_| !apart);
        let artefact = reasoning::verified_with_call(self.rendering, artefact, path);
        let (kind, arguments) = match call.flavour {
            llmleaf_model::ToolFlavour::Function => ("function", "arguments"),
            llmleaf_model::ToolFlavour::Custom => ("custom", "input"),
        };
        let mut object = ObjectWriter::begin(out);
        object.string("id", &call.id);
        object.string("type", kind);
        let mut inner = ObjectWriter::begin(object.key(kind));
        inner.string("name", &call.name);
        // The wire wants JSON; a call without arguments has an empty object.
        if call.arguments.is_empty() && kind == "function" && !self.rendering.own() {
            inner.string(arguments, "{}");
        } else {
            inner.string(arguments, &call.arguments);
        }
        self.rendering.inner_rest(&mut inner, &part.rest, kind);
        inner.end();
        if let Some(artefact) = artefact {
            answer::write_thought_signature(&mut object, artefact);
        }
        self.rendering
            .rest(&mut object, &part.rest, Some(kind), path);
        object.end();
    }

    fn result(&mut self, message: &Message, part: &Part, result: &ToolResult, path: &str) {
        if result.is_error == Some(true) {
            // The words of the result stay as they are: what went wrong is theirs to say.
            self.rendering.dropped(
                &join(path, "is_error"),
                "the wire cannot mark a failed tool",
            );
        }
        let mut out = Vec::new();
        let mut object = ObjectWriter::begin(&mut out);
        object.string("role", "tool");
        object.string("tool_call_id", &result.call_id);
        // Not of the reference; what this wire's own consumer wrote goes as it was written.
        let name = result.name.as_deref().filter(|_| self.rendering.own());
        object.string_if("name", name);
        let bare = result.bare || !self.rendering.own();
        let mut moved = Vec::new();
        match Part::only_text(&result.parts).filter(|_| bare) {
            Some(text) => object.string("content", text),
            None => {
                let (texts, media) = self.result_parts(result, path);
                moved = media;
                match texts.is_empty() && !(self.rendering.own() && result.parts.is_empty()) {
                    true => object.string("content", ""),
                    false => write_content(&mut object, texts, bare),
                }
            }
        }
        let hint = part.cache.as_ref();
        self.rendering.cache(&mut object, hint, path);
        self.rendering.rest(&mut object, &part.rest, None, path);
        if message.role == Role::Tool {
            self.rendering.rest(&mut object, &message.rest, None, path);
        }
        object.end();
        self.written.push(out);
        self.moved.extend(moved);
    }

    /// The parts of a result that stay in it, and those that must move: the reference takes text only.
    fn result_parts(&mut self, result: &ToolResult, path: &str) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let mut stay = Vec::new();
        let mut moved = Vec::new();
        for (at, part) in result.parts.iter().enumerate() {
            let path = format!("{path}.content[{at}]");
            let mut out = Vec::new();
            if !self.part(part, &path, &mut out) {
                continue;
            }
            let medium =
                matches!(part.kind, PartKind::Media(_)) && !out.starts_with(b"{\"type\":\"text\"");
            if medium && !self.rendering.quirks.request.extended {
                self.rendering.approximated(
                    &path,
                    "moved to a user message: a tool's result takes text only",
                );
                moved.push(out);
            } else {
                stay.push(out);
            }
        }
        (stay, moved)
    }

    fn flush_moved(&mut self) {
        if self.moved.is_empty() {
            return;
        }
        let mut out = Vec::new();
        let mut object = ObjectWriter::begin(&mut out);
        object.string("role", "user");
        let parts = std::mem::take(&mut self.moved);
        push_list(object.key("content"), parts, |out, one| {
            out.extend_from_slice(&one);
        });
        object.end();
        self.written.push(out);
    }
}

/// What an assistant's message turned out to hold.
#[derive(Default)]
struct Said<'m> {
    list: Vec<Vec<u8>>,
    calls: Vec<Vec<u8>>,
    refusal: Option<&'m str>,
    audio: Option<&'m str>,
}

impl Said<'_> {
    /// Nothing is said in words, and that is all right: something else stands in for it.
    fn silent(&self, message: &Message) -> bool {
        let elsewhere = !self.calls.is_empty() || self.refusal.is_some() || self.audio.is_some();
        elsewhere && (message.bare || message.parts.len() > self.list.len())
    }
}

/// Writes what is left of a content. One text is a bare string where it may be: some services know no lists but those of users, and what
/// stood beside it may have gone elsewhere.
fn write_content(object: &mut ObjectWriter<'_>, list: Vec<Vec<u8>>, bare: bool) {
    match list.as_slice() {
        [one] if bare && let Some(text) = text_of(one) => object.raw("content", text),
        _ => push_list(object.key("content"), list, |out, one| {
            out.extend_from_slice(&one);
        }),
    }
}

/// The text, as JSON, of a part that was written and is nothing but text.
fn text_of(part: &[u8]) -> Option<&str> {
    let text = part.strip_prefix(br#"{"type":"text","text":"#)?;
    let text = std::str::from_utf8(text.strip_suffix(b"}")?).ok()?;
    // Whatever else the part has stands behind the text.
    serde_json::from_str::<&RawValue>(text)
        .is_ok()
        .then_some(text)
}
