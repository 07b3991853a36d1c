//! The roster: each provider is a row of data over a dialect.
//!
//! A provider is a service; what it speaks is a dialect of `llmleaf-dialects`, with that service's
//! variations as quirks. A row states only differences from [`Provider::TEMPLATE`] and from the
//! reference wire. A new provider is one file in `roster/`, one line in `roster.rs` and one folder of recordings.
//!
//! Reading order: this file, `roster.rs`, any row; then [`echo`], the provider that needs no service.

pub mod echo;
mod roster;

use llmleaf_dialects::embeddings::OpenAiQuirks;
use llmleaf_dialects::{ChatWire, EmbeddingWire};

/// One provider: a service, as a row.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Canonical kind, as written in `kind = "…"`.
    pub name: &'static str,
    /// Other spellings of the kind that configs may use.
    pub aliases: &'static [&'static str],
    /// The service's name for people.
    pub title: &'static str,
    /// Where the service lives, exactly as it prints it; `None` where the operator must give an `endpoint`.
    pub base_url: Option<&'static str>,
    /// How the credential is attached.
    pub auth: Auth,
    /// The environment variable its own SDK reads the credential from.
    pub credential_env: Option<&'static str>,
    /// What it speaks, and where.
    pub speaks: Speaks,
    /// Headers sent with every request.
    pub headers: &'static [(&'static str, &'static str)],
    /// Headers whose value an operator sets in `settings`: (setting, header).
    pub setting_headers: &'static [(&'static str, &'static str)],
    /// Consumer headers that go on to this service when the consumer speaks its dialect. Lower case.
    pub forwards: &'static [&'static str],
    /// Where the facts of this row were read, with date.
    pub source: &'static str,
}

/// How a credential is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Not at all, even if one is configured.
    None,
    /// `Authorization: Bearer …`; left out where none is configured.
    Bearer,
    /// The credential as it is, in this header (lower case).
    Header(&'static str),
}

/// What a provider speaks.
#[derive(Clone, Debug)]
pub struct Speaks {
    /// Chat, the preferred wire first. A consumer that speaks one of the others gets that one.
    pub chat: &'static [Chat],
    /// Path of its own token count for a request, in the dialect of its chat.
    pub count_tokens: Option<Path>,
    /// Embeddings.
    pub embeddings: Option<Embeddings>,
}

/// Chat of a provider.
#[derive(Clone, Debug)]
pub enum Chat {
    /// A wire, and the path it is spoken on.
    Wire(ChatWire, Path),
    /// The events are made here; no service is called.
    Echo,
}

/// Embeddings of a provider.
#[derive(Clone, Debug)]
pub enum Embeddings {
    /// A wire, and the path it is spoken on.
    Wire(EmbeddingWire, Path),
    /// The vectors are made here; no service is called.
    Echo,
}

impl Embeddings {
    /// OpenAI's form on OpenAI's path, as that documents it.
    const OPENAI: Self = Self::Wire(
        EmbeddingWire::OpenAi(OpenAiQuirks::REFERENCE),
        Path::Fixed("/embeddings"),
    );
    /// The same, of which only what all services take is used.
    const PLAIN: Self = Self::Wire(
        EmbeddingWire::OpenAi(OpenAiQuirks::PLAIN),
        Path::Fixed("/embeddings"),
    );
}

/// Path of an operation below the base URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Always this.
    Fixed(&'static str),
    /// The model is part of the path, `/openai/deployments/{model}` + this + `?api-version=…`, unless the base URL
    /// already names an API version (`…/v1`); then `base` + this.
    Deployment(&'static str),
    /// The model stands in the body, the API version in the query: `/openai` + this + `?api-version=…`, unless the base URL
    /// already names an API version (`…/v1`); then `base` + this.
    Resource(&'static str),
    /// The model and what is asked of it are the path: `/models/{model}` + the method. Where the base URL names no API
    /// version, this one stands before it.
    Method {
        /// API version, as a path segment.
        version: &'static str,
        /// For an answer in one piece.
        whole: &'static str,
        /// For a stream.
        stream: &'static str,
    },
}

impl Provider {
    /// A service with nothing known: rows state what differs.
    pub const TEMPLATE: Self = Self {
        name: "",
        aliases: &[],
        title: "",
        base_url: None,
        auth: Auth::Bearer,
        credential_env: None,
        speaks: Speaks::NOTHING,
        headers: &[],
        setting_headers: &[],
        forwards: &[],
        source: "",
    };

    /// True for a provider that needs neither address nor credential.
    pub fn is_local(&self) -> bool {
        matches!(self.speaks.chat, [Chat::Echo])
    }
}

impl Speaks {
    /// No operation at all.
    pub const NOTHING: Self = Self {
        chat: &[],
        count_tokens: None,
        embeddings: None,
    };
}

impl Path {
    /// The URL path (with query) for a model below a base path. `base` has no trailing slash.
    ///
    /// A version segment that both name (`…/v1` + `/v1/messages`) stands once. The model is percent-encoded where it
    /// becomes part of the path.
    pub fn below(self, base: &str, model: &str, stream: bool, api_version: Option<&str>) -> String {
        match self {
            Self::Method {
                version,
                whole,
                stream: streamed,
            } => {
                let version = match base.split('/').any(is_version) {
                    true => String::new(),
                    false => format!("/{}", encode(api_version.unwrap_or(version))),
                };
                let method = if stream { streamed } else { whole };
                // `tunedModels/…` names its own collection.
                let (collection, name) = match model.split_once('/') {
                    Some((known @ ("models" | "tunedModels"), name)) => (known, name),
                    _ => ("models", model),
                };
                format!("{base}{version}/{collection}/{}{method}", encode(name))
            }
            Self::Fixed(path) => join(base, path),
            Self::Deployment(path) | Self::Resource(path) if is_versioned(base) => join(base, path),
            Self::Resource(path) => {
                let version = encode(api_version.unwrap_or(RESPONSES_API_VERSION));
                let base = base.strip_suffix("/openai").unwrap_or(base);
                format!("{base}/openai{path}?api-version={version}")
            }
            Self::Deployment(path) => {
                let version = api_version.unwrap_or(DEFAULT_API_VERSION);
                let (model, version) = (encode(model), encode(version));
                let base = base.strip_suffix("/openai").unwrap_or(base);
                format!("{base}/openai/deployments/{model}{path}?api-version={version}")
            }
        }
    }
}

/// The newest dated API version of deployment-scoped chat. Source: Microsoft Learn, "Azure OpenAI in Azure AI Foundry
/// Models API lifecycle", latest GA data-plane version, read 2026-11.
const DEFAULT_API_VERSION: &str = "2024-10-21";

/// The dated API version of responses; there is no GA one, `…/openai/v1` takes its place. Source: Microsoft Learn, "Azure
/// OpenAI Responses API", read 2026-11; recordings of 2025-11.
const RESPONSES_API_VERSION: &str = "2025-04-01-preview";

fn join(base: &str, path: &str) -> String {
    let tail = base.rsplit('/').next().unwrap_or_default();
    let path = match path.strip_prefix('/').and_then(|p| p.split_once('/')) {
        Some((first, _)) if !tail.is_empty() && first == tail && is_versioned(base) => {
            path.get(first.len() + 1..).unwrap_or(path)
        }
        _ => path,
    };
    format!("{base}{path}")
}

/// True where the last segment is a version such as `v1` or `v1beta`.
fn is_versioned(base: &str) -> bool {
    is_version(base.rsplit('/').next().unwrap_or_default())
}

fn is_version(segment: &str) -> bool {
    let digits = segment.strip_prefix('v').unwrap_or_default();
    digits.starts_with(|c: char| c.is_ascii_digit())
}

/// Percent-encodes a path segment: everything but unreserved characters (RFC 3986, section 2.3).
fn encode(segment: &str) -> String {
    let mut out = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => {
                out.push(char::from(byte))
            }
            // A segment of dots alone would walk the path.
            b'.' if segment.bytes().any(|b| b != b'.') => out.push('.'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The provider that a config's `kind` names, by its name or an alias.
pub fn find(kind: &str) -> Option<&'static Provider> {
    roster::ROSTER
        .iter()
        .copied()
        .find(|p| p.name == kind || p.aliases.contains(&kind))
}

/// Every provider, in the order of the documentation.
pub fn all() -> impl Iterator<Item = &'static Provider> {
    roster::ROSTER.iter().copied()
}

/// Every known kind, names first, then aliases.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    let aliases = all().flat_map(|p| p.aliases.iter().copied());
    all().map(|p| p.name).chain(aliases)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_join_as_vendors_print_them() {
        for (path, base, model, url) in [
            (
                Path::Fixed("/chat/completions"),
                "/v1",
                "m",
                "/v1/chat/completions",
            ),
            (
                Path::Fixed("/chat/completions"),
                "",
                "m",
                "/chat/completions",
            ),
            (Path::Fixed("/v1/messages"), "", "m", "/v1/messages"),
            (Path::Fixed("/v1/messages"), "/v1", "m", "/v1/messages"),
            (
                Path::Fixed("/v1/messages"),
                "/anthropic",
                "m",
                "/anthropic/v1/messages",
            ),
            (
                Path::Fixed("/v1/messages"),
                "/anthropic/v1",
                "m",
                "/anthropic/v1/messages",
            ),
            (
                Path::Deployment("/chat/completions"),
                "",
                "../gpt 4",
                "/openai/deployments/..%2Fgpt%204/chat/completions?api-version=2024-10-21",
            ),
            (
                Path::Deployment("/chat/completions"),
                "",
                "..",
                "/openai/deployments/%2E%2E/chat/completions?api-version=2024-10-21",
            ),
            (
                Path::Resource("/responses"),
                "",
                "gpt-4",
                "/openai/responses?api-version=2025-04-01-preview",
            ),
            (
                Path::Resource("/responses"),
                "/openai/v1",
                "gpt-4",
                "/openai/v1/responses",
            ),
            (
                Path::Deployment("/chat/completions"),
                "/openai/v1",
                "gpt-4",
                "/openai/v1/chat/completions",
            ),
        ] {
            assert_eq!(path.below(base, model, false, None), url);
        }
    }

    #[test]
    fn a_method_stands_behind_the_model() {
        let path = Path::Method {
            version: "v1beta",
            whole: ":ask",
            stream: ":tell?alt=sse",
        };
        for (base, model, stream, url) in [
            ("", "m-1.5", false, "/v1beta/models/m-1.5:ask"),
            ("/v1beta", "models/m", true, "/v1beta/models/m:tell?alt=sse"),
            ("/v1", "a/../b?c", false, "/v1/models/a%2F..%2Fb%3Fc:ask"),
            ("/x", "tunedModels/t", false, "/x/v1beta/tunedModels/t:ask"),
            (
                "/v1/projects/p/publishers/q",
                "m",
                false,
                "/v1/projects/p/publishers/q/models/m:ask",
            ),
        ] {
            assert_eq!(path.below(base, model, stream, None), url);
        }
        let asked = path.below("", "m", false, Some("v1/../x?k"));
        assert_eq!(asked, "/v1%2F..%2Fx%3Fk/models/m:ask");
    }

    #[test]
    fn names_and_aliases_are_unique() {
        let mut seen = std::collections::HashSet::new();
        for kind in kinds() {
            assert!(seen.insert(kind), "{kind} twice");
            assert!(find(kind).is_some());
        }
    }
}
