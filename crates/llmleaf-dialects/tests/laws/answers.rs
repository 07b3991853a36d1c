//! Any bytes, read as a whole response, and what was read, told to consumers of both dialects.

use crate::{json, streams, wires};
use llmleaf_dialects::Dialect;
use llmleaf_model::{BlockKind, Event, FinishReason, Response, Usage};

/// All laws of a whole response.
pub fn hold(dialect: Dialect, choice: u8, body: &[u8]) {
    let wire = wires::pick(dialect, choice);
    let events = wire.parse_response(body);
    streams::lawful(&events);
    assert!(
        events.last().is_some_and(Event::is_terminal),
        "no terminal in {events:?}"
    );
    let response = streams::collect(&events);
    let doubles = json::has_doubles(body);
    // A name behind escapes or given twice is found by the whole reading only; no service writes so.
    let plain = !doubles && !body.windows(2).any(|pair| pair == b"\\u");
    // A number that no float can hold spoils the whole reading, wherever it stands.
    let readable =
        !matches!(events.last(), Some(Event::Error(f)) if f.message.contains("out of range"));
    if let Some(usage) = wire.outline(body).filter(|_| plain && readable) {
        let whole = response.as_ref().and_then(|r| r.usage.clone());
        let counts = whole.map(|whole| Usage {
            native: None,
            ..whole
        });
        assert_eq!(counts, Some(usage), "{events:?}");
    }
    if let Some(response) = response {
        rendered(&response, choice, doubles);
    }
}

/// Names under which something comes from outside as it is.
const PASSED: &[&str] = &[
    "input",
    "arguments",
    "logprobs",
    "citations",
    "annotations",
    "content",
    "usage",
    "args",
    "message",
    "error",
];

/// A response told to a consumer is JSON, and reads back with the same words.
pub fn rendered(response: &Response, choice: u8, doubles: bool) {
    for to in wires::DIALECTS {
        let reply = to.render_response(response, &wires::context(choice));
        if doubles {
            json::fields(&reply.body);
        } else {
            json::assert_strict(&reply.body, PASSED);
        }
        let events = wires::reference(to).parse_response(&reply.body);
        streams::lawful(&events);
        let ended_by_error = response.choices.iter().any(|c| {
            c.finish
                .as_ref()
                .is_some_and(|f| f.reason == FinishReason::Error)
        });
        if reply.status != 200 || ended_by_error {
            continue;
        }
        let Some(again) = streams::collect(&events) else {
            // An answer without choices is nothing that this wire can say.
            assert!(
                response.choices.is_empty() && to != Dialect::Responses,
                "{response:?}\nbecame {events:?}\nby {}",
                String::from_utf8_lossy(&reply.body)
            );
            continue;
        };
        let answers = match to {
            Dialect::ChatCompletions | Dialect::GenerateContent | Dialect::TextCompletions => {
                response.choices.len()
            }
            Dialect::Messages | Dialect::Responses | Dialect::Ollama(_) | Dialect::CohereChat => {
                1.min(response.choices.len())
            }
        };
        for at in 0..answers {
            assert_eq!(
                streams::whole_text(to, &again, at),
                streams::whole_text(to, response, at),
                "{response:?}\nbecame {again:?}"
            );
            // Where a call has no name, the reading waits for one and the call comes last.
            if to != Dialect::TextCompletions
                && calls(response, at).iter().all(|call| !call.1.is_empty())
            {
                assert_eq!(calls(&again, at), calls(response, at));
            }
        }
    }
}

/// Ids and names of the calls of one answer.
fn calls(response: &Response, choice: usize) -> Vec<(&str, &str)> {
    let blocks = response
        .choices
        .get(choice)
        .into_iter()
        .flat_map(|c| &c.blocks);
    blocks
        .filter_map(|b| match &b.kind {
            BlockKind::ToolCall { id, name, .. } => Some((id.as_str(), name.as_str())),
            _ => None,
        })
        .collect()
}
