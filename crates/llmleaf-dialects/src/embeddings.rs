//! Embeddings: the forms that consumers speak and those that providers speak.
//!
//! OpenAI's form goes through as it came, but for named edits, where the provider speaks it too. An answer is always looked at: there is one
//! vector for each input, and as long as was asked, or the next target is tried.
//!
//! Reading order: `openai.rs`, `generative.rs` (Gemini's two methods), `predict.rs` (Vertex), `typed.rs` (Cohere), `lines.rs` (Ollama), `parts.rs`,
//! `vector.rs`.

mod generative;
mod lines;
mod openai;
mod parts;
mod predict;
mod typed;
mod vector;

use crate::splice::Splices;
use crate::{Head, Rendered, Target, edits};
use bytes::Bytes;
use llmleaf_model::{
    EmbeddingInput, EmbeddingRequest, Embeddings, Failure, FailureKind, Loss, Retry,
};
use serde::Deserialize;

/// The form of a consumer's request and of the answer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EmbeddingForm {
    /// `POST /v1/embeddings` of OpenAI.
    Embeddings,
    /// Gemini's `embedContent`: one input.
    EmbedContent,
    /// Gemini's `batchEmbedContents`.
    BatchEmbedContents,
    /// Cohere's `POST /v2/embed`: vectors by type.
    Typed,
    /// Its first version, `POST /v1/embed`.
    TypedFirst,
    /// Ollama's `POST /api/embed`.
    Lines,
    /// Ollama's older `POST /api/embeddings`: one prompt.
    LinesPrompt,
}

impl EmbeddingForm {
    /// Parses a request. `model` is the one that the request names, here or in its path.
    ///
    /// # Errors
    /// The body does not say what a request needs; the failure names the field.
    pub fn parse_request(self, body: &str, model: &str) -> Result<EmbeddingRequest, Failure> {
        match self {
            Self::Embeddings => openai::parse_request(body, model),
            Self::EmbedContent => generative::parse_one(body, model),
            Self::BatchEmbedContents => generative::parse_batch(body, model),
            Self::Typed => typed::parse_request(body, model, false),
            Self::TypedFirst => typed::parse_request(body, model, true),
            Self::Lines => lines::parse_request(body, model, false),
            Self::LinesPrompt => lines::parse_request(body, model, true),
        }
    }

    /// Renders an answer to a request of this form.
    ///
    /// # Errors
    /// A vector is none.
    pub fn render(
        self,
        answer: &Embeddings,
        request: &EmbeddingRequest,
    ) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Embeddings => openai::render(answer, request),
            Self::EmbedContent => generative::render_one(answer),
            Self::BatchEmbedContents => generative::render_batch(answer),
            Self::Typed => typed::render(answer, request, false),
            Self::TypedFirst => typed::render(answer, request, true),
            Self::Lines => lines::render(answer, request, false),
            Self::LinesPrompt => lines::render(answer, request, true),
        }
    }
}

/// A form that a provider speaks, with that provider's variations of it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmbeddingWire {
    /// OpenAI's.
    OpenAi(OpenAiQuirks),
    /// Gemini's `batchEmbedContents`.
    BatchEmbedContents,
    /// Gemini's `embedContent`, where there is no other: one input a request.
    EmbedContent,
    /// Vertex's `:predict`.
    Predict {
        /// Most inputs of a request.
        most: usize,
    },
    /// Cohere's second version.
    Typed,
    /// Cohere's first version.
    TypedFirst,
    /// Ollama's.
    Lines,
    /// Ollama's older one, for those who speak it.
    LinesPrompt,
}

/// How a service differs from OpenAI's form.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "snake_case")]
pub struct OpenAiQuirks {
    /// It writes vectors in base64 when asked to. Else it is asked for numbers.
    pub base64: bool,
    /// What it takes.
    pub inputs: OpenAiInputs,
    /// What it calls `dimensions`.
    pub dimensions: std::borrow::Cow<'static, str>,
    /// It speaks the routing language.
    pub routes: bool,
}

/// What a service of OpenAI's form takes; each takes what those before it do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenAiInputs {
    /// Texts.
    Texts,
    /// Lists of token ids.
    Tokens,
    /// Inputs of several parts; and it is told what vectors are for (`input_type`).
    Parts,
}

impl OpenAiQuirks {
    /// As OpenAI documents it.
    pub const REFERENCE: Self = Self {
        base64: true,
        inputs: OpenAiInputs::Tokens,
        dimensions: std::borrow::Cow::Borrowed("dimensions"),
        routes: false,
    };
    /// What every service that claims this form takes: numbers for texts.
    pub const PLAIN: Self = Self {
        base64: false,
        inputs: OpenAiInputs::Texts,
        ..Self::REFERENCE
    };
}

impl Default for OpenAiQuirks {
    fn default() -> Self {
        Self::REFERENCE
    }
}

impl EmbeddingWire {
    /// Whether a consumer's body of that form is one for this wire.
    pub fn is_same(&self, form: EmbeddingForm) -> bool {
        matches!(
            (self, form),
            (Self::OpenAi(_), EmbeddingForm::Embeddings)
                | (Self::BatchEmbedContents, EmbeddingForm::BatchEmbedContents)
                | (Self::EmbedContent, EmbeddingForm::EmbedContent)
                | (Self::Typed, EmbeddingForm::Typed)
                | (Self::TypedFirst, EmbeddingForm::TypedFirst)
                | (Self::Lines, EmbeddingForm::Lines)
                | (Self::LinesPrompt, EmbeddingForm::LinesPrompt)
        )
    }

    /// Whether the service speaks the routing language itself.
    pub fn routes(&self) -> bool {
        matches!(self, Self::OpenAi(quirks) if quirks.routes)
    }

    /// Most inputs of one request; of more several are made.
    pub fn most(&self) -> usize {
        match self {
            // "Maximum number of texts per call is `96`": Cohere's OpenAPI document 1.0, 2026-08.
            Self::Typed | Self::TypedFirst => 96,
            // "at most 100 requests can be in one batch": the service's own error, 2026.
            Self::BatchEmbedContents => 100,
            Self::EmbedContent | Self::LinesPrompt => 1,
            Self::Predict { most } => *most,
            Self::OpenAi(_) | Self::Lines => usize::MAX,
        }
    }

    /// Splices the named edits into a body of the same form.
    ///
    /// # Errors
    /// The service cannot do what is asked (kind `Unsupported`: the next target may).
    pub fn edit(
        &self,
        head: &Head,
        body: &Bytes,
        request: &EmbeddingRequest,
        model: &str,
    ) -> Result<Rendered, Failure> {
        match self {
            Self::OpenAi(quirks) => openai::edit(head, body, request, model, quirks),
            Self::BatchEmbedContents => generative::edit(body, model),
            Self::EmbedContent => generative::edit_one(head, body),
            _ => {
                let text = crate::head::checked(body)?;
                let mut splices = Splices::new();
                let stream = head.stream;
                edits::address(head, text, Target { model, stream }, false, &mut splices);
                Ok(edits::rendered(text, body, splices, Vec::new()))
            }
        }
    }

    /// Renders a parsed request.
    ///
    /// # Errors
    /// The service cannot do what is asked (kind `Unsupported`: the next target may).
    pub fn render_request(
        &self,
        request: &EmbeddingRequest,
        model: &str,
    ) -> Result<Rendered, Failure> {
        makeable(request)?;
        match self {
            Self::OpenAi(quirks) => openai::render_request(request, model, quirks),
            Self::BatchEmbedContents => generative::render_request(request, model),
            Self::EmbedContent => generative::render_one_request(request),
            Self::Predict { .. } => predict::render_request(request),
            Self::Typed | Self::TypedFirst => typed::render_request(request, model),
            Self::Lines | Self::LinesPrompt => lines::render_request(request, model),
        }
    }

    /// Reads an answer, and that it is one to the request: a vector for each input, as long as was asked.
    ///
    /// # Errors
    /// It is not (kind `InvalidResponse`: the next target may do better).
    pub fn parse_answer(
        &self,
        body: &[u8],
        request: &EmbeddingRequest,
    ) -> Result<Embeddings, Failure> {
        let answer = match self {
            Self::OpenAi(_) => openai::parse_answer(body),
            Self::BatchEmbedContents | Self::EmbedContent => generative::parse_answer(body),
            Self::Predict { .. } => predict::parse_answer(body),
            Self::Typed | Self::TypedFirst => typed::parse_answer(body, request),
            Self::Lines | Self::LinesPrompt => lines::parse_answer(body),
        }?;
        checked(answer, request)
    }
}

/// What an operator says of vectors, for requests of other forms that say nothing of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EmbeddingDefaults {
    /// What they are for, in the words of Google's `taskType` or of Cohere's `input_type`.
    pub task: Option<String>,
    /// What is too long is to be cut, or else refused.
    pub truncate: Option<bool>,
}

impl EmbeddingDefaults {
    /// Says it of a request.
    pub fn apply(&self, request: &mut EmbeddingRequest) {
        if request.task.is_none()
            && let Some(task) = &self.task
        {
            let known = typed::task_of(task).map(str::to_owned);
            request.task = known.or_else(|| Some(task.clone()));
        }
        request.truncate = request.truncate.or(self.truncate);
    }
}

/// Whether vectors in an answer of the request's own form are written as it asked. Where it names types, its form has a place for each.
pub fn is_as_asked(answer: &Embeddings, request: &EmbeddingRequest) -> bool {
    let by_type = !request.types.is_empty();
    by_type
        || answer
            .vectors
            .iter()
            .all(|vector| vector::encoding(vector) == request.encoding)
}

fn checked(answer: Embeddings, request: &EmbeddingRequest) -> Result<Embeddings, Failure> {
    let (wanted, got) = (request.inputs.len(), answer.vectors.len());
    if wanted != got {
        let why = format!("the provider answered {got} vectors for {wanted} inputs");
        return Err(broken(why));
    }
    for vector in &answer.vectors {
        let length = vector::length(vector).ok_or_else(|| broken("a vector holds no numbers"))?;
        // Of mixed requests each has its own wish; they go through as they are.
        // Bits are packed, eight of them in a number.
        let packed = request.types.iter().any(|name| name.ends_with("binary"));
        let asked = request.dimensions.filter(|_| !request.mixed && !packed);
        if let Some(asked) = asked.filter(|asked| *asked != length) {
            let why = format!("the target made {length} numbers where {asked} were asked for");
            // Servers that do not know the field do so: that is no fault of theirs, and no reason to leave them alone.
            let mut failure = unsupported("dimensions", &why);
            failure.possibly_billed = true;
            return Err(failure);
        }
    }
    Ok(answer)
}

fn broken(why: impl Into<String>) -> Failure {
    Failure::upstream(FailureKind::InvalidResponse, why)
}

/// The target cannot do this; another may.
fn unsupported(field: &str, why: &str) -> Failure {
    let mut failure = Failure::invalid(format!("`{field}`: {why}"), Some(field));
    failure.kind = FailureKind::Unsupported;
    failure.retry = Retry::NextTarget;
    failure
}

/// The text of an input, for a target that takes nothing else.
fn text(input: &EmbeddingInput) -> Result<&str, Failure> {
    match input {
        EmbeddingInput::Text(text) => Ok(text),
        EmbeddingInput::Tokens(_) => Err(unsupported(
            "input",
            "the target cannot read another service's tokens",
        )),
        EmbeddingInput::Parts(_) | EmbeddingInput::Opaque { .. } => {
            Err(unsupported("input", "the target embeds texts only"))
        }
    }
}

/// What the consumer calls the task.
fn task_field(request: &EmbeddingRequest) -> &'static str {
    match request.dialect {
        llmleaf_model::DialectName::GenerateContent => "taskType",
        _ => "input_type",
    }
}

/// Of a target that does not ask what vectors are for: they are the ones that serve there for everything.
fn same_for_all(request: &EmbeddingRequest) -> Loss {
    Loss::approximated(
        task_field(request),
        "the target makes one vector for all tasks",
    )
}

/// The types of numbers that a consumer wants are made of floats here, if they can.
///
/// # Errors
/// Only their own service makes them.
pub fn makeable(request: &EmbeddingRequest) -> Result<(), Failure> {
    let foreign = |name: &&String| !matches!(name.as_str(), "float" | "base64");
    match request.types.iter().find(foreign) {
        Some(name) => {
            let why = format!("the target makes no vectors of type `{name}`");
            Err(unsupported("embedding_types", &why))
        }
        None => Ok(()),
    }
}

/// Fields of another dialect that this one has no place for.
fn lost(request: &EmbeddingRequest, losses: &mut Vec<Loss>) {
    const WHY: &str = "the target has no such field";
    losses.extend(
        request
            .rest
            .iter()
            .map(|(name, _)| Loss::dropped(name, WHY)),
    );
}

#[cfg(test)]
mod tests;
