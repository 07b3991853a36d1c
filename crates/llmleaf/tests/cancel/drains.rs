//! Upstreams that are read to their end although their consumers have gone: what that brings, and where it ends.

use std::time::Instant;

use llmleaf_testkit::json::Value;
use llmleaf_testkit::replay::{Gate, Script};
use llmleaf_testkit::samples::{INPUT_TOKENS, OUTPUT_TOKENS, Wire};
use llmleaf_testkit::stage::{Asked, LONG, Stage};

use super::{quiet, stage};

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
fn a8_no_more_than_so_much_is_read_for_nobody() {
    /// As the program has it for an answer, and what one piece of this one holds.
    const MOST: usize = 16 << 20;
    const PIECE: usize = 256 << 10;
    let _quiet = quiet();
    // Not judged: that the upstream outlives its consumer is what is asked for here.
    let stage = Stage::with(env!("CARGO_BIN_EXE_llmleaf"))
        .first("on_cancel = \"drain\"\n")
        .start();
    let gate = Gate::new();
    let script = Script::json(200, vec![b' '; 2 * MOST]).write_every(PIECE);
    stage.first.push(script.hold_at(PIECE, &gate));
    let asked = stage.ask(Wire::Chat, "chat", false);
    assert!(gate.wait_reached(LONG));
    let id = asked.id.clone();
    gone(&stage, asked);
    gate.release();
    assert!(stage.first.wait_closed(0, LONG).is_some());
    let written = stage.first.connections()[0].writes.len() * PIECE;
    // What the sockets between the two hold comes on top.
    assert!((MOST..2 * MOST).contains(&written), "{written}");
    let usage = stage.usage(&id, 1);
    assert_eq!(usage[0].text_at(&["outcome"]), "cancelled");
    let billed = usage[0].get("possibly_billed");
    assert!(billed.is_some_and(Value::is_truthy));
}
