//! How much reasoning, both ways.

use super::tools;
use crate::ladder::{self, Thinks};
use crate::level::Level;
use crate::messages::quirks::{EffortForm, Quirks};
use crate::messages::wire::ObjectWriter;
use crate::object::string;
use crate::writer::write_rest;
use llmleaf_model::{
    ChatRequest, DialectName, Effort, Failure, Loss, Message, Part, PartKind, ReasoningConfig,
    ReasoningMode, Role,
};

/// Least budget that the wire takes.
const MIN_BUDGET: u64 = 1024;

/// Reads `thinking`.
pub(super) fn parse(top: &mut Level<'_>) -> Result<Option<ReasoningConfig>, Failure> {
    let Some(mut level) = top.object("thinking")? else {
        return Ok(None);
    };
    let mode = match level.peek("type").and_then(string).as_deref() {
        Some("enabled") => Some(ReasoningMode::Enabled),
        Some("disabled") => Some(ReasoningMode::Disabled),
        Some("adaptive") => Some(ReasoningMode::Adaptive),
        // Another type is kept as it is written.
        Some(_) => None,
        None => return Err(level.missing("type")),
    };
    if mode.is_some() {
        level.raw("type");
    }
    let summary = level.string("display")?;
    Ok(Some(ReasoningConfig {
        mode,
        effort: None,
        budget_tokens: level.integer("budget_tokens")?,
        hidden: (summary.as_deref() == Some("omitted")).then_some(true),
        summary,
        unasked: false,
        rest: level.into_rest(),
    }))
}

/// Takes `effort` out of `output_config`; a rung that is not known stays where it is.
pub(super) fn parse_effort(level: &mut Level<'_>) -> Result<Option<Effort>, Failure> {
    let effort = level
        .peek("effort")
        .and_then(string)
        .and_then(|text| Effort::parse(&text));
    if effort.is_some() {
        level.raw("effort");
    }
    Ok(effort)
}

/// What is asked of a provider.
#[derive(Debug, Default)]
pub(super) struct Thinking {
    kind: Option<&'static str>,
    budget: Option<u64>,
    display: Option<String>,
    effort: Option<Effort>,
    /// Fields of this dialect as they were written.
    rest: llmleaf_model::Rest,
}

impl Thinking {
    /// Decides how a request's reasoning is asked for.
    pub fn plan(
        request: &ChatRequest,
        model: &str,
        quirks: &Quirks,
        losses: &mut Vec<Loss>,
    ) -> Self {
        let Some(config) = &request.reasoning else {
            return Self::default();
        };
        if request.reasons_in_words_of(DialectName::Messages) {
            return Self::own(config);
        }
        write_rest(None, &config.rest, "reasoning", losses);
        let thinks = ladder::thinks(model);
        if config.is_off() {
            return Self::off(thinks, losses);
        }
        // The wire refuses both together (reference of extended thinking, 2026-10).
        if tools::is_forced(request) {
            losses.push(Loss::dropped(
                "reasoning",
                "not together with a forced tool call",
            ));
            return Self::default();
        }
        let mut plan = Self {
            display: config.summary.as_ref().map(|_| "summarized".to_owned()),
            ..Self::default()
        };
        if config.hidden == Some(true) {
            plan.display = Some("omitted".to_owned());
        }
        if is_adaptive(config, thinks, quirks, losses) {
            plan.kind = Some("adaptive");
            let effort = config
                .effort
                .or(config.budget_tokens.map(ladder::of_budget));
            plan.effort = effort.map(|effort| {
                let effort = lowest_rung(effort, losses);
                ladder::rung(model, effort, losses)
            });
            return plan;
        }
        if answers_unsigned_calls(request, quirks) {
            losses.push(Loss::dropped(
                "reasoning",
                "the calls that are answered came back without the signed reasoning that the wire wants before them",
            ));
            return Self::default();
        }
        plan.kind = Some("enabled");
        plan.budget = Some(budget(config, losses));
        plan
    }

    /// Switched off, or asked for the least where the model cannot be.
    fn off(thinks: Thinks, losses: &mut Vec<Loss>) -> Self {
        if thinks != Thinks::Always {
            return Self {
                kind: Some("disabled"),
                ..Self::default()
            };
        }
        let why = "the target cannot be kept from it: it was asked for the least there is";
        losses.push(Loss::approximated("reasoning", why));
        Self {
            kind: Some("adaptive"),
            effort: Some(Effort::Low),
            ..Self::default()
        }
    }

    fn own(config: &ReasoningConfig) -> Self {
        Self {
            kind: config.mode.map(|mode| match mode {
                ReasoningMode::Enabled => "enabled",
                ReasoningMode::Disabled => "disabled",
                ReasoningMode::Adaptive => "adaptive",
            }),
            budget: config.budget_tokens,
            display: config.summary.clone(),
            effort: config.effort,
            rest: config.rest.clone(),
        }
    }

    /// True where the provider will reason, as far as was asked.
    pub fn is_on(&self) -> bool {
        matches!(self.kind, Some("enabled" | "adaptive"))
    }

    /// The output cap that leaves room for an answer behind the budget.
    pub fn cap(&self, asked: Option<u64>, default: u64, own: bool, losses: &mut Vec<Loss>) -> u64 {
        let cap = asked.unwrap_or(default);
        match self.budget {
            Some(budget) if cap <= budget && !own => {
                if asked.is_some() {
                    losses.push(Loss::altered(
                        "max_tokens",
                        "raised above the budget for reasoning",
                    ));
                }
                budget.saturating_add(cap)
            }
            _ => cap,
        }
    }

    /// The rung for `output_config.effort`.
    pub fn effort(&self) -> Option<Effort> {
        self.effort
    }

    /// Writes `thinking`, where anything is asked.
    pub fn write(&self, body: &mut ObjectWriter<'_>) {
        if self.kind.is_none()
            && self.rest.is_empty()
            && self.budget.is_none()
            && self.display.is_none()
        {
            return;
        }
        body.object("thinking", |object| {
            object.string_if("type", self.kind);
            if let Some(budget) = self.budget {
                object.number("budget_tokens", budget);
            }
            object
                .string_if("display", self.display.as_deref())
                .rest(&self.rest);
        });
    }
}

/// Whether the model is left to decide how much it thinks, as the consumer asked or as the model knows nothing else.
fn is_adaptive(
    config: &ReasoningConfig,
    thinks: Thinks,
    quirks: &Quirks,
    losses: &mut Vec<Loss>,
) -> bool {
    let asked = config.mode == Some(ReasoningMode::Adaptive);
    match thinks {
        Thinks::ByBudget => {
            if asked {
                let why = "the model thinks by a budget only";
                losses.push(Loss::approximated("reasoning", why));
            }
            false
        }
        Thinks::Either => asked || config.budget_tokens.is_none(),
        Thinks::Adaptively | Thinks::Always => {
            if config.budget_tokens.is_some() {
                let why = "the model takes an effort in place of a budget";
                losses.push(Loss::approximated("reasoning.budget", why));
            }
            true
        }
        Thinks::Unknown => {
            asked || quirks.effort == EffortForm::Adaptive && config.budget_tokens.is_none()
        }
    }
}

/// True where the conversation ends with results of calls whose turn does not begin with reasoning that the target can
/// verify. With a budget the wire refuses such a turn, a client that keeps no reasoning would be stuck in its own tool
/// loop, and the calls cannot be made anew (reference of extended thinking, "Preserving thinking blocks", 2026-10; with
/// adaptive thinking nothing is demanded).
pub(in crate::messages) fn answers_unsigned_calls(request: &ChatRequest, quirks: &Quirks) -> bool {
    let verified = |part: &Part| match &part.kind {
        PartKind::Reasoning(reasoning) => reasoning
            .artefact
            .as_ref()
            .is_some_and(|artefact| quirks.can_verify(&artefact.provenance)),
        _ => false,
    };
    // Reasoning that cannot be verified is not sent, so it is not in the way.
    let sent = |part: &&Part| !matches!(part.kind, PartKind::Reasoning(_)) || verified(part);
    begin_of_turn(&request.messages)
        .is_some_and(|message| !message.parts.iter().find(sent).is_some_and(verified))
}

/// The first message of the turn whose calls are answered at the end of the conversation, if there is one. A turn is all
/// that the assistant said since the user last spoke without answering a call.
fn begin_of_turn(messages: &[Message]) -> Option<&Message> {
    let is_result = |part: &Part| matches!(part.kind, PartKind::ToolResult(_));
    let (mut first, mut answers, mut passed) = (None, false, false);
    for message in messages.iter().rev() {
        match message.role {
            Role::System | Role::Developer => {}
            Role::Assistant if !answers => break,
            Role::Assistant => (first, passed) = (Some(message), true),
            // Neighbours become one message on this wire, and one result makes it an answer.
            Role::User | Role::Tool => {
                answers = message.parts.iter().any(is_result) || answers && !passed;
                passed = false;
            }
        }
    }
    first
}

/// Tokens for a rung.
fn budget(config: &ReasoningConfig, losses: &mut Vec<Loss>) -> u64 {
    if let Some(asked) = config.budget_tokens {
        if asked < MIN_BUDGET {
            losses.push(Loss::altered(
                "reasoning.budget",
                "raised to the least there is",
            ));
        }
        return asked.max(MIN_BUDGET);
    }
    match config.effort {
        Some(Effort::None | Effort::Minimal | Effort::Low) => 1024,
        Some(Effort::Medium) | None => 4096,
        Some(Effort::High) => 8192,
        Some(Effort::XHigh) => 16384,
        Some(Effort::Max) => 32768,
    }
}

/// The wire's ladder begins at `low`.
fn lowest_rung(effort: Effort, losses: &mut Vec<Loss>) -> Effort {
    if effort < Effort::Low {
        losses.push(Loss::approximated(
            "reasoning.effort",
            "`low` is the least there is",
        ));
    }
    effort.max(Effort::Low)
}
