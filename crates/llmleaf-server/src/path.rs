//! Which path of the registry a request's path means.
//!
//! Users paste base URLs with and without `/v1`, with a vendor's own prefix, with a slash too many. All of these reach
//! the same row, and the dialect of errors is known before anything can fail.

use llmleaf_dialects::Dialect;
use std::borrow::Cow;

/// Prefixes under which vendors mount these same paths. Stripped from the front.
const PREFIXES: &[(&str, Option<Dialect>)] = &[
    ("/openai", Some(Dialect::ChatCompletions)),
    ("/anthropic", Some(Dialect::Messages)),
    ("/genai", Some(Dialect::GenerateContent)),
    ("/ollama", Some(Dialect::LINES)),
    ("/cohere", Some(Dialect::CohereChat)),
    (WHOLE_CALLS, Some(Dialect::ChatCompletions)),
    ("/api", None),
];

/// Below it are chat completions for clients that fail at calls of tools in pieces: their streams have calls whole.
const WHOLE_CALLS: &str = "/mistral";

/// Paths that stand below `/v1` and are often asked for without it.
const VERSIONED: &[&str] = &[
    "/chat/completions",
    "/completions",
    "/responses",
    "/messages",
    "/embeddings",
    "/batches",
    "/files",
    "/rerank",
    "/images",
    "/moderations",
    "/chat/moderations",
    "/audio",
    "/models",
    "/realtime",
    "/openapi.json",
];

/// Paths below `/api` that are meant as they stand: rows of the registry, and what clients of that wire ask a service that
/// holds models itself.
const BELOW_API: &[&str] = &[
    "/api/hello",
    "/api/chat",
    "/api/generate",
    "/api/tags",
    "/api/ps",
    "/api/show",
    "/api/version",
    "/api/pull",
    "/api/push",
    "/api/create",
    "/api/copy",
    "/api/delete",
    "/api/embed",
    "/api/embeddings",
];

/// A path in the registry's spelling, and the dialect that the caller surely speaks.
#[derive(Debug, PartialEq, Eq)]
pub struct Canonical<'a> {
    /// The path.
    pub path: Cow<'a, str>,
    /// The dialect of errors, whatever the path turns out to mean.
    pub dialect: Dialect,
    /// How calls of tools come.
    pub calls: Calls,
}

/// How calls of tools come in a stream of chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// As the wire has it.
    InPieces,
    /// Each in one chunk.
    Whole,
}

/// What nearly all requests ask for, in the registry's spelling: these mean what they say.
const USUAL: &[(&str, Dialect)] = &[
    ("/v1/chat/completions", Dialect::ChatCompletions),
    ("/v1/messages", Dialect::Messages),
    ("/v1/responses", Dialect::Responses),
    ("/v1/embeddings", Dialect::ChatCompletions),
];

/// Brings a request's path (without query) into the registry's spelling.
pub fn canonical(path: &str) -> Canonical<'_> {
    match USUAL.iter().find(|(usual, _)| *usual == path) {
        Some((_, dialect)) => Canonical {
            path: Cow::Borrowed(path),
            dialect: *dialect,
            calls: Calls::InPieces,
        },
        None => meant(path),
    }
}

fn meant(path: &str) -> Canonical<'_> {
    let mut dialect = None;
    let mut calls = Calls::InPieces;
    let mut path = squeezed(path);
    for (prefix, speaks) in PREFIXES {
        let Some(rest) = path
            .strip_prefix(prefix)
            .filter(|rest| rest.starts_with('/') || rest.is_empty())
        else {
            continue;
        };
        if BELOW_API.contains(&&*path) {
            break;
        }
        dialect = dialect.or(*speaks);
        if *prefix == WHOLE_CALLS {
            calls = Calls::Whole;
        }
        path = Cow::Owned(if rest.is_empty() {
            "/".to_owned()
        } else {
            rest.to_owned()
        });
    }
    while let Some(rest) = path
        .strip_prefix("/v1")
        .filter(|rest| rest.starts_with("/v1/"))
    {
        path = Cow::Owned(rest.to_owned());
    }
    // A base URL that ends in a version, below which a client writes its own.
    while let Some(rest) = ["/v1", "/v1beta", "/v2"]
        .iter()
        .filter_map(|version| path.strip_prefix(version))
        .find(|rest| rest.starts_with("/v1beta/") || rest.starts_with("/v2/"))
    {
        path = Cow::Owned(rest.to_owned());
    }
    path = named(path);
    let below = |stem: &&&str| {
        path.strip_prefix(**stem)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if VERSIONED.iter().any(|stem| below(&stem)) {
        path = Cow::Owned(format!("/v1{path}"));
    }
    let dialect = match dialect {
        _ if path.starts_with("/v1/messages") => Dialect::Messages,
        _ if path.starts_with("/v1/chat/") => Dialect::ChatCompletions,
        _ if path == "/v1/completions" => Dialect::TextCompletions,
        _ if path.starts_with("/v1/responses") => Dialect::Responses,
        _ if path.starts_with("/v1beta/") || is_method(&path) => Dialect::GenerateContent,
        _ if path == "/api/generate" => Dialect::LINES_PROMPT,
        _ if path != "/api/hello" && BELOW_API.contains(&&*path) => Dialect::LINES,
        _ if path.starts_with("/v2/") || path == "/v1/embed" => Dialect::CohereChat,
        Some(dialect) => dialect,
        None => Dialect::ChatCompletions,
    };
    Canonical {
        path,
        dialect,
        calls,
    }
}

/// What a method of a model is, as Google's clients write it.
const METHODS: &[&str] = &[
    ":generateContent",
    ":streamGenerateContent",
    ":countTokens",
    ":embedContent",
    ":batchEmbedContents",
];

/// A method's path with `models/` in front of the model: the AI SDK leaves that out where a name has a slash (`@ai-sdk/google` 3.0.141).
fn named(path: Cow<'_, str>) -> Cow<'_, str> {
    let rest = path.strip_prefix("/v1beta/").filter(|rest| {
        !rest.starts_with("models/") && METHODS.iter().any(|method| rest.ends_with(method))
    });
    match rest {
        Some(rest) => Cow::Owned(["/v1beta/models/", rest].concat()),
        None => path,
    }
}

/// True for a method of a model, as Google's clients write it.
fn is_method(path: &str) -> bool {
    path.starts_with("/v1/models/") && METHODS.iter().any(|method| path.ends_with(method))
}

/// Without doubled and trailing slashes.
fn squeezed(path: &str) -> Cow<'_, str> {
    let trimmed = if path.len() > 1 {
        path.trim_end_matches('/')
    } else {
        path
    };
    if !trimmed.contains("//") && !trimmed.is_empty() {
        return Cow::Borrowed(trimmed);
    }
    let mut out = String::with_capacity(trimmed.len() + 1);
    for segment in trimmed.split('/').filter(|s| !s.is_empty()) {
        out.push('/');
        out.push_str(segment);
    }
    Cow::Owned(if out.is_empty() { "/".to_owned() } else { out })
}

/// For a path that does not exist: what the caller may have meant.
pub fn hint(path: &str) -> &'static str {
    match path {
        p if p.contains("responses") => "did you mean /v1/responses, or /v1/responses/{id}?",
        p if p.contains("embeddings") => "did you mean /v1/embeddings?",
        p if p.contains("rerank") => "did you mean /v1/rerank?",
        p if p.contains("image") => {
            "did you mean /v1/images/generations, /v1/images/edits or /v1/images/variations?"
        }
        p if p.contains("moderations") => "did you mean /v1/moderations?",
        p if p.contains("audio") || p.contains("speech") || p.contains("transcri") => {
            "did you mean /v1/audio/speech, /v1/audio/transcriptions or /v1/audio/translations?"
        }
        p if p.contains("completions") => "did you mean /v1/chat/completions?",
        p if p.starts_with("/api/") => {
            "models are neither loaded nor kept here; see POST /api/chat and GET /api/tags"
        }
        p if p.contains("enerateContent") => "did you mean /v1beta/models/{model}:generateContent?",
        _ => "GET /v1/openapi.json lists every endpoint",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As people paste them, and what they mean.
    const PASTED: [(Dialect, &[(&str, &str)]); 4] = [
        (
            Dialect::ChatCompletions,
            &[
                ("/v1/chat/completions", "/v1/chat/completions"),
                ("/v1/chat/completions/", "/v1/chat/completions"),
                ("//v1//chat/completions", "/v1/chat/completions"),
                ("/v1/v1/chat/completions", "/v1/chat/completions"),
                ("/chat/completions", "/v1/chat/completions"),
                ("/openai/v1/chat/completions", "/v1/chat/completions"),
                ("/openai/chat/completions", "/v1/chat/completions"),
                ("/api/v1/chat/completions", "/v1/chat/completions"),
                ("/embeddings", "/v1/embeddings"),
                ("/api/v1/rerank", "/v1/rerank"),
                ("/audio/speech", "/v1/audio/speech"),
                ("/api/v1/audio/voices", "/v1/audio/voices"),
                ("/models/a/b", "/v1/models/a/b"),
                ("/api/hello", "/api/hello"),
                ("/api/chat/completions", "/v1/chat/completions"),
                ("/openai", "/"),
                ("/", "/"),
                ("//", "/"),
                ("/openaix/v1/models", "/openaix/v1/models"),
                ("/modelsx", "/modelsx"),
            ],
        ),
        (
            Dialect::Messages,
            &[
                ("/anthropic/v1/messages", "/v1/messages"),
                ("/messages", "/v1/messages"),
                ("/v1/messages/count_tokens", "/v1/messages/count_tokens"),
                ("/anthropic/v1/models", "/v1/models"),
            ],
        ),
        (
            Dialect::Responses,
            &[
                ("/responses", "/v1/responses"),
                ("/openai/responses", "/v1/responses"),
            ],
        ),
        (
            Dialect::GenerateContent,
            &[
                (
                    "/v1beta/models/a/b:generateContent",
                    "/v1beta/models/a/b:generateContent",
                ),
                (
                    "/genai/v1beta/v1beta/models/m:countTokens",
                    "/v1beta/models/m:countTokens",
                ),
                (
                    "/v1/v1beta/models/m:streamGenerateContent",
                    "/v1beta/models/m:streamGenerateContent",
                ),
                ("/models/m:generateContent", "/v1/models/m:generateContent"),
                (
                    "/v1beta/a/b:streamGenerateContent",
                    "/v1beta/models/a/b:streamGenerateContent",
                ),
                ("/v1beta/models", "/v1beta/models"),
            ],
        ),
    ];

    #[test]
    fn base_urls_as_people_paste_them_reach_the_same_row() {
        for (dialect, rows) in PASTED {
            for (path, means) in rows {
                let found = canonical(path);
                assert_eq!((&*found.path, found.dialect), (*means, dialect), "{path}");
            }
        }
    }

    #[test]
    fn what_is_usual_means_what_it_says() {
        for (path, _) in USUAL {
            assert_eq!(canonical(path), meant(path));
            assert_eq!(canonical(path).path, *path);
        }
    }

    #[test]
    fn paths_below_api_are_meant_as_they_stand() {
        for (dialect, path, means) in [
            (Dialect::LINES, "/api/chat", "/api/chat"),
            (Dialect::LINES, "/ollama/api/chat/", "/api/chat"),
            (Dialect::LINES, "/api/tags", "/api/tags"),
            (Dialect::LINES, "/api/pull", "/api/pull"),
            (Dialect::LINES, "/ollama", "/"),
            (Dialect::LINES_PROMPT, "/api/generate", "/api/generate"),
            (Dialect::ChatCompletions, "/api/v1/models", "/v1/models"),
        ] {
            let found = canonical(path);
            assert_eq!((&*found.path, found.dialect), (means, dialect), "{path}");
        }
    }

    #[test]
    fn one_prefix_is_for_whole_calls() {
        for (path, whole) in [
            ("/mistral/v1/chat/completions", true),
            ("/mistral/chat/completions/", true),
            ("/v1/chat/completions", false),
            ("/openai/v1/chat/completions", false),
        ] {
            let found = canonical(path);
            assert_eq!(found.path, "/v1/chat/completions");
            assert_eq!(found.calls == Calls::Whole, whole, "{path}");
        }
        assert_eq!(canonical("/mistral/v1/models").path, "/v1/models");
    }

    #[test]
    fn the_second_version_is_one_wire() {
        for (path, means) in [
            ("/v2/chat", "/v2/chat"),
            ("/cohere/v2/chat", "/v2/chat"),
            ("/cohere/v1/v2/chat", "/v2/chat"),
            ("/v2/v2/chat/", "/v2/chat"),
            ("/cohere", "/"),
        ] {
            let found = canonical(path);
            let expected = (means, Dialect::CohereChat);
            assert_eq!((&*found.path, found.dialect), expected, "{path}");
        }
    }
}
