//! The judge: joins what the fake provider saw, what the consumer got and what was recorded, and names every promise of
//! `docs/faults.md` (I-1 to I-8) that does not hold.
//!
//! [`Evidence`] is plain data, so that a test can falsify it and see the judge notice. It comes from a
//! [`Stage`](crate::stage::Stage), which has collected it. What the judge knows of the dialects it reads by
//! [`digest`](crate::digest); it believes nothing that the program says of itself but its records and its log.
//!
//! Reading order: this file has the nouns; `records` has I-1, `content` I-2 and I-3, `endings` I-4 and I-7, `leftovers` I-5 and
//! I-6, `secrets` I-8.

mod content;
mod endings;
mod leftovers;
mod records;
mod secrets;

use std::fmt;
use std::time::{Duration, Instant};

use crate::digest::Digest;
use crate::http::Response;
use crate::json;
use crate::replay::{Answer, Closed, Ended};
use crate::samples::Wire;
use crate::sse;

pub use leftovers::{Growth, Leftover};
pub(crate) use secrets::SHORTEST;
pub use secrets::Secret;

/// How soon an upstream connection must close when its consumer has gone.
pub const CLOSE_BOUND: Duration = Duration::from_millis(500);

/// A promise, by its number in `docs/faults.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// I-1: one record for each attempt, and what it says is so.
    Records,
    /// I-2: a prefix of what one attempt said, and all of it at a success.
    Prefix,
    /// I-3: nothing of one request is in another's answer, record or log.
    Isolation,
    /// I-4: a success is one, and anything else is told and cut.
    HonestEnd,
    /// I-5: who has gone costs nothing more.
    Cancellation,
    /// I-6: memory is bounded.
    Bounds,
    /// I-7: errors are of the dialect.
    Dialect,
    /// I-8: no secret gets out.
    Secrets,
}

impl fmt::Display for Invariant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "I-{}", *self as u8 + 1)
    }
}

/// A promise that does not hold.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// Of what: the id of a request, a place.
    pub subject: String,
    /// How it shows.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}: {}", self.invariant, self.subject, self.what)
    }
}

/// What a consumer asked and got.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The id that it gave the request.
    pub id: String,
    /// Its dialect.
    pub wire: Wire,
    /// Whether it asked for a stream.
    pub stream: bool,
    /// The canary in its prompt.
    pub canary: Option<String>,
    /// What it got, as far as it read.
    pub response: Response,
    /// Whether all of that is kept.
    pub whole: bool,
    /// When it went, where that was before the end.
    pub left: Option<Instant>,
}

/// A request that reached a provider, and what it was told.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The provider's configured name.
    pub provider: String,
    /// Its dialect.
    pub wire: Wire,
    /// The credential that is its own.
    pub credential: String,
    /// Its answers may end with a finish reason and an orderly end, without the wire's own end.
    pub ends_with_finish: bool,
    /// The request and the answer.
    pub answer: Answer,
    /// The end of the connection, where the program closed it.
    pub closed: Option<Closed>,
    /// Canary of the request.
    pub canary: Option<String>,
}

/// Everything that is known of some exchanges.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// What consumers got.
    pub exchanges: Vec<Exchange>,
    /// What providers saw.
    pub attempts: Vec<Attempt>,
    /// The usage records as they were written, one JSON text each.
    pub records: Vec<String>,
    /// The ends of exchanges that no record of an attempt tells of.
    pub ends: Vec<String>,
    /// All other lines of the log.
    pub log: Vec<String>,
    /// What may be nowhere.
    pub secrets: Vec<Secret>,
    /// Things that must come back to where they were.
    pub leftovers: Vec<Leftover>,
    /// Memory that was measured.
    pub growth: Vec<Growth>,
}

impl Evidence {
    /// Every promise that does not hold.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        let mut report = Report(Vec::new());
        records::check(self, &mut report);
        for exchange in &self.exchanges {
            content::check(self, exchange, &mut report);
            endings::check(self, exchange, &mut report);
            leftovers::check_exchange(self, exchange, &mut report);
        }
        content::isolation(self, &mut report);
        leftovers::check(self, &mut report);
        secrets::check(self, &mut report);
        report.0
    }

    /// Fails when any promise does not hold.
    ///
    /// # Panics
    /// With all that was found.
    #[track_caller]
    pub fn expect_kept(&self) {
        let found = self.violations();
        let shown: Vec<String> = found.iter().take(SHOWN).map(ToString::to_string).collect();
        assert!(
            found.is_empty(),
            "{} promises broken over {} exchanges:\n{}",
            found.len(),
            self.exchanges.len(),
            shown.join("\n")
        );
    }

    /// The attempts that were made for an exchange.
    fn attempts_of<'a>(&'a self, exchange: &'a Exchange) -> impl Iterator<Item = &'a Attempt> {
        let canary = &exchange.canary;
        self.attempts
            .iter()
            .filter(move |attempt| attempt.canary == *canary)
    }
}

/// Most violations that a panic shows.
const SHOWN: usize = 20;

/// Collects what is found.
struct Report(Vec<Violation>);

impl Report {
    /// It is a violation unless `kept`.
    fn expect(
        &mut self,
        kept: bool,
        invariant: Invariant,
        subject: &str,
        what: impl FnOnce() -> String,
    ) {
        if !kept {
            self.0.push(Violation {
                invariant,
                subject: subject.to_owned(),
                what: what(),
            });
        }
    }
}

impl Exchange {
    /// Whether what came is an event stream.
    fn is_streamed(&self) -> bool {
        let kind = self.response.header("content-type");
        kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
    }

    /// What it says; `None` for a whole body that is not there in full.
    fn digest(&self) -> Option<Digest> {
        read(self.wire, self.is_streamed(), &self.response.body)
    }

    /// The end of what it got, for a message.
    fn tail(&self) -> String {
        let body = &self.response.body;
        let from = body.len().saturating_sub(300);
        format!(
            "status {}, {:?}: …{}",
            self.response.status,
            self.response.end,
            String::from_utf8_lossy(&body[from..])
        )
    }
}

impl Attempt {
    fn is_streamed(&self) -> bool {
        self.answer.content_type.starts_with("text/event-stream")
    }

    /// What the provider said, as far as it came; `None` where that is no answer.
    fn digest(&self) -> Option<Digest> {
        if self.answer.status != 200 || !self.answer.is_whole() {
            return None;
        }
        let mut sent = self.answer.sent.clone();
        if self.is_streamed() && self.answer.ended == Ended::Complete {
            // Where the transport ended in order, a last event without its blank line is whole.
            sent.extend_from_slice(b"\n\n");
        }
        read(self.wire, self.is_streamed(), &sent)
    }
}

fn read(wire: Wire, streamed: bool, body: &[u8]) -> Option<Digest> {
    if streamed {
        return Some(wire.read_stream(&sse::parse(body).events));
    }
    let value = json::parse(std::str::from_utf8(body).ok()?).ok()?;
    Some(wire.read_whole(&value))
}
