//! What the description says of sound.

use super::vendor::Vendor;
use llmleaf_exchange::Audio;
use serde_json::{Value, json};

/// Where the vendor of the form documents it.
pub(super) fn vendor(audio: Audio) -> Option<Vendor> {
    match audio {
        Audio::Voices => None,
        Audio::Speech => Some(Vendor {
            reference: "https://platform.openai.com/docs/api-reference/audio/createSpeech",
            required: &["model", "input", "voice"],
        }),
        Audio::Transcription(_) => Some(Vendor {
            reference: "https://platform.openai.com/docs/api-reference/audio/createTranscription",
            required: &["model", "file"],
        }),
    }
}

/// What is answered about sound.
pub(super) fn answer(audio: llmleaf_exchange::Audio) -> (&'static str, Value) {
    let text = || json!({"schema": {"type": "string"}});
    let object = || json!({"schema": {"type": "object"}});
    match audio {
        llmleaf_exchange::Audio::Speech => (
            "The sound, or with `stream_format` \"sse\" its events.",
            json!({
                "audio/*": {"schema": {"type": "string", "format": "binary"}},
                "text/event-stream": text(),
            }),
        ),
        llmleaf_exchange::Audio::Voices => (
            "The voices: `model`, and `voices` with `id`, `name` and `languages`.",
            json!({"application/json": object()}),
        ),
        llmleaf_exchange::Audio::Transcription(_) => (
            "The text, in the format that `response_format` asks for; events where `stream` is true.",
            json!({
                "application/json": object(),
                "text/plain": text(),
                "text/event-stream": text(),
            }),
        ),
    }
}

/// The body of a request about sound, by what it must have.
pub(super) fn request_body(required: &[&str], reference: &str) -> Option<Value> {
    let docs = json!({"url": reference});
    let model =
        json!({"type": "string", "minLength": 1, "description": "A name from GET /v1/models."});
    if required.contains(&"voice") {
        let schema = json!({
            "type": "object",
            "required": required,
            "properties": {
                "model": model,
                "input": {"type": "string"},
                "voice": {"type": ["string", "object"]},
                "instructions": {"type": "string"},
                "response_format": {"type": "string", "default": "mp3"},
                "speed": {"type": "number"},
                "stream_format": {"enum": ["audio", "sse"]},
            },
            "additionalProperties": true,
            "externalDocs": docs,
        });
        return Some(
            json!({"required": true, "content": {"application/json": {"schema": schema}}}),
        );
    }
    if !required.contains(&"file") {
        return None;
    }
    let form = json!({
        "type": "object",
        "required": required,
        "properties": {
            "model": model,
            "file": {"type": "string", "format": "binary"},
            "language": {"type": "string"},
            "prompt": {"type": "string"},
            "response_format": {"enum": ["json", "text", "srt", "vtt", "verbose_json", "diarized_json"]},
            "stream": {"type": "boolean"},
            "temperature": {"type": "number"},
            "timestamp_granularities[]": {"type": "array", "items": {"enum": ["word", "segment"]}},
        },
        "additionalProperties": true,
        "externalDocs": docs,
    });
    let sound = json!({
        "type": "object",
        "required": ["data", "format"],
        "properties": {"data": {"type": "string", "contentEncoding": "base64"}, "format": {"type": "string"}},
    });
    let inline = json!({
        "type": "object",
        "required": ["model", "input_audio"],
        "properties": {"model": model, "input_audio": sound},
        "additionalProperties": true,
    });
    Some(json!({
        "required": true,
        "content": {
            "multipart/form-data": {"schema": form},
            "application/json": {"schema": inline},
        },
    }))
}
