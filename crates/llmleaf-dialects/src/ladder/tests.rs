//! Every rung and budget, from every wire's own form, to every wire.

use super::{Switch, Thinks, begins, of_budget, rung, switch, thinks};
use crate::chat_completions::quirks::ReasoningRequest;
use crate::{
    ChatWire, Dialect, Target, chat_completions, gemini, messages, ollama, responses,
    text_completions,
};
use llmleaf_model::{Effort, ReasoningConfig, ReasoningMode};
use serde_json::{Value, json};

/// A request of a dialect with some fields.
fn request(dialect: Dialect, fields: &Value) -> String {
    let turn = json!([{"role": "user", "content": "x"}]);
    let mut body = match dialect {
        Dialect::ChatCompletions | Dialect::Ollama(_) | Dialect::CohereChat => {
            json!({"model": "m", "messages": turn})
        }
        Dialect::Messages => json!({"model": "m", "max_tokens": 100, "messages": turn}),
        Dialect::Responses => json!({"model": "m", "input": turn}),
        Dialect::TextCompletions => json!({"model": "m", "prompt": "x"}),
        Dialect::GenerateContent => {
            json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}]})
        }
    };
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body.to_string()
}

fn read(dialect: Dialect, fields: &Value) -> ReasoningConfig {
    let parsed = dialect.parse_request(&request(dialect, fields)).unwrap();
    parsed.reasoning.unwrap_or_default()
}

fn wire(dialect: Dialect, form: ReasoningRequest) -> ChatWire {
    let mut quirks = chat_completions::Quirks::REFERENCE;
    quirks.reasoning.request = form;
    match dialect {
        Dialect::ChatCompletions => ChatWire::Completions(quirks),
        Dialect::Messages => ChatWire::Messages(messages::Quirks::REFERENCE),
        Dialect::Responses => ChatWire::Responses(responses::Quirks::REFERENCE),
        Dialect::GenerateContent => ChatWire::GenerateContent(gemini::Quirks::REFERENCE),
        Dialect::Ollama(_) => ChatWire::Ollama(ollama::Quirks::REFERENCE),
        Dialect::CohereChat => ChatWire::CohereChat,
        Dialect::TextCompletions => ChatWire::TextCompletions(text_completions::Quirks::REFERENCE),
    }
}

/// What is sent of a request, and the fields that were lost.
fn sent(from: Dialect, fields: &Value, to: &ChatWire, model: &str) -> (Value, Vec<String>) {
    let parsed = from.parse_request(&request(from, fields)).unwrap();
    let target = Target {
        model,
        stream: false,
    };
    let rendered = to.render_request(&parsed, target).unwrap();
    let lost = rendered.losses.iter().map(|loss| loss.field.clone());
    let lost = lost.filter(|field| field.contains("reasoning") || field == "max_tokens");
    (
        serde_json::from_slice(&rendered.body).unwrap(),
        lost.collect(),
    )
}

const EFFORT: ReasoningRequest = ReasoningRequest::Effort;

#[test]
fn every_form_is_read() {
    for effort in Effort::LADDER {
        let word = effort.as_str();
        for (dialect, fields) in [
            (Dialect::ChatCompletions, json!({"reasoning_effort": word})),
            (
                Dialect::ChatCompletions,
                json!({"reasoning": {"effort": word}}),
            ),
            (Dialect::Responses, json!({"reasoning": {"effort": word}})),
            (
                Dialect::Messages,
                json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": word}}),
            ),
        ] {
            assert_eq!(read(dialect, &fields).effort, Some(effort), "{fields}");
        }
    }
    let level =
        |word: &str| json!({"generationConfig": {"thinkingConfig": {"thinkingLevel": word}}});
    for (word, effort) in [
        ("MINIMAL", Effort::Minimal),
        ("low", Effort::Low),
        ("medium", Effort::Medium),
        ("HIGH", Effort::High),
    ] {
        let config = read(Dialect::GenerateContent, &level(word));
        assert_eq!(config.effort, Some(effort));
    }
    for (word, effort) in [
        ("low", Effort::Low),
        ("medium", Effort::Medium),
        ("high", Effort::High),
        ("max", Effort::Max),
    ] {
        let config = read(Dialect::LINES, &json!({"think": word}));
        assert_eq!(config.effort, Some(effort));
    }
}

#[test]
fn budgets_and_switches_are_read() {
    let budget =
        |tokens: i64| json!({"generationConfig": {"thinkingConfig": {"thinkingBudget": tokens}}});
    for (dialect, fields, mode, tokens) in [
        (
            Dialect::ChatCompletions,
            json!({"reasoning": {"max_tokens": 2000}}),
            None,
            Some(2000),
        ),
        (
            Dialect::ChatCompletions,
            json!({"thinking": {"type": "enabled", "budget_tokens": 2000}}),
            Some(ReasoningMode::Enabled),
            Some(2000),
        ),
        (
            Dialect::Messages,
            json!({"thinking": {"type": "enabled", "budget_tokens": 2000}}),
            Some(ReasoningMode::Enabled),
            Some(2000),
        ),
        (
            Dialect::Messages,
            json!({"thinking": {"type": "adaptive"}}),
            Some(ReasoningMode::Adaptive),
            None,
        ),
        (
            Dialect::Messages,
            json!({"thinking": {"type": "disabled"}}),
            Some(ReasoningMode::Disabled),
            None,
        ),
        (Dialect::GenerateContent, budget(2000), None, Some(2000)),
        (
            Dialect::GenerateContent,
            budget(0),
            Some(ReasoningMode::Disabled),
            None,
        ),
        (
            Dialect::GenerateContent,
            budget(-1),
            Some(ReasoningMode::Adaptive),
            None,
        ),
    ] {
        let config = read(dialect, &fields);
        assert_eq!(
            (config.mode, config.budget_tokens),
            (mode, tokens),
            "{fields}"
        );
    }
}

/// The rungs in order, as each model is asked for them, and whether that is told.
#[test]
fn every_rung_becomes_the_nearest_that_the_model_has() {
    let kept = |words: [&str; 7]| {
        let pairs = Effort::LADDER.iter().zip(words);
        pairs
            .map(|(effort, word)| effort.as_str() != word)
            .collect::<Vec<bool>>()
    };
    for (model, words) in [
        (
            "gpt-5",
            [
                "minimal", "minimal", "low", "medium", "high", "high", "high",
            ],
        ),
        (
            "gpt-5.1",
            ["none", "low", "low", "medium", "high", "high", "high"],
        ),
        (
            "openai/gpt-5.4",
            ["none", "low", "low", "medium", "high", "xhigh", "xhigh"],
        ),
        (
            "gpt-5.6-terra",
            ["none", "low", "low", "medium", "high", "xhigh", "max"],
        ),
        (
            "o3",
            ["low", "low", "low", "medium", "high", "high", "high"],
        ),
        ("gpt-5-pro", ["high"; 7]),
        (
            "magistral-medium-latest",
            ["none", "high", "high", "high", "high", "high", "high"],
        ),
        (
            "some-model",
            ["none", "minimal", "low", "medium", "high", "xhigh", "max"],
        ),
    ] {
        for (at, (effort, told)) in Effort::LADDER.iter().zip(kept(words)).enumerate() {
            let fields = json!({"reasoning": {"effort": effort.as_str()}});
            let (out, lost) = sent(
                Dialect::Responses,
                &fields,
                &wire(Dialect::ChatCompletions, EFFORT),
                model,
            );
            assert_eq!(out["reasoning_effort"], words[at], "{model} {effort:?}");
            assert_eq!(!lost.is_empty(), told, "{model} {effort:?}");
            let fields = json!({"reasoning_effort": effort.as_str()});
            let (out, lost) = sent(
                Dialect::ChatCompletions,
                &fields,
                &wire(Dialect::Responses, EFFORT),
                model,
            );
            assert_eq!(out["reasoning"]["effort"], words[at], "{model} {effort:?}");
            assert_eq!(!lost.is_empty(), told, "{model} {effort:?}");
        }
    }
}

#[test]
fn claude_models_are_asked_as_each_thinks() {
    let to = wire(Dialect::Messages, EFFORT);
    let adaptive = |word: &str| (json!({"type": "adaptive"}), json!(word));
    let budget = |tokens: u64| {
        (
            json!({"type": "enabled", "budget_tokens": tokens}),
            Value::Null,
        )
    };
    let off = || (json!({"type": "disabled"}), Value::Null);
    for (model, rungs) in [
        (
            "claude-sonnet-4-5",
            [
                off(),
                budget(1024),
                budget(1024),
                budget(4096),
                budget(8192),
                budget(16_384),
                budget(32_768),
            ],
        ),
        (
            "claude-opus-4-6",
            [
                off(),
                adaptive("low"),
                adaptive("low"),
                adaptive("medium"),
                adaptive("high"),
                adaptive("high"),
                adaptive("max"),
            ],
        ),
        (
            "anthropic/claude-opus-4.8",
            [
                off(),
                adaptive("low"),
                adaptive("low"),
                adaptive("medium"),
                adaptive("high"),
                adaptive("xhigh"),
                adaptive("max"),
            ],
        ),
        (
            "claude-opus-5-5",
            [
                adaptive("low"),
                adaptive("low"),
                adaptive("low"),
                adaptive("medium"),
                adaptive("high"),
                adaptive("xhigh"),
                adaptive("max"),
            ],
        ),
    ] {
        for (effort, (thinking, rung)) in Effort::LADDER.iter().zip(rungs) {
            let fields = json!({"reasoning_effort": effort.as_str(), "max_tokens": 500});
            let (out, _) = sent(Dialect::ChatCompletions, &fields, &to, model);
            assert_eq!(out["thinking"], thinking, "{model} {effort:?}");
            assert_eq!(out["output_config"]["effort"], rung, "{model} {effort:?}");
            // The cap leaves room for an answer behind the budget.
            let cap = out["max_tokens"].as_u64().unwrap();
            let tokens = thinking["budget_tokens"].as_u64().unwrap_or(0);
            assert!(cap > tokens, "{model} {effort:?}: {cap}");
        }
    }
}

#[test]
fn a_budget_is_an_effort_where_the_model_takes_none() {
    let to = wire(Dialect::Messages, EFFORT);
    let fields = json!({"reasoning": {"max_tokens": 9000}, "temperature": 0.5});
    let (out, lost) = sent(Dialect::ChatCompletions, &fields, &to, "claude-sonnet-5");
    assert_eq!(out["output_config"]["effort"], "high");
    assert!(lost.contains(&"reasoning.budget".to_owned()), "{lost:?}");
    assert!(out.get("temperature").is_none());
    let (out, _) = sent(Dialect::ChatCompletions, &fields, &to, "claude-sonnet-4-5");
    assert_eq!(out["thinking"]["budget_tokens"], 9000);
}

#[test]
fn a_model_that_refuses_two_samplers_gets_one() {
    let fields = json!({"temperature": 0.5, "top_p": 0.9});
    let to = wire(Dialect::Messages, EFFORT);
    let asked = |from: Dialect, fields: &Value, model: &str| {
        let (out, _) = sent(from, fields, &to, model);
        (out.get("temperature").is_some(), out.get("top_p").is_some())
    };
    for model in [
        "claude-sonnet-4-5",
        "anthropic.claude-opus-4-1-20250805-v1:0",
    ] {
        assert_eq!(
            asked(Dialect::ChatCompletions, &fields, model),
            (true, false)
        );
        let alone = json!({"top_p": 0.9});
        assert_eq!(
            asked(Dialect::ChatCompletions, &alone, model),
            (false, true)
        );
        // In its own wire a request says what it says.
        assert_eq!(asked(Dialect::Messages, &fields, model), (true, true));
        let parsed =
            Dialect::ChatCompletions.parse_request(&request(Dialect::ChatCompletions, &fields));
        let stream = false;
        let rendered = to.render_request(&parsed.unwrap(), Target { model, stream });
        let losses = rendered.unwrap().losses;
        assert!(
            losses.iter().any(|loss| loss.field == "top_p"),
            "{losses:?}"
        );
    }
    let older = asked(
        Dialect::ChatCompletions,
        &fields,
        "claude-3-5-haiku-20241022",
    );
    assert_eq!(older, (true, true));
}

#[test]
fn gemini_models_are_asked_by_level_or_budget() {
    let to = wire(Dialect::GenerateContent, EFFORT);
    let asked = |model: &str, effort: &str| {
        let fields = json!({"reasoning_effort": effort});
        let (out, _) = sent(Dialect::ChatCompletions, &fields, &to, model);
        out["generationConfig"]["thinkingConfig"].clone()
    };
    for (at, effort) in Effort::LADDER.iter().enumerate() {
        let level = ["low", "low", "low", "medium", "high", "high", "high"][at];
        assert_eq!(
            asked("gemini-3-pro", effort.as_str())["thinkingLevel"],
            level
        );
        let level = [
            "minimal", "minimal", "low", "medium", "high", "high", "high",
        ][at];
        assert_eq!(
            asked("gemini-3-flash", effort.as_str())["thinkingLevel"],
            level
        );
        let budget = [0, 1024, 1024, 4096, 8192, 16_384, 24_576][at];
        assert_eq!(
            asked("gemini-2.5-flash", effort.as_str())["thinkingBudget"],
            budget
        );
        let budget = [128, 1024, 1024, 4096, 8192, 16_384, 32_768][at];
        assert_eq!(
            asked("gemini-2.5-pro", effort.as_str())["thinkingBudget"],
            budget
        );
    }
}

#[test]
fn the_tables_know_routers_spellings() {
    assert_eq!(thinks("us.anthropic.claude-opus-4-6-v1"), Thinks::Either);
    assert_eq!(thinks("claude-3-7-sonnet@20250219"), Thinks::ByBudget);
    assert_eq!(thinks("kimi-k2.6"), Thinks::Unknown);
    assert_eq!(thinks("Claude-Opus-4.6"), Thinks::Either);
    let mut losses = Vec::new();
    assert_eq!(
        rung("claude-opus-4-6", Effort::XHigh, &mut losses),
        Effort::High
    );
    for name in ["moonshotai/kimi-k3", "moonshotai/Kimi-K3"] {
        let asked = rung(name, Effort::Medium, &mut losses);
        assert_eq!(asked, Effort::Low, "{name}");
    }
    assert_eq!(losses.len(), 3);
    assert_eq!(switch("zai-org/GLM-4.7"), Switch::OnOff);
    assert_eq!(switch("deepseek-v4-pro"), Switch::WithEffort);
    assert!(begins("GPT-OSS:20b", "gpt-oss") && !begins("gpt", "gpt-oss"));
    for (budget, effort) in [
        (0, Effort::None),
        (1, Effort::Low),
        (4096, Effort::Medium),
        (8192, Effort::High),
        (1 << 40, Effort::XHigh),
    ] {
        assert_eq!(of_budget(budget), effort);
    }
}

#[test]
fn a_switch_is_sent_as_the_model_has_it() {
    let to = wire(Dialect::ChatCompletions, ReasoningRequest::Thinking);
    let thinking = |budget| json!({"thinking": {"type": "enabled", "budget_tokens": budget}, "max_tokens": 4000});
    let off = json!({"thinking": {"type": "disabled"}});
    let on = json!({"type": "enabled"});
    for (model, fields, switch, effort, lost) in [
        ("kimi-k2.6", thinking(2000), Some(&on), None, 1),
        ("kimi-k2.6", off.clone(), Some(&off["thinking"]), None, 0),
        ("kimi-k2.7-code", thinking(2000), Some(&on), None, 1),
        ("kimi-k2.7-code", off.clone(), None, None, 1),
        ("moonshot-v1-auto", thinking(2000), None, None, 1),
        ("moonshot-v1-auto", off.clone(), None, None, 0),
        ("kimi-k3", thinking(2000), None, Some("low"), 1),
        ("glm-4.7", thinking(2000), Some(&on), None, 1),
        ("glm-5.3", off.clone(), None, Some("low"), 2),
        (
            "deepseek-v4-pro",
            thinking(9000),
            Some(&on),
            Some("high"),
            1,
        ),
    ] {
        let (body, losses) = sent(Dialect::Messages, &fields, &to, model);
        assert_eq!(body.get("thinking"), switch, "{model} {fields}");
        let word = body.get("reasoning_effort").and_then(Value::as_str);
        assert_eq!(word, effort, "{model} {fields}");
        assert_eq!(losses.len(), lost, "{model} {fields} {losses:?}");
    }
}
