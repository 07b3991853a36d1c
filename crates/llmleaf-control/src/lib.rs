//! The client of a controller: what a node pulls (keys, verdicts on them, providers and routes), and what it does when nobody
//! answers, or somebody answers nonsense.
//!
//! The node is always the one that asks. What is pulled is a whole snapshot; it takes effect as a whole or not at all; whatever goes
//! wrong, the last good one stays. Keys fail closed while none were ever had, verdicts fail open. `docs/control-plane.md`
//! has the wire, for whoever writes a controller.
//!
//! What this crate does not know: the configuration's form, the surface, and what a provider is.
//!
//! Reading order: [`version`], [`pull`] (the state of one thing that is pulled; pure), `identity`, `verdicts` and `topology` (what
//! bodies mean), [`endpoint`] (one call), `store` (the last good snapshots in files), [`lease`] (budgets that nodes share; pure), [`budget`] (between spenders and the loop), [`outbox`] (events on their way), [`agent`] (the loops), [`board`].

pub mod agent;
pub mod board;
pub mod budget;
pub mod endpoint;
mod identity;
pub mod lease;
pub mod outbox;
#[cfg(test)]
mod papers;
pub mod pull;
mod store;
mod topology;
mod verdicts;
mod version;

pub use agent::{Agent, Http, Offer, Outlets, Plan, PullPlan, Push, Reach, UsagePlan, What};
pub use board::{Board, View};
pub use budget::{Budget, Hold, Spendless};
pub use endpoint::{Endpoint, EndpointError, EndpointSpec};
pub use pull::{Answer, Cadence, Trouble};
pub use verdicts::{Ruling, Status};
pub use version::Version;
