use super::recorded::{self, frame};
use crate::chat_completions::edits::{edit_request, relay};
use crate::chat_completions::quirks::{
    InstructionRole, OutputCap, Quirks, ReasoningEcho, ReasoningQuirks, RequestQuirks,
    StreamQuirks, StreamUsage,
};
use crate::{ChatWire, Head, Relayed, Rendered, Target};
use bytes::Bytes;

fn edit(body: &str, model: &str, stream: bool, quirks: &Quirks) -> Rendered {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let head = Head::read(&body).unwrap();
    edit_request(&head, &body, Target { model, stream }, quirks).unwrap()
}

fn edited(body: &str, model: &str, stream: bool, quirks: &Quirks) -> String {
    String::from_utf8(edit(body, model, stream, quirks).body.to_vec()).unwrap()
}

fn strange() -> Quirks {
    Quirks {
        request: RequestQuirks {
            output_cap: OutputCap::MaxTokens,
            instructions: InstructionRole::SystemOnly,
            unsupported: vec!["logit_bias".into(), "user".into(), "n".into()].into(),
            renamed: vec![("seed".into(), "random_seed".into())].into(),
            ..RequestQuirks::REFERENCE
        },
        ..Quirks::REFERENCE
    }
}

#[test]
fn nothing_to_edit_is_the_same_bytes() {
    let body = Bytes::from_static(
        b"\xef\xbb\xbf { \"model\" : \"m\", \"temperature\":0.70, \"x\":[1.0e2] }",
    );
    let head = Head::read(&body).unwrap();
    let target = Target {
        model: "m",
        stream: false,
    };
    let rendered = edit_request(&head, &body, target, &Quirks::REFERENCE).unwrap();
    // Only the byte order mark is gone: what is sent over a network must not begin with one (RFC 8259, section 8.1).
    let text = body.slice(3..);
    assert_eq!(rendered.body.as_ptr(), text.as_ptr());
    assert_eq!(rendered.body, text);
    assert!(!rendered.usage_added);
}

#[test]
fn the_named_edits_and_nothing_else() {
    let reference = &Quirks::REFERENCE;
    for (body, stream, quirks, expected) in [
        (
            r#"{"model" : "a","t":0.70}"#,
            false,
            reference,
            r#"{"model" : "b","t":0.70}"#,
        ),
        (
            r#"{"model":"a","stream":true}"#,
            true,
            reference,
            r#"{"stream_options":{"include_usage":true},"model":"b","stream":true}"#,
        ),
        (
            r#"{"model":"a","stream":true,"stream_options":{"x":1, "include_usage" : false}}"#,
            true,
            reference,
            r#"{"model":"b","stream":true,"stream_options":{"x":1, "include_usage" : true}}"#,
        ),
        (
            r#"{"model":"a","stream":true,"stream_options":{ "x":1}}"#,
            true,
            reference,
            r#"{"model":"b","stream":true,"stream_options":{"include_usage":true, "x":1}}"#,
        ),
        (
            r#"{"model":"a","stream":true,"stream_options":{}}"#,
            true,
            reference,
            r#"{"model":"b","stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"stream_options":{"include_usage":true},"model":"a","stream":true}"#,
            false,
            reference,
            r#"{"model":"b","stream":false}"#,
        ),
        (
            r#"{"model":"a","max_tokens":5}"#,
            true,
            reference,
            r#"{"stream_options":{"include_usage":true},"stream":true,"model":"b","max_tokens":5}"#,
        ),
        (
            r#"{"n":1,"user":"u","model":"a","max_completion_tokens":5,"seed":18446744073709551617,"logit_bias":{}}"#,
            false,
            &strange(),
            r#"{"model":"b","max_tokens":5,"random_seed":18446744073709551617}"#,
        ),
        (
            r#"{"model":"a","messages":[{"role":"user","content":"developer"},{"content":"x", "role" : "d\u0065veloper"}]}"#,
            false,
            &strange(),
            r#"{"model":"b","messages":[{"role":"user","content":"developer"},{"content":"x", "role" : "system"}]}"#,
        ),
    ] {
        let got = edited(body, "b", stream, quirks);
        let expected = sorted_head(expected);
        assert_eq!(sorted_head(&got), expected, "{body}");
    }
    assert_eq!(
        edit(r#"{"user":"u","model":"a"}"#, "a", false, &strange())
            .losses
            .len(),
        1
    );
}

/// New fields may stand in any order before the others.
fn sorted_head(text: &str) -> (usize, String) {
    let moved = [
        r#""stream_options":{"include_usage":true},"#,
        r#""stream":true,"#,
    ];
    let mut rest = text.to_owned();
    for part in moved {
        rest = rest.replace(part, "");
    }
    (text.len(), rest)
}

#[test]
fn where_usage_always_comes_it_is_never_asked_for() {
    let quirks = Quirks {
        stream: StreamQuirks {
            usage: StreamUsage::Always,
            ..StreamQuirks::REFERENCE
        },
        ..Quirks::REFERENCE
    };
    let body = r#"{"model":"a","stream":true,"stream_options":{"include_usage":true}}"#;
    assert_eq!(
        edited(body, "a", true, &quirks),
        r#"{"model":"a","stream":true}"#
    );
}

#[test]
fn recorded_requests_are_still_json_after_every_edit() {
    for recording in recorded::all() {
        let Some(body) = recording
            .request
            .filter(|b| Head::read(b.as_bytes()).is_ok())
        else {
            continue;
        };
        for stream in [true, false] {
            let got = edited(&body, "another", stream, &strange());
            let value: serde_json::Value = serde_json::from_str(&got).unwrap();
            assert_eq!(value["model"], "another");
            assert_eq!(value["stream"].as_bool().unwrap_or(false), stream);
            assert!(value.get("n").is_none() && value.get("max_completion_tokens").is_none());
        }
    }
}

#[test]
fn an_added_usage_report_is_hidden_again() {
    for (data, expected) in [
        (
            r#"{"id":"a","choices":[],"usage":{"prompt_tokens":1}}"#,
            Some(Relayed::Hidden),
        ),
        (
            r#"{"choices":[{"delta":{"content":"x"}}],"usage":{"prompt_tokens":1}}"#,
            Some(Relayed::AsIs),
        ),
        (
            r#"{"choices":[],"prompt_filter_results":[]}"#,
            Some(Relayed::AsIs),
        ),
        (
            r#"{"choices":[{"delta":{"content":",\"usage\":null"}}]}"#,
            Some(Relayed::AsIs),
        ),
        ("[DONE]", Some(Relayed::AsIs)),
        (r#"{"choices":[{"delta":{}}],"usage":null}"#, None),
    ] {
        let frame = frame(data);
        assert_eq!(relay(&frame, false), Relayed::AsIs);
        let got = relay(&frame, true);
        match expected {
            Some(expected) => assert_eq!(got, expected, "{data}"),
            None => assert_eq!(
                got,
                Relayed::Edited(b"data: {\"choices\":[{\"delta\":{}}]}\n\n".to_vec())
            ),
        }
    }
}

#[test]
fn an_error_without_stream_options_object_names_it() {
    let body = Bytes::from_static(br#"{"model":"a","stream":true,"stream_options":5}"#);
    let head = Head::read(&body).unwrap();
    let target = Target {
        model: "a",
        stream: true,
    };
    let failure = edit_request(&head, &body, target, &Quirks::REFERENCE).unwrap_err();
    assert_eq!(failure.param.as_deref(), Some("stream_options"));
}

#[test]
fn the_routing_language_goes_to_services_that_speak_it_only() {
    let router = Quirks {
        request: RequestQuirks {
            extended: true,
            ..RequestQuirks::REFERENCE
        },
        ..Quirks::REFERENCE
    };
    for (body, plain, routed) in [
        (
            r#"{"model":"a","provider":{"order":["x"]},"t":0.70,"route":"fallback"}"#,
            r#"{"model":"b","t":0.70}"#,
            r#"{"model":"b","provider":{"order":["x"]},"t":0.70,"route":"fallback"}"#,
        ),
        (
            r#"{"models":["a","c"]}"#,
            r#"{"model":"b"}"#,
            r#"{"model":"b","models":["a","c"]}"#,
        ),
        (
            r#"{"t":1, "provider":null, "models":["b"]}"#,
            r#"{"t":1, "provider":null, "model":"b"}"#,
            r#"{"model":"b","t":1, "provider":null, "models":["b"]}"#,
        ),
    ] {
        assert_eq!(edited(body, "b", false, &Quirks::REFERENCE), plain);
        assert_eq!(edited(body, "b", false, &router), routed);
    }
}

#[test]
fn a_body_with_proofs_is_taken_by_who_knows_them_and_one_without_by_all() {
    let body = |message: &str| {
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"reasoning_details"}},{message}],
            "tools":[{{"type":"function","function":{{"name":"f","parameters":{{"properties":{{"reasoning_details" : {{}},"thought_signature":{{}}}}}}}}}}]}}"#
        );
        Bytes::from(body)
    };
    let echoing = |echo| Quirks {
        reasoning: ReasoningQuirks {
            echo,
            ..ReasoningQuirks::REFERENCE
        },
        ..Quirks::REFERENCE
    };
    let unknown = echoing(ReasoningEcho::Unknown);
    let details = echoing(ReasoningEcho::Details);
    let proves_calls = Quirks {
        reasoning: ReasoningQuirks {
            verifies: vec!["google-gemini-v1".into()].into(),
            ..ReasoningQuirks::REFERENCE
        },
        ..Quirks::REFERENCE
    };
    for (message, proves) in [
        (r#"{"role":"assistant","content":"a"}"#, false),
        (
            r#"{"role":"assistant","content":"a","reasoning_details":null}"#,
            false,
        ),
        (
            r#"{"role":"assistant","content":"a","reasoning_details":[]}"#,
            false,
        ),
        (
            r#"{"role":"assistant","content":"a","reasoning_details" : [{"type":"reasoning.text","text":"t"}]}"#,
            true,
        ),
        (
            r#"{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}"#,
            false,
        ),
        (
            r#"{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"},
            "extra_content":{"google":{"thought_signature":"s"}}}]}"#,
            true,
        ),
    ] {
        let body = body(message);
        let head = crate::Head::read(&body).unwrap();
        let takes = |quirks: &Quirks, model| {
            let wire = ChatWire::Completions(quirks.clone());
            wire.takes(&head, &body, model)
        };
        let (gemini, claude) = ("google/gemini-3-pro", "anthropic/claude-opus-5");
        for model in [gemini, claude] {
            assert_eq!(takes(&Quirks::REFERENCE, model), !proves, "{message}");
            assert!(takes(&details, model), "{message}");
        }
        // Proofs of calls go on to the models of their maker, and to no others.
        let (of_thought, of_call) = (
            message.contains("reasoning.text"),
            message.contains("extra_content"),
        );
        assert_eq!(takes(&proves_calls, gemini), !of_thought, "{message}");
        assert_eq!(takes(&proves_calls, claude), !proves, "{message}");
        assert!(takes(&unknown, gemini), "{message}");
        assert_eq!(takes(&unknown, claude), !of_call, "{message}");
    }
}
