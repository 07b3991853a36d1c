//! `[oauth.introspection]`: the issuer is asked about tokens.

use std::time::Duration;

use llmleaf_auth::tokens::Asked;

use super::{MAX_CALL_MS, MAX_SECS};
use crate::diagnose::{Diagnostic, Place};
use crate::read::{Reading, Table};
use crate::{Secret, secrets, url};

/// The `[oauth.introspection]` table.
#[derive(Debug)]
pub struct Introspection {
    /// Endpoint to ask.
    pub url: String,
    /// About which tokens. Default all.
    pub asked: Asked,
    /// As whom.
    pub auth: IntrospectionAuth,
    /// How long an answer is believed. Default 30 s.
    pub cache_ttl: Duration,
    /// How long one question may take. Default 2 s.
    pub timeout: Duration,
}

/// How the issuer knows who asks.
#[derive(Debug, PartialEq, Eq)]
pub enum IntrospectionAuth {
    /// It does not.
    None,
    /// By a bearer token.
    Bearer(Secret),
    /// By the id and secret of a client, in the `Authorization` header.
    Basic(String, Secret),
    /// By these in the form.
    Post(String, Secret),
}

const ASKED: &[(&str, Asked)] = &[
    ("all", Asked::All),
    ("opaque", Asked::Opaque),
    ("signed", Asked::Signed),
];

/// Where it is said that this issuer is asked about opaque tokens, before the table is read.
pub(super) fn opaque_place(oauth: &Table<'_>) -> Option<Place> {
    let (place, tokens) = oauth.peek_in("introspection", "tokens")?;
    (tokens != Some("signed")).then_some(place)
}

/// Reads the table.
pub(super) fn read(cx: &Reading<'_>, oauth: &mut Table<'_>) -> Option<Introspection> {
    let mut table = oauth.table(cx, "introspection")?;
    let t = &mut table;
    let url = t
        .required(cx, "url", "the introspection endpoint of the issuer")
        .and_then(|at| url::guarded(cx, "url", &at));
    let asked = t.choice(cx, "tokens", ASKED);
    let auth = auth(cx, t);
    let cache_ttl = t.seconds(cx, "cache_ttl_secs", 0..=MAX_SECS);
    let timeout = t.millis(cx, "timeout_ms", 1..=MAX_CALL_MS);
    table.finish(cx);
    Some(Introspection {
        url: url?,
        asked: asked.unwrap_or(Asked::All),
        auth,
        cache_ttl: cache_ttl.unwrap_or(Duration::from_secs(30)),
        timeout: timeout.unwrap_or(Duration::from_millis(2000)),
    })
}

fn auth(cx: &Reading<'_>, t: &mut Table<'_>) -> IntrospectionAuth {
    let bearer = secrets::read(cx, t, "credential");
    let id = t.string(cx, "client_id");
    let secret = secrets::read(cx, t, "client_secret");
    let posts = t.choice(cx, "client_auth", &[("basic", false), ("post", true)]);
    if let (Some(bearer), Some(id)) = (&bearer, &id) {
        let message = "`credential` and `client_id` exclude each other";
        cx.report(
            Diagnostic::error(&id.place, message, "one way to say who asks")
                .related(&bearer.place, "the other"),
        );
    }
    match (id, secret) {
        (Some(id), Some(secret)) if posts == Some(true) => {
            IntrospectionAuth::Post(id.value, secret.value)
        }
        (Some(id), Some(secret)) => IntrospectionAuth::Basic(id.value, secret.value),
        (Some(_), None) if !t.has("client_secret") => {
            t.missing(
                cx,
                "client_secret",
                "`env:VAR` or `file:PATH`, beside `client_id`",
            );
            IntrospectionAuth::None
        }
        (None, Some(_)) if !t.has("client_id") => {
            t.missing(cx, "client_id", "whose secret `client_secret` is");
            IntrospectionAuth::None
        }
        _ => bearer.map_or(IntrospectionAuth::None, |at| {
            IntrospectionAuth::Bearer(at.value)
        }),
    }
}
