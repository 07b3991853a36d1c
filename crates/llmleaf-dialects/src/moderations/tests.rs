use super::*;
use llmleaf_model::{Json, ModerationInput};

const MISTRAL: ModerationWire = ModerationWire {
    parts: false,
    conversations: true,
    flags: false,
};

const PICTURE: &str = r#"{"input":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}"#;

fn read(form: ModerationForm, body: &str) -> ModerationRequest {
    form.parse_request(body, "ours").expect("a request")
}

fn edited(wire: &ModerationWire, form: ModerationForm, body: &str) -> Result<Rendered, Failure> {
    let request = read(form, body);
    let body = Bytes::copy_from_slice(body.as_bytes());
    let head = Head::read_or(&body, UNNAMED).expect("a head");
    wire.edit(&head, &body, &request, "theirs")
}

fn text(rendered: &Rendered) -> &str {
    std::str::from_utf8(&rendered.body).expect("text")
}

#[test]
fn inputs_are_texts_or_one_thing_of_parts() {
    let inputs = |body: &str| read(ModerationForm::Inputs, body).inputs;
    let said = |text: &str| ModerationInput::Text(text.to_owned());
    assert_eq!(inputs(r#"{"input":"a"}"#), [said("a")]);
    assert_eq!(inputs(r#"{"input":["a","b"]}"#), [said("a"), said("b")]);
    assert!(matches!(*inputs(PICTURE), [ModerationInput::Parts(_)]));
    for body in [
        "{}",
        r#"{"input":[]}"#,
        r#"{"input":["a",1]}"#,
        r#"{"input":3}"#,
    ] {
        let failure = ModerationForm::Inputs.parse_request(body, "m");
        assert_eq!(failure.expect_err(body).param.as_deref(), Some("input"));
    }
    let talks = |body: &str| read(ModerationForm::Conversations, body).inputs.len();
    assert_eq!(talks(r#"{"input":[{"role":"user","content":"a"}]}"#), 1);
    let two = r#"{"input":[[{"role":"user","content":"a"}],[{"role":"user","content":"b"}]]}"#;
    assert_eq!(talks(two), 2);
    let wrapped = r#"{"input":{"messages":[{"role":"user","content":"a"}]}}"#;
    assert_eq!(talks(wrapped), 1);
}

#[test]
fn a_body_of_the_same_form_keeps_its_bytes_but_for_the_model() {
    let form = ModerationForm::Inputs;
    let reference = ModerationWire::REFERENCE;
    for (body, sent) in [
        (
            r#"{ "input" : "a" }"#,
            r#"{ "model":"theirs","input" : "a" }"#,
        ),
        (
            r#"{"model":null,"input":"a","x":1.50}"#,
            r#"{"model":"theirs","input":"a","x":1.50}"#,
        ),
        (
            r#"{"input":"a","model":"theirs"}"#,
            r#"{"input":"a","model":"theirs"}"#,
        ),
        (
            r#"{"models":["a","b"],"input":"a"}"#,
            r#"{"model":"theirs","input":"a"}"#,
        ),
    ] {
        assert_eq!(text(&edited(&reference, form, body).expect(body)), sent);
    }
    assert!(text(&edited(&reference, form, PICTURE).expect("sent")).contains("y.png"));
}

#[test]
fn what_a_target_cannot_judge_goes_to_the_next_or_is_named() {
    let failure = edited(&MISTRAL, ModerationForm::Inputs, PICTURE).expect_err("a picture");
    assert_eq!(
        (failure.kind, failure.retry),
        (FailureKind::Unsupported, Retry::NextTarget)
    );
    let parts = r#"{"input":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}"#;
    let rendered = edited(&MISTRAL, ModerationForm::Inputs, parts).expect("texts");
    assert_eq!(text(&rendered), r#"{"model":"theirs","input":"a\nb"}"#);
    assert_eq!(rendered.losses.len(), 1);
    let talk = r#"{"input":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"text","text":"b"}]}]}"#;
    let request = read(ModerationForm::Conversations, talk);
    let rendered = ModerationWire::REFERENCE
        .render_request(&request, "o")
        .expect("a text");
    assert_eq!(text(&rendered), r#"{"model":"o","input":"b"}"#);
    assert_eq!(rendered.losses.first().map(|l| &*l.field), Some("input[0]"));
    assert!(!ModerationWire::REFERENCE.is_same(ModerationForm::Conversations));
}

#[test]
fn verdicts_are_as_many_as_inputs_and_say_flagged() {
    let request = read(ModerationForm::Inputs, r#"{"input":["a","b"]}"#);
    let body = br#"{"id":"i","model":"m","results":[{"categories":{"pii":false,"law":true},"category_scores":{"law":9e-1}},{"categories":{"pii":false}}],"usage":{"prompt_tokens":7}}"#;
    let answer = MISTRAL
        .parse_answer(body, ModerationForm::Inputs, &request)
        .expect("verdicts");
    let json = |text: &str| Json::parse(text).expect("json");
    let first =
        r#"{"flagged":true,"categories":{"pii":false,"law":true},"category_scores":{"law":9e-1}}"#;
    let second = r#"{"flagged":false,"categories":{"pii":false}}"#;
    assert_eq!(answer.results, [json(first), json(second)]);
    assert_eq!(answer.usage.as_ref().map(|usage| usage.input), Some(7));
    let rendered = ModerationForm::Inputs.render(&answer, &request);
    let expected = format!(r#"{{"id":"i","model":"m","results":[{first},{second}]}}"#);
    assert_eq!(String::from_utf8(rendered).expect("text"), expected);
    // A consumer of its own form gets all of it, and the flags.
    let passed = |form, body: &'static [u8]| {
        let passed = MISTRAL.pass(form, Bytes::from_static(body));
        String::from_utf8(passed.to_vec()).expect("text")
    };
    let expected = format!(
        r#"{{"id":"i","model":"m","results":[{first},{second}],"usage":{{"prompt_tokens":7}}}}"#
    );
    assert_eq!(passed(ModerationForm::Inputs, body), expected);
    assert_eq!(passed(ModerationForm::Conversations, body).as_bytes(), body);
    let told = br#"{"results":[ { "flagged":true,"categories":{"law":false}} ]}"#;
    assert_eq!(passed(ModerationForm::Inputs, told).as_bytes(), told);
    // Its own endpoint's answers stay as they are.
    let own = MISTRAL.parse_answer(body, ModerationForm::Conversations, &request);
    assert!(
        !own.expect("verdicts")
            .results
            .iter()
            .any(|one| one.as_str().contains("flagged"))
    );
    for body in [
        &b"{}"[..],
        b"[",
        br#"{"results":[{"categories":{}}]}"#,
        br#"{"results":[1,2]}"#,
    ] {
        let answer = MISTRAL.parse_answer(body, ModerationForm::Inputs, &request);
        assert_eq!(answer.expect_err("none").kind, FailureKind::InvalidResponse);
    }
}
