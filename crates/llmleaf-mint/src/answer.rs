//! What a token endpoint says (RFC 6749, sections 5.1 and 5.2).

use crate::hidden::Hidden;
use http::HeaderValue;
use llmleaf_model::{Failure, FailureKind};
use serde::Deserialize;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long a token is good whose endpoint does not say so: it should, and the usual hour may be wrong.
const UNSTATED: Duration = Duration::from_secs(300);
/// Longest that a token is believed to be good.
const LONGEST: u64 = 24 * 3600;
/// Longest piece of an endpoint's own words that is told.
const WORDS: usize = 200;

/// A new token.
#[derive(Debug)]
pub struct Fresh {
    /// The value of `Authorization`, marked sensitive.
    pub value: HeaderValue,
    /// How long it is good, from when it was asked for.
    pub lifetime: Duration,
}

#[derive(Deserialize)]
struct Good {
    access_token: Hidden,
    token_type: Option<String>,
    /// Some say it as a string.
    expires_in: Option<Seconds>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(f64),
    Text(String),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Bad {
    error: Option<serde_json::Value>,
    error_description: Option<String>,
}

/// Reads an answer. What a failure quotes of it holds none of `secrets`.
pub(crate) fn read(
    status: u16,
    wait: Option<Duration>,
    body: &[u8],
    secrets: &[&str],
) -> Result<Fresh, Failure> {
    match status {
        200..=299 => good(body),
        _ => Err(bad(status, wait, body, secrets)),
    }
}

fn good(body: &[u8]) -> Result<Fresh, Failure> {
    let invalid = |why: &str| {
        let message = format!("the token endpoint's answer {why}");
        Failure::upstream(FailureKind::InvalidResponse, message)
    };
    // The parser's own words may quote the body.
    let good: Good = serde_json::from_slice(body).map_err(|_| invalid("holds no access token"))?;
    let bearer = |kind: &String| kind.eq_ignore_ascii_case("bearer");
    if !good.token_type.as_ref().is_none_or(bearer) {
        return Err(invalid("is not a bearer token"));
    }
    // Machines' own endpoints have been seen to pad tokens with dots, which belong to them.
    let text = Zeroizing::new(format!("Bearer {}", good.access_token.expose().trim()));
    let mut value = HeaderValue::from_str(&text)
        .ok()
        .filter(|_| !good.access_token.expose().trim().is_empty())
        .ok_or_else(|| invalid("holds a token that cannot be sent"))?;
    value.set_sensitive(true);
    let seconds = match good.expires_in {
        None => None,
        Some(Seconds::Number(seconds)) => Some(seconds),
        Some(Seconds::Text(text)) => text.trim().parse().ok().filter(|s: &f64| s.is_finite()),
    };
    let lifetime = seconds.map_or(UNSTATED, |seconds: f64| {
        Duration::try_from_secs_f64(seconds.min(LONGEST as f64)).unwrap_or_default()
    });
    if lifetime.is_zero() {
        return Err(invalid("holds a token that is over already"));
    }
    Ok(Fresh { value, lifetime })
}

fn bad(status: u16, wait: Option<Duration>, body: &[u8], secrets: &[&str]) -> Failure {
    let said: Bad = serde_json::from_slice(body).unwrap_or_default();
    let code = said.error.as_ref().and_then(|error| error.as_str());
    let kind = match (status, code) {
        (429, _) => FailureKind::RateLimit,
        (_, Some("temporarily_unavailable")) => FailureKind::Overloaded,
        (_, Some("server_error")) => FailureKind::Server,
        (300..=399, _) => FailureKind::InvalidResponse,
        // Whatever it does not like about what we show, it will not like it better soon.
        (400..=499, _) => FailureKind::Credential,
        (503, _) => FailureKind::Overloaded,
        _ => FailureKind::Server,
    };
    let mut message = format!("the token endpoint answered {status}");
    let words = [code, said.error_description.as_deref()];
    for words in words.into_iter().flatten() {
        let mut words: String = words.chars().filter(|c| !c.is_control()).collect();
        // Before it is cut: of a secret at the cut its beginning would be left.
        for secret in secrets {
            words = words.replace(secret, "[credential]");
        }
        message.push_str(": ");
        message.extend(words.chars().take(WORDS));
    }
    let mut failure = Failure::upstream(kind, message);
    failure.code = Some("token_endpoint".to_owned());
    failure.retry_after = wait;
    failure
}
