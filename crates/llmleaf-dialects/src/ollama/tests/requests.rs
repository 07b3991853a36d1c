//! Requests, both ends.

use super::{CHAT, GENERATE, parsed, rendered, wire};
use crate::ollama::Quirks;
use crate::ollama::edits::edit_request;
use crate::{ChatWire, Dialect, Head, Target, chat_completions};
use bytes::Bytes;
use llmleaf_model::{
    ChatRequest, Effort, FailureKind, MediaSource, Part, PartKind, ReasoningMode, ResponseFormat,
    Role,
};
use serde_json::{Value, json};

fn chat(body: &Value) -> ChatRequest {
    parsed(Dialect::ChatCompletions, body)
}

fn fields(losses: &[llmleaf_model::Loss]) -> Vec<&str> {
    let mut fields: Vec<_> = losses.iter().map(|loss| loss.field.as_str()).collect();
    fields.sort_unstable();
    fields
}

#[test]
fn a_body_says_what_it_means() {
    let request = parsed(
        CHAT,
        &json!({"model":"m","messages":[
            {"role":"system","content":"s"},
            {"role":"user","content":"q","images":["iVBORw0KGgo="]}],
            "think":"high","format":{"type":"object"},"keep_alive":"5m",
            "options":{"temperature":0.7,"num_predict":9,"stop":"x","num_ctx":4096,"repeat_penalty":1.1,"seed":null}}),
    );
    assert!(request.stream, "it streams unless told not to");
    let parts = &request.messages[1].parts;
    let PartKind::Media(image) = &parts[0].kind else {
        panic!("{parts:?}");
    };
    assert_eq!(image.mime.as_deref(), Some("image/png"));
    assert_eq!(parts[1].as_text(), Some("q"));
    assert_eq!(request.reasoning.unwrap().effort, Some(Effort::High));
    assert!(matches!(
        request.response_format,
        Some(ResponseFormat::JsonSchema { .. })
    ));
    assert_eq!(request.sampling.max_output_tokens, Some(9));
    assert_eq!(request.sampling.stop, ["x"]);
    assert_eq!(
        request.rest.get("options").unwrap().as_str(),
        r#"{"num_ctx":4096}"#
    );
    for (think, mode) in [
        (json!(true), Some(ReasoningMode::Enabled)),
        (json!(false), Some(ReasoningMode::Disabled)),
    ] {
        let body = json!({"model":"m","messages":[],"stream":false,"think":think,"format":""});
        let request = parsed(CHAT, &body);
        assert_eq!(request.reasoning.unwrap().mode, mode);
        assert!(!request.stream && request.response_format.is_none());
    }
}

#[test]
fn what_is_wrong_is_named() {
    for (body, path) in [
        (json!({"messages":[]}), "model"),
        (json!({"model":"m","messages":{}}), "messages"),
        (
            json!({"model":"m","messages":[{"role":"x","content":""}]}),
            "messages[0].role",
        ),
        (
            json!({"model":"m","messages":[{"role":"user","images":[3]}]}),
            "messages[0].images",
        ),
        (
            json!({"model":"m","messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"x"}}]}]}),
            "messages[0].tool_calls[0].function.arguments",
        ),
        (
            json!({"model":"m","options":{"top_p":"x"}}),
            "options.top_p",
        ),
        (json!({"model":"m","format":"xml"}), "format"),
        (json!({"model":"m","think":"hard"}), "think"),
    ] {
        let failure = CHAT.parse_request(&body.to_string()).unwrap_err();
        assert_eq!(failure.param.as_deref(), Some(path), "{body}");
    }
}

#[test]
fn calls_without_ids_are_paired_with_their_results() {
    let request = parsed(
        CHAT,
        &json!({"model":"m","messages":[
            {"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}},
                {"function":{"name":"g","arguments":{}}},{"function":{"name":"f","arguments":{}}}]},
            {"role":"tool","content":"1","tool_name":"f"},
            {"role":"tool","content":"2","tool_name":"g"},
            {"role":"tool","content":"3"}]}),
    );
    let ids = |role: Role| -> Vec<String> {
        let messages = request.messages.iter().filter(|m| m.role == role);
        messages
            .flat_map(|m| &m.parts)
            .filter_map(|part| match &part.kind {
                PartKind::ToolCall(call) => Some(call.id.clone()),
                PartKind::ToolResult(result) => Some(result.call_id.clone()),
                _ => None,
            })
            .collect()
    };
    assert_eq!(ids(Role::Assistant), ["leaf-0", "leaf-1", "leaf-2"]);
    assert_eq!(ids(Role::Tool), ids(Role::Assistant));
    // None of the made-up ids goes back to a service of this wire, and every result of another names its tool.
    let (body, losses) = rendered(&request, "m");
    assert!(losses.is_empty() && !body.to_string().contains("leaf"));
    assert_eq!(body["messages"][3], json!({"role":"tool","content":"3"}));
}

/// A tool loop of a chat client, with an image behind the text that asks about it.
#[test]
fn a_chat_clients_loop_is_said_in_this_wires_words() {
    let request = chat(&json!({"model":"m","messages":[
        {"role":"developer","content":"s"},
        {"role":"user","content":[{"type":"text","text":"q"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]},
        {"role":"assistant","content":null,"reasoning_content":"h","tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},
        {"role":"tool","tool_call_id":"call_1","content":"one"}],
        "tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"auto",
        "response_format":{"type":"json_object"},"max_tokens":5,"temperature":0.7,"stop":["x"],"reasoning_effort":"low"}));
    let (body, losses) = rendered(&request, "qwen3:4b");
    assert_eq!(fields(&losses), ["reasoning.effort"]);
    assert_eq!(
        body["messages"],
        json!([
            {"role":"system","content":"s"},
            {"role":"user","content":"q"},
            {"role":"user","content":"","images":["AA=="]},
            {"role":"assistant","content":"","thinking":"h","tool_calls":[{"id":"call_1","function":{"name":"f","arguments":{"a":1}}}]},
            {"role":"tool","content":"one","tool_name":"f","tool_call_id":"call_1"}])
    );
    assert_eq!(
        body["tools"],
        json!([{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}])
    );
    assert_eq!(
        body["options"],
        json!({"temperature":0.7,"num_predict":5,"stop":["x"]})
    );
    let others = (&body["format"], &body["think"], &body["stream"]);
    assert_eq!(others, (&json!("json"), &json!(true), &json!(false)));
}

#[test]
fn a_schema_that_is_no_object_is_any_json() {
    for schema in [json!(1.5), json!(true), json!("x"), json!([])] {
        let request = chat(
            &json!({"model":"m","messages":[{"role":"user","content":"q"}],
            "response_format":{"type":"json_schema","json_schema":{"schema":schema,"strict":false}}}),
        );
        let (body, losses) = rendered(&request, "m");
        assert_eq!(body["format"], "json", "{schema}");
        // The answer is held to no schema, so that nothing stricter than asked is told.
        assert_eq!(fields(&losses), ["response_format.json_schema.schema"]);
        assert!(CHAT.parse_request(&body.to_string()).is_ok(), "{schema}");
    }
}

#[test]
fn effort_is_asked_for_as_the_model_takes_it() {
    for (asked, model, think, lossy) in [
        (
            json!({"reasoning_effort":"high"}),
            "gpt-oss:20b",
            json!("high"),
            false,
        ),
        (
            json!({"reasoning_effort":"xhigh"}),
            "gpt-oss",
            json!("high"),
            true,
        ),
        (
            json!({"reasoning_effort":"none"}),
            "gpt-oss",
            json!("low"),
            true,
        ),
        (
            json!({"reasoning_effort":"none"}),
            "qwen3",
            json!(false),
            false,
        ),
        (
            json!({"reasoning_effort":"high"}),
            "qwen3",
            json!(true),
            true,
        ),
        (json!({}), "qwen3", json!(null), false),
    ] {
        let mut body = json!({"model":"m","messages":[{"role":"user","content":"q"}]});
        for (name, value) in asked.as_object().unwrap() {
            body[name] = value.clone();
        }
        let (body, losses) = rendered(&chat(&body), model);
        assert_eq!(body["think"], think, "{asked} {model}");
        assert_eq!(!losses.is_empty(), lossy, "{asked} {model}: {losses:?}");
    }
}

#[test]
fn what_the_wire_cannot_say_is_a_named_loss() {
    let request = chat(
        &json!({"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"q"},
            {"type":"image_url","image_url":{"url":"https://x/y.png"}},{"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}}],"name":"n"}],
            "logit_bias":{"1":2},"user":"u","parallel_tool_calls":false,"metadata":{"a":"b"},"verbosity":"low","n":2,
            "tools":[{"type":"web_search_preview"}],"tool_choice":"required"}),
    );
    let (body, losses) = rendered(&request, "m");
    let expected = [
        "logit_bias",
        "messages[0].content[1]",
        "messages[0].content[2]",
        "messages[0].name",
        "metadata",
        "n",
        "parallel_tool_calls",
        "tool_choice",
        "tools[0]",
        "user",
        "verbosity",
    ];
    assert_eq!(fields(&losses), expected);
    assert_eq!(body["messages"], json!([{"role":"user","content":"q"}]));
}

#[test]
fn a_prompt_is_a_message_unless_it_is_bound() {
    let plain = parsed(
        GENERATE,
        &json!({"model":"m","system":"s","prompt":"q","template":"","raw":false,"context":[],"options":{"num_ctx":9},"keep_alive":0}),
    );
    assert_eq!(plain.bound, None);
    let (body, losses) = rendered(&plain, "m");
    assert_eq!(
        body["messages"],
        json!([{"role":"system","content":"s"},{"role":"user","content":"q"}])
    );
    // The two forms share their options; the fields of one prompt mean nothing in a conversation.
    assert_eq!(
        (&body["options"], &body["keep_alive"]),
        (&json!({"num_ctx":9}), &json!(0))
    );
    assert_eq!(fields(&losses), ["context", "raw", "template"]);
    let target = Target {
        model: "m",
        stream: false,
    };
    for field in [
        json!({"raw":true}),
        json!({"suffix":"x"}),
        json!({"context":[1]}),
    ] {
        let mut body = json!({"model":"m","prompt":"q"});
        let (name, value) = field.as_object().unwrap().iter().next().unwrap();
        body[name] = value.clone();
        let request = parsed(GENERATE, &body);
        let failure = wire().render_request(&request, target).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unsupported);
        assert_eq!(failure.param.as_deref(), Some(name.as_str()));
        let own = ChatWire::Ollama(Quirks::GENERATE);
        assert!(own.render_request(&request, target).is_ok());
    }
    // A conversation is more than one prompt can say.
    let talk = chat(
        &json!({"model":"m","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]}),
    );
    let prompt = ChatWire::Ollama(Quirks::GENERATE);
    let failure = prompt.render_request(&talk, target).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unsupported);
}

#[test]
fn sealed_artefacts_come_home() {
    let seal = "llmleaf.v1.anthropic-claude-v1.signature.c2ln..dGhpbms";
    let call = "llmleaf.v1.google-gemini-v1.call-signature.Y2FsbA.Y18x";
    let body = json!({"model":"m","messages":[{"role":"assistant","content":"a","thinking":"first think","signatures":[seal, call],
        "tool_calls":[{"id":"c_1","function":{"name":"f","arguments":{}}}]}]});
    let request = parsed(CHAT, &body);
    let thoughts: Vec<_> = request.messages[0]
        .parts
        .iter()
        .filter_map(|part| match &part.kind {
            PartKind::Reasoning(r) => {
                Some((r.joined(), r.artefact.as_ref().map(|a| a.data.as_str())))
            }
            PartKind::ToolCall(c) => {
                Some((c.name.clone(), c.artefact.as_ref().map(|a| a.data.as_str())))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        thoughts,
        [
            ("first ".to_owned(), None),
            ("think".to_owned(), Some("sig")),
            ("f".to_owned(), Some("call"))
        ]
    );
    // A field of another meaning stays as it is.
    let other =
        json!({"model":"m","messages":[{"role":"assistant","content":"a","signatures":["x"]}]});
    assert_eq!(
        parsed(CHAT, &other).messages[0]
            .rest
            .get("signatures")
            .unwrap()
            .as_str(),
        r#"["x"]"#
    );
}

#[test]
fn data_urls_are_taken_for_what_they_mean() {
    let request = parsed(
        CHAT,
        &json!({"model":"m","messages":[{"role":"user","content":"","images":["data:image/png;base64,AA=="]}]}),
    );
    let [
        Part {
            kind: PartKind::Media(media),
            ..
        },
    ] = &request.messages[0].parts[..]
    else {
        panic!("{request:?}");
    };
    assert!(matches!(&media.source, MediaSource::Url(_)));
    let target = Target {
        model: "m",
        stream: false,
    };
    let other = ChatWire::Completions(crate::chat_completions::Quirks::REFERENCE);
    let body = other.render_request(&request, target).unwrap().body;
    assert!(
        std::str::from_utf8(&body)
            .unwrap()
            .contains("data:image/png;base64,AA==")
    );
}

#[test]
fn edits_touch_the_named_places_alone() {
    let edited = |text: &str, model: &str, stream: bool| {
        let body = Bytes::from(text.to_owned());
        let head = Head::read_in(CHAT, &body).unwrap();
        let target = Target { model, stream };
        let done = edit_request(&head, &body, target, &Quirks::REFERENCE).unwrap();
        (
            String::from_utf8(done.body.to_vec()).unwrap(),
            done.losses.len(),
        )
    };
    // Nothing to edit: the bytes are the same bytes.
    let plain = r#"{ "model": "m", "messages": [{"role":"user","content":"q"}], "x": 1.50 }"#;
    assert_eq!(edited(plain, "m", true), (plain.to_owned(), 0));
    assert_eq!(
        edited(r#"{"model":"m","messages":[],"stream":null}"#, "n", false).0,
        r#"{"model":"n","messages":[],"stream":false}"#
    );
    assert_eq!(
        edited(r#"{"model":"m","messages":[]}"#, "m", false).0,
        r#"{"stream":false,"model":"m","messages":[]}"#
    );
    let sealed = r#"{"model":"m","messages":[{"role":"assistant","content":"a","signatures":["llmleaf.v1.x.signature.QQ"],"y":2.0}]}"#;
    assert_eq!(
        edited(sealed, "m", true),
        (
            r#"{"model":"m","messages":[{"role":"assistant","content":"a","y":2.0}]}"#.to_owned(),
            1
        )
    );
}

#[test]
fn a_request_that_asks_nothing_is_answered_as_such() {
    for (dialect, body, word) in [
        (CHAT, json!({"model":"m","messages":[]}), Some("load")),
        (CHAT, json!({"model":"m","keep_alive":0}), Some("unload")),
        (GENERATE, json!({"model":"m","prompt":""}), Some("load")),
        (GENERATE, json!({"model":"m","prompt":"q"}), None),
        (
            CHAT,
            json!({"model":"m","messages":[{"role":"user","content":"q"}]}),
            None,
        ),
    ] {
        let answer = dialect.idle_answer(&parsed(dialect, &body));
        let told = answer.map(|events| {
            let mut encoder = dialect.encoder(crate::ReplyContext::default());
            let mut out = Vec::new();
            events
                .iter()
                .for_each(|event| encoder.encode(event, &mut out));
            let line: Value = serde_json::from_slice(&out).unwrap();
            line["done_reason"].as_str().unwrap().to_owned()
        });
        assert_eq!(told.as_deref(), word, "{body}");
    }
}

#[test]
fn what_says_nothing_is_no_loss() {
    let body = json!({"model": "m", "format": null, "novel": null, "options": {"temperature": 1, "novel": 1}, "messages": [
        {"role": "user", "content": "q", "novel": null},
        {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {}}}]},
        {"role": "tool", "tool_name": "f", "content": "r"}
    ]});
    let request = Dialect::LINES.parse_request(&body.to_string()).unwrap();
    let wire = ChatWire::Completions(chat_completions::Quirks::REFERENCE);
    let target = Target {
        model: "m",
        stream: false,
    };
    let rendered = wire.render_request(&request, target).unwrap();
    let lost: Vec<_> = rendered.losses.iter().map(|l| l.field.as_str()).collect();
    assert_eq!(lost, ["options.novel"]);
}

#[test]
fn fields_of_another_dialect_are_lost_one_by_one() {
    let body = json!({"contents":[{"role":"user","parts":[{"text":"x"}]}],
        "generationConfig":{"novel":1,"none":null},"odd":1,"safe":null});
    let request = Dialect::GenerateContent
        .parse_request(&body.to_string())
        .unwrap();
    let target = Target {
        model: "m",
        stream: false,
    };
    for wire in [
        ChatWire::Ollama(Quirks::REFERENCE),
        ChatWire::Completions(chat_completions::Quirks::REFERENCE),
    ] {
        let rendered = wire.render_request(&request, target).unwrap();
        assert_eq!(fields(&rendered.losses), ["generationConfig.novel", "odd"]);
    }
}
