//! HTTP/2 as nobody means well who sends it: frames written by hand. The limits are the ones that the program states itself.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use llmleaf_testkit::http::get;
use llmleaf_testkit::replay::{Gate, Script};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{LONG, Stage};

use super::corpus::body;
use super::{answer, stage};

// Kinds and flags of frames, and codes of errors (RFC 9113, sections 6 and 7).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const REFUSED_STREAM: u32 = 7;

/// A frame as it came.
#[derive(Clone, Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A number with a prefix of so many bits (RFC 7541, section 5.1).
fn number(first: u8, bits: u32, value: usize) -> Vec<u8> {
    let most = (1 << bits) - 1;
    if value < most {
        return vec![first | u8::try_from(value).expect("small")];
    }
    let mut bytes = vec![first | u8::try_from(most).expect("small")];
    let mut rest = value - most;
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128 + 128).expect("small"));
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).expect("small"));
    bytes
}

/// A field spelled out (RFC 7541, section 6.2.2); `0x40` as the first byte puts it in the table.
fn field(first: u8, name: &str, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    bytes.extend(number(0, 7, name.len()));
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend(number(0, 7, value.len()));
    bytes.extend_from_slice(value);
    bytes
}

fn fields(list: &[(&str, &str)]) -> Vec<u8> {
    list.iter()
        .flat_map(|(name, value)| field(0, name, value.as_bytes()))
        .collect()
}

struct Connection(TcpStream);

impl Connection {
    /// Opens with these settings; each is an identifier and a value.
    fn open(stage: &Stage, settings: &[(u16, u32)]) -> Self {
        let mut stream = TcpStream::connect(stage.leaf.addr).expect("connects");
        stream.set_read_timeout(Some(LONG)).expect("a timeout");
        stream
            .set_write_timeout(Some(Duration::from_secs(5)))
            .expect("a timeout");
        let list: Vec<u8> = settings
            .iter()
            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()[..]].concat())
            .collect();
        let hello = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(SETTINGS, 0, 0, &list),
        ];
        stream.write_all(&hello.concat()).expect("sent");
        Connection(stream)
    }

    /// Sends; `false` when the peer takes no more.
    fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// The next frame; `None` at the end of the connection.
    fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream,
            payload,
        })
    }

    /// Reads until a frame fits; the frames before it are dropped.
    fn until(&mut self, fits: impl Fn(&Frame) -> bool) -> Option<Frame> {
        loop {
            let frame = self.read()?;
            if fits(&frame) {
                return Some(frame);
            }
        }
    }

    /// Reads to the end: the code of the last GOAWAY, if any.
    fn end(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some(frame) = self.read() {
            if frame.kind == GOAWAY {
                let four = frame
                    .payload
                    .get(4..8)
                    .and_then(|four| four.try_into().ok());
                code = four.map(u32::from_be_bytes);
            }
        }
        code
    }
}

/// The head of a chat request.
fn chat_head(stage: &Stage) -> Vec<u8> {
    fields(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/v1/chat/completions"),
        (":authority", "x"),
        ("authorization", &stage.bearer()),
    ])
}

/// A whole chat request on a stream.
fn chat(stage: &Stage, stream: u32) -> Vec<u8> {
    let head = frame(HEADERS, END_HEADERS, stream, &chat_head(stage));
    [
        head,
        frame(DATA, END_STREAM, stream, body("outer").as_bytes()),
    ]
    .concat()
}

fn get_head(path: &str) -> Vec<u8> {
    fields(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "x"),
    ])
}

/// A connection that is well still gets its answer.
fn expect_well(stage: &Stage) {
    assert_eq!(get(stage.leaf.addr, "/healthz", &[]).status, 200);
    let mut connection = Connection::open(stage, &[]);
    connection.send(&frame(
        HEADERS,
        END_HEADERS | END_STREAM,
        1,
        &get_head("/healthz"),
    ));
    let data = connection.until(|frame| frame.kind == DATA && frame.stream == 1);
    assert_eq!(data.expect("an answer").payload, b"ok\n");
}

#[track_caller]
fn expect_bounded(stage: &Stage, before: Option<u64>, most_kib: u64, case: &str) {
    let grown = stage
        .leaf
        .resident_kib()
        .zip(before)
        .map(|(now, before)| now.saturating_sub(before));
    assert!(grown < Some(most_kib), "{case}: {grown:?} KiB");
}

#[test]
fn d14_the_limits_are_stated_and_held() {
    let stage = stage().start();
    let gate = Gate::new();
    let held = gate.clone();
    stage
        .first
        .on(move |_| Script::json(200, Wire::Chat.whole("first answer")).hold_head(&held));
    let mut connection = Connection::open(&stage, &[]);
    let settings = connection.until(|frame| frame.kind == SETTINGS && frame.flags & ACK == 0);
    let settings: Vec<(u8, u32)> = settings
        .expect("settings")
        .payload
        .chunks(6)
        .map(|one| (one[1], u32::from_be_bytes([one[2], one[3], one[4], one[5]])))
        .collect();
    let of = |id: u8| {
        settings
            .iter()
            .find(|(own, _)| *own == id)
            .map(|(_, value)| *value)
    };
    assert_eq!(of(3), Some(100), "streams");
    assert!(of(4).unwrap_or(65_535) <= 65_536, "window");
    assert_eq!(of(5).unwrap_or(16_384), 16_384, "frame");
    assert_eq!(of(6), Some(65_536), "header list");
    assert_eq!(of(1).unwrap_or(4096), 4096, "table");
    for number in 0..101 {
        connection.send(&chat(&stage, number * 2 + 1));
    }
    let refused = connection
        .until(|frame| frame.kind == RST_STREAM)
        .expect("one is refused");
    assert_eq!(
        (refused.stream, refused.payload),
        (201, REFUSED_STREAM.to_be_bytes().to_vec())
    );
    assert!(stage.first.wait_accepted(100, LONG).is_some());
    assert_eq!(stage.first.connections().len(), 100);
    drop(connection);
    assert!(
        stage.first.wait_all_closed(LONG),
        "all end with their consumer"
    );
    gate.release();
}

#[test]
fn d14_resets_without_end_make_little_work() {
    // 3 kinds of ending a stream at once: before its body (CVE-2023-44487), after it, and by a fault that has us reset it
    // (CVE-2025-8671).
    for (case, whole, ending) in [
        ("before the body", false, (RST_STREAM, 8u32)),
        ("after the body", true, (RST_STREAM, 8)),
        ("by a fault", true, (WINDOW_UPDATE, 0)),
    ] {
        let stage = stage().start();
        stage.first.on(|_| answer(Wire::Chat, true));
        let before = stage.leaf.resident_kib();
        let mut connection = Connection::open(&stage, &[(4, 0)]);
        let mut sent = 0;
        for number in 0..5000 {
            let stream = number * 2 + 1;
            let opening = if whole {
                chat(&stage, stream)
            } else {
                frame(HEADERS, END_HEADERS, stream, &chat_head(&stage))
            };
            let end = frame(ending.0, 0, stream, &ending.1.to_be_bytes());
            if !connection.send(&[opening, end].concat()) {
                break;
            }
            sent += 1;
        }
        let code = connection.end();
        drop(connection);
        // Much less than one for each, whoever is quicker.
        let asked = stage.first.connections().len();
        assert!(
            asked <= 400,
            "{case}: {asked} of {sent} upstream, ended with {code:?}"
        );
        expect_bounded(&stage, before, 32 << 10, case);
        assert!(stage.first.wait_all_closed(LONG) || asked == 0, "{case}");
        expect_well(&stage);
    }
}

#[test]
fn d14_floods_of_small_frames_cost_no_memory() {
    let stage = stage().start();
    for (case, unit, opened) in [
        ("SETTINGS", frame(SETTINGS, 0, 0, &[]), false),
        ("PING", frame(PING, 0, 0, &[0; 8]), false),
        ("PRIORITY", frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]), false),
        ("empty DATA", frame(DATA, 0, 1, &[]), true),
        ("empty CONTINUATION", frame(CONTINUATION, 0, 1, &[]), false),
        (
            "WINDOW_UPDATE",
            frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
            false,
        ),
        ("unknown", frame(77, 0, 1, &[]), false),
    ] {
        let before = stage.leaf.resident_kib();
        let mut connection = Connection::open(&stage, &[]);
        if opened {
            connection.send(&frame(HEADERS, END_HEADERS, 1, &chat_head(&stage)));
        }
        // Nothing of what comes back is read.
        let _ = connection.send(&unit.repeat(50_000));
        expect_well(&stage);
        expect_bounded(&stage, before, 16 << 10, case);
    }
    assert_eq!(stage.first.connections().len(), 0);
}

#[test]
fn d15_headers_without_measure_end_their_connection_or_stream() {
    let stage = stage().start();
    // Each CONTINUATION holds 1 KiB, and none is the last (CERT VU#421644).
    let before = stage.leaf.resident_kib();
    let mut connection = Connection::open(&stage, &[]);
    connection.send(&frame(HEADERS, END_STREAM, 1, &get_head("/healthz")));
    let more = frame(CONTINUATION, 0, 1, &field(0, "x", &[b'x'; 1000]));
    for _ in 0..20_000 {
        if !connection.send(&more) {
            break;
        }
    }
    connection.end();
    expect_bounded(&stage, before, 16 << 10, "CONTINUATION");
    // One entry of the table, called up again and again: a byte stands for 4 KiB.
    let before = stage.leaf.resident_kib();
    let mut connection = Connection::open(&stage, &[(4, 0)]);
    for number in 0..100u32 {
        let stream = number * 2 + 1;
        let mut block = get_head("/v1/openapi.json");
        block.extend(field(0x40, "x", &[b'x'; 4000]));
        block.extend(std::iter::repeat_n(0x80 | 62, 8000));
        if !connection.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)) {
            break;
        }
    }
    connection.send(&frame(PING, 0, 0, b"are u ok"));
    // It may be refused by stream or by connection, but nothing of it may be answered as good.
    while let Some(one) = connection.read() {
        assert_ne!(
            (one.kind, one.payload.first()),
            (HEADERS, Some(&0x88)),
            "200"
        );
        if one.kind == PING {
            break;
        }
    }
    expect_bounded(&stage, before, 48 << 10, "HPACK");
    // Many small fields: below the size, above the number.
    let mut connection = Connection::open(&stage, &[]);
    let mut block = get_head("/healthz");
    block.extend(fields(&[("x", "y")]).repeat(500));
    connection.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block));
    let answered = connection.until(|frame| frame.kind == HEADERS || frame.kind == RST_STREAM);
    assert_ne!(
        answered.expect("an answer").payload.first(),
        Some(&0x88),
        "200"
    );
    expect_well(&stage);
}

#[test]
fn d15_answers_that_are_not_taken_are_bounded() {
    let stage = stage().start();
    let before = stage.leaf.resident_kib();
    // No window: every answer waits for its consumer.
    let mut connections: Vec<Connection> = (0..10)
        .map(|_| Connection::open(&stage, &[(4, 0)]))
        .collect();
    for connection in &mut connections {
        for number in 0..100 {
            let head = frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                number * 2 + 1,
                &get_head("/v1/openapi.json"),
            );
            connection.send(&head);
        }
        connection.send(&frame(PING, 0, 0, b"are u ok"));
        assert!(connection.until(|frame| frame.kind == PING).is_some());
    }
    expect_bounded(&stage, before, 48 << 10, "1000 answers");
    expect_well(&stage);
}

/// Lists of fields that no request has, each by its name; `inner` marks what may not come through.
fn unfit(bearer: &str) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let good = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/v1/chat/completions"),
        (":authority", "x"),
        ("authorization", bearer),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    let more = [
        (
            "line ends in a value",
            "x",
            "x\r\n\r\nGET /inner HTTP/1.1\r\nhost: y\r\n\r\n",
        ),
        ("a line feed in a value", "x", "a\ninner: b"),
        ("NUL in a value", "x", "a\0inner"),
        ("line ends in a name", "x: y\r\ninner", "b"),
        ("a name in capitals", "Inner", "b"),
        ("an empty name", "", "inner"),
        ("a colon in a name", "inner:b", "c"),
        ("transfer-encoding", "transfer-encoding", "chunked"),
        ("connection", "connection", "inner"),
        ("upgrade", "upgrade", "inner"),
        ("te", "te", "inner"),
        ("two hosts", "host", "inner"),
        ("a length that lies", "content-length", "5"),
        ("a length that is none", "content-length", "+5"),
        ("a pseudo-field behind the others", ":path", "/inner"),
        ("an unknown pseudo-field", ":inner", "x"),
    ];
    let instead = [
        (
            "a method with spaces",
            ":method",
            "GET /inner HTTP/1.1\r\nx: y",
        ),
        (
            "a path with spaces",
            ":path",
            "/v1/chat/completions HTTP/1.1\r\ninner: b",
        ),
        (
            "a path with a fragment",
            ":path",
            "/v1/chat/completions#inner",
        ),
        ("a path without a slash", ":path", "inner"),
        ("an empty path", ":path", ""),
        ("a host with a path", ":authority", "x/inner"),
        ("a host with a user", ":authority", "inner@x"),
        ("CONNECT", ":method", "CONNECT"),
    ];
    let mut all = Vec::new();
    for (case, name, value) in more {
        let mut list = good.to_vec();
        list.push((name, value.to_owned()));
        all.push((case, list));
    }
    for (case, name, value) in instead {
        let changed = good
            .clone()
            .map(|(own, old)| (own, if own == name { value.to_owned() } else { old }));
        all.push((case, changed.to_vec()));
    }
    for (case, lacking) in [("no method", ":method"), ("no path", ":path")] {
        let rest = good.iter().filter(|(own, _)| *own != lacking);
        all.push((case, rest.cloned().collect()));
    }
    all
}

#[test]
fn d16_nothing_of_a_frame_is_copied_into_a_request() {
    let stage = stage().start();
    stage.first.on(|_| answer(Wire::Chat, false));
    for (case, list) in unfit(&stage.bearer()) {
        let mut connection = Connection::open(&stage, &[]);
        let block: Vec<u8> = list
            .iter()
            .flat_map(|(name, value)| field(0, name, value.as_bytes()))
            .collect();
        connection.send(&frame(HEADERS, END_HEADERS, 1, &block));
        connection.send(&frame(DATA, END_STREAM, 1, body("outer").as_bytes()));
        let told = connection.until(|one| {
            let of_stream = one.stream == 1 && (one.kind == HEADERS || one.kind == RST_STREAM);
            of_stream || one.kind == GOAWAY
        });
        // Most are refused. What goes through is a request of our own making.
        let good = told
            .as_ref()
            .is_some_and(|one| one.payload.first() == Some(&0x88));
        let seen = stage.first.take_requests();
        assert!(seen.len() <= usize::from(good), "{case}: {seen:?}");
        for request in seen {
            let all = format!("{} {} {:?}", request.method, request.path, request.headers);
            assert!(!all.contains("inner"), "{case}: {all}");
            let target = (request.method.as_str(), request.path.as_str());
            assert_eq!(target, ("POST", "/v1/chat/completions"), "{case}");
        }
    }
    expect_well(&stage);
}
