//! Tools, calls and results.

use crate::{Artefact, CacheHint, DialectName, Json, Part, Rest};

/// A tool the model may use.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// What it is.
    pub kind: ToolKind,
    /// The consumer asked that the prompt up to and including this tool be cached.
    pub cache: Option<CacheHint>,
    /// Fields that the dialect's reading does not name.
    pub rest: Rest,
}

/// What a tool is.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolKind {
    /// Runs at the consumer; arguments follow a JSON Schema.
    Function {
        /// Name the model calls it by.
        name: String,
        /// What it does, for the model.
        description: Option<String>,
        /// JSON Schema of the arguments; `None` takes no arguments.
        parameters: Option<Json>,
        /// The provider must hold the arguments to the schema.
        strict: Option<bool>,
    },
    /// Runs at the consumer; the input is free text, perhaps under a grammar.
    Custom {
        /// Name the model calls it by.
        name: String,
        /// What it does, for the model.
        description: Option<String>,
        /// Format of the input, as written.
        format: Option<Json>,
    },
    /// A group of tools under one name.
    Namespace {
        name: String,
        description: Option<String>,
        tools: Vec<Tool>,
    },
    /// Runs at the provider; only its own dialect understands the settings.
    Server {
        /// Dialect that `json` is written in.
        dialect: DialectName,
        /// The wire's type name (`web_search_20250305`).
        kind: String,
        /// The tool as written, whole.
        json: Json,
    },
}

impl Tool {
    /// A function tool with nothing but its name, description and schema.
    pub fn function(
        name: impl Into<String>,
        description: Option<String>,
        parameters: Option<Json>,
    ) -> Self {
        let kind = ToolKind::Function {
            name: name.into(),
            description,
            parameters,
            strict: None,
        };
        Self {
            kind,
            cache: None,
            rest: Rest::default(),
        }
    }

    /// The name the model calls it by, where it has one.
    pub fn name(&self) -> Option<&str> {
        match &self.kind {
            ToolKind::Function { name, .. }
            | ToolKind::Custom { name, .. }
            | ToolKind::Namespace { name, .. } => Some(name),
            ToolKind::Server { .. } => None,
        }
    }
}

/// Function (JSON arguments) or custom (free text).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ToolFlavour {
    /// Arguments are JSON.
    #[default]
    Function,
    /// Input is free text.
    Custom,
}

/// Which tool the model must, may or may not call.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// No call.
    None,
    /// Some call.
    Required,
    /// This one.
    Named { name: String, flavour: ToolFlavour },
    /// Only among these; `required` asks for a call.
    Allowed { required: bool, tools: Json },
    /// A choice that only its own dialect understands.
    Opaque { dialect: DialectName, json: Json },
}

/// The model calls a tool of the consumer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolCall {
    /// The provider's id, echoed by the result.
    pub id: String,
    /// Tool name.
    pub name: String,
    /// Namespace of the tool, in dialects that have them.
    pub namespace: Option<String>,
    /// Arguments as the model wrote them: JSON text for functions (perhaps invalid), free text for custom tools.
    pub arguments: String,
    /// Function or custom.
    pub flavour: ToolFlavour,
    /// Opaque proof bound to this call (a thought signature).
    pub artefact: Option<Artefact>,
}

/// The consumer's answer to a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolResult {
    /// Id of the call that is answered.
    pub call_id: String,
    /// Tool name, in dialects that repeat it.
    pub name: Option<String>,
    /// What the tool returned; may hold media.
    pub parts: Vec<Part>,
    /// The content was one bare string on the wire.
    pub bare: bool,
    /// The tool failed.
    pub is_error: Option<bool>,
    /// Function or custom.
    pub flavour: ToolFlavour,
}

/// The provider ran a tool of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerToolUse {
    /// Dialect that `json` is written in.
    pub dialect: DialectName,
    /// Id of this use.
    pub id: String,
    /// Tool name (`web_search`).
    pub name: String,
    /// Input of the tool as JSON text; empty while it is still streaming.
    pub input: String,
    /// The block as written, where it arrived whole.
    pub json: Option<Json>,
}

/// What the provider's own tool returned.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerToolResult {
    /// Dialect that `json` is written in.
    pub dialect: DialectName,
    /// Id of the use it answers.
    pub call_id: String,
    /// The wire's type name.
    pub kind: String,
    /// The block as written, whole.
    pub json: Json,
}
