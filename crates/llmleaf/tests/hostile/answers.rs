//! What a provider may send to have its answer read as another's: framing with two readings, answers nobody asked for, and
//! more than anybody can hold. Whatever comes, the next consumer gets its own answer.

use std::collections::{BTreeSet, HashMap};

use llmleaf_testkit::http::{End, Response};
use llmleaf_testkit::replay::{Command, Request, Script};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{LONG, Stage};

use super::corpus::{self, body};
use super::stage;

/// What must come of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Law {
    /// The consumer is told of an error, and gets nothing of it as good.
    Refused,
    /// It is the answer, and nothing of what is behind it.
    Read,
}

/// Fields of a head and what is to be thought of them; `{n}` is the length of the body behind.
const FRAMINGS: &[(&str, Law)] = &[
    ("content-length: {n}", Law::Read),
    ("content-length: {n}\r\nconnection: close", Law::Read),
    (
        "content-length: {n}\r\ntransfer-encoding: chunked",
        Law::Refused,
    ),
    (
        "transfer-encoding: chunked\r\ncontent-length: {n}",
        Law::Refused,
    ),
    (
        "content-length: {n}\r\ntransfer-encoding: identity",
        Law::Refused,
    ),
    ("transfer-encoding: gzip", Law::Refused),
    ("transfer-encoding: gzip, chunked", Law::Refused),
    ("transfer-encoding: chunked, gzip", Law::Refused),
    ("transfer-encoding: chunked, chunked", Law::Refused),
    ("transfer-encoding: identity", Law::Refused),
    ("transfer-encoding: xchunked", Law::Refused),
    ("transfer-encoding: \"chunked\"", Law::Refused),
    (
        "transfer-encoding: chunked\r\ntransfer-encoding: gzip",
        Law::Refused,
    ),
    (
        "transfer-encoding: gzip\r\ntransfer-encoding: chunked",
        Law::Refused,
    ),
    (
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        Law::Refused,
    ),
    (
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
        Law::Refused,
    ),
    ("content-length: {n}\r\ncontent-length: 1", Law::Refused),
    ("content-length: 1\r\ncontent-length: {n}", Law::Refused),
    ("content-length: {n}, 1", Law::Refused),
    ("content-length: +{n}", Law::Refused),
    ("content-length: -{n}", Law::Refused),
    ("content-length: 0x1", Law::Refused),
    ("content-length: {n}.0", Law::Refused),
    ("content-length: {n} 1", Law::Refused),
    ("content-length: x", Law::Refused),
    ("content-length: ", Law::Refused),
    ("content-length: 18446744073709551615", Law::Refused),
    ("content-length: 99999999999999999999999", Law::Refused),
    ("content-length : {n}", Law::Refused),
    ("content-length: {n}\0", Law::Refused),
    ("x: a\0b\r\ncontent-length: {n}", Law::Refused),
    ("x: a\rb\r\ncontent-length: {n}", Law::Refused),
    ("x: a\r\n b\r\ncontent-length: {n}", Law::Refused),
    (": a\r\ncontent-length: {n}", Law::Refused),
    ("a b: c\r\ncontent-length: {n}", Law::Refused),
    ("no colon\r\ncontent-length: {n}", Law::Refused),
    // Short, and long: what is behind is nobody's.
    ("content-length: 3", Law::Refused),
    ("content-length: 0", Law::Refused),
    ("content-length: 999999", Law::Refused),
];

/// First lines.
const LINES: &[(&str, Law)] = &[
    ("HTTP/1.1 200 OK", Law::Read),
    ("HTTP/1.1 200 ", Law::Read),
    ("HTTP/1.1 200", Law::Read),
    ("HTTP/1.0 200 OK", Law::Read),
    ("HTTP/1.1 20 OK", Law::Refused),
    ("HTTP/1.1 2000 OK", Law::Refused),
    ("HTTP/1.1 000 OK", Law::Refused),
    ("HTTP/1.1 abc OK", Law::Refused),
    ("HTTP/1.1  200 OK", Law::Refused),
    ("HTTP/1.2 200 OK", Law::Refused),
    ("HTTP/2 200 OK", Law::Refused),
    ("HTTP/0.9 200 OK", Law::Refused),
    ("http/1.1 200 OK", Law::Refused),
    ("ICY 200 OK", Law::Refused),
    ("HTTP/1.1\t200 OK", Law::Refused),
    ("HTTP/1.1 200 O\0K", Law::Refused),
    ("HTTP/1.1 101 Switching Protocols", Law::Refused),
    ("HTTP/1.1 204 No Content", Law::Refused),
    ("HTTP/1.1 304 Not Modified", Law::Refused),
    ("HTTP/1.1 301 Moved", Law::Refused),
    ("HTTP/1.1 999 Odd", Law::Refused),
    ("HTTP/1.1 +200 OK", Law::Refused),
    ("HTTP/1.1 2 00 OK", Law::Refused),
    ("HTTP/1.1 0x200 OK", Law::Refused),
    ("HTTP/1.1", Law::Refused),
    ("HTTP/1. 200 OK", Law::Refused),
    ("HTTP/11 200 OK", Law::Refused),
    ("HTTP/1,1 200 OK", Law::Refused),
    ("HTTP /1.1 200 OK", Law::Refused),
    (" HTTP/1.1 200 OK", Law::Refused),
    ("xHTTP/1.1 200 OK", Law::Refused),
    ("HTTP/1.1 200\tOK", Law::Refused),
    ("HTTP/1.1 200 O\rK", Law::Refused),
    ("HTTP/1.1 200 O\nK", Law::Refused),
    ("HTTP/1.1 200 OK\r\nHTTP/1.1 200 OK", Law::Refused),
    ("HTTP/1.1 200 OK\r", Law::Refused),
    ("garbage", Law::Refused),
    ("\0\0\0\0", Law::Refused),
    ("\u{16}\u{3}\u{1}", Law::Refused),
    ("GET / HTTP/1.1", Law::Refused),
];

/// Chunked bodies; `{}` stands for a body of the size `{n}`.
const CHUNKS: &[(&str, Law)] = &[
    ("{n}\r\n{}\r\n0\r\n\r\n", Law::Read),
    ("00{n};x=y\r\n{}\r\n0\r\nx: y\r\n\r\n", Law::Read),
    ("{n}\r\n{}\r\n0\r\ncontent-length: 5\r\n\r\n", Law::Read),
    ("x\r\n{}\r\n0\r\n\r\n", Law::Refused),
    ("0x{n}\r\n{}\r\n0\r\n\r\n", Law::Refused),
    ("+{n}\r\n{}\r\n0\r\n\r\n", Law::Refused),
    ("{n}\n{}\r\n0\r\n\r\n", Law::Refused),
    ("{n};x\n{}\r\n0\r\n\r\n", Law::Refused),
    ("{n}\r\n{}\n0\r\n\r\n", Law::Refused),
    ("{n}\r\n{}0\r\n\r\n", Law::Refused),
    ("{n}\r\n{}xx\r\n0\r\n\r\n", Law::Refused),
    ("1\r\n{}\r\n0\r\n\r\n", Law::Refused),
    ("ffffffffffffffff\r\n{}\r\n0\r\n\r\n", Law::Refused),
    ("10000000000000000\r\n{}\r\n0\r\n\r\n", Law::Refused),
    ("{n}\r\n{}\r\n", Law::Refused),
    ("{n}\r\n{}\r\n-0\r\n\r\n", Law::Refused),
    ("0\r\n\r\n", Law::Refused),
    ("\r\n{n}\r\n{}\r\n0\r\n\r\n", Law::Refused),
];

/// An answer of its own, which belongs to no request.
fn unasked() -> String {
    let body = Wire::Chat.whole("inner answer");
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Every hostile answer by its name.
fn answers() -> Vec<(String, String, Law)> {
    let body = Wire::Chat.whole("first answer");
    let kind = "content-type: application/json\r\n";
    let (n, x) = (body.len().to_string(), format!("{:x}", body.len()));
    let mut all = Vec::new();
    for (fields, law) in FRAMINGS {
        let head = format!(
            "HTTP/1.1 200 OK\r\n{kind}{}\r\n\r\n",
            fields.replace("{n}", &n)
        );
        all.push((format!("framing {fields:?}"), head.clone() + &body, *law));
        if fields.contains("chunked") {
            let chunked = format!("{x}\r\n{body}\r\n0\r\n\r\n");
            all.push((
                format!("framing {fields:?}, in chunks"),
                head + &chunked,
                *law,
            ));
        }
    }
    for (line, law) in LINES {
        let text = format!("{line}\r\n{kind}content-length: {n}\r\n\r\n{body}");
        all.push((format!("line {line:?}"), text, *law));
    }
    for (chunks, law) in CHUNKS {
        let chunks = chunks.replace("{n}", &x).replace("{}", &body);
        let text = format!("HTTP/1.1 200 OK\r\n{kind}transfer-encoding: chunked\r\n\r\n{chunks}");
        all.push((format!("chunks {chunks:?}"), text, *law));
    }
    // What no request may say no answer may say either.
    for fields in corpus::FRAMINGS {
        let filled = fields.replace("{n}", &n);
        let text = format!("HTTP/1.1 200 OK\r\n{kind}{filled}\r\n\r\n{body}");
        all.push((
            format!("framing of a request {fields:?}"),
            text,
            Law::Refused,
        ));
    }
    for chunks in corpus::BAD_CHUNKS {
        let filled = chunks.replace("{n}", &x).replace("{}", &body);
        let text = format!("HTTP/1.1 200 OK\r\n{kind}transfer-encoding: chunked\r\n\r\n{filled}");
        all.push((
            format!("chunks of a request {chunks:?}"),
            text,
            Law::Refused,
        ));
    }
    for (name, before) in [
        ("100 many times", "HTTP/1.1 100 Continue\r\n\r\n".repeat(20)),
        (
            "103 and hints",
            "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".to_owned(),
        ),
    ] {
        let text = format!("{before}HTTP/1.1 200 OK\r\n{kind}content-length: {n}\r\n\r\n{body}");
        all.push((name.to_owned(), text, Law::Read));
    }
    all
}

/// Asks with a mark and reads the answer.
fn ask(stage: &Stage, mark: &str) -> Response {
    let text = body(mark).replace("\"chat\"", "\"chat-first\"");
    stage.ask_with(Wire::Chat, &text).connection.response()
}

/// Why an answer breaks its law.
fn breach(law: Law, response: &Response) -> Option<&'static str> {
    let text = response.text();
    let good = response.status == 200 && response.end == End::Clean;
    match law {
        _ if text.contains("inner answer") => Some("an answer that nobody asked for was delivered"),
        Law::Refused if good => Some("it was taken for good"),
        Law::Refused if response.status < 500 && response.status != 200 => {
            Some("blamed on the consumer")
        }
        Law::Read if !good || !text.contains("first answer") => Some("it was not delivered"),
        Law::Refused | Law::Read => None,
    }
}

#[test]
fn b21_no_answer_has_two_readings_and_none_reaches_another_consumer() {
    let stage = stage().start();
    let mut breaches = Vec::new();
    let mut count = 0;
    let all = answers();
    let distinct: BTreeSet<&str> = all.iter().map(|(_, text, _)| text.as_str()).collect();
    assert!(distinct.len() >= 200, "{} answers", distinct.len());
    for (name, text, law) in &all {
        for (end, closes) in [("closed", true), ("left open", false)] {
            // Left open, a truncated answer is one that the clocks end, which others test.
            let endless = ["999999", "18446744073709551615", "ffffffffffffffff"];
            // What is a request's corpus is played once.
            let once = name.contains("of a request");
            if !closes && (once || endless.iter().any(|size| text.contains(size))) {
                continue;
            }
            count += 1;
            let hostile = Script::raw(text.clone() + &unasked());
            let hostile = if closes {
                hostile
            } else {
                hostile.stall_at(usize::MAX)
            };
            stage.first.on(move |request: &Request| {
                if request.text().contains("next") {
                    Script::json(200, Wire::Chat.whole("next answer"))
                } else {
                    hostile.clone()
                }
            });
            let first = ask(&stage, "outer");
            if let Some(why) = breach(*law, &first) {
                breaches.push(format!(
                    "{name}, {end}: {why}: {} {:?}",
                    first.status,
                    first.text()
                ));
            }
            let next = ask(&stage, "next");
            if !next.text().contains("next answer") {
                breaches.push(format!(
                    "{name}, {end}: then {} {:?}",
                    next.status,
                    next.text()
                ));
            }
        }
    }
    assert!(count >= 300, "{count} exchanges");
    assert!(
        breaches.is_empty(),
        "{} of {count}:\n{}",
        breaches.len(),
        breaches.join("\n")
    );
}

#[test]
fn b20_bytes_on_an_idle_connection_end_it() {
    let stage = stage().start();
    for unsolicited in [
        unasked(),
        "HTTP/1.1 408 Timeout\r\n\r\n".to_owned(),
        "\r\n".to_owned(),
        "x".to_owned(),
    ] {
        stage
            .first
            .on(|_| Script::json(200, Wire::Chat.whole("next answer")));
        assert!(ask(&stage, "outer").text().contains("next answer"));
        let connections = stage.first.connections();
        let idle = connections.len() - 1;
        let written = connections[idle].writes.len();
        stage
            .first
            .command(idle, Command::Write(unsolicited.clone().into()));
        assert!(stage.first.wait_writes(idle, written + 1, LONG), "written");
        let next = ask(&stage, "next");
        assert!(
            next.text().contains("next answer"),
            "{unsolicited:?}: {}",
            next.text()
        );
        assert!(
            stage.first.wait_closed(idle, LONG).is_some(),
            "{unsolicited:?}"
        );
    }
}

#[test]
fn b20_a_flood_of_interim_answers_is_ended() {
    let stage = stage().start();
    let flood = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".repeat(20_000);
    stage
        .first
        .on(move |_| Script::raw(flood.clone()).stall_at(usize::MAX));
    let response = ask(&stage, "outer");
    assert!(response.status >= 500, "{}", response.status);
}

#[test]
fn b22_heads_without_measure_are_ended() {
    let stage = stage().start();
    let long = "x".repeat(1 << 20);
    let many: String = (0..100_000).map(|n| format!("x-{n}: y\r\n")).collect();
    let before = stage.leaf.resident_kib();
    for (name, text) in [
        (
            "a status line of 1 MiB",
            format!("HTTP/1.1 200 {long}\r\ncontent-length: 0\r\n\r\n"),
        ),
        (
            "a value of 1 MiB",
            format!("HTTP/1.1 200 OK\r\nx: {long}\r\ncontent-length: 0\r\n\r\n"),
        ),
        (
            "a name of 1 MiB",
            format!("HTTP/1.1 200 OK\r\n{long}: x\r\ncontent-length: 0\r\n\r\n"),
        ),
        (
            "100000 fields",
            format!("HTTP/1.1 200 OK\r\n{many}content-length: 0\r\n\r\n"),
        ),
        (
            "101 fields",
            format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(101)),
        ),
        ("no end at all", "x".repeat(1 << 20)),
    ] {
        stage
            .first
            .on(move |_| Script::raw(text.clone()).stall_at(usize::MAX));
        let response = ask(&stage, "outer");
        assert!(response.status >= 500, "{name}: {}", response.status);
    }
    let grown = stage
        .leaf
        .resident_kib()
        .zip(before)
        .map(|(now, before)| now.saturating_sub(before));
    assert!(grown < Some(16 << 10), "{grown:?} KiB");
    assert!(stage.first.wait_all_closed(LONG));
}

#[test]
fn b23_answers_without_measure_are_ended() {
    let stage = stage().start();
    let before = stage.leaf.resident_kib();
    let piece = |text: &str, bytes: usize| bytes::Bytes::from(text.repeat(bytes / text.len()));
    let start = bytes::Bytes::from(Wire::Chat.stream("first ").until(1));
    for (name, first, unit, count) in [
        ("an event of 9 MiB", "data: ", "x", 36),
        ("a line of 9 MiB", "", "x", 36),
        ("white space of 9 MiB in an event", "data: {", " ", 36),
        ("comments of 512 KiB", "", ":x\n\n", 2),
        ("empty lines of 512 KiB", "", "\n", 2),
    ] {
        let ends = count > 2;
        let pieces = std::iter::repeat_n(piece(unit, 256 << 10), count);
        let writes: Vec<bytes::Bytes> = [start.clone(), bytes::Bytes::from(first)]
            .into_iter()
            .chain(pieces)
            .collect();
        stage.first.push(Script::sse("").writes(writes));
        let (_, response) = stage.post(Wire::Chat, &Stage::alone(Wire::Chat), true);
        let digest = Wire::Chat.read(&response);
        // What has an end is still no good answer: nothing said that it was complete.
        assert!(digest.error.is_some() && !digest.terminal, "{name}");
        if ends {
            assert!(
                response.body.len() < 1 << 20,
                "{name}: nothing of it is passed on"
            );
        }
    }
    // A whole answer larger than may be held.
    let huge = bytes::Bytes::from(vec![b' '; 80 << 20]);
    stage.first.push(Script::json(200, huge));
    let (_, response) = stage.post(Wire::Chat, &Stage::alone(Wire::Chat), false);
    assert!(
        response.status >= 500 || response.end != End::Clean,
        "{}",
        response.status
    );
    let grown = stage
        .leaf
        .resident_kib()
        .zip(before)
        .map(|(now, before)| now.saturating_sub(before));
    // What may be held of a whole answer, once more while it grows, and what the allocator keeps.
    assert!(grown < Some(160 << 10), "{grown:?} KiB");
}

#[test]
fn b28_a_coding_that_was_not_asked_for_is_no_answer() {
    use std::io::Write;
    let stage = stage().start();
    let gzip = |plain: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(plain).expect("compresses");
        encoder.finish().expect("compresses")
    };
    let bodies: HashMap<&str, Vec<u8>> = HashMap::from([
        ("gzip", gzip(Wire::Chat.whole("first answer").as_bytes())),
        ("x-gzip", gzip(&vec![b' '; 64 << 20])),
        ("br", b"\x1b\x00\x00".to_vec()),
        ("zstd", b"\x28\xb5\x2f\xfd".to_vec()),
        ("deflate", b"x\x9c".to_vec()),
    ]);
    let before = stage.leaf.resident_kib();
    for (coding, body) in bodies {
        for stream in [true, false] {
            let script = Script::json(200, body.clone()).header("content-encoding", coding);
            stage.first.push(script);
            let (_, response) = stage.post(Wire::Chat, &Stage::alone(Wire::Chat), stream);
            // Within the cap it may be decoded; else it is the provider's fault.
            let decoded = response.status == 200 && response.text().contains("first answer");
            assert!(
                decoded || response.status >= 500,
                "{coding}: {} {}",
                response.status,
                response.text()
            );
            assert_eq!(response.header("content-encoding"), None, "{coding}");
            let sent = stage.first.requests().pop().expect("a request");
            let asked = sent.header("accept-encoding").unwrap_or("identity");
            assert_eq!(asked, "identity", "nothing else was asked for");
        }
    }
    let grown = stage
        .leaf
        .resident_kib()
        .zip(before)
        .map(|(now, before)| now.saturating_sub(before));
    assert!(grown < Some(32 << 10), "{grown:?} KiB");
}
