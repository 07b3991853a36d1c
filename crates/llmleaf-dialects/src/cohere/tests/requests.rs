//! Requests, both ends.

use super::translated;
use crate::{ChatWire, Dialect, Target, chat_completions, messages};
use llmleaf_model::{PartKind, ReasoningForm, Role};
use serde_json::{Value, json};

/// What a request of this wire becomes on another.
fn sent(to: &ChatWire, body: &Value) -> (Value, Vec<String>) {
    let request = Dialect::CohereChat
        .parse_request(&body.to_string())
        .unwrap();
    let target = Target {
        model: "m",
        stream: false,
    };
    let rendered = to.render_request(&request, target).unwrap();
    let losses = rendered.losses.into_iter().map(|loss| loss.field).collect();
    (serde_json::from_slice(&rendered.body).unwrap(), losses)
}

fn chat() -> ChatWire {
    ChatWire::Completions(chat_completions::Quirks::REFERENCE)
}

fn anthropic() -> ChatWire {
    ChatWire::Messages(messages::Quirks::REFERENCE)
}

#[test]
fn a_tool_loop_goes_to_other_wires() {
    let body = json!({
        "model": "m",
        "messages": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "tool_plan": "I will look", "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": [
                {"type": "document", "document": {"data": {"title": "T", "text": "x"}}},
                {"type": "document", "document": {"data": {"n": 1}}}]},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "tool_choice": "REQUIRED", "p": 0.5, "k": 3, "max_tokens": 9, "stop_sequences": ["x"],
    });
    let (sent, losses) = sent(&chat(), &body);
    assert_eq!(
        sent["messages"][1]["tool_calls"][0]["function"]["arguments"],
        "{\"a\":1}"
    );
    assert_eq!(sent["messages"][2]["role"], "tool");
    let result = sent["messages"][2]["content"].to_string();
    assert!(
        result.contains("\"x\"") && result.contains(r#"{\"n\":1}"#),
        "{result}"
    );
    assert_eq!(
        (&sent["tool_choice"], &sent["top_p"]),
        (&"required".into(), &json!(0.5))
    );
    assert!(losses.iter().any(|field| field == "top_k"), "{losses:?}");
    let (sent, _) = self::sent(&anthropic(), &body);
    let result = &sent["messages"][2]["content"][0];
    assert_eq!(
        (&result["type"], &result["tool_use_id"]),
        (&"tool_result".into(), &"c".into())
    );
    assert_eq!(sent["tool_choice"]["type"], "any");
}

#[test]
fn documents_are_those_of_the_last_question() {
    let body = json!({
        "model": "m",
        "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}],
        "documents": ["plain", {"id": "1", "data": {"title": "T", "text": "x"}}, {"data": {"k": "v"}}],
    });
    let request = Dialect::CohereChat
        .parse_request(&body.to_string())
        .unwrap();
    let parts = &request.messages[2].parts;
    let documents = parts
        .iter()
        .filter(|p| matches!(&p.kind, PartKind::Media(m) if m.citations == Some(true)));
    assert_eq!((documents.count(), parts.len()), (3, 4));
    let (sent, losses) = sent(&anthropic(), &body);
    let last = &sent["messages"][2]["content"];
    assert_eq!(
        (&last[0]["type"], &last[0]["source"]["data"]),
        (&"document".into(), &"plain".into())
    );
    assert_eq!(last[1]["title"], "T");
    assert_eq!(last[2]["source"]["data"], r#"{"k":"v"}"#);
    assert_eq!(last[0]["citations"]["enabled"], true);
    assert_eq!(last[3]["text"], "c");
    assert_eq!(losses, ["max_tokens", "messages[2].content[1].id"]);
}

#[test]
fn a_chat_request_comes_in() {
    let (body, losses) = translated(
        Dialect::ChatCompletions,
        &json!({
            "model": "x", "messages": [
                {"role": "developer", "content": "s"},
                {"role": "user", "content": [{"type": "text", "text": "t"}, {"type": "image_url", "image_url": {"url": "https://i", "detail": "low"}}]},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "strict": true, "parameters": {"type": "object", "required": ["a"]}}},
                {"type": "function", "function": {"name": "g", "strict": true}}],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "temperature": 1.5, "top_p": 1, "seed": -1, "n": 2, "user": "u", "stop": ["1", "2", "3", "4", "5", "6"],
            "reasoning_effort": "high", "max_completion_tokens": 4096, "logprobs": true,
        })
        .to_string(),
    );
    assert_eq!(
        body,
        json!({
            "model": "m", "messages": [
                {"role": "system", "content": "s"},
                {"role": "user", "content": [{"type": "text", "text": "t"}, {"type": "image_url", "image_url": {"url": "https://i", "detail": "low"}}]},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "required": ["a"]}}}],
            "tool_choice": "REQUIRED", "thinking": {"type": "enabled", "token_budget": 3072}, "max_tokens": 4096,
            "temperature": 1, "p": 0.99, "logprobs": true, "stop_sequences": ["1", "2", "3", "4", "5"],
        })
    );
    for field in [
        "tool_choice",
        "tools.strict",
        "reasoning.budget",
        "temperature",
        "top_p",
        "seed",
        "n",
        "user",
        "stop[5]",
    ] {
        assert!(
            losses.iter().any(|lost| lost == field),
            "{field}: {losses:?}"
        );
    }
}

#[test]
fn an_anthropic_tool_loop_comes_in() {
    let (body, losses) = translated(
        Dialect::Messages,
        &json!({
            "model": "x", "max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 2000},
            "messages": [
                {"role": "user", "content": [
                    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}, "title": "T", "context": "C"},
                    {"type": "document", "source": {"type": "url", "url": "https://d"}},
                    {"type": "text", "text": "q"}]},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "h", "signature": "s"},
                    {"type": "text", "text": "I look"},
                    {"type": "tool_use", "id": "c", "name": "f", "input": {}}]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "c", "is_error": true, "content": [
                        {"type": "text", "text": "r"},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}]},
                    {"type": "text", "text": "go on"}]},
            ],
            "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        })
        .to_string(),
    );
    assert_eq!(
        body["documents"],
        json!([{"data": {"title": "T", "context": "C", "text": "d"}}])
    );
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": [{"type": "text", "text": "q"}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "h"}, {"type": "text", "text": "I look"}],
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "r"}]},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}, {"type": "text", "text": "go on"}]},
        ])
    );
    assert_eq!(
        body["thinking"],
        json!({"type": "enabled", "token_budget": 2000})
    );
    assert_eq!(
        losses,
        [
            "messages[0].content[1]",
            "messages[1].content[0].signature",
            "messages[2].content[0].is_error",
            "messages[2].content[0].content[1]",
        ]
    );
}

#[test]
fn a_schema_goes_alone() {
    let with = |more: &str| {
        let body = format!(
            r#"{{"model":"x","messages":[{{"role":"user","content":"t"}}],"response_format":{{"type":"json_schema","json_schema":{{"name":"n","strict":true,"schema":{{"type":"object"}}}}}}{more}}}"#
        );
        translated(Dialect::ChatCompletions, &body)
    };
    let (body, losses) = with("");
    let expected = json!({"type": "json_object", "json_schema": {"type": "object"}});
    assert_eq!(body["response_format"], expected);
    assert_eq!(losses, ["response_format.json_schema.name"]);
    let (body, losses) = with(r#","tools":[{"type":"function","function":{"name":"f"}}]"#);
    assert_eq!(body.get("response_format"), None);
    assert_eq!(losses, ["response_format"]);
}

#[test]
fn citations_of_a_turn_stay_with_their_text() {
    let body = json!({
        "model": "m",
        "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": [{"type": "text", "text": "ab"}],
            "citations": [{"start": 0, "end": 1, "text": "a", "sources": [{"type": "document", "id": "d"}]}]}],
    });
    let request = Dialect::CohereChat
        .parse_request(&body.to_string())
        .unwrap();
    let PartKind::Text { citations, .. } = &request.messages[1].parts[0].kind else {
        panic!("{request:?}");
    };
    assert_eq!(citations[0].span, Some((0, 1)));
    assert_eq!(
        super::rendered(&request).0["messages"][1],
        body["messages"][1]
    );
    // Of a text that is not there they are kept as they are.
    let odd = json!({"model": "m", "messages": [{"role": "assistant", "citations": [{"content_index": 7}]}]});
    let request = Dialect::CohereChat.parse_request(&odd.to_string()).unwrap();
    assert!(request.messages[0].rest.get("citations").is_some());
}

#[test]
fn what_is_wrong_is_named() {
    for (body, param) in [
        (r#"{"model":"m"}"#, "messages"),
        (r#"{"model":"m","messages":[]}"#, "messages"),
        (
            r#"{"model":"m","messages":[{"role":"user"}]}"#,
            "messages[0].content",
        ),
        (
            r#"{"model":"m","messages":[{"role":"x","content":"a"}]}"#,
            "messages[0].role",
        ),
        (
            r#"{"model":"m","messages":[{"role":"tool","content":"a"}]}"#,
            "messages[0].tool_call_id",
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","content":"a"}],"documents":[{"id":"x"}]}"#,
            "documents[0].data",
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","content":"a"}],"thinking":{"token_budget":-1}}"#,
            "thinking.token_budget",
        ),
    ] {
        let failure = Dialect::CohereChat.parse_request(body).unwrap_err();
        assert_eq!(failure.param.as_deref(), Some(param), "{body}");
    }
}

#[test]
fn a_plan_is_a_summary_before_calls() {
    let body = r#"{"model":"m","messages":[{"role":"assistant","tool_plan":"p","content":"t"}]}"#;
    let request = Dialect::CohereChat.parse_request(body).unwrap();
    assert_eq!(request.messages[0].role, Role::Assistant);
    let PartKind::Reasoning(thought) = &request.messages[0].parts[1].kind else {
        panic!("{request:?}");
    };
    assert_eq!(thought.texts[0].form, ReasoningForm::Summary);
    assert_eq!(
        super::rendered(&request).0["messages"][0],
        json!({"role": "assistant", "content": "t", "tool_plan": "p"})
    );
}

/// A citation of some wires names no place, and each was once written with the whole text.
#[test]
fn citations_cost_no_more_than_they_say() {
    let text = "x".repeat(1_000_000);
    let citations = vec![json!({"type": "web_search_result_location", "title": "a"}); 2000];
    let block = |role: &str| json!({"role": role, "content": [{"type": "text", "text": text, "citations": citations}]});
    let body = json!({"model": "m", "max_tokens": 9, "messages": [block("user"), block("assistant"), {"role": "user", "content": "q"}]});
    let request = Dialect::Messages.parse_request(&body.to_string()).unwrap();
    let target = Target {
        model: "m",
        stream: false,
    };
    let cohere = ChatWire::CohereChat;
    let rendered = cohere.render_request(&request, target).unwrap();
    assert!(rendered.body.len() < 3_000_000, "{}", rendered.body.len());
    let more = |loss: &llmleaf_model::Loss| loss.field.ends_with(".citations");
    assert!(rendered.losses.iter().any(more), "{:?}", rendered.losses);
}
