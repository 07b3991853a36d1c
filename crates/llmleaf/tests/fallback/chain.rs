//! Faults that come before the first content.

use llmleaf_testkit::replay::{Framing, OnAccept, RefusedPort, Script};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::Stage;

use super::{stage, survives};

/// A fault's name, the script that plays it, and the failure it is recorded as.
type Fault = (&'static str, Script, &'static str);

/// Refusals by status; the words are the provider's own.
fn refusals(provider: Wire) -> Vec<Fault> {
    let reply = |status, kind| Script::json(status, provider.error(kind, "no"));
    let html = |status| Script::body(status, "text/html", "<html>bad gateway</html>");
    vec![
        ("500", reply(500, "api_error"), "upstream_error"),
        ("502", html(502), "upstream_error"),
        ("503", reply(503, "overloaded_error"), "overloaded"),
        ("504", html(504), "upstream_timeout"),
        ("520", html(520), "upstream_error"),
        ("529", reply(529, "overloaded_error"), "overloaded"),
        (
            "a 500 that is cut",
            reply(500, "api_error").close_at(9),
            "upstream_error",
        ),
    ]
}

/// Refusals that are no fault of the service: they hold this gateway's credential back for a time.
fn held_back(provider: Wire) -> Vec<Fault> {
    let reply = |status, kind| Script::json(status, provider.error(kind, "no"));
    let limited = provider.error_event("rate_limit_error", "slow down");
    let refused = "upstream_credential";
    vec![
        ("429", reply(429, "rate_limit_error"), "rate_limit_exceeded"),
        ("402", reply(402, "billing_error"), "insufficient_quota"),
        ("401", reply(401, "authentication_error"), refused),
        ("403", reply(403, "permission_error"), refused),
        ("an event", Script::sse(limited), "rate_limit_exceeded"),
    ]
}

/// Answers that are none.
fn nonsense() -> Vec<Fault> {
    let bare = |text: &'static str| Script::raw(text);
    vec![
        ("closed without a byte", bare(""), "upstream_unreachable"),
        (
            "half a head",
            bare("HTTP/1.1 200 OK\r\ncontent-"),
            "upstream_unreachable",
        ),
        (
            "not HTTP",
            bare("SSH-2.0-OpenSSH_9.6\r\n\r\n"),
            "upstream_invalid",
        ),
        (
            "two lengths",
            bare("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}"),
            "upstream_invalid",
        ),
        (
            "a protocol nobody asked for",
            bare("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
            "upstream_invalid",
        ),
        (
            "a head without end",
            Script::raw(format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(1 << 20))),
            "upstream_invalid",
        ),
        (
            "an HTML page",
            Script::body(200, "text/html", "<html></html>"),
            "upstream_invalid",
        ),
        (
            "an empty object",
            Script::json(200, "{}"),
            "upstream_invalid",
        ),
        ("an empty body", Script::json(200, ""), "upstream_invalid"),
        (
            "an encoding nobody asked for",
            Script::json(200, &b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"[..])
                .header("content-encoding", "gzip"),
            "upstream_invalid",
        ),
    ]
}

/// A good status, and a stream that breaks before its first content.
fn broken_streams(provider: Wire) -> Vec<Fault> {
    let stream = provider.stream("first answer");
    let sse = |text: String| Script::sse(text);
    let overloaded = provider.error_event("overloaded_error", "Overloaded");
    let lifecycle = stream.head();
    let cut = "upstream_truncated";
    vec![
        (
            "the first event is an error",
            sse(overloaded.clone()),
            "overloaded",
        ),
        (
            "an error after lifecycle events",
            sse(format!("{lifecycle}{overloaded}")),
            "overloaded",
        ),
        (
            "an end at the close of the connection",
            sse(lifecycle.clone()).framing(Framing::UntilClose),
            cut,
        ),
        (
            "an event that is no JSON",
            sse(format!("{lifecycle}data: {{nope\n\n")),
            "upstream_invalid",
        ),
        (
            "an event without end",
            sse(format!("data: {}", "x".repeat(9 << 20))).write_at_once(),
            "upstream_invalid",
        ),
    ]
}

/// A stream that is cut before its first content is whole.
fn cut_streams(provider: Wire) -> Vec<Fault> {
    let stream = provider.stream("first answer");
    let head = stream.head().len();
    let sse = || Script::sse(stream.body());
    let cuts = [
        ("nothing after the head, FIN", sse().close_at(0)),
        ("nothing after the head, RST", sse().reset_at(0)),
        ("nothing after the head, an end", sse().end_at(0)),
        ("FIN after lifecycle events", sse().close_at(head)),
        ("RST after lifecycle events", sse().reset_at(head)),
        ("an end after lifecycle events", sse().end_at(head)),
        ("FIN within the first content", sse().close_at(head + 9)),
    ];
    let named = cuts.into_iter();
    named
        .map(|(case, script)| (case, script, "upstream_truncated"))
        .collect()
}

/// A whole answer that breaks.
fn broken_bodies(provider: Wire) -> Vec<Fault> {
    let whole = || Script::json(200, provider.whole("first answer"));
    let error = provider.error("overloaded_error", "Overloaded");
    vec![
        (
            "an error of good status",
            Script::json(200, error),
            "overloaded",
        ),
        (
            "FIN within the body",
            whole().close_at(40),
            "upstream_truncated",
        ),
        (
            "RST within the body",
            whole().reset_at(40),
            "upstream_truncated",
        ),
        (
            "half the JSON, well framed",
            whole().framing(Framing::Chunked).end_at(40),
            "upstream_invalid",
        ),
    ]
}

#[test]
fn b16_a_chain_outlives_refusals_and_nonsense() {
    let stage = stage().start();
    for pair in Wire::PAIRS {
        for stream in [true, false] {
            for (case, script, failure) in refusals(pair.1).into_iter().chain(nonsense()) {
                stage.first.push(script);
                survives(&stage, pair, stream, failure, case);
            }
        }
    }
    assert_eq!(stage.first.unscripted() + stage.second.unscripted(), 0);
}

#[test]
fn b14_a_chain_outlives_what_holds_a_credential_back() {
    for pair in Wire::PAIRS {
        for (case, script, failure) in held_back(pair.1) {
            // It is held back for longer than a test lasts, so each case has its own stage.
            let stage = stage().start();
            stage.first.push(script);
            survives(&stage, pair, true, failure, case);
        }
    }
}

#[test]
fn b11_a_chain_outlives_streams_that_break_before_content() {
    let stage = stage().start();
    for pair in Wire::PAIRS {
        for (case, script, failure) in broken_streams(pair.1)
            .into_iter()
            .chain(cut_streams(pair.1))
        {
            stage.first.push(script);
            survives(&stage, pair, true, failure, case);
        }
    }
}

#[test]
fn b23_a_chain_outlives_comments_without_end() {
    let stage = stage()
        .first("timeouts = { first_content_ms = 2000 }")
        .start();
    for pair in Wire::PAIRS {
        let comments = format!(": {}\n\n", "x".repeat(1021)).repeat(2048);
        stage
            .first
            .push(Script::sse(comments).write_at_once().stall_at(usize::MAX));
        // The same dialect would pass them on, so it holds them back, up to a limit; another has no use for them.
        let same = pair.0 == pair.1;
        let failure = if same {
            "upstream_invalid"
        } else {
            "upstream_timeout"
        };
        survives(&stage, pair, true, failure, "comments");
    }
}

#[test]
fn a_chain_outlives_whole_answers_that_break() {
    let stage = stage().start();
    for pair in Wire::PAIRS {
        for (case, script, failure) in broken_bodies(pair.1) {
            stage.first.push(script);
            survives(&stage, pair, false, failure, case);
        }
    }
}

#[test]
fn b1_a_chain_outlives_a_provider_that_cannot_be_reached() {
    let refused = RefusedPort::reserve();
    let stage = stage()
        .first_at(&format!("http://{}", refused.addr))
        .start();
    for pair in Wire::PAIRS {
        for stream in [true, false] {
            survives(&stage, pair, stream, "upstream_unreachable", "refused");
        }
    }
}

#[test]
fn b4_a_chain_outlives_a_host_without_an_address() {
    // RFC 6761 keeps `.invalid` without addresses.
    let stage = stage().first_at("http://provider.invalid").start();
    survives(
        &stage,
        (Wire::Chat, Wire::Chat),
        true,
        "upstream_unreachable",
        "no address",
    );
}

#[test]
fn a_chain_outlives_connections_that_end_at_once() {
    let stage = stage().start();
    for pair in Wire::PAIRS {
        for (case, action) in [
            ("FIN at once", OnAccept::Close),
            ("RST at once", OnAccept::Reset),
        ] {
            stage.first.push_accept(action);
            survives(&stage, pair, true, "upstream_unreachable", case);
        }
    }
}

#[test]
fn b27_a_redirect_is_never_followed() {
    let stage = stage().start();
    let elsewhere = format!("{}/elsewhere", stage.second.url());
    for pair in Wire::PAIRS {
        for status in [301, 302, 303, 307, 308] {
            stage
                .first
                .push(Script::json(status, "{}").header("location", &elsewhere));
            survives(&stage, pair, true, "upstream_invalid", "redirect");
        }
        let alone = Script::json(307, "{}").header("location", &elsewhere);
        stage.first.push(alone);
        let (_, response) = stage.post(pair.0, &Stage::alone(pair.1), false);
        assert_eq!(response.status, 502, "{}", response.text());
    }
    let paths: Vec<String> = stage
        .second
        .requests()
        .into_iter()
        .map(|r| r.path)
        .collect();
    assert!(!paths.iter().any(|path| path == "/elsewhere"), "{paths:?}");
}
