//! A consumer that hangs up ends its upstream call, in every phase, within 100 ms by the upstream's own record.
//!
//! Each phase is played often; the figures are printed (`--nocapture`). `LLMLEAF_HANGUPS=10000` plays so many over all phases;
//! of those the 99th percentile has the bound, and none may take five times as long.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed; figures are printed"
)]

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use llmleaf_testkit::replay::{Gate, Replay, Script};
use llmleaf_testkit::samples::{INPUT_TOKENS, OUTPUT_TOKENS, Wire};
use llmleaf_testkit::stage::{Asked, LONG, Stage};

/// How soon the upstream must see the close.
const BOUND: Duration = Duration::from_millis(100);
/// How often each phase is played, over both ways to go.
const ROUNDS: usize = 24;
/// Phases among which an asked number of hang-ups is shared out.
const PHASES: usize = 9;

/// How many hang-ups are asked for from outside.
#[expect(
    clippy::disallowed_methods,
    reason = "how much a test does is asked of it from outside"
)]
fn asked_for() -> Option<usize> {
    let text = std::env::var("LLMLEAF_HANGUPS").ok()?;
    Some(text.parse().expect("a number"))
}

fn rounds() -> usize {
    asked_for().map_or(ROUNDS, |count| ROUNDS.max(count.div_ceil(PHASES)))
}

fn stage() -> llmleaf_testkit::stage::Setup {
    Stage::with(env!("CARGO_BIN_EXE_llmleaf")).judged()
}

/// One measurement at a time: the tests of this file are no load for each other.
fn quiet() -> MutexGuard<'static, ()> {
    static MEASURING: Mutex<()> = Mutex::new(());
    // A measurement that failed does not spoil the next.
    MEASURING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The ways a consumer goes.
#[derive(Clone, Copy)]
enum Goes {
    /// FIN, or RST where it had not read all.
    Closing,
    Resetting,
}

/// Leaves, and says how long the upstream's connection outlived it.
fn leave(asked: Asked, goes: Goes, upstream: &Replay, connection: usize) -> Duration {
    assert_eq!(
        upstream.connections()[connection].closed,
        None,
        "closed before the consumer went"
    );
    let left = Instant::now();
    match goes {
        Goes::Closing => drop(asked.connection),
        Goes::Resetting => asked.connection.reset(),
    }
    let closed = upstream
        .wait_closed(connection, LONG)
        .expect("the upstream's connection closes");
    closed.at.saturating_duration_since(left)
}

/// Plays one phase: pushes the script, asks, waits until the phase is reached, leaves.
struct Phase<'a> {
    name: &'a str,
    stream: bool,
    script: &'a dyn Fn(Wire) -> Script,
    reached: &'a dyn Fn(&Stage, &mut Asked, usize),
    /// What the consumer of a stream has read may be a part of the answer.
    grade: &'a str,
    /// It is played no more often than by default.
    costly: bool,
    /// Consumer and provider.
    pairs: &'a [(Wire, Wire)],
}

impl Phase<'_> {
    fn play(&self, stage: &Stage) {
        let _quiet = quiet();
        let mut took = Vec::new();
        // A consumer that reads nothing costs 40 MB a time.
        let rounds = if self.costly { ROUNDS } else { rounds() };
        for round in 0..rounds {
            let pair = self.pairs[round % self.pairs.len()];
            let goes = if round / 4 % 2 == 0 {
                Goes::Closing
            } else {
                Goes::Resetting
            };
            let number = stage.first.connections().len();
            stage.first.push((self.script)(pair.1));
            let mut asked = stage.ask(pair.0, &Stage::chain(pair.1), self.stream);
            (self.reached)(stage, &mut asked, number);
            let id = asked.id.clone();
            took.push(leave(asked, goes, &stage.first, number));
            let usage = stage.usage(&id, 1);
            let case = format!("{}, {} to {}", self.name, pair.0, pair.1);
            assert_eq!(usage[0].text_at(&["outcome"]), "cancelled", "{case}");
            // A provider may have told of its input before the first content.
            let grade = usage[0].text_at(&["grade"]);
            assert!(self.grade.contains(grade), "{case}: {grade}");
            assert!(
                usage[0]
                    .get("possibly_billed")
                    .is_some_and(|v| v.is_truthy()),
                "{case}"
            );
        }
        assert_eq!(
            stage.second.connections().len(),
            0,
            "{}: no fallback for nobody",
            self.name
        );
        report(self.name, took);
    }
}

/// Prints the figures and holds the bound.
fn report(name: &str, in_order: Vec<Duration>) {
    let mut took = in_order.clone();
    took.sort();
    let ms = |d: Duration| d.as_secs_f64() * 1000.0;
    let at = |share: f64| took[((took.len() - 1) as f64 * share).round() as usize];
    let max = took[took.len() - 1];
    println!(
        "cancel: {name}: n {} p50 {:.2} ms p99 {:.2} ms max {:.2} ms",
        took.len(),
        ms(at(0.5)),
        ms(at(0.99)),
        ms(max)
    );
    // Of many, a few meet whatever else the machine does.
    let (most, bound) = match asked_for() {
        Some(_) => (at(0.99), BOUND * 5),
        None => (max, BOUND),
    };
    assert!(most <= BOUND && max <= bound, "{name}: {in_order:?}");
}

/// The request arrived upstream.
fn request_arrived(stage: &Stage, _: &mut Asked, connection: usize) {
    let requests = connection + 1;
    assert!(stage.first.wait_requests(requests, LONG).is_some());
}

/// The upstream sent what it sends.
fn written(writes: usize) -> impl Fn(&Stage, &mut Asked, usize) {
    move |stage, _, connection| assert!(stage.first.wait_writes(connection, writes, LONG))
}

#[test]
fn a2_while_waiting_for_headers() {
    for stream in [true, false] {
        Phase {
            name: if stream {
                "headers, stream"
            } else {
                "headers, whole"
            },
            stream,
            script: &|_| Script::silent(),
            reached: &request_arrived,
            grade: "none",
            costly: false,
            pairs: &Wire::PAIRS,
        }
        .play(&stage().start());
    }
}

#[test]
fn a2_before_the_first_content() {
    Phase {
        name: "a head and nothing more",
        stream: true,
        script: &|wire| Script::sse(wire.stream("first answer").body()).stall_at(0),
        reached: &written(1),
        grade: "none",
        costly: false,
        pairs: &Wire::PAIRS,
    }
    .play(&stage().start());
    Phase {
        name: "lifecycle events",
        stream: true,
        script: &|wire| {
            let stream = wire.stream("first answer");
            Script::sse(stream.body()).stall_at(stream.head().len())
        },
        reached: &written(2),
        grade: "none partial",
        costly: false,
        pairs: &Wire::PAIRS,
    }
    .play(&stage().start());
}

#[test]
fn a1_in_the_middle_of_a_stream() {
    Phase {
        name: "mid-stream",
        stream: true,
        script: &|wire| {
            let stream = wire.stream("first answer");
            Script::sse(stream.body()).stall_at(stream.until(1).len())
        },
        reached: &|_, asked, _| {
            assert!(asked.connection.read_to("first ").text().contains("first "))
        },
        grade: "estimated partial",
        costly: false,
        pairs: &Wire::PAIRS,
    }
    .play(&stage().start());
}

#[test]
fn a3_in_the_middle_of_a_whole_answer() {
    Phase {
        name: "within a whole body",
        stream: false,
        script: &|wire| Script::json(200, wire.whole("first answer")).stall_at(40),
        reached: &written(2),
        grade: "none",
        costly: false,
        pairs: &Wire::PAIRS,
    }
    .play(&stage().start());
}

#[test]
fn after_a_keep_alive() {
    Phase {
        name: "after a keep-alive",
        stream: true,
        script: &|_| Script::silent(),
        reached: &|_, asked, _| assert_eq!(asked.connection.read_body(8).status, 200),
        grade: "none",
        costly: false,
        pairs: &Wire::PAIRS,
    }
    .play(&stage().server("hold_headers_ms = 20").start());
}

#[test]
fn while_the_consumer_does_not_read() {
    // Comments pass through a relay at next to no cost. These are more than the sockets between the three hold, so
    // everybody comes to stand.
    let comment = bytes::Bytes::from(format!(": {}\n\n", "x".repeat(60)).repeat(4 << 10));
    Phase {
        name: "a consumer that reads nothing",
        stream: true,
        script: &|wire| {
            let head = bytes::Bytes::from(wire.stream("first ").until(1));
            let comments = std::iter::repeat_n(comment.clone(), FLOOD - 1);
            Script::sse("").writes(std::iter::once(head).chain(comments))
        },
        reached: &|stage, asked, connection| {
            asked.connection.read_to("first ");
            let writes = || stage.first.connections()[connection].writes.len();
            let moves = || {
                let more = writes() + 1;
                stage
                    .first
                    .wait_writes(connection, more, Duration::from_millis(100))
            };
            while moves() {}
            assert!(
                writes() < FLOOD,
                "the consumer's silence does not reach the upstream"
            );
        },
        grade: "estimated partial",
        costly: true,
        pairs: &Wire::PAIRS[..2],
    }
    .play(&stage().start());
}

/// Writes of 256 KiB.
const FLOOD: usize = 160;

#[test]
fn during_the_handshake() {
    let _quiet = quiet();
    // The provider takes the connection and never says a word of TLS.
    let port = Replay::start();
    let stage = stage()
        .first_at(&port.url().replace("http:", "https:"))
        .start();
    let mut took = Vec::new();
    // The first of each provider is not measured: the process gathers its entropy then, and handshakes wait for that.
    for number in 0..rounds() + Wire::BOTH.len() {
        let wire = Wire::BOTH[number % 2];
        let asked = stage.ask(wire, &Stage::chain(wire), number % 4 < 2);
        port.wait_accepted(number + 1, LONG).expect("a connection");
        took.push(leave(asked, Goes::Closing, &port, number));
    }
    assert_eq!(stage.second.connections().len(), 0);
    report("handshake", took.split_off(Wire::BOTH.len()));
}

#[test]
fn during_the_second_attempt() {
    let _quiet = quiet();
    let stage = stage().start();
    let mut took = Vec::new();
    for number in 0..rounds() {
        let pair = Wire::PAIRS[number % 4];
        stage.first.push(Script::json(500, "{}"));
        stage.second.push(Script::silent());
        let asked = stage.ask(pair.0, &Stage::chain(pair.1), number % 8 < 4);
        assert!(stage.second.wait_requests(number + 1, LONG).is_some());
        let id = asked.id.clone();
        took.push(leave(asked, Goes::Closing, &stage.second, number));
        let usage = stage.usage(&id, 2);
        assert_eq!(usage[0].text_at(&["outcome"]), "failed");
        assert_eq!(usage[1].text_at(&["outcome"]), "cancelled");
    }
    report("second attempt", took);
}

#[test]
fn a2_while_a_second_target_is_asked_beside_the_first() {
    let _quiet = quiet();
    let stage = stage().route("hedge = true\n").start();
    let wire = Wire::Chat;
    // So many that it is known what is slow.
    for _ in 0..20 {
        let body = wire.stream("first answer").body();
        stage.first.push(Script::sse(body));
        assert_eq!(stage.post(wire, "chat", true).1.status, 200);
    }
    stage.first.push(Script::silent());
    stage.second.push(Script::silent());
    let asked = stage.ask(wire, "chat", true);
    assert!(stage.second.wait_requests(1, LONG).is_some());
    let (id, first) = (asked.id.clone(), stage.first.connections().len() - 1);
    leave(asked, Goes::Closing, &stage.first, first);
    assert!(stage.second.wait_closed(0, LONG).is_some());
    for record in stage.usage(&id, 2) {
        assert_eq!(record.text_at(&["outcome"]), "cancelled");
    }
}

/// The record of an exchange that went on for nobody: cancelled, and the provider's own report all the same.
#[track_caller]
fn expect_drained(stage: &Stage, id: &str, case: &str) {
    let usage = stage.usage(id, 1);
    assert_eq!(usage[0].text_at(&["outcome"]), "cancelled", "{case}");
    assert_eq!(usage[0].text_at(&["grade"]), "reported", "{case}");
    assert_eq!(usage[0].u64_at(&["input"]), Some(INPUT_TOKENS), "{case}");
    assert_eq!(usage[0].u64_at(&["output"]), Some(OUTPUT_TOKENS), "{case}");
}

#[test]
fn a8_an_upstream_that_drains_is_read_to_its_end_for_the_bill() {
    let _quiet = quiet();
    let stage = stage().first("on_cancel = \"drain\"\n").start();
    for pair in Wire::PAIRS {
        let stream = pair.1.stream("first answer");
        let sse = || Script::sse(stream.body());
        let whole = Script::json(200, pair.1.whole("first answer"));
        for (case, streams, script, read) in [
            ("headers", true, sse(), None),
            ("lifecycle", true, sse(), Some(stream.head().len())),
            ("mid-stream", true, sse(), Some(stream.until(1).len())),
            ("a whole answer", false, whole.clone(), None),
            ("within a whole answer", false, whole, Some(40)),
        ] {
            let case = format!("{} to {}: {case}", pair.0, pair.1);
            let gate = Gate::new();
            stage.first.push(match read {
                Some(at) => script.hold_at(at, &gate),
                None => script.hold_head(&gate),
            });
            let mut asked = stage.ask(pair.0, &Stage::chain(pair.1), streams);
            assert!(gate.wait_reached(LONG), "{case}");
            if case.contains("mid-stream") {
                asked.connection.read_to("first ");
            }
            let id = asked.id.clone();
            gone(&stage, asked);
            gate.release();
            expect_drained(&stage, &id, &case);
        }
    }
    // Their connections went on to serve.
    let opened = stage.first.connections().len();
    assert!(opened <= 2, "{opened} connections");
    // A failure is no reason to ask another for nobody.
    let gate = Gate::new();
    stage.first.push(Script::json(500, "{}").hold_head(&gate));
    let asked = stage.ask(Wire::Chat, "chat", true);
    assert!(gate.wait_reached(LONG));
    let id = asked.id.clone();
    gone(&stage, asked);
    gate.release();
    assert_eq!(stage.usage(&id, 1)[0].text_at(&["outcome"]), "cancelled");
    assert_eq!(stage.second.connections().len(), 0);
}

/// Leaves, and waits until the program has taken note.
fn gone(stage: &Stage, asked: Asked) {
    let before = sockets(stage);
    drop(asked);
    let deadline = Instant::now() + LONG;
    while before.is_some() && sockets(stage) >= before {
        assert!(Instant::now() < deadline, "the consumer's socket stays");
        std::thread::yield_now();
    }
}

fn sockets(stage: &Stage) -> Option<usize> {
    stage.leaf.open_files()
}

#[test]
fn a8_only_so_many_are_read_for_nobody() {
    /// As the program has it for a worker.
    const MOST: usize = 64;
    let _quiet = quiet();
    let stage = stage().first("on_cancel = \"drain\"\n").start();
    let gate = Gate::new();
    let held = gate.clone();
    stage.first.on(move |_| {
        let stream = Wire::Chat.stream("first answer");
        Script::sse(stream.body()).hold_at(stream.until(1).len(), &held)
    });
    let ask = |_| {
        let mut asked = stage.ask(Wire::Chat, "chat", true);
        asked.connection.read_to("first ");
        asked
    };
    let mut all: Vec<Asked> = (0..=MOST).map(ask).collect();
    let last = all.pop().expect("one more");
    for asked in all {
        gone(&stage, asked);
    }
    let id = last.id.clone();
    drop(last);
    let usage = stage.usage(&id, 1);
    assert_eq!(usage[0].text_at(&["grade"]), "estimated");
    assert!(
        usage[0]
            .get("possibly_billed")
            .is_some_and(|v| v.is_truthy())
    );
    gate.release();
    let reported = |line: &str| line.contains("\"grade\":\"reported\"");
    assert!(stage.leaf.wait_lines(MOST, LONG, reported).is_some());
}

#[test]
fn a_hundred_consumers_go_at_once() {
    let _quiet = quiet();
    let stage = stage().instead("workers", "2").start();
    stage.first.on(|_| {
        let stream = Wire::Chat.stream("first answer");
        Script::sse(stream.body()).stall_at(stream.until(1).len())
    });
    let base = stage.leaf.open_files();
    let ask = |_| {
        let mut asked = stage.ask(Wire::Chat, "chat", true);
        asked.connection.read_to("first ");
        asked
    };
    let all: Vec<Asked> = (0..100).map(ask).collect();
    let left = Instant::now();
    drop(all);
    assert!(stage.first.wait_all_closed(LONG));
    let connections = stage.first.connections();
    assert_eq!(connections.len(), 100);
    let closed = connections.iter().filter_map(|c| c.closed);
    report(
        "a hundred at once",
        closed
            .map(|c| c.at.saturating_duration_since(left))
            .collect(),
    );
    let is_usage = |line: &str| line.contains("llmleaf::usage") && line.contains("cancelled");
    assert!(stage.leaf.wait_lines(100, LONG, is_usage).is_some());
    // The consumers' own sockets go last. The program may still have been opening its own when it was first counted (each
    // worker has a few); what must not be left is any number near that of the consumers.
    let deadline = Instant::now() + LONG;
    while stage.leaf.open_files() > base.map(|files| files + 16) {
        assert!(Instant::now() < deadline, "descriptors are left open");
        std::thread::yield_now();
    }
}

#[test]
fn b19_a_cancelled_connection_is_never_used_again() {
    let stage = stage().start();
    let gate = Gate::new();
    for number in 0..8 {
        let pair = Wire::PAIRS[number % 4];
        let late = Script::json(200, pair.1.whole("an answer for someone else"));
        stage.first.push(late.hold_head(&gate));
        let asked = stage.ask(pair.0, &Stage::chain(pair.1), false);
        request_arrived(
            &stage,
            &mut stage.ask(pair.0, "no-such-model", false),
            2 * number,
        );
        let connection = stage.first.connections().len() - 1;
        leave(asked, Goes::Closing, &stage.first, connection);
        stage
            .first
            .push(Script::json(200, pair.1.whole("its own answer")).close_after());
        let (_, response) = stage.post(pair.0, &Stage::chain(pair.1), false);
        assert_eq!(pair.0.read(&response).text(), "its own answer");
    }
}
