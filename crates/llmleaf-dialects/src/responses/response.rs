//! Whole responses, both ends.

use super::answer::Answer;
use super::events::ResponsesDecoder;
use super::{Quirks, errors};
use crate::broken::{ANSWER, corrupt};
use crate::object::Object;
use crate::{Reply, ReplyContext};
use llmleaf_model::{
    Block, Delta, DialectName, Event, Failure, FailureKind, MediaSource, Response,
};

/// Reads a whole response as events.
pub fn parse_response(body: &[u8], quirks: &Quirks) -> Vec<Event> {
    let mut out = Vec::new();
    let text = std::str::from_utf8(body).map(crate::surrogates::mended);
    match text.as_ref().ok().and_then(|text| Object::parse(text).ok()) {
        Some(response) => ResponsesDecoder::new(quirks).whole(&response, body, &mut out),
        None => out.push(Event::Error(Box::new(corrupt(
            ANSWER,
            "it is not a JSON object",
        )))),
    }
    out
}

/// Renders a whole response for a consumer.
pub fn render_response(response: &Response, context: &ReplyContext) -> Reply {
    let mut answer = Answer::new(context.clone());
    let mut frames = Vec::new();
    let mut tell = |event: Event| {
        answer.tell(&event, &mut frames);
        // A whole response is what the last event of its stream would hold; the events before it are nobody's.
        frames.clear();
    };
    tell(Event::ResponseStart(response.start.clone()));
    let mut number = 0u32;
    for (choice, answered) in (0u32..).zip(&response.choices) {
        for block in &answered.blocks {
            tell(Event::BlockStart {
                block: number,
                choice,
                kind: block.kind.clone(),
            });
            deltas(block, &mut |delta| {
                tell(Event::BlockDelta {
                    block: number,
                    delta,
                });
            });
            tell(Event::BlockEnd { block: number });
            number = number.saturating_add(1);
        }
        if let Some(finish) = &answered.finish {
            let finish = finish.clone();
            tell(Event::ChoiceEnd { choice, finish });
        }
    }
    if let Some(usage) = &response.usage {
        tell(Event::UsageReport(usage.clone()));
    }
    tell(Event::ResponseEnd);
    match answer.response() {
        Some(body) => Reply {
            status: 200,
            body,
            losses: answer.take_losses(),
        },
        None => {
            let why = "the provider ended the answer with an error";
            let failure = Failure::upstream(FailureKind::Server, why);
            errors::render_error(&failure, &context.request_id)
        }
    }
}

/// A whole block as the deltas that it may have grown by.
fn deltas(block: &Block, tell: &mut dyn FnMut(Delta)) {
    // What names a call's group comes first.
    for json in &block.opaque {
        tell(Delta::Opaque {
            dialect: DialectName::Responses,
            json: json.clone(),
        });
    }
    if !block.text.is_empty() {
        tell(Delta::Text(block.text.clone()));
    }
    if !block.arguments.is_empty() {
        tell(Delta::Arguments(block.arguments.clone()));
    }
    for citation in &block.citations {
        tell(Delta::Citation(Box::new(citation.clone())));
    }
    for json in &block.logprobs {
        tell(Delta::Logprobs(json.clone()));
    }
    if let Some(artefact) = &block.artefact {
        tell(Delta::Artefact(artefact.clone()));
    }
    match &block.media {
        Some(MediaSource::Base64(data)) => tell(Delta::MediaData(data.clone())),
        Some(MediaSource::Url(url)) => tell(Delta::MediaUrl(url.clone())),
        _ => {}
    }
}
