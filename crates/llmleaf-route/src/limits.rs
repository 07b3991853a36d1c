//! Local limits: toward providers, per provider and per upstream model; and, with the same types, toward keys.
//!
//! Reading order: [`bucket`] (a rate), [`limiter`] (requests, tokens and concurrency together, and its permits).

pub mod bucket;
pub mod limiter;

pub use bucket::Bucket;
pub use limiter::{Figure, Figures, Limiter, Limits, Permit, Refusal, Scope};
