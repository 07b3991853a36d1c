//! Two schemas that must both hold, as one.

use super::tree::Node;
use serde_json::Value;

/// Adds what `other` demands to `schema`. False where the two could only be joined roughly.
pub(super) fn both(schema: &mut Node, other: &Node) -> bool {
    let mut exact = true;
    for (name, theirs) in other.fields() {
        let Some(ours) = schema.get(name) else {
            schema.set(name, theirs.clone());
            continue;
        };
        if ours == theirs {
            continue;
        }
        let (joined, well) = joined(name, ours, theirs);
        exact &= well;
        if let Some(joined) = joined {
            schema.set(name, joined);
        }
    }
    exact
}

/// The value of a keyword that both have; `None` keeps the first.
fn joined(name: &str, ours: &Node, theirs: &Node) -> (Option<Node>, bool) {
    match name {
        "properties" | "$defs" | "definitions" => properties(ours, theirs),
        "required" => (Some(union(ours, theirs)), true),
        "enum" => {
            let shared = |item: &&Node| theirs.items().contains(item);
            let shared: Vec<Node> = ours.items().iter().filter(shared).cloned().collect();
            let some = !shared.is_empty();
            (some.then_some(Node::Array(shared)), some)
        }
        "type" => kinds(ours, theirs),
        "minimum" | "minLength" | "minItems" | "minProperties" | "exclusiveMinimum" => {
            (further(ours, theirs, f64::lt), true)
        }
        "maximum" | "maxLength" | "maxItems" | "maxProperties" | "exclusiveMaximum" => {
            (further(ours, theirs, f64::gt), true)
        }
        "additionalProperties" | "items" => match (ours.as_bool(), theirs.as_bool()) {
            // Each half closed its own list; the whole has both.
            (Some(false), _) | (_, Some(false)) => (Some(Node::Leaf(Value::Bool(false))), false),
            (Some(true), _) => (Some(theirs.clone()), true),
            (_, Some(true)) => (None, true),
            _ => {
                let mut inner = ours.clone();
                let exact = both(&mut inner, theirs);
                (Some(inner), exact)
            }
        },
        // Words about a schema: the nearer ones count.
        "title" | "description" | "default" | "examples" | "$comment" | "$id" | "$schema" => {
            (None, true)
        }
        _ => (None, false),
    }
}

fn properties(ours: &Node, theirs: &Node) -> (Option<Node>, bool) {
    let mut all = ours.clone();
    let mut exact = true;
    for (name, theirs) in theirs.fields() {
        match all.get(name) {
            Some(ours) => {
                let mut inner = ours.clone();
                exact &= both(&mut inner, theirs);
                all.set(name, inner);
            }
            None => all.set(name, theirs.clone()),
        }
    }
    (Some(all), exact)
}

/// Both lists as one.
pub(super) fn union(ours: &Node, theirs: &Node) -> Node {
    let mut all = ours.items().to_vec();
    for item in theirs.items() {
        if !all.contains(item) {
            all.push(item.clone());
        }
    }
    Node::Array(all)
}

fn kinds(ours: &Node, theirs: &Node) -> (Option<Node>, bool) {
    let theirs = names(theirs);
    let fits =
        |name: &&str| theirs.contains(name) || *name == "integer" && theirs.contains(&"number");
    let mut shared: Vec<&str> = names(ours).into_iter().filter(fits).collect();
    if names(ours).contains(&"number") && theirs.contains(&"integer") {
        shared.push("integer");
    }
    match shared.as_slice() {
        [] => (None, false),
        [one] => (Some(Node::text(one)), true),
        several => {
            let list = several.iter().map(|name| Node::text(name));
            (Some(Node::Array(list.collect())), true)
        }
    }
}

/// The types that a schema names.
pub(super) fn names(kind: &Node) -> Vec<&str> {
    match kind.as_str() {
        Some(one) => vec![one],
        None => kind.items().iter().filter_map(Node::as_str).collect(),
    }
}

fn further(ours: &Node, theirs: &Node, less: fn(&f64, &f64) -> bool) -> Option<Node> {
    let (a, b) = (ours.as_f64()?, theirs.as_f64()?);
    less(&a, &b).then(|| theirs.clone())
}
