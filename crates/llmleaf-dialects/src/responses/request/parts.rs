//! Parts of a turn, to the wire: content of messages, and items of their own.

use super::render::Rendering;
use crate::responses::wire::{ObjectWriter, array, one_line, string};
use llmleaf_model::{
    ArtefactKind, DialectName, Loss, Media, MediaKind, MediaSource, Part, PartKind, Reasoning,
    ReasoningForm, ToolCall, ToolFlavour, ToolResult,
};

/// Content parts of a message or of a tool's output, each as a value. `from` is the number of the first.
pub(super) fn content(
    parts: &[Part],
    path: &str,
    from: usize,
    assistant: bool,
    rendering: &mut Rendering<'_>,
) -> Vec<Vec<u8>> {
    let mut written = Vec::with_capacity(parts.len());
    for (at, part) in parts.iter().enumerate() {
        let path = format!("{path}.content[{}]", at + from);
        match &part.kind {
            // A document made of parts becomes those parts.
            PartKind::Media(Media {
                source: MediaSource::Parts(inner),
                ..
            }) => written.extend(content(inner, &path, 0, assistant, rendering)),
            _ => written.extend(one(part, &path, assistant, rendering)),
        }
    }
    written
}

fn one(part: &Part, path: &str, assistant: bool, rendering: &mut Rendering<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    if let PartKind::Opaque { dialect, json, .. } = &part.kind
        && *dialect == DialectName::Responses
    {
        one_line(&mut out, json.as_str());
        return Some(out);
    }
    let mut object = ObjectWriter::new(&mut out);
    match &part.kind {
        PartKind::Text { text, citations } => {
            let kind = if assistant {
                "output_text"
            } else {
                "input_text"
            };
            object.string("type", kind).string("text", text);
            let own = |c: &&llmleaf_model::Citation| c.dialect == DialectName::Responses;
            let native: Vec<_> = citations.iter().filter(own).collect();
            if native.len() < citations.len() {
                rendering.lose(Loss::dropped(
                    format!("{path}.citations"),
                    "citations of another dialect",
                ));
            }
            if !native.is_empty() {
                array(object.key("annotations"), native, |out, citation| {
                    one_line(out, citation.native.as_str());
                });
            }
        }
        PartKind::Refusal(text) if assistant || rendering.own => {
            object.string("type", "refusal").string("refusal", text);
        }
        PartKind::Refusal(text) => {
            object.string("type", "input_text").string("text", text);
        }
        PartKind::Media(media) if assistant && !rendering.own => {
            let kind = media.kind.as_str();
            let why = format!("an assistant's message cannot hold {kind} on this wire");
            rendering.lose(Loss::dropped(path, why));
            return None;
        }
        PartKind::Media(media) => media_part(&mut object, media, path, rendering)?,
        _ => {
            let why = "a part that only another dialect understands";
            rendering.lose(Loss::dropped(path, why));
            return None;
        }
    }
    if let Some(hint) = &part.cache {
        if rendering.own {
            object.object("prompt_cache_breakpoint", |object| {
                if hint.rest.get("mode").is_none() {
                    object.string("mode", "explicit");
                }
                object.rest(&hint.rest);
            });
        } else {
            rendering.lose(Loss::dropped(
                format!("{path}.cache_control"),
                "this wire caches by itself",
            ));
        }
    }
    rendering.rest(&mut object, &part.rest, path);
    object.end();
    Some(out)
}

fn media_part(
    object: &mut ObjectWriter<'_>,
    media: &Media,
    path: &str,
    rendering: &mut Rendering<'_>,
) -> Option<()> {
    let written = match media.kind {
        MediaKind::Image => image(object, media),
        MediaKind::Audio => return sound(object, media, path, rendering),
        MediaKind::Video => None,
        MediaKind::Document | MediaKind::File => file(object, media, rendering.own),
    };
    if written.is_none() {
        let why = format!("the wire takes no {} of this form", media.kind.as_str());
        rendering.lose(Loss::dropped(path, why));
        return None;
    }
    // What it is where nobody says it; one router's document demands that it be said.
    let unsaid = (media.kind == MediaKind::Image && !rendering.own).then_some("auto");
    object.string_if("detail", media.detail.as_deref().or(unsaid));
    if media.context.is_some() {
        rendering.lose(Loss::dropped(
            format!("{path}.context"),
            "the wire has no place for it",
        ));
    }
    if media.citations == Some(true) {
        rendering.lose(Loss::dropped(
            format!("{path}.citations"),
            "the wire has no citations into documents",
        ));
    }
    Some(())
}

/// Inline data as an address.
fn inline(media: &Media, data: &str, default: &str) -> String {
    let mime = media.mime.as_deref().unwrap_or(default);
    ["data:", mime, ";base64,", data].concat()
}

fn image(object: &mut ObjectWriter<'_>, media: &Media) -> Option<()> {
    object.string("type", "input_image");
    match &media.source {
        MediaSource::Url(url) => object.string("image_url", url),
        MediaSource::Base64(data) => object.string("image_url", &inline(media, data, "image/png")),
        MediaSource::FileId(id) => object.string("file_id", id),
        MediaSource::Text(_) | MediaSource::Parts(_) => return None,
    };
    Some(())
}

fn sound(
    object: &mut ObjectWriter<'_>,
    media: &Media,
    path: &str,
    rendering: &mut Rendering<'_>,
) -> Option<()> {
    // Routers take it; the reference has no such content (InputContent of its OpenAPI document 2.3.0).
    if !rendering.own && !rendering.quirks.extended {
        rendering.lose(Loss::dropped(path, "the wire takes no sound"));
        return None;
    }
    let MediaSource::Base64(data) = &media.source else {
        rendering.lose(Loss::dropped(path, "the wire takes sound as data only"));
        return None;
    };
    object
        .string("type", "input_audio")
        .object("input_audio", |inner| {
            inner.string("data", data);
            inner.string_if("format", media.mime.as_deref().map(audio_format));
        });
    Some(())
}

fn file(object: &mut ObjectWriter<'_>, media: &Media, own: bool) -> Option<()> {
    let name = media.name.as_deref();
    match &media.source {
        MediaSource::Text(text) => {
            object.string("type", "input_text").string("text", text);
        }
        MediaSource::Base64(data) => {
            // The reference refuses data without a name.
            let unnamed = match media.mime.as_deref() {
                Some("application/pdf") => "document.pdf",
                _ => "document",
            };
            object
                .string("type", "input_file")
                .string_if("filename", name.or((!own).then_some(unnamed)));
            match &media.mime {
                Some(_) => object.string("file_data", &inline(media, data, "")),
                None => object.string("file_data", data),
            };
        }
        MediaSource::Url(url) => {
            object
                .string("type", "input_file")
                .string_if("filename", name)
                .string("file_url", url);
        }
        MediaSource::FileId(id) => {
            object
                .string("type", "input_file")
                .string_if("filename", name)
                .string("file_id", id);
        }
        MediaSource::Parts(_) => return None,
    }
    Some(())
}

/// The short name that this wire has for an audio type.
fn audio_format(mime: &str) -> &str {
    match mime {
        "audio/mpeg" | "audio/mp3" => "mp3",
        "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "wav",
        other => other.strip_prefix("audio/").unwrap_or(other),
    }
}

/// The text that is all that could be written of parts of another dialect: what stood beside it was lost, and told.
pub(super) fn sole_text<'p>(
    parts: &'p [Part],
    written: &[Vec<u8>],
    rendering: &Rendering<'_>,
) -> Option<&'p str> {
    let native = |part: &Part| match &part.kind {
        PartKind::Text { citations, .. } => {
            (citations.iter()).any(|citation| citation.dialect == DialectName::Responses)
        }
        _ => false,
    };
    if rendering.own || written.len() != 1 || parts.iter().any(native) {
        return None;
    }
    let mut texts = parts.iter().filter_map(Part::as_text);
    let text = texts.next()?;
    texts.next().is_none().then_some(text)
}

/// The item of a part that is no content of a message.
pub(super) fn item(part: &Part, path: &str, rendering: &mut Rendering<'_>) -> Option<Vec<u8>> {
    match &part.kind {
        PartKind::ToolCall(call) => Some(call_item(part, call, path, rendering)),
        PartKind::ToolResult(result) => Some(result_item(part, result, path, rendering)),
        PartKind::Reasoning(reasoning) => reasoning_item(part, reasoning, path, rendering),
        PartKind::ServerToolUse(tool) if tool.dialect == DialectName::Responses => {
            tool.json.as_ref().map(whole)
        }
        PartKind::ServerToolResult(result) if result.dialect == DialectName::Responses => {
            Some(whole(&result.json))
        }
        PartKind::Opaque {
            dialect: DialectName::Responses,
            json,
            ..
        } => Some(whole(json)),
        _ => {
            rendering.lose(Loss::dropped(path, "a part of another dialect"));
            None
        }
    }
}

fn whole(json: &llmleaf_model::Json) -> Vec<u8> {
    let mut out = Vec::new();
    one_line(&mut out, json.as_str());
    out
}

fn call_item(part: &Part, call: &ToolCall, path: &str, rendering: &mut Rendering<'_>) -> Vec<u8> {
    let (kind, field) = match call.flavour {
        ToolFlavour::Function => ("function_call", "arguments"),
        ToolFlavour::Custom => ("custom_tool_call", "input"),
    };
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    object
        .string("type", kind)
        .string("call_id", &call.id)
        .string("name", &call.name)
        .string_if("namespace", call.namespace.as_deref());
    // The wire wants JSON; a call without arguments has an empty object.
    if call.arguments.is_empty() && call.flavour == ToolFlavour::Function && !rendering.own {
        object.string(field, "{}");
    } else {
        object.string(field, &call.arguments);
    }
    rendering.rest(&mut object, &part.rest, path);
    object.end();
    if call.artefact.is_some() {
        rendering.lose(Loss::dropped(
            format!("{path}.signature"),
            "the target cannot verify it",
        ));
    }
    out
}

fn result_item(
    part: &Part,
    result: &ToolResult,
    path: &str,
    rendering: &mut Rendering<'_>,
) -> Vec<u8> {
    let kind = match result.flavour {
        ToolFlavour::Function => "function_call_output",
        ToolFlavour::Custom => "custom_tool_call_output",
    };
    if result.is_error == Some(true) {
        // The words of the result stay as they are: what went wrong is theirs to say.
        let path = format!("{path}.is_error");
        rendering.lose(Loss::dropped(path, "the wire cannot mark a failed tool"));
    }
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    object
        .string("type", kind)
        .string("call_id", &result.call_id);
    if rendering.own {
        object.string_if("name", result.name.as_deref());
    }
    match Part::only_text(&result.parts) {
        Some(text) if result.bare || !rendering.own => string(object.key("output"), text),
        _ if result.parts.is_empty() && (!rendering.own || result.bare) => {
            object.string("output", "");
        }
        _ => {
            let written = content(&result.parts, path, 0, false, rendering);
            match sole_text(&result.parts, &written, rendering) {
                // Some services take a text only; a list of one says no more.
                Some(text) => string(object.key("output"), text),
                None => array(object.key("output"), written, |out, part| {
                    out.extend_from_slice(&part);
                }),
            }
        }
    }
    if part.cache.is_some() {
        rendering.lose(Loss::dropped(
            format!("{path}.cache_control"),
            "this wire caches by itself",
        ));
    }
    rendering.rest(&mut object, &part.rest, path);
    object.end();
    out
}

/// A name for an item, by its place.
fn item_id(path: &str) -> String {
    let numbers = path.split(|c: char| !c.is_ascii_digit());
    numbers
        .filter(|number| !number.is_empty())
        .fold("rs".to_owned(), |id, number| id + "_" + number)
}

fn reasoning_item(
    part: &Part,
    reasoning: &Reasoning,
    path: &str,
    rendering: &mut Rendering<'_>,
) -> Option<Vec<u8>> {
    let verified = reasoning.artefact.as_ref().filter(|artefact| {
        let quirks = rendering.quirks;
        let has_place = artefact.kind == ArtefactKind::Encrypted || quirks.names_family;
        has_place && quirks.can_verify(&artefact.provenance)
    });
    if reasoning.artefact.is_some() && verified.is_none() {
        let why = "the target cannot verify this reasoning";
        rendering.lose(Loss::dropped(path, why));
        return None;
    }
    // What a consumer of this wire sent without proof is its own affair: the service may hold the item.
    if verified.is_none() && !rendering.own {
        rendering.lose(Loss::dropped(path, "reasoning that nobody can verify"));
        return None;
    }
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    object.string("type", "reasoning");
    // Where signatures prove thoughts no name is part of the proof, and items need one.
    let signed = verified.is_some_and(|a| a.kind == ArtefactKind::Signature);
    let made = (signed && !rendering.own).then(|| item_id(path));
    object.string_if("id", reasoning.id.as_deref().or(made.as_deref()));
    for (field, kind, form) in [
        ("summary", "summary_text", ReasoningForm::Summary),
        ("content", "reasoning_text", ReasoningForm::Full),
    ] {
        let texts: Vec<_> = reasoning.texts.iter().filter(|t| t.form == form).collect();
        // The wire demands a summary, if only an empty one.
        if texts.is_empty() && form == ReasoningForm::Full {
            continue;
        }
        array(object.key(field), texts, |out, text| {
            let mut object = ObjectWriter::new(out);
            object.string("type", kind).string("text", &text.text);
            object.end();
        });
    }
    if let Some(artefact) = verified {
        let field = match artefact.kind {
            ArtefactKind::Encrypted => "encrypted_content",
            ArtefactKind::Signature => "signature",
        };
        object.string(field, &artefact.data);
        if rendering.quirks.names_family {
            object.string("format", &artefact.provenance.0);
        }
    }
    rendering.rest(&mut object, &part.rest, path);
    object.end();
    Some(out)
}
