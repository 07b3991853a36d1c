//! `generationConfig`, both ways.

use super::thinking::{self, Thinking};
use crate::gemini::schema::json_schema;
use crate::gemini::wire::{
    ObjectWriter, array, count, inner, json_object, level, whole, write_string,
};
use crate::level::{Level, wrong};
use crate::object::{Object, string};
use llmleaf_model::{ChatRequest, DialectName, Failure, Json, Loss, ResponseFormat, Rest};
use serde_json::Number;
use serde_json::value::RawValue;

/// Reads it; what it does not know stays in the request's rest, under its own name.
pub(super) fn parse(mut config: Level<'_>, request: &mut ChatRequest) -> Result<(), Failure> {
    let sampling = &mut request.sampling;
    sampling.max_output_tokens = count(&mut config, "maxOutputTokens")?;
    sampling.temperature = number(&mut config, "temperature")?;
    sampling.top_p = number(&mut config, "topP")?;
    sampling.top_k = number(&mut config, "topK")?;
    sampling.frequency_penalty = number(&mut config, "frequencyPenalty")?;
    sampling.presence_penalty = number(&mut config, "presencePenalty")?;
    sampling.seed = number(&mut config, "seed")?;
    // 0 is how the mapping spells what is not set.
    sampling.choices = bounded(&mut config, "candidateCount", 128)?.filter(|count| *count > 0);
    sampling.logprobs = config.bool("responseLogprobs")?;
    sampling.top_logprobs = bounded(&mut config, "logprobs", MOST_ALTERNATIVES)?;
    sampling.stop = words(&mut config, "stopSequences")?;
    let modalities = words(&mut config, "responseModalities")?;
    request.output.modalities = modalities
        .into_iter()
        .map(|word| word.to_ascii_lowercase())
        .collect();
    request.response_format = format(&mut config)?;
    if let Some(found) = inner(&mut config, "thinkingConfig")? {
        request.reasoning = Some(thinking::parse(found)?);
    }
    let rest = config.into_rest();
    if !rest.is_empty() {
        request.rest.push("generationConfig", object_of(&rest));
    }
    Ok(())
}

/// Fields that were kept, as an object.
pub(super) fn object_of(rest: &Rest) -> Json {
    json_object(|object| {
        object.rest(rest);
    })
}

/// A count up to what any wire takes.
fn bounded(config: &mut Level<'_>, name: &str, most: u64) -> Result<Option<u64>, Failure> {
    let path = config.at(name);
    match count(config, name)? {
        Some(found) if found > most => Err(wrong(&path, &format!("at most {most}"))),
        found => Ok(found),
    }
}

fn number(config: &mut Level<'_>, name: &str) -> Result<Option<Number>, Failure> {
    // Numbers may be strings here.
    let quoted = config.peek(name).and_then(string);
    let Some(text) = quoted else {
        return config.number(name);
    };
    let path = config.at(name);
    config.raw(name);
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|_| wrong(&path, "a number"))
}

fn words(config: &mut Level<'_>, name: &str) -> Result<Vec<String>, Failure> {
    let path = config.at(name);
    config
        .list(name)?
        .unwrap_or_default()
        .into_iter()
        .map(|raw| match string(raw) {
            Some(text) => Ok(text.into_owned()),
            None => Err(wrong(&path, "a list of strings")),
        })
        .collect()
}

/// Takes what the text of the answer must be out of `responseFormat`, which has a place for each modality (OpenAPI document of
/// 2026-08); one that asks for more, or cannot be read, is kept.
fn flat_format(config: &mut Level<'_>) -> Option<ResponseFormat> {
    let taken = ["responseMimeType", "responseSchema", "responseJsonSchema"];
    let mut formats = level(config.peek("responseFormat")?, config.at("responseFormat")).ok()?;
    let mut text = inner(&mut formats, "text").ok()??;
    let mime = text.string("mimeType").ok()?;
    let schema = text.raw("schema").map(Json::from);
    let more = !formats.is_empty() || !text.is_empty();
    if more || taken.iter().any(|name| config.peek(name).is_some()) {
        return None;
    }
    let format = match (mime.as_deref(), schema) {
        (Some("APPLICATION_JSON" | "application/json") | None, Some(schema)) => {
            ResponseFormat::JsonSchema {
                name: None,
                description: None,
                schema,
                strict: None,
            }
        }
        (Some("APPLICATION_JSON" | "application/json"), None) => ResponseFormat::JsonObject,
        (Some("TEXT_PLAIN" | "text/plain"), None) => ResponseFormat::Text,
        _ => return None,
    };
    config.raw("responseFormat");
    Some(format)
}

fn format(config: &mut Level<'_>) -> Result<Option<ResponseFormat>, Failure> {
    if let Some(format) = flat_format(config) {
        return Ok(Some(format));
    }
    let mime = config.string("responseMimeType")?;
    let own = config.raw("responseSchema");
    let json = config
        .raw("responseJsonSchema")
        // What the field was called before it was released.
        .or_else(|| config.raw("_responseJsonSchema"));
    let schema = json
        .map(Json::from)
        .or_else(|| own.filter(|raw| raw.get() != "{}").map(json_schema));
    Ok(match (mime.as_deref(), schema) {
        (None, None) => None,
        (Some("text/plain" | ""), None) => Some(ResponseFormat::Text),
        (Some("application/json"), None) => Some(ResponseFormat::JsonObject),
        (Some("application/json") | None, Some(schema)) => Some(ResponseFormat::JsonSchema {
            name: None,
            description: None,
            schema,
            strict: None,
        }),
        // `text/x.enum`, and types to come.
        (Some(mime), _) => {
            let json = json_object(|object| {
                object.string("responseMimeType", mime);
                let fields = [("responseSchema", own), ("responseJsonSchema", json)];
                for (name, value) in fields {
                    if let Some(value) = value {
                        object.raw(name, value.get());
                    }
                }
            });
            let dialect = DialectName::GenerateContent;
            Some(ResponseFormat::Opaque { dialect, json })
        }
    })
}

/// Largest count of the wire, which has 32 bits and a sign.
const MOST: u64 = i32::MAX as u64;

/// Most alternatives to a token (discovery document, `logprobs`).
const MOST_ALTERNATIVES: u64 = 20;

/// Most stop texts that the wire takes (reference of `stopSequences`).
const STOPS: usize = 5;

/// Writes it, where there is anything in it.
pub(super) fn write(
    body: &mut ObjectWriter<'_>,
    request: &ChatRequest,
    thinking: &Thinking,
    losses: &mut Vec<Loss>,
) {
    let own = request.dialect == DialectName::GenerateContent;
    let mut out = Vec::new();
    let mut config = ObjectWriter::new(&mut out);
    sampling(&mut config, request, own, losses);
    let modalities = request.output.modalities.iter();
    let modalities: Vec<_> = modalities.map(|word| word.to_ascii_uppercase()).collect();
    if !modalities.is_empty() && (own || modalities != ["TEXT"]) {
        array(config.key("responseModalities"), &modalities, |out, one| {
            write_string(out, one)
        });
    }
    write_format(&mut config, request.response_format.as_ref(), losses);
    thinking.write(&mut config);
    let kept = request.rest.get("generationConfig").filter(|_| own);
    if let Some(kept) = kept.and_then(|json| Object::from_raw(json.raw())) {
        config.rest(&kept.into_rest());
    }
    config.end();
    if out.len() > 2 {
        body.key("generationConfig").extend_from_slice(&out);
    }
}

fn sampling(
    config: &mut ObjectWriter<'_>,
    request: &ChatRequest,
    own: bool,
    losses: &mut Vec<Loss>,
) {
    let sampling = &request.sampling;
    let counts = [
        ("maxOutputTokens", sampling.max_output_tokens),
        ("candidateCount", sampling.choices.filter(|n| own || *n > 1)),
    ];
    for (name, value) in counts {
        if let Some(value) = value {
            if value > MOST && !own {
                losses.push(Loss::altered(name, "the wire counts in 32 bits"));
            }
            config.number(name, if own { value } else { value.min(MOST) });
        }
    }
    let seed = sampling.seed.as_ref();
    let fits = seed.is_none_or(|seed| {
        seed.as_i64()
            .is_some_and(|seed| i32::try_from(seed).is_ok())
    });
    if !fits && !own {
        losses.push(Loss::dropped("seed", "this wire's seeds have 32 bits"));
    }
    let numbers = [
        ("temperature", sampling.temperature.as_ref()),
        ("topP", sampling.top_p.as_ref()),
        ("topK", sampling.top_k.as_ref()),
        ("frequencyPenalty", sampling.frequency_penalty.as_ref()),
        ("presencePenalty", sampling.presence_penalty.as_ref()),
        ("seed", seed.filter(|_| own || fits)),
    ];
    for (name, value) in numbers {
        if let Some(value) = value {
            config.raw(name, &value.to_string());
        }
    }
    if !sampling.stop.is_empty() {
        let most = if own { usize::MAX } else { STOPS };
        if sampling.stop.len() > most {
            losses.push(Loss::altered("stop", "five stop texts are the most"));
        }
        let stops = sampling.stop.iter().take(most);
        array(config.key("stopSequences"), stops, |out, one| {
            write_string(out, one)
        });
    }
    config.bool_if(
        "responseLogprobs",
        sampling.logprobs.filter(|on| own || *on),
    );
    let count = sampling.top_logprobs.filter(|count| own || *count > 0);
    if count.is_some() && !own && sampling.logprobs != Some(true) {
        // "Only valid if response_logprobs=True": GenerationConfig of its OpenAPI document, 2026-08.
        let why = "the target tells alternatives beside `logprobs` only";
        losses.push(Loss::dropped("top_logprobs", why));
    } else if let Some(count) = count {
        if count > MOST_ALTERNATIVES && !own {
            let why = "the target tells of twenty alternatives at most";
            losses.push(Loss::altered("top_logprobs", why));
        }
        config.number("logprobs", count.min(MOST_ALTERNATIVES));
    }
}

fn write_format(
    config: &mut ObjectWriter<'_>,
    format: Option<&ResponseFormat>,
    losses: &mut Vec<Loss>,
) {
    match format {
        None => {}
        Some(ResponseFormat::Text) => {
            config.string("responseMimeType", "text/plain");
        }
        Some(ResponseFormat::JsonObject) => {
            config.string("responseMimeType", "application/json");
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
            if *strict == Some(false) {
                let why = "this wire always holds the answer to the schema";
                losses.push(Loss::altered("response_format.json_schema.strict", why));
            }
            config
                .string("responseMimeType", "application/json")
                .raw("responseJsonSchema", schema.as_str());
        }
        Some(ResponseFormat::Opaque {
            dialect: DialectName::GenerateContent,
            json,
        }) => {
            if let Some(kept) = Object::from_raw(json.raw()) {
                config.rest(&kept.into_rest());
            }
        }
        Some(ResponseFormat::Opaque { .. }) => {
            losses.push(Loss::dropped("response_format", "a form of another wire"));
        }
    }
}

/// A whole number in a raw value, for budgets.
pub(super) fn signed(raw: &RawValue) -> Option<i64> {
    whole(raw)
}
