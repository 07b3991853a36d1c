//! The smallest value that a JSON Schema allows, so that a forced tool call has arguments that a consumer can read.
//!
//! Best effort: patterns, formats and conditions are not looked at.

use serde_json::{Map, Value, json};

/// Most values of one answer, so that a schema that refers to itself ends.
const MAX_VALUES: usize = 1000;

/// Deepest nesting.
const MAX_DEPTH: usize = 16;

/// Most characters and items made for a lower bound.
const MAX_LENGTH: u64 = 1000;

/// The value; free strings say `text`.
pub(super) fn smallest(schema: &str, text: &str) -> Value {
    let Ok(root) = serde_json::from_str::<Value>(schema) else {
        return json!({});
    };
    let mut maker = Maker {
        root: &root,
        text,
        left: MAX_VALUES,
    };
    maker.value(&root, 0)
}

struct Maker<'a> {
    root: &'a Value,
    text: &'a str,
    left: usize,
}

impl<'a> Maker<'a> {
    fn value(&mut self, schema: &'a Value, depth: usize) -> Value {
        let Some(left) = self.left.checked_sub(1).filter(|_| depth < MAX_DEPTH) else {
            return Value::Null;
        };
        self.left = left;
        if let Some(fixed) = fixed(schema) {
            return fixed.clone();
        }
        if let Some(inner) = self.alternative(schema) {
            return self.value(inner, depth + 1);
        }
        match kind(schema) {
            "string" => Value::String(self.string(schema)),
            "integer" | "number" => number(schema),
            "boolean" => Value::Bool(false),
            "null" => Value::Null,
            "array" => self.array(schema, depth),
            _ => self.object(schema, depth),
        }
    }

    /// Another schema that stands for this one.
    fn alternative(&self, schema: &'a Value) -> Option<&'a Value> {
        if let Some(path) = schema.get("$ref").and_then(Value::as_str) {
            return self.root.pointer(path.strip_prefix('#')?);
        }
        // An object that says its properties is read by them, whatever stands beside.
        if schema.get("properties").is_some() {
            return None;
        }
        ["anyOf", "oneOf", "allOf"]
            .iter()
            .find_map(|key| schema.get(key)?.as_array()?.first())
    }

    fn string(&self, schema: &Value) -> String {
        let least = bound(schema, "minLength");
        let have = u64::try_from(self.text.chars().count()).unwrap_or(u64::MAX);
        let fits = schema
            .get("maxLength")
            .and_then(Value::as_u64)
            .is_none_or(|most| have <= most);
        let mut text = if fits {
            self.text.to_owned()
        } else {
            String::new()
        };
        let have = if fits { have } else { 0 };
        text.extend((have..least).map(|_| 'x'));
        text
    }

    fn array(&mut self, schema: &'a Value, depth: usize) -> Value {
        let least = bound(schema, "minItems");
        let item = schema.get("items").unwrap_or(&Value::Null);
        (0..least).map(|_| self.value(item, depth + 1)).collect()
    }

    fn object(&mut self, schema: &'a Value, depth: usize) -> Value {
        let mut out = Map::new();
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            let inner = schema.get("properties").and_then(|p| p.get(name));
            let value = inner.map_or(Value::Null, |inner| self.value(inner, depth + 1));
            out.insert(name.to_owned(), value);
        }
        Value::Object(out)
    }
}

/// The value that the schema names itself.
fn fixed(schema: &Value) -> Option<&Value> {
    let listed = schema.get("enum").and_then(|e| e.as_array()?.first());
    schema
        .get("const")
        .or_else(|| schema.get("default"))
        .or(listed)
}

/// The type; the first of several that is not `null`.
fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null")
            .unwrap_or("null"),
        _ => "object",
    }
}

fn number(schema: &Value) -> Value {
    if let Some(least) = schema.get("minimum").filter(|v| v.is_number()) {
        return least.clone();
    }
    match schema.get("exclusiveMinimum").and_then(Value::as_i64) {
        Some(below) => json!(below.saturating_add(1)),
        None => json!(0),
    }
}

fn bound(schema: &Value, key: &str) -> u64 {
    let bound = schema.get(key).and_then(Value::as_u64).unwrap_or(0);
    bound.min(MAX_LENGTH)
}
