//! Recorded streams of real providers, cut everywhere.
//!
//! The recordings lie beside the workspace, not in it. Without them these tests say so and pass.

use bytes::Bytes;
use llmleaf_framing::Frame;
use llmleaf_testkit::recordings;

use crate::drive::{Framer, collect, ndjson, pieces, sse};
use crate::reference::{self, Reading};

/// Streams up to this length are cut at every byte as a whole.
///
/// All longer ones are read byte by byte, and those up to [`WINDOWED_STREAM_BYTES`] are cut at every
/// byte of every frame with that frame and the next as the stream: the work for whole streams grows
/// with the square of their length.
const WHOLE_STREAM_BYTES: usize = 1_000;
const WINDOWED_STREAM_BYTES: usize = 8_000;

const LIMIT: usize = 1_000_000;

/// The bodies of all exchanges that have the response field `field`, the same body once.
fn bodies(field: &str) -> Vec<Vec<u8>> {
    let Some(folder) = recordings::folder() else {
        println!("skipped: recordings not found");
        return Vec::new();
    };
    let mut bodies = Vec::new();
    for source in std::fs::read_dir(folder).unwrap() {
        let source = source.unwrap().path();
        if !source.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(source).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            for line in text.lines() {
                let exchange: serde_json::Value = serde_json::from_str(line).unwrap();
                let body = exchange.get("response").and_then(|found| found.get(field));
                if let Some(body) = body.and_then(serde_json::Value::as_str) {
                    bodies.push(body.as_bytes().to_vec());
                }
            }
        }
    }
    assert!(!bodies.is_empty(), "recordings without any {field} body");
    bodies.sort();
    bodies.dedup();
    println!("{} distinct {field} bodies", bodies.len());
    bodies
}

/// All frames, the tail last.
fn frames(framer: &mut impl Framer, chunks: &[Bytes]) -> Vec<Frame> {
    let mut frames = Vec::new();
    for chunk in chunks {
        framer.push(chunk.clone());
        while let Some(frame) = framer.next() {
            frames.push(frame.unwrap());
        }
    }
    frames.extend(framer.finish().map(|tail| {
        let tail = tail.unwrap();
        tail.frame.unwrap_or(Frame {
            raw: tail.raw,
            event: None,
            data: Bytes::new(),
            has_data: false,
        })
    }));
    frames
}

/// Cuts `stream` in two at every byte before `cuts` and expects the same of all.
fn cut_everywhere<F: Framer>(framer: impl Fn() -> F, stream: &Bytes, cuts: usize) {
    let whole = frames(&mut framer(), std::slice::from_ref(stream));
    let with_data = |frame: &&Frame| frame.has_data;
    for at in 1..cuts {
        let cut = frames(&mut framer(), &[stream.slice(..at), stream.slice(at..)]);
        // A cut within CRLF may move an LF into a frame of its own; all else is the same.
        if cut != whole {
            let same = |(left, right): (&Frame, &Frame)| {
                (&left.event, &left.data) == (&right.event, &right.data)
            };
            let data = whole.iter().filter(with_data);
            assert!(data.zip(cut.iter().filter(with_data)).all(same), "at {at}");
            let count = |frames: &[Frame]| frames.iter().filter(with_data).count();
            assert_eq!(count(&cut), count(&whole), "at {at}");
            let raw: Vec<&[u8]> = cut.iter().map(|frame| &frame.raw[..]).collect();
            assert!(raw.concat() == *stream, "at {at}");
        }
    }
}

/// Cuts `body` in two at every byte: as a whole if it is short, else frame by frame.
fn cut_body<F: Framer>(framer: impl Fn() -> F, body: Vec<u8>) {
    let body = Bytes::from(body);
    if body.len() <= WHOLE_STREAM_BYTES {
        cut_everywhere(framer, &body, body.len());
    } else if body.len() <= WINDOWED_STREAM_BYTES {
        let mut start = 0;
        let frames = frames(&mut framer(), std::slice::from_ref(&body));
        for (place, frame) in frames.iter().enumerate() {
            let end = start + frame.raw.len();
            let follower = frames.get(place + 1).map_or(0, |next| next.raw.len());
            let window = body.slice(start..end + follower);
            cut_everywhere(&framer, &window, window.len().min(frame.raw.len() + 1));
            start = end;
        }
    }
}

fn read_bytewise<F: Framer>(framer: impl Fn() -> F, body: &[u8], reading: &Reading) {
    assert_eq!(reading.invalid_at, None);
    collect(framer(), [body]).assert_reads(reading, body);
    collect(framer(), pieces(body, &[1])).assert_reads(reading, body);
}

#[test]
fn event_streams_read_as_the_reference_reads_them() {
    for body in bodies("sse") {
        read_bytewise(|| sse(LIMIT), &body, &reference::sse(&body));
    }
}

#[test]
fn c1_event_streams_read_the_same_however_they_are_cut() {
    for body in bodies("sse") {
        cut_body(|| sse(LIMIT), body);
    }
}

#[test]
fn line_streams_read_as_the_reference_reads_them() {
    for body in bodies("ndjson") {
        read_bytewise(|| ndjson(LIMIT), &body, &reference::ndjson(&body));
    }
}

#[test]
fn line_streams_read_the_same_however_they_are_cut() {
    for body in bodies("ndjson") {
        cut_body(|| ndjson(LIMIT), body);
    }
}
