//! Which target next: routes, attempt budget, clocks and health as pure state machines.
//!
//! Nothing here does I/O, reads a clock or spawns: every machine takes `now` as an argument, so that all of it
//! runs under simulated time. Time is [`Millis`] since any fixed moment.
//!
//! Reading order: [`table`] (model name to chain), [`plan`] (one exchange's walk along a chain), [`clocks`] (what may
//! take how long), [`health`] (what was seen of a target).

pub mod clocks;
pub mod health;
pub mod plan;
pub mod table;

pub use clocks::{Clock, Clocks, Watch};
pub use health::Health;
pub use plan::{Plan, Step};
pub use table::{Candidate, Resolved, Route, RouteTable, TableError};

/// Milliseconds since a moment that all of one process agree on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// This moment and a duration later.
    pub fn after(self, duration: std::time::Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }
}
