mod bounds;
mod calls;
mod meanwhile;
mod speech;

use super::{Bridge, Parts};
use crate::realtime::Step;
use serde_json::{Value, json};

fn parsed(step: &Step) -> Value {
    let text = match step {
        Step::Say(text) => text.clone(),
        Step::Ask(body) => String::from_utf8(body.clone()).expect("UTF-8"),
        Step::Listen(body) | Step::Speak(body) => String::from_utf8(body.clone()).expect("UTF-8"),
        Step::Unlisten => "\"unlisten\"".to_owned(),
        _ => "\"cancel\"".to_owned(),
    };
    serde_json::from_str(&text).expect("JSON")
}

/// What is said: (type, whole).
fn said(steps: &[Step]) -> Vec<(String, Value)> {
    let each = steps.iter().map(|step| {
        let value = parsed(step);
        let kind = match step {
            Step::Say(_) => value["type"].as_str().expect("a type"),
            Step::Ask(_) => "ask",
            Step::Listen(_) => "listen",
            Step::Speak(_) => "speak",
            Step::Unlisten => "unlisten",
            _ => "cancel",
        };
        (kind.to_owned(), value)
    });
    each.collect()
}

fn kinds(steps: &[Step]) -> Vec<String> {
    said(steps).into_iter().map(|(kind, _)| kind).collect()
}

fn code(steps: &[Step]) -> String {
    let said = said(steps);
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(said[0].0, "error", "{said:?}");
    said[0].1["error"]["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn bridge() -> Bridge {
    Bridge::new("m", "s1", false, Parts::default())
}

fn user(text: &str) -> String {
    json!({"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}})
        .to_string()
}

/// An answer of the Responses wire: thought, a text, a call.
fn answer() -> Vec<Value> {
    vec![
        json!({"type": "response.created", "response": {"id": "resp_x", "status": "in_progress"}}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "id": "rs_1", "summary": []}}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "SEALED"}}),
        json!({"type": "response.output_item.added", "output_index": 1, "item": {"type": "message", "id": "msg_1", "role": "assistant", "content": []}}),
        json!({"type": "response.content_part.added", "output_index": 1, "content_index": 0, "part": {"type": "output_text", "text": ""}}),
        json!({"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "Hel"}),
        json!({"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "lo"}),
        json!({"type": "response.output_item.done", "output_index": 1, "item": {"type": "message"}}),
        json!({"type": "response.output_item.added", "output_index": 2, "item": {"type": "function_call", "call_id": "c1", "name": "f", "arguments": ""}}),
        json!({"type": "response.function_call_arguments.delta", "output_index": 2, "delta": "{\"a\""}),
        json!({"type": "response.function_call_arguments.delta", "output_index": 2, "delta": ":1}"}),
        json!({"type": "response.output_item.done", "output_index": 2, "item": {"type": "function_call"}}),
        json!({"type": "response.completed", "response": {"id": "resp_x", "usage": {"input_tokens": 7, "input_tokens_details": {"cached_tokens": 2}, "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 12}}}),
    ]
}

fn play(bridge: &mut Bridge) -> Vec<Step> {
    answer()
        .iter()
        .flat_map(|event| bridge.hear(&event.to_string()))
        .collect()
}

#[test]
fn a_session_is_told_what_is_in_effect() {
    let mut bridge = bridge();
    let greeting = said(&bridge.greet());
    assert_eq!(greeting[0].0, "session.created");
    let session = &greeting[0].1["session"];
    assert_eq!(session["model"], "m");
    assert_eq!(session["output_modalities"], json!(["text"]));
    let update = json!({"type": "session.update", "session": {"type": "realtime", "output_modalities": ["text"], "instructions": "be brief", "max_output_tokens": 9, "tools": [{"type": "function", "name": "f", "parameters": {}}]}});
    let updated = said(&bridge.take(&update.to_string()));
    assert_eq!(updated[0].0, "session.updated");
    assert_eq!(updated[0].1["session"]["instructions"], "be brief");
    assert_eq!(updated[0].1["session"]["max_output_tokens"], 9);
    // What is named replaces what was; the rest stays.
    let update = json!({"type": "session.update", "session": {"type": "realtime", "max_output_tokens": "inf"}});
    let updated = said(&bridge.take(&update.to_string()));
    assert_eq!(updated[0].1["session"]["max_output_tokens"], "inf");
    assert_eq!(updated[0].1["session"]["instructions"], "be brief");
}

#[test]
fn what_is_not_offered_is_refused_by_name_and_changes_nothing() {
    for (event, expected) in [
        (
            json!({"type": "session.update", "session": {"output_modalities": ["audio"], "instructions": "x"}}),
            "unsupported_modality",
        ),
        (
            json!({"type": "session.update", "session": {"type": "transcription"}}),
            "unsupported_modality",
        ),
        (
            json!({"type": "session.update", "session": {"model": "other"}}),
            "model_fixed",
        ),
        (json!({"type": "session.update"}), "invalid_event"),
        (
            json!({"type": "input_audio_buffer.append", "audio": "AAAA"}),
            "unsupported_modality",
        ),
        (
            json!({"type": "input_audio_buffer.commit"}),
            "unsupported_modality",
        ),
        (
            json!({"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": "AAAA"}]}}),
            "unsupported_modality",
        ),
        (
            json!({"type": "conversation.item.create", "item": {"type": "mcp_call"}}),
            "unsupported_modality",
        ),
        (
            json!({"type": "conversation.item.create", "item": {"type": "message", "role": "tool", "content": []}}),
            "invalid_value",
        ),
        (
            json!({"type": "conversation.item.create", "item": {"type": "function_call_output"}}),
            "invalid_value",
        ),
        (
            json!({"type": "conversation.item.delete", "item_id": "none"}),
            "item_not_found",
        ),
        (
            json!({"type": "conversation.item.retrieve", "item_id": "none"}),
            "item_not_found",
        ),
        (json!({"type": "conversation.item.delete"}), "invalid_event"),
        (
            json!({"type": "response.cancel"}),
            "response_cancel_not_active",
        ),
        (
            json!({"type": "response.create", "response": {"output_modalities": ["audio"]}}),
            "unsupported_modality",
        ),
        (json!({"type": "nonsense"}), "invalid_event"),
        (json!({"kind": "nonsense"}), "invalid_event"),
        (json!([]), "invalid_event"),
    ] {
        let mut bridge = bridge();
        assert_eq!(code(&bridge.take(&event.to_string())), expected, "{event}");
        assert!(!bridge.is_answering());
        let asked = bridge.take(r#"{"type":"response.create"}"#);
        let body = &said(&asked)[1].1;
        assert_eq!(body["input"], json!([]), "{event}");
        assert_eq!(body.get("instructions"), None, "{event}");
    }
    let mut bridge = bridge();
    let refused = bridge.take(r#"{"type":"nonsense","event_id":"mine"}"#);
    assert_eq!(said(&refused)[0].1["error"]["event_id"], "mine");
}

/// What a text and a call become.
const TOLD: [&str; 17] = [
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "conversation.item.done",
    "response.output_item.added",
    "conversation.item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.done",
    "conversation.item.done",
    "response.done",
];

#[test]
fn an_answer_is_told_and_kept_with_what_was_thought() {
    let mut bridge = bridge();
    assert_eq!(
        kinds(&bridge.take(&user("hi"))),
        ["conversation.item.added", "conversation.item.done"]
    );
    let asked =
        said(&bridge.take(r#"{"type":"response.create","response":{"metadata":{"k":"v"}}}"#));
    assert_eq!(asked[0].0, "response.created");
    assert_eq!(asked[0].1["response"]["metadata"], json!({"k": "v"}));
    assert_eq!(asked[1].0, "ask");
    let body = &asked[1].1;
    assert_eq!(body["model"], "m");
    assert_eq!(body["store"], false);
    assert_eq!(body["stream"], true);
    assert_eq!(
        body["input"],
        json!([{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}])
    );
    assert_eq!(
        code(&bridge.take(r#"{"type":"response.create"}"#)),
        "conversation_already_has_active_response"
    );
    let steps = play(&mut bridge);
    assert_eq!(kinds(&steps), TOLD);
    let said = said(&steps);
    assert_eq!(said[5].1["text"], "Hello");
    assert_eq!(
        said[9].1["output_index"], 1,
        "what was thought is not counted"
    );
    assert_eq!(said[13].1["arguments"], "{\"a\":1}");
    let done = &said[16].1["response"];
    assert_eq!(done["status"], "completed");
    assert_eq!(done["output"].as_array().map(Vec::len), Some(2));
    assert_eq!(done["usage"]["total_tokens"], 12);
    assert_eq!(done["usage"]["input_token_details"]["cached_tokens"], 2);
    assert!(!bridge.is_answering());
    // The next request brings all of it.
    let output = json!({"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "c1", "output": "2"}});
    bridge.take(&output.to_string());
    let asked = bridge.take(r#"{"type":"response.create"}"#);
    let input = &parsed(&asked[1])["input"];
    assert_eq!(
        *input,
        json!([
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
            {"type": "reasoning", "summary": [], "encrypted_content": "SEALED"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{\"a\":1}"},
            {"type": "function_call_output", "call_id": "c1", "output": "2"},
        ])
    );
}

#[test]
fn the_older_form_has_its_own_names() {
    let mut bridge = Bridge::new("m", "s1", true, Parts::default());
    let greeting = said(&bridge.greet());
    assert_eq!(greeting[0].1["session"]["modalities"], json!(["text"]));
    assert_eq!(
        kinds(&bridge.take(&user("hi"))),
        ["conversation.item.created"]
    );
    bridge.take(r#"{"type":"response.create","response":{"modalities":["text"],"max_response_output_tokens":5}}"#);
    let kinds = kinds(&play(&mut bridge));
    assert!(kinds.iter().any(|kind| kind == "response.text.delta"));
    assert!(kinds.iter().any(|kind| kind == "response.text.done"));
    assert!(
        !kinds
            .iter()
            .any(|kind| kind.contains("output_text") || kind == "conversation.item.added")
    );
}

#[test]
fn whatever_ends_an_answer_is_told() {
    let half = |bridge: &mut Bridge| {
        bridge.take(&user("hi"));
        bridge.take(r#"{"type":"response.create"}"#);
        for event in &answer()[..6] {
            bridge.hear(&event.to_string());
        }
    };
    let incomplete = json!({"type": "response.incomplete", "response": {"incomplete_details": {"reason": "content_filter"}}});
    let failed = json!({"type": "response.failed", "response": {"error": {"code": "server_error", "message": "x"}}});
    type End = Box<dyn Fn(&mut Bridge) -> Vec<Step>>;
    let cases: [(&str, End); 5] = [
        (
            "cancelled",
            Box::new(|b| b.take(r#"{"type":"response.cancel"}"#)),
        ),
        (
            "incomplete",
            Box::new(move |b| b.hear(&incomplete.to_string())),
        ),
        ("failed", Box::new(move |b| b.hear(&failed.to_string()))),
        ("failed", Box::new(|b| b.ended())),
        (
            "failed",
            Box::new(|b| b.refused(br#"{"error":{"type":"t","code":"c","message":"m"}}"#)),
        ),
    ];
    for (status, end) in cases {
        let mut bridge = bridge();
        half(&mut bridge);
        let steps = said(&end(&mut bridge));
        let last = steps.last().expect("it is told");
        assert_eq!(last.0, "response.done");
        assert_eq!(last.1["response"]["status"], status);
        assert_eq!(last.1["response"]["status_details"]["type"], status);
        assert_eq!(
            steps.iter().any(|(kind, _)| kind == "cancel"),
            status == "cancelled"
        );
        assert!(!bridge.is_answering());
        // What was said so far was said.
        let asked = bridge.take(r#"{"type":"response.create"}"#);
        let input = &parsed(&asked[1])["input"];
        assert_eq!(input[2]["content"][0]["text"], "Hel", "{status}");
    }
}

#[test]
fn items_have_places() {
    let mut bridge = bridge();
    let item = |id: &str, previous: Value| {
        json!({"type": "conversation.item.create", "previous_item_id": previous, "item": {"id": id, "type": "message", "role": "user", "content": [{"type": "input_text", "text": id}]}})
            .to_string()
    };
    for (id, previous, before) in [
        ("b", Value::Null, Value::Null),
        ("a", json!("root"), Value::Null),
        ("d", Value::Null, json!("b")),
        ("c", json!("b"), json!("b")),
    ] {
        let told = said(&bridge.take(&item(id, previous)));
        assert_eq!(told[0].1["previous_item_id"], before, "{id}");
    }
    assert_eq!(code(&bridge.take(&item("a", Value::Null))), "item_exists");
    assert_eq!(
        code(&bridge.take(&item("x", json!("none")))),
        "item_not_found"
    );
    let got = said(&bridge.take(r#"{"type":"conversation.item.retrieve","item_id":"c"}"#));
    assert_eq!(got[0].1["item"]["content"][0]["text"], "c");
    assert_eq!(
        kinds(&bridge.take(r#"{"type":"conversation.item.delete","item_id":"b"}"#)),
        ["conversation.item.deleted"]
    );
    let texts = |steps: &[Step]| {
        let body = parsed(&steps[1]);
        let input = body["input"].as_array().expect("a list").clone();
        let text = |item: &Value| {
            item["content"][0]["text"]
                .as_str()
                .expect("a text")
                .to_owned()
        };
        input.iter().map(text).collect::<String>()
    };
    assert_eq!(texts(&bridge.take(r#"{"type":"response.create"}"#)), "acd");
    // An answer beside the conversation has its own input, and leaves nothing behind.
    play(&mut bridge);
    let aside = json!({"type": "response.create", "response": {"conversation": "none", "input": [{"type": "item_reference", "id": "d"}, {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "e"}]}]}});
    let steps = bridge.take(&aside.to_string());
    assert_eq!(texts(&steps), "de");
    assert_eq!(
        parsed(&steps[0])["response"]["conversation_id"],
        Value::Null
    );
    let kinds = kinds(&play(&mut bridge));
    assert!(!kinds.iter().any(|kind| kind.starts_with("conversation.")));
    let long = user(&"x".repeat(9 << 20));
    assert_eq!(code(&bridge.take(&long)), "conversation_too_long");
}
