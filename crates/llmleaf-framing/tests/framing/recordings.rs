//! Recorded streams of real providers, cut everywhere.
//!
//! The recordings lie beside the workspace, not in it. Without them these tests say so and pass.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use llmleaf_framing::SseFramer;

use crate::drive::{Framer, collect, ndjson, pieces, sse};
use crate::reference;

/// Up to this much of one stream is cut at every byte as a whole. Longer streams are cut at every byte
/// within a window of two frames: the work for whole streams grows with the square of their length.
const WHOLE_STREAM_BYTES: usize = 1_500;

const LIMIT: usize = 1_000_000;

fn recordings() -> Option<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("shared/recordings"))
        .find(|folder| folder.is_dir())
}

/// The bodies of all exchanges that have the response field `field`, the same body once.
fn bodies(field: &str) -> Vec<Vec<u8>> {
    let Some(folder) = recordings() else {
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

/// The `raw` bytes of all frames, the tail's last.
fn raw_frames(mut framer: impl Framer, body: &[u8]) -> Vec<Bytes> {
    framer.push(Bytes::copy_from_slice(body));
    let mut frames = Vec::new();
    while let Some(frame) = framer.next() {
        frames.push(frame.unwrap().raw);
    }
    frames.extend(framer.finish().map(|tail| tail.unwrap().raw));
    frames
}

/// Cuts `stream` in two at every byte up to `cuts` and expects the same of all.
fn cut_everywhere<F: Framer>(framer: impl Fn() -> F, stream: &[u8], cuts: usize) {
    let whole = collect(framer(), [stream]);
    for at in 1..cuts.min(stream.len()) {
        let (left, right) = stream.split_at(at);
        assert_eq!(collect(framer(), [left, right]), whole, "cut at {at}");
    }
}

fn check_body<F: Framer>(framer: impl Fn() -> F, body: &[u8], reading: &reference::Reading) {
    assert_eq!(reading.invalid_at, None);
    collect(framer(), [body]).assert_reads(reading, body);
    collect(framer(), pieces(body, &[1])).assert_reads(reading, body);
    if body.len() <= WHOLE_STREAM_BYTES {
        cut_everywhere(framer, body, body.len());
        return;
    }
    let frames = raw_frames(framer(), body);
    for (place, frame) in frames.iter().enumerate() {
        let follower = frames.get(place + 1).map_or(&b""[..], |next| &next[..]);
        cut_everywhere(&framer, &[&frame[..], follower].concat(), frame.len() + 1);
    }
}

#[test]
fn event_streams_read_the_same_however_they_are_cut() {
    let framer = || -> SseFramer { sse(LIMIT) };
    for body in bodies("sse") {
        check_body(framer, &body, &reference::sse(&body));
    }
}

#[test]
fn line_streams_read_the_same_however_they_are_cut() {
    for body in bodies("ndjson") {
        check_body(|| ndjson(LIMIT), &body, &reference::ndjson(&body));
    }
}
