//! Same dialect in and out: the few named edits.
//!
//! `model`, where the body repeats it and its value differs, fields that the target does not know, and parts whose signature is a sealed
//! artefact of a family that the target cannot verify. All other bytes stay as they are; the model's name and whether to stream go into the path.

use super::quirks::{ModelRule, Quirks};
use super::signature::{self, EXCUSE, SEAL};
use crate::head::Field;
use crate::object::{Object, items, string};
use crate::splice::{Splices, quote, range_of};
use crate::{Head, Rendered, Target, edits, head};
use bytes::Bytes;
use llmleaf_model::{Failure, Loss};
use memchr::memmem;
use serde_json::value::RawValue;
use std::ops::Range;

/// Splices the named edits into a consumer's body.
///
/// # Errors
/// The body is not the one that `head` was read from.
pub fn edit_request(
    head: &Head,
    body: &Bytes,
    target: Target<'_>,
    quirks: &Quirks,
) -> Result<Rendered, Failure> {
    let text = head::checked(body)?;
    let mut edit = Edit {
        text,
        rule: quirks.rule(target.model),
        quirks,
        splices: Splices::new(),
        losses: Vec::new(),
    };
    if let Some(field) = head.field(text, "model")
        && !quirks.lacks("model")
    {
        edit.model(field.value.clone(), target.model);
    }
    for name in ["generateContentRequest", "generate_content_request"] {
        let inner = head.value(text, name);
        let inner = inner.and_then(|value| serde_json::from_str::<&RawValue>(value).ok());
        if let Some(inner) = inner.and_then(Object::from_raw) {
            if let Some(range) = inner.get("model").and_then(|raw| range_of(text, raw)) {
                edit.model(range, target.model);
            }
            edit.contents(inner.get("contents"));
        }
    }
    edit.lacking(head);
    let contents = head.value(text, "contents");
    edit.contents(contents.and_then(|value| serde_json::from_str(value).ok()));
    let Edit {
        splices, losses, ..
    } = edit;
    Ok(edits::rendered(text, body, splices, losses))
}

/// The field of a request to count that holds a whole request.
pub(super) const WHOLE: &str = "generateContentRequest";

/// The two spellings of the field that carries a signature.
const SIGNATURES: [&str; 2] = ["thoughtSignature", "thought_signature"];

struct Edit<'t> {
    text: &'t str,
    quirks: &'t Quirks,
    rule: &'t ModelRule,
    splices: Splices<'t>,
    losses: Vec<Loss>,
}

impl<'t> Edit<'t> {
    /// Names the target's model where another one is named, with or without the collection before it.
    fn model(&mut self, range: Range<usize>, model: &str) {
        let written = self.text.get(range.clone()).unwrap_or_default();
        let asked: String = serde_json::from_str(written).unwrap_or_default();
        let bare = |name: &str| name.strip_prefix("models/").unwrap_or(name).to_owned();
        if bare(&asked) == bare(model) {
            return;
        }
        let collection = asked.starts_with("models/") && !model.contains('/');
        let name = if collection {
            format!("models/{model}")
        } else {
            model.to_owned()
        };
        self.splices.replace(range, quote(&name));
    }

    /// Takes out what the target does not know. A field may be spelled either way.
    fn lacking(&mut self, head: &Head) {
        if self.quirks.lacks.is_empty() {
            return;
        }
        let (text, quirks) = (self.text, self.quirks);
        let name = |field: &Field| {
            let written = field.name(text);
            super::wire::camel(written).unwrap_or_else(|| written.to_owned())
        };
        // One that holds the whole request is what is sent.
        let goes = |field: &Field| quirks.lacks(&name(field)) && name(field) != WHOLE;
        // The path says the model.
        let lost = |field: &&Field| goes(field) && !field.is(text, "model");
        for field in head.fields().iter().filter(lost) {
            self.losses
                .push(Loss::dropped(name(field), "not on this wire"));
        }
        for range in head.cuts(goes) {
            self.splices.remove(range);
        }
    }

    /// Opens envelopes that the target can verify, and takes the others away: a foreign signature is refused with a 400.
    fn contents(&mut self, contents: Option<&'t RawValue>) {
        // Almost no body holds one, and looking for it is cheap.
        let Some(contents) = contents else { return };
        if memmem::find(contents.get().as_bytes(), SEAL.as_bytes()).is_none() {
            return;
        }
        for (at, raw) in items(contents).unwrap_or_default().into_iter().enumerate() {
            let parts = Object::from_raw(raw).and_then(|content| content.get("parts"));
            let Some(parts) = parts else { continue };
            if let Some(list) = items(parts) {
                self.parts(at, parts, &list);
            }
        }
    }

    /// Writes the parts of a turn anew where one of them must change.
    fn parts(&mut self, at: usize, whole: &RawValue, parts: &[&RawValue]) {
        let mut changed = false;
        let mut kept: Vec<String> = Vec::with_capacity(parts.len());
        for (number, raw) in parts.iter().enumerate() {
            match self.part(raw) {
                Fate::Keep => kept.push(raw.get().to_owned()),
                Fate::Replace(text) => {
                    changed = true;
                    kept.push(text);
                }
                Fate::Lose(text) => {
                    changed = true;
                    kept.extend(text);
                    self.losses.push(Loss::dropped(
                        format!("contents[{at}].parts[{number}].thoughtSignature"),
                        "the target cannot verify it",
                    ));
                }
            }
        }
        changed |= self.excuse(&mut kept);
        if !changed {
            return;
        }
        if kept.is_empty() {
            // A turn may not be empty.
            kept.push("{\"text\":\" \"}".to_owned());
        }
        if let Some(range) = range_of(self.text, whole) {
            self.splices.replace(range, format!("[{}]", kept.join(",")));
        }
    }

    /// Excuses the first call of a turn that has no signature: other models than the target's have spoken here.
    fn excuse(&self, kept: &mut [String]) -> bool {
        if !self.rule.signed_calls {
            return false;
        }
        let is_call = |part: &Object<'_>| {
            ["functionCall", "function_call"]
                .iter()
                .any(|name| part.get(name).is_some())
        };
        let is_signed = |part: &Object<'_>| SIGNATURES.iter().any(|name| part.get(name).is_some());
        for text in kept {
            let excused = match Object::parse(text) {
                Ok(part) if is_call(&part) && !is_signed(&part) => text
                    .strip_suffix('}')
                    .map(|open| format!("{open},\"thoughtSignature\":{}}}", quote(EXCUSE))),
                Ok(part) if is_call(&part) => return false,
                _ => continue,
            };
            let Some(excused) = excused else { return false };
            *text = excused;
            return true;
        }
        false
    }

    fn part(&self, raw: &RawValue) -> Fate {
        let Some(part) = Object::from_raw(raw) else {
            return Fate::Keep;
        };
        let names = SIGNATURES;
        let value = names.iter().find_map(|name| part.get(name));
        let Some(sealed) = value.and_then(string).and_then(|v| signature::open(&v)) else {
            return Fate::Keep;
        };
        let rewritten = |proof: Option<&str>| {
            let fields = part.fields.iter().filter_map(|(name, value)| {
                if !names.contains(&&**name) {
                    return Some(format!("{}:{}", quote(name), value.get()));
                }
                proof.map(|proof| format!("{}:{}", quote(name), quote(proof)))
            });
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        };
        let verified = sealed
            .artefact
            .filter(|artefact| self.quirks.can_verify(&artefact.provenance));
        if let Some(artefact) = verified {
            return Fate::Replace(rewritten(Some(&artefact.data)));
        }
        let calls = part.get("functionCall").or(part.get("function_call"));
        let excuse = calls.filter(|_| self.rule.signed_calls).map(|_| EXCUSE);
        let says = part.get("text").and_then(string);
        // A thought of nothing but its proof says nothing without it.
        if calls.is_none() && says.is_none_or(|text| text.is_empty()) {
            return Fate::Lose(None);
        }
        Fate::Lose(Some(rewritten(excuse)))
    }
}

/// What becomes of a part.
enum Fate {
    Keep,
    Replace(String),
    /// The proof leaves; what is left of the part, if anything.
    Lose(Option<String>),
}
