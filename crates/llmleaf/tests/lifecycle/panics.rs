//! A panic ends one request and nothing else. The program panics for a request id that asks for it, in builds with debug
//! assertions alone; in others these tests have nothing to look at.

use llmleaf_testkit::http::{End, get};
use llmleaf_testkit::replay::{Gate, Script};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::Stage;

use super::{answer, stage};

const ADMIN: (&str, &str) = ("x-admin-token", "canary-admin-token-Zx81");

fn with_admin() -> Stage {
    stage()
        .server(&format!("admin_token = \"{}\"", ADMIN.1))
        .start()
}

/// Panics that the program says it has caught.
fn caught(stage: &Stage) -> Option<u64> {
    get(stage.leaf.addr, "/admin/health", &[ADMIN])
        .json()
        .u64_at(&["panics"])
}

#[test]
fn i6_a_panic_before_the_answer_is_a_500_in_the_dialect() {
    if !cfg!(debug_assertions) {
        return;
    }
    let stage = with_admin();
    for place in ["service", "exchange"] {
        for consumer in Wire::BOTH {
            let body = consumer.request(consumer.name(), true);
            let id = format!("inject-panic-{place}");
            let mut asked = stage.ask_as(consumer, &id, &body);
            let response = asked.connection.response();
            assert_eq!(response.status, 500, "{place}: {}", response.text());
            let error = consumer.read_error(&response);
            assert!(!error.message.contains("a test asked"), "{}", error.message);
            assert_eq!(response.header("x-request-id"), Some(id.as_str()));
            // The same connection goes on.
            stage.first.push(answer(consumer, "first answer"));
            let bytes = llmleaf_testkit::http::request(
                "POST",
                consumer.path(),
                &[("authorization", &stage.bearer())],
                body.as_bytes(),
            );
            asked.connection.send(&bytes);
            assert_eq!(
                consumer.read(&asked.connection.response()).text(),
                "first answer",
                "{place}"
            );
        }
    }
    assert_eq!(caught(&stage), Some(4));
}

#[test]
fn i6_a_panic_in_a_stream_ends_that_stream_alone() {
    if !cfg!(debug_assertions) {
        return;
    }
    let stage = with_admin();
    for pair in Wire::PAIRS {
        let (gate, never) = (Gate::new(), Gate::new());
        let stream = pair.1.stream("first answer");
        let at = stream.until(1).len();
        stage
            .first
            .push(Script::sse(stream.body()).hold_at(at, &gate));
        let mut other = stage.ask(pair.0, &Stage::chain(pair.1), true);
        other.connection.read_to("first ");
        stage
            .first
            .push(Script::sse(stream.body()).hold_at(at, &never));
        let body = pair.0.request(&Stage::chain(pair.1), true);
        let mut asked = stage.ask_as(pair.0, "inject-panic-stream", &body);
        let response = asked.connection.response();
        assert_eq!(response.status, 200);
        assert_ne!(response.end, End::Clean);
        let digest = pair.0.read(&response);
        assert_eq!((digest.text(), digest.terminal), ("first ", false));
        assert!(digest.error.is_some(), "{}", response.text());
        gate.release();
        let response = other.connection.response();
        assert_eq!(response.end, End::Clean);
        assert_eq!(pair.0.read(&response).text(), "first answer");
    }
    assert_eq!(caught(&stage), Some(4));
    let records = stage.usage("inject-panic-stream", 4);
    for record in records {
        assert_eq!(record.text_at(&["outcome"]), "proxy_error");
        assert!(record.u64_at(&["output"]) > Some(0));
    }
    assert!(
        stage
            .first
            .wait_closed(1, llmleaf_testkit::stage::LONG)
            .is_some(),
        "its upstream is closed"
    );
}

#[test]
fn i7_a_panic_that_holds_what_all_share_harms_no_other() {
    if !cfg!(debug_assertions) {
        return;
    }
    let stage = with_admin();
    for _ in 0..3 {
        stage
            .first
            .push(Script::json(200, Wire::Chat.whole("first answer")));
        let body = Wire::Chat.request("chat", false);
        // The ledger's lock is held when it happens: all is done but the book-keeping, and the answer is the consumer's.
        let mut asked = stage.ask_as(Wire::Chat, "inject-panic-ledger", &body);
        let response = asked.connection.response();
        assert_eq!(Wire::Chat.read(&response).text(), "first answer");
        stage
            .first
            .push(Script::json(200, Wire::Chat.whole("first answer")));
        let (id, response) = stage.post(Wire::Chat, "chat", false);
        assert_eq!(Wire::Chat.read(&response).text(), "first answer");
        assert_eq!(stage.usage(&id, 1)[0].text_at(&["outcome"]), "completed");
    }
    let health = get(stage.leaf.addr, "/admin/health", &[ADMIN]).json();
    assert_eq!(health.u64_at(&["panics"]), Some(3));
    assert_eq!(
        health.elements_at(&["recent"]).len(),
        3,
        "the ledger goes on"
    );
}
