//! What is asked of a token's claims, whoever proves them.

use serde_json::{Map, Value};
use std::time::Duration;

use super::fault::TokenFault;
use super::keys::Algorithm;

/// Latest moment that a claim can name: the end of the year 9999. What is beyond it is no time but a trick.
const LAST_SECOND: f64 = 253_402_300_799.0;
/// Most audiences of a token.
const MAX_AUDIENCES: usize = 64;

/// What is asked of tokens of an issuer.
#[derive(Debug)]
pub struct Rules {
    /// Who must have issued them, spelt just so.
    pub issuer: String,
    /// Whom they must be meant for; one of these.
    pub audience: Vec<String>,
    /// How they may be signed.
    pub algorithms: Vec<Algorithm>,
    /// What they may say they are, without `application/`; saying nothing is accepted if this is empty or holds `JWT`.
    pub types: Vec<String>,
    /// How far clocks may be apart.
    pub leeway: Duration,
}

/// Types that access tokens and plain JWTs have: RFC 7519 section 5.1, RFC 9068 section 2.1 (2021-10).
pub const DEFAULT_TYPES: &[&str] = &["JWT", "at+jwt"];

impl Rules {
    /// Whether a token may say that it is this.
    pub(crate) fn check_type(&self, typ: Option<&str>) -> Result<(), TokenFault> {
        let accepted = |wanted: &str| {
            let mut types = self.types.iter();
            types.any(|known| known.eq_ignore_ascii_case(wanted))
        };
        let typ = match typ {
            None => "JWT",
            Some(typ) => match typ.split_at_checked("application/".len()) {
                Some((media, rest)) if media.eq_ignore_ascii_case("application/") => rest,
                _ => typ,
            },
        };
        accepted(typ).then_some(()).ok_or(TokenFault::Type)
    }

    /// Checks what signed tokens say of issuer, audience and time; returns the unix second at which it is over.
    pub(crate) fn check(&self, claims: &Map<String, Value>, now: u64) -> Result<u64, TokenFault> {
        if claims.get("iss").and_then(Value::as_str) != Some(self.issuer.as_str()) {
            return Err(TokenFault::Issuer);
        }
        self.check_audience(claims.get("aud").ok_or(TokenFault::Audience)?)?;
        let ends = self.check_times(claims, now)?;
        ends.ok_or(TokenFault::Claim)
    }

    /// An audience, or a list of them, one of which is ours.
    pub(crate) fn check_audience(&self, audience: &Value) -> Result<(), TokenFault> {
        let ours = |text: &str| self.audience.iter().any(|known| known == text);
        let fits = match audience {
            Value::String(one) => ours(one),
            Value::Array(all) if all.len() <= MAX_AUDIENCES => {
                let all: Option<Vec<&str>> = all.iter().map(Value::as_str).collect();
                all.ok_or(TokenFault::Claim)?.into_iter().any(ours)
            }
            _ => return Err(TokenFault::Claim),
        };
        fits.then_some(()).ok_or(TokenFault::Audience)
    }

    /// `exp`, `nbf` and `iat`, each where it is there; returns the end.
    pub(crate) fn check_times(
        &self,
        claims: &Map<String, Value>,
        now: u64,
    ) -> Result<Option<u64>, TokenFault> {
        if claims.contains_key("cnf") {
            // RFC 7800: whoever holds it must prove a key. As a bearer nobody does.
            return Err(TokenFault::Bound);
        }
        let leeway = self.leeway.as_secs();
        let ends = match moment(claims, "exp")? {
            None => None,
            Some(exp) => {
                // The second that it names is past already (RFC 7519 section 4.1.4: "on or after").
                let ends = exp.saturating_add(leeway);
                if now >= ends {
                    return Err(TokenFault::Expired);
                }
                Some(ends)
            }
        };
        for name in ["nbf", "iat"] {
            if moment(claims, name)?.is_some_and(|from| from > now.saturating_add(leeway)) {
                return Err(TokenFault::Early);
            }
        }
        Ok(ends)
    }
}

/// A moment as a number of seconds, of which fractions are cut.
fn moment(claims: &Map<String, Value>, name: &str) -> Result<Option<u64>, TokenFault> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    // Text is refused, and so is `null`: a reader that takes them for nothing takes a token that never ends (CVE-2026-25537).
    let number = value.as_f64().ok_or(TokenFault::Claim)?;
    if !(0.0..=LAST_SECOND).contains(&number) {
        return Err(TokenFault::Claim);
    }
    // Within the range; a fraction is cut.
    Ok(Some(number as u64))
}
