//! Recorded speech and transcriptions: what is said in a service's own form goes through byte by byte, and what is not is told in
//! the form that consumers read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use llmleaf_testkit::recordings::{self, Body, Recording};
use llmleaf_testkit::replay::Script;
use llmleaf_testkit::stand::{self, Exchange, PREFIX, Service, Stand};
use llmleaf_testkit::tally::{Finding, Tally};
use serde_json::Value;

use super::{EXE, LOG};

/// Exchanges in the set when this was written, and the same asked for as subtitles.
const LEAST: usize = 34;

const MODEL: &str = "sound";
const BOUNDARY: &str = "here-it-ends";

#[test]
fn sound_reaches_consumers_and_services_as_it_is() {
    let wires = ["audio-speech", "audio-transcription", "audio-translation"];
    let Some(recordings) = recordings::load_where("sound", |recording| {
        // What was published of that one is an answer inside another one.
        wires.contains(&recording.wire.as_str())
            && recording.id != "ai-groq-audio-transcription-258b828e2d"
    }) else {
        return;
    };
    let tally = Tally::default();
    stand::each(EXE, LOG, &recordings, service, |stand, recording| {
        let asked = Asked::of(recording);
        let exchange = asked.exchange(stand, script(recording));
        let finding = judge(recording, &asked, &exchange);
        tally.add(
            "sound",
            &recording.provider,
            &recording.wire,
            &recording.id,
            finding,
        );
        if recording.wire != "audio-speech" && !recording.is_error() && !recording.stream {
            let asked = Asked::form(recording, &[("response_format", "srt")]);
            let exchange = asked.exchange(stand, script(recording));
            let finding = subtitles(recording, &exchange);
            tally.add(
                "srt",
                &recording.provider,
                &recording.wire,
                &recording.id,
                finding,
            );
        }
    });
    tally.conclude("sound", LEAST);
}

fn service(recording: &Recording) -> Service {
    let base = recording.path.split("/audio/").next().unwrap_or_default();
    let kind = match recording.provider.as_str() {
        "other-openai-compatible" => "openai-compatible",
        own => own,
    };
    Service {
        kind: kind.to_owned(),
        // Its row has the version in its paths.
        base: if kind == "cohere" { "" } else { base }.to_owned(),
        settings: String::new(),
    }
}

/// What the service answered. Some recorders kept sound as base64 text.
fn sound(recording: &Recording) -> Option<Vec<u8>> {
    let is_sound = recording.response_headers.get("content-type");
    let is_sound = is_sound.is_some_and(|kind| kind.starts_with("audio/"));
    match &recording.body {
        Body::Binary(text) => Some(STANDARD.decode(text).expect("base64")),
        Body::Text(text) if is_sound => Some(STANDARD.decode(text).expect("base64")),
        _ => None,
    }
}

fn script(recording: &Recording) -> Script {
    match sound(recording) {
        Some(sound) => {
            let kind = &recording.response_headers["content-type"];
            Script::body(recording.status, kind, sound).write_every(1000)
        }
        None => Script::recorded(recording),
    }
}

/// What a consumer asks.
struct Asked {
    kind: String,
    body: Vec<u8>,
    /// What the service is to get, where that is known to the byte.
    expected: Option<Vec<u8>>,
}

impl Asked {
    /// As it was recorded, with another model's name; a form of one's own where none was published.
    fn of(recording: &Recording) -> Self {
        let published = recording.request_body.as_deref();
        let request: Value = published.map_or(Value::Null, |text| {
            serde_json::from_str(text).expect("the request is JSON")
        });
        let form = match &request {
            Value::Object(fields) => match fields.get("__base64__").and_then(Value::as_str) {
                Some(text) => STANDARD.decode(text).expect("base64"),
                None => return Self::json(request),
            },
            // A form without a model, which the service refused.
            _ => return Self::form(recording, &[]),
        };
        let boundary = form.split(|byte| *byte == b'\r').next().expect("a line");
        let boundary = String::from_utf8_lossy(&boundary[2..]).into_owned();
        let named = b"name=\"model\"\r\n\r\n";
        let at = form.windows(named.len()).position(|w| w == named);
        let at = at.expect("a model") + named.len();
        let model = form[at..]
            .split(|byte| *byte == b'\r')
            .next()
            .expect("a line");
        let with = |name: &str| [&form[..at], name.as_bytes(), &form[at + model.len()..]].concat();
        Self {
            kind: format!("multipart/form-data; boundary={boundary}"),
            body: with(&format!("{PREFIX}{MODEL}")),
            expected: Some(with(MODEL)),
        }
    }

    fn json(mut request: Value) -> Self {
        request["model"] = format!("{PREFIX}{MODEL}").into();
        let body = request.to_string().into_bytes();
        request["model"] = MODEL.into();
        Self {
            kind: "application/json".to_owned(),
            body,
            expected: Some(request.to_string().into_bytes()),
        }
    }

    /// A form of one's own, with the file first as many clients have it.
    fn form(_: &Recording, fields: &[(&str, &str)]) -> Self {
        let part = |head: &str, value: &str| {
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n")
        };
        let with = |model: &str| {
            let file = "name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav";
            let mut form = part(file, "RIFF") + &part("name=\"model\"", model);
            for (name, value) in fields {
                form += &part(&format!("name=\"{name}\""), value);
            }
            (form + &format!("--{BOUNDARY}--\r\n")).into_bytes()
        };
        Self {
            kind: format!("multipart/form-data; boundary={BOUNDARY}"),
            body: with(&format!("{PREFIX}{MODEL}")),
            expected: fields.is_empty().then(|| with(MODEL)),
        }
    }

    fn exchange(&self, stand: &mut Stand, recorded: Script) -> Exchange {
        let path = match self.kind.starts_with("multipart") {
            true => "/v1/audio/transcriptions",
            false if self.body.starts_with(b"{\"input_audio\"") => "/v1/audio/transcriptions",
            false => "/v1/audio/speech",
        };
        stand.exchange_of(path, &[], (&self.kind, &self.body), recorded)
    }
}

fn judge(recording: &Recording, asked: &Asked, exchange: &Exchange) -> Finding {
    let mut finding = Finding::default();
    let text = exchange.response.text();
    let shown: String = text.chars().take(300).collect();
    // A failure is asked for again.
    let Some(request) = exchange.requests.first() else {
        finding.check(false, || format!("no request; {shown}"));
        return finding;
    };
    if recording.provider == "mistral" && recording.wire == "audio-speech" {
        finding.except(
            "the service calls a voice `voice_id`, and is asked for its sound as it is made",
        );
    } else {
        let expected = asked.expected.as_deref().unwrap_or_default();
        let same = same_request(&request.body, expected, &asked.kind);
        finding.check(same, || {
            let sent: String = request.text().chars().take(600).collect();
            format!("sent {sent:?}")
        });
    }
    let length = request.header("content-length");
    finding.check(length == Some(&request.body.len().to_string()), || {
        format!("length {length:?} of {}", request.body.len())
    });
    if recording.is_error() {
        finding.check(exchange.response.status >= 400, || shown.clone());
        return finding;
    }
    finding.check(exchange.response.status == 200, || shown.clone());
    match (&recording.body, sound(recording)) {
        (_, Some(sound)) => {
            finding.check(exchange.response.body == sound, || {
                "the sound was changed".to_owned()
            });
            let kind = exchange.response.header("content-type");
            finding.check(
                kind == recording
                    .response_headers
                    .get("content-type")
                    .map(String::as_str),
                || format!("it came as {kind:?}"),
            );
        }
        (Body::Sse(events), None) => {
            finding.check(text == *events, || {
                format!("the events were changed: {shown}")
            });
        }
        (Body::Json(json), None) if recording.wire == "audio-speech" => {
            let answer: Value = serde_json::from_str(json).expect("JSON");
            let sound = STANDARD.decode(answer["audio_data"].as_str().expect("sound"));
            finding.check(exchange.response.body == sound.expect("base64"), || {
                shown.clone()
            });
            finding.except("the sound is taken out of JSON");
        }
        (Body::Json(json), None) => transcript(recording, json, &text, &mut finding),
        _ => finding.check(false, || "a body of another kind".to_owned()),
    }
    finding
}

/// JSON compared by value, forms by their bytes.
fn same_request(sent: &[u8], expected: &[u8], kind: &str) -> bool {
    if kind.starts_with("multipart") {
        return sent == expected;
    }
    let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
    read(sent).is_some() && read(sent) == read(expected)
}

fn transcript(recording: &Recording, json: &str, got: &str, finding: &mut Finding) {
    if ["mistral", "cohere"].contains(&recording.provider.as_str()) {
        let (theirs, ours): (Value, Value) = (
            serde_json::from_str(json).expect("JSON"),
            serde_json::from_str(got).unwrap_or_default(),
        );
        finding.check(theirs["text"] == ours["text"], || got.to_owned());
        if let Some(total) = theirs["usage"]["total_tokens"].as_u64() {
            finding.check(ours["usage"]["total_tokens"] == total, || got.to_owned());
        }
        finding.except("the answer is told in the form that consumers read");
        return;
    }
    finding.check(json == got, || format!("{got}, not {json}"));
}

/// Subtitles where the recorded answer has times; else a refusal that names the format.
fn subtitles(recording: &Recording, exchange: &Exchange) -> Finding {
    let mut finding = Finding::default();
    let text = exchange.response.text();
    let Body::Json(json) = &recording.body else {
        return finding;
    };
    let answer: Value = serde_json::from_str(json).expect("JSON");
    if ["openai", "other-openai-compatible"].contains(&recording.provider.as_str()) {
        finding.except("the service writes subtitles itself");
        return finding;
    }
    if recording.provider == "cohere" {
        let refused = exchange.response.status >= 400 && exchange.requests.is_empty();
        finding.check(refused && text.contains("response_format"), || text.clone());
        return finding;
    }
    let [request] = exchange.requests.as_slice() else {
        finding.check(false, || text.clone());
        return finding;
    };
    let asks = request.text();
    let timed = asks.contains("verbose_json") || asks.contains("timestamp_granularities[]");
    finding.check(timed && !asks.contains("srt"), || asks.clone());
    for segment in answer["segments"].as_array().into_iter().flatten() {
        let words = segment["text"].as_str().unwrap_or_default().trim();
        finding.check(text.contains(words) && text.contains(" --> "), || {
            text.clone()
        });
    }
    finding
}
