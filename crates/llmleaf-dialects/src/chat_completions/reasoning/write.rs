//! Reasoning, written.

use super::super::answer::{DetailBody, write_detail};
use super::super::json::{ObjectWriter, push_list};
use super::super::quirks::{ReasoningEcho, ReasoningRequest};
use super::super::rendering::{Rendering, join};
use super::super::tools::GEMINI;
use crate::ladder::{self, Switch};
use llmleaf_model::{
    Artefact, ArtefactKind, Effort, Part, PartKind, Reasoning, ReasoningConfig, ReasoningForm,
    ReasoningMode, Rest, ToolCall,
};

/// Writes how much reasoning is wanted: (field, value) pairs of the request's top level.
pub(in super::super) fn write_config(
    rendering: &mut Rendering<'_>,
    config: &ReasoningConfig,
) -> Vec<(&'static str, Vec<u8>)> {
    match rendering.quirks.reasoning.request {
        ReasoningRequest::Object => vec![("reasoning", object(rendering, config))],
        // A model that takes a word is sent no switch that nobody wrote.
        ReasoningRequest::Thinking
            if ladder::has_rungs(rendering.model)
                && (!rendering.own() || config.unasked || config.mode.is_none()) =>
        {
            effort_only(rendering, config)
        }
        ReasoningRequest::Thinking => thinking(rendering, config),
        ReasoningRequest::Switch if is_off(config) => {
            lose_display(rendering, config);
            lose_rest(rendering, config);
            vec![("reasoning", b"{\"enabled\":false}".to_vec())]
        }
        ReasoningRequest::Switch
            if config.mode.is_some()
                && config.effort.is_none()
                && config.budget_tokens.is_none() =>
        {
            lose_display(rendering, config);
            lose_rest(rendering, config);
            vec![("reasoning", b"{\"enabled\":true}".to_vec())]
        }
        ReasoningRequest::Effort | ReasoningRequest::Switch => effort_only(rendering, config),
        ReasoningRequest::Unsupported => {
            rendering.dropped("reasoning", "the service cannot be asked for reasoning");
            Vec::new()
        }
    }
}

/// No reasoning is wanted.
fn is_off(config: &ReasoningConfig) -> bool {
    match config.mode {
        Some(mode) => mode == ReasoningMode::Disabled,
        None => match config.effort {
            Some(effort) => effort == Effort::None,
            None => config.budget_tokens == Some(0),
        },
    }
}

fn word(effort: Effort) -> Vec<u8> {
    ["\"", effort.as_str(), "\""].concat().into_bytes()
}

fn effort_only(
    rendering: &mut Rendering<'_>,
    config: &ReasoningConfig,
) -> Vec<(&'static str, Vec<u8>)> {
    lose_display(rendering, config);
    lose_rest(rendering, config);
    let effort = match (config.effort, config.budget_tokens, config.mode) {
        (Some(effort), budget, mode) => {
            if budget.is_some() {
                rendering.dropped("reasoning.max_tokens", "the service takes an effort only");
            }
            if mode == Some(ReasoningMode::Disabled) && effort != Effort::None {
                Some(Effort::None)
            } else {
                Some(effort)
            }
        }
        (None, _, Some(ReasoningMode::Disabled)) => {
            rendering.approximated("reasoning", "switched off by the lowest effort");
            Some(Effort::None)
        }
        (None, Some(budget), _) => {
            rendering.approximated("reasoning.max_tokens", "the service takes an effort only");
            Some(ladder::of_budget(budget))
        }
        (None, None, Some(_)) => {
            rendering.approximated("reasoning", "left to the service's default effort");
            None
        }
        (None, None, None) => None,
    };
    let own = rendering.own() && !config.unasked;
    effort
        .map(|effort| match own {
            true => effort,
            false => ladder::rung(rendering.model, effort, &mut rendering.losses),
        })
        .map(|effort| match rendering.quirks.reasoning.request {
            // Its words are those (ChatCompletionRequest of Together's OpenAPI document 2.0.0, 2026-04).
            ReasoningRequest::Switch if !own => {
                let rungs = [Effort::Low, Effort::Medium, Effort::High];
                ladder::nearest(effort, &rungs, &mut rendering.losses)
            }
            _ => effort,
        })
        .map(|effort| ("reasoning_effort", word(effort)))
        .into_iter()
        .collect()
}

fn object(rendering: &mut Rendering<'_>, config: &ReasoningConfig) -> Vec<u8> {
    let mut out = Vec::new();
    let mut object = ObjectWriter::begin(&mut out);
    match config.mode {
        Some(ReasoningMode::Disabled) => object.boolean("enabled", false),
        Some(ReasoningMode::Enabled) => object.boolean("enabled", true),
        Some(ReasoningMode::Adaptive) => {
            rendering.approximated("reasoning", "the service has no adaptive reasoning");
            object.boolean("enabled", true);
        }
        None => {}
    }
    object.string_if("effort", config.effort.map(Effort::as_str));
    if let Some(budget) = config.budget_tokens {
        object.integer("max_tokens", budget);
    }
    if let Some(hidden) = config.hidden {
        object.boolean("exclude", hidden);
    }
    object.string_if("summary", config.summary.as_deref());
    let written = ["enabled", "effort", "max_tokens", "exclude", "summary"];
    config_rest(rendering, &mut object, config, &written, "reasoning");
    object.end();
    out
}

/// The switch `thinking`, and the effort beside it. What a consumer of this wire wrote is its own affair.
fn thinking(
    rendering: &mut Rendering<'_>,
    config: &ReasoningConfig,
) -> Vec<(&'static str, Vec<u8>)> {
    lose_display(rendering, config);
    let own = rendering.own() && !config.unasked;
    let switch = match own {
        true => Switch::WithEffort,
        false => ladder::switch(rendering.model),
    };
    let kind = match (config.mode, config.effort, config.budget_tokens) {
        (Some(ReasoningMode::Disabled), _, _) | (None, Some(Effort::None), _) => "disabled",
        (Some(ReasoningMode::Adaptive), _, _) if own => "adaptive",
        (Some(ReasoningMode::Adaptive), _, _) => {
            rendering.approximated("thinking", "the service has no adaptive reasoning");
            "enabled"
        }
        (None, None, None) if config.rest.is_empty() => return Vec::new(),
        _ => "enabled",
    };
    match switch {
        Switch::Absent if kind == "disabled" => return Vec::new(),
        Switch::Absent => {
            rendering.dropped("reasoning", "the model does not reason");
            return Vec::new();
        }
        Switch::AlwaysOn if kind == "disabled" => {
            rendering.dropped("reasoning", "the model cannot be kept from reasoning");
            return Vec::new();
        }
        _ => {}
    }
    let mut fields = vec![("thinking", switched(rendering, config, kind, own))];
    if let Some(effort) = effort_beside(rendering, config, kind, own, switch) {
        fields.push(("reasoning_effort", word(effort)));
    }
    fields
}

/// The object of the switch.
fn switched(
    rendering: &mut Rendering<'_>,
    config: &ReasoningConfig,
    kind: &str,
    own: bool,
) -> Vec<u8> {
    let mut out = Vec::new();
    let mut object = ObjectWriter::begin(&mut out);
    let mut written = vec!["budget_tokens"];
    // A type that the reading does not know lies in the rest.
    if config.mode.is_some() || config.rest.get("type").is_none() || !rendering.own() {
        object.string("type", kind);
        written.push("type");
    }
    // No service documents it here.
    if let Some(budget) = config.budget_tokens.filter(|_| own && kind != "disabled") {
        object.integer("budget_tokens", budget);
    }
    config_rest(rendering, &mut object, config, &written, "thinking");
    object.end();
    out
}

/// The word beside the switch, where the model takes one and one is stated, or follows from a budget.
fn effort_beside(
    rendering: &mut Rendering<'_>,
    config: &ReasoningConfig,
    kind: &str,
    own: bool,
    switch: Switch,
) -> Option<Effort> {
    let stated = config
        .effort
        .filter(|e| *e != Effort::None || config.mode.is_some());
    if own {
        return stated;
    }
    let budget = config.budget_tokens.filter(|_| kind != "disabled");
    if switch != Switch::WithEffort {
        let field = match (stated, budget) {
            _ if kind == "disabled" => return None,
            (Some(_), _) => "reasoning.effort",
            (None, Some(_)) => "reasoning.max_tokens",
            (None, None) => return None,
        };
        rendering.approximated(field, "nothing tells the model how much to reason");
        return None;
    }
    match (stated, budget) {
        (Some(effort), budget) => {
            if budget.is_some() {
                rendering.dropped("reasoning.max_tokens", "the service takes an effort only");
            }
            Some(effort)
        }
        (None, Some(budget)) => {
            rendering.approximated("reasoning.max_tokens", "the service takes an effort only");
            Some(ladder::of_budget(budget))
        }
        (None, None) => None,
    }
}

/// The rest of two spellings goes into the object of one: what stands there already is lost.
fn config_rest(
    rendering: &mut Rendering<'_>,
    object: &mut ObjectWriter<'_>,
    config: &ReasoningConfig,
    written: &[&str],
    path: &str,
) {
    let mut rest = Rest::default();
    for (key, value) in config.rest.iter() {
        if written.contains(&key) || rest.get(key).is_some() {
            rendering.dropped(
                &join(path, key),
                "another spelling of it says something else",
            );
        } else {
            rest.push(key, value.clone());
        }
    }
    rendering.rest(object, &rest, None, path);
}

fn lose_display(rendering: &mut Rendering<'_>, config: &ReasoningConfig) {
    // Hiding is done on the way back as well, so here only the wish to the service is lost.
    if config.summary.is_some() {
        rendering.dropped(
            "reasoning.summary",
            "the service makes no summaries on request",
        );
    }
}

fn lose_rest(rendering: &mut Rendering<'_>, config: &ReasoningConfig) {
    for (key, _) in config.rest.iter() {
        rendering.dropped(&join("reasoning", key), "the service takes an effort only");
    }
}

/// What of the earlier reasoning was written where.
pub(in super::super) struct Echo {
    /// The thoughts go into the content list, each at its place.
    pub in_content: bool,
}

/// Writes an assistant message's earlier reasoning into the message.
pub(in super::super) fn write_echo(
    rendering: &mut Rendering<'_>,
    object: &mut ObjectWriter<'_>,
    parts: &[Part],
    path: &str,
) -> Echo {
    let thoughts: Vec<&Part> = parts.iter().filter(|part| is_thought(part)).collect();
    let echo = rendering.quirks.reasoning.echo;
    let done = Echo {
        in_content: echo == ReasoningEcho::ContentParts,
    };
    let calls: Vec<&ToolCall> = match echo {
        ReasoningEcho::Details => parts.iter().filter_map(proven_call).collect(),
        _ => Vec::new(),
    };
    if thoughts.is_empty() && calls.is_empty() || done.in_content {
        return done;
    }
    match echo {
        ReasoningEcho::Unknown => rendering.dropped(
            &join(path, "reasoning"),
            "nobody knows whether the service takes earlier reasoning",
        ),
        ReasoningEcho::Never | ReasoningEcho::ContentParts => {
            rendering.dropped(
                &join(path, "reasoning"),
                "the service takes no earlier reasoning",
            );
        }
        ReasoningEcho::ReasoningContent => {
            plain(rendering, object, &thoughts, "reasoning_content", path);
        }
        ReasoningEcho::Reasoning => plain(rendering, object, &thoughts, "reasoning", path),
        ReasoningEcho::Details => details(rendering, object, &thoughts, &calls, path),
    }
    done
}

fn proven_call(part: &Part) -> Option<&ToolCall> {
    match &part.kind {
        PartKind::ToolCall(call) if call.artefact.is_some() => Some(call),
        _ => None,
    }
}

fn is_thought(part: &Part) -> bool {
    match &part.kind {
        PartKind::Reasoning(_) => true,
        PartKind::Opaque { dialect, kind, .. } => {
            *dialect == llmleaf_model::DialectName::ChatCompletions
                && kind.starts_with("reasoning_details:")
        }
        _ => false,
    }
}

fn plain(
    rendering: &mut Rendering<'_>,
    object: &mut ObjectWriter<'_>,
    thoughts: &[&Part],
    key: &str,
    path: &str,
) {
    let mut text = String::new();
    for part in thoughts {
        if let PartKind::Reasoning(reasoning) = &part.kind {
            text.push_str(&reasoning.joined());
            if reasoning.artefact.is_some() {
                lose_artefact(rendering, path);
            }
        }
    }
    if !text.is_empty() {
        object.string(key, &text);
    }
}

fn lose_artefact(rendering: &mut Rendering<'_>, path: &str) {
    rendering.dropped(
        &join(path, "reasoning_details"),
        "the service cannot verify this artefact",
    );
}

/// The artefact, where the service can verify it.
fn verified<'r>(
    rendering: &mut Rendering<'_>,
    artefact: Option<&'r Artefact>,
    path: &str,
) -> Option<&'r Artefact> {
    let artefact = artefact?;
    let known = &rendering.quirks.reasoning.verifies;
    if known.contains(&artefact.provenance.0) {
        return Some(artefact);
    }
    lose_artefact(rendering, path);
    None
}

/// The proof of a call, where it goes with the call itself: Google's own layer for this wire has it there, and so has whoever passes its
/// answers on. Nobody else's models can verify it.
pub(in super::super) fn verified_with_call<'r>(
    rendering: &mut Rendering<'_>,
    artefact: Option<&'r Artefact>,
    path: &str,
) -> Option<&'r Artefact> {
    let artefact = artefact?;
    let reasoning = &rendering.quirks.reasoning;
    if artefact.provenance == GEMINI && reasoning.proves_calls(rendering.model) {
        return Some(artefact);
    }
    lose_artefact(rendering, path);
    None
}

fn details(
    rendering: &mut Rendering<'_>,
    object: &mut ObjectWriter<'_>,
    thoughts: &[&Part],
    calls: &[&ToolCall],
    path: &str,
) {
    let mut entries = Vec::new();
    let (mut index, mut unproven) = (0, false);
    for part in thoughts {
        match &part.kind {
            PartKind::Reasoning(reasoning) => {
                // A named thought was told apart from the text before it for its name only, and has one number with it.
                // The name of that text may be one that the gateway made up for a wire whose thoughts all have one.
                let joins = unproven && !rendering.own() && is_named_alone(reasoning);
                index -= usize::from(joins);
                unproven = reasoning.artefact.is_none();
                let artefact = verified(rendering, reasoning.artefact.as_ref(), path);
                let rest = rendering.own().then_some(&part.rest);
                stretch(reasoning, artefact, index, rest, &mut entries);
            }
            PartKind::Opaque { json, .. } => {
                unproven = false;
                entries.push(json.as_str().as_bytes().to_vec());
            }
            _ => {}
        }
        index += 1;
    }
    for (at, call) in calls.iter().enumerate() {
        let Some(artefact) = verified(rendering, call.artefact.as_ref(), path) else {
            continue;
        };
        let mut one = Vec::new();
        let body = DetailBody::OfCall(artefact);
        write_detail(&mut one, &body, Some(&call.id), index + at, None);
        entries.push(one);
    }
    if !entries.is_empty() {
        push_list(object.key("reasoning_details"), entries, |out, one| {
            out.extend_from_slice(&one);
        });
    }
}

/// An encrypted thought that says its name and nothing else.
fn is_named_alone(reasoning: &Reasoning) -> bool {
    let sealed = reasoning.artefact.as_ref();
    sealed.is_some_and(|a| a.kind == ArtefactKind::Encrypted)
        && reasoning.id.is_some()
        && reasoning.texts.iter().all(|part| part.text.is_empty())
}

/// The entries that one stretch of reasoning becomes. A signature stands with the last text, and only there.
fn stretch(
    reasoning: &Reasoning,
    artefact: Option<&Artefact>,
    index: usize,
    rest: Option<&llmleaf_model::Rest>,
    entries: &mut Vec<Vec<u8>>,
) {
    // Other wires name every thought; here only a sealed one has a name (recorded, whichever the model).
    let sealed = artefact.is_some_and(|a| a.kind == ArtefactKind::Encrypted);
    let id = reasoning.id.as_deref().filter(|_| sealed || rest.is_some());
    let signature = artefact.filter(|a| a.kind == ArtefactKind::Signature);
    let last = reasoning.texts.len().checked_sub(1);
    let mut alone = artefact;
    let mut rest = rest;
    let own = rest.is_some();
    for (at, text) in reasoning.texts.iter().enumerate() {
        let proof = signature.filter(|_| Some(at) == last && text.form == ReasoningForm::Full);
        if proof.is_some() {
            alone = None;
        } else if text.text.is_empty() && !own {
            continue;
        }
        let mut one = Vec::new();
        let body = DetailBody::Text(text.form, &text.text, proof);
        write_detail(&mut one, &body, id.filter(|_| own), index, rest.take());
        entries.push(one);
    }
    if let Some(artefact) = alone {
        let mut one = Vec::new();
        let body = DetailBody::Artefact(artefact);
        write_detail(&mut one, &body, id, index, rest.take());
        entries.push(one);
    }
}

/// Writes a thought as a `thinking` part of the content list.
pub(in super::super) fn write_thinking_part(
    rendering: &mut Rendering<'_>,
    part: &Part,
    reasoning: &Reasoning,
    path: &str,
    out: &mut Vec<u8>,
) {
    let mut object = ObjectWriter::begin(out);
    object.string("type", "thinking");
    push_list(object.key("thinking"), &reasoning.texts, |out, text| {
        let mut inner = ObjectWriter::begin(out);
        inner.string("type", "text");
        inner.string("text", &text.text);
        inner.end();
    });
    if let Some(artefact) = verified(rendering, reasoning.artefact.as_ref(), path) {
        object.string("signature", &artefact.data);
    }
    rendering.rest(&mut object, &part.rest, None, path);
    object.end();
}
