//! JSON written as the file has it: all on one line, every key in quotes. What is null is not there.

use serde_json::Value;
use std::fmt::Write as _;

/// Keys and values of the file itself.
pub(super) fn table(entries: &[(&str, &Value)]) -> String {
    let mut out = String::new();
    for (key, value) in entries {
        string(key, &mut out);
        out.push_str(" = ");
        write(value, &mut out);
        out.push('\n');
    }
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        // Only in lists, where it is a mistake of another kind than the one that is wanted there.
        Value::Null => out.push_str("{}"),
        Value::Bool(bool) => out.push_str(if *bool { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => string(text, out),
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Object(entries) => {
            out.push('{');
            let there = entries.iter().filter(|(_, value)| !value.is_null());
            for (place, (key, value)) in there.enumerate() {
                if place > 0 {
                    out.push(',');
                }
                string(key, out);
                out.push('=');
                write(value, out);
            }
            out.push('}');
        }
    }
}

/// A basic string (TOML 1.0, "String").
fn string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
