//! Event streams: one push, single bytes and random cuts must read as the reference reads, byte for
//! byte; a small limit must give the same answer under any cut; what was read must survive rewriting.

#![no_main]

#[path = "../../crates/llmleaf-framing/tests/framing/drive.rs"]
#[allow(dead_code)]
mod drive;
#[path = "../../crates/llmleaf-framing/tests/framing/reference.rs"]
#[allow(dead_code)]
mod reference;

use drive::{Collected, collect, collect_late, pieces, sse};
use libfuzzer_sys::fuzz_target;
use llmleaf_framing::write_event;

const NO_LIMIT: usize = usize::MAX;

// The first bytes say how to cut, the rest is the stream.
fuzz_target!(|input: (u8, [u8; 6], &[u8])| {
    let (limit, lengths, stream) = input;
    let lengths = lengths.map(usize::from);
    let reading = reference::sse(stream);

    let whole = collect(sse(NO_LIMIT), [stream]);
    whole.assert_reads(&reading, stream);
    collect(sse(NO_LIMIT), pieces(stream, &[1])).assert_reads(&reading, stream);
    collect(sse(NO_LIMIT), pieces(stream, &lengths)).assert_reads(&reading, stream);
    collect_late(sse(NO_LIMIT), pieces(stream, &lengths)).assert_reads(&reading, stream);

    let limit = usize::from(limit);
    let limited = without_raw(collect(sse(limit), [stream]));
    assert_eq!(
        without_raw(collect(sse(limit), pieces(stream, &[1]))),
        limited
    );
    assert_eq!(
        without_raw(collect(sse(limit), pieces(stream, &lengths))),
        limited
    );

    rewrite(&whole);
});

/// Where a frame with CRLF ends depends on the cut, so after an error the bytes may differ by an LF.
fn without_raw(collected: Collected) -> Collected {
    Collected {
        raw: Vec::new(),
        ..collected
    }
}

/// Decoded data has no CR, so writing it and reading it back must give the same.
fn rewrite(collected: &Collected) {
    let mut out = Vec::new();
    for (name, data) in &collected.events {
        let name = name
            .as_deref()
            .map(|name| std::str::from_utf8(name).unwrap());
        write_event(&mut out, name, data);
    }
    assert_eq!(collect(sse(NO_LIMIT), [&out[..]]).events, collected.events);
}
