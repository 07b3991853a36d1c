//! Exchanges to try a wire on: the recorded traffic beside the repository, and the repository's own samples.

use bytes::Bytes;
use llmleaf_dialects::ollama::Form;
use llmleaf_dialects::{ChatWire, Dialect, Head, Rendered, Target};
use llmleaf_framing::{SseFramer, SseLimits};
use llmleaf_model::Event;
use llmleaf_testkit::recordings::{self, Body};
use std::path::Path;

/// One exchange.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Kind of the provider.
    pub provider: String,
    /// Where it is from.
    pub name: String,
    /// What the provider speaks in it.
    pub dialect: Dialect,
    /// The request, and the dialect it is written in.
    request: Option<(Dialect, String)>,
    /// The event stream that answered it.
    stream: Option<String>,
    /// The whole body that answered it.
    whole: Option<String>,
    /// What must be sent for the request.
    upstream_request: Option<String>,
}

/// The recorded traffic; `None` where it is not there.
pub fn recorded() -> Option<Vec<Sample>> {
    let mut all = recordings::load("openai-chat")?;
    all.extend(recordings::load("openai-responses")?);
    // What was reframed by the recorder has an end marker that nobody sent.
    let all = all.into_iter().filter(|r| !r.capture.contains("reframed"));
    Some(all.map(sample).collect())
}

fn sample(recording: recordings::Recording) -> Sample {
    let dialect = match recording.wire.as_str() {
        "openai-responses" => Dialect::Responses,
        _ => Dialect::ChatCompletions,
    };
    let (stream, whole) = match recording.body {
        Body::Sse(text) => (Some(text), None),
        Body::Json(text) if recording.status == 200 => (None, Some(text)),
        _ => (None, None),
    };
    let provider = match recording.provider.as_str() {
        "other-openai-compatible" => "openai-compatible".to_owned(),
        name => name.to_owned(),
    };
    Sample {
        provider,
        name: recording.id,
        request: recording.request_body.map(|body| (dialect, body)),
        dialect,
        stream,
        whole,
        upstream_request: None,
    }
}

/// The repository's own samples of a provider.
pub fn documented(provider: &str) -> Vec<Sample> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../recordings")
        .join(provider);
    let Ok(scenarios) = std::fs::read_dir(&folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = scenarios.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().map(|path| own(provider, path)).collect()
}

fn own(provider: &str, path: &Path) -> Sample {
    let name = path.display().to_string();
    let read = |file: &str| std::fs::read_to_string(path.join(file)).ok();
    let meta: toml::Table = read("meta.toml")
        .expect("meta.toml")
        .parse()
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    for key in ["provenance", "source", "date", "wire"] {
        assert!(meta.contains_key(key), "{name}: meta.toml has no {key}");
    }
    let named = |key: &str| match meta.get(key).and_then(|v| v.as_str()) {
        None => None,
        Some("chat_completions") => Some(Dialect::ChatCompletions),
        Some("messages") => Some(Dialect::Messages),
        Some("responses") => Some(Dialect::Responses),
        Some("generate_content") => Some(Dialect::GenerateContent),
        Some("ollama_chat") => Some(Dialect::Ollama(Form::Chat)),
        Some("ollama_generate") => Some(Dialect::Ollama(Form::Generate)),
        Some("cohere_chat") => Some(Dialect::CohereChat),
        Some(other) => panic!("{name}: no dialect {other}"),
    };
    let spoken = named("wire").expect("wire");
    let dialect = named("consumer").unwrap_or(spoken);
    Sample {
        provider: provider.to_owned(),
        request: read("request.json").map(|body| (dialect, body)),
        dialect: spoken,
        stream: read("upstream.response.sse"),
        whole: read("upstream.response.json"),
        upstream_request: read("upstream.request.json"),
        name,
    }
}

impl Sample {
    /// All that a wire makes of the exchange, as text to compare.
    pub fn outcome(&self, wire: &ChatWire) -> String {
        let mut out = String::new();
        if let Some((dialect, body)) = &self.request {
            out += &request_outcome(wire, *dialect, body);
        }
        if wire.dialect() != self.dialect {
            return out;
        }
        if let Some(stream) = &self.stream {
            out += &format!("{:?}\n", decode(wire, stream));
        }
        if let Some(whole) = &self.whole {
            out += &format!("{:?}\n", wire.parse_response(whole.as_bytes()));
        }
        out
    }

    /// What is sent for the request, and what must be, as JSON.
    pub fn sent(&self, wire: &ChatWire) -> (serde_json::Value, serde_json::Value) {
        let (dialect, body) = self.request.as_ref().expect("request.json");
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let head = Head::read(&bytes).expect("a request");
        let target = Target {
            model: &head.model,
            stream: head.stream,
        };
        let rendered = if wire.dialect() == *dialect && wire.takes(&head, &bytes, target.model) {
            wire.edit_request(&head, &bytes, target)
        } else {
            let request = dialect.parse_request(body).expect("a request");
            wire.render_request(&request, target)
        };
        let sent = rendered.expect("a request to send").body;
        let expected = self.upstream_request.as_deref();
        (
            serde_json::from_slice(&sent).expect("JSON"),
            expected.map_or(serde_json::Value::Null, |text| {
                serde_json::from_str(text).expect("JSON")
            }),
        )
    }

    /// The last event of the stream, where the exchange has one.
    pub fn stream_end(&self, wire: &ChatWire) -> Option<String> {
        let events = decode(wire, self.stream.as_deref()?);
        Some(format!("{:?}", events.last()))
    }
}

fn request_outcome(wire: &ChatWire, dialect: Dialect, body: &str) -> String {
    let mut out = String::new();
    let bytes = Bytes::copy_from_slice(body.as_bytes());
    let Ok(head) = Head::read(&bytes) else {
        return out;
    };
    let target = Target {
        model: &head.model,
        stream: head.stream,
    };
    if wire.dialect() == dialect {
        out += &shown(wire.edit_request(&head, &bytes, target));
    }
    if let Ok(request) = dialect.parse_request(body) {
        out += &shown(wire.render_request(&request, target));
    }
    out
}

fn shown(rendered: Result<Rendered, llmleaf_model::Failure>) -> String {
    match rendered {
        Ok(rendered) => format!(
            "{} {:?} {}\n",
            String::from_utf8_lossy(&rendered.body),
            rendered.losses,
            rendered.usage_added
        ),
        Err(failure) => format!("{failure:?}\n"),
    }
}

fn decode(wire: &ChatWire, stream: &str) -> Vec<Event> {
    let mut framer = SseFramer::new(SseLimits::default());
    framer.push(Bytes::copy_from_slice(stream.as_bytes()));
    let mut decoder = wire.decoder();
    let mut events = Vec::new();
    while let Some(frame) = framer.next() {
        decoder.push(&frame.expect("a frame"), &mut events);
    }
    decoder.finish(&mut events);
    events
}
