//! Where the vendors of the wires document their operations, and the bodies that these take.

use crate::registry::{BatchCall, Endpoint, Operation};
use llmleaf_dialects::Dialect;
use llmleaf_dialects::ollama::Form;
use llmleaf_exchange::Operation::Kept;
use serde_json::{Map, Value, json};

/// Where a vendor documents an operation: page, and the body's required fields.
pub(super) struct Vendor {
    pub(super) reference: &'static str,
    required: &'static [&'static str],
}

pub(super) fn vendor(endpoint: &Endpoint) -> Option<Vendor> {
    use llmleaf_dialects::{EmbeddingForm, ModerationForm, RerankForm};
    use llmleaf_exchange::Operation::{Chat, CountTokens, Embed, Moderate, Rerank};
    if endpoint.operation == Operation::Batch(BatchCall::Make) {
        return Some(batch_vendor(endpoint.dialect));
    }
    let Operation::Exchange(operation) = endpoint.operation else {
        return None;
    };
    Some(match (endpoint.dialect, operation) {
        (
            _,
            Kept(_) | llmleaf_exchange::Operation::Batch(_) | llmleaf_exchange::Operation::Realtime,
        ) => return None,
        (_, Rerank(form)) => Vendor {
            reference: match form {
                RerankForm::Plain => "https://docs.cohere.com/v1/reference/rerank",
                RerankForm::Texts => "https://docs.cohere.com/reference/rerank",
            },
            required: &["model", "query", "documents"],
        },
        (_, Embed(EmbeddingForm::Embeddings)) => Vendor {
            reference: "https://platform.openai.com/docs/api-reference/embeddings/create",
            required: &["model", "input"],
        },
        (_, Embed(form @ (EmbeddingForm::Typed | EmbeddingForm::TypedFirst))) => Vendor {
            reference: match form {
                EmbeddingForm::Typed => "https://docs.cohere.com/reference/embed",
                _ => "https://docs.cohere.com/v1/reference/embed",
            },
            required: &["model"],
        },
        (_, Embed(EmbeddingForm::Lines)) => Vendor {
            reference: "https://docs.ollama.com/api/embed",
            required: &["model", "input"],
        },
        (_, Embed(EmbeddingForm::LinesPrompt)) => Vendor {
            reference: "https://docs.ollama.com/api/embed",
            required: &["model", "prompt"],
        },
        (_, Embed(EmbeddingForm::EmbedContent)) => Vendor {
            reference: "https://ai.google.dev/api/embeddings",
            required: &["content"],
        },
        (_, Embed(EmbeddingForm::BatchEmbedContents)) => Vendor {
            reference: "https://ai.google.dev/api/embeddings",
            required: &["requests"],
        },
        (_, Moderate(ModerationForm::Inputs)) => Vendor {
            reference: "https://platform.openai.com/docs/api-reference/moderations/create",
            required: &["input"],
        },
        (_, Moderate(ModerationForm::Conversations)) => Vendor {
            reference: "https://docs.mistral.ai/api/endpoint/classifiers",
            required: &["input"],
        },
        (Dialect::ChatCompletions, Chat | CountTokens) => Vendor {
            reference: "https://platform.openai.com/docs/api-reference/chat/create",
            required: &["model", "messages"],
        },
        (Dialect::TextCompletions, Chat | CountTokens) => Vendor {
            reference: "https://platform.openai.com/docs/api-reference/completions/create",
            required: &["model", "prompt"],
        },
        (Dialect::Responses, Chat | CountTokens) => Vendor {
            reference: "https://platform.openai.com/docs/api-reference/responses/create",
            required: &["model"],
        },
        (Dialect::Messages, Chat) => Vendor {
            reference: "https://docs.claude.com/en/api/messages",
            required: &["model", "messages", "max_tokens"],
        },
        (Dialect::Messages, CountTokens) => Vendor {
            reference: "https://docs.claude.com/en/api/messages-count-tokens",
            required: &["model", "messages"],
        },
        (Dialect::GenerateContent, Chat) => Vendor {
            reference: "https://ai.google.dev/api/generate-content",
            required: &["contents"],
        },
        (Dialect::GenerateContent, CountTokens) => Vendor {
            reference: "https://ai.google.dev/api/tokens",
            required: &[],
        },
        (Dialect::Ollama(Form::Chat), Chat | CountTokens) => Vendor {
            reference: "https://docs.ollama.com/api/chat",
            required: &["model"],
        },
        (Dialect::Ollama(Form::Generate), Chat | CountTokens) => Vendor {
            reference: "https://docs.ollama.com/api/generate",
            required: &["model"],
        },
        (Dialect::CohereChat, Chat | CountTokens) => Vendor {
            reference: "https://docs.cohere.com/reference/chat",
            required: &["model", "messages"],
        },
    })
}

fn batch_vendor(dialect: Dialect) -> Vendor {
    match dialect {
        Dialect::Messages => Vendor {
            reference: "https://docs.claude.com/en/api/creating-message-batches",
            required: &["requests"],
        },
        // Either `input_file_id` or, here, `requests`.
        _ => Vendor {
            reference: "https://platform.openai.com/docs/api-reference/batch/create",
            required: &[],
        },
    }
}

pub(super) fn request_body(vendor: &Vendor) -> Value {
    if !vendor.required.contains(&"model") && !vendor.required.contains(&"input") {
        // The model stands in the path.
        let schema = json!({
            "type": "object",
            "required": vendor.required,
            "properties": vendor.required.iter().map(|name| ((*name).to_owned(), json!({"type": ["array", "object"]}))).collect::<Map<_, _>>(),
            "additionalProperties": true,
            "externalDocs": {"url": vendor.reference},
        });
        return json!({"required": true, "content": {"application/json": {"schema": schema}}});
    }
    if vendor.required.contains(&"prompt") {
        let schema = json!({
            "type": "object",
            "required": vendor.required,
            "properties": {
                "model": {"type": "string", "minLength": 1, "description": "A name from GET /v1/models."},
                "prompt": {"type": ["string", "array"]},
                "stream": {"type": ["boolean", "null"]},
            },
            "additionalProperties": true,
            "externalDocs": {"url": vendor.reference},
        });
        return json!({"required": true, "content": {"application/json": {"schema": schema}}});
    }
    if vendor.required.contains(&"input") {
        let schema = json!({
            "type": "object",
            "required": vendor.required,
            "properties": {
                "model": {"type": "string", "minLength": 1, "description": "A name from GET /v1/models."},
                "input": {"type": ["string", "array"]},
                "dimensions": {"type": ["integer", "null"], "minimum": 1},
                "encoding_format": {"enum": ["float", "base64", null]},
            },
            "additionalProperties": true,
            "externalDocs": {"url": vendor.reference},
        });
        return json!({"required": true, "content": {"application/json": {"schema": schema}}});
    }
    let schema = json!({
        "type": "object",
        "required": vendor.required,
        "properties": {
            "model": {"type": "string", "minLength": 1, "description": "A name from GET /v1/models."},
            "messages": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "object", "required": ["role"], "properties": {"role": {"type": "string"}}},
            },
            "max_tokens": {"type": ["integer", "null"], "minimum": 1},
            "stream": {"type": ["boolean", "null"]},
        },
        "additionalProperties": true,
        "externalDocs": {"url": vendor.reference},
    });
    json!({"required": true, "content": {"application/json": {"schema": schema}}})
}
