//! Pieces of an answer that whole responses and chunks write alike.

use super::json::{ObjectWriter, push_string};
use super::tools::GEMINI;
use crate::ReplyContext;
use crate::writer::{STOP_TEXT, untold};
use llmleaf_model::{
    Artefact, ArtefactKind, Citation, Delta, DialectName, Finish, FinishReason, Json, Loss,
    ReasoningForm, ResponseStart, ToolFlavour,
};

/// Id, model and time of an answer as the consumer sees them.
pub(super) struct Identity {
    pub id: String,
    pub model: String,
    pub created: u64,
}

impl Identity {
    pub(super) fn new(start: &ResponseStart, context: &ReplyContext) -> Self {
        let filled = |text: &Option<String>| text.clone().filter(|t| !t.is_empty());
        Self {
            id: filled(&start.id).unwrap_or_else(|| ["chatcmpl-", &context.fallback_id].concat()),
            model: filled(&start.model).unwrap_or_else(|| context.model.clone()),
            created: start.created.unwrap_or(context.created),
        }
    }

    /// Opens an answer with its first fields. Of the further facts only those that this wire knows are told.
    pub(super) fn write(&self, object: &mut ObjectWriter<'_>, kind: &str, start: &ResponseStart) {
        object.string("id", &self.id);
        object.string("object", kind);
        object.integer("created", self.created);
        object.string("model", &self.model);
        for key in TOLD {
            if let Some(value) = start.rest.get(key) {
                object.raw(key, value.as_str());
            }
        }
    }
}

/// Further facts of a response's start that this wire tells.
const TOLD: [&str; 3] = ["provider", "service_tier", "system_fingerprint"];

/// Facts of a response's start that this wire has no field for.
pub(super) fn lost_of_start(start: &ResponseStart) -> impl Iterator<Item = Loss> {
    untold(&start.rest, &TOLD)
}

/// Facts of a choice's end that this wire has no field for.
pub(super) fn lost_of_finish(finish: &Finish) -> impl Iterator<Item = Loss> {
    let stop = finish.stop_sequence.as_ref();
    let stop = stop.map(|_| Loss::dropped("stop_sequence", STOP_TEXT));
    let unstated = finish.reason == FinishReason::Unstated && finish.native.is_none();
    let none = unstated.then(|| Loss::approximated("finish_reason", "the provider named none"));
    stop.into_iter()
        .chain(none)
        .chain(untold(&finish.rest, &[]))
}

/// The word of this wire for a finish. A call that waits for its result is always `tool_calls` here, also where the
/// origin says that the model was done.
pub(super) fn finish_word(finish: &Finish, has_calls: bool) -> &'static str {
    match finish.reason {
        FinishReason::Stop | FinishReason::Unstated | FinishReason::Other if has_calls => {
            "tool_calls"
        }
        FinishReason::Stop
        | FinishReason::StopSequence
        | FinishReason::Pause
        | FinishReason::Unstated
        | FinishReason::Other => "stop",
        FinishReason::Length | FinishReason::ContextWindow => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter | FinishReason::Refusal => "content_filter",
        FinishReason::Error => "error",
    }
}

/// Writes `finish_reason`, and the origin's own word where it is another.
pub(super) fn write_finish(object: &mut ObjectWriter<'_>, finish: &Finish, has_calls: bool) {
    let word = finish_word(finish, has_calls);
    object.string("finish_reason", word);
    if let Some(native) = finish.native.as_deref().filter(|n| *n != word) {
        object.string("native_finish_reason", native);
    }
}

/// One entry of `reasoning_details`.
pub(super) enum DetailBody<'a> {
    /// Readable text, with its proof where known.
    Text(ReasoningForm, &'a str, Option<&'a Artefact>),
    /// Proof or sealed thought alone.
    Artefact(&'a Artefact),
    /// Proof of a call, which the entry names by its id.
    OfCall(&'a Artefact),
}

pub(super) fn write_detail(
    out: &mut Vec<u8>,
    body: &DetailBody<'_>,
    id: Option<&str>,
    index: usize,
    rest: Option<&llmleaf_model::Rest>,
) {
    let mut object = ObjectWriter::begin(out);
    let proof = match *body {
        DetailBody::Text(ReasoningForm::Full, text, proof) => {
            object.string("type", "reasoning.text");
            object.string("text", text);
            proof
        }
        DetailBody::Text(ReasoningForm::Summary, text, proof) => {
            object.string("type", "reasoning.summary");
            object.string("summary", text);
            proof
        }
        DetailBody::Artefact(artefact) => {
            let kind = match artefact.kind {
                ArtefactKind::Signature => "reasoning.text",
                ArtefactKind::Encrypted => "reasoning.encrypted",
            };
            object.string("type", kind);
            Some(artefact)
        }
        DetailBody::OfCall(artefact) => {
            object.string("type", "reasoning.encrypted");
            Some(artefact)
        }
    };
    let mut format = None;
    if let Some(artefact) = proof {
        let key = match (artefact.kind, body) {
            (ArtefactKind::Encrypted, _) | (_, DetailBody::OfCall(_)) => "data",
            (ArtefactKind::Signature, _) => "signature",
        };
        object.string(key, &artefact.data);
        format = Some(&*artefact.provenance.0);
    }
    let own_format = rest.is_some_and(|rest| rest.get("format").is_some());
    if let Some(format) = format.filter(|_| !own_format) {
        object.string("format", format);
    }
    object.string_if("id", id);
    object.integer("index", index as u64);
    if let Some(rest) = rest {
        object.rest(rest);
    }
    object.end();
}

/// Writes a citation as an annotation; false where this wire has no place for it.
pub(super) fn write_annotation(out: &mut Vec<u8>, citation: &Citation) -> bool {
    let native = citation.native.as_str();
    if citation.dialect == DialectName::ChatCompletions && native.contains("\"url_citation\"") {
        out.extend_from_slice(native.as_bytes());
        return true;
    }
    let Some(url) = &citation.url else {
        return false;
    };
    let mut object = ObjectWriter::begin(out);
    object.string("type", "url_citation");
    let mut inner = ObjectWriter::begin(object.key("url_citation"));
    inner.string("url", url);
    inner.string("title", citation.title.as_deref().unwrap_or(url));
    // The wire requires both; a router writes zeros where the place is unknown.
    let (start, end) = citation.span.unwrap_or((0, 0));
    inner.integer("start_index", start);
    inner.integer("end_index", end);
    inner.string_if("content", citation.cited_text.as_deref());
    inner.end();
    object.end();
    true
}

/// What a tool call looks like in an answer.
pub(super) struct CallView<'a> {
    /// Position in the choice; written in chunks only.
    pub index: Option<usize>,
    pub id: Option<&'a str>,
    pub name: Option<&'a str>,
    pub arguments: Option<&'a str>,
    pub flavour: ToolFlavour,
    pub artefact: Option<&'a Artefact>,
}

pub(super) fn write_call(out: &mut Vec<u8>, call: &CallView<'_>) {
    let (kind, arguments_key) = match call.flavour {
        ToolFlavour::Function => ("function", "arguments"),
        ToolFlavour::Custom => ("custom", "input"),
    };
    let mut object = ObjectWriter::begin(out);
    if let Some(index) = call.index {
        object.integer("index", index as u64);
    }
    object.string_if("id", call.id);
    if call.id.is_some() {
        object.string("type", kind);
    }
    if call.name.is_some() || call.arguments.is_some() {
        let mut inner = ObjectWriter::begin(object.key(kind));
        inner.string_if("name", call.name);
        inner.string_if(arguments_key, call.arguments);
        inner.end();
    }
    if let Some(artefact) = call.artefact {
        write_thought_signature(&mut object, artefact);
    }
    object.end();
}

/// Writes a call's opaque proof where Google's layer for this wire has it.
pub(super) fn write_thought_signature(object: &mut ObjectWriter<'_>, artefact: &Artefact) {
    debug_assert_eq!(GEMINI.0, "google-gemini-v1");
    let mut extra = ObjectWriter::begin(object.key("extra_content"));
    let mut google = ObjectWriter::begin(extra.key("google"));
    google.string("thought_signature", &artefact.data);
    google.end();
    extra.end();
}

/// Appends `{"type":"image_url","image_url":{"url":…}}` of inline data or an address.
pub(super) fn write_image(out: &mut Vec<u8>, mime: Option<&str>, delta: &Delta) -> bool {
    let url = match delta {
        Delta::MediaUrl(url) => url.clone(),
        Delta::MediaData(data) => ["data:", mime.unwrap_or("image/png"), ";base64,", data].concat(),
        _ => return false,
    };
    out.extend_from_slice(br#"{"type":"image_url","image_url":{"url":"#);
    push_string(out, &url);
    out.extend_from_slice(b"}}");
    true
}

/// Joins log-probability pieces, each `{content: […], refusal: […]}`, into one.
pub(super) fn join_logprobs(pieces: &[Json]) -> Vec<u8> {
    let mut keys: Vec<String> = vec!["content".into(), "refusal".into()];
    let objects: Vec<_> = pieces
        .iter()
        .filter_map(|piece| crate::object::Object::from_raw(piece.raw()))
        .collect();
    for (key, _) in objects.iter().flat_map(|o| &o.fields) {
        if !keys.iter().any(|k| k == key) {
            keys.push(key.to_string());
        }
    }
    let mut out = Vec::new();
    let mut joined = ObjectWriter::begin(&mut out);
    for key in &keys {
        let items: Vec<_> = objects
            .iter()
            .filter_map(|o| o.get(key))
            .filter_map(crate::object::items)
            .flatten()
            .collect();
        if items.is_empty() {
            joined.raw(key, "null");
        } else {
            super::json::push_list(joined.key(key), items, |out, item| {
                out.extend_from_slice(item.get().as_bytes());
            });
        }
    }
    joined.end();
    out
}
