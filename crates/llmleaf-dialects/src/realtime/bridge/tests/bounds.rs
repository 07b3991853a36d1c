//! What a session holds: all of it is known of, and none of it is without an end.

use super::meanwhile::{CANCEL, arguments, begun, call, speak};
use super::speech::{CREATE, MANUAL, asked, bridge, completed, of, transcribe, update};
use super::{Bridge, code, json, kinds, user};
use serde_json::Value;

const KIB: usize = 1024;
const MIB: usize = 1024 * 1024;

/// Events of one item that grows by so much, and by nothing else.
fn growing(bridge: &mut Bridge, item: Value, delta: &str) -> Option<Value> {
    bridge.hear(&begun(0, item));
    let mut steps = Vec::new();
    for _ in 0..100 {
        steps = bridge.hear(delta);
        if !bridge.is_answering() {
            break;
        }
        assert!(bridge.bytes() < 12 * MIB);
    }
    assert_eq!(of(&steps, "cancel").len(), 1, "its model is stopped");
    of(&steps, "response.done").pop()
}

#[test]
fn an_answer_without_end_is_stopped() {
    let long = "x".repeat(MIB / 4);
    let text = json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": long});
    let thought = json!({"type": "response.output_item.done", "output_index": 7, "item": {"type": "reasoning", "encrypted_content": long}});
    let called = json!({"type": "function_call", "call_id": "c0", "name": "f"});
    let named = json!({"type": "response.output_item.added", "output_index": 1, "item": {"type": "function_call", "call_id": "c1", "name": long}});
    let message = || json!({"type": "message"});
    for (item, delta, modality) in [
        (message(), text.to_string(), "text"),
        (message(), text.to_string(), "audio"),
        (called, arguments(0, &long), "text"),
        (message(), thought.to_string(), "text"),
        (message(), named.to_string(), "text"),
    ] {
        let mut bridge = bridge();
        let create =
            json!({"type": "response.create", "response": {"output_modalities": [modality]}});
        bridge.take(&create.to_string());
        let done = growing(&mut bridge, item, &delta).expect("an end");
        let response = &done["response"];
        assert_eq!(response["status"], "failed");
        let error = &response["status_details"]["error"];
        assert_eq!(error["code"], "answer_too_long");
    }
}

#[test]
fn a_full_conversation_takes_no_more_answers() {
    let mut bridge = bridge();
    bridge.take(MANUAL);
    let text = r#"{"type":"response.create","response":{"output_modalities":["text"]}}"#;
    let long = "x".repeat(3 * MIB);
    let delta = json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": long}).to_string();
    let mut answers = 0;
    loop {
        let steps = bridge.take(text);
        if of(&steps, "ask").is_empty() {
            assert_eq!(code(&steps), "conversation_too_long");
            break;
        }
        bridge.hear(&begun(0, json!({"type": "message"})));
        bridge.hear(&delta);
        bridge.hear(&completed());
        answers += 1;
        assert!(answers < 5 && bridge.bytes() < 20 * MIB);
    }
    // Beside the conversation there still are some.
    let aside = r#"{"type":"response.create","response":{"conversation":"none","output_modalities":["text"],"input":[]}}"#;
    assert_eq!(kinds(&bridge.take(aside)), ["response.created", "ask"]);
}

#[test]
fn a_transcription_without_end_is_stopped() {
    let long = "x".repeat(16 * KIB);
    let delta = json!({"type": "transcript.text.delta", "delta": long}).to_string();
    let done = json!({"type": "transcript.text.done", "text": long.repeat(5)}).to_string();
    let whole = json!({"text": long.repeat(5)}).to_string();
    for kind in 0..3 {
        let mut bridge = bridge();
        bridge.take(&update(json!({"input_audio_transcription": {}})));
        speak(&mut bridge);
        let before = bridge.bytes();
        let mut steps = Vec::new();
        for at in 1..=5 {
            steps = match kind {
                0 => bridge.transcribed(&delta),
                1 => bridge.transcribed(&done),
                _ => bridge.transcript(true, whole.as_bytes()),
            };
            if kind > 0 || at == 5 {
                break;
            }
            assert_eq!(bridge.bytes() - before, at * 16 * KIB, "it is known of");
        }
        let failed = "conversation.item.input_audio_transcription.failed";
        assert_eq!(kinds(&steps), ["unlisten", failed], "{kind}");
        let error = &of(&steps, failed)[0]["error"];
        assert_eq!(error["code"], "transcription_too_long");
        assert!(bridge.bytes() < before + KIB);
        assert_eq!(kinds(&bridge.transcript_ended()), [""; 0]);
        speak(&mut bridge);
        assert_eq!(of(&transcribe(&mut bridge, "hello"), "ask").len(), 1);
    }
}

#[test]
fn whatever_a_session_and_its_answer_are_told_is_known_of() {
    let grows = |event: Value, by: usize| {
        let mut bridge = bridge();
        bridge.take(MANUAL);
        let before = bridge.bytes();
        bridge.take(&event.to_string());
        let held = bridge.bytes() - before;
        assert!((by..by + 3 * KIB).contains(&held), "{held}: {by}");
    };
    let long = "x".repeat(100 * KIB);
    let create = |response: Value| json!({"type": "response.create", "response": response});
    let message = json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": long}]});
    grows(create(json!({"metadata": {"k": long}})), 100 * KIB);
    grows(create(json!({"instructions": long})), 100 * KIB);
    grows(create(json!({"input": [message]})), 100 * KIB);
    let update = |session: Value| json!({"type": "session.update", "session": session});
    grows(update(json!({"voice": {"id": "x".repeat(4000)}})), 4000);
    // What is asked with each text that is said is short.
    let mut bridge = bridge();
    for session in [
        json!({"voice": "x".repeat(5000)}),
        json!({"audio": {"output": {"voice": {"id": "v", "more": long}}}}),
    ] {
        assert_eq!(
            code(&bridge.take(&update(session).to_string())),
            "invalid_value"
        );
    }
    let speed = format!(
        r#"{{"type":"session.update","session":{{"speed":1.{}}}}}"#,
        "0".repeat(99)
    );
    assert_eq!(code(&bridge.take(&speed)), "invalid_value");
    // The names of calls, too.
    bridge.take(&user("hi"));
    bridge.take(CREATE);
    let before = bridge.bytes();
    let item = json!({"type": "function_call", "call_id": long, "name": long});
    bridge.hear(&begun(0, item));
    assert!(bridge.bytes() > before + 300 * KIB);
    bridge.take(CANCEL);
    bridge.take(CREATE);
    bridge.hear(&call(1));
    bridge.hear(&completed());
    assert_eq!(asked(&mut bridge).as_array().map(Vec::len), Some(1));
}
