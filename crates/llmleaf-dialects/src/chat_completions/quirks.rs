//! The variations this wire is known to have, as data.
//!
//! [`Quirks::REFERENCE`] is the wire as OpenAI documents it. A provider's row states only differences,
//! and each field names the phenomenon, never a service. Rows can be written in a config file.

use super::tools::GEMINI;
use crate::ladder;
use serde::Deserialize;
use std::borrow::Cow;

/// How one service's chat completions differ from the reference.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// What it wants of requests.
    pub request: RequestQuirks,
    /// How its streams differ.
    pub stream: StreamQuirks,
    /// How it reports and takes reasoning.
    pub reasoning: ReasoningQuirks,
}

/// What a service wants of requests.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequestQuirks {
    /// Field of the output cap.
    pub output_cap: OutputCap,
    /// Role of instructions.
    pub instructions: InstructionRole,
    /// Top-level fields it refuses: removed, and reported as losses.
    pub unsupported: Cow<'static, [Cow<'static, str>]>,
    /// Models, by the beginning of their name, that sample in one way only: fields that ask for another are refused, so they are removed.
    pub fixed_sampling: Cow<'static, [Cow<'static, str>]>,
    /// Fields it knows under another name: (reference name, its name).
    pub renamed: Cow<'static, [(Cow<'static, str>, Cow<'static, str>)]>,
    /// Structured output it offers.
    pub schema: SchemaSupport,
    /// Its spelling of a forced tool call, where the reference says `required`.
    pub tool_choice_required: Cow<'static, str>,
    /// It takes OpenRouter's routing and reasoning fields (`provider`, `models`, `reasoning`, `cache_control`, …).
    pub extended: bool,
    /// It takes `cache_control` on parts and tools.
    pub cache_control: bool,
    /// It takes documents as `file` parts.
    pub files: bool,
    /// Tools of free text (`type: "custom"`).
    pub custom_tools: CustomTools,
    /// What it takes of JSON Schema, where schemas come from another dialect.
    pub tool_schemas: ToolSchemas,
    /// Tools whose calls are to be held to their schema, where they come from another dialect.
    pub strict_tools: StrictTools,
}

/// Whether there are tools of free text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CustomTools {
    /// The service takes them.
    Offered,
    /// They go as functions of one text, and come back as what they were.
    AsFunctions,
}

/// What a service takes of JSON Schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolSchemas {
    /// All of it, with an object at the root.
    Full,
    /// A part, in which each alternative of a union has its own type.
    TypedBranches,
}

/// What a service does with a tool whose calls are to be held to its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StrictTools {
    /// It takes those of closed objects with every property required, and refuses others.
    AllRequired,
    /// It takes any schema that it takes at all.
    AnySchema,
    /// It knows nothing of the kind.
    Unknown,
}

/// Field of the output cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputCap {
    /// `max_completion_tokens`; `max_tokens` is deprecated and refused by reasoning models.
    MaxCompletionTokens,
    /// `max_tokens` only.
    MaxTokens,
}

impl OutputCap {
    /// The field's name.
    pub fn field(self) -> &'static str {
        match self {
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::MaxTokens => "max_tokens",
        }
    }

    /// The name it is not.
    pub fn other(self) -> &'static str {
        match self {
            Self::MaxCompletionTokens => "max_tokens",
            Self::MaxTokens => "max_completion_tokens",
        }
    }
}

/// Role of instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstructionRole {
    /// `developer` and `system` both.
    Either,
    /// `system` only; `developer` is renamed.
    SystemOnly,
}

/// Structured output a service offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchemaSupport {
    /// `json_schema` and `json_object`.
    JsonSchema,
    /// `json_object` only.
    JsonObject,
}

/// How a service's streams differ.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamQuirks {
    /// What ends a stream.
    pub end: EndMarker,
    /// Whether usage must be asked for.
    pub usage: StreamUsage,
    /// How calls of tools come.
    pub calls: StreamedCalls,
}

/// How calls of tools come in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamedCalls {
    /// In pieces: a name, then the arguments bit by bit.
    InPieces,
    /// Each whole, with its name, and the use in the chunk that ends the answer.
    Whole,
}

/// What ends a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndMarker {
    /// `data: [DONE]`, always; a stream without it was cut.
    Done,
    /// A finish reason on every choice; `[DONE]` may be missing.
    Finish,
}

/// Whether usage in streams must be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamUsage {
    /// By `stream_options.include_usage`.
    OnRequest,
    /// It comes unasked; `stream_options` is refused.
    Always,
}

/// How a service reports and takes reasoning.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReasoningQuirks {
    /// How effort is asked for.
    pub request: ReasoningRequest,
    /// How earlier reasoning goes back in assistant messages.
    pub echo: ReasoningEcho,
    /// Families of artefacts it can verify (see [`llmleaf_model::Provenance`]); only those are sent back.
    pub verifies: Cow<'static, [Cow<'static, str>]>,
}

/// How effort is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningRequest {
    /// `reasoning_effort: "low"`.
    Effort,
    /// `reasoning: {effort | max_tokens, exclude}`.
    Object,
    /// `thinking: {type: "enabled" | "disabled"}`.
    Thinking,
    /// As `Effort`, which has no word for none: `reasoning: {enabled: false}` says that.
    Switch,
    /// Not at all.
    Unsupported,
}

/// How earlier reasoning goes back in assistant messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningEcho {
    /// It does not: the service refuses or ignores it.
    Never,
    /// Nobody knows: nothing is written, and what a consumer of this wire sends goes on.
    Unknown,
    /// As text in `reasoning_content`.
    ReasoningContent,
    /// As text in `reasoning`.
    Reasoning,
    /// As `reasoning_details`, artefacts included.
    Details,
    /// As a list of `thinking` parts in `content`.
    ContentParts,
}

impl Quirks {
    /// The wire as OpenAI documents it.
    pub const REFERENCE: Self = Self {
        request: RequestQuirks::REFERENCE,
        stream: StreamQuirks::REFERENCE,
        reasoning: ReasoningQuirks::REFERENCE,
    };
}

impl RequestQuirks {
    /// The reference.
    pub const REFERENCE: Self = Self {
        output_cap: OutputCap::MaxCompletionTokens,
        instructions: InstructionRole::Either,
        unsupported: Cow::Borrowed(&[]),
        fixed_sampling: Cow::Borrowed(&[]),
        renamed: Cow::Borrowed(&[]),
        schema: SchemaSupport::JsonSchema,
        tool_choice_required: Cow::Borrowed("required"),
        extended: false,
        cache_control: false,
        files: true,
        custom_tools: CustomTools::Offered,
        tool_schemas: ToolSchemas::Full,
        strict_tools: StrictTools::AllRequired,
    };
}

/// Fields that ask for another way to sample than the model's own.
const SAMPLING: [&str; 5] = [
    "temperature",
    "top_p",
    "n",
    "presence_penalty",
    "frequency_penalty",
];

impl RequestQuirks {
    /// Fields that the service, or its model, refuses.
    pub(crate) fn refused(&self, model: &str) -> impl Iterator<Item = &str> {
        let sampling = if self.is_fixed(model) {
            &SAMPLING[..]
        } else {
            &[]
        };
        let refused = self.unsupported.iter().map(|name| &**name);
        refused.chain(sampling.iter().copied())
    }

    /// Whether a refused field of this value is lost. `null` asks for nothing, and nothing else than what it does is asked of a model that
    /// samples in one way only by the one value that it would take.
    pub(crate) fn loses(&self, model: &str, name: &str, value: &str) -> bool {
        let one = || value.parse() == Ok(1.0);
        let as_ever = matches!(name, "temperature" | "n") && self.is_fixed(model) && one();
        value != "null" && !as_ever
    }

    fn is_fixed(&self, model: &str) -> bool {
        let mut models = self.fixed_sampling.iter();
        models.any(|begin| ladder::begins(model, begin))
    }
}

impl ReasoningQuirks {
    /// Whether proofs of calls go on with them: to a model of the one maker that proves calls, at a service that is known to pass them
    /// on, or of which nobody knows. Nobody else's models can verify them.
    pub(crate) fn proves_calls(&self, model: &str) -> bool {
        let passes_on = self.echo == ReasoningEcho::Unknown || self.verifies.contains(&GEMINI.0);
        passes_on && ladder::is_gemini(model)
    }
}

impl StreamQuirks {
    /// The reference.
    pub const REFERENCE: Self = Self {
        end: EndMarker::Done,
        usage: StreamUsage::OnRequest,
        calls: StreamedCalls::InPieces,
    };
}

impl ReasoningQuirks {
    /// The reference.
    pub const REFERENCE: Self = Self {
        request: ReasoningRequest::Effort,
        echo: ReasoningEcho::Never,
        verifies: Cow::Borrowed(&[]),
    };
}

impl Default for Quirks {
    fn default() -> Self {
        Self::REFERENCE
    }
}

impl Default for RequestQuirks {
    fn default() -> Self {
        Self::REFERENCE
    }
}

impl Default for StreamQuirks {
    fn default() -> Self {
        Self::REFERENCE
    }
}

impl Default for ReasoningQuirks {
    fn default() -> Self {
        Self::REFERENCE
    }
}
