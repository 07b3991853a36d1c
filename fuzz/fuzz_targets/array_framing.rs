//! JSON arrays: one push, single bytes and random cuts must read as the reference reads, byte for byte; a small limit must give
//! the same answer under any cut. The same bytes as an event stream: any cut writes the events that the reference reads.

#![no_main]

#[path = "../../crates/llmleaf-framing/tests/framing/drive.rs"]
#[allow(dead_code)]
mod drive;
#[path = "../../crates/llmleaf-framing/tests/framing/reference.rs"]
#[allow(dead_code)]
mod reference;

use libfuzzer_sys::fuzz_target;

// The first bytes say how to cut, the rest is the stream.
fuzz_target!(|input: (u8, [u8; 6], &[u8])| {
    let (limit, lengths, stream) = input;
    drive::arrays_hold(stream, &lengths.map(usize::from), usize::from(limit));
});
