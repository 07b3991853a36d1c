//! Bodies: how large, how compressed, how deep.

use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use llmleaf_testkit::http::{Connection, End};
use llmleaf_testkit::samples::Wire;

use super::{answer, expect_refused, post, stage};

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).expect("compresses");
    encoder.finish().expect("compresses")
}

fn deflate(plain: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).expect("compresses");
    encoder.finish().expect("compresses")
}

/// The head of a zstd frame with a window of 128 KiB and no content size (RFC 8878, 3.1.1.1).
const ZSTD_HEAD: [u8; 6] = [0x28, 0xB5, 0x2F, 0xFD, 0x00, 7 << 3];

/// A header of a zstd block: last or not, kind (0 raw, 1 run), size (RFC 8878, 3.1.1.2).
fn zstd_block(last: bool, kind: u32, size: usize) -> [u8; 3] {
    let word = u32::from(last) | kind << 1 | u32::try_from(size).expect("a small block") << 3;
    let bytes = word.to_le_bytes();
    [bytes[0], bytes[1], bytes[2]]
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    [
        &ZSTD_HEAD,
        zstd_block(true, 0, plain.len()).as_slice(),
        plain,
    ]
    .concat()
}

/// So many MiB of spaces in a few bytes.
fn zstd_bomb(mib: usize) -> Vec<u8> {
    let mut bomb = ZSTD_HEAD.to_vec();
    for block in 0..mib * 8 {
        bomb.extend(zstd_block(block + 1 == mib * 8, 1, 128 << 10));
        bomb.push(b' ');
    }
    bomb
}

#[test]
fn d13_compressed_bodies_are_read() {
    let stage = stage().start();
    for pair in Wire::PAIRS {
        let plain = pair.0.request(pair.1.name(), true);
        for (coding, body) in [
            ("gzip", gzip(plain.as_bytes())),
            ("x-gzip", gzip(plain.as_bytes())),
            ("deflate", deflate(plain.as_bytes())),
            ("zstd", zstd(plain.as_bytes())),
            ("identity", plain.clone().into_bytes()),
        ] {
            stage.first.push(answer(pair.1, true));
            let response = post(&stage, pair.0, &[("content-encoding", coding)], &body);
            assert_eq!(pair.0.read(&response).text(), "first answer", "{coding}");
            let sent = stage.first.requests().pop().expect("a request");
            assert_eq!(sent.header("content-encoding"), None, "{coding}");
            assert!(sent.json().is_some(), "{coding}");
        }
    }
}

#[test]
fn d13_bombs_are_too_large() {
    let stage = stage().server("max_body_bytes = 1048576").start();
    let before = stage.leaf.resident_kib();
    let spaces = vec![b' '; 24 << 20];
    let bombs = [
        ("gzip", gzip(&spaces)),
        ("deflate", deflate(&spaces)),
        ("zstd", zstd_bomb(512)),
    ];
    for wire in Wire::BOTH {
        for (coding, body) in &bombs {
            assert!(body.len() < 1 << 20, "{coding}: {}", body.len());
            let response = post(&stage, wire, &[("content-encoding", coding)], body);
            expect_refused(wire, &response, 413, coding);
        }
    }
    let grown = stage
        .leaf
        .resident_kib()
        .zip(before)
        .map(|(now, before)| now.saturating_sub(before));
    assert!(grown < Some(24 << 10), "{grown:?} KiB more");
}

#[test]
fn other_codings_and_broken_ones_are_refused() {
    let stage = stage().start();
    let plain = Wire::Chat.request("chat", true);
    let mut cut = gzip(plain.as_bytes());
    cut.truncate(cut.len() - 9);
    let mut window = zstd(plain.as_bytes());
    // 2^31 bytes of window.
    window[5] = 21 << 3;
    for wire in Wire::BOTH {
        for (coding, body, status) in [
            ("br", plain.as_bytes().to_vec(), 415),
            ("gzip, gzip", gzip(&gzip(plain.as_bytes())), 415),
            ("gzip", cut.clone(), 400),
            ("gzip", plain.as_bytes().to_vec(), 400),
            ("zstd", plain.as_bytes().to_vec(), 400),
            ("zstd", window.clone(), 400),
        ] {
            let response = post(&stage, wire, &[("content-encoding", coding)], &body);
            expect_refused(wire, &response, status, coding);
        }
    }
    assert_eq!(stage.first.connections().len(), 0);
}

#[test]
fn d11_a_body_over_the_limit_is_refused_before_it_is_read() {
    let stage = stage().server("max_body_bytes = 65536").start();
    for wire in Wire::BOTH {
        let head = |length: &str| {
            format!(
                "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\n{length}\r\n\r\n",
                wire.path(),
                stage.bearer()
            )
        };
        // Not a byte of the body is there.
        let mut declared = Connection::open(stage.leaf.addr);
        declared.send(head("content-length: 65537").as_bytes());
        expect_refused(wire, &declared.response(), 413, "declared");
        assert_eq!(
            declared.drain(),
            (Vec::new(), End::Clean),
            "closed: the body is not waited for"
        );

        let mut chunked = Connection::open(stage.leaf.addr);
        chunked.send(head("transfer-encoding: chunked").as_bytes());
        chunked.send(format!("10001\r\n{}\r\n", " ".repeat(65537)).as_bytes());
        expect_refused(wire, &chunked.response(), 413, "undeclared");
        assert_eq!(chunked.drain().0, b"");

        let mut largest = wire.request(wire.name(), false);
        largest.push_str(&" ".repeat(65536 - largest.len()));
        stage.first.push(answer(wire, false));
        let response = post(&stage, wire, &[], largest.as_bytes());
        assert_eq!(response.status, 200, "{}", response.text());
    }
}

#[test]
fn e1_what_is_no_request_is_a_400() {
    let stage = stage().start();
    let deep = |open: &str, close: &str, depth: usize| {
        format!(
            r#"{{"model":"chat","messages":[],"metadata":{}{}}}"#,
            open.repeat(depth),
            close.repeat(depth)
        )
    };
    let invalid_utf8 = [
        &br#"{"model":"chat","messages":[{"role":"user","content":""#[..],
        b"\xff\xfe",
        br#""}]}"#,
    ]
    .concat();
    for wire in Wire::BOTH {
        for (case, body) in [
            ("nothing", Vec::new()),
            ("no JSON", b"model=chat".to_vec()),
            ("half of it", br#"{"model":"chat","messages":["#.to_vec()),
            (
                "two of them",
                br#"{"model":"chat"}{"model":"chat"}"#.to_vec(),
            ),
            ("a list", br#"["chat"]"#.to_vec()),
            ("no model", br#"{"messages":[]}"#.to_vec()),
            (
                "a model that is a number",
                br#"{"model":7,"messages":[]}"#.to_vec(),
            ),
            (
                "a stream that is a word",
                br#"{"model":"chat","stream":"true"}"#.to_vec(),
            ),
            (
                "two models",
                br#"{"model":"chat","model":"messages","messages":[]}"#.to_vec(),
            ),
            (
                "lists a million deep",
                deep("[", "]", 1_000_000).into_bytes(),
            ),
            (
                "objects 10000 deep",
                deep("{\"a\":", "}", 10_000)
                    .replace(":}", ":1}")
                    .into_bytes(),
            ),
            ("open lists without end", b"[".repeat(4 << 20)),
            ("no UTF-8", invalid_utf8.clone()),
            ("UTF-16", b"\xff\xfe{\0}\0".to_vec()),
        ] {
            let response = post(&stage, wire, &[], &body);
            expect_refused(wire, &response, 400, case);
        }
    }
    assert_eq!(stage.first.connections().len(), 0);
    assert_eq!(
        llmleaf_testkit::http::get(stage.leaf.addr, "/healthz", &[]).status,
        200
    );
}

#[test]
fn e13_a_body_is_read_as_json_whatever_it_is_called() {
    let stage = stage().start();
    for kind in [
        "application/x-www-form-urlencoded",
        "text/plain",
        "application/json; charset=utf-8",
    ] {
        stage.first.push(answer(Wire::Chat, false));
        let body = Wire::Chat.request("chat", false);
        let response = post(
            &stage,
            Wire::Chat,
            &[("content-type", kind)],
            body.as_bytes(),
        );
        assert_eq!(Wire::Chat.read(&response).text(), "first answer", "{kind}");
        let sent = stage.first.requests().pop().expect("a request");
        assert_eq!(sent.header("content-type"), Some("application/json"));
    }
}
