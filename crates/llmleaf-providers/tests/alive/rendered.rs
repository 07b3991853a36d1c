//! Every recorded request of a chat, as it goes out to every row of the roster on every other wire of that row: written down, for
//! `tests/specs/run` to compare with what the services document.

use llmleaf_dialects::{ChatWire, Dialect, Target};
use llmleaf_providers::Provider;
use llmleaf_testkit::recordings::{self, Recording};
use std::io::Write as _;

/// The dialect that a recorded request is written in; `None` for what is no chat.
fn dialect(recording: &Recording) -> Option<Dialect> {
    Some(match recording.wire.as_str() {
        "openai-chat" => Dialect::ChatCompletions,
        "anthropic-messages" => Dialect::Messages,
        "openai-responses" => Dialect::Responses,
        "gemini-generate" => Dialect::GenerateContent,
        "cohere-v2" => Dialect::CohereChat,
        "ollama-chat" => Dialect::LINES,
        _ => return None,
    })
}

/// Models of the wire: what may be asked depends on them. One can do most of what there is, unless the service has a schema for each.
fn models(row: &Provider, wire: &ChatWire) -> &'static [&'static str] {
    match (row.name, wire.dialect()) {
        ("openrouter", _) => &["anthropic/claude-opus-4.6"],
        ("mistral", _) => &["magistral-medium-latest"],
        ("moonshot", _) => &["kimi-k3", "kimi-k2.7-code", "kimi-k2.6", "moonshot-v1-auto"],
        ("xai", _) => &["grok-4"],
        (_, Dialect::Messages) => &["claude-opus-4-6"],
        (_, Dialect::GenerateContent) => &["gemini-2.5-pro"],
        (_, Dialect::CohereChat) => &["command-a-reasoning-08-2025"],
        _ => &["gpt-5.1"],
    }
}

#[test]
#[ignore = "writes for tests/specs/run"]
#[expect(
    clippy::disallowed_methods,
    reason = "where it writes is asked of it from outside"
)]
fn rendered() {
    let path = std::env::var_os("LLMLEAF_RENDERED").expect("LLMLEAF_RENDERED: where to write");
    let file = std::fs::File::create(path).expect("a file to write");
    let mut out = std::io::BufWriter::new(file);
    let kept = |r: &Recording| dialect(r).is_some() && !r.is_error() && r.request_body.is_some();
    let recorded = recordings::load_where("rendered requests", kept).expect("the recordings");
    for recording in &recorded {
        let from = dialect(recording).expect("a chat");
        let body = recording.request_body.as_deref().expect("a request");
        let request = match from.parse_request(body) {
            Ok(request) => request,
            // Its path said the model.
            Err(failure) if failure.param.as_deref() == Some("model") => continue,
            // What a service took, we take.
            Err(failure) => panic!("{}: {failure:?}", recording.id),
        };
        for row in llmleaf_providers::all() {
            for wire in super::wires(row) {
                if wire.dialect() == from {
                    // The bytes go through: they say what the service takes that was recorded.
                    if row.name == recording.provider {
                        let sent: serde_json::Value = serde_json::from_str(body).expect("JSON");
                        let line = serde_json::json!({"id": recording.id, "provider": row.name, "wire": wire.dialect().name().as_str(), "recorded": sent});
                        writeln!(out, "{line}").expect("a file to write");
                    }
                    continue;
                }
                for model in models(row, wire) {
                    let target = Target {
                        model,
                        stream: recording.stream,
                    };
                    let mut line = serde_json::json!({
                        "id": recording.id, "from": recording.wire, "provider": row.name, "wire": wire.dialect().name().as_str(),
                    });
                    match wire.render_request(&request, target) {
                        Ok(rendered) => {
                            let sent = serde_json::from_slice(&rendered.body).expect("JSON");
                            line["body"] = sent;
                        }
                        Err(failure) => line["refused"] = failure.message.to_string().into(),
                    }
                    writeln!(out, "{line}").expect("a file to write");
                }
            }
        }
    }
}
