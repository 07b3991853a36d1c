//! What node and controller tell each other of leases.

use crate::identity::shape;
use crate::pull::Trouble;
use llmleaf_route::Millis;
use serde::{Deserialize, Serialize};

/// What was used, or is thought to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Requests.
    #[serde(default)]
    pub requests: u64,
    /// Tokens of all kinds.
    #[serde(default)]
    pub tokens: u64,
    /// Billionths of a dollar.
    #[serde(default)]
    pub nano_usd: u64,
}

impl Spent {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            tokens: self.tokens.saturating_add(other.tokens),
            nano_usd: self.nano_usd.saturating_add(other.nano_usd),
        }
    }

    /// This without the other one; nothing where that is more.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(other.requests),
            tokens: self.tokens.saturating_sub(other.tokens),
            nano_usd: self.nano_usd.saturating_sub(other.nano_usd),
        }
    }

    /// The larger one in each respect.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            requests: self.requests.max(other.requests),
            tokens: self.tokens.max(other.tokens),
            nano_usd: self.nano_usd.max(other.nano_usd),
        }
    }
}

/// What may be spent; `None` is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// Requests.
    #[serde(default)]
    pub requests: Option<u64>,
    /// Tokens of all kinds.
    #[serde(default)]
    pub tokens: Option<u64>,
    /// Billionths of a dollar.
    #[serde(default)]
    pub nano_usd: Option<u64>,
}

impl Granted {
    /// Nothing at all.
    pub const NOTHING: Self = Self {
        requests: Some(0),
        tokens: Some(0),
        nano_usd: Some(0),
    };

    /// Whether so much is within it.
    pub fn covers(&self, spent: Spent) -> bool {
        let within = |granted: Option<u64>, spent| granted.is_none_or(|granted| spent <= granted);
        within(self.requests, spent.requests)
            && within(self.tokens, spent.tokens)
            && within(self.nano_usd, spent.nano_usd)
    }

    /// The larger one in each respect: what was granted once stays granted.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        let larger = |a: Option<u64>, b: Option<u64>| Some(a?.max(b?));
        Self {
            requests: larger(self.requests, other.requests),
            tokens: larger(self.tokens, other.tokens),
            nano_usd: larger(self.nano_usd, other.nano_usd),
        }
    }
}

/// What a node tells of one lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Id of the key.
    pub key: String,
    /// Which lease; absent where there is none yet, or what was spent without one is told.
    pub lease: Option<String>,
    /// What was spent on it so far.
    pub spent: Spent,
    /// How many requests still run on it. What they use comes on top.
    pub open: u64,
    /// How much more is wanted, beyond what was granted; absent where nothing is.
    pub want: Option<Spent>,
    /// It is over: nothing more will be held on it.
    pub over: bool,
}

/// What a node tells at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reports {
    /// Each lease.
    pub leases: Vec<Report>,
    /// When.
    pub asked: Millis,
}

/// The body of a call.
#[derive(Serialize)]
pub struct Asking<'a> {
    /// The node's name.
    pub node: &'a str,
    /// This run of it: leases die with it.
    pub run: &'a str,
    /// Each lease.
    pub leases: &'a [Report],
}

/// What a controller grants on one lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Id of the key.
    pub key: String,
    /// Which lease.
    pub lease: String,
    /// What was granted on it so far.
    pub granted: Granted,
    /// How long it may be spent, from the moment at which it was asked for.
    pub expires_in_secs: u64,
    /// There is nothing left of the cap, for so long.
    #[serde(default)]
    pub exhausted_secs: Option<u64>,
}

/// The answer to a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Each lease.
    #[serde(default)]
    pub leases: Vec<Grant>,
}

/// Reads an answer.
///
/// # Errors
/// It is none.
pub fn read(body: &[u8]) -> Result<Told, Trouble> {
    // A list would be read as fields in their order.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(Trouble::Shape("it is no object".to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| shape(&error))
}
