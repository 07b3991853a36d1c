//! Arguments that come piece by piece: `partialArgs`, as Vertex AI streams them on request.
//!
//! Each piece names a place (`$.a.b[0]`) and a value; a string whose piece says `willContinue` grows by the next piece of
//! its place. The call is complete with the first fragment that does not say `willContinue` itself.
//!
//! A few letters of a path can ask for much memory or stack, so pieces, depth and elements are bounded; past a bound the call
//! is broken, since arguments of which a part is missing are not the model's.

use super::wire::text;
use crate::head::MAX_DEPTH;
use crate::object::{Object, items};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Most pieces of one call.
const MAX_PIECES: usize = 100_000;
/// Most elements that the paths of one call may add to its lists, and most members to its objects.
const MAX_ELEMENTS: usize = 100_000;
/// The longest list that a place may name.
const MAX_INDEX: usize = 10_000;

/// The pieces of a call go past a bound.
#[derive(Debug)]
pub(super) struct TooMuch;

/// A call under assembly.
#[derive(Debug)]
pub(super) struct Partial {
    /// Number of the call in its response.
    pub index: u64,
    arguments: Value,
    pieces: usize,
    left: Left,
}

/// What may still be added.
#[derive(Debug)]
struct Left {
    elements: usize,
    members: usize,
}

impl Partial {
    /// A call that has no arguments yet.
    pub fn new(index: u64) -> Self {
        Self {
            index,
            arguments: Value::Object(Map::new()),
            pieces: 0,
            left: Left {
                elements: MAX_ELEMENTS,
                members: MAX_ELEMENTS,
            },
        }
    }

    /// Takes a fragment's pieces.
    ///
    /// # Errors
    /// They are too many, too deep, or make lists that are too long. Their call is not to be used.
    pub fn take(&mut self, pieces: &RawValue) -> Result<(), TooMuch> {
        for piece in items(pieces).unwrap_or_default() {
            self.pieces += 1;
            if self.pieces > MAX_PIECES {
                return Err(TooMuch);
            }
            if let Some(piece) = Object::from_raw(piece) {
                self.piece(&piece)?;
            }
        }
        Ok(())
    }

    fn piece(&mut self, piece: &Object<'_>) -> Result<(), TooMuch> {
        let path = text(piece, "jsonPath").unwrap_or_default();
        let Some(steps) = steps(&path)? else {
            return Ok(());
        };
        let place = place(&mut self.arguments, &steps, &mut self.left)?;
        self::set(place, piece);
        Ok(())
    }

    /// The arguments as JSON text.
    pub fn finish(self) -> String {
        self.arguments.to_string()
    }
}

/// Writes a piece's value to its place.
fn set(place: &mut Value, piece: &Object<'_>) {
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

/// One step of a path.
enum Step<'p> {
    Member(&'p str),
    Element(usize),
}

/// The steps of a path; `None` where it cannot be read.
fn steps(path: &str) -> Result<Option<Vec<Step<'_>>>, TooMuch> {
    let mut steps = Vec::new();
    let Some(mut rest) = path.strip_prefix('$') else {
        return Ok(None);
    };
    while !rest.is_empty() {
        let Some((step, after)) = step(rest) else {
            return Ok(None);
        };
        // The arguments themselves are one level.
        if steps.len() + 1 >= MAX_DEPTH || matches!(step, Step::Element(at) if at > MAX_INDEX) {
            return Err(TooMuch);
        }
        steps.push(step);
        rest = after;
    }
    Ok(Some(steps))
}

/// The first step of a path, and what follows it.
fn step(path: &str) -> Option<(Step<'_>, &str)> {
    if let Some(inner) = path.strip_prefix('[') {
        let (inside, after) = inner.split_once(']')?;
        let step = match inside.trim_matches(['\'', '"']) {
            name if name.len() < inside.len() => Step::Member(name),
            number => Step::Element(number.parse().ok()?),
        };
        return Some((step, after));
    }
    let inner = path.strip_prefix('.')?;
    let (name, after) = inner.split_at(inner.find(['.', '[']).unwrap_or(inner.len()));
    Some((Step::Member(name), after))
}

/// The place that the steps lead to, made where it is missing, of what is `left`.
fn place<'v>(
    root: &'v mut Value,
    steps: &[Step<'_>],
    left: &mut Left,
) -> Result<&'v mut Value, TooMuch> {
    let mut at = root;
    for step in steps {
        at = match step {
            Step::Member(name) => member(at, name, &mut left.members)?,
            Step::Element(index) => element(at, *index, &mut left.elements)?,
        };
    }
    Ok(at)
}

fn member<'v>(at: &'v mut Value, name: &str, left: &mut usize) -> Result<&'v mut Value, TooMuch> {
    if !at.is_object() {
        *at = Value::Object(Map::new());
    }
    let fields = at.as_object_mut().ok_or(TooMuch)?;
    if !fields.contains_key(name) {
        *left = left.checked_sub(1).ok_or(TooMuch)?;
    }
    Ok(fields.entry(name).or_insert(Value::Null))
}

fn element<'v>(
    at: &'v mut Value,
    index: usize,
    left: &mut usize,
) -> Result<&'v mut Value, TooMuch> {
    if !at.is_array() {
        *at = Value::Array(Vec::new());
    }
    let list = at.as_array_mut().ok_or(TooMuch)?;
    let missing = (index + 1).saturating_sub(list.len());
    *left = left.checked_sub(missing).ok_or(TooMuch)?;
    if missing > 0 {
        list.resize(index + 1, Value::Null);
    }
    list.get_mut(index).ok_or(TooMuch)
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
            r#"[{"jsonPath":"city","stringValue":"no place"}]"#,
        ] {
            call.take(Json::parse(pieces).unwrap().raw()).unwrap();
        }
        let read: serde_json::Value = serde_json::from_str(&call.finish()).unwrap();
        let expected = serde_json::json!({"city":"Boston","n":3,"list":[null,{"a":true}],"x":null});
        assert_eq!(read, expected);
    }

    #[test]
    fn pieces_past_a_bound_break_their_call() {
        let piece = |path: &str| format!(r#"{{"jsonPath":"${path}","boolValue":true}}"#);
        let lists = |count: usize| -> Vec<String> {
            let paths = (0..count).map(|at| piece(&format!(".m{at}[9999]")));
            paths.collect()
        };
        let taken = |pieces: &[String]| {
            let mut call = Partial::new(0);
            let pieces = format!("[{}]", pieces.join(","));
            let taken = call.take(Json::parse(&pieces).unwrap().raw());
            taken.map(|()| call.finish().len()).ok()
        };
        assert!(taken(&[piece(&".a".repeat(127))]).is_some());
        assert!(taken(&lists(10)).is_some());
        for (name, pieces) in [
            ("depth", vec![piece(&".a".repeat(128))]),
            ("depth", vec![piece(&"[0]".repeat(300_000))]),
            ("length", vec![piece(".a[10001]")]),
            ("elements", lists(11)),
            (
                "members",
                (0..1000)
                    .map(|n| piece(&format!(".m{n}{}", ".a".repeat(110))))
                    .collect(),
            ),
            ("elements", vec![piece(&"[9999]".repeat(20))]),
            ("number", vec![piece(".a"); 100_001]),
        ] {
            assert_eq!(taken(&pieces), None, "{name}");
        }
    }
}
