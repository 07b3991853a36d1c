//! Which target next: routes, health, limits, strategies, budgets and clocks as pure state machines.
//!
//! Nothing here does I/O, reads a clock or spawns: every machine takes `now` as an argument and chance from a seed, so that all of it
//! runs under simulated time (`tests/sim`). Time is [`Millis`] since any fixed moment. What is remembered is shared by all workers, behind
//! atomics and mutexes that are held for a few instructions and never while another is taken.
//!
//! Reading order: [`table`] (model name to chain), [`fleet`] (what is remembered of providers and targets), [`health`], [`limits`],
//! [`choice`] (preferences, strategies, affinity: the order of a chain), [`walk`] (one exchange's way along it), [`clocks`] (what may
//! take how long), [`random`].

pub mod choice;
pub mod clocks;
pub mod fleet;
pub mod health;
pub mod limits;
pub mod random;
pub mod table;
pub mod walk;

pub use choice::Strategy;
pub use clocks::{Clock, Clocks, Watch};
pub use fleet::{Fleet, Member, ProviderSpec};
pub use health::{Change, Changes};
pub use limits::{Limiter, Limits, Permit};
pub use table::{Candidate, Resolved, Route, RouteTable, TableError};
pub use walk::{Ask, Attempt, GiveUp, Policy, Reason, Spent, Trail, Walk};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Milliseconds since a moment that all of one process agree on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// A moment that does not come.
    pub const NEVER: Self = Self(u64::MAX);

    /// This moment and a duration later.
    pub fn after(self, duration: std::time::Duration) -> Self {
        self.plus(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    /// This moment and so many milliseconds later.
    pub fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from an earlier moment to this one; 0 if it was not earlier.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Locks what no panic can leave half-changed in a way that matters.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
