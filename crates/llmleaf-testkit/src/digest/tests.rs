use super::{
    Arguments, Digest, ErrorClass, FinishClass, Tolerance, anthropic_error, anthropic_stream,
    anthropic_unary, openai_chat_stream, openai_chat_unary, openai_error,
};
use crate::json;
use crate::sse::SseEvent;

fn events(datas: &[&str]) -> Vec<SseEvent> {
    let event = |data: &&str| SseEvent {
        data: (*data).to_owned(),
        ..SseEvent::default()
    };
    datas.iter().map(event).collect()
}

fn unary(text: &str) -> Digest {
    openai_chat_unary(&json::parse(text).unwrap())
}

const OPENAI_WHOLE: &str = r#"{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{
    "role":"assistant","content":"Hé","reasoning_content":"hm","tool_calls":[
        {"id":"t1","type":"function","function":{"name":"a","arguments":"{\"x\": 1.0}"}},
        {"id":"t2","type":"function","function":{"name":"b","arguments":""}}]},
    "finish_reason":"tool_calls"}],
    "usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,
        "prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":2}}}"#;

const ANTHROPIC_WHOLE: &str = r#"{"id":"m1","type":"message","role":"assistant","model":"m","content":[
    {"type":"thinking","thinking":"hm","signature":""},
    {"type":"text","text":"H"},{"type":"text","text":"é"},
    {"type":"tool_use","id":"t1","name":"a","input":{"x":1.0}},
    {"type":"tool_use","id":"t2","name":"b","input":{}}],
    "stop_reason":"tool_use","stop_sequence":null,
    "usage":{"input_tokens":6,"cache_read_input_tokens":4,"cache_creation_input_tokens":0,"output_tokens":5,
        "output_tokens_details":{"thinking_tokens":2}}}"#;

#[test]
fn whole_and_streamed_openai_say_the_same() {
    let streamed = openai_chat_stream(&events(&[
        r#"{"id":"","model":"","choices":[]}"#,
        r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"H","reasoning_content":"h"}}]}"#,
        r#"{"id":"c","choices":[{"index":0,"delta":{"content":"é","reasoning_content":"m"}}]}"#,
        r#"{"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"t1","function":{"name":"a","arguments":""}}]}}]}"#,
        r#"{"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"t2","function":{"name":"b","arguments":""}}]}}]}"#,
        r#"{"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\": 1.0}"}}]}}]}"#,
        r#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
        r#"{"id":"c","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":2}}}"#,
        "[DONE]",
    ]));
    let whole = unary(OPENAI_WHOLE);
    assert_eq!(whole.compare(&streamed, &Tolerance::exact()), []);
    assert_eq!(whole.tool_calls()[0].arguments, r#"{"x": 1.0}"#);
    assert_eq!(whole.finish(), FinishClass::ToolCalls);
    assert!(streamed.terminal && whole.has_content());
}

#[test]
fn the_two_dialects_say_the_same() {
    let anthropic = anthropic_unary(&json::parse(ANTHROPIC_WHOLE).unwrap());
    let openai = unary(OPENAI_WHOLE);
    assert_eq!(
        openai.compare(&anthropic, &Tolerance::across_dialects()),
        []
    );
    let exact: Vec<String> = openai
        .compare(&anthropic, &Tolerance::exact())
        .into_iter()
        .map(|difference| difference.name)
        .collect();
    assert_eq!(exact, ["tool_call[0].arguments", "tool_call[1].arguments"]);
    assert_eq!(anthropic.usage.unwrap().input_total, Some(10));
}

#[test]
fn streamed_anthropic_says_the_same_as_whole() {
    let streamed = anthropic_stream(&events(&[
        r#"{"type":"message_start","message":{"id":"m1","model":"m","content":[],"stop_reason":null,"usage":{"input_tokens":6,"cache_read_input_tokens":4,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
        r#"{"type":"ping"}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":"H"}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"é"}}"#,
        r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t1","name":"a","input":{}}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"x\":"}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"1.0}"}}"#,
        r#"{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"t2","name":"b","input":{}}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":5,"output_tokens_details":{"thinking_tokens":2}}}"#,
        r#"{"type":"message_stop"}"#,
    ]));
    let whole = anthropic_unary(&json::parse(ANTHROPIC_WHOLE).unwrap());
    assert_eq!(whole.compare(&streamed, &Tolerance::exact()), []);
}

#[test]
fn every_difference_is_named_and_can_be_tolerated() {
    let own = unary(OPENAI_WHOLE);
    let mut other = own.clone();
    let choice = &mut other.choices[0];
    choice.text.push('!');
    choice.tool_calls[1].id = "t9".to_owned();
    choice.finish = FinishClass::StopSequence;
    let usage = other.usage.as_mut().unwrap();
    usage.cache_read = None;
    usage.reasoning = Some(3);
    let names = |tolerance: &Tolerance| -> Vec<String> {
        let found = own.compare(&other, tolerance).into_iter();
        found.map(|difference| difference.name).collect()
    };
    let all = [
        "text",
        "tool_call[1].id",
        "finish",
        "usage.cache_read",
        "usage.reasoning",
    ];
    assert_eq!(names(&Tolerance::exact()), all);
    let some = Tolerance::exact()
        .ignoring("usage")
        .ignoring("tool_call[*].id");
    assert_eq!(names(&some), ["text", "finish"]);
    let less = Tolerance {
        arguments: Arguments::Json,
        same_finish: vec![(FinishClass::StopSequence, FinishClass::ToolCalls)],
        ignored: vec!["usage.reasoning".into(), "text".into(), "tool_call".into()],
    };
    assert_eq!(names(&less), ["usage.cache_read", "tool_call[1].id"][..1]);
}

#[test]
fn odd_tool_calls_are_told_apart() {
    let calls = |datas: &[&str]| -> Vec<(String, String)> {
        let digest = openai_chat_stream(&events(datas));
        let calls = digest.tool_calls().iter();
        calls
            .map(|call| (call.id.clone(), call.arguments.clone()))
            .collect()
    };
    let whole_with_one_index = calls(&[
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"b","function":{"name":"f","arguments":"{}"}}]}}]}"#,
    ]);
    let without_index = calls(&[
        r#"{"choices":[{"delta":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{"}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"}"}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"id":"b","function":{"name":"f","arguments":{}}}]}}]}"#,
    ]);
    let expected = [
        ("a".to_owned(), "{}".to_owned()),
        ("b".to_owned(), "{}".to_owned()),
    ];
    assert_eq!(whole_with_one_index, expected);
    assert_eq!(without_index, expected);
}

#[test]
fn parts_repetitions_and_choices_are_read() {
    let digest = openai_chat_stream(&events(&[
        r#"{"id":"a","choices":[{"index":1,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"t"}]},{"type":"text","text":"one"}]}}]}"#,
        r#"{"id":"a","choices":[{"index":0,"delta":{"content":"zero","annotations":[{"type":"url_citation"}]}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
        r#"{"id":"a","object":"chat.completion.done","choices":[{"index":0,"finish_reason":"stop","delta":{"content":""},"message":{"content":"zero"}}],"usage":{"prompt_tokens":1,"completion_tokens":9}}"#,
    ]));
    assert_eq!(digest.text(), "zero");
    assert_eq!(digest.choices[1].text, "one");
    assert_eq!(digest.choices[1].reasoning, "t");
    assert_eq!(digest.choices[0].citations, 1);
    assert_eq!(digest.usage.unwrap().output_total, Some(9));
    assert!(!digest.terminal, "no [DONE] was sent");
}

#[test]
fn reasoning_counted_beside_the_output_is_added() {
    let usage = |usage: &str| {
        unary(&format!("{{\"choices\":[],\"usage\":{usage}}}"))
            .usage
            .unwrap()
    };
    let beside = usage(
        r#"{"prompt_tokens":32,"completion_tokens":40,"total_tokens":1213,"completion_tokens_details":{"reasoning_tokens":1141}}"#,
    );
    assert_eq!(beside.output_total, Some(1181));
    let within = usage(
        r#"{"prompt_tokens":32,"completion_tokens":40,"total_tokens":72,"completion_tokens_details":{"reasoning_tokens":30}}"#,
    );
    assert_eq!(within.output_total, Some(40));
    let nonsense = usage(r#"{"prompt_tokens":-1,"completion_tokens":1.5,"total_tokens":"7"}"#);
    assert_eq!((nonsense.input_total, nonsense.output_total), (None, None));
}

#[test]
fn errors_are_classed_by_status_then_by_word() {
    for (status, body, class, message) in [
        (
            Some(400),
            r#"{"code":"Client specified","error":"no"}"#,
            ErrorClass::InvalidRequest,
            "no",
        ),
        (
            Some(401),
            r#"{"detail":"Invalid API Key"}"#,
            ErrorClass::Auth,
            "Invalid API Key",
        ),
        (Some(500), "", ErrorClass::Server, ""),
        (Some(503), "<html>", ErrorClass::Overloaded, "<html>"),
        (
            None,
            r#"{"error":{"message":"m","code":429}}"#,
            ErrorClass::RateLimit,
            "m",
        ),
        (
            None,
            r#"{"error":{"message":"m","status_code":400,"code":"tool_use_failed"}}"#,
            ErrorClass::InvalidRequest,
            "m",
        ),
        (
            None,
            r#"{"error":{"message":"m","type":"server_error","code":null}}"#,
            ErrorClass::Server,
            "m",
        ),
        (
            Some(422),
            r#"{"detail":[{"msg":"x"}]}"#,
            ErrorClass::InvalidRequest,
            r#"[{"msg":"x"}]"#,
        ),
    ] {
        let error = openai_error(status, body);
        assert_eq!(
            (error.class, error.message.as_str()),
            (class, message),
            "{body}"
        );
    }
    let body = r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#;
    assert_eq!(anthropic_error(None, body).class, ErrorClass::Overloaded);
    assert_eq!(
        anthropic_error(Some(529), body).class,
        ErrorClass::Overloaded
    );
}

#[test]
fn an_error_within_a_stream_is_seen() {
    let openai = openai_chat_stream(&events(&[
        r#"{"choices":[{"delta":{"content":"a"}}]}"#,
        r#"{"choices":[{"delta":{},"finish_reason":"error"}],"error":{"code":502,"message":"gone"}}"#,
    ]));
    assert_eq!(openai.error.as_ref().unwrap().class, ErrorClass::Server);
    assert_eq!((openai.text(), openai.finish()), ("a", FinishClass::Error));
    let anthropic = anthropic_stream(&events(&[
        r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}"#,
    ]));
    assert_eq!(anthropic.error.unwrap().class, ErrorClass::RateLimit);
    assert!(anthropic.choices.is_empty());
}
