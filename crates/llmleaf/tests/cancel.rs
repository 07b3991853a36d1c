//! A consumer that hangs up ends its upstream call, in every phase, within 100 ms by the upstream's own record, not counting what the two
//! stood by for a processor.
//!
//! Each phase is played often; the figures are printed (`--nocapture`). `LLMLEAF_HANGUPS=10000` plays so many over all phases;
//! of those the 99th percentile has the bound, and none may take five times as long.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed; figures are printed"
)]

#[path = "cancel/drains.rs"]
mod drains;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use llmleaf_testkit::replay::{Gate, Replay, Script};
use llmleaf_testkit::samples::Wire;
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

/// How long an upstream's connection outlived its consumer.
#[derive(Clone, Copy, Debug)]
struct Outlived {
    /// By the upstream's own record.
    took: Duration,
    /// So much of it, at most, the program and the upstream stood by for a processor: that is the machine's time.
    queued: Duration,
}

impl Outlived {
    fn own(self) -> Duration {
        self.took.saturating_sub(self.queued)
    }
}

/// What the program and an upstream have waited so far for a processor.
fn queued(stage: &Stage, upstream: &Replay) -> Duration {
    stage.leaf.queued() + upstream.queued()
}

/// Leaves, and says how long the upstream's connection outlived it.
fn leave(
    stage: &Stage,
    asked: Asked,
    goes: Goes,
    upstream: &Replay,
    connection: usize,
) -> Outlived {
    assert_eq!(
        upstream.connections()[connection].closed,
        None,
        "closed before the consumer went"
    );
    let before = queued(stage, upstream);
    let left = Instant::now();
    match goes {
        Goes::Closing => drop(asked.connection),
        Goes::Resetting => asked.connection.reset(),
    }
    let closed = upstream
        .wait_closed(connection, LONG)
        .expect("the upstream's connection closes");
    Outlived {
        took: closed.at.saturating_duration_since(left),
        queued: queued(stage, upstream).saturating_sub(before),
    }
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
            took.push(leave(stage, asked, goes, &stage.first, number));
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
fn report(name: &str, in_order: Vec<Outlived>) {
    let all = in_order.len() - 1;
    let sorted = |time: fn(&Outlived) -> Duration| {
        let mut times: Vec<Duration> = in_order.iter().map(time).collect();
        times.sort_unstable();
        times
    };
    let (took, own) = (sorted(|one| one.took), sorted(|one| one.own()));
    let at = |times: &[Duration], share: f64| times[(all as f64 * share).round() as usize];
    let ms = |d: Duration| d.as_secs_f64() * 1000.0;
    println!(
        "cancel: {name}: n {} p50 {:.2} ms p99 {:.2} ms max {:.2} ms; without waits for a processor p99 {:.2} ms max {:.2} ms",
        took.len(),
        ms(at(&took, 0.5)),
        ms(at(&took, 0.99)),
        ms(took[all]),
        ms(at(&own, 0.99)),
        ms(own[all]),
    );
    // Of many, a few meet whatever else the machine does.
    let (most, bound) = match asked_for() {
        Some(_) => (at(&own, 0.99), BOUND * 5),
        None => (own[all], BOUND),
    };
    assert!(most <= BOUND && own[all] <= bound, "{name}: {in_order:?}");
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
        took.push(leave(&stage, asked, Goes::Closing, &port, number));
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
        took.push(leave(&stage, asked, Goes::Closing, &stage.second, number));
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
    leave(&stage, asked, Goes::Closing, &stage.first, first);
    assert!(stage.second.wait_closed(0, LONG).is_some());
    for record in stage.usage(&id, 2) {
        assert_eq!(record.text_at(&["outcome"]), "cancelled");
    }
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
    let before = queued(&stage, &stage.first);
    let left = Instant::now();
    drop(all);
    assert!(stage.first.wait_all_closed(LONG));
    let queued = queued(&stage, &stage.first).saturating_sub(before);
    let connections = stage.first.connections();
    assert_eq!(connections.len(), 100);
    let closed = connections.iter().filter_map(|c| c.closed);
    report(
        "a hundred at once",
        closed
            .map(|c| Outlived {
                took: c.at.saturating_duration_since(left),
                queued,
            })
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
        leave(&stage, asked, Goes::Closing, &stage.first, connection);
        stage
            .first
            .push(Script::json(200, pair.1.whole("its own answer")).close_after());
        let (_, response) = stage.post(pair.0, &Stage::chain(pair.1), false);
        assert_eq!(pair.0.read(&response).text(), "its own answer");
    }
}
