//! Google's own dialect of schemas, brought to JSON Schema.
//!
//! `parameters` and `responseSchema` hold an OpenAPI 3.0 subset: types in capitals, `nullable` beside the type, counts as
//! strings. `parametersJsonSchema` and `responseJsonSchema` hold JSON Schema as it is, which is what we write.

use super::wire::{ObjectWriter, array, one_line, whole, write_string};
use crate::object::{Object, items, string};
use llmleaf_model::Json;
use serde_json::value::RawValue;

/// The JSON Schema that a schema of Google's means.
pub(super) fn json_schema(raw: &RawValue) -> Json {
    let mut out = Vec::with_capacity(raw.get().len());
    write(raw, &mut out);
    std::str::from_utf8(&out)
        .ok()
        .and_then(|text| Json::parse(text).ok())
        .unwrap_or_else(|| Json::from(raw))
}

/// Bodies are at most [`crate::head::MAX_DEPTH`] deep, so the recursion ends.
fn write(raw: &RawValue, out: &mut Vec<u8>) {
    let Some(schema) = Object::from_raw(raw) else {
        return one_line(out, raw.get());
    };
    let get = |names: [&str; 2]| names.into_iter().find_map(|name| schema.get(name));
    let nullable = schema.get("nullable").is_some_and(|v| v.get() == "true");
    let mut object = ObjectWriter::new(out);
    for (name, value) in &schema.fields {
        match &**name {
            "nullable" => {}
            // The order of properties is that of the text; no other reader knows the word.
            "propertyOrdering" | "property_ordering" => {}
            "type" => kind(&mut object, value, nullable),
            "properties" => match Object::from_raw(value) {
                Some(properties) => {
                    object.object("properties", |inner| {
                        for (name, value) in &properties.fields {
                            write(value, inner.key(name));
                        }
                    });
                }
                None => {
                    object.raw(name, value.get());
                }
            },
            "items" | "additionalProperties" => write(value, object.key(name)),
            "anyOf" | "any_of" => {
                // Where both spellings stand, the first counts.
                if get(["anyOf", "any_of"]).is_some_and(|first| std::ptr::eq(first, *value)) {
                    array(
                        object.key("anyOf"),
                        items(value).unwrap_or_default(),
                        |out, one| write(one, out),
                    );
                }
            }
            _ => plain(&mut object, name, value),
        }
    }
    object.end();
}

fn kind(object: &mut ObjectWriter<'_>, value: &RawValue, nullable: bool) {
    let Some(word) = string(value) else {
        object.raw("type", value.get());
        return;
    };
    let word = word.to_ascii_lowercase();
    if word == "type_unspecified" {
        return;
    }
    if nullable && word != "null" {
        array(object.key("type"), [word.as_str(), "null"], |out, one| {
            write_string(out, one)
        });
    } else {
        object.string("type", &word);
    }
}

/// Keywords that count, in both spellings.
const COUNTS: [(&str, &str); 6] = [
    ("minItems", "min_items"),
    ("maxItems", "max_items"),
    ("minLength", "min_length"),
    ("maxLength", "max_length"),
    ("minProperties", "min_properties"),
    ("maxProperties", "max_properties"),
];

fn plain(object: &mut ObjectWriter<'_>, name: &str, value: &RawValue) {
    let counts = COUNTS
        .iter()
        .find(|(camel, snake)| name == *camel || name == *snake);
    match (counts, whole(value)) {
        (Some((camel, _)), Some(count)) => object.raw(camel, &count.to_string()),
        _ => object.raw(name, value.get()),
    };
}

#[cfg(test)]
mod tests {
    use super::json_schema;
    use llmleaf_model::Json;

    #[test]
    fn googles_schemas_become_json_schema() {
        for (google, json) in [
            (
                r#"{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true},"type":{"type":"INTEGER"}},"required":["a"],"propertyOrdering":["a"]}"#,
                r#"{"type":"object","properties":{"a":{"type":["string","null"]},"type":{"type":"integer"}},"required":["a"]}"#,
            ),
            (
                r#"{"type":"ARRAY","items":{"any_of":[{"type":"NUMBER"},{"type":"BOOLEAN"}]},"minItems":"2"}"#,
                r#"{"type":"array","items":{"anyOf":[{"type":"number"},{"type":"boolean"}]},"minItems":2}"#,
            ),
            (
                r#"{"type":"object","enum":["A"],"x":1.50}"#,
                r#"{"type":"object","enum":["A"],"x":1.50}"#,
            ),
        ] {
            assert_eq!(
                json_schema(Json::parse(google).unwrap().raw()).as_str(),
                json
            );
        }
    }
}
