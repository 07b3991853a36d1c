//! Requests, tokens and concurrency under one roof, and the permits that give back what they hold.

use super::bucket::Bucket;
use crate::{Millis, lock};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long to wait before asking again for a place that others hold: nobody knows when they end.
pub const RECHECK: Duration = Duration::from_millis(50);

/// What is limited; `None` is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests a minute.
    pub requests_per_min: Option<u64>,
    /// Tokens a minute, input and output together.
    pub tokens_per_min: Option<u64>,
    /// Requests at once.
    pub max_concurrent: Option<u32>,
}

/// Which of the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// [`Limits::requests_per_min`].
    Requests,
    /// [`Limits::tokens_per_min`].
    Tokens,
    /// [`Limits::max_concurrent`].
    Concurrency,
}

/// Not now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is used up.
    pub scope: Scope,
    /// Not before then; [`Millis::NEVER`] for a limit of nothing. For concurrency it is a guess.
    pub until: Millis,
}

/// One limit as headers tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    /// A minute.
    pub limit: u64,
    /// Left now.
    pub remaining: u64,
    /// Until all of it is there again.
    pub reset: Duration,
}

/// The limits as headers tell them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Requests.
    pub requests: Option<Figure>,
    /// Tokens.
    pub tokens: Option<Figure>,
    /// Running now, and at most.
    pub concurrent: Option<(u32, u32)>,
}

/// Limits and what is used of them. Shared by all workers; without limits it costs one load.
#[derive(Debug)]
pub struct Limiter {
    limited: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    limits: Limits,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    running: u32,
}

/// Admitted. Dropped, it gives its place back; what was charged to the rates stays charged unless [`Self::refund`]ed.
#[derive(Debug, Default)]
pub struct Permit {
    limiter: Option<Arc<Limiter>>,
    /// Tokens charged.
    charged: u64,
}

impl Limiter {
    /// With all of its limits free.
    pub fn new(limits: Limits, now: Millis) -> Self {
        Self {
            limited: AtomicBool::new(limits != Limits::default()),
            inner: Mutex::new(Inner {
                limits,
                requests: limits.requests_per_min.map(|n| Bucket::new(n, now)),
                tokens: limits.tokens_per_min.map(|n| Bucket::new(n, now)),
                running: 0,
            }),
        }
    }

    /// Admits one request that is thought to use so many tokens: all of the limits, or none is charged.
    ///
    /// # Errors
    /// The limit that is used up, and until when.
    pub fn admit(self: &Arc<Self>, tokens: u64, now: Millis) -> Result<Permit, Refusal> {
        if !self.limited.load(Ordering::Relaxed) {
            return Ok(Permit::default());
        }
        let mut inner = lock(&self.inner);
        if let Some(refusal) = inner.blocked(tokens, now) {
            return Err(refusal);
        }
        if let Some(bucket) = &mut inner.requests {
            bucket.owe(1, now);
        }
        if let Some(bucket) = &mut inner.tokens {
            bucket.owe(tokens, now);
        }
        inner.running += 1;
        Ok(Permit {
            limiter: Some(Arc::clone(self)),
            charged: tokens,
        })
    }

    /// What would stand in the way of a request now, without admitting it.
    pub fn blocked(&self, tokens: u64, now: Millis) -> Option<Refusal> {
        if !self.limited.load(Ordering::Relaxed) {
            return None;
        }
        lock(&self.inner).blocked(tokens, now)
    }

    /// Other limits from now on; what is used stays used. Nothing happens when they are the same.
    pub fn set(&self, limits: Limits, now: Millis) {
        let mut inner = lock(&self.inner);
        if inner.limits == limits {
            return;
        }
        renew(&mut inner.requests, limits.requests_per_min, now);
        renew(&mut inner.tokens, limits.tokens_per_min, now);
        inner.limits = limits;
        self.limited
            .store(limits != Limits::default(), Ordering::Relaxed);
    }

    /// The figures for headers and views.
    pub fn figures(&self, now: Millis) -> Figures {
        let mut inner = lock(&self.inner);
        let running = inner.running;
        Figures {
            requests: inner.requests.as_mut().map(|b| figure(b, now)),
            tokens: inner.tokens.as_mut().map(|b| figure(b, now)),
            concurrent: inner.limits.max_concurrent.map(|most| (running, most)),
        }
    }

    /// Requests that hold a place.
    pub fn running(&self) -> u32 {
        lock(&self.inner).running
    }
}

impl Inner {
    fn blocked(&mut self, tokens: u64, now: Millis) -> Option<Refusal> {
        let concurrency = self.limits.max_concurrent.and_then(|most| {
            let until = if most == 0 {
                Millis::NEVER
            } else {
                now.after(RECHECK)
            };
            (self.running >= most).then_some((Scope::Concurrency, until))
        });
        let rate = |bucket: &mut Option<Bucket>, amount, scope| {
            let free_at = bucket.as_mut().map(|b| b.free_at(amount, now));
            free_at.filter(|at| *at > now).map(|at| (scope, at))
        };
        let requests = rate(&mut self.requests, 1, Scope::Requests);
        let tokens = rate(&mut self.tokens, tokens, Scope::Tokens);
        // All of them must be free: the latest counts.
        let all = concurrency.into_iter().chain(requests).chain(tokens);
        let latest = all.max_by_key(|(_, until)| *until);
        latest.map(|(scope, until)| Refusal { scope, until })
    }
}

fn renew(bucket: &mut Option<Bucket>, per_min: Option<u64>, now: Millis) {
    match (bucket.as_mut(), per_min) {
        (Some(bucket), Some(per_min)) => bucket.set(per_min, now),
        (_, per_min) => *bucket = per_min.map(|n| Bucket::new(n, now)),
    }
}

fn figure(bucket: &mut Bucket, now: Millis) -> Figure {
    Figure {
        limit: bucket.per_min(),
        remaining: bucket.remaining(now),
        reset: Duration::from_millis(bucket.full_at(now).since(now)),
    }
}

impl Permit {
    /// The request used so many tokens in all: the estimate is set right. May be told again as more is known.
    pub fn settle(&mut self, tokens: u64, now: Millis) {
        let Some(limiter) = &self.limiter else {
            return;
        };
        if let Some(bucket) = &mut lock(&limiter.inner).tokens {
            if tokens > self.charged {
                bucket.owe(tokens - self.charged, now);
            } else {
                bucket.give_back(self.charged - tokens);
            }
        }
        self.charged = tokens;
    }

    /// The request never went out: all that was charged is given back, and so is the place.
    pub fn refund(&mut self) {
        let Some(limiter) = self.limiter.take() else {
            return;
        };
        let mut inner = lock(&limiter.inner);
        inner.running = inner.running.saturating_sub(1);
        if let Some(bucket) = &mut inner.requests {
            bucket.give_back(1);
        }
        if let Some(bucket) = &mut inner.tokens {
            bucket.give_back(self.charged);
        }
    }

    /// Tokens charged so far.
    pub fn charged(&self) -> u64 {
        self.charged
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(limiter) = self.limiter.take() {
            let mut inner = lock(&limiter.inner);
            inner.running = inner.running.saturating_sub(1);
        }
    }
}
