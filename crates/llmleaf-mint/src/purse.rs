//! The token there is, and who gets the next one when.
//!
//! A token that is good costs a look and no lock. Ahead of its end one of those who look is told to get another, while all use the one
//! there is. Where there is none, one gets it and the others wait. What failed is not asked again at once, however many ask.

use crate::answer::Fresh;
use arc_swap::ArcSwapOption;
use http::HeaderValue;
use llmleaf_model::{Failure, FailureKind};
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long before its end a token is renewed at the earliest, in milliseconds. Machines' own endpoints hand out the same token up
/// to four minutes before its end: who asks earlier gets the one that it has (Google's client libraries, read 2026-11).
const AHEAD: u64 = 225_000;
/// How long before its end a token is not sent any more: it must not run out on its way.
const MARGIN: u64 = 10_000;
/// How long after a token was given up for a refusal the next one is not, in milliseconds: then it is not the token.
const REFUSALS: u64 = 10_000;
/// Pause after a failure, in milliseconds. It doubles only while there is a token that is good: then nobody waits for it.
const PAUSE: u64 = 1000;
/// How often it doubles.
const DOUBLINGS: u32 = 5;
/// Longest pause that an endpoint can ask for.
const LONGEST_PAUSE: u64 = 60_000;

/// A token that is good.
#[derive(Clone)]
pub struct Token {
    /// The value of `Authorization`.
    pub value: HeaderValue,
    /// Tells it from others of the purse.
    number: u64,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.number)
    }
}

struct Held {
    token: Token,
    /// From then on it is renewed.
    due: u64,
    /// From then on it is not sent.
    end: u64,
}

#[derive(Default)]
struct State {
    /// Somebody is getting one.
    flying: bool,
    number: u64,
    failures: u32,
    not_before: u64,
    last: Option<Failure>,
    /// No token is given up for a refusal before then.
    keeps_until: u64,
}

/// What comes of looking into the purse. Times are milliseconds of the caller's own count.
#[derive(Debug)]
pub enum Take {
    /// Here it is.
    Token(Token),
    /// Here it is, and the caller gets the next one meanwhile: it owes a [`Purse::land`].
    TokenAndFly(Token),
    /// There is none, and the caller gets it: it owes a [`Purse::land`].
    Fly,
    /// There is none; somebody is getting it.
    Wait,
    /// There is none, and it was tried just now.
    Failed(Box<Failure>),
}

/// The token of one credential.
#[derive(Default)]
pub struct Purse {
    held: ArcSwapOption<Held>,
    state: Mutex<State>,
}

impl fmt::Debug for Purse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Purse(…)")
    }
}

impl Purse {
    /// Looks for a token.
    pub fn take(&self, now: u64) -> Take {
        let held = self.held.load();
        let good = held.as_ref().filter(|held| now < held.end);
        if let Some(held) = good {
            let token = held.token.clone();
            if now < held.due {
                return Take::Token(token);
            }
            // Whoever finds the lock taken is not the one who gets the next.
            return match self.state.try_lock() {
                // The next may have come since it looked.
                Some(mut state)
                    if !state.flying && now >= state.not_before && state.number == token.number =>
                {
                    state.flying = true;
                    Take::TokenAndFly(token)
                }
                _ => Take::Token(token),
            };
        }
        let mut state = self.state.lock();
        // It may have come in the meantime.
        let held = self.held.load();
        if let Some(held) = held.as_ref().filter(|held| now < held.end) {
            return Take::Token(held.token.clone());
        }
        if state.flying {
            return Take::Wait;
        }
        match &state.last {
            Some(failure) if now < state.not_before => {
                let mut failure = failure.clone();
                let left = Duration::from_millis(state.not_before - now);
                failure.retry_after = failure.retry_after.map(|_| left);
                Take::Failed(Box::new(failure))
            }
            _ => {
                state.flying = true;
                Take::Fly
            }
        }
    }

    /// What came of getting one that was asked for at `asked`.
    pub fn land(&self, result: Result<Fresh, Failure>, asked: u64, now: u64) {
        let mut state = self.state.lock();
        state.flying = false;
        match result {
            Ok(fresh) => {
                state.failures = 0;
                state.not_before = 0;
                state.last = None;
                state.number += 1;
                let lifetime = millis(fresh.lifetime);
                let end = asked + lifetime - MARGIN.min(lifetime / 10);
                let due = asked + lifetime - AHEAD.min(lifetime / 4);
                let token = Token {
                    value: fresh.value,
                    number: state.number,
                };
                self.held.store(Some(Arc::new(Held {
                    token,
                    // One that came late is not renewed at once for ever.
                    due: due.max(now + PAUSE),
                    end,
                })));
            }
            Err(failure) => {
                let good = self.held.load();
                let good = good.as_ref().is_some_and(|held| now < held.end);
                let doublings = if good {
                    state.failures.min(DOUBLINGS)
                } else {
                    0
                };
                let stated = failure.retry_after.map_or(0, millis).min(LONGEST_PAUSE);
                state.failures = state.failures.saturating_add(1);
                state.not_before = now + (PAUSE << doublings).max(stated);
                state.last = Some(failure);
            }
        }
    }

    /// Whoever was to get one does not: the next who asks is told to.
    pub fn abandon(&self) {
        let mut state = self.state.lock();
        state.flying = false;
        state.not_before = 0;
        state.last = Some(Failure::gateway(
            FailureKind::Internal,
            "asking for a token was interrupted",
        ));
    }

    /// The service refused that token. True where another one may be had: it is taken out, if it is still the one that the purse
    /// holds. Where its successor is refused as well, it was not the token's fault.
    pub fn refused(&self, token: &Token, now: u64) -> bool {
        let mut state = self.state.lock();
        let held = self.held.load();
        let Some(held) = held.as_ref() else {
            return true;
        };
        if held.token.number != token.number {
            return true;
        }
        if now < state.keeps_until {
            return false;
        }
        state.keeps_until = now + REFUSALS;
        self.held.store(None);
        true
    }

    /// The token that it holds, good or not, to look for in what must not hold it.
    pub fn value(&self) -> Option<HeaderValue> {
        let held = self.held.load();
        held.as_ref().map(|held| held.token.value.clone())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests;
