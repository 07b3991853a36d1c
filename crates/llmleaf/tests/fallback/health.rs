//! A provider that fails again and again is passed over, and comes back.

use llmleaf_testkit::replay::Script;
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::Stage;

use super::{answer, expect_answer, stage};

#[test]
fn a_provider_that_fails_is_passed_over() {
    let stage = stage().instead("fallback_cooldown_secs", "3600").start();
    let wire = Wire::Chat;
    stage
        .second
        .on(move |_| answer(wire, true, "second answer"));
    stage
        .first
        .on(move |_| Script::json(500, wire.error("api_error", "no")));
    for round in 0..6 {
        let (_, response) = stage.post(wire, &Stage::chain(wire), true);
        expect_answer(wire, &response, "second answer", &format!("round {round}"));
    }
    let asked = stage.first.requests().len();
    assert_eq!(asked, 3, "three failures in a row are enough");
}

#[test]
fn streams_that_break_after_content_count_too() {
    let stage = stage().instead("fallback_cooldown_secs", "3600").start();
    let wire = Wire::Messages;
    stage
        .second
        .on(move |_| answer(wire, true, "second answer"));
    stage.first.on(move |_| {
        let stream = wire.stream("first answer");
        Script::sse(stream.body()).close_at(stream.until(1).len())
    });
    for _ in 0..3 {
        let (_, response) = stage.post(wire, &Stage::chain(wire), true);
        assert_eq!(wire.read(&response).text(), "first ");
    }
    let (_, response) = stage.post(wire, &Stage::chain(wire), true);
    expect_answer(wire, &response, "second answer", "passed over");
}

#[test]
fn a_success_between_failures_forgets_them() {
    let stage = stage().instead("fallback_cooldown_secs", "3600").start();
    let wire = Wire::Chat;
    stage
        .second
        .on(move |_| answer(wire, false, "second answer"));
    for _ in 0..3 {
        for fails in [true, true, false] {
            stage.first.push(if fails {
                Script::json(500, "{}")
            } else {
                answer(wire, false, "first answer")
            });
            let (_, response) = stage.post(wire, &Stage::chain(wire), false);
            let text = if fails {
                "second answer"
            } else {
                "first answer"
            };
            expect_answer(wire, &response, text, "never three in a row");
        }
    }
}

#[test]
fn a_wait_that_a_provider_asks_for_counts_at_once() {
    let stage = stage().start();
    let wire = Wire::Messages;
    stage
        .second
        .on(move |_| answer(wire, true, "second answer"));
    let limited = Script::json(429, wire.error("rate_limit_error", "no"));
    stage.first.push(limited.header("retry-after", "3600"));
    for _ in 0..3 {
        let (_, response) = stage.post(wire, &Stage::chain(wire), true);
        expect_answer(wire, &response, "second answer", "passed over");
    }
    assert_eq!(stage.first.requests().len(), 1);
}

#[test]
fn a_chain_that_is_passed_over_as_a_whole_is_tried_all_the_same() {
    let stage = stage().start();
    let wire = Wire::Chat;
    let limited = || Script::json(429, wire.error("rate_limit_error", "no"));
    stage.first.push(limited().header("retry-after", "3600"));
    stage.second.push(limited().header("retry-after", "1800"));
    let (_, response) = stage.post(wire, &Stage::chain(wire), true);
    assert_eq!(response.header("retry-after"), Some("1800"));
    stage.second.push(answer(wire, true, "second answer"));
    let (_, response) = stage.post(wire, &Stage::chain(wire), true);
    expect_answer(wire, &response, "second answer", "soonest first");
}
