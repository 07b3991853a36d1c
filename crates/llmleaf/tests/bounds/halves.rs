//! Answers about sound that are none, or half of one: no consumer takes them for good, and what they took is counted.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Instant;

use llmleaf_testkit::http::{Connection, End, Response, request};
use llmleaf_testkit::replay::Script;
use llmleaf_testkit::stage::LONG;
use serde_json::{Value, json};

use super::sound::{HALF, Heard, generated, in_json};
use super::uploads::{AFTER, BEARER, BEFORE, leaf};

fn said(text: &str, finish: &Value) -> String {
    let candidate = json!({"content": {"parts": [{"text": text}]}, "finishReason": finish});
    let counts = json!({"promptTokenCount": 30, "candidatesTokenCount": 4, "totalTokenCount": 34});
    json!({"candidates": [candidate], "usageMetadata": counts}).to_string()
}

/// The latest record of an attempt.
fn record(heard: &Heard) -> Value {
    let health: Value = serde_json::from_str(&heard.health()).expect("JSON");
    let mut found = Vec::new();
    attempts(&health, &mut found);
    found.pop().expect("a record")
}

fn attempts(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::Object(map) if map.contains_key("possibly_billed") => found.push(value.clone()),
        Value::Object(map) => map.values().for_each(|value| attempts(value, found)),
        Value::Array(list) => list.iter().for_each(|value| attempts(value, found)),
        _ => {}
    }
}

/// Waits until a record says that.
fn wait(heard: &Heard, text: &str) -> String {
    let began = Instant::now();
    loop {
        let health = heard.health();
        if health.contains(text) {
            return health;
        }
        assert!(began.elapsed() < LONG, "no {text} in {health}");
    }
}

#[test]
fn what_a_chat_wire_stopped_is_no_transcript() {
    let heard = Heard::start(&["gemini"]);
    for (finish, status) in [("MAX_TOKENS", 502), ("SAFETY", 400), ("RECITATION", 400)] {
        heard
            .replay
            .push(Script::json(200, said("Half", &finish.into())));
        let (response, _) = heard.hear("gemini/flash", &[]);
        assert_eq!(response.status, status, "{finish}: {}", response.text());
        let told = wait(&heard, "\"grade\":\"partial\"");
        assert!(
            told.contains("\"grade\":\"partial\""),
            "what it used is counted"
        );
        // In a stream: as a failure where nothing was said before, else behind what was.
        let none = said("", &finish.into());
        heard.replay.push(Script::sse(format!("data: {none}\n\n")));
        let (response, _) = heard.hear("gemini/flash", &[("stream", "true")]);
        assert_eq!(response.status, status, "{finish}: {}", response.text());
        let end = said("Half", &finish.into());
        let first = said("Well ", &Value::Null);
        heard
            .replay
            .push(Script::sse(format!("data: {first}\n\ndata: {end}\n\n")));
        let (response, _) = heard.hear("gemini/flash", &[("stream", "true")]);
        let text = response.text();
        assert!(
            text.contains("Well ") && text.contains("\"error\""),
            "{text}"
        );
        assert!(!text.contains("transcript.text.done"), "{text}");
    }
    let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 30, "totalTokenCount": 30}});
    heard.replay.push(Script::json(200, blocked.to_string()));
    assert_eq!(heard.hear("gemini/flash", &[]).0.status, 400);
}

#[test]
fn what_a_chat_wire_stopped_is_no_whole_sound() {
    let heard = Heard::start(&["gemini"]);
    let whole = String::from_utf8_lossy(&generated().whole()).into_owned();
    heard
        .replay
        .push(Script::sse(whole.replace("\"STOP\"", "\"MAX_TOKENS\"")));
    let (response, _) = heard.say("gemini/tts", &json!({"response_format": "pcm"}));
    assert_ne!(response.end, End::Clean);
    let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}});
    heard
        .replay
        .push(Script::sse(format!("data: {blocked}\n\n")));
    let (response, _) = heard.say("gemini/tts", &json!({"response_format": "pcm"}));
    assert_eq!(response.status, 400, "{}", response.text());
}

#[test]
fn an_end_without_a_sound_and_a_page_are_no_answers() {
    let heard = Heard::start(&["mistral", "openai"]);
    let refused = |response: &Response| assert!(response.status >= 500, "{}", response.text());
    let done = "data: {\"type\":\"speech.audio.done\",\"usage\":{\"total_tokens\":2}}\n\n";
    for events in [false, true] {
        let more = match events {
            true => json!({"stream_format": "sse"}),
            false => json!({}),
        };
        heard.replay.push(Script::sse(done));
        refused(&heard.say("mistral/tts", &more).0);
    }
    for kind in [
        "text/html; charset=utf-8",
        "text/plain",
        "application/problem+json",
    ] {
        heard.replay.push(Script::body(200, kind, "<p>no</p>"));
        refused(&heard.say("openai/tts", &json!({})).0);
    }
    // Whatever comes before the first sound is held, but not without end.
    let noise = format!(
        "data: {{\"type\":\"noise\",\"x\":\"{}\"}}\n\n",
        "x".repeat(64 << 10)
    );
    heard.replay.push(Script::sse(noise.repeat(20)));
    let (response, _) = heard.say("openai/tts", &json!({"stream_format": "sse"}));
    refused(&response);
    assert_eq!(record(&heard)["failure"], "upstream_invalid");
}

#[test]
fn the_last_event_needs_no_empty_line_behind_it() {
    let heard = Heard::start(&["mistral"]);
    let whole = in_json().whole();
    let cut = whole.strip_suffix(b"\n\n").expect("an end");
    heard.replay.push(Script::sse(cut.to_vec()));
    let (response, _) = heard.say("mistral/tts", &json!({"stream_format": "sse"}));
    assert_eq!(response.end, End::Clean, "{}", response.text());
    assert!(response.text().contains("speech.audio.done") && response.text().contains(HALF));
}

#[test]
fn a_format_that_nobody_knows_is_asked_of_the_reference_only() {
    let heard = Heard::start(&["groq", "gemini", "openai"]);
    for model in ["groq/stt", "gemini/flash"] {
        let (response, requests) = heard.hear(model, &[("response_format", "tsv")]);
        assert_eq!((response.status, requests.len()), (400, 0), "{model}");
    }
    let table = "start\tend\ttext\n0\t1\tOne\n";
    heard
        .replay
        .push(Script::body(200, "text/tab-separated-values", table));
    let (response, requests) = heard.hear("any", &[("response_format", "tsv")]);
    assert_eq!(
        (response.status, requests.len()),
        (200, 1),
        "{}",
        response.text()
    );
    assert_eq!(response.text(), table);
    let kind = response.header("content-type");
    assert_eq!(kind, Some("text/tab-separated-values"));
}

#[test]
fn what_stands_behind_the_file_may_be_what_only_the_next_target_can() {
    let heard = Heard::start(&["cohere", "openai"]);
    let part = |head: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n")
    };
    let form = [
        part("name=\"model\"", "any"),
        part("name=\"file\"; filename=\"a.mp3\"", &"s".repeat(600 << 10)),
        part("name=\"response_format\"", "srt"),
        "--b--\r\n".to_owned(),
    ];
    heard
        .replay
        .on(|_| Script::body(200, "text/plain", "1\n00:00"));
    let (response, _) = heard.post(
        "/v1/audio/transcriptions",
        "multipart/form-data; boundary=b",
        form.concat().as_bytes(),
    );
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.text(), "1\n00:00");
}

#[test]
fn a_form_that_breaks_behind_an_early_answer_is_its_consumers_fault() {
    let heard = Heard::start(&["openai"]);
    heard.replay.answer_early(true);
    heard
        .replay
        .push(Script::json(200, "{\"text\":\"early\"}").stall_at(5));
    let mut connection = Connection::open(heard.leaf.addr);
    let before = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nany\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
    let head = format!(
        "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: h\r\nauthorization: {BEARER}\r\ncontent-type: multipart/form-data; boundary=b\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    connection.send(head.as_bytes());
    connection.send(chunk(before).as_bytes());
    connection.send(chunk(&"x".repeat(600 << 10)).as_bytes());
    assert!(heard.replay.wait_writes(0, 1, LONG), "it answers early");
    connection.send(chunk("\n--b\r\n").as_bytes());
    let response = connection.response();
    assert_eq!(response.status, 400, "{}", response.text());
}

#[test]
fn an_answer_before_its_question_is_none() {
    let heard = Heard::start(&["openai"]);
    heard.replay.answer_early(true);
    for stream in [false, true] {
        let (early, asked) = match stream {
            false => (Script::json(200, "{\"text\":\"early\"}"), ""),
            true => {
                let done = "data: {\"type\":\"transcript.text.done\",\"text\":\"early\"}\n\n";
                (
                    Script::sse(done),
                    "--b\r\nContent-Disposition: form-data; name=\"stream\"\r\n\r\ntrue\r\n",
                )
            }
        };
        heard.replay.push(early);
        let mut connection = Connection::open(heard.leaf.addr);
        let before = format!(
            "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nany\r\n{asked}--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n"
        );
        let head = format!(
            "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: h\r\nauthorization: {BEARER}\r\ncontent-type: multipart/form-data; boundary=b\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
        connection.send(head.as_bytes());
        connection.send(chunk(&before).as_bytes());
        connection.send(chunk(&"x".repeat(600 << 10)).as_bytes());
        // The rest of it never comes.
        let response = connection.response();
        assert_eq!(response.status, 502, "{stream}: {}", response.text());
        assert!(!response.text().contains("early"), "{}", response.text());
    }
}

#[test]
fn an_answer_to_a_form_that_is_whole_is_one_though_its_body_goes_on() {
    // Some services answer at the last boundary, and do not wait for the end of the chunks.
    let service = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = service.local_addr().expect("an address");
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = service.accept().expect("a connection");
        let (mut all, mut piece) = (Vec::new(), [0; 4096]);
        while !all.windows(5).any(|found| found == b"--b--") {
            let read = stream.read(&mut piece).expect("the form");
            assert_ne!(read, 0, "the form ends first");
            all.extend_from_slice(&piece[..read]);
        }
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 16\r\n\r\n{\"text\":\"whole\"}";
        stream.write_all(answer.as_bytes()).expect("it is taken");
        // It stays open until all is over.
        while stream.read(&mut piece).is_ok_and(|read| read > 0) {}
    });
    let leaf = leaf(&[addr]);
    let mut connection = Connection::open(leaf.addr);
    let head = format!(
        "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: h\r\nauthorization: {BEARER}\r\ncontent-type: multipart/form-data; boundary=b\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    connection.send(head.as_bytes());
    for text in [BEFORE, &"x".repeat(600 << 10), AFTER] {
        connection.send(chunk(text).as_bytes());
    }
    let response = connection.response();
    assert_eq!(
        (response.status, &*response.text()),
        (200, "{\"text\":\"whole\"}")
    );
    drop((connection, leaf));
    answering.join().expect("it answers");
}

#[test]
fn a_target_that_takes_all_is_found_for_sound_in_json() {
    let heard = Heard::start(&["gemini", "openai"]);
    let audio = json!({"data": "c291bmQ=", "format": "mp3"});
    let ask = |more: &str| {
        let mut body =
            json!({"model": "any", "input_audio": audio, "provider": {"require_parameters": true}});
        if !more.is_empty() {
            body[more] = json!("x");
        }
        heard
            .replay
            .on(|request| match request.path.contains("generateContent") {
                true => Script::json(200, said("Gemini", &"STOP".into())),
                false => Script::json(200, "{\"text\":\"OpenAI\"}"),
            });
        let body = body.to_string();
        let path = "/v1/audio/transcriptions";
        heard
            .post(path, "application/json", body.as_bytes())
            .0
            .text()
    };
    assert!(ask("").contains("Gemini"));
    assert!(ask("known_to_few").contains("OpenAI"));
    let speech =
        json!({"response_format": "wav", "speed": 2, "provider": {"require_parameters": true}});
    heard.replay.on(|_| Script::body(200, "audio/wav", "sound"));
    let (response, requests) = heard.say("any", &speech);
    assert_eq!(
        (response.status, requests.len()),
        (200, 1),
        "{}",
        response.text()
    );
    assert!(requests[0].path.ends_with("/audio/speech"));
}

#[test]
fn sound_that_nobody_counted_is_told_to_be_uncounted() {
    let heard = Heard::start(&["openai"]);
    heard.replay.push(Script::json(200, "{\"text\":\"heard\"}"));
    assert_eq!(heard.hear("openai/stt", &[]).0.status, 200);
    let record = record(&heard);
    let told = (
        &record["grade"],
        &record["possibly_billed"],
        &record["cost_nano_usd"],
    );
    assert_eq!(
        told,
        (&json!("none"), &json!(true), &Value::Null),
        "{record}"
    );
}

#[test]
fn who_hangs_up_on_a_sound_pays_for_its_text() {
    let prices = "\n[[prices]]\nmodel = \"tts\"\ncharacters = 15\n";
    let heard = Heard::start_with(&["openai"], prices);
    heard
        .replay
        .push(Script::body(200, "audio/mpeg", vec![7u8; 100_000]).stall_at(10_000));
    let mut connection = Connection::open(heard.leaf.addr);
    let body = json!({"model": "openai/tts", "input": "Hello", "voice": "alloy"}).to_string();
    let headers = [
        ("authorization", BEARER),
        ("content-type", "application/json"),
    ];
    connection.send(&request(
        "POST",
        "/v1/audio/speech",
        &headers,
        body.as_bytes(),
    ));
    assert_eq!(connection.read_body(10_000).body.len(), 10_000);
    drop(connection);
    wait(&heard, "\"outcome\":\"cancelled\"");
    let record = record(&heard);
    // Five characters of fifteen dollars a million.
    assert_eq!(record["cost_nano_usd"], 75_000, "{record}");
    assert_eq!(
        (&record["grade"], &record["possibly_billed"]),
        (&json!("estimated"), &json!(true))
    );
}

#[test]
fn who_hangs_up_on_a_transcript_pays_for_what_was_told_by_then() {
    let heard = Heard::start(&["gemini"]);
    let first = format!("data: {}\n\n", said("Well ", &Value::Null));
    let whole = format!("{first}data: {}\n\n", said("said.", &"STOP".into()));
    heard.replay.push(Script::sse(whole).stall_at(first.len()));
    let form = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ngemini/flash\r\n--b\r\nContent-Disposition: form-data; name=\"stream\"\r\n\r\ntrue\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\r\nsound\r\n--b--\r\n";
    let kind = ("content-type", "multipart/form-data; boundary=b");
    let headers = [("authorization", BEARER), kind];
    let mut connection = Connection::open(heard.leaf.addr);
    let path = "/v1/audio/transcriptions";
    connection.send(&request("POST", path, &headers, form.as_bytes()));
    assert_eq!(connection.read_to("Well ").status, 200);
    drop(connection);
    wait(&heard, "\"outcome\":\"cancelled\"");
    let record = record(&heard);
    let told = (&record["grade"], &record["usage"]["input"]);
    assert_eq!(told, (&json!("partial"), &json!(30)), "{record}");
}
