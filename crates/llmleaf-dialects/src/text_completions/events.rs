//! Streams, both ends.
//!
//! Reading order: `events/decoder.rs` (chunks to events), `events/encoder.rs` (events to chunks).

mod decoder;
mod encoder;

use super::Quirks;
use crate::writer::{ObjectWriter, STOP_TEXT, untold};
use crate::{Decoder, Encoder, ReplyContext};
use llmleaf_model::{BlockKind, Finish, FinishReason, Loss, ResponseStart, Rest};

/// A decoder for one stream of a provider.
pub fn decoder(quirks: &Quirks) -> impl Decoder + 'static {
    decoder::TextDecoder::new(quirks)
}

/// An encoder for one stream to a consumer.
pub fn encoder(context: ReplyContext) -> impl Encoder + 'static {
    encoder::TextEncoder::new(context)
}

/// Further facts of a response's start that this wire tells.
const TOLD: [&str; 3] = ["provider", "service_tier", "system_fingerprint"];

/// Id, model and time of an answer as the consumer sees them.
pub(super) struct Identity {
    id: String,
    model: String,
    created: u64,
    rest: Rest,
}

impl Identity {
    pub fn new(start: &ResponseStart, context: &ReplyContext) -> Self {
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        Self {
            id: filled(&start.id).unwrap_or_else(|| ["cmpl-", &context.fallback_id].concat()),
            model: filled(&start.model).unwrap_or_else(|| context.model.clone()),
            created: start.created.unwrap_or(context.created),
            rest: start.rest.clone(),
        }
    }

    /// Opens an answer with its first fields.
    pub fn write(&self, object: &mut ObjectWriter<'_>, losses: &mut Vec<Loss>) {
        object
            .string("id", &self.id)
            .string("object", "text_completion")
            .number("created", self.created)
            .string("model", &self.model);
        for name in TOLD {
            if let Some(value) = self.rest.get(name) {
                object.raw(name, value.as_str());
            }
        }
        losses.extend(untold(&self.rest, &TOLD));
    }
}

/// What an end is called here.
pub(super) struct Said<'f> {
    word: &'static str,
    finish: &'f Finish,
}

impl<'f> Said<'f> {
    pub fn of(finish: &'f Finish) -> Self {
        let word = match finish.reason {
            FinishReason::Length | FinishReason::ContextWindow => "length",
            FinishReason::ContentFilter | FinishReason::Refusal => "content_filter",
            FinishReason::Error => "error",
            // A call that nobody sees ends the text like anything else.
            FinishReason::Stop
            | FinishReason::StopSequence
            | FinishReason::ToolCalls
            | FinishReason::Pause
            | FinishReason::Unstated
            | FinishReason::Other => "stop",
        };
        Self { word, finish }
    }

    /// Writes `finish_reason`.
    pub fn write(said: Option<&Self>, object: &mut ObjectWriter<'_>, losses: &mut Vec<Loss>) {
        let Some(Self { word, finish }) = said else {
            object.raw("finish_reason", "null");
            return;
        };
        object.string("finish_reason", word);
        if let Some(native) = finish.native.as_deref().filter(|native| native != word) {
            object.string("native_finish_reason", native);
        } else if finish.reason == FinishReason::Unstated {
            losses.push(Loss::approximated(
                "finish_reason",
                "the provider named none",
            ));
        }
        if finish.stop_sequence.is_some() {
            losses.push(Loss::dropped("stop_sequence", STOP_TEXT));
        }
        losses.extend(untold(&finish.rest, &[]));
    }
}

/// What a block is called whose content this wire cannot tell.
pub(super) fn named(kind: &BlockKind) -> &'static str {
    match kind {
        BlockKind::Text | BlockKind::Refusal => "text",
        BlockKind::Reasoning { .. } => "reasoning",
        BlockKind::ToolCall { .. } => "tool_calls",
        BlockKind::Media { kind, .. } => kind.as_str(),
        BlockKind::ServerToolUse(_) | BlockKind::ServerToolResult(_) => "server_tool",
        BlockKind::Opaque { .. } => "opaque",
    }
}
