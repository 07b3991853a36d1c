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
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

pub use wire::{Asking, Grant, Granted, Report, Reports, Spent, Told, read};

/// Most keys that leases are kept for.
const MAX_KEYS: usize = 100_000;
/// Most keys that are told of at once; what is left over is told at once afterwards.
const MAX_TOLD: usize = 1000;
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
    /// It was used before, by more than one request maybe.
    late: bool,
}

impl Held {
    /// Whether it is for what was used at another time.
    pub fn is_late(&self) -> bool {
        self.late
    }

    /// Whose it is.
    pub fn key(&self) -> &Arc<str> {
        &self.key
    }

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

/// All leases of a node. However many keys there are, what is done at one time is about those that changed, or whose time has come.
#[derive(Debug, Default)]
pub struct Leases {
    purses: HashMap<Arc<str>, Purse>,
    /// Keys of which something may have to be told. Each purse knows whether it is among them.
    changed: Vec<Arc<str>>,
    /// Keys of which was told last: it is not known yet whether that was heard.
    telling: Vec<Arc<str>>,
    /// When a key is to be looked at though nothing happens. Each purse knows its own time.
    agenda: BTreeSet<(Millis, Arc<str>)>,
    /// Where no lease is to be had because the controller does not answer, requests go on without.
    open: bool,
    /// The controller has not answered when it was asked last.
    away: bool,
    /// It is not asked before then.
    pause: Millis,
    /// When what has changed is told; `None` where nothing has.
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
        let held = purse.hold(amount, now, self.away);
        if purse.note_change() {
            self.changed.push(Arc::clone(&name));
        }
        if purse.is_low(now) {
            let soon = purse.may_ask(now);
            self.next = Some(self.next.map_or(soon, |next| next.min(soon)));
        }
        match held {
            Ok((lease, amount)) => Ok(Held {
                key: name,
                lease: Some(lease),
                amount,
                late: false,
            }),
            Err(Denied::Asking) if self.away && self.open => {
                purse.hold_without();
                Ok(Held {
                    key: name,
                    lease: None,
                    amount,
                    late: false,
                })
            }
            Err(Denied::Asking) if self.away => Err(Denied::Away),
            Err(denied) => Err(denied),
        }
    }

    /// The same for what was used already, at another time: it is told, whether something is left or not.
    pub fn hold_anyway(&mut self, key: &str, now: Millis) -> Held {
        let held = self.hold(key, Spent::default(), now).unwrap_or_else(|_| {
            // However many keys there are: what was used is not forgotten.
            let key: Arc<str> = Arc::from(key);
            let purse = self.purses.entry(Arc::clone(&key)).or_default();
            purse.hold_without();
            Held {
                key,
                lease: None,
                amount: Spent::default(),
                late: true,
            }
        });
        Held { late: true, ..held }
    }

    /// It is known what a request used.
    pub fn settle(&mut self, held: Held, used: Spent, now: Millis) {
        let Some(purse) = self.purses.get_mut(&held.key) else {
            return;
        };
        if !held.late {
            purse.note_price(used.nano_usd);
        }
        purse.settle(held.lease.as_deref(), held.amount, used, now);
        if purse.note_change() {
            self.changed.push(held.key);
        }
        let soon = now.after(REPORT);
        self.next = Some(self.next.map_or(soon, |next| next.min(soon)));
    }

    /// When there is something to tell or to ask.
    pub fn due(&self) -> Option<Millis> {
        let looked = self.agenda.first().map(|(at, _)| *at);
        let due = match (self.next, looked) {
            (Some(next), Some(looked)) => next.min(looked),
            (next, looked) => next.or(looked)?,
        };
        Some(due.max(self.pause))
    }

    /// What to tell and to ask; `None` where there is nothing.
    pub fn report(&mut self, now: Millis) -> Option<Reports> {
        let mut leases = Vec::new();
        self.untold();
        let come = |(at, _): &(Millis, Arc<str>)| *at <= now;
        while self.changed.len() < MAX_TOLD && self.agenda.first().is_some_and(come) {
            if let Some((_, key)) = self.agenda.pop_first()
                && let Some(purse) = self.purses.get_mut(&key)
            {
                purse.look = None;
                if purse.note_change() {
                    self.changed.push(key);
                }
            }
        }
        let left = self.changed.split_off(self.changed.len().min(MAX_TOLD));
        for key in std::mem::replace(&mut self.changed, left) {
            let Some(purse) = self.purses.get_mut(&key) else {
                continue;
            };
            purse.is_noted = false;
            let before = leases.len();
            purse.report(&key, now, millis(IDLE), &mut leases);
            match leases.len() > before {
                true => self.telling.push(key),
                false => self.plan(key, now),
            }
        }
        self.next = match (self.changed.is_empty(), leases.is_empty()) {
            (false, _) => Some(now),
            (true, false) => Some(now.after(REPORT)),
            (true, true) => None,
        };
        (!leases.is_empty()).then_some(Reports { leases, asked: now })
    }

    /// The controller has answered what was told at that time.
    pub fn answered(&mut self, reports: &Reports, told: &Told, now: Millis) {
        self.away = false;
        self.pause = Millis::default();
        for report in &reports.leases {
            if let Some(purse) = self.purses.get_mut(report.key.as_str()) {
                purse.told(report);
            }
        }
        for granted in &told.leases {
            let known = self.purses.get_key_value(granted.key.as_str());
            let Some(key) = known.map(|(key, _)| Arc::clone(key)) else {
                continue;
            };
            if let Some(purse) = self.purses.get_mut(&key) {
                purse.granted(granted, reports.asked, now);
            }
            self.plan(key, now);
        }
        for key in std::mem::take(&mut self.telling) {
            self.plan(key, now);
        }
    }

    /// It has not.
    pub fn unanswered(&mut self, retry: Duration, now: Millis) {
        self.away = true;
        self.pause = now.after(retry);
        self.next = Some(self.pause);
        self.untold();
    }

    /// What was told last may not have been heard.
    fn untold(&mut self) {
        for key in std::mem::take(&mut self.telling) {
            if let Some(purse) = self.purses.get_mut(&key) {
                purse.hear();
                if purse.note_change() {
                    self.changed.push(key);
                }
            }
        }
    }

    /// Says when a key is looked at again, or forgets it.
    fn plan(&mut self, key: Arc<str>, now: Millis) {
        let Some(purse) = self.purses.get_mut(&key) else {
            return;
        };
        if let Some(look) = purse.look.take() {
            self.agenda.remove(&(look, Arc::clone(&key)));
        }
        if purse.is_over(now, millis(IDLE)) && !purse.is_noted {
            self.purses.remove(&key);
            return;
        }
        if purse.is_untold() && purse.note_change() {
            self.changed.push(Arc::clone(&key));
        }
        purse.look = purse.look_at(now, millis(IDLE));
        if let Some(look) = purse.look {
            self.agenda.insert((look, key));
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
