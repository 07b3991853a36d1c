//! What happens while something else goes on: answers, speech, deletions.

use super::speech::{
    COMMIT, CREATE, MANUAL, append, asked, bridge, completed, file, half_said, of, text,
    transcribe, update,
};
use super::{Bridge, Step, code, json, kinds, said, user};
use serde_json::Value;

const ASIDE: &str = r#"{"type":"response.create","response":{"conversation":"none","output_modalities":["text"],"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"aside"}]}]}}"#;
pub(super) const CANCEL: &str = r#"{"type":"response.cancel"}"#;

/// What the call of the second item brought, where nothing came of it.
pub(super) const NOTHING_YET: &str = "c1: The output of this call is not there yet.";

/// Somebody speaks, and is silent again.
pub(super) fn speak(bridge: &mut Bridge) -> Vec<Step> {
    let mut steps = bridge.take(&append(200, false));
    steps.extend(bridge.take(&append(400, true)));
    steps.extend(bridge.take(&append(600, false)));
    steps
}

pub(super) fn delete(item: &Value) -> String {
    json!({"type": "conversation.item.delete", "item_id": item}).to_string()
}

pub(super) fn begun(at: u64, item: Value) -> String {
    json!({"type": "response.output_item.added", "output_index": at, "item": item}).to_string()
}

pub(super) fn ended(at: u64) -> String {
    json!({"type": "response.output_item.done", "output_index": at, "item": {}}).to_string()
}

pub(super) fn call(at: u64) -> String {
    begun(
        at,
        json!({"type": "function_call", "call_id": format!("c{at}"), "name": "f"}),
    )
}

pub(super) fn arguments(at: u64, delta: &str) -> String {
    json!({"type": "response.function_call_arguments.delta", "output_index": at, "delta": delta})
        .to_string()
}

/// The texts, or the calls and outputs, or the thoughts that a request brings.
pub(super) fn texts(input: &Value) -> Vec<String> {
    let items = input.as_array().expect("a list").iter();
    let text = |item: &Value| match (item["output"].as_str(), item["call_id"].as_str()) {
        (Some(output), Some(call)) => format!("{call}: {output}"),
        (_, Some(call)) => call.to_owned(),
        _ => {
            let text = item["content"][0]["text"].as_str();
            let text = text.or(item["encrypted_content"].as_str());
            text.expect("a text").to_owned()
        }
    };
    items.map(text).collect()
}

#[test]
fn what_comes_behind_a_text_that_is_still_said_has_an_end() {
    let mut bridge = bridge();
    bridge.take(&user("hi"));
    bridge.take(CREATE);
    for event in text(&["This is said slowly."]) {
        bridge.hear(&event);
    }
    assert!(!bridge.is_behind());
    bridge.hear(&call(1));
    let mut deltas = 0;
    while !bridge.is_behind() {
        assert_eq!(kinds(&bridge.hear(&arguments(1, "12345678"))), [""; 0]);
        deltas += 1;
        assert!(deltas < 10_000, "nobody is told to wait");
    }
    assert!(deltas > 100);
    let held = bridge.bytes();
    assert!(held > 64 * 1024, "{held} bytes are known of");
    bridge.sound(&file(300));
    let steps = bridge.sound_ended();
    assert!(!bridge.is_behind());
    let told = of(&steps, "response.function_call_arguments.delta");
    assert_eq!(told.len(), deltas, "all of it is told");
    assert!(bridge.bytes() < held / 2);
}

#[test]
fn who_speaks_beside_an_answer_that_is_no_part_of_the_conversation_is_answered_behind_it() {
    for early in [true, false] {
        let mut bridge = bridge();
        bridge.take(ASIDE);
        assert!(of(&speak(&mut bridge), "cancel").is_empty());
        if early {
            assert_eq!(kinds(&transcribe(&mut bridge, "and me?")), [""; 0]);
        }
        let mut steps = bridge.hear(&completed());
        if !early {
            assert_eq!(kinds(&steps), ["response.done"]);
            steps.extend(transcribe(&mut bridge, "and me?"));
        }
        assert_eq!(kinds(&steps), ["response.done", "response.created", "ask"]);
        assert_eq!(texts(&of(&steps, "ask")[0]["input"]), ["and me?"]);
    }
    // What is asked beside the conversation is no answer to it either.
    let mut bridge = bridge();
    bridge.take(MANUAL);
    bridge.take(&update(
        json!({"turn_detection": {"type": "server_vad", "interrupt_response": false}}),
    ));
    speak(&mut bridge);
    bridge.take(ASIDE);
    transcribe(&mut bridge, "and me?");
    let steps = bridge.take(CANCEL);
    assert_eq!(
        kinds(&steps),
        ["cancel", "response.done", "response.created", "ask"]
    );
}

#[test]
fn what_was_not_heard_of_a_sentence_that_broke_off_is_forgotten() {
    // A second of a sentence of 45 letters, which is three seconds at the usual pace.
    let mut bridge = bridge();
    let item = half_said(&mut bridge);
    bridge.take(&append(1000, false));
    bridge.take(&append(200, true));
    assert_eq!(texts(&asked(&mut bridge)), ["hi", "Ten words are"]);
    bridge.take(CANCEL);
    let truncate = json!({"type": "conversation.item.truncate", "item_id": item, "content_index": 0, "audio_end_ms": 500});
    assert_eq!(
        kinds(&bridge.take(&truncate.to_string())),
        ["conversation.item.truncated"]
    );
    assert_eq!(texts(&asked(&mut bridge)), ["hi", "Ten"]);
}

#[test]
fn an_answer_of_which_nothing_was_heard_is_not_repeated() {
    let mut bridge = bridge();
    bridge.take(&user("hi"));
    bridge.take(CREATE);
    for event in &text(&["Nobody hears this."])[..2] {
        bridge.hear(event);
    }
    bridge.take(&append(200, false));
    let steps = bridge.take(&append(200, true));
    assert_eq!(of(&steps, "response.done").len(), 1);
    assert_eq!(texts(&asked(&mut bridge)), ["hi"]);
    bridge.take(CANCEL);
    // Nor is a text without a letter.
    bridge.take(r#"{"type":"response.create","response":{"output_modalities":["text"]}}"#);
    bridge.hear(&text(&[])[0]);
    bridge.take(CANCEL);
    assert_eq!(texts(&asked(&mut bridge)), ["hi"]);
}

#[test]
fn what_is_deleted_is_not_written_down_and_nobody_inherits_its_words() {
    let spoken = |id: &str| {
        let sound =
            serde_json::from_str::<Value>(&append(200, true)).expect("JSON")["audio"].clone();
        json!({"type": "conversation.item.create", "item": {"id": id, "type": "message", "role": "user", "content": [{"type": "input_audio", "audio": sound}]}})
            .to_string()
    };
    let mut bridge = bridge();
    let steps: Vec<Step> = ["a", "b", "c"]
        .iter()
        .flat_map(|id| bridge.take(&spoken(id)))
        .collect();
    assert_eq!(of(&steps, "listen").len(), 1, "one after the other");
    // One that waits, and the one that is under way.
    assert_eq!(
        kinds(&bridge.take(&delete(&json!("b")))),
        ["conversation.item.deleted"]
    );
    let steps = bridge.take(&delete(&json!("a")));
    assert_eq!(
        kinds(&steps),
        ["conversation.item.deleted", "unlisten", "listen"]
    );
    let steps = bridge.take(&spoken("a"));
    assert_eq!(of(&steps, "listen"), [Value::Null; 0]);
    let steps = transcribe(&mut bridge, "this is c");
    assert_eq!(of(&steps, "listen").len(), 1, "the new a");
    transcribe(&mut bridge, "this is a");
    assert_eq!(texts(&asked(&mut bridge)), ["this is c", "this is a"]);
    // Whatever waited for it goes on.
    bridge.take(CANCEL);
    bridge.take(&spoken("d"));
    assert_eq!(kinds(&bridge.take(CREATE)), ["response.created"]);
    let steps = bridge.take(&delete(&json!("d")));
    assert_eq!(
        kinds(&steps),
        ["conversation.item.deleted", "unlisten", "ask"]
    );
}

#[test]
fn speech_that_cannot_be_committed_stays_in_the_buffer() {
    let mut bridge = bridge();
    bridge.take(MANUAL);
    for _ in 0..33 {
        bridge.take(&append(120, true));
        assert!(kinds(&bridge.take(COMMIT)).contains(&"input_audio_buffer.committed".to_owned()));
    }
    bridge.take(&append(300, true));
    for _ in 0..2 {
        assert_eq!(code(&bridge.take(COMMIT)), "input_audio_waiting");
    }
    transcribe(&mut bridge, "one");
    let steps = bridge.take(COMMIT);
    assert_eq!(of(&steps, "input_audio_buffer.committed").len(), 1);
    let mut listened = Vec::new();
    for _ in 0..33 {
        listened = of(&transcribe(&mut bridge, "more"), "listen")
            .into_iter()
            .chain(listened)
            .take(1)
            .collect();
    }
    let data = listened[0]["input_audio"]["data"].as_str().expect("a text");
    assert_eq!(data.len(), (44 + 300 * 48_usize).div_ceil(3) * 4);
}

#[test]
fn items_stand_where_they_began() {
    let mut bridge = bridge();
    bridge.take(&user("hi"));
    bridge.take(r#"{"type":"response.create","response":{"output_modalities":["text"]}}"#);
    let mut steps = Vec::new();
    let first = text(&["first"]);
    for event in [
        &first[0],
        &call(1),
        &first[1],
        &arguments(1, "{}"),
        &ended(1),
    ] {
        steps.extend(bridge.hear(event));
    }
    let added = of(&steps, "conversation.item.added");
    let (message, called) = (&added[0]["item"]["id"], &added[1]["item"]["id"]);
    assert_eq!(added[1]["previous_item_id"], *message);
    assert_eq!(
        of(&steps, "conversation.item.done")[0]["previous_item_id"],
        *message
    );
    let told = bridge.take(&user("meanwhile"));
    assert_eq!(
        of(&told, "conversation.item.added")[0]["previous_item_id"],
        *called
    );
    let got =
        bridge.take(&json!({"type": "conversation.item.retrieve", "item_id": message}).to_string());
    assert_eq!(said(&got)[0].1["item"]["status"], "in_progress");
    bridge.hear(&first[2]);
    let done = bridge.hear(&completed());
    let output = of(&done, "response.done")[0]["response"]["output"].clone();
    assert_eq!((&output[0]["id"], &output[1]["id"]), (message, called));
    assert_eq!(
        texts(&asked(&mut bridge)),
        ["hi", "first", "c1", NOTHING_YET, "meanwhile"]
    );
    bridge.take(CANCEL);
    // What was deleted while it was made is not there when it is done, and no more is a call that broke off.
    bridge.take(CREATE);
    let added = of(&bridge.hear(&first[0]), "conversation.item.added");
    bridge.take(&delete(&added[0]["item"]["id"]));
    bridge.hear(&call(1));
    let steps = bridge.take(CANCEL);
    assert!(of(&steps, "conversation.item.done").is_empty());
    assert_eq!(
        texts(&asked(&mut bridge)),
        ["hi", "first", "c1", NOTHING_YET, "meanwhile"]
    );
}

#[test]
fn the_end_of_an_answer_is_no_end_of_the_next_one() {
    let mut bridge = bridge();
    bridge.take(MANUAL);
    bridge.take(&user("hi"));
    bridge.take(CREATE);
    assert_eq!(kinds(&bridge.hear(&completed())), ["response.done"]);
    bridge.take(&append(200, true));
    bridge.take(COMMIT);
    // The next one waits for what was said, when the connection of the one before ends, however that goes.
    assert_eq!(kinds(&bridge.take(CREATE)), ["response.created"]);
    let mut late = bridge.hear(&completed());
    late.extend(bridge.refused(b"{}"));
    late.extend(bridge.ended());
    assert_eq!(kinds(&late), [""; 0]);
    assert_eq!(kinds(&transcribe(&mut bridge, "go on")), ["ask"]);
    assert_eq!(kinds(&bridge.ended()), ["response.done"], "its own counts");
}

#[test]
fn what_waited_for_silence_goes_on_when_nobody_listens_for_it_any_more() {
    let mut bridge = bridge();
    speak(&mut bridge);
    bridge.take(&append(400, true));
    assert_eq!(
        kinds(&transcribe(&mut bridge, "one")),
        [""; 0],
        "he speaks on"
    );
    let steps = bridge.take(MANUAL);
    assert_eq!(
        kinds(&steps),
        ["session.updated", "response.created", "ask"]
    );
}

#[test]
fn where_there_is_no_room_only_what_takes_some_is_refused() {
    let mut bridge = bridge();
    let before = bridge.bytes();
    bridge.take(&user("hi"));
    bridge.take(&append(100, true));
    let held = bridge.bytes() - before;
    assert!((4_800..6_000).contains(&held), "{held}");
    bridge.has_room(100);
    for event in [
        &append(100, true),
        &user(&"x".repeat(100)),
        &update(json!({"instructions": "x".repeat(100)})),
        ASIDE,
    ] {
        assert_eq!(code(&bridge.take(event)), "server_overloaded");
    }
    assert_eq!(bridge.bytes() - before, held);
    bridge.has_room(0);
    let clear = r#"{"type":"input_audio_buffer.clear"}"#;
    assert_eq!(kinds(&bridge.take(clear)), ["input_audio_buffer.cleared"]);
    assert!(bridge.bytes() - before < 1_000);
    bridge.has_room(100);
    assert_eq!(kinds(&bridge.take(CREATE)), ["response.created", "ask"]);
}
