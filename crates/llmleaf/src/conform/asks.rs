//! Features of requests.

use llmleaf_model::{
    CacheHint, ChatRequest, Effort, Json, Media, MediaKind, MediaSource, Message, Part, PartKind,
    ReasoningConfig, ReasoningMode, ResponseFormat, Rest, Role, Tool, ToolCall, ToolChoice,
    ToolFlavour, ToolKind, ToolResult,
};
use serde_json::Number;

/// One thing that a request may ask for.
pub(crate) struct Feature {
    /// For people.
    pub name: &'static str,
    /// Puts it into a plain request.
    pub make: fn(&mut ChatRequest),
    /// Whether a request has it.
    pub holds: fn(&ChatRequest) -> bool,
}

/// A request that asks for nothing but an answer.
pub(crate) fn plain(request: &mut ChatRequest) {
    request.messages = vec![Message::text(Role::User, "What do you see?")];
    // Some wires demand it.
    request.sampling.max_output_tokens = Some(4000);
}

/// The smallest image there is.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// All features, in the order in which they are shown.
pub(crate) const ALL: &[Feature] = &[
    Feature {
        name: "text",
        make: |_| {},
        holds: |r| says(r, Role::User, "What do you see?"),
    },
    Feature {
        name: "instructions",
        make: |r| {
            r.messages
                .insert(0, Message::text(Role::System, "Be brief."))
        },
        holds: |r| says(r, Role::System, "Be brief.") || says(r, Role::Developer, "Be brief."),
    },
    Feature {
        name: "output limit",
        make: |_| {},
        holds: |r| r.sampling.max_output_tokens == Some(4000),
    },
    Feature {
        name: "temperature",
        make: |r| r.sampling.temperature = Number::from_f64(0.5),
        holds: |r| r.sampling.temperature == Number::from_f64(0.5),
    },
    Feature {
        name: "top-p",
        make: |r| r.sampling.top_p = Number::from_f64(0.5),
        holds: |r| r.sampling.top_p == Number::from_f64(0.5),
    },
    Feature {
        name: "top-k",
        make: |r| r.sampling.top_k = Some(Number::from(40)),
        holds: |r| r.sampling.top_k.is_some(),
    },
    Feature {
        name: "penalties",
        make: |r| r.sampling.frequency_penalty = Number::from_f64(0.5),
        holds: |r| r.sampling.frequency_penalty.is_some(),
    },
    Feature {
        name: "seed",
        make: |r| r.sampling.seed = Some(Number::from(7)),
        holds: |r| r.sampling.seed.is_some(),
    },
    Feature {
        name: "stop sequences",
        make: |r| r.sampling.stop = vec!["END".to_owned()],
        holds: |r| r.sampling.stop == ["END"],
    },
    Feature {
        name: "several answers",
        make: |r| r.sampling.choices = Some(2),
        holds: |r| r.sampling.choices == Some(2),
    },
    Feature {
        name: "log-probabilities",
        make: |r| {
            r.sampling.logprobs = Some(true);
            r.sampling.top_logprobs = Some(2);
        },
        holds: |r| r.sampling.top_logprobs == Some(2),
    },
    Feature {
        name: "image, inline",
        make: |r| add(r, media(MediaKind::Image, "image/png", PIXEL)),
        holds: |r| {
            has_media(
                r,
                MediaKind::Image,
                |s| matches!(s, MediaSource::Base64(d) if d == PIXEL),
            )
        },
    },
    Feature {
        name: "image, address",
        make: |r| {
            let source = MediaSource::Url("https://example.com/a.png".to_owned());
            add(r, PartKind::Media(Media::new(MediaKind::Image, source)));
        },
        holds: |r| has_media(r, MediaKind::Image, |s| matches!(s, MediaSource::Url(_))),
    },
    Feature {
        name: "PDF, inline",
        make: |r| {
            add(
                r,
                media(MediaKind::Document, "application/pdf", "JVBERi0xLjQK"),
            )
        },
        holds: |r| {
            let inline = |s: &MediaSource| matches!(s, MediaSource::Base64(_));
            has_media(r, MediaKind::Document, inline) || has_media(r, MediaKind::File, inline)
        },
    },
    Feature {
        name: "audio, inline",
        make: |r| add(r, media(MediaKind::Audio, "audio/wav", "UklGRg==")),
        holds: |r| has_media(r, MediaKind::Audio, |s| matches!(s, MediaSource::Base64(_))),
    },
    Feature {
        name: "tools",
        make: |r| tool(r, None),
        holds: |r| weather(r).is_some(),
    },
    Feature {
        name: "strict tools",
        make: |r| tool(r, Some(true)),
        holds: |r| weather(r) == Some(Some(true)),
    },
    Feature {
        name: "tools of free text",
        make: |r| {
            r.tools = vec![Tool {
                kind: ToolKind::Custom {
                    name: "shell".to_owned(),
                    description: Some("Runs a command.".to_owned()),
                    format: None,
                },
                cache: None,
                rest: Rest::default(),
            }];
        },
        holds: |r| {
            matches!(
                r.tools.first().map(|t| &t.kind),
                Some(ToolKind::Custom { .. })
            )
        },
    },
    Feature {
        name: "a tool must be used",
        make: |r| {
            tool(r, None);
            r.tool_choice = Some(ToolChoice::Required);
        },
        holds: |r| r.tool_choice == Some(ToolChoice::Required),
    },
    Feature {
        name: "this tool must be used",
        make: |r| {
            tool(r, None);
            r.tool_choice = Some(ToolChoice::Named {
                name: "weather".to_owned(),
                flavour: ToolFlavour::Function,
            });
        },
        holds: |r| named(r.tool_choice.as_ref()),
    },
    Feature {
        name: "no parallel calls",
        make: |r| {
            tool(r, None);
            r.parallel_tool_calls = Some(false);
        },
        holds: |r| r.parallel_tool_calls == Some(false),
    },
    Feature {
        name: "tool results",
        make: |r| loops(r, None),
        holds: |r| result(r).is_some(),
    },
    Feature {
        name: "failed tool results",
        make: |r| loops(r, Some(true)),
        holds: |r| result(r) == Some(Some(true)),
    },
    Feature {
        name: "JSON",
        make: |r| r.response_format = Some(ResponseFormat::JsonObject),
        holds: |r| r.response_format == Some(ResponseFormat::JsonObject),
    },
    Feature {
        name: "JSON by a schema",
        make: |r| {
            r.response_format = Some(ResponseFormat::JsonSchema {
                name: Some("place".to_owned()),
                description: None,
                schema: json(SCHEMA),
                strict: Some(true),
            });
        },
        holds: |r| matches!(r.response_format, Some(ResponseFormat::JsonSchema { .. })),
    },
    Feature {
        name: "reasoning effort",
        make: |r| {
            r.reasoning = Some(ReasoningConfig {
                effort: Some(Effort::High),
                ..ReasoningConfig::default()
            });
        },
        holds: |r| {
            let reasoning = r.reasoning.as_ref();
            reasoning.is_some_and(|c| c.effort == Some(Effort::High) || c.budget_tokens.is_some())
        },
    },
    Feature {
        name: "no reasoning",
        make: |r| {
            r.reasoning = Some(ReasoningConfig {
                mode: Some(ReasoningMode::Disabled),
                ..ReasoningConfig::default()
            });
        },
        holds: |r| {
            r.reasoning.as_ref().is_some_and(|c| {
                c.mode == Some(ReasoningMode::Disabled)
                    || c.effort == Some(Effort::None)
                    || c.budget_tokens == Some(0)
            })
        },
    },
    Feature {
        name: "reasoning budget",
        make: |r| {
            r.reasoning = Some(ReasoningConfig {
                mode: Some(ReasoningMode::Enabled),
                budget_tokens: Some(2048),
                ..ReasoningConfig::default()
            });
        },
        holds: |r| r.reasoning.as_ref().and_then(|c| c.budget_tokens) == Some(2048),
    },
    Feature {
        name: "cache marks",
        make: |r| {
            let part = r.messages.first_mut().and_then(|m| m.parts.first_mut());
            if let Some(part) = part {
                part.cache = Some(CacheHint::default());
            }
        },
        holds: |r| {
            r.messages
                .iter()
                .flat_map(|m| &m.parts)
                .any(|p| p.cache.is_some())
        },
    },
    Feature {
        name: "cache key",
        make: |r| r.prompt_cache_key = Some("session-7".to_owned()),
        holds: |r| r.prompt_cache_key.is_some(),
    },
    Feature {
        name: "end user",
        make: |r| r.user = Some("user-7".to_owned()),
        holds: |r| r.user.is_some(),
    },
    Feature {
        name: "tags",
        make: |r| r.metadata = Some(json(r#"{"team":"blue"}"#)),
        holds: |r| r.metadata.is_some(),
    },
    Feature {
        name: "service tier",
        make: |r| r.service_tier = Some("flex".to_owned()),
        holds: |r| r.service_tier.is_some(),
    },
];

const SCHEMA: &str = r#"{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}"#;

fn json(text: &str) -> Json {
    Json::parse(text).unwrap_or_else(|_| Json::from_value(&()))
}

fn says(request: &ChatRequest, role: Role, words: &str) -> bool {
    let mut of_role = request.messages.iter().filter(|m| m.role == role);
    of_role.any(|m| m.joined_text() == words)
}

fn add(request: &mut ChatRequest, kind: PartKind) {
    if let Some(message) = request.messages.first_mut() {
        message.bare = false;
        message.parts.push(Part::from(kind));
    }
}

fn media(kind: MediaKind, mime: &str, data: &str) -> PartKind {
    let mut media = Media::new(kind, MediaSource::Base64(data.to_owned()));
    media.mime = Some(mime.to_owned());
    if matches!(kind, MediaKind::Document) {
        media.name = Some("a.pdf".to_owned());
    }
    PartKind::Media(media)
}

fn has_media(request: &ChatRequest, kind: MediaKind, source: fn(&MediaSource) -> bool) -> bool {
    let mut parts = request.messages.iter().flat_map(|m| &m.parts);
    parts.any(|p| matches!(&p.kind, PartKind::Media(m) if m.kind == kind && source(&m.source)))
}

fn tool(request: &mut ChatRequest, strict: Option<bool>) {
    let kind = ToolKind::Function {
        name: "weather".to_owned(),
        description: Some("Tells the weather.".to_owned()),
        parameters: Some(json(SCHEMA)),
        strict,
    };
    request.tools = vec![Tool {
        kind,
        cache: None,
        rest: Rest::default(),
    }];
}

/// The tool's strictness, where it is there with its schema.
fn weather(request: &ChatRequest) -> Option<Option<bool>> {
    request.tools.iter().find_map(|tool| match &tool.kind {
        ToolKind::Function {
            name,
            parameters: Some(schema),
            strict,
            ..
        } if name == "weather" && schema.as_str().contains("city") => Some(*strict),
        _ => None,
    })
}

/// One tool is demanded, in so many words or as the only one allowed.
fn named(choice: Option<&ToolChoice>) -> bool {
    match choice {
        Some(ToolChoice::Named { name, .. }) => name == "weather",
        Some(ToolChoice::Allowed { required, tools }) => {
            *required && tools.as_str().contains("weather")
        }
        _ => false,
    }
}

/// A call, and its result.
fn loops(request: &mut ChatRequest, is_error: Option<bool>) {
    tool(request, None);
    let call = ToolCall {
        id: "call_abc123456".to_owned(),
        name: "weather".to_owned(),
        arguments: r#"{"city":"Ulm"}"#.to_owned(),
        ..ToolCall::default()
    };
    let result = ToolResult {
        call_id: call.id.clone(),
        parts: vec![Part::text("rain")],
        bare: true,
        is_error,
        ..ToolResult::default()
    };
    let (call, result) = (PartKind::ToolCall(call), PartKind::ToolResult(result));
    let turns = [(Role::Assistant, call), (Role::Tool, result)];
    let turns = turns.map(|(role, kind)| Message::new(role, vec![kind.into()]));
    request.messages.extend(turns);
}

/// The mark of the result that answers the call.
fn result(request: &ChatRequest) -> Option<Option<bool>> {
    let parts = || request.messages.iter().flat_map(|m| &m.parts);
    let call = parts().find_map(|p| match &p.kind {
        PartKind::ToolCall(call) if call.name == "weather" => Some(call),
        _ => None,
    })?;
    parts().find_map(|p| match &p.kind {
        PartKind::ToolResult(result) if result.call_id == call.id => Some(result.is_error),
        _ => None,
    })
}
