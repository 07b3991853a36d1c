//! Methods, paths, heads and framing.

use llmleaf_testkit::http::{Connection, End, request};
use llmleaf_testkit::samples::Wire;

use super::{expect_refused, post, stage};

#[test]
fn a_wrong_method_is_a_405_that_names_the_right_one() {
    let stage = stage().start();
    for (method, path, allowed) in [
        ("GET", "/v1/chat/completions", "POST"),
        ("PUT", "/v1/messages", "POST"),
        ("DELETE", "/v1/messages/count_tokens", "POST"),
        ("POST", "/v1/models", "GET"),
        ("POST", "/healthz", "GET"),
        ("PATCH", "/v1/openapi.json", "GET"),
    ] {
        let mut connection = Connection::open(stage.leaf.addr);
        let bearer = stage.bearer();
        connection.send(&request(method, path, &[("authorization", &bearer)], b""));
        let response = connection.response();
        let wire = if path.contains("messages") {
            Wire::Messages
        } else {
            Wire::Chat
        };
        expect_refused(wire, &response, 405, path);
        let allow = response.header("allow").expect("Allow");
        assert!(
            allow.split(", ").any(|one| one == allowed),
            "{path}: {allow}"
        );
    }
}

#[test]
fn e10_a_model_that_is_not_there_is_a_404() {
    let stage = stage().start();
    for wire in Wire::BOTH {
        for model in [
            "chatt",
            "../../etc/passwd",
            "a\\r\\nb",
            &"m".repeat(1 << 20),
        ] {
            let body = wire.request(model, true);
            let response = post(&stage, wire, &[], body.as_bytes());
            expect_refused(wire, &response, 404, "unknown model");
            assert!(response.body.len() < 2000, "the name is not told in full");
        }
    }
}

#[test]
fn d9_heads_are_bounded() {
    let stage = stage().start();
    let long = "x".repeat(200 << 10);
    let many: String = (0..200)
        .map(|number| format!("x-{number}: y\r\n"))
        .collect();
    for (case, text, status) in [
        (
            "a long value",
            format!("GET /healthz HTTP/1.1\r\nx: {long}\r\n\r\n"),
            431,
        ),
        (
            "many fields",
            format!("GET /healthz HTTP/1.1\r\n{many}\r\n"),
            431,
        ),
        (
            "a long path",
            format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(10 << 10)),
            414,
        ),
        (
            "a very long path",
            format!("GET /{long} HTTP/1.1\r\n\r\n"),
            414,
        ),
    ] {
        let mut connection = Connection::open(stage.leaf.addr);
        connection.send(text.as_bytes());
        let response = connection.response();
        // The server may close before it has read all of it; then the answer can be lost.
        let lost = response.status == 0 && response.end == End::Reset;
        let as_told = response.status == status || (status == 414 && response.status == 431);
        assert!(lost || as_told, "{case}: {}", response.status);
    }
    assert_eq!(
        llmleaf_testkit::http::get(stage.leaf.addr, "/healthz", &[]).status,
        200
    );
}

#[test]
fn d1_ambiguous_framing_is_refused_and_smuggles_nothing() {
    let stage = stage().start();
    let inner = "GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n";
    for framing in [
        "content-length: 0\r\ntransfer-encoding: chunked",
        "content-length: 4\r\ncontent-length: 5",
        "transfer-encoding: gzip",
        "content-length: +4",
        "transfer-encoding: chunked, identity",
    ] {
        let mut connection = Connection::open(stage.leaf.addr);
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\n{framing}\r\n\r\n0\r\n\r\n{inner}",
            stage.bearer()
        );
        connection.send(head.as_bytes());
        let response = connection.response();
        assert_eq!(response.status, 400, "{framing}: {}", response.text());
        let (rest, _) = connection.drain();
        let rest = String::from_utf8_lossy(&rest).into_owned();
        assert!(!rest.contains("200 OK"), "{framing}: {rest}");
    }
    assert_eq!(stage.first.connections().len(), 0);
}
