//! A session over Gemini's Live wire: its messages to and from the events of this one.
//!
//! Reference: Google's "Live API - WebSockets API reference" (ai.google.dev/api/live), read 2026-11, and the types of its SDK
//! `google-genai` 3.4.0 (`LiveClientMessage`, `LiveServerMessage`).
//!
//! - Its settings are said once, before anything else. So they are held until the consumer has said its own, or something else;
//!   what it changes after that is refused.
//! - Speech is 16-bit samples both ways, 24,000 a second as the consumer has them.
//! - An answer begins when something of it comes, whoever asked for it; one that calls functions is done with the calls.
//!
//! Reading order: [`Live`] (what the consumer says), `setup.rs` (the settings), `heard.rs` (what the provider says), `answer.rs`
//! (an answer that is being made).

mod answer;
mod heard;
mod setup;

#[cfg(test)]
mod tests;

use super::Counted;
use super::step::{self, Speaker, Step, Voice, invalid, placed};
use crate::object::{self, Object};
use crate::writer::{ObjectWriter, array, json_object};
use answer::Answer;
use llmleaf_model::{Failure, FailureKind, Origin, Usage};
use setup::Setup;
use std::collections::VecDeque;

/// Bytes of messages that are held until the provider has taken the settings.
const HELD_BYTES: usize = 1024 * 1024;
/// Bytes of texts that wait for the answer to them.
const TURNS_BYTES: usize = 8 * 1024 * 1024;
/// What one of these costs beside its bytes, so that a flood of empty ones is bounded too.
const MESSAGE_BYTES: usize = 64;
/// Answers that were cut short and whose end the provider has not told.
const CUT: usize = 16;
/// Calls whose names are remembered for what comes of them.
const CALLS: usize = 256;

/// How far a session has come.
#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// The settings are not said yet.
    Settling,
    /// They are said, and not taken yet.
    Said,
    /// It runs.
    Runs,
}

/// A session.
#[derive(Debug)]
pub struct Live {
    speaker: Speaker,
    upstream: String,
    older: bool,
    stage: Stage,
    setup: Setup,
    held: Vec<String>,
    held_bytes: usize,
    /// What was said in texts since the last answer, as turns.
    turns: Vec<String>,
    turns_bytes: usize,
    /// Speech was begun, where the consumer says itself when it ends.
    speaks: bool,
    /// What was said in speech, as written down so far, and its item.
    heard: Option<(String, String)>,
    calls: Vec<(String, String)>,
    last_item: Option<String>,
    answer: Option<Answer>,
    /// Answers that were cut short, oldest first: the provider tells later what they used, and that their turn is complete.
    unsettled: VecDeque<Cut>,
    /// An answer that ended with calls, and of which no use was told yet.
    called: Option<Counted>,
    usage: Option<Usage>,
}

/// An answer that was cut short.
#[derive(Debug)]
struct Cut {
    /// What was seen of it, or what its provider said so far; nothing where none was being made.
    counted: Option<Counted>,
    /// The consumer cut it, and the provider does not know: what still comes of it is passed over.
    muted: bool,
}

/// Something that the wire does not have.
fn unsupported(what: &str, param: Option<&str>) -> Failure {
    let why = format!("{what} is not offered by the provider of this session");
    let mut failure = Failure::new(Origin::Consumer, FailureKind::Unsupported, why);
    failure.code = Some("unsupported".to_owned());
    failure.param = param.map(str::to_owned);
    failure
}

impl Live {
    /// A session with a model, by the names that consumer and provider have for it; `name` is unique, in letters and digits.
    pub fn new(model: &str, upstream: &str, name: &str, older: bool) -> Self {
        Self {
            speaker: Speaker::new(model, name),
            upstream: upstream.to_owned(),
            older,
            stage: Stage::Settling,
            setup: Setup::default(),
            held: Vec::new(),
            held_bytes: 0,
            turns: Vec::new(),
            turns_bytes: 0,
            speaks: false,
            heard: None,
            calls: Vec::new(),
            last_item: None,
            answer: None,
            unsettled: VecDeque::new(),
            called: None,
            usage: None,
        }
    }

    /// What a session begins with.
    pub fn greet(&mut self) -> Vec<Step> {
        let mut out = Vec::new();
        self.tell_session("session.created", &mut out);
        out
    }

    /// What runs when the session ends: nobody will say what it used.
    pub fn left(&mut self) -> Vec<Counted> {
        let cut = self.unsettled.drain(..);
        let mut left: Vec<Counted> = cut.filter_map(|cut| cut.counted).collect();
        left.extend(self.called.take());
        left.extend(match self.answer.take() {
            Some(answer) => Some(answer.counted(self.usage.take(), false)),
            None => self.unclaimed(),
        });
        left
    }

    /// Takes an event of the consumer.
    pub fn take(&mut self, text: &str) -> Vec<Step> {
        let mut out = Vec::new();
        let (done, about) = match step::read(text) {
            Ok((top, about)) => (self.event(&top, &mut out), about),
            Err(failure) => (Err(failure), None),
        };
        if let Err(failure) = done {
            self.voice(&mut out).refuse(&failure, about.as_deref());
        }
        out
    }

    fn event(&mut self, top: &Object<'_>, out: &mut Vec<Step>) -> Result<(), Failure> {
        let kind = top.get("type").and_then(object::string).unwrap_or_default();
        match &*kind {
            "session.update" => self.update(top, out),
            "input_audio_buffer.append" => self.append(top, out),
            "input_audio_buffer.commit" => {
                self.commit(out);
                Ok(())
            }
            "conversation.item.create" => self.create(top, out),
            // It leaves out by itself what was not heard of an answer that was cut short.
            "conversation.item.truncate" => {
                let raw = |name: &str| top.get(name).map_or("null", |raw| raw.get());
                let fields = ["item_id", "content_index", "audio_end_ms"];
                let values = fields.map(|field| (field, raw(field).to_owned()));
                self.voice(out).say("conversation.item.truncated", |event| {
                    values.iter().for_each(|(field, json)| {
                        event.raw(field, json);
                    });
                });
                Ok(())
            }
            "response.create" => self.respond(top, out),
            "response.cancel" => {
                if self.answer.is_none() {
                    let why = "no answer is being made";
                    return Err(invalid(why, None, "response_cancel_not_active"));
                }
                self.cut("client_cancelled", true, out);
                Ok(())
            }
            "input_audio_buffer.clear"
            | "output_audio_buffer.clear"
            | "conversation.item.delete"
            | "conversation.item.retrieve" => Err(unsupported(&format!("`{kind}`"), Some("type"))),
            _ => Err(invalid(
                "no event of a consumer has this type",
                Some("type"),
                "invalid_event",
            )),
        }
    }

    fn update(&mut self, top: &Object<'_>, out: &mut Vec<Step>) -> Result<(), Failure> {
        let session = top.get("session").and_then(Object::from_raw);
        let session = session.ok_or_else(|| {
            invalid(
                "`session` must be an object",
                Some("session"),
                "invalid_event",
            )
        })?;
        let next = self.setup.updated(&session)?;
        if self.stage != Stage::Settling && next != self.setup {
            let why = "the provider of this session takes no other settings once it has begun";
            return Err(invalid(why, Some("session"), "session_fixed"));
        }
        self.setup = next;
        self.settle(out);
        self.tell_session("session.updated", out);
        Ok(())
    }

    /// Says the settings, if they are not said yet.
    fn settle(&mut self, out: &mut Vec<Step>) {
        if self.stage == Stage::Settling {
            self.stage = Stage::Said;
            out.push(Step::Send(self.setup.message(&self.upstream)));
        }
    }

    /// Says something to the provider, once it has taken the settings.
    fn send(&mut self, message: String, out: &mut Vec<Step>) -> Result<(), Failure> {
        self.settle(out);
        if self.stage == Stage::Runs {
            out.push(Step::Send(message));
            return Ok(());
        }
        let bytes = self.held_bytes + message.len() + MESSAGE_BYTES;
        if bytes > HELD_BYTES {
            let why = "too much was said before the provider was ready";
            return Err(invalid(why, None, "too_much_held"));
        }
        self.held_bytes = bytes;
        self.held.push(message);
        Ok(())
    }

    fn append(&mut self, top: &Object<'_>, out: &mut Vec<Step>) -> Result<(), Failure> {
        let audio = top.get("audio").filter(|raw| raw.get().starts_with('"'));
        let audio = audio
            .ok_or_else(|| invalid("`audio` must be a string", Some("audio"), "invalid_value"))?;
        let audio = audio.get().to_owned();
        if self.setup.is_manual() && !self.speaks {
            self.send(
                input(|input| {
                    input.raw("activityStart", "{}");
                }),
                out,
            )?;
            self.speaks = true;
        }
        self.send(
            input(|input| {
                input.object("audio", |blob| {
                    blob.string("mimeType", "audio/pcm;rate=24000")
                        .raw("data", &audio);
                });
            }),
            out,
        )
    }

    fn commit(&mut self, out: &mut Vec<Step>) {
        let manual = self.setup.is_manual();
        let message = input(|input| match manual {
            true => drop(input.raw("activityEnd", "{}")),
            false => drop(input.bool("audioStreamEnd", true)),
        });
        self.speaks = false;
        if let Err(failure) = self.send(message, out) {
            self.voice(out).refuse(&failure, None);
        }
        let item = self.voice(out).fresh("item");
        let before = self.last_item.replace(item.clone());
        self.heard.get_or_insert((item.clone(), String::new()));
        self.voice(out)
            .say("input_audio_buffer.committed", |event| {
                match &before {
                    Some(before) => event.string("previous_item_id", before),
                    None => event.raw("previous_item_id", "null"),
                };
                event.string("item_id", &item);
            });
    }

    fn create(&mut self, top: &Object<'_>, out: &mut Vec<Step>) -> Result<(), Failure> {
        let raw = top.get("item").and_then(Object::from_raw);
        let mut item =
            raw.ok_or_else(|| invalid("`item` must be an object", Some("item"), "invalid_event"))?;
        let word = |name: &str| item.get(name).and_then(object::string);
        let kind = word("type").unwrap_or_default().into_owned();
        match kind.as_str() {
            "message" => {
                let turn = turn_of(&item)?;
                let bytes = self.turns_bytes + turn.len() + MESSAGE_BYTES;
                if bytes > TURNS_BYTES {
                    let why = "too much was said since the last answer; ask for one first";
                    return Err(invalid(why, Some("item"), "too_much_held"));
                }
                self.turns_bytes = bytes;
                self.turns.push(turn);
                self.settle(out);
            }
            "function_call_output" => {
                let (call, output) = (word("call_id"), word("output"));
                let (Some(call), Some(output)) = (call, output) else {
                    let why = "`call_id` and `output` must be strings";
                    return Err(invalid(why, Some("item"), "invalid_value"));
                };
                let message = self.outcome(&call, &output);
                self.send(message, out)?;
            }
            _ => return Err(unsupported("an item of this type", Some("item.type"))),
        }
        let id = item.take("id").and_then(object::string);
        let id = id.map(std::borrow::Cow::into_owned);
        let id = id.unwrap_or_else(|| self.voice(out).fresh("item"));
        let rest = item.into_rest();
        let told = json_object(|object| {
            object.string("id", &id).rest(&rest);
        });
        let before = self.last_item.replace(id);
        self.tell_item(before.as_deref(), told.as_str(), out);
        Ok(())
    }

    fn tell_item(&mut self, before: Option<&str>, item: &str, out: &mut Vec<Step>) {
        let kinds: &[&str] = match self.older {
            true => &["conversation.item.created"],
            false => &["conversation.item.added", "conversation.item.done"],
        };
        let mut voice = self.voice(out);
        for kind in kinds {
            voice.say(kind, |event| placed(event, before, item));
        }
    }

    /// What came of a call. A result that is an object goes as it is.
    fn outcome(&self, call: &str, output: &str) -> String {
        let known = self.calls.iter().find(|(id, _)| id == call);
        let name = known.map_or("", |(_, name)| name);
        let message = json_object(|message| {
            message.object("toolResponse", |response| {
                array(response.key("functionResponses"), [()], |out, ()| {
                    let mut one = ObjectWriter::new(out);
                    one.string("id", call).string("name", name);
                    if Object::parse(output).is_ok() {
                        one.raw("response", output);
                    } else {
                        one.object("response", |response| {
                            response.string("output", output);
                        });
                    }
                    one.end();
                });
            });
        });
        message.as_str().to_owned()
    }

    fn respond(&mut self, top: &Object<'_>, out: &mut Vec<Step>) -> Result<(), Failure> {
        if self.answer.is_some() {
            let why = "an answer is being made; wait for `response.done`, or cancel it";
            let code = "conversation_already_has_active_response";
            return Err(invalid(why, None, code));
        }
        let asked = top
            .get("response")
            .and_then(Object::from_raw)
            .unwrap_or_default();
        let own = [
            "instructions",
            "tools",
            "input",
            "tool_choice",
            "conversation",
        ];
        let own = own.into_iter().find(|field| {
            let raw = asked.get(field);
            raw.is_some_and(|raw| raw.get() != "null" && raw.get() != "\"auto\"")
        });
        if let Some(field) = own {
            let param = format!("response.{field}");
            return Err(unsupported(
                "an answer with settings of its own",
                Some(&param),
            ));
        }
        if self.turns.is_empty() {
            // After speech, and after what came of a call, it answers by itself.
            self.settle(out);
            return Ok(());
        }
        let message = json_object(|message| {
            message.object("clientContent", |content| {
                let turns = self.turns.iter().map(String::as_str);
                array(content.key("turns"), turns, crate::writer::one_line);
                content.bool("turnComplete", true);
            });
        });
        self.send(message.as_str().to_owned(), out)?;
        self.turns.clear();
        self.turns_bytes = 0;
        self.begin(out);
        Ok(())
    }

    fn voice<'a>(&'a mut self, out: &'a mut Vec<Step>) -> Voice<'a> {
        self.speaker.voice(out)
    }

    fn tell_session(&mut self, kind: &str, out: &mut Vec<Step>) {
        let (setup, older) = (&self.setup, self.older);
        self.speaker
            .tell_session(kind, |session| setup.tell(older, session), out);
    }
}

fn input(fill: impl FnOnce(&mut ObjectWriter<'_>)) -> String {
    let message = json_object(|message| {
        message.object("realtimeInput", fill);
    });
    message.as_str().to_owned()
}

/// A message as a turn.
fn turn_of(item: &Object<'_>) -> Result<String, Failure> {
    let role = item
        .get("role")
        .and_then(object::string)
        .unwrap_or_default();
    let role = match &*role {
        "assistant" => "model",
        _ => "user",
    };
    let content = item
        .get("content")
        .and_then(object::items)
        .unwrap_or_default();
    let mut texts = Vec::new();
    for raw in content {
        let part = Object::from_raw(raw).unwrap_or_default();
        match part.get("text").and_then(object::string) {
            Some(text) => texts.push(text.into_owned()),
            None => return Err(unsupported("a part that is no text", Some("item.content"))),
        }
    }
    let turn = json_object(|turn| {
        turn.string("role", role);
        array(turn.key("parts"), &texts, |out, text| {
            let mut part = ObjectWriter::new(out);
            part.string("text", text);
            part.end();
        });
    });
    Ok(turn.as_str().to_owned())
}
