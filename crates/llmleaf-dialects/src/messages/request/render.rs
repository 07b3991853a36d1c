//! A request to a provider.

use super::parts::{write_cache, write_rest};
use super::thinking::Thinking;
use super::{tools, turns};
use crate::ladder::{self, Thinks};
use crate::messages::Quirks;
use crate::messages::quirks::{Addressing, SamplingSupport};
use crate::messages::wire::{ObjectWriter, array, string};
use crate::object::Object;
use crate::writer::foreign;
use crate::{Rendered, Target};
use llmleaf_model::{
    ChatRequest, DialectName, Failure, FailureKind, Json, Loss, Output, ResponseFormat, Retry,
};

/// Fields of this dialect that counting takes beside the conversation (its beta reference of 2026-08).
const COUNTED: [&str; 3] = ["context_management", "mcp_servers", "speed"];

/// Renders a request for a provider.
///
/// # Errors
/// The request continues a response that only another provider holds, or nothing of its messages is left on this wire.
pub fn render_request(
    request: &ChatRequest,
    target: Target<'_>,
    quirks: &Quirks,
) -> Result<Rendered, Failure> {
    let mut render = Render::new(request, target.model, quirks)?;
    let mut out = Vec::with_capacity(1024);
    let mut body = ObjectWriter::new(&mut out);
    let cap = render.thinking.cap(
        request.sampling.max_output_tokens,
        quirks.default_max_tokens,
        request.reasons_in_words_of(DialectName::Messages),
        &mut render.losses,
    );
    if request.sampling.max_output_tokens.is_none() {
        render.losses.push(Loss::approximated(
            "max_tokens",
            format!("this wire demands an output cap; {cap} was sent"),
        ));
    }
    render.address(
        &mut body,
        Some(target.model).filter(|_| quirks.addressing == Addressing::Body),
    );
    body.number("max_tokens", cap);
    render.conversation(&mut body)?;
    render.sampling(&mut body);
    render.metadata(&mut body);
    if target.stream || request.stream {
        body.bool("stream", target.stream);
    }
    render.rest(&mut body, |_| true);
    render.unknown_here();
    body.end();
    Ok(render.done(out))
}

/// Renders a request to count the tokens of a request's input.
pub(in crate::messages) fn render_count(
    request: &ChatRequest,
    model: &str,
    quirks: &Quirks,
) -> Result<Rendered, Failure> {
    let mut render = Render::new(request, model, quirks)?;
    let mut out = Vec::with_capacity(1024);
    let mut body = ObjectWriter::new(&mut out);
    render.address(&mut body, Some(model));
    render.conversation(&mut body)?;
    render.rest(&mut body, |name| COUNTED.contains(&name));
    body.end();
    Ok(render.done(out))
}

/// What this wire cannot say at all: another target may.
fn unsupported(param: &str, why: &str) -> Failure {
    let mut failure = Failure::gateway(FailureKind::Unsupported, why);
    failure.param = Some(param.to_owned());
    failure.retry = Retry::NextTarget;
    failure
}

struct Render<'a> {
    request: &'a ChatRequest,
    quirks: &'a Quirks,
    own: bool,
    /// The model refuses to be told how tokens are chosen.
    unsampled: bool,
    /// It refuses to be told so twice.
    one_sampler: bool,
    thinking: Thinking,
    losses: Vec<Loss>,
}

impl<'a> Render<'a> {
    fn new(request: &'a ChatRequest, model: &str, quirks: &'a Quirks) -> Result<Self, Failure> {
        if request.previous_response_id.is_some() {
            return Err(unsupported(
                "previous_response_id",
                "the target holds no earlier responses",
            ));
        }
        let mut losses = Vec::new();
        Ok(Self {
            own: request.dialect == DialectName::Messages,
            thinking: Thinking::plan(request, model, quirks, &mut losses),
            unsampled: matches!(ladder::thinks(model), Thinks::Adaptively | Thinks::Always),
            one_sampler: ladder::takes_one_sampler(model),
            request,
            quirks,
            losses,
        })
    }

    fn done(self, body: Vec<u8>) -> Rendered {
        Rendered {
            body: body.into(),
            losses: self.losses,
            usage_added: false,
        }
    }

    /// The model and the API's version, where the body says them.
    fn address(&self, body: &mut ObjectWriter<'_>, model: Option<&str>) {
        body.string_if("model", model);
        if let Addressing::Path { version } = &self.quirks.addressing {
            let own = self.own && self.request.rest.get("anthropic_version").is_some();
            body.string_if("anthropic_version", Some(&**version).filter(|_| !own));
        }
    }

    /// What counts as input.
    fn conversation(&mut self, body: &mut ObjectWriter<'_>) -> Result<(), Failure> {
        let talk = turns::converse(self.request, self.quirks, &mut self.losses);
        if talk.is_empty() {
            // Empty texts, or media that this wire lacks: the wire refuses a request without a turn.
            return Err(unsupported(
                "messages",
                "nothing in the messages can be sent to the target",
            ));
        }
        talk.write(body);
        tools::render(body, self.request, &mut self.losses);
        tools::render_choice(body, self.request, &mut self.losses);
        self.thinking.write(body);
        self.output_config(body);
        let cache = self.request.cache.as_ref();
        write_cache(body, cache, "", self.own, &mut self.losses);
        Ok(())
    }

    fn output_config(&mut self, body: &mut ObjectWriter<'_>) {
        let format = self.format();
        let kept = self.request.rest.get("output_config").filter(|_| self.own);
        let kept = kept.and_then(|json| Object::from_raw(json.raw()));
        let effort = self.thinking.effort();
        if format.is_none() && kept.is_none() && effort.is_none() {
            return;
        }
        body.object("output_config", |object| {
            object.string_if("effort", effort.map(llmleaf_model::Effort::as_str));
            match format {
                Some(Format::Schema(schema)) => {
                    object.object("format", |format| {
                        format
                            .string("type", "json_schema")
                            .raw("schema", schema.as_str());
                    });
                }
                Some(Format::Own(json)) => {
                    object.raw("format", json.as_str());
                }
                None => {}
            }
            if let Some(kept) = kept {
                object.rest(&kept.into_rest());
            }
        });
    }

    fn format(&mut self) -> Option<Format<'a>> {
        match self.request.response_format.as_ref()? {
            ResponseFormat::Text => None,
            ResponseFormat::JsonObject => {
                self.losses.push(Loss::approximated(
                    "response_format",
                    "this wire holds an answer to JSON only by a schema",
                ));
                None
            }
            ResponseFormat::JsonSchema {
                name,
                description,
                schema,
                strict,
            } => {
                if name.is_some() {
                    self.losses.push(Loss::approximated(
                        "response_format.json_schema.name",
                        "this wire's schemas have no name",
                    ));
                }
                if description.is_some() {
                    self.lose("response_format.json_schema.description");
                }
                if *strict == Some(false) {
                    self.losses.push(Loss::altered(
                        "response_format.json_schema.strict",
                        "this wire always holds the answer to the schema",
                    ));
                }
                Some(Format::Schema(schema))
            }
            ResponseFormat::Opaque {
                dialect: DialectName::Messages,
                json,
            } => Some(Format::Own(json)),
            ResponseFormat::Opaque { .. } => {
                self.lose("response_format");
                None
            }
        }
    }

    fn sampling(&mut self, body: &mut ObjectWriter<'_>) {
        let sampling = &self.request.sampling;
        let fields = [
            ("temperature", &sampling.temperature),
            ("top_p", &sampling.top_p),
            ("top_k", &sampling.top_k),
        ];
        for (name, value) in fields {
            let Some(value) = value else {
                continue;
            };
            let removed = self.quirks.sampling == SamplingSupport::Removed;
            if removed || self.unsampled && !self.own {
                self.lose(name);
            } else if self.thinking.is_on()
                && !self.request.reasons_in_words_of(DialectName::Messages)
            {
                let why = "the wire refuses it together with reasoning";
                self.losses.push(Loss::altered(name, why));
            } else if name == "top_p"
                && self.one_sampler
                && !self.own
                && sampling.temperature.is_some()
            {
                let why = "the model takes it or `temperature`";
                self.losses.push(Loss::dropped(name, why));
            } else if name == "temperature" && !self.own && value.as_f64().is_some_and(|t| t > 1.0)
            {
                self.losses
                    .push(Loss::altered(name, "1 is the most there is"));
                body.raw(name, "1");
            } else {
                body.raw(name, &value.to_string());
            }
        }
        if !sampling.stop.is_empty() {
            array(body.key("stop_sequences"), &sampling.stop, |out, text| {
                string(out, text)
            });
        }
    }

    fn metadata(&mut self, body: &mut ObjectWriter<'_>) {
        let user = self.request.user.as_deref();
        let kept = self.request.metadata.as_ref();
        if kept.is_some() && !self.own {
            self.lose("metadata");
        }
        let kept = kept
            .filter(|_| self.own)
            .and_then(|json| Object::from_raw(json.raw()));
        if user.is_some() || kept.is_some() {
            body.object("metadata", |object| {
                object.string_if("user_id", user);
                if let Some(kept) = kept {
                    object.rest(&kept.into_rest());
                }
            });
        }
        match self.request.service_tier.as_deref() {
            None => {}
            Some(tier) if self.own || tier == "auto" => {
                body.string("service_tier", tier);
            }
            Some("default") => {
                body.string("service_tier", "standard_only");
            }
            Some(_) => self.lose("service_tier"),
        }
    }

    fn rest(&mut self, body: &mut ObjectWriter<'_>, take: impl Fn(&str) -> bool) {
        if !self.own {
            return self.losses.extend(foreign(&self.request.rest, ""));
        }
        let mut rest = self.request.rest.clone();
        rest.0
            .retain(|(name, _)| name != "output_config" && take(name));
        write_rest(body, &rest, "", true, &mut self.losses);
    }

    /// Names what the model knows and this wire does not.
    fn unknown_here(&mut self) {
        let sampling = &self.request.sampling;
        let Output {
            modalities,
            audio,
            verbosity,
        } = &self.request.output;
        let lost = [
            ("min_p", sampling.min_p.is_some()),
            ("frequency_penalty", sampling.frequency_penalty.is_some()),
            ("presence_penalty", sampling.presence_penalty.is_some()),
            ("repetition_penalty", sampling.repetition_penalty.is_some()),
            ("seed", sampling.seed.is_some()),
            ("n", sampling.choices.is_some_and(|n| n > 1)),
            ("logprobs", sampling.logprobs == Some(true)),
            ("top_logprobs", sampling.top_logprobs.is_some()),
            ("logit_bias", sampling.logit_bias.is_some()),
            ("modalities", modalities.iter().any(|m| m != "text")),
            ("audio", audio.is_some()),
            ("verbosity", verbosity.is_some()),
            ("prompt_cache_key", self.request.prompt_cache_key.is_some()),
            ("store", self.request.store == Some(true)),
        ];
        for (name, _) in lost.iter().filter(|(_, is_set)| *is_set) {
            self.lose(name);
        }
    }

    fn lose(&mut self, name: &str) {
        self.losses.push(Loss::dropped(name, "not on this wire"));
    }
}

enum Format<'a> {
    Schema(&'a Json),
    Own(&'a Json),
}
