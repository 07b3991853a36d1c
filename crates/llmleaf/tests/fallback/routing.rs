//! Where requests go: what they ask themselves, strategies, and limits.

use llmleaf_testkit::replay::{Gate, Script};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{LONG, Stage};

use super::{answer, expect_answer, stage, survives};

/// A request body with more fields at its top level.
fn body(wire: Wire, model: &str, fields: &str) -> String {
    let body = wire.request(model, true);
    let (head, rest) = body.split_at(1);
    format!("{head}{fields},{rest}")
}

/// Which of the providers were asked.
fn asked(stage: &Stage) -> (usize, usize) {
    (stage.first.requests().len(), stage.second.requests().len())
}

#[test]
fn a_request_chooses_among_the_targets_of_its_route() {
    for wire in Wire::BOTH {
        let (first, second) = (format!("{wire}-first"), format!("{wire}-SECOND"));
        for (fields, expected) in [
            (format!(r#""provider":{{"order":["{second}"]}}"#), (0, 1)),
            (
                format!(r#""provider":{{"only":["{second}","nobody"]}}"#),
                (0, 1),
            ),
            (format!(r#""provider":{{"ignore":["{first}"]}}"#), (0, 1)),
            (format!(r#""provider":{{"order":["{first}"]}}"#), (1, 0)),
            (format!(r#""models":["{wire}-second"]"#), (1, 0)),
        ] {
            let stage = stage().start();
            stage.first.on(move |_| answer(wire, true, "an answer"));
            stage.second.on(move |_| answer(wire, true, "an answer"));
            let mut request = stage.ask_with(wire, &body(wire, &Stage::chain(wire), &fields));
            expect_answer(wire, &request.connection.response(), "an answer", &fields);
            assert_eq!(asked(&stage), expected, "{fields}");
            let sent = [stage.first.requests(), stage.second.requests()].concat();
            let sent = String::from_utf8_lossy(&sent[0].body).into_owned();
            assert!(
                !sent.contains("\"provider\"") && !sent.contains("models"),
                "{sent}"
            );
        }
    }
}

#[test]
fn a_request_s_further_models_are_tried_after_its_own() {
    let stage = stage().start();
    let wire = Wire::Chat;
    stage
        .first
        .on(move |_| Script::json(500, wire.error("api_error", "no")));
    stage
        .second
        .on(move |_| answer(wire, true, "second answer"));
    let fields = r#""models":["chat-first","chat-second","nobody's"]"#;
    let mut request = stage.ask_with(wire, &body(wire, "chat-first", fields));
    let response = request.connection.response();
    expect_answer(wire, &response, "second answer", "models");
    assert_eq!(asked(&stage), (1, 1));
    let lost = response.header("x-llmleaf-loss").unwrap_or_default();
    assert!(lost.contains("models[2]"), "{lost}");
}

#[test]
fn a_wish_that_nobody_meets_is_refused_and_named() {
    let stage = stage().start();
    let wire = Wire::Chat;
    for (fields, param) in [
        (r#""provider":{"only":["nobody"]}"#, "provider.only"),
        (
            r#""provider":{"max_price":{"prompt":1}}"#,
            "provider.max_price",
        ),
        (r#""provider":{"zdr":true}"#, "provider.data_collection"),
    ] {
        let mut request = stage.ask_with(wire, &body(wire, &Stage::chain(wire), fields));
        let response = request.connection.response();
        assert_eq!(response.status, 404, "{}", response.text());
        assert_eq!(response.json().text_at(&["error", "param"]), param);
    }
    // Proofs that a target cannot verify do not get there: it takes not all that is said.
    let proven = body(
        wire,
        &Stage::chain(wire),
        r#""provider":{"require_parameters":true}"#,
    );
    let thought = r#""messages":[{"role":"assistant","content":"a","reasoning_details":[{"type":"reasoning.encrypted","data":"p","format":"anthropic-claude-v1"}]},"#;
    let proven = proven.replacen("\"messages\":[", thought, 1);
    let mut request = stage.ask_with(wire, &proven);
    let response = request.connection.response();
    assert_eq!(response.status, 404, "{}", response.text());
    assert_eq!(
        response.json().text_at(&["error", "param"]),
        "provider.require_parameters"
    );
    assert_eq!(asked(&stage), (0, 0));
}

#[test]
fn the_first_choice_alone_means_no_other() {
    let stage = stage().start();
    let wire = Wire::Chat;
    stage
        .first
        .push(Script::json(500, wire.error("api_error", "no")));
    let fields = r#""provider":{"allow_fallbacks":false}"#;
    let mut request = stage.ask_with(wire, &body(wire, &Stage::chain(wire), fields));
    assert_eq!(request.connection.response().status, 502);
    assert_eq!(asked(&stage), (1, 0));
}

#[test]
fn a_routing_suffix_is_no_part_of_the_model_s_name() {
    let stage = stage().start();
    let wire = Wire::Chat;
    stage.first.on(move |_| answer(wire, true, "first answer"));
    let (_, response) = stage.post(wire, "chat-first:nitro", true);
    expect_answer(wire, &response, "first answer", "nitro");
    let (_, response) = stage.post(wire, "chat-first:8b", true);
    assert_eq!(response.status, 404);
}

#[test]
fn a_target_at_its_limit_is_passed_over_and_comes_back() {
    let stage = stage().first("limits = { max_concurrent = 1 }\n").start();
    let wire = Wire::Chat;
    let gate = Gate::new();
    stage
        .first
        .push(answer(wire, true, "first answer").hold_head(&gate));
    let mut held = stage.ask(wire, &Stage::chain(wire), true);
    assert!(gate.wait_reached(LONG));
    stage.second.push(answer(wire, true, "second answer"));
    let (_, response) = stage.post(wire, &Stage::chain(wire), true);
    expect_answer(wire, &response, "second answer", "the first is busy");
    let (_, response) = stage.post(wire, &Stage::alone(wire), true);
    assert_eq!(response.status, 429, "{}", response.text());
    assert!(response.header("retry-after-ms").is_some());
    gate.release();
    expect_answer(wire, &held.connection.response(), "first answer", "held");
    // Its place is given back, also by who hangs up.
    for _ in 0..3 {
        stage.first.push(Script::silent());
        let asked = stage.first.requests().len();
        let request = stage.ask(wire, &Stage::alone(wire), true);
        assert!(stage.first.wait_requests(asked + 1, LONG).is_some());
        let connection = stage.first.connections().len() - 1;
        drop(request);
        assert!(stage.first.wait_closed(connection, LONG).is_some());
    }
    stage.first.push(answer(wire, true, "first answer"));
    let (_, response) = stage.post(wire, &Stage::alone(wire), true);
    expect_answer(wire, &response, "first answer", "free again");
}

#[test]
fn a_request_waits_for_a_place_that_comes_free_in_time() {
    let stage = stage()
        .instead("rate_limit_max_wait_ms", "20000")
        .first("limits = { max_concurrent = 1 }\n")
        .start();
    let wire = Wire::Messages;
    let gate = Gate::new();
    stage
        .first
        .push(answer(wire, true, "first answer").hold_head(&gate));
    let mut one = stage.ask(wire, &Stage::alone(wire), true);
    assert!(gate.wait_reached(LONG));
    stage.first.push(answer(wire, true, "first answer"));
    let mut other = stage.ask(wire, &Stage::alone(wire), true);
    gate.release();
    for request in [&mut one, &mut other] {
        expect_answer(
            wire,
            &request.connection.response(),
            "first answer",
            "waits",
        );
    }
}

#[test]
fn limits_of_requests_and_tokens_are_kept_per_model() {
    let stage = stage()
        .first("model_limits = { \"m-1\" = { requests_per_min = 2 } }\n")
        .start();
    let wire = Wire::Chat;
    for replay in [&stage.first, &stage.second] {
        replay.on(move |_| answer(wire, true, "an answer"));
    }
    for _ in 0..5 {
        let (_, response) = stage.post(wire, &Stage::chain(wire), true);
        expect_answer(wire, &response, "an answer", "limits");
    }
    assert_eq!(asked(&stage), (2, 3));
}

#[test]
fn a_conversation_stays_where_it_is() {
    let stage = stage().route("strategy = \"balanced\"\n").start();
    let wire = Wire::Chat;
    for replay in [&stage.first, &stage.second] {
        replay.on(move |_| answer(wire, true, "an answer"));
    }
    // The same beginning, whatever follows it, stays at one of the two, whichever that is.
    for turn in 0..8 {
        let more = format!(r#""content":"Say three words."}},{{"role":"user","content":"{turn}""#);
        let body = wire.request(&Stage::chain(wire), true);
        let body = body.replace(r#""content":"Say two words.""#, &more);
        assert!(body.contains(&more), "{body}");
        let mut request = stage.ask_with(wire, &body);
        expect_answer(
            wire,
            &request.connection.response(),
            "an answer",
            "balanced",
        );
    }
    let (first, second) = asked(&stage);
    assert!(
        (first, second) == (8, 0) || (first, second) == (0, 8),
        "{first} {second}"
    );
}

#[test]
fn a_key_is_told_of_its_limits_and_held_to_them() {
    let stage = stage()
        .key("limits = { requests_per_min = 2, tokens_per_min = 100000 }\n")
        .start();
    for (wire, remaining, reset) in [
        (
            Wire::Chat,
            "x-ratelimit-remaining-requests",
            "x-ratelimit-reset-requests",
        ),
        (
            Wire::Messages,
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset",
        ),
    ] {
        stage.first.push(answer(wire, true, "first answer"));
        let (_, response) = stage.post(wire, &Stage::alone(wire), true);
        expect_answer(wire, &response, "first answer", "within");
        assert!(response.header(remaining).is_some(), "{wire}");
        assert!(response.header(reset).is_some(), "{wire}");
    }
    for wire in Wire::BOTH {
        let (_, response) = stage.post(wire, &Stage::alone(wire), true);
        assert_eq!(response.status, 429, "{}", response.text());
        let wait = response.header("retry-after").map(str::parse::<u64>);
        assert!(matches!(wait, Some(Ok(1..=31))), "{wait:?}");
    }
    assert_eq!(stage.first.requests().len(), 2);
}

#[test]
fn the_deadline_of_an_exchange_covers_all_of_its_attempts() {
    let stage = stage()
        .instead("fallback_cooldown_secs", "3600")
        .route("deadline_ms = 200\n")
        .start();
    let wire = Wire::Chat;
    for round in 1..=3 {
        stage.first.push(Script::silent());
        let (id, response) = stage.post(wire, &Stage::chain(wire), true);
        assert_eq!(response.status, 504, "{}", response.text());
        assert_eq!(
            stage.usage(&id, 1)[0].text_at(&["failure"]),
            "upstream_timeout"
        );
        assert_eq!(asked(&stage), (round, 0), "no time is left for the second");
    }
    // It was given no more of a clock than the exchange had left: nobody passes it over for that.
    stage.first.push(answer(wire, true, "first answer"));
    let (_, response) = stage.post(wire, &Stage::chain(wire), true);
    expect_answer(wire, &response, "first answer", "in time");
}

#[test]
fn a_conversation_stays_where_a_whole_answer_came_from() {
    let stage = stage().route("strategy = \"latency\"\n").start();
    let wire = Wire::Chat;
    stage.first.push(Script::json(500, "{}"));
    for round in 1..=2 {
        stage.second.push(answer(wire, false, "second answer"));
        let body = wire.request(&Stage::chain(wire), false);
        let mut request = stage.ask_with(wire, &body.replace("two words", "the same"));
        let response = request.connection.response();
        expect_answer(wire, &response, "second answer", "whole");
        assert_eq!(asked(&stage), (1, round));
    }
}

#[test]
fn what_is_collected_goes_on_to_the_next_until_it_is_whole() {
    let stage = stage()
        .first("settings = { upstream_streaming = \"always\" }\n")
        .start();
    for pair in Wire::PAIRS {
        let stream = pair.1.stream("first answer");
        let script = Script::sse(stream.body()).close_at(stream.until(1).len());
        stage.first.push(script);
        survives(&stage, pair, false, "upstream_truncated", "collected");
    }
}
