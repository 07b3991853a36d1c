//! What counts against whose limits: tokens that were used, and none that were not.

use llmleaf_testkit::http;
use llmleaf_testkit::replay::Script;
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{LONG, Stage};

use super::{answer, expect_answer, stage};

/// More than a sample request is thought to use, and less than two are.
const ONE_REQUEST: &str = "limits = { tokens_per_min = 1500 }\n";

#[test]
fn counting_tokens_is_no_use_of_any() {
    let stage = Stage::with(env!("CARGO_BIN_EXE_llmleaf"))
        .instead("fallback_cooldown_secs", "3600")
        .first("limits = { requests_per_min = 3 }\n")
        .key(ONE_REQUEST)
        .start();
    let count = |wire: Wire, id: &str| {
        let bearer = stage.bearer();
        let headers = [("authorization", &*bearer), ("x-request-id", id)];
        let body = Wire::Messages.request(&Stage::alone(wire), false);
        let response = http::post(
            stage.leaf.addr,
            "/v1/messages/count_tokens",
            &headers,
            &body,
        );
        assert_eq!(response.status, 200, "{}", response.text());
        response
    };
    let recorded = |id: &str| {
        let usage = stage.usage(id, 1);
        assert_eq!(usage[0].text_at(&["grade"]), "none");
        assert_eq!(usage[0].u64_at(&["input"]), Some(0));
    };
    // Counted by the provider.
    stage
        .first
        .push(Script::json(200, r#"{"input_tokens":77}"#));
    let counted = count(Wire::Messages, "count-0").json();
    assert_eq!(counted.u64_at(&["input_tokens"]), Some(77));
    recorded("count-0");
    // Estimated here: nobody is asked, no limit of the provider's is used, and it says nothing of the provider's health.
    let wire = Wire::Chat;
    for round in 1..=3 {
        stage.first.push(Script::json(500, "{}"));
        stage.second.push(answer(wire, true, "second answer"));
        let (_, response) = stage.post(wire, &Stage::chain(wire), true);
        expect_answer(wire, &response, "second answer", "the first fails");
        let counted = count(wire, &format!("count-{round}"));
        assert_eq!(counted.header("x-llmleaf-estimate"), Some("true"));
    }
    recorded("count-2");
    assert_eq!(stage.first.requests().len(), 4);
    stage.second.push(answer(wire, true, "second answer"));
    let (_, response) = stage.post(wire, &Stage::chain(wire), true);
    expect_answer(wire, &response, "second answer", "three failures in a row");
    assert_eq!(response.header("x-llmleaf-attempts"), None);
}

#[test]
fn a_consumer_that_hangs_up_early_has_used_what_it_was_thought_to_use() {
    let stage = stage()
        .key("limits = { tokens_per_min = 3000 }\n")
        .first("limits = { tokens_per_min = 1500 }\n")
        .start();
    let wire = Wire::Chat;
    stage.first.push(Script::silent());
    let request = stage.ask(wire, &Stage::chain(wire), true);
    assert!(stage.first.wait_requests(1, LONG).is_some());
    let id = request.id.clone();
    drop(request);
    assert_eq!(stage.usage(&id, 1)[0].text_at(&["grade"]), "none");
    stage.second.push(answer(wire, true, "second answer"));
    let (_, response) = stage.post(wire, &Stage::chain(wire), true);
    expect_answer(
        wire,
        &response,
        "second answer",
        "the first is at its limit",
    );
    let left = response.header("x-ratelimit-remaining-tokens");
    let left = left.and_then(|text| text.parse::<u64>().ok());
    assert!(left < Some(1500), "both are charged: {left:?} of 3000");
    assert!(left.is_some());
}

#[test]
fn a_stream_that_breaks_has_used_what_came_of_it() {
    let stage = stage().first(ONE_REQUEST).start();
    let wire = Wire::Chat;
    for _ in 0..2 {
        let stream = wire.stream("first answer");
        let script = Script::sse(stream.body()).close_at(stream.until(1).len());
        stage.first.push(script);
        let (_, response) = stage.post(wire, &Stage::chain(wire), true);
        assert_eq!(wire.read(&response).text(), "first ");
    }
    assert_eq!(stage.first.requests().len(), 2, "it fits again at once");
}
