//! A request's top level, written.

use super::super::json::{ObjectWriter, push_string};
use super::super::quirks::{Quirks, SchemaSupport, StreamUsage};
use super::super::rendering::Rendering;
use super::super::{messages, reasoning, tools};
use crate::{Rendered, Target};
use bytes::Bytes;
use llmleaf_model::{
    ChatRequest, DialectName, Failure, FailureKind, Json, ResponseFormat, Retry, Sampling,
};
use serde::Serialize;

/// Fields that only a router of this wire's extended form takes.
const EXTENDED: &[&str] = &[
    "provider",
    "models",
    "plugins",
    "route",
    "transforms",
    "usage",
    "session_id",
    "trace",
    "debug",
    "image_config",
];

pub(super) fn render(
    request: &ChatRequest,
    target: Target<'_>,
    quirks: &Quirks,
) -> Result<Rendered, Failure> {
    if request.previous_response_id.is_some() {
        return Err(unsupported(
            "previous_response_id",
            "`previous_response_id` names a response that this target's wire cannot continue",
        ));
    }
    let mut body = Vec::with_capacity(1024);
    let mut writer = Writer {
        rendering: Rendering::new(quirks, request.dialect, target.model),
        object: ObjectWriter::begin(&mut body),
        written: Vec::new(),
    };
    writer.field("model", |out| push_string(out, target.model));
    let mut list = Vec::with_capacity(1024);
    messages::write_all(&mut writer.rendering, &request.messages, &mut list);
    if list == b"[]" {
        // All of it was of another dialect: the wire refuses a request without a message.
        return Err(unsupported(
            "messages",
            "nothing in the messages can be sent to the target",
        ));
    }
    writer.raw("messages", &list);
    writer.sampling(&request.sampling);
    writer.tools(request);
    writer.format(request.response_format.as_ref());
    if let Some(config) = &request.reasoning {
        for (name, value) in reasoning::write_config(&mut writer.rendering, config) {
            writer.raw(name, &value);
        }
    }
    writer.output(request);
    let usage_added = writer.stream(request, target);
    writer.facts(request);
    writer.rest(request);
    let Writer {
        rendering, object, ..
    } = writer;
    object.end();
    Ok(Rendered {
        body: Bytes::from(body),
        losses: rendering.losses,
        usage_added,
    })
}

/// What this wire cannot say at all: another target may.
fn unsupported(param: &str, why: &str) -> Failure {
    let mut failure = Failure::gateway(FailureKind::Unsupported, why);
    failure.param = Some(param.to_owned());
    failure.retry = Retry::NextTarget;
    failure
}

struct Writer<'o, 'q> {
    rendering: Rendering<'q>,
    object: ObjectWriter<'o>,
    /// Names written so far: no field is written twice.
    written: Vec<String>,
}

impl Writer<'_, '_> {
    /// Writes a field under the service's name for it, unless the service refuses it.
    fn field(&mut self, name: &str, value: impl FnOnce(&mut Vec<u8>)) -> bool {
        let quirks = &self.rendering.quirks.request;
        if quirks
            .refused(self.rendering.model)
            .any(|refused| refused == name)
        {
            let mut out = Vec::new();
            value(&mut out);
            let text = std::str::from_utf8(&out).unwrap_or_default();
            if quirks.loses(self.rendering.model, name, text) {
                self.rendering
                    .dropped(name, "the provider refuses this field");
            }
            return false;
        }
        let renamed = quirks.renamed.iter().find(|(from, _)| from == name);
        let name = renamed.map_or(name, |(_, to)| to);
        if self.written.iter().any(|w| w == name) {
            return false;
        }
        self.written.push(name.to_owned());
        value(self.object.key(name));
        true
    }

    fn raw(&mut self, name: &str, json: &[u8]) -> bool {
        self.field(name, |out| out.extend_from_slice(json))
    }

    fn value<T: Serialize>(&mut self, name: &str, value: Option<&T>) {
        if let Some(value) = value {
            self.field(name, |out| {
                // Writing plain values into memory cannot fail.
                let _ = serde_json::to_writer(out, value);
            });
        }
    }

    fn json(&mut self, name: &str, json: Option<&Json>) {
        if let Some(json) = json {
            self.raw(name, json.as_str().as_bytes());
        }
    }

    /// Writes a field that only the extended form of the wire has.
    fn extended<T: Serialize>(&mut self, name: &str, value: Option<&T>) {
        if value.is_some() && !self.rendering.quirks.request.extended {
            self.rendering
                .dropped(name, "the service does not have this field");
        } else {
            self.value(name, value);
        }
    }

    fn sampling(&mut self, sampling: &Sampling) {
        let cap = self.rendering.quirks.request.output_cap.field();
        if sampling.max_output_tokens == Some(0) {
            // Another wire fills its prompt cache so; here the least is 1.
            self.rendering.approximated(
                "max_tokens",
                "this wire asks for an answer of at least one token",
            );
        }
        self.value(
            cap,
            sampling.max_output_tokens.map(|most| most.max(1)).as_ref(),
        );
        self.value("temperature", sampling.temperature.as_ref());
        self.value("top_p", sampling.top_p.as_ref());
        self.extended("top_k", sampling.top_k.as_ref());
        self.extended("min_p", sampling.min_p.as_ref());
        self.value("frequency_penalty", sampling.frequency_penalty.as_ref());
        self.value("presence_penalty", sampling.presence_penalty.as_ref());
        self.extended("repetition_penalty", sampling.repetition_penalty.as_ref());
        self.value("seed", sampling.seed.as_ref());
        if !sampling.stop.is_empty() {
            self.value("stop", Some(&sampling.stop));
        }
        self.value("n", sampling.choices.as_ref());
        self.value("logprobs", sampling.logprobs.as_ref());
        self.value("top_logprobs", sampling.top_logprobs.as_ref());
        self.json("logit_bias", sampling.logit_bias.as_ref());
    }

    fn tools(&mut self, request: &ChatRequest) {
        let written = tools::write_all(&mut self.rendering, &request.tools);
        let any = match written {
            Some(list) => self.raw("tools", &list),
            None => false,
        };
        // The wire refuses these beside no tools; a consumer of this wire gets what it asked for.
        let sensible = any || self.rendering.own();
        if let Some(choice) = &request.tool_choice {
            if !sensible {
                if *choice != llmleaf_model::ToolChoice::Auto {
                    self.rendering
                        .dropped("tool_choice", "no tool is left to choose");
                }
            } else if let Some(choice) = tools::write_choice(&mut self.rendering, choice) {
                self.raw("tool_choice", &choice);
            }
        }
        if sensible {
            self.value("parallel_tool_calls", request.parallel_tool_calls.as_ref());
        }
    }

    fn format(&mut self, format: Option<&ResponseFormat>) {
        const NAME: &str = "response_format";
        let json_only = self.rendering.quirks.request.schema == SchemaSupport::JsonObject;
        match format {
            None => {}
            Some(ResponseFormat::Text) => {
                self.raw(NAME, br#"{"type":"text"}"#);
            }
            Some(ResponseFormat::JsonObject) => {
                self.raw(NAME, br#"{"type":"json_object"}"#);
            }
            Some(ResponseFormat::JsonSchema { .. }) if json_only => {
                self.rendering.approximated(
                    "response_format.json_schema",
                    "the service takes no schema, only JSON as such",
                );
                self.raw(NAME, br#"{"type":"json_object"}"#);
            }
            Some(ResponseFormat::JsonSchema {
                name,
                description,
                schema,
                strict,
            }) => {
                let mut out = Vec::new();
                let mut object = ObjectWriter::begin(&mut out);
                object.string("type", "json_schema");
                let mut inner = ObjectWriter::begin(object.key("json_schema"));
                match name {
                    Some(name) => inner.string("name", name),
                    // The wire requires a name.
                    None if !self.rendering.own() => inner.string("name", "response"),
                    None => {}
                }
                inner.string_if("description", description.as_deref());
                inner.raw("schema", schema.as_str());
                if let Some(strict) = strict {
                    inner.boolean("strict", *strict);
                }
                inner.end();
                object.end();
                self.raw(NAME, &out);
            }
            Some(ResponseFormat::Opaque { dialect, json }) => {
                if *dialect == DialectName::ChatCompletions {
                    self.raw(NAME, json.as_str().as_bytes());
                } else {
                    self.rendering
                        .dropped(NAME, "a format that only another dialect has");
                }
            }
        }
    }

    fn output(&mut self, request: &ChatRequest) {
        let output = &request.output;
        // Pictures are asked of routers only: CreateChatCompletionRequest of OpenAI's OpenAPI document 2.3.0 has text and audio.
        let lost = |kind: &str| {
            kind == "image" && !self.rendering.own() && !self.rendering.quirks.request.extended
        };
        let (lost, kept): (Vec<String>, Vec<String>) = output
            .modalities
            .iter()
            .cloned()
            .partition(|kind| lost(kind));
        if !lost.is_empty() {
            let why = "the service answers no pictures on this wire";
            self.rendering.dropped("modalities", why);
        }
        if !kept.is_empty() {
            self.value("modalities", Some(&kept));
        }
        self.json("audio", output.audio.as_ref());
        self.value("verbosity", output.verbosity.as_ref());
    }

    /// Writes the stream flag and its options; true where usage was asked for on our own account.
    fn stream(&mut self, request: &ChatRequest, target: Target<'_>) -> bool {
        const NAME: &str = "stream_options";
        if !target.stream {
            return false;
        }
        self.value("stream", Some(&true));
        let asked = self.rendering.quirks.stream.usage == StreamUsage::OnRequest;
        let mut out = Vec::new();
        let mut options = ObjectWriter::begin(&mut out);
        if asked {
            options.boolean("include_usage", true);
        }
        let own = request.rest.get(NAME).filter(|_| self.rendering.own());
        if let Some(rest) = own.and_then(|json| crate::object::Object::from_raw(json.raw())) {
            options.rest(&rest.into_rest());
        }
        options.end();
        asked && self.raw(NAME, &out) && !request.stream_usage
    }

    fn facts(&mut self, request: &ChatRequest) {
        self.value("user", request.user.as_ref());
        match &request.metadata {
            Some(json) if self.rendering.own() || only_strings(json) => {
                self.json("metadata", Some(json));
            }
            Some(_) => self
                .rendering
                .dropped("metadata", "the wire takes texts under names only"),
            None => {}
        }
        self.tier(request.service_tier.as_deref());
        self.value("prompt_cache_key", request.prompt_cache_key.as_ref());
        if let Some(hint) = &request.cache {
            if self.rendering.quirks.request.extended {
                self.written.push("cache_control".to_owned());
                self.rendering.write_cache(&mut self.object, hint);
            } else {
                self.rendering
                    .dropped("cache_control", "the service takes no cache hints");
            }
        }
        self.value("store", request.store.as_ref());
    }

    fn tier(&mut self, tier: Option<&str>) {
        const NAME: &str = "service_tier";
        let Some(tier) = tier else { return };
        let word = match tier {
            _ if self.rendering.own() => tier,
            "auto" | "default" | "flex" | "priority" | "scale" => tier,
            "standard_only" | "standard" => {
                self.rendering
                    .altered(NAME, "the wire's word for it is `default`");
                "default"
            }
            _ => return self.rendering.dropped(NAME, "a tier of another dialect"),
        };
        self.field(NAME, |out| push_string(out, word));
    }

    fn rest(&mut self, request: &ChatRequest) {
        if !self.rendering.own() {
            return self.rendering.lose_rest(&request.rest, "");
        }
        for (name, value) in request.rest.iter() {
            if EXTENDED.contains(&name) && !self.rendering.quirks.request.extended {
                self.rendering
                    .dropped(name, "the service does not have this field");
            } else if name != "stream_options" {
                self.raw(name, value.as_str().as_bytes());
            }
        }
    }
}

/// True for an object whose values are all strings.
fn only_strings(json: &Json) -> bool {
    crate::object::Object::from_raw(json.raw())
        .is_some_and(|object| object.fields.iter().all(|(_, v)| v.get().starts_with('"')))
}
