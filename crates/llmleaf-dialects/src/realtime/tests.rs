use super::{Listener, Part, consumer, error, error_of, wrong_in};
use llmleaf_model::{Failure, FailureKind, Origin};

fn models(text: &str) -> Vec<(String, bool)> {
    let said = consumer::read(text).expect("an event");
    let named = said.models.into_iter();
    named.map(|model| (model.name, model.writes)).collect()
}

#[test]
fn every_place_of_a_model_is_found_in_both_forms() {
    let own = |name: &str| vec![(name.to_owned(), false)];
    let writes = |name: &str| vec![(name.to_owned(), true)];
    for (text, expected) in [
        (
            r#"{"type":"session.update","session":{"model":"m"}}"#,
            own("m"),
        ),
        (
            r#"{"type":"session.update","session":{"\u006dodel":"\u006d"}}"#,
            own("m"),
        ),
        (
            r#"{"type":"response.create","response":{"model":"m"}}"#,
            own("m"),
        ),
        (
            r#"{"type":"session.update","session":{"audio":{"input":{"transcription":{"model":"w"}}}}}"#,
            writes("w"),
        ),
        (
            r#"{"type":"session.update","session":{"input_audio_transcription":{"model":"w"}}}"#,
            writes("w"),
        ),
        (
            r#"{"type":"transcription_session.update","session":{"input_audio_transcription":{"model":"w"}}}"#,
            writes("w"),
        ),
        (
            r#"{"type":"session.update","session":{"audio":{"input":{"transcription":null}}}}"#,
            vec![],
        ),
        (
            r#"{"type":"session.update","session":{"audio":null}}"#,
            vec![],
        ),
        (r#"{"type":"response.create"}"#, vec![]),
        (r#"{"type":"response.create","response":null}"#, vec![]),
        // Of what is no setting nothing is read.
        (
            r#"{"type":"conversation.item.create","session":{"model":"m"}}"#,
            vec![],
        ),
    ] {
        assert_eq!(models(text), expected, "{text}");
    }
}

#[test]
fn what_two_readers_could_take_for_two_things_is_refused() {
    for text in [
        "",
        "[]",
        "{",
        r#"{"type":1}"#,
        r#"{"session":{}}"#,
        r#"{"type":"a","type":"session.update","session":{"model":"m"}}"#,
        r#"{"type":"session.update","session":{"model":"a"},"session":{"model":"b"}}"#,
        r#"{"type":"session.update","session":{"model":"a","model":"b"}}"#,
        r#"{"type":"session.update","session":{"audio":{"input":{},"input":{"transcription":{"model":"w"}}}}}"#,
        r#"{"type":"session.update","session":{"audio":{"input":{"transcription":{"model":"a","model":"b"}}}}}"#,
        r#"{"type":"session.update","session":[]}"#,
        r#"{"type":"session.update","session":"x"}"#,
    ] {
        let refused = consumer::read(text).expect_err(text);
        assert_eq!(refused.code.as_deref(), Some("invalid_event"), "{text}");
    }
}

#[test]
fn a_model_is_renamed_where_it_stands_and_all_else_is_left() {
    let text = r#"{ "type":"session.update", "x":1.50,"session":{"model" : "asked","audio":{"input":{"transcription":{"model":"w","n":1e3}}}}}"#;
    let said = consumer::read(text).expect("an event");
    let renamed = consumer::renamed(text, &said, |model| {
        (model.name == "asked").then(|| "its \"own\"".to_owned())
    });
    let expected = text.replace("\"asked\"", "\"its \\\"own\\\"\"");
    assert_eq!(renamed.as_deref(), Some(&*expected));
    assert_eq!(consumer::renamed(text, &said, |_| None), None);
    assert_eq!(
        consumer::renamed(text, &said, |m| Some(m.name.clone())),
        None
    );
}

#[test]
fn what_was_used_is_heard() {
    // The example of the reference's `response.done`, with images and reasoning added.
    let done = r#"{"type":"response.done","event_id":"e","response":{"object":"realtime.response","id":"resp_1","status":"completed","output":[],
        "usage":{"total_tokens":253,"input_tokens":132,"output_tokens":121,
        "input_token_details":{"text_tokens":100,"audio_tokens":22,"image_tokens":10,"cached_tokens":64,"cached_tokens_details":{"text_tokens":54,"audio_tokens":9,"image_tokens":1}},
        "output_token_details":{"text_tokens":30,"audio_tokens":91}}}}"#;
    let mut listener = Listener::default();
    let session = r#"{"type":"session.updated","session":{"model":"m","audio":{"input":{"transcription":{"model":"w"}}}}}"#;
    assert_eq!(listener.hear(session), None);
    let counted = listener.hear(done).expect("it is counted");
    assert_eq!((counted.part, &*counted.id), (Part::Answer, "resp_1"));
    assert!(counted.reported && counted.complete);
    let usage = counted.usage;
    assert_eq!(usage.total(), 253);
    assert_eq!(usage.input_cache_read, 64);
    assert_eq!((usage.input_audio, usage.input_image), (13, 9));
    assert_eq!((usage.output, usage.output_audio), (30, 91));
    // The reference's example of a transcription, and one that is counted by its length.
    let tokens = r#"{"type":"conversation.item.input_audio_transcription.completed","item_id":"item_1","transcript":"Hey","usage":{"type":"tokens","total_tokens":22,"input_tokens":13,"input_token_details":{"text_tokens":0,"audio_tokens":13},"output_tokens":9}}"#;
    let counted = listener.hear(tokens).expect("it is counted");
    assert_eq!((counted.part, &*counted.id), (Part::Transcript, "item_1"));
    assert_eq!(counted.model.as_deref(), Some("w"));
    assert_eq!((counted.usage.input_audio, counted.usage.output), (13, 9));
    // Two parts of one item are two records.
    for part in [0, 1] {
        let part_of = format!(
            r#"{{"type":"conversation.item.input_audio_transcription.completed","item_id":"item_1","content_index":{part},"usage":{{"type":"duration","seconds":1}}}}"#
        );
        let counted = listener.hear(&part_of).expect("it is counted");
        assert_eq!(counted.id, format!("item_1.{part}"));
    }
    let length = r#"{"type":"conversation.item.input_audio_transcription.completed","item_id":"item_2","usage":{"type":"duration","seconds":2.5}}"#;
    let counted = listener.hear(length).expect("it is counted");
    assert_eq!(counted.usage.units.audio_ms, 2500);
    assert_eq!(counted.usage.total(), 0);
    for nothing in [
        "",
        "{}",
        r#"{"type":"response.done"}"#,
        r#"{"type":"rate_limits.updated"}"#,
    ] {
        assert_eq!(listener.hear(nothing), None, "{nothing}");
    }
}

#[test]
fn what_no_one_reports_is_thought_of_by_what_was_seen() {
    let begun = r#"{"type":"response.created","response":{"id":"resp_1"}}"#;
    let text = r#"{"type":"response.output_text.delta","response_id":"resp_1","delta":"12345678"}"#;
    // A tenth of a second of speech at 24 kHz: two tokens.
    let speech = format!(
        r#"{{"type":"response.output_audio.delta","response_id":"resp_1","delta":"{}"}}"#,
        "A".repeat(6400)
    );
    let mut listener = Listener::default();
    for event in [begun, text, &speech] {
        assert_eq!(listener.hear(event), None);
    }
    assert!(listener.is_answering());
    let left = listener.left();
    assert_eq!(left.len(), 1);
    assert!(!left[0].reported && !left[0].complete);
    assert_eq!((left[0].usage.output, left[0].usage.output_audio), (2, 2));
    assert!(listener.left().is_empty());
    // Telephones have a sixth of it in a second.
    let mut listener = Listener::default();
    listener.hear(r#"{"type":"session.updated","session":{"audio":{"output":{"format":{"type":"audio/pcmu"}}}}}"#);
    listener.hear(&speech);
    let cancelled =
        r#"{"type":"response.done","response":{"id":"resp_1","status":"cancelled","usage":null}}"#;
    let counted = listener.hear(cancelled).expect("it is counted");
    assert!(!counted.reported && counted.complete);
    assert_eq!(counted.usage.output_audio, 12);
    // However many begin, few are remembered.
    for at in 0..10_000 {
        listener.hear(&format!(
            r#"{{"type":"response.created","response":{{"id":"r{at}"}}}}"#
        ));
    }
    assert_eq!(listener.left().len(), 64);
}

#[test]
fn errors_are_events_and_events_are_errors() {
    let mut failure = Failure::new(
        Origin::Consumer,
        FailureKind::Permission,
        "no \"such\" luck",
    );
    failure.param = Some("session.model".to_owned());
    let event = error(&failure, "event_1", Some("mine"));
    let event: serde_json::Value = serde_json::from_str(&event).expect("JSON");
    assert_eq!(event["type"], "error");
    assert_eq!(event["event_id"], "event_1");
    assert_eq!(event["error"]["event_id"], "mine");
    assert_eq!(event["error"]["message"], "no \"such\" luck");
    assert_eq!(event["error"]["param"], "session.model");
    assert!(event["error"]["type"].is_string());
    for (said, status) in [
        (
            r#"{"type":"error","error":{"type":"invalid_request_error","code":"model_not_found"}}"#,
            Some(404),
        ),
        (
            r#"{"type":"error","error":{"type":"invalid_request_error","code":null}}"#,
            Some(400),
        ),
        (
            r#"{"type":"error","error":{"type":"invalid_request_error","code":"invalid_api_key"}}"#,
            Some(401),
        ),
        (
            r#"{"type":"error","error":{"type":"insufficient_quota"}}"#,
            Some(429),
        ),
        (
            r#"{"type":"error","error":{"type":"rate_limit_error"}}"#,
            Some(429),
        ),
        (
            r#"{"type":"error","error":{"type":"server_error"}}"#,
            Some(500),
        ),
        (
            r#"{"type":"session.created","error":{"type":"server_error"}}"#,
            None,
        ),
        ("", None),
    ] {
        assert_eq!(error_of(said), status, "{said}");
    }
}

#[test]
fn speech_asks_for_answers_unless_the_session_says_otherwise() {
    let session = |input: &str| format!(r#"{{"type":"session.updated","session":{input}}}"#);
    for (said, uses) in [
        (r#"{}"#, true),
        (
            r#"{"audio":{"input":{"turn_detection":{"type":"server_vad"}}}}"#,
            true,
        ),
        (
            r#"{"turn_detection":{"type":"semantic_vad","create_response":true}}"#,
            true,
        ),
        (r#"{"audio":{"input":{"turn_detection":null}}}"#, false),
        (r#"{"turn_detection":null}"#, false),
        (
            r#"{"turn_detection":{"type":"server_vad","create_response":false}}"#,
            false,
        ),
        // It is written down.
        (
            r#"{"audio":{"input":{"turn_detection":null,"transcription":{"model":"w"}}}}"#,
            true,
        ),
    ] {
        let mut listener = Listener::default();
        assert!(listener.speech_uses(), "so it is before anything is said");
        listener.hear(&session(said));
        assert_eq!(listener.speech_uses(), uses, "{said}");
    }
    for (kind, asks) in [
        ("input_audio_buffer.append", consumer::Asks::Speech),
        ("input_audio_buffer.commit", consumer::Asks::SpeechEnd),
        ("response.create", consumer::Asks::Answer),
        ("session.update", consumer::Asks::Nothing),
    ] {
        let said = consumer::read(&format!(r#"{{"type":"{kind}"}}"#)).expect("an event");
        assert_eq!(said.asks, asks, "{kind}");
    }
}

#[test]
fn what_went_wrong_is_found_wherever_it_is_told() {
    for (text, alone) in [
        (
            r#"{"type":"error","error":{"type":"server_error","message":"at acme"}}"#,
            true,
        ),
        (
            r#"{"type":"response.done","response":{"id":"r","status":"failed","status_details":{"type":"failed","error":{"type":"server_error","message":"at acme"}}}}"#,
            false,
        ),
        (
            r#"{"type":"conversation.item.input_audio_transcription.failed","item_id":"i","error":{"type":"server_error","message":"at acme"}}"#,
            false,
        ),
    ] {
        let wrong = wrong_in(text).expect("it is told");
        assert_eq!(
            (wrong.status, error_of(text).is_some()),
            (500, alone),
            "{text}"
        );
        assert_eq!(
            wrong.body(text),
            r#"{"error":{"type":"server_error","message":"at acme"}}"#
        );
        let told = wrong.reworded(text, "a \"word\"").expect("it has words");
        assert_eq!(told, text.replace("at acme", r#"a \"word\""#));
    }
    for fine in [
        r#"{"type":"response.done","response":{"id":"r","status":"completed","status_details":null,"output":["\"error\""]}}"#,
        r#"{"type":"response.output_text.delta","delta":"the word \"error\""}"#,
        r#"{"type":"response.done","response":{"status_details":{"error":null}}}"#,
    ] {
        assert!(wrong_in(fine).is_none(), "{fine}");
    }
}
