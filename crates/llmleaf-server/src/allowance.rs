//! What keys may ask for in a minute, and at once; and the headers that tell them.

use http::{HeaderMap, HeaderName, HeaderValue};
use llmleaf_auth::Principal;
use llmleaf_auth::tokens::IdentityLimits;
use llmleaf_dialects::Dialect;
use llmleaf_dialects::headers::DATED_LIMITS;
use llmleaf_exchange::{Allowance, Shared};
use llmleaf_model::{Failure, FailureKind, Origin};
use llmleaf_route::Millis;
use llmleaf_route::limits::{Figure, Figures, Limiter, Limits, Scope};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Most callers that bring their limits along (with tokens, and keys of a controller) whose use is remembered.
const MAX_CALLERS: usize = 65_536;
/// How long one that asks for nothing is: then all limits are free again.
const MEMORY: u64 = 60_000;
/// How often those are looked for while there is no room, in milliseconds.
const SWEEP: u64 = 1000;

/// The limits of every key of the file that has any, by id, and of callers that bring theirs along, as they come.
#[derive(Debug, Default)]
pub struct Allowances(HashMap<String, Allowed>, Arc<Mutex<Callers>>);

#[derive(Debug, Default)]
struct Callers {
    known: HashMap<Arc<str>, Caller>,
    /// When those that ask for nothing were looked for.
    swept: Millis,
}

/// A caller with limits of its own.
#[derive(Debug)]
struct Caller {
    limits: Limits,
    limiter: Arc<Limiter>,
    seen: Millis,
}

#[derive(Debug)]
struct Allowed {
    /// What it is to be held to once this is in effect.
    limits: Limits,
    limiter: Arc<Limiter>,
}

impl Allowances {
    /// From ids and limits.
    pub fn new(keys: impl Iterator<Item = (String, Limits)>) -> Self {
        Self::default().renew(keys, Millis(0))
    }

    /// Those of the next configuration. What a key has used stays used, and what it has running counts.
    #[must_use]
    pub fn renew(&self, keys: impl Iterator<Item = (String, Limits)>, now: Millis) -> Self {
        let limited = keys.filter(|(_, limits)| *limits != Limits::default());
        let each = limited.map(|(id, limits)| {
            let known = self.0.get(&id).map(|known| Arc::clone(&known.limiter));
            let limiter = known.unwrap_or_else(|| Arc::new(Limiter::new(limits, now)));
            (id, Allowed { limits, limiter })
        });
        Self(each.collect(), Arc::clone(&self.1))
    }

    /// These are in effect from now on.
    pub fn install(&self, now: Millis) {
        let each = self.0.values();
        each.for_each(|allowed| allowed.limiter.set(allowed.limits, now));
    }

    /// Whether a key has a limit that counts tokens.
    pub fn counts_tokens(&self, principal: &Principal) -> bool {
        if let Some(limits) = principal.limits() {
            return limits.tokens_per_min.is_some();
        }
        let allowed = self.0.get(&**principal.key_id());
        allowed.is_some_and(|allowed| allowed.limits.tokens_per_min.is_some())
    }

    /// What is left of the limits of a key of the file, if it has any.
    pub fn figures(&self, id: &str, now: Millis) -> Option<Figures> {
        self.0.get(id).map(|allowed| allowed.limiter.figures(now))
    }

    /// The limits of a caller, if it has any.
    pub fn of(&self, principal: &Principal, now: Millis) -> Option<Arc<Limiter>> {
        if let Some(limits) = principal.limits() {
            return self.of_caller(principal.key_id(), limits, now);
        }
        if self.0.is_empty() {
            return None;
        }
        let allowed = self.0.get(&**principal.key_id());
        allowed.map(|allowed| Arc::clone(&allowed.limiter))
    }

    /// The limits of a caller that brings them along: by its id, so that neither a new token nor a new roster makes new ones.
    fn of_caller(&self, id: &Arc<str>, own: IdentityLimits, now: Millis) -> Option<Arc<Limiter>> {
        let limits = Limits {
            requests_per_min: own.requests_per_min,
            tokens_per_min: own.tokens_per_min,
            max_concurrent: own.max_concurrent,
        };
        if limits == Limits::default() {
            return None;
        }
        let mut callers = self.1.lock();
        if let Some(known) = callers.known.get_mut(id) {
            known.seen = now;
            if known.limits != limits {
                known.limits = limits;
                known.limiter.set(limits, now);
            }
            return Some(Arc::clone(&known.limiter));
        }
        if callers.known.len() >= MAX_CALLERS && now.since(callers.swept) >= SWEEP {
            callers.swept = now;
            callers.known.retain(|_, known| {
                now.since(known.seen) < MEMORY || Arc::strong_count(&known.limiter) > 1
            });
        }
        let limiter = Arc::new(Limiter::new(limits, now));
        // More within a minute are not remembered, and so not held to anything: limits fail open.
        if callers.known.len() < MAX_CALLERS {
            let caller = Caller {
                limits,
                limiter: Arc::clone(&limiter),
                seen: now,
            };
            callers.known.insert(Arc::clone(id), caller);
        }
        Some(limiter)
    }
}

/// Admits a request of a key, or says when to ask again.
///
/// # Errors
/// A limit of the key is used up.
pub fn admit(
    limiter: &Arc<Limiter>,
    tokens: u64,
    shared: &Arc<Shared>,
) -> Result<Allowance, Failure> {
    let now = shared.now();
    let admitted = limiter.admit(tokens, now);
    let allowed = admitted.map(|permit| Allowance::new(permit, Arc::clone(shared)));
    allowed.map_err(|refusal| {
        let what = match refusal.scope {
            Scope::Requests => "requests per minute",
            Scope::Tokens => "tokens per minute",
            Scope::Concurrency => "requests at once",
        };
        let message = format!("this key is at its limit of {what}");
        let mut failure = Failure::new(Origin::Gateway, FailureKind::RateLimit, message);
        failure.code = Some("rate_limit_exceeded".to_owned());
        failure.retry_after = Some(Duration::from_millis(refusal.until.since(now)));
        failure
    })
}

/// Adds the headers that tell a key of its limits, in its dialect's form. `now` is the unix time.
pub fn tell(headers: &mut HeaderMap, dialect: Dialect, figures: &Figures, now: Duration) {
    let each = [("requests", figures.requests), ("tokens", figures.tokens)];
    for (what, figure) in each {
        let Some(figure) = figure else { continue };
        if dialect == Dialect::Messages {
            let name = |end: &str| [DATED_LIMITS, what, "-", end].concat();
            put(headers, &name("limit"), &figure.limit.to_string());
            put(headers, &name("remaining"), &figure.remaining.to_string());
            put(headers, &name("reset"), &rfc3339(now + figure.reset));
        } else {
            let name = |end: &str| ["x-ratelimit-", end, "-", what].concat();
            put(headers, &name("limit"), &figure.limit.to_string());
            put(headers, &name("remaining"), &figure.remaining.to_string());
            put(headers, &name("reset"), &span(figure));
        }
    }
}

fn put(headers: &mut HeaderMap, name: &str, value: &str) {
    let name = HeaderName::from_bytes(name.as_bytes());
    if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
        headers.insert(name, value);
    }
}

/// `1s`, `6m0s`, `12ms`: as the OpenAI API writes it.
fn span(figure: Figure) -> String {
    let millis = figure.reset.as_millis();
    let seconds = millis.div_ceil(1000);
    if millis < 1000 {
        format!("{millis}ms")
    } else if seconds < 60 {
        format!("{seconds}s")
    } else {
        format!("{}m{}s", seconds / 60, seconds % 60)
    }
}

/// A unix time as `2026-11-25T12:00:00Z`, rounded up.
pub fn rfc3339(unix: Duration) -> String {
    let seconds = unix.as_secs() + u64::from(unix.subsec_nanos() > 0);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Years begin in March here, so that the day of a leap year comes last (Howard Hinnant, "chrono-compatible date algorithms").
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_tells_limits_in_its_form() {
        let figure = |reset| Figure {
            limit: 60,
            remaining: 7,
            reset,
        };
        let figures = Figures {
            requests: Some(figure(Duration::from_millis(90_500))),
            tokens: Some(figure(Duration::from_millis(12))),
            concurrent: None,
        };
        let now = Duration::from_secs(1_795_651_200);
        let told = |dialect| {
            let mut headers = HeaderMap::new();
            tell(&mut headers, dialect, &figures, now);
            move |name: &str| headers.get(name).map(|v| v.to_str().unwrap().to_owned())
        };
        let openai = told(Dialect::ChatCompletions);
        assert_eq!(openai("x-ratelimit-limit-requests").as_deref(), Some("60"));
        assert_eq!(openai("x-ratelimit-remaining-tokens").as_deref(), Some("7"));
        assert_eq!(
            openai("x-ratelimit-reset-requests").as_deref(),
            Some("1m31s")
        );
        assert_eq!(openai("x-ratelimit-reset-tokens").as_deref(), Some("12ms"));
        let messages = told(Dialect::Messages);
        let reset = messages("anthropic-ratelimit-requests-reset");
        assert_eq!(reset.as_deref(), Some("2026-11-26T00:01:31Z"));
        assert_eq!(
            messages("anthropic-ratelimit-tokens-remaining").as_deref(),
            Some("7")
        );
    }

    #[test]
    fn days_are_counted_right() {
        for (unix, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(Duration::from_secs(unix)), text);
        }
    }
}
