//! The samples of the Responses wire and of Gemini's.

use super::{INPUT_TOKENS, OUTPUT_TOKENS, Stream, named};
use crate::replay::CANARY;

const PLACE: &str = r#""item_id":"msg_1","output_index":0,"content_index":0"#;

/// An answer of the Responses wire, event by event.
pub(super) fn responses_stream(text: &str) -> Stream {
    let mut number = 0;
    let mut event = |name: &str, rest: &str| {
        let data = format!(r#"{{"type":"{name}","sequence_number":{number},{rest}}}"#);
        number += 1;
        named(name, &data)
    };
    let begun = format!(r#""response":{}"#, response("in_progress", ""));
    let lifecycle = vec![
        event("response.created", &begun),
        event("response.in_progress", &begun),
        event(
            "response.output_item.added",
            r#""output_index":0,"item":{"id":"msg_1","type":"message","status":"in_progress","role":"assistant","content":[]}"#,
        ),
        event(
            "response.content_part.added",
            &format!(r#"{PLACE},"part":{}"#, part("")),
        ),
    ];
    let words = text.split_inclusive(' ');
    let content = words
        .map(|word| {
            event(
                "response.output_text.delta",
                &format!(r#"{PLACE},"delta":"{word}","logprobs":[]"#),
            )
        })
        .collect();
    let done = [
        (
            "response.output_text.done",
            format!(r#"{PLACE},"text":"{text}","logprobs":[]"#),
        ),
        (
            "response.content_part.done",
            format!(r#"{PLACE},"part":{}"#, part(text)),
        ),
        (
            "response.output_item.done",
            format!(r#""output_index":0,"item":{}"#, item(text)),
        ),
        (
            "response.completed",
            format!(r#""response":{}"#, response("completed", &item(text))),
        ),
    ];
    let ending = done.iter().map(|(name, rest)| event(name, rest)).collect();
    Stream {
        lifecycle,
        content,
        ending,
    }
}

fn part(text: &str) -> String {
    format!(r#"{{"type":"output_text","annotations":[],"logprobs":[],"text":"{text}"}}"#)
}

/// The one item of an answer.
pub(super) fn item(text: &str) -> String {
    let part = part(text);
    format!(
        r#"{{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{part}]}}"#
    )
}

/// The response object.
pub(super) fn response(status: &str, output: &str) -> String {
    let usage = match status {
        "completed" => format!(
            r#"{{"input_tokens":{INPUT_TOKENS},"input_tokens_details":{{"cached_tokens":0}},"output_tokens":{OUTPUT_TOKENS},"output_tokens_details":{{"reasoning_tokens":0}},"total_tokens":{}}}"#,
            INPUT_TOKENS + OUTPUT_TOKENS
        ),
        _ => "null".to_owned(),
    };
    format!(
        r#"{{"id":"resp_{CANARY}","object":"response","created_at":1700000000,"status":"{status}","error":null,"incomplete_details":null,"model":"m-1","output":[{output}],"usage":{usage}}}"#
    )
}

/// An answer of Gemini's wire, a chunk a word. Nothing comes before the first content, and no mark at the end.
pub(super) fn gemini_stream(text: &str) -> Stream {
    let data = |text: &str, last| format!("data: {}\r\n\r\n", chunk(text, last));
    Stream {
        lifecycle: Vec::new(),
        content: text
            .split_inclusive(' ')
            .map(|word| data(word, false))
            .collect(),
        ending: vec![data("", true)],
    }
}

/// A chunk, or a whole answer.
pub(super) fn chunk(text: &str, last: bool) -> String {
    let finish = match last {
        true => r#","finishReason":"STOP""#,
        false => "",
    };
    format!(
        r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}],"role":"model"}}{finish},"index":0}}],"usageMetadata":{{"promptTokenCount":{INPUT_TOKENS},"candidatesTokenCount":{OUTPUT_TOKENS},"totalTokenCount":{}}},"modelVersion":"m-1","responseId":"{CANARY}"}}"#,
        INPUT_TOKENS + OUTPUT_TOKENS
    )
}
