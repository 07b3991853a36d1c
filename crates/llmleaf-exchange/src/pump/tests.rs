use super::*;
use bytes::Bytes;
use llmleaf_dialects::chat_completions::Quirks;

static WIRE: ChatWire = ChatWire::Completions(Quirks::REFERENCE);

/// What the consumer gets, and what is noted, where the provider's bytes come in pieces of that many.
fn relayed(stream: &str, length: usize, usage_added: bool) -> (Vec<u8>, [u64; 4]) {
    let mode = Mode::Relay {
        wire: &WIRE,
        usage_added,
    };
    let (mut pump, out) = (Pump::new(WIRE.decoder(), mode), Outlet::alone());
    for piece in stream.as_bytes().chunks(length) {
        let taken = pump.bytes(Bytes::copy_from_slice(piece), &out);
        taken.expect("a good stream");
    }
    pump.end(&out).expect("a whole one");
    let Meter {
        bytes,
        bytes_since_usage,
        chunks,
        reports,
        ..
    } = pump.meter;
    let noted = [bytes, bytes_since_usage, chunks, reports];
    (out.written(), noted)
}

fn chunk(content: &str, rest: &str) -> String {
    let head = r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"#;
    format!("data: {head}{content}}}}}]{rest}}}\n\n")
}

/// Frames that are alike go on at once where they come at once: with the same bytes, and counted as often.
#[test]
fn frames_that_come_together_go_on_as_each_does() {
    // As they stand in JSON.
    let texts = [
        "usage",
        "is",
        "delta",
        r"a\n",
        "b",
        "\u{e9}",
        "stop",
        "c",
        r#"\",\"usage\":null"#,
    ];
    let report =
        r#"data: {"id":"c","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    let end = r#"data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    for rest in ["", ",\"usage\":null", ", \"usage\": null", ",\"x\":[]"] {
        let mut stream = String::new();
        let mut told = 0;
        for round in 0..3 {
            for text in texts {
                let quoted = format!("\"{text}\"");
                stream += &chunk(&quoted, rest);
                let text: String = serde_json::from_str(&quoted).expect("a string");
                told += text.len() as u64;
                if round == 1 {
                    stream += ": alive\n\n";
                }
            }
        }
        let pieces = 3 * texts.len() as u64;
        stream += &format!("{end}\n\n{report}\n\ndata: [DONE]\n\n");
        stream += &chunk("\"behind the end\"", rest);
        for usage_added in [false, true] {
            let (out, noted) = relayed(&stream, 1, usage_added);
            for length in [7, 300, 1000, stream.len()] {
                let together = relayed(&stream, length, usage_added);
                assert_eq!(together.1, noted, "{rest} {length}");
                assert!(together.0 == out, "{rest} {length}");
            }
            // The end, the report and the mark behind it have data, too.
            assert_eq!(noted, [told, 0, pieces + 3, 1]);
            let out = String::from_utf8(out).expect("text");
            assert_eq!(out.contains("prompt_tokens"), !usage_added);
            let nulls = if usage_added { 0 } else { pieces };
            let own = rest.trim_start_matches([',', ' ']);
            if own.contains("null") {
                assert_eq!(out.matches(own).count() as u64, nulls);
            }
            assert!(!out.contains("behind"));
        }
    }
}
