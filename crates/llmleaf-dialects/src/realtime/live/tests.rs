use super::Live;
use crate::realtime::Step;
use serde_json::{Value, json};

fn live() -> Live {
    Live::new("voice", "gemini-live", "s1", false)
}

fn said(steps: &[Step]) -> Vec<(String, Value)> {
    let each = steps.iter().map(|step| match step {
        Step::Say(text) => {
            let value: Value = serde_json::from_str(text).expect("JSON");
            (value["type"].as_str().expect("a type").to_owned(), value)
        }
        Step::Send(text) => ("send".to_owned(), serde_json::from_str(text).expect("JSON")),
        Step::Count(counted) => (
            "count".to_owned(),
            json!([
                counted.usage.input_total(),
                counted.usage.output_total(),
                counted.reported
            ]),
        ),
        other => panic!("{other:?}"),
    });
    each.collect()
}

fn kinds(steps: &[Step]) -> Vec<String> {
    said(steps).into_iter().map(|(kind, _)| kind).collect()
}

fn take(live: &mut Live, event: &Value) -> Vec<(String, Value)> {
    said(&live.take(&event.to_string()))
}

fn hear(live: &mut Live, message: &Value) -> Vec<(String, Value)> {
    said(&live.hear(&message.to_string()))
}

fn update() -> Value {
    json!({"type": "session.update", "session": {"type": "realtime", "instructions": "be brief",
        "tools": [{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}}],
        "audio": {"input": {"format": {"type": "audio/pcm", "rate": 24000}, "transcription": {}}, "output": {"voice": "Puck"}}}})
}

/// A session whose settings are taken.
fn running() -> Live {
    let mut live = live();
    take(&mut live, &update());
    assert!(hear(&mut live, &json!({"setupComplete": {}})).is_empty());
    live
}

#[test]
fn settings_are_said_once_and_first() {
    let mut live = live();
    assert_eq!(kinds(&live.greet()), ["session.created"]);
    let steps = take(&mut live, &update());
    assert_eq!(steps[0].0, "send");
    assert_eq!(
        steps[0].1,
        json!({"setup": {
            "model": "models/gemini-live",
            "generationConfig": {"responseModalities": ["AUDIO"], "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Puck"}}}},
            "systemInstruction": {"parts": [{"text": "be brief"}]},
            "tools": [{"functionDeclarations": [{"name": "f", "description": "d", "parametersJsonSchema": {"type": "object"}}]}],
            "inputAudioTranscription": {},
            "outputAudioTranscription": {},
        }})
    );
    assert_eq!(steps[1].0, "session.updated");
    assert_eq!(steps[1].1["session"]["audio"]["output"]["voice"], "Puck");
    // What is said meanwhile waits; the same settings again are no other ones.
    assert!(
        take(
            &mut live,
            &json!({"type": "input_audio_buffer.append", "audio": "AAAA"})
        )
        .is_empty()
    );
    let again = take(&mut live, &update());
    assert_eq!(again[0].0, "session.updated");
    let other = take(
        &mut live,
        &json!({"type": "session.update", "session": {"instructions": "x"}}),
    );
    assert_eq!(other[0].1["error"]["code"], "session_fixed");
    let steps = hear(&mut live, &json!({"setupComplete": {}}));
    assert_eq!(
        steps[0].1,
        json!({"realtimeInput": {"audio": {"mimeType": "audio/pcm;rate=24000", "data": "AAAA"}}})
    );
}

#[test]
fn what_the_wire_does_not_have_is_refused_by_name() {
    for (event, code) in [
        (
            json!({"type": "session.update", "session": {"audio": {"input": {"format": {"type": "audio/pcmu"}}}}}),
            "unsupported",
        ),
        (
            json!({"type": "session.update", "session": {"input_audio_format": "g711_ulaw"}}),
            "unsupported",
        ),
        (
            json!({"type": "session.update", "session": {"type": "transcription"}}),
            "unsupported",
        ),
        (
            json!({"type": "session.update", "session": {"tools": [{"type": "mcp"}]}}),
            "unsupported",
        ),
        (
            json!({"type": "conversation.item.delete", "item_id": "x"}),
            "unsupported",
        ),
        (
            json!({"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": ""}]}}),
            "unsupported",
        ),
        (
            json!({"type": "response.create", "response": {"instructions": "x"}}),
            "unsupported",
        ),
        (
            json!({"type": "response.cancel"}),
            "response_cancel_not_active",
        ),
        (
            json!({"type": "input_audio_buffer.append"}),
            "invalid_value",
        ),
        (json!({"type": "nonsense"}), "invalid_event"),
        (json!("x"), "invalid_event"),
    ] {
        let steps = take(&mut live(), &event);
        assert_eq!(steps.len(), 1, "{event}");
        assert_eq!(steps[0].1["error"]["code"], code, "{event}");
    }
}

#[test]
fn an_answer_in_speech_is_told_with_its_words_and_its_use() {
    let mut live = running();
    let heard = hear(
        &mut live,
        &json!({"serverContent": {"inputTranscription": {"text": "Hi"}}}),
    );
    assert_eq!(
        heard[0].0,
        "conversation.item.input_audio_transcription.delta"
    );
    let first = hear(
        &mut live,
        &json!({"serverContent": {"modelTurn": {"parts": [{"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": "QUJD"}}]}}}),
    );
    let names: Vec<&str> = first.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        names,
        [
            "conversation.item.input_audio_transcription.completed",
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "response.output_audio.delta",
        ]
    );
    assert_eq!(first[0].1["transcript"], "Hi");
    assert_eq!(first[5].1["delta"], "QUJD");
    let words = hear(
        &mut live,
        &json!({"serverContent": {"outputTranscription": {"text": "Hello"}}}),
    );
    assert_eq!(words[0].0, "response.output_audio_transcript.delta");
    let thought = hear(
        &mut live,
        &json!({"serverContent": {"modelTurn": {"parts": [{"text": "hm", "thought": true}]}}}),
    );
    assert!(thought.is_empty());
    let whole = hear(
        &mut live,
        &json!({"serverContent": {"generationComplete": true}}),
    );
    assert_eq!(whole[1].1["transcript"], "Hello");
    let done = hear(
        &mut live,
        &json!({"serverContent": {"turnComplete": true}, "usageMetadata": {
        "promptTokenCount": 30, "responseTokenCount": 20, "thoughtsTokenCount": 3, "totalTokenCount": 53,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 10}, {"modality": "AUDIO", "tokenCount": 20}],
        "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 20}]}}),
    );
    assert_eq!(done[0].0, "response.done");
    let response = &done[0].1["response"];
    assert_eq!(response["status"], "completed");
    assert_eq!(
        response["output"][0]["content"][0],
        json!({"type": "output_audio", "transcript": "Hello"})
    );
    assert_eq!(response["usage"]["total_tokens"], 53);
    assert_eq!(response["usage"]["input_token_details"]["audio_tokens"], 20);
    assert_eq!(done[1], ("count".to_owned(), json!([30, 23, true])));
    assert_eq!(live.left(), []);
}

#[test]
fn who_speaks_into_an_answer_ends_it() {
    let mut live = running();
    hear(
        &mut live,
        &json!({"serverContent": {"modelTurn": {"parts": [{"inlineData": {"data": "QUJD"}}]}}}),
    );
    let steps = hear(&mut live, &json!({"serverContent": {"interrupted": true}}));
    let names: Vec<&str> = steps.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(names[0], "input_audio_buffer.speech_started");
    let done = steps
        .iter()
        .find(|(kind, _)| kind == "response.done")
        .expect("it is told");
    assert_eq!(
        done.1["response"]["status_details"],
        json!({"type": "cancelled", "reason": "turn_detected"})
    );
    // Cancelled by the consumer: what still comes is passed over, and counted.
    hear(
        &mut live,
        &json!({"serverContent": {"modelTurn": {"parts": [{"inlineData": {"data": "QUJD"}}]}}}),
    );
    let steps = take(&mut live, &json!({"type": "response.cancel"}));
    assert!(steps.iter().any(|(kind, _)| kind == "response.done"));
    assert!(
        hear(
            &mut live,
            &json!({"serverContent": {"modelTurn": {"parts": [{"inlineData": {"data": "QUJD"}}]}}})
        )
        .is_empty()
    );
    let late = hear(
        &mut live,
        &json!({"serverContent": {"turnComplete": true}, "usageMetadata": {"promptTokenCount": 4, "responseTokenCount": 2}}),
    );
    assert_eq!(late, [("count".to_owned(), json!([4, 2, true]))]);
    let next = hear(
        &mut live,
        &json!({"serverContent": {"modelTurn": {"parts": [{"inlineData": {"data": "QUJD"}}]}}}),
    );
    assert_eq!(next[0].0, "response.created");
    let left = live.left();
    assert_eq!(left.len(), 1);
    assert!(!left[0].reported && left[0].usage.output_audio > 0);
}

fn speech() -> Value {
    json!({"serverContent": {"modelTurn": {"parts": [{"inlineData": {"data": "QUJD"}}]}}})
}

fn turn_complete(input: u64, output: u64) -> Value {
    json!({"serverContent": {"turnComplete": true}, "usageMetadata": {"promptTokenCount": input, "responseTokenCount": output}})
}

fn counts(steps: &[(String, Value)]) -> Vec<Value> {
    let counts = steps.iter().filter(|(kind, _)| kind == "count");
    counts.map(|(_, count)| count.clone()).collect()
}

#[test]
fn an_answer_that_is_cut_short_is_counted_once_and_as_its_provider_says() {
    for cut in [
        json!({"serverContent": {"interrupted": true}}),
        json!({"type": "response.cancel"}),
    ] {
        let mut live = running();
        hear(&mut live, &speech());
        let steps = match cut.get("type") {
            Some(_) => take(&mut live, &cut),
            None => hear(&mut live, &cut),
        };
        assert!(counts(&steps).is_empty(), "{cut}: {steps:?}");
        let steps = hear(&mut live, &turn_complete(4, 2));
        assert_eq!(steps, [("count".to_owned(), json!([4, 2, true]))], "{cut}");
        assert_eq!(live.left(), [], "{cut}");
    }
    // Whatever was said before the cut, and nothing after it.
    let mut live = running();
    hear(&mut live, &speech());
    take(&mut live, &json!({"type": "response.cancel"}));
    let left = live.left();
    assert_eq!(left.len(), 1);
    assert!(!left[0].reported && left[0].usage.output_audio > 0);
}

#[test]
fn what_still_comes_of_a_cancelled_answer_is_no_part_of_the_next() {
    let mut live = running();
    hear(&mut live, &speech());
    take(&mut live, &json!({"type": "response.cancel"}));
    let item = json!({"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go on"}]}});
    take(&mut live, &item);
    let steps = take(&mut live, &json!({"type": "response.create"}));
    assert_eq!(steps[1].0, "response.created");
    let next = steps[1].1["response"]["id"].clone();
    assert!(hear(&mut live, &speech()).is_empty());
    assert!(hear(&mut live, &json!({"serverContent": {"interrupted": true}})).is_empty());
    let steps = hear(&mut live, &turn_complete(4, 2));
    assert_eq!(steps, [("count".to_owned(), json!([4, 2, true]))]);
    let steps = hear(&mut live, &speech());
    let delta = steps.last().expect("it is told");
    assert_eq!(delta.1["response_id"], next);
    let steps = hear(&mut live, &turn_complete(9, 3));
    let done = steps.iter().find(|(kind, _)| kind == "response.done");
    assert_eq!(done.expect("it ends").1["response"]["id"], next);
    assert_eq!(counts(&steps), [json!([9, 3, true])]);
}

#[test]
fn what_waits_is_bounded_and_what_is_refused_takes_no_room() {
    let item = |text: &str| json!({"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}});
    let text = "x".repeat(1024 * 1024);
    let mut live = running();
    let refused = (0..9).map(|_| take(&mut live, &item(&text)));
    let refused = refused.filter(|steps| steps[0].1["error"]["code"] == "too_much_held");
    assert_eq!(refused.count(), 2);
    take(&mut live, &item("small"));
    let steps = take(&mut live, &json!({"type": "response.create"}));
    assert_eq!(steps[0].0, "send");
    let turns = steps[0].1["clientContent"]["turns"]
        .as_array()
        .map(Vec::len);
    assert_eq!(turns, Some(8));
    // The same before the provider has taken the settings: what was refused is no reason to refuse the rest, and turns stay.
    let mut live = self::live();
    take(&mut live, &update());
    let append = |audio: &str| json!({"type": "input_audio_buffer.append", "audio": audio});
    let steps = take(&mut live, &append(&text));
    assert_eq!(steps[0].1["error"]["code"], "too_much_held");
    assert!(take(&mut live, &append("AAAA")).is_empty());
    take(&mut live, &item(&text));
    let steps = take(&mut live, &json!({"type": "response.create"}));
    assert_eq!(steps[0].1["error"]["code"], "too_much_held");
    hear(&mut live, &json!({"setupComplete": {}}));
    let steps = take(&mut live, &json!({"type": "response.create"}));
    assert_eq!(
        steps[0].1["clientContent"]["turns"][0]["parts"][0]["text"],
        text
    );
}

#[test]
fn calls_go_there_and_back() {
    let mut live = running();
    let steps = hear(
        &mut live,
        &json!({"toolCall": {"functionCalls": [{"id": "c1", "name": "f", "args": {"a": 1}}]}}),
    );
    let names: Vec<&str> = steps.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        names,
        [
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "conversation.item.done",
            "response.done",
        ]
    );
    assert_eq!(steps[4].1["arguments"], "{\"a\":1}");
    // What it used may be told behind it.
    let steps = hear(&mut live, &turn_complete(9, 3));
    assert_eq!(steps, [("count".to_owned(), json!([9, 3, true]))]);
    for (output, response) in [
        ("{\"b\":2}", json!({"b": 2})),
        ("plain", json!({"output": "plain"})),
    ] {
        let steps = take(
            &mut live,
            &json!({"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "c1", "output": output}}),
        );
        assert_eq!(
            steps[0].1,
            json!({"toolResponse": {"functionResponses": [{"id": "c1", "name": "f", "response": response}]}})
        );
    }
    // It goes on by itself.
    assert!(take(&mut live, &json!({"type": "response.create"})).is_empty());
}

#[test]
fn texts_are_turns_and_a_consumer_may_say_when_its_speech_ends() {
    let mut live = live();
    let update = json!({"type": "session.update", "session": {"output_modalities": ["text"], "turn_detection": null}});
    let steps = take(&mut live, &update);
    let setup = &steps[0].1["setup"];
    assert_eq!(
        setup["generationConfig"]["responseModalities"],
        json!(["TEXT"])
    );
    assert_eq!(
        setup["realtimeInputConfig"]["automaticActivityDetection"]["disabled"],
        true
    );
    hear(&mut live, &json!({"setupComplete": {}}));
    let item = |role: &str, text: &str| json!({"type": "conversation.item.create", "item": {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}});
    take(&mut live, &item("user", "one"));
    take(&mut live, &item("assistant", "two"));
    let steps = take(&mut live, &json!({"type": "response.create"}));
    assert_eq!(
        steps[0].1,
        json!({"clientContent": {"turns": [{"role": "user", "parts": [{"text": "one"}]}, {"role": "model", "parts": [{"text": "two"}]}], "turnComplete": true}})
    );
    assert_eq!(steps[1].0, "response.created");
    let again = take(&mut live, &json!({"type": "response.create"}));
    assert_eq!(
        again[0].1["error"]["code"],
        "conversation_already_has_active_response"
    );
    let text = hear(
        &mut live,
        &json!({"serverContent": {"modelTurn": {"parts": [{"text": "Hi"}]}}}),
    );
    assert_eq!(
        text.last().map(|(kind, _)| kind.as_str()),
        Some("response.output_text.delta")
    );
    hear(&mut live, &json!({"serverContent": {"turnComplete": true}}));
    let steps = take(
        &mut live,
        &json!({"type": "input_audio_buffer.append", "audio": "AA"}),
    );
    assert_eq!(steps[0].1, json!({"realtimeInput": {"activityStart": {}}}));
    assert_eq!(steps.len(), 2);
    assert_eq!(
        take(
            &mut live,
            &json!({"type": "input_audio_buffer.append", "audio": "AA"})
        )
        .len(),
        1
    );
    let steps = take(&mut live, &json!({"type": "input_audio_buffer.commit"}));
    assert_eq!(steps[0].1, json!({"realtimeInput": {"activityEnd": {}}}));
    assert_eq!(steps[1].0, "input_audio_buffer.committed");
}

#[test]
fn what_was_used_is_counted_though_no_answer_is_open() {
    let count = |input: u64, output: u64, reported: bool| {
        [("count".to_owned(), json!([input, output, reported]))]
    };
    // A turn in which nothing was said.
    let mut live = running();
    assert_eq!(hear(&mut live, &turn_complete(4, 2)), count(4, 2, true));
    assert_eq!(live.left(), []);
    // The same where the session ends before its turn does.
    let usage = json!({"usageMetadata": {"promptTokenCount": 5, "responseTokenCount": 1}});
    assert_eq!(hear(&mut live, &usage), []);
    let left = live.left();
    assert_eq!(left.len(), 1);
    assert!(left[0].reported && left[0].usage.input == 5);
    // A call of which nothing is told, before the next answer or the end.
    let call = json!({"toolCall": {"functionCalls": [{"id": "c1", "name": "f", "args": {}}]}});
    assert_eq!(counts(&hear(&mut live, &call)), Vec::<Value>::new());
    assert_eq!(counts(&hear(&mut live, &speech())), [json!([0, 1, false])]);
    hear(&mut live, &turn_complete(9, 3));
    hear(&mut live, &call);
    assert_eq!(live.left().len(), 1);
}
