use super::*;
use proptest::prelude::*;
use serde::de::IgnoredAny;

/// What `serde_json` says of the same text.
fn is_object(text: &str) -> bool {
    text.trim_ascii_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

fn agrees(text: &str) {
    let found = fields(text);
    assert_eq!(found.is_some(), is_object(text), "{text}");
    for entry in found.unwrap_or_default() {
        let key: String = serde_json::from_str(&text[entry.key.clone()]).unwrap_or_default();
        let plain = &text[entry.key.start + 1..entry.key.end - 1];
        assert!(entry.escaped || plain == key, "{text}");
        let value = &text[entry.value];
        assert_eq!(value, value.trim_ascii());
        assert!(serde_json::from_str::<IgnoredAny>(value).is_ok(), "{text}");
    }
}

#[test]
fn fields_lie_where_they_are() {
    let text = " { \"a\" : [1, {\"b\":\"}\"}] ,\n\"\\u0062\":-0.5e+3, \"\":\"x\\\"\" } ";
    let found: Vec<(&str, bool, &str)> = fields(text)
        .unwrap()
        .into_iter()
        .map(|e| (&text[e.key], e.escaped, &text[e.value]))
        .collect();
    assert_eq!(
        found,
        [
            ("\"a\"", false, "[1, {\"b\":\"}\"}]"),
            ("\"\\u0062\"", true, "-0.5e+3"),
            ("\"\"", false, "\"x\\\"\""),
        ]
    );
}

#[test]
fn what_is_json_is_what_the_parser_says() {
    let values = [
        "",
        "0",
        "00",
        "01",
        "-",
        "-0",
        "-01",
        "1.",
        ".1",
        "1.5",
        "1e",
        "1e5",
        "1E-05",
        "1e+",
        "+1",
        "tru",
        "true",
        "truex",
        "nul",
        "null",
        "NaN",
        "[]",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{}",
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,}",
        "{a:1}",
        "[{]}",
        "{[}]",
        "\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\t\"",
        "\"\u{7f}\"",
        "\"é\u{1F600}\"",
        "[[[[]]]]",
        "[{},[],{\"a\":[]}]",
        "1]",
        "1}",
    ];
    for value in values {
        for text in [
            value.to_owned(),
            format!("{{\"k\":{value}}}"),
            format!("{{ \"k\" : {value} , \"l\":[{value} ] }}"),
            format!("{{\"k\":{value}}}x"),
        ] {
            agrees(&text);
        }
    }
}

#[test]
fn every_byte_is_marked_or_not() {
    for byte in 0..=u8::MAX {
        let is_special = byte < b' ' || byte == b'"' || byte == b'\\';
        for at in 0..8 {
            for before in [b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xff] {
                let mut word = [before; 8];
                word[at] = byte;
                let marks = marks(u64::from_le_bytes(word));
                assert_eq!(marks != 0, is_special, "{word:x?}");
                assert!(marks == 0 || first(marks) == at, "{word:x?}");
            }
        }
    }
}

#[test]
fn a_mark_is_found_wherever_it_stands() {
    for length in (0..70).chain(240..280) {
        for (mark, ok) in [("", true), ("\\n", true), ("\u{1}", false), ("\"", false)] {
            for at in 0..=length {
                let inner = format!("{}{mark}{}", "x".repeat(at), "y".repeat(length - at));
                let text = format!("{{\"k\":\"{inner}\"}}");
                assert_eq!(fields(&text).is_some(), ok, "{text}");
            }
        }
    }
}

/// What may stand in a string, and what may not: each wherever a block of a long text begins or ends, and where the text ends.
#[test]
fn escapes_are_read_wherever_they_stand() {
    let pieces = [
        "\\n",
        "\\\"",
        "\\\\",
        "\\/",
        "\\\\\\\"",
        "\\\\\\n",
        "\\u00e9",
        "\\uD83D\\udE00",
        "\\\\u12",
        "é",
        "\u{1F600}",
        "\u{7f}",
        "\u{1}",
        "\t",
        "\"",
        "\"}",
        "\\",
        "\\x",
        "\\'",
        "\\u12g4",
        "\\u123",
        "\\U0041",
        "\\é",
        "\\\\\"",
        "\\\u{1}",
        "\\n\\t\\r\\b\\f",
    ];
    for piece in pieces {
        for (length, at) in (0..=200).flat_map(|at| [(at, at), (200, at)]) {
            let inner = ["x".repeat(at), "y".repeat(length - at)].join(piece);
            agrees(&format!("{{\"k\":\"{inner}\"}}"));
        }
        // Cut at each place, so that the text ends in the midst of it.
        let text = format!("{{\"{}{piece}{}", "k".repeat(80), "l".repeat(70));
        for (end, _) in text.char_indices() {
            agrees(&text[..end]);
        }
    }
}

#[test]
fn depth_is_bounded() {
    for (levels, ok) in [(MAX_DEPTH - 1, true), (MAX_DEPTH, false)] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let inner = if open == "[" { "" } else { "1" };
            let text = format!(
                "{{\"k\":{}{inner}{}}}",
                open.repeat(levels),
                close.repeat(levels)
            );
            assert_eq!(fields(&text).is_some(), ok, "{levels} {open}");
        }
    }
}

proptest! {
    #[test]
    fn any_text_of_json_letters(text in "[{}\\[\\],:\" \\\\u0-9ae.+tfn-]{0,24}") {
        agrees(&text);
        agrees(&format!("{{\"k\":{text}}}"));
    }

    /// Escapes that stand close, on both sides of the borders of blocks.
    #[test]
    fn any_string_of_escapes(
        before in 0usize..200,
        inner in proptest::collection::vec(
            prop_oneof![
                6 => "[a-z ]{0,30}",
                6 => r#"\\["\\/bfnrt]"#,
                1 => r"\\u[0-9a-fA-F]{4}",
                1 => "[é—\u{1F600}]",
                1 => r#"[\\"ux'\t]"#,
            ],
            0..40,
        ),
        after in 0usize..100,
    ) {
        let inner = [&"x".repeat(before), &*inner.concat(), &"y".repeat(after)].concat();
        agrees(&format!("{{\"k\":\"{inner}\"}}"));
        agrees(&format!("{{\"{inner}\":[\"{inner}\"]}}"));
    }
}
