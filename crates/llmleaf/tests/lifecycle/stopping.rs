//! SIGTERM: nothing new, what runs may finish, a second signal ends it.

use std::net::TcpStream;
use std::time::Duration;

use llmleaf_testkit::http::{Connection, End, get, request};
use llmleaf_testkit::replay::{Gate, Script};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{LONG, Stage};

use super::stage;

/// Tells the program to stop and waits until it has heard.
fn told_to_stop(stage: &Stage) {
    stage.leaf.signal("TERM");
    let heard = stage
        .leaf
        .wait_lines(1, LONG, |line| line.contains("\"draining\""));
    assert!(heard.is_some());
    // The listeners go a moment after; each worker hears of it by itself.
    while TcpStream::connect(stage.leaf.addr).is_ok() {
        std::thread::yield_now();
    }
}

#[test]
fn i8_running_streams_finish_and_then_it_ends() {
    for workers in ["1", "2"] {
        let mut stage = stage().instead("workers", workers).start();
        assert_eq!(get(stage.leaf.addr, "/readyz", &[]).status, 200);
        let gate = Gate::new();
        let mut running = Vec::new();
        for pair in Wire::PAIRS {
            let stream = pair.1.stream("first answer");
            let at = stream.until(1).len();
            stage
                .first
                .push(Script::sse(stream.body()).hold_at(at, &gate));
            let mut asked = stage.ask(pair.0, &Stage::chain(pair.1), true);
            asked.connection.read_to("first ");
            running.push((pair.0, asked));
        }
        told_to_stop(&stage);
        gate.release();
        for (consumer, mut asked) in running {
            let response = asked.connection.response();
            assert_eq!(response.end, End::Clean);
            assert_eq!(consumer.read(&response).text(), "first answer");
            assert_eq!(
                asked.connection.drain(),
                (Vec::new(), End::Clean),
                "it closes after the answer"
            );
            assert_eq!(
                stage.usage(&asked.id, 1)[0].text_at(&["outcome"]),
                "completed"
            );
        }
        let status = stage.leaf.wait_exit(LONG).expect("it ends");
        assert!(status.success(), "{status}");
    }
}

#[test]
fn i8_readiness_flips_for_connections_that_are_there() {
    let stage = stage().start();
    let mut waiting = Connection::open(stage.leaf.addr);
    waiting.send(b"GET /readyz HTTP/1.1\r\nhost: x\r\n");
    let mut alive = Connection::open(stage.leaf.addr);
    alive.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\n");
    // Something after it proves that both were accepted and read.
    assert_eq!(get(stage.leaf.addr, "/readyz", &[]).status, 200);
    told_to_stop(&stage);
    waiting.send(b"\r\n");
    let response = waiting.response();
    assert_eq!((response.status, response.text().trim()), (503, "draining"));
    assert_eq!(response.header("connection"), Some("close"));
    alive.send(b"\r\n");
    assert_eq!(alive.response().status, 200, "it is alive all the same");
}

#[test]
fn i8_a_second_signal_ends_it_at_once() {
    let mut stage = stage().server("drain_secs = 600").start();
    let stream = Wire::Messages.stream("first answer");
    stage
        .first
        .push(Script::sse(stream.body()).stall_at(stream.until(1).len()));
    let mut asked = stage.ask(Wire::Messages, "messages", true);
    asked.connection.read_to("first ");
    told_to_stop(&stage);
    stage.leaf.signal("TERM");
    assert!(stage.leaf.wait_exit(LONG).expect("it ends").success());
    let response = asked.connection.response();
    assert_ne!(response.end, End::Clean, "a cut stream never ends well");
    assert!(stage.first.wait_all_closed(LONG));
    assert_eq!(
        stage.usage(&asked.id, 1)[0].text_at(&["outcome"]),
        "cancelled"
    );
}

#[test]
fn i8_the_time_to_finish_is_bounded() {
    let mut stage = stage().server("drain_secs = 1").start();
    stage.first.push(Script::silent());
    let mut asked = stage.ask(Wire::Chat, "chat", true);
    assert!(stage.first.wait_requests(1, LONG).is_some());
    told_to_stop(&stage);
    let response = asked.connection.response();
    assert_eq!(response.status, 503, "{}", response.text());
    let error = Wire::Chat.read_error(&response);
    assert_eq!(error.code, "server_shutdown");
    assert_eq!(response.header("x-should-retry"), Some("true"));
    assert!(response.header("retry-after").is_some());
    let usage = stage.usage(&asked.id, 1);
    assert_eq!(usage[0].text_at(&["outcome"]), "failed");
    assert_eq!(usage[0].text_at(&["failure"]), "server_shutdown");
    let status = stage.leaf.wait_exit(LONG).expect("it ends");
    assert!(status.success(), "{status}");
}

#[test]
fn i8_a_stream_that_is_cut_at_the_end_of_the_time_is_told_so() {
    let mut stage = stage().server("drain_secs = 1").start();
    let mut running = Vec::new();
    for pair in Wire::PAIRS {
        let stream = pair.1.stream("first answer");
        stage
            .first
            .push(Script::sse(stream.body()).stall_at(stream.until(1).len()));
        let mut asked = stage.ask(pair.0, &Stage::chain(pair.1), true);
        asked.connection.read_to("first ");
        running.push((pair.0, asked));
    }
    told_to_stop(&stage);
    for (consumer, mut asked) in running {
        let response = asked.connection.response();
        assert_ne!(response.end, End::Clean, "a cut stream never ends well");
        let digest = consumer.read(&response);
        assert_eq!((digest.text(), digest.terminal), ("first ", false));
        let error = digest.error.expect("an error in the stream");
        match consumer {
            Wire::Chat => assert_eq!(error.code, "server_shutdown"),
            _ => assert!(response.text().contains("overloaded_error")),
        }
        let usage = stage.usage(&asked.id, 1);
        assert_eq!(usage[0].text_at(&["outcome"]), "broken");
        assert_eq!(usage[0].text_at(&["failure"]), "server_shutdown");
        assert!(usage[0].u64_at(&["output"]) > Some(0));
    }
    assert!(stage.first.wait_all_closed(LONG));
    let status = stage.leaf.wait_exit(LONG).expect("it ends");
    assert!(status.success(), "{status}");
}

/// How many streams run while the program stops; `LLMLEAF_STREAMS=1000` is the full size.
fn streams() -> usize {
    let set = llmleaf_config::environment::var("LLMLEAF_STREAMS");
    set.and_then(|text| text.parse().ok()).unwrap_or(50)
}

#[test]
fn i8_many_live_streams_and_none_is_cut() {
    let mut stage = stage().instead("workers", "2").start();
    let gate = Gate::new();
    let stream = Wire::Chat.stream("first answer");
    let at = stream.until(1).len();
    let script = Script::sse(stream.body()).hold_at(at, &gate);
    stage.first.on(move |_| script.clone());
    let mut running: Vec<_> = (0..streams())
        .map(|_| stage.ask(Wire::Chat, "chat", true))
        .collect();
    for asked in &mut running {
        asked.connection.read_to("first ");
    }
    told_to_stop(&stage);
    gate.release();
    let mut cut = 0;
    for asked in &mut running {
        let response = asked.connection.response();
        let whole = response.end == End::Clean
            && Wire::Chat.read(&response).text() == "first answer"
            && Wire::Chat.read(&response).terminal;
        cut += usize::from(!whole);
    }
    assert_eq!(cut, 0, "of {}", running.len());
    for asked in &running {
        assert_eq!(
            stage.usage(&asked.id, 1)[0].text_at(&["outcome"]),
            "completed"
        );
    }
    let status = stage.leaf.wait_exit(LONG).expect("it ends");
    assert!(status.success(), "{status}");
}

#[test]
fn idle_connections_keep_nothing_up() {
    let mut stage = stage().server("drain_secs = 600").start();
    // One that never said a word, one that said part of HTTP/2's first words, one between two requests.
    let mut silent = Connection::open(stage.leaf.addr);
    let mut partial = Connection::open(stage.leaf.addr);
    partial.send(b"PRI * HT");
    let mut used = Connection::open(stage.leaf.addr);
    used.send(&request("GET", "/healthz", &[], b""));
    assert_eq!(used.response().status, 200);
    stage.leaf.signal("TERM");
    assert!(
        stage.leaf.wait_exit(Duration::from_secs(10)).is_some(),
        "idle connections keep it up"
    );
    for connection in [&mut silent, &mut partial, &mut used] {
        assert_eq!(connection.drain().0, b"");
    }
}
