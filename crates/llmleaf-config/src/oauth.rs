//! `[oauth]`, or several `[[oauth]]`: callers proven by tokens of an identity provider.

mod introspection;
mod key_set;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use llmleaf_auth::tokens::Algorithm;
use llmleaf_auth::tokens::rules::DEFAULT_TYPES;

use crate::diagnose::{Diagnostic, Place};
use crate::keys::Key;
use crate::limits::{self, Limits};
use crate::nearest;
use crate::read::{At, Reading, Table, Unique};
use crate::url;

pub use introspection::{Introspection, IntrospectionAuth};

/// One `[oauth]` table.
#[derive(Debug)]
pub struct Oauth {
    /// What the issuer is called here; unique.
    pub name: String,
    /// Who must have issued a token.
    pub issuer: String,
    /// Whom a token must be meant for; any one of these.
    pub audience: Vec<String>,
    /// Where the signing keys are; `None` means by discovery from the issuer.
    pub jwks_uri: Option<String>,
    /// Signing keys written into the file, as JSON text.
    pub jwks: Option<String>,
    /// Accepted signature algorithms. Default RS256 and ES256.
    pub algorithms: Vec<Algorithm>,
    /// Accepted types of tokens. Default `JWT` and `at+jwt`.
    pub token_types: Vec<String>,
    /// How far clocks may be apart. Default 30 s.
    pub leeway: Duration,
    /// Claim that names the caller. Default `sub`.
    pub identity_claim: String,
    /// Claim whose text logs and bills show.
    pub display_claim: Option<String>,
    /// Claims that list the caller's roles. Default `roles`.
    pub roles_claim: Vec<String>,
    /// Models by role.
    pub role_models: BTreeMap<String, Vec<String>>,
    /// Limits by role.
    pub role_limits: BTreeMap<String, Limits>,
    /// Models that everybody may use.
    pub allowed_models: Vec<String>,
    /// Limits of everybody whose roles have none.
    pub limits: Limits,
    /// Everybody may ask how their requests are decided.
    pub explain: bool,
    /// Roles that may.
    pub explain_roles: Vec<String>,
    /// Scopes without which nobody is let in.
    pub required_scopes: Vec<String>,
    /// How often the signing keys are fetched. Default 1 h.
    pub jwks_refresh: Duration,
    /// How soon they may be fetched again because a token names an unknown one. Default 30 s.
    pub jwks_floor: Duration,
    /// How long one fetch may take. Default 2 s.
    pub timeout: Duration,
    /// Authorities for the issuer's certificate; `None` means the public ones.
    pub ca_file: Option<PathBuf>,
    /// Ask the issuer about tokens.
    pub introspection: Option<Introspection>,
}

impl Oauth {
    /// Whether both ask the same of tokens, in the same way.
    pub fn same_as(&self, other: &Self) -> bool {
        // Secrets print nothing, so they are compared by themselves.
        let ours = self.introspection.as_ref().map(|how| &how.auth);
        let theirs = other.introspection.as_ref().map(|how| &how.auth);
        ours == theirs && format!("{self:?}") == format!("{other:?}")
    }
}

/// Longest length of a setting in seconds: a week.
const MAX_SECS: u64 = 7 * 24 * 3600;
/// Longest time for one call, in milliseconds: consumers wait for it.
const MAX_CALL_MS: u64 = 60_000;
/// Most seconds that clocks may be apart.
const MAX_LEEWAY_SECS: u64 = 60;

/// Reads `[oauth]`, or every `[[oauth]]`.
pub(crate) fn read(cx: &Reading<'_>, root: &mut Table<'_>) -> Vec<Oauth> {
    let mut names = Unique::new("issuer name");
    let mut issuers = Unique::new("issuer");
    let mut asked: Option<Place> = None;
    let mut all = Vec::new();
    for mut table in root.table_or_tables(cx, "oauth") {
        let opaque = introspection::opaque_place(&table);
        if let (Some(first), Some(second)) = (&asked, &opaque) {
            let message = "two issuers would be asked about opaque tokens";
            cx.report(
                Diagnostic::error(second, message, "which of them is not known from a token")
                    .related(first, "the other")
                    .help("`tokens = \"signed\"` in one of them"),
            );
        }
        asked = asked.or(opaque);
        all.extend(one(cx, &mut table, &mut names, &mut issuers));
        table.finish(cx);
    }
    all
}

fn one(
    cx: &Reading<'_>,
    t: &mut Table<'_>,
    names: &mut Unique,
    issuers: &mut Unique,
) -> Option<Oauth> {
    let place = t.place().clone();
    let name = name(cx, t);
    let name = name.unwrap_or_else(|| At {
        value: "oauth".to_owned(),
        place: place.clone(),
    });
    let fresh = names.check(cx, &name);
    let issuer = t
        .required(cx, "issuer", "the `iss` of the tokens")
        .filter(|at| url::guarded(cx, "issuer", at).is_some());
    let fresh = fresh & issuer.as_ref().is_none_or(|at| issuers.check(cx, at));
    let audience = audience(cx, t);
    let jwks_uri = (t.string(cx, "jwks_uri")).and_then(|at| url::guarded(cx, "jwks_uri", &at));
    let jwks = key_set::read(cx, t);
    let algorithms = algorithms(cx, t);
    let token_types = token_types(cx, t);
    let leeway = t.seconds(cx, "leeway_secs", 0..=MAX_LEEWAY_SECS);
    let identity_claim = t.string(cx, "identity_claim");
    let display_claim = t.string(cx, "display_claim").map(|at| at.value);
    let roles_claim = t.string_or_strings(cx, "roles_claim");
    let role_models = role_models(cx, t);
    let role_limits = role_limits(cx, t);
    let allowed = t.strings(cx, "allowed_models");
    let required_scopes = required_scopes(cx, t);
    if allowed.is_none() && role_models.is_none() {
        let message = "nobody of this issuer could use a model";
        cx.report(
            Diagnostic::warning(&place, message, "no `allowed_models`, no `role_models`")
                .help("`allowed_models = [\"*\"]` is every model for every caller"),
        );
    }
    let out = Oauth {
        name: name.value,
        issuer: issuer.map_or(String::new(), |at| at.value),
        audience: audience.unwrap_or_default(),
        jwks_uri,
        jwks,
        algorithms,
        token_types,
        leeway: leeway.unwrap_or(Duration::from_secs(30)),
        identity_claim: identity_claim.map_or("sub".to_owned(), |at| at.value),
        display_claim,
        roles_claim: roles_claim.unwrap_or_else(|| vec!["roles".to_owned()]),
        role_models: role_models.unwrap_or_default(),
        role_limits,
        allowed_models: texts(allowed.map(|at| at.value).unwrap_or_default()),
        limits: limits::read(cx, t),
        explain: t.boolean(cx, "explain").unwrap_or_default(),
        explain_roles: (t.strings(cx, "explain_roles")).map_or_else(Vec::new, |at| texts(at.value)),
        required_scopes,
        jwks_refresh: (t.seconds(cx, "jwks_refresh_secs", 1..=MAX_SECS))
            .unwrap_or(Duration::from_secs(3600)),
        jwks_floor: (t.seconds(cx, "jwks_floor_secs", 1..=3600)).unwrap_or(Duration::from_secs(30)),
        timeout: (t.millis(cx, "timeout_ms", 1..=MAX_CALL_MS))
            .unwrap_or(Duration::from_millis(2000)),
        ca_file: t.string(cx, "ca_file").map(|at| cx.file(&at.value)),
        introspection: introspection::read(cx, t),
    };
    on_error(cx, t);
    fresh.then_some(out)
}

fn texts(list: Vec<At<String>>) -> Vec<String> {
    list.into_iter().map(|at| at.value).collect()
}

fn name(cx: &Reading<'_>, table: &mut Table<'_>) -> Option<At<String>> {
    let name = table.string(cx, "name")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.value.len() <= 64 && name.value.chars().all(fits) {
        return Some(name);
    }
    let message = "an issuer's name is made of letters, digits, `-`, `_` and `.`";
    let label = "ids of callers begin with it";
    cx.report(Diagnostic::error(&name.place, message, label));
    None
}

/// What an unreachable issuer means was once a setting. It has one sensible value.
fn on_error(cx: &Reading<'_>, table: &mut Table<'_>) {
    let Some(at) = table.string(cx, "on_error") else {
        return;
    };
    if at.value != "deny" {
        let message = "a token that nothing is known of opens no door";
        cx.report(
            Diagnostic::error(&at.place, message, "only `deny`").help(
                "leave it out; keys that were fetched once stay good while the issuer is away",
            ),
        );
    }
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
    Some(texts(list.value))
}

fn algorithms(cx: &Reading<'_>, table: &mut Table<'_>) -> Vec<Algorithm> {
    let Some(list) = table.strings(cx, "algorithms") else {
        return vec![Algorithm::Rs256, Algorithm::Es256];
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
        if let Some(algorithm) = Algorithm::named(&at.value) {
            good.push(algorithm);
            continue;
        }
        let (label, help) = if at.value.starts_with("HS") {
            let why = "whoever can check such a token can make one; use RS256 or ES256";
            ("made with a shared secret", Some(why.to_owned()))
        } else if at.value.eq_ignore_ascii_case("none") {
            ("anybody can make such a token", None)
        } else {
            let names: Vec<&str> = Algorithm::NAMES.iter().map(|(name, _)| *name).collect();
            ("unknown", nearest::suggestion(&at.value, "one of", &names))
        };
        let message = format!("algorithm `{}` is not accepted", at.value);
        cx.report(Diagnostic::error(&at.place, message, label).maybe_help(help));
    }
    good
}

fn token_types(cx: &Reading<'_>, table: &mut Table<'_>) -> Vec<String> {
    let Some(list) = table.strings(cx, "token_types") else {
        return DEFAULT_TYPES
            .iter()
            .map(|name| (*name).to_owned())
            .collect();
    };
    if list.value.is_empty() {
        let message = "`token_types` must name at least one";
        cx.report(
            Diagnostic::error(&list.place, message, "empty")
                .help("leave it out for JWT and at+jwt"),
        );
    }
    let plain = |at: At<String>| match at.value.strip_prefix("application/") {
        Some(rest) => rest.to_owned(),
        None => at.value,
    };
    list.value.into_iter().map(plain).collect()
}

fn required_scopes(cx: &Reading<'_>, table: &mut Table<'_>) -> Vec<String> {
    let list = table.strings(cx, "required_scopes");
    let list = list.map(|at| at.value).unwrap_or_default();
    for at in &list {
        // RFC 6749 section 3.3 (2012-10).
        let fits = |c: char| matches!(c, '!' | '#'..='[' | ']'..='~');
        if at.value.is_empty() || !at.value.chars().all(fits) {
            let message = format!("`{}` is no scope", at.value);
            cx.report(Diagnostic::error(&at.place, message, "one word each"));
        }
    }
    texts(list)
}

fn role_models(cx: &Reading<'_>, table: &mut Table<'_>) -> Option<BTreeMap<String, Vec<String>>> {
    let roles = table.table(cx, "role_models")?;
    let models = |role: &At<&str>| texts(roles.free_strings(cx, role));
    let each = roles.free_keys();
    let each = each.iter();
    Some(
        each.map(|role| (role.value.to_owned(), models(role)))
            .collect(),
    )
}

fn role_limits(cx: &Reading<'_>, table: &mut Table<'_>) -> BTreeMap<String, Limits> {
    let Some(roles) = table.table(cx, "role_limits") else {
        return BTreeMap::new();
    };
    let each = roles.free_keys().into_iter();
    let one = |role: At<&str>| {
        let table = roles.free_table(cx, &role)?;
        Some((role.value.to_owned(), limits::of(cx, table)))
    };
    each.filter_map(one).collect()
}

/// Names of keys that look like callers of an issuer: bills could not tell them apart.
pub(crate) fn check_names(cx: &Reading<'_>, issuers: &[Oauth], keys: &[Key]) {
    for key in keys {
        let Some(name) = &key.name else { continue };
        let prefix = name.split_once(':').map(|(prefix, _)| prefix);
        if issuers
            .iter()
            .any(|issuer| Some(issuer.name.as_str()) == prefix)
        {
            let message = format!("key `{}` is named like a caller of an issuer", key.id);
            cx.report(
                Diagnostic::error(&Place::Whole, message, "")
                    .help(format!("`{name}` begins with an issuer's name and a colon")),
            );
        }
    }
}
