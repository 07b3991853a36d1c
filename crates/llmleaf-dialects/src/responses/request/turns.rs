//! The conversation, to the wire: instructions apart, each turn as its items.

use super::items::is_item;
use super::parts;
use super::render::{Rendering, unsupported};
use crate::responses::wire::{ObjectWriter, array, string};
use llmleaf_model::{ChatRequest, Failure, Loss, Message, Part, Role};

/// Writes `instructions` and `input`.
pub(super) fn render(
    body: &mut ObjectWriter<'_>,
    request: &ChatRequest,
    rendering: &mut Rendering<'_>,
) -> Result<(), Failure> {
    let mut messages = request.messages.as_slice();
    let elsewhere = request.bound.is_some() || request.previous_response_id.is_some();
    // Instructions alone ask nothing; they go as the input then.
    if let Some((first, others)) = messages.split_first()
        && let Some(text) = instructions(first)
        && (!others.is_empty() || elsewhere)
    {
        body.string("instructions", text);
        messages = others;
    }
    let skipped = request.messages.len() - messages.len();
    let mut list = List {
        rendering,
        items: Vec::new(),
    };
    for (at, message) in messages.iter().enumerate() {
        list.message(message, &format!("messages[{}]", at + skipped));
    }
    if list.items.is_empty() && !elsewhere {
        return Err(unsupported(
            "messages",
            "nothing in the messages can be sent to the target",
        ));
    }
    array(body.key("input"), &list.items, |out, item| {
        out.extend_from_slice(item);
    });
    Ok(())
}

/// The text of a message that is nothing but instructions in one string.
pub(super) fn instructions(message: &Message) -> Option<&str> {
    let plain = message.role == Role::System
        && message.bare
        && message.rest.is_empty()
        && message.id.is_none()
        && message.name.is_none();
    bare(message).filter(|_| plain)
}

/// The one text of a message whose content goes as a bare string.
fn bare(message: &Message) -> Option<&str> {
    let mut said = message.parts.iter().filter(|part| !is_item(part));
    let one = said.next()?;
    if !message.bare || said.next().is_some() {
        return None;
    }
    Part::only_text(std::slice::from_ref(one))
}

struct List<'r, 'q> {
    rendering: &'r mut Rendering<'q>,
    items: Vec<Vec<u8>>,
}

impl List<'_, '_> {
    fn message(&mut self, message: &Message, path: &str) {
        if message.name.is_some() {
            let why = "turns have no names on this wire";
            let path = format!("{path}.name");
            self.rendering.lose(Loss::dropped(path, why));
        }
        let head = message.id.is_some() || !message.rest.is_empty();
        let says = message.parts.iter().any(|part| !is_item(part));
        let mut first = true;
        if !says && (head && self.rendering.own || message.parts.is_empty()) {
            self.said(message, &[], path, 0, true);
            first = false;
        } else if !says && head {
            // The head of a turn that says nothing is that of its one item in other dialects.
            let mut nowhere = Vec::new();
            let mut object = ObjectWriter::new(&mut nowhere);
            self.rendering.rest(&mut object, &message.rest, path);
        }
        let mut at = 0;
        while let Some(rest) = message.parts.get(at..).filter(|rest| !rest.is_empty()) {
            let run = rest.iter().take_while(|part| !is_item(part)).count();
            if let Some(said) = rest.get(..run).filter(|said| !said.is_empty()) {
                self.said(message, said, path, at, first);
                first = false;
                at += run;
                continue;
            }
            if let Some(part) = rest.first() {
                let path = format!("{path}.content[{at}]");
                self.item(part, &path);
            }
            at += 1;
        }
    }

    /// A message item of some neighbouring parts.
    fn said(&mut self, message: &Message, parts: &[Part], path: &str, from: usize, first: bool) {
        let mut out = Vec::new();
        let mut object = ObjectWriter::new(&mut out);
        object.string("type", "message");
        if first {
            object.string_if("id", message.id.as_deref().filter(|_| self.rendering.own));
        }
        object.string("role", role_name(message.role));
        let foreign = !self.rendering.own && message.role == Role::Assistant;
        // Of what a model said, some services take texts only, and lists of their own items.
        match bare(message).or_else(|| Part::only_text(parts).filter(|_| foreign)) {
            Some(text) => string(object.key("content"), text),
            None => {
                let assistant = message.role == Role::Assistant;
                let written = parts::content(parts, path, from, assistant, self.rendering);
                let sole = parts::sole_text(parts, &written, self.rendering);
                // What is left of a message that was lost says nothing.
                if written.is_empty() && !(parts.is_empty() && self.rendering.own) {
                    return;
                }
                match sole.filter(|_| foreign) {
                    Some(text) => string(object.key("content"), text),
                    None => array(object.key("content"), written, |out, part| {
                        out.extend_from_slice(&part);
                    }),
                }
            }
        }
        if first {
            self.rendering.rest(&mut object, &message.rest, path);
        }
        object.end();
        self.items.push(out);
    }

    fn item(&mut self, part: &Part, path: &str) {
        self.items.extend(parts::item(part, path, self.rendering));
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User | Role::Tool => "user",
        Role::Assistant => "assistant",
    }
}
