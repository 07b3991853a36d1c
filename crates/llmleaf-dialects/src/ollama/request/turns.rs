//! The conversation, from the wire.

use super::signatures;
use crate::level::{Level, wrong};
use crate::object::{Object, string};
use crate::ollama::wire::{NAMELESS, SIGNATURES, sniff};
use llmleaf_model::{
    Failure, Json, Media, MediaKind, MediaSource, Message, Part, PartKind, Rest, Role, ToolCall,
    ToolFlavour, ToolResult,
};
use serde_json::value::RawValue;
use std::collections::{HashMap, VecDeque};

/// Calls seen so far and not answered: results that name no call answer the first of their tool, or the first of all.
#[derive(Default)]
struct Calls {
    /// Id and name; nothing where it is answered.
    all: Vec<Option<(String, String)>>,
    by_id: HashMap<String, VecDeque<usize>>,
    by_name: HashMap<String, VecDeque<usize>>,
    /// All before this one are answered.
    first: usize,
}

impl Calls {
    fn push(&mut self, id: &str, name: &str) {
        let at = self.all.len();
        self.by_id.entry(id.to_owned()).or_default().push_back(at);
        self.by_name
            .entry(name.to_owned())
            .or_default()
            .push_back(at);
        self.all.push(Some((id.to_owned(), name.to_owned())));
    }

    /// Takes the first of these that is not answered yet.
    fn first_of(
        all: &mut [Option<(String, String)>],
        mut of: Option<&mut VecDeque<usize>>,
    ) -> Option<String> {
        while let Some(at) = of.as_mut()?.pop_front() {
            if let Some((id, _)) = all.get_mut(at).and_then(Option::take) {
                return Some(id);
            }
        }
        None
    }

    fn answered(&mut self, id: Option<String>, name: Option<&str>) -> String {
        let all = self.all.as_mut_slice();
        let found = match (&id, name) {
            (Some(id), _) => Self::first_of(all, self.by_id.get_mut(id)),
            (None, Some(name)) => Self::first_of(all, self.by_name.get_mut(name)),
            (None, None) => {
                let open = all.get_mut(self.first..).unwrap_or_default();
                let next = open.iter().position(Option::is_some);
                self.first += next.unwrap_or(open.len());
                let open = all.get_mut(self.first).and_then(Option::take);
                open.map(|(id, _)| id)
            }
        };
        id.or(found)
            .unwrap_or_else(|| format!("{NAMELESS}to-{}", name.unwrap_or_default()))
    }
}

/// Reads `messages`.
pub(super) fn parse(list: Vec<&RawValue>) -> Result<Vec<Message>, Failure> {
    let mut calls = Calls::default();
    let messages = list.into_iter().enumerate();
    messages
        .map(|(at, raw)| message(Level::of(raw, format!("messages[{at}]"))?, &mut calls))
        .collect()
}

fn message(mut turn: Level<'_>, calls: &mut Calls) -> Result<Message, Failure> {
    let role = match turn.required("role")?.as_str() {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        _ => return Err(wrong(&turn.at("role"), "system, user, assistant or tool")),
    };
    let text = turn.string("content")?.filter(|text| !text.is_empty());
    let images = images(&mut turn)?;
    let bare = images.is_empty();
    let images = images.into_iter().map(PartKind::Media).map(Part::from);
    let mut said: Vec<Part> = images.collect();
    said.extend(text.map(Part::text));
    let mut parts = Vec::new();
    match role {
        Role::Assistant => {
            let thinking = turn.string("thinking")?.unwrap_or_default();
            let sealed = signatures::open(turn.peek(SIGNATURES));
            if sealed.is_some() {
                turn.raw(SIGNATURES);
            }
            let sealed = sealed.unwrap_or_default();
            parts.extend(signatures::thoughts(&thinking, &sealed));
            parts.append(&mut said);
            for (at, raw) in turn
                .list("tool_calls")?
                .unwrap_or_default()
                .iter()
                .enumerate()
            {
                let path = turn.at(&format!("tool_calls[{at}]"));
                let mut part = call(raw, path, calls)?;
                signatures::prove(&mut part, &sealed);
                parts.push(part);
            }
        }
        Role::Tool => {
            let name = turn.string("tool_name")?.filter(|name| !name.is_empty());
            let id = turn.string("tool_call_id")?.filter(|id| !id.is_empty());
            let result = ToolResult {
                call_id: calls.answered(id, name.as_deref()),
                name,
                parts: said,
                bare,
                is_error: None,
                flavour: ToolFlavour::Function,
            };
            parts.push(PartKind::ToolResult(result).into());
        }
        _ => parts = said,
    }
    let mut message = Message::new(role, parts);
    message.bare = bare;
    message.rest = turn.into_rest();
    Ok(message)
}

/// Reads `images`.
pub(super) fn images(level: &mut Level<'_>) -> Result<Vec<Media>, Failure> {
    let path = level.at("images");
    let list = level.list("images")?.unwrap_or_default();
    list.into_iter()
        .map(|raw| {
            let Some(data) = string(raw) else {
                return Err(wrong(&path, "a list of images in base64"));
            };
            // Clients that know other wires send data URLs, which the service refuses; across they are what they mean.
            let source = match data.starts_with("data:") {
                true => MediaSource::Url(data.into_owned()),
                false => MediaSource::Base64(data.into_owned()),
            };
            let mime = match &source {
                MediaSource::Base64(data) => sniff(data).map(str::to_owned),
                _ => None,
            };
            let mut media = Media::new(MediaKind::Image, source);
            media.mime = mime;
            Ok(media)
        })
        .collect()
}

fn call(raw: &RawValue, path: String, calls: &mut Calls) -> Result<Part, Failure> {
    let mut call = Level::of(raw, path)?;
    let mut function = call
        .object("function")?
        .ok_or_else(|| call.missing("function"))?;
    let name = function.required("name")?;
    let arguments = match function.raw("arguments") {
        None => "{}".to_owned(),
        Some(raw) if raw.get().starts_with('{') => raw.get().to_owned(),
        // What clients of other wires send; the service reads it, too.
        Some(raw) => match string(raw).filter(|text| Object::parse(text).is_ok()) {
            Some(text) => text.into_owned(),
            None => return Err(wrong(&function.at("arguments"), "an object")),
        },
    };
    // Its place in the list says the same.
    function.raw("index");
    // There is no other type.
    if call.peek("type").and_then(string).as_deref() == Some("function") {
        call.raw("type");
    }
    let id = call.string("id")?.filter(|id| !id.is_empty());
    let id = id.unwrap_or_else(|| format!("{NAMELESS}{}", calls.all.len()));
    calls.push(&id, &name);
    let inner = function.into_rest();
    let mut rest = call.into_rest();
    if !inner.is_empty() {
        rest.push("function", object_of(&inner));
    }
    let call = ToolCall {
        id,
        name,
        arguments,
        ..ToolCall::default()
    };
    Ok(Part {
        kind: PartKind::ToolCall(call),
        cache: None,
        rest,
    })
}

/// Fields that were kept, as an object.
pub(super) fn object_of(rest: &Rest) -> Json {
    crate::ollama::wire::json_object(|object| {
        object.rest(rest);
    })
}

#[cfg(test)]
mod tests {
    use super::Calls;

    #[test]
    fn a_result_answers_the_first_call_that_is_open() {
        let mut calls = Calls::default();
        for (id, name) in [("1", "f"), ("2", "g"), ("3", "f"), ("4", "g")] {
            calls.push(id, name);
        }
        assert_eq!(calls.answered(None, Some("g")), "2");
        assert_eq!(calls.answered(Some("1".into()), None), "1");
        assert_eq!(calls.answered(None, None), "3");
        assert_eq!(
            calls.answered(None, Some("f")),
            "call_to-f".replace("call_", super::NAMELESS)
        );
        assert_eq!(calls.answered(None, None), "4");
        assert_eq!(calls.answered(Some("9".into()), Some("g")), "9");
        assert_eq!(
            calls.answered(None, None),
            format!("{}to-", super::NAMELESS)
        );
    }

    /// Each look-up once went through all of them.
    #[test]
    fn many_calls_and_results_are_no_harder_than_few() {
        let mut calls = Calls::default();
        (0..200_000).for_each(|n| calls.push(&n.to_string(), "f"));
        for n in (0..200_000).rev() {
            assert_eq!(calls.answered(Some(n.to_string()), None), n.to_string());
        }
        assert!(calls.answered(None, Some("f")).ends_with("to-f"));
    }
}
