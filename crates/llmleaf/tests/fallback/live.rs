//! Sessions over another wire than their consumer's, with secrets in place of keys, and in great number.

use llmleaf_testkit::binary::{Llmleaf, played};
use llmleaf_testkit::http;
use llmleaf_testkit::json;
use llmleaf_testkit::sessions::{Session, Sessions};
use llmleaf_testkit::websocket::{Message, Socket, written};

use crate::realtime::{CREATED, HASH, KEY, Site, ending, key, next, site, site_with};

/// A provider of the other wire, and what it hears.
fn google() -> (Llmleaf, Sessions) {
    let vendor = Sessions::start();
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\n\n[[providers]]\nname = \"google\"\nkind = \"gemini\"\nendpoint = \"http://{}/v1beta\"\ncredential = \"CANARY-google-credential\"\nprefix = \"google\"\n\n[[keys]]\nid = \"me\"\n{HASH}",
        vendor.addr
    );
    let leaf = Llmleaf::with_config(played(env!("CARGO_BIN_EXE_llmleaf")), &config).start();
    (leaf, vendor)
}

/// Says something in a binary message, as that provider does.
fn says(provider: &mut Session, text: &str) {
    provider.raw(&written(0x82, text.as_bytes(), None));
}

#[test]
fn a_session_over_the_live_wire_is_one_of_events() {
    let (leaf, vendor) = google();
    let path = "/v1/realtime?model=google/gemini-live-2.5";
    let opened = Socket::open(leaf.addr, path, &[KEY]);
    let mut consumer = opened.map_err(|reply| reply.text()).expect("a session");
    let mut provider = vendor.next();
    assert_eq!(
        provider.path(),
        "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
    );
    assert_eq!(
        provider.header("x-goog-api-key").as_deref(),
        Some("CANARY-google-credential")
    );
    let created = next(&mut consumer);
    assert_eq!(created.text_at(&["type"]), "session.created");
    assert_eq!(
        created.text_at(&["session", "model"]),
        "google/gemini-live-2.5"
    );
    consumer.send(
        r#"{"type":"session.update","session":{"type":"realtime","output_modalities":["text"]}}"#,
    );
    let setup = json::parse(&provider.text()).expect("JSON");
    assert_eq!(setup.text_at(&["setup", "model"]), "models/gemini-live-2.5");
    assert_eq!(next(&mut consumer).text_at(&["type"]), "session.updated");
    says(&mut provider, r#"{"setupComplete":{}}"#);
    consumer.send(r#"{"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}}"#);
    consumer.send(r#"{"type":"response.create"}"#);
    assert!(provider.text().starts_with(r#"{"clientContent""#));
    says(
        &mut provider,
        r#"{"serverContent":{"modelTurn":{"parts":[{"text":"Hello"}]}}}"#,
    );
    says(
        &mut provider,
        r#"{"serverContent":{"turnComplete":true},"usageMetadata":{"promptTokenCount":3,"responseTokenCount":2,"totalTokenCount":5}}"#,
    );
    let mut text = String::new();
    let done = loop {
        let event = next(&mut consumer);
        match event.text_at(&["type"]) {
            "response.output_text.delta" => text.push_str(event.text_at(&["delta"])),
            "response.done" => break event,
            "error" => panic!("{event:?}"),
            _ => {}
        }
    };
    assert_eq!(text, "Hello");
    assert_eq!(done.u64_at(&["response", "usage", "total_tokens"]), Some(5));
    consumer.frame(8, &1000_u16.to_be_bytes());
    assert_eq!(provider.message(), Message::Close(1000, String::new()));
    let is_usage = |line: &str| line.contains("llmleaf::usage") && line.contains("\"input\":3");
    let soon = std::time::Duration::from_secs(20);
    assert!(leaf.wait_lines(1, soon, is_usage).is_some());
}

/// The secret of an answer.
fn value(reply: &http::Response) -> String {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let reply = json::parse(&reply.text()).expect("JSON");
    let nested = reply.text_at(&["client_secret", "value"]);
    let plain = reply.text_at(&["value"]);
    [nested, plain].concat()
}

/// A site whose key may use two models.
fn narrow() -> Site {
    site_with(&key("allowed_models = [\"gpt-realtime\", \"chat\"]\n"))
}

#[test]
fn j2_a_secret_is_for_what_its_key_may_use() {
    let site = narrow();
    let ask = |path: &str, body: &str| http::post(site.leaf.addr, path, &[KEY], body);
    for (body, status) in [
        (r#"{"session":{"type":"realtime","model":"voice"}}"#, 403),
        (
            r#"{"session":{"type":"realtime","model":"gpt-realtime","audio":{"input":{"transcription":{"model":"whisper-1"}}}}}"#,
            403,
        ),
        (r#"{"session":{"type":"realtime"}}"#, 400),
        (
            r#"{"session":{"model":"gpt-realtime"},"expires_after":{"seconds":9}}"#,
            400,
        ),
        (
            r#"{"session":{"model":"gpt-realtime"},"expires_after":{"seconds":7201}}"#,
            400,
        ),
        (r"{}", 400),
        ("[", 400),
    ] {
        let reply = ask("/v1/realtime/client_secrets", body);
        assert_eq!(reply.status, status, "{body} {}", reply.text());
    }
}

#[test]
fn j2_a_secret_opens_sessions_of_its_model_from_any_site_and_nothing_else() {
    let site = narrow();
    let ask = |path: &str, body: &str| http::post(site.leaf.addr, path, &[KEY], body);
    let session = r#"{"type":"realtime","model":"gpt-realtime","instructions":"be brief"}"#;
    let new = ask(
        "/v1/realtime/client_secrets",
        &format!("{{\"session\":{session}}}"),
    );
    let old = ask("/v1/realtime/sessions", session);
    for secret in [value(&new), value(&old)] {
        assert!(secret.starts_with("ek_"));
        let protocols = format!("realtime, openai-insecure-api-key.{secret}");
        let bearer = format!("Bearer {secret}");
        for header in [
            ("sec-websocket-protocol", &*protocols),
            ("authorization", &*bearer),
        ] {
            let headers = [header, ("origin", "https://anywhere.example")];
            let (mut consumer, mut provider) = std::thread::scope(|scope| {
                let provider = scope.spawn(|| {
                    let mut session = site.vendor.next();
                    session.send(CREATED);
                    session
                });
                let opened = Socket::open(site.leaf.addr, "/v1/realtime", &headers);
                let consumer = opened.map_err(|reply| reply.text()).expect("a session");
                (consumer, provider.join().expect("a session"))
            });
            assert_eq!(consumer.text(), CREATED);
            let update = json::parse(&provider.text()).expect("JSON");
            assert_eq!(update.text_at(&["session", "instructions"]), "be brief");
            assert_eq!(update.text_at(&["session", "model"]), "");
            // What its key may, it may not: it names its models.
            consumer.send(r#"{"type":"session.update","session":{"model":"chat"}}"#);
            let refused = next(&mut consumer);
            assert_eq!(refused.text_at(&["error", "code"]), "permission_denied");
            consumer.frame(8, &1000_u16.to_be_bytes());
            assert_eq!(ending(&mut consumer).0, 1000);
        }
        let other = Socket::open(
            site.leaf.addr,
            "/v1/realtime?model=chat",
            &[("authorization", &bearer)],
        );
        assert_eq!(other.err().map(|reply| reply.status), Some(403));
        for (path, method) in [
            ("/v1/models", "GET"),
            ("/v1/realtime/client_secrets", "POST"),
            ("/v1/chat/completions", "POST"),
        ] {
            let headers = [("authorization", &*bearer)];
            let reply = match method {
                "GET" => http::get(site.leaf.addr, path, &headers),
                _ => http::post(site.leaf.addr, path, &headers, "{}"),
            };
            assert_eq!(reply.status, 401, "{path}");
        }
    }
}

#[test]
fn j2_a_secret_opens_sessions_that_are_held_here_and_a_made_up_one_none() {
    let site = narrow();
    let held = http::post(
        site.leaf.addr,
        "/v1/realtime/client_secrets",
        &[KEY],
        r#"{"session":{"model":"chat","instructions":"be brief"}}"#,
    );
    let bearer = format!("Bearer {}", value(&held));
    let opened = Socket::open(
        site.leaf.addr,
        "/v1/realtime?model=chat",
        &[("authorization", &bearer)],
    );
    let mut consumer = opened.map_err(|reply| reply.text()).expect("a session");
    assert_eq!(next(&mut consumer).text_at(&["type"]), "session.created");
    assert_eq!(
        next(&mut consumer).text_at(&["session", "instructions"]),
        "be brief"
    );
    for made_up in ["Bearer ek_", "Bearer ek_AAAA"] {
        let refused = Socket::open(
            site.leaf.addr,
            "/v1/realtime",
            &[("authorization", made_up)],
        );
        assert_eq!(refused.err().map(|reply| reply.status), Some(401));
    }
}

/// How many sessions are held at once; a thousand with `LLMLEAF_SESSIONS=1000`.
#[expect(
    clippy::disallowed_methods,
    reason = "how much a test does is asked of it from outside"
)]
fn asked_for() -> u64 {
    let text = std::env::var("LLMLEAF_SESSIONS");
    text.map_or(20, |text| text.parse().expect("a number"))
}

#[test]
fn j6_many_sessions_cost_little_each() {
    let (site, count) = (site(), asked_for());
    let mut held = vec![site.pair()];
    let before = site.leaf.resident_kib().expect("it runs");
    held.extend((1..count).map(|_| site.pair()));
    let event = format!(
        r#"{{"type":"response.output_audio.delta","response_id":"r","delta":"{}"}}"#,
        "A".repeat(8_000)
    );
    for (consumer, provider) in &mut held {
        provider.send(&event);
        assert!(consumer.text() == event);
    }
    let grown = site
        .leaf
        .resident_kib()
        .expect("it runs")
        .saturating_sub(before);
    let each = grown / count;
    println!("{count} sessions: {each} KiB each");
    assert!(each < 128, "{each} KiB each");
    // Those that are held here have one connection each.
    let before = site.leaf.resident_kib().expect("it runs");
    let mut here: Vec<_> = (0..count).map(|_| site.open("chat")).collect();
    let item = r#"{"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text","text":"hello"}]}}"#;
    for consumer in &mut here {
        assert_eq!(next(consumer).text_at(&["type"]), "session.created");
        consumer.send(item);
        assert!(
            next(consumer)
                .text_at(&["type"])
                .starts_with("conversation.item")
        );
    }
    let now = site.leaf.resident_kib().expect("it runs");
    let each = now.saturating_sub(before) / count;
    println!("{count} sessions held here: {each} KiB each");
    assert!(each < 128, "{each} KiB each");
}

/// An answer that used so much.
fn done(id: &str, tokens: u64) -> String {
    format!(
        r#"{{"type":"response.done","response":{{"id":"{id}","status":"completed","usage":{{"total_tokens":{tokens},"input_tokens":{tokens},"output_tokens":0}}}}}}"#
    )
}

#[test]
fn speech_is_not_taken_from_a_key_that_is_at_its_limit_of_tokens() {
    let site = site_with(&key("limits = { tokens_per_min = 1000 }\n"));
    let (mut consumer, mut provider) = site.pair();
    let speech = r#"{"type":"input_audio_buffer.append","event_id":"mine","audio":"AAAA"}"#;
    let commit = r#"{"type":"input_audio_buffer.commit"}"#;
    consumer.send(speech);
    assert_eq!(provider.text(), speech);
    // The provider answers speech when that ends, without being asked to.
    provider.send(&done("resp_1", 4000));
    assert!(consumer.text().contains("resp_1"));
    for event in [speech, speech, commit] {
        consumer.send(event);
    }
    // One refusal tells of all pieces of speech, and the end of it has its own.
    for about in ["mine", ""] {
        let error = next(&mut consumer);
        assert_eq!(error.text_at(&["error", "code"]), "rate_limit_exceeded");
        assert_eq!(error.text_at(&["error", "event_id"]), about);
    }
    // Where speech is not answered by itself, it is the answer that is refused.
    let manual =
        r#"{"type":"session.updated","session":{"audio":{"input":{"turn_detection":null}}}}"#;
    provider.send(manual);
    assert_eq!(consumer.text(), manual);
    consumer.send(speech);
    assert_eq!(provider.text(), speech);
    consumer.send(r#"{"type":"response.create"}"#);
    let error = next(&mut consumer);
    assert_eq!(error.text_at(&["error", "code"]), "rate_limit_exceeded");
}

#[test]
fn what_a_provider_says_of_a_failure_is_told_as_that_of_any_other_request() {
    let site = site();
    let (mut consumer, mut provider) = site.pair();
    let quota = r#"{"type":"insufficient_quota","code":"insufficient_quota","message":"org-1234 has no money, says CANARY-vendor-credential"}"#;
    let invalid = r#"{"type":"invalid_request_error","code":"x","message":"`a` is no field, CANARY-vendor-credential"}"#;
    let failed = |error: &str| {
        [
            format!(r#"{{"type":"error","event_id":"e","error":{error}}}"#),
            format!(
                r#"{{"type":"response.done","response":{{"id":"r","status":"failed","status_details":{{"type":"failed","error":{error}}},"usage":null}}}}"#
            ),
            format!(
                r#"{{"type":"conversation.item.input_audio_transcription.failed","item_id":"i","content_index":0,"error":{error}}}"#
            ),
        ]
    };
    for event in failed(quota) {
        provider.send(&event);
        let told = consumer.text();
        assert!(
            !told.contains("org-1234") && !told.contains("CANARY"),
            "{told}"
        );
        assert!(told.contains("the provider failed: "), "{told}");
        assert!(told.contains("insufficient_quota"), "{told}");
    }
    // What is wrong with the consumer's own event is its matter.
    for event in failed(invalid) {
        provider.send(&event);
        let told = consumer.text();
        assert_eq!(
            told,
            event.replace("CANARY-vendor-credential", "[credential]")
        );
    }
}
