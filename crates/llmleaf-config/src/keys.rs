//! `[[keys]]`: who may call.

use llmleaf_auth::roster::MAX_ID_BYTES;
use llmleaf_auth::{ModelPatterns, PasswordHash};

use crate::diagnose::{Diagnostic, Place};
use crate::limits::{self, Limits};
use crate::nearest;
use crate::read::{At, Reading, Table, Unique};
use crate::{Secret, secrets};

/// One `[[keys]]` table.
#[derive(Debug)]
pub struct Key {
    /// The part of the credential before the colon; unique.
    pub id: String,
    /// Display name; unique among names and ids.
    pub name: Option<String>,
    /// Hash of the password, in a form that this program can check.
    pub pw_hash: Secret,
    /// Models that this key may use, exact or with `*`; `None` means all, an empty list none.
    pub allowed_models: Option<Vec<String>>,
    /// What it may ask for in a minute, and at once.
    pub limits: Limits,
    /// It may ask how its requests are decided.
    pub explain: bool,
}

impl Key {
    /// What to call this key in logs, events and lists.
    pub fn display_name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.id)
    }
}

/// What reading `[[keys]]` yields beside the values.
pub(crate) struct KeysRead {
    pub keys: Vec<Key>,
    /// Whether the file has any key table at all, good or not.
    pub any: bool,
    /// The exact model names in allow-lists.
    pub allowed: Vec<At<String>>,
}

/// Reads every `[[keys]]` table.
pub(crate) fn read(cx: &Reading<'_>, root: &mut Table<'_>) -> KeysRead {
    let mut ids = Unique::new("key id");
    let mut names = Unique::new("key name");
    let mut out = KeysRead {
        keys: Vec::new(),
        any: false,
        allowed: Vec::new(),
    };
    for mut table in root.tables(cx, "keys") {
        out.any = true;
        let id = table
            .required(cx, "id", "the part of the credential before the colon")
            .filter(|id| id_fits(cx, id));
        let name = table.string(cx, "name");
        let pw_hash = pw_hash(cx, &mut table);
        let allowed = table.strings(cx, "allowed_models");
        let limits = limits::read(cx, &mut table);
        let explain = table.boolean(cx, "explain").unwrap_or_default();
        table.finish(cx);
        let mut fresh = id.as_ref().is_none_or(|id| ids.check(cx, id));
        // Events and lists show one name per key, so an id counts as a name where there is none.
        if let (true, Some(shown)) = (fresh, name.as_ref().or(id.as_ref())) {
            fresh = names.check(cx, shown);
        }
        let allowed = allowed.map(|list| list.value);
        out.allowed.extend(allowed.iter().flatten().cloned());
        if let (true, Some(id), Some(pw_hash)) = (fresh, id, pw_hash) {
            out.keys.push(Key {
                id: id.value,
                name: name.map(|at| at.value),
                pw_hash,
                allowed_models: allowed.map(|list| list.into_iter().map(|at| at.value).collect()),
                limits,
                explain,
            });
        }
    }
    out
}

fn id_fits(cx: &Reading<'_>, id: &At<String>) -> bool {
    if id.value.contains(':') {
        let message = "a key id cannot hold a colon";
        cx.report(
            Diagnostic::error(&id.place, message, "the credential is `id:password`")
                .help("everything after the first colon is the password; use `-` or `.` in ids"),
        );
        return false;
    }
    if id
        .value
        .contains(|c: char| c.is_whitespace() || c.is_control())
    {
        let message = "a key id cannot hold spaces or control characters";
        cx.report(Diagnostic::error(&id.place, message, "").help("put a display name into `name`"));
        return false;
    }
    if id.value.len() > MAX_ID_BYTES {
        let message = format!("a key id cannot be longer than {MAX_ID_BYTES} bytes");
        cx.report(Diagnostic::error(&id.place, message, "too long"));
        return false;
    }
    true
}

fn pw_hash(cx: &Reading<'_>, table: &mut Table<'_>) -> Option<Secret> {
    const HELP: &str = "`llmleaf hash-password` makes one";
    let secret = secrets::read(cx, table, "pw_hash");
    if secret.is_none() && !table.has("pw_hash") {
        table.missing(cx, "pw_hash", HELP);
    }
    let At { value, place } = secret?;
    match PasswordHash::parse(value.expose()) {
        Ok(_) => Some(value),
        Err(why) => {
            cx.report(bad_hash(&place, value.expose(), &why.to_string()));
            None
        }
    }
}

fn bad_hash(place: &Place, hash: &str, why: &str) -> Diagnostic {
    let error = Diagnostic::error(place, "`pw_hash` is not a hash that can be checked", why);
    if hash.starts_with('$') {
        error.help("`llmleaf hash-password` makes one")
    } else {
        error.help("`llmleaf hash-password` makes the hash of a password")
    }
}

/// Says which allowed models no route and no prefix can serve: most likely a slip.
pub(crate) fn report_unserved(
    cx: &Reading<'_>,
    allowed: &[At<String>],
    models: &[String],
    prefixes: &[&str],
) {
    let routes = ModelPatterns::new(models.iter().map(String::as_str));
    for at in allowed {
        let by_prefix = prefixes
            .iter()
            .any(|prefix| at.value.starts_with(&format!("{prefix}/")));
        if at.value.contains('*') || by_prefix || routes.allow(&at.value) {
            continue;
        }
        let names: Vec<&str> = models.iter().map(String::as_str).collect();
        let message = format!("no route serves model `{}`", at.value);
        cx.report(
            Diagnostic::warning(&at.place, message, "allowed, but not there")
                .maybe_help(nearest::suggestion(&at.value, "there are", &names)),
        );
    }
}
