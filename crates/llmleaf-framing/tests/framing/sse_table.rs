//! The event stream format, rule by rule. Where a rule comes from the standard, the case is named after
//! its wording (WHATWG HTML, "Interpreting an event stream", read 2026-11-25).

use llmleaf_framing::{FramingError, SseFramer};

use crate::drive::{collect, pieces, sse};
use crate::reference;

/// Name of the case, input, expected `event|data` of each dispatched event, of the tail's last.
type Case = (
    &'static str,
    &'static [u8],
    &'static [&'static str],
    Option<&'static str>,
);

const CASES: &[Case] = &[
    ("nothing", b"", &[], None),
    ("lf", b"data: a\n\ndata: b\n\n", &["|a", "|b"], None),
    (
        "crlf",
        b"data: a\r\n\r\ndata: b\r\n\r\n",
        &["|a", "|b"],
        None,
    ),
    ("cr", b"data: a\r\rdata: b\r\r", &["|a", "|b"], None),
    (
        "mixed ends in one block",
        b"event: e\rdata: a\ndata: b\r\n\r\n",
        &["e|a\nb"],
        None,
    ),
    (
        "blank line by another end",
        b"data: a\n\rdata: b\r\n\ndata: c\r\r\n",
        &["|a", "|b", "|c"],
        None,
    ),
    (
        "lf cr lf is two ends",
        b"data: a\n\r\ndata: b\n\n",
        &["|a", "|b"],
        None,
    ),
    ("no space after the colon", b"data:a\n\n", &["|a"], None),
    (
        "one space is dropped, not two",
        b"data:  a\n\n",
        &["| a"],
        None,
    ),
    ("a tab is no space", b"data:\ta\n\n", &["|\ta"], None),
    ("a space at the end stays", b"data: a \n\n", &["|a "], None),
    (
        "colons in the value stay",
        b"data: a: b:c\n\n",
        &["|a: b:c"],
        None,
    ),
    (
        "lines are joined",
        b"data: YHOO\ndata: +2\ndata: 10\n\n",
        &["|YHOO\n+2\n10"],
        None,
    ),
    (
        "no colon: the empty value",
        b"data\n\ndata\ndata\n\ndata:",
        &["|", "|\n"],
        Some("|"),
    ),
    ("empty data is an event", b"data:\n\n", &["|"], None),
    (
        "event name",
        b"event: add\ndata: 1\n\ndata: 2\n\n",
        &["add|1", "|2"],
        None,
    ),
    (
        "event name after the data",
        b"data: 1\nevent: add\n\n",
        &["add|1"],
        None,
    ),
    (
        "last event name wins",
        b"event: a\nevent: b\ndata: 1\n\n",
        &["b|1"],
        None,
    ),
    (
        "an empty event name is none",
        b"event: a\nevent\ndata: 1\n\n",
        &["|1"],
        None,
    ),
    (
        "no data: no event, and its name is gone",
        b"event: a\n\ndata: 1\n\n",
        &["|1"],
        None,
    ),
    (
        "comments",
        b": c\n\ndata: 1\n: c\ndata: 2\n\n:\n\n",
        &["|1\n2"],
        None,
    ),
    ("a comment with data in it", b":data: 1\n\n", &[], None),
    (
        "id with NUL, odd retry",
        b"id: a\0b\nretry: x\ndata: 1\n\nid\nretry: 10\n\n",
        &["|1"],
        None,
    ),
    (
        "unknown fields",
        b"foo: 1\ndata: 1\nDATA: 2\ndataX: 3\ndat: 4\n data: 5\n\n",
        &["|1"],
        None,
    ),
    (
        "a space before the colon makes another name",
        b"data : 1\n\n",
        &[],
        None,
    ),
    ("blank lines", b"\n\n\r\r\n\ndata: 1\n\n\n\n", &["|1"], None),
    ("byte order mark", b"\xEF\xBB\xBFdata: 1\n\n", &["|1"], None),
    (
        "byte order mark before a comment",
        b"\xEF\xBB\xBF: c\n\ndata: 1\n\n",
        &["|1"],
        None,
    ),
    (
        "byte order mark before a blank line",
        b"\xEF\xBB\xBF\ndata: 1\n\n",
        &["|1"],
        None,
    ),
    (
        "only the first mark",
        b"\xEF\xBB\xBF\xEF\xBB\xBFdata: 0\n\ndata: 1\n\n",
        &["|1"],
        None,
    ),
    (
        "a mark on a later line of the first block",
        b"data: 1\n\xEF\xBB\xBFdata: 2\n\xEF\xBB\xBFevent: e\n\n",
        &["|1"],
        None,
    ),
    (
        "a mark later is content",
        b"data: 1\n\n\xEF\xBB\xBFdata: 2\n\ndata: \xEF\xBB\xBF3\n\n",
        &["|1", "|\u{feff}3"],
        None,
    ),
    (
        "characters of all widths",
        "data: aé€😀\n\n".as_bytes(),
        &["|aé€😀"],
        None,
    ),
    (
        "line separators of Unicode are content",
        "data: a\u{2028}b\u{85}c\n\n".as_bytes(),
        &["|a\u{2028}b\u{85}c"],
        None,
    ),
    ("NUL is content", b"data: a\0b\n\n", &["|a\0b"], None),
    (
        "wrong bytes in a comment are not read",
        b": \xFF\ndata: 1\n\n",
        &["|1"],
        None,
    ),
    (
        "tail without line end",
        b"data: 1\n\ndata: [DONE]",
        &["|1"],
        Some("|[DONE]"),
    ),
    (
        "tail without blank line",
        b"event: e\ndata: 1\n",
        &[],
        Some("e|1"),
    ),
    (
        "tail of several lines",
        b"data: 1\r\ndata: 2\r",
        &[],
        Some("|1\n2"),
    ),
    ("tail without data", b"event: e\nid: 1", &[], None),
    (
        "tail that is half a field name",
        b"data: 1\n\ndat",
        &["|1"],
        None,
    ),
    ("tail that is half a mark", b"\xEF\xBB", &[], None),
    (
        "tail that stops in a character",
        b"data: 1\n\ndata: \xE2\x82",
        &["|1"],
        None,
    ),
];

fn show(event: &reference::Event) -> String {
    let (name, data) = event;
    let name = name.as_deref().unwrap_or_default();
    format!(
        "{}|{}",
        std::str::from_utf8(name).unwrap(),
        std::str::from_utf8(data).unwrap()
    )
}

#[test]
fn c3_every_rule_holds_for_every_cut() {
    for (name, input, events, tail) in CASES {
        let whole = collect(sse(1000), [*input]);
        let seen: Vec<String> = whole.events.iter().map(show).collect();
        assert_eq!(seen, *events, "{name}");
        assert_eq!(whole.tail.as_ref().map(show).as_deref(), *tail, "{name}");
        assert_eq!(whole.error, None, "{name}");
        assert_eq!(whole.raw, *input, "{name}");
        assert_eq!(collect(sse(1000), pieces(input, &[1])), whole, "{name}");
        for at in 0..input.len() {
            let (left, right) = input.split_at(at);
            assert_eq!(collect(sse(1000), [left, right]), whole, "{name} at {at}");
        }
        whole.assert_reads(&reference::sse(input), input);
    }
}

#[test]
fn c8_a_wrong_byte_is_an_error_at_its_place() {
    let cases: &[(&[u8], u64)] = &[
        (b"data: \xFF\n\n", 6),
        (b"data: ok\n\ndata: ab\xC3(\n\n", 18),
        (b"\xEF\xBB\xBFdata:\xC0\x80\n\n", 8),
        (b"event: \xE2\x82\ndata: 1\n\n", 7),
        (b"event: \xFF\nevent: ok\ndata: 1\n\n", 7),
        (b"data: 1\ndata: \xED\xA0\x80\n\n", 14),
        // At the end of the body too, unless it may be a character cut in two.
        (b"data: \xFFa", 6),
    ];
    for (input, offset) in cases {
        let expected = Some(FramingError::InvalidUtf8 { offset: *offset });
        assert_eq!(collect(sse(1000), [*input]).error, expected);
        let bytewise = collect(sse(1000), pieces(input, &[1]));
        assert_eq!(bytewise.error, expected);
        bytewise.assert_reads(&reference::sse(input), input);
    }
}

#[test]
fn c1_a_character_cut_by_chunks_is_whole() {
    let input = "data: é€😀\n\n".as_bytes();
    for at in 0..input.len() {
        let (left, right) = input.split_at(at);
        let events = collect(sse(1000), [left, right]).events;
        assert_eq!(events, [(None, "é€😀".as_bytes().to_vec())]);
    }
}

/// What `next` says right after each chunk, as `raw` bytes.
fn frames_per_chunk(chunks: &[&'static str]) -> Vec<Vec<String>> {
    let mut framer: SseFramer = sse(1000);
    let mut seen = Vec::new();
    for chunk in chunks {
        framer.push((*chunk).into());
        let mut frames = Vec::new();
        while let Some(frame) = framer.next() {
            let raw = frame.unwrap().raw;
            frames.push(String::from_utf8(raw.to_vec()).unwrap());
        }
        seen.push(frames);
    }
    seen
}

#[test]
fn frames_are_out_with_the_byte_that_ends_them() {
    let none: &[&str] = &[];
    let seen = frames_per_chunk(&[
        "data: 1",
        "\n",
        "\n",
        "data: 2\r",
        "\r",
        "\n",
        "data: 3\r\n\r\n",
    ]);
    let expected: [&[&str]; 7] = [
        none,
        none,
        &["data: 1\n\n"],
        none,
        &["data: 2\r\r"],
        // The other half of a CRLF is forwarded at once, without data.
        &["\n"],
        &["data: 3\r\n\r\n"],
    ];
    assert_eq!(seen, expected);
}

#[test]
fn c2_a_crlf_that_came_whole_stays_whole() {
    let seen = frames_per_chunk(&["data: 1", "\r\n\r\ndata: 2\r", "\n\r\n"]);
    let expected: [&[&str]; 3] = [&[], &["data: 1\r\n\r\n"], &["data: 2\r\n\r\n"]];
    assert_eq!(seen, expected);
}

#[test]
fn a_comment_is_seen_with_its_line_end() {
    let seen = frames_per_chunk(&[": pi", "ng\n", "\n", ": a\n: b\ndata: 1\n: c\n", "\n"]);
    let expected: [&[&str]; 5] = [
        &[],
        &[": ping\n"],
        &["\n"],
        &[": a\n", ": b\n"],
        &["data: 1\n: c\n\n"],
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_block_without_data_is_a_frame_with_its_name() {
    let mut framer = sse(1000);
    framer.push("event: ping\nid: 7\n\n".into());
    let frame = framer.next().unwrap().unwrap();
    assert!(!frame.has_data);
    assert_eq!(frame.event.as_deref(), Some(&b"ping"[..]));
    assert_eq!(frame.raw, "event: ping\nid: 7\n\n");
}
