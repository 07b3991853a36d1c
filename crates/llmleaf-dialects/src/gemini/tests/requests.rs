//! Requests, both ends.

use super::rendered;
use crate::gemini::edits::edit_request;
use crate::gemini::signature::EXCUSE;
use crate::gemini::{Quirks, count};
use crate::{ChatWire, Dialect, Head, Target, chat_completions};
use bytes::Bytes;
use llmleaf_model::{
    ChatRequest, Effort, PartKind, ReasoningMode, ResponseFormat, Role, ToolChoice, ToolKind,
};
use serde_json::json;

fn parsed(body: &serde_json::Value) -> ChatRequest {
    let text = body.to_string();
    Dialect::GenerateContent.parse_request(&text).unwrap()
}

fn chat(body: &serde_json::Value) -> ChatRequest {
    let text = body.to_string();
    Dialect::ChatCompletions.parse_request(&text).unwrap()
}

#[test]
fn media_in_either_alphabet_are_the_same_bytes() {
    let of = |data: &str| {
        parsed(
            &json!({"contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"image/png","data":data}}]}]}),
        )
    };
    let plain = of("+/8=");
    for other in ["-_8=", "-_8", "+/8"] {
        assert_eq!(of(other), plain, "{other}");
    }
    assert_ne!(of("AAAA"), plain);
}

#[test]
fn media_without_a_type_have_that_of_their_first_bytes() {
    let of = |data: &str, mime: serde_json::Value| {
        parsed(
            &json!({"contents":[{"role":"user","parts":[{"inlineData":{"mimeType":mime,"data":data}}]}]}),
        )
    };
    for (data, mime) in [
        ("iVBORw0KGgo=", "image/png"),
        ("JVBERi0=", "application/pdf"),
        ("AAAA", "application/octet-stream"),
    ] {
        assert_eq!(of(data, json!(null)), of(data, json!(mime)), "{data}");
    }
}

#[test]
fn both_spellings_of_a_name_mean_the_same() {
    let camel = json!({"contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"image/png","data":"AA=="}}]}],
        "systemInstruction":{"parts":{"text":"s"}},
        "generationConfig":{"maxOutputTokens":5,"responseMimeType":"application/json","thinkingConfig":{"thinkingBudget":0}}});
    let snake = json!({"contents":[{"role":"user","parts":[{"inline_data":{"mime_type":"image/png","data":"AA=="}}]}],
        "system_instruction":{"parts":[{"text":"s"}]},
        "generation_config":{"max_output_tokens":"5","response_mime_type":"application/json","thinking_config":{"thinking_budget":"0"}}});
    assert_eq!(parsed(&camel), parsed(&snake));
    let request = parsed(&camel);
    assert_eq!(request.messages[0].role, Role::System);
    assert_eq!(request.sampling.max_output_tokens, Some(5));
    assert_eq!(request.response_format, Some(ResponseFormat::JsonObject));
    assert_eq!(
        request.reasoning.unwrap().mode,
        Some(ReasoningMode::Disabled)
    );
    let both = json!({"contents":[],"systemInstruction":{},"system_instruction":{}}).to_string();
    let failure = Dialect::GenerateContent.parse_request(&both).unwrap_err();
    assert!(failure.message.contains("two spellings"), "{failure:?}");
}

#[test]
fn an_unknown_field_of_a_call_or_a_result_is_lost_alone() {
    let body = json!({"contents":[
        {"role":"model","parts":[{"functionCall":{"id":"1","name":"f","args":{"a":1},"mood":"x"},"thought":false}]},
        {"role":"user","parts":[{"functionResponse":{"id":"1","name":"f","response":{"output":"r"},"scheduling":"SILENT","willContinue":null}}]}],
        "systemInstruction":{"role":"model","parts":[{"text":"s"}]},
        "generationConfig":{"temperature":1,"novel":1},"novel":null});
    let request = parsed(&body);
    let wire = ChatWire::Completions(chat_completions::Quirks::REFERENCE);
    let target = Target {
        model: "m",
        stream: false,
    };
    let rendered = wire.render_request(&request, target).unwrap();
    let sent: serde_json::Value = serde_json::from_slice(&rendered.body).unwrap();
    let call = &sent["messages"][1]["tool_calls"][0];
    assert_eq!(call["function"]["arguments"], r#"{"a":1}"#);
    assert_eq!(sent["messages"][2]["content"], "r");
    let lost: Vec<_> = rendered.losses.iter().map(|l| l.field.as_str()).collect();
    assert_eq!(
        lost,
        [
            "messages[1].content[0].functionCall.mood",
            "messages[2].content[0].functionResponse.scheduling",
            "generationConfig.novel"
        ]
    );
    // Back to its own wire they are where they were.
    let own = ChatWire::GenerateContent(Quirks::REFERENCE);
    let sent = own.render_request(&request, target).unwrap();
    let sent: serde_json::Value = serde_json::from_slice(&sent.body).unwrap();
    let part = |at: usize| &sent["contents"][at]["parts"][0];
    assert_eq!(part(0)["functionCall"]["mood"], "x");
    assert_eq!(part(1)["functionResponse"]["scheduling"], "SILENT");
}

#[test]
fn what_is_wrong_is_named() {
    for (body, path) in [
        (json!({}), "contents"),
        (json!({"contents":[]}), "contents"),
        (
            json!({"contents":[{"role":"invalid_role","parts":[]}]}),
            "contents[0].role",
        ),
        (
            json!({"contents":[{"parts":[{"functionCall":{"name":"f","args":3}}]}]}),
            "contents[0].parts[0].functionCall.args",
        ),
        (
            json!({"contents":[{"parts":[{"text":"t"}]}],"generationConfig":{"topP":"x"}}),
            "generationConfig.topP",
        ),
    ] {
        let failure = Dialect::GenerateContent
            .parse_request(&body.to_string())
            .unwrap_err();
        assert_eq!(failure.param.as_deref(), Some(path), "{body}");
    }
}

#[test]
fn calls_without_ids_are_paired_with_their_results_by_name() {
    let request = parsed(&json!({"contents":[
        {"role":"model","parts":[{"functionCall":{"name":"f","args":{"a":1}}},{"functionCall":{"name":"g"}},{"functionCall":{"name":"f"}}]},
        {"role":"user","parts":[{"functionResponse":{"name":"f","response":{"output":"1"}}},{"functionResponse":{"name":"g","response":{"error":"2"}}},
            {"functionResponse":{"name":"f","response":{"result":3}}}]}]}));
    let ids = |message: usize| -> Vec<String> {
        let parts = request.messages[message].parts.iter();
        parts
            .filter_map(|part| match &part.kind {
                PartKind::ToolCall(call) => Some(call.id.clone()),
                PartKind::ToolResult(result) => Some(result.call_id.clone()),
                _ => None,
            })
            .collect()
    };
    assert_eq!(ids(0), ["leaf-0", "leaf-1", "leaf-2"]);
    assert_eq!(ids(0), ids(1));
    let PartKind::ToolResult(failed) = &request.messages[1].parts[1].kind else {
        panic!("no result");
    };
    assert_eq!(
        (failed.parts[0].as_text(), failed.is_error),
        (Some("2"), Some(true))
    );
    // None of the made-up ids goes back, and what the functions said is what they said.
    let (body, losses) = rendered(&request, "gemini-2.5-flash");
    assert!(losses.is_empty() && !body.to_string().contains("leaf"));
    assert_eq!(
        body["contents"][1]["parts"][2]["functionResponse"]["response"],
        json!({"result":3})
    );
    assert_eq!(
        body["contents"][1]["parts"][1]["functionResponse"]["response"],
        json!({"error":"2"})
    );
}

#[test]
fn a_stream_kept_as_turns_is_one_turn_again() {
    let request = parsed(&json!({"contents":[
        {"role":"user","parts":[{"text":"q"}]},
        {"role":"model","parts":[{"text":"th","thought":true}]},
        {"role":"model","parts":[{"text":"ink","thought":true}]},
        {"role":"model","parts":[{"text":"","thought":true,"thoughtSignature":"c2ln"}]},
        {"role":"model","parts":[{"text":"an"}]},
        {"role":"model","parts":[{"text":"swer"}]}]}));
    assert_eq!(request.messages.len(), 2);
    let parts = &request.messages[1].parts;
    let PartKind::Reasoning(thought) = &parts[0].kind else {
        panic!("no thought");
    };
    assert_eq!(thought.joined(), "think");
    assert_eq!(thought.artefact.as_ref().unwrap().data, "c2ln");
    assert_eq!(parts[1].as_text(), Some("answer"));
}

#[test]
fn a_proof_alone_that_is_no_thought_reads_again_as_it_was() {
    let contents =
        json!([{"role":"model","parts":[{"thoughtSignature":"c2ln","thought":false,"x":1}]}]);
    let request = parsed(&json!({"contents":contents}));
    let (body, losses) = rendered(&request, "m");
    assert!(losses.is_empty());
    assert_eq!(parsed(&body).messages, request.messages, "{body}");
}

#[test]
fn schemas_become_json_schema_and_tools_stay_apart() {
    let request = parsed(&json!({"contents":[{"parts":[{"text":"q"}]}],
        "tools":[{"functionDeclarations":[{"name":"f","description":"d","parameters":{"type":"OBJECT","properties":{"a":{"type":"STRING"}}}}],"googleSearch":{}},{"codeExecution":{}}],
        "toolConfig":{"functionCallingConfig":{"mode":"any","allowedFunctionNames":["f"]},"retrievalConfig":{"x":1}},
        "generationConfig":{"responseMimeType":"application/json","responseSchema":{"type":"ARRAY","items":{"type":"INTEGER"}}}}));
    assert_eq!(request.tools.len(), 3);
    let ToolKind::Function { parameters, .. } = &request.tools[0].kind else {
        panic!("no function");
    };
    let schema = r#"{"properties":{"a":{"type":"string"}},"type":"object"}"#;
    assert_eq!(parameters.as_ref().unwrap().as_str(), schema);
    assert!(matches!(&request.tool_choice, Some(ToolChoice::Named { name, .. }) if name == "f"));
    let (body, losses) = rendered(&request, "m");
    assert!(losses.is_empty(), "{losses:?}");
    assert_eq!(body["tools"][2], json!({"codeExecution":{}}));
    assert_eq!(body["toolConfig"]["retrievalConfig"], json!({"x":1}));
    let format = &body["generationConfig"]["responseJsonSchema"];
    assert_eq!(format, &json!({"type":"array","items":{"type":"integer"}}));
}

/// A tool loop as a chat client sends it back, with the signature where Google's own layer for that wire puts it.
fn loop_of_a_chat_client(extra: &serde_json::Value) -> ChatRequest {
    chat(&json!({"model":"m","messages":[
        {"role":"system","content":"s"},
        {"role":"user","content":[{"type":"text","text":"q"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]},
        {"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"},"extra_content":extra},
            {"id":"call_2","type":"function","function":{"name":"g","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"call_2","content":"two"},
        {"role":"tool","tool_call_id":"call_1","content":"{\"one\":1}"}]}))
}

#[test]
fn a_tool_loop_of_a_chat_client_keeps_its_signature() {
    let request = loop_of_a_chat_client(&json!({"google":{"thought_signature":"c2ln"}}));
    let (body, losses) = rendered(&request, "gemini-3-flash");
    assert!(losses.is_empty(), "{losses:?}");
    assert_eq!(body["systemInstruction"]["parts"], json!([{"text":"s"}]));
    let image = &body["contents"][0]["parts"][1]["inlineData"];
    assert_eq!(image, &json!({"mimeType":"image/png","data":"AA=="}));
    let calls = &body["contents"][1]["parts"];
    assert_eq!(
        calls[0],
        json!({"functionCall":{"id":"call_1","name":"f","args":{"a":1}},"thoughtSignature":"c2ln"})
    );
    assert_eq!(calls[1]["thoughtSignature"], json!(null));
    let results = &body["contents"][2]["parts"];
    assert_eq!(
        results[0]["functionResponse"],
        json!({"id":"call_2","name":"g","response":{"output":"two"}})
    );
    assert_eq!(results[1]["functionResponse"]["response"], json!({"one":1}));
}

#[test]
fn calls_of_another_model_are_excused_where_signatures_are_demanded() {
    let request = loop_of_a_chat_client(&json!(null));
    let (body, _) = rendered(&request, "models/gemini-3-pro-preview");
    let calls = &body["contents"][1]["parts"];
    assert_eq!(calls[0]["thoughtSignature"], json!(EXCUSE));
    assert_eq!(calls[1]["thoughtSignature"], json!(null));
    let (body, _) = rendered(&request, "gemini-2.5-pro");
    assert!(!body.to_string().contains(EXCUSE));
}

#[test]
fn effort_is_asked_for_as_the_model_takes_it() {
    for (asked, model, wanted, lossy) in [
        (
            json!({"reasoning_effort":"low"}),
            "gemini-2.5-flash",
            json!({"includeThoughts":true,"thinkingBudget":1024}),
            false,
        ),
        (
            json!({"reasoning_effort":"none"}),
            "gemini-2.5-flash",
            json!({"thinkingBudget":0}),
            false,
        ),
        (
            json!({"reasoning_effort":"none"}),
            "gemini-2.5-pro",
            json!({"thinkingBudget":128}),
            true,
        ),
        (
            json!({"reasoning_effort":"medium"}),
            "gemini-3-flash",
            json!({"includeThoughts":true,"thinkingLevel":"medium"}),
            false,
        ),
        (
            json!({"reasoning_effort":"xhigh"}),
            "gemini-3-pro",
            json!({"includeThoughts":true,"thinkingLevel":"high"}),
            true,
        ),
        (
            json!({"reasoning":{"max_tokens":2000,"exclude":true}}),
            "gemini-3-pro",
            json!({"thinkingBudget":2000}),
            false,
        ),
        (
            json!({"reasoning":{"max_tokens":99999}}),
            "gemini-2.5-flash",
            json!({"includeThoughts":true,"thinkingBudget":24576}),
            true,
        ),
    ] {
        let mut body = json!({"model":"m","messages":[{"role":"user","content":"q"}]});
        for (name, value) in asked.as_object().unwrap() {
            body[name] = value.clone();
        }
        let (body, losses) = rendered(&chat(&body), model);
        assert_eq!(
            body["generationConfig"]["thinkingConfig"], wanted,
            "{asked} {model}"
        );
        assert_eq!(!losses.is_empty(), lossy, "{asked} {model}: {losses:?}");
    }
    let own = parsed(
        &json!({"contents":[{"parts":[{"text":"q"}]}],"generationConfig":{"thinkingConfig":{"thinkingLevel":"HIGH","includeThoughts":true}}}),
    );
    let reasoning = own.reasoning.unwrap();
    assert_eq!(
        (reasoning.effort, reasoning.hidden),
        (Some(Effort::High), Some(false))
    );
}

#[test]
fn what_the_wire_cannot_say_is_a_named_loss() {
    let request = chat(
        &json!({"model":"m","messages":[{"role":"user","name":"n","content":[{"type":"text","text":"q"},
            {"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,QUJD"}}]}],"logit_bias":{"1":2},"user":"u","top_logprobs":2,
        "parallel_tool_calls":false,"metadata":{"a":"b"},"seed":99999999999u64,"stop":["1","2","3","4","5","6"],"verbosity":"low",
        "tools":[{"type":"web_search_preview"}]}),
    );
    let (body, losses) = rendered(&request, "m");
    let mut fields: Vec<_> = losses.iter().map(|loss| loss.field.as_str()).collect();
    fields.sort_unstable();
    let expected = [
        "logit_bias",
        "messages[0].content[1].filename",
        "messages[0].name",
        "metadata",
        "parallel_tool_calls",
        "seed",
        "stop",
        "tools[0]",
        "top_logprobs",
        "user",
        "verbosity",
    ];
    assert_eq!(fields, expected);
    assert_eq!(body["generationConfig"]["logprobs"], json!(null));
    assert_eq!(
        body["generationConfig"]["stopSequences"]
            .as_array()
            .unwrap()
            .len(),
        5
    );
}

#[test]
fn edits_touch_the_named_places_alone() {
    let head = |body: &Bytes| Head::addressed(body, "asked", false).unwrap();
    let target = Target {
        model: "gemini-3-pro",
        stream: true,
    };
    // Nothing to edit: the bytes are the same bytes.
    let body = Bytes::from_static(
        br#"{ "contents": [{"parts":[{"text":"q","thoughtSignature":"c2ln"}]}], "x": 1.50 }"#,
    );
    let edited = edit_request(&head(&body), &body, target, &Quirks::REFERENCE).unwrap();
    assert_eq!(edited.body, body);
    // The envelope of another family: the call is excused, the thought loses its proof, the bare proof leaves.
    let sealed = "bGxtbGVhZi52MS5hbnRocm9waWMtY2xhdWRlLXYxLnNpZ25hdHVyZS5jMmxu";
    let body = Bytes::from(format!(
        r#"{{"model":"models/asked","contents":[{{"role":"model","parts":[{{"text":"t","thought":true,"thoughtSignature":"{sealed}"}},{{"text":"","thoughtSignature":"{sealed}"}},{{"functionCall":{{"name":"f"}},"thoughtSignature":"{sealed}"}}]}}],"x":1.50}}"#
    ));
    let edited = edit_request(&head(&body), &body, target, &Quirks::REFERENCE).unwrap();
    let expected = format!(
        r#"{{"model":"models/gemini-3-pro","contents":[{{"role":"model","parts":[{{"text":"t","thought":true}},{{"functionCall":{{"name":"f"}},"thoughtSignature":"{EXCUSE}"}}]}}],"x":1.50}}"#
    );
    assert_eq!(std::str::from_utf8(&edited.body).unwrap(), expected);
    assert_eq!(edited.losses.len(), 3);
}

#[test]
fn counting_reads_both_forms() {
    let plain = r#"{"contents":[{"parts":[{"text":"q"}]}]}"#;
    let whole = r#"{"generateContentRequest":{"model":"models/m","contents":[{"parts":[{"text":"q"}]}],"tools":[{"functionDeclarations":[{"name":"f"}]}]}}"#;
    assert_eq!(count::parse_request(plain).unwrap().messages.len(), 1);
    assert_eq!(count::parse_request(whole).unwrap().tools.len(), 1);
    assert_eq!(count::parse_reply(&count::render_reply(12)).unwrap(), 12);
    assert!(count::parse_reply(b"{}").is_err());
}

#[test]
fn a_request_of_many_pieces_is_read_and_written_in_one_pass() {
    // Each of these was looked up in a list of all others once: a body of some megabytes took hours.
    const MANY: usize = 20_000;
    let fields: Vec<String> = (0..MANY).map(|at| format!("\"a_b{at}\":1")).collect();
    let calls: Vec<_> = (0..MANY)
        .map(|at| json!({"functionCall":{"name":format!("f{at}"),"args":{}}}))
        .collect();
    let results: Vec<_> = (0..MANY)
        .rev()
        .map(|at| json!({"functionResponse":{"name":format!("f{at}"),"response":{}}}))
        .collect();
    let contents = json!([{"role":"model","parts":calls},{"role":"user","parts":results}]);
    let body = format!("{{\"contents\":{contents},{}}}", fields.join(","));
    let mut request = Dialect::GenerateContent.parse_request(&body).unwrap();
    assert_eq!(
        request.rest.iter().last().unwrap().0,
        format!("aB{}", MANY - 1)
    );
    let ids = |request: &ChatRequest| -> Vec<String> {
        let parts = request.messages.iter().flat_map(|message| &message.parts);
        let ids = parts.map(|part| match &part.kind {
            PartKind::ToolCall(call) => call.id.clone(),
            PartKind::ToolResult(result) => result.call_id.clone(),
            other => panic!("{other:?}"),
        });
        ids.collect()
    };
    let found = ids(&request);
    let (calls, results) = found.split_at(MANY);
    assert!(calls.iter().eq(results.iter().rev()));
    let twice = body.replacen("\"a_b0\"", "\"aB7\":1,\"a_b0\"", 1);
    let failure = Dialect::GenerateContent.parse_request(&twice).unwrap_err();
    assert!(failure.message.contains("two spellings"), "{failure:?}");

    // For a consumer of another wire the results stand in the order of their calls.
    request.dialect = llmleaf_model::DialectName::ChatCompletions;
    request.rest = llmleaf_model::Rest::default();
    let (sent, _) = rendered(&request, "m");
    let results = sent["contents"][1]["parts"].as_array().unwrap();
    assert_eq!(results.len(), MANY);
    for (at, result) in results.iter().enumerate() {
        assert_eq!(result["functionResponse"]["name"], format!("f{at}"));
    }
}

#[test]
fn results_answer_calls_in_turn() {
    let call = |name: &str, id: &str| json!({"functionCall":{"name":name,"id":id,"args":{}}});
    let result =
        |name: &str, id: &str| json!({"functionResponse":{"name":name,"id":id,"response":{}}});
    let request = parsed(&json!({"contents":[
        {"role":"model","parts":[call("f", "1"), call("f", "2"), call("f", ""), call("g", "1")]},
        {"role":"user","parts":[result("f", "2"), result("f", ""), result("f", ""), result("f", ""), result("x", "1"), result("g", "")]},
    ]}));
    let parts = &request.messages[1].parts;
    let ids = parts.iter().map(|part| match &part.kind {
        PartKind::ToolResult(result) => &*result.call_id,
        other => panic!("{other:?}"),
    });
    assert_eq!(
        ids.collect::<Vec<_>>(),
        ["2", "1", "leaf-2", "leaf-to-f", "1", "leaf-to-g"]
    );
}

/// A service whose requests to count hold no whole request, and that does not know all fields.
#[test]
fn what_a_service_lacks_does_not_reach_it() {
    let lacks = ["model", "store", "serviceTier", "generateContentRequest"];
    let quirks = Quirks {
        lacks: lacks.map(Into::into).to_vec().into(),
        ..Quirks::REFERENCE
    };
    let head = |body: &Bytes| Head::addressed(body, "m", false).expect("a request");
    let whole = Bytes::from_static(
        br#"{"generateContentRequest":{"model":"models/m","contents":[{"parts":[{"text":"a"}]}],"tools":[]}}"#,
    );
    let counted = crate::gemini::count::edit_request(&head(&whole), &whole, "m", &quirks);
    assert_eq!(
        counted.expect("a request").body,
        r#"{"contents":[{"parts":[{"text":"a"}]}],"tools":[]}"#
    );
    let plain =
        Bytes::from_static(br#"{"model":"m","contents":[],"service_tier":"flex","store":true}"#);
    let target = Target {
        model: "m",
        stream: false,
    };
    let edited = crate::gemini::edits::edit_request(&head(&plain), &plain, target, &quirks);
    let edited = edited.expect("a request");
    assert_eq!(edited.body, r#"{"contents":[]}"#);
    let lost: Vec<&str> = edited.losses.iter().map(|loss| &*loss.field).collect();
    assert_eq!(lost, ["serviceTier", "store"]);
}

#[test]
fn a_format_that_is_asked_for_by_modality_is_read_where_it_is_one_of_text() {
    let of = |format: serde_json::Value| {
        parsed(
            &json!({"contents":[{"role":"user","parts":[{"text":"x"}]}],"generationConfig":{"responseFormat":format}}),
        )
    };
    let schema = json!({"type":"object","properties":{"a":{"type":"string"}}});
    let request = of(json!({"text":{"mimeType":"APPLICATION_JSON","schema":schema}}));
    let Some(ResponseFormat::JsonSchema { schema: read, .. }) = &request.response_format else {
        panic!("{:?}", request.response_format);
    };
    assert_eq!(read.as_str(), schema.to_string());
    assert!(request.rest.is_empty());
    let plain = of(json!({"text":{"mime_type":"APPLICATION_JSON"}}));
    assert_eq!(plain.response_format, Some(ResponseFormat::JsonObject));
    // What asks for more stays whole.
    let more = of(json!({"text":{"mimeType":"TEXT_PLAIN"},"image":{"aspectRatio":"x"}}));
    assert!(more.response_format.is_none() && !more.rest.is_empty());
}

#[test]
fn a_part_that_says_two_things_keeps_both() {
    let call = json!({"name":"f","args":{}});
    let result = json!({"name":"f","response":{"output":"r"}});
    for part in [
        json!({"text":"","functionCall":call}),
        json!({"text":"t","functionResponse":result}),
        json!({"functionCall":call,"functionResponse":result}),
    ] {
        let request = parsed(&json!({"contents":[{"role":"model","parts":[part]}]}));
        let (sent, losses) = rendered(&request, "m");
        assert_eq!(sent["contents"][0]["parts"], json!([part]));
        assert!(losses.is_empty(), "{losses:?}");
    }
}

#[test]
fn a_format_that_cannot_be_read_is_kept() {
    for format in [
        json!(5),
        json!({"text":5}),
        json!({"text":{"mimeType":5}}),
        json!({"text":{"mimeType":"TEXT_PLAIN","mime_type":"TEXT_PLAIN"}}),
    ] {
        let body = json!({"contents":[{"role":"user","parts":[{"text":"x"}]}],"generationConfig":{"responseFormat":format}});
        let request = parsed(&body);
        assert!(request.response_format.is_none());
        let (sent, _) = rendered(&request, "m");
        assert_eq!(sent["generationConfig"], body["generationConfig"]);
    }
}
