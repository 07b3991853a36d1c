//! What becomes of each feature of a request and of an answer, for every consumer dialect and every provider.
//!
//! Each cell is made by the code that serves: a sample with that feature is written in the consumer's dialect, read, rendered for
//! the provider, and what was rendered is read again. A feature that is gone without a reported loss is a fault of this
//! program, and shown as one.
//!
//! Reading order: this file, `asks.rs` (features of requests), `answers.rs` (features of answers), `table.rs`;
//! then `live.rs`, which asks a real service.

pub(crate) mod answers;
pub(crate) mod asks;
pub(crate) mod live;
pub(crate) mod table;

use bytes::Bytes;
use llmleaf_dialects::{
    ChatWire, Dialect, Head, ReplyContext, Target, chat_completions, gemini, messages, ollama,
    responses, text_completions,
};
use llmleaf_model::{ChatRequest, Collector, LossKind, Response};
use llmleaf_providers::{Chat, Provider};
use std::rc::Rc;

/// What became of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Cell {
    /// It arrives.
    Whole,
    /// The nearest thing that the other side has arrives, and that is reported.
    Near,
    /// It does not arrive, and that is reported.
    Lost,
    /// The request is refused for it, with an error that says so.
    Refused,
    /// The side that it comes from has no form for it.
    NoForm,
    /// It is gone, and nobody is told: a fault.
    Silent,
}

/// Consumer dialects, by the names that this program prints.
pub(crate) const DIALECTS: &[(&str, Dialect)] = &[
    ("chat-completions", Dialect::ChatCompletions),
    ("messages", Dialect::Messages),
    ("responses", Dialect::Responses),
    ("generate-content", Dialect::GenerateContent),
    ("ollama-chat", Dialect::LINES),
    ("cohere-chat", Dialect::CohereChat),
    ("completions", Dialect::TextCompletions),
];

/// The wire of a dialect as its maker documents it.
fn reference(dialect: Dialect) -> ChatWire {
    match dialect {
        Dialect::ChatCompletions => ChatWire::Completions(chat_completions::Quirks::REFERENCE),
        Dialect::Messages => ChatWire::Messages(messages::Quirks::REFERENCE),
        Dialect::Responses => ChatWire::Responses(responses::Quirks::REFERENCE),
        Dialect::GenerateContent => ChatWire::GenerateContent(gemini::Quirks::REFERENCE),
        Dialect::Ollama(form) => ChatWire::Ollama(ollama::Quirks {
            form,
            ..ollama::Quirks::REFERENCE
        }),
        Dialect::CohereChat => ChatWire::CohereChat,
        Dialect::TextCompletions => ChatWire::TextCompletions(text_completions::Quirks::REFERENCE),
    }
}

/// The wire that a consumer of this dialect gets: its own where the provider has it.
pub(crate) fn wire_for(provider: &Provider, dialect: Dialect) -> Option<&ChatWire> {
    let wires = || {
        provider.speaks.chat.iter().filter_map(|chat| match chat {
            Chat::Wire(wire, _) => Some(wire),
            Chat::Echo => None,
        })
    };
    wires()
        .find(|wire| wire.dialect() == dialect)
        .or_else(|| wires().next())
}

/// A model of the provider that can do most of what there is: what may be asked depends on it.
fn model(provider: &Provider) -> &'static str {
    match provider.name {
        "anthropic" => "claude-opus-4-6",
        "gemini" => "gemini-2.5-pro",
        "cohere" => "command-a-reasoning-08-2025",
        "openrouter" => "anthropic/claude-opus-4.6",
        "mistral" => "magistral-medium-latest",
        "deepseek" => "deepseek-reasoner",
        "xai" => "grok-4",
        "moonshot" => "kimi-k2.6",
        "zai" => "glm-4.6",
        "ollama" => "gpt-oss:20b",
        _ => "gpt-5.1",
    }
}

/// What becomes of a feature of a request.
pub(crate) fn ask(feature: &asks::Feature, dialect: Dialect, provider: &Provider) -> Cell {
    match wire_for(provider, dialect) {
        Some(wire) => ask_on(feature, dialect, wire, model(provider)),
        None => Cell::NoForm,
    }
}

/// The same on a wire, for a model there.
pub(crate) fn ask_on(
    feature: &asks::Feature,
    dialect: Dialect,
    wire: &ChatWire,
    model: &str,
) -> Cell {
    let mut request = ChatRequest::new(dialect.name(), "sample");
    asks::plain(&mut request);
    (feature.make)(&mut request);
    let own = Target {
        model: "sample",
        stream: false,
    };
    let Ok(written) = reference(dialect).render_request(&request, own) else {
        return Cell::NoForm;
    };
    let asked = std::str::from_utf8(&written.body).ok();
    let Some(Ok(asked)) = asked.map(|text| dialect.parse_request(text)) else {
        return Cell::NoForm;
    };
    if !(feature.holds)(&asked) {
        return Cell::NoForm;
    }
    let target = Target {
        model,
        stream: false,
    };
    let rendered = if wire.dialect() == dialect {
        let head = match dialect {
            Dialect::GenerateContent => Head::addressed(&written.body, "sample".to_owned(), false),
            _ => Head::read_as(dialect, &written.body),
        };
        head.and_then(|head| wire.edit_request(&head, &written.body, target))
    } else {
        wire.render_request(&asked, target)
    };
    let Ok(rendered) = rendered else {
        return Cell::Refused;
    };
    let arrived = as_documented(wire, &rendered.body);
    let arrived = arrived.and_then(|text| wire.dialect().parse_request(&text).ok());
    let arrives = arrived.is_some_and(|request| (feature.holds)(&request));
    let told = |kind| rendered.losses.iter().any(|loss| loss.kind == kind);
    if told(LossKind::Dropped) {
        return Cell::Lost;
    }
    match (
        arrives,
        told(LossKind::Approximated) || told(LossKind::Altered),
    ) {
        (true, false) => Cell::Whole,
        (_, true) => Cell::Near,
        (false, false) => Cell::Silent,
    }
}

/// What becomes of a feature of an answer.
pub(crate) fn answer(feature: &answers::Feature, dialect: Dialect, provider: &Provider) -> Cell {
    let Some(wire) = wire_for(provider, dialect) else {
        return Cell::NoForm;
    };
    let mut response = Response::default();
    answers::plain(&mut response);
    (feature.make)(&mut response);
    let written = wire.dialect().render_response(&response, &context());
    let Some(answered) = read(wire, &written.body) else {
        return Cell::NoForm;
    };
    if !(feature.holds)(&answered) {
        return Cell::NoForm;
    }
    if wire.dialect() == dialect {
        // The bytes go through.
        return Cell::Whole;
    }
    let told = dialect.render_response(&answered, &context());
    let arrived = read(&reference(dialect), &told.body);
    let arrives = arrived.is_some_and(|response| (feature.holds)(&response));
    match (arrives, told.losses.is_empty()) {
        (true, true) => Cell::Whole,
        (true, false) => Cell::Near,
        (false, false) => Cell::Lost,
        (false, true) => Cell::Silent,
    }
}

/// A rendered body with the names that the wire's maker gave to what its provider calls otherwise.
fn as_documented(wire: &ChatWire, body: &[u8]) -> Option<String> {
    let mut text = std::str::from_utf8(body).ok()?.to_owned();
    let quirks = match wire {
        ChatWire::Completions(quirks) => Some(quirks),
        ChatWire::TextCompletions(quirks) => Some(&quirks.chat),
        _ => None,
    };
    if let Some(quirks) = quirks {
        for (ours, theirs) in quirks.request.renamed.iter() {
            text = text.replace(&format!("\"{theirs}\":"), &format!("\"{ours}\":"));
        }
    }
    Some(text)
}

fn context() -> ReplyContext {
    let mut request = ChatRequest::new(Dialect::ChatCompletions.name(), "sample");
    asks::plain(&mut request);
    // Told only to those who asked.
    request.sampling.logprobs = Some(true);
    ReplyContext {
        fallback_id: "sample".to_owned(),
        request_id: "sample".to_owned(),
        model: "sample".to_owned(),
        stream_usage: true,
        request: Some(Rc::new(request)),
        ..ReplyContext::default()
    }
}

fn read(wire: &ChatWire, body: &[u8]) -> Option<Response> {
    let mut collector = Collector::new();
    for event in wire.parse_response(&Bytes::copy_from_slice(body)) {
        collector.push(event).ok()?;
    }
    Some(collector.into_response())
}

#[cfg(test)]
mod tests;
