//! An answer that is being made, in speech or in texts, with calls.

use crate::realtime::step::{Voice, placed};
use crate::realtime::usage::report;
use crate::realtime::{Counted, Part};
use crate::writer::{ObjectWriter, array, json_object, one_line};
use llmleaf_model::{Json, Usage};

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Completed,
    /// It was cut short: why.
    Cancelled(&'static str),
}

/// A message that is being made.
#[derive(Debug)]
struct Open {
    id: String,
    here: u64,
    speech: bool,
    /// What was said, as written down.
    text: String,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    id: String,
    conversation: String,
    older: bool,
    modality: &'static str,
    open: Option<Open>,
    done: Vec<String>,
    /// Bytes of texts, and of speech.
    text: u64,
    speech: u64,
}

/// Tokens that a second of speech is, as Google's guide counts them, and its bytes.
const TOKENS_A_SECOND: u64 = 25;
const BYTES_A_SECOND: u64 = 48_000;

impl Answer {
    pub fn begin(
        conversation: String,
        older: bool,
        modality: &'static str,
        voice: &mut Voice<'_>,
    ) -> Self {
        let answer = Self {
            id: voice.fresh("resp"),
            conversation,
            older,
            modality,
            open: None,
            done: Vec::new(),
            text: 0,
            speech: 0,
        };
        voice.say("response.created", |event| {
            event.object("response", |response| {
                answer.tell(response, "in_progress", None, None);
            });
        });
        answer
    }

    fn tell(
        &self,
        response: &mut ObjectWriter<'_>,
        status: &str,
        details: Option<&Json>,
        usage: Option<&str>,
    ) {
        let modalities = match self.older {
            true => "modalities",
            false => "output_modalities",
        };
        response
            .string("object", "realtime.response")
            .string("id", &self.id)
            .string("status", status)
            .raw("status_details", details.map_or("null", Json::as_str));
        array(response.key("output"), &self.done, |out, item| {
            one_line(out, item)
        });
        response.string("conversation_id", &self.conversation);
        array(response.key(modalities), [self.modality], |out, kind| {
            crate::writer::string(out, kind);
        });
        response.raw("usage", usage.unwrap_or("null"));
    }

    /// The name of an event in this form.
    fn kind(&self, speech: bool, end: &str) -> String {
        let what = match (self.older, speech) {
            (false, true) => "output_audio",
            (true, true) => "audio",
            (false, false) => "output_text",
            (true, false) => "text",
        };
        format!("response.{what}{end}")
    }

    /// The message that is being made, begun if it is not yet.
    fn message(
        &mut self,
        speech: bool,
        last: &mut Option<String>,
        voice: &mut Voice<'_>,
    ) -> (String, u64) {
        if let Some(open) = self.open.as_ref().filter(|open| open.speech == speech) {
            return (open.id.clone(), open.here);
        }
        self.close(last, voice);
        let open = Open {
            id: voice.fresh("item"),
            here: self.done.len() as u64,
            speech,
            text: String::new(),
        };
        let item = said(&open, "in_progress", self.older, true);
        self.add(&item, open.here, last.as_deref(), voice);
        let part = if speech { "audio" } else { "text" };
        voice.say("response.content_part.added", |event| {
            address(event, &self.id, &open.id, open.here);
            event.number("content_index", 0);
            event.object("part", |out| {
                out.string("type", part);
                out.string(if speech { "transcript" } else { "text" }, "");
            });
        });
        let named = (open.id.clone(), open.here);
        self.open = Some(open);
        named
    }

    fn add(&self, item: &str, here: u64, last: Option<&str>, voice: &mut Voice<'_>) {
        voice.say("response.output_item.added", |event| {
            event
                .string("response_id", &self.id)
                .number("output_index", here)
                .raw("item", item);
        });
        let kind = match self.older {
            true => "conversation.item.created",
            false => "conversation.item.added",
        };
        voice.say(kind, |event| placed(event, last, item));
    }

    /// A piece of text, or of what was said as written down.
    pub fn text(&mut self, text: &str, last: &mut Option<String>, voice: &mut Voice<'_>) {
        let speech = self.modality == "audio";
        let (id, here) = self.message(speech, last, voice);
        self.text += text.len() as u64;
        if let Some(open) = &mut self.open {
            open.text.push_str(text);
        }
        let kind = self.kind(
            speech,
            if speech {
                "_transcript.delta"
            } else {
                ".delta"
            },
        );
        voice.say(&kind, |event| {
            address(event, &self.id, &id, here);
            event.number("content_index", 0).string("delta", text);
        });
    }

    /// A piece of speech, in base64 as JSON.
    pub fn speech(&mut self, json: &str, last: &mut Option<String>, voice: &mut Voice<'_>) {
        let (id, here) = self.message(true, last, voice);
        self.speech += json.len() as u64 / 4 * 3;
        voice.say(&self.kind(true, ".delta"), |event| {
            address(event, &self.id, &id, here);
            event.number("content_index", 0).raw("delta", json);
        });
    }

    /// A call.
    pub fn call(
        &mut self,
        (call, name, arguments): (&str, &str, &str),
        last: &mut Option<String>,
        voice: &mut Voice<'_>,
    ) {
        self.close(last, voice);
        let (id, here) = (voice.fresh("item"), self.done.len() as u64);
        let item = |status: &str, arguments: &str| {
            let json = json_object(|item| {
                item.string("id", &id)
                    .string("object", "realtime.item")
                    .string("type", "function_call")
                    .string("status", status)
                    .string("call_id", call)
                    .string("name", name)
                    .string("arguments", arguments);
            });
            json.as_str().to_owned()
        };
        self.add(&item("in_progress", ""), here, last.as_deref(), voice);
        self.text += arguments.len() as u64;
        for (kind, field) in [
            ("response.function_call_arguments.delta", "delta"),
            ("response.function_call_arguments.done", "arguments"),
        ] {
            voice.say(kind, |event| {
                address(event, &self.id, &id, here);
                event
                    .string("call_id", call)
                    .string("name", name)
                    .string(field, arguments);
            });
        }
        self.item_done(item("completed", arguments), &id, last, voice);
    }

    /// The message that is being made is whole.
    pub fn close(&mut self, last: &mut Option<String>, voice: &mut Voice<'_>) {
        self.close_as("completed", last, voice);
    }

    fn close_as(&mut self, status: &str, last: &mut Option<String>, voice: &mut Voice<'_>) {
        let Some(open) = self.open.take() else {
            return;
        };
        let name = |event: &mut ObjectWriter<'_>| {
            address(event, &self.id, &open.id, open.here);
            event.number("content_index", 0);
        };
        let field = if open.speech { "transcript" } else { "text" };
        if open.speech {
            voice.say(&self.kind(true, ".done"), name);
        }
        let end = if open.speech {
            "_transcript.done"
        } else {
            ".done"
        };
        voice.say(&self.kind(open.speech, end), |event| {
            name(event);
            event.string(field, &open.text);
        });
        voice.say("response.content_part.done", |event| {
            name(event);
            event.object("part", |part| {
                part.string("type", if open.speech { "audio" } else { "text" })
                    .string(field, &open.text);
            });
        });
        let item = said(&open, status, self.older, false);
        self.item_done(item, &open.id, last, voice);
    }

    fn item_done(
        &mut self,
        item: String,
        id: &str,
        last: &mut Option<String>,
        voice: &mut Voice<'_>,
    ) {
        voice.say("response.output_item.done", |event| {
            event
                .string("response_id", &self.id)
                .number("output_index", self.done.len() as u64)
                .raw("item", &item);
        });
        if !self.older {
            voice.say("conversation.item.done", |event| {
                placed(event, last.as_deref(), &item);
            });
        }
        *last = Some(id.to_owned());
        self.done.push(item);
    }

    /// Tells how it ended, and what it used.
    pub fn finish(
        mut self,
        ending: Ending,
        usage: Option<Usage>,
        last: &mut Option<String>,
        voice: &mut Voice<'_>,
    ) -> Counted {
        let (status, item) = match ending {
            Ending::Completed => ("completed", "completed"),
            Ending::Cancelled(_) => ("cancelled", "incomplete"),
        };
        self.close_as(item, last, voice);
        let details = match ending {
            Ending::Completed => None,
            Ending::Cancelled(reason) => Some(json_object(|details| {
                details.string("type", "cancelled").string("reason", reason);
            })),
        };
        let told = usage.as_ref().map(report);
        voice.say("response.done", |event| {
            event.object("response", |response| {
                self.tell(response, status, details.as_ref(), told.as_deref());
            });
        });
        self.counted(usage, true)
    }

    /// What it used, as its provider says, or what was seen of it.
    pub fn counted(self, usage: Option<Usage>, complete: bool) -> Counted {
        let speech = self.speech.saturating_mul(TOKENS_A_SECOND);
        let seen = || Usage {
            // What was said is written down beside it, which costs nothing of its own.
            output: if self.speech > 0 {
                0
            } else {
                self.text.div_ceil(4)
            },
            output_audio: speech.div_ceil(BYTES_A_SECOND),
            ..Usage::default()
        };
        Counted {
            part: Part::Answer,
            reported: usage.is_some(),
            usage: usage.unwrap_or_else(seen),
            id: self.id,
            complete,
            model: None,
        }
    }
}

fn address(event: &mut ObjectWriter<'_>, response: &str, item: &str, here: u64) {
    event
        .string("response_id", response)
        .string("item_id", item)
        .number("output_index", here);
}

/// A message as an item.
fn said(open: &Open, status: &str, older: bool, empty: bool) -> String {
    let kind = match (older, open.speech) {
        (false, true) => "output_audio",
        (true, true) => "audio",
        (false, false) => "output_text",
        (true, false) => "text",
    };
    let json = json_object(|item| {
        item.string("id", &open.id)
            .string("object", "realtime.item")
            .string("type", "message")
            .string("status", status)
            .string("role", "assistant");
        let parts = if empty { None } else { Some(()) };
        array(item.key("content"), parts, |out, ()| {
            let mut part = ObjectWriter::new(out);
            let field = if open.speech { "transcript" } else { "text" };
            part.string("type", kind).string(field, &open.text);
            part.end();
        });
    });
    json.as_str().to_owned()
}
