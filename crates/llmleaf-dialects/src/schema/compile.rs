//! The way through a schema: every form that a target refuses is said in one that it takes.

mod forms;
mod references;

use super::profile::{Form, NOTES, Profile, SILENT};
use super::tree::Node;
use super::{MOST_DEPTH, MOST_VALUES};
use llmleaf_model::{Failure, Loss};
use serde_json::Value;

pub(super) struct Compiler<'a> {
    document: &'a Node,
    pub(super) profile: &'a Profile,
    /// Where the schema stands in the request.
    path: &'a str,
    /// Whose it is, for people.
    of: &'a str,
    pub losses: Vec<Loss>,
    /// Values that may still be written.
    left: usize,
    /// References that are being written out.
    open: Vec<String>,
    /// How many schemas are being made one, each inside the other.
    within: usize,
}

impl<'a> Compiler<'a> {
    pub fn new(document: &'a Node, profile: &'a Profile, path: &'a str, of: &'a str) -> Self {
        Self {
            document,
            profile,
            path,
            of,
            losses: Vec::new(),
            left: MOST_VALUES,
            open: Vec::new(),
            within: 0,
        }
    }

    /// Compiles the whole.
    pub fn root(&mut self) -> Result<Node, Failure> {
        let mut node = self.document.clone();
        let opened = self.open.len();
        if !self.profile.takes(Form::RootUnions) {
            node = self.flat(node, "", true)?;
            node = self.fold(node)?;
            match node.get("type").map(super::merge::names).as_deref() {
                Some(["object"]) => {}
                Some(kinds) if !kinds.contains(&"object") && !kinds.is_empty() => {
                    return Err(self.refusal("", "the parameters of a tool are an object"));
                }
                _ => node.set("type", Node::text("object")),
            }
        }
        let node = self.schema(node, "", 0);
        self.open.truncate(opened);
        node
    }

    fn lose(&mut self, at: &str, loss: fn(String, &'static str) -> Loss, why: &'static str) {
        self.losses.push(loss(format!("{}{at}", self.path), why));
    }

    pub(super) fn dropped(&mut self, at: &str, why: &'static str) {
        self.lose(at, Loss::dropped, why);
    }

    pub(super) fn altered(&mut self, at: &str, why: &'static str) {
        self.lose(at, Loss::altered, why);
    }

    fn approximated(&mut self, at: &str, why: &'static str) {
        self.lose(at, Loss::approximated, why);
    }

    pub(super) fn refusal(&self, at: &str, why: &str) -> Failure {
        let place = format!("{}{at}", self.path);
        let message = format!(
            "the schema of {} cannot be used: at `{place}`: {why}",
            self.of
        );
        Failure::invalid(message, Some(&place))
    }

    fn spend(&mut self, values: usize, at: &str) -> Result<(), Failure> {
        match self.left.checked_sub(values) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(self.refusal(at, "it is too large with its references written out")),
        }
    }

    /// One level further in, so that no schema takes more stack than there is.
    fn deeper<T>(
        &mut self,
        at: &str,
        work: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if self.within >= MOST_DEPTH {
            return Err(self.refusal(at, "it is nested too deep"));
        }
        self.within += 1;
        let done = work(self);
        self.within -= 1;
        done
    }

    fn schema(&mut self, node: Node, at: &str, depth: usize) -> Result<Node, Failure> {
        self.spend(1, at)?;
        if depth > MOST_DEPTH {
            return Err(self.refusal(at, "it is nested too deep"));
        }
        if !matches!(node, Node::Object(_)) {
            return Ok(self.boolean(node, at));
        }
        if let Some(reference) = self.kept(&node, at)? {
            return Ok(reference);
        }
        let opened = self.open.len();
        let mut node = self.flat(node, at, false)?;
        self.older(&mut node);
        self.one_of(&mut node, at);
        self.constant(&mut node, at);
        self.tuple(&mut node, at);
        self.types(&mut node, at)?;
        self.union(&mut node, at)?;
        self.infer(&mut node);
        let node = self.fields(node, at, depth);
        self.open.truncate(opened);
        node
    }

    /// `true` takes everything, `false` nothing.
    fn boolean(&mut self, node: Node, at: &str) -> Node {
        match node.as_bool() {
            Some(takes) if self.profile.keywords.is_some() => {
                if !takes {
                    self.dropped(at, "the target has no schema that takes nothing");
                }
                Node::object()
            }
            _ => node,
        }
    }

    fn fields(&mut self, node: Node, at: &str, depth: usize) -> Result<Node, Failure> {
        let Node::Object(fields) = node else {
            return Ok(node);
        };
        let mut out = Vec::with_capacity(fields.len());
        for (name, value) in fields {
            let place = format!("{at}.{name}");
            if !self.keeps(&name, &place) {
                continue;
            }
            let value = match (name.as_str(), value) {
                (
                    "properties" | "$defs" | "definitions" | "patternProperties"
                    | "dependentSchemas",
                    Node::Object(inner),
                ) => self.named(inner, &place, depth)?,
                ("anyOf" | "oneOf" | "allOf" | "prefixItems" | "items", Node::Array(inner)) => {
                    self.listed(inner, &place, depth)?
                }
                (
                    "items"
                    | "additionalProperties"
                    | "not"
                    | "if"
                    | "then"
                    | "else"
                    | "contains"
                    | "propertyNames"
                    | "unevaluatedProperties"
                    | "unevaluatedItems"
                    | "additionalItems",
                    value @ Node::Object(_),
                ) => self.schema(value, &place, depth + 1)?,
                (_, value) => {
                    self.spend(value.size(), &place)?;
                    value
                }
            };
            out.push((name, value));
        }
        let mut node = Node::Object(out);
        self.prune(&mut node, at);
        Ok(node)
    }

    /// Whether a keyword stays; what goes is told.
    fn keeps(&mut self, name: &str, place: &str) -> bool {
        let definition = matches!(name, "$defs" | "definitions");
        if definition && !self.profile.takes(Form::References) {
            return false;
        }
        if self.profile.knows(name) {
            return true;
        }
        if SILENT.contains(&name) {
            return false;
        }
        if NOTES.contains(&name) {
            self.approximated(place, "the target does not know the keyword");
        } else {
            self.dropped(place, "the target does not know the keyword");
        }
        false
    }

    fn named(
        &mut self,
        fields: Vec<(String, Node)>,
        at: &str,
        depth: usize,
    ) -> Result<Node, Failure> {
        let mut out = Vec::with_capacity(fields.len());
        for (name, value) in fields {
            let value = self.schema(value, &format!("{at}.{name}"), depth + 1)?;
            out.push((name, value));
        }
        Ok(Node::Object(out))
    }

    fn listed(&mut self, items: Vec<Node>, at: &str, depth: usize) -> Result<Node, Failure> {
        let mut out = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            out.push(self.schema(item, &format!("{at}[{index}]"), depth + 1)?);
        }
        Ok(Node::Array(out))
    }

    /// Strict validators want every required property described.
    fn prune(&mut self, node: &mut Node, at: &str) {
        if self.profile.keywords.is_none() {
            return;
        }
        let Some(required) = node.get("required") else {
            return;
        };
        let known = |name: &&Node| {
            let name = name.as_str();
            name.is_some_and(|name| node.get("properties").and_then(|p| p.get(name)).is_some())
        };
        let kept: Vec<Node> = required.items().iter().filter(known).cloned().collect();
        if kept.len() == required.items().len() && !kept.is_empty() {
            return;
        }
        if kept.len() < required.items().len() {
            let why = "a property that is required and not described";
            self.altered(&format!("{at}.required"), why);
        }
        if kept.is_empty() {
            node.take("required");
        } else {
            node.set("required", Node::Array(kept));
        }
    }
}

/// True for a keyword that only tells about a schema.
fn is_note(name: &str) -> bool {
    NOTES.contains(&name) || SILENT.contains(&name)
}

fn yes(value: &Node) -> bool {
    matches!(value, Node::Leaf(Value::Bool(true)))
}
