//! A schema as a tree: read once, in order, and written again.

use crate::writer::{ObjectWriter, array};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// A JSON value whose objects keep their order: models read properties in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Object(Vec<(String, Node)>),
    Array(Vec<Node>),
    /// Anything else.
    Leaf(Value),
}

impl Node {
    pub fn object() -> Self {
        Self::Object(Vec::new())
    }

    pub fn text(text: &str) -> Self {
        Self::Leaf(Value::from(text))
    }

    pub fn fields(&self) -> &[(String, Node)] {
        match self {
            Self::Object(fields) => fields,
            _ => &[],
        }
    }

    pub fn items(&self) -> &[Node] {
        match self {
            Self::Array(items) => items,
            _ => &[],
        }
    }

    pub fn get(&self, name: &str) -> Option<&Node> {
        let found = self.fields().iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value)
    }

    pub fn take(&mut self, name: &str) -> Option<Node> {
        let Self::Object(fields) = self else {
            return None;
        };
        let at = fields.iter().position(|(key, _)| key == name)?;
        Some(fields.remove(at).1)
    }

    /// Sets a field, in its place where it is there.
    pub fn set(&mut self, name: &str, value: Node) {
        let Self::Object(fields) = self else { return };
        match fields.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value,
            None => fields.push((name.to_owned(), value)),
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Leaf(value) => value.as_str(),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Leaf(value) => value.as_bool(),
            _ => None,
        }
    }

    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Leaf(value) => value.as_f64(),
            _ => None,
        }
    }

    /// How many values it holds, itself included.
    pub fn size(&self) -> usize {
        let inner: usize = match self {
            Self::Object(fields) => fields.iter().map(|(_, value)| value.size()).sum(),
            Self::Array(items) => items.iter().map(Node::size).sum(),
            Self::Leaf(_) => 0,
        };
        inner + 1
    }

    /// The value that a JSON pointer names, without its `#`.
    pub fn at(&self, pointer: &str) -> Option<&Node> {
        let mut node = self;
        for step in pointer.split('/').skip(1) {
            let step = percent_decoded(step).replace("~1", "/").replace("~0", "~");
            node = match node {
                Self::Object(_) => node.get(&step)?,
                Self::Array(items) => items.get(step.parse::<usize>().ok()?)?,
                Self::Leaf(_) => return None,
            };
        }
        Some(node)
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Object(fields) => {
                let mut object = ObjectWriter::new(out);
                for (name, value) in fields {
                    value.write(object.key(name));
                }
                object.end();
            }
            Self::Array(items) => array(out, items, |out, item| item.write(out)),
            Self::Leaf(value) => out.extend_from_slice(value.to_string().as_bytes()),
        }
    }
}

/// References stand in fragments of URLs, where some characters are written as `%XX`.
fn percent_decoded(step: &str) -> String {
    let mut out = Vec::with_capacity(step.len());
    let mut rest = step.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *byte == b'%');
        let code = hex
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(code) => {
                out.push(code);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| step.to_owned())
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Node::Object(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::Array(items))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::text(value))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Null))
    }
}
