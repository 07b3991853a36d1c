//! What the TOML parser refused, in words and with a place.

use crate::diagnose::{Diagnostic, Place, Span};

/// The parser's complaints, one per line of the file: the second on a line is only an echo of the first.
pub(super) fn explain(text: &str, errors: &[toml::de::Error]) -> Vec<Diagnostic> {
    let mut lines = Vec::new();
    let mut out = Vec::new();
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let line = line_of(text, span.start);
        if lines.contains(&line) {
            continue;
        }
        lines.push(line);
        out.push(if error.message() == "duplicate key" {
            twice(text, span)
        } else {
            malformed(text, span, error.message())
        });
    }
    out
}

/// Where on broken lines a secret may stand: nothing but the place of the mistake may be shown of those.
pub(super) fn secrets_on_broken_lines(text: &str, errors: &[toml::de::Error]) -> Vec<Span> {
    let masked = errors.iter().filter_map(|error| {
        let start = line_start(text, error.span()?.start);
        let line = line_text(text, start);
        let (key, value) = line.split_once('=')?;
        let is_secret = SECRETS.contains(&key.trim()) && !value.contains(['[', '{']);
        is_secret.then(|| start + key.len() + 1..start + line.len())
    });
    masked.collect()
}

/// Every key of the file that holds a secret.
const SECRETS: &[&str] = &[
    "admin_token",
    "batch_id_secret",
    "batch_id_secret_previous",
    "credential",
    "pw_hash",
    "token",
    "value",
];

/// The usual slips in our words; else the parser's.
fn malformed(text: &str, span: Span, message: &str) -> Diagnostic {
    let line = line_text(text, span.start);
    let pair = line.split_once('=').map(|(k, v)| (k.trim(), v.trim()));
    let place = Place::File(span);
    let error = |message: &str, label: &str| Diagnostic::error(&place, message, label);
    match pair {
        Some((key, "")) => error(&format!("`{key}` has no value"), "a value is missing"),
        Some((_, value)) if message.contains("string, expected") && opens_only(value) => {
            error("a quote is not closed", "the line ends here")
        }
        Some((key, value)) if is_bare_text(value) => {
            let help = format!("text stands in quotes: `{key} = \"{value}\"`");
            let shown = !SECRETS.contains(&key);
            error(&format!("the value of `{key}` is not valid"), message)
                .maybe_help(shown.then_some(help))
        }
        _ => error(message, ""),
    }
}

/// Whether that starts with a quote that is the only one.
fn opens_only(value: &str) -> bool {
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    quote.is_some_and(|quote| value.matches(quote).count() == 1)
}

/// Whether that is meant as text: neither quoted nor a list or table, and no comment behind it.
fn is_bare_text(value: &str) -> bool {
    !value.is_empty() && !value.contains(['"', '\'', '[', '{', '#', '\\'])
}

/// A key or table that the file has twice. The parser knows the second place only; the first is the
/// earlier line that begins alike.
fn twice(text: &str, span: Span) -> Diagnostic {
    let name = text.get(span.clone()).unwrap_or("").to_owned();
    let is_table = line_text(text, span.start).trim_start().starts_with('[');
    let what = if is_table { "table" } else { "key" };
    let message = format!("{what} `{name}` is given twice");
    let error = Diagnostic::error(&Place::File(span.clone()), message, "second time");
    let error = match first_place(text, &span, &name, is_table) {
        Some(first) => error.related(&Place::File(first), "first time"),
        None => error,
    };
    if is_table {
        return error.help("put all its keys under one header");
    }
    error
}

fn first_place(text: &str, span: &Span, name: &str, is_table: bool) -> Option<Span> {
    let here = line_start(text, span.start);
    let header = line_text(text, span.start).split('#').next()?.trim();
    let mut start = 0;
    let mut found = None;
    for line in text.get(..here)?.split_inclusive('\n') {
        let bare = line.trim_start();
        let indent = line.len() - bare.len();
        if is_table && bare.split('#').next().is_some_and(|l| l.trim() == header) {
            found = found.or(Some(start + indent..start + indent + header.len()));
        } else if !is_table && bare.starts_with('[') {
            // The first of two equal keys is in the same table.
            found = None;
        } else if !is_table
            && let Some(rest) = bare.strip_prefix(name)
            && rest.trim_start().starts_with('=')
        {
            found = found.or(Some(start + indent..start + indent + name.len()));
        }
        start += line.len();
    }
    found
}

fn line_of(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or(text).matches('\n').count()
}

fn line_start(text: &str, at: usize) -> usize {
    text.get(..at)
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |newline| newline + 1)
}

fn line_text(text: &str, at: usize) -> &str {
    let rest = text.get(line_start(text, at)..).unwrap_or("");
    rest.lines().next().unwrap_or("")
}
