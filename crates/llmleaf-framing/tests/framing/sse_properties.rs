//! Event streams at random: framer against reference, under any cut.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::drive::{Collected, collect, collect_late, pieces, sse};
use crate::reference;

/// Pieces of streams that meet every rule of the format often, and sometimes break it.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        4 => Just(&b"data: "[..]),
        2 => Just(&b"data:"[..]),
        1 => Just(&b"data"[..]),
        2 => Just(&b"event: "[..]),
        1 => Just(&b"event"[..]),
        1 => Just(&b"id: 1"[..]),
        1 => Just(&b"retry:"[..]),
        2 => Just(&b":"[..]),
        1 => Just(&b" "[..]),
        5 => Just(&b"\n"[..]),
        3 => Just(&b"\r"[..]),
        3 => Just(&b"\r\n"[..]),
        3 => Just(&b"\n\n"[..]),
        2 => Just(&b"a"[..]),
        1 => Just(&b"{\"text\":\"b\"}"[..]),
        1 => Just("é€😀".as_bytes()),
        1 => Just(&b"\xEF\xBB\xBF"[..]),
        1 => Just(&b"\0"[..]),
    ];
    // A wrong byte ends the stream, so few inputs have one.
    let wrong = prop_oneof![
        20 => Just(None),
        1 => prop_oneof![Just(&b"\xFF"[..]), Just(&b"\xC3"[..]), Just(&b"\xE2\x82"[..])]
            .prop_map(Some),
    ];
    (vec(token, 0..40), wrong, any::<proptest::sample::Index>()).prop_map(
        |(mut tokens, wrong, place)| {
            if let Some(wrong) = wrong {
                tokens.insert(place.index(tokens.len() + 1), wrong);
            }
            tokens.concat()
        },
    )
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    vec(1..12_usize, 1..8)
}

/// Frames with data, and the error, which no cut may change.
fn outcome(collected: Collected) -> (Vec<reference::Event>, Option<String>) {
    let error = collected.error.map(|error| error.to_string());
    (collected.events, error)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn reads_what_the_reference_reads(input in stream(), cuts in cuts()) {
        let reading = reference::sse(&input);
        collect(sse(10_000), [&input[..]]).assert_reads(&reading, &input);
        collect(sse(10_000), pieces(&input, &[1])).assert_reads(&reading, &input);
        collect(sse(10_000), pieces(&input, &cuts)).assert_reads(&reading, &input);
        collect_late(sse(10_000), pieces(&input, &cuts)).assert_reads(&reading, &input);
    }

    #[test]
    fn the_limit_does_not_depend_on_the_cuts(input in stream(), cuts in cuts(), limit in 1..40_usize) {
        let whole = outcome(collect(sse(limit), [&input[..]]));
        prop_assert_eq!(&outcome(collect(sse(limit), pieces(&input, &[1]))), &whole);
        prop_assert_eq!(&outcome(collect(sse(limit), pieces(&input, &cuts))), &whole);
        prop_assert_eq!(&outcome(collect_late(sse(limit), pieces(&input, &cuts))), &whole);
    }

    #[test]
    fn any_bytes_are_read_without_panic(input in vec(any::<u8>(), 0..200), cuts in cuts()) {
        let reading = reference::sse(&input);
        collect(sse(10_000), pieces(&input, &cuts)).assert_reads(&reading, &input);
    }
}
