//! `[oauth]`: callers proven by signed tokens.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{OnError, Secret};

/// The `[oauth]` table.
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
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
