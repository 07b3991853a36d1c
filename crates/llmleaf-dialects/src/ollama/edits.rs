//! Same dialect in and out: the few named edits.
//!
//! The routing language, which this wire's services do not speak, `model` where its value differs, `stream` where the target
//! wants another, and sealed artefacts of other families. All other bytes stay as they are.

use super::quirks::Quirks;
use super::wire::SIGNATURES;
use crate::object::{Object, items};
use crate::sealed::SEAL;
use crate::splice::{Splices, quote};
use crate::{Head, Rendered, Target, edits, head};
use bytes::Bytes;
use llmleaf_model::{Failure, Loss};
use memchr::memmem;
use serde_json::value::RawValue;

/// Splices the named edits into a consumer's body.
///
/// # Errors
/// The body is not the one that `head` was read from.
pub fn edit_request(
    head: &Head,
    body: &Bytes,
    target: Target<'_>,
    _quirks: &Quirks,
) -> Result<Rendered, Failure> {
    let text = head::checked(body)?;
    let mut splices = Splices::new();
    let mut losses = Vec::new();
    edits::address(head, text, target, false, &mut splices);
    sealed(head, text, &mut splices, &mut losses);
    Ok(edits::rendered(text, body, splices, losses))
}

/// Takes artefacts of other families away: nobody here can verify them.
fn sealed(head: &Head, text: &str, splices: &mut Splices<'_>, losses: &mut Vec<Loss>) {
    let messages = head.value(text, "messages").unwrap_or_default();
    // Almost no body holds one, and looking for it is cheap.
    if memmem::find(messages.as_bytes(), SEAL.as_bytes()).is_none() {
        return;
    }
    let list = serde_json::from_str::<&RawValue>(messages).ok();
    for (at, raw) in list.and_then(items).unwrap_or_default().iter().enumerate() {
        let Some(message) = Object::from_raw(raw) else {
            continue;
        };
        let holds = |raw: &RawValue| memmem::find(raw.get().as_bytes(), SEAL.as_bytes()).is_some();
        if !message.get(SIGNATURES).is_some_and(holds) {
            continue;
        }
        let kept = message.fields.iter().filter(|(name, _)| name != SIGNATURES);
        let kept: Vec<String> = kept
            .map(|(name, value)| format!("{}:{}", quote(name), value.get()))
            .collect();
        let Some(start) = (raw.get().as_ptr() as usize).checked_sub(text.as_ptr() as usize) else {
            continue;
        };
        let range = start..start + raw.get().len();
        if text.get(range.clone()).is_some() {
            splices.replace(range, format!("{{{}}}", kept.join(",")));
            let field = format!("messages[{at}].{SIGNATURES}");
            losses.push(Loss::dropped(field, "the target cannot verify it"));
        }
    }
}
