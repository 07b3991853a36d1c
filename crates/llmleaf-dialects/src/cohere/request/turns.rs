//! The conversation, to the wire: one message for each turn and for each tool's result, documents beside them.

use super::parts::{Content, PartWriter};
use super::tools::split;
use crate::cohere::wire::{ObjectWriter, array};
use llmleaf_model::{
    ChatRequest, DialectName, Loss, Message, Part, PartKind, Rest, Role, ToolCall, ToolFlavour,
    ToolResult,
};

/// Messages and documents, each as a value.
#[derive(Default)]
pub(super) struct Conversation {
    pub messages: Vec<Vec<u8>>,
    pub documents: Vec<Vec<u8>>,
}

/// Sorts a request's messages.
pub(super) fn converse(request: &ChatRequest, losses: &mut Vec<Loss>) -> Conversation {
    let mut writer = Writer {
        parts: PartWriter {
            own: request.dialect == DialectName::CohereChat,
            losses,
            documents: Vec::new(),
        },
        messages: Vec::new(),
        moved: Vec::new(),
    };
    for (at, message) in request.messages.iter().enumerate() {
        writer.message(message, &format!("messages[{at}]"));
    }
    writer.flush_moved();
    Conversation {
        messages: writer.messages,
        documents: writer.parts.documents,
    }
}

struct Writer<'l> {
    parts: PartWriter<'l>,
    messages: Vec<Vec<u8>>,
    /// Images of tools' results, which wait for a turn of the user: results take text and documents only.
    moved: Vec<Vec<u8>>,
}

impl Writer<'_> {
    fn message(&mut self, message: &Message, path: &str) {
        if message.name.is_some() {
            let field = format!("{path}.name");
            let why = "turns have no names here";
            self.parts.losses.push(Loss::dropped(field, why));
        }
        let is_result = |part: &Part| matches!(part.kind, PartKind::ToolResult(_));
        let last = message.parts.iter().rposition(is_result).unwrap_or(0);
        if let Some(early) = message.parts.iter().position(|part| !is_result(part))
            && early < last
        {
            let field = format!("{path}.content[{early}]");
            let why = "it goes behind the tool results, which must follow their calls";
            self.parts.losses.push(Loss::approximated(field, why));
        }
        let mut others = 0;
        for (at, part) in message.parts.iter().enumerate() {
            match &part.kind {
                PartKind::ToolResult(result) => {
                    self.result(message, part, result, &format!("{path}.content[{at}]"));
                }
                _ => others += 1,
            }
        }
        match message.role {
            Role::Tool => {}
            _ if others == 0 && !message.parts.is_empty() => {}
            Role::Assistant => {
                self.flush_moved();
                self.assistant(message, path);
            }
            Role::System | Role::Developer => {
                self.flush_moved();
                self.spoken("system", message, path);
            }
            Role::User => self.spoken("user", message, path),
        }
    }

    fn spoken(&mut self, role: &str, message: &Message, path: &str) {
        let moved = match role {
            "user" => std::mem::take(&mut self.moved),
            _ => Vec::new(),
        };
        let mut content = self.parts.content(message, path);
        if content.is_empty() && moved.is_empty() && !self.parts.own {
            // Nothing of it is left on this wire, or it went beside the messages.
            return;
        }
        content.prepend(moved);
        self.push(role, &message.rest, path, |object| {
            content.write(object.key("content"));
        });
    }

    fn assistant(&mut self, message: &Message, path: &str) {
        let own = self.parts.own;
        let calls = message
            .parts
            .iter()
            .any(|part| matches!(part.kind, PartKind::ToolCall(_)));
        let content = self.parts.content(message, path);
        let mut plan = String::new();
        let mut written = Vec::new();
        for (at, part) in message.parts.iter().enumerate() {
            let path = format!("{path}.content[{at}]");
            match &part.kind {
                PartKind::ToolCall(call) => written.push(self.call(part, call, &path)),
                PartKind::Reasoning(thought) if PartWriter::is_plan(thought, own, calls) => {
                    self.parts.unproven(thought.artefact.as_ref(), &path);
                    plan.push_str(&thought.joined());
                }
                _ => {}
            }
        }
        if content.is_empty() && plan.is_empty() && written.is_empty() && !own {
            return;
        }
        self.push("assistant", &message.rest, path, |object| {
            if !content.is_empty() {
                content.write(object.key("content"));
            }
            if !content.citations.is_empty() {
                array(object.key("citations"), &content.citations, |out, one| {
                    out.extend_from_slice(one)
                });
            }
            if !plan.is_empty() {
                object.string("tool_plan", &plan);
            }
            if !written.is_empty() {
                array(object.key("tool_calls"), &written, |out, one| {
                    out.extend_from_slice(one)
                });
            }
        });
    }

    fn call(&mut self, part: &Part, call: &ToolCall, path: &str) -> Vec<u8> {
        if call.namespace.is_some() {
            let field = format!("{path}.namespace");
            let why = "this wire has no groups of tools";
            self.parts.losses.push(Loss::dropped(field, why));
        }
        self.parts.unproven(call.artefact.as_ref(), path);
        let own = self.parts.own;
        let mut out = Vec::new();
        let (outer, inner) = split(&part.rest);
        let mut object = ObjectWriter::new(&mut out);
        object.string("id", &call.id).string("type", "function");
        object.object("function", |function| {
            let empty = call.arguments.trim().is_empty() && !own;
            let arguments = match call.flavour {
                ToolFlavour::Function if empty => "{}",
                _ => &call.arguments,
            };
            function
                .string("name", &call.name)
                .string("arguments", arguments);
            if own && let Some(inner) = &inner {
                function.rest(inner);
            }
        });
        let rest = if own { &outer } else { &part.rest };
        self.parts.rest(&mut object, rest, path);
        object.end();
        out
    }

    fn result(&mut self, message: &Message, part: &Part, result: &ToolResult, path: &str) {
        if result.is_error == Some(true) {
            // The words of the result stay as they are: what went wrong is theirs to say.
            let field = format!("{path}.is_error");
            let why = "this wire cannot mark a failed tool";
            self.parts.losses.push(Loss::dropped(field, why));
        }
        let (content, moved) = self.parts.result(result, path);
        self.moved.extend(moved);
        let mut rest = part.rest.clone();
        if message.role == Role::Tool {
            rest.0.extend(message.rest.0.iter().cloned());
        }
        self.push("tool", &rest, path, |object| {
            object.string("tool_call_id", &result.call_id);
            content.write(object.key("content"));
        });
    }

    fn push(
        &mut self,
        role: &str,
        rest: &Rest,
        path: &str,
        fill: impl FnOnce(&mut ObjectWriter<'_>),
    ) {
        let mut out = Vec::new();
        let mut object = ObjectWriter::new(&mut out);
        object.string("role", role);
        fill(&mut object);
        self.parts.rest(&mut object, rest, path);
        object.end();
        self.messages.push(out);
    }

    fn flush_moved(&mut self) {
        if self.moved.is_empty() {
            return;
        }
        let mut content = Content::default();
        content.prepend(std::mem::take(&mut self.moved));
        self.push("user", &Rest::default(), "", |object| {
            content.write(object.key("content"));
        });
    }
}
