//! What the laws run under: variations of each wire, and the contexts of a reply.

use llmleaf_dialects::chat_completions::quirks as chat;
use llmleaf_dialects::gemini::quirks as gemini;
use llmleaf_dialects::messages::quirks as messages;
use llmleaf_dialects::ollama::{self, Form};
use llmleaf_dialects::responses::quirks as responses;
use llmleaf_dialects::text_completions;
use llmleaf_dialects::{ChatWire, Decoder, Dialect, Head, ReplyContext};
use llmleaf_model::Failure;
use std::borrow::Cow;

/// All consumer ends.
pub const DIALECTS: [Dialect; 8] = [
    Dialect::ChatCompletions,
    Dialect::Messages,
    Dialect::Responses,
    Dialect::GenerateContent,
    Dialect::Ollama(Form::Chat),
    Dialect::Ollama(Form::Generate),
    Dialect::CohereChat,
    Dialect::TextCompletions,
];

/// The head of a body; where the model and whether to stream stand in the path, these are taken.
pub fn head(dialect: Dialect, body: &[u8], model: &str, stream: bool) -> Result<Head, Failure> {
    match dialect {
        Dialect::GenerateContent => Head::addressed(body, model, stream),
        _ => Head::read_in(dialect, body),
    }
}

const FAMILIES: &[Cow<'static, str>] = &[
    Cow::Borrowed("anthropic-claude-v1"),
    Cow::Borrowed("unknown"),
    Cow::Borrowed("google-gemini-v1"),
    Cow::Borrowed("openai-responses-v1"),
    Cow::Borrowed("xai-responses-v1"),
];

/// The wire of a dialect as its reference documents it.
pub fn reference(dialect: Dialect) -> ChatWire {
    match dialect {
        Dialect::ChatCompletions => ChatWire::Completions(chat::Quirks::REFERENCE),
        Dialect::Messages => ChatWire::Messages(messages::Quirks::REFERENCE),
        Dialect::Responses => ChatWire::Responses(responses::Quirks::REFERENCE),
        Dialect::GenerateContent => ChatWire::GenerateContent(gemini::Quirks::REFERENCE),
        Dialect::Ollama(Form::Chat) => ChatWire::Ollama(ollama::Quirks::REFERENCE),
        Dialect::Ollama(Form::Generate) => ChatWire::Ollama(ollama::Quirks::GENERATE),
        Dialect::CohereChat => ChatWire::CohereChat,
        Dialect::TextCompletions => ChatWire::TextCompletions(text_completions::Quirks::REFERENCE),
    }
}

/// The decoder of a wire that reads every frame whole.
pub fn whole_decoder(wire: &ChatWire) -> Box<dyn Decoder> {
    match wire {
        ChatWire::Completions(quirks) => {
            Box::new(llmleaf_dialects::chat_completions::events::decoder(quirks))
        }
        ChatWire::Messages(quirks) => Box::new(llmleaf_dialects::messages::events::decoder(quirks)),
        ChatWire::Responses(quirks) => {
            Box::new(llmleaf_dialects::responses::events::decoder(quirks))
        }
        ChatWire::GenerateContent(quirks) => {
            Box::new(llmleaf_dialects::gemini::events::decoder(quirks))
        }
        ChatWire::Ollama(quirks) => Box::new(ollama::events::decoder(quirks)),
        ChatWire::CohereChat => Box::new(llmleaf_dialects::cohere::events::decoder()),
        ChatWire::TextCompletions(quirks) => Box::new(text_completions::events::decoder(quirks)),
    }
}

/// One of a dialect's variations.
pub fn pick(dialect: Dialect, choice: u8) -> ChatWire {
    match (dialect, choice % 4) {
        (Dialect::ChatCompletions, 1) => ChatWire::Completions(strict()),
        (Dialect::ChatCompletions, 2) => {
            generous(chat::ReasoningRequest::Object, chat::ReasoningEcho::Details)
        }
        (Dialect::ChatCompletions, 3) => generous(
            chat::ReasoningRequest::Thinking,
            chat::ReasoningEcho::ContentParts,
        ),
        (Dialect::Messages, 1) => ChatWire::Messages(messages::Quirks {
            default_max_tokens: 1,
            later_instructions: messages::LaterInstructions::InPlace,
            sampling: messages::SamplingSupport::Removed,
            effort: messages::EffortForm::Adaptive,
            ..messages::Quirks::REFERENCE
        }),
        (Dialect::Messages, 2) => ChatWire::Messages(messages::Quirks {
            verifies: Cow::Borrowed(FAMILIES),
            ..messages::Quirks::REFERENCE
        }),
        (Dialect::Messages, 3) => ChatWire::Messages(messages::Quirks {
            verifies: Cow::Borrowed(&[]),
            later_instructions: messages::LaterInstructions::InPlace,
            ..messages::Quirks::REFERENCE
        }),
        (Dialect::Responses, 1) => ChatWire::Responses(responses::Quirks {
            verifies: Cow::Borrowed(&[]),
            refuses_tools: Cow::Borrowed(&[Cow::Borrowed("namespace"), Cow::Borrowed("custom")]),
            unsupported: Cow::Borrowed(&[Cow::Borrowed("include"), Cow::Borrowed("metadata")]),
            storage: responses::Storage::None,
            names_family: false,
            extended: true,
        }),
        (Dialect::Responses, 2) => holder(),
        (Dialect::GenerateContent, 1) => ChatWire::GenerateContent(gemini::Quirks {
            verifies: Cow::Borrowed(FAMILIES),
            ..gemini::Quirks::REFERENCE
        }),
        (Dialect::GenerateContent, 2) => ChatWire::GenerateContent(gemini::Quirks {
            verifies: Cow::Borrowed(&[]),
            models: Cow::Owned(vec![gemini::ModelRule {
                prefix: Cow::Borrowed(""),
                thinking: gemini::Thinking::Level { minimal: true },
                signed_calls: true,
                media_in_results: true,
            }]),
            ..gemini::Quirks::REFERENCE
        }),
        (Dialect::Ollama(form), 1) => ChatWire::Ollama(ollama::Quirks {
            form,
            models: Cow::Owned(vec![ollama::quirks::ModelRule {
                prefix: Cow::Borrowed(""),
                thinking: ollama::quirks::Thinking::Levels,
            }]),
        }),
        (dialect, _) => reference(dialect),
    }
}

/// A service of the Responses wire that verifies what every family issues.
pub fn holder() -> ChatWire {
    ChatWire::Responses(responses::Quirks {
        verifies: Cow::Borrowed(FAMILIES),
        names_family: true,
        ..responses::Quirks::REFERENCE
    })
}

/// A service that takes everything that a request of its wire can say.
pub fn generous(request: chat::ReasoningRequest, echo: chat::ReasoningEcho) -> ChatWire {
    ChatWire::Completions(chat::Quirks {
        request: chat::RequestQuirks {
            extended: true,
            cache_control: true,
            ..chat::RequestQuirks::REFERENCE
        },
        reasoning: chat::ReasoningQuirks {
            request,
            echo,
            verifies: Cow::Borrowed(FAMILIES),
        },
        ..chat::Quirks::REFERENCE
    })
}

/// A service that takes as little as one can.
fn strict() -> chat::Quirks {
    chat::Quirks {
        request: chat::RequestQuirks {
            output_cap: chat::OutputCap::MaxTokens,
            instructions: chat::InstructionRole::SystemOnly,
            unsupported: Cow::Borrowed(&[
                Cow::Borrowed("seed"),
                Cow::Borrowed("logprobs"),
                Cow::Borrowed("stop"),
                Cow::Borrowed("parallel_tool_calls"),
            ]),
            fixed_sampling: Cow::Borrowed(&[Cow::Borrowed("fixed")]),
            renamed: Cow::Borrowed(&[(Cow::Borrowed("user"), Cow::Borrowed("safety_identifier"))]),
            schema: chat::SchemaSupport::JsonObject,
            tool_choice_required: Cow::Borrowed("any"),
            extended: false,
            cache_control: false,
            files: false,
            custom_tools: chat::CustomTools::AsFunctions,
            tool_schemas: chat::ToolSchemas::TypedBranches,
            strict_tools: chat::StrictTools::Unknown,
        },
        stream: chat::StreamQuirks {
            end: chat::EndMarker::Finish,
            usage: chat::StreamUsage::Always,
            calls: chat::StreamedCalls::Whole,
        },
        reasoning: chat::ReasoningQuirks {
            request: chat::ReasoningRequest::Unsupported,
            echo: chat::ReasoningEcho::ReasoningContent,
            verifies: Cow::Borrowed(&[]),
        },
    }
}

/// A context of a reply; some bits of `choice` say what the consumer wants.
pub fn context(choice: u8) -> ReplyContext {
    ReplyContext {
        fallback_id: "f".into(),
        request_id: "r".into(),
        model: "asked".into(),
        created: 7,
        stream_usage: choice & 0x10 != 0,
        hide_reasoning: choice & 0x20 != 0,
        whole_calls: false,
        request: None,
    }
}
