//! What rows of one kind have in common.

use super::{Addressing, AuthClass, Endpoint, Operation};
use http::Method;
use llmleaf_dialects::{Dialect, EmbeddingForm, RerankForm};
use llmleaf_exchange::{Audio, Verb};

pub(super) const CHAT: Operation = Operation::Exchange(llmleaf_exchange::Operation::Chat);
pub(super) const COUNT: Operation = Operation::Exchange(llmleaf_exchange::Operation::CountTokens);

pub(super) const EMBED: Operation = embed(EmbeddingForm::Embeddings);
pub(super) const EMBED_ONE: Operation = embed(EmbeddingForm::EmbedContent);
pub(super) const EMBED_BATCH: Operation = embed(EmbeddingForm::BatchEmbedContents);
pub(super) const EMBED_TYPED: Operation = embed(EmbeddingForm::Typed);
pub(super) const EMBED_TYPED_FIRST: Operation = embed(EmbeddingForm::TypedFirst);
pub(super) const EMBED_LINES: Operation = embed(EmbeddingForm::Lines);
pub(super) const EMBED_PROMPT: Operation = embed(EmbeddingForm::LinesPrompt);

pub(super) const RERANK: Operation = rerank(RerankForm::Plain);
pub(super) const RERANK_TEXTS: Operation = rerank(RerankForm::Texts);

pub(super) const fn rerank(form: RerankForm) -> Operation {
    Operation::Exchange(llmleaf_exchange::Operation::Rerank(form))
}

pub(super) const fn embed(form: EmbeddingForm) -> Operation {
    Operation::Exchange(llmleaf_exchange::Operation::Embed(form))
}

pub(super) const fn audio(what: Audio) -> Operation {
    Operation::Exchange(llmleaf_exchange::Operation::Audio(what))
}

pub(super) const fn post(
    path: &'static str,
    operation: Operation,
    dialect: Dialect,
    summary: &'static str,
) -> Endpoint {
    Endpoint {
        method: Method::POST,
        path,
        auth: AuthClass::Consumer,
        operation,
        dialect,
        addressing: Addressing::Body,
        takes_body: true,
        summary,
    }
}

/// A method of a model, as Google's APIs name it behind a colon.
pub(super) const fn method(
    path: &'static str,
    operation: Operation,
    stream: bool,
    summary: &'static str,
) -> Endpoint {
    Endpoint {
        method: Method::POST,
        path,
        auth: AuthClass::Consumer,
        operation,
        dialect: Dialect::GenerateContent,
        addressing: Addressing::Path { stream },
        takes_body: true,
        summary,
    }
}

/// Something about an answer that a provider keeps.
pub(super) const fn kept(
    method: Method,
    path: &'static str,
    verb: Verb,
    summary: &'static str,
) -> Endpoint {
    Endpoint {
        method,
        path,
        auth: AuthClass::Consumer,
        operation: Operation::Exchange(llmleaf_exchange::Operation::Kept(verb)),
        dialect: Dialect::Responses,
        addressing: Addressing::Body,
        takes_body: false,
        summary,
    }
}

pub(super) const GENERATE: &str = "Generates content, by the `generateContent` wire.";
pub(super) const STREAM: &str =
    "Generates content as a stream: events with `alt=sse`, else one JSON array.";
pub(super) const EMBED_CONTENT: &str = "A vector for a content.";
pub(super) const EMBED_CONTENTS: &str = "Vectors for contents.";
pub(super) const COUNT_CONTENT: &str = "Counts the input tokens of a request to generate content.";

pub(super) const fn get(
    path: &'static str,
    auth: AuthClass,
    operation: Operation,
    summary: &'static str,
) -> Endpoint {
    let dialect = Dialect::ChatCompletions;
    Endpoint {
        method: Method::GET,
        path,
        auth,
        operation,
        dialect,
        addressing: Addressing::Body,
        takes_body: false,
        summary,
    }
}

/// An endpoint of the wire whose streams are lines, beside its chat.
pub(super) const fn lines(
    method: Method,
    path: &'static str,
    auth: AuthClass,
    operation: Operation,
    summary: &'static str,
) -> Endpoint {
    Endpoint {
        takes_body: matches!(operation, Operation::Show),
        method,
        path,
        auth,
        operation,
        dialect: Dialect::LINES,
        addressing: Addressing::Body,
        summary,
    }
}

pub(super) const fn head(path: &'static str) -> Endpoint {
    let summary = "Answers 200: clients probe their base URL.";
    let (auth, operation, dialect) = (
        AuthClass::Public,
        Operation::Probe,
        Dialect::ChatCompletions,
    );
    Endpoint {
        method: Method::HEAD,
        path,
        auth,
        operation,
        dialect,
        addressing: Addressing::Body,
        takes_body: false,
        summary,
    }
}
