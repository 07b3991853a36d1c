//! How much, how, and in which shape: from the wire.

use crate::level::Level;
use crate::object::string;
use crate::writer::json_object;
use llmleaf_model::{
    ChatRequest, DialectName, Effort, Failure, Json, ReasoningConfig, ResponseFormat,
};
use serde_json::value::RawValue;

/// Reads sampling, `reasoning` and `text`.
pub(super) fn parse(top: &mut Level<'_>, request: &mut ChatRequest) -> Result<(), Failure> {
    let sampling = &mut request.sampling;
    sampling.max_output_tokens = top.integer("max_output_tokens")?;
    sampling.temperature = top.number("temperature")?;
    sampling.top_p = top.number("top_p")?;
    sampling.frequency_penalty = top.number("frequency_penalty")?;
    sampling.presence_penalty = top.number("presence_penalty")?;
    sampling.top_logprobs = top.integer("top_logprobs")?;
    request.reasoning = reasoning(top)?;
    if let Some(mut text) = top.object("text")? {
        request.output.verbosity = text.string("verbosity")?;
        request.response_format = text.raw("format").map(format);
        let rest = text.into_rest();
        if !rest.is_empty() {
            let json = json_object(|object| {
                object.rest(&rest);
            });
            request.rest.push("text", json);
        }
    }
    Ok(())
}

fn reasoning(top: &mut Level<'_>) -> Result<Option<ReasoningConfig>, Failure> {
    let Some(mut level) = top.object("reasoning")? else {
        return Ok(None);
    };
    // A rung that is not known stays in the rest: the provider may know it.
    let effort = level
        .peek("effort")
        .and_then(string)
        .and_then(|text| Effort::parse(&text));
    if effort.is_some() {
        level.raw("effort");
    }
    // The name that it had before (deprecated: OpenAPI document 2.3.0, 2026-08).
    let summary = match level.string("summary")? {
        None => level.string("generate_summary")?,
        summary => summary,
    };
    let config = ReasoningConfig {
        effort,
        summary,
        rest: level.into_rest(),
        ..ReasoningConfig::default()
    };
    // An empty object says nothing.
    Ok((config != ReasoningConfig::default()).then_some(config))
}

fn format(raw: &RawValue) -> ResponseFormat {
    let read = || {
        let mut level = Level::of(raw, String::new()).ok()?;
        Some(match level.string("type").ok()??.as_str() {
            "text" if level.is_empty() => ResponseFormat::Text,
            "json_object" if level.is_empty() => ResponseFormat::JsonObject,
            "json_schema" => {
                let format = ResponseFormat::JsonSchema {
                    name: level.string("name").ok()?,
                    description: level.string("description").ok()?,
                    schema: Json::from(level.raw("schema")?),
                    strict: level.bool("strict").ok()?,
                };
                return level.is_empty().then_some(format);
            }
            _ => return None,
        })
    };
    read().unwrap_or_else(|| ResponseFormat::Opaque {
        dialect: DialectName::Responses,
        json: Json::from(raw),
    })
}
