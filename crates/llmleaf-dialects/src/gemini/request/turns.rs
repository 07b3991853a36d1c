//! The conversation, to the wire: instructions apart, turns in order.

use super::write::{PartWriter, Results};
use crate::gemini::Quirks;
use crate::gemini::quirks::ModelRule;
use crate::gemini::wire::{ObjectWriter, array};
use crate::writer::write_rest;
use llmleaf_model::{ChatRequest, DialectName, Loss, Message, PartKind, Rest, Role};

/// Instructions and turns, ready to be written.
#[derive(Default)]
pub(super) struct Conversation {
    system: Option<Turn>,
    turns: Vec<Turn>,
}

struct Turn {
    role: &'static str,
    parts: Vec<Vec<u8>>,
    rest: Rest,
}

impl Turn {
    fn write(&self, out: &mut Vec<u8>, with_role: bool) {
        let mut object = ObjectWriter::new(out);
        if with_role {
            object.string("role", self.role);
        }
        array(object.key("parts"), &self.parts, |out, part| {
            out.extend_from_slice(part)
        });
        object.rest(&self.rest);
        object.end();
    }
}

/// Sorts a request's messages.
pub(super) fn converse(
    request: &ChatRequest,
    quirks: &Quirks,
    rule: &ModelRule,
    losses: &mut Vec<Loss>,
) -> Conversation {
    let own = request.dialect == DialectName::GenerateContent;
    let results = Results::of(&request.messages);
    let mut talk = Conversation::default();
    for (at, message) in request.messages.iter().enumerate() {
        let path = format!("messages[{at}]");
        let mut writer = PartWriter {
            own,
            quirks,
            rule,
            results: &results,
            losses: &mut *losses,
            called: false,
        };
        let parts = match order(message, &results, own) {
            Some(sorted) => writer.parts(&sorted, &path),
            None => writer.parts(&message.parts, &path),
        };
        if own {
            talk.own(at, message, parts);
        } else {
            talk.translated(message, parts, &path, losses);
        }
    }
    if talk.turns.is_empty()
        && !own
        && let Some(system) = talk.system.take()
    {
        // The wire demands a turn; a request of instructions alone becomes one.
        let why = "instructions alone become a user turn";
        losses.push(Loss::approximated("messages", why));
        talk.add("user", system.parts);
    }
    talk
}

/// Results whose calls have no id on this wire answer by their order, so they stand in the order of the calls.
fn order(message: &Message, results: &Results<'_>, own: bool) -> Option<Vec<llmleaf_model::Part>> {
    let is_result = |kind: &PartKind| matches!(kind, PartKind::ToolResult(_));
    if own || message.parts.iter().filter(|p| is_result(&p.kind)).count() < 2 {
        return None;
    }
    let mut parts = message.parts.clone();
    parts.sort_by_cached_key(|part| match &part.kind {
        PartKind::ToolResult(result) => results.position(&result.call_id),
        // What else stands in the turn stays behind its results.
        _ => usize::MAX,
    });
    Some(parts)
}

impl Conversation {
    /// A message of this dialect stands where it stood.
    fn own(&mut self, at: usize, message: &Message, parts: Vec<Vec<u8>>) {
        let turn = Turn {
            role: role_name(message.role),
            parts,
            rest: message.rest.clone(),
        };
        if at == 0 && message.role == Role::System {
            self.system = Some(turn);
        } else {
            self.turns.push(turn);
        }
    }

    fn translated(
        &mut self,
        message: &Message,
        parts: Vec<Vec<u8>>,
        path: &str,
        losses: &mut Vec<Loss>,
    ) {
        write_rest(None, &message.rest, path, losses);
        if message.name.is_some() {
            let why = "turns have no names here";
            losses.push(Loss::dropped(format!("{path}.name"), why));
        }
        if parts.is_empty() {
            return;
        }
        if !matches!(message.role, Role::System | Role::Developer) {
            let role = match message.role {
                Role::Assistant => "model",
                _ => "user",
            };
            return self.add(role, parts);
        }
        if !self.turns.is_empty() {
            losses.push(Loss::approximated(path, "instructions moved to the head"));
        }
        match &mut self.system {
            Some(system) => system.parts.extend(parts),
            None => {
                self.system = Some(Turn {
                    role: "user",
                    parts,
                    rest: Rest::default(),
                });
            }
        }
    }

    /// Adds to the last turn where it has the same role: turns alternate on this wire.
    fn add(&mut self, role: &'static str, parts: Vec<Vec<u8>>) {
        match self.turns.last_mut() {
            Some(turn) if turn.role == role => turn.parts.extend(parts),
            _ => self.turns.push(Turn {
                role,
                parts,
                rest: Rest::default(),
            }),
        }
    }

    /// True where there is no turn to send.
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Writes `systemInstruction` and `contents`.
    pub fn write(&self, body: &mut ObjectWriter<'_>) {
        if let Some(system) = &self.system {
            system.write(body.key("systemInstruction"), false);
        }
        array(body.key("contents"), &self.turns, |out, turn| {
            turn.write(out, true)
        });
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::System | Role::Developer | Role::User => "user",
        Role::Tool => "function",
        Role::Assistant => "model",
    }
}
