//! Any bytes, edited for a provider of the same wire: only what is named changes, and a second edit changes nothing.

use crate::{json, wires};
use bytes::Bytes;
use llmleaf_dialects::{ChatWire, Dialect, Target, head};
use serde_json::Value;
use serde_json::value::RawValue;

/// All laws of edits.
pub fn hold(dialect: Dialect, choice: u8, body: &[u8]) {
    let wire = wires::pick(dialect, choice);
    let body = Bytes::copy_from_slice(body);
    let Ok(head) = wires::head(dialect, &body, "asked", choice & 8 != 0) else {
        return;
    };
    let target = Target {
        model: if choice & 0x20 == 0 {
            "q\"\\"
        } else {
            &head.model
        },
        stream: choice & 0x10 != 0,
    };
    let Ok(edited) = wire.edit_request(&head, &body, target) else {
        return;
    };
    changed_as_named(&wire, target, &body, &edited.body);

    let text = head::text(&body).unwrap();
    let json = serde_json::from_str::<serde::de::IgnoredAny>(text);
    assert!(json.is_ok(), "taken for JSON: {text}");
    let after = head::text(&edited.body).unwrap();
    if dialect.parse_request(text).is_ok() {
        let parsed = dialect.parse_request(after);
        assert!(parsed.is_ok(), "{parsed:?}: {text}\nbecame {after}");
    }

    let head = wires::head(dialect, &edited.body, target.model, target.stream).unwrap();
    assert_eq!(
        (head.model.as_str(), head.stream),
        (target.model, target.stream)
    );
    let second = wire.edit_request(&head, &edited.body, target).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&second.body),
        after,
        "a second edit of {text}"
    );
    assert!(second.losses.is_empty() && !second.usage_added);

    if let Ok(counted) = wire.edit_count(&head, &edited.body, "m") {
        json::fields(head::text(&counted.body).unwrap().as_bytes());
    }
}

/// Fields that an edit may touch; the others keep every byte and their order.
const NAMED: &[&str] = &[
    "model",
    "stream",
    "stream_options",
    "messages",
    "input",
    "max_tokens",
    "max_completion_tokens",
    "seed",
    "logprobs",
    "stop",
    "parallel_tool_calls",
    "user",
    "safety_identifier",
    "contents",
    "generateContentRequest",
    "generate_content_request",
];

/// Wishes for the choice of a target, told by the type of their value: they go on as they are to services that choose
/// themselves, and stay behind otherwise.
fn is_wish(name: &str, value: &str) -> bool {
    let first = match name {
        "models" => '[',
        "provider" => '{',
        "route" => '"',
        _ => return false,
    };
    value.starts_with(first)
}

fn changed_as_named(wire: &ChatWire, target: Target<'_>, before: &[u8], after: &[u8]) {
    let before = json::fields(head::text(before).unwrap().as_bytes());
    let after = json::fields(head::text(after).unwrap().as_bytes());
    let unnamed = |fields: &[(String, &RawValue)]| -> Vec<(String, String)> {
        let fields = fields.iter().filter(|(n, _)| !NAMED.contains(&n.as_str()));
        fields
            .map(|(n, v)| (n.clone(), v.get().to_owned()))
            .collect()
    };
    // Where the model stands in the path, routing reads nothing in the body.
    let routed = wire.dialect() != Dialect::GenerateContent;
    let cut = |name: &str, value: &str| routed && !wire.routes() && is_wish(name, value);
    let mut before_unnamed = unnamed(&before);
    before_unnamed.retain(|(name, value)| !cut(name, value));
    assert_eq!(unnamed(&after), before_unnamed, "an unnamed field changed");
    let mut names: Vec<_> = after.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), after.len(), "a field was doubled");

    let get = |fields: &[(String, &RawValue)], name: &str| {
        let found = fields.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.get().to_owned())
    };
    if wire.dialect() != Dialect::GenerateContent {
        let model: String = serde_json::from_str(&get(&after, "model").unwrap()).unwrap();
        assert_eq!(model, target.model);
        let stream = get(&after, "stream").filter(|value| value != "null");
        let unasked = wire.dialect().streams_unasked();
        let streams = stream.map_or(unasked, |value| value == "true");
        assert_eq!(streams, target.stream);
    } else if let Some(model) = get(&after, "model") {
        let model: String = serde_json::from_str(&model).unwrap();
        assert_eq!(model.trim_start_matches("models/"), target.model);
    }

    let messages = |fields: &[(String, &RawValue)]| -> Option<Value> {
        serde_json::from_str(&get(fields, "messages")?).ok()
    };
    // Doubled names inside mean different things to different readers.
    if get(&before, "messages").is_none_or(|m| json::has_doubles(m.as_bytes())) {
        return;
    }
    if let (Some(mut was), Some(is)) = (messages(&before), messages(&after)) {
        match wire {
            ChatWire::Completions(quirks) => {
                if quirks.request.instructions
                    == llmleaf_dialects::chat_completions::quirks::InstructionRole::SystemOnly
                {
                    rename_developers(&mut was);
                }
                assert_eq!(is, was, "the messages changed");
            }
            ChatWire::Responses(_) => assert_eq!(is, was, "a field of another wire changed"),
            // Sealed blocks leave; what else stands in the turns stays.
            ChatWire::Messages(_) if !was.to_string().contains("llmleaf") => {
                assert_eq!(is, was, "the messages changed");
            }
            // Its turns are `contents`.
            ChatWire::GenerateContent(_) | ChatWire::TextCompletions(_) => {
                assert_eq!(is, was, "an unnamed field changed")
            }
            // Sealed artefacts leave.
            ChatWire::Ollama(_) | ChatWire::CohereChat if !was.to_string().contains("llmleaf") => {
                assert_eq!(is, was, "the messages changed");
            }
            ChatWire::Messages(_) | ChatWire::Ollama(_) | ChatWire::CohereChat => assert_eq!(
                is.as_array().map(Vec::len),
                was.as_array().map(Vec::len),
                "a turn is gone"
            ),
        }
    }
}

fn rename_developers(messages: &mut Value) {
    for message in messages.as_array_mut().into_iter().flatten() {
        if message.get("role").is_some_and(|r| r == "developer") {
            message["role"] = "system".into();
        }
    }
}
