//! Log-probabilities: this wire's four lists, and the list of entries that the model has, which is that of chat.

use crate::object::{Object, items, string};
use crate::writer::{self, ObjectWriter, array};
use llmleaf_model::Json;
use serde_json::value::RawValue;
use std::collections::BTreeSet;

/// This wire's lists as the model has them; `None` where they name no token.
pub(super) fn read(raw: &RawValue) -> Option<Json> {
    let lists = Object::from_raw(raw)?;
    let list = |name: &str| lists.get(name).and_then(items).unwrap_or_default();
    let (tokens, probabilities) = (list("tokens"), list("token_logprobs"));
    let alternatives = list("top_logprobs");
    if tokens.is_empty() {
        return None;
    }
    Some(writer::json_object(|object| {
        let entries = tokens.iter().enumerate();
        array(object.key("content"), entries, |out, (at, token)| {
            let token = string(token).unwrap_or_default();
            let value = probabilities.get(at).map_or("null", |raw| raw.get());
            let mut entry = entry(out, &token, value);
            let others = alternatives.get(at).and_then(|raw| Object::from_raw(raw));
            let others = others.map(|others| others.fields).unwrap_or_default();
            array(entry.key("top_logprobs"), others, |out, (token, value)| {
                self::entry(out, &token, value.get()).end();
            });
            entry.end();
        });
    }))
}

fn entry<'o>(out: &'o mut Vec<u8>, token: &str, value: &str) -> ObjectWriter<'o> {
    let mut entry = ObjectWriter::new(out);
    entry.string("token", token).raw("logprob", value);
    array(entry.key("bytes"), token.bytes(), |out, byte| {
        writer::number(out, u64::from(byte));
    });
    entry
}

/// Writes entries as this wire's lists. `offset` is where in the text the first token begins, in characters; it is moved on.
pub(super) fn write(out: &mut Vec<u8>, pieces: &[&Json], offset: &mut u64) {
    let mut entries = Vec::new();
    for piece in pieces {
        let piece = Object::from_raw(piece.raw());
        let list = piece.and_then(|piece| piece.get("content").and_then(items));
        entries.extend(
            list.unwrap_or_default()
                .into_iter()
                .filter_map(Object::from_raw),
        );
    }
    let token = |entry: &Object<'_>| {
        entry
            .get("token")
            .and_then(string)
            .unwrap_or_default()
            .into_owned()
    };
    let value = |entry: &Object<'_>| {
        entry
            .get("logprob")
            .map_or("null", RawValue::get)
            .to_owned()
    };
    let mut lists = ObjectWriter::new(out);
    array(lists.key("tokens"), &entries, |out, entry| {
        writer::string(out, &token(entry))
    });
    array(lists.key("token_logprobs"), &entries, |out, entry| {
        writer::one_line(out, &value(entry));
    });
    array(lists.key("top_logprobs"), &entries, |out, entry| {
        let others = entry
            .get("top_logprobs")
            .and_then(items)
            .unwrap_or_default();
        let mut object = ObjectWriter::new(out);
        let mut told = BTreeSet::new();
        for other in others.into_iter().filter_map(Object::from_raw) {
            let name = token(&other);
            // Two tokens may read alike; a name stands once, for the likelier one, which comes first.
            if !told.contains(&name) {
                object.raw(&name, &value(&other));
                told.insert(name);
            }
        }
        object.end();
    });
    array(lists.key("text_offset"), &entries, |out, entry| {
        writer::number(out, *offset);
        *offset = offset.saturating_add(token(entry).chars().count() as u64);
    });
    lists.end();
}
