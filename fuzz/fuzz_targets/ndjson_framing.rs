//! Newline-delimited JSON: one push, single bytes and random cuts must read as the reference reads,
//! byte for byte; a small limit must give the same answer under any cut.

#![no_main]

#[path = "../../crates/llmleaf-framing/tests/framing/drive.rs"]
#[allow(dead_code)]
mod drive;
#[path = "../../crates/llmleaf-framing/tests/framing/reference.rs"]
#[allow(dead_code)]
mod reference;

use drive::{collect, collect_late, ndjson, pieces};
use libfuzzer_sys::fuzz_target;

const NO_LIMIT: usize = usize::MAX;

// The first bytes say how to cut, the rest is the stream.
fuzz_target!(|input: (u8, [u8; 6], &[u8])| {
    let (limit, lengths, stream) = input;
    let lengths = lengths.map(usize::from);
    let reading = reference::ndjson(stream);

    collect(ndjson(NO_LIMIT), [stream]).assert_reads(&reading, stream);
    collect(ndjson(NO_LIMIT), pieces(stream, &[1])).assert_reads(&reading, stream);
    collect(ndjson(NO_LIMIT), pieces(stream, &lengths)).assert_reads(&reading, stream);
    collect_late(ndjson(NO_LIMIT), pieces(stream, &lengths)).assert_reads(&reading, stream);

    let limit = usize::from(limit);
    let limited = collect(ndjson(limit), [stream]);
    assert_eq!(collect(ndjson(limit), pieces(stream, &[1])), limited);
    assert_eq!(collect(ndjson(limit), pieces(stream, &lengths)), limited);
});
