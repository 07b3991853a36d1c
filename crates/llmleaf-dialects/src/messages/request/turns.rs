//! The conversation, to the wire: instructions apart, turns in order.

use super::parts::{PartWriter, write_rest};
use crate::messages::Quirks;
use crate::messages::quirks::LaterInstructions;
use crate::messages::wire::{ObjectWriter, array, string};
use llmleaf_model::{ChatRequest, DialectName, Loss, Message, Part, PartKind, Rest, Role};

/// Instructions and turns, ready to be written.
#[derive(Default)]
pub(super) struct Conversation {
    system: Option<Content>,
    turns: Vec<Turn>,
}

struct Turn {
    role: &'static str,
    content: Content,
    rest: Rest,
}

/// Content of a turn: one bare text, or blocks.
#[derive(Default)]
struct Content {
    bare: Option<String>,
    blocks: Vec<Vec<u8>>,
}

impl Content {
    fn is_empty(&self) -> bool {
        self.bare.is_none() && self.blocks.is_empty()
    }

    fn push(&mut self, more: Self) {
        if self.is_empty() {
            *self = more;
            return;
        }
        for content in [std::mem::take(self), more] {
            self.blocks
                .extend(content.bare.map(|text| text_block(&text)));
            self.blocks.extend(content.blocks);
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match &self.bare {
            Some(text) => string(out, text),
            None => array(out, &self.blocks, |out, block| out.extend_from_slice(block)),
        }
    }
}

fn text_block(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    object.string("type", "text").string("text", text);
    object.end();
    out
}

/// Sorts a request's messages.
pub(super) fn converse(
    request: &ChatRequest,
    quirks: &Quirks,
    losses: &mut Vec<Loss>,
) -> Conversation {
    let own = request.dialect == DialectName::Messages;
    let mut talk = Conversation::default();
    for (at, message) in request.messages.iter().enumerate() {
        let path = format!("messages[{at}]");
        let mut writer = PartWriter {
            own,
            quirks,
            losses: &mut *losses,
        };
        let content = content(&mut writer, message, &path);
        if own {
            talk.own(at, message, content);
        } else {
            talk.translated(message, content, &path, quirks, losses);
        }
    }
    if talk.turns.is_empty()
        && let Some(content) = talk.system.take()
    {
        // The wire demands a turn; a request of instructions alone becomes one.
        let role = if own { "system" } else { "user" };
        if !own {
            losses.push(Loss::approximated(
                "messages",
                "instructions alone become a user turn",
            ));
        }
        talk.add(role, content);
    }
    talk
}

fn content(writer: &mut PartWriter<'_>, message: &Message, path: &str) -> Content {
    if let [
        Part {
            kind: PartKind::Text { text, .. },
            cache: None,
            ..
        },
    ] = message.parts.as_slice()
        && message.bare
    {
        let seen = writer.own || !text.trim().is_empty();
        return Content {
            bare: seen.then(|| text.clone()),
            blocks: Vec::new(),
        };
    }
    Content {
        bare: None,
        blocks: writer.blocks(&message.parts, path),
    }
}

impl Conversation {
    /// A message of this dialect stands where it stood.
    fn own(&mut self, at: usize, message: &Message, content: Content) {
        let role = match message.role {
            Role::System | Role::Developer if at == 0 && message.rest.is_empty() => {
                self.system = Some(content);
                return;
            }
            role => role_name(role),
        };
        self.turns.push(Turn {
            role,
            content,
            rest: message.rest.clone(),
        });
    }

    fn translated(
        &mut self,
        message: &Message,
        content: Content,
        path: &str,
        quirks: &Quirks,
        losses: &mut Vec<Loss>,
    ) {
        let mut nowhere = Vec::new();
        let mut object = ObjectWriter::new(&mut nowhere);
        write_rest(&mut object, &message.rest, path, false, losses);
        if message.name.is_some() {
            losses.push(Loss::dropped(
                format!("{path}.name"),
                "turns have no names here",
            ));
        }
        if content.is_empty() {
            return;
        }
        let role = role_name(message.role);
        if role != "system" {
            return self.add(role, content);
        }
        let behind_user = self.turns.last().is_some_and(|turn| turn.role == "user");
        match quirks.later_instructions {
            _ if self.turns.is_empty() => self.system.get_or_insert_default().push(content),
            LaterInstructions::InPlace if behind_user => self.add(role, content),
            _ => {
                losses.push(Loss::approximated(path, "instructions moved to the head"));
                self.system.get_or_insert_default().push(content);
            }
        }
    }

    /// Adds to the last turn where it has the same role: turns alternate on this wire.
    fn add(&mut self, role: &'static str, content: Content) {
        match self.turns.last_mut() {
            Some(turn) if turn.role == role => turn.content.push(content),
            _ => self.turns.push(Turn {
                role,
                content,
                rest: Rest::default(),
            }),
        }
    }

    /// True where there is no turn to send.
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Writes `system` and `messages`.
    pub fn write(&self, body: &mut ObjectWriter<'_>) {
        if let Some(system) = &self.system {
            system.write(body.key("system"));
        }
        array(body.key("messages"), &self.turns, |out, turn| {
            let mut object = ObjectWriter::new(out);
            object.string("role", turn.role);
            turn.content.write(object.key("content"));
            object.rest(&turn.rest);
            object.end();
        });
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::System | Role::Developer => "system",
        Role::User | Role::Tool => "user",
        Role::Assistant => "assistant",
    }
}
