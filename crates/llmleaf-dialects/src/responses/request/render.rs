//! A request to a provider.

use super::parse::{ARTEFACTS, LOGPROBS};
use super::{tools, turns};
use crate::ladder;
use crate::object::{Object, items, string as text_of};
use crate::preferences::is_wish;
use crate::responses::Quirks;
use crate::responses::quirks::Storage;
use crate::responses::wire::{ObjectWriter, array, string};
use crate::writer::foreign;
use crate::{Rendered, Target};
use llmleaf_model::{
    ChatRequest, DialectName, Effort, Failure, FailureKind, Json, Loss, ReasoningConfig,
    ReasoningMode, ResponseFormat, Rest, Retry, ToolChoice,
};

/// Most losses told of one request; a long history would else repeat one a thousand times.
const MAX_LOSSES: usize = 256;

/// Least output cap that the reference takes.
const LEAST_CAP: u64 = 16;

/// Renders a request for a provider.
///
/// # Errors
/// Nothing of its messages is left on this wire, or it continues an answer of another service (kind `Unsupported`).
pub fn render_request(
    request: &ChatRequest,
    target: Target<'_>,
    quirks: &Quirks,
) -> Result<Rendered, Failure> {
    let mut out = Vec::with_capacity(1024);
    let mut body = ObjectWriter::new(&mut out);
    let mut rendering = Rendering {
        own: request.dialect == DialectName::Responses,
        quirks,
        losses: Vec::new(),
    };
    body.string("model", target.model);
    turns::render(&mut body, request, &mut rendering)?;
    rendering.tools(&mut body, request);
    rendering.sampling(&mut body, request);
    rendering.reasoning(&mut body, request, target.model);
    rendering.text(&mut body, request);
    rendering.facts(&mut body, request);
    rendering.include(&mut body, request);
    if target.stream || request.stream {
        body.bool("stream", target.stream);
    }
    rendering.top_rest(&mut body, request);
    rendering.unknown_here(request);
    body.end();
    Ok(Rendered {
        body: out.into(),
        losses: rendering.losses,
        usage_added: false,
    })
}

/// What this wire cannot say at all: another target may.
pub(super) fn unsupported(param: &str, why: &str) -> Failure {
    let mut failure = Failure::gateway(FailureKind::Unsupported, why);
    failure.param = Some(param.to_owned());
    failure.retry = Retry::NextTarget;
    failure
}

/// The state of one rendering.
pub(super) struct Rendering<'q> {
    /// The request was read from this wire.
    pub own: bool,
    pub quirks: &'q Quirks,
    losses: Vec<Loss>,
}

impl Rendering<'_> {
    /// A rendering that only repeats a request to the consumer that wrote it.
    pub fn repeated() -> Rendering<'static> {
        Rendering {
            own: true,
            quirks: &Quirks::REFERENCE,
            losses: Vec::new(),
        }
    }

    pub fn lose(&mut self, loss: Loss) {
        if self.losses.len() < MAX_LOSSES {
            self.losses.push(loss);
        }
    }

    /// True for a type of tool that the service refuses.
    pub fn refuses_tool(&self, kind: &str) -> bool {
        self.quirks.refuses_tools.iter().any(|name| name == kind)
    }

    /// Writes the unknown fields of a node, or loses them where they belong to another dialect.
    pub fn rest(&mut self, object: &mut ObjectWriter<'_>, rest: &Rest, path: &str) {
        if self.own {
            object.rest(rest);
            return;
        }
        for loss in foreign(rest, path) {
            self.lose(loss);
        }
    }

    /// True where the service takes a field; else it is lost.
    fn takes(&mut self, field: &str) -> bool {
        let refused = self.quirks.refuses(field);
        if refused {
            self.lose(Loss::dropped(field, "the provider refuses this field"));
        }
        !refused
    }

    fn tools(&mut self, body: &mut ObjectWriter<'_>, request: &ChatRequest) {
        let any = tools::render(body, &request.tools, self);
        if let Some(choice) = &request.tool_choice {
            // The wire refuses a choice among no tools; a consumer of this wire gets what it asked for.
            if any || self.own {
                tools::render_choice(body, choice, self);
            } else if *choice != ToolChoice::Auto && *choice != ToolChoice::None {
                self.lose(Loss::dropped("tool_choice", "no tool is left to choose"));
            }
        }
        if any || self.own {
            body.bool_if("parallel_tool_calls", request.parallel_tool_calls);
        }
    }

    fn sampling(&mut self, body: &mut ObjectWriter<'_>, request: &ChatRequest) {
        let sampling = &request.sampling;
        if let Some(cap) = sampling.max_output_tokens {
            if cap < LEAST_CAP && !self.own {
                let why = "16 is the least output cap of this wire";
                self.lose(Loss::approximated("max_output_tokens", why));
                body.number("max_output_tokens", LEAST_CAP);
            } else {
                body.number("max_output_tokens", cap);
            }
        }
        for (name, value) in [
            ("temperature", &sampling.temperature),
            ("top_p", &sampling.top_p),
        ] {
            if let Some(value) = value {
                body.raw(name, &value.to_string());
            }
        }
        for (name, value) in [
            ("frequency_penalty", &sampling.frequency_penalty),
            ("presence_penalty", &sampling.presence_penalty),
        ] {
            let Some(value) = value else { continue };
            if self.own {
                body.raw(name, &value.to_string());
            } else if value.as_f64() != Some(0.0) {
                self.lose(Loss::dropped(name, "not on this wire"));
            }
        }
        if let Some(top) = sampling.top_logprobs
            && self.takes("top_logprobs")
        {
            body.number("top_logprobs", top);
        }
    }

    fn reasoning(&mut self, body: &mut ObjectWriter<'_>, request: &ChatRequest, model: &str) {
        let Some(config) = &request.reasoning else {
            return;
        };
        let asked = Asked::of(config, self, model);
        if asked.effort.is_none() && asked.summary.is_none() && config.rest.is_empty() {
            return;
        }
        if !self.own && asked.effort.is_none() && asked.summary.is_none() {
            for (name, _) in config.rest.iter() {
                let path = format!("reasoning.{name}");
                self.lose(Loss::dropped(path, "a field of another dialect"));
            }
            return;
        }
        let mut object = ObjectWriter::new(body.key("reasoning"));
        object
            .string_if("effort", asked.effort.map(Effort::as_str))
            .string_if("summary", asked.summary);
        self.rest(&mut object, &config.rest, "reasoning");
        object.end();
    }

    fn text(&mut self, body: &mut ObjectWriter<'_>, request: &ChatRequest) {
        let kept = request.rest.get("text").filter(|_| self.own);
        let kept = kept.and_then(|json| Object::from_raw(json.raw()));
        let verbosity = request.output.verbosity.as_deref();
        let format = self.format(request.response_format.as_ref());
        if kept.is_none() && verbosity.is_none() && format.is_none() {
            return;
        }
        body.object("text", |text| {
            if let Some(format) = &format {
                text.raw("format", format.as_str());
            }
            text.string_if("verbosity", verbosity);
            if let Some(kept) = kept {
                text.rest(&kept.into_rest());
            }
        });
    }

    /// The value of `text.format`.
    pub fn format(&mut self, format: Option<&ResponseFormat>) -> Option<Json> {
        let simple = |kind: &str| {
            crate::writer::json_object(|object| {
                object.string("type", kind);
            })
        };
        Some(match format? {
            ResponseFormat::Text => simple("text"),
            ResponseFormat::JsonObject => simple("json_object"),
            ResponseFormat::JsonSchema {
                name,
                description,
                schema,
                strict,
            } => crate::writer::json_object(|object| {
                object.string("type", "json_schema");
                match name {
                    Some(name) => object.string("name", name),
                    // The wire requires a name.
                    None if !self.own => object.string("name", "response"),
                    None => object,
                };
                object
                    .string_if("description", description.as_deref())
                    .raw("schema", schema.as_str())
                    .bool_if("strict", *strict);
            }),
            ResponseFormat::Opaque {
                dialect: DialectName::Responses,
                json,
            } => json.clone(),
            ResponseFormat::Opaque { .. } => {
                let why = "a format that only another dialect has";
                self.lose(Loss::dropped("response_format", why));
                return None;
            }
        })
    }

    fn facts(&mut self, body: &mut ObjectWriter<'_>, request: &ChatRequest) {
        match self.quirks.storage {
            Storage::Offered if self.own => {
                body.bool_if("store", request.store);
            }
            // Unsaid means yes here and no on every other wire.
            Storage::Offered => {
                body.bool("store", request.store.unwrap_or(false));
            }
            Storage::None if request.store == Some(true) => {
                self.lose(Loss::dropped("store", "the provider keeps no answers"));
            }
            Storage::None => {}
        }
        if let Some(id) = &request.previous_response_id {
            body.string("previous_response_id", id);
        }
        if let Some(json) = &request.metadata {
            if !self.own && !only_strings(json) {
                let why = "the wire takes texts under names only";
                self.lose(Loss::dropped("metadata", why));
            } else if self.takes("metadata") {
                body.raw("metadata", json.as_str());
            }
        }
        for (name, value) in [
            ("prompt_cache_key", &request.prompt_cache_key),
            ("safety_identifier", &request.user),
        ] {
            if let Some(value) = value
                && self.takes(name)
            {
                body.string(name, value);
            }
        }
        self.tier(body, request.service_tier.as_deref());
        if request.cache.is_some() {
            let why = "this wire caches by itself";
            self.lose(Loss::dropped("cache_control", why));
        }
    }

    fn tier(&mut self, body: &mut ObjectWriter<'_>, tier: Option<&str>) {
        const NAME: &str = "service_tier";
        let Some(tier) = tier else { return };
        let word = match tier {
            _ if self.own => tier,
            "auto" | "default" | "flex" | "priority" | "scale" => tier,
            "standard_only" | "standard" => {
                self.lose(Loss::altered(NAME, "the wire's word for it is `default`"));
                "default"
            }
            _ => return self.lose(Loss::dropped(NAME, "a tier of another dialect")),
        };
        if self.takes(NAME) {
            body.string(NAME, word);
        }
    }

    /// Writes `include`. Services that keep nothing must be asked for the artefacts of reasoning, or the next turn would
    /// begin without it; models that do not reason refuse to be asked.
    fn include(&mut self, body: &mut ObjectWriter<'_>, request: &ChatRequest) {
        let reasons = !self.own
            && request
                .reasoning
                .as_ref()
                .is_some_and(|config| !config.is_off());
        let mut entries: Vec<String> = Vec::new();
        if request.artefacts || reasons {
            entries.push(ARTEFACTS.to_owned());
        }
        if request.sampling.logprobs == Some(true) {
            entries.push(LOGPROBS.to_owned());
        }
        let kept = request.rest.get("include").filter(|_| self.own);
        for entry in kept.and_then(|json| items(json.raw())).unwrap_or_default() {
            entries.extend(text_of(entry).map(std::borrow::Cow::into_owned));
        }
        if self.quirks.refuses("include") && !self.own {
            if request.sampling.logprobs == Some(true) {
                let why = "the provider tells none on this wire";
                self.lose(Loss::dropped("logprobs", why));
            }
            return;
        }
        if entries.is_empty() {
            return;
        }
        array(body.key("include"), &entries, |out, entry| {
            string(out, entry)
        });
    }

    fn top_rest(&mut self, body: &mut ObjectWriter<'_>, request: &ChatRequest) {
        if !self.own {
            return foreign(&request.rest, "")
                .into_iter()
                .for_each(|loss| self.lose(loss));
        }
        for (name, value) in request.rest.iter() {
            if is_wish(name, value.as_str()) && !self.quirks.extended {
                self.lose(Loss::dropped(name, "the service does not route"));
            } else if !matches!(name, "text" | "include") && self.takes(name) {
                body.raw(name, value.as_str());
            }
        }
    }

    /// Names what the model knows and this wire does not.
    fn unknown_here(&mut self, request: &ChatRequest) {
        let sampling = &request.sampling;
        let lost = [
            ("top_k", sampling.top_k.is_some()),
            ("min_p", sampling.min_p.is_some()),
            ("repetition_penalty", sampling.repetition_penalty.is_some()),
            ("seed", sampling.seed.is_some()),
            ("stop", !sampling.stop.is_empty()),
            ("n", sampling.choices.is_some_and(|n| n > 1)),
            ("logit_bias", sampling.logit_bias.is_some()),
            (
                "modalities",
                request.output.modalities.iter().any(|m| m != "text"),
            ),
            ("audio", request.output.audio.is_some()),
        ];
        for (name, _) in lost.iter().filter(|(_, is_set)| *is_set) {
            self.lose(Loss::dropped(*name, "not on this wire"));
        }
    }
}

/// How reasoning is asked for.
struct Asked<'a> {
    effort: Option<Effort>,
    summary: Option<&'a str>,
}

impl<'a> Asked<'a> {
    fn of(config: &'a ReasoningConfig, rendering: &mut Rendering<'_>, model: &str) -> Self {
        let summary = config.summary.as_deref();
        if rendering.own && !config.unasked {
            return Self {
                effort: config.effort,
                summary,
            };
        }
        let off = config.mode == Some(ReasoningMode::Disabled);
        let effort = match (config.effort, config.budget_tokens) {
            (_, _) if off => Some(Effort::None),
            (Some(effort), _) => Some(effort),
            (None, Some(budget)) => {
                let why = "the wire takes an effort only";
                rendering.lose(Loss::approximated("reasoning.budget", why));
                Some(ladder::of_budget(budget))
            }
            (None, None) => None,
        };
        let effort = effort.map(|effort| ladder::rung(model, effort, &mut rendering.losses));
        // Readable reasoning comes on request only. Who switched reasoning on in a dialect that shows it expects it.
        let shows = matches!(
            config.mode,
            Some(ReasoningMode::Enabled | ReasoningMode::Adaptive)
        );
        let summary = match summary {
            _ if config.hidden == Some(true) || off => None,
            Some(word @ ("auto" | "concise" | "detailed")) => Some(word),
            Some(_) => Some("auto"),
            None => shows.then_some("auto"),
        };
        Self { effort, summary }
    }
}

/// True for an object whose values are all strings.
fn only_strings(json: &Json) -> bool {
    Object::from_raw(json.raw())
        .is_some_and(|object| object.fields.iter().all(|(_, v)| v.get().starts_with('"')))
}
