//! The five clocks of an upstream call.

use std::time::Duration;

use crate::diagnose::Diagnostic;
use crate::read::{Reading, Table};

/// The five clocks, all of them set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection, TLS included, stands.
    pub connect: Duration,
    /// From the request's last byte to the response headers.
    pub headers: Duration,
    /// From the request's last byte to the first event that carries content.
    pub first_content: Duration,
    /// Between two reads of upstream bytes.
    pub idle: Duration,
    /// The whole attempt.
    pub total: Duration,
}

impl Default for Timeouts {
    /// Generous where a model may think before it speaks: a whole (not streamed) answer sends its headers
    /// last, and a reasoning model may be silent for minutes.
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(3),
            headers: Duration::from_secs(300),
            first_content: Duration::from_secs(300),
            idle: Duration::from_secs(300),
            total: Duration::from_secs(3600),
        }
    }
}

impl Timeouts {
    /// These clocks, except where `nearer` says otherwise.
    #[must_use]
    pub fn with(&self, nearer: &TimeoutOverrides) -> Timeouts {
        Timeouts {
            connect: nearer.connect.unwrap_or(self.connect),
            headers: nearer.headers.unwrap_or(self.headers),
            first_content: nearer.first_content.unwrap_or(self.first_content),
            idle: nearer.idle.unwrap_or(self.idle),
            total: nearer.total.unwrap_or(self.total),
        }
    }
}

/// A `timeouts` table as written: only what it sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeoutOverrides {
    /// `connect_ms`
    pub connect: Option<Duration>,
    /// `headers_ms`
    pub headers: Option<Duration>,
    /// `first_content_ms`
    pub first_content: Option<Duration>,
    /// `idle_ms`
    pub idle: Option<Duration>,
    /// `total_ms`
    pub total: Option<Duration>,
}

/// Longest length that any clock may be set to: a week.
const MAX_MS: u64 = 7 * 24 * 3600 * 1000;

/// Reads the `timeouts` table of `parent`.
pub(crate) fn read(cx: &Reading<'_>, parent: &mut Table<'_>) -> TimeoutOverrides {
    let Some(mut table) = parent.table(cx, "timeouts") else {
        return TimeoutOverrides::default();
    };
    let overrides = TimeoutOverrides {
        connect: table.millis(cx, "connect_ms", 1..=MAX_MS),
        headers: table.millis(cx, "headers_ms", 1..=MAX_MS),
        first_content: table.millis(cx, "first_content_ms", 1..=MAX_MS),
        idle: table.millis(cx, "idle_ms", 1..=MAX_MS),
        total: table.millis(cx, "total_ms", 1..=MAX_MS),
    };
    let parts = [
        ("connect_ms", overrides.connect),
        ("headers_ms", overrides.headers),
        ("first_content_ms", overrides.first_content),
        ("idle_ms", overrides.idle),
    ];
    if let Some(total) = overrides.total
        && let Some(total_place) = table.place_of("total_ms")
    {
        for (key, part) in parts {
            if part.is_some_and(|part| part > total)
                && let Some(place) = table.place_of(key)
            {
                cx.report(
                    Diagnostic::warning(
                        &place,
                        format!("`{key}` can never run out"),
                        "longer than the whole",
                    )
                    .related(&total_place, "the whole"),
                );
            }
        }
    }
    table.finish(cx);
    overrides
}
