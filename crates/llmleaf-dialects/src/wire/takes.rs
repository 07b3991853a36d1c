//! What services of each wire take of schemas and tools that come from another one, and how their calls come.

use super::ChatWire;
use crate::chat_completions::{
    self,
    quirks::{CustomTools, StreamedCalls, StrictTools, ToolSchemas},
};
use crate::schema::{Profile, Profiles, Strictness};
use crate::toolbox::Takes;

impl ChatWire {
    /// What the service takes of JSON Schema.
    pub(super) fn takes_schemas(&self) -> Profiles {
        let flavoured = |quirks: &chat_completions::Quirks| {
            quirks.request.tool_schemas == ToolSchemas::TypedBranches
        };
        let (tools, answer) = match self {
            Self::Completions(quirks) if flavoured(quirks) => {
                (&Profile::MOONSHOT, &Profile::MOONSHOT_ANSWER)
            }
            Self::Completions(_) | Self::Responses(_) => (&Profile::OPENAI, &Profile::FULL),
            Self::Messages(_) => (&Profile::ANTHROPIC, &Profile::ANTHROPIC_ANSWER),
            Self::GenerateContent(_) => (&Profile::GEMINI, &Profile::GEMINI_ANSWER),
            // It passes over what it does not read.
            Self::Ollama(_) | Self::CohereChat | Self::TextCompletions(_) => {
                (&Profile::FULL, &Profile::FULL)
            }
        };
        let strict = match self {
            Self::Completions(quirks) => match quirks.request.strict_tools {
                StrictTools::AllRequired => Strictness::AllRequired,
                StrictTools::AnySchema => Strictness::AsAny,
                StrictTools::Unknown => Strictness::Unknown,
            },
            Self::Responses(_) => Strictness::AllRequired,
            Self::Messages(_) => Strictness::Profile(&Profile::ANTHROPIC_STRICT),
            _ => Strictness::AsAny,
        };
        Profiles {
            tools,
            strict,
            answer,
        }
    }

    /// Whether calls of tools come whole in the service's streams, each with its name.
    pub fn calls_whole(&self) -> bool {
        matches!(self, Self::Completions(quirks) if quirks.stream.calls == StreamedCalls::Whole)
    }

    /// The forms of tools that the service takes.
    pub(super) fn takes_tools(&self) -> Takes {
        match self {
            Self::Completions(quirks) => Takes {
                groups: false,
                free_text: quirks.request.custom_tools == CustomTools::Offered,
            },
            Self::Messages(_)
            | Self::GenerateContent(_)
            | Self::Ollama(_)
            | Self::CohereChat
            | Self::TextCompletions(_) => Takes {
                groups: false,
                free_text: false,
            },
            Self::Responses(quirks) => Takes {
                groups: !quirks.refuses_tools.iter().any(|kind| kind == "namespace"),
                free_text: !quirks.refuses_tools.iter().any(|kind| kind == "custom"),
            },
        }
    }
}
