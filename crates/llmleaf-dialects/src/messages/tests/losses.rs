//! What a request of another dialect loses on this wire is named, and what it does not lose is not.

use super::*;
use crate::Target;
use crate::messages::request::render_request;
use llmleaf_model::{Loss, LossKind};
use serde_json::Value;

/// Body and losses of a chat-completions request on this wire.
fn across(body: &str) -> (Value, Vec<Loss>) {
    let request = crate::chat_completions::request::parse_request(body).unwrap();
    let target = Target {
        model: "m",
        stream: false,
    };
    let rendered = render_request(&request, target, &Quirks::REFERENCE).unwrap();
    (
        serde_json::from_slice(&rendered.body).unwrap(),
        rendered.losses,
    )
}

#[test]
fn an_output_cap_that_nobody_asked_for_is_told() {
    let (body, losses) = across(r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#);
    let [loss] = losses.as_slice() else {
        panic!("{losses:?}");
    };
    let cap = body["max_tokens"].as_u64().unwrap();
    assert_eq!(cap, Quirks::REFERENCE.default_max_tokens);
    assert_eq!(
        (loss.field.as_str(), loss.kind),
        ("max_tokens", LossKind::Approximated)
    );
    assert!(loss.why.contains(&cap.to_string()), "{loss}");
    let asked =
        r#"{"model":"m","max_completion_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;
    assert_eq!(across(asked).1, []);
}
