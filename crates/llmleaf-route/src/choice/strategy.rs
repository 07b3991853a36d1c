//! How a route spreads its traffic over its chain.

/// The order among targets that the request itself has no preference between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// As configured: the next serves only when the one before cannot.
    #[default]
    Ordered,
    /// By chance, in proportion to the weights; with an affinity key the same key goes to the same target, on every node.
    Weighted,
    /// The soonest first content.
    Latency,
    /// The most tokens a second.
    Throughput,
    /// The cheapest; unknown prices last.
    Price,
    /// Of two picked by chance the better by running requests, time to first content and failures in a row; with an affinity key
    /// the same target on every node, unless it is busier than the others.
    Balanced,
}

impl Strategy {
    /// The name in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ordered => "ordered",
            Self::Weighted => "weighted",
            Self::Latency => "latency",
            Self::Throughput => "throughput",
            Self::Price => "price",
            Self::Balanced => "balanced",
        }
    }

    /// Every strategy, for messages and parsing.
    pub const ALL: [Self; 6] = [
        Self::Ordered,
        Self::Weighted,
        Self::Latency,
        Self::Throughput,
        Self::Price,
        Self::Balanced,
    ];
}
