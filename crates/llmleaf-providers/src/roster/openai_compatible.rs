//! Any service that speaks chat completions at an `endpoint` of the operator's choice.

use crate::{Chat, Embeddings, Images, Path, Provider, Rerank, Speaks, Speech, Transcription};
use llmleaf_dialects::{
    ChatWire,
    chat_completions::{
        Quirks,
        quirks::{
            EndMarker, InstructionRole, OutputCap, ReasoningEcho, ReasoningQuirks, RequestQuirks,
            StreamQuirks,
        },
    },
    text_completions,
};

/// The row: what nearly every such service takes.
pub static PROVIDER: Provider = Provider {
    name: "openai-compatible",
    title: "OpenAI-compatible service",
    speaks: Speaks {
        chat: &[
            Chat::Wire(
                ChatWire::Completions(QUIRKS),
                Path::Fixed("/chat/completions"),
            ),
            Chat::Wire(
                ChatWire::TextCompletions(COMPLETIONS),
                Path::Fixed("/completions"),
            ),
        ],
        embeddings: &[Embeddings::PLAIN],
        rerank: &[Rerank::PLAIN],
        images: &[Images::PLAIN],
        speech: Some(Speech::REFERENCE),
        transcription: Some(Transcription::REFERENCE),
        ..Speaks::NOTHING
    },
    source: "common ground of vLLM, llama.cpp, SGLang and hosted services, 2026-11",
    ..Provider::TEMPLATE
};

const QUIRKS: Quirks = Quirks {
    request: RequestQuirks {
        output_cap: OutputCap::MaxTokens,
        instructions: InstructionRole::SystemOnly,
        ..RequestQuirks::REFERENCE
    },
    stream: StreamQuirks {
        end: EndMarker::Finish,
        ..StreamQuirks::REFERENCE
    },
    reasoning: ReasoningQuirks {
        // It may be a router, or another of these gateways, which want their proofs back.
        echo: ReasoningEcho::Unknown,
        ..ReasoningQuirks::REFERENCE
    },
};

const COMPLETIONS: text_completions::Quirks = text_completions::Quirks {
    chat: QUIRKS,
    ..text_completions::Quirks::REFERENCE
};
