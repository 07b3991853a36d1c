//! Sessions in speech.

use super::{Bridge, Parts, Step, code, json, kinds, said, user};
use crate::speech::{Pcm, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

pub(super) fn parts() -> Parts {
    Parts {
        transcription: Some("stt".to_owned()),
        speech: Some("tts".to_owned()),
        voice: Some("leaf".to_owned()),
    }
}

pub(super) fn bridge() -> Bridge {
    Bridge::new("m", "s1", false, parts())
}

/// A square wave, as loud as speech, or silence, as the consumer sends it.
pub(super) fn append(millis: usize, loud: bool) -> String {
    let samples = (0..millis * 24).map(|at| match (loud, at / 40 % 2) {
        (false, _) => 0_i16,
        (true, 0) => 6000,
        (true, _) => -6000,
    });
    let bytes: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
    json!({"type": "input_audio_buffer.append", "audio": STANDARD.encode(bytes)}).to_string()
}

pub(super) fn update(session: Value) -> String {
    json!({"type": "session.update", "session": session}).to_string()
}

pub(super) const MANUAL: &str =
    r#"{"type":"session.update","session":{"audio":{"input":{"turn_detection":null}}}}"#;
pub(super) const COMMIT: &str = r#"{"type":"input_audio_buffer.commit"}"#;
pub(super) const CREATE: &str = r#"{"type":"response.create"}"#;

/// The transcription that is asked for is told.
pub(super) fn transcribe(bridge: &mut Bridge, text: &str) -> Vec<Step> {
    let (first, second) = text.split_at(text.len() / 2);
    let mut steps = Vec::new();
    for delta in [first, second] {
        let event = json!({"type": "transcript.text.delta", "delta": delta});
        steps.extend(bridge.transcribed(&event.to_string()));
    }
    let done = json!({"type": "transcript.text.done", "text": text, "usage": {"type": "tokens", "total_tokens": 5}});
    steps.extend(bridge.transcribed(&done.to_string()));
    steps.extend(bridge.transcript_ended());
    steps
}

/// Events of an answer with one text.
pub(super) fn text(deltas: &[&str]) -> Vec<String> {
    let mut events = vec![
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "message", "id": "msg_1", "role": "assistant", "content": []}}),
    ];
    events.extend(deltas.iter().map(|delta| {
        json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": delta})
    }));
    events.push(json!({"type": "response.output_item.done", "output_index": 0, "item": {"type": "message"}}));
    events.iter().map(Value::to_string).collect()
}

pub(super) fn completed() -> String {
    json!({"type": "response.completed", "response": {"id": "resp_x", "usage": {"input_tokens": 7, "output_tokens": 5}}}).to_string()
}

/// A file of so many milliseconds.
pub(super) fn file(millis: usize) -> Vec<u8> {
    let mut file = header(Pcm::USUAL, None);
    file.extend((0..millis * 24).flat_map(|at| (at as i16).to_le_bytes()));
    file
}

/// What of that kind is asked or said.
pub(super) fn of(steps: &[Step], kind: &str) -> Vec<Value> {
    let all = said(steps).into_iter();
    all.filter(|(known, _)| known == kind)
        .map(|(_, value)| value)
        .collect()
}

#[test]
fn speech_is_an_item_that_is_written_down_and_then_answered() {
    let mut bridge = bridge();
    let greeting = said(&bridge.greet());
    let session = &greeting[0].1["session"];
    assert_eq!(session["output_modalities"], json!(["audio"]));
    assert_eq!(
        session["audio"]["input"]["turn_detection"]["type"],
        "server_vad"
    );
    assert_eq!(session["audio"]["output"]["voice"], "leaf");
    bridge.take(MANUAL);
    let updated = said(&bridge.take(&update(
        json!({"audio": {"input": {"transcription": {"model": "whisper-1", "language": "de"}}}}),
    )));
    let told = &updated[0].1["session"]["audio"]["input"];
    assert_eq!(
        told["transcription"],
        json!({"model": "stt", "language": "de"})
    );
    assert_eq!(told["turn_detection"], Value::Null);
    assert_eq!(
        code(&bridge.take(COMMIT)),
        "input_audio_buffer_commit_empty"
    );
    assert_eq!(kinds(&bridge.take(&append(400, true))), [""; 0]);
    let committed = bridge.take(COMMIT);
    assert_eq!(
        kinds(&committed),
        [
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "listen"
        ]
    );
    let item = said(&committed)[0].1["item_id"].clone();
    let body = &of(&committed, "listen")[0];
    assert_eq!(
        (&body["model"], &body["language"], &body["stream"]),
        (&json!("stt"), &json!("de"), &json!(true))
    );
    let sound = STANDARD.decode(body["input_audio"]["data"].as_str().expect("a text"));
    let sound = sound.expect("base64");
    assert_eq!(sound.len(), 44 + 400 * 48);
    assert_eq!(sound[..44], header(Pcm::USUAL, Some(400 * 48)));
    // An answer waits for what is written down, and is told of at once.
    assert_eq!(kinds(&bridge.take(CREATE)), ["response.created"]);
    let heard = transcribe(&mut bridge, "good morning");
    let kind = "conversation.item.input_audio_transcription";
    let (delta, whole) = (format!("{kind}.delta"), format!("{kind}.completed"));
    assert_eq!(kinds(&heard), [&*delta, &*delta, &*whole, "ask"]);
    let told = &of(&heard, &whole)[0];
    assert_eq!(
        (&told["item_id"], &told["transcript"]),
        (&item, &json!("good morning"))
    );
    assert_eq!(told["usage"]["total_tokens"], 5);
    let asked = &of(&heard, "ask")[0]["input"];
    assert_eq!(
        *asked,
        json!([{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "good morning"}]}])
    );
}

/// Three sentences, as they come.
const SENTENCES: [&str; 3] = [
    "This is the first sentence. ",
    "And the second one. And ",
    "the third.",
];
/// What ends an answer that was said.
const WHOLE: [&str; 6] = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "response.output_item.done",
    "conversation.item.done",
    "response.done",
];

#[test]
fn an_answer_is_said_sentence_by_sentence_while_it_is_made() {
    let mut bridge = bridge();
    bridge.take(&user("hi"));
    let created = said(&bridge.take(CREATE));
    assert_eq!(
        created[0].1["response"]["output_modalities"],
        json!(["audio"])
    );
    let events = text(&SENTENCES);
    let steps: Vec<Step> = events[..2]
        .iter()
        .flat_map(|event| bridge.hear(event))
        .collect();
    let first = &of(&steps, "speak")[0];
    assert_eq!(first["input"], "This is the first sentence.");
    assert_eq!(
        (&first["model"], &first["voice"], &first["response_format"]),
        (&json!("tts"), &json!("leaf"), &json!("wav"))
    );
    assert_eq!(
        of(&steps, "response.content_part.added")[0]["part"]["type"],
        "audio"
    );
    // Its sound comes before the text is whole.
    let sound = file(500);
    let steps = bridge.sound(&sound[..1000]);
    assert_eq!(kinds(&steps), ["response.output_audio.delta"]);
    let delta = of(&steps, "response.output_audio.delta")[0]["delta"].clone();
    let delta = STANDARD
        .decode(delta.as_str().expect("a text"))
        .expect("base64");
    assert_eq!(delta, sound[44..1000]);
    let mut steps: Vec<Step> = events[2..]
        .iter()
        .flat_map(|event| bridge.hear(event))
        .collect();
    steps.extend(bridge.hear(&completed()));
    assert_eq!(
        kinds(&steps),
        ["response.output_audio_transcript.delta"; 2],
        "it is not done before it is said"
    );
    bridge.sound(&sound[1000..]);
    let steps = bridge.sound_ended();
    assert_eq!(
        of(&steps, "speak")[0]["input"],
        "And the second one. And the third."
    );
    bridge.sound(&file(500));
    let steps = bridge.sound_ended();
    assert_eq!(kinds(&steps), WHOLE);
    let done = said(&steps).pop().expect("an end").1;
    assert_eq!(done["response"]["status"], "completed");
    let part = &done["response"]["output"][0]["content"][0];
    assert_eq!(part["type"], "output_audio");
    assert_eq!(
        part["transcript"],
        "This is the first sentence. And the second one. And the third."
    );
    assert!(!bridge.is_answering());
}

/// An answer of two sentences, of which the first was said, a second long.
pub(super) fn half_said(bridge: &mut Bridge) -> String {
    bridge.take(&user("hi"));
    bridge.take(CREATE);
    let events = text(&[
        "Ten words are said here and ten are not said. ",
        "Nobody hears this sentence.",
    ]);
    let mut steps = Vec::new();
    for event in &events[..3] {
        steps.extend(bridge.hear(event));
    }
    bridge.sound(&file(1000));
    let added = &of(&steps, "response.output_item.added")[0];
    added["item"]["id"].as_str().expect("a name").to_owned()
}

pub(super) fn asked(bridge: &mut Bridge) -> Value {
    let steps =
        bridge.take(r#"{"type":"response.create","response":{"output_modalities":["text"]}}"#);
    of(&steps, "ask")[0]["input"].clone()
}

#[test]
fn who_speaks_into_an_answer_cuts_it_short_and_what_was_not_heard_is_forgotten() {
    let mut bridge = bridge();
    let item = half_said(&mut bridge);
    bridge.sound_ended();
    bridge.take(&append(1000, false));
    let steps = bridge.take(&append(200, true));
    let kinds = kinds(&steps);
    assert_eq!(kinds[..2], ["input_audio_buffer.speech_started", "cancel"]);
    let done = said(&steps).pop().expect("an end").1;
    assert_eq!(done["response"]["status"], "cancelled");
    assert_eq!(
        done["response"]["status_details"]["reason"],
        "turn_detected"
    );
    // What was never given to be said is not known to the next answer.
    let truncate = |millis: u64| {
        json!({"type": "conversation.item.truncate", "item_id": item, "content_index": 0, "audio_end_ms": millis}).to_string()
    };
    assert_eq!(code(&bridge.take(&truncate(1001))), "invalid_value");
    assert_eq!(
        super::kinds(&bridge.take(&truncate(1000))),
        ["conversation.item.truncated"]
    );
    let input = asked(&mut bridge);
    assert_eq!(
        input[1]["content"][0]["text"],
        "Ten words are said here and ten are not said."
    );
    bridge.take(r#"{"type":"response.cancel"}"#);
    bridge.take(&truncate(500));
    let got = said(
        &bridge.take(&json!({"type": "conversation.item.retrieve", "item_id": item}).to_string()),
    );
    assert_eq!(
        got[0].1["item"]["content"][0]["transcript"],
        "Ten words are said"
    );
    let input = asked(&mut bridge);
    assert_eq!(input[1]["content"][0]["text"], "Ten words are said");
    bridge.take(r#"{"type":"response.cancel"}"#);
    bridge.take(&truncate(0));
    assert_eq!(
        asked(&mut bridge).as_array().map(Vec::len),
        Some(1),
        "nothing was heard"
    );
}

#[test]
fn what_is_said_is_heard_and_answered_by_itself() {
    let mut bridge = bridge();
    bridge.take(&append(1000, false));
    let began = said(&bridge.take(&append(800, true)));
    assert_eq!(began[0].0, "input_audio_buffer.speech_started");
    assert_eq!(began[0].1["audio_start_ms"], 700);
    let ended = bridge.take(&append(600, false));
    assert_eq!(
        kinds(&ended),
        [
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "listen"
        ]
    );
    let told = said(&ended);
    assert_eq!(told[0].1["audio_end_ms"], 2300);
    assert_eq!(told[0].1["item_id"], began[0].1["item_id"]);
    assert_eq!(told[1].1["item_id"], began[0].1["item_id"]);
    // Nobody asked to be told what was heard.
    assert_eq!(
        kinds(&transcribe(&mut bridge, "hello")),
        ["response.created", "ask"]
    );
    bridge.take(r#"{"type":"response.cancel"}"#);
    // Noise is no question.
    bridge.take(&append(800, true));
    assert!(kinds(&bridge.take(&append(600, false))).contains(&"listen".to_owned()));
    assert_eq!(kinds(&transcribe(&mut bridge, " ")), [""; 0]);
    // Who speaks on before the first is written down is answered once.
    bridge.take(&append(800, true));
    bridge.take(&append(600, false));
    bridge.take(&append(800, true));
    assert_eq!(kinds(&transcribe(&mut bridge, "one")), [""; 0]);
    bridge.take(&append(600, false));
    let steps = transcribe(&mut bridge, "two");
    assert_eq!(kinds(&steps), ["response.created", "ask"]);
    let input = &of(&steps, "ask")[0]["input"];
    let texts: Vec<_> = input
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| item["content"][0]["text"].clone())
        .collect();
    assert_eq!(texts, ["hello", "one", "two"]);
}

#[test]
fn whatever_goes_wrong_is_told_by_name() {
    // What cannot be written down is no part of any answer.
    let mut bridge = bridge();
    bridge.take(MANUAL);
    bridge.take(&append(200, true));
    bridge.take(COMMIT);
    bridge.take(CREATE);
    let steps = bridge.transcript(
        false,
        br#"{"error":{"type":"t","code":"rate_limit_exceeded","message":"slow"}}"#,
    );
    assert_eq!(kinds(&steps), ["error", "response.done"]);
    assert_eq!(
        said(&steps)[1].1["response"]["status_details"]["error"]["code"],
        "rate_limit_exceeded"
    );
    assert_eq!(asked(&mut bridge), json!([]));
    bridge.take(r#"{"type":"response.cancel"}"#);
    bridge.take(&update(json!({"input_audio_transcription": {}})));
    bridge.take(&append(200, true));
    bridge.take(COMMIT);
    let failed = "conversation.item.input_audio_transcription.failed";
    assert_eq!(kinds(&bridge.transcript_ended()), [failed]);
    // So is speech that is refused, or is none; the answer ends with it.
    for wrong in 0..3 {
        let mut bridge = self::bridge();
        half_said(&mut bridge);
        let steps = match wrong {
            0 => bridge.sound_cut(),
            1 => bridge.unspoken(br#"{"error":{"code":"c","message":"m"}}"#),
            _ => {
                bridge.sound_ended();
                bridge.hear(&text(&[])[1]);
                bridge.sound(b"<html>nothing that sounds</html>")
            }
        };
        let steps = said(&steps);
        assert!(steps.iter().any(|(kind, _)| kind == "cancel"), "{wrong}");
        let done = &steps
            .iter()
            .find(|(kind, _)| kind == "response.done")
            .expect("an end")
            .1;
        assert_eq!(done["response"]["status"], "failed", "{wrong}");
        assert!(!bridge.is_answering());
    }
}

#[test]
fn settings_that_nobody_can_keep_are_refused() {
    for (session, expected) in [
        (
            json!({"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}}),
            "unsupported",
        ),
        (
            json!({"audio": {"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 6000}}}}),
            "unsupported",
        ),
        (
            json!({"turn_detection": {"type": "server_vad", "threshold": 2}}),
            "invalid_value",
        ),
        (
            json!({"audio": {"input": {"noise_reduction": {"type": "near_field"}}}}),
            "unsupported",
        ),
        (
            json!({"audio": {"input": {"format": {"type": "audio/opus"}}}}),
            "invalid_value",
        ),
        (json!({"audio": {"output": {"voice": 7}}}), "invalid_value"),
        (json!({"audio": {"output": {"speed": 9}}}), "invalid_value"),
        (json!({"output_modalities": []}), "invalid_value"),
    ] {
        let mut bridge = self::bridge();
        assert_eq!(
            code(&bridge.take(&update(session.clone()))),
            expected,
            "{session}"
        );
    }
}

#[test]
fn a_speech_model_that_writes_no_files_is_asked_for_samples() {
    let mut bridge = bridge();
    bridge.take(&update(
        json!({"output_audio_format": "g711_ulaw", "voice": {"id": "v"}}),
    ));
    bridge.take(&user("hi"));
    bridge.take(CREATE);
    for event in text(&["Yes."]) {
        bridge.hear(&event);
    }
    let refusal = br#"{"error":{"code":null,"param":"response_format","message":"m"}}"#;
    let steps = bridge.unspoken(refusal);
    let again = &of(&steps, "speak")[0];
    assert_eq!(
        (&again["response_format"], &again["input"]),
        (&json!("pcm"), &json!("Yes."))
    );
    assert_eq!(again["voice"], json!({"id": "v"}));
    bridge.sound(&[0; 4800]);
    let mut steps = bridge.sound_ended();
    steps.extend(bridge.hear(&completed()));
    let sound = of(&steps, "response.output_audio.delta").len();
    assert!(sound <= 1, "800 samples of a telephone");
    assert_eq!(
        kinds(&steps).last().map(String::as_str),
        Some("response.done")
    );
    assert_eq!(
        code(&bridge.take(r#"{"type":"response.cancel"}"#)),
        "response_cancel_not_active"
    );
}
