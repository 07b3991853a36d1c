//! The corpus against the program: no payload has two readings, by the log of the upstream.

use llmleaf_testkit::http::{Connection, End};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::Stage;

use super::corpus::{self, Law, Payload, good};
use super::{answer, stage};

/// What came of a payload.
#[derive(Debug)]
struct Outcome {
    /// Statuses of the answers, in order.
    statuses: Vec<u16>,
    end: End,
    /// Marks of the requests that the upstream has seen.
    upstream: Vec<String>,
}

/// Statuses in what the program wrote on one connection. No body in these tests holds a status line.
fn statuses(bytes: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.split("HTTP/1.1 ").skip(1);
    let found = lines.filter_map(|rest| rest.get(..3)?.parse().ok());
    found.filter(|status| *status >= 200).collect()
}

fn upstream(stage: &Stage) -> Vec<String> {
    let marks = ["outer", "inner", "next"];
    let seen = stage.first.take_requests().into_iter().map(|request| {
        let text = request.text();
        let found: Vec<&str> = marks
            .into_iter()
            .filter(|mark| text.contains(mark))
            .collect();
        found.join("+")
    });
    seen.collect()
}

fn send(stage: &Stage, bytes: &[u8]) -> Outcome {
    let mut connection = Connection::open(stage.leaf.addr);
    connection.send(bytes);
    let (answers, end) = connection.drain();
    Outcome {
        statuses: statuses(&answers),
        end,
        upstream: upstream(stage),
    }
}

/// Why an outcome breaks its law.
fn breach(law: Law, outcome: &Outcome) -> Option<&'static str> {
    let marks: Vec<&str> = outcome.upstream.iter().map(String::as_str).collect();
    if marks.iter().any(|mark| mark.contains("inner")) {
        return Some("bytes of a body became a request");
    }
    if outcome.end == End::TimedOut {
        return Some("the connection was not closed");
    }
    let refusals = [400, 405, 408, 413, 414, 431, 501, 505];
    match law {
        Law::Refused if !marks.is_empty() => Some("it went upstream"),
        Law::Refused => match outcome.statuses.as_slice() {
            [status] if refusals.contains(status) => None,
            [_] => Some("not a refusal of the 400 class"),
            [] => Some("no answer"),
            _ => Some("more than one answer"),
        },
        Law::Read(expected) if marks != expected => Some("not the requests that it holds"),
        Law::Read(_) if outcome.statuses.iter().any(|status| *status != 200) => {
            Some("a good request was refused")
        }
        // An early answer may end the connection; then what is behind it was not read.
        Law::Told(expected) if marks != expected && !marks.is_empty() => {
            Some("not the requests that it holds")
        }
        Law::Read(_) | Law::Told(_) => None,
    }
}

fn expect_none(breaches: &[String], of: usize) {
    let shown = breaches.join("\n");
    assert!(
        breaches.is_empty(),
        "{} of {of} payloads:\n{shown}",
        breaches.len()
    );
}

/// Plays payloads; there are at least so many.
fn play(payloads: fn(&str) -> Vec<Payload>, at_least: usize) {
    let stage = stage().start();
    stage.first.on(|_| answer(Wire::Chat, false));
    let all = payloads(&stage.bearer());
    let mut breaches = Vec::new();
    for Payload { name, bytes, law } in &all {
        let outcome = send(&stage, bytes);
        if let Some(why) = breach(*law, &outcome) {
            breaches.push(format!("{name}: {why}: {outcome:?}"));
        }
    }
    expect_none(&breaches, all.len());
    assert!(all.len() >= at_least, "{} payloads", all.len());
    // Nothing comes late, and the program is well.
    let last = send(&stage, good(&stage.bearer(), "next").as_bytes());
    assert_eq!(last.upstream, ["next"]);
    assert_eq!(stage.second.requests().len(), 0);
}

#[test]
fn d1_no_framing_has_two_readings() {
    play(corpus::framings, 240);
}

#[test]
fn d2_no_head_is_half_a_request() {
    play(corpus::heads, 60);
}

#[test]
fn d3_chunks_that_are_none_end_the_connection() {
    play(corpus::chunks, 45);
}

#[test]
fn d4_d5_what_is_behind_a_request_is_read_as_one_or_not_at_all() {
    play(corpus::readings, 20);
}

#[test]
fn d5_nobody_is_given_a_tunnel() {
    let stage = stage().start();
    for upgrade in ["foo", "h2c", "websocket", "TLS/1.2"] {
        let mut connection = Connection::open(stage.leaf.addr);
        connection.send(
            format!(
                "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: {upgrade}\r\n\r\n"
            )
            .as_bytes(),
        );
        let response = connection.response();
        assert_eq!(response.status, 200, "{upgrade}");
        assert_eq!(response.header("upgrade"), None, "{upgrade}");
    }
}
