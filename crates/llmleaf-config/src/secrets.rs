//! Secrets: literal, from the environment (`env:VAR`) or from a file (`file:PATH`).

use std::path::{Path, PathBuf};

pub use llmleaf_auth::Secret;

use crate::diagnose::{Diagnostic, Place};
use crate::read::{At, Reading, Table};

/// Largest secret file, in bytes.
const MAX_SECRET_FILE: u64 = 64 * 1024;

/// A second copy of a secret, for a value that two places of the configuration share.
pub(crate) fn copy(secret: &Secret) -> Secret {
    Secret::new(secret.expose().to_owned())
}

/// A secret's text before anything is expected of its form.
pub(crate) struct Raw {
    pub key: &'static str,
    pub value: zeroize::Zeroizing<String>,
    pub place: Place,
    /// It stands in the configuration itself.
    pub is_literal: bool,
}

/// Reads the secret under `key`; one that cannot be had is reported by name.
pub(crate) fn read(
    cx: &Reading<'_>,
    table: &mut Table<'_>,
    key: &'static str,
) -> Option<At<Secret>> {
    one_line(cx, raw(cx, table, key)?)
}

/// The same, whatever its form.
pub(crate) fn raw(cx: &Reading<'_>, table: &mut Table<'_>, key: &'static str) -> Option<Raw> {
    let mut written = table.string(cx, key)?;
    let indirect = written.value.starts_with("env:") || written.value.starts_with("file:");
    if let (Place::Env { value, .. }, false) = (&mut written.place, indirect) {
        // The place is shown when something is wrong with the value.
        *value = "***".to_owned();
    }
    resolve(cx, key, written)
}

/// Reads a list of secrets under `key`, whatever their form.
pub(crate) fn raw_list(cx: &Reading<'_>, table: &mut Table<'_>, key: &'static str) -> Vec<Raw> {
    let written = table.strings(cx, key).map(|list| list.value);
    written
        .into_iter()
        .flatten()
        .filter_map(|one| resolve(cx, key, one))
        .collect()
}

/// The secret that a text stands for, where it was written as a value of `key`.
pub(crate) fn written(cx: &Reading<'_>, key: &'static str, text: At<String>) -> Option<Secret> {
    one_line(cx, resolve(cx, key, text)?).map(|secret| secret.value)
}

fn resolve(cx: &Reading<'_>, key: &'static str, written: At<String>) -> Option<Raw> {
    let At { value, place } = written;
    let (found, is_literal) = if let Some(var) = value.strip_prefix("env:") {
        (from_env(cx, key, var.trim(), &place)?, false)
    } else if let Some(path) = value.strip_prefix("file:") {
        (from_file(cx, key, path.trim(), &place)?, false)
    } else {
        (literal(cx, key, value, &place)?, true)
    };
    Some(Raw {
        key,
        value: found.into(),
        place,
        is_literal,
    })
}

/// A secret that is sent as it is.
pub(crate) fn one_line(cx: &Reading<'_>, raw: Raw) -> Option<At<Secret>> {
    let Raw {
        key, value, place, ..
    } = raw;
    if value.chars().any(char::is_control) {
        let message = format!("the secret for `{key}` holds a line break or control character");
        cx.report(
            Diagnostic::error(&place, message, "not a secret of one line")
                .help("no credential has one; look for two values in one, or a stray character"),
        );
        return None;
    }
    Some(At {
        value: Secret::new(String::clone(&value)),
        place,
    })
}

/// Shell spelling in a place where no shell expands it is never the secret that was meant.
fn literal(cx: &Reading<'_>, key: &str, value: String, place: &Place) -> Option<String> {
    let Some(var) = shell_variable(&value) else {
        cx.mask(place);
        return Some(value);
    };
    let message = format!("`{key}` names a variable the way shells do");
    cx.report(
        Diagnostic::error(place, message, "would be sent as it stands")
            .help(format!("write `{key} = \"env:{var}\"`")),
    );
    None
}

fn shell_variable(value: &str) -> Option<&str> {
    let rest = value.strip_prefix('$')?;
    let name = match rest.strip_prefix('{') {
        Some(inner) => inner.strip_suffix('}')?,
        None => rest,
    };
    let fits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    (name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(fits)).then_some(name)
}

fn from_env(cx: &Reading<'_>, key: &str, var: &str, place: &Place) -> Option<String> {
    let refuse = |message: String, label: &str| {
        cx.report(
            Diagnostic::error(place, message, label)
                .help("set it for this process, or use `file:PATH`"),
        );
        None
    };
    if var.is_empty() {
        return refuse(
            format!("`{key}` names no variable after `env:`"),
            "`env:` and nothing",
        );
    }
    match (cx.env)(var) {
        None => refuse(
            format!("environment variable `{var}` is not set"),
            "needed here",
        ),
        Some(value) if value.trim().is_empty() => refuse(
            format!("environment variable `{var}` is empty"),
            "needed here",
        ),
        Some(value) => Some(value),
    }
}

fn from_file(cx: &Reading<'_>, key: &str, written: &str, place: &Place) -> Option<String> {
    let refuse = |message: String, label: &str, help: &str| {
        cx.report(Diagnostic::error(place, message, label).help(help));
        None
    };
    if written.is_empty() {
        return refuse(
            format!("`{key}` names no file after `file:`"),
            "`file:` and nothing",
            "a path, from this file's folder or absolute",
        );
    }
    let path = match expand(cx, written) {
        Ok(path) => path,
        Err(var) => {
            let message = format!("environment variable `{var}` is not set");
            return refuse(message, "needed for this path", "set it for this process");
        }
    };
    cx.depends_on(&path);
    let text = match read_bounded(&path) {
        Ok(text) => text,
        Err(why) => {
            return refuse(
                format!("cannot read the secret file for `{key}`: {why}"),
                &format!("looked at `{}`", path.display()),
                "a path, from this file's folder or absolute",
            );
        }
    };
    if is_world_readable(&path) {
        cx.report(
            Diagnostic::warning(
                place,
                format!("the secret file for `{key}` is readable by everyone"),
                "permissions too wide",
            )
            .help(format!("chmod 600 {}", path.display())),
        );
    }
    let secret = text.trim_end_matches(['\n', '\r']);
    if secret.trim().is_empty() {
        let message = format!("the secret file for `{key}` is empty");
        return refuse(
            message,
            "needed here",
            "write the secret into it, on one line",
        );
    }
    Some(secret.to_owned())
}

/// The path, from the configuration's folder; a first part `$VAR` is replaced, as systemd's
/// `$CREDENTIALS_DIRECTORY` wants it. `Err` names a variable that is not set.
fn expand(cx: &Reading<'_>, written: &str) -> Result<PathBuf, String> {
    let Some(rest) = written.strip_prefix('$') else {
        return Ok(cx.folder.join(written));
    };
    let (var, tail) = rest.split_once('/').unwrap_or((rest, ""));
    match (cx.env)(var).filter(|value| !value.is_empty()) {
        Some(folder) => Ok(cx.folder.join(folder).join(tail)),
        None => Err(var.to_owned()),
    }
}

/// The file's text, refused when it is too large to be a secret or is not text.
pub(crate) fn read_bounded(path: &Path) -> Result<String, String> {
    let meta = std::fs::metadata(path).map_err(|e| plain(&e))?;
    if !meta.is_file() {
        return Err("it is not a file".to_owned());
    }
    if meta.len() > MAX_SECRET_FILE {
        return Err(format!("it is larger than {MAX_SECRET_FILE} bytes"));
    }
    std::fs::read_to_string(path).map_err(|e| plain(&e))
}

/// The reason in words that do not differ between systems.
pub(crate) fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(unix)]
fn is_world_readable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_world_readable(_path: &Path) -> bool {
    false
}
