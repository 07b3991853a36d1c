//! Where marks go, and where they do not.

use super::Lifetime;
use crate::{ChatWire, Rendered, chat_completions, gemini, messages, responses};
use serde_json::{Value, json};

const LONG: usize = 4000;

fn long(word: &str) -> String {
    word.repeat(LONG / word.len() + 1)
}

fn completions(cache_control: bool, extended: bool) -> ChatWire {
    let mut quirks = chat_completions::Quirks::REFERENCE;
    quirks.request.cache_control = cache_control;
    quirks.request.extended = extended;
    ChatWire::Completions(quirks)
}

fn claude() -> ChatWire {
    ChatWire::Messages(messages::Quirks::REFERENCE)
}

fn kept(wire: &ChatWire, model: &str, lifetime: Lifetime, body: &Value) -> Value {
    let mut rendered = Rendered {
        body: body.to_string().into_bytes().into(),
        losses: Vec::new(),
        usage_added: false,
    };
    let before = rendered.body.clone();
    let changed = wire.keep_prompt(&mut rendered, model, lifetime, 7);
    assert_eq!(changed, before != rendered.body);
    serde_json::from_slice(&rendered.body).unwrap()
}

/// Pointers of all marks with their lifetimes.
fn marks(value: &Value) -> Vec<String> {
    fn walk(value: &Value, path: &str, out: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, inner) in fields {
                    if name == "cache_control" && inner.is_object() {
                        let ttl = inner["ttl"].as_str().unwrap_or("5m");
                        out.push(format!("{path} {ttl}"));
                    } else {
                        walk(inner, &format!("{path}/{name}"), out);
                    }
                }
            }
            Value::Array(items) => {
                for (at, inner) in items.iter().enumerate() {
                    walk(inner, &format!("{path}/{at}"), out);
                }
            }
            _ => {}
        }
    }
    let mut out = Vec::new();
    walk(value, "", &mut out);
    out.sort();
    out
}

fn tool(name: &str) -> Value {
    json!({"name": name, "input_schema": {"type": "object"}, "description": long("d")})
}

fn conversation() -> Value {
    json!({
        "model": "m",
        "tools": [tool("a"), tool("b")],
        "system": long("s"),
        "messages": [
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "t", "signature": "g"},
                {"type": "tool_use", "id": "i", "name": "a", "input": {}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "i", "content": "r"},
                {"type": "text", "text": " "},
            ]},
        ],
    })
}

#[test]
fn a_conversation_is_marked_where_the_next_request_finds_it() {
    let body = conversation();
    let out = kept(&claude(), "claude-sonnet-5", Lifetime::OneHour, &body);
    assert_eq!(
        marks(&out),
        [
            "/messages/1/content/1 1h",
            "/messages/2/content/0 1h",
            "/system/0 1h",
            "/tools/1 1h",
        ]
    );
    assert_eq!(out["system"][0]["text"], body["system"]);
    let again = kept(&claude(), "claude-sonnet-5", Lifetime::OneHour, &out);
    assert_eq!(again, out, "four is all there may be");
}

#[test]
fn a_single_question_is_marked_up_to_its_instructions() {
    let body = json!({"system": [{"type": "text", "text": long("s")}], "messages": [{"role": "user", "content": long("q")}]});
    let out = kept(&claude(), "claude-sonnet-5", Lifetime::FiveMinutes, &body);
    assert_eq!(marks(&out), ["/system/0 5m"]);
    let body = json!({"tools": [tool("a"), {"name": "late", "defer_loading": true}], "messages": [{"role": "user", "content": "q"}]});
    let out = kept(&claude(), "claude-sonnet-5", Lifetime::FiveMinutes, &body);
    assert_eq!(marks(&out), ["/tools/0 5m"]);
}

#[test]
fn what_is_shorter_than_the_model_keeps_is_not_marked() {
    let body = json!({"system": long("s"), "messages": [{"role": "user", "content": "q"}]});
    for (model, marked) in [
        ("claude-sonnet-5", true),
        ("claude-opus-5", true),
        ("claude-haiku-4-5", false),
        ("us.anthropic.claude-opus-4-6-v1", false),
    ] {
        let out = kept(&claude(), model, Lifetime::FiveMinutes, &body);
        assert_eq!(!marks(&out).is_empty(), marked, "{model}");
    }
}

#[test]
fn marks_of_the_consumer_stay_and_count() {
    let mark = json!({"type": "ephemeral"});
    let mut body = conversation();
    body["messages"][0]["content"] =
        json!([{"type": "text", "text": "one", "cache_control": mark}]);
    let out = kept(&claude(), "claude-sonnet-5", Lifetime::OneHour, &body);
    // A long life may stand only before a short one, and a fourth mark is all there is room for.
    assert_eq!(
        marks(&out),
        [
            "/messages/0/content/0 5m",
            "/messages/1/content/1 5m",
            "/messages/2/content/0 5m",
            "/system/0 1h",
        ]
    );
    let mut body = conversation();
    body["messages"][2]["content"][0]["cache_control"] = json!({"type": "ephemeral", "ttl": "1h"});
    let out = kept(&claude(), "claude-sonnet-5", Lifetime::FiveMinutes, &body);
    assert_eq!(marks(&out), ["/messages/2/content/0 1h"]);
    let mut body = conversation();
    body["cache_control"] = mark;
    let out = kept(&claude(), "claude-sonnet-5", Lifetime::FiveMinutes, &body);
    assert_eq!(
        marks(&out),
        [
            " 5m",
            "/messages/1/content/1 5m",
            "/system/0 5m",
            "/tools/1 5m"
        ]
    );
    let mut body = conversation();
    body["tools"][1]["cache_control"] = Value::Null;
    body["messages"][1]["content"][1]["cache_control"] = Value::Null;
    let out = kept(&claude(), "claude-sonnet-5", Lifetime::FiveMinutes, &body);
    assert_eq!(marks(&out).len(), 4);
}

#[test]
fn chat_completions_are_marked_in_front_of_models_that_want_it() {
    let body = json!({
        "model": "m",
        "tools": [{"type": "function", "function": {"name": "f", "description": long("d")}}],
        "messages": [
            {"role": "system", "content": long("s")},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "i", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "i", "content": "result"},
        ],
    });
    let router = completions(true, true);
    let out = kept(
        &router,
        "anthropic/claude-opus-4.8",
        Lifetime::OneHour,
        &body,
    );
    assert_eq!(
        marks(&out),
        [
            "/messages/0/content/0 1h",
            "/messages/3/content/0 1h",
            "/tools/0 1h"
        ]
    );
    assert_eq!(out["messages"][3]["content"][0]["text"], "result");
    let plain = completions(true, false);
    let out = kept(
        &plain,
        "anthropic/claude-opus-4.8",
        Lifetime::OneHour,
        &body,
    );
    assert_eq!(
        marks(&out),
        ["/messages/0/content/0 1h", "/messages/3/content/0 1h"]
    );
    let out = kept(&plain, "google/gemini-3-pro", Lifetime::OneHour, &body);
    assert_eq!(out, body);
    let out = kept(&router, "openai/gpt-5.6", Lifetime::OneHour, &body);
    assert_eq!(out["prompt_cache_key"], "llmleaf-0000000000000007");
    assert!(out.get("prompt_cache_retention").is_none());
}

#[test]
fn services_that_keep_by_themselves_are_told_what_they_ask_for() {
    let wires = [
        completions(false, false),
        ChatWire::Responses(responses::Quirks::REFERENCE),
    ];
    let body = json!({"model": "m", "prompt_cache_key": null});
    for wire in &wires {
        let out = kept(wire, "gpt-5.1", Lifetime::OneHour, &body);
        assert_eq!(out["prompt_cache_key"], "llmleaf-0000000000000007");
        assert_eq!(out["prompt_cache_retention"], "24h");
        let out = kept(wire, "gpt-5.6", Lifetime::OneHour, &body);
        assert!(out.get("prompt_cache_retention").is_none());
        let own = json!({"prompt_cache_key": "k", "prompt_cache_retention": "in_memory"});
        assert_eq!(kept(wire, "gpt-5.1", Lifetime::OneHour, &own), own);
        for other in ["openai/gpt-oss-120b", "llama-4", "deepseek-chat"] {
            assert_eq!(kept(wire, other, Lifetime::OneHour, &body), body);
        }
    }
    let gemini = ChatWire::GenerateContent(gemini::Quirks::REFERENCE);
    assert_eq!(
        kept(&gemini, "gemini-3-pro", Lifetime::OneHour, &body),
        body
    );
}

#[test]
fn whatever_stands_in_a_body_it_stays_json() {
    let odd = [
        json!({"system": 3, "tools": {}, "messages": [4, null, {"content": [5, []]}, {"role": 6}]}),
        json!({"system": "", "tools": [[], "x"], "messages": "no list"}),
        json!({"system": [{"type": "text"}, {"cache_control": 7}], "cache_control": []}),
        json!({}),
    ];
    for body in &odd {
        let out = kept(&claude(), "claude-opus-5", Lifetime::OneHour, body);
        assert_eq!(out, *body);
        kept(
            &completions(true, true),
            "claude-opus-5",
            Lifetime::OneHour,
            body,
        );
    }
}
