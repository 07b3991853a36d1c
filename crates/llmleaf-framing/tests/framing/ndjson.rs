//! Newline-delimited JSON: rules, and random input against the reference under any cut.

use llmleaf_framing::FramingError;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::drive::{collect, collect_late, ndjson, pieces};
use crate::reference;

/// Name of the case, input, expected lines, expected last line without end.
type Case<'a> = (&'a str, &'a [u8], &'a [&'a str], Option<&'a str>);

#[test]
fn every_rule_holds_for_every_cut() {
    let cases: &[Case] = &[
        ("nothing", b"", &[], None),
        ("lf", b"{}\n[1]\n", &["{}", "[1]"], None),
        ("crlf", b"{}\r\n[1]\r\n", &["{}", "[1]"], None),
        (
            "only one cr belongs to the end",
            b"{}\r\r\n",
            &["{}\r"],
            None,
        ),
        ("a lone cr is white space", b"{\r}\n", &["{\r}"], None),
        (
            "the last line needs no end",
            b"{}\n[1]",
            &["{}"],
            Some("[1]"),
        ),
        (
            "the last line may end in cr",
            b"{}\n[1]\r",
            &["{}"],
            Some("[1]"),
        ),
        ("blank lines", b"\n\r\n \t\n{}\n\n", &["{}"], None),
        ("a blank tail", b"{}\n \r", &["{}"], None),
        ("white space stays", b" {} \n", &[" {} "], None),
        ("byte order mark", b"\xEF\xBB\xBF{}\n", &["{}"], None),
        ("nothing but a mark", b"\xEF\xBB\xBF", &[], None),
        (
            "a mark later is content",
            b"{}\n\xEF\xBB\xBF{}\n",
            &["{}", "\u{feff}{}"],
            None,
        ),
        (
            "characters of all widths",
            "\"é€😀\"\n".as_bytes(),
            &["\"é€😀\""],
            None,
        ),
        (
            "a tail that stops in a character",
            b"{}\n\"\xE2\x82",
            &["{}"],
            None,
        ),
    ];
    for (name, input, lines, tail) in cases {
        let whole = collect(ndjson(1000), [*input]);
        let seen: Vec<&[u8]> = whole.events.iter().map(|(_, data)| &data[..]).collect();
        let expected: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        assert_eq!(seen, expected, "{name}");
        let seen = whole.tail.as_ref().map(|(_, data)| &data[..]);
        assert_eq!(seen, tail.map(str::as_bytes), "{name}");
        assert_eq!((whole.error, &whole.raw[..]), (None, *input), "{name}");
        whole.assert_reads(&reference::ndjson(input), input);
        assert_eq!(collect(ndjson(1000), pieces(input, &[1])), whole, "{name}");
        for at in 0..input.len() {
            let (left, right) = input.split_at(at);
            assert_eq!(
                collect(ndjson(1000), [left, right]),
                whole,
                "{name} at {at}"
            );
        }
    }
}

#[test]
fn a_wrong_byte_is_an_error_at_its_place() {
    let cases: &[(&[u8], u64)] = &[
        (b"{}\n\"\xFF\"\n", 4),
        (b"\xEF\xBB\xBF\"\xC3\"\n", 4),
        (b"{}\n\xFF{", 3),
    ];
    for (input, offset) in cases {
        let expected = Some(FramingError::InvalidUtf8 { offset: *offset });
        assert_eq!(collect(ndjson(1000), [*input]).error, expected);
        assert_eq!(collect(ndjson(1000), pieces(input, &[1])).error, expected);
    }
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        4 => Just(&b"{\"a\":1}"[..]),
        3 => Just(&b"\n"[..]),
        2 => Just(&b"\r\n"[..]),
        1 => Just(&b"\r"[..]),
        1 => Just(&b" "[..]),
        1 => Just("é€😀".as_bytes()),
        1 => Just(&b"\xEF\xBB\xBF"[..]),
    ];
    let wrong =
        prop_oneof![10 => Just(&b""[..]), 1 => Just(&b"\xFF"[..]), 1 => Just(&b"\xE2\x82"[..])];
    (vec(token.clone(), 0..20), wrong, vec(token, 0..5)).prop_map(|(before, wrong, after)| {
        [before.concat(), wrong.to_vec(), after.concat()].concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn reads_what_the_reference_reads(input in stream(), cuts in vec(1..12_usize, 1..8)) {
        let reading = reference::ndjson(&input);
        collect(ndjson(10_000), [&input[..]]).assert_reads(&reading, &input);
        collect(ndjson(10_000), pieces(&input, &[1])).assert_reads(&reading, &input);
        collect(ndjson(10_000), pieces(&input, &cuts)).assert_reads(&reading, &input);
        collect_late(ndjson(10_000), pieces(&input, &cuts)).assert_reads(&reading, &input);
    }

    #[test]
    fn the_limit_does_not_depend_on_the_cuts(input in stream(), limit in 1..20_usize) {
        let whole = collect(ndjson(limit), [&input[..]]);
        let bytewise = collect(ndjson(limit), pieces(&input, &[1]));
        prop_assert_eq!(bytewise, whole);
    }
}
