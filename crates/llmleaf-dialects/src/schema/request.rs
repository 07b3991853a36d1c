//! The schemas of a request, for a target.

use super::{Profile, Strictness, compile, strict};
use llmleaf_model::{ChatRequest, Failure, Json, Loss, ResponseFormat, Tool, ToolKind};
use std::borrow::Cow;

/// What a target takes of the schemas of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Profiles {
    /// Of tools.
    pub tools: &'static Profile,
    /// Of tools whose calls are to be held to them.
    pub strict: Strictness,
    /// Of the answer.
    pub answer: &'static Profile,
}

/// The request with the schemas that the target takes; as it is where it takes them all.
pub(crate) fn fit<'r>(
    request: Cow<'r, ChatRequest>,
    profiles: Profiles,
    losses: &mut Vec<Loss>,
) -> Result<Cow<'r, ChatRequest>, Failure> {
    let mut request = request;
    for at in 0..request.tools.len() {
        let Some(tool) = request.tools.get(at) else {
            break;
        };
        let path = format!("tools[{at}]");
        if let Some(fitted) = fitted(tool, profiles, &path, losses)?
            && let Some(tool) = request.to_mut().tools.get_mut(at)
        {
            *tool = fitted;
        }
    }
    let answer = match &request.response_format {
        Some(ResponseFormat::JsonSchema { schema, .. }) => {
            let path = "response_format.json_schema.schema";
            let made = compile(schema, profiles.answer, path, "the answer", losses)?;
            (made != *schema).then_some(made)
        }
        _ => None,
    };
    if let Some(made) = answer
        && let Some(ResponseFormat::JsonSchema { schema, .. }) =
            &mut request.to_mut().response_format
    {
        *schema = made;
    }
    Ok(request)
}

/// The tool with the schema that the target takes; `None` where it takes it as it is.
fn fitted(
    tool: &Tool,
    profiles: Profiles,
    path: &str,
    losses: &mut Vec<Loss>,
) -> Result<Option<Tool>, Failure> {
    match &tool.kind {
        ToolKind::Function {
            name,
            parameters: Some(schema),
            strict: held,
            ..
        } => {
            let of = format!("the tool `{name}`");
            let (made, still) = function(schema, *held, profiles, path, &of, losses)?;
            if made == *schema && still == *held {
                return Ok(None);
            }
            let mut fitted = tool.clone();
            if let ToolKind::Function {
                parameters, strict, ..
            } = &mut fitted.kind
            {
                *parameters = Some(made);
                *strict = still;
            }
            Ok(Some(fitted))
        }
        // It has no schema that calls could be held to, and the field goes all the same.
        ToolKind::Function {
            strict: Some(wished),
            ..
        } if matches!(profiles.strict, Strictness::Unknown) => {
            if *wished {
                let why = "the service holds no calls to a schema";
                losses.push(Loss::altered(format!("{path}.strict"), why));
            }
            let mut fitted = tool.clone();
            if let ToolKind::Function { strict, .. } = &mut fitted.kind {
                *strict = None;
            }
            Ok(Some(fitted))
        }
        ToolKind::Namespace { tools, .. } => {
            let mut changed = None;
            for (at, inner) in tools.iter().enumerate() {
                let path = format!("{path}.tools[{at}]");
                let Some(inner) = fitted(inner, profiles, &path, losses)? else {
                    continue;
                };
                let whole = changed.get_or_insert_with(|| tool.clone());
                if let ToolKind::Namespace { tools, .. } = &mut whole.kind
                    && let Some(place) = tools.get_mut(at)
                {
                    *place = inner;
                }
            }
            Ok(changed)
        }
        _ => Ok(None),
    }
}

/// The schema of a function as the target takes it, and whether calls are still held to it.
fn function(
    schema: &Json,
    held: Option<bool>,
    profiles: Profiles,
    path: &str,
    of: &str,
    losses: &mut Vec<Loss>,
) -> Result<(Json, Option<bool>), Failure> {
    let place = format!("{path}.parameters");
    let any = |losses: &mut Vec<Loss>| compile(schema, profiles.tools, &place, of, losses);
    let free = |losses: &mut Vec<Loss>, why| {
        losses.push(Loss::altered(format!("{path}.strict"), why));
    };
    match (held, profiles.strict) {
        (Some(true), Strictness::Profile(profile)) => {
            let mut own = Vec::new();
            if let Ok(made) = compile(schema, profile, &place, of, &mut own) {
                losses.append(&mut own);
                return Ok((made, held));
            }
            free(losses, "the service holds no calls to such a schema");
            Ok((any(losses)?, None))
        }
        (Some(true), Strictness::AllRequired) if !strict::all_required(schema) => {
            free(
                losses,
                "the service holds calls only to schemas whose every property is required",
            );
            Ok((any(losses)?, Some(false)))
        }
        (Some(wished), Strictness::Unknown) => {
            if wished {
                free(losses, "the service holds no calls to a schema");
            }
            Ok((any(losses)?, None))
        }
        _ => Ok((any(losses)?, held)),
    }
}
