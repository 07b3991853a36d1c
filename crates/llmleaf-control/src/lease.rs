//! Budgets that many nodes share without talking to each other: a controller grants each node a slice of a key's cap, and the node
//! spends what it was granted and no more, whether the controller is there or not. Pure; it is told the time.
//!
//! The rule that everything follows from: **both sides count upwards only.** For a key a node has one lease at a time. It tells what was
//! spent on it so far; the controller tells what was granted on it so far. A message that is lost, late or doubled says nothing
//! that a later one does not say better.
//!
//! What is running holds what it is thought to use until it is known what it used. So a cap is passed by what requests used beyond
//! what was held for them, and by nothing else: requests, which are counted before, never pass it.

mod purse;
mod wire;

#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;

use llmleaf_route::Millis;
use purse::Purse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub use wire::{Asking, Grant, Granted, Report, Reports, Spent, Told, read};

/// Most keys that leases are kept for.
const MAX_KEYS: usize = 100_000;
/// How long a key may be idle before its lease is given back.
const IDLE: Duration = Duration::from_secs(120);
/// How often what was spent is told, where nothing else is to be said.
const REPORT: Duration = Duration::from_secs(10);

/// What a request holds of its key's lease until it is known what it used.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "it is held until it is settled"]
pub struct Held {
    key: Arc<str>,
    /// On which lease; `None` where none was to be had and that is allowed.
    lease: Option<Arc<str>>,
    amount: Spent,
}

impl Held {
    /// How much is held.
    pub fn amount(&self) -> Spent {
        self.amount
    }
}

/// Why a request may not go on now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// There may be something left with the controller: it is being asked for.
    Asking,
    /// There is nothing left before then.
    Exhausted(Option<Millis>),
    /// The controller does not answer.
    Away,
}

/// All leases of a node.
#[derive(Debug, Default)]
pub struct Leases {
    purses: HashMap<Arc<str>, Purse>,
    /// Where no lease is to be had because the controller does not answer, requests go on without.
    open: bool,
    /// The controller has not answered when it was asked last.
    away: bool,
    /// When it is asked next; `None` where there is nothing to ask.
    next: Option<Millis>,
}

impl Leases {
    /// None yet. With `open`, requests go on without a lease while the controller does not answer.
    pub fn new(open: bool) -> Self {
        Self {
            open,
            ..Self::default()
        }
    }

    /// Whether requests go on without a lease while the controller does not answer.
    pub fn set_open(&mut self, open: bool) {
        self.open = open;
    }

    /// Takes what a request is thought to use.
    ///
    /// # Errors
    /// There is not that much left here.
    pub fn hold(&mut self, key: &str, thought: Spent, now: Millis) -> Result<Held, Denied> {
        let known = self.purses.get_key_value(key);
        let name = match known {
            Some((name, _)) => Arc::clone(name),
            None if self.purses.len() >= MAX_KEYS => return Err(Denied::Exhausted(None)),
            None => Arc::from(key),
        };
        let purse = self.purses.entry(Arc::clone(&name)).or_default();
        let amount = purse.thought(thought);
        let held = purse.hold(amount, now);
        if purse.is_low(now) {
            let soon = purse.may_ask(now);
            self.next = Some(self.next.map_or(soon, |next| next.min(soon)));
        }
        match held {
            Ok(lease) => Ok(Held {
                key: name,
                lease: Some(lease),
                amount,
            }),
            Err(Denied::Asking) if self.away && self.open => {
                purse.hold_without();
                Ok(Held {
                    key: name,
                    lease: None,
                    amount,
                })
            }
            Err(Denied::Asking) if self.away => Err(Denied::Away),
            Err(denied) => Err(denied),
        }
    }

    /// It is known what a request used.
    pub fn settle(&mut self, held: Held, used: Spent, now: Millis) {
        if let Some(purse) = self.purses.get_mut(&held.key) {
            purse.settle(held.lease.as_deref(), held.amount, used, now);
            let soon = now.after(REPORT);
            self.next = Some(self.next.map_or(soon, |next| next.min(soon)));
        }
    }

    /// When there is something to tell or to ask.
    pub fn due(&self) -> Option<Millis> {
        self.next
    }

    /// What to tell and to ask; `None` where there is nothing.
    pub fn report(&mut self, now: Millis) -> Option<Reports> {
        let mut leases = Vec::new();
        for (key, purse) in &mut self.purses {
            purse.report(key, now, millis(IDLE), &mut leases);
        }
        let idle = self.purses.values().all(Purse::is_quiet);
        self.next = (!idle).then(|| now.after(REPORT));
        (!leases.is_empty()).then_some(Reports { leases, asked: now })
    }

    /// The controller has answered what was told at that time.
    pub fn answered(&mut self, reports: &Reports, told: &Told, now: Millis) {
        self.away = false;
        for report in &reports.leases {
            if let Some(purse) = self.purses.get_mut(report.key.as_str()) {
                purse.told(report);
            }
        }
        for granted in &told.leases {
            if let Some(purse) = self.purses.get_mut(granted.key.as_str()) {
                purse.granted(granted, reports.asked, now);
            }
        }
        self.purses
            .retain(|_, purse| !purse.is_over(now, millis(IDLE)));
    }

    /// It has not.
    pub fn unanswered(&mut self, retry: Duration, now: Millis) {
        self.away = true;
        let again = now.after(retry);
        self.next = Some(again);
        for purse in self.purses.values_mut() {
            purse.postpone(again);
        }
    }

    /// How many keys there are leases for.
    pub fn len(&self) -> usize {
        self.purses.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.purses.is_empty()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
