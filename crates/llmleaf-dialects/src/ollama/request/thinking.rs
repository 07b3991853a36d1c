//! `think`, both ways.

use crate::level::wrong;
use crate::object::string;
use crate::ollama::quirks::Thinking;
use crate::ollama::wire::ObjectWriter;
use llmleaf_model::{ChatRequest, Effort, Failure, Loss, ReasoningConfig, ReasoningMode};
use serde_json::value::RawValue;

/// Reads it: true, false, or a level.
pub(super) fn parse(raw: &RawValue) -> Result<ReasoningConfig, Failure> {
    let mut config = ReasoningConfig::default();
    match (raw.get(), string(raw).as_deref()) {
        ("true", _) => config.mode = Some(ReasoningMode::Enabled),
        ("false", _) => config.mode = Some(ReasoningMode::Disabled),
        (_, Some("low")) => config.effort = Some(Effort::Low),
        (_, Some("medium")) => config.effort = Some(Effort::Medium),
        (_, Some("high")) => config.effort = Some(Effort::High),
        (_, Some("max")) => config.effort = Some(Effort::Max),
        _ => {
            let what = "true, false, \"low\", \"medium\", \"high\" or \"max\"";
            return Err(wrong("think", what));
        }
    }
    Ok(config)
}

/// Writes it, where anything is asked.
pub(super) fn write(
    body: &mut ObjectWriter<'_>,
    request: &ChatRequest,
    form: Thinking,
    own: bool,
    losses: &mut Vec<Loss>,
) {
    let Some(config) = &request.reasoning else {
        return;
    };
    let off = config.mode == Some(ReasoningMode::Disabled) || config.effort == Some(Effort::None);
    if own {
        match config.effort {
            _ if off => body.bool("think", false),
            Some(effort) => body.string("think", level(effort)),
            None => body.bool("think", true),
        };
        return;
    }
    for (name, _) in config.rest.iter() {
        let field = format!("reasoning.{name}");
        losses.push(Loss::dropped(field, "not on this wire"));
    }
    match form {
        Thinking::Switch if off => {
            body.bool("think", false);
        }
        Thinking::Switch if asked(config) => {
            if config.effort.is_some() || config.budget_tokens.is_some() {
                let why = "the target's thinking is on or off";
                losses.push(Loss::approximated("reasoning.effort", why));
            }
            body.bool("think", true);
        }
        Thinking::Levels if off => {
            let why = "the target cannot be kept from it: it was asked for the least there is";
            losses.push(Loss::approximated("reasoning", why));
            body.string("think", "low");
        }
        Thinking::Levels if asked(config) => {
            let effort = config.effort.unwrap_or(Effort::Medium);
            let word = match effort {
                Effort::XHigh | Effort::Max => "high",
                effort => level(effort),
            };
            if config.effort.is_some_and(|effort| effort.as_str() != word)
                || config.budget_tokens.is_some()
            {
                let why = format!("`{word}` is the nearest rung there is");
                losses.push(Loss::approximated("reasoning.effort", why));
            }
            body.string("think", word);
        }
        // Left to the model.
        _ => {}
    }
}

/// Whether reasoning is asked for in any words.
fn asked(config: &ReasoningConfig) -> bool {
    config.effort.is_some()
        || config.budget_tokens.is_some()
        || config.mode == Some(ReasoningMode::Enabled)
}

/// The wire's word for a rung.
fn level(effort: Effort) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::XHigh | Effort::Max => "max",
    }
}
