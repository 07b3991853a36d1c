//! What the two renderings of an answer share: lines, the facts of the end, and what this wire has no place for.

use super::quirks::is_kin;
use super::request::sealed;
use super::wire::{FREE_TEXT, ObjectWriter, SIGNATURES, array, write_string};
use super::{Form, finish, moment, usage};
use crate::ReplyContext;
use crate::losses::Losses;
use crate::object::{Object, items};
use llmleaf_model::{
    Artefact, Finish, FinishReason, Json, Loss, ReasoningForm, ResponseStart, ToolFlavour, Usage,
};

/// What one line says, or a whole answer.
#[derive(Default)]
pub(super) struct Said<'a> {
    pub text: &'a str,
    pub thinking: &'a str,
    pub images: Vec<&'a str>,
    /// Calls as objects.
    pub calls: Vec<Vec<u8>>,
    /// Sealed artefacts.
    pub signatures: Vec<String>,
    /// Log-probabilities, as the model has them.
    pub logprobs: Vec<&'a Json>,
}

/// What ends an answer.
pub(super) struct End<'a> {
    pub finish: Option<&'a Finish>,
    /// A refusal was told as text.
    pub refused: bool,
    pub usage: Option<&'a Usage>,
}

/// Writes a line's fields, or a whole answer's, in the service's order.
pub(super) fn write(
    object: &mut ObjectWriter<'_>,
    form: Form,
    (start, context): (&ResponseStart, &ReplyContext),
    said: &Said<'_>,
    end: Option<&End<'_>>,
    losses: &mut Losses,
) {
    let model = start.model.as_deref().unwrap_or(&context.model);
    let created = moment::written(start.created.unwrap_or(context.created));
    object.string("model", model).string("created_at", &created);
    match form {
        Form::Chat => {
            object.object("message", |message| {
                message
                    .string("role", "assistant")
                    .string("content", said.text);
                beside(message, said);
            });
        }
        Form::Generate => {
            object.string("response", said.text);
            beside(object, said);
        }
    }
    if !said.logprobs.is_empty() {
        let all = said.logprobs.iter().filter_map(|json| {
            let inner = Object::from_raw(json.raw())?;
            inner.get("content").and_then(items)
        });
        array(object.key("logprobs"), all.flatten(), |out, one| {
            super::wire::one_line(out, one.get())
        });
    }
    match end {
        None => {
            object.bool("done", false);
        }
        Some(end) => ending(object, end, losses),
    }
}

fn beside(object: &mut ObjectWriter<'_>, said: &Said<'_>) {
    if !said.thinking.is_empty() {
        object.string("thinking", said.thinking);
    }
    if !said.images.is_empty() {
        array(object.key("images"), &said.images, |out, one| {
            write_string(out, one)
        });
    }
    if !said.calls.is_empty() {
        array(object.key("tool_calls"), &said.calls, |out, one| {
            out.extend_from_slice(one)
        });
    }
    if !said.signatures.is_empty() {
        array(object.key(SIGNATURES), &said.signatures, |out, one| {
            write_string(out, one)
        });
    }
}

fn ending(object: &mut ObjectWriter<'_>, end: &End<'_>, losses: &mut Losses) {
    let reason = end
        .finish
        .map_or(FinishReason::Unstated, |finish| finish.reason);
    let native = end.finish.and_then(|finish| finish.native.as_deref());
    let own = end.usage.is_some_and(|usage| {
        let native = usage.native.as_ref();
        native.is_some_and(|(dialect, _)| is_kin(*dialect))
    });
    let (word, exact) = match native {
        // `load`, and words to come.
        Some(word) if own && reason == FinishReason::Other => (word, true),
        Some(word @ ("load" | "unload")) if reason == FinishReason::Other => (word, true),
        _ if end.refused && reason == FinishReason::Stop => finish::word(FinishReason::Refusal),
        _ => finish::word(reason),
    };
    object.string("done_reason", word);
    if !exact {
        let shown = native.unwrap_or("what the provider said");
        losses.note(Loss::approximated(
            "finish_reason",
            format!("`{shown}` is shown as `{word}`"),
        ));
    }
    object.bool("done", true);
    for (name, value) in end.finish.iter().flat_map(|finish| finish.rest.iter()) {
        if name == "context" {
            object.raw(name, value.as_str());
        } else {
            losses.note(Loss::dropped(name, "not a field of this wire"));
        }
    }
    if end.finish.is_some_and(|f| f.stop_sequence.is_some()) {
        let why = "this wire does not say which text stopped it";
        losses.note(Loss::dropped("stop_sequence", why));
    }
    if let Some(report) = end.usage
        && !usage::render(object, report)
    {
        let why = "this wire counts input and output alone";
        losses.note(Loss::approximated("usage", why));
    }
}

/// A call as an object. False where its arguments are no JSON object: then their text stands in one field.
pub(super) fn call(
    out: &mut Vec<u8>,
    index: u64,
    (id, name): (&str, &str),
    flavour: ToolFlavour,
    arguments: &str,
) -> bool {
    let json = match flavour {
        ToolFlavour::Function if arguments.trim().is_empty() => Some("{}"),
        ToolFlavour::Function => Object::parse(arguments).ok().map(|_| arguments.trim()),
        ToolFlavour::Custom => None,
    };
    let mut call = ObjectWriter::new(out);
    call.string("id", id);
    call.object("function", |function| {
        function.number("index", index).string("name", name);
        match json {
            Some(json) => function.raw("arguments", json),
            None => function.object("arguments", |inner| {
                inner.string(FREE_TEXT, arguments);
            }),
        };
    });
    call.end();
    json.is_some() || flavour == ToolFlavour::Custom
}

/// The loss of a call whose arguments are no JSON object.
pub(super) fn wrapped() -> Loss {
    let why = "the model wrote no JSON object; its text stands in one field";
    Loss::approximated("arguments", why)
}

/// The envelope of a thought's artefact.
pub(super) fn seal_thought(
    artefact: &Artefact,
    form: ReasoningForm,
    id: Option<&str>,
    text: &str,
) -> String {
    sealed(artefact, form, false, id, text)
}

/// The envelope of a call's artefact.
pub(super) fn seal_call(artefact: &Artefact, id: &str) -> String {
    sealed(artefact, ReasoningForm::Full, true, Some(id), "")
}

/// Names facts of a response's start that this wire has no place for.
pub(super) fn lose_start(start: &ResponseStart, losses: &mut Losses) {
    for (name, _) in start.rest.iter() {
        losses.note(Loss::dropped(name, "not a field of this wire"));
    }
}

/// Log-probabilities of this wire in the form that the model has of them.
pub(super) fn logprobs(list: &serde_json::value::RawValue) -> Option<Json> {
    let list = items(list).filter(|list| !list.is_empty())?;
    Some(super::wire::json_object(|object| {
        array(object.key("content"), list, |out, one| {
            super::wire::one_line(out, one.get())
        });
    }))
}
