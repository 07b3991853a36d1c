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

fn told(body: &str) -> Vec<String> {
    let (_, losses) = across(body);
    losses
        .iter()
        .map(|loss| format!("{} {}", loss.kind.as_str(), loss.field))
        .collect()
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

#[test]
fn the_name_of_a_schema_and_a_refusal_are_told() {
    let body = r#"{"model":"m","max_tokens":9,"messages":[
        {"role":"user","content":"x"},
        {"role":"assistant","content":null,"refusal":"no"},
        {"role":"user","content":"why"}],
        "response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{}}}}"#;
    assert_eq!(
        told(body),
        [
            "approximated messages[1].content[0]",
            "approximated response_format.json_schema.name"
        ]
    );
}

#[test]
fn an_unknown_field_of_an_inner_object_is_told_by_its_own_name() {
    let body = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[
        {"type":"image_url","odd":1,"image_url":{"url":"https://a/b.png","inner":1}}]}],
        "tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"},"more":{"x":1}}}]}"#;
    let (sent, _) = across(body);
    assert_eq!(
        sent["messages"][0]["content"][0]["source"]["url"],
        "https://a/b.png"
    );
    assert_eq!(sent["tools"][0]["name"], "f");
    assert_eq!(
        told(body),
        [
            "dropped messages[0].content[0].odd",
            "dropped messages[0].content[0].image_url.inner",
            "dropped tools[0].function.more"
        ]
    );
}

#[test]
fn what_else_a_hint_says_is_told() {
    let hint = r#"{"type":"ephemeral","ttl":"1h","mode":"m","scope":"s","none":null}"#;
    let body = format!(
        r#"{{"model":"m","max_tokens":9,"cache_control":{hint},"messages":[{{"role":"user","content":[
        {{"type":"text","text":"x","cache_control":{hint}}}]}}],
        "tools":[{{"type":"function","function":{{"name":"f","parameters":{{"type":"object"}}}},"cache_control":{hint}}}]}}"#
    );
    let (sent, _) = across(&body);
    let written = serde_json::json!({"type":"ephemeral","ttl":"1h"});
    assert_eq!(sent["messages"][0]["content"][0]["cache_control"], written);
    assert_eq!(sent["tools"][0]["cache_control"], written);
    assert_eq!(sent["cache_control"], written);
    assert_eq!(
        told(&body),
        [
            "dropped messages[0].content[0].cache_control.scope",
            "dropped tools[0].cache_control.scope",
            "dropped cache_control.scope"
        ]
    );
}
