//! What was seen of a target, and what follows from it. Passive: nothing is probed.
//!
//! Three memories, each as wide as what it blames:
//!
//! - [`Breaker`], per provider and upstream model: the service fails. Closed, open, half-open.
//! - [`Cooldown`] of a *lane*, per provider, upstream model and credential: a limit was met, a quota is used up, or a wait was
//!   stated. Nobody else is held back.
//! - [`Cooldown`] of a credential, per provider: it was not accepted (401). A 403 may speak of one model only, so it stays with the
//!   lane: else a consumer who asks for a model that the account lacks could take a credential from all others.
//!
//! Reading order: [`blame`] (which failure weighs what), [`cooldown`], [`breaker`].

pub mod blame;
pub mod breaker;
pub mod cooldown;

pub use blame::Blame;
pub use breaker::{Breaker, BreakerState, Ticket};
pub use cooldown::{Cause, Cooldown};

use crate::Millis;

/// A change of health, for logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The target's breaker opened: it is passed over until then. `again` counts openings without a stable time between.
    Opened {
        /// Until when.
        until: Millis,
        /// 0 for a first opening.
        again: u32,
    },
    /// The target's breaker closed: its trials passed.
    Closed,
    /// One credential is passed over for this model until then.
    Cooled {
        /// Until when.
        until: Millis,
        /// Why.
        cause: Cause,
    },
    /// The provider does not accept a credential; it is passed over for all models until then.
    CredentialRefused {
        /// Until when.
        until: Millis,
    },
    /// A credential that was refused is accepted again.
    CredentialAccepted,
}

/// What one outcome changed: nothing, as a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Of the target.
    pub target: Option<Change>,
    /// Of the credential or its lane.
    pub credential: Option<Change>,
}

impl Changes {
    /// Every change.
    pub fn iter(self) -> impl Iterator<Item = Change> {
        self.target.into_iter().chain(self.credential)
    }
}
