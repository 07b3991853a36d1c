//! Forms that some targets refuse, each in the form that they take.

use super::super::profile::Form;
use super::super::tree::Node;
use super::{Compiler, is_note, yes};
use llmleaf_model::Failure;
use serde_json::Value;

/// Keywords that tell the type they are for.
const TELLING: &[(&str, &[&str])] = &[
    (
        "object",
        &[
            "properties",
            "additionalProperties",
            "required",
            "minProperties",
            "maxProperties",
            "patternProperties",
            "propertyNames",
        ],
    ),
    (
        "array",
        &[
            "items",
            "prefixItems",
            "minItems",
            "maxItems",
            "uniqueItems",
            "contains",
        ],
    ),
    ("string", &["minLength", "maxLength", "pattern", "format"]),
    (
        "number",
        &[
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "multipleOf",
        ],
    ),
];

impl Compiler<'_> {
    /// Draft 4's limits that are no numbers, draft 7's lists in `items`, and the older name of definitions.
    pub(super) fn older(&mut self, node: &mut Node) {
        for (limit, flag) in [
            ("minimum", "exclusiveMinimum"),
            ("maximum", "exclusiveMaximum"),
        ] {
            match node.get(flag).map(|value| (yes(value), value.as_bool())) {
                Some((true, _)) => {
                    node.take(flag);
                    if let Some(value) = node.take(limit) {
                        node.set(flag, value);
                    }
                }
                Some((false, Some(_))) => {
                    node.take(flag);
                }
                _ => {}
            }
        }
        if matches!(node.get("items"), Some(Node::Array(_))) && node.get("prefixItems").is_none() {
            let list = node.take("items").unwrap_or(Node::object());
            node.set("prefixItems", list);
            if let Some(more) = node.take("additionalItems") {
                node.set("items", more);
            }
        }
        // Whole numbers: what is above 3 is 4 at least.
        if node.get("type").and_then(Node::as_str) == Some("integer") {
            for (name, plain, step) in [
                ("exclusiveMinimum", "minimum", 1),
                ("exclusiveMaximum", "maximum", -1),
            ] {
                let limit = match node.get(name) {
                    Some(Node::Leaf(value)) => value.as_i64().and_then(|n| n.checked_add(step)),
                    _ => None,
                };
                let known = self.profile.knows(name) || node.get(plain).is_some();
                if let Some(limit) = limit.filter(|_| !known) {
                    node.take(name);
                    node.set(plain, Node::Leaf(Value::from(limit)));
                }
            }
        }
    }

    pub(super) fn one_of(&mut self, node: &mut Node, at: &str) {
        if self.profile.takes(Form::OneOf) || node.get("oneOf").is_none() {
            return;
        }
        if node.get("anyOf").is_some() {
            return;
        }
        if let Some(branches) = node.take("oneOf") {
            self.approximated(&format!("{at}.oneOf"), "the target has `anyOf` for it");
            node.set("anyOf", branches);
        }
    }

    pub(super) fn constant(&mut self, node: &mut Node, at: &str) {
        if self.profile.takes(Form::Constants) {
            return;
        }
        let Some(value) = node.take("const") else {
            return;
        };
        let values = node.get("enum").map(Node::items);
        if values.is_some_and(|values| !values.contains(&value)) {
            let why = "no value is both: the one of `const` is asked for";
            self.altered(&format!("{at}.enum"), why);
        }
        node.set("enum", Node::Array(vec![value]));
    }

    /// A tuple becomes a list of any of its items.
    pub(super) fn tuple(&mut self, node: &mut Node, at: &str) {
        if self.profile.takes(Form::Tuples) {
            return;
        }
        let Some(places) = node.take("prefixItems") else {
            return;
        };
        self.altered(
            &format!("{at}.prefixItems"),
            "a tuple becomes a list of any of its items",
        );
        let mut kinds: Vec<Node> = Vec::new();
        let more = node.take("items");
        let closed = more.as_ref().and_then(Node::as_bool) == Some(false);
        let more = more.filter(|more| matches!(more, Node::Object(_)));
        for kind in places.items().iter().chain(&more) {
            if !kinds.contains(kind) {
                kinds.push(kind.clone());
            }
        }
        if closed && node.get("maxItems").is_none() {
            node.set("maxItems", Node::Leaf(Value::from(places.items().len())));
        }
        let any = match kinds.len() {
            1 => kinds.pop().unwrap_or(Node::object()),
            _ => {
                let mut any = Node::object();
                any.set("anyOf", Node::Array(kinds));
                any
            }
        };
        node.set("items", any);
    }

    /// A list of types becomes alternatives with one type each.
    pub(super) fn types(&mut self, node: &mut Node, at: &str) -> Result<(), Failure> {
        let Some(Node::Array(kinds)) = node.get("type") else {
            return Ok(());
        };
        if let [one] = kinds.as_slice() {
            let one = one.clone();
            node.set("type", one);
            return Ok(());
        }
        if self.profile.takes(Form::TypeLists) {
            return Ok(());
        }
        let kinds = kinds.clone();
        // Each may be written with all that stands beside it.
        self.spend(node.size().saturating_mul(kinds.len()), at)?;
        node.take("type");
        let bound: Vec<(String, Node)> = take_where(node, |name| !is_note(name) && !combines(name));
        let branches = kinds.iter().filter_map(Node::as_str).map(|kind| {
            let mut branch = Node::object();
            branch.set("type", Node::text(kind));
            for (name, value) in &bound {
                match telling(name) {
                    Some(of) if !same_kind(of, kind) => {}
                    _ if name == "enum" => {
                        let fits = |item: &&Node| is_of(item, kind);
                        let some: Vec<Node> = value.items().iter().filter(fits).cloned().collect();
                        if !some.is_empty() {
                            branch.set(name, Node::Array(some));
                        }
                    }
                    _ => branch.set(name, value.clone()),
                }
            }
            let listed = bound.iter().any(|(name, _)| name == "enum");
            // No value of this type is among those listed.
            (!listed || branch.get("enum").is_some()).then_some(branch)
        });
        let branches: Vec<Node> = branches.flatten().collect();
        match node.take("anyOf") {
            // Both must hold; the one becomes a part of the other below.
            Some(union) => {
                let written: usize = branches.iter().map(Node::size).sum();
                self.spend(union.items().len().saturating_mul(written), at)?;
                let mut types = Node::object();
                types.set("anyOf", Node::Array(branches));
                node.set("anyOf", Node::Array(crossed(&union, &types)));
            }
            None => node.set("anyOf", Node::Array(branches)),
        }
        Ok(())
    }

    /// What stands beside `anyOf` moves into each of its alternatives.
    pub(super) fn union(&mut self, node: &mut Node, at: &str) -> Result<(), Failure> {
        if self.profile.takes(Form::TypeBesideUnion) || node.get("anyOf").is_none() {
            return Ok(());
        }
        let rest = Node::Object(take_where(node, |name| !is_note(name) && name != "anyOf"));
        if rest.fields().is_empty() {
            return Ok(());
        }
        let branches = node.take("anyOf");
        let branches = branches.as_ref().map(Node::items).unwrap_or_default();
        self.spend(rest.size().saturating_mul(branches.len()), at)?;
        let mut moved = Vec::with_capacity(branches.len());
        for branch in branches {
            let mut branch = branch.clone();
            if matches!(branch, Node::Object(_)) {
                self.join(&mut branch, &rest, at);
            }
            moved.push(branch);
        }
        node.set("anyOf", Node::Array(moved));
        Ok(())
    }

    /// A type that only the keywords tell.
    pub(super) fn infer(&mut self, node: &mut Node) {
        let told = ["type", "anyOf", "oneOf", "allOf", "$ref", "not"];
        if self.profile.takes(Form::Untyped) || told.iter().any(|name| node.get(name).is_some()) {
            return;
        }
        let listed = node.get("enum").map(Node::items).unwrap_or_default();
        let kinds = [
            "string", "boolean", "integer", "number", "null", "object", "array",
        ];
        let all = |kind: &&&str| listed.iter().all(|item| is_of(item, kind));
        let kind = match listed.is_empty() {
            false => kinds.iter().find(all).copied(),
            true => {
                let names = || node.fields().iter().map(|(name, _)| name.as_str());
                names().find_map(telling)
            }
        };
        if let Some(kind) = kind
            && let Node::Object(fields) = node
        {
            fields.insert(0, ("type".to_owned(), Node::text(kind)));
        }
    }
}

fn combines(name: &str) -> bool {
    matches!(name, "anyOf" | "oneOf" | "allOf" | "not" | "$ref")
}

fn take_where(node: &mut Node, takes: impl Fn(&str) -> bool) -> Vec<(String, Node)> {
    let Node::Object(fields) = node else {
        return Vec::new();
    };
    let (taken, kept) = std::mem::take(fields)
        .into_iter()
        .partition(|(name, _)| takes(name));
    *fields = kept;
    taken
}

/// Each alternative of the one with each of the other.
fn crossed(ours: &Node, theirs: &Node) -> Vec<Node> {
    let inner = |one: &Node| {
        let mut one = one.clone();
        let held = one.take("allOf");
        let mut all: Vec<Node> = held
            .as_ref()
            .map(|all| all.items().to_vec())
            .unwrap_or_default();
        all.push(theirs.clone());
        one.set("allOf", Node::Array(all));
        one
    };
    ours.items().iter().map(inner).collect()
}

fn telling(name: &str) -> Option<&'static str> {
    let row = TELLING.iter().find(|(_, words)| words.contains(&name));
    row.map(|(kind, _)| *kind)
}

fn same_kind(of: &str, kind: &str) -> bool {
    of == kind || of == "number" && kind == "integer"
}

fn is_of(item: &Node, kind: &str) -> bool {
    match item {
        Node::Object(_) => kind == "object",
        Node::Array(_) => kind == "array",
        Node::Leaf(value) => match kind {
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            "number" => value.is_number(),
            "integer" => value.is_i64() || value.is_u64(),
            _ => false,
        },
    }
}
