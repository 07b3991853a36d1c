//! When no provider is left: what the consumer is told, and when it should come back. And its own faults.

use llmleaf_testkit::digest::ErrorClass;
use llmleaf_testkit::http::{End, Response};
use llmleaf_testkit::replay::Script;
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{CREDENTIALS, Stage};

use super::stage;

/// An error reply of the consumer's dialect, whole, with the headers that every reply has.
#[track_caller]
fn expect_error(consumer: Wire, response: &Response, status: u16, class: ErrorClass, case: &str) {
    let text = response.text();
    assert_eq!(
        (response.status, response.end),
        (status, End::Clean),
        "{case}: {text}"
    );
    assert_eq!(
        response.header("content-type"),
        Some("application/json"),
        "{case}"
    );
    assert!(response.header("x-request-id").is_some(), "{case}");
    assert_eq!(
        response.header("request-id").is_some(),
        consumer == Wire::Messages,
        "{case}"
    );
    let error = consumer.read_error(response);
    assert_eq!(error.class, class, "{case}: {text}");
    assert!(
        !error.message.is_empty() && !error.kind.is_empty(),
        "{case}: {text}"
    );
    if consumer == Wire::Messages {
        assert_eq!(
            response.json().text_at(&["type"]),
            "error",
            "{case}: {text}"
        );
    }
}

#[test]
fn b26_all_providers_down_is_a_502_or_what_the_last_one_said() {
    let overloaded = |wire: Wire| if wire == Wire::Messages { 529 } else { 503 };
    for pair in Wire::PAIRS {
        for stream in [true, false] {
            for (upstream, status, class) in [
                (500, 502, ErrorClass::Server),
                (503, overloaded(pair.0), ErrorClass::Overloaded),
                (504, 504, ErrorClass::Timeout),
                (429, 429, ErrorClass::RateLimit),
            ] {
                // A limit holds a provider back, so each case has its own stage.
                let stage = stage().start();
                for replay in [&stage.first, &stage.second] {
                    let body = pair.1.error("api_error", "words of the provider");
                    replay.push(Script::json(upstream, body));
                }
                let (id, response) = stage.post(pair.0, &Stage::chain(pair.1), stream);
                let case = format!("{} to {}: {upstream}", pair.0, pair.1);
                expect_error(pair.0, &response, status, class, &case);
                assert_eq!(response.header("x-llmleaf-attempts"), Some("2"), "{case}");
                // The chain was walked already: coming back at once would only repeat it.
                assert_eq!(response.header("x-should-retry"), Some("false"), "{case}");
                assert!(!response.text().contains("words of the provider"), "{case}");
                let usage = stage.usage(&id, 2);
                assert!(
                    usage.iter().all(|u| u.text_at(&["outcome"]) == "failed"),
                    "{case}"
                );
                assert!(
                    usage.iter().all(|u| u.text_at(&["grade"]) == "none"),
                    "{case}"
                );
                assert!(
                    usage
                        .iter()
                        .all(|u| u.u64_at(&["status"]) == Some(upstream.into()))
                );
            }
        }
    }
}

#[test]
fn b13_the_smallest_wait_is_handed_on() {
    let none: &[(&str, &str)] = &[];
    for pair in &Wire::PAIRS[1..3] {
        for (first, second, wait) in [
            (
                &[("retry-after", "30")][..],
                &[("retry-after", "7")][..],
                Some(7),
            ),
            (&[("retry-after", "7")], &[("retry-after", "30")], Some(7)),
            (
                &[("retry-after-ms", "2500")],
                &[("retry-after", "90")],
                Some(3),
            ),
            (
                &[
                    ("retry-after", "Thu, 26 Nov 2099 00:00:09 GMT"),
                    ("date", "Thu, 26 Nov 2099 00:00:00 GMT"),
                ],
                &[("retry-after", "3600")],
                Some(9),
            ),
            (&[("retry-after", "-1")], &[("retry-after", "1e309")], None),
            (&[("retry-after", "soon")], &[("retry-after", "NaN")], None),
            (none, none, None),
        ] {
            // A wait that a provider asks for outlives the exchange, so each case has its own stage.
            let stage = stage().start();
            for (replay, headers) in [(&stage.first, first), (&stage.second, second)] {
                let script = Script::json(429, pair.1.error("rate_limit_error", "no"));
                let add = |script: Script, (name, value): &(&str, &str)| script.header(name, value);
                replay.push(headers.iter().fold(script, add));
            }
            let (_, response) = stage.post(pair.0, &Stage::chain(pair.1), true);
            let case = format!("{} to {}: {first:?} {second:?}", pair.0, pair.1);
            expect_error(pair.0, &response, 429, ErrorClass::RateLimit, &case);
            let told = response
                .header("retry-after")
                .map(|text| text.parse::<u64>());
            let told = told.transpose().expect("whole seconds");
            match wait {
                Some(_) => assert_eq!(told, wait, "{case}"),
                // What is not stated, or makes no sense, is a guess of a few seconds.
                None => assert!(
                    told.is_some_and(|s| (1..=60).contains(&s)),
                    "{case}: {told:?}"
                ),
            }
        }
    }
}

#[test]
fn b13_each_provider_states_waits_in_its_own_form() {
    for (wire, headers, wait) in [
        (
            Wire::Chat,
            [
                ("x-ratelimit-remaining-requests", "0"),
                ("x-ratelimit-reset-requests", "6m0s"),
            ],
            360,
        ),
        (
            Wire::Messages,
            [
                ("anthropic-ratelimit-tokens-remaining", "0"),
                ("anthropic-ratelimit-tokens-reset", "2099-11-26T00:00:20Z"),
            ],
            20,
        ),
        (
            Wire::Chat,
            [
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", "4099334405000"),
            ],
            5,
        ),
    ] {
        let stage = stage().start();
        // 2099-11-26T00:00:00Z, by the provider's clock.
        let limited = Script::json(429, wire.error("rate_limit_error", "no"));
        let limited = limited.header("date", "Thu, 26 Nov 2099 00:00:00 GMT");
        let limited = headers
            .iter()
            .fold(limited, |s, (name, value)| s.header(name, value));
        stage.first.push(limited);
        let (_, response) = stage.post(wire, &Stage::alone(wire), true);
        let told = response.header("retry-after").map(str::parse);
        assert_eq!(told, Some(Ok(wait)), "{headers:?}");
    }
}

#[test]
fn b13_a_wait_is_what_remains_of_it() {
    let stage = stage().start();
    let gate = llmleaf_testkit::replay::Gate::new();
    let limited = || Script::json(429, Wire::Chat.error("rate_limit_error", "no"));
    stage
        .first
        .push(limited().header("retry-after-ms", "60000"));
    stage.second.push(limited().hold_head(&gate));
    let mut asked = stage.ask(Wire::Chat, &Stage::chain(Wire::Chat), true);
    assert!(gate.wait_reached(llmleaf_testkit::stage::LONG));
    // The second provider takes its time; that much of the first one's wait is over then.
    let until = std::time::Instant::now() + std::time::Duration::from_millis(50);
    while std::time::Instant::now() < until {
        std::thread::yield_now();
    }
    gate.release();
    let response = asked.connection.response();
    let ms = response
        .header("retry-after-ms")
        .and_then(|text| text.parse::<u64>().ok());
    assert!(ms.is_some_and(|ms| ms <= 59_950), "{ms:?}");
}

#[test]
fn a_single_provider_s_failure_may_be_tried_again() {
    for pair in Wire::PAIRS {
        for status in [500, 429] {
            let stage = stage().start();
            stage
                .first
                .push(Script::json(status, pair.1.error("api_error", "no")));
            let (_, response) = stage.post(pair.0, &Stage::alone(pair.1), true);
            assert_eq!(response.header("x-should-retry"), Some("true"), "{status}");
        }
    }
}

#[test]
fn b14_a_refused_credential_is_the_gateways_own_affair() {
    let words = format!("Incorrect API key provided: {}", CREDENTIALS[0]);
    for pair in Wire::PAIRS {
        for status in [401, 403] {
            for stream in [true, false] {
                let stage = stage().start();
                let body = pair.1.error("authentication_error", &words);
                let script = Script::json(status, body).header("www-authenticate", "Bearer");
                stage.first.push(script);
                let (id, response) = stage.post(pair.0, &Stage::alone(pair.1), stream);
                let case = format!("{} to {}: {status}", pair.0, pair.1);
                expect_error(pair.0, &response, 502, ErrorClass::Server, &case);
                assert!(!response.text().contains("Incorrect"), "{case}");
                assert_eq!(response.header("www-authenticate"), None, "{case}");
                let usage = stage.usage(&id, 1);
                assert_eq!(
                    usage[0].text_at(&["failure"]),
                    "upstream_credential",
                    "{case}"
                );
            }
        }
    }
}

#[test]
fn a_redirect_of_the_only_provider_is_a_502() {
    let stage = stage().start();
    for pair in Wire::PAIRS {
        let location = format!("{}/elsewhere", stage.second.url());
        stage
            .first
            .push(Script::json(307, "{}").header("location", &location));
        let (_, response) = stage.post(pair.0, &Stage::alone(pair.1), true);
        expect_error(pair.0, &response, 502, ErrorClass::Server, "redirect");
        assert_eq!(response.header("location"), None);
    }
    assert_eq!(stage.second.connections().len(), 0);
}

#[test]
fn b15_a_consumers_own_fault_is_told_once_and_harms_nobody() {
    let stage = stage().instead("fallback_cooldown_secs", "3600").start();
    for pair in Wire::PAIRS {
        for stream in [true, false] {
            for (status, class) in [
                (400, ErrorClass::InvalidRequest),
                (413, ErrorClass::TooLarge),
                (422, ErrorClass::InvalidRequest),
            ] {
                // More often than a target may fail before it is passed over.
                for _ in 0..4 {
                    let kind = "invalid_request_error";
                    stage.first.push(Script::json(
                        status,
                        pair.1.error(kind, "max_tokens: too few"),
                    ));
                    let (id, response) = stage.post(pair.0, &Stage::chain(pair.1), stream);
                    let case = format!("{} to {}: {status}", pair.0, pair.1);
                    expect_error(pair.0, &response, status, class, &case);
                    assert_eq!(
                        pair.0.read_error(&response).message,
                        "max_tokens: too few",
                        "{case}"
                    );
                    assert_eq!(response.header("x-should-retry"), Some("false"), "{case}");
                    assert_eq!(response.header("x-llmleaf-attempts"), None, "{case}");
                    assert_eq!(
                        stage.usage(&id, 1)[0].text_at(&["outcome"]),
                        "failed",
                        "{case}"
                    );
                }
            }
        }
    }
    assert_eq!(stage.second.connections().len(), 0);
    assert_eq!(stage.first.unscripted(), 0);
}

#[test]
fn a_refusal_of_the_same_dialect_goes_through_as_it_came() {
    let stage = stage().start();
    for wire in Wire::BOTH {
        let body = wire
            .error("invalid_request_error", "no such thing as \\u00e4")
            .replace("}}", r#","details":{"more":1.0}}}"#);
        stage.first.push(Script::json(400, body.clone()));
        let (_, response) = stage.post(wire, &Stage::chain(wire), true);
        assert_eq!((response.status, response.text()), (400, body), "{wire}");
    }
}

#[test]
fn b18_an_answer_may_come_while_the_body_still_goes_up() {
    for pair in Wire::PAIRS {
        for (status, kind, told) in [
            (413, "request_too_large", 413),
            (401, "authentication_error", 502),
        ] {
            let stage = stage().start();
            stage.first.answer_early(true);
            stage
                .first
                .push(Script::json(status, pair.1.error(kind, "no")));
            let long = "x".repeat(8 << 20);
            let body = pair
                .0
                .request(&Stage::alone(pair.1), true)
                .replace("Say two words.", &long);
            let mut asked = stage.ask_with(pair.0, &body);
            let response = asked.connection.response();
            assert_eq!(response.status, told, "{} to {}: {status}", pair.0, pair.1);
        }
    }
}
