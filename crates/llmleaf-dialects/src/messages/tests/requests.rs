//! Requests, both ways.

use super::recordings;
use super::*;
use crate::messages::count;
use crate::messages::quirks::{EffortForm, LaterInstructions, SamplingSupport};
use crate::messages::request::{parse_request, render_request};
use crate::{Dialect, Rendered, Target};
use llmleaf_model::{
    Artefact, ArtefactKind, ChatRequest, DialectName, Effort, FailureKind, Json, Media, MediaKind,
    MediaSource, Message, Part, PartKind, Provenance, Reasoning, ReasoningConfig, ReasoningText,
    ResponseFormat, Role, Tool, ToolCall, ToolChoice, ToolFlavour, ToolResult,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn target(model: &str) -> Target<'_> {
    Target {
        model,
        stream: false,
    }
}

fn render(request: &ChatRequest) -> Rendered {
    render_with(request, &Quirks::REFERENCE)
}

fn render_with(request: &ChatRequest, quirks: &Quirks) -> Rendered {
    render_request(
        request,
        Target {
            model: &request.model,
            stream: request.stream,
        },
        quirks,
    )
    .unwrap()
}

fn value(rendered: &Rendered) -> Value {
    serde_json::from_slice(&rendered.body).unwrap()
}

fn lost(rendered: &Rendered) -> Vec<&str> {
    rendered.losses.iter().map(|l| l.field.as_str()).collect()
}

fn text(rendered: &Rendered) -> &str {
    std::str::from_utf8(&rendered.body).unwrap()
}

#[test]
fn recorded_requests_render_to_themselves() {
    for exchange in recordings::of(
        "recorded_requests_render_to_themselves",
        &["anthropic-messages", "vertex-anthropic"],
    ) {
        let Some(body) = exchange.request else {
            continue;
        };
        // On Vertex the model stands in the path.
        let body = if exchange.wire == "vertex-anthropic" && !body.contains("\"model\"") {
            body.replacen('{', "{\"model\":\"m\",", 1)
        } else {
            body
        };
        let request = parse_request(&body).unwrap_or_else(|e| panic!("{}: {e:?}", exchange.id));
        let rendered = render(&request);
        assert!(
            rendered.losses.is_empty(),
            "{}: {:?}",
            exchange.id,
            rendered.losses
        );
        assert_eq!(
            parse_request(text(&rendered)).unwrap(),
            request,
            "{}",
            exchange.id
        );
        // On the wire too, but for spellings that mean the same.
        let meaning = |text: &str| {
            let mut value: Value = serde_json::from_str(text).unwrap();
            let object = value.as_object_mut().unwrap();
            object.retain(|name, value| !(value.is_null() || name == "stream" && value == false));
            if let Some(format) = object.remove("output_format") {
                object.insert("output_config".into(), json!({ "format": format }));
            }
            value
        };
        assert_eq!(meaning(text(&rendered)), meaning(&body), "{}", exchange.id);
    }
}

#[test]
fn recorded_counts_render_to_themselves() {
    for exchange in recordings::of(
        "recorded_counts_render_to_themselves",
        &["anthropic-count-tokens"],
    ) {
        let body = exchange.request.unwrap();
        let request = count::parse_request(&body).unwrap();
        let rendered = count::render_request(&request, &request.model, &Quirks::REFERENCE).unwrap();
        assert!(recordings::same(text(&rendered), &body), "{}", exchange.id);
        let reply = exchange.body.unwrap();
        let tokens = count::parse_reply(reply.as_bytes()).unwrap();
        assert!(recordings::same(
            &reply,
            std::str::from_utf8(&count::render_reply(tokens)).unwrap()
        ));
    }
    assert_eq!(
        count::parse_reply(b"{}").unwrap_err().kind,
        FailureKind::InvalidResponse
    );
}

/// One of everything this wire has.
const RICH: &str = r#"{"model":"m","max_tokens":9,"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral","ttl":"1h"}}],
"messages":[
 {"role":"user","content":[
  {"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBOR"},"transformations":{"oversized_image":"error"}},
  {"type":"image","source":{"type":"url","url":"https://a/b.png"}},{"type":"image","source":{"type":"file","file_id":"file_1"}},
  {"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBER"},"title":"t","context":"c","citations":{"enabled":true}},
  {"type":"document","source":{"type":"text","media_type":"text/plain","data":"d"}},
  {"type":"document","source":{"type":"content","content":[{"type":"text","text":"x"}]}},
  {"type":"document","source":{"type":"future","x":1}},
  {"type":"search_result","source":"s","title":"t","content":[{"type":"text","text":"x"}]},
  {"type":"container_upload","file_id":"f"},{"type":"never_seen","x":{"y":[1.50]}}]},
 {"role":"system","content":"later"},
 {"role":"assistant","content":[
  {"type":"thinking","thinking":"","signature":"SIG"},{"type":"redacted_thinking","data":"RED"},
  {"type":"text","text":"a","citations":[{"type":"char_location","cited_text":"x","document_index":0}]},
  {"type":"server_tool_use","id":"s1","name":"web_search","input":{"q":1}},
  {"type":"web_search_tool_result","tool_use_id":"s1","content":[]},
  {"type":"mcp_tool_use","id":"m1","name":"n","server_name":"x","input":{}},{"type":"mcp_tool_result","tool_use_id":"m1","content":"r","is_error":false},
  {"type":"tool_use","id":"t1","name":"f","input":{"n":1.0},"caller":{"type":"direct"}}]},
 {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","is_error":true,"content":[{"type":"text","text":"r"},{"type":"image","source":{"type":"url","url":"https://a"}}],"cache_control":{"type":"ephemeral"}},{"type":"tool_result","tool_use_id":"t2","content":"bare"},{"type":"tool_result","tool_use_id":"t3"}],"extra":1}],
"tools":[{"name":"f","description":"d","input_schema":{"type":"object"},"strict":true,"eager_input_streaming":true,"cache_control":{"type":"ephemeral"}},{"type":"web_search_20260209","name":"web_search","max_uses":2}],
"tool_choice":{"type":"tool","name":"f","disable_parallel_tool_use":true},
"thinking":{"type":"adaptive","display":"omitted"},"output_config":{"effort":"xhigh","format":{"type":"json_schema","schema":{"type":"object"}},"task_budget":{"total":5}},
"temperature":0.7,"top_p":1,"top_k":5,"stop_sequences":["a"],"metadata":{"user_id":"u","team":"x"},"service_tier":"standard_only","stream":true,
"cache_control":{"type":"ephemeral"},"container":"c","context_management":{"edits":[]},"mcp_servers":[{"type":"url","url":"https://m"}],"speed":"fast"}"#;

#[test]
fn one_of_everything_survives() {
    let request = parse_request(RICH).unwrap();
    let rendered = render(&request);
    assert!(rendered.losses.is_empty());
    assert_eq!(parse_request(text(&rendered)).unwrap(), request);
    assert!(
        recordings::same(text(&rendered), RICH),
        "{}",
        text(&rendered)
    );
    assert_eq!(
        request.reasoning.as_ref().unwrap().effort,
        Some(Effort::XHigh)
    );
    assert_eq!(request.parallel_tool_calls, Some(false));
    assert_eq!(
        request.messages[0].parts[0]
            .cache
            .as_ref()
            .unwrap()
            .ttl
            .as_deref(),
        Some("1h")
    );
    let opaque = |p: &Part| matches!(&p.kind, PartKind::Opaque { json, .. } if json.as_str().contains("1.50"));
    assert!(request.messages[1].parts.iter().any(opaque));
    let counted = count::render_request(&request, "m", &Quirks::REFERENCE).unwrap();
    let counted = value(&counted);
    for gone in [
        "max_tokens",
        "stream",
        "temperature",
        "metadata",
        "service_tier",
        "container",
        "stop_sequences",
    ] {
        assert!(counted.get(gone).is_none(), "{gone}");
    }
    assert_eq!(counted["speed"], "fast");
}

#[test]
fn wrong_types_are_named() {
    for (body, param) in [
        (r#"{"max_tokens":1,"messages":[]}"#, "model"),
        (r#"{"model":"m","messages":[]}"#, "max_tokens"),
        (
            r#"{"model":"m","max_tokens":1.5,"messages":[]}"#,
            "max_tokens",
        ),
        (
            r#"{"model":"m","max_tokens":-1,"messages":[]}"#,
            "max_tokens",
        ),
        (r#"{"model":"m","max_tokens":1}"#, "messages"),
        (r#"{"model":"m","max_tokens":1,"messages":[]}"#, "messages"),
        (
            r#"{"model":"m","max_tokens":1,"messages":[1]}"#,
            "messages[0]",
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[{"role":"x","content":""}]}"#,
            "messages[0].role",
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[{"role":"user"}]}"#,
            "messages[0].content",
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"text"}]}]}"#,
            "messages[0].content[0].text",
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"tool_use","id":"a","name":"b","input":"c"}]}]}"#,
            "messages[0].content[0].input",
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":""}],"tools":[{"name":1}]}"#,
            "tools[0].name",
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":""}],"tools":[{"name":"f","input_schema":0}]}"#,
            "tools[0].input_schema",
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":""}],"thinking":1}"#,
            "thinking",
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":""}],"temperature":"1"}"#,
            "temperature",
        ),
    ] {
        let failure = parse_request(body).unwrap_err();
        assert_eq!(failure.param.as_deref(), Some(param), "{body}");
        assert_eq!(failure.kind, FailureKind::InvalidRequest);
    }
}

fn foreign(messages: Vec<Message>) -> ChatRequest {
    let mut request = ChatRequest::new(DialectName::ChatCompletions, "m");
    request.messages = messages;
    // A cap that is made up is a loss of its own.
    request.sampling.max_output_tokens = Some(4096);
    request
}

fn part(kind: PartKind) -> Part {
    Part::from(kind)
}

fn result(id: &str) -> Message {
    let result = ToolResult {
        call_id: id.into(),
        parts: vec![Part::text("r")],
        bare: true,
        ..ToolResult::default()
    };
    Message::new(Role::Tool, vec![part(PartKind::ToolResult(result))])
}

#[test]
fn a_chat_becomes_turns_of_this_wire() {
    let call = |id: &str, arguments: &str, flavour| {
        part(PartKind::ToolCall(ToolCall {
            id: id.into(),
            name: "f".into(),
            arguments: arguments.into(),
            flavour,
            ..ToolCall::default()
        }))
    };
    let request = foreign(vec![
        Message::text(Role::System, "one"),
        Message::text(Role::Developer, "two"),
        Message::text(Role::User, "hi"),
        Message::new(
            Role::Assistant,
            vec![
                Part::text(""),
                call("c.1", "{\"a\":1}", ToolFlavour::Function),
                call("c2", "not json", ToolFlavour::Function),
                call("c3", "", ToolFlavour::Function),
            ],
        ),
        result("c.1"),
        result("c2"),
        Message::text(Role::User, "go on"),
        Message::text(Role::System, "late"),
    ]);
    let rendered = render(&request);
    let body = value(&rendered);
    assert_eq!(body["max_tokens"], 4096);
    assert_eq!(body["system"][1]["text"], "two");
    assert_eq!(body["system"][2]["text"], "late");
    assert_eq!(
        body["messages"],
        json!([
            {"role":"user","content":"hi"},
            {"role":"assistant","content":[
                {"type":"tool_use","id":"c_1","name":"f","input":{"a":1}},
                {"type":"tool_use","id":"c2","name":"f","input":{"input":"not json"}},
                {"type":"tool_use","id":"c3","name":"f","input":{}}]},
            {"role":"user","content":[
                {"type":"tool_result","tool_use_id":"c_1","content":"r"},
                {"type":"tool_result","tool_use_id":"c2","content":"r"},
                {"type":"text","text":"go on"}]},
        ])
    );
    assert_eq!(
        lost(&rendered),
        ["messages[3].content[2].arguments", "messages[7]"]
    );
    let quirks = Quirks {
        later_instructions: LaterInstructions::InPlace,
        ..Quirks::REFERENCE
    };
    let body = value(&render_with(&request, &quirks));
    assert_eq!(
        body["messages"][3],
        json!({"role":"system","content":"late"})
    );
    let alone = render(&foreign(vec![Message::text(Role::System, "only")]));
    assert_eq!(
        value(&alone)["messages"],
        json!([{"role":"user","content":"only"}])
    );
}

#[test]
fn media_take_the_form_this_wire_has() {
    let media = |kind, source| part(PartKind::Media(Media::new(kind, source)));
    let url = |text: &str| MediaSource::Url(text.into());
    let request = foreign(vec![Message::new(
        Role::User,
        vec![
            media(MediaKind::Image, url("data:image/jpeg;base64,/9j/4A")),
            media(MediaKind::Image, url("https://a/b.png")),
            media(MediaKind::Image, MediaSource::Base64("iVBORw".into())),
            media(MediaKind::File, url("data:application/pdf;base64,JVBER")),
            media(MediaKind::File, url("data:text/markdown;base64,aGk=")),
            media(MediaKind::Audio, MediaSource::Base64("AA".into())),
            media(MediaKind::File, MediaSource::FileId("file-1".into())),
        ],
    )]);
    let rendered = render(&request);
    let sources: Vec<Value> = value(&rendered)["messages"][0]["content"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| json!([b["type"], b["source"]]))
        .collect();
    assert_eq!(
        sources,
        [
            json!(["image", {"type":"base64","media_type":"image/jpeg","data":"/9j/4A"}]),
            json!(["image", {"type":"url","url":"https://a/b.png"}]),
            json!(["image", {"type":"base64","media_type":"image/png","data":"iVBORw"}]),
            json!(["document", {"type":"base64","media_type":"application/pdf","data":"JVBER"}]),
            json!(["document", {"type":"text","media_type":"text/plain","data":"hi"}]),
        ]
    );
    assert_eq!(
        lost(&rendered),
        ["messages[0].content[5]", "messages[0].content[6]"]
    );
}

#[test]
fn reasoning_goes_back_only_to_whom_can_verify_it() {
    let thought = |family: Option<&'static str>, kind| {
        let artefact = family.map(|f| Artefact {
            provenance: Provenance(f.into()),
            kind,
            data: "D".into(),
        });
        let texts = vec![ReasoningText {
            form: Default::default(),
            text: "hm".into(),
        }];
        part(PartKind::Reasoning(Reasoning {
            id: None,
            texts,
            artefact,
        }))
    };
    let request = foreign(vec![
        Message::text(Role::User, "hi"),
        Message::new(
            Role::Assistant,
            vec![
                thought(Some("anthropic-claude-v1"), ArtefactKind::Signature),
                thought(Some("anthropic-claude-v1"), ArtefactKind::Encrypted),
                thought(Some("openai-responses-v1"), ArtefactKind::Encrypted),
                thought(None, ArtefactKind::Signature),
                Part::text("a"),
            ],
        ),
    ]);
    let rendered = render(&request);
    assert_eq!(
        value(&rendered)["messages"][1]["content"],
        json!([
            {"type":"thinking","thinking":"hm","signature":"D"},
            {"type":"redacted_thinking","data":"D"},
            {"type":"text","text":"a"},
        ])
    );
    assert_eq!(
        lost(&rendered),
        ["messages[1].content[2]", "messages[1].content[3]"]
    );
}

#[test]
fn sealed_artefacts_come_home() {
    let events = [
        Event::BlockStart {
            block: 0,
            choice: 0,
            kind: llmleaf_model::BlockKind::Reasoning {
                id: Some("rs_1".into()),
                form: llmleaf_model::ReasoningForm::Summary,
            },
        },
        Event::BlockDelta {
            block: 0,
            delta: llmleaf_model::Delta::Text("sum".into()),
        },
        Event::BlockDelta {
            block: 0,
            delta: llmleaf_model::Delta::Artefact(Artefact {
                provenance: Provenance("openai-responses-v1".into()),
                kind: ArtefactKind::Encrypted,
                data: "E".into(),
            }),
        },
        Event::BlockEnd { block: 0 },
        Event::BlockStart {
            block: 1,
            choice: 0,
            kind: llmleaf_model::BlockKind::ToolCall {
                id: "c".into(),
                name: "f".into(),
                flavour: ToolFlavour::Function,
            },
        },
        Event::BlockDelta {
            block: 1,
            delta: llmleaf_model::Delta::Artefact(Artefact {
                provenance: Provenance("google-gemini-v1".into()),
                kind: ArtefactKind::Signature,
                data: "G".into(),
            }),
        },
        Event::BlockEnd { block: 1 },
        Event::ResponseEnd,
    ];
    let content = whole(&collect(&events).unwrap(), &context())["content"].take();
    let body =
        json!({"model":"m","max_tokens":1,"messages":[{"role":"assistant","content":content}]});
    let request = parse_request(&body.to_string()).unwrap();
    let [reasoning, call] = request.messages[0].parts.as_slice() else {
        panic!("{:?}", request.messages);
    };
    let PartKind::Reasoning(reasoning) = &reasoning.kind else {
        panic!("{reasoning:?}")
    };
    assert_eq!(reasoning.id.as_deref(), Some("rs_1"));
    assert_eq!(
        reasoning.texts[0].form,
        llmleaf_model::ReasoningForm::Summary
    );
    assert_eq!(reasoning.artefact.as_ref().unwrap().data, "E");
    let PartKind::ToolCall(call) = &call.kind else {
        panic!("{call:?}")
    };
    assert_eq!(
        call.artefact.as_ref().unwrap().provenance.0,
        "google-gemini-v1"
    );
}

#[test]
fn effort_becomes_a_budget_with_room_for_an_answer() {
    let mut request = foreign(vec![Message::text(Role::User, "hi")]);
    request.sampling.temperature = serde_json::Number::from_f64(0.5);
    for (effort, budget, cap, want) in [
        (Effort::Minimal, 1024, Some(100), 1124),
        (Effort::Low, 1024, None, 4096),
        (Effort::Medium, 4096, None, 8192),
        (Effort::High, 8192, Some(9000), 9000),
        (Effort::XHigh, 16384, Some(1), 16385),
        (Effort::Max, 32768, None, 36864),
    ] {
        request.reasoning = Some(ReasoningConfig {
            effort: Some(effort),
            ..ReasoningConfig::default()
        });
        request.sampling.max_output_tokens = cap;
        let rendered = render(&request);
        let body = value(&rendered);
        assert_eq!(
            body["thinking"],
            json!({"type":"enabled","budget_tokens":budget}),
            "{effort:?}"
        );
        assert_eq!(body["max_tokens"], want, "{effort:?}");
        assert!(body.get("temperature").is_none() && lost(&rendered).contains(&"temperature"));
    }
    request.reasoning.as_mut().unwrap().effort = Some(Effort::None);
    assert_eq!(
        value(&render(&request))["thinking"],
        json!({"type":"disabled"})
    );
    request.reasoning.as_mut().unwrap().effort = Some(Effort::Minimal);
    let quirks = Quirks {
        effort: EffortForm::Adaptive,
        sampling: SamplingSupport::Removed,
        ..Quirks::REFERENCE
    };
    let body = value(&render_with(&request, &quirks));
    assert_eq!(body["thinking"], json!({"type":"adaptive"}));
    assert_eq!(body["output_config"]["effort"], "low");
    request.tools.push(Tool::function("f", None, None));
    request.tool_choice = Some(ToolChoice::Required);
    let rendered = render(&request);
    assert!(value(&rendered).get("thinking").is_none() && lost(&rendered).contains(&"reasoning"));
}

/// A message for a word: `user`, `result`, or an assistant's parts, each a letter: its `o`wn or a `f`oreign thought,
/// a `c`all, a `t`ext.
fn spoken(word: &str) -> Message {
    let thought = |family: &'static str| {
        part(PartKind::Reasoning(Reasoning {
            artefact: Some(Artefact {
                provenance: Provenance(family.into()),
                kind: ArtefactKind::Signature,
                data: "D".into(),
            }),
            ..Default::default()
        }))
    };
    let said = |letter| match letter {
        'o' => thought("anthropic-claude-v1"),
        'f' => thought("openai-responses-v1"),
        'c' => part(PartKind::ToolCall(llmleaf_model::ToolCall {
            id: "c".into(),
            name: "f".into(),
            ..Default::default()
        })),
        _ => Part::text("a"),
    };
    match word {
        "user" => Message::text(Role::User, "hi"),
        "result" => result("c"),
        letters => Message::new(Role::Assistant, letters.chars().map(said).collect()),
    }
}

/// A client that keeps no reasoning must get out of its tool loop.
#[test]
fn a_budget_needs_the_reasoning_before_the_calls_that_are_answered() {
    for (talk, budget) in [
        ("user oc result", true),
        ("user c result", false),
        ("user fc result", false),
        ("user foc result", true),
        // Only the first message of the turn counts.
        ("user oc result c result", true),
        ("user c result oc result", false),
        // Once the user asks something new, the turn is over; a word beside the result is part of the answer.
        ("user c result t user", true),
        ("user c result user", false),
        ("user oc result user", true),
    ] {
        let mut request = foreign(talk.split(' ').map(spoken).collect());
        request.reasoning = Some(llmleaf_model::ReasoningConfig {
            effort: Some(llmleaf_model::Effort::Low),
            ..Default::default()
        });
        let rendered = render(&request);
        assert_eq!(value(&rendered).get("thinking").is_some(), budget, "{talk}");
        assert_eq!(lost(&rendered).contains(&"reasoning"), !budget, "{talk}");
    }
}

#[test]
fn what_this_wire_lacks_is_named() {
    let mut request = foreign(vec![Message::text(Role::User, "hi")]);
    request.sampling.choices = Some(2);
    request.sampling.seed = Some(1.into());
    request.sampling.logprobs = Some(true);
    request.sampling.temperature = serde_json::Number::from_f64(1.7);
    request.sampling.stop = vec!["x".into()];
    request.parallel_tool_calls = Some(false);
    request.user = Some("u".into());
    request.metadata = Some(Json::parse("{\"a\":\"b\"}").unwrap());
    request.rest.push("provider", Json::parse("{}").unwrap());
    request.response_format = Some(ResponseFormat::JsonObject);
    request.tools.push(Tool::function("f", None, None));
    let rendered = render(&request);
    let body = value(&rendered);
    assert_eq!(body["temperature"], 1);
    assert_eq!(body["stop_sequences"], json!(["x"]));
    assert_eq!(body["metadata"], json!({"user_id":"u"}));
    assert_eq!(
        body["tool_choice"],
        json!({"type":"auto","disable_parallel_tool_use":true})
    );
    assert_eq!(body["tools"][0]["input_schema"]["type"], "object");
    assert!(body.get("provider").is_none());
    let mut fields = lost(&rendered);
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "logprobs",
            "metadata",
            "n",
            "provider",
            "response_format",
            "seed",
            "temperature"
        ]
    );
    request.previous_response_id = Some("resp_1".into());
    let failure = render_request(&request, target("m"), &Quirks::REFERENCE).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unsupported);
    let silent = foreign(vec![Message::text(Role::User, " ")]);
    let failure = render_request(&silent, target("m"), &Quirks::REFERENCE).unwrap_err();
    assert_eq!(failure.param.as_deref(), Some("messages"));
}

fn block() -> impl Strategy<Value = Value> {
    let text = "\\PC{0,8}";
    prop_oneof![
        text.prop_map(|t| json!({"type":"text","text":t})),
        (text, text).prop_map(|(t, s)| json!({"type":"thinking","thinking":t,"signature":s})),
        text.prop_map(|d| json!({"type":"redacted_thinking","data":d})),
        (text, text).prop_map(|(i, n)| json!({"type":"tool_use","id":i,"name":n,"input":{"k":n},"x":[i]})),
        (text, any::<bool>()).prop_map(|(t, e)| json!({"type":"tool_result","tool_use_id":t,"content":t,"is_error":e,"cache_control":{"type":"ephemeral","ttl":t}})),
        text.prop_map(|t| json!({"type":"image","source":{"type":"base64","media_type":t,"data":t}})),
        text.prop_map(|t| json!({"type":"document","title":t,"source":{"type":"text","media_type":"text/plain","data":t}})),
        text.prop_map(|t| json!({"type":format!("x{t}"),"y":t})),
    ]
}

proptest! {
    #[test]
    fn parse_after_render_is_identity(
        system in prop::option::of(prop::collection::vec(block(), 0..3)),
        messages in prop::collection::vec((prop::sample::select(vec!["user", "assistant", "system"]), prop::collection::vec(block(), 0..4)), 1..5),
        cap in 0u64..1 << 40,
        effort in prop::option::of(prop::sample::select(vec!["low", "max", "odd"])),
        thinking in prop::sample::select(vec![json!(null), json!({"type":"disabled"}), json!({"type":"between_tools"}), json!({"type":"enabled","budget_tokens":7,"z":1})]),
        choice in prop::sample::select(vec![json!(null), json!({"type":"any"}), json!({"type":"none"}), json!({"type":"new","a":1})]),
    ) {
        let messages: Vec<Value> = messages.into_iter().map(|(role, content)| json!({"role":role,"content":content})).collect();
        let body = json!({"model":"m","max_tokens":cap,"system":system,"messages":messages,"thinking":thinking,"tool_choice":choice,"output_config":{"effort":effort,"new":1},"unknown":{"a":[1]}});
        let request = parse_request(&body.to_string()).unwrap();
        let rendered = render(&request);
        prop_assert_eq!(parse_request(text(&rendered)).unwrap(), request);
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC{0,64}") {
        let body = format!("{{\"model\":\"m\",\"max_tokens\":1,\"messages\":{text}}}");
        prop_assert!(parse_request(&body).is_err() || text.trim_start().starts_with('['));
    }
}

#[test]
fn a_hint_of_another_dialect_brings_no_field_of_it() {
    let body = json!({"model": "m", "max_output_tokens": 9, "input": [{"role": "user", "content": [
        {"type": "input_text", "text": "q", "prompt_cache_breakpoint": {"mode": "explicit", "more": 1}}
    ]}]});
    let request = Dialect::Responses.parse_request(&body.to_string()).unwrap();
    let sent = value(&render(&request));
    let hint = &sent["messages"][0]["content"][0]["cache_control"];
    assert_eq!(hint, &json!({"type": "ephemeral"}));
}
