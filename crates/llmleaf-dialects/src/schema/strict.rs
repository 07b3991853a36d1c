//! Schemas that a service holds calls and answers to: what it demands of them beyond forms and keywords.

use super::compile::Compiler;
use super::profile::Form;
use super::tree::Node;
use llmleaf_model::{Failure, Json};
use std::collections::HashSet;

/// How a target takes tools whose calls are to be held to their schema.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Strictness {
    /// As any tool; what there is of it the renderer says.
    AsAny,
    /// Not at all: the field that asks for it stays behind.
    Unknown,
    /// By another profile. What does not fit it is not held to its schema.
    Profile(&'static super::Profile),
    /// As "Structured outputs", platform.openai.com, 2026-11, has it: every object closed, every property required. What is otherwise
    /// is refused there, and so is not held to its schema.
    AllRequired,
}

/// Formats of texts that are taken: "JSON Schema limitations" of "Structured outputs", docs.claude.com, 2026-11.
const FORMATS: &[&str] = &[
    "date-time",
    "time",
    "date",
    "duration",
    "email",
    "hostname",
    "uri",
    "ipv4",
    "ipv6",
    "uuid",
];

/// Keywords that are refused where every property has to be required.
const REFUSED: &[&str] = &[
    "allOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "default",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
];

impl Compiler<'_> {
    /// Closes every object of a compiled schema.
    pub(super) fn close(&mut self, node: Node, at: &str) -> Result<Node, Failure> {
        let Node::Object(fields) = node else {
            return Ok(node);
        };
        let mut out = Vec::with_capacity(fields.len() + 1);
        for (name, value) in fields {
            let place = format!("{at}.{name}");
            let value = match (name.as_str(), value) {
                ("properties", Node::Object(inner)) => {
                    let close = |(name, value): (String, Node)| {
                        let value = self.close(value, &format!("{place}.{name}"))?;
                        Ok((name, value))
                    };
                    Node::Object(
                        inner
                            .into_iter()
                            .map(close)
                            .collect::<Result<_, Failure>>()?,
                    )
                }
                ("anyOf", Node::Array(inner)) => {
                    let close = |(index, value): (usize, Node)| {
                        self.close(value, &format!("{place}[{index}]"))
                    };
                    let inner = inner.into_iter().enumerate();
                    Node::Array(inner.map(close).collect::<Result<_, Failure>>()?)
                }
                ("items", value) => self.close(value, &place)?,
                ("minItems", value) if value.as_f64().is_some_and(|least| least > 1.0) => {
                    self.dropped(&place, "the target takes no bound but 0 and 1");
                    continue;
                }
                ("format", value) if !value.as_str().is_some_and(|f| FORMATS.contains(&f)) => {
                    self.dropped(&place, "the target does not know the format");
                    continue;
                }
                (_, value) => value,
            };
            out.push((name, value));
        }
        let mut node = Node::Object(out);
        if is_object(&node) {
            self.close_object(&mut node, at)?;
        }
        Ok(node)
    }

    fn close_object(&mut self, node: &mut Node, at: &str) -> Result<(), Failure> {
        let listed = node.get("properties").is_some();
        // A tool without arguments is said so.
        let bare_tool = at.is_empty() && !self.profile.takes(Form::RootUnions);
        match node.get("additionalProperties").map(Node::as_bool) {
            Some(Some(false)) => return Ok(()),
            None if bare_tool => {
                self.altered(at, "the target takes objects without other fields only");
            }
            // Of a map only nothing would be left.
            None | Some(Some(true)) if listed => {
                self.altered(at, "the target takes objects without other fields only");
            }
            _ => return Err(self.refusal(at, "an object whose fields are not listed")),
        }
        let shut = Node::Leaf(serde_json::Value::Bool(false));
        node.set("additionalProperties", shut);
        Ok(())
    }
}

fn is_object(node: &Node) -> bool {
    let kinds = node
        .get("type")
        .map(super::merge::names)
        .unwrap_or_default();
    kinds.contains(&"object") || node.get("properties").is_some()
}

/// True for a schema in which every object is closed and every property required.
pub(super) fn all_required(schema: &Json) -> bool {
    schema.read::<Node>().is_ok_and(|root| required(&root))
}

fn required(node: &Node) -> bool {
    let Node::Object(fields) = node else {
        return true;
    };
    if fields
        .iter()
        .any(|(name, _)| REFUSED.contains(&name.as_str()))
    {
        return false;
    }
    if is_object(node) {
        let closed = node.get("additionalProperties").and_then(Node::as_bool) == Some(false);
        let named: HashSet<&str> = node
            .get("required")
            .map(|list| list.items().iter().filter_map(Node::as_str).collect())
            .unwrap_or_default();
        let properties = node.get("properties").map(Node::fields).unwrap_or_default();
        if !closed
            || properties
                .iter()
                .any(|(name, _)| !named.contains(name.as_str()))
        {
            return false;
        }
    }
    fields.iter().all(|(name, value)| match name.as_str() {
        "properties" | "$defs" | "definitions" => {
            value.fields().iter().all(|(_, inner)| required(inner))
        }
        "anyOf" | "prefixItems" => value.items().iter().all(required),
        "items" => required(value),
        _ => true,
    })
}
