//! Reranking: the forms that consumers speak and those that providers speak.
//!
//! Two forms are in use. The plain one, `POST /v1/rerank`, is what the first version of Cohere's API, Jina, Together, OpenRouter, vLLM, llama.cpp and
//! others have in common; Cohere's second version takes texts only and repeats no documents. A request in the form of its provider goes
//! through as it came, but for named edits. An answer is always looked at: what it names was among the documents, and nothing twice, or
//! the next target is tried.
//!
//! Reading order: `request.rs`, `answer.rs`.

mod answer;
mod request;

use crate::{Head, Rendered};
use bytes::Bytes;
use llmleaf_model::{Failure, Ranking, RerankRequest};
use serde::Deserialize;
use std::borrow::Cow;

/// The form of a consumer's request and of the answer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RerankForm {
    /// `POST /v1/rerank`.
    Plain,
    /// `POST /v2/rerank` of Cohere.
    Texts,
}

impl RerankForm {
    /// Parses a request. `model` is the one that the request names.
    ///
    /// # Errors
    /// The body does not say what a request needs; the failure names the field.
    pub fn parse_request(self, body: &str, model: &str) -> Result<RerankRequest, Failure> {
        request::parse(self, body, model)
    }

    /// Renders an answer to a request of this form.
    pub fn render(self, answer: &Ranking, request: &RerankRequest) -> Vec<u8> {
        match self {
            Self::Plain => answer::render_plain(answer, request),
            Self::Texts => answer::render_texts(answer, request),
        }
    }
}

/// A form that a provider speaks, with that provider's variations of it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RerankWire {
    /// The plain form.
    Plain(PlainQuirks),
    /// Cohere's second version.
    Texts,
}

/// How a service differs from the common ground of the plain form.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "snake_case")]
pub struct PlainQuirks {
    /// What it calls `top_n`.
    pub top_n: Cow<'static, str>,
    /// It knows `return_documents`. Some repeat them unless told not to.
    pub returns: bool,
    /// It speaks the routing language.
    pub routes: bool,
}

impl PlainQuirks {
    /// As Jina and Cohere's first version have it.
    pub const REFERENCE: Self = Self {
        top_n: Cow::Borrowed("top_n"),
        returns: true,
        routes: false,
    };
}

impl Default for PlainQuirks {
    fn default() -> Self {
        Self::REFERENCE
    }
}

impl RerankWire {
    /// Whether a consumer's body of that form is one for this wire.
    pub fn is_same(&self, form: RerankForm) -> bool {
        matches!(
            (self, form),
            (Self::Plain(_), RerankForm::Plain) | (Self::Texts, RerankForm::Texts)
        )
    }

    /// Whether the service speaks the routing language itself.
    pub fn routes(&self) -> bool {
        matches!(self, Self::Plain(quirks) if quirks.routes)
    }

    /// Splices the named edits into a body of the same form.
    ///
    /// # Errors
    /// The body is no text.
    pub fn edit(&self, head: &Head, body: &Bytes, model: &str) -> Result<Rendered, Failure> {
        match self {
            Self::Plain(quirks) => request::edit(head, body, model, quirks),
            Self::Texts => request::edit(head, body, model, &PlainQuirks::REFERENCE),
        }
    }

    /// Renders a parsed request of the other form.
    ///
    /// # Errors
    /// The service cannot do what is asked (kind `Unsupported`: the next target may).
    pub fn render_request(
        &self,
        request: &RerankRequest,
        model: &str,
    ) -> Result<Rendered, Failure> {
        match self {
            Self::Plain(quirks) => request::render_plain(request, model, quirks),
            Self::Texts => request::render_texts(request, model),
        }
    }

    /// Reads an answer, and that it is one to the request.
    ///
    /// # Errors
    /// It is not (kind `InvalidResponse`: the next target may do better).
    pub fn parse_answer(&self, body: &[u8], request: &RerankRequest) -> Result<Ranking, Failure> {
        answer::parse(body, request)
    }
}

/// Whether an answer can go to its consumer as it came: its names are those of the form, and no more is in it than was asked for.
pub fn is_as_asked(answer: &Ranking, request: &RerankRequest) -> bool {
    let most = request.top_n.unwrap_or(u64::MAX);
    !answer.renamed && answer.results.len() as u64 <= most
}

#[cfg(test)]
mod tests;
