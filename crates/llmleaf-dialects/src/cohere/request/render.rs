//! A request to a provider.

use super::thinking::Thinking;
use super::{sampling, tools, turns};
use crate::cohere::wire::{ObjectWriter, array};
use crate::writer::foreign;
use crate::{Rendered, Target};
use llmleaf_model::{ChatRequest, DialectName, Failure, FailureKind, Loss, ResponseFormat, Retry};

/// Renders a request for a provider.
///
/// # Errors
/// The request continues a response that only another provider holds, or nothing of its messages is left on this wire.
pub fn render_request(request: &ChatRequest, target: Target<'_>) -> Result<Rendered, Failure> {
    if request.previous_response_id.is_some() {
        return Err(unsupported(
            "previous_response_id",
            "the target holds no earlier responses",
        ));
    }
    let own = request.dialect == DialectName::CohereChat;
    let mut losses = Vec::new();
    let talk = turns::converse(request, &mut losses);
    if talk.messages.is_empty() {
        return Err(unsupported(
            "messages",
            "nothing in the messages can be sent to the target",
        ));
    }
    let thinking = Thinking::plan(request, &mut losses);
    let mut out = Vec::with_capacity(1024);
    let mut body = ObjectWriter::new(&mut out);
    body.string("model", target.model);
    array(body.key("messages"), &talk.messages, |out, one| {
        out.extend_from_slice(one)
    });
    if !talk.documents.is_empty() {
        array(body.key("documents"), &talk.documents, |out, one| {
            out.extend_from_slice(one)
        });
    }
    let with_tools = tools::write(&mut body, request, &mut losses);
    let alone = own || !with_tools && talk.documents.is_empty();
    format(&mut body, request, alone, &mut losses);
    thinking.write(&mut body);
    sampling::write(&mut body, request, &mut losses);
    if target.stream || request.stream {
        body.bool("stream", target.stream);
    }
    for (name, value) in request.rest.iter() {
        if own {
            body.raw(name, value.as_str());
        }
    }
    if !own {
        losses.extend(foreign(&request.rest, ""));
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

/// Writes `response_format`. `alone`: there are neither tools nor documents, with which the service refuses it (reference).
fn format(body: &mut ObjectWriter<'_>, request: &ChatRequest, alone: bool, losses: &mut Vec<Loss>) {
    const FIELD: &str = "response_format";
    let Some(format) = &request.response_format else {
        return;
    };
    match format {
        ResponseFormat::Opaque {
            dialect: DialectName::CohereChat,
            json,
        } => {
            body.raw(FIELD, json.as_str());
        }
        ResponseFormat::Opaque { .. } => losses.push(Loss::dropped(FIELD, "not on this wire")),
        ResponseFormat::Text => {
            body.object(FIELD, |object| {
                object.string("type", "text");
            });
        }
        _ if !alone => {
            let why = "the target takes it neither with tools nor with documents";
            losses.push(Loss::dropped(FIELD, why));
        }
        ResponseFormat::JsonObject => {
            body.object(FIELD, |object| {
                object.string("type", "json_object");
            });
        }
        ResponseFormat::JsonSchema {
            name,
            description,
            schema,
            strict,
        } => {
            let mut lose = |field: &str, why: &'static str| {
                let field = format!("{FIELD}.json_schema.{field}");
                losses.push(Loss::approximated(field, why));
            };
            if name.is_some() {
                lose("name", "this wire's schemas have no name");
            }
            if description.is_some() {
                lose("description", "this wire's schemas have no description");
            }
            if *strict == Some(false) {
                lose("strict", "this wire always holds the answer to the schema");
            }
            body.object(FIELD, |object| {
                object
                    .string("type", "json_object")
                    .raw("json_schema", schema.as_str());
            });
        }
    }
}

/// Names what the model knows and this wire does not.
fn unknown_here(request: &ChatRequest, losses: &mut Vec<Loss>) {
    let sampling = &request.sampling;
    let output = &request.output;
    let tier = request.service_tier.as_deref();
    let lost = [
        ("min_p", sampling.min_p.is_some()),
        ("repetition_penalty", sampling.repetition_penalty.is_some()),
        ("n", sampling.choices.is_some_and(|n| n > 1)),
        ("top_logprobs", sampling.top_logprobs.is_some()),
        ("logit_bias", sampling.logit_bias.is_some()),
        ("modalities", output.modalities.iter().any(|m| m != "text")),
        ("audio", output.audio.is_some()),
        ("verbosity", output.verbosity.is_some()),
        ("user", request.user.is_some()),
        ("metadata", request.metadata.is_some()),
        ("prompt_cache_key", request.prompt_cache_key.is_some()),
        ("store", request.store == Some(true)),
        (
            "service_tier",
            tier.is_some_and(|tier| !matches!(tier, "auto" | "default")),
        ),
    ];
    for (name, _) in lost.iter().filter(|(_, is_set)| *is_set) {
        losses.push(Loss::dropped(*name, "not on this wire"));
    }
    let hinted = request.cache.is_some()
        || request.tools.iter().any(|tool| tool.cache.is_some())
        || request
            .messages
            .iter()
            .flat_map(|message| &message.parts)
            .any(|part| part.cache.is_some());
    if hinted {
        let why = "the target caches by itself";
        losses.push(Loss::approximated("cache_control", why));
    }
}
