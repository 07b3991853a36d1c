//! Arguments that come piece by piece: `partialArgs`, as Vertex AI streams them on request.
//!
//! Each piece names a place (`$.a.b[0]`) and a value; a string whose piece says `willContinue` grows by the next piece of
//! its place. The call is complete with the first fragment that does not say `willContinue` itself.

use super::wire::text;
use crate::object::{Object, items};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Most pieces of one call, and the longest list that a place may name.
const MAX_PIECES: usize = 100_000;
const MAX_INDEX: usize = 10_000;

/// A call under assembly.
#[derive(Debug)]
pub(super) struct Partial {
    /// Number of the call in its response.
    pub index: u64,
    arguments: Value,
    pieces: usize,
}

impl Partial {
    /// A call that has no arguments yet.
    pub fn new(index: u64) -> Self {
        Self {
            index,
            arguments: Value::Object(Map::new()),
            pieces: 0,
        }
    }

    /// Takes a fragment's pieces.
    pub fn take(&mut self, pieces: &RawValue) {
        for piece in items(pieces).unwrap_or_default() {
            self.pieces += 1;
            if self.pieces > MAX_PIECES {
                return;
            }
            if let Some(piece) = Object::from_raw(piece) {
                self.piece(&piece);
            }
        }
    }

    fn piece(&mut self, piece: &Object<'_>) {
        let path = text(piece, "jsonPath").unwrap_or_default();
        let Some(place) = place(&mut self.arguments, &path) else {
            return;
        };
        if let Some(more) = text(piece, "stringValue") {
            match place {
                Value::String(have) => have.push_str(&more),
                other => *other = Value::String(more.into_owned()),
            }
            return;
        }
        for name in ["numberValue", "boolValue"] {
            if let Some(value) = piece.get(name) {
                *place = serde_json::from_str(value.get()).unwrap_or_default();
                return;
            }
        }
        if piece.get("nullValue").is_some() {
            *place = Value::Null;
        }
    }

    /// The arguments as JSON text.
    pub fn finish(self) -> String {
        self.arguments.to_string()
    }
}

/// The place that a path names, made where it is missing. `None` for a path that cannot be read.
fn place<'v>(root: &'v mut Value, path: &str) -> Option<&'v mut Value> {
    let mut at = root;
    let mut rest = path.strip_prefix('$')?;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (inside, after) = inner.split_once(']')?;
            rest = after;
            at = match inside.trim_matches(['\'', '"']) {
                name if name.len() < inside.len() => member(at, name),
                number => element(at, number.parse().ok()?)?,
            };
        } else {
            let inner = rest.strip_prefix('.')?;
            let end = inner.find(['.', '[']).unwrap_or(inner.len());
            at = member(at, inner.get(..end)?);
            rest = inner.get(end..)?;
        }
    }
    Some(at)
}

fn member<'v>(at: &'v mut Value, name: &str) -> &'v mut Value {
    if !at.is_object() {
        *at = Value::Object(Map::new());
    }
    match at {
        Value::Object(fields) => fields.entry(name).or_insert(Value::Null),
        other => other,
    }
}

fn element(at: &mut Value, index: usize) -> Option<&mut Value> {
    if index > MAX_INDEX {
        return None;
    }
    if !at.is_array() {
        *at = Value::Array(Vec::new());
    }
    let list = at.as_array_mut()?;
    if list.len() <= index {
        list.resize(index + 1, Value::Null);
    }
    list.get_mut(index)
}

#[cfg(test)]
mod tests {
    use super::Partial;
    use llmleaf_model::Json;

    #[test]
    fn pieces_become_the_arguments() {
        let mut call = Partial::new(0);
        for pieces in [
            r#"[{"jsonPath":"$.city","stringValue":"Bos","willContinue":true},{"jsonPath":"$.n","numberValue":3}]"#,
            r#"[{"jsonPath":"$.city","stringValue":"ton"}]"#,
            r#"[{"jsonPath":"$.list[1].a","boolValue":true},{"jsonPath":"$['x']","nullValue":"NULL_VALUE"}]"#,
            r#"[{"jsonPath":"city","stringValue":"no place"},{"jsonPath":"$.list[99999999]","stringValue":"too far"}]"#,
        ] {
            call.take(Json::parse(pieces).unwrap().raw());
        }
        let read: serde_json::Value = serde_json::from_str(&call.finish()).unwrap();
        let expected = serde_json::json!({"city":"Boston","n":3,"list":[null,{"a":true}],"x":null});
        assert_eq!(read, expected);
    }
}
