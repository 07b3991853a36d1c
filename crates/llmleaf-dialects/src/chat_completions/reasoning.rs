//! Reasoning: how much is asked for, and the earlier thoughts that go back.

mod write;

pub(super) use write::{Echo, verified_with_call, write_config, write_echo, write_thinking_part};

use super::events::provenance;
use super::fields::{Fields, Path};
use llmleaf_model::{
    Artefact, ArtefactKind, Effort, Failure, Part, PartKind, Provenance, Reasoning,
    ReasoningConfig, ReasoningForm, ReasoningMode, ReasoningText, Rest,
};
use serde_json::value::RawValue;
use std::collections::{HashMap, HashSet};

/// Reads the four spellings: `reasoning_effort`, `reasoning`, `thinking`, `include_reasoning`.
pub(super) fn parse_config(
    fields: &mut Fields<'_, '_>,
    root: &Path<'_>,
) -> Result<Option<ReasoningConfig>, Failure> {
    let mut config = ReasoningConfig::default();
    // A rung that is not known stays in the rest: the provider may know it.
    if let Some(effort) = effort(fields, "reasoning_effort") {
        config.effort = Some(effort);
    }
    let path = root.key("reasoning");
    if let Some(raw) = fields.raw("reasoning") {
        let mut object = Fields::read(raw, &path)?;
        config.effort = effort(&mut object, "effort").or(config.effort);
        config.budget_tokens = object.integer("max_tokens", 0, u64::MAX)?;
        config.hidden = object.boolean("exclude")?;
        config.mode = object.boolean("enabled")?.map(|enabled| {
            if enabled {
                ReasoningMode::Enabled
            } else {
                ReasoningMode::Disabled
            }
        });
        config.summary = object.string("summary")?;
        config.rest = object.rest();
    }
    let path = root.key("thinking");
    if let Some(raw) = fields.raw("thinking") {
        let mut object = Fields::read(raw, &path)?;
        let kind = object.string_if("type");
        config.mode = match kind.as_deref() {
            Some("enabled") => Some(ReasoningMode::Enabled),
            Some("disabled") => Some(ReasoningMode::Disabled),
            Some("adaptive" | "auto") => Some(ReasoningMode::Adaptive),
            Some(other) => {
                object.put_back("type", other);
                config.mode
            }
            None => config.mode,
        };
        config.budget_tokens = object
            .integer("budget_tokens", 0, u64::MAX)?
            .or(config.budget_tokens);
        config.rest.0.extend(object.rest().0);
    }
    if config.hidden.is_none() {
        config.hidden = fields.boolean_if("include_reasoning").map(|shown| !shown);
    }
    Ok((config != ReasoningConfig::default()).then_some(config))
}

fn effort(fields: &mut Fields<'_, '_>, key: &str) -> Option<Effort> {
    let text = fields.string_if(key)?;
    let effort = Effort::parse(&text);
    if effort.is_none() {
        fields.put_back(key, &text);
    }
    effort
}

/// Reads an assistant message's earlier reasoning.
pub(super) fn parse_echo(
    fields: &mut Fields<'_, '_>,
    path: &Path<'_>,
) -> Result<Vec<Part>, Failure> {
    let plain = fields.string("reasoning")?;
    let content = fields.string("reasoning_content")?;
    let mut parts = Vec::new();
    let list_path = path.key("reasoning_details");
    for (at, raw) in fields
        .list("reasoning_details")?
        .into_iter()
        .flatten()
        .enumerate()
    {
        detail(raw, &list_path.index(at), &mut parts)?;
    }
    let told: String = parts.iter().map(|(_, part)| joined(part)).collect();
    let mut parts: Vec<Part> = parts.into_iter().map(|(_, part)| part).collect();
    // The plain fields repeat the details; what they say beside stands first.
    let text = plain.filter(|t| !t.is_empty()).or(content);
    if let Some(text) = text.filter(|t| told.is_empty() && !t.is_empty()) {
        let reasoning = Reasoning {
            texts: vec![ReasoningText {
                form: ReasoningForm::Full,
                text,
            }],
            ..Reasoning::default()
        };
        parts.insert(0, PartKind::Reasoning(reasoning).into());
    }
    Ok(parts)
}

/// Proofs among the thoughts that name a call belong to that call, as one router has it for one family of models.
pub(super) fn proofs_of_calls(parts: &mut Vec<Part>) {
    let is_call = |part: &Part| matches!(part.kind, PartKind::ToolCall(_));
    if !parts.iter().any(is_call) {
        return;
    }
    let calls: HashSet<String> = parts
        .iter()
        .filter_map(|part| match &part.kind {
            PartKind::ToolCall(call) => Some(call.id.clone()),
            _ => None,
        })
        .collect();
    let mut found: HashMap<String, Artefact> = HashMap::new();
    parts.retain(|part| match &part.kind {
        PartKind::Reasoning(Reasoning {
            id: Some(id),
            texts,
            artefact: Some(artefact),
        }) if texts.is_empty()
            && artefact.provenance == super::tools::GEMINI
            && calls.contains(id) =>
        {
            found.entry(id.clone()).or_insert_with(|| artefact.clone());
            false
        }
        _ => true,
    });
    if found.is_empty() {
        return;
    }
    for part in parts {
        if let PartKind::ToolCall(call) = &mut part.kind
            && let Some(artefact) = found.remove(&call.id)
            && call.artefact.is_none()
        {
            call.artefact = Some(Artefact {
                kind: ArtefactKind::Signature,
                ..artefact
            });
        }
    }
}

fn joined(part: &Part) -> String {
    match &part.kind {
        PartKind::Reasoning(reasoning) => reasoning.joined(),
        _ => String::new(),
    }
}

/// Reads one entry of `reasoning_details`. Entries of one index are one stretch of reasoning.
fn detail(
    raw: &RawValue,
    path: &Path<'_>,
    parts: &mut Vec<(Option<u64>, Part)>,
) -> Result<(), Failure> {
    let mut fields = Fields::read(raw, path)?;
    let kind = fields.string_if("type").unwrap_or_default();
    if !matches!(
        kind.as_str(),
        "reasoning.text" | "reasoning.summary" | "reasoning.encrypted"
    ) {
        parts.push((None, opaque(&kind, raw)));
        return Ok(());
    }
    let index = fields.integer("index", 0, u64::MAX)?;
    let id = fields.string_if("id");
    let text = match kind.as_str() {
        "reasoning.text" => fields.string("text")?.map(|t| (ReasoningForm::Full, t)),
        "reasoning.summary" => fields
            .string("summary")?
            .map(|t| (ReasoningForm::Summary, t)),
        _ => None,
    };
    let data = fields.string("data")?;
    let signature = fields.string("signature")?;
    let artefact = match (data, signature) {
        (Some(data), _) => Some((ArtefactKind::Encrypted, data)),
        (None, Some(data)) => Some((ArtefactKind::Signature, data)),
        (None, None) => None,
    };
    let artefact = artefact.map(|(kind, data)| Artefact {
        provenance: provenance(fields.string_if("format").as_deref()),
        kind,
        data,
    });
    let rest = fields.rest();
    if text.is_none() && artefact.is_none() {
        // An entry without text or proof says nothing, unless in fields that only its service knows.
        if id.is_some()
            || rest
                .iter()
                .any(|(key, value)| key != "format" && !value.is_null())
        {
            parts.push((None, opaque(&kind, raw)));
        }
        return Ok(());
    }
    let next = Reasoning {
        id,
        texts: text
            .into_iter()
            .map(|(form, text)| ReasoningText { form, text })
            .collect(),
        artefact,
    };
    if let Some((last_index, part)) = parts.last_mut()
        && index.is_some()
        && *last_index == index
        && merge(part, &next, &rest)
    {
        return Ok(());
    }
    parts.push((
        index,
        Part {
            kind: PartKind::Reasoning(next),
            cache: None,
            rest,
        },
    ));
    Ok(())
}

/// An entry as it is.
fn opaque(kind: &str, raw: &RawValue) -> Part {
    let opaque = PartKind::Opaque {
        dialect: llmleaf_model::DialectName::ChatCompletions,
        kind: ["reasoning_details:", kind].concat(),
        json: raw.into(),
    };
    opaque.into()
}

fn merge(part: &mut Part, next: &Reasoning, rest: &Rest) -> bool {
    let PartKind::Reasoning(have) = &mut part.kind else {
        return false;
    };
    let ids = have.id.is_none() || next.id.is_none() || have.id == next.id;
    let sealed = have.artefact.is_some();
    if !ids || sealed || !(rest.is_empty() || *rest == part.rest) {
        return false;
    }
    if have.id.is_none() {
        have.id.clone_from(&next.id);
    }
    have.texts.extend_from_slice(&next.texts);
    have.artefact.clone_from(&next.artefact);
    true
}

/// Reads a `thinking` part of an assistant's content list.
pub(super) fn parse_thinking_part(
    fields: &mut Fields<'_, '_>,
    path: &Path<'_>,
) -> Result<PartKind, Failure> {
    let mut texts = Vec::new();
    let mut push = |text: String| {
        texts.push(ReasoningText {
            form: ReasoningForm::Full,
            text,
        });
    };
    if let Some(text) = fields.string_if("thinking") {
        push(text);
    } else {
        let path = path.key("thinking");
        for (at, raw) in fields.list("thinking")?.into_iter().flatten().enumerate() {
            let path = path.index(at);
            let mut inner = Fields::read(raw, &path)?;
            push(inner.string("text")?.unwrap_or_default());
        }
    }
    let artefact = fields.string_if("signature").map(|data| Artefact {
        provenance: Provenance::UNKNOWN,
        kind: ArtefactKind::Signature,
        data,
    });
    Ok(PartKind::Reasoning(Reasoning {
        id: None,
        texts,
        artefact,
    }))
}
