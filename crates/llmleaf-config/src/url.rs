//! Is this a base URL that can be called? Only the shape is checked; nothing is resolved. And what URLs have encoded.

use std::net::IpAddr;

use crate::diagnose::Diagnostic;
use crate::read::{At, Reading};

/// Paths that llmleaf appends itself; a base URL that ends in one is a copied full URL.
const OPERATIONS: &[&str] = &[
    "/chat/completions",
    "/v1/messages",
    "/responses",
    "/embeddings",
    "/moderations",
    "/images/generations",
    "/completions",
];

/// Checks a URL that something is appended to; returns it without a trailing slash.
pub(crate) fn base(cx: &Reading<'_>, key: &str, at: &At<String>) -> Option<String> {
    let url = plain(cx, key, at)?;
    if let Some(tail) = OPERATIONS.iter().find(|tail| url.ends_with(**tail)) {
        let base = url.strip_suffix(*tail).unwrap_or(&url);
        cx.report(
            Diagnostic::error(
                &at.place,
                format!("`{key}` is a full URL, not a base URL"),
                format!("ends in `{tail}`"),
            )
            .help(format!("llmleaf appends the path: `{key} = \"{base}\"`")),
        );
        return None;
    }
    Some(url)
}

/// Checks a URL that is called as it is; returns it without a trailing slash.
pub(crate) fn plain(cx: &Reading<'_>, key: &str, at: &At<String>) -> Option<String> {
    match split(&at.value) {
        Ok(parts) => {
            if parts.plain_http && !is_loopback(parts.host) {
                cx.report(
                    Diagnostic::warning(
                        &at.place,
                        format!("`{key}` sends credentials and prompts unencrypted"),
                        "plain http to another machine",
                    )
                    .help("use https where the server has it"),
                );
            }
            Some(at.value.trim_end_matches('/').to_owned())
        }
        Err(Refusal { why, help }) => {
            let message = format!("`{key}` is not a usable URL");
            cx.report(Diagnostic::error(&at.place, message, why).maybe_help(help));
            None
        }
    }
}

/// Checks the address of whoever vouches for callers, which may have a query; returns it as it is written. Whoever stands between
/// could vouch for anybody, so plain http is taken only where nobody can.
pub(crate) fn guarded(cx: &Reading<'_>, key: &str, at: &At<String>) -> Option<String> {
    let bare = at.value.split('?').next().unwrap_or_default();
    let (why, help) = match split(bare) {
        Ok(parts) if parts.plain_http && !is_loopback(parts.host) => {
            let help = "anybody on the way could let anybody in: use https";
            ("plain http to another machine", Some(help.to_owned()))
        }
        Ok(_) if at.value.contains('#') => ("has a fragment", None),
        Ok(_) => return Some(at.value.clone()),
        Err(Refusal { why, help }) => (why, help),
    };
    let message = format!("`{key}` is not a usable URL");
    cx.report(Diagnostic::error(&at.place, message, why).maybe_help(help));
    None
}

struct Parts<'u> {
    plain_http: bool,
    host: &'u str,
}

struct Refusal {
    why: &'static str,
    help: Option<String>,
}

fn split(url: &str) -> Result<Parts<'_>, Refusal> {
    let refuse = |why, help| Err(Refusal { why, help });
    if url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return refuse("contains a space", None);
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return refuse("has no scheme", Some(format!("write `https://{url}`")));
    };
    let plain_http = match scheme.to_ascii_lowercase().as_str() {
        "https" => false,
        "http" => true,
        "ws" | "wss" => {
            return refuse(
                "is a WebSocket URL",
                Some("give the https URL; WebSocket calls derive theirs from it".into()),
            );
        }
        _ => return refuse("is neither http nor https", None),
    };
    if rest.contains('?') {
        return refuse(
            "has a query",
            Some("API versions and keys have keys of their own: `settings`, `credential`".into()),
        );
    }
    if rest.contains('#') {
        return refuse("has a fragment", None);
    }
    let authority = rest.split('/').next().unwrap_or("");
    if authority.contains('@') {
        return refuse(
            "holds a user name or password",
            Some("put the credential into `credential`".into()),
        );
    }
    let Some(host) = host_of(authority) else {
        return refuse("has a bad port", Some("ports are 1 to 65535".into()));
    };
    if host.is_empty() {
        return refuse("has no host", None);
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if !host.chars().all(fits) {
        return refuse("has a host name that cannot be", None);
    }
    Ok(Parts { plain_http, host })
}

/// The host without port; `None` when the port is no port.
fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = match authority.rfind(']') {
        Some(end) => authority.split_at_checked(end + 1)?,
        None => match authority.find(':') {
            Some(colon) => authority.split_at_checked(colon)?,
            None => (authority, ""),
        },
    };
    let port_fits = match port.strip_prefix(':') {
        Some(digits) => digits.parse::<u16>().is_ok_and(|n| n > 0),
        None => port.is_empty(),
    };
    port_fits.then_some(host)
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = bare.to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A text with `%41` and the like resolved; `None` where a `%` stands for nothing, or for what is no UTF-8.
pub(crate) fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let value = digit()? * 16 + digit()?;
        out.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(out).ok()
}
