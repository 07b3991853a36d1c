//! HTTP/1.1 as consumers use and misuse it.

use llmleaf_testkit::http::{Connection, End, request};
use llmleaf_testkit::replay::{Gate, Script};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{LONG, Stage};

use super::{answer, stage};

fn post(stage: &Stage, wire: Wire, stream: bool) -> Vec<u8> {
    let bearer = stage.bearer();
    let body = wire.request(wire.name(), stream);
    request(
        "POST",
        wire.path(),
        &[("authorization", &bearer)],
        body.as_bytes(),
    )
}

#[test]
fn a9_pipelined_requests_are_answered_in_order_and_one_at_a_time() {
    let stage = stage().start();
    let gate = Gate::new();
    let stream = Wire::Chat.stream("first answer");
    let at = stream.until(1).len();
    stage
        .first
        .push(Script::sse(stream.body()).hold_at(at, &gate));
    stage.first.push(answer(Wire::Messages, "second answer"));
    stage
        .first
        .push(Script::json(200, Wire::Chat.whole("third answer")));
    let mut connection = Connection::open(stage.leaf.addr);
    let all = [
        post(&stage, Wire::Chat, true),
        post(&stage, Wire::Messages, true),
        request("GET", "/healthz", &[], b""),
        post(&stage, Wire::Chat, false),
    ];
    connection.send(&all.concat());
    connection.read_to("first ");
    assert_eq!(
        stage.first.requests().len(),
        1,
        "the second is not begun before the first is done"
    );
    gate.release();
    assert_eq!(
        Wire::Chat.read(&connection.response()).text(),
        "first answer"
    );
    assert_eq!(
        Wire::Messages.read(&connection.response()).text(),
        "second answer"
    );
    assert_eq!(connection.response().text(), "ok\n");
    assert_eq!(
        Wire::Chat.read(&connection.response()).text(),
        "third answer"
    );
}

#[test]
fn a_connection_serves_many_requests_and_both_dialects() {
    let stage = stage().instead("workers", "2").start();
    let mut connection = Connection::open(stage.leaf.addr);
    for round in 0..8 {
        let wire = Wire::BOTH[round % 2];
        stage.first.push(answer(wire, "first answer"));
        connection.send(&post(&stage, wire, true));
        let response = connection.response();
        assert_eq!(response.end, End::Clean);
        assert_eq!(wire.read(&response).text(), "first answer", "{round}");
    }
}

#[test]
fn two_workers_share_the_port() {
    let stage = stage().instead("workers", "2").start();
    stage.first.on(|_| answer(Wire::Chat, "first answer"));
    // Each worker has its own connections upstream; enough consumers reach both.
    let mut open: Vec<Connection> = (0..32).map(|_| Connection::open(stage.leaf.addr)).collect();
    for connection in &mut open {
        connection.send(&post(&stage, Wire::Chat, true));
        assert_eq!(
            Wire::Chat.read(&connection.response()).text(),
            "first answer"
        );
    }
    assert_eq!(
        stage.first.connections().len(),
        2,
        "one a worker, used again and again"
    );
}

#[test]
fn a4_who_closes_its_sending_side_is_taken_to_have_gone() {
    // A FIN is all that is ever seen of a consumer that went, so it must count as going, also where the other side
    // could still read; nginx does the same.
    let stage = stage().start();
    let stream = Wire::Chat.stream("first answer");
    stage
        .first
        .push(Script::sse(stream.body()).stall_at(stream.until(1).len()));
    let mut asked = stage.ask(Wire::Chat, "chat", true);
    asked.connection.read_to("first ");
    asked.connection.half_close();
    assert!(stage.first.wait_closed(0, LONG).is_some());
    assert_ne!(asked.connection.response().end, End::Clean);
    assert_eq!(
        stage.usage(&asked.id, 1)[0].text_at(&["outcome"]),
        "cancelled"
    );
}

#[test]
fn a12_a_body_is_asked_for_only_after_its_sender_is_known() {
    let stage = stage().start();
    let body = Wire::Chat.request("chat", true);
    let head = |bearer: &str| {
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: {bearer}\r\n\
             expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
    };
    let mut stranger = Connection::open(stage.leaf.addr);
    stranger.send(head("Bearer bm9ib2R5Om5vdGhpbmc=").as_bytes());
    let response = stranger.response();
    assert_eq!((response.status, response.end), (401, End::Clean));
    assert_eq!(
        stranger.drain(),
        (Vec::new(), End::Clean),
        "closed, since no body will be read"
    );

    let mut known = Connection::open(stage.leaf.addr);
    known.send(head(&stage.bearer()).as_bytes());
    // The interim response comes, then nothing until the body does.
    known.read_timeout(std::time::Duration::from_millis(200));
    let (interim, end) = known.drain();
    assert_eq!(
        (interim.as_slice(), end),
        (&b"HTTP/1.1 100 Continue\r\n\r\n"[..], End::TimedOut)
    );
    known.read_timeout(LONG);
    stage.first.push(answer(Wire::Chat, "first answer"));
    known.send(body.as_bytes());
    assert_eq!(Wire::Chat.read(&known.response()).text(), "first answer");
}

#[test]
fn http_1_0_gets_its_answer_and_the_end_of_the_connection() {
    let stage = stage().start();
    stage.first.push(answer(Wire::Chat, "first answer"));
    let body = Wire::Chat.request("chat", true);
    let mut connection = Connection::open(stage.leaf.addr);
    let text = format!(
        "POST /v1/chat/completions HTTP/1.0\r\nauthorization: {}\r\ncontent-length: {}\r\n\r\n{body}",
        stage.bearer(),
        body.len()
    );
    connection.send(text.as_bytes());
    let response = connection.response();
    assert_eq!(response.end, End::Clean);
    assert_eq!(response.header("transfer-encoding"), None);
    assert_eq!(Wire::Chat.read(&response).text(), "first answer");
}
