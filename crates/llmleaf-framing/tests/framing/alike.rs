//! Events that are taken together are those that are taken one by one.

use std::collections::VecDeque;

use bytes::Bytes;
use llmleaf_framing::{Frame, FramingError, Pattern, SseFramer, Tail};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::drive::{Framer, collect, collect_late, pieces, sse};
use crate::reference;

/// A framer that takes for the pattern of those that come whatever it saw last that had a text in quotes.
struct Learning {
    framer: SseFramer,
    pattern: Option<Pattern>,
    together: VecDeque<Frame>,
    /// How many were taken together.
    count: u64,
}

impl Learning {
    fn new(framer: SseFramer) -> Self {
        Self {
            framer,
            pattern: None,
            together: VecDeque::new(),
            count: 0,
        }
    }
}

fn plain(bytes: &[u8]) -> usize {
    let special = |byte: &u8| *byte == b'"' || *byte < b' ';
    bytes.iter().position(special).unwrap_or(bytes.len())
}

fn learn(frame: &Frame) -> Option<Pattern> {
    let start = frame.data.iter().position(|byte| *byte == b'"')? + 1;
    let length = plain(frame.data.get(start..)?);
    let closes = frame.data.get(start + length) == Some(&b'"');
    closes.then(|| Pattern::of(frame, start..start + length, plain))?
}

impl Framer for &mut Learning {
    fn push(&mut self, chunk: Bytes) {
        self.framer.push(chunk);
    }

    fn next(&mut self) -> Option<Result<Frame, FramingError>> {
        if let Some(pattern) = self.pattern.as_ref().filter(|_| self.together.is_empty())
            && let Some(alike) = self.framer.alike(pattern)
        {
            self.count += alike.count;
            self.together.extend(alike.frames());
            assert_eq!(self.together.len() as u64, alike.count);
            let raw: Vec<u8> = self
                .together
                .iter()
                .flat_map(|it| it.raw.to_vec())
                .collect();
            assert_eq!(raw, alike.raw);
            let around = |it: &Frame| plain(it.data.split(|b| *b == b'"').nth(1).expect("a text"));
            assert_eq!(self.together.iter().map(around).sum::<usize>(), alike.text);
        }
        if let Some(frame) = self.together.pop_front() {
            return Some(Ok(frame));
        }
        let next = self.framer.next()?;
        if let Some(pattern) = next.as_ref().ok().and_then(learn) {
            self.pattern = Some(pattern);
        }
        Some(next)
    }

    fn finish(&mut self) -> Option<Result<Tail, FramingError>> {
        self.framer.finish()
    }
}

/// Events of a few patterns, with what else may stand between them and in them.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let form = prop_oneof![
        8 => Just(("data: {\"t\":\"", "\"}\n\n")),
        2 => Just(("event: e\ndata: {\"t\":\"", "\"}\n\n")),
        2 => Just(("data:\"", "\"\r\n\r\n")),
        1 => Just(("data: \"", "\"\r\r")),
        1 => Just((": {\"t\":\"\n\ndata: {\"t\":\"", "\"}\n\n")),
        1 => Just((": \"a\"\ndata: \"", "\"\n\n")),
        1 => Just(("id: 7\ndata: \"", "\"\nretry: 1\n\n")),
        1 => Just(("data: \"", "\"\ndata: \"b\"\n\n")),
        1 => Just(("data: \"", "\n\n")),
        1 => Just(("data: x", "\n\n\n")),
        // A mark is one at the beginning alone.
        2 => Just(("\u{feff}data: \"", "\"\n\n")),
        // What stands elsewhere is what the data are.
        2 => Just(("id: \"", "\"\ndata: \"b\"\n\n")),
        2 => Just(("data: \"b\"x\ndata: y\n\"", "\"x\ny\n\n")),
    ];
    let text = prop_oneof![
        6 => "[a-d ]{1,9}".prop_map(String::into_bytes),
        3 => Just(b"b".to_vec()),
        2 => Just("é€😀".as_bytes().to_vec()),
        1 => Just(Vec::new()),
        1 => Just(b"a\"b".to_vec()),
        1 => Just(b"a\nb".to_vec()),
        1 => Just(b"\"}\n\ndata: {\"t\":\"".to_vec()),
    ];
    let wrong = prop_oneof![20 => Just(b"".to_vec()), 1 => Just(b"\xC3".to_vec())];
    let event = (form, vec((text, wrong), 1..9)).prop_map(|((before, after), texts)| {
        let each = texts
            .iter()
            .flat_map(|(text, wrong)| [before.as_bytes(), text, wrong, after.as_bytes()].concat());
        each.collect::<Vec<u8>>()
    });
    (
        prop::option::weighted(0.1, Just(b"\xEF\xBB\xBF".to_vec())),
        vec(event, 1..6),
    )
        .prop_map(|(mark, events)| [mark.unwrap_or_default(), events.concat()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn together_they_are_what_they_are_one_by_one(
        input in stream(),
        cuts in vec(1..120_usize, 1..8),
        limit in 1..80_usize,
    ) {
        let reading = reference::sse(&input);
        let learning = || Learning::new(sse(10_000));
        collect(&mut learning(), [&input[..]]).assert_reads(&reading, &input);
        collect(&mut learning(), pieces(&input, &cuts)).assert_reads(&reading, &input);
        collect_late(&mut learning(), pieces(&input, &cuts)).assert_reads(&reading, &input);
        let one_by_one = collect(sse(limit), [&input[..]]);
        let together = collect(&mut Learning::new(sse(limit)), [&input[..]]);
        prop_assert_eq!(together, one_by_one);
    }
}

#[test]
fn all_that_are_there_are_taken_at_once_and_are_of_the_same_memory() {
    let input = Bytes::from("data: {\"t\":\"a\"}\n\n".repeat(100));
    let mut learning = Learning::new(sse(10_000));
    collect(&mut learning, [&input[..]]);
    assert_eq!(learning.count, 99);
    let mut framer = sse(10_000);
    framer.push(input.clone());
    let first = framer.next().expect("a frame").expect("a good one");
    let pattern = learn(&first).expect("a pattern");
    let alike = framer.alike(&pattern).expect("they are there");
    assert_eq!((alike.count, alike.text), (99, 99));
    assert_eq!(alike.raw.as_ptr(), input.slice(first.raw.len()..).as_ptr());
    assert!(framer.next().is_none() && framer.finish().is_none());
}
