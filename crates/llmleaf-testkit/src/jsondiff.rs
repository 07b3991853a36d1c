//! What was changed between two JSON texts, path by path, spelling and key order included, so that a
//! test can name the edits it expects and see every other one.

use std::fmt;

use crate::json::{ParseError, Value, parse};

/// How one place differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Only in the second text.
    Added,
    /// Only in the first text.
    Removed,
    /// Another value.
    Changed,
    /// The same number or string, spelled differently.
    Respelled,
    /// The same keys in another order.
    Reordered,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Where, as `messages[0].content`; empty for the whole text. A key that is no plain word is
    /// quoted: `metadata["a.b"]`.
    pub path: String,
    /// How it differs.
    pub kind: Kind,
    /// The text before, compact; the key list for [`Kind::Reordered`].
    pub before: Option<String>,
    /// The text after, compact; the key list for [`Kind::Reordered`].
    pub after: Option<String>,
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.kind, self.path)?;
        for (sign, side) in [("before", &self.before), ("after", &self.after)] {
            if let Some(text) = side {
                let shown: String = text.chars().take(120).collect();
                write!(f, "\n  {sign}: {shown}")?;
            }
        }
        Ok(())
    }
}

/// Every difference between two texts, in the order of the first. Whitespace is none.
///
/// # Errors
/// When one of them is not JSON.
pub fn diff(before: &str, after: &str) -> Result<Vec<Edit>, ParseError> {
    let mut edits = Vec::new();
    compare("", &parse(before)?, &parse(after)?, &mut edits);
    Ok(edits)
}

/// The differences that no allowed edit explains. An allowed edit is
///
/// - a path such as `model` or `messages[*].content`: anything may happen at it and below it; `[*]` stands for
///   any position. A parent that came or went explains itself when all its leaves are allowed
///   (`stream_options.include_usage` also allows that `stream_options` appears with only that in it);
/// - a rename such as `max_tokens→max_completion_tokens` (or with `->`): the first went, the second came, with
///   exactly the same spelling of the value.
///
/// # Errors
/// When one of the texts is not JSON.
pub fn unexplained(before: &str, after: &str, allowed: &[&str]) -> Result<Vec<Edit>, ParseError> {
    let edits = diff(before, after)?;
    let rename = |rule: &str| {
        let (from, to) = rule.split_once('→').or_else(|| rule.split_once("->"))?;
        let gone = edits
            .iter()
            .find(|edit| edit.kind == Kind::Removed && edit.path == from.trim())?;
        let came = edits
            .iter()
            .find(|edit| edit.kind == Kind::Added && edit.path == to.trim())?;
        (gone.before == came.after).then(|| [gone.path.clone(), came.path.clone()])
    };
    let renamed: Vec<String> = allowed
        .iter()
        .filter_map(|rule| rename(rule))
        .flatten()
        .collect();
    let explained = |edit: &Edit| {
        leaves(edit).iter().all(|leaf| {
            renamed.iter().any(|path| path == &edit.path)
                || allowed.iter().any(|rule| covers(rule, leaf))
        })
    };
    Ok(edits
        .iter()
        .filter(|edit| !explained(edit))
        .cloned()
        .collect())
}

/// The paths of the leaves that an edit brought or took; its own path for any other edit.
fn leaves(edit: &Edit) -> Vec<String> {
    let text = match edit.kind {
        Kind::Added => edit.after.as_deref(),
        Kind::Removed => edit.before.as_deref(),
        _ => None,
    };
    let mut found = Vec::new();
    match text.map(parse) {
        Some(Ok(value)) => collect_leaves(&edit.path, &value, &mut found),
        _ => found.push(edit.path.clone()),
    }
    found
}

fn collect_leaves(path: &str, value: &Value, found: &mut Vec<String>) {
    let before = found.len();
    for (key, inner) in value.members() {
        collect_leaves(&member(path, key), inner, found);
    }
    for (position, inner) in value.elements().iter().enumerate() {
        collect_leaves(&format!("{path}[{position}]"), inner, found);
    }
    if found.len() == before {
        found.push(path.to_owned());
    }
}

fn covers(rule: &str, path: &str) -> bool {
    let rule = rule.trim();
    if rule.is_empty() {
        return path.is_empty();
    }
    let mut rest = path;
    for (number, literal) in rule.split("[*]").enumerate() {
        if number > 0 {
            let Some((digits, tail)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'))
            else {
                return false;
            };
            if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return false;
            }
            rest = tail;
        }
        let Some(tail) = rest.strip_prefix(literal) else {
            return false;
        };
        rest = tail;
    }
    rest.is_empty() || rest.starts_with(['.', '['])
}

fn compare(path: &str, before: &Value, after: &Value, edits: &mut Vec<Edit>) {
    match (before, after) {
        (Value::Object(_), Value::Object(_)) => compare_objects(path, before, after, edits),
        (Value::Array(a), Value::Array(b)) => compare_arrays(path, a, b, edits),
        _ => {
            let (old, new) = (before.to_string(), after.to_string());
            if old != new {
                let kind = if before.same_meaning(after) {
                    Kind::Respelled
                } else {
                    Kind::Changed
                };
                edits.push(edit(path, kind, Some(old), Some(new)));
            }
        }
    }
}

fn compare_objects(path: &str, before: &Value, after: &Value, edits: &mut Vec<Edit>) {
    for (key, old, new) in aligned(before, after) {
        let path = member(path, &key);
        match (old, new) {
            (Some(old), Some(new)) => compare(&path, old, new, edits),
            (Some(old), None) => {
                edits.push(edit(&path, Kind::Removed, Some(old.to_string()), None))
            }
            (None, Some(new)) => edits.push(edit(&path, Kind::Added, None, Some(new.to_string()))),
            (None, None) => {}
        }
    }
    let shared = |own: &Value, other: &Value| -> Vec<String> {
        let keys = own.members().iter().map(|(key, _)| key);
        keys.filter(|key| other.get(key).is_some())
            .cloned()
            .collect()
    };
    let (old, new) = (shared(before, after), shared(after, before));
    if old != new {
        let (old, new) = (Some(old.join(",")), Some(new.join(",")));
        edits.push(edit(path, Kind::Reordered, old, new));
    }
}

/// Pairs the members of two objects by key; a repeated key pairs by its count.
fn aligned<'a>(
    before: &'a Value,
    after: &'a Value,
) -> Vec<(String, Option<&'a Value>, Option<&'a Value>)> {
    let mut rest: Vec<Option<&(String, Value)>> = after.members().iter().map(Some).collect();
    let mut pairs = Vec::new();
    for (key, old) in before.members() {
        let found = rest
            .iter_mut()
            .find(|slot| slot.is_some_and(|(name, _)| name == key))
            .and_then(Option::take);
        pairs.push((key.clone(), Some(old), found.map(|(_, new)| new)));
    }
    let added = rest.into_iter().flatten();
    pairs.extend(added.map(|(key, new)| (key.clone(), None, Some(new))));
    pairs
}

/// Positions pair from the front; an insertion or removal in the middle is found by the common tail.
fn compare_arrays(path: &str, before: &[Value], after: &[Value], edits: &mut Vec<Edit>) {
    let same = |a: &Value, b: &Value| a.to_string() == b.to_string();
    let shorter = before.len().min(after.len());
    let head = (0..shorter)
        .take_while(|&at| same(&before[at], &after[at]))
        .count();
    let tail = if before.len() == after.len() {
        0
    } else {
        (1..=shorter - head)
            .take_while(|&back| same(&before[before.len() - back], &after[after.len() - back]))
            .count()
    };
    let old_middle = &before[head..before.len() - tail];
    let new_middle = &after[head..after.len() - tail];
    for at in 0..old_middle.len().max(new_middle.len()) {
        let path = format!("{path}[{}]", head + at);
        match (old_middle.get(at), new_middle.get(at)) {
            (Some(old), Some(new)) => compare(&path, old, new, edits),
            (Some(old), None) => {
                edits.push(edit(&path, Kind::Removed, Some(old.to_string()), None))
            }
            (None, Some(new)) => edits.push(edit(&path, Kind::Added, None, Some(new.to_string()))),
            (None, None) => {}
        }
    }
}

fn edit(path: &str, kind: Kind, before: Option<String>, after: Option<String>) -> Edit {
    Edit {
        path: path.to_owned(),
        kind,
        before,
        after,
    }
}

fn member(path: &str, key: &str) -> String {
    let plain = !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'$'));
    if !plain {
        return format!("{path}[{}]", serde_json::Value::from(key));
    }
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

#[cfg(test)]
mod tests;
