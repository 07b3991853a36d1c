//! Consumers that are slow on purpose: heads, bodies and readers that go on for ever. A hundred of each in the usual run;
//! `LLMLEAF_SLOW=2000` has as many, and waits until their places are given back.

use std::time::{Duration, Instant};

use llmleaf_testkit::http::{Connection, request};
use llmleaf_testkit::replay::{Request, Script};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{LONG, Stage};

use super::corpus::body;
use super::{answer, stage};

/// How many slow consumers, and whether that is the full size.
fn size() -> (usize, bool) {
    #[expect(
        clippy::disallowed_methods,
        reason = "the size of this test, not the program's configuration"
    )]
    let set = std::env::var("LLMLEAF_SLOW")
        .ok()
        .and_then(|text| text.parse().ok());
    set.map_or((100, false), |count| (count, true))
}

/// The time that an honest consumer waits for its answer.
fn honest(stage: &Stage, connection: &mut Connection) -> Duration {
    let bearer = stage.bearer();
    let headers = [("authorization", bearer.as_str())];
    let started = Instant::now();
    connection.send(&request(
        "POST",
        "/v1/chat/completions",
        &headers,
        body("outer").as_bytes(),
    ));
    assert_eq!(connection.response().status, 200);
    started.elapsed()
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times
        .get(times.len() * percent / 100)
        .copied()
        .unwrap_or_default()
}

/// Plays slow consumers, each of which begins with some bytes and goes on with one at a time, beside an honest one.
#[expect(
    clippy::print_stdout,
    reason = "the figures are for who reads the output"
)]
fn play(case: &str, begin: impl Fn(&Stage) -> Vec<u8>) {
    let (count, full) = size();
    let stage = stage().start();
    let endless = bytes::Bytes::from(format!(": {}\n\n", "x".repeat(1000)).repeat(64));
    stage.first.on(move |request: &Request| {
        if request.text().contains("endless") {
            let head = bytes::Bytes::from(Wire::Chat.stream("first ").until(1));
            let rest = std::iter::repeat_n(endless.clone(), 64);
            Script::sse("").writes(std::iter::once(head).chain(rest))
        } else {
            answer(Wire::Chat, false)
        }
    });
    let mut connection = Connection::open(stage.leaf.addr);
    let mut before: Vec<Duration> = (0..50).map(|_| honest(&stage, &mut connection)).collect();
    let files = stage.leaf.open_files();
    let beginning = begin(&stage);
    let mut slow: Vec<Connection> = (0..count)
        .map(|_| {
            let mut connection = Connection::open(stage.leaf.addr);
            connection.send(&beginning);
            connection
        })
        .collect();
    let mut meanwhile = Vec::new();
    for _ in 0..50 {
        slow.iter_mut().for_each(|connection| connection.send(b"x"));
        meanwhile.push(honest(&stage, &mut connection));
    }
    let (old, new) = (percentile(&mut before, 99), percentile(&mut meanwhile, 99));
    println!("{case}: honest p99 {old:?} before, {new:?} beside {count} slow consumers");
    if !full {
        return;
    }
    let started = Instant::now();
    while stage
        .leaf
        .open_files()
        .zip(files)
        .is_some_and(|(now, before)| now > before + 16)
    {
        assert!(
            started.elapsed() < 4 * LONG,
            "{case}: places are not given back"
        );
        slow.iter_mut().for_each(|connection| connection.send(b"x"));
        meanwhile.push(honest(&stage, &mut connection));
    }
    println!("{case}: places given back after {:?}", started.elapsed());
}

#[test]
fn d10_slow_heads_harm_nobody_else() {
    play("heads", |_| {
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: ".to_vec()
    });
}

#[test]
fn d10_slow_bodies_harm_nobody_else() {
    play("bodies", |stage| {
        let bearer = stage.bearer();
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: {bearer}\r\ncontent-length: 1000000\r\n\r\n"
        )
        .into_bytes()
    });
}

#[test]
fn d10_slow_readers_harm_nobody_else() {
    play("readers", |stage| {
        let bearer = stage.bearer();
        let headers = [("authorization", bearer.as_str())];
        let body = body("endless").replace("{\"model\"", "{\"stream\":true,\"model\"");
        request("POST", "/v1/chat/completions", &headers, body.as_bytes())
    });
}
