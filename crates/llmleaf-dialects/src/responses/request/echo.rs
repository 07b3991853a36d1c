//! What an answer repeats of its request.

use super::render::Rendering;
use super::{tools, turns};
use crate::responses::wire::{ObjectWriter, array, json_object};
use llmleaf_model::{ChatRequest, DialectName, Effort, Json, Rest};

/// Fields of a response object that repeat the request.
#[derive(Debug, Default)]
pub(in crate::responses) struct Echo(Rest);

impl Echo {
    /// Reads a request off. Without one everything says the wire's defaults.
    pub fn of(request: Option<&ChatRequest>) -> Self {
        let own = |request: &&ChatRequest| request.dialect == DialectName::Responses;
        let fields = json_object(|object| match request.filter(own) {
            Some(request) => repeat(object, request),
            None => {
                object
                    .bool("parallel_tool_calls", true)
                    .string("tool_choice", "auto")
                    .raw("tools", "[]");
            }
        });
        let fields = crate::object::Object::from_raw(fields.raw());
        Self(fields.unwrap_or_default().into_rest())
    }

    /// Writes the fields.
    pub fn write(&self, object: &mut ObjectWriter<'_>) {
        object.rest(&self.0);
    }
}

fn repeat(object: &mut ObjectWriter<'_>, request: &ChatRequest) {
    let sampling = &request.sampling;
    let text = |object: &mut ObjectWriter<'_>, name: &str, value: Option<&str>| {
        match value {
            Some(value) => object.string(name, value),
            None => object.raw(name, "null"),
        };
    };
    let number = |object: &mut ObjectWriter<'_>, name: &str, value: Option<String>, default| {
        object.raw(name, value.as_deref().unwrap_or(default));
    };
    let kept = |name: &str| request.rest.get(name).map(|json| json.as_str().to_owned());
    let first = request.messages.first();
    text(object, "instructions", first.and_then(turns::instructions));
    let cap = sampling.max_output_tokens.map(|cap| cap.to_string());
    number(object, "max_output_tokens", cap, "null");
    number(object, "max_tool_calls", kept("max_tool_calls"), "null");
    object.bool(
        "parallel_tool_calls",
        request.parallel_tool_calls.unwrap_or(true),
    );
    // Where anything of an earlier response was asked for, its own service answers.
    object.raw("previous_response_id", "null");
    text(
        object,
        "prompt_cache_key",
        request.prompt_cache_key.as_deref(),
    );
    object.object("reasoning", |object| {
        let config = request.reasoning.as_ref();
        let effort = config.and_then(|config| config.effort).map(Effort::as_str);
        text(object, "effort", effort);
        let summary = config.and_then(|config| config.summary.as_deref());
        text(object, "summary", summary);
    });
    text(object, "safety_identifier", request.user.as_deref());
    // Nothing is kept that could be asked for later.
    object.bool("store", false);
    let plain = |number: &Option<serde_json::Number>| number.as_ref().map(ToString::to_string);
    number(object, "temperature", plain(&sampling.temperature), "1");
    number(object, "top_p", plain(&sampling.top_p), "1");
    let top = sampling.top_logprobs.map(|top| top.to_string());
    number(object, "top_logprobs", top, "0");
    let mut rendering = Rendering::repeated();
    let format = rendering.format(request.response_format.as_ref());
    object.object("text", |object| {
        let format = format.as_ref().map_or(r#"{"type":"text"}"#, Json::as_str);
        object
            .raw("format", format)
            .string_if("verbosity", request.output.verbosity.as_deref());
    });
    match &request.tool_choice {
        Some(choice) => tools::render_choice(object, choice, &mut rendering),
        None => {
            object.string("tool_choice", "auto");
        }
    }
    if !tools::render(object, &request.tools, &mut rendering) {
        array(object.key("tools"), [(); 0], |_, ()| {});
    }
    number(object, "truncation", kept("truncation"), "\"disabled\"");
    let metadata = request.metadata.as_ref().map_or("{}", Json::as_str);
    object.raw("metadata", metadata);
}
