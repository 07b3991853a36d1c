//! After the first content there is no other provider: the consumer gets what came, an error in its own dialect, and no
//! clean end.

use llmleaf_testkit::http::{End, Response};
use llmleaf_testkit::replay::Script;
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::Stage;

use super::stage;

/// What the consumer may have got of `first answer`.
#[track_caller]
fn expect_broken(consumer: Wire, response: &Response, text: &str, case: &str) {
    assert_eq!(response.status, 200, "{case}");
    let body = response.text();
    assert!(
        matches!(response.end, End::Cut | End::Reset),
        "{case}: ended {:?}: {body}",
        response.end
    );
    let digest = consumer.read(response);
    assert_eq!(digest.text(), text, "{case}: {body}");
    assert!(digest.error.is_some(), "{case}: no error in {body}");
    assert!(!digest.terminal, "{case}: a clean end in {body}");
    assert_eq!(digest.corrupt, 0, "{case}: {body}");
    assert_eq!(response.sse().unfinished, None, "{case}: {body}");
    let last = response.sse().events.last().cloned().expect("an event");
    match consumer {
        Wire::Chat => {
            assert!(!body.contains("[DONE]"), "{case}: {body}");
            assert!(
                !body.contains(r#""finish_reason":"stop""#),
                "{case}: {body}"
            );
            assert!(last.data.contains(r#""error":"#), "{case}: {}", last.data);
        }
        _ => {
            assert!(!body.contains("message_stop"), "{case}: {body}");
            assert_eq!(last.event, "error", "{case}: {body}");
            assert!(
                last.data.starts_with(r#"{"type":"error""#),
                "{case}: {}",
                last.data
            );
        }
    }
}

#[track_caller]
fn breaks(
    stage: &Stage,
    pair: (Wire, Wire),
    script: Script,
    text: &str,
    failure: &str,
    case: &str,
) {
    let (consumer, provider) = pair;
    let case = format!("{consumer} to {provider}: {case}");
    stage.first.push(script);
    let (id, response) = stage.post(consumer, &Stage::chain(provider), true);
    expect_broken(consumer, &response, text, &case);
    let usage = stage.usage(&id, 1);
    assert_eq!(usage[0].text_at(&["outcome"]), "broken", "{case}");
    assert_eq!(usage[0].text_at(&["failure"]), failure, "{case}");
    let grade = usage[0].text_at(&["grade"]);
    assert!(matches!(grade, "estimated" | "partial"), "{case}: {grade}");
    assert!(usage[0].u64_at(&["output"]) > Some(0), "{case}");
    assert_eq!(
        stage.second.requests().len(),
        0,
        "{case}: no second provider"
    );
}

#[test]
fn b9_every_fault_after_content_is_told_in_band() {
    let stage = stage().start();
    for pair in Wire::PAIRS {
        let stream = pair.1.stream("first answer");
        let (body, one) = (stream.body(), stream.until(1));
        let sse = |text: &str| Script::sse(text.to_owned());
        let error = pair.1.error_event("overloaded_error", "Overloaded");
        let cut = "upstream_truncated";
        for (case, script, failure) in [
            ("FIN", sse(&body).close_at(one.len()), cut),
            (
                "FIN within an event",
                sse(&body).close_at(one.len() + 20),
                cut,
            ),
            (
                "an end without a terminal",
                sse(&body).end_at(one.len()),
                cut,
            ),
            (
                "an error event",
                sse(&format!("{one}{error}")),
                "overloaded",
            ),
            (
                "no JSON",
                sse(&format!("{one}data: {{nope\n\n")),
                "upstream_invalid",
            ),
            (
                "no chunk size",
                sse(&one).end_at(one.len()).close_at(one.len()),
                cut,
            ),
        ] {
            breaks(&stage, pair, script, "first ", failure, case);
        }
        let endless = format!("{one}data: {}", "x".repeat(9 << 20));
        let script = Script::sse(endless).write_at_once();
        breaks(
            &stage,
            pair,
            script,
            "first ",
            "upstream_invalid",
            "an event without end",
        );
    }
}

#[test]
fn b9_a_reset_after_content_is_told_in_band() {
    let stage = stage().start();
    for pair in Wire::PAIRS {
        let stream = pair.1.stream("first answer");
        let one = stream.until(1).len();
        let gate = llmleaf_testkit::replay::Gate::new();
        stage
            .first
            .push(Script::sse(stream.body()).hold_at(one, &gate).reset_at(one));
        let mut asked = stage.ask(pair.0, &Stage::chain(pair.1), true);
        // A reset may overtake what was sent before it, so that must have arrived first.
        asked.connection.read_to("first ");
        gate.release();
        let response = asked.connection.response();
        expect_broken(pair.0, &response, "first ", "RST");
        assert_eq!(stage.usage(&asked.id, 1)[0].text_at(&["outcome"]), "broken");
    }
}

#[test]
fn b10_a_stream_cut_at_any_of_its_events_never_ends_well() {
    let stage = stage().start();
    for pair in Wire::PAIRS {
        let stream = pair.1.stream("first answer");
        let (body, words) = (stream.body(), stream.lifecycle.len());
        let ends = stream.boundaries();
        let cuts = ends.iter().enumerate();
        for (index, end) in cuts.take(ends.len() - 1).skip(words) {
            let text = if index == words {
                "first "
            } else {
                "first answer"
            };
            // Messages has its terminal last; the chat wire has its usage and a mark behind the finish.
            let script = Script::sse(body.clone()).end_at(*end);
            stage.first.push(script);
            let (_, response) = stage.post(pair.0, &Stage::chain(pair.1), true);
            let case = format!("{} to {}, cut after event {index}", pair.0, pair.1);
            let digest = pair.0.read(&response);
            assert_eq!(digest.text(), text, "{case}");
            assert!(
                digest.error.is_some() && !digest.terminal,
                "{case}: {}",
                response.text()
            );
            assert!(matches!(response.end, End::Cut | End::Reset), "{case}");
        }
    }
}

#[test]
fn a_stream_cut_at_any_byte_is_a_prefix_and_an_error() {
    let stage = stage().start();
    for wire in Wire::BOTH {
        let stream = wire.stream("first answer");
        let body = stream.body();
        let last = body.len() - stream.ending.last().map_or(0, String::len);
        for at in (stream.until(1).len()..last).step_by(13) {
            stage.first.push(Script::sse(body.clone()).close_at(at));
            let (_, response) = stage.post(wire, &Stage::chain(wire), true);
            let case = format!("{wire} at byte {at}: {}", response.text());
            let digest = wire.read(&response);
            assert!("first answer".starts_with(digest.text()), "{case}");
            assert!(digest.error.is_some() && !digest.terminal, "{case}");
            assert!(matches!(response.end, End::Cut | End::Reset), "{case}");
        }
    }
    assert_eq!(stage.second.requests().len(), 0);
}

#[test]
fn b7_the_idle_and_total_clocks_after_content() {
    for clock in ["idle_ms", "total_ms"] {
        let stage = stage()
            .first(&format!("timeouts = {{ {clock} = 400 }}"))
            .start();
        for pair in Wire::PAIRS {
            let stream = pair.1.stream("first answer");
            let script = Script::sse(stream.body()).stall_at(stream.until(1).len());
            breaks(&stage, pair, script, "first ", "upstream_timeout", clock);
        }
    }
}

#[test]
fn an_error_follows_a_long_answer() {
    let stage = stage().start();
    for wire in Wire::BOTH {
        // More than the buffers between the two hold: the answer and its error wait for the consumer.
        let stream = wire.stream("first ");
        let text = stream.until(1) + &stream.content[0].repeat(60_000);
        stage
            .first
            .push(Script::sse(text).write_at_once().close_at(usize::MAX));
        let mut asked = stage.ask(wire, &Stage::chain(wire), true);
        asked.connection.read_to("first ");
        let response = asked.connection.response();
        let digest = wire.read(&response);
        assert!(digest.error.is_some(), "{wire}: the error is lost");
        assert!(!digest.terminal);
    }
}

#[test]
fn b12_what_a_provider_says_of_its_operator_stays_out_of_the_stream() {
    for pair in Wire::PAIRS {
        let stream = pair.1.stream("first answer");
        for kind in ["api_error", "rate_limit_error", "overloaded_error"] {
            let stage = stage().start();
            let told = "failure at host internal-7.corp in organization org-abc123";
            let error = pair.1.error_event(kind, told);
            stage
                .first
                .push(Script::sse(format!("{}{error}", stream.until(1))));
            let (_, response) = stage.post(pair.0, &Stage::chain(pair.1), true);
            let case = format!("{} to {}: {kind}", pair.0, pair.1);
            expect_broken(pair.0, &response, "first ", &case);
            let body = response.text();
            assert!(
                !body.contains("internal-7") && !body.contains("org-abc123"),
                "{case}: {body}"
            );
        }
    }
}

#[test]
fn content_that_comes_with_an_error_commits_nothing() {
    let stage = stage().start();
    let both = concat!(
        r#"data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
        "\n\n",
        r#"data: {"id":"c","choices":[{"index":0,"delta":{"content":"partial text"}}],"error":{"message":"boom","code":502}}"#,
        "\n\n",
    );
    for consumer in [Wire::Chat, Wire::Messages] {
        stage.first.push(Script::sse(both.to_owned()));
        let good = Wire::Chat.stream("second answer");
        stage.second.push(Script::sse(good.body()));
        let (id, response) = stage.post(consumer, &Stage::chain(Wire::Chat), true);
        assert_eq!(response.status, 200, "{consumer}: {}", response.text());
        let digest = consumer.read(&response);
        assert_eq!(digest.text(), "second answer", "{consumer}");
        assert!(digest.error.is_none() && digest.terminal, "{consumer}");
        assert_eq!(
            stage.usage(&id, 2)[0].text_at(&["outcome"]),
            "failed",
            "{consumer}"
        );
    }
}
