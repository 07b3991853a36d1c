//! Parts of a turn, to the wire.

use super::media;
use crate::messages::Quirks;
use crate::messages::answer::FREE_TEXT;
use crate::messages::wire::{ObjectWriter, array, one_line};
use crate::object::Object;
use crate::writer::foreign_field;
use llmleaf_model::{
    ArtefactKind, CacheHint, DialectName, Json, Loss, Media, Part, PartKind, Reasoning, Rest,
    ToolCall, ToolFlavour, ToolResult,
};
use std::borrow::Cow;

/// Writes parts as blocks, and notes what does not fit.
pub(super) struct PartWriter<'a> {
    /// The request was read from this wire.
    pub own: bool,
    pub quirks: &'a Quirks,
    pub losses: &'a mut Vec<Loss>,
}

impl PartWriter<'_> {
    /// The block of a part; `None` where there is none.
    pub fn block(&mut self, part: &Part, path: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        match &part.kind {
            PartKind::ServerToolUse(tool) if tool.dialect == DialectName::Messages => {
                one_line(&mut out, tool.json.as_ref()?.as_str());
                return Some(out);
            }
            PartKind::ServerToolResult(result) if result.dialect == DialectName::Messages => {
                one_line(&mut out, result.json.as_str());
                return Some(out);
            }
            PartKind::Opaque {
                dialect: DialectName::Messages,
                json,
                ..
            } => {
                one_line(&mut out, json.as_str());
                return Some(out);
            }
            PartKind::ServerToolUse(_)
            | PartKind::ServerToolResult(_)
            | PartKind::Opaque { .. } => {
                self.losses
                    .push(Loss::dropped(path, "a part of another dialect"));
                return None;
            }
            _ => {}
        }
        let mut object = ObjectWriter::new(&mut out);
        self.fill(&mut object, part, path)?;
        write_cache(
            &mut object,
            part.cache.as_ref(),
            path,
            self.own,
            self.losses,
        );
        write_rest(&mut object, &part.rest, path, self.own, self.losses);
        object.end();
        Some(out)
    }

    fn fill(&mut self, object: &mut ObjectWriter<'_>, part: &Part, path: &str) -> Option<()> {
        match &part.kind {
            PartKind::Text { text, citations } => {
                // The wire refuses a block without visible text.
                if text.trim().is_empty() && !self.own {
                    return None;
                }
                object.string("type", "text").string("text", text);
                let mut native = citations
                    .iter()
                    .filter(|c| c.dialect == DialectName::Messages);
                if native.clone().count() < citations.len() {
                    self.losses.push(Loss::dropped(
                        format!("{path}.citations"),
                        "this wire's citations need its own index",
                    ));
                }
                if native.clone().next().is_some() {
                    array(object.key("citations"), native.by_ref(), |out, citation| {
                        one_line(out, citation.native.as_str());
                    });
                }
            }
            PartKind::Refusal(text) => {
                let why = "this wire has no refusals: it goes as text";
                self.losses.push(Loss::approximated(path, why));
                object.string("type", "text").string("text", text);
            }
            PartKind::Media(media) => self.media(object, media, path)?,
            PartKind::ToolCall(call) => self.call(object, call, path),
            PartKind::ToolResult(result) => self.result(object, result, path),
            PartKind::Reasoning(reasoning) => self.reasoning(object, reasoning, path)?,
            PartKind::ServerToolUse(_)
            | PartKind::ServerToolResult(_)
            | PartKind::Opaque { .. } => return None,
        }
        Some(())
    }

    fn media(&mut self, object: &mut ObjectWriter<'_>, media: &Media, path: &str) -> Option<()> {
        let fit = match media::fit(media, self.own) {
            Ok(fit) => fit,
            Err(why) => {
                self.losses.push(Loss::dropped(path, why));
                return None;
            }
        };
        object
            .string("type", fit.kind())
            .object("source", |source| {
                fit.write(source);
                if let media::Fit::Parts(parts) = &fit {
                    let blocks = self.blocks(parts, path);
                    array(source.key("content"), blocks, |out, block| {
                        out.extend_from_slice(&block)
                    });
                }
            });
        if fit.kind() == "document" {
            let title = media.name.as_deref();
            let title = title.filter(|title| self.own || !title.is_empty());
            object
                .string_if("title", title)
                .string_if("context", media.context.as_deref());
            if let Some(enabled) = media.citations {
                object.object("citations", |citations| {
                    citations.bool("enabled", enabled);
                });
            }
        }
        if media
            .detail
            .as_deref()
            .is_some_and(|detail| detail != "auto")
        {
            self.losses
                .push(Loss::dropped(format!("{path}.detail"), "not on this wire"));
        }
        Some(())
    }

    /// Blocks of several parts.
    pub fn blocks(&mut self, parts: &[Part], path: &str) -> Vec<Vec<u8>> {
        parts
            .iter()
            .enumerate()
            .filter_map(|(at, part)| self.block(part, &format!("{path}.content[{at}]")))
            .collect()
    }

    fn call(&mut self, object: &mut ObjectWriter<'_>, call: &ToolCall, path: &str) {
        object
            .string("type", "tool_use")
            .string("id", &self.id(&call.id))
            .string("name", &call.name);
        let input = match call.arguments.trim() {
            "" if call.flavour == ToolFlavour::Function => Some("{}"),
            text if call.flavour == ToolFlavour::Function => Object::parse(text).ok().map(|_| text),
            _ => None,
        };
        match input {
            Some(json) => {
                object.raw("input", json);
            }
            None => {
                self.losses.push(Loss::approximated(
                    format!("{path}.arguments"),
                    "text that is no JSON object stands in one field",
                ));
                object.object("input", |object| {
                    object.string(FREE_TEXT, &call.arguments);
                });
            }
        }
        if call.artefact.is_some() {
            self.losses.push(Loss::dropped(
                format!("{path}.signature"),
                "the target cannot verify it",
            ));
        }
        if call.namespace.is_some() {
            self.losses.push(Loss::dropped(
                format!("{path}.namespace"),
                "this wire has no groups of tools",
            ));
        }
    }

    fn result(&mut self, object: &mut ObjectWriter<'_>, result: &ToolResult, path: &str) {
        object
            .string("type", "tool_result")
            .string("tool_use_id", &self.id(&result.call_id));
        match result.parts.as_slice() {
            [] => {}
            [
                Part {
                    kind: PartKind::Text { text, .. },
                    ..
                },
            ] if result.bare => {
                object.string("content", text);
            }
            parts => {
                let blocks = self.blocks(parts, path);
                array(object.key("content"), blocks, |out, block| {
                    out.extend_from_slice(&block)
                });
            }
        }
        object.bool_if("is_error", result.is_error);
    }

    /// Ids as the wire takes them: letters, digits, `_` and `-`.
    fn id<'i>(&self, id: &'i str) -> Cow<'i, str> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if self.own || id.chars().all(fits) {
            return Cow::Borrowed(id);
        }
        Cow::Owned(id.chars().map(|c| if fits(c) { c } else { '_' }).collect())
    }

    fn reasoning(
        &mut self,
        object: &mut ObjectWriter<'_>,
        reasoning: &Reasoning,
        path: &str,
    ) -> Option<()> {
        match &reasoning.artefact {
            Some(artefact) if self.quirks.can_verify(&artefact.provenance) => match artefact.kind {
                ArtefactKind::Signature => {
                    object
                        .string("type", "thinking")
                        .string("thinking", &reasoning.joined())
                        .string("signature", &artefact.data);
                }
                ArtefactKind::Encrypted => {
                    object
                        .string("type", "redacted_thinking")
                        .string("data", &artefact.data);
                }
            },
            // What a consumer of this dialect sent without a signature is its own affair, sealed text is not.
            None if self.own && reasoning.id.is_none() => {
                object
                    .string("type", "thinking")
                    .string("thinking", &reasoning.joined());
            }
            artefact => {
                let why = match artefact {
                    Some(_) => "the target cannot verify this reasoning",
                    None => "this wire takes signed reasoning only",
                };
                self.losses.push(Loss::dropped(path, why));
                return None;
            }
        }
        Some(())
    }
}

/// Writes `cache_control`. A hint of another dialect is one all the same; what else it says is lost, but for the words that make it one.
pub(super) fn write_cache(
    object: &mut ObjectWriter<'_>,
    cache: Option<&CacheHint>,
    path: &str,
    own: bool,
    losses: &mut Vec<Loss>,
) {
    const NAME: &str = "cache_control";
    let Some(cache) = cache else {
        return;
    };
    object.object(NAME, |control| {
        if !own || cache.rest.get("type").is_none() {
            control.string("type", "ephemeral");
        }
        control.string_if("ttl", cache.ttl.as_deref());
        if own {
            control.rest(&cache.rest);
        }
    });
    if own {
        return;
    }
    let path = match path {
        "" => NAME.to_owned(),
        _ => [path, ".", NAME].concat(),
    };
    let lost = |(name, _): &(&str, &Json)| !matches!(*name, "type" | "mode");
    for (name, value) in cache.rest.iter().filter(lost) {
        foreign_field(name, value, &path, losses);
    }
}

/// Writes fields that were kept, where they are of this dialect; else they are lost.
pub(super) fn write_rest(
    object: &mut ObjectWriter<'_>,
    rest: &Rest,
    path: &str,
    own: bool,
    losses: &mut Vec<Loss>,
) {
    let object = own.then_some(object);
    crate::writer::write_rest(object, rest, path, losses);
}
