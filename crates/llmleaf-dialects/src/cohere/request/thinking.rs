//! How much reasoning, both ways.

use crate::cohere::wire::ObjectWriter;
use crate::level::Level;
use crate::object::string;
use llmleaf_model::{
    ChatRequest, DialectName, Effort, Failure, Loss, ReasoningConfig, ReasoningMode, Rest,
};

/// Tokens that are left for an answer where a budget would take the whole cap.
const ROOM: u64 = 1024;

/// Reads `thinking`.
pub(super) fn parse(top: &mut Level<'_>) -> Result<Option<ReasoningConfig>, Failure> {
    let Some(mut level) = top.object("thinking")? else {
        return Ok(None);
    };
    let mode = match level.peek("type").and_then(string).as_deref() {
        Some("enabled") => Some(ReasoningMode::Enabled),
        Some("disabled") => Some(ReasoningMode::Disabled),
        // Another type is kept as it is written.
        _ => None,
    };
    if mode.is_some() {
        level.raw("type");
    }
    Ok(Some(ReasoningConfig {
        mode,
        budget_tokens: level.integer("token_budget")?,
        rest: level.into_rest(),
        ..ReasoningConfig::default()
    }))
}

/// What is asked of a provider.
#[derive(Debug, Default)]
pub(super) struct Thinking<'a> {
    asked: bool,
    kind: Option<&'static str>,
    budget: Option<u64>,
    rest: Option<&'a Rest>,
}

impl<'a> Thinking<'a> {
    /// Decides how a request's reasoning is asked for.
    pub fn plan(request: &'a ChatRequest, losses: &mut Vec<Loss>) -> Self {
        let Some(config) = &request.reasoning else {
            return Self::default();
        };
        if request.reasons_in_words_of(DialectName::CohereChat) {
            return Self {
                asked: true,
                kind: config.mode.map(|mode| match mode {
                    ReasoningMode::Disabled => "disabled",
                    ReasoningMode::Enabled | ReasoningMode::Adaptive => "enabled",
                }),
                budget: config.budget_tokens,
                rest: Some(&config.rest),
            };
        }
        for (name, _) in config.rest.iter() {
            let field = format!("reasoning.{name}");
            losses.push(Loss::dropped(field, "not on this wire"));
        }
        let off =
            config.mode == Some(ReasoningMode::Disabled) || config.effort == Some(Effort::None);
        if off {
            return Self {
                asked: true,
                kind: Some("disabled"),
                ..Self::default()
            };
        }
        if config.summary.is_some() {
            let why = "this wire tells the thoughts as they are";
            losses.push(Loss::approximated("reasoning.summary", why));
        }
        Self {
            asked: true,
            kind: Some("enabled"),
            budget: budget(config, request.sampling.max_output_tokens, losses),
            rest: None,
        }
    }

    /// Writes `thinking`, where anything is asked.
    pub fn write(&self, body: &mut ObjectWriter<'_>) {
        if !self.asked {
            return;
        }
        body.object("thinking", |object| {
            object.string_if("type", self.kind);
            if let Some(budget) = self.budget {
                object.number("token_budget", budget);
            }
            if let Some(rest) = self.rest {
                object.rest(rest);
            }
        });
    }
}

/// Tokens for what is asked; `None` leaves it to the service. The cap holds reasoning and answer together, so the budget
/// leaves room in it.
fn budget(config: &ReasoningConfig, cap: Option<u64>, losses: &mut Vec<Loss>) -> Option<u64> {
    let asked = match (config.budget_tokens, config.effort) {
        // The wire takes nothing below 1.
        (Some(asked), _) => asked.max(1),
        (None, Some(effort)) => match effort {
            Effort::None | Effort::Minimal | Effort::Low => 1024,
            Effort::Medium => 4096,
            Effort::High => 8192,
            Effort::XHigh => 16_384,
            Effort::Max => 32_768,
        },
        (None, None) => return None,
    };
    let Some(cap) = cap.filter(|cap| *cap <= asked) else {
        return Some(asked);
    };
    losses.push(Loss::altered(
        "reasoning.budget",
        "lowered, so that the output cap leaves room for an answer",
    ));
    Some((cap - ROOM.min(cap / 2)).max(1))
}
