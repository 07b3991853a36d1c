use super::*;

#[test]
fn models_are_meant_by_the_names_that_requests_say() {
    let models = ModelPatterns::new(["smart", "gpt-*"]);
    for (model, meant) in [
        ("smart", true),
        ("smart:floor", true),
        ("smarter", false),
        ("gpt-4o:nitro", true),
        ("claude", false),
    ] {
        assert_eq!(fits(&models, model), meant, "{model}");
    }
    let long = "c".repeat(MAX_MODEL_BYTES + 1);
    assert!(fits(&models, &long), "nobody hides behind a long name");
}

#[test]
fn a_reason_is_told_as_words() {
    let told = |reason: Option<&str>| blocked(Phase::Request, reason).message;
    assert_eq!(told(Some("no\r\n secrets\u{7}")), "no secrets");
    assert_eq!(told(Some(&"x".repeat(5000))).len(), REASON);
    for reason in [None, Some(""), Some(" \n")] {
        assert_eq!(told(reason), "this request is not allowed here");
    }
    let failure = blocked(Phase::Response, None);
    assert_eq!(failure.code.as_deref(), Some("response_blocked"));
    assert_eq!(failure.kind, FailureKind::Permission);
}

#[test]
fn what_is_answered_is_one_of_three_things() {
    let says = |text: &str| wire::read(text.as_bytes()).ok();
    assert_eq!(says(r#"{"action":"pass","more":[1]}"#), Some(Said::Pass));
    let block = Some(Said::Block(Some("a".to_owned())));
    assert_eq!(says(r#"{"action":"block","reason":"a"}"#), block);
    assert_eq!(says(r#"{"action":"block"}"#), Some(Said::Block(None)));
    let kept = Some(Said::Instead(Bytes::from_static(br#"{"n": 1.50}"#)));
    assert_eq!(says(r#"{"payload":{"n": 1.50},"action":"rewrite"}"#), kept);
    for garbage in [
        "",
        "{}",
        "[]",
        "7",
        r#"{"action":"rewrite"}"#,
        r#"{"action":"Pass"}"#,
        r#"{"action":"pass","action":"block"}"#,
        r#"{"action":"block","reason":7}"#,
        r#"{"action":"pass"} {}"#,
    ] {
        assert_eq!(says(garbage), None, "{garbage}");
    }
}

/// What is sent has the fields of the page's sample and of the document beside it, and no others.
#[test]
fn a_question_is_asked_as_the_page_has_it() {
    const PAGE: &str = include_str!("../../../../docs/control-plane.md");
    const OPENAPI: &str = include_str!("../../../../docs/control-plane.openapi.json");
    let sample = PAGE.split("```json\n").skip(1);
    let mut samples = sample.filter_map(|rest| rest.split("```").next());
    let sample = samples.find(|sample| sample.contains("\"phase\""));
    let sample: serde_json::Value = serde_json::from_str(sample.expect("a sample")).expect("JSON");
    let payload = serde_json::value::to_raw_value(&sample["payload"]).expect("JSON");
    let question = Question {
        phase: Phase::Request,
        id: "0197…",
        key: "Team A",
        model: "smart",
        operation: "chat",
        dialect: "chat_completions",
        stream: true,
        payload: &payload,
    };
    let sent: serde_json::Value = serde_json::from_slice(&question.body()).expect("JSON");
    assert_eq!(sent, sample);
    let document: serde_json::Value = serde_json::from_str(OPENAPI).expect("JSON");
    let known = &document["components"]["schemas"]["Question"]["properties"];
    let known = known.as_object().expect("a schema");
    let sent = sent.as_object().expect("an object");
    assert!(sent.keys().eq(known.keys()), "{known:?}");
}
