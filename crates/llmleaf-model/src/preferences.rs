//! What a request itself asks of routing.

/// Wishes of one request about where it goes. They narrow and reorder what the operator has configured, and never
/// lead anywhere else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    /// Models to try after the one that was asked for, in this order.
    pub models: Vec<String>,
    /// Providers to try first, in this order.
    pub order: Vec<String>,
    /// No provider but these; empty is any.
    pub only: Vec<String>,
    /// None of these providers.
    pub ignore: Vec<String>,
    /// The first choice alone: its failure is the answer. With [`Self::order`], all of that list may be tried.
    pub no_fallbacks: bool,
    /// What decides between providers that are otherwise equal; it takes the place of the route's own strategy.
    pub sort: Option<Sort>,
    /// That order goes over all models together, and not within each.
    pub across_models: bool,
    /// Highest prices that are accepted.
    pub max_price: MaxPrice,
    /// What a target must be.
    pub demands: Demands,
    /// Only targets whose weights are quantised like one of these; empty is any.
    pub quantizations: Vec<String>,
    /// Fields of the language that nothing here acts upon, as paths.
    pub unheeded: Vec<String>,
}

/// What decides between providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sort {
    /// The cheapest.
    Price,
    /// The most tokens per second.
    Throughput,
    /// The soonest first content.
    Latency,
}

/// Highest accepted prices, in nano-dollars: per million tokens, and per request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaxPrice {
    /// Of input.
    pub input: Option<u64>,
    /// Of output.
    pub output: Option<u64>,
    /// Of the request itself.
    pub request: Option<u64>,
}

/// What a target must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// It takes every field of the request.
    pub all_parameters: bool,
    /// It neither keeps nor trains on what it is sent.
    pub no_collection: bool,
    /// It retains nothing.
    pub zero_retention: bool,
}

/// A decimal number of dollars in nano-dollars. More digits than nine after the point are cut; a price is never rounded up.
pub fn nano_dollars(text: &str) -> Option<u64> {
    let text = text.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole = if whole.is_empty() {
        0
    } else {
        whole.parse::<u64>().ok()?
    };
    let fraction = fraction.get(..9).unwrap_or(fraction);
    let nanos = format!("{fraction:0<9}").parse::<u64>().ok()?;
    whole.checked_mul(1_000_000_000)?.checked_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_never_rounded_up() {
        for (text, nanos) in [
            ("0", Some(0)),
            ("2.5", Some(2_500_000_000)),
            (".1", Some(100_000_000)),
            ("0.1234567899", Some(123_456_789)),
            ("99999999999999", None),
            ("", None),
            (".", None),
            ("-0", None),
        ] {
            assert_eq!(nano_dollars(text), nanos, "{text}");
        }
    }
}
