//! The reference reading of a recording, and of what a consumer got.

use llmleaf_testkit::digest::{
    Digest, ErrorClass, anthropic_error, anthropic_stream, anthropic_unary, cohere_error,
    cohere_stream, cohere_unary, gemini_stream, gemini_unary, google_error, ollama_stream,
    ollama_unary, openai_chat_stream, openai_chat_unary, openai_error, openai_responses_stream,
    openai_responses_unary,
};
use llmleaf_testkit::http::Response;
use llmleaf_testkit::json;
use llmleaf_testkit::recordings::{Body, Recording, boundaries};
use llmleaf_testkit::sse;

/// A consumer's dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    Chat,
    Messages,
    Responses,
    Gemini,
    /// Lines of JSON: a conversation.
    Lines,
    /// The same: one prompt.
    Prompt,
    Cohere,
}

impl Spoken {
    /// The dialect that an exchange was recorded in.
    pub fn of(recording: &Recording) -> Self {
        match recording.wire.as_str() {
            "anthropic-messages" => Spoken::Messages,
            "openai-responses" => Spoken::Responses,
            "gemini-generate" => Spoken::Gemini,
            "ollama-chat" => Spoken::Lines,
            "ollama-generate" => Spoken::Prompt,
            "cohere-v2" => Spoken::Cohere,
            _ => Spoken::Chat,
        }
    }

    pub fn others(self) -> impl Iterator<Item = Self> {
        let all = [
            Spoken::Chat,
            Spoken::Messages,
            Spoken::Responses,
            Spoken::Gemini,
            Spoken::Lines,
            Spoken::Prompt,
            Spoken::Cohere,
        ];
        all.into_iter().filter(move |other| *other != self)
    }

    pub fn name(self) -> &'static str {
        match self {
            Spoken::Chat => "chat",
            Spoken::Messages => "messages",
            Spoken::Responses => "responses",
            Spoken::Gemini => "gemini",
            Spoken::Lines => "lines",
            Spoken::Prompt => "prompt",
            Spoken::Cohere => "cohere",
        }
    }

    /// Where to ask for an answer of a model.
    pub fn path(self, model: &str, stream: bool) -> String {
        match (self, stream) {
            (Spoken::Chat, _) => "/v1/chat/completions".to_owned(),
            (Spoken::Messages, _) => "/v1/messages".to_owned(),
            (Spoken::Responses, _) => "/v1/responses".to_owned(),
            (Spoken::Lines, _) => "/api/chat".to_owned(),
            (Spoken::Prompt, _) => "/api/generate".to_owned(),
            (Spoken::Cohere, _) => "/v2/chat".to_owned(),
            (Spoken::Gemini, false) => format!("/v1beta/models/{model}:generateContent"),
            (Spoken::Gemini, true) => {
                format!("/v1beta/models/{model}:streamGenerateContent?alt=sse")
            }
        }
    }
}

/// `stream`, `whole` or `error`, by the status.
pub fn kind(recording: &Recording) -> &'static str {
    match recording.stream {
        _ if recording.status >= 400 => "error",
        true => "stream",
        false => "whole",
    }
}

/// What a recording says.
pub fn recorded(recording: &Recording) -> Digest {
    let spoken = Spoken::of(recording);
    match &recording.body {
        // An orderly end stands for the blank line that the last event of some lacks.
        Body::Sse(text) if spoken == Spoken::Gemini => {
            stream(spoken, format!("{text}\n\n").as_bytes())
        }
        Body::Sse(text) | Body::Ndjson(text) => stream(spoken, text.as_bytes()),
        body => whole(
            spoken,
            recording.status,
            body.text().unwrap_or_default().as_bytes(),
        ),
    }
}

/// What a recorded stream says up to its error, which ends it whatever follows.
pub fn recorded_to_error(recording: &Recording) -> Digest {
    let Body::Sse(text) = &recording.body else {
        return recorded(recording);
    };
    let spoken = Spoken::of(recording);
    let prefixes = boundaries(text)
        .into_iter()
        .map(|end| &text.as_bytes()[..end]);
    prefixes
        .map(|prefix| stream(spoken, prefix))
        .find(|digest| digest.error.is_some())
        .unwrap_or_else(|| recorded(recording))
}

/// A stream of the one wire without an end marker in which some candidate has no finish reason, or which ends in an error
/// that stands in no event: most are made up, for the tests of an SDK.
pub fn is_unfinished(recording: &Recording) -> bool {
    let spoken = Spoken::of(recording);
    let Body::Sse(text) = &recording.body else {
        return false;
    };
    let mut lines = text.lines();
    spoken == Spoken::Gemini
        && (lines.any(|line| line.trim_start().starts_with("\"error\""))
            || !recorded(recording).terminal)
}

/// Why such a stream is not told as it was recorded.
pub const UNFINISHED: &str =
    "stream: no finish reason was recorded: it is told as one that broke off";

/// What a consumer got.
pub fn received(spoken: Spoken, response: &Response) -> Digest {
    let kind = response.header("content-type").unwrap_or_default();
    if kind.starts_with("text/event-stream") || kind.starts_with("application/x-ndjson") {
        stream(spoken, &response.body)
    } else {
        whole(spoken, response.status, &response.body)
    }
}

fn stream(spoken: Spoken, body: &[u8]) -> Digest {
    let events = sse::parse(body).events;
    match spoken {
        Spoken::Chat => openai_chat_stream(&events),
        Spoken::Messages => anthropic_stream(&events),
        Spoken::Responses => openai_responses_stream(&events),
        Spoken::Gemini => gemini_stream(&events),
        Spoken::Lines | Spoken::Prompt => ollama_stream(body),
        Spoken::Cohere => cohere_stream(&events),
    }
}

fn whole(spoken: Spoken, status: u16, body: &[u8]) -> Digest {
    let text = String::from_utf8_lossy(body);
    if status >= 400 {
        return Digest::of_error(match spoken {
            Spoken::Chat | Spoken::Responses | Spoken::Lines | Spoken::Prompt => {
                openai_error(Some(status), &text)
            }
            Spoken::Messages => anthropic_error(Some(status), &text),
            Spoken::Gemini => google_error(Some(status), &text),
            Spoken::Cohere => cohere_error(Some(status), &text),
        });
    }
    match (json::parse(&text), spoken) {
        (Ok(value), Spoken::Chat) => openai_chat_unary(&value),
        (Ok(value), Spoken::Messages) => anthropic_unary(&value),
        (Ok(value), Spoken::Responses) => openai_responses_unary(&value),
        (Ok(value), Spoken::Gemini) => gemini_unary(&value),
        (Ok(value), Spoken::Lines | Spoken::Prompt) => ollama_unary(&value),
        (Ok(value), Spoken::Cohere) => cohere_unary(&value),
        (Err(_), _) => Digest {
            corrupt: 1,
            ..Digest::default()
        },
    }
}

/// The status that a consumer must see for a recorded error, and the reason where it is not the recorded one.
///
/// A refused credential is the gateway's own and not the consumer's, so it must not read 401 or 403; the statuses of a
/// provider's faults are the gateway's to choose within their class.
pub fn consumer_status(
    recorded: &Digest,
    status: u16,
    text: &str,
) -> (Vec<u16>, Option<&'static str>) {
    const CREDENTIAL: &str =
        "error: the gateway's credential was refused, which the consumer sees as 502";
    let error = recorded.error.as_ref();
    let refused = text.contains("Content violates usage guidelines");
    let message = error.map_or("", |error| error.message.as_str());
    match error.map(|error| error.class) {
        // A router tells with 403 what the service behind it refused for its content: the consumer's own affair.
        _ if refused => (vec![status], None),
        // Google says so with 400.
        _ if text.contains("\"API_KEY_INVALID\"") => (vec![502], Some(CREDENTIAL)),
        // "Project … does not have access to model …": the consumer asked for it.
        Some(ErrorClass::Permission) if error.is_some_and(|e| e.code == "model_not_found") => (
            vec![403, 404],
            Some("error: a model out of reach of the account is not found"),
        ),
        Some(ErrorClass::Auth | ErrorClass::Permission) => (vec![502], Some(CREDENTIAL)),
        Some(ErrorClass::Server | ErrorClass::Overloaded) => (
            vec![500, 502, 503, 529],
            Some("error: a provider's fault is told in the gateway's words"),
        ),
        Some(ErrorClass::RateLimit) if message.contains("exceeded your current quota") => (
            vec![402, 429],
            Some(
                "error: an account that is used up is told in the gateway's words, by 402 where clients would ask on",
            ),
        ),
        Some(ErrorClass::RateLimit) => (
            vec![429],
            Some("error: the gateway's own limit at the provider is told in its words"),
        ),
        // xAI answers a wrong key with 400.
        Some(ErrorClass::InvalidRequest) if message.contains("Incorrect API key") => {
            (vec![502], Some(CREDENTIAL))
        }
        _ => (vec![status], None),
    }
}
