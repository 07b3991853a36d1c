//! Sessions in speech over a model that only chats: one model hears, one chats, one speaks.

use std::time::Duration;

use llmleaf_testkit::binary::Llmleaf;
use llmleaf_testkit::http::{Connection, post};
use llmleaf_testkit::json::{self, Value};
use llmleaf_testkit::replay::{Gate, Replay, Script};
use llmleaf_testkit::websocket::Socket;

use crate::realtime::{KEY, key, next};

const SOON: Duration = Duration::from_secs(20);
const FIRST: &str = "This is the first sentence. ";
const REST: &str = "And this is the second one.";

/// The three providers, each behind its own route, and `talk`, which joins them.
struct Site {
    leaf: Llmleaf,
    hears: Replay,
    chats: Replay,
    says: Replay,
}

impl Site {
    fn start(more: &str) -> Self {
        let [hears, chats, says] = [(); 3].map(|()| Replay::start());
        let provider = |name: &str, kind: &str, replay: &Replay| {
            format!(
                "[[providers]]\nname = \"{name}\"\nkind = \"{kind}\"\nendpoint = \"{}/v1\"\ncredential = \"k\"\n",
                replay.url()
            )
        };
        let route = |model: &str, provider: &str, more: &str| {
            format!(
                "[[routes]]\nmodel = \"{model}\"\ntargets = [{{ provider = \"{provider}\", model = \"{model}-1\" }}]\n{more}"
            )
        };
        let config = [
            "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\nwatch_secs = 0\n".to_owned(),
            provider("hears", "openai", &hears),
            provider("chats", "openai-compatible", &chats),
            provider("says", "openai", &says),
            route("ears", "hears", ""),
            route("mouth", "says", ""),
            route(
                "talk",
                "chats",
                "realtime = { transcription = \"ears\", speech = \"mouth\", voice = \"leaf\" }\n",
            ),
            key(more),
        ];
        let leaf = Llmleaf::with_config(env!("CARGO_BIN_EXE_llmleaf"), &config.concat()).start();
        Self {
            leaf,
            hears,
            chats,
            says,
        }
    }

    fn open(&self) -> Socket {
        let opened = Socket::open(self.leaf.addr, "/v1/realtime?model=talk", &[KEY]);
        let mut socket = opened.map_err(|reply| reply.text()).expect("a session");
        assert_eq!(next(&mut socket).text_at(&["type"]), "session.created");
        socket
    }

    /// Something is said that is to be answered.
    fn speak(&self, socket: &mut Socket) {
        self.hears.push(Script::sse(HEARD));
        for (millis, loud) in [(400, false), (600, true), (700, false)] {
            socket.send(&speech(millis, loud));
        }
    }

    /// A session in which something was said that is to be answered.
    fn spoken(&self) -> Socket {
        let mut socket = self.open();
        self.speak(&mut socket);
        socket
    }

    fn chat(&self, text: &str) -> Script {
        let chunk = |delta: &str, finish: &str, usage: &str| {
            format!(
                "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]{usage}}}\n\n"
            )
        };
        let words = text.split_inclusive(' ');
        let deltas = words.map(|word| chunk(&format!("{{\"content\":\"{word}\"}}"), "null", ""));
        let usage = ",\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":5,\"total_tokens\":14}";
        let end = chunk("{}", "\"stop\"", usage) + "data: [DONE]\n\n";
        Script::sse(deltas.collect::<String>() + &end)
    }

    /// The last usage records, one for each model.
    fn records(&self) -> Vec<Value> {
        let is_end = |line: &str| line.contains("llmleaf::usage") && line.contains("\"provider\"");
        let lines = self.leaf.wait_lines(4, SOON, is_end);
        let lines = lines.expect("they are written");
        lines
            .iter()
            .map(|line| json::parse(line).expect("JSON"))
            .collect()
    }
}

const HEARD: &str = "data: {\"type\":\"transcript.text.delta\",\"delta\":\"good \"}\n\n\
    data: {\"type\":\"transcript.text.delta\",\"delta\":\"morning\"}\n\n\
    data: {\"type\":\"transcript.text.done\",\"text\":\"good morning\",\"usage\":{\"type\":\"tokens\",\"total_tokens\":14,\"input_tokens\":12,\"output_tokens\":2}}\n\n";

/// A piece of speech, or of silence.
fn speech(millis: usize, loud: bool) -> String {
    let samples = (0..millis * 24).map(|at| match (loud, at / 40 % 2) {
        (false, _) => 0_i16,
        (true, 0) => 6000,
        (true, _) => -6000,
    });
    let bytes: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
    format!(
        "{{\"type\":\"input_audio_buffer.append\",\"audio\":\"{}\"}}",
        base64(&bytes)
    )
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    assert_eq!(bytes.len() % 3, 0, "whole groups");
    let groups = bytes.chunks_exact(3).map(|group| {
        group
            .iter()
            .fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte))
    });
    let letters =
        groups.flat_map(|group| [18, 12, 6, 0].map(|at| char::from(LETTERS[group >> at & 63])));
    letters.collect()
}

/// A WAV file of so many milliseconds.
fn file(millis: u32) -> Script {
    let bytes = millis * 48;
    let mut file = Vec::new();
    for part in [
        &b"RIFF"[..],
        &(bytes + 36).to_le_bytes(),
        b"WAVEfmt \x10\0\0\0\x01\0\x01\0",
        &24_000_u32.to_le_bytes(),
        &48_000_u32.to_le_bytes(),
        b"\x02\0\x10\0data",
        &bytes.to_le_bytes(),
    ] {
        file.extend_from_slice(part);
    }
    file.resize(44 + bytes as usize, 7);
    Script::body(200, "audio/wav", file)
}

/// The events up to one of that type.
fn until(socket: &mut Socket, kind: &str) -> Vec<Value> {
    let mut events = Vec::new();
    loop {
        let event = next(socket);
        let told = event.text_at(&["type"]).to_owned();
        assert_ne!(told, "error", "{event:?}");
        events.push(event);
        if told == kind {
            return events;
        }
    }
}

fn asked_and_recorded(site: &Site) {
    // Each was asked what is its own.
    let form = site.hears.requests()[0].text();
    for part in [
        "name=\"model\"\r\n\r\nears-1",
        "name=\"stream\"\r\n\r\ntrue",
        "RIFF",
    ] {
        assert!(form.contains(part), "{part}");
    }
    let asked = site.chats.requests()[0].text();
    assert!(
        asked.contains("good morning") && asked.contains("talk-1"),
        "{asked}"
    );
    let said: Vec<_> = site
        .says
        .requests()
        .iter()
        .map(|request| request.json().expect("JSON"))
        .collect();
    let texts: Vec<_> = said.iter().map(|body| body.text_at(&["input"])).collect();
    assert_eq!(texts, [FIRST.trim(), REST]);
    assert_eq!(
        (said[0].text_at(&["model"]), said[0].text_at(&["voice"])),
        ("mouth-1", "leaf")
    );
    // And each has its record, under the key of the session.
    let records = site.records();
    for (model, count) in [("ears-1", 1), ("talk-1", 1), ("mouth-1", 2)] {
        let of = |record: &&Value| record.text_at(&["upstream_model"]) == model;
        assert_eq!(
            records.iter().filter(of).count(),
            count,
            "{model} in {records:?}"
        );
    }
    assert!(
        records
            .iter()
            .all(|record| record.text_at(&["key"]) == "me")
    );
}

#[test]
fn a_session_hears_and_speaks_before_its_answer_is_whole() {
    let site = Site::start("allowed_models = [\"talk\"]\n");
    let gate = Gate::new();
    let chat = site.chat(&[FIRST, REST].concat());
    let text = String::from_utf8(chat.whole().to_vec()).expect("UTF-8");
    let second = text.find("And ").expect("it is there");
    let second = text[..second].rfind("data: ").expect("an event");
    site.chats.push(chat.hold_at(second, &gate));
    site.says.push(file(500));
    site.says.push(file(300));
    let mut socket = site.spoken();
    let events = until(&mut socket, "response.output_audio.delta");
    assert!(
        gate.wait_reached(SOON),
        "the rest of the text is not there yet"
    );
    let kinds: Vec<_> = events
        .iter()
        .map(|event| event.text_at(&["type"]))
        .collect();
    for kind in [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.committed",
        "response.created",
    ] {
        assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
    }
    gate.release();
    let done = until(&mut socket, "response.done").pop().expect("an end");
    assert_eq!(done.text_at(&["response", "status"]), "completed");
    assert_eq!(
        done.u64_at(&["response", "usage", "output_tokens"]),
        Some(5)
    );
    asked_and_recorded(&site);
    // By themselves the others are not this key's to use.
    let body = r#"{"model":"mouth","input":"a","voice":"b"}"#;
    let headers = [KEY, ("content-type", "application/json")];
    let refused = post(site.leaf.addr, "/v1/audio/speech", &headers, body);
    assert_eq!(refused.status, 403);
}

#[test]
fn a_long_call_behind_a_text_that_is_still_said_waits_for_it() {
    const DELTAS: usize = 3_000;
    let site = Site::start("");
    let text = String::from_utf8(site.chat(FIRST).whole().to_vec()).expect("UTF-8");
    let finish = text.find("\"finish_reason\":\"stop\"").expect("an end");
    let end = text[..finish].rfind("data: ").expect("an event");
    let call = |more: &str, arguments: &str| {
        format!(
            "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{\"index\":0,{more}\"function\":{{{arguments}}}}}]}},\"finish_reason\":null}}]}}\n\n"
        )
    };
    let mut chunks = text[..end].to_owned();
    chunks += &call(
        "\"id\":\"call_1\",\"type\":\"function\",",
        "\"name\":\"f\",\"arguments\":\"\"",
    );
    chunks += &call("", "\"arguments\":\"{\"");
    chunks += &call("", "\"arguments\":\" \"").repeat(DELTAS - 2);
    chunks += &call("", "\"arguments\":\"}\"");
    chunks += &text[end..].replace("\"stop\"", "\"tool_calls\"");
    site.chats.push(Script::sse(chunks));
    let gate = Gate::new();
    site.says.push(file(500).hold_at(10_000, &gate));
    let mut socket = site.spoken();
    until(&mut socket, "response.output_audio.delta");
    assert!(gate.wait_reached(SOON), "half of it is said");
    // What came meanwhile was looked at before these are.
    for _ in 0..4 {
        socket.send(r#"{"type":"conversation.item.retrieve","item_id":"none"}"#);
        while next(&mut socket).text_at(&["type"]) != "error" {}
    }
    gate.release();
    let events = until(&mut socket, "response.done");
    let is_delta =
        |event: &&Value| event.text_at(&["type"]) == "response.function_call_arguments.delta";
    assert_eq!(events.iter().filter(is_delta).count(), DELTAS);
    let done = events.last().expect("an end");
    assert_eq!(done.text_at(&["response", "status"]), "completed");
}

#[test]
fn who_speaks_beside_an_answer_of_its_own_is_answered_behind_it() {
    let site = Site::start("");
    let gate = Gate::new();
    let aside = site.chat(FIRST);
    let half = aside.whole().len() / 2;
    site.chats.push(aside.hold_at(half, &gate));
    site.chats.push(site.chat(REST));
    site.says.push(file(300));
    let mut socket = site.open();
    socket.send(r#"{"type":"response.create","response":{"conversation":"none","output_modalities":["text"],"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"aside"}]}]}}"#);
    until(&mut socket, "response.created");
    assert!(gate.wait_reached(SOON), "it is being made");
    site.speak(&mut socket);
    until(&mut socket, "input_audio_buffer.committed");
    gate.release();
    for text in [FIRST.trim(), REST] {
        let done = until(&mut socket, "response.done").pop().expect("an end");
        assert_eq!(done.text_at(&["response", "status"]), "completed");
        let told = done.to_string();
        assert!(told.contains(text), "{told}");
    }
    // The first one ended as it should, though the second was asked for at that moment.
    let records = site.records();
    let completed = |record: &&Value| record.text_at(&["outcome"]) == "completed";
    assert_eq!(records.iter().filter(completed).count(), 4, "{records:?}");
}

#[test]
fn j5_who_hangs_up_ends_all_three() {
    let site = Site::start("");
    let (chat, sound) = (site.chat(FIRST), file(500));
    let held = chat.whole().len() - 20;
    site.chats.push(chat.stall_at(held));
    site.says.push(sound.stall_at(10_000));
    let mut socket = site.spoken();
    until(&mut socket, "response.output_audio.delta");
    // Somebody is heard at that moment, too.
    site.hears.push(Script::silent());
    socket
        .send(r#"{"type":"session.update","session":{"audio":{"input":{"turn_detection":null}}}}"#);
    socket.send(&speech(300, true));
    socket.send(r#"{"type":"input_audio_buffer.commit"}"#);
    until(&mut socket, "input_audio_buffer.committed");
    assert!(site.hears.wait_requests(2, SOON).is_some());
    drop(socket);
    for replay in [&site.hears, &site.chats, &site.says] {
        assert!(replay.wait_all_closed(Duration::from_secs(2)));
    }
}

#[test]
fn speech_counts_in_the_limits_of_its_key() {
    let site = Site::start("limits = { requests_per_min = 3 }\n");
    // The session itself is one, what was heard another, and its answer the third.
    site.chats.push(site.chat(FIRST));
    let mut socket = site.spoken();
    let done = until(&mut socket, "response.done").pop().expect("an end");
    assert_eq!(done.text_at(&["response", "status"]), "failed");
    let code = done.text_at(&["response", "status_details", "error", "code"]);
    assert_eq!(code, "rate_limit_exceeded");
    assert!(site.says.requests().is_empty());
}

#[test]
fn sound_that_comes_in_chunks_counts_as_what_it_was() {
    let site = Site::start("limits = { tokens_per_min = 6000 }\n");
    site.hears.push(Script::json(200, "{\"text\":\"long\"}"));
    let mut connection = Connection::open(site.leaf.addr);
    let head = format!(
        "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: h\r\nauthorization: {}\r\ncontent-type: multipart/form-data; boundary=b\r\ntransfer-encoding: chunked\r\n\r\n",
        KEY.1
    );
    let part = "--b\r\nContent-Disposition: form-data; name=";
    let before = format!("{part}\"model\"\r\n\r\nears\r\n{part}\"file\"; filename=\"a\"\r\n\r\n");
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    connection.send(head.as_bytes());
    connection.send(chunk(&before).as_bytes());
    for _ in 0..6 {
        connection.send(chunk(&"x".repeat(1 << 20)).as_bytes());
    }
    connection.send((chunk("\r\n--b--\r\n") + "0\r\n\r\n").as_bytes());
    let response = connection.response();
    assert_eq!(response.status, 200, "{}", response.text());
    // Six mebibytes are thought to be as many tokens as its key has in a minute.
    let headers = [KEY, ("content-type", "application/json")];
    let body = r#"{"model":"mouth","input":"a","voice":"b"}"#;
    let refused = post(site.leaf.addr, "/v1/audio/speech", &headers, body);
    assert_eq!(refused.status, 429, "{}", refused.text());
}
