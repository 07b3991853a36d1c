//! Where the vendors of the wires document their operations, and the bodies that these take.

use crate::registry::{BatchCall, Endpoint, Operation};
use llmleaf_dialects::ollama::Form;
use llmleaf_dialects::{Dialect, EmbeddingForm, ImageForm, ModerationForm, RerankForm};
use serde_json::{Map, Value, json};

/// Where a vendor documents an operation: page, and the body's required fields.
pub(super) struct Vendor {
    pub(super) reference: &'static str,
    pub(super) required: &'static [&'static str],
}

pub(super) fn vendor(endpoint: &Endpoint) -> Option<Vendor> {
    use llmleaf_exchange::Operation as Asked;
    if endpoint.operation == Operation::Batch(BatchCall::Make) {
        return Some(batch_vendor(endpoint.dialect));
    }
    let Operation::Exchange(operation) = endpoint.operation else {
        return None;
    };
    Some(match operation {
        Asked::Kept(_) | Asked::Batch(_) | Asked::Realtime => return None,
        Asked::Audio(audio) => return super::audio::vendor(audio),
        Asked::Rerank(form) => rerank(form),
        Asked::Embed(form) => embeddings(form),
        Asked::Draw(form) => images(form),
        Asked::Moderate(form) => moderations(form),
        Asked::Chat | Asked::CountTokens => chat(endpoint.dialect, operation),
    })
}

fn rerank(form: RerankForm) -> Vendor {
    Vendor {
        reference: match form {
            RerankForm::Plain => "https://docs.cohere.com/v1/reference/rerank",
            RerankForm::Texts => "https://docs.cohere.com/reference/rerank",
        },
        required: &["model", "query", "documents"],
    }
}

fn embeddings(form: EmbeddingForm) -> Vendor {
    match form {
        EmbeddingForm::Embeddings => Vendor {
            reference: "https://platform.openai.com/docs/api-reference/embeddings/create",
            required: &["model", "input"],
        },
        form @ (EmbeddingForm::Typed | EmbeddingForm::TypedFirst) => Vendor {
            reference: match form {
                EmbeddingForm::Typed => "https://docs.cohere.com/reference/embed",
                _ => "https://docs.cohere.com/v1/reference/embed",
            },
            required: &["model"],
        },
        EmbeddingForm::Lines => Vendor {
            reference: "https://docs.ollama.com/api/embed",
            required: &["model", "input"],
        },
        EmbeddingForm::LinesPrompt => Vendor {
            reference: "https://docs.ollama.com/api/embed",
            required: &["model", "prompt"],
        },
        EmbeddingForm::EmbedContent => Vendor {
            reference: "https://ai.google.dev/api/embeddings",
            required: &["content"],
        },
        EmbeddingForm::BatchEmbedContents => Vendor {
            reference: "https://ai.google.dev/api/embeddings",
            required: &["requests"],
        },
    }
}

fn images(form: ImageForm) -> Vendor {
    match form {
        ImageForm::Generations => Vendor {
            reference: "https://platform.openai.com/docs/api-reference/images/create",
            required: &["prompt"],
        },
        ImageForm::Edits => Vendor {
            reference: "https://platform.openai.com/docs/api-reference/images/createEdit",
            required: &["prompt", "images"],
        },
        ImageForm::Variations => Vendor {
            reference: "https://platform.openai.com/docs/api-reference/images/createVariation",
            required: &["image"],
        },
    }
}

fn moderations(form: ModerationForm) -> Vendor {
    match form {
        ModerationForm::Inputs => Vendor {
            reference: "https://platform.openai.com/docs/api-reference/moderations/create",
            required: &["input"],
        },
        ModerationForm::Conversations => Vendor {
            reference: "https://docs.mistral.ai/api/endpoint/classifiers",
            required: &["input"],
        },
    }
}

fn chat(dialect: Dialect, operation: llmleaf_exchange::Operation) -> Vendor {
    let counts = operation == llmleaf_exchange::Operation::CountTokens;
    match (dialect, counts) {
        (Dialect::ChatCompletions, _) => Vendor {
            reference: "https://platform.openai.com/docs/api-reference/chat/create",
            required: &["model", "messages"],
        },
        (Dialect::TextCompletions, _) => Vendor {
            reference: "https://platform.openai.com/docs/api-reference/completions/create",
            required: &["model", "prompt"],
        },
        (Dialect::Responses, true) => Vendor {
            reference: "https://platform.openai.com/docs/api-reference/responses/input-tokens",
            required: &["model"],
        },
        (Dialect::Responses, false) => Vendor {
            reference: "https://platform.openai.com/docs/api-reference/responses/create",
            required: &["model"],
        },
        (Dialect::Messages, false) => Vendor {
            reference: "https://docs.claude.com/en/api/messages",
            required: &["model", "messages", "max_tokens"],
        },
        (Dialect::Messages, true) => Vendor {
            reference: "https://docs.claude.com/en/api/messages-count-tokens",
            required: &["model", "messages"],
        },
        (Dialect::GenerateContent, false) => Vendor {
            reference: "https://ai.google.dev/api/generate-content",
            required: &["contents"],
        },
        (Dialect::GenerateContent, true) => Vendor {
            reference: "https://ai.google.dev/api/tokens",
            required: &[],
        },
        (Dialect::Ollama(Form::Chat), _) => Vendor {
            reference: "https://docs.ollama.com/api/chat",
            required: &["model"],
        },
        (Dialect::Ollama(Form::Generate), _) => Vendor {
            reference: "https://docs.ollama.com/api/generate",
            required: &["model"],
        },
        (Dialect::CohereChat, _) => Vendor {
            reference: "https://docs.cohere.com/reference/chat",
            required: &["model", "messages"],
        },
    }
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
    if let Some(body) = super::audio::request_body(vendor.required, vendor.reference) {
        return body;
    }
    let prompted = vendor.required.contains(&"prompt") || vendor.required.contains(&"input");
    if !vendor.required.contains(&"model") && !prompted {
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
