//! The laws of an echo, and each directive.

use super::{MAX_CHOICES, MAX_DELAY, MAX_PIECES, MAX_TEXT_BYTES, Step, answer};
use llmleaf_model::{
    BlockKind, ChatRequest, Choice, Collector, DialectName, Effort, Event, Failure, FailureKind,
    FinishReason, Grammar, Json, MediaSource, Message, Origin, Part, PartKind, ReasoningConfig,
    ResponseFormat, Role, Tool, ToolChoice, ToolFlavour, ToolResult, Usage,
};
use proptest::prelude::*;
use std::time::Duration;

fn request(text: &str) -> ChatRequest {
    let mut request = ChatRequest::new(DialectName::ChatCompletions, "m");
    request.messages.push(Message::text(Role::User, text));
    request
}

/// What came: the answers, the usage, the failure; the grammar is checked on the way.
struct Heard {
    choices: Vec<Choice>,
    usage: Option<Usage>,
    failure: Option<Failure>,
    ended: bool,
}

fn hear(request: &ChatRequest) -> Heard {
    let mut grammar = Grammar::new();
    let mut collector = Collector::new();
    let mut failure = None;
    for step in answer(request) {
        assert_eq!(grammar.check(&step.event), Ok(()), "{:?}", step.event);
        failure = collector.push(step.event).err().map(|f| *f).or(failure);
    }
    let ended = collector.is_complete();
    assert_eq!(grammar.finish().is_ok(), ended || failure.is_some());
    let response = collector.into_response();
    Heard {
        choices: response.choices,
        usage: response.usage,
        failure,
        ended,
    }
}

impl Heard {
    fn first(&self) -> &Choice {
        &self.choices[0]
    }

    fn text(&self) -> &str {
        let blocks = &self.first().blocks;
        let text = blocks.iter().find(|b| b.kind == BlockKind::Text);
        text.map_or("", |block| block.text.as_str())
    }

    fn finish(&self) -> FinishReason {
        self.first().finish.as_ref().expect("a finish").reason
    }

    fn calls(&self) -> Vec<(&str, &str)> {
        let blocks = self.first().blocks.iter();
        blocks
            .filter_map(|block| match &block.kind {
                BlockKind::ToolCall { name, .. } => Some((name.as_str(), block.arguments.as_str())),
                _ => None,
            })
            .collect()
    }
}

fn said(text: &str) -> Heard {
    hear(&request(text))
}

proptest! {
    #[test]
    fn any_text_comes_back_byte_for_byte(text in any::<String>()) {
        prop_assume!(!text.contains("/echo"));
        let heard = said(&text);
        prop_assert_eq!(heard.text(), text.as_str());
        prop_assert_eq!(heard.finish(), FinishReason::Stop);
        prop_assert!(heard.ended);
    }

    #[test]
    fn any_directives_obey_the_grammar(
        lines in prop::collection::vec(
            prop_oneof![
                "/echo (tool|reasoning|error|delay|pace|finish|refusal|image|cite|cut|usage|no)( [a-z=0-9{}]{0,12}){0,3}",
                Just("/echo error overloaded after=2".to_owned()),
                Just("/echo cut after=1".to_owned()),
                "[ a-z\u{e9}\u{1f341}\n]{0,40}",
            ],
            0..8,
        ),
        cap in prop::option::of(0u64..6),
        choices in prop::option::of(0u64..4),
        stop in prop::collection::vec("[a-z ]{0,2}", 0..3),
        required in any::<bool>(),
        thinks in any::<bool>(),
    ) {
        let mut request = request(&lines.join("\n"));
        request.sampling.max_output_tokens = cap;
        request.sampling.choices = choices;
        request.sampling.stop = stop;
        request.tools.push(Tool::function("t", None, None));
        request.tool_choice = required.then_some(ToolChoice::Required);
        request.reasoning = thinks.then(|| ReasoningConfig { effort: Some(Effort::Low), ..ReasoningConfig::default() });
        // The grammar is checked within.
        let heard = hear(&request);
        prop_assert!(heard.ended || heard.failure.is_some() || lines.iter().any(|l| l.contains("cut")));
    }
}

#[test]
fn words_come_one_by_one_and_are_counted() {
    let steps = answer(&request("one  two\nthree"));
    let pieces: Vec<_> = steps
        .iter()
        .filter_map(|step| match &step.event {
            Event::BlockDelta { delta, .. } => Some(delta.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(pieces.len(), 3);
    let usage = said("one  two\nthree").usage.expect("usage");
    assert_eq!((usage.input, usage.output), (3, 3));
}

#[test]
fn an_answer_is_bounded() {
    let many = "w ".repeat(MAX_PIECES * 3);
    let steps = answer(&request(&many));
    assert!(steps.len() <= MAX_PIECES + 10, "{}", steps.len());
    assert_eq!(said(&many).text(), many);

    let heard = said(&"\u{e9}".repeat(MAX_TEXT_BYTES));
    assert!(heard.text().len() <= MAX_TEXT_BYTES);
    assert_eq!(heard.finish(), FinishReason::Length);

    let mut request = request(&many);
    request.sampling.choices = Some(u64::MAX);
    let steps = answer(&request);
    assert!(steps.len() < MAX_PIECES * 2);
    let choices = hear(&request).choices.len();
    assert_eq!(u64::try_from(choices), Ok(MAX_CHOICES));
}

#[test]
fn the_cap_and_stop_texts_are_obeyed() {
    let mut capped = request("one two three");
    capped.sampling.max_output_tokens = Some(2);
    let heard = hear(&capped);
    assert_eq!(
        (heard.text(), heard.finish()),
        ("one two ", FinishReason::Length)
    );

    let mut stopped = request("one two three");
    stopped.sampling.stop = vec!["three".into(), "tw".into()];
    let heard = hear(&stopped);
    assert_eq!(heard.text(), "one ");
    let finish = heard.first().finish.clone().expect("a finish");
    assert_eq!(finish.reason, FinishReason::StopSequence);
    assert_eq!(finish.stop_sequence.as_deref(), Some("tw"));
}

#[test]
fn tool_calls_are_made_in_parallel_with_arguments_as_written() {
    let heard = said(
        "/echo tool weather {\"city\": \"Paris\"}\n/echo tool broken {\"a\":\n/echo tool bare",
    );
    assert_eq!(
        heard.calls(),
        [
            ("weather", "{\"city\": \"Paris\"}"),
            ("broken", "{\"a\":"),
            ("bare", "{}"),
        ]
    );
    assert_eq!(heard.finish(), FinishReason::ToolCalls);
    assert_eq!(heard.first().blocks.len(), 3);

    let heard = said("Let me see.\n/echo tool weather");
    assert_eq!(heard.text(), "Let me see.");
    assert_eq!(heard.calls(), [("weather", "{}")]);
}

#[test]
fn a_forced_tool_is_called_with_what_its_schema_demands() {
    let schema = r##"{"type":"object","required":["s","n","k","l","r"],"properties":{
        "s":{"type":"string","minLength":6},"n":{"type":["null","integer"],"minimum":3},"k":{"enum":["a","b"]},
        "l":{"type":"array","minItems":1,"items":{"type":"boolean"}},"r":{"$ref":"#/$defs/R"},"free":{"type":"string"}},
        "$defs":{"R":{"type":"object","required":["r"],"properties":{"r":{"$ref":"#/$defs/R"}}}}}"##;
    let mut request = request("hi");
    let schema = Json::parse(schema).expect("valid");
    request.tools = vec![
        Tool::function("plain", None, None),
        Tool::function("t", None, Some(schema)),
    ];
    request.tool_choice = Some(ToolChoice::Required);
    assert_eq!(hear(&request).calls(), [("plain", "{}")]);

    request.tool_choice = Some(ToolChoice::Named {
        name: "t".into(),
        flavour: ToolFlavour::Function,
    });
    let heard = hear(&request);
    let value: serde_json::Value = serde_json::from_str(heard.calls()[0].1).expect("JSON");
    assert_eq!(value["s"], "echoxx");
    assert_eq!(value["n"], 3);
    assert_eq!(value["k"], "a");
    assert_eq!(value["l"], serde_json::json!([false]));
    assert!(value["r"]["r"]["r"].is_object());
    assert!(value.get("free").is_none());
}

#[test]
fn a_tool_result_is_answered_with_its_text() {
    let result = |text: &str| {
        let result = ToolResult {
            parts: vec![Part::text(text)],
            ..ToolResult::default()
        };
        Part::from(PartKind::ToolResult(result))
    };
    let mut request = request("/echo tool weather");
    request.tool_choice = Some(ToolChoice::Required);
    request.tools.push(Tool::function("weather", None, None));
    request.messages.push(Message::new(Role::Assistant, vec![]));
    for text in ["sunny", "18 degrees"] {
        request
            .messages
            .push(Message::new(Role::Tool, vec![result(text)]));
    }
    let heard = hear(&request);
    assert_eq!(heard.text(), "sunny\n18 degrees");
    assert_eq!(heard.finish(), FinishReason::Stop);
    assert!(heard.calls().is_empty());

    let parts = vec![result("rain"), Part::text("/echo finish length")];
    request.messages.push(Message::new(Role::User, parts));
    let heard = hear(&request);
    assert!(heard.text().ends_with("rain"));
    assert_eq!(heard.finish(), FinishReason::Length);
}

#[test]
fn reasoning_comes_first_and_is_proven() {
    let heard = said("answer\n/echo reasoning I think so");
    let block = &heard.first().blocks[0];
    assert!(matches!(block.kind, BlockKind::Reasoning { .. }));
    assert_eq!(block.text, "I think so");
    assert_eq!(block.artefact.as_ref().expect("proof").data, "ZWNobw==");
    assert_eq!(heard.usage.as_ref().expect("usage").output_reasoning, 3);
    assert_eq!(heard.text(), "answer");

    let mut request = request("answer");
    request.reasoning = Some(ReasoningConfig {
        effort: Some(Effort::Low),
        ..ReasoningConfig::default()
    });
    assert_eq!(hear(&request).first().blocks.len(), 2);
    request.reasoning = Some(ReasoningConfig {
        effort: Some(Effort::None),
        ..ReasoningConfig::default()
    });
    assert_eq!(hear(&request).first().blocks.len(), 1);
}

#[test]
fn failures_come_before_the_answer_or_within() {
    let steps = answer(&request(
        "hi\n/echo error rate_limit_exceeded retry-after=2",
    ));
    assert_eq!(steps.len(), 1);
    let failure = said("hi\n/echo error rate_limit_exceeded retry-after=2").failure;
    let failure = failure.expect("a failure");
    assert_eq!(failure.kind, FailureKind::RateLimit);
    assert_eq!(failure.status, Some(429));
    assert_eq!(failure.retry_after, Some(Duration::from_secs(2)));
    assert_eq!(failure.origin, Origin::Upstream);

    for (line, kind, status) in [
        ("/echo error", FailureKind::Server, 500),
        ("/echo error 529", FailureKind::Overloaded, 529),
        ("/echo error 422", FailureKind::InvalidRequest, 422),
        ("/echo error overloaded 500", FailureKind::Overloaded, 500),
        ("/echo error 401", FailureKind::Authentication, 401),
    ] {
        let failure = said(line).failure.expect("a failure");
        assert_eq!(
            (failure.kind, failure.status),
            (kind, Some(status)),
            "{line}"
        );
    }

    let heard = said("one two three\n/echo error overloaded after=2");
    assert_eq!(heard.text(), "one two ");
    assert!(heard.failure.expect("a failure").possibly_billed);
    let heard = said("one\n/echo error overloaded after=9");
    assert_eq!(heard.text(), "one");
    assert!(heard.failure.is_some());
}

#[test]
fn a_cut_stream_has_no_terminal() {
    let heard = said("one two three\n/echo cut");
    assert_eq!(heard.text(), "one two three");
    assert_eq!(heard.finish(), FinishReason::Stop);
    assert!(!heard.ended && heard.failure.is_none());

    let heard = said("one two three\n/echo cut after=1");
    assert_eq!(heard.text(), "one ");
    assert!(heard.first().finish.is_none() && !heard.ended);
}

#[test]
fn pauses_stand_before_content_only() {
    let steps = answer(&request("one two three\n/echo delay 250\n/echo pace 10"));
    let pauses: Vec<u128> = steps.iter().map(|s: &Step| s.delay.as_millis()).collect();
    assert_eq!(pauses, [0, 0, 250, 10, 10, 0, 0, 0, 0]);
    let steps = answer(&request("one\n/echo delay 999999999"));
    assert_eq!(steps.iter().map(|s| s.delay).max(), Some(MAX_DELAY));
    let steps = answer(&request("/echo error 500\n/echo delay 7"));
    assert_eq!(steps[0].delay, Duration::from_millis(7));
}

#[test]
fn ends_refusals_images_sources_and_usage_are_as_asked() {
    let heard = said("hi\n/echo finish content_filter");
    assert_eq!(heard.finish(), FinishReason::ContentFilter);
    let heard = said("hi\n/echo finish stop_sequence END");
    let finish = heard.first().finish.clone().expect("a finish");
    assert_eq!(finish.stop_sequence.as_deref(), Some("END"));

    let heard = said("/echo refusal I would rather not.");
    assert_eq!(heard.first().blocks[0].kind, BlockKind::Refusal);
    assert_eq!(heard.first().blocks[0].text, "I would rather not.");
    assert_eq!(heard.finish(), FinishReason::Refusal);

    let heard = said("see\n/echo image\n/echo image https://example.com/a.png");
    let media: Vec<_> = heard.first().blocks[1..].iter().map(|b| &b.media).collect();
    assert!(matches!(media[0], Some(MediaSource::Base64(_))));
    assert!(matches!(media[1], Some(MediaSource::Url(_))));

    let heard = said("it is so\n/echo cite https://example.com The Example");
    let citation = &heard.first().blocks[0].citations[0];
    assert_eq!(citation.url.as_deref(), Some("https://example.com"));
    assert_eq!(citation.title.as_deref(), Some("The Example"));
    assert_eq!(citation.span, Some((0, 8)));

    let usage = said("hi\n/echo usage input=100 output=7 reasoning=3 cache_read=50").usage;
    let usage = usage.expect("usage");
    assert_eq!((usage.input, usage.input_cache_read), (100, 50));
    assert_eq!((usage.output, usage.output_reasoning), (7, 3));
}

#[test]
fn json_is_answered_where_json_is_asked_for() {
    let mut request = request("say \"hi\"");
    request.response_format = Some(ResponseFormat::JsonObject);
    assert_eq!(hear(&request).text(), r#"{"echo":"say \"hi\""}"#);

    let schema =
        r#"{"type":"object","required":["answer"],"properties":{"answer":{"type":"string"}}}"#;
    request.response_format = Some(ResponseFormat::JsonSchema {
        name: None,
        description: None,
        schema: Json::parse(schema).expect("valid"),
        strict: None,
    });
    assert_eq!(hear(&request).text(), r#"{"answer":"say \"hi\""}"#);
}

#[test]
fn what_is_not_understood_is_explained() {
    let heard = said("hi\n/echo nonsense 1\n/echo error 500");
    assert!(heard.failure.is_none());
    for name in [
        "tool",
        "reasoning",
        "error",
        "delay",
        "pace",
        "finish",
        "usage",
    ] {
        assert!(heard.text().contains(&format!("/echo {name} ")), "{name}");
    }
    assert!(
        said("/echo error what")
            .text()
            .contains("rate_limit_exceeded")
    );
    assert!(said("/echo delay soon").text().contains("MILLISECONDS"));
    assert!(said(&"/echo image\n".repeat(129)).text().contains("128"));
    assert_eq!(said("/echoes of it").text(), "/echoes of it");
}
