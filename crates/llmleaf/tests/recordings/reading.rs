//! The reference reading of a recording, and of what a consumer got.

use llmleaf_testkit::digest::{
    Digest, ErrorClass, anthropic_error, anthropic_stream, anthropic_unary, openai_chat_stream,
    openai_chat_unary, openai_error, openai_responses_stream, openai_responses_unary,
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
}

impl Spoken {
    /// The dialect that an exchange was recorded in.
    pub fn of(recording: &Recording) -> Self {
        match recording.wire.as_str() {
            "anthropic-messages" => Spoken::Messages,
            "openai-responses" => Spoken::Responses,
            _ => Spoken::Chat,
        }
    }

    pub fn others(self) -> impl Iterator<Item = Self> {
        let all = [Spoken::Chat, Spoken::Messages, Spoken::Responses];
        all.into_iter().filter(move |other| *other != self)
    }

    pub fn name(self) -> &'static str {
        match self {
            Spoken::Chat => "chat",
            Spoken::Messages => "messages",
            Spoken::Responses => "responses",
        }
    }

    pub fn path(self) -> &'static str {
        match self {
            Spoken::Chat => "/v1/chat/completions",
            Spoken::Messages => "/v1/messages",
            Spoken::Responses => "/v1/responses",
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
        Body::Sse(text) => stream(spoken, text.as_bytes()),
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

/// What a consumer got.
pub fn received(spoken: Spoken, response: &Response) -> Digest {
    let kind = response.header("content-type").unwrap_or_default();
    if kind.starts_with("text/event-stream") {
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
    }
}

fn whole(spoken: Spoken, status: u16, body: &[u8]) -> Digest {
    let text = String::from_utf8_lossy(body);
    if status >= 400 {
        return Digest::of_error(match spoken {
            Spoken::Chat | Spoken::Responses => openai_error(Some(status), &text),
            Spoken::Messages => anthropic_error(Some(status), &text),
        });
    }
    match (json::parse(&text), spoken) {
        (Ok(value), Spoken::Chat) => openai_chat_unary(&value),
        (Ok(value), Spoken::Messages) => anthropic_unary(&value),
        (Ok(value), Spoken::Responses) => openai_responses_unary(&value),
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
