//! Same dialect in and out: the named edits of chat, and a list of one prompt where the service takes no lists.

use super::Quirks;
use super::request::unsupported;
use crate::object::{items, string};
use crate::splice::Splices;
use crate::{Dialect, Head, Rendered, Target, chat_completions, head};
use bytes::Bytes;
use llmleaf_model::Failure;
use serde_json::value::RawValue;

/// Splices the named edits into a consumer's body.
///
/// # Errors
/// The service takes one prompt, and there are several; or as [`chat_completions::edits::edit_request`].
pub fn edit_request(
    head: &Head,
    body: &Bytes,
    target: Target<'_>,
    quirks: &Quirks,
) -> Result<Rendered, Failure> {
    if !quirks.lists
        && let Some(single) = single(head, body)?
    {
        let head = Head::read_as(Dialect::TextCompletions, &single)?;
        return chat_completions::edits::edit_request(&head, &single, target, &quirks.chat);
    }
    chat_completions::edits::edit_request(head, body, target, &quirks.chat)
}

/// The body with its one prompt out of the list; `None` where it is in none.
fn single(head: &Head, body: &Bytes) -> Result<Option<Bytes>, Failure> {
    let text = head::checked(body)?;
    let Some(field) = head.field(text, "prompt") else {
        return Ok(None);
    };
    let written = text.get(field.value.clone()).unwrap_or_default();
    if !written.starts_with('[') {
        return Ok(None);
    }
    let raw = serde_json::from_str::<&RawValue>(written).ok();
    let list = raw.and_then(items).unwrap_or_default();
    match list.as_slice() {
        [only] if string(only).is_some() => {
            let mut splices = Splices::new();
            splices.replace(field.value.clone(), only.get());
            Ok(Some(Bytes::from(splices.apply(text))))
        }
        _ => Err(unsupported("prompt", "the target takes one text at a time")),
    }
}
