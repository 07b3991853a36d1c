//! An issuer is asked about a token (RFC 7662, 2015-10): the form of the question, and what is made of the answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use std::time::Duration;

use super::fault::TokenFault;
use super::rules::Rules;
use super::strict;
use crate::secret::Secret;

/// Largest answer, in bytes.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// How long an answer that a token is not good is remembered at most, in seconds.
pub(crate) const MAX_REFUSED_SECS: u64 = 10;

/// Which tokens an issuer is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Opaque ones, and signed ones after their signature has been checked.
    All,
    /// Opaque ones.
    Opaque,
    /// Signed ones.
    Signed,
}

/// How we prove to the issuer who asks.
#[derive(Debug)]
pub enum ClientAuth {
    /// Not at all.
    None,
    /// By a token.
    Bearer(Secret),
    /// By id and secret in the `Authorization` header (RFC 6749 section 2.3.1).
    Basic(String, Secret),
    /// By id and secret in the form.
    Post(String, Secret),
}

/// How an issuer is asked.
#[derive(Debug)]
pub struct Introspection {
    /// About which tokens.
    pub asked: Asked,
    /// As whom.
    pub auth: ClientAuth,
    /// How long an answer is believed.
    pub ttl: Duration,
}

impl Introspection {
    /// The value of the `Authorization` header, if there is to be one.
    pub fn authorization(&self) -> Option<Secret> {
        match &self.auth {
            ClientAuth::Bearer(token) => Some(Secret::new(format!("Bearer {}", token.expose()))),
            ClientAuth::Basic(id, secret) => {
                let mut pair = String::new();
                encode(id, &mut pair);
                pair.push(':');
                encode(secret.expose(), &mut pair);
                Some(Secret::new(format!("Basic {}", STANDARD.encode(pair))))
            }
            ClientAuth::None | ClientAuth::Post(..) => None,
        }
    }

    /// The form that asks about a token.
    pub fn form(&self, token: &str) -> Secret {
        let mut form = "token=".to_owned();
        encode(token, &mut form);
        form.push_str("&token_type_hint=access_token");
        if let ClientAuth::Post(id, secret) = &self.auth {
            form.push_str("&client_id=");
            encode(id, &mut form);
            form.push_str("&client_secret=");
            encode(secret.expose(), &mut form);
        }
        Secret::new(form)
    }
}

/// What an issuer says of a good token.
pub(crate) struct Answer {
    pub(crate) claims: Map<String, Value>,
    /// When it is over, in unix seconds, if that is said.
    pub(crate) ends: Option<u64>,
}

/// Reads an answer.
///
/// `Err(None)` is no answer at all: nothing is known of the token then.
pub(crate) fn read(rules: &Rules, answer: &[u8], now: u64) -> Result<Answer, Option<TokenFault>> {
    if answer.len() > MAX_ANSWER_BYTES {
        return Err(None);
    }
    let claims = strict::object(answer).ok_or(None)?;
    match claims.get("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return Err(Some(TokenFault::Inactive)),
        _ => return Err(None),
    }
    let issuer = claims.get("iss");
    if issuer.is_some_and(|iss| iss.as_str() != Some(rules.issuer.as_str())) {
        return Err(Some(TokenFault::Issuer));
    }
    // The issuer knows who asks, and is to say of each token whether it is for them (section 4); but not all name whom it is for.
    if let Some(audience) = claims.get("aud") {
        rules.check_audience(audience).map_err(Some)?;
    }
    let bearer = |kind: &str| {
        let kinds = ["bearer", "access_token", "jwt"];
        kinds.iter().any(|known| known.eq_ignore_ascii_case(kind))
    };
    let kind = claims.get("token_type");
    if kind.is_some_and(|kind| !kind.as_str().is_some_and(bearer)) {
        return Err(Some(TokenFault::Bound));
    }
    let ends = rules.check_times(&claims, now).map_err(Some)?;
    Ok(Answer { claims, ends })
}

/// As a field of a form (WHATWG URL, section 5.2).
fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
}
