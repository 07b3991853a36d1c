//! A provider that fails again and again is passed over, and comes back.

use llmleaf_testkit::replay::Script;
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{LONG, Stage};

use super::{answer, expect_answer, stage};

#[test]
fn b25_a_provider_that_fails_is_passed_over() {
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
    for _ in 0..2 {
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
            expect_answer(
                wire,
                &response,
                text,
                "never three in a row, and not five in two seconds",
            );
        }
    }
}

#[test]
fn b13_a_wait_that_a_provider_asks_for_counts_at_once() {
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
fn b26_a_chain_whose_waits_are_not_over_answers_at_once() {
    let stage = stage().start();
    let wire = Wire::Chat;
    let limited = || Script::json(429, wire.error("rate_limit_error", "no"));
    stage.first.push(limited().header("retry-after", "3600"));
    stage.second.push(limited().header("retry-after", "1800"));
    for _ in 0..3 {
        let (_, response) = stage.post(wire, &Stage::chain(wire), true);
        assert_eq!(response.status, 429);
        let wait = response.header("retry-after").map(str::parse::<u64>);
        let wait = wait.expect("a wait").expect("seconds");
        assert!(
            (1700..=1800).contains(&wait),
            "the soonest recovery: {wait}"
        );
    }
    assert_eq!(stage.first.requests().len(), 1);
    assert_eq!(stage.second.requests().len(), 1);
}

#[test]
fn b26_a_chain_that_fails_is_tried_by_few() {
    let stage = stage().instead("fallback_cooldown_secs", "3600").start();
    let wire = Wire::Chat;
    for replay in [&stage.first, &stage.second] {
        replay.on(move |_| Script::json(500, wire.error("api_error", "no")));
    }
    for _ in 0..12 {
        let (_, response) = stage.post(wire, &Stage::chain(wire), true);
        assert!(matches!(response.status, 502 | 503), "{}", response.status);
    }
    let asked = stage.first.requests().len() + stage.second.requests().len();
    // Three each open the breakers; a trial a second is the last resort.
    assert!((6..=16).contains(&asked), "{asked}");
}

#[test]
fn b16_a_sole_provider_is_tried_again_after_a_pause() {
    let stage = stage().instead("tries_per_target", "2").start();
    for pair in Wire::PAIRS {
        stage
            .first
            .push(Script::json(503, pair.1.error("overloaded_error", "no")));
        stage.first.push(answer(pair.1, true, "first answer"));
        let (id, response) = stage.post(pair.0, &Stage::alone(pair.1), true);
        expect_answer(pair.0, &response, "first answer", "tried again");
        assert_eq!(response.header("x-llmleaf-attempts"), Some("2"));
        let usage = stage.usage(&id, 2);
        assert_eq!(usage[0].text_at(&["outcome"]), "failed");
    }
}

#[test]
fn b14_another_credential_serves_when_one_is_refused_limited_or_used_up() {
    for (status, kind) in [
        (401, "authentication_error"),
        (403, "permission_error"),
        (402, "billing_error"),
        (429, "rate_limit_error"),
    ] {
        let stage = stage()
            .first("credentials = [\"xk-Mn35-of-the-third\"]\n")
            .start();
        let wire = Wire::Messages;
        stage
            .first
            .push(Script::json(status, wire.error(kind, "no")));
        stage.first.on(move |_| answer(wire, true, "first answer"));
        for attempts in [Some("2"), None] {
            let (_, response) = stage.post(wire, &Stage::alone(wire), true);
            expect_answer(wire, &response, "first answer", kind);
            assert_eq!(response.header("x-llmleaf-attempts"), attempts, "{kind}");
        }
        let keys: Vec<Option<String>> = (stage.first.requests().iter())
            .map(|request| request.header("x-api-key").map(ToString::to_string))
            .collect();
        let key = |text: &str| Some(text.to_owned());
        let (one, other) = (
            key(llmleaf_testkit::stage::CREDENTIALS[0]),
            key("xk-Mn35-of-the-third"),
        );
        assert_eq!(keys, [one, other.clone(), other], "{status}");
    }
}

#[test]
fn b14_the_end_of_all_credentials_is_told_apart() {
    let stage = stage()
        .first("credentials = [\"xk-Mn35-of-the-third\"]\n")
        .start();
    let wire = Wire::Chat;
    stage
        .first
        .on(move |_| Script::json(401, wire.error("authentication_error", "no")));
    for requests in [2, 2] {
        let (_, response) = stage.post(wire, &Stage::alone(wire), true);
        assert_eq!(response.status, 502);
        let code = response.json().text_at(&["error", "code"]).to_owned();
        assert_eq!(code, "credentials_exhausted", "{}", response.text());
        assert_eq!(stage.first.requests().len(), requests, "at once");
    }
}

#[test]
fn b29_a_consumers_bad_requests_and_hang_ups_harm_nobody() {
    let stage = stage().instead("fallback_cooldown_secs", "3600").start();
    let wire = Wire::Chat;
    for _ in 0..6 {
        stage
            .first
            .push(Script::json(400, wire.error("invalid_request_error", "no")));
        let (_, response) = stage.post(wire, &Stage::chain(wire), true);
        assert_eq!(response.status, 400);
        stage.first.push(Script::silent());
        let count = stage.first.requests().len();
        let asked = stage.ask(wire, &Stage::chain(wire), true);
        assert!(stage.first.wait_requests(count + 1, LONG).is_some());
        drop(asked);
    }
    stage.first.on(move |_| answer(wire, true, "first answer"));
    let (_, response) = stage.post(wire, &Stage::chain(wire), true);
    expect_answer(wire, &response, "first answer", "still there");
}
