//! `limits` tables: toward providers, and of keys.

use crate::read::{Reading, Table};

/// A `limits` table; absent means unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests per minute.
    pub requests_per_min: Option<u64>,
    /// Tokens per minute, input and output together.
    pub tokens_per_min: Option<u64>,
    /// Requests running at the same time.
    pub max_concurrent: Option<u32>,
}

/// Reads the `limits` table of `parent`.
pub(crate) fn read(cx: &Reading<'_>, parent: &mut Table<'_>) -> Limits {
    parent
        .table(cx, "limits")
        .map(|table| of(cx, table))
        .unwrap_or_default()
}

/// Reads a table of limits.
pub(crate) fn of(cx: &Reading<'_>, mut table: Table<'_>) -> Limits {
    const MOST: u64 = 1_000_000_000_000;
    let limits = Limits {
        requests_per_min: table.whole(cx, "requests_per_min", 1..=MOST),
        tokens_per_min: table.whole(cx, "tokens_per_min", 1..=MOST),
        max_concurrent: table
            .whole(cx, "max_concurrent", 1..=1_000_000)
            .and_then(|most| u32::try_from(most).ok()),
    };
    table.finish(cx);
    limits
}
