//! Paths of operations below a base URL.

use llmleaf_model::percent;

/// Path of an operation below the base URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Always this.
    Fixed(&'static str),
    /// The model is part of the path, `/openai/deployments/{model}` + this + `?api-version=…`. Where the base URL already names
    /// an API version (`…/v1`), `base` + this; where one without a date is asked for (`v1`, `preview`), `/openai/v1` + this.
    Deployment(&'static str),
    /// The model stands in the body: `/openai/v1` + this. Where a dated API version is asked for it is `/openai` + this +
    /// `?api-version=…`; where the base URL already names a version (`…/v1`), `base` + this.
    Resource(&'static str),
    /// The model and what is asked of it are the path: `/{collection}/{model}` + the method. Where the base URL names no API
    /// version, this one stands before it.
    Method {
        /// API version, as a path segment.
        version: &'static str,
        /// Where models are found.
        collection: &'static str,
        /// Other collections, which a model's name may begin with.
        beside: &'static [&'static str],
        /// For an answer in one piece.
        whole: &'static str,
        /// For a stream.
        stream: &'static str,
    },
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
                collection,
                beside,
                whole,
                stream: streamed,
            } => {
                let version = match base.split('/').any(is_version) {
                    true => String::new(),
                    false => format!("/{}", encode(api_version.unwrap_or(version))),
                };
                let method = if stream { streamed } else { whole };
                let (collection, name) = match model.split_once('/') {
                    Some((known, name)) if beside.contains(&known) => (known, name),
                    Some(("models", name)) => (collection, name),
                    _ => (collection, model),
                };
                format!("{base}{version}/{collection}/{}{method}", encode(name))
            }
            Self::Fixed(path) => join(base, path),
            Self::Deployment(path) | Self::Resource(path) if is_versioned(base) => {
                format!("{}{}", join(base, path), undated(api_version))
            }
            Self::Resource(path) | Self::Deployment(path) => {
                let base = base.strip_suffix("/openai").unwrap_or(base);
                let dated = match self {
                    // There is no dated one that is not a preview; the undated surface takes its place.
                    Self::Resource(_) => api_version.filter(|version| is_dated(version)),
                    _ => Some(api_version.unwrap_or(DEFAULT_API_VERSION)).filter(|v| is_dated(v)),
                };
                let Some(version) = dated.map(encode) else {
                    return format!("{base}/openai/v1{path}{}", undated(api_version));
                };
                let deployment = match self {
                    Self::Deployment(_) => format!("/deployments/{}", encode(model)),
                    _ => String::new(),
                };
                format!("{base}/openai{deployment}{path}?api-version={version}")
            }
        }
    }
}

/// The newest dated API version of deployment-scoped chat. Source: Microsoft Learn, "Azure OpenAI in Azure AI Foundry
/// Models API lifecycle", latest GA data-plane version, read 2026-11.
const DEFAULT_API_VERSION: &str = "2024-10-21";

/// A version with a date has the paths of its time; `v1` and `preview` are those of the surface without (same page).
fn is_dated(version: &str) -> bool {
    version.starts_with(|c: char| c.is_ascii_digit())
}

/// The query of the surface without dates: none, unless something is asked for that is not in it for good. It refuses dates.
fn undated(version: Option<&str>) -> String {
    match version {
        Some("v1") | None => String::new(),
        Some(version) if is_dated(version) => String::new(),
        Some(version) => format!("?api-version={}", encode(version)),
    }
}

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

pub(crate) fn is_version(segment: &str) -> bool {
    let digits = segment.strip_prefix('v').unwrap_or_default();
    digits.starts_with(|c: char| c.is_ascii_digit())
}

/// Percent-encodes a path segment: everything but unreserved characters (RFC 3986, section 2.3) and `@`, which needs no encoding there
/// and stands before the date in names of models.
pub(crate) fn encode(segment: &str) -> String {
    // A segment of dots alone would walk the path.
    let dots = segment.bytes().all(|byte| byte == b'.');
    percent::encode_but(segment, |byte| match byte {
        b'.' => !dots,
        b'@' => true,
        byte => percent::is_unreserved(byte),
    })
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
                "/openai/v1/responses",
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
    fn an_api_version_decides_between_dated_paths_and_the_surface_without() {
        let (chat, responses) = (Path::Deployment("/chat"), Path::Resource("/responses"));
        for (path, base, version, url) in [
            (
                chat,
                "",
                "2025-01-01-preview",
                "/openai/deployments/m/chat?api-version=2025-01-01-preview",
            ),
            (chat, "/openai", "v1", "/openai/v1/chat"),
            (chat, "", "preview", "/openai/v1/chat?api-version=preview"),
            (chat, "/openai/v1", "2024-10-21", "/openai/v1/chat"),
            (
                responses,
                "",
                "2025-04-01-preview",
                "/openai/responses?api-version=2025-04-01-preview",
            ),
            (
                responses,
                "",
                "preview",
                "/openai/v1/responses?api-version=preview",
            ),
            (
                responses,
                "/openai/v1",
                "preview",
                "/openai/v1/responses?api-version=preview",
            ),
            (responses, "/openai/v1", "v1", "/openai/v1/responses"),
        ] {
            assert_eq!(path.below(base, "m", false, Some(version)), url);
        }
    }

    #[test]
    fn a_method_stands_behind_the_model() {
        let path = Path::Method {
            version: "v1beta",
            collection: "models",
            beside: &["tunedModels"],
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
}
