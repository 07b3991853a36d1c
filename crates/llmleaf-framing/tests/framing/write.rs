//! What is written reads back as itself, and nothing in a value can forge a frame.

use llmleaf_framing::{write_comment, write_event, write_line};
use proptest::prelude::*;

use crate::drive::{collect, ndjson, sse};

fn written(event: Option<&str>, data: &str) -> String {
    let mut out = Vec::new();
    write_event(&mut out, event, data.as_bytes());
    String::from_utf8(out).unwrap()
}

#[test]
fn events_look_as_they_should() {
    assert_eq!(written(None, "{}"), "data: {}\n\n");
    assert_eq!(written(Some("ping"), "{}"), "event: ping\ndata: {}\n\n");
    assert_eq!(written(Some(""), ""), "data: \n\n");
    assert_eq!(
        written(None, "a\nb\r\nc\rd\n"),
        "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"
    );
    assert_eq!(
        written(Some("a\ndata: b"), "c"),
        "event: a data: b\ndata: c\n\n"
    );
}

#[test]
fn comments_carry_nothing_but_comments() {
    let mut out = Vec::new();
    write_comment(&mut out, "ping");
    write_comment(&mut out, "a\n\ndata: b");
    assert_eq!(out, b": ping\n\n: a\n: \n: data: b\n\n");
    let collected = collect(sse(1000), [&out[..]]);
    assert_eq!((collected.events, collected.tail), (vec![], None));
}

/// Text in which line breaks, colons and field names are common.
const TEXT: &str = "([a-z: ]|\r|\n|\r\n|data: |é|😀|\\PC){0,20}";

fn with_lf(text: &str) -> Vec<u8> {
    text.replace("\r\n", "\n").replace('\r', "\n").into_bytes()
}

proptest! {
    #[test]
    fn events_read_back(events in proptest::collection::vec(("[a-z._]{0,8}", TEXT), 0..6)) {
        let mut out = Vec::new();
        let mut expected = Vec::new();
        for (name, data) in &events {
            write_comment(&mut out, data);
            write_event(&mut out, Some(name), data.as_bytes());
            let name = (!name.is_empty()).then(|| name.as_bytes().to_vec());
            expected.push((name, with_lf(data)));
        }
        let collected = collect(sse(10_000), [&out[..]]);
        prop_assert_eq!(collected.events, expected);
        prop_assert_eq!((collected.tail, collected.error), (None, None));
    }

    #[test]
    fn c17_a_name_forges_nothing(name in TEXT, data in TEXT) {
        let out = written(Some(&name), &data);
        let events = collect(sse(10_000), [out.as_bytes()]).events;
        prop_assert_eq!(events.len(), 1);
        prop_assert_eq!(&events[0].1, &with_lf(&data));
    }

    #[test]
    fn lines_read_back(lines in proptest::collection::vec("\"[a-z]{1,8}\"(\n|\r\n|\r)?", 0..6)) {
        let mut out = Vec::new();
        for line in &lines {
            write_line(&mut out, line.as_bytes());
        }
        let events = collect(ndjson(1000), [&out[..]]).events;
        let seen: Vec<Vec<u8>> = events.into_iter().map(|(_, data)| data.trim_ascii().to_vec()).collect();
        let expected: Vec<Vec<u8>> = lines.iter().map(|line| line.trim().as_bytes().to_vec()).collect();
        prop_assert_eq!(seen, expected);
    }
}
