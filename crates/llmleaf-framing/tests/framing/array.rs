//! JSON arrays: elements under every cut, and an event stream as an array.

use llmleaf_framing::{ArrayFramer, ArrayLimits, ArrayWriter, FramingError};
use proptest::prelude::*;

use crate::drive::{arrays_hold, collect};

/// Name of the case, input, expected elements.
const CASES: &[(&str, &str, &[&str])] = &[
    ("nothing", "", &[]),
    ("an empty array", "[]", &[]),
    (
        "as the service writes it",
        "[{\n  \"a\": {\"b\": [1]}\n}\n,\r\n{\"c\":2}\n]\n",
        &["{\n  \"a\": {\"b\": [1]}\n}", "{\"c\":2}"],
    ),
    (
        "brackets and quotes in strings",
        r#"[{"a":"}\\\"]{"},{"}":"\\"}]"#,
        &[r#"{"a":"}\\\"]{"}"#, r#"{"}":"\\"}"#],
    ),
    ("an object alone", "{\"a\":1}", &["{\"a\":1}"]),
    ("cut off", "[{\"a\":1},{\"b\"", &["{\"a\":1}"]),
    ("wide characters", "[{\"é😀\":\"}\"}]", &["{\"é😀\":\"}\"}"]),
];

/// Pieces of arrays and of event streams, right and wrong ones.
const TOKENS: [&[u8]; 20] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b",\r\n",
    b"{\"a\":1}",
    b"{\"}\":\"\\\"\"}",
    b" ",
    b"\n",
    b"\n\n",
    b"\r",
    b"data: {}\n\n",
    b"data: ",
    b"data:{\"a\":1}\r\n\r\n",
    b": comment\n\n",
    "\u{e9}".as_bytes(),
    b"\xff",
    b"\xe2\x82",
];

#[test]
fn elements_are_found_under_every_cut() {
    for (name, input, expected) in CASES {
        for cut in 0..=input.len() {
            let (a, b) = input.as_bytes().split_at(cut);
            for pieces in [vec![a, b], input.as_bytes().chunks(1).collect()] {
                let found = collect(ArrayFramer::default(), pieces);
                let data: Vec<_> = found
                    .events
                    .iter()
                    .map(|event| String::from_utf8_lossy(&event.1).into_owned())
                    .collect();
                assert_eq!(data, *expected, "{name} cut at {cut}");
                assert_eq!(found.raw, input.as_bytes(), "{name} cut at {cut}");
                assert_eq!((found.tail, found.error), (None, None));
            }
        }
    }
}

#[test]
fn a_long_element_and_a_wrong_byte_are_errors() {
    let limits = ArrayLimits {
        max_element_bytes: 8,
    };
    let found = collect(ArrayFramer::new(limits), [&b"[{\"a\":\"bcdefgh"[..]]);
    assert_eq!(found.error, Some(FramingError::EventTooLarge { limit: 8 }));
    let found = collect(ArrayFramer::default(), [&b"[{\"a\":\"\xff\"}]"[..]]);
    assert_eq!(found.error, Some(FramingError::InvalidUtf8 { offset: 7 }));
}

#[test]
fn an_array_that_lacks_an_event_has_no_end() {
    let written = |stream: &[&[u8]]| {
        let (mut writer, mut out) = (ArrayWriter::default(), Vec::new());
        stream.iter().for_each(|bytes| writer.push(bytes, &mut out));
        let whole = writer.close(&mut out);
        (whole, String::from_utf8_lossy(&out).into_owned())
    };
    let event: &[u8] = b"data: {}\n\n";
    for (stream, whole, out) in [
        (&[][..], true, "[]\n"),
        (&[event, b": loss"], true, "[{}\n]\n"),
        (&[event, b"data: {}\n"], true, "[{},\r\n{}\n]\n"),
        (&[event, b"event: x"], false, "[{}"),
        (&[event, b"data: \xff\n\n", event], false, "[{}"),
    ] {
        assert_eq!(written(stream), (whole, out.to_owned()), "{stream:?}");
    }
    // More than a provider may send as one event.
    let long = format!("data: \"{}\"\n\n", "x".repeat(9 << 20));
    let (whole, out) = written(&[long.as_bytes(), event]);
    assert!(whole && out.len() > 9 << 20 && out.ends_with("\",\r\n{}\n]\n"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// The smoke of the fuzz target `array_framing`.
    #[test]
    fn any_bytes_under_any_cut(
        tokens in prop::collection::vec(prop::sample::select(&TOKENS[..]), 0..24),
        cuts in prop::collection::vec(1..12_usize, 1..8),
        limit in 0..24_usize,
    ) {
        arrays_hold(&tokens.concat(), &cuts, limit);
    }

    /// What the writer makes of events, the framer reads back.
    #[test]
    fn what_is_written_reads_back(texts in prop::collection::vec("[a-z\"\\\\{}\n\u{e9}]{0,8}", 0..6), comment: bool) {
        let elements: Vec<String> = texts.iter().map(|text| serde_json::json!({ "t": text }).to_string()).collect();
        let (mut writer, mut out) = (ArrayWriter::default(), Vec::new());
        for element in &elements {
            if comment {
                writer.push(b": keep-alive\n\n", &mut out);
            }
            writer.push(format!("data: {element}\r\n\r\n").as_bytes(), &mut out);
        }
        prop_assert!(writer.close(&mut out));
        let whole: Vec<serde_json::Value> = serde_json::from_slice(&out).unwrap();
        prop_assert_eq!(whole.len(), elements.len());
        let found = collect(ArrayFramer::default(), out.chunks(3));
        let data: Vec<_> = found.events.iter().map(|e| String::from_utf8_lossy(&e.1).into_owned()).collect();
        prop_assert_eq!(data, elements);
    }
}
