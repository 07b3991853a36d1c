//! How much reasoning, both ways.

use super::config::{object_of, signed};
use crate::gemini::quirks::{ModelRule, Thinking as Form};
use crate::gemini::wire::ObjectWriter;
use crate::level::Level;
use crate::object::{Object, string};
use crate::writer::write_rest;
use llmleaf_model::{
    ChatRequest, DialectName, Effort, Failure, Json, Loss, ReasoningConfig, ReasoningMode,
};

/// Reads `thinkingConfig`. A budget of 0 switches thinking off, one of -1 leaves it to the model (guide "Gemini
/// thinking", 2026-11). Thoughts are shown only to who asks for them.
pub(super) fn parse(mut level: Level<'_>) -> Result<ReasoningConfig, Failure> {
    let mut config = ReasoningConfig {
        hidden: Some(level.bool("includeThoughts")? != Some(true)),
        ..ReasoningConfig::default()
    };
    if let Some(budget) = level.peek("thinkingBudget").and_then(signed) {
        match budget {
            0 => config.mode = Some(ReasoningMode::Disabled),
            -1 => config.mode = Some(ReasoningMode::Adaptive),
            budget => config.budget_tokens = u64::try_from(budget).ok(),
        }
        if budget >= -1 {
            level.raw("thinkingBudget");
        }
    }
    let word = level.peek("thinkingLevel").and_then(string);
    let word = word.map(|word| word.to_ascii_lowercase());
    config.effort = match word.as_deref() {
        Some("minimal") => Some(Effort::Minimal),
        Some("low") => Some(Effort::Low),
        Some("medium") => Some(Effort::Medium),
        Some("high") => Some(Effort::High),
        // Another word stays as it is.
        _ => None,
    };
    if config.effort.is_some() {
        level.raw("thinkingLevel");
    }
    config.rest = level.into_rest();
    Ok(config)
}

/// What is asked of a provider.
#[derive(Debug, Default)]
pub(super) struct Thinking {
    shown: Option<bool>,
    budget: Option<i64>,
    level: Option<&'static str>,
    /// Fields of this dialect as they were written.
    rest: Option<Json>,
}

/// Tokens for a rung, as elsewhere in the house.
fn tokens(effort: Effort) -> u64 {
    match effort {
        Effort::None => 0,
        Effort::Minimal | Effort::Low => 1024,
        Effort::Medium => 4096,
        Effort::High => 8192,
        Effort::XHigh => 16_384,
        Effort::Max => 32_768,
    }
}

fn budget(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}

impl Thinking {
    /// Decides how a request's reasoning is asked for.
    pub fn plan(request: &ChatRequest, rule: &ModelRule, losses: &mut Vec<Loss>) -> Self {
        let Some(config) = &request.reasoning else {
            return Self::default();
        };
        if request.reasons_in_words_of(DialectName::GenerateContent) {
            return Self::own(config);
        }
        write_rest(None, &config.rest, "reasoning", losses);
        if config.is_off() {
            return Self::least(rule, losses);
        }
        let mut plan = Self {
            shown: (config.hidden != Some(true)).then_some(true),
            ..Self::default()
        };
        match rule.thinking {
            // Budgets are still taken by the models that have levels.
            Form::Budget { least, most } => {
                let asked = match (config.budget_tokens, config.effort) {
                    (Some(asked), _) => Some(asked),
                    (None, Some(effort)) => Some(tokens(effort)),
                    (None, None) => None,
                };
                plan.budget = match asked {
                    Some(asked) => {
                        let fit = asked.clamp(least, most);
                        if config.budget_tokens.is_some_and(|asked| asked != fit) {
                            let why = format!("the target takes {least} to {most}");
                            losses.push(Loss::altered("reasoning.budget", why));
                        }
                        Some(budget(fit))
                    }
                    None => Some(-1),
                };
            }
            Form::Level { minimal } => match (config.budget_tokens, config.effort) {
                (Some(asked), _) => plan.budget = Some(budget(asked)),
                (None, Some(effort)) => plan.level = Some(rung(effort, minimal, losses)),
                (None, None) => {}
            },
        }
        plan
    }

    /// As little as there is.
    fn least(rule: &ModelRule, losses: &mut Vec<Loss>) -> Self {
        let (budget, level) = match rule.thinking {
            Form::Budget { least, .. } => (Some(budget(least)), None),
            Form::Level { minimal } => (None, Some(if minimal { "minimal" } else { "low" })),
        };
        if budget != Some(0) {
            losses.push(Loss::approximated(
                "reasoning",
                "the target cannot be kept from it: it was asked for the least there is",
            ));
        }
        Self {
            budget,
            level,
            ..Self::default()
        }
    }

    fn own(config: &ReasoningConfig) -> Self {
        Self {
            shown: config.hidden.map(|hidden| !hidden),
            budget: match config.mode {
                Some(ReasoningMode::Disabled) => Some(0),
                Some(ReasoningMode::Adaptive) => Some(-1),
                _ => config.budget_tokens.map(budget),
            },
            level: config.effort.map(|effort| match effort {
                Effort::None | Effort::Minimal => "minimal",
                Effort::Low => "low",
                Effort::Medium => "medium",
                _ => "high",
            }),
            rest: (!config.rest.is_empty()).then(|| object_of(&config.rest)),
        }
    }

    /// Writes `thinkingConfig`, where anything is asked.
    pub fn write(&self, config: &mut ObjectWriter<'_>) {
        if self.shown.is_none()
            && self.budget.is_none()
            && self.level.is_none()
            && self.rest.is_none()
        {
            return;
        }
        config.object("thinkingConfig", |object| {
            object.bool_if("includeThoughts", self.shown);
            if let Some(budget) = self.budget {
                object.raw("thinkingBudget", &budget.to_string());
            }
            object.string_if("thinkingLevel", self.level);
            let rest = self.rest.as_ref();
            if let Some(rest) = rest.and_then(|json| Object::from_raw(json.raw())) {
                object.rest(&rest.into_rest());
            }
        });
    }
}

/// The wire's ladder goes from `minimal`, or from `low`, to `high`.
fn rung(effort: Effort, minimal: bool, losses: &mut Vec<Loss>) -> &'static str {
    let (word, exact) = match effort {
        Effort::Minimal if minimal => ("minimal", true),
        Effort::None | Effort::Minimal => ("low", false),
        Effort::Low => ("low", true),
        Effort::Medium => ("medium", true),
        Effort::High => ("high", true),
        Effort::XHigh | Effort::Max => ("high", false),
    };
    if !exact {
        let why = format!("`{word}` is the nearest rung there is");
        losses.push(Loss::approximated("reasoning.effort", why));
    }
    word
}
