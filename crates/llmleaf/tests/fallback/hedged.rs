//! A second target beside one that is slower than it nearly always is.

use llmleaf_testkit::json::Value;
use llmleaf_testkit::replay::{Gate, Script};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{Asked, LONG, Stage};

use super::{answer, expect_answer, stage};

/// Answers after which it is known what a target nearly always needs.
const ENOUGH: usize = 20;

/// A stage whose first provider is known to be fast, in one dialect.
fn hedging(wire: Wire) -> Stage {
    let stage = stage().route("hedge = true\n").start();
    for _ in 0..ENOUGH {
        stage.first.push(answer(wire, true, "first answer"));
        let (_, response) = stage.post(wire, &Stage::chain(wire), true);
        expect_answer(wire, &response, "first answer", "fast");
    }
    assert_eq!(stage.second.connections().len(), 0, "nobody was slow");
    stage
}

/// Asks for a stream while the first provider holds its answer back, and waits until the second one is asked too.
#[track_caller]
fn slow(stage: &Stage, pair: (Wire, Wire), first: Script, second: Script) -> (Gate, Asked) {
    let gate = Gate::new();
    let before = stage.second.requests().len();
    stage.first.push(first.hold_head(&gate));
    stage.second.push(second);
    let asked = stage.ask(pair.0, &Stage::chain(pair.1), true);
    assert!(stage.second.wait_requests(before + 1, LONG).is_some());
    (gate, asked)
}

/// The outcomes of an exchange by attempt.
fn outcomes(stage: &Stage, id: &str) -> [String; 2] {
    let mut records = stage.usage(id, 2);
    records.sort_by_key(|record| record.u64_at(&["attempt"]));
    [0, 1].map(|index| records[index].text_at(&["outcome"]).to_owned())
}

fn last_closed(replay: &llmleaf_testkit::replay::Replay) -> bool {
    let last = replay.connections().len() - 1;
    replay.wait_closed(last, LONG).is_some()
}

#[test]
fn b30_whoever_has_content_first_is_the_answer_and_the_other_is_closed() {
    for pair in Wire::PAIRS {
        let stage = hedging(pair.1);
        let case = format!("{} to {}", pair.0, pair.1);
        let second = answer(pair.1, true, "second answer");
        let (_gate, mut asked) = slow(&stage, pair, answer(pair.1, true, "late"), second);
        let response = asked.connection.response();
        expect_answer(pair.0, &response, "second answer", &case);
        assert_eq!(response.header("x-llmleaf-attempts"), Some("2"), "{case}");
        assert!(last_closed(&stage.first), "{case}");
        assert_eq!(outcomes(&stage, &asked.id), ["outrun", "completed"]);
        let records = stage.usage(&asked.id, 2);
        let billed = records
            .iter()
            .filter(|record| record.get("possibly_billed").is_some_and(Value::is_truthy));
        assert_eq!(billed.count(), 1, "the loser may be: {case}");

        // The second is asked, and the first is sooner all the same.
        let first = answer(pair.1, true, "first answer");
        let (gate, mut asked) = slow(&stage, pair, first, Script::silent());
        gate.release();
        let response = asked.connection.response();
        expect_answer(pair.0, &response, "first answer", &case);
        assert!(last_closed(&stage.second), "{case}");
        assert_eq!(outcomes(&stage, &asked.id), ["completed", "outrun"]);
    }
}

#[test]
fn b30_an_attempt_that_fails_leaves_the_other_its_chance() {
    let wire = Wire::Chat;
    let stage = hedging(wire);
    let fails = || Script::json(500, wire.error("api_error", "no"));
    let held = Gate::new();
    let second = answer(wire, true, "second answer").hold_head(&held);
    let (gate, mut asked) = slow(&stage, (wire, wire), fails(), second);
    gate.release();
    assert!(
        stage
            .leaf
            .wait_lines(1, LONG, |line| line.contains(&asked.id))
            .is_some()
    );
    held.release();
    let response = asked.connection.response();
    expect_answer(wire, &response, "second answer", "the first failed");
    assert_eq!(outcomes(&stage, &asked.id), ["failed", "completed"]);

    let (gate, mut asked) = slow(&stage, (wire, wire), fails(), fails());
    gate.release();
    let response = asked.connection.response();
    assert_eq!(response.status, 502, "{}", response.text());
    assert_eq!(response.header("x-llmleaf-attempts"), Some("2"));
    assert_eq!(response.header("x-should-retry"), Some("false"));
    assert_eq!(outcomes(&stage, &asked.id), ["failed", "failed"]);

    // A request that is wrong is so for both.
    let bad = Script::json(400, wire.error("invalid_request_error", "no such field"));
    let (gate, mut asked) = slow(&stage, (wire, wire), bad, Script::silent());
    gate.release();
    let response = asked.connection.response();
    assert_eq!(response.status, 400, "{}", response.text());
    assert!(response.text().contains("no such field"));
    assert!(last_closed(&stage.second));
    assert_eq!(outcomes(&stage, &asked.id), ["failed", "outrun"]);

    // What the second refuses, the first may take: without a second it would have answered.
    let bad = Script::json(400, wire.error("invalid_request_error", "no such field"));
    let first = answer(wire, true, "first answer");
    let (gate, mut asked) = slow(&stage, (wire, wire), first, bad);
    let refused = |line: &str| line.contains(&asked.id) && line.contains("llmleaf::usage");
    assert!(stage.leaf.wait_lines(1, LONG, refused).is_some());
    gate.release();
    let response = asked.connection.response();
    expect_answer(wire, &response, "first answer", "the second refused");
    assert_eq!(outcomes(&stage, &asked.id), ["completed", "failed"]);
}

#[test]
fn b30_nobody_is_asked_beside_a_first_for_a_whole_answer() {
    let wire = Wire::Messages;
    let stage = hedging(wire);
    let gate = Gate::new();
    let first = answer(wire, false, "first answer").hold_head(&gate);
    stage.first.push(first);
    let mut asked = stage.ask(wire, &Stage::chain(wire), false);
    assert!(gate.wait_reached(LONG));
    // A stream is hedged meanwhile, so that the time for that has surely come.
    let second = answer(wire, true, "second answer");
    let (_gate, mut other) = slow(&stage, (wire, wire), Script::silent(), second);
    let response = other.connection.response();
    expect_answer(wire, &response, "second answer", "beside");
    gate.release();
    expect_answer(wire, &asked.connection.response(), "first answer", "whole");
    assert_eq!(stage.second.requests().len(), 1);
}
