//! What comes in is bounded, refused in the consumer's dialect, and costs no provider anything; what is secret comes
//! out nowhere.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

#[path = "bounds/bodies.rs"]
mod bodies;
#[path = "bounds/canaries.rs"]
mod canaries;
#[path = "bounds/files.rs"]
mod files;
#[path = "bounds/halves.rs"]
mod halves;
#[path = "bounds/memory.rs"]
mod memory;
#[path = "bounds/requests.rs"]
mod requests;
#[path = "bounds/sound.rs"]
mod sound;
#[path = "bounds/uploads.rs"]
mod uploads;

use llmleaf_testkit::http::{Connection, End, Response, request};
use llmleaf_testkit::replay::Script;
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{Setup, Stage};

fn stage() -> Setup {
    Stage::with(env!("CARGO_BIN_EXE_llmleaf"))
}

fn answer(wire: Wire, stream: bool) -> Script {
    if stream {
        Script::sse(wire.stream("first answer").body())
    } else {
        Script::json(200, wire.whole("first answer"))
    }
}

/// Posts a body with more headers than the credential.
fn post(stage: &Stage, wire: Wire, headers: &[(&str, &str)], body: &[u8]) -> Response {
    let bearer = stage.bearer();
    let mut all = vec![("authorization", bearer.as_str())];
    all.extend_from_slice(headers);
    let mut connection = Connection::open(stage.leaf.addr);
    connection.send(&request("POST", wire.path(), &all, body));
    connection.response()
}

/// A refusal in the dialect, whole; it names no retry.
#[track_caller]
fn expect_refused(wire: Wire, response: &Response, status: u16, case: &str) {
    let text = response.text();
    assert_eq!(response.status, status, "{wire}, {case}: {text}");
    assert_eq!(response.end, End::Clean, "{wire}, {case}");
    let error = wire.read_error(response);
    assert!(
        !error.message.is_empty() && !error.kind.is_empty(),
        "{wire}, {case}: {text}"
    );
    assert_eq!(
        response.header("x-should-retry"),
        Some("false"),
        "{wire}, {case}"
    );
    if wire == Wire::Messages {
        assert_eq!(
            response.json().text_at(&["type"]),
            "error",
            "{case}: {text}"
        );
    }
}
