//! The conversation, to the wire.

use crate::object::Object;
use crate::ollama::quirks::is_kin;
use crate::ollama::wire::{
    FREE_TEXT, MADE_UP, NAMELESS, ObjectWriter, array, data_url, write_string,
};
use llmleaf_model::{
    ChatRequest, Loss, Media, MediaKind, MediaSource, Message, Part, PartKind, Reasoning, Rest,
    Role, ToolCall, ToolFlavour, ToolResult,
};
use std::collections::HashMap;

/// Turns, ready to be written.
#[derive(Default)]
pub(super) struct Conversation {
    turns: Vec<Turn>,
}

/// One message of the wire.
#[derive(Default)]
struct Turn {
    role: &'static str,
    images: Vec<String>,
    texts: Vec<String>,
    thinking: String,
    calls: Vec<Vec<u8>>,
    tool_name: Option<String>,
    tool_call_id: Option<String>,
    rest: Rest,
}

impl Turn {
    fn new(role: &'static str) -> Self {
        Self {
            role,
            ..Self::default()
        }
    }

    /// Its words. Texts of a model's turn are pieces of one; others are paragraphs.
    fn content(&self) -> String {
        let between = if self.role == "assistant" { "" } else { "\n\n" };
        self.texts.join(between)
    }

    fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut object = ObjectWriter::new(&mut out);
        object
            .string("role", self.role)
            .string("content", &self.content());
        if !self.thinking.is_empty() {
            object.string("thinking", &self.thinking);
        }
        if !self.images.is_empty() {
            array(object.key("images"), &self.images, |out, one| {
                write_string(out, one)
            });
        }
        if !self.calls.is_empty() {
            array(object.key("tool_calls"), &self.calls, |out, one| {
                out.extend_from_slice(one)
            });
        }
        object
            .string_if("tool_name", self.tool_name.as_deref())
            .string_if("tool_call_id", self.tool_call_id.as_deref())
            .rest(&self.rest);
        object.end();
        out
    }

    fn is_empty(&self) -> bool {
        self.images.is_empty()
            && self.texts.is_empty()
            && self.thinking.is_empty()
            && self.calls.is_empty()
    }
}

/// Text and images of a prompt.
type Prompt<'a> = (String, &'a [String]);

impl Conversation {
    /// Sorts a request's messages.
    pub fn of(request: &ChatRequest, own: bool, losses: &mut Vec<Loss>) -> Self {
        let mut writer = Writer {
            own,
            kin: is_kin(request.dialect),
            calls: HashMap::new(),
            turns: Vec::new(),
            losses,
        };
        for (at, message) in request.messages.iter().enumerate() {
            writer.message(message, &format!("messages[{at}]"));
        }
        Self {
            turns: writer.turns,
        }
    }

    /// True where there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// The messages of `/api/chat`.
    pub fn messages(&self) -> Vec<Vec<u8>> {
        self.turns.iter().map(Turn::write).collect()
    }

    /// Instructions and prompt of `/api/generate`; `None` where there is more than one prompt can say.
    pub fn prompt(&self) -> Option<(String, Option<Prompt<'_>>)> {
        let is_system = |turn: &&Turn| turn.role == "system";
        let system: Vec<String> = self
            .turns
            .iter()
            .filter(is_system)
            .map(Turn::content)
            .collect();
        let mut others = self.turns.iter().filter(|turn| !is_system(turn));
        let said = others.next();
        let plain = said.is_none_or(|turn| turn.role == "user");
        if !plain || others.next().is_some() {
            return None;
        }
        let said = said.map(|turn| (turn.content(), turn.images.as_slice()));
        Some((system.join("\n\n"), said))
    }
}

struct Writer<'a> {
    /// The request was read from this form of the wire.
    own: bool,
    /// It was read from one of the two forms.
    kin: bool,
    /// Names of the calls so far by id: results of this wire repeat the name of their call.
    calls: HashMap<String, String>,
    turns: Vec<Turn>,
    losses: &'a mut Vec<Loss>,
}

impl Writer<'_> {
    fn lose(&mut self, loss: Loss) {
        self.losses.push(loss);
    }

    fn message(&mut self, message: &Message, path: &str) {
        let role = match message.role {
            Role::System | Role::Developer => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        };
        if message.name.is_some() {
            let why = "turns have no names here";
            self.lose(Loss::dropped(format!("{path}.name"), why));
        }
        let first = self.turns.len();
        let mut turns = vec![Turn::new(role)];
        for (at, part) in message.parts.iter().enumerate() {
            let path = format!("{path}.content[{at}]");
            if let PartKind::ToolResult(result) = &part.kind {
                self.beside(part, &path);
                self.result(result, &path);
            } else {
                self.part(part, &path, &mut turns);
            }
        }
        turns.retain(|turn| !turn.is_empty());
        // A turn of nothing was said so; one of which nothing is left is not.
        if turns.is_empty() && message.parts.is_empty() && role != "tool" {
            turns.push(Turn::new(role));
        }
        self.join(&mut turns, path);
        self.turns.append(&mut turns);
        if self.own {
            if let Some(turn) = self.turns.get_mut(first) {
                turn.rest.clone_from(&message.rest);
            }
        } else {
            for loss in crate::writer::foreign(&message.rest, path) {
                self.lose(loss);
            }
        }
    }

    /// One turn of the model is one message; other texts are joined as paragraphs.
    fn join(&mut self, turns: &mut Vec<Turn>, path: &str) {
        if turns.first().is_some_and(|turn| turn.role == "assistant") {
            let mut all = std::mem::take(turns).into_iter();
            if let Some(mut whole) = all.next() {
                for turn in all {
                    whole.images.extend(turn.images);
                    whole.texts.extend(turn.texts);
                    whole.thinking.push_str(&turn.thinking);
                    whole.calls.extend(turn.calls);
                }
                turns.push(whole);
            }
        } else if turns.iter().any(|turn| turn.texts.len() > 1) {
            let why = "its texts become one, with blank lines between them";
            self.lose(Loss::approximated(format!("{path}.content"), why));
        }
    }

    /// A part of a turn. Images stand before the text of their message, so one behind a text begins another.
    fn part(&mut self, part: &Part, path: &str, turns: &mut Vec<Turn>) {
        self.beside(part, path);
        let role = turns.first().map_or("user", |turn| turn.role);
        match &part.kind {
            PartKind::Text { text, citations } => {
                if !citations.is_empty() {
                    let field = format!("{path}.citations");
                    self.lose(Loss::dropped(field, "this wire has no citations"));
                }
                if !text.is_empty() {
                    push_text(turns, text);
                }
            }
            PartKind::Refusal(text) => {
                let why = "this wire has no refusals: it goes as text";
                self.lose(Loss::approximated(path, why));
                push_text(turns, text);
            }
            PartKind::Media(media) => self.media(media, path, turns),
            PartKind::ToolCall(call) if role == "assistant" => {
                let written = self.call(part, call, path);
                if let Some(turn) = turns.last_mut() {
                    turn.calls.push(written);
                }
            }
            PartKind::Reasoning(reasoning) if role == "assistant" => {
                self.reasoning(reasoning, path);
                if let Some(turn) = turns.last_mut() {
                    turn.thinking.push_str(&reasoning.joined());
                }
            }
            PartKind::ToolCall(_) | PartKind::Reasoning(_) => {
                let why = "only a turn of the model can hold it";
                self.lose(Loss::dropped(path, why));
            }
            // Written before, as a message of its own.
            PartKind::ToolResult(_) => {}
            PartKind::ServerToolUse(_)
            | PartKind::ServerToolResult(_)
            | PartKind::Opaque { .. } => {
                self.lose(Loss::dropped(path, "a part of another dialect"));
            }
        }
    }

    /// What stands beside a part and has no place here.
    fn beside(&mut self, part: &Part, path: &str) {
        if part.cache.is_some() {
            let field = format!("{path}.cache_control");
            self.lose(Loss::approximated(field, "the target caches by itself"));
        }
        if !self.own {
            for loss in crate::writer::foreign(&part.rest, path) {
                self.lose(loss);
            }
        }
    }

    fn media(&mut self, media: &Media, path: &str, turns: &mut Vec<Turn>) {
        let beside = [
            ("detail", media.detail.as_ref().is_some_and(|d| d != "auto")),
            ("context", media.context.is_some()),
            ("citations", media.citations == Some(true)),
            (
                "title",
                media.name.is_some() && media.kind != MediaKind::Image,
            ),
        ];
        for (name, _) in beside.iter().filter(|(_, is_set)| *is_set) {
            let field = format!("{path}.{name}");
            self.lose(Loss::dropped(field, "not on this wire"));
        }
        let inline = match &media.source {
            MediaSource::Base64(data) => Some(data.as_str()),
            // What this wire's own consumer wrote goes as it was written.
            MediaSource::Url(url) if self.own => Some(url.as_str()),
            MediaSource::Url(url) => data_url(url).map(|(_, data)| data),
            MediaSource::Text(text) => {
                let why = "a document goes as text";
                self.lose(Loss::approximated(path, why));
                return push_text(turns, text);
            }
            MediaSource::Parts(parts) => {
                let why = "this wire has no documents made of parts: they stand one by one";
                self.lose(Loss::approximated(path, why));
                for (at, part) in parts.iter().enumerate() {
                    self.part(part, &format!("{path}.content[{at}]"), turns);
                }
                return;
            }
            MediaSource::FileId(_) => None,
        };
        let Some(data) = inline.filter(|_| is_image(media)) else {
            let why = match is_image(media) {
                true => "the target fetches no images: their data must be in the request",
                false => "this wire takes images only",
            };
            return self.lose(Loss::dropped(path, why));
        };
        let data = data.to_owned();
        match turns.last_mut() {
            Some(turn) if turn.texts.is_empty() => turn.images.push(data),
            last => {
                let mut turn = Turn::new(last.map_or("user", |turn| turn.role));
                turn.images.push(data);
                turns.push(turn);
            }
        }
    }

    fn call(&mut self, part: &Part, call: &ToolCall, path: &str) -> Vec<u8> {
        self.calls.insert(call.id.clone(), call.name.clone());
        let arguments = match call.arguments.trim() {
            "" if call.flavour == ToolFlavour::Function => Some("{}"),
            text if call.flavour == ToolFlavour::Function => Object::parse(text).ok().map(|_| text),
            _ => None,
        };
        if arguments.is_none() {
            let why = "text that is no JSON object stands in one field";
            self.lose(Loss::approximated(format!("{path}.arguments"), why));
        }
        if call.namespace.is_some() {
            let why = "this wire has no groups of tools";
            self.lose(Loss::dropped(format!("{path}.namespace"), why));
        }
        if call.artefact.is_some() {
            let why = "the target cannot verify it";
            self.lose(Loss::dropped(format!("{path}.signature"), why));
        }
        let mut out = Vec::new();
        let mut object = ObjectWriter::new(&mut out);
        object.string_if("id", self.told_id(&call.id));
        object.object("function", |function| {
            function.string("name", &call.name);
            match arguments {
                Some(json) => function.raw("arguments", json),
                None => function.object("arguments", |arguments| {
                    arguments.string(FREE_TEXT, &call.arguments);
                }),
            };
            if self.own
                && let Some(json) = part.rest.get("function")
                && let Some(inner) = Object::from_raw(json.raw())
            {
                function.rest(&inner.into_rest());
            }
        });
        if self.own {
            for (name, value) in part.rest.iter().filter(|(name, _)| *name != "function") {
                object.raw(name, value.as_str());
            }
        }
        object.end();
        out
    }

    fn result(&mut self, result: &ToolResult, path: &str) {
        if result.is_error == Some(true) {
            // Its words stay as they are: what went wrong is theirs to say.
            let field = format!("{path}.is_error");
            self.lose(Loss::dropped(field, "the wire cannot mark a failed tool"));
        }
        let mut inside = vec![Turn::new("tool")];
        for (at, part) in result.parts.iter().enumerate() {
            self.part(part, &format!("{path}.content[{at}]"), &mut inside);
        }
        let mut turn = Turn::new("tool");
        for one in inside {
            turn.images.extend(one.images);
            turn.texts.extend(one.texts);
        }
        if turn.texts.len() > 1 {
            let why = "its texts become one, with blank lines between them";
            self.lose(Loss::approximated(path, why));
        }
        let known = self.calls.get(&result.call_id).filter(|_| !self.own);
        turn.tool_name = result.name.clone().or(known.cloned());
        turn.tool_call_id = self.told_id(&result.call_id).map(str::to_owned);
        self.turns.push(turn);
    }

    /// The text of a thought goes; what proves it, nobody here can verify.
    fn reasoning(&mut self, reasoning: &Reasoning, path: &str) {
        if reasoning.artefact.is_some() {
            let why = "the target cannot verify it";
            self.lose(Loss::dropped(format!("{path}.signature"), why));
        }
    }

    /// An id, unless we made it up.
    fn told_id<'i>(&self, id: &'i str) -> Option<&'i str> {
        let made_up = id.starts_with(NAMELESS) || !self.kin && id.starts_with(MADE_UP);
        (!id.is_empty() && !made_up).then_some(id)
    }
}

fn push_text(turns: &mut [Turn], text: &str) {
    if let Some(turn) = turns.last_mut() {
        turn.texts.push(text.to_owned());
    }
}

fn is_image(media: &Media) -> bool {
    let mime = media.mime.as_deref().unwrap_or_default();
    media.kind == MediaKind::Image || mime.starts_with("image/")
}
