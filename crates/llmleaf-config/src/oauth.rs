//! `[oauth]`: callers proven by signed tokens.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::de::DeValue;

use crate::control::ON_ERROR;
use crate::diagnose::Diagnostic;
use crate::nearest;
use crate::read::{At, Reading, Table, wrong_item};
use crate::{OnError, Secret, secrets, url};

/// The `[oauth]` table.
#[derive(Debug)]
pub struct Oauth {
    /// Who must have issued a token.
    pub issuer: String,
    /// Whom a token must be meant for; any one of these.
    pub audience: Vec<String>,
    /// Where the signing keys are; `None` means by discovery from the issuer.
    pub jwks_uri: Option<String>,
    /// Signing keys written into the file, as JSON text.
    pub jwks: Option<String>,
    /// Accepted signature algorithms. Default RS256 and ES256.
    pub algorithms: Vec<String>,
    /// Claim that names the caller. Default `sub`.
    pub identity_claim: String,
    /// Claim that lists the caller's roles. Default `roles`.
    pub roles_claim: String,
    /// Models by role.
    pub role_models: BTreeMap<String, Vec<String>>,
    /// How often the signing keys are fetched. Default 1 h.
    pub jwks_refresh: Duration,
    /// How long one fetch may take. Default 2 s.
    pub timeout: Duration,
    /// What an unreachable issuer means. Default deny.
    pub on_error: OnError,
    /// Ask the issuer about each token.
    pub introspection: Option<Introspection>,
}

/// The `[oauth.introspection]` table.
#[derive(Debug)]
pub struct Introspection {
    /// Endpoint to ask.
    pub url: String,
    /// Bearer credential for it.
    pub credential: Option<Secret>,
    /// How long an answer is believed. Default 30 s.
    pub cache_ttl: Duration,
    /// How long one question may take. Default 2 s.
    pub timeout: Duration,
}

/// Signature algorithms that a token may have. Shared-secret ones are left out on purpose: whoever can check
/// such a token can also make one.
const ALGORITHMS: &[&str] = &[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
];
/// Longest length of a setting in seconds: a week.
const MAX_SECS: u64 = 7 * 24 * 3600;
/// Longest time for one call, in milliseconds.
const MAX_CALL_MS: u64 = 600_000;

/// Reads the `[oauth]` table.
pub(crate) fn read(cx: &Reading<'_>, root: &mut Table<'_>) -> Option<Oauth> {
    let mut table = root.table(cx, "oauth")?;
    let t = &mut table;
    let issuer = t
        .required(cx, "issuer", "the `iss` of the tokens")
        .and_then(|at| url::plain(cx, "issuer", &at).map(|_| at.value));
    let audience = audience(cx, t);
    let jwks_uri = t
        .string(cx, "jwks_uri")
        .and_then(|at| url::plain(cx, "jwks_uri", &at));
    let jwks = jwks(cx, t);
    let algorithms = algorithms(cx, t);
    let or = |at: Option<At<String>>, default: &str| at.map_or(default.to_owned(), |at| at.value);
    let identity_claim = or(t.string(cx, "identity_claim"), "sub");
    let roles_claim = or(t.string(cx, "roles_claim"), "roles");
    let role_models = role_models(cx, t);
    let jwks_refresh = t.seconds(cx, "jwks_refresh_secs", 1..=MAX_SECS);
    let timeout = t.millis(cx, "timeout_ms", 1..=MAX_CALL_MS);
    let on_error = t.choice(cx, "on_error", ON_ERROR);
    let introspection = introspection(cx, t);
    table.finish(cx);
    Some(Oauth {
        issuer: issuer?,
        audience: audience?,
        jwks_uri,
        jwks,
        algorithms,
        identity_claim,
        roles_claim,
        role_models,
        jwks_refresh: jwks_refresh.unwrap_or(Duration::from_secs(3600)),
        timeout: timeout.unwrap_or(Duration::from_millis(2000)),
        on_error: on_error.unwrap_or(OnError::Deny),
        introspection,
    })
}

fn audience(cx: &Reading<'_>, table: &mut Table<'_>) -> Option<Vec<String>> {
    const HELP: &str = "the `aud` that this gateway accepts: `audience = [\"…\"]`";
    if !table.has("audience") {
        table.missing(cx, "audience", HELP);
        return None;
    }
    let list = table.strings(cx, "audience")?;
    if list.value.is_empty() {
        let message = "`audience` must name at least one";
        cx.report(Diagnostic::error(&list.place, message, "empty").help(HELP));
        return None;
    }
    Some(list.value.into_iter().map(|at| at.value).collect())
}

fn algorithms(cx: &Reading<'_>, table: &mut Table<'_>) -> Vec<String> {
    let Some(list) = table.strings(cx, "algorithms") else {
        return vec!["RS256".to_owned(), "ES256".to_owned()];
    };
    if list.value.is_empty() {
        let message = "`algorithms` must name at least one";
        cx.report(
            Diagnostic::error(&list.place, message, "empty")
                .help("leave it out for RS256 and ES256"),
        );
    }
    let mut good = Vec::new();
    for at in list.value {
        if ALGORITHMS.contains(&at.value.as_str()) {
            good.push(at.value);
            continue;
        }
        let (label, help) = if at.value.starts_with("HS") {
            let why = "whoever can check such a token can make one; use RS256 or ES256";
            ("made with a shared secret", Some(why.to_owned()))
        } else {
            (
                "unknown",
                nearest::suggestion(&at.value, "one of", ALGORITHMS),
            )
        };
        let message = format!("algorithm `{}` is not accepted", at.value);
        cx.report(Diagnostic::error(&at.place, message, label).maybe_help(help));
    }
    good
}

fn role_models(cx: &Reading<'_>, table: &mut Table<'_>) -> BTreeMap<String, Vec<String>> {
    let Some(roles) = table.table(cx, "role_models") else {
        return BTreeMap::new();
    };
    let models = |role: &At<&str>| {
        let list = roles.free_strings(cx, role);
        list.into_iter().map(|at| at.value).collect()
    };
    (roles.free_keys().iter())
        .map(|role| (role.value.to_owned(), models(role)))
        .collect()
}

fn introspection(cx: &Reading<'_>, table: &mut Table<'_>) -> Option<Introspection> {
    let mut table = table.table(cx, "introspection")?;
    let url = table
        .required(cx, "url", "the introspection endpoint of the issuer")
        .and_then(|at| url::plain(cx, "url", &at));
    let credential = secrets::read(cx, &mut table, "credential");
    let cache_ttl = table.seconds(cx, "cache_ttl_secs", 0..=MAX_SECS);
    let timeout = table.millis(cx, "timeout_ms", 1..=MAX_CALL_MS);
    table.finish(cx);
    Some(Introspection {
        url: url?,
        credential: credential.map(|s| s.value),
        cache_ttl: cache_ttl.unwrap_or(Duration::from_secs(30)),
        timeout: timeout.unwrap_or(Duration::from_millis(2000)),
    })
}

/// A key set as JSON text, or written as a table.
fn jwks(cx: &Reading<'_>, table: &mut Table<'_>) -> Option<String> {
    let at = table.value("jwks")?;
    match at.value {
        DeValue::String(text) => Some(text.as_ref().to_owned()),
        DeValue::Table(_) => {
            let mut json = String::new();
            write_json(at.value, &mut json);
            Some(json)
        }
        other => {
            wrong_item(
                cx,
                "jwks",
                at.place,
                other,
                "a key set: a table, or JSON in a string",
            );
            None
        }
    }
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
