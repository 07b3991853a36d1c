//! Same dialect in and out: the edits that several wires have in common.

use crate::head::Field;
use crate::splice::{Splices, quote};
use crate::{Head, Rendered, Target};
use bytes::Bytes;
use llmleaf_model::Loss;

/// Sets the model and whether to stream, on a wire whose body says both. `extended` services speak the routing language
/// (see [`crate::preferences`]); for the others it is cut.
pub(crate) fn address(
    head: &Head,
    text: &str,
    target: Target<'_>,
    extended: bool,
    splices: &mut Splices<'_>,
) {
    model(head, text, target.model, extended, splices);
    if head.stream != target.stream {
        stream(head, text, target.stream, splices);
    }
}

/// Sets the model of a body that need not name one, and cuts the routing language: services of these operations do not speak it.
pub(crate) fn named(
    head: &Head,
    text: &str,
    wanted: &str,
    splices: &mut Splices<'_>,
    losses: &mut Vec<Loss>,
) {
    let single = || ["\"model\":", &quote(wanted)].concat();
    match head.field(text, "model") {
        Some(field) if text.get(field.value.clone()) != Some(&*quote(wanted)) => {
            splices.replace(field.value.clone(), quote(wanted));
        }
        Some(_) => {}
        None => match head.insertion() {
            Some(at) => splices.insert(at, single() + ","),
            None => debug_assert!(false, "a body without fields asks for nothing"),
        },
    }
    if !head.routes() {
        return;
    }
    let wishes = head.fields().iter().filter(|field| field.is_wish(text));
    losses.extend(wishes.map(|field| Loss::dropped(field.name(text), "the target does not route")));
    for cut in head.cuts(|field| field.is_wish(text)) {
        splices.remove(cut);
    }
}

fn model(head: &Head, text: &str, wanted: &str, extended: bool, splices: &mut Splices<'_>) {
    let field = head.field(text, "model");
    if let Some(field) = field.filter(|_| head.model != wanted) {
        splices.replace(field.value.clone(), quote(wanted));
    }
    if !head.routes() {
        return;
    }
    // The model may stand in a list only.
    let single = || ["\"model\":", &quote(wanted)].concat();
    if extended {
        if let (None, Some(at)) = (field, head.insertion()) {
            splices.insert(at, single() + ",");
        }
        return;
    }
    let list = head.field(text, "models").filter(|_| field.is_none());
    if let Some(list) = list {
        splices.replace(list.entry.clone(), single());
    }
    let cut = |field: &Field| {
        let replaced = list.is_some_and(|list| list.entry == field.entry);
        !replaced && field.is_wish(text)
    };
    for range in head.cuts(cut) {
        splices.remove(range);
    }
}

/// Sets whether to stream.
pub(crate) fn stream(head: &Head, text: &str, wanted: bool, splices: &mut Splices<'_>) {
    let word = if wanted { "true" } else { "false" };
    match head.field(text, "stream") {
        Some(field) => splices.replace(field.value.clone(), word),
        None => {
            if let Some(at) = head.insertion() {
                splices.insert(at, format!("\"stream\":{word},"));
            }
        }
    }
}

/// Applies the edits; without any the body is handed on as it is, not copied. A byte order mark in front stays behind
/// (RFC 8259, section 8.1).
pub(crate) fn rendered(
    text: &str,
    body: &Bytes,
    splices: Splices<'_>,
    losses: Vec<Loss>,
) -> Rendered {
    let body = if splices.is_empty() {
        body.slice_ref(text.as_bytes())
    } else {
        splices.apply(text).into()
    };
    Rendered {
        body,
        losses,
        usage_added: false,
    }
}
