//! What bounds a walk, and what an exchange asks.

use crate::choice::Strategy;
use llmleaf_model::Preferences;
use std::time::Duration;

/// What a route allows its exchanges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The order of its chain.
    pub strategy: Strategy,
    /// Attempts at most, of all kinds.
    pub attempts: u32,
    /// Attempts at one target that fail by its own fault; 1 is no trying again.
    pub tries_per_target: u32,
    /// From the beginning of the exchange to its first content, all attempts and waits together.
    pub deadline: Duration,
    /// Longest waiting for limits and recoveries, all waits together.
    pub max_wait: Duration,
    /// Ask a second target when the first is slower than it is in nineteen of twenty cases.
    pub hedge: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            strategy: Strategy::Ordered,
            attempts: 4,
            tries_per_target: 2,
            deadline: Duration::from_secs(600),
            max_wait: Duration::ZERO,
            hedge: false,
        }
    }
}

/// What one exchange asks of routing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ask<'a> {
    /// Tokens it is thought to use, for limits: input and as much output as it may ask for.
    pub tokens: u64,
    /// Hash of the prompt's beginning or of the session: who served it before is preferred. `None` where affinity is off.
    pub key: Option<u64>,
    /// The credential that it must go with, since what it asks for is known to that one's account only.
    pub pinned: Option<usize>,
    /// The request's own wishes.
    pub preferences: Option<&'a Preferences>,
    /// For chance and jitter.
    pub seed: u64,
}
