//! A request to a provider.

use super::thinking::Thinking;
use super::{config, tools, turns};
use crate::gemini::Quirks;
use crate::gemini::wire::ObjectWriter;
use crate::writer::foreign;
use crate::{Rendered, Target};
use llmleaf_model::{ChatRequest, DialectName, Failure, FailureKind, Loss, Retry};

/// Fields of the rest that are written with what they stand in.
const WITHIN: [&str; 2] = ["generationConfig", "toolConfig"];

/// Renders a request for a provider. The model and whether to stream stand in the path.
///
/// # Errors
/// The request continues a response that only another provider holds, or nothing of its messages is left on this wire.
pub fn render_request(
    request: &ChatRequest,
    target: Target<'_>,
    quirks: &Quirks,
) -> Result<Rendered, Failure> {
    if request.previous_response_id.is_some() {
        return Err(unsupported(
            "previous_response_id",
            "the target holds no earlier responses",
        ));
    }
    let own = request.dialect == DialectName::GenerateContent;
    let rule = quirks.rule(target.model);
    let mut losses = Vec::new();
    let talk = turns::converse(request, quirks, rule, &mut losses);
    if talk.is_empty() {
        return Err(unsupported(
            "messages",
            "nothing in the messages can be sent to the target",
        ));
    }
    let thinking = Thinking::plan(request, rule, &mut losses);
    let mut out = Vec::with_capacity(1024);
    let mut body = ObjectWriter::new(&mut out);
    talk.write(&mut body);
    tools::write(&mut body, request, &mut losses);
    tools::write_config(&mut body, request, &mut losses);
    config::write(&mut body, request, &thinking, &mut losses);
    beside(&mut body, request, quirks, own, &mut losses);
    if !own {
        losses.extend(foreign(&request.rest, ""));
    }
    for (name, value) in request.rest.iter() {
        if own && !WITHIN.contains(&name) {
            body.raw(name, value.as_str());
        }
    }
    body.end();
    if !own {
        unknown_here(request, &mut losses);
    }
    Ok(Rendered {
        body: out.into(),
        losses,
        usage_added: false,
    })
}

/// What this wire cannot say at all: another target may.
fn unsupported(param: &str, why: &str) -> Failure {
    let mut failure = Failure::gateway(FailureKind::Unsupported, why);
    failure.param = Some(param.to_owned());
    failure.retry = Retry::NextTarget;
    failure
}

/// The service class and whether to store.
fn beside(
    body: &mut ObjectWriter<'_>,
    request: &ChatRequest,
    quirks: &Quirks,
    own: bool,
    losses: &mut Vec<Loss>,
) {
    let absent = "not on this wire";
    match request.service_tier.as_deref() {
        None | Some("auto") if !own => {}
        None => {}
        Some("default") if quirks.lacks("serviceTier") => {}
        Some("default") => {
            body.string("serviceTier", "standard");
        }
        Some(tier)
            if !quirks.lacks("serviceTier") && (own || matches!(tier, "flex" | "priority")) =>
        {
            body.string("serviceTier", tier);
        }
        Some(_) => losses.push(Loss::dropped("service_tier", absent)),
    }
    match request.store {
        Some(store) if own && !quirks.lacks("store") => {
            body.bool("store", store);
        }
        // It would be logged for the operator's project, not kept for the consumer.
        Some(true) => losses.push(Loss::dropped("store", absent)),
        _ => {}
    }
}

/// Names what the model knows and this wire does not.
fn unknown_here(request: &ChatRequest, losses: &mut Vec<Loss>) {
    let sampling = &request.sampling;
    let lost = [
        ("min_p", sampling.min_p.is_some()),
        ("repetition_penalty", sampling.repetition_penalty.is_some()),
        ("logit_bias", sampling.logit_bias.is_some()),
        ("audio", request.output.audio.is_some()),
        ("verbosity", request.output.verbosity.is_some()),
        ("user", request.user.is_some()),
        ("metadata", request.metadata.is_some()),
        ("prompt_cache_key", request.prompt_cache_key.is_some()),
    ];
    for (name, _) in lost.iter().filter(|(_, is_set)| *is_set) {
        losses.push(Loss::dropped(*name, "not on this wire"));
    }
    if request.cache.is_some() {
        let why = "the target caches by itself";
        losses.push(Loss::approximated("cache_control", why));
    }
}
