//! How models are asked for reasoning: the rungs they have, by the beginning of their name.
//!
//! One table for all wires: the same model is asked over several. A rung that a model lacks becomes the nearest that it has,
//! of two equally near the lower, and never none at all where some was asked.

use llmleaf_model::{Effort, Loss};

use Effort::{High, Low, Max, Medium, Minimal, None as Off, XHigh};

/// Rungs by model, where effort is a word; the first row that fits counts.
///
/// Sources: the services' own messages ("Unsupported value: 'minimal' is not supported with the 'gpt-5.1' model"), the type
/// ReasoningEffort of Azure's SDK, `reasoning_effort` in Mistral's OpenAPI document 1.0.0 (2026-08) and
/// in Kimi's of the same number and date, "Effort" and the migration guides on
/// platform.claude.com, and of GLM 5.3 AIHubMix's guide on dev.to (always thinking, `low`, `high` or `max`), all read 2026-11.
const RUNGS: &[(&str, &[Effort])] = &[
    ("gpt-5-pro", &[High]),
    ("gpt-5-codex", &[Low, Medium, High]),
    ("gpt-5.1-codex-max", &[Low, Medium, High, XHigh]),
    ("gpt-5.1-codex", &[Low, Medium, High]),
    ("gpt-5.1", &[Off, Low, Medium, High]),
    ("gpt-5.2-pro", &[Medium, High, XHigh]),
    ("gpt-5.3-codex", &[Low, Medium, High, XHigh]),
    ("gpt-5.6", &[Off, Low, Medium, High, XHigh, Max]),
    ("gpt-5.", &[Off, Low, Medium, High, XHigh]),
    ("gpt-5", &[Minimal, Low, Medium, High]),
    ("gpt-oss", &[Low, Medium, High]),
    ("o1", &[Low, Medium, High]),
    ("o3", &[Low, Medium, High]),
    ("o4-mini", &[Low, Medium, High]),
    ("magistral", &[Off, High]),
    ("mistral", &[Off, High]),
    ("ministral", &[Off, High]),
    ("kimi-k3", &[Low, High, Max]),
    ("glm-5.3", &[Low, High, Max]),
    ("claude-opus-4-5", &[Low, Medium, High]),
    ("claude-opus-4-6", &[Low, Medium, High, Max]),
    ("claude-sonnet-4-6", &[Low, Medium, High, Max]),
    ("claude", &[Low, Medium, High, XHigh, Max]),
];

/// What a model takes beside or instead of the switch `thinking`, where its service has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Switch {
    /// On and off, and nothing says how much.
    OnOff,
    /// The same, but it cannot be switched off.
    AlwaysOn,
    /// It does not reason, and knows no switch.
    Absent,
    /// On and off, and a word for the effort beside it; so are models taken that the table does not know.
    WithEffort,
}

/// Sources: the schema of each model in Kimi's OpenAPI document 1.0.0 (2026-08), of which none has more in `thinking` than `type` and `keep`;
/// docs.z.ai/guides/capabilities/thinking-mode and docs.together.ai/docs/glm-5.2-quickstart, read 2026-11.
const SWITCHES: &[(&str, Switch)] = &[
    ("kimi-k2.7", Switch::AlwaysOn),
    ("kimi-k2", Switch::OnOff),
    ("moonshot-v1", Switch::Absent),
    ("glm-4", Switch::OnOff),
    ("glm-5.1", Switch::OnOff),
    ("glm-5.", Switch::WithEffort),
    ("glm-5", Switch::OnOff),
];

/// What a model takes beside or instead of the switch `thinking`.
pub(crate) fn switch(model: &str) -> Switch {
    let name = family(model);
    let row = SWITCHES.iter().find(|(prefix, _)| name.starts_with(prefix));
    row.map_or(Switch::WithEffort, |(_, switch)| *switch)
}

/// How a model of the Messages wire thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thinks {
    /// By a budget only.
    ByBudget,
    /// By a budget, or adaptively.
    Either,
    /// Adaptively only: a budget, and `temperature` and its kin, are refused.
    Adaptively,
    /// The same, and it cannot be switched off.
    Always,
    /// The table does not know the model: its service's row says how.
    Unknown,
}

const THINKS: &[(&str, Thinks)] = &[
    ("claude-opus-4-6", Thinks::Either),
    ("claude-sonnet-4-6", Thinks::Either),
    ("claude-opus-4-7", Thinks::Adaptively),
    ("claude-opus-4-8", Thinks::Adaptively),
    ("claude-opus-5-5", Thinks::Always),
    ("claude-fable", Thinks::Always),
    ("claude-opus-5", Thinks::Adaptively),
    ("claude-sonnet-5", Thinks::Adaptively),
    ("claude-haiku-5", Thinks::Adaptively),
    ("claude-mythos", Thinks::Adaptively),
    ("claude-3", Thinks::ByBudget),
    ("claude-opus-4", Thinks::ByBudget),
    ("claude-sonnet-4", Thinks::ByBudget),
    ("claude-haiku-4", Thinks::ByBudget),
];

/// How a model of the Messages wire thinks.
pub(crate) fn thinks(model: &str) -> Thinks {
    let name = family(model);
    let row = THINKS.iter().find(|(prefix, _)| name.starts_with(prefix));
    row.map_or(Thinks::Unknown, |(_, thinks)| *thinks)
}

/// Models of the Messages wire that take `temperature` or `top_p`, and refuse both ("`temperature` and `top_p` cannot both be specified for
/// this model": github.com/browseros-ai/BrowserOS issue 208 and open-webui/functions pull request 9, read 2026-11).
const EITHER_SAMPLER: [&str; 6] = [
    "claude-opus-4-1",
    "claude-opus-4-5",
    "claude-opus-4-6",
    "claude-sonnet-4-5",
    "claude-sonnet-4-6",
    "claude-haiku-4-5",
];

/// Whether the model refuses `top_p` beside `temperature`.
pub(crate) fn takes_one_sampler(model: &str) -> bool {
    let name = family(model);
    EITHER_SAMPLER.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether the model is asked by a word for its effort, also where its siblings have a switch.
pub(crate) fn has_rungs(model: &str) -> bool {
    let name = family(model);
    RUNGS.iter().any(|(prefix, _)| name.starts_with(prefix))
}

/// The rung to ask a model for; what differs from the one wanted is told.
pub(crate) fn rung(model: &str, wanted: Effort, losses: &mut Vec<Loss>) -> Effort {
    let name = family(model);
    let row = RUNGS.iter().find(|(prefix, _)| name.starts_with(prefix));
    row.map_or(wanted, |(_, rungs)| nearest(wanted, rungs, losses))
}

/// The rung of these that is nearest to the one wanted; what differs is told.
pub(crate) fn nearest(wanted: Effort, rungs: &[Effort], losses: &mut Vec<Loss>) -> Effort {
    if rungs.contains(&wanted) {
        return wanted;
    }
    let place = |effort: Effort| Effort::LADDER.iter().position(|rung| *rung == effort);
    let away = |rung: &&Effort| {
        place(**rung)
            .unwrap_or(0)
            .abs_diff(place(wanted).unwrap_or(0))
    };
    let fits = rungs.iter().filter(|rung| **rung != Off);
    let nearest = fits.min_by_key(away).copied().unwrap_or(wanted);
    let why = format!(
        "`{}` is the nearest rung that the model has",
        nearest.as_str()
    );
    losses.push(Loss::approximated("reasoning.effort", why));
    nearest
}

/// The rung nearest to a budget. The steps lie between the budgets that stand for the rungs elsewhere
/// (1024, 4096, 8192, 16384).
pub(crate) fn of_budget(budget: u64) -> Effort {
    match budget {
        0 => Off,
        1..=2048 => Low,
        2049..=6144 => Medium,
        6145..=12_288 => High,
        _ => XHigh,
    }
}

/// Whether the model is one of those that prove their calls, and want the proofs back (ai.google.dev/gemini-api/docs/thought-signatures,
/// read 2026-11).
pub(crate) fn is_gemini(model: &str) -> bool {
    family(model).starts_with("gemini")
}

/// Whether a model's name begins so, in whichever case its service writes it.
pub(crate) fn begins(name: &str, with: &str) -> bool {
    let start = name.get(..with.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(with))
}

/// A model's name without what stands before it, in the spelling of its maker (routers write `4.5` for `4-5`, hosts of open weights
/// `Kimi-K3` and `GLM-5.3`).
pub(crate) fn family(model: &str) -> String {
    let name = model.rsplit('/').next().unwrap_or(model);
    let name = name.to_ascii_lowercase();
    let name = name
        .rsplit_once("anthropic.")
        .map_or(name.as_str(), |(_, name)| name);
    match name.starts_with("claude") {
        true => name.replace('.', "-"),
        false => name.to_owned(),
    }
}

#[cfg(test)]
mod tests;
