//! The five clocks of an upstream call.

use std::time::Duration;

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
