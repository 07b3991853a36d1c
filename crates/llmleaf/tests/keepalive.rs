//! Signs of life: headers are held for the first content, then silence is broken by what the consumer's dialect has for
//! it. Neither splits an event, commits to a provider, or moves a clock of the upstream's.

use std::time::Duration;

use llmleaf_testkit::http::{End, Response};
use llmleaf_testkit::replay::{Gate, Script};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{LONG, Setup, Stage};

/// What a keep-alive looks like to a consumer.
fn sign(consumer: Wire) -> &'static str {
    match consumer {
        Wire::Chat => ": keep-alive\n\n",
        _ => "event: ping\n",
    }
}

fn stage() -> Setup {
    Stage::with(env!("CARGO_BIN_EXE_llmleaf")).judged()
}

/// How many keep-alives of ours are in a response; the samples' own ping is spelled otherwise.
fn signs(consumer: Wire, response: &Response) -> usize {
    let own = match consumer {
        Wire::Chat => sign(consumer),
        _ => "event: ping\ndata: {\"type\": \"ping\"}\n\n",
    };
    response.text().matches(own).count()
}

#[track_caller]
fn expect_whole(consumer: Wire, response: &Response, text: &str) {
    assert_eq!(
        (response.status, response.end),
        (200, End::Clean),
        "{}",
        response.text()
    );
    let digest = consumer.read(response);
    assert_eq!(digest.text(), text, "{}", response.text());
    assert!(
        digest.terminal && digest.error.is_none(),
        "{}",
        response.text()
    );
}

#[test]
fn headers_wait_for_content() {
    let stage = stage().server("hold_headers_ms = 60000").start();
    for pair in Wire::PAIRS {
        let (head, content) = (Gate::new(), Gate::new());
        let stream = pair.1.stream("first answer");
        let at = stream.head().len();
        stage.first.push(
            Script::sse(stream.body())
                .hold_head(&head)
                .hold_at(at, &content),
        );
        let mut asked = stage.ask(pair.0, &Stage::chain(pair.1), true);
        asked.connection.read_timeout(Duration::from_millis(100));
        for gate in [&head, &content] {
            assert!(gate.wait_reached(LONG));
            assert_eq!(
                asked.connection.read_head().status,
                0,
                "headers before content"
            );
            gate.release();
        }
        asked.connection.read_timeout(LONG);
        let response = asked.connection.response();
        expect_whole(pair.0, &response, "first answer");
        assert!(
            !response.text().starts_with(sign(pair.0)),
            "{}",
            response.text()
        );
    }
}

#[test]
fn a_fallback_is_still_possible_after_a_keep_alive() {
    let stage = stage().server("hold_headers_ms = 50").start();
    for pair in Wire::PAIRS {
        let gate = Gate::new();
        let first = pair.1.stream("first answer");
        let at = first.head().len();
        stage
            .first
            .push(Script::sse(first.body()).hold_at(at, &gate).close_at(at));
        stage
            .second
            .push(Script::sse(pair.1.stream("second answer").body()));
        let mut asked = stage.ask(pair.0, &Stage::chain(pair.1), true);
        let early = asked.connection.read_to(sign(pair.0));
        assert_eq!((early.status, signs(pair.0, &early)), (200, 1));
        gate.release();
        let response = asked.connection.response();
        expect_whole(pair.0, &response, "second answer");
        assert_eq!(
            pair.0.read(&response).responses,
            1,
            "one answer: {}",
            response.text()
        );
        let usage = stage.usage(&asked.id, 2);
        assert_eq!(usage[0].text_at(&["outcome"]), "failed");
        assert_eq!(usage[1].text_at(&["outcome"]), "completed");
    }
}

#[test]
fn a_chain_that_is_exhausted_after_a_keep_alive_ends_in_band() {
    let stage = stage().server("hold_headers_ms = 50").start();
    for pair in Wire::PAIRS {
        let gate = Gate::new();
        let refusal = || Script::json(500, pair.1.error("api_error", "words of the provider"));
        stage.first.push(refusal().hold_head(&gate));
        stage.second.push(refusal());
        let mut asked = stage.ask(pair.0, &Stage::chain(pair.1), true);
        asked.connection.read_to(sign(pair.0));
        gate.release();
        let response = asked.connection.response();
        let text = response.text();
        assert_eq!(response.status, 200);
        assert!(
            matches!(response.end, End::Cut | End::Reset),
            "{:?}",
            response.end
        );
        let digest = pair.0.read(&response);
        assert!(digest.error.is_some() && !digest.terminal, "{text}");
        assert!(!text.contains("words of the provider"), "{text}");
        assert!(
            !text.contains("[DONE]") && !text.contains("message_stop"),
            "{text}"
        );
    }
}

#[test]
fn a_consumers_fault_after_a_keep_alive_is_in_band_too() {
    let stage = stage().server("hold_headers_ms = 50").start();
    for pair in Wire::PAIRS {
        let gate = Gate::new();
        let refusal = pair.1.error("invalid_request_error", "max_tokens: too few");
        stage
            .first
            .push(Script::json(400, refusal).hold_head(&gate));
        let mut asked = stage.ask(pair.0, &Stage::chain(pair.1), true);
        asked.connection.read_to(sign(pair.0));
        gate.release();
        let response = asked.connection.response();
        let error = pair.0.read(&response).error.expect("an error");
        assert_eq!(error.message, "max_tokens: too few");
        assert_eq!(error.kind, "invalid_request_error");
        assert!(matches!(response.end, End::Cut | End::Reset));
    }
    assert_eq!(stage.second.connections().len(), 0);
}

#[test]
fn b8_silence_in_a_stream_is_broken_between_events() {
    let stage = stage().server("keepalive_secs = 1").start();
    for pair in Wire::PAIRS {
        let gate = Gate::new();
        let stream = pair.1.stream("first answer");
        // The upstream stands in the middle of an event.
        let at = stream.until(1).len() + 15;
        stage
            .first
            .push(Script::sse(stream.body()).hold_at(at, &gate));
        let mut asked = stage.ask(pair.0, &Stage::chain(pair.1), true);
        let silent = match pair.0 {
            Wire::Chat => ": keep-alive\n\n",
            _ => "first \"}}\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n",
        };
        assert!(asked.connection.read_to(silent).text().ends_with(silent));
        gate.release();
        let response = asked.connection.response();
        expect_whole(pair.0, &response, "first answer");
        assert_eq!(pair.0.read(&response).corrupt, 0);
        assert!(signs(pair.0, &response) >= 1);
        let usage = stage.usage(&asked.id, 1);
        assert_eq!(usage[0].text_at(&["grade"]), "reported");
    }
}

#[test]
fn a_keep_alive_moves_no_clock_of_the_upstream() {
    let setup = stage().server("keepalive_secs = 1\nhold_headers_ms = 100");
    let stage = setup.first("timeouts = { idle_ms = 1500 }").start();
    let stream = Wire::Chat.stream("first answer");
    let script = || Script::sse(stream.body()).stall_at(stream.until(1).len());
    for consumer in Wire::BOTH {
        stage.first.push(script());
        let (id, response) = stage.post(consumer, &Stage::chain(Wire::Chat), true);
        assert!(signs(consumer, &response) >= 1, "{}", response.text());
        assert!(
            consumer.read(&response).error.is_some(),
            "{}",
            response.text()
        );
        assert_eq!(
            stage.usage(&id, 1)[0].text_at(&["failure"]),
            "upstream_timeout"
        );
    }
}

#[test]
fn c5_an_upstreams_comments_are_signs_of_its_life() {
    let stage = stage().first("timeouts = { idle_ms = 300 }").start();
    for pair in Wire::PAIRS {
        let stream = pair.1.stream("first answer");
        let gates: Vec<Gate> = (0..4).map(|_| Gate::new()).collect();
        let (one, comment) = (stream.until(1), ": still here\n\n");
        let text = one.clone() + &comment.repeat(4) + &stream.body()[one.len()..];
        let holds = gates.iter().enumerate();
        let script = holds.fold(Script::sse(text), |script, (number, gate)| {
            script.hold_at(one.len() + number * comment.len(), gate)
        });
        stage.first.push(script);
        let mut asked = stage.ask(pair.0, &Stage::chain(pair.1), true);
        asked.connection.read_to("first ");
        // Half the clock each: together they are twice as long as it.
        asked.connection.read_timeout(Duration::from_millis(150));
        for gate in &gates {
            assert!(gate.wait_reached(LONG));
            asked.connection.read_to("answer");
            gate.release();
        }
        asked.connection.read_timeout(LONG);
        expect_whole(pair.0, &asked.connection.response(), "first answer");
    }
}

#[test]
fn c5_an_upstreams_comments_are_no_content() {
    let stage = stage().start();
    for pair in Wire::PAIRS {
        let comments = ": still here\n\n".repeat(4);
        let length = comments.len();
        let script = Script::sse(comments).close_at(length);
        stage.first.push(script);
        let stream = pair.1.stream("second answer");
        let between = stream.body().replace("\n\n", "\n\n: and here\n\n");
        stage.second.push(Script::sse(between));
        let (_, response) = stage.post(pair.0, &Stage::chain(pair.1), true);
        expect_whole(pair.0, &response, "second answer");
    }
}

#[test]
fn a_whole_answer_has_no_keep_alive() {
    let stage = stage()
        .server("keepalive_secs = 1\nhold_headers_ms = 20")
        .start();
    for pair in Wire::PAIRS {
        let gate = Gate::new();
        stage
            .first
            .push(Script::json(200, pair.1.whole("first answer")).hold_head(&gate));
        let mut asked = stage.ask(pair.0, &Stage::chain(pair.1), false);
        asked.connection.read_timeout(Duration::from_millis(200));
        assert_eq!(asked.connection.read_head().status, 0);
        gate.release();
        asked.connection.read_timeout(LONG);
        let response = asked.connection.response();
        assert_eq!(response.header("content-type"), Some("application/json"));
        assert_eq!(pair.0.read(&response).text(), "first answer");
    }
}
