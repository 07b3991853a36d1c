//! Signing keys that are written into the file.

use llmleaf_auth::KeySet;
use toml::de::DeValue;

use crate::diagnose::Diagnostic;
use crate::read::{Reading, Table, wrong_item};

/// A key set as JSON text, or written as a table.
pub(super) fn read(cx: &Reading<'_>, table: &mut Table<'_>) -> Option<String> {
    let at = table.value("jwks")?;
    let text = match at.value {
        DeValue::String(text) => text.as_ref().to_owned(),
        DeValue::Table(_) => {
            let mut json = String::new();
            write_json(at.value, &mut json);
            json
        }
        other => {
            const WANTED: &str = "a key set: a table, or JSON in a string";
            wrong_item(cx, "jwks", at.place, other, WANTED);
            return None;
        }
    };
    if let Err(why) = KeySet::parse(text.as_bytes()) {
        let error = Diagnostic::error(&at.place, "`jwks` is no key set", why.to_string());
        cx.report(
            error
                .help("`{\"keys\": [{\"kty\": …}]}`, as the issuer publishes it; public keys only"),
        );
        return None;
    }
    Some(text)
}

/// Key sets hold strings, lists and tables; anything else is written as its TOML text, which is JSON for
/// plain numbers and booleans.
fn write_json(value: &DeValue<'_>, out: &mut String) {
    match value {
        DeValue::String(text) => quote(text, out),
        DeValue::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_json(item.get_ref(), out);
            }
            out.push(']');
        }
        DeValue::Table(entries) => {
            out.push('{');
            for (i, (key, item)) in entries.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                quote(key.get_ref(), out);
                out.push(':');
                write_json(item.get_ref(), out);
            }
            out.push('}');
        }
        DeValue::Integer(n) => out.push_str(&n.to_string()),
        DeValue::Float(n) => out.push_str(&n.to_string()),
        DeValue::Boolean(b) => out.push_str(if *b { "true" } else { "false" }),
        DeValue::Datetime(d) => quote(&d.to_string(), out),
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}
