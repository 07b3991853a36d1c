//! Nanoseconds per chunk of the chat-completions wire:
//! `cargo run --release -p llmleaf-dialects --example bench_chat_completions`.
//!
//! Figures are for comparing two states of the code on one quiet machine, not for quoting.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use bytes::Bytes;
use llmleaf_dialects::chat_completions::{Quirks, edits, events};
use llmleaf_dialects::{Decoder, Encoder, Frame, ReplyContext};
use llmleaf_model::Event;
use std::hint::black_box;
use std::time::Instant;

const CHUNKS: usize = 100;
/// Many short rounds: the least is then one that nothing interrupted, on a busy machine too.
const ROUNDS: usize = 3_000;

fn frame(data: &str) -> Frame {
    let raw = Bytes::from(format!("data: {data}\n\n"));
    Frame {
        data: raw.slice(6..6 + data.len()),
        event: None,
        has_data: true,
        raw,
    }
}

/// A chunk of about 200 bytes, as the reference sends it.
fn chunk(delta: &str) -> Frame {
    frame(&format!(
        r#"{{"id":"chatcmpl-0123456789abcdef","object":"chat.completion.chunk","created":1764000000,"model":"gpt-4o-mini","choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":null}}],"usage":null}}"#
    ))
}

/// The least time of one round, in nanoseconds per chunk.
fn time(mut round: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        round();
        best = best.min(start.elapsed().as_nanos() as f64);
    }
    best / CHUNKS as f64
}

fn decode(name: &str, frame: &Frame) -> Vec<Event> {
    let frames = vec![frame.clone(); CHUNKS];
    let mut out = Vec::new();
    let nanos = time(|| {
        let mut decoder = events::decoder(&Quirks::REFERENCE);
        out.clear();
        for frame in &frames {
            decoder.push(black_box(frame), &mut out);
        }
        black_box(&out);
    });
    println!("decode {name}: {} bytes, {nanos:.0} ns", frame.raw.len());
    out
}

fn main() {
    let text = chunk(r#"{"content":" response"}"#);
    let told = decode("text", &text);
    decode("text with escapes", &chunk(r#"{"content":"a\n\"b\""}"#));
    let call = r#"{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a"}}]}"#;
    decode("tool arguments", &chunk(call));
    let thought = r#"{"content":"","reasoning":"The user","reasoning_details":[{"type":"reasoning.text","text":"The user","index":0,"format":null}]}"#;
    decode("reasoning", &chunk(thought));
    let nanos = time(|| {
        for _ in 0..CHUNKS {
            black_box(edits::relay(black_box(&text), true));
        }
    });
    println!("relay, usage cut: {nanos:.0} ns");
    let nanos = time(|| {
        for _ in 0..CHUNKS {
            black_box(edits::relay(black_box(&text), false));
        }
    });
    println!("relay, as is: {nanos:.0} ns");
    let mut out = Vec::new();
    let nanos = time(|| {
        let mut encoder = events::encoder(ReplyContext::default());
        out.clear();
        for event in &told {
            encoder.encode(black_box(event), &mut out);
        }
        black_box(&out);
    });
    println!("encode text: {nanos:.0} ns");
}
