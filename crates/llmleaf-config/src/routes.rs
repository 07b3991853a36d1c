//! `[[routes]]`: which model name goes where.

use crate::{LossPolicy, TimeoutOverrides};

/// One `[[routes]]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The model name that consumers ask for; `*` stands for any run of characters.
    pub model: String,
    /// Where to go, in order of preference; never empty.
    pub targets: Vec<Target>,
    /// Clocks that differ from the provider's and the server's.
    pub timeouts: TimeoutOverrides,
    /// What to do about losses, where it differs from the server's.
    pub loss_policy: Option<LossPolicy>,
}

/// One target of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Name of a provider of this configuration.
    pub provider: String,
    /// Name of the model there; `None` means the name that the consumer asked for.
    pub model: Option<String>,
}
