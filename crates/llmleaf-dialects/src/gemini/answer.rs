//! What the two renderings of an answer share: parts, facts of the end, how artefacts are shown.

use super::finish;
use super::signature;
use super::wire::{FREE_TEXT, ObjectWriter, array, one_line, write_string};
use crate::ReplyContext;
use crate::losses::Losses;
use crate::object::{Object, items};
use crate::writer::{STOP_TEXT, untold};
use llmleaf_model::{
    Artefact, Citation, DialectName, Finish, FinishReason, Json, Loss, ReasoningForm,
    ResponseStart, Rest, ToolFlavour, Usage,
};
use serde_json::value::RawValue;

/// A part with text.
pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    let mut part = ObjectWriter::new(out);
    part.string("text", text);
    part.end();
}

/// A part with a thought.
pub(super) fn thought(out: &mut Vec<u8>, text: &str) {
    let mut part = ObjectWriter::new(out);
    part.string("text", text).bool("thought", true);
    part.end();
}

/// A part with the proof of a thought, told behind its text or without any. A signature of this wire that stands alone is
/// that of the part before it, which is no thought.
pub(super) fn proof(
    out: &mut Vec<u8>,
    text: &str,
    artefact: &Artefact,
    id: Option<&str>,
    form: ReasoningForm,
    told: bool,
) {
    let mut part = ObjectWriter::new(out);
    part.string("text", text);
    if told || !text.is_empty() || !signature::is_own(artefact) {
        part.bool("thought", true);
    }
    part.string("thoughtSignature", &signature::shown(artefact, id, form));
    part.end();
}

/// A call. False where its arguments are no JSON object: then their text stands in one field.
pub(super) fn call(
    out: &mut Vec<u8>,
    id: &str,
    name: &str,
    flavour: ToolFlavour,
    arguments: &str,
    artefact: Option<&Artefact>,
) -> bool {
    let json = match flavour {
        ToolFlavour::Function if arguments.trim().is_empty() => Some("{}"),
        ToolFlavour::Function => Object::parse(arguments).ok().map(|_| arguments),
        ToolFlavour::Custom => None,
    };
    let mut part = ObjectWriter::new(out);
    part.object("functionCall", |call| {
        call.string("id", id).string("name", name);
        match json {
            Some(json) => call.raw("args", json),
            None => call.object("args", |args| {
                args.string(FREE_TEXT, arguments);
            }),
        };
    });
    if let Some(artefact) = artefact {
        part.string("thoughtSignature", &signature::shown_on_call(artefact));
    }
    part.end();
    json.is_some() || flavour == ToolFlavour::Custom
}

/// A medium made by the model.
pub(super) fn media(out: &mut Vec<u8>, mime: Option<&str>, fallback: &str, data: Source<'_>) {
    let mut part = ObjectWriter::new(out);
    let mime = mime.unwrap_or(fallback);
    match data {
        Source::Inline(data) => part.object("inlineData", |blob| {
            blob.string("mimeType", mime).string("data", data);
        }),
        Source::Url(url) => part.object("fileData", |file| {
            file.string("mimeType", mime).string("fileUri", url);
        }),
    };
    part.end();
}

/// Where a medium's data is.
pub(super) enum Source<'a> {
    Inline(&'a str),
    Url(&'a str),
}

/// Type of a medium of which the provider said none.
pub(super) fn fallback_mime(kind: llmleaf_model::MediaKind) -> &'static str {
    match kind {
        llmleaf_model::MediaKind::Image => "image/png",
        llmleaf_model::MediaKind::Audio => "audio/wav",
        llmleaf_model::MediaKind::Video => "video/mp4",
        _ => "application/octet-stream",
    }
}

/// Writes id and model of a chunk or an answer.
pub(super) fn identity(
    object: &mut ObjectWriter<'_>,
    start: &ResponseStart,
    context: &ReplyContext,
) {
    object.string(
        "modelVersion",
        start.model.as_deref().unwrap_or(&context.model),
    );
    match &start.id {
        Some(id) => object.string("responseId", id),
        None => object.string("responseId", &context.fallback_id),
    };
}

/// Writes the end of a candidate: finish reason, facts, and the sources that other wires cited.
pub(super) fn ending(
    candidate: &mut ObjectWriter<'_>,
    finish: Option<&Finish>,
    sources: &[Citation],
    refused: bool,
    losses: &mut Losses,
) {
    let Some(finish) = finish else {
        return candidate_sources(candidate, sources, losses);
    };
    let native = finish.native.as_deref();
    let own = native.filter(|word| {
        finish::reason(word) == finish.reason && finish.reason != FinishReason::Other
            || finish.reason == FinishReason::ToolCalls && *word == "STOP"
            || finish.reason == FinishReason::Other && is_own_word(word)
    });
    let (word, exact) = match own {
        Some(word) => (word, true),
        None if refused && finish.reason == FinishReason::Stop => {
            finish::word(FinishReason::Refusal)
        }
        None => finish::word(finish.reason),
    };
    candidate.string("finishReason", word);
    if !exact {
        let shown = native.unwrap_or("what the provider said");
        losses.note(Loss::approximated(
            "finish_reason",
            format!("`{shown}` is shown as `{word}`"),
        ));
    }
    let known = |name: &str| FACTS.contains(&name);
    let mut grounded = false;
    for (name, value) in finish.rest.iter() {
        if known(name) {
            grounded |= name == "groundingMetadata" || name == "citationMetadata";
            candidate.raw(name, value.as_str());
        } else if name != "promptFeedback" {
            losses.note(Loss::dropped(name, "not a field of this wire"));
        }
    }
    if finish.stop_sequence.is_some() {
        losses.note(Loss::dropped("stop_sequence", STOP_TEXT));
    }
    if !grounded {
        candidate_sources(candidate, sources, losses);
    }
}

/// Facts of a candidate's end that are written as they are.
const FACTS: [&str; 8] = [
    "finishMessage",
    "safetyRatings",
    "citationMetadata",
    "groundingMetadata",
    "urlContextMetadata",
    "avgLogprobs",
    "logprobsResult",
    "tokenCount",
];

/// True for a word in this wire's capitals.
fn is_own_word(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
}

fn candidate_sources(candidate: &mut ObjectWriter<'_>, sources: &[Citation], losses: &mut Losses) {
    let addressed: Vec<_> = sources.iter().filter(|c| c.url.is_some()).collect();
    if addressed.len() < sources.len() {
        let why = "this wire's citations need an address";
        losses.note(Loss::dropped("citations", why));
    }
    if addressed.is_empty() {
        return;
    }
    losses.note(Loss::approximated(
        "citations",
        "shown as sources of the whole answer",
    ));
    candidate.object("groundingMetadata", |object| {
        array(object.key("groundingChunks"), addressed, |out, source| {
            let mut chunk = ObjectWriter::new(out);
            chunk.object("web", |web| {
                web.string_if("uri", source.url.as_deref())
                    .string_if("title", source.title.as_deref());
            });
            chunk.end();
        });
    });
}

/// The feedback on a prompt that was blocked, which stands beside the candidates.
pub(super) fn feedback(finish: Option<&Finish>) -> Option<&Json> {
    finish.and_then(|finish| finish.rest.get("promptFeedback"))
}

/// True where the answer was read from this wire.
pub(super) fn is_own(usage: Option<&Usage>) -> bool {
    usage
        .and_then(|usage| usage.native.as_ref())
        .is_some_and(|(dialect, _)| *dialect == DialectName::GenerateContent)
}

/// Names facts of a response's start that this wire has no place for.
pub(super) fn lose_start(rest: &Rest, losses: &mut Losses) {
    untold(rest, &[]).for_each(|loss| losses.note(loss));
}

/// `logprobsResult`, in the form that the model has of log-probabilities.
pub(super) fn logprobs(raw: &RawValue) -> Option<Json> {
    let result = Object::from_raw(raw)?;
    let chosen = result.get("chosenCandidates").and_then(items)?;
    let top = result.get("topCandidates").and_then(items);
    let top = top.unwrap_or_default();
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    array(
        object.key("content"),
        chosen.iter().enumerate(),
        |out, (at, raw)| {
            let others = top.get(at).and_then(|raw| Object::from_raw(raw));
            let others = others.and_then(|top| top.get("candidates").and_then(items));
            let mut one = ObjectWriter::new(out);
            token(&mut one, raw);
            array(
                one.key("top_logprobs"),
                others.unwrap_or_default(),
                |out, raw| {
                    let mut one = ObjectWriter::new(out);
                    token(&mut one, raw);
                    one.end();
                },
            );
            one.end();
        },
    );
    object.end();
    Json::parse(std::str::from_utf8(&out).ok()?).ok()
}

fn token(object: &mut ObjectWriter<'_>, raw: &RawValue) {
    let token = Object::from_raw(raw).unwrap_or_default();
    let text = super::wire::text(&token, "token").unwrap_or_default();
    write_string(object.key("token"), &text);
    let number = token.get("logProbability").map(RawValue::get);
    let number = number.filter(|text| text.parse::<f64>().is_ok());
    one_line(object.key("logprob"), number.unwrap_or("0"));
    object.raw("bytes", "null");
}
