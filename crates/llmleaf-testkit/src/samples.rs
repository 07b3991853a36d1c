//! Small answers in every dialect, made here and cut where a test needs it: before the first content, between two
//! events, before the end.
//!
//! Shapes after the OpenAI OpenAPI document 2.3.0 (2026-08), the Anthropic OpenAPI document (2026-08) and the discovery
//! document of generativelanguage v1beta (2026-08).

mod later;

use std::fmt;

use crate::digest::{
    Digest, ErrorReading, anthropic_error, anthropic_stream, anthropic_unary, gemini_stream,
    gemini_unary, google_error, openai_chat_stream, openai_chat_unary, openai_error,
    openai_responses_stream, openai_responses_unary,
};
use crate::http::Response;
use crate::json::Value;
use crate::sse::SseEvent;

use crate::replay::CANARY;

/// Input tokens that every sample reports.
pub const INPUT_TOKENS: u64 = 11;
/// Output tokens that every sample reports at its end.
pub const OUTPUT_TOKENS: u64 = 5;

/// A dialect, as consumer or provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// OpenAI chat completions.
    Chat,
    /// Anthropic messages.
    Messages,
    /// OpenAI responses.
    Responses,
    /// Gemini `generateContent`.
    Gemini,
}

impl fmt::Display for Wire {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl Wire {
    /// The two that every fault is tried with.
    pub const BOTH: [Wire; 2] = [Wire::Chat, Wire::Messages];

    /// All of them.
    pub const ALL: [Wire; 4] = [Wire::Chat, Wire::Messages, Wire::Responses, Wire::Gemini];

    /// Consumer and provider in every combination of those two.
    pub const PAIRS: [(Wire, Wire); 4] = [
        (Wire::Chat, Wire::Chat),
        (Wire::Messages, Wire::Messages),
        (Wire::Chat, Wire::Messages),
        (Wire::Messages, Wire::Chat),
    ];

    /// The two others, each with itself, with the other, and with one of the first two on either side. What lies between the
    /// wires is tried with the first two; these are tried with the faults that a wire answers in its own way.
    pub const LATER_PAIRS: [(Wire, Wire); 6] = [
        (Wire::Responses, Wire::Responses),
        (Wire::Gemini, Wire::Gemini),
        (Wire::Responses, Wire::Gemini),
        (Wire::Gemini, Wire::Responses),
        (Wire::Messages, Wire::Responses),
        (Wire::Chat, Wire::Gemini),
    ];

    /// A short name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Wire::Chat => "chat",
            Wire::Messages => "messages",
            Wire::Responses => "responses",
            Wire::Gemini => "gemini",
        }
    }

    /// The consumer's path, on a wire that names the model in the body.
    ///
    /// # Panics
    /// Where the path names it.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Wire::Chat => "/v1/chat/completions",
            Wire::Messages => "/v1/messages",
            Wire::Responses => "/v1/responses",
            Wire::Gemini => panic!("the path names the model: see `path_to`"),
        }
    }

    /// The consumer's path to a model.
    #[must_use]
    pub fn path_to(self, model: &str, stream: bool) -> String {
        match (self, stream) {
            (Wire::Gemini, false) => format!("/v1beta/models/{model}:generateContent"),
            (Wire::Gemini, true) => {
                format!("/v1beta/models/{model}:streamGenerateContent?alt=sse")
            }
            _ => self.path().to_owned(),
        }
    }

    /// The wire of a request that reached a provider, by its path.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        if path.contains("/messages") {
            Wire::Messages
        } else if path.contains("/responses") {
            Wire::Responses
        } else if path.contains("enerateContent") {
            Wire::Gemini
        } else {
            Wire::Chat
        }
    }

    /// The body of a consumer's request.
    #[must_use]
    pub fn request(self, model: &str, stream: bool) -> String {
        let messages = r#"[{"role":"user","content":"Say two words."}]"#;
        match self {
            Wire::Chat => {
                format!(r#"{{"model":"{model}","stream":{stream},"messages":{messages}}}"#)
            }
            Wire::Messages => format!(
                r#"{{"model":"{model}","stream":{stream},"max_tokens":64,"messages":{messages}}}"#
            ),
            Wire::Responses => format!(
                r#"{{"model":"{model}","stream":{stream},"input":"Say two words."}}"#
            ),
            // A cap, since a target's wire may demand one.
            Wire::Gemini => r#"{"contents":[{"role":"user","parts":[{"text":"Say two words."}]}],"generationConfig":{"maxOutputTokens":64}}"#.to_owned(),
        }
    }

    /// A streamed answer, by events. The text is sent in pieces of one word.
    #[must_use]
    pub fn stream(self, text: &str) -> Stream {
        let words = text.split_inclusive(' ');
        match self {
            Wire::Chat => Stream {
                lifecycle: vec![chunk(r#"{"role":"assistant","content":""}"#, "null")],
                content: words
                    .map(|word| chunk(&format!(r#"{{"content":"{word}"}}"#), "null"))
                    .collect(),
                ending: vec![
                    chunk("{}", r#""stop""#),
                    format!(
                        "data: {{{CHUNK},\"choices\":[],\"usage\":{{\"prompt_tokens\":{INPUT_TOKENS},\
                         \"completion_tokens\":{OUTPUT_TOKENS},\"total_tokens\":{}}}}}\n\n",
                        INPUT_TOKENS + OUTPUT_TOKENS
                    ),
                    "data: [DONE]\n\n".to_owned(),
                ],
            },
            Wire::Messages => Stream {
                lifecycle: vec![
                    message_start(),
                    named("ping", r#"{"type":"ping"}"#),
                    named(
                        "content_block_start",
                        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
                    ),
                ],
                content: words
                    .map(|word| {
                        let data = format!(
                            r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{word}"}}}}"#
                        );
                        named("content_block_delta", &data)
                    })
                    .collect(),
                ending: vec![
                    named("content_block_stop", r#"{"type":"content_block_stop","index":0}"#),
                    named(
                        "message_delta",
                        &format!(
                            r#"{{"type":"message_delta","delta":{{"stop_reason":"end_turn","stop_sequence":null}},"usage":{{"output_tokens":{OUTPUT_TOKENS}}}}}"#
                        ),
                    ),
                    named("message_stop", r#"{"type":"message_stop"}"#),
                ],
            },
            Wire::Responses => later::responses_stream(text),
            Wire::Gemini => later::gemini_stream(text),
        }
    }

    /// A whole answer.
    #[must_use]
    pub fn whole(self, text: &str) -> String {
        match self {
            Wire::Chat => format!(
                r#"{{"id":"chatcmpl-{CANARY}","object":"chat.completion","created":1700000000,"model":"m-1","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}","refusal":null}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":{INPUT_TOKENS},"completion_tokens":{OUTPUT_TOKENS},"total_tokens":{}}}}}"#,
                INPUT_TOKENS + OUTPUT_TOKENS
            ),
            Wire::Messages => format!(
                r#"{{"id":"msg_{CANARY}","type":"message","role":"assistant","model":"m-1","content":[{{"type":"text","text":"{text}"}}],"stop_reason":"end_turn","stop_sequence":null,"usage":{{"input_tokens":{INPUT_TOKENS},"output_tokens":{OUTPUT_TOKENS}}}}}"#
            ),
            Wire::Responses => later::response("completed", &later::item(text)),
            Wire::Gemini => later::chunk(text, true),
        }
    }

    /// A provider's error body with the error type and words given.
    #[must_use]
    pub fn error(self, kind: &str, message: &str) -> String {
        match self {
            Wire::Gemini => {
                format!(r#"{{"error":{{"code":503,"message":"{message}","status":"{kind}"}}}}"#)
            }
            Wire::Chat | Wire::Responses => {
                format!(
                    r#"{{"error":{{"message":"{message}","type":"{kind}","param":null,"code":null}}}}"#
                )
            }
            Wire::Messages => {
                format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}}}}"#)
            }
        }
    }

    /// The same as an event of a stream.
    #[must_use]
    pub fn error_event(self, kind: &str, message: &str) -> String {
        let body = self.error(kind, message);
        match self {
            Wire::Chat | Wire::Gemini => format!("data: {body}\n\n"),
            Wire::Messages => named("error", &body),
            Wire::Responses => named(
                "error",
                &format!(
                    r#"{{"type":"error","code":"{kind}","message":"{message}","param":null,"sequence_number":9}}"#
                ),
            ),
        }
    }

    /// Reads what a consumer got, streamed or whole.
    #[must_use]
    pub fn read(self, response: &Response) -> Digest {
        let streamed = response
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/event-stream"));
        if streamed {
            self.read_stream(&response.sse().events)
        } else {
            self.read_whole(&response.json())
        }
    }

    /// Reads a stream.
    #[must_use]
    pub fn read_stream(self, events: &[SseEvent]) -> Digest {
        match self {
            Wire::Chat => openai_chat_stream(events),
            Wire::Messages => anthropic_stream(events),
            Wire::Responses => openai_responses_stream(events),
            Wire::Gemini => gemini_stream(events),
        }
    }

    /// Reads a whole body.
    #[must_use]
    pub fn read_whole(self, body: &Value) -> Digest {
        match self {
            Wire::Chat => openai_chat_unary(body),
            Wire::Messages => anthropic_unary(body),
            Wire::Responses => openai_responses_unary(body),
            Wire::Gemini => gemini_unary(body),
        }
    }

    /// Reads an error reply.
    #[must_use]
    pub fn read_error(self, response: &Response) -> ErrorReading {
        match self {
            Wire::Chat | Wire::Responses => openai_error(Some(response.status), &response.text()),
            Wire::Gemini => google_error(Some(response.status), &response.text()),
            Wire::Messages => anthropic_error(Some(response.status), &response.text()),
        }
    }
}

/// A streamed answer, by events.
#[derive(Clone, Debug)]
pub struct Stream {
    /// What comes before the first content.
    pub lifecycle: Vec<String>,
    /// One event a word.
    pub content: Vec<String>,
    /// What comes after the last content, the dialect's terminal last.
    pub ending: Vec<String>,
}

impl Stream {
    /// All events in order.
    pub fn events(&self) -> impl Iterator<Item = &str> {
        let parts = [&self.lifecycle, &self.content, &self.ending];
        parts.into_iter().flatten().map(String::as_str)
    }

    /// The whole body.
    #[must_use]
    pub fn body(&self) -> String {
        self.events().collect()
    }

    /// The body up to the first content.
    #[must_use]
    pub fn head(&self) -> String {
        self.lifecycle.concat()
    }

    /// The body up to and with so many events of content.
    #[must_use]
    pub fn until(&self, content: usize) -> String {
        self.head() + &self.content[..content].concat()
    }

    /// The lengths of the body after each event.
    #[must_use]
    pub fn boundaries(&self) -> Vec<usize> {
        let mut length = 0;
        let ends = self.events().map(|event| {
            length += event.len();
            length
        });
        ends.collect()
    }
}

const CHUNK: &str = r#""id":"chatcmpl-cnry-xxxxxxxxxxxxxxxx","object":"chat.completion.chunk","created":1700000000,"model":"m-1""#;

fn chunk(delta: &str, finish: &str) -> String {
    format!(
        "data: {{{CHUNK},\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}]}}\n\n"
    )
}

fn named(event: &str, data: &str) -> String {
    format!("event: {event}\ndata: {data}\n\n")
}

fn message_start() -> String {
    let data = format!(
        r#"{{"type":"message_start","message":{{"id":"msg_{CANARY}","type":"message","role":"assistant","model":"m-1","content":[],"stop_reason":null,"stop_sequence":null,"usage":{{"input_tokens":{INPUT_TOKENS},"output_tokens":1}}}}}}"#
    );
    named("message_start", &data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::FinishClass;

    #[test]
    fn samples_read_as_what_they_are() {
        for wire in [Wire::Chat, Wire::Messages, Wire::Responses, Wire::Gemini] {
            let mut response = Response {
                status: 200,
                headers: vec![("content-type".into(), "text/event-stream".into())],
                body: wire.stream("two words").body().into_bytes(),
                ..Response::default()
            };
            let streamed = wire.read(&response);
            assert_eq!(streamed.text(), "two words", "{wire}");
            assert!(streamed.terminal && streamed.error.is_none());
            assert_eq!(streamed.finish(), FinishClass::Stop);
            response.headers.clear();
            response.body = wire.whole("two words").into_bytes();
            assert_eq!(wire.read(&response).text(), "two words");
            response.status = 429;
            response.body = wire.error("rate_limit_error", "slow down").into_bytes();
            assert_eq!(wire.read_error(&response).message, "slow down");
        }
    }

    #[test]
    fn a_stream_can_be_cut_at_its_events() {
        let stream = Wire::Messages.stream("two words");
        let whole = stream.body();
        assert!(whole.starts_with(&stream.until(1)));
        assert_eq!(stream.boundaries().len(), 8);
        assert_eq!(stream.boundaries().last(), Some(&whole.len()));
    }
}
