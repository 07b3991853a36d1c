//! Sound across forms: what one service says in its own way reaches consumers in theirs.

use llmleaf_testkit::binary::Llmleaf;
use llmleaf_testkit::http::{Connection, End, Response, request};
use llmleaf_testkit::replay::{Replay, Request, Script};
use serde_json::{Value, json};

use super::uploads::{BEARER, KEY};

/// 24 samples, and the two halves of them in base64.
const SAMPLES: [u8; 48] = [7; 48];
pub const HALF: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH";

pub fn generated() -> Script {
    let part = json!({"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=16000", "data": HALF}});
    let chunk = |finish: Value| {
        let candidate = json!({"content": {"parts": [part], "role": "model"}, "finishReason": finish, "index": 0});
        let counts =
            json!({"promptTokenCount": 3, "candidatesTokenCount": 9, "totalTokenCount": 12});
        format!(
            "data: {}\n\n",
            json!({"candidates": [candidate], "usageMetadata": counts})
        )
    };
    Script::sse(chunk(Value::Null) + &chunk("STOP".into()))
}

pub fn in_json() -> Script {
    let delta = json!({"type": "speech.audio.delta", "audio_data": HALF});
    let done = json!({"type": "speech.audio.done", "usage": {"prompt_tokens": 3, "completion_tokens": 9, "total_tokens": 12}});
    Script::sse(format!(
        "event: speech.audio.delta\ndata: {delta}\n\nevent: speech.audio.delta\ndata: {delta}\n\nevent: speech.audio.done\ndata: {done}\n\n"
    ))
}

pub struct Heard {
    pub leaf: Llmleaf,
    pub replay: Replay,
}

impl Heard {
    /// The program in front of one service, played as each of these kinds; the route `any` tries them in order.
    pub fn start(kinds: &[&str]) -> Self {
        Self::start_with(kinds, "")
    }

    /// The same with more in its configuration.
    pub fn start_with(kinds: &[&str], more: &str) -> Self {
        let replay = Replay::start();
        let mut config =
            "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\ntries_per_target = 1\nadmin_token = \"env:ADMIN\"\n".to_owned();
        for kind in kinds {
            config += &format!(
                "[[providers]]\nname = \"{kind}\"\nkind = \"{kind}\"\nendpoint = \"{}/v1\"\ncredential = \"k\"\nprefix = \"{kind}\"\nhealth = false\n",
                replay.url()
            );
        }
        let targets: Vec<String> = kinds
            .iter()
            .map(|kind| format!("{{ provider = \"{kind}\" }}"))
            .collect();
        config += &format!(
            "[[routes]]\nmodel = \"any\"\ntargets = [{}]\n",
            targets.join(", ")
        );
        let leaf = Llmleaf::with_config(env!("CARGO_BIN_EXE_llmleaf"), &(config + more + KEY));
        let leaf = leaf.env("ADMIN", "told-to-nobody").start();
        Self { leaf, replay }
    }

    /// What the admin surface tells.
    pub fn health(&self) -> String {
        let token = [("x-admin-token", "told-to-nobody")];
        llmleaf_testkit::http::get(self.leaf.addr, "/admin/health", &token).text()
    }

    pub fn post(&self, path: &str, kind: &str, body: &[u8]) -> (Response, Vec<Request>) {
        let mut connection = Connection::open(self.leaf.addr);
        let headers = [("authorization", BEARER), ("content-type", kind)];
        connection.send(&request("POST", path, &headers, body));
        let response = connection.response();
        (response, self.replay.take_requests())
    }

    pub fn say(&self, model: &str, more: &Value) -> (Response, Vec<Request>) {
        let mut body = json!({"model": model, "input": "Hello", "voice": "Kore"});
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        self.post(
            "/v1/audio/speech",
            "application/json",
            body.to_string().as_bytes(),
        )
    }

    pub fn hear(&self, model: &str, fields: &[(&str, &str)]) -> (Response, Vec<Request>) {
        let part = |head: &str, value: &str| {
            format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n")
        };
        let mut form = part("name=\"file\"; filename=\"a.mp3\"", "sound");
        for (name, value) in [&[("model", model)], fields].concat() {
            form += &part(&format!("name=\"{name}\""), value);
        }
        form += "--b--\r\n";
        self.post(
            "/v1/audio/transcriptions",
            "multipart/form-data; boundary=b",
            form.as_bytes(),
        )
    }
}

#[test]
fn sound_from_two_forms_reaches_consumers_as_bytes_and_as_events() {
    let heard = Heard::start(&["gemini", "mistral", "openai"]);
    heard.replay.push(generated());
    let (response, requests) = heard.say("gemini/tts", &json!({"response_format": "wav"}));
    assert_eq!(
        response.header("content-type"),
        Some("audio/wav"),
        "{}",
        response.text()
    );
    assert_eq!(&response.body[..4], b"RIFF");
    assert_eq!(
        &response.body[24..28],
        &16_000u32.to_le_bytes(),
        "as the service says"
    );
    assert_eq!(&response.body[44..], &SAMPLES);
    assert!(
        requests[0]
            .path
            .ends_with("/models/tts:streamGenerateContent?alt=sse"),
        "{}",
        requests[0].path
    );
    heard.replay.push(generated());
    let (response, _) = heard.say("gemini/tts", &json!({"response_format": "pcm"}));
    assert_eq!(response.body[..], SAMPLES);
    // One cannot write what is asked for: nothing is sent, and of several another one serves.
    let (response, requests) = heard.say("gemini/tts", &json!({}));
    assert_eq!(
        (response.status, requests.len()),
        (400, 0),
        "{}",
        response.text()
    );
    assert_eq!(
        response.json().text_at(&["error", "param"]),
        "response_format"
    );
    heard.replay.push(in_json());
    let (response, requests) = heard.say("any", &json!({"instructions": "softly"}));
    assert_eq!(
        (response.body.to_vec(), requests.len()),
        (SAMPLES.to_vec(), 1)
    );
    assert_eq!(response.header("content-type"), Some("audio/mpeg"));
    let loss = response.header("x-llmleaf-loss").unwrap_or_default();
    assert!(loss.contains("instructions"), "{loss}");
    heard.replay.push(in_json());
    let (response, _) = heard.say("mistral/tts", &json!({"stream_format": "sse"}));
    let events = response.sse().events;
    let last: Value = serde_json::from_str(&events[events.len() - 1].data).expect("JSON");
    assert_eq!(last["usage"]["total_tokens"], 12);
    assert!(events[0].data.contains(HALF));
    let records = heard.health();
    assert!(records.contains("\"characters\":5"), "{records}");
}

/// What the last record counts, and what it costs, where that is known.
fn counted(heard: &Heard) -> (u64, u64, Option<u64>) {
    let admin = [("x-admin-token", "told-to-nobody")];
    let health = llmleaf_testkit::http::get(heard.leaf.addr, "/admin/health", &admin);
    let health: Value = serde_json::from_str(&health.text()).expect("JSON");
    let last = &health["recent"][0];
    let count = |name: &str| last["usage"][name].as_u64().expect("a count");
    let cost = last["cost_nano_usd"].as_u64();
    (count("characters"), count("audio_ms"), cost)
}

#[test]
fn h11_sound_is_counted_and_costs_what_its_characters_or_its_length_do() {
    let heard = Heard::start(&["gemini", "openai", "groq"]);
    // 48 bytes at 16 kHz are a millisecond and a half.
    heard.replay.push(generated());
    heard.say("gemini/tts", &json!({"response_format": "wav"}));
    assert_eq!(
        counted(&heard),
        (5, 1, None),
        "nobody knows what that model costs"
    );
    heard
        .replay
        .push(Script::body(200, "audio/mpeg", vec![7; 9000]));
    heard.say("openai/tts-1", &json!({}));
    assert_eq!(
        counted(&heard),
        (5, 0, Some(75_000)),
        "15 dollars a million"
    );
    let said = json!({"text": "a", "usage": {"type": "duration", "seconds": 90}});
    heard.replay.push(Script::json(200, said.to_string()));
    heard.hear("openai/whisper-1", &[]);
    assert_eq!(
        counted(&heard),
        (0, 90_000, Some(9_000_000)),
        "36 cents an hour"
    );
    let told = json!({"text": "a", "duration": 2.5, "segments": []});
    heard.replay.push(Script::json(200, told.to_string()));
    heard.hear("openai/whisper-1", &[("response_format", "verbose_json")]);
    assert_eq!(counted(&heard), (0, 2500, Some(250_000)));
}

#[test]
fn the_echo_says_which_sound_it_writes_and_refuses_forms_that_nobody_knows() {
    let config = "[server]\nlisten = \"127.0.0.1:0\"\n[[providers]]\nname = \"echo\"\nkind = \"echo\"\nprefix = \"echo\"\n";
    let leaf = Llmleaf::with_config(env!("CARGO_BIN_EXE_llmleaf"), &(config.to_owned() + KEY));
    let heard = Heard {
        leaf: leaf.start(),
        replay: Replay::start(),
    };
    let (response, _) = heard.say("echo/a", &json!({}));
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.header("content-type"), Some("audio/wav"));
    assert_eq!(&response.body[..4], b"RIFF");
    let loss = response.header("x-llmleaf-loss").unwrap_or_default();
    assert!(loss.contains("response_format"), "{loss}");
    let (mp3, _) = heard.say("echo/a", &json!({"response_format": "mp3"}));
    let (unknown, _) = heard.hear("echo/a", &[("response_format", "nonsense")]);
    for refused in [mp3, unknown] {
        assert_eq!(refused.status, 400, "{}", refused.text());
        let told = refused.json();
        assert_eq!(told.text_at(&["error", "param"]), "response_format");
    }
}

#[test]
fn a_broken_sound_has_no_good_end() {
    let heard = Heard::start(&["gemini", "mistral", "openai"]);
    // Nothing was said: the next one serves, or the failure is told.
    for script in [
        Script::sse(
            "data: {\"error\":{\"code\":500,\"message\":\"no\",\"status\":\"INTERNAL\"}}\n\n",
        ),
        Script::sse(""),
        // Bytes of a container are no samples.
        Script::sse(
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"inlineData\":{\"mimeType\":\"audio/mpeg\",\"data\":\"SUQz\"}}]},\"finishReason\":\"STOP\"}]}\n\n",
        ),
    ] {
        heard.replay.push(script);
        let (response, _) = heard.say("gemini/tts", &json!({"response_format": "pcm"}));
        assert!(
            response.status >= 500,
            "{} {}",
            response.status,
            response.text()
        );
    }
    heard.replay.push(Script::body(200, "audio/mpeg", ""));
    assert!(heard.say("openai/tts", &json!({})).0.status >= 500);
    // Something was said: events end in an error, bytes are cut.
    let begun = in_json().whole();
    let begun = begun
        .split(|byte| *byte == b'\n')
        .take(3)
        .collect::<Vec<_>>()
        .join(&b'\n');
    let begun = [&begun[..], b"\n"].concat();
    heard.replay.push(Script::sse(begun.clone()));
    let (response, _) = heard.say("mistral/tts", &json!({"stream_format": "sse"}));
    assert!(
        response.text().contains("\"error\"") && response.end != End::Clean,
        "{}",
        response.text()
    );
    heard.replay.push(Script::sse(begun));
    let (response, _) = heard.say("mistral/tts", &json!({}));
    assert_eq!(
        (response.body.len(), response.end != End::Clean),
        (24, true)
    );
}

#[test]
fn sound_becomes_text_over_a_chat_wire() {
    let heard = Heard::start(&["gemini"]);
    let said = |text: &str| {
        json!({"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 30, "candidatesTokenCount": 4, "totalTokenCount": 34, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 25}]}}).to_string()
    };
    heard.replay.push(Script::json(200, said("Well said.")));
    let (response, requests) = heard.hear("gemini/flash", &[("language", "en")]);
    let answer: Value = serde_json::from_str(&response.text()).expect("JSON");
    assert_eq!(answer["text"], "Well said.");
    assert_eq!(answer["usage"]["input_token_details"]["audio_tokens"], 25);
    let sent: Value = serde_json::from_str(&requests[0].text()).expect("JSON");
    assert_eq!(
        sent["contents"][0]["parts"][0]["inlineData"],
        json!({"mimeType": "audio/mp3", "data": "c291bmQ="})
    );
    assert!(requests[0].path.ends_with(":generateContent"));
    heard.replay.push(Script::sse(format!(
        "data: {}\n\ndata: {}\n\n",
        said("Well ").replace("\"STOP\"", "null"),
        said("said.")
    )));
    let (response, requests) = heard.hear("gemini/flash", &[("stream", "true")]);
    assert!(requests[0].path.contains(":streamGenerateContent"));
    let events = response.sse().events;
    let kinds: Vec<Value> = events
        .iter()
        .map(|event| serde_json::from_str(&event.data).expect("JSON"))
        .collect();
    assert_eq!(
        (&kinds[0]["delta"], &kinds[1]["delta"]),
        (&json!("Well "), &json!("said."))
    );
    assert_eq!(
        (&kinds[2]["type"], &kinds[2]["text"]),
        (&json!("transcript.text.done"), &json!("Well said."))
    );
    let (response, requests) = heard.hear("gemini/flash", &[("response_format", "srt")]);
    assert_eq!(
        (response.status, requests.len()),
        (400, 0),
        "{}",
        response.text()
    );
    let inline =
        json!({"model": "gemini/flash", "input_audio": {"data": "c291bmQ=", "format": "mp3"}});
    heard.replay.push(Script::json(200, said("Well said.")));
    let (response, _) = heard.post(
        "/v1/audio/transcriptions",
        "application/json",
        inline.to_string().as_bytes(),
    );
    assert!(
        response.text().contains("Well said."),
        "{}",
        response.text()
    );
}

#[test]
fn a_stream_of_another_form_is_told_in_the_consumers() {
    let heard = Heard::start(&["mistral", "groq"]);
    heard.replay.push(Script::sse(
        "event: transcription.text.delta\ndata: {\"type\":\"transcription.text.delta\",\"text\":\"One\"}\n\nevent: transcription.done\ndata: {\"type\":\"transcription.done\",\"model\":\"m\",\"text\":\"One\",\"language\":\"en\",\"usage\":{\"prompt_audio_seconds\":2,\"prompt_tokens\":3,\"total_tokens\":40,\"completion_tokens\":7}}\n\n",
    ));
    let (response, requests) = heard.hear(
        "mistral/stt",
        &[("stream", "true"), ("response_format", "json")],
    );
    assert!(!requests[0].text().contains("response_format"));
    let text = response.text();
    assert!(
        text.contains("\"type\":\"transcript.text.delta\",\"delta\":\"One\"")
            && text.contains("\"total_tokens\":40"),
        "{text}"
    );
    heard.replay.push(Script::json(200, "{\"text\":\"Two\"}"));
    let (response, requests) = heard.hear("groq/stt", &[("stream", "true")]);
    assert!(!requests[0].text().contains("name=\"stream\""));
    assert!(
        response
            .text()
            .contains("\"type\":\"transcript.text.done\",\"text\":\"Two\""),
        "{}",
        response.text()
    );
}

#[test]
fn voices_are_listed_by_whom_knows_them() {
    let heard = Heard::start(&["mistral", "openai", "groq"]);
    let list = |model: &str| {
        llmleaf_testkit::http::get(
            heard.leaf.addr,
            &format!("/v1/audio/voices?model={model}"),
            &[("authorization", BEARER)],
        )
    };
    let known = list("openai%2Ftts").text();
    assert!(
        known.starts_with("{\"model\":\"openai/tts\"") && known.contains("{\"id\":\"alloy\"}"),
        "{known}"
    );
    heard.replay.push(Script::json(200, "{\"items\":[{\"name\":\"Paul\",\"slug\":\"en_paul\",\"languages\":[\"en\"],\"id\":\"u-1\"},{\"name\":\"Own\",\"slug\":null,\"id\":\"u-2\"}],\"total\":2}"));
    let asked = list("mistral/tts").text();
    assert_eq!(
        asked,
        "{\"model\":\"mistral/tts\",\"voices\":[{\"id\":\"en_paul\",\"name\":\"Paul\",\"languages\":[\"en\"]},{\"id\":\"u-2\",\"name\":\"Own\"}]}"
    );
    assert_eq!(
        heard.replay.take_requests()[0].path,
        "/v1/audio/voices?type=all&limit=100&offset=0"
    );
    assert_eq!(list("groq/tts").status, 400, "nobody knows");
    assert_eq!(list("").status, 400);
}
