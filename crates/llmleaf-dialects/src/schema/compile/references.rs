//! References, and schemas that hold all together: what stands elsewhere is brought here.

use super::super::merge;
use super::super::profile::Form;
use super::super::tree::Node;
use super::{Compiler, is_note};
use llmleaf_model::Failure;
use std::collections::HashSet;

/// Most references that are being written out at a time: each is looked for among them.
const MOST_OPEN: usize = 1024;

impl Compiler<'_> {
    /// A reference that the target takes as it is.
    pub(super) fn kept(&mut self, node: &Node, at: &str) -> Result<Option<Node>, Failure> {
        let Some(reference) = node.get("$ref").and_then(Node::as_str) else {
            return Ok(None);
        };
        if !self.profile.takes(Form::References) {
            return Ok(None);
        }
        // Where it leads is checked for all.
        self.target(reference, at)?;
        let all = self.profile.keywords.is_none();
        let alone = node
            .fields()
            .iter()
            .all(|(name, _)| name == "$ref" || is_note(name));
        if all {
            let plain = |(name, _): &(String, Node)| !matches!(name.as_str(), "allOf" | "oneOf");
            let simple = alone || node.fields().iter().all(plain);
            return Ok(simple.then(|| node.clone()));
        }
        let definition = reference.strip_prefix("#/$defs/");
        let definition = definition.filter(|name| alone && !name.contains('/'));
        let Some(name) = definition else {
            return Ok(None);
        };
        if node.fields().len() > 1 {
            let why = "nothing may stand beside a reference";
            self.approximated(&format!("{at}.description"), why);
        }
        let mut kept = Node::object();
        kept.set("$ref", Node::text(&format!("#/$defs/{name}")));
        Ok(Some(kept))
    }

    fn target(&self, reference: &str, at: &str) -> Result<&Node, Failure> {
        let nowhere = || self.refusal(&format!("{at}.$ref"), "the reference leads nowhere in it");
        let pointer = reference.strip_prefix('#').ok_or_else(nowhere)?;
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return Err(nowhere());
        }
        self.document.at(pointer).ok_or_else(nowhere)
    }

    /// Writes out the reference and the `allOf` of a schema, so that it stands for itself. `whole`: also where the target
    /// takes such. What was opened on the way stays open until the caller is through with the schema.
    pub(super) fn flat(&mut self, mut node: Node, at: &str, whole: bool) -> Result<Node, Failure> {
        loop {
            if let Some(reference) = node.get("$ref").and_then(Node::as_str) {
                let reference = reference.to_owned();
                if self.profile.keywords.is_none() && !whole {
                    return Ok(node);
                }
                node.take("$ref");
                let target = self.target(&reference, at)?;
                if self.open.contains(&reference) || reference == "#" {
                    let kind = target.get("type").cloned();
                    self.altered(at, "a schema that holds itself is cut off here");
                    if let Some(kind) = kind.filter(|_| node.get("type").is_none()) {
                        node.set("type", kind);
                    }
                    continue;
                }
                let size = target.size();
                let target = target.clone();
                self.spend(size, at)?;
                if self.open.len() >= MOST_OPEN {
                    return Err(self.refusal(at, "too many references lead to each other"));
                }
                self.open.push(reference);
                if !matches!(target, Node::Object(_)) {
                    continue;
                }
                self.join(&mut node, &target, at);
                continue;
            }
            if !whole && self.profile.takes(Form::AllOf) || node.get("allOf").is_none() {
                return Ok(node);
            }
            for (index, part) in node.take("allOf").iter().flat_map(Node::items).enumerate() {
                let place = format!("{at}.allOf[{index}]");
                let part = self.deeper(&place, |all| all.flat(part.clone(), &place, true))?;
                self.join(&mut node, &part, at);
            }
        }
    }

    pub(super) fn join(&mut self, node: &mut Node, other: &Node, at: &str) {
        if !merge::both(node, other) {
            let why = "two schemas that must both hold are joined roughly";
            self.approximated(at, why);
        }
    }

    /// Alternatives at the root become one object with the properties of all.
    pub(super) fn fold(&mut self, mut node: Node) -> Result<Node, Failure> {
        for name in ["not", "enum", "const"] {
            if node.take(name).is_some() {
                self.dropped(
                    &format!(".{name}"),
                    "the target takes it below the root only",
                );
            }
        }
        for name in ["anyOf", "oneOf"] {
            let Some(branches) = node.take(name) else {
                continue;
            };
            let at = format!(".{name}");
            self.altered(&at, "alternatives at the root become one object");
            let mut demanded: Option<Node> = None;
            let mut mixed = HashSet::new();
            for (index, branch) in branches.items().iter().enumerate() {
                let at = format!("{at}[{index}]");
                self.spend(branch.size(), &at)?;
                let mut branch = self.flat(branch.clone(), &at, true)?;
                let inner = ["anyOf", "oneOf"]
                    .iter()
                    .any(|name| branch.get(name).is_some());
                if inner {
                    branch = self.deeper(&at, |all| all.fold(branch))?;
                }
                let kinds = branch.get("type").map(merge::names).unwrap_or_default();
                if kinds == ["null"] {
                    continue;
                }
                if !kinds.is_empty() && !kinds.contains(&"object") {
                    return Err(self.refusal(&at, "the parameters of a tool are an object"));
                }
                let required = branch.take("required").unwrap_or(Node::Array(Vec::new()));
                demanded = Some(match demanded {
                    None => required,
                    Some(all) => {
                        let both = |item: &&Node| required.items().contains(item);
                        Node::Array(all.items().iter().filter(both).cloned().collect())
                    }
                });
                self.alternatives(&mut node, &branch, &mut mixed, &at)?;
            }
            let demanded = demanded.unwrap_or(Node::Array(Vec::new()));
            if !demanded.items().is_empty() {
                let own = node.take("required").unwrap_or(Node::Array(Vec::new()));
                node.set("required", merge::union(&own, &demanded));
            }
        }
        Ok(node)
    }

    /// Adds the properties of a branch: one that is there with another schema may be either. `mixed` are the names of those.
    fn alternatives(
        &mut self,
        node: &mut Node,
        branch: &Node,
        mixed: &mut HashSet<String>,
        at: &str,
    ) -> Result<(), Failure> {
        let mut properties = node.take("properties").unwrap_or(Node::object());
        let theirs = branch.get("properties").map(Node::fields);
        for (name, theirs) in theirs.unwrap_or_default() {
            let Some(ours) = properties.get(name) else {
                properties.set(name, theirs.clone());
                continue;
            };
            if ours == theirs {
                continue;
            }
            let mut either = match ours.get("anyOf") {
                Some(Node::Array(several)) if mixed.contains(name) => several.clone(),
                _ => vec![ours.clone()],
            };
            // What is written again is paid for again.
            self.spend(either.iter().map(Node::size).sum(), at)?;
            if !either.contains(theirs) {
                either.push(theirs.clone());
            }
            mixed.insert(name.clone());
            let mut union = Node::object();
            union.set("anyOf", Node::Array(either));
            properties.set(name, union);
        }
        node.set("properties", properties);
        for (name, value) in branch.fields() {
            if node.get(name).is_none()
                && !matches!(name.as_str(), "properties" | "additionalProperties")
            {
                node.set(name, value.clone());
            }
        }
        Ok(())
    }
}
