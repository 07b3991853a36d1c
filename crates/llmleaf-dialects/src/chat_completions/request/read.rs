//! A request's top level, read.

use super::super::fields::{Fields, Path};
use super::super::{messages, reasoning, tools};
use crate::head;
use crate::object::Object;
use llmleaf_model::{ChatRequest, DialectName, Failure, Json, Output, ResponseFormat, Sampling};

/// Most answers of one request: each costs a whole generation. The wire's own bound.
const MAX_CHOICES: u64 = 128;

pub(super) fn parse(body: &str) -> Result<ChatRequest, Failure> {
    let object = Object::parse(body).map_err(|error| head::invalid_json(&error))?;
    let root = Path::ROOT;
    let mut fields = Fields::of(object, &root);
    let model = fields.model()?;
    if model.is_empty() {
        return Err(fields.must("model", "a non-empty string"));
    }
    let mut request = ChatRequest::new(DialectName::ChatCompletions, model);
    let list = fields
        .list("messages")?
        .filter(|list| !list.is_empty())
        .ok_or_else(|| fields.must("messages", "a non-empty list"))?;
    request.messages = messages::parse(&list, &root.key("messages"))?;
    request.sampling = sampling(&mut fields)?;
    request.tools = tools::parse_all(&mut fields, &root)?;
    request.tool_choice = tools::parse_choice(&mut fields);
    request.parallel_tool_calls = fields.boolean("parallel_tool_calls")?;
    request.response_format = response_format(&mut fields, &root)?;
    request.reasoning = reasoning::parse_config(&mut fields, &root)?;
    request.output = Output {
        modalities: fields.strings("modalities")?,
        audio: fields.json("audio"),
        verbosity: fields.string("verbosity")?,
    };
    request.stream = fields.boolean("stream")?.unwrap_or(false);
    let stream_options = stream_options(&mut fields, &root, &mut request)?;
    request.user = fields.string("user")?;
    if request.user.is_none() {
        // What the reference has in its place (OpenAPI document 2.3.0, 2026-08).
        request.user = fields.string("safety_identifier")?;
    }
    request.metadata = fields.json("metadata");
    if request
        .metadata
        .as_ref()
        .is_some_and(|m| !m.as_str().starts_with('{'))
    {
        return Err(fields.must("metadata", "an object"));
    }
    request.service_tier = fields.string("service_tier")?;
    request.prompt_cache_key = fields.string("prompt_cache_key")?;
    request.cache = fields.cache()?;
    request.store = fields.boolean("store")?;
    request.rest = fields.rest();
    if let Some(options) = stream_options {
        request.rest.push("stream_options", options);
    }
    Ok(request)
}

fn sampling(fields: &mut Fields<'_, '_>) -> Result<Sampling, Failure> {
    // Mistral's SDKs send this one even where nothing is asked by it, and call the seed otherwise (OpenAPI document 1.0.0).
    fields.pass("safe_prompt", "false");
    let seed = match fields.number("seed")? {
        None => fields.number("random_seed")?,
        seed => seed,
    };
    let mut cap = fields.integer("max_completion_tokens", 1, u64::MAX)?;
    if cap.is_none() {
        cap = fields.integer("max_tokens", 1, u64::MAX)?;
    }
    Ok(Sampling {
        max_output_tokens: cap,
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        top_k: fields.number("top_k")?,
        min_p: fields.number("min_p")?,
        frequency_penalty: fields.number("frequency_penalty")?,
        presence_penalty: fields.number("presence_penalty")?,
        repetition_penalty: fields.number("repetition_penalty")?,
        seed,
        stop: fields.strings("stop")?,
        choices: fields.integer("n", 1, MAX_CHOICES)?,
        // A few services take a number here, as the older completions do; it stays in the rest.
        logprobs: fields.boolean_if("logprobs"),
        top_logprobs: fields.integer("top_logprobs", 0, u64::MAX)?,
        logit_bias: fields.json("logit_bias"),
    })
}

/// Takes the usage flag; returns what else the options hold.
fn stream_options(
    fields: &mut Fields<'_, '_>,
    root: &Path<'_>,
    request: &mut ChatRequest,
) -> Result<Option<Json>, Failure> {
    let Some(raw) = fields.raw("stream_options") else {
        return Ok(None);
    };
    let path = root.key("stream_options");
    let mut options = Fields::read(raw, &path)?;
    request.stream_usage = options.boolean("include_usage")?.unwrap_or(false);
    Ok(options.left())
}

fn response_format(
    fields: &mut Fields<'_, '_>,
    root: &Path<'_>,
) -> Result<Option<ResponseFormat>, Failure> {
    let Some(raw) = fields.raw("response_format") else {
        return Ok(None);
    };
    let path = root.key("response_format");
    let mut format = Fields::read(raw, &path)?;
    let kind = format.needed_string("type")?;
    Ok(Some(match kind.as_str() {
        "text" => ResponseFormat::Text,
        "json_object" => match format.raw("schema") {
            // Several services take the schema here.
            Some(schema) => ResponseFormat::JsonSchema {
                name: None,
                description: None,
                schema: Json::from(schema),
                strict: None,
            },
            None => ResponseFormat::JsonObject,
        },
        "json_schema" => {
            let inner_path = path.key("json_schema");
            let raw = format
                .raw("json_schema")
                .ok_or_else(|| inner_path.must("an object"))?;
            let mut inner = Fields::read(raw, &inner_path)?;
            ResponseFormat::JsonSchema {
                name: inner.string("name")?,
                description: inner.string("description")?,
                schema: inner
                    .json("schema")
                    .unwrap_or_else(|| super::super::json::to_json(b"{}")),
                strict: inner.boolean("strict")?,
            }
        }
        _ => ResponseFormat::Opaque {
            dialect: DialectName::ChatCompletions,
            json: Json::from(raw),
        },
    }))
}
