//! A request to a provider.

use super::write::Conversation;
use super::{options, thinking, tools};
use crate::ollama::quirks::is_kin;
use crate::ollama::wire::{ObjectWriter, array, write_string};
use crate::ollama::{Form, Quirks};
use crate::writer::foreign_field;
use crate::{Rendered, Target};
use llmleaf_model::{ChatRequest, Failure, FailureKind, Loss, ResponseFormat, Retry};

/// Fields of the rest that are written with what they stand in.
const WITHIN: &str = "options";
/// A field that the two forms of this wire share.
const SHARED: &str = "keep_alive";

/// Renders a request for a provider.
///
/// # Errors
/// The request continues a response that only another provider holds, nothing of its messages is left on this wire, or
/// there is more of them than one prompt can say.
pub fn render_request(
    request: &ChatRequest,
    target: Target<'_>,
    quirks: &Quirks,
) -> Result<Rendered, Failure> {
    if request.previous_response_id.is_some() {
        let why = "the target holds no earlier responses";
        return Err(unsupported("previous_response_id", why));
    }
    let own = request.dialect == quirks.form.name();
    let mut losses = Vec::new();
    let talk = Conversation::of(request, own, &mut losses);
    let mut out = Vec::with_capacity(1024);
    let mut body = ObjectWriter::new(&mut out);
    body.string("model", target.model);
    match quirks.form {
        Form::Chat => {
            if talk.is_empty() && !own {
                let why = "nothing in the messages can be sent to the target";
                return Err(unsupported("messages", why));
            }
            array(body.key("messages"), talk.messages(), |out, one| {
                out.extend_from_slice(&one)
            });
            tools::write(&mut body, request, &mut losses);
        }
        Form::Generate => prompt(&mut body, request, &talk, own, &mut losses)?,
    }
    body.bool("stream", target.stream);
    format(&mut body, request, &mut losses);
    thinking::write(
        &mut body,
        request,
        quirks.thinking(target.model),
        own,
        &mut losses,
    );
    options::write(&mut body, request, own, &mut losses);
    for (name, value) in request.rest.iter() {
        let kin = is_kin(request.dialect);
        if kin && name == WITHIN {
            // Written already.
            continue;
        }
        if own || kin && name == SHARED {
            body.raw(name, value.as_str());
        } else {
            foreign_field(name, value, "", &mut losses);
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

/// One prompt with its instructions and images.
fn prompt(
    body: &mut ObjectWriter<'_>,
    request: &ChatRequest,
    talk: &Conversation,
    own: bool,
    losses: &mut Vec<Loss>,
) -> Result<(), Failure> {
    let (system, said) = talk
        .prompt()
        .ok_or_else(|| unsupported("messages", "the target takes one prompt"))?;
    if said.is_none() && !own {
        return Err(unsupported("messages", "there is no prompt"));
    }
    body.string_if("system", Some(system.as_str()).filter(|s| !s.is_empty()));
    if let Some((text, images)) = said {
        body.string("prompt", &text);
        if !images.is_empty() {
            array(body.key("images"), images, |out, one| {
                write_string(out, one)
            });
        }
    }
    if !request.tools.is_empty() {
        losses.push(Loss::dropped("tools", "not with one prompt"));
    }
    Ok(())
}

fn format(body: &mut ObjectWriter<'_>, request: &ChatRequest, losses: &mut Vec<Loss>) {
    match &request.response_format {
        // Free text is what there is without a format.
        None | Some(ResponseFormat::Text) => {}
        Some(ResponseFormat::JsonObject) => {
            body.string("format", "json");
        }
        Some(ResponseFormat::JsonSchema {
            name,
            description,
            schema,
            strict,
        }) => {
            if name.is_some() {
                let why = "this wire's schemas have no name";
                losses.push(Loss::approximated("response_format.json_schema.name", why));
            }
            if description.is_some() {
                let field = "response_format.json_schema.description";
                losses.push(Loss::dropped(field, "not on this wire"));
            }
            if schema.as_str().starts_with('{') {
                if *strict == Some(false) {
                    let why = "this wire always holds the answer to the schema";
                    losses.push(Loss::altered("response_format.json_schema.strict", why));
                }
                body.raw("format", schema.as_str());
            } else {
                let why = "this wire's schemas are objects";
                losses.push(Loss::approximated(
                    "response_format.json_schema.schema",
                    why,
                ));
                body.string("format", "json");
            }
        }
        Some(ResponseFormat::Opaque { .. }) => {
            losses.push(Loss::dropped("response_format", "a form of another wire"));
        }
    }
}

/// Names what the model knows and this wire does not.
fn unknown_here(request: &ChatRequest, losses: &mut Vec<Loss>) {
    let modalities = &request.output.modalities;
    let tier = request.service_tier.as_deref();
    let lost = [
        (
            "modalities",
            !modalities.is_empty() && *modalities != ["text"],
        ),
        ("audio", request.output.audio.is_some()),
        ("verbosity", request.output.verbosity.is_some()),
        ("user", request.user.is_some()),
        ("metadata", request.metadata.is_some()),
        (
            "service_tier",
            tier.is_some_and(|tier| !matches!(tier, "auto" | "default")),
        ),
        ("prompt_cache_key", request.prompt_cache_key.is_some()),
        ("store", request.store == Some(true)),
    ];
    for (name, _) in lost.iter().filter(|(_, is_set)| *is_set) {
        losses.push(Loss::dropped(*name, "not on this wire"));
    }
    if request.cache.is_some() {
        let why = "the target caches by itself";
        losses.push(Loss::approximated("cache_control", why));
    }
}
