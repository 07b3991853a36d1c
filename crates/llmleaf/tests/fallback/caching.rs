//! The beginnings of prompts are kept where somebody asked for it, and nowhere else.

use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::Stage;

use super::{answer, expect_answer, stage};

const HEADER: &str = "x-llmleaf-prompt-cache";

/// What the provider was sent.
fn sent(stage: &Stage, consumer: Wire, headers: &[(&str, &str)]) -> String {
    let wire = Wire::Messages;
    let asked = stage.first.requests().len();
    stage.first.on(move |_| answer(wire, true, "an answer"));
    let body = consumer.request(&Stage::chain(wire), true);
    let long = "s".repeat(8000);
    let body = match consumer {
        Wire::Messages => format!(r#"{{"system":"{long}",{}"#, &body[1..]),
        _ => body.replace(
            r#""messages":["#,
            &format!(r#""messages":[{{"role":"system","content":"{long}"}},"#),
        ),
    };
    let mut request = stage.ask_headed(consumer, &body, headers);
    let response = request.connection.response();
    expect_answer(consumer, &response, "an answer", &format!("{headers:?}"));
    let requests = stage.first.requests();
    String::from_utf8_lossy(&requests[asked].body).into_owned()
}

#[test]
fn prompts_are_kept_where_provider_route_or_request_say_so() {
    const SHORT: &str = r#""cache_control":{"type":"ephemeral"}}]"#;
    const LONG: &str = r#""cache_control":{"type":"ephemeral","ttl":"1h"}}]"#;
    let off = stage().start();
    for consumer in [Wire::Chat, Wire::Messages] {
        assert!(!sent(&off, consumer, &[]).contains("cache_control"));
        assert!(sent(&off, consumer, &[(HEADER, "1h")]).contains(LONG));
    }
    let on = stage()
        .first("settings = { prompt_cache = true }\n")
        .start();
    for consumer in [Wire::Chat, Wire::Messages] {
        assert!(sent(&on, consumer, &[]).contains(SHORT));
        assert!(!sent(&on, consumer, &[(HEADER, "false")]).contains("cache_control"));
    }
    let routed = stage().route("prompt_cache = \"1h\"\n").start();
    assert!(sent(&routed, Wire::Chat, &[]).contains(LONG));
    let body = Wire::Chat.request(&Stage::chain(Wire::Chat), false);
    let mut request = routed.ask_headed(Wire::Chat, &body, &[(HEADER, "2h")]);
    let response = request.connection.response();
    assert_eq!(response.status, 400);
    assert_eq!(response.json().text_at(&["error", "param"]), HEADER);
}
