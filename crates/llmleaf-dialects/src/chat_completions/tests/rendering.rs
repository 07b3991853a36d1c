//! Requests of other dialects: what fits, and what is named as lost.

use super::requests::generous;
use crate::Target;
use crate::chat_completions::edits::edit_request;
use crate::chat_completions::quirks::{
    InstructionRole, OutputCap, Quirks, ReasoningEcho, ReasoningQuirks, ReasoningRequest,
    RequestQuirks, SchemaSupport,
};
use crate::chat_completions::request::{parse_request, render_request};
use llmleaf_model::*;
use serde_json::{Value, json};
use std::borrow::Cow;

fn render(request: &ChatRequest, quirks: &Quirks) -> (Value, Vec<String>) {
    let target = Target {
        model: "there",
        stream: request.stream,
    };
    let rendered = render_request(request, target, quirks).unwrap();
    let losses = rendered
        .losses
        .iter()
        .map(|l| format!("{} {}", l.kind.as_str(), l.field));
    (
        serde_json::from_slice(&rendered.body).unwrap(),
        losses.collect(),
    )
}

fn foreign(messages: Vec<Message>) -> ChatRequest {
    ChatRequest {
        messages,
        ..ChatRequest::new(DialectName::Messages, "here")
    }
}

fn part(kind: PartKind) -> Part {
    kind.into()
}

fn image() -> Part {
    part(PartKind::Media(Media {
        mime: Some("image/png".into()),
        ..Media::new(MediaKind::Image, MediaSource::Base64("QQ==".into()))
    }))
}

fn result(id: &str, parts: Vec<Part>) -> Part {
    part(PartKind::ToolResult(ToolResult {
        call_id: id.into(),
        bare: parts.len() == 1,
        parts,
        ..ToolResult::default()
    }))
}

#[test]
fn results_in_a_users_turn_become_messages_and_their_images_move() {
    let request = foreign(vec![
        Message::new(
            Role::User,
            vec![
                result("a", vec![Part::text("one")]),
                result("b", vec![Part::text("two"), image()]),
                Part::text("go on"),
            ],
        ),
        Message::new(Role::User, vec![result("c", vec![image()])]),
        Message::text(Role::Assistant, "ok"),
    ]);
    let (body, losses) = render(&request, &Quirks::REFERENCE);
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}});
    assert_eq!(
        body["messages"],
        json!([
            {"role": "tool", "tool_call_id": "a", "content": "one"},
            {"role": "tool", "tool_call_id": "b", "content": "two"},
            {"role": "user", "content": [image, {"type": "text", "text": "go on"}]},
            {"role": "tool", "tool_call_id": "c", "content": ""},
            {"role": "user", "content": [image]},
            {"role": "assistant", "content": "ok"}
        ])
    );
    assert_eq!(
        losses,
        [
            "approximated messages[0].content[1].content[1]",
            "approximated messages[1].content[0].content[0]"
        ]
    );
}

#[test]
fn artefacts_go_to_whom_can_verify_them_and_to_nobody_else() {
    let thought = |family: &'static str| {
        part(PartKind::Reasoning(Reasoning {
            id: None,
            texts: vec![ReasoningText {
                form: ReasoningForm::Full,
                text: "hm".into(),
            }],
            artefact: Some(Artefact {
                provenance: Provenance(Cow::Borrowed(family)),
                kind: ArtefactKind::Signature,
                data: "sig".into(),
            }),
        }))
    };
    let request = foreign(vec![Message::new(
        Role::Assistant,
        vec![
            thought("anthropic-claude-v1"),
            thought("elsewhere"),
            Part::text("x"),
        ],
    )]);
    let details = generous(ReasoningRequest::Object, ReasoningEcho::Details);
    let (body, losses) = render(&request, &details);
    assert_eq!(
        body["messages"][0]["reasoning_details"],
        json!([
            {"type": "reasoning.text", "text": "hm", "signature": "sig", "format": "anthropic-claude-v1", "index": 0},
            {"type": "reasoning.text", "text": "hm", "index": 1}
        ])
    );
    assert_eq!(losses, ["dropped messages[0].reasoning_details"]);
    for (echo, key) in [
        (ReasoningEcho::ReasoningContent, "reasoning_content"),
        (ReasoningEcho::Reasoning, "reasoning"),
    ] {
        let (body, losses) = render(&request, &generous(ReasoningRequest::Object, echo));
        assert_eq!(body["messages"][0][key], "hmhm");
        assert_eq!(losses.len(), 2);
    }
    let (body, losses) = render(&request, &Quirks::REFERENCE);
    assert_eq!(
        body["messages"][0],
        json!({"role": "assistant", "content": "x"})
    );
    assert_eq!(losses, ["dropped messages[0].reasoning"]);
}

#[test]
fn what_is_left_of_a_list_as_one_text_is_a_string() {
    let cached = || Part {
        cache: Some(CacheHint::default()),
        ..Part::text("a")
    };
    let request = foreign(vec![
        Message::new(Role::System, vec![cached()]),
        Message::new(Role::User, vec![Part::text("b")]),
        Message::new(Role::Assistant, vec![cached(), image()]),
        Message::new(Role::User, vec![result("c", vec![cached(), image()])]),
    ]);
    let (body, losses) = render(&request, &Quirks::REFERENCE);
    let content = |at: usize| &body["messages"][at]["content"];
    assert_eq!((content(0), content(2)), (&json!("a"), &json!("a")));
    assert_eq!(
        (&body["messages"][3]["role"], content(3)),
        (&json!("tool"), &json!("a"))
    );
    // All that takes lists everywhere is a user's.
    assert_eq!(content(1), &json!([{"type": "text", "text": "b"}]));
    assert_eq!(losses.len(), 5, "{losses:?}");
    // Who takes hints gets them, and so a list.
    let router = generous(ReasoningRequest::Object, ReasoningEcho::Details);
    let (body, _) = render(&request, &router);
    assert!(body["messages"][0]["content"].is_array());
}

#[test]
fn proofs_of_calls_go_to_the_models_of_their_maker() {
    let call = part(PartKind::ToolCall(ToolCall {
        id: "c".into(),
        name: "f".into(),
        artefact: Some(Artefact {
            provenance: Provenance(Cow::Borrowed("google-gemini-v1")),
            kind: ArtefactKind::Signature,
            data: "sig".into(),
        }),
        ..ToolCall::default()
    }));
    let request = foreign(vec![Message::new(Role::Assistant, vec![call])]);
    let unknown = Quirks {
        reasoning: ReasoningQuirks {
            echo: ReasoningEcho::Unknown,
            ..ReasoningQuirks::REFERENCE
        },
        ..Quirks::REFERENCE
    };
    for (quirks, model, sent) in [
        (&unknown, "models/Gemini-3-pro", true),
        (&unknown, "other", false),
        (&Quirks::REFERENCE, "gemini-3-pro", false),
    ] {
        let target = Target {
            model,
            stream: false,
        };
        let rendered = render_request(&request, target, quirks).unwrap();
        let body: Value = serde_json::from_slice(&rendered.body).unwrap();
        let proof = &body["messages"][0]["tool_calls"][0]["extra_content"]["google"];
        assert_eq!(proof["thought_signature"] == "sig", sent, "{model}");
        assert_eq!(rendered.losses.is_empty(), sent, "{model}");
    }
}

#[test]
fn what_has_no_place_is_a_named_loss() {
    let mut request = foreign(vec![Message::new(
        Role::User,
        vec![Part {
            cache: Some(CacheHint::default()),
            ..Part::text("x")
        }],
    )]);
    request.messages[0].rest.push("odd", Json::from_value(&1));
    request.sampling.top_k = Some(5.into());
    request.metadata = Some(Json::parse(r#"{"a":1}"#).unwrap());
    request.service_tier = Some("standard_only".into());
    request
        .rest
        .push("context_management", Json::from_value(&1));
    request.tools = vec![
        Tool::function("f", None, None),
        Tool {
            kind: ToolKind::Server {
                dialect: DialectName::Messages,
                kind: "web_search".into(),
                json: Json::from_value(&1),
            },
            cache: None,
            rest: Rest::default(),
        },
    ];
    request.tool_choice = Some(ToolChoice::Required);
    let (body, losses) = render(&request, &Quirks::REFERENCE);
    assert_eq!(
        body,
        json!({
            "model": "there",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
            "tool_choice": "required",
            "service_tier": "default"
        })
    );
    assert_eq!(
        losses,
        [
            "dropped messages[0].content[0].cache_control",
            "dropped messages[0].odd",
            "dropped top_k",
            "dropped tools[1]",
            "dropped metadata",
            "altered service_tier",
            "dropped context_management"
        ]
    );
}

#[test]
fn a_service_gets_its_own_names() {
    let mut request = foreign(vec![Message::text(Role::Developer, "d")]);
    request.stream = true;
    request.sampling.max_output_tokens = Some(7);
    request.sampling.seed = Some(1.into());
    request.sampling.choices = Some(2);
    request.tools = vec![Tool::function("f", None, None)];
    request.tool_choice = Some(ToolChoice::Required);
    request.response_format = Some(ResponseFormat::JsonSchema {
        name: None,
        description: None,
        schema: Json::parse("{}").unwrap(),
        strict: None,
    });
    let quirks = Quirks {
        request: RequestQuirks {
            output_cap: OutputCap::MaxTokens,
            instructions: InstructionRole::SystemOnly,
            unsupported: vec!["n".into()].into(),
            renamed: vec![("seed".into(), "random_seed".into())].into(),
            schema: SchemaSupport::JsonObject,
            tool_choice_required: "any".into(),
            ..RequestQuirks::REFERENCE
        },
        ..Quirks::REFERENCE
    };
    let (body, losses) = render(&request, &quirks);
    assert_eq!(body["messages"][0]["role"], "system");
    assert_eq!(
        (&body["max_tokens"], &body["random_seed"]),
        (&json!(7), &json!(1))
    );
    assert_eq!(body["tool_choice"], "any");
    assert_eq!(body["response_format"], json!({"type": "json_object"}));
    assert_eq!(body["stream_options"], json!({"include_usage": true}));
    assert_eq!(
        losses,
        ["dropped n", "approximated response_format.json_schema"]
    );
}

#[test]
fn reasoning_is_asked_for_in_the_services_words() {
    let config = |effort, budget, mode| ReasoningConfig {
        effort,
        budget_tokens: budget,
        mode,
        ..ReasoningConfig::default()
    };
    let off = Some(ReasoningMode::Disabled);
    let on = Some(ReasoningMode::Enabled);
    for (config, quirk, expected, losses) in [
        (
            config(Some(Effort::XHigh), None, None),
            ReasoningRequest::Effort,
            json!({"reasoning_effort": "xhigh"}),
            0,
        ),
        (
            config(None, Some(1024), on),
            ReasoningRequest::Effort,
            json!({"reasoning_effort": "low"}),
            1,
        ),
        (
            config(None, None, off),
            ReasoningRequest::Effort,
            json!({"reasoning_effort": "none"}),
            1,
        ),
        (
            config(None, Some(1024), on),
            ReasoningRequest::Object,
            json!({"reasoning": {"enabled": true, "max_tokens": 1024}}),
            0,
        ),
        (
            config(None, Some(9), on),
            ReasoningRequest::Thinking,
            json!({"thinking": {"type": "enabled"}, "reasoning_effort": "low"}),
            1,
        ),
        (
            config(Some(Effort::None), None, None),
            ReasoningRequest::Thinking,
            json!({"thinking": {"type": "disabled"}}),
            0,
        ),
        (
            config(Some(Effort::Low), None, None),
            ReasoningRequest::Unsupported,
            json!({}),
            1,
        ),
    ] {
        let mut request = foreign(vec![Message::text(Role::User, "x")]);
        request.reasoning = Some(config.clone());
        let (mut body, lost) = render(&request, &generous(quirk, ReasoningEcho::Never));
        let body = body.as_object_mut().unwrap();
        body.remove("model");
        body.remove("messages");
        assert_eq!(Value::Object(body.clone()), expected, "{config:?}");
        assert_eq!(lost.len(), losses, "{config:?}");
    }
}

#[test]
fn a_chain_that_only_another_wire_can_name_is_not_offered_here() {
    let mut request = foreign(vec![Message::text(Role::User, "x")]);
    request.previous_response_id = Some("resp_1".into());
    let target = Target {
        model: "m",
        stream: false,
    };
    let failure = render_request(&request, target, &Quirks::REFERENCE).unwrap_err();
    assert_eq!(
        (failure.kind, failure.retry),
        (FailureKind::Unsupported, Retry::NextTarget)
    );
}

#[test]
fn a_request_without_an_answer_asks_for_the_shortest() {
    let mut request = foreign(vec![Message::text(Role::User, "hi")]);
    request.sampling.max_output_tokens = Some(0);
    let (body, losses) = render(&request, &Quirks::REFERENCE);
    assert_eq!(body["max_completion_tokens"], 1);
    assert_eq!(losses, ["approximated max_tokens"]);
}

#[test]
fn a_request_of_which_nothing_is_left_is_not_offered_here() {
    let opaque = PartKind::Opaque {
        dialect: DialectName::Messages,
        kind: "novel".into(),
        json: Json::from_value("x"),
    };
    let request = foreign(vec![Message::new(Role::User, vec![part(opaque)])]);
    let target = Target {
        model: "there",
        stream: false,
    };
    let failure = render_request(&request, target, &Quirks::REFERENCE).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unsupported);
    assert_eq!(failure.param.as_deref(), Some("messages"));
}

#[test]
fn what_a_document_is_called_and_words_that_move_are_told() {
    let document = |source| {
        part(PartKind::Media(Media {
            name: Some("Report".into()),
            ..Media::new(MediaKind::Document, source)
        }))
    };
    let request = foreign(vec![Message::new(
        Role::User,
        vec![
            Part::text("first"),
            result("a", vec![Part::text("one")]),
            document(MediaSource::Text("words".into())),
            document(MediaSource::Parts(vec![Part::text("inner")])),
        ],
    )]);
    let (body, losses) = render(&request, &Quirks::REFERENCE);
    assert_eq!(body["messages"][0]["role"], "tool");
    assert_eq!(body["messages"][1]["content"][0]["text"], "first");
    assert_eq!(
        losses,
        [
            "approximated messages[0].content[0]",
            "approximated messages[0].content[2]",
            "dropped messages[0].content[2].title",
            "approximated messages[0].content[3]",
            "dropped messages[0].content[3].title"
        ]
    );
}

#[test]
fn pictures_are_asked_of_routers_only() {
    let mut request = foreign(vec![Message::text(Role::User, "x")]);
    request.output.modalities = vec!["text".into(), "image".into()];
    let (body, losses) = render(&request, &Quirks::REFERENCE);
    assert_eq!(body["modalities"], json!(["text"]));
    assert_eq!(losses, ["dropped modalities"]);
    let router = generous(ReasoningRequest::Object, ReasoningEcho::Details);
    let (body, losses) = render(&request, &router);
    assert_eq!(body["modalities"], json!(["text", "image"]));
    assert_eq!(losses, Vec::<String>::new());
}

/// A service with models that sample in one way only, and that refuses a field of all of them.
fn fixed() -> Quirks {
    Quirks {
        request: RequestQuirks {
            unsupported: Cow::Borrowed(&[Cow::Borrowed("seed"), Cow::Borrowed("odd")]),
            fixed_sampling: Cow::Borrowed(&[Cow::Borrowed("fixed-")]),
            ..RequestQuirks::REFERENCE
        },
        ..Quirks::REFERENCE
    }
}

#[test]
fn what_is_cut_and_asks_for_nothing_else_is_no_loss() {
    for (fields, lost) in [
        (
            r#""temperature":null,"n":null,"top_p":null,"seed":null,"odd":null"#,
            &[][..],
        ),
        (r#""temperature":1,"n":1"#, &[]),
        (r#""temperature":1.0,"n":1"#, &[]),
        (r#""temperature":0.7,"n":2"#, &["temperature", "n"]),
        (r#""top_p":1,"seed":1,"odd":1"#, &["seed", "odd", "top_p"]),
    ] {
        let body =
            format!(r#"{{"model":"m",{fields},"messages":[{{"role":"user","content":"x"}}]}}"#);
        let request = parse_request(&body).unwrap();
        let body = bytes::Bytes::from(body);
        let head = crate::Head::read(&body).unwrap();
        let target = Target {
            model: "fixed-1",
            stream: false,
        };
        let edited = edit_request(&head, &body, target, &fixed()).unwrap();
        let rendered = render_request(&request, target, &fixed()).unwrap();
        for sent in [edited, rendered] {
            let mut names: Vec<_> = sent.losses.iter().map(|loss| &*loss.field).collect();
            names.sort_by_key(|name| lost.iter().position(|lost| lost == name));
            assert_eq!(names, lost, "{fields}");
            let sent: Value = serde_json::from_slice(&sent.body).unwrap();
            let left = json!({"model":"fixed-1","messages":[{"role":"user","content":"x"}]});
            assert_eq!(sent, left);
        }
        let lost = lost.contains(&"temperature");
        let other = render_request(
            &request,
            Target {
                model: "o",
                ..target
            },
            &fixed(),
        )
        .unwrap();
        let other = String::from_utf8(other.body.to_vec()).unwrap();
        assert!(!lost || other.contains(r#""temperature":0.7"#), "{other}");
    }
}

#[test]
fn a_hint_with_a_word_of_another_stays_what_it_was() {
    let router = generous(ReasoningRequest::Object, ReasoningEcho::Details);
    for (name, hint) in [
        (
            "cache_control",
            json!({"type":"ephemeral","ttl":"1h","mode":"x"}),
        ),
        ("cache_control", json!({"type":"ephemeral","mode":"x"})),
        ("cache_control", json!({"type":"novel","mode":"x"})),
        ("prompt_cache_breakpoint", json!({"mode":"explicit"})),
    ] {
        let mut text = json!({"type":"text","text":"x"});
        text[name] = hint.clone();
        let body = json!({"model":"m","messages":[{"role":"user","content":[text]}]});
        let request = parse_request(&body.to_string()).unwrap();
        let (sent, losses) = render(&request, &router);
        assert_eq!(sent["messages"], body["messages"]);
        assert!(losses.is_empty(), "{losses:?}");
        // Who takes no hints of the one kind has them lost, and that is told.
        let (sent, losses) = render(&request, &Quirks::REFERENCE);
        let kept = name == "prompt_cache_breakpoint";
        assert_eq!(sent["messages"] == body["messages"], kept, "{sent}");
        assert_eq!(losses.is_empty(), kept, "{losses:?}");
    }
}
