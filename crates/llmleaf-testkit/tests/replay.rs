//! The fake provider against the raw consumer: every script and every fault, seen from the other end.

use std::time::Duration;

use llmleaf_testkit::http::{self, Connection, End};
use llmleaf_testkit::replay::{
    ClosedHow, Command, Framing, Gate, OnAccept, RefusedPort, Replay, Script,
};

const LONG: Duration = Duration::from_secs(20);
const STREAM: &str = "data: one\n\ndata: two\n\ndata: [DONE]\n\n";

fn asked(replay: &Replay) -> Connection {
    let mut connection = Connection::open(replay.addr);
    connection.send(&http::request("POST", "/v1/x", &[], b"{}"));
    connection
}

#[test]
fn a_request_is_kept_and_answered() {
    let replay = Replay::start();
    replay.push(Script::json(201, r#"{"ok":true}"#).header("x-request-id", "r1"));
    let response = http::post(
        replay.addr,
        "/v1/x?y=z",
        &[("Authorization", "Bearer k")],
        r#"{"a":1}"#,
    );
    assert_eq!((response.status, response.end), (201, End::Clean));
    assert_eq!(response.header("X-Request-Id"), Some("r1"));
    assert_eq!(response.json().to_string(), r#"{"ok":true}"#);
    let request = &replay.requests()[0];
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/v1/x?y=z")
    );
    assert_eq!(request.header("authorization"), Some("Bearer k"));
    assert_eq!(request.json().unwrap().u64_at(&["a"]), Some(1));
    assert!(request.head_at <= request.complete_at);
}

#[test]
fn every_framing_and_every_cut_gives_the_same_body() {
    let replay = Replay::start();
    for framing in [
        Framing::ContentLength,
        Framing::Chunked,
        Framing::UntilClose,
    ] {
        for size in [1, 2, 7, 1000] {
            replay.push(Script::sse(STREAM).framing(framing).write_every(size));
            let response = asked(&replay).response();
            assert_eq!(
                (response.text().as_str(), response.end),
                (STREAM, End::Clean)
            );
        }
    }
    replay.push(Script::sse(STREAM));
    assert_eq!(asked(&replay).response().sse().events.len(), 3);
    assert!(replay.wait_all_closed(LONG));
    let connections = replay.connections();
    let writes = &connections.last().unwrap().writes;
    assert_eq!(writes.len(), 5, "the head, one an event, the last chunk");
}

#[test]
fn a_connection_is_used_again() {
    let replay = Replay::start();
    replay.on(|request| Script::body(200, "text/plain", request.path.clone()));
    let mut connection = Connection::open(replay.addr);
    for path in ["/a", "/b"] {
        connection.send(&http::request("POST", path, &[], b"x"));
        assert_eq!(connection.response().text(), path);
    }
    connection.send(
        &[
            http::request("GET", "/c", &[], b""),
            http::request("GET", "/d", &[], b""),
        ]
        .concat(),
    );
    assert_eq!(connection.response().text(), "/c");
    assert_eq!(connection.response().text(), "/d");
    let connections = replay.connections();
    assert_eq!((connections.len(), connections[0].requests), (1, 4));
    assert_eq!(replay.unscripted(), 0);
}

#[test]
fn a_chunked_request_is_read() {
    let replay = Replay::start();
    replay.push(Script::json(200, "{}").close_after());
    let mut connection = Connection::open(replay.addr);
    connection.send(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{\"");
    connection.send(b"\r\n5\r\na\":1}\r\n0\r\n\r\n");
    assert_eq!(connection.response().end, End::Clean);
    assert_eq!(replay.requests()[0].text(), "{\"a\":1}");
    assert_eq!(connection.drain(), (Vec::new(), End::Clean));
}

#[test]
fn without_a_script_it_says_so() {
    let replay = Replay::start();
    assert_eq!(http::get(replay.addr, "/", &[]).status, 500);
    assert_eq!(replay.unscripted(), 1);
}

#[test]
fn bodies_end_where_the_script_says() {
    let replay = Replay::start();
    for framing in [Framing::Chunked, Framing::ContentLength] {
        for at in [0, 1, 11, 20, STREAM.len()] {
            replay.push(Script::sse(STREAM).framing(framing).close_at(at));
            let response = asked(&replay).response();
            assert_eq!(response.text(), STREAM[..at], "{framing:?} {at}");
            let whole = framing == Framing::ContentLength && at == STREAM.len();
            assert_eq!(response.end, if whole { End::Clean } else { End::Cut });
            replay.push(Script::sse(STREAM).framing(framing).end_at(at));
            let response = asked(&replay).response();
            assert_eq!(
                (response.text().as_str(), response.end),
                (&STREAM[..at], End::Clean)
            );
        }
    }
}

#[test]
fn a_reset_is_told_from_a_cut() {
    let replay = Replay::start();
    let gate = Gate::new();
    replay.push(Script::sse(STREAM).hold_at(11, &gate).reset_at(11));
    let mut connection = asked(&replay);
    assert_eq!(connection.read_body(11).end, End::Open);
    gate.release();
    let response = connection.response();
    assert_eq!(
        (response.text().as_str(), response.end),
        (&STREAM[..11], End::Reset)
    );
    assert_eq!(replay.wait_closed(0, LONG).unwrap().how, ClosedHow::ByUs);
}

#[test]
fn gates_hold_the_head_and_the_body() {
    let replay = Replay::start();
    let (head, body) = (Gate::new(), Gate::new());
    replay.push(Script::sse(STREAM).hold_head(&head).hold_at(11, &body));
    let mut connection = asked(&replay);
    connection.read_timeout(Duration::from_millis(20));
    assert!(head.wait_reached(LONG));
    assert_eq!(connection.response().status, 0, "no head yet");
    head.release();
    connection.read_timeout(LONG);
    assert_eq!(connection.read_to("one\n\n").text(), STREAM[..11]);
    assert!(body.wait_reached(LONG));
    connection.read_timeout(Duration::from_millis(20));
    assert_eq!(connection.response().end, End::TimedOut);
    body.release();
    connection.read_timeout(LONG);
    assert_eq!(
        connection.response().text(),
        STREAM,
        "reading goes on where it stood"
    );
}

#[test]
fn the_end_of_a_consumer_is_seen_in_every_phase() {
    let replay = Replay::start();
    let gate = Gate::new();
    let scripts = [
        Script::silent(),
        Script::sse(STREAM).hold_head(&gate),
        Script::sse(STREAM).stall_at(0),
        Script::sse(STREAM).stall_at(11),
        Script::sse(STREAM).hold_at(20, &gate),
        // More than the buffers of a socket take: the server stands in a write.
        Script::body(200, "text/plain", "x".repeat(64 << 20)),
    ];
    for (number, script) in scripts.into_iter().enumerate() {
        replay.push(script);
        let connection = asked(&replay);
        assert!(replay.wait_requests(number + 1, LONG).is_some());
        assert_eq!(replay.connections()[number].closed, None);
        let before = std::time::Instant::now();
        drop(connection);
        let closed = replay.wait_closed(number, LONG).unwrap();
        assert!(closed.at >= before);
    }
    assert!(replay.wait_all_closed(LONG));
}

#[test]
fn a_consumers_reset_is_told_from_its_fin() {
    let replay = Replay::start();
    replay.on(|_| Script::silent());
    asked(&replay).reset();
    assert_eq!(replay.wait_closed(0, LONG).unwrap().how, ClosedHow::Reset);
    asked(&replay).half_close();
    assert_eq!(replay.wait_closed(1, LONG).unwrap().how, ClosedHow::Fin);
}

#[test]
fn idle_connections_obey_commands() {
    let replay = Replay::start();
    replay.on(|_| Script::json(200, "{}"));
    for (number, (command, bytes, end)) in [
        (Command::Close, &b""[..], End::Clean),
        (Command::Reset, b"", End::Reset),
        (
            Command::Write("HTTP/1.1 408 late".into()),
            b"HTTP/1.1 408 late",
            End::TimedOut,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mut connection = asked(&replay);
        assert_eq!(connection.response().end, End::Clean);
        replay.command(number, command);
        if end == End::TimedOut {
            connection.read_timeout(Duration::from_millis(200));
        }
        assert_eq!(connection.drain(), (bytes.to_vec(), end));
    }
}

#[test]
fn connections_can_be_refused_in_every_way() {
    let replay = Replay::start();
    replay.push_accept(OnAccept::Close);
    assert_eq!(asked(&replay).response().end, End::Cut);
    replay.push_accept(OnAccept::Reset);
    assert_eq!(asked(&replay).response().end, End::Reset);
    replay.push_accept(OnAccept::Ignore);
    let mut connection = asked(&replay);
    connection.read_timeout(Duration::from_millis(20));
    assert_eq!(connection.response().end, End::TimedOut);
    assert!(replay.requests().is_empty());
    let refused = RefusedPort::reserve();
    let error = std::net::TcpStream::connect(refused.addr).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn an_answer_may_come_before_the_body_is_there() {
    let replay = Replay::start();
    replay.answer_early(true);
    replay.push(Script::json(413, "{}"));
    let mut connection = Connection::open(replay.addr);
    connection.send(b"POST / HTTP/1.1\r\ncontent-length: 1000\r\n\r\npart");
    assert_eq!(connection.response().status, 413);
}

#[test]
fn interim_and_broken_answers_can_be_sent() {
    let replay = Replay::start();
    replay.push(Script::json(200, "{}").before_head("HTTP/1.1 100 Continue\r\n\r\n"));
    assert_eq!(asked(&replay).response().status, 200);
    replay.push(Script::raw(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ));
    assert_eq!(asked(&replay).response().end, End::Malformed);
    replay.push(Script::raw("nonsense"));
    let response = asked(&replay).response();
    assert_eq!((response.status, response.end), (0, End::Cut));
}

#[test]
fn async_tests_wait_the_same_way() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let replay = Replay::start();
        let gate = Gate::new();
        replay.push(Script::sse(STREAM).hold_head(&gate));
        let connection = asked(&replay);
        gate.reached().await;
        assert_eq!(replay.requests_reach(1).await.len(), 1);
        drop(connection);
        assert_eq!(replay.closed(0).await.how, ClosedHow::Fin);
    });
}
