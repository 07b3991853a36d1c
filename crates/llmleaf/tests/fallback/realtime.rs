//! Sessions of speech and text, over a provider that holds them and over one that only chats.

use std::time::{Duration, Instant};

use llmleaf_testkit::binary::{Llmleaf, played};
use llmleaf_testkit::json::{self, Value};
use llmleaf_testkit::queued::Thread;
use llmleaf_testkit::sessions::{Answer, Session, Sessions};
use llmleaf_testkit::websocket::{Message, Socket, written};

pub const KEY: (&str, &str) = ("authorization", "Bearer bWU6czNjcmV0");
/// The same key, in the letters that a sub-protocol may have.
const PROTOCOLS: &str = "realtime, openai-insecure-api-key.bWU6czNjcmV0";
const SOON: Duration = Duration::from_secs(20);
pub const CREATED: &str = r#"{"type":"session.created","event_id":"e1","session":{"type":"realtime","object":"realtime.session","id":"sess_1","model":"gpt-realtime"}}"#;

pub struct Site {
    pub leaf: Llmleaf,
    pub vendor: Sessions,
    other: Sessions,
}

/// Two providers with sessions behind `voice`, the first of them alone behind `gpt-realtime`, and one that only chats.
pub fn site_with(key: &str) -> Site {
    let (vendor, other) = (Sessions::start(), Sessions::start());
    let config = config(&vendor, &other, key);
    let leaf = Llmleaf::with_config(played(env!("CARGO_BIN_EXE_llmleaf")), &config).start();
    Site {
        leaf,
        vendor,
        other,
    }
}

fn config(vendor: &Sessions, other: &Sessions, key: &str) -> String {
    let providers = [("vendor", vendor), ("other", other)].map(|(name, sessions)| {
        format!(
            "[[providers]]\nname = \"{name}\"\nkind = \"openai\"\nendpoint = \"{}\"\ncredential = \"CANARY-{name}-credential\"\n\n",
            sessions.url()
        )
    });
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\nwatch_secs = 0\nrealtime_origins = [\"https://app.example\"]\n\n{}\
         [[providers]]\nname = \"plain\"\nkind = \"echo\"\n\n\
         [[routes]]\nmodel = \"gpt-realtime\"\ntargets = [{{ provider = \"vendor\", model = \"gpt-realtime-1\" }}]\n\n\
         [[routes]]\nmodel = \"voice\"\ntargets = [{{ provider = \"vendor\", model = \"gpt-realtime-1\" }}, {{ provider = \"other\", model = \"gpt-realtime-2\" }}]\n\n\
         [[routes]]\nmodel = \"spare\"\ntargets = [{{ provider = \"vendor\", model = \"gpt-realtime-1\" }}, {{ provider = \"plain\", model = \"e\" }}]\n\n\
         [[routes]]\nmodel = \"chat\"\ntargets = [{{ provider = \"plain\", model = \"e\" }}]\n\n\
         [[routes]]\nmodel = \"whisper-1\"\ntargets = [{{ provider = \"vendor\", model = \"whisper-1\" }}]\n\n{key}",
        providers.concat(),
    )
}

pub const HASH: &str =
    "pw_hash = \"$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO\"\n";

pub fn key(more: &str) -> String {
    format!("[[keys]]\nid = \"me\"\n{HASH}{more}")
}

pub fn site() -> Site {
    site_with(&key(""))
}

impl Site {
    pub fn open(&self, model: &str) -> Socket {
        let path = format!("/v1/realtime?model={model}");
        let opened = Socket::open(self.leaf.addr, &path, &[KEY]);
        opened.map_err(|reply| reply.text()).expect("a session")
    }

    /// A session at both of its ends, behind its first event.
    pub fn pair(&self) -> (Socket, Session) {
        std::thread::scope(|scope| {
            let provider = scope.spawn(|| {
                let mut session = self.vendor.next();
                session.send(CREATED);
                session
            });
            let mut consumer = self.open("gpt-realtime");
            assert_eq!(consumer.text(), CREATED);
            (consumer, provider.join().expect("a session"))
        })
    }

    /// The usage records that name this, once there are so many.
    fn records(&self, count: usize, part: &str) -> Vec<Value> {
        let is_usage = |line: &str| line.contains("llmleaf::usage") && line.contains(part);
        let lines = self.leaf.wait_lines(count, SOON, is_usage);
        let lines = lines.expect("they are written");
        lines
            .iter()
            .map(|line| json::parse(line).expect("JSON"))
            .collect()
    }
}

pub fn next(socket: &mut Socket) -> Value {
    json::parse(&socket.text()).expect("an event is JSON")
}

/// The code that the consumer's end is closed with, whatever is said before; and the last event's error.
pub fn ending(socket: &mut Socket) -> (u16, String) {
    let mut last = String::new();
    loop {
        match socket.message() {
            Message::Text(text) => {
                let event = json::parse(&text).expect("JSON");
                last = event.text_at(&["error", "code"]).to_owned();
            }
            Message::Close(code, _) => return (code, last),
            Message::Control(..) => {}
            Message::End => return (0, last),
        }
    }
}

#[test]
fn a_session_goes_through_and_is_counted() {
    let site = site();
    let (mut consumer, mut provider) = site.pair();
    assert_eq!(provider.path(), "/v1/realtime?model=gpt-realtime-1");
    assert_eq!(
        provider.header("authorization").as_deref(),
        Some("Bearer CANARY-vendor-credential")
    );
    assert_eq!(provider.header("openai-beta"), None);
    assert_eq!(provider.header("sec-websocket-protocol"), None);
    // Both ways, byte for byte, in texts of every length of the frame.
    for length in [1, 125, 126, 65_535, 65_536, 300_000] {
        let padding = "x".repeat(length);
        let event =
            format!(r#"{{"type":"input_audio_buffer.append","n":1.50,"audio":"{padding}"}}"#);
        consumer.send(&event);
        assert!(provider.text() == event, "{length}");
        let event = format!(
            r#"{{"type":"response.output_audio.delta","response_id":"r0","n":1e2,"delta":"{padding}"}}"#
        );
        provider.send(&event);
        assert!(consumer.text() == event, "{length}");
    }
    // The model's name is the provider's, where it is said.
    consumer.send(
        r#"{"type":"session.update","session":{"type":"realtime","model":"gpt-realtime","x":1}}"#,
    );
    assert_eq!(
        provider.text(),
        r#"{"type":"session.update","session":{"type":"realtime","model":"gpt-realtime-1","x":1}}"#
    );
    // Each answer has its record, and so has what was written down.
    for (id, tokens) in [("resp_1", 5), ("resp_2", 7)] {
        provider.send(&format!(r#"{{"type":"response.done","response":{{"id":"{id}","status":"completed","usage":{{"total_tokens":{},"input_tokens":{tokens},"output_tokens":1}}}}}}"#, tokens + 1));
        assert!(consumer.text().contains(id));
    }
    provider.send(r#"{"type":"conversation.item.input_audio_transcription.completed","item_id":"item_1","usage":{"type":"duration","seconds":1.5}}"#);
    consumer.text();
    // So much was never said.
    provider.send(r#"{"type":"conversation.item.input_audio_transcription.completed","item_id":"item_2","usage":{"type":"duration","seconds":1e9}}"#);
    consumer.text();
    // One that is never done is counted by what was seen.
    provider
        .send(r#"{"type":"response.output_text.delta","response_id":"resp_3","delta":"12345678"}"#);
    consumer.text();
    consumer.frame(8, &1000_u16.to_be_bytes());
    assert_eq!(provider.message(), Message::Close(1000, String::new()));
    let records = site.records(7, "gpt-realtime-1");
    let of = |part: &str| {
        let found = records
            .iter()
            .find(|record| record.text_at(&["id"]).ends_with(part));
        found.unwrap_or_else(|| panic!("{part} in {records:?}"))
    };
    assert_eq!(of(".resp_1").u64_at(&["input"]), Some(5));
    assert_eq!(of(".resp_2").u64_at(&["input"]), Some(7));
    assert_eq!(of(".resp_2").text_at(&["grade"]), "reported");
    assert_eq!(of(".transcript.item_1").text_at(&["grade"]), "reported");
    assert_eq!(of(".transcript.item_2").text_at(&["grade"]), "estimated");
    assert_eq!(of(".resp_3").text_at(&["grade"]), "estimated");
    assert_eq!(of(".resp_3").u64_at(&["output"]), Some(2));
    let session = of("-1");
    assert_eq!(session.text_at(&["outcome"]), "completed");
    assert_eq!(session.u64_at(&["input"]), Some(0));
    assert!(
        records
            .iter()
            .all(|record| record.text_at(&["key"]) == "me")
    );
}

#[test]
fn j1_what_may_not_be_is_refused_before_the_connection_is_switched() {
    let site = site_with(&key("allowed_models = [\"gpt-*\", \"chat\"]\n"));
    let query = "/v1/realtime?model=gpt-realtime";
    for (path, headers, status) in [
        (query, &[][..], 401),
        (query, &[("authorization", "Bearer bWU6d3Jvbmc=")], 401),
        (
            query,
            &[(
                "sec-websocket-protocol",
                "realtime, openai-insecure-api-key.bWU6d3Jvbmc",
            )],
            401,
        ),
        (
            "/v1/realtime?model=gpt-realtime&api_key=bWU6czNjcmV0",
            &[],
            401,
        ),
        (
            "/v1/realtime?model=gpt-realtime&api_key=CANARY-in-query",
            &[KEY],
            401,
        ),
        ("/v1/realtime?model=voice", &[KEY], 403),
        ("/v1/realtime?model=gpt-none", &[KEY], 404),
        ("/v1/realtime", &[KEY], 400),
        (query, &[KEY, ("origin", "https://evil.example")], 403),
        (
            query,
            &[
                ("sec-websocket-protocol", PROTOCOLS),
                ("origin", "https://evil.example"),
            ],
            403,
        ),
    ] {
        let refused = Socket::open(site.leaf.addr, path, headers)
            .err()
            .expect("no session");
        assert_eq!(
            refused.status,
            status,
            "{path} {headers:?} {}",
            refused.text()
        );
        assert!(!refused.text().contains("CANARY"));
    }
    let plain = llmleaf_testkit::http::get(site.leaf.addr, query, &[KEY]);
    assert_eq!(plain.status, 426, "{}", plain.text());
    assert!(site.vendor.is_idle(), "nobody was asked");
    let log = site.leaf.log().concat();
    assert!(
        !log.contains("bWU6") && !log.contains("CANARY-in-query"),
        "no key is logged"
    );
}

#[test]
fn j1_a_browser_shows_its_key_as_a_sub_protocol() {
    let site = site();
    let provider = std::thread::scope(|scope| {
        let provider = scope.spawn(|| {
            let mut session = site.vendor.next();
            session.send(CREATED);
            session
        });
        let beta = format!("{PROTOCOLS}, openai-beta.realtime-v1");
        let headers = [
            ("sec-websocket-protocol", &*beta),
            ("origin", "https://app.example"),
            ("cookie", "CANARY-cookie"),
        ];
        let opened = Socket::open(
            site.leaf.addr,
            "/openai/v1/realtime?model=gpt-realtime",
            &headers,
        );
        let mut consumer = opened.map_err(|reply| reply.text()).expect("a session");
        assert_eq!(consumer.text(), CREATED);
        provider.join().expect("a session")
    });
    assert_eq!(
        provider.header("openai-beta").as_deref(),
        Some("realtime=v1")
    );
    for absent in ["bWU6", "app.example", "CANARY-cookie", "insecure"] {
        assert!(!provider.request.contains(absent), "{}", provider.request);
    }
}

#[test]
fn j3_a_provider_that_refuses_is_an_answer_or_the_next_one_is_asked() {
    let site = site();
    let reply = |status: &str, body: &str| {
        Answer::Bytes(format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes())
    };
    let own = r#"{"error":{"message":"no","type":"invalid_request_error","code":"bad_thing","param":null}}"#;
    for (answer, status, part) in [
        (reply("400 Bad Request", own), 400, "bad_thing"),
        (reply("500 Oops", "{}"), 502, "error"),
        (reply("200 OK", "{}"), 502, "error"),
        (Answer::AgreeWrongly, 502, "error"),
        (Answer::Bytes(b"nonsense".to_vec()), 502, "error"),
        (Answer::Bytes(Vec::new()), 502, "error"),
    ] {
        // Another site each time: what one learns of its provider is no matter of the next.
        let site = site_with(&key(""));
        (0..8).for_each(|_| site.vendor.push(answer.clone()));
        let refused = Socket::open(site.leaf.addr, "/v1/realtime?model=gpt-realtime", &[KEY]);
        let refused = refused.err().expect("no session");
        assert_eq!(refused.status, status, "{answer:?} {}", refused.text());
        assert!(refused.text().contains(part), "{}", refused.text());
        assert!(!refused.text().contains("CANARY"));
    }
    // The next one is asked, also where the first agrees and then says an error in place of its first event.
    site.vendor.push(reply("500 Oops", "{}"));
    for says in [
        None,
        Some(
            r#"{"type":"error","error":{"type":"server_error","message":"CANARY-vendor-credential"}}"#,
        ),
    ] {
        std::thread::scope(|scope| {
            if let Some(says) = says {
                let site = &site;
                scope.spawn(move || {
                    let mut first = site.vendor.next();
                    first.send(says);
                    while first.message() != Message::End {}
                });
            }
            let other = scope.spawn(|| {
                let mut session = site.other.next();
                session.send(CREATED);
                session
            });
            let mut consumer = site.open("voice");
            assert_eq!(consumer.text(), CREATED);
            let other = other.join().expect("a session");
            assert_eq!(other.path(), "/v1/realtime?model=gpt-realtime-2");
        });
    }
}

#[test]
fn another_model_is_refused_and_never_told_to_the_provider() {
    let site = site_with(&key(
        "allowed_models = [\"gpt-realtime\", \"gpt-realtime-other\", \"allowed-writer\"]\n",
    ));
    let (mut consumer, mut provider) = site.pair();
    for (event, code) in [
        (
            r#"{"type":"session.update","event_id":"mine","session":{"model":"o1-pro"}}"#,
            "permission_denied",
        ),
        (
            r#"{"type":"session.update","event_id":"mine","session":{"model":"gpt-realtime-other"}}"#,
            "model_fixed",
        ),
        (
            r#"{"type":"session.update","event_id":"mine","session":{"audio":{"input":{"transcription":{"model":"whisper-1"}}}}}"#,
            "permission_denied",
        ),
        (
            r#"{"type":"session.update","event_id":"mine","session":{"input_audio_transcription":{"model":"whisper-1"}}}"#,
            "permission_denied",
        ),
        (
            r#"{"type":"response.create","event_id":"mine","response":{"model":"o1-pro"}}"#,
            "permission_denied",
        ),
        (
            r#"{"type":"session.update","session":{"model":"gpt-realtime"},"session":{"model":"o1-pro"}}"#,
            "invalid_event",
        ),
        (
            r#"{"type":"session.update","session":{"model":"gpt-realtime","\u006dodel":"o1-pro"}}"#,
            "invalid_event",
        ),
        ("no JSON", "invalid_event"),
    ] {
        consumer.send(event);
        let error = next(&mut consumer);
        assert_eq!(error.text_at(&["type"]), "error", "{event}");
        assert_eq!(error.text_at(&["error", "code"]), code, "{event}");
        if event.contains("mine") {
            assert_eq!(error.text_at(&["error", "event_id"]), "mine");
        }
    }
    let allowed = r#"{"type":"session.update","session":{"audio":{"input":{"transcription":{"model":"allowed-writer"}}}}}"#;
    consumer.send(allowed);
    assert_eq!(provider.text(), allowed, "nothing came before it");
}

#[test]
fn j7_j8_whoever_goes_takes_the_other_along() {
    let site = site();
    // What the program and the provider, which is this thread, stand by for a processor is none of their time.
    let queued = || site.leaf.queued() + Thread::own().queued();
    // The consumer goes without a word: the provider's own clock says how soon it hears of it.
    for _ in 0..3 {
        let (consumer, mut provider) = site.pair();
        let (before, gone) = (queued(), Instant::now());
        consumer.reset();
        while provider.message() != Message::End {}
        let took = gone.elapsed();
        let own = took.saturating_sub(queued().saturating_sub(before));
        assert!(own < Duration::from_millis(100), "{own:?} of {took:?}");
    }
    // It says good-bye, and the provider does not answer that.
    let (mut consumer, mut provider) = site.pair();
    let (before, gone) = (queued(), Instant::now());
    consumer.frame(8, &1001_u16.to_be_bytes());
    assert_eq!(provider.message(), Message::Close(1001, String::new()));
    assert_eq!(provider.message(), Message::End);
    let took = gone.elapsed();
    let own = took.saturating_sub(queued().saturating_sub(before));
    assert!(own < Duration::from_millis(150), "{own:?} of {took:?}");
    assert_eq!(consumer.message(), Message::Close(1001, String::new()));
    // The provider goes: with a word, and without.
    for (code, told) in [
        (1000, 1000),
        (1001, 1001),
        (1011, 1011),
        (1013, 1013),
        (4001, 4001),
        (1008, 1011),
        (1002, 1011),
    ] {
        let (mut consumer, mut provider) = site.pair();
        provider.close(code, "CANARY-vendor-credential");
        match consumer.message() {
            Message::Close(code, why) => {
                assert_eq!(code, told);
                assert!(!why.contains("CANARY"));
            }
            other => panic!("{other:?}"),
        }
    }
    let (mut consumer, mut provider) = site.pair();
    provider
        .send(r#"{"type":"response.output_text.delta","response_id":"resp_cut","delta":"1234"}"#);
    consumer.text();
    provider.cut();
    let (code, error) = ending(&mut consumer);
    assert_eq!((code, &*error), (1011, "upstream_truncated"));
    let records = site.records(1, "resp_cut");
    assert_eq!(records[0].u64_at(&["output"]), Some(1));
}

#[test]
fn j9_a_key_that_is_taken_away_ends_its_sessions() {
    let site = site();
    let (mut consumer, mut provider) = site.pair();
    let mut bridged = site.open("chat");
    assert_eq!(next(&mut bridged).text_at(&["type"]), "session.created");
    let without = config(
        &site.vendor,
        &site.other,
        &format!("[[keys]]\nid = \"you\"\n{HASH}"),
    );
    site.leaf.write_config(&without);
    let taken = Instant::now();
    site.leaf.signal("HUP");
    assert_eq!(ending(&mut consumer).0, 1008);
    assert_eq!(ending(&mut bridged).0, 1008);
    assert!(
        taken.elapsed() < Duration::from_secs(5),
        "{:?}",
        taken.elapsed()
    );
    assert_eq!(provider.message(), Message::Close(1001, String::new()));
}

#[test]
fn j10_the_end_of_the_time_to_finish_is_told() {
    let (vendor, other) = (Sessions::start(), Sessions::start());
    let config = config(&vendor, &other, &key(""))
        .replace("watch_secs = 0", "watch_secs = 0\ndrain_secs = 1");
    let leaf = Llmleaf::with_config(played(env!("CARGO_BIN_EXE_llmleaf")), &config).start();
    let mut site = Site {
        leaf,
        vendor,
        other,
    };
    let (mut consumer, mut provider) = site.pair();
    let mut bridged = site.open("chat");
    site.leaf.signal("TERM");
    assert_eq!(ending(&mut consumer).0, 1001);
    assert_eq!(ending(&mut bridged).0, 1001);
    assert_eq!(provider.message(), Message::Close(1001, String::new()));
    drop((consumer, bridged));
    assert!(site.leaf.wait_exit(SOON).is_some());
}

#[test]
fn j6_a_slow_end_holds_the_other_back_and_costs_little() {
    let site = site();
    let (mut consumer, mut provider) = site.pair();
    let before = site.leaf.resident_kib().expect("it runs");
    // 64 MiB for a consumer that reads nothing: the provider cannot get rid of them.
    let event = format!(
        r#"{{"type":"response.output_audio.delta","response_id":"r","delta":"{}"}}"#,
        "A".repeat(32_000)
    );
    let frame = written(0x81, event.as_bytes(), None);
    let writes = std::thread::spawn(move || {
        for _ in 0..2_000 {
            provider.raw(&frame);
        }
        provider
    });
    // It still answers whoever asks whether it is there, and hears what the consumer says.
    let mut fast = site.open("chat");
    assert_eq!(next(&mut fast).text_at(&["type"]), "session.created");
    let grown = site
        .leaf
        .resident_kib()
        .expect("it runs")
        .saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB");
    assert!(!writes.is_finished(), "somebody holds all of it");
    // Whatever was held back comes, in order and whole.
    for _ in 0..2_000 {
        assert!(consumer.text() == event);
    }
    drop(writes.join().expect("it is written"));
}

#[test]
fn a_session_over_a_chat_model_is_held_here() {
    let site = site();
    for (model, older) in [("chat", false), ("chat", true), ("spare", false)] {
        if model == "spare" {
            (0..8).for_each(|_| site.vendor.push(Answer::Bytes(Vec::new())));
        }
        let headers = [
            KEY,
            ("openai-beta", if older { "realtime=v1" } else { "none" }),
        ];
        let path = format!("/v1/realtime?model={model}");
        let opened = Socket::open(site.leaf.addr, &path, &headers);
        let mut socket = opened.map_err(|reply| reply.text()).expect("a session");
        let created = next(&mut socket);
        assert_eq!(created.text_at(&["type"]), "session.created");
        assert_eq!(created.text_at(&["session", "model"]), model);
        socket.send(r#"{"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text","text":"say this back"}]}}"#);
        socket.send(r#"{"type":"response.create"}"#);
        let (mut text, delta) = (
            String::new(),
            if older {
                "response.text.delta"
            } else {
                "response.output_text.delta"
            },
        );
        let done = loop {
            let event = next(&mut socket);
            match event.text_at(&["type"]) {
                kind if kind == delta => text.push_str(event.text_at(&["delta"])),
                "response.done" => break event,
                "error" => panic!("{event:?}"),
                _ => {}
            }
        };
        assert_eq!(text, "say this back");
        assert_eq!(done.text_at(&["response", "status"]), "completed");
        assert!(
            done.u64_at(&["response", "usage", "output_tokens"])
                .is_some_and(|n| n > 0)
        );
        socket.send(r#"{"type":"input_audio_buffer.append","audio":"AAAA"}"#);
        let error = next(&mut socket);
        assert_eq!(error.text_at(&["error", "code"]), "unsupported_modality");
        socket.frame(8, &1000_u16.to_be_bytes());
        assert_eq!(ending(&mut socket).0, 1000);
    }
    let records = site.records(3, "\"provider\":\"plain\"");
    assert!(
        records
            .iter()
            .all(|record| record.text_at(&["grade"]) == "reported")
    );
}

#[test]
fn a_transcription_is_asked_for_without_a_model() {
    let site = site();
    std::thread::scope(|scope| {
        let provider = scope.spawn(|| {
            let mut session = site.vendor.next();
            session.send(CREATED);
            let update = session.text();
            (session, update)
        });
        let path = "/v1/realtime?intent=transcription&model=gpt-realtime";
        let opened = Socket::open(site.leaf.addr, path, &[KEY]);
        let mut consumer = opened.map_err(|reply| reply.text()).expect("a session");
        consumer.text();
        consumer.send(r#"{"type":"session.update","session":{"type":"transcription","audio":{"input":{"transcription":{"model":"gpt-realtime"}}}}}"#);
        let (session, update) = provider.join().expect("a session");
        assert_eq!(session.path(), "/v1/realtime?intent=transcription");
        assert!(update.contains(r#""model":"gpt-realtime-1""#), "{update}");
    });
    let refused = Socket::open(
        site.leaf.addr,
        "/v1/realtime?intent=transcription&model=chat",
        &[KEY],
    );
    assert_eq!(refused.err().map(|reply| reply.status), Some(400));
}
