//! Calls that take their time, and what was thought before what nobody heard.

use super::meanwhile::{CANCEL, NOTHING_YET, arguments, begun, call, delete, ended, speak, texts};
use super::speech::{CREATE, append, asked, bridge, completed, of, text, transcribe};
use super::{Bridge, Step, json, kinds, user};
use crate::sealed::Sealed;
use llmleaf_model::{Artefact, ArtefactKind, Provenance};
use serde_json::Value;

const CREATE_TEXT: &str = r#"{"type":"response.create","response":{"output_modalities":["text"]}}"#;

fn output(call: u64) -> String {
    json!({"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": format!("c{call}"), "output": "done"}})
        .to_string()
}

/// A thought, or the proof of a call.
fn thought(at: u64, sealed: &str) -> [String; 2] {
    let item = json!({"type": "reasoning", "summary": [], "encrypted_content": sealed});
    let done = json!({"type": "response.output_item.done", "output_index": at, "item": item});
    [begun(at, item), done.to_string()]
}

fn proof(at: u64, call: &str) -> [String; 2] {
    let artefact = Artefact {
        provenance: Provenance("gemini".into()),
        kind: ArtefactKind::Signature,
        data: "PROOF".to_owned(),
    };
    let sealed = Sealed {
        artefact: Some(artefact),
        call: true,
        id: Some(call.to_owned()),
        ..Sealed::default()
    };
    thought(at, &sealed.seal())
}

fn hear<E: AsRef<str>>(bridge: &mut Bridge, events: impl IntoIterator<Item = E>) -> Vec<Step> {
    let events = events.into_iter();
    events
        .flat_map(|event| bridge.hear(event.as_ref()))
        .collect()
}

/// An answer of calls; their items.
fn calls(bridge: &mut Bridge, calls: &[u64], end: &str) -> Vec<Value> {
    bridge.take(&user("hi"));
    bridge.take(CREATE_TEXT);
    let each = calls.iter();
    let events = each.flat_map(|at| [call(*at), arguments(*at, "{}"), ended(*at)]);
    let steps = hear(bridge, events);
    hear(bridge, [end]);
    let added = of(&steps, "conversation.item.added").into_iter();
    added.map(|event| event["item"]["id"].clone()).collect()
}

#[test]
fn who_speaks_while_a_tool_runs_is_answered_with_what_comes_of_it() {
    let mut bridge = bridge();
    calls(&mut bridge, &[1, 2], &completed());
    speak(&mut bridge);
    assert_eq!(kinds(&transcribe(&mut bridge, "are you there?")), [""; 0]);
    assert!(of(&bridge.take(&output(2)), "ask").is_empty());
    let steps = bridge.take(&output(1));
    assert_eq!(
        kinds(&steps),
        [
            "conversation.item.added",
            "conversation.item.done",
            "response.created",
            "ask"
        ]
    );
    // The outputs stand where their calls are, which were made together.
    let wanted = ["hi", "c1", "c2", "c1: done", "c2: done", "are you there?"];
    assert_eq!(texts(&of(&steps, "ask")[0]["input"]), wanted);
    hear(&mut bridge, [completed()]);
    bridge.take(&user("more"));
    let all = texts(&asked(&mut bridge));
    assert_eq!(
        (&all[..6], &*all[6]),
        (&wanted.map(str::to_owned)[..], "more")
    );
}

#[test]
fn who_asks_before_a_tool_is_done_is_answered_and_speech_waits_for_no_such_call() {
    let mut bridge = bridge();
    calls(&mut bridge, &[1], &completed());
    bridge.take(&user("meanwhile"));
    assert_eq!(
        texts(&asked(&mut bridge)),
        ["hi", "c1", NOTHING_YET, "meanwhile"]
    );
    hear(
        &mut bridge,
        text(&["It runs."]).into_iter().chain([completed()]),
    );
    speak(&mut bridge);
    let steps = transcribe(&mut bridge, "and now?");
    assert_eq!(of(&steps, "ask").len(), 1, "an answer was made without it");
    bridge.take(CANCEL);
    bridge.take(&output(1));
    assert_eq!(
        texts(&asked(&mut bridge))[..4],
        ["hi", "c1", "c1: done", "meanwhile"]
    );
    bridge.take(CANCEL);
    // Nor for one of an answer that is not whole, nor for one that is deleted.
    let incomplete = json!({"type": "response.incomplete", "response": {}}).to_string();
    for (end, deletes) in [(&incomplete, false), (&completed(), true)] {
        let mut bridge = self::bridge();
        let made = calls(&mut bridge, &[1], end);
        speak(&mut bridge);
        let mut steps = transcribe(&mut bridge, "and now?");
        if deletes {
            assert_eq!(kinds(&steps), [""; 0]);
            steps = bridge.take(&delete(&made[0]));
        }
        assert_eq!(of(&steps, "ask").len(), 1, "{deletes}");
    }
}

#[test]
fn calls_of_one_name_have_the_outputs_that_stand_next_to_them() {
    let mut bridge = bridge();
    for _ in 0..2 {
        calls(&mut bridge, &[1], &completed());
        bridge.take(&user("meanwhile"));
        bridge.take(&output(1));
    }
    let once = ["hi", "c1", "c1: done", "meanwhile"];
    assert_eq!(texts(&asked(&mut bridge)), [once, once].concat());
}

#[test]
fn a_thought_of_which_nothing_was_heard_is_not_repeated() {
    // Of an answer that is cut short before a word was heard, and before one was made.
    for heard in [2, 0] {
        let mut bridge = bridge();
        bridge.take(&user("hi"));
        bridge.take(CREATE);
        hear(&mut bridge, thought(0, "T"));
        let events = text(&["Nobody hears this."]);
        let events = events.iter().take(heard);
        hear(
            &mut bridge,
            events.map(|event| event.replace("\"output_index\":0", "\"output_index\":1")),
        );
        bridge.take(&append(200, false));
        let steps = bridge.take(&append(200, true));
        assert_eq!(of(&steps, "response.done").len(), 1);
        assert_eq!(texts(&asked(&mut bridge)), ["hi"], "{heard}");
    }
    // Nor where nothing else came of it, nor beside what is said meanwhile.
    let mut bridge = bridge();
    bridge.take(&user("hi"));
    bridge.take(CREATE_TEXT);
    hear(
        &mut bridge,
        thought(0, "T").into_iter().chain([completed()]),
    );
    assert_eq!(texts(&asked(&mut bridge)), ["hi"]);
    hear(&mut bridge, thought(0, "T"));
    bridge.take(&user("meanwhile"));
    let events = text(&["Yes."]);
    hear(
        &mut bridge,
        events
            .iter()
            .map(|event| event.replace("\"output_index\":0", "\"output_index\":1")),
    );
    hear(&mut bridge, [completed()]);
    assert_eq!(texts(&asked(&mut bridge)), ["hi", "meanwhile", "T", "Yes."]);
}

#[test]
fn a_proof_stays_with_its_call() {
    let mut bridge = bridge();
    bridge.take(&user("hi"));
    bridge.take(CREATE_TEXT);
    hear(&mut bridge, [call(1), arguments(1, "{}"), ended(1)]);
    hear(&mut bridge, proof(2, "c1"));
    let last = begun(3, json!({"type": "message"}));
    let added = of(&bridge.hear(&last), "conversation.item.added");
    hear(&mut bridge, [ended(3), completed()]);
    let sealed = texts(&{
        bridge.take(&output(1));
        asked(&mut bridge)
    });
    assert_eq!(sealed.len(), 4, "{sealed:?}");
    assert_eq!((&*sealed[1], &*sealed[3]), ("c1", "c1: done"));
    bridge.take(CANCEL);
    // What stands behind it is not what it proves.
    bridge.take(&delete(&added[0]["item"]["id"]));
    assert_eq!(texts(&asked(&mut bridge)), sealed);
    bridge.take(CANCEL);
    let held = bridge.bytes();
    let call = added[0]["previous_item_id"].clone();
    bridge.take(&delete(&call));
    assert!(
        bridge.bytes() + sealed[2].len() < held,
        "it goes with its call"
    );
}
