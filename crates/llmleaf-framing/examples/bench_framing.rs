//! Nanoseconds per event of the framers: `cargo run --release -p llmleaf-framing --example bench_framing`.
//!
//! Figures are for comparing two states of the code on one quiet machine, not for quoting.

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use llmleaf_framing::{NdjsonFramer, NdjsonLimits, SseFramer, SseLimits, write_event, write_line};

const EVENTS: usize = 100;
/// Short rounds, many of them: the least is then one that nothing interrupted, on a busy machine too.
const ROUNDS: usize = 10;
const REPEATS: usize = 1_000;

/// An event as OpenAI's chat stream has it, with text of `text` bytes.
fn json(text: usize) -> String {
    format!(
        r#"{{"id":"chatcmpl-0123456789","object":"chat.completion.chunk","created":1764000000,"model":"m","choices":[{{"index":0,"delta":{{"content":"{}"}},"finish_reason":null}}]}}"#,
        "x".repeat(text)
    )
}

fn event(name: Option<&str>, data: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_event(&mut out, name, data.as_bytes());
    out
}

fn crlf(event: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(event).replace('\n', "\r\n").into()
}

fn line(json: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_line(&mut out, json.as_bytes());
    out
}

fn drain_sse(framer: &mut SseFramer) -> usize {
    let mut seen = 0;
    while let Some(Ok(frame)) = framer.next() {
        seen += usize::from(black_box(&frame).has_data);
    }
    seen
}

fn drain_ndjson(framer: &mut NdjsonFramer) -> usize {
    let mut seen = 0;
    while let Some(Ok(frame)) = framer.next() {
        seen += usize::from(black_box(&frame).has_data);
    }
    seen
}

/// The chunks of a stream as hyper hands them out: slices of one read buffer.
fn chunks(stream: &[u8], length: usize) -> Vec<Bytes> {
    let mut buffer = BytesMut::from(stream);
    let mut chunks = Vec::new();
    while !buffer.is_empty() {
        let length = length.min(buffer.len());
        chunks.push(buffer.split_to(length).freeze());
    }
    chunks
}

/// The least of some repeats, in nanoseconds per event.
fn time(chunks: &[Bytes], mut run: impl FnMut(&[Bytes]) -> usize) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..REPEATS {
        let start = Instant::now();
        let mut seen = 0;
        for _ in 0..ROUNDS {
            seen += run(black_box(chunks));
        }
        let events = seen.max(1) as f64;
        best = best.min(start.elapsed().as_nanos() as f64 / events);
    }
    best
}

fn sse(chunks: &[Bytes]) -> usize {
    let mut framer = SseFramer::new(SseLimits::default());
    let mut seen = 0;
    for chunk in chunks {
        framer.push(chunk.clone());
        seen += drain_sse(&mut framer);
    }
    seen
}

fn ndjson(chunks: &[Bytes]) -> usize {
    let mut framer = NdjsonFramer::new(NdjsonLimits::default());
    let mut seen = 0;
    for chunk in chunks {
        framer.push(chunk.clone());
        seen += drain_ndjson(&mut framer);
    }
    seen
}

fn report(name: &str, event: &[u8], run: fn(&[Bytes]) -> usize) -> std::io::Result<()> {
    let stream = event.repeat(EVENTS);
    let bulk = time(&chunks(&stream, stream.len()), run);
    let single = time(&chunks(&stream, event.len()), run);
    // Coprime to the event's length, so that most chunks end within an event.
    let torn = time(&chunks(&stream, event.len() * 3 / 4 + 1), run);
    writeln!(
        std::io::stdout(),
        "{name:<34} {:>6} B {bulk:>8.1} {single:>8.1} {torn:>8.1}",
        event.len()
    )
}

fn main() -> std::io::Result<()> {
    writeln!(
        std::io::stdout(),
        "{:<34} {:>8} {:>8} {:>8} {:>8}   ns/event",
        "",
        "event",
        "bulk",
        "1/push",
        "torn"
    )?;
    report("sse tiny", &event(None, "{\"t\":1}"), sse)?;
    report("sse data", &event(None, &json(5)), sse)?;
    report(
        "sse event + data",
        &event(Some("content_block_delta"), &json(5)),
        sse,
    )?;
    report(
        "sse event + data, crlf",
        &crlf(&event(Some("content_block_delta"), &json(5))),
        sse,
    )?;
    report(
        "sse two data lines",
        &event(None, "{\"a\":1,\n\"b\":2}"),
        sse,
    )?;
    report("sse data, 16 KiB", &event(None, &json(16 * 1024)), sse)?;
    report("ndjson", &line(&json(5)), ndjson)
}
