//! Memory and work stay bounded: limits, zero-copy, and no second look at bytes already read.

use bytes::Bytes;
use llmleaf_framing::{Frame, FramingError, NdjsonFramer, SseFramer};

use crate::drive::{collect, ndjson, pieces, sse};

const TOO_LARGE: Option<FramingError> = Some(FramingError::EventTooLarge { limit: 20 });

#[test]
fn an_event_may_be_as_long_as_the_limit_and_no_longer() {
    let fits: &[&[u8]] = &[
        b"data: 0123456789ab\n\n",
        // The last line end counts as one byte, so that no cut inside it changes the answer.
        b"data: 0123456789a\r\n\r\n",
    ];
    for input in fits {
        assert_eq!(collect(sse(20), [*input]).error, None);
        assert_eq!(collect(sse(20), pieces(input, &[1])).error, None);
    }
    let exceeds: &[&[u8]] = &[
        b"data: 0123456789abc\n\n",
        b"data: 0123456789ab\r\n\r\n",
        b"data: 1\n: c\n: c\n: c\n: c\n",
        b"data: 0123456789abcdefgh",
        b": 0123456789abcdefghijk\n",
        // Found too large before it is found corrupt, whole or in pieces.
        b"data: 0123456789abcdefgh\xFF\n\n",
    ];
    for input in exceeds {
        assert_eq!(collect(sse(20), [*input]).error, TOO_LARGE);
        assert_eq!(collect(sse(20), pieces(input, &[1])).error, TOO_LARGE);
    }
}

#[test]
fn frames_before_the_one_too_large_are_delivered() {
    let collected = collect(
        sse(20),
        [&b"data: 1\n\ndata: 0123456789abcdef\n\ndata: 2\n\n"[..]],
    );
    assert_eq!(collected.events, [(None, b"1".to_vec())]);
    assert_eq!(collected.error, TOO_LARGE);
}

#[test]
fn a_line_may_be_as_long_as_the_limit_and_no_longer() {
    assert_eq!(
        collect(ndjson(20), [&b"\"0123456789abcdef\"\r\n"[..]]).error,
        None
    );
    assert_eq!(
        collect(ndjson(20), [&b"\"0123456789abcdefg\"\r\n"[..]]).error,
        TOO_LARGE
    );
    assert_eq!(
        collect(ndjson(20), pieces(&[b' '; 21], &[1])).error,
        TOO_LARGE
    );
}

#[test]
fn endless_comments_and_blank_lines_are_held_nowhere() {
    let mut framer = sse(20);
    let mut seen = 0;
    for _ in 0..10_000 {
        framer.push(Bytes::from_static(b": ping\n\n\n"));
        while let Some(frame) = framer.next() {
            assert!(!frame.unwrap().has_data);
            seen += 1;
        }
    }
    assert_eq!(seen, 30_000);
    assert!(framer.finish().is_none());
}

#[test]
fn nothing_is_taken_in_after_an_error() {
    let mut framer = sse(20);
    framer.push(Bytes::from_static(b"data: \xFF\n\ndata: 1\n\n"));
    framer.push(Bytes::from_static(b"data: 2\n\n"));
    assert_eq!(
        framer.next(),
        Some(Err(FramingError::InvalidUtf8 { offset: 6 }))
    );
    framer.push(Bytes::from_static(b"data: 3\n\n"));
    assert_eq!(framer.next(), None);
    assert_eq!(framer.finish(), None);
}

#[test]
fn untaken_frames_are_not_lost_as_bytes() {
    let mut framer = sse(1000);
    framer.push(Bytes::from_static(b"data: 1\n\n"));
    framer.push(Bytes::from_static(b"data: 2"));
    let tail = framer.finish().unwrap().unwrap();
    assert_eq!(
        (tail.frame, &tail.raw[..]),
        (None, &b"data: 1\n\ndata: 2"[..])
    );
}

fn shares_memory(part: &Bytes, chunk: &Bytes) -> bool {
    chunk.as_ptr_range().start <= part.as_ptr() && part.as_ptr() < chunk.as_ptr_range().end
}

#[test]
fn a_frame_within_a_chunk_is_not_copied() {
    let chunk = Bytes::from(b"1\n\nevent: a\ndata: 2\n\ndata: 3\ndata: 4\n\nda".to_vec());
    let mut framer = sse(1000);
    framer.push("data: ".into());
    assert_eq!(framer.next(), None);
    framer.push(chunk.clone());
    let mut next = || -> Frame { framer.next().unwrap().unwrap() };
    let spanning = next();
    assert_eq!(spanning.raw, "data: 1\n\n");
    assert!(shares_memory(&spanning.data, &spanning.raw));
    let within = next();
    assert!(shares_memory(&within.raw, &chunk));
    assert!(shares_memory(&within.data, &chunk));
    assert!(shares_memory(&within.event.unwrap(), &chunk));
    let joined = next();
    assert!(shares_memory(&joined.raw, &chunk));
    assert_eq!(joined.data, "3\n4");
    assert_eq!(framer.next(), None);
    // What is left was copied, so the chunk is free again.
    drop((spanning, within.raw, within.data, joined));
    assert!(chunk.is_unique());
}

#[test]
fn an_idle_framer_is_small() {
    assert!(size_of::<SseFramer>() <= 208, "{}", size_of::<SseFramer>());
    assert!(
        size_of::<NdjsonFramer>() <= 128,
        "{}",
        size_of::<NdjsonFramer>()
    );
}

/// Quadratic work on any of these would take many minutes: that the test ends is what counts most.
#[test]
fn c18_a_long_event_in_single_bytes_takes_linear_time() {
    const LENGTH: usize = 500_000;
    let one_line = [b"data: ", &vec![b'x'; LENGTH][..], b"\n\n"].concat();
    let many_lines = [&b"data: x\n".repeat(LENGTH / 8)[..], b"\n"].concat();
    let comments_inside = [b"data: x\n", &b":\r\n".repeat(LENGTH / 3)[..], b"\n"].concat();
    for input in [one_line, many_lines, comments_inside] {
        let bytewise = collect(sse(8 * LENGTH), pieces(&input, &[1]));
        assert_eq!(bytewise.events.len(), 1);
        assert!(bytewise.raw == input);
    }
    let line = [&vec![b'1'; LENGTH][..], b"\n"].concat();
    assert_eq!(
        collect(ndjson(8 * LENGTH), pieces(&line, &[1]))
            .events
            .len(),
        1
    );
}
