//! By what an order was made, for whoever asks.

use super::Strategy;

/// By what the order of a chain was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// By this: what the request asks to sort by, else the route's own.
    pub strategy: Strategy,
    /// The request itself said so: which of them first, or by what to sort.
    pub asked: bool,
    /// The first place is a prompt's.
    pub followed: Option<Followed>,
}

/// Why the first place is a prompt's, whatever the strategy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Followed {
    /// It was served there last.
    Served,
    /// Every node would send it there.
    Home,
}

impl Followed {
    /// Name in trails.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Served => "served_last",
            Self::Home => "home",
        }
    }
}
