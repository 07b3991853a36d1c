//! The recorded provider traffic beside the repository (`../shared/recordings`; its README has the
//! format). It is not part of the repository: a test that needs it says so and is skipped, named and
//! counted when it is absent.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json;
use crate::sse::{self, SseEvent};

/// One recorded exchange.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Unique name.
    pub id: String,
    /// Who answered, e.g. `openrouter`.
    pub provider: String,
    /// The dialect spoken, e.g. `openai-chat`.
    pub wire: String,
    /// Upstream host, where known.
    pub host: Option<String>,
    /// Request method.
    pub method: String,
    /// Path with query.
    pub path: String,
    /// The few request headers that were kept, names in lower case.
    pub request_headers: BTreeMap<String, String>,
    /// The JSON text of the request exactly as the file has it (whitespace was lost in recording;
    /// key order and, in most captures, number spelling were not); `None` when none was published.
    pub request_body: Option<String>,
    /// Response status.
    pub status: u16,
    /// The few response headers that were kept, names in lower case.
    pub response_headers: BTreeMap<String, String>,
    /// Response body.
    pub body: Body,
    /// Whether the response is a stream.
    pub stream: bool,
    /// What was found in the content, by heuristics.
    pub tags: Vec<String>,
    /// How faithful the recording is, e.g. `http` or `http-normalised`.
    pub capture: String,
}

/// A response body.
#[derive(Clone, Debug)]
pub enum Body {
    /// The JSON text as the file has it.
    Json(String),
    /// The exact event-stream text.
    Sse(String),
    /// The exact newline-delimited JSON text.
    Ndjson(String),
    /// Other text.
    Text(String),
    /// Binary, still in base64.
    Binary(String),
}

impl Recording {
    /// Whether the recording has a tag.
    #[must_use]
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|own| own == tag)
    }

    /// Whether this is an error answer: by status, or an error event within a 200 stream.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.status >= 400 || self.has_tag("error")
    }

    /// The request as a tree; `None` when there was none or it was not JSON.
    #[must_use]
    pub fn request(&self) -> Option<json::Value> {
        json::parse(self.request_body.as_deref()?).ok()
    }

    /// The events of an event stream; none for any other body.
    #[must_use]
    pub fn events(&self) -> Vec<SseEvent> {
        match &self.body {
            Body::Sse(text) => sse::parse(text.as_bytes()).events,
            _ => Vec::new(),
        }
    }
}

/// The positions in a stream's text behind each blank line: where an event, or a comment, is whole.
#[must_use]
pub fn boundaries(stream: &str) -> Vec<usize> {
    let bytes = stream.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let ends = ["\r\n\r\n", "\n\n", "\r\r"];
        let end = ends
            .iter()
            .find(|end| bytes[at..].starts_with(end.as_bytes()));
        at += end.map_or(1, |end| end.len());
        if end.is_some() {
            found.push(at);
        }
    }
    found
}

impl Body {
    /// The bytes to replay; `None` for binary bodies.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Body::Json(text) | Body::Sse(text) | Body::Ndjson(text) | Body::Text(text) => {
                Some(text)
            }
            Body::Binary(_) => None,
        }
    }
}

/// The folder of the recordings: `LLMLEAF_RECORDINGS`, or `shared/recordings` beside this crate or any of the
/// folders above it.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "test support: the recordings lie outside the repository"
)]
pub fn folder() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("LLMLEAF_RECORDINGS") {
        return Some(PathBuf::from(path)).filter(|path| path.is_dir());
    }
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|above| above.join("shared/recordings"))
        .find(|path| path.is_dir())
}

/// Every exchange of one wire, in a stable order. Without the folder it prints
/// `skipped: <wire> (recordings folder not found)` and returns `None`, so that a skip is visible and can be counted.
///
/// # Panics
/// When a file of the folder cannot be read: a broken set must not look like an absent one.
#[must_use]
pub fn load(wire: &str) -> Option<Vec<Recording>> {
    load_where(wire, |recording| recording.wire == wire)
}

/// Every exchange that the filter keeps; `name` names the skip. See [`load`].
///
/// # Panics
/// When a file of the folder cannot be read.
#[must_use]
pub fn load_where(name: &str, keep: impl Fn(&Recording) -> bool) -> Option<Vec<Recording>> {
    let Some(folder) = folder() else {
        eprintln!("skipped: {name} (recordings folder not found)");
        return None;
    };
    let mut found = Vec::new();
    for source in sorted(&folder) {
        for file in sorted(&source) {
            if file
                .extension()
                .is_none_or(|extension| extension != "jsonl")
            {
                continue;
            }
            let text = std::fs::read_to_string(&file).expect("a recording file is readable");
            for (number, line) in text.lines().enumerate() {
                let raw: RawRecording = serde_json::from_str(line)
                    .unwrap_or_else(|error| panic!("{}:{}: {error}", file.display(), number + 1));
                let recording = raw.read();
                if keep(&recording) {
                    found.push(recording);
                }
            }
        }
    }
    Some(found)
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[derive(Deserialize)]
struct RawRecording<'a> {
    id: String,
    provider: String,
    wire: String,
    host: Option<String>,
    method: String,
    path: String,
    #[serde(default)]
    request_headers: BTreeMap<String, String>,
    #[serde(borrow)]
    request_body: Option<&'a RawValue>,
    #[serde(borrow)]
    response: RawResponse<'a>,
    stream: bool,
    tags: Vec<String>,
    capture: String,
}

#[derive(Deserialize)]
struct RawResponse<'a> {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    sse: Option<String>,
    ndjson: Option<String>,
    body_text: Option<String>,
    body_base64: Option<String>,
}

impl RawRecording<'_> {
    fn read(self) -> Recording {
        let response = self.response;
        let body = match (response.sse, response.ndjson, response.body_text) {
            (Some(text), _, _) => Body::Sse(text),
            (_, Some(text), _) => Body::Ndjson(text),
            (_, _, Some(text)) => Body::Text(text),
            _ => match response.body_base64 {
                Some(text) => Body::Binary(text),
                // An Option swallows a recorded `null`, which is a JSON body too.
                None => Body::Json(response.body.map_or("null", RawValue::get).to_owned()),
            },
        };
        Recording {
            id: self.id,
            provider: self.provider,
            wire: self.wire,
            host: self.host,
            method: self.method,
            path: self.path,
            request_headers: lower(self.request_headers),
            request_body: self.request_body.map(|raw| raw.get().to_owned()),
            status: response.status,
            response_headers: lower(response.headers),
            body,
            stream: self.stream,
            tags: self.tags,
            capture: self.capture,
        }
    }
}

fn lower(headers: BTreeMap<String, String>) -> BTreeMap<String, String> {
    headers
        .into_iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect()
}
