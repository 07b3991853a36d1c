use super::*;
use crate::Head;
use bytes::Bytes;
use llmleaf_framing::{SseFramer, SseLimits};
use llmleaf_model::{Loss, SpeechRequest};

const BODY: &str = r#"{ "model":"ours", "input":"Hello", "voice":"alloy", "instructions":"softly", "speed":1.5, "own":1 }"#;

fn request(body: &str) -> SpeechRequest {
    parse_request(body, "ours").expect("a request")
}

fn fields(losses: &[Loss]) -> Vec<&str> {
    losses.iter().map(|loss| loss.field.as_str()).collect()
}

#[test]
fn the_reference_gets_all_but_the_model_as_it_came() {
    let body = Bytes::from(BODY);
    let head = Head::read(&body).expect("a head");
    let rendered = edit(
        &head,
        &body,
        &request(BODY),
        "theirs",
        &SpeechQuirks::REFERENCE,
    );
    let rendered = rendered.expect("it can");
    assert_eq!(rendered.body, BODY.replace("ours", "theirs"));
    assert_eq!(rendered.losses, []);
    let narrow = SpeechQuirks {
        takes: Some(vec!["speed".into()].into()),
        formats: vec!["mp3".into()].into(),
        unasked: "pcm".into(),
        events: false,
    };
    let body = Bytes::from(BODY.replace("\"own\":1", "\"stream_format\":\"sse\""));
    let text = std::str::from_utf8(&body).expect("text");
    let head = Head::read(&body).expect("a head");
    let rendered = edit(&head, &body, &request(text), "ours", &narrow).expect("it can");
    assert_eq!(
        rendered.body,
        r#"{ "response_format":"mp3","model":"ours", "input":"Hello", "voice":"alloy", "speed":1.5 }"#
    );
    assert_eq!(fields(&rendered.losses), ["instructions"]);
    let flac = BODY.replace("\"own\":1", "\"response_format\":\"flac\"");
    let body = Bytes::from(flac.clone());
    let head = Head::read(&body).expect("a head");
    let failure = edit(&head, &body, &request(&flac), "ours", &narrow).expect_err("it cannot");
    assert_eq!(
        (failure.kind, failure.retry),
        (FailureKind::Unsupported, Retry::NextTarget)
    );
}

#[test]
fn other_forms_get_what_they_have_a_place_for() {
    let render =
        |body: &str, wire: &SpeechWire| render_request(&request(body), "theirs", wire, true);
    let wav = BODY.replace("\"own\":1", "\"response_format\":\"wav\"");
    let sound = SpeechWire::AudioData(SpeechQuirks::REFERENCE);
    let rendered = render(&wav, &sound).expect("it can");
    assert_eq!(
        rendered.body,
        r#"{"model":"theirs","input":"Hello","voice_id":"alloy","response_format":"wav","stream":true}"#
    );
    assert_eq!(fields(&rendered.losses), ["instructions", "speed"]);
    let rendered = render(&wav, &SpeechWire::GenerateContent).expect("it can");
    assert_eq!(
        rendered.body,
        r#"{"contents":[{"role":"user","parts":[{"text":"Hello"}]}],"generationConfig":{"responseModalities":["AUDIO"],"speechConfig":{"voiceConfig":{"prebuiltVoiceConfig":{"voiceName":"alloy"}}}}}"#
    );
    let failure = render(BODY, &SpeechWire::GenerateContent).expect_err("no mp3");
    assert_eq!(failure.param.as_deref(), Some("response_format"));
    let own =
        r#"{"model":"m","input":"a","voice":{"id":"v_1"},"speed":1.0,"response_format":"pcm"}"#;
    let rendered = render(own, &sound).expect("it can");
    assert!(
        rendered
            .body
            .windows(17)
            .any(|w| w == b"\"voice_id\":\"v_1\",")
    );
    assert_eq!(
        fields(&rendered.losses),
        ["response_format"],
        "floats are written as integers"
    );
    for (body, param) in [
        (r#"{"voice":"a"}"#, "input"),
        (r#"{"input":1}"#, "input"),
        (r#"{"input":"a","voice":1}"#, "voice"),
        (r#"{"input":"a","stream_format":"x"}"#, "stream_format"),
        (r#"{"input":"a","speed":"x"}"#, "speed"),
    ] {
        let failure = parse_request(body, "m").expect_err("refused");
        assert_eq!(failure.param.as_deref(), Some(param));
    }
}

fn frames(stream: &str) -> Vec<llmleaf_framing::Frame> {
    let mut framer = SseFramer::new(SseLimits::default());
    framer.push(Bytes::from(stream.to_owned()));
    std::iter::from_fn(|| framer.next())
        .map(|frame| frame.expect("a frame"))
        .collect()
}

#[test]
fn what_is_written_as_events_is_heard_again() {
    let sound: Vec<u8> = (0..40_000u32).map(|at| at as u8).collect();
    let mut writer = Writer::new(true, Some(Pcm { rate: 16_000 }));
    let mut out = Vec::new();
    writer.sound(&sound, &mut out);
    writer.done(None, &mut out);
    let mut reader = Reader::new(false);
    let (mut heard, mut ends) = (Vec::new(), 0);
    for frame in frames(std::str::from_utf8(&out).expect("text")) {
        match reader.event(&frame) {
            Heard::Sound(piece) => heard.extend(piece),
            Heard::Done(_) => ends += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ends, 1);
    assert_eq!(&heard[..44], &header(Pcm { rate: 16_000 }, None)[..]);
    assert_eq!(&heard[44..], &sound[..]);
}

#[test]
fn sound_inside_json_is_heard_whole_and_in_events() {
    let mut reader = Reader::new(false);
    let (sound, usage) = reader
        .whole(br#"{"audio_data":"AQID","usage":{"prompt_tokens":3,"completion_tokens":4}}"#)
        .expect("sound");
    assert_eq!(sound, [1, 2, 3]);
    assert_eq!(usage.map(|usage| usage.total()), Some(7));
    assert!(reader.whole(b"{}").is_err());
    let events = frames(
        "data: {\"type\":\"speech.audio.delta\",\"audio_data\":\"AQI=\"}\n\ndata: {\"type\":\"speech.audio.done\",\"usage\":{\"prompt_tokens\":1}}\n\ndata: {\"error\":{\"message\":\"no\"}}\n\n",
    );
    let heard: Vec<Heard> = events.iter().map(|frame| reader.event(frame)).collect();
    assert_eq!(heard[0], Heard::Sound(vec![1, 2]));
    assert!(matches!(heard[1], Heard::Done(Some(_))));
    assert!(matches!(heard[2], Heard::Failed(_)));
}

#[test]
fn floats_become_integers_however_they_are_cut() {
    let samples = [0.0f32, 1.0, -1.0, 0.5, 2.0, f32::NAN];
    let bytes: Vec<u8> = samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    let expected: Vec<u8> = [0i16, 32767, -32767, 16384, 32767, 0]
        .iter()
        .flat_map(|s| s.to_le_bytes())
        .collect();
    for piece in 1..bytes.len() {
        let (mut floats, mut out) = (wav::Floats::default(), Vec::new());
        bytes
            .chunks(piece)
            .for_each(|bytes| floats.push(bytes, &mut out));
        assert_eq!(out, expected);
    }
}

#[test]
fn samples_have_a_rate_and_a_length() {
    for (kind, rate) in [
        ("audio/L16;codec=pcm;rate=16000", 16_000),
        ("audio/L16; rate = x", 24_000),
        ("audio/pcm", 24_000),
        ("audio/L16;rate=0", 24_000),
    ] {
        assert_eq!(Pcm::of_type(kind), Some(Pcm { rate }), "{kind}");
    }
    for kind in ["audio/wav", "audio/mpeg;rate=24000", "audio", ""] {
        assert_eq!(Pcm::of_type(kind), None, "{kind}");
    }
    assert_eq!(Pcm::USUAL.millis(48_000), 1000);
    let wav = header(Pcm::USUAL, Some(100));
    assert_eq!(wav.len(), 44);
    assert_eq!(&wav[4..8], &136u32.to_le_bytes());
    assert_eq!(&header(Pcm::USUAL, None)[4..8], &[255; 4]);
}
