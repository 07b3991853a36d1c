//! Records: one for each attempt, and one for each exchange at its end, which has those of its attempts in it.
//!
//! Whoever wants to know of them is a [`Sink`]: the log, the last ones for the admin surface, and what the server adds. Sinks are fixed when
//! the ledger is made, so that telling them takes no lock.

mod chunks;
mod log;
mod pledge;
mod recent;
mod routes;
mod seen;

use crate::panics;
use crate::trace::Trace;
use llmleaf_model::Usage;
use llmleaf_route::Trail;
use std::sync::Arc;

pub use self::chunks::{CHUNK_BOUNDS_MS, Chunks};
pub(crate) use self::log::Log;
pub(crate) use self::pledge::PATIENCE;
pub use self::pledge::{Doubt, Pledge};
pub use self::recent::KEPT;
pub(crate) use self::recent::Recent;
pub(crate) use self::routes::Routes;
use self::seen::Seen;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The consumer got the whole answer.
    Completed,
    /// The consumer went away.
    Cancelled,
    /// It failed before anything of it reached the consumer.
    Failed,
    /// It failed after the consumer had some of it.
    Broken,
    /// Another target, asked beside it, was faster.
    Outrun,
    /// A fault of this program ended it.
    ProxyError,
}

impl Outcome {
    /// Name in records and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Broken => "broken",
            Self::Outrun => "outrun",
            Self::ProxyError => "proxy_error",
        }
    }

    /// Whether the upstream may have gone on working: nobody heard how it ended.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Cancelled | Self::Outrun | Self::ProxyError)
    }

    /// Whether nothing of it reached the consumer, so that its exchange may go on without it.
    pub(crate) fn is_aside(self) -> bool {
        matches!(self, Self::Failed | Self::Outrun)
    }
}

/// How far the token counts of a record can be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Grade {
    /// The provider's own final report.
    Reported,
    /// A report of the provider that more output followed, or that has no count of a side of which there was some: the rest is counted here.
    Partial,
    /// Counted here from what went through.
    Estimated,
    /// Nothing to count.
    #[default]
    None,
}

impl Grade {
    /// Name in records and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Partial => "partial",
            Self::Estimated => "estimated",
            Self::None => "none",
        }
    }
}

/// What an attempt cost, in nano-dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cost {
    /// Nobody knows: its model has no price here, or nobody counted. Never the same as nothing.
    #[default]
    Unknown,
    /// As the provider states it.
    Reported(u64),
    /// By the prices that are known here.
    Computed(u64),
}

impl Cost {
    /// The amount, where it is known.
    pub fn nano_usd(self) -> Option<u64> {
        match self {
            Self::Unknown => None,
            Self::Reported(nano) | Self::Computed(nano) => Some(nano),
        }
    }

    /// Whose figure it is.
    pub fn source(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Reported(_) => "provider",
            Self::Computed(_) => "prices",
        }
    }
}

/// What one attempt was, did and used.
#[derive(Clone, Debug)]
pub struct UsageRecord {
    /// Id of this record, unique: of the exchange as this node made it, and the attempt's number.
    pub id: String,
    /// Id of the request, as the consumer may have chosen it; all attempts of an exchange share it.
    pub request_id: Arc<str>,
    /// Number of the attempt in its exchange, from 1.
    pub attempt: u32,
    /// Display name of the key.
    pub key: Arc<str>,
    /// The consumer's dialect.
    pub dialect: &'static str,
    /// The model the consumer asked for.
    pub model: Arc<str>,
    /// Configured name of the provider.
    pub provider: Arc<str>,
    /// The model's name there.
    pub upstream_model: Arc<str>,
    /// Which of the provider's credentials was used, from 0.
    pub credential: usize,
    /// Whether the consumer asked for a stream.
    pub stream: bool,
    /// How it ended.
    pub outcome: Outcome,
    /// Slug of the failure, where there was one.
    pub failure: Option<&'static str>,
    /// The upstream's status, where one came.
    pub status: Option<u16>,
    /// How far the counts can be trusted.
    pub grade: Grade,
    /// The counts.
    pub usage: Usage,
    /// What it cost.
    pub cost: Cost,
    /// The upstream may have done the work although nothing says so.
    pub possibly_billed: bool,
    /// What was lost in translation, the first few by name.
    pub losses: Vec<String>,
    /// Milliseconds from the exchange's begin to the attempt's.
    pub began_ms: u64,
    /// Milliseconds that making a connection took; none where one was there.
    pub connect_ms: Option<u64>,
    /// Milliseconds from the attempt's begin to its first content.
    pub first_content_ms: Option<u64>,
    /// How the pieces of its stream came, where that is one.
    pub chunks: Chunks,
    /// Milliseconds from the attempt's begin to its end.
    pub total_ms: u64,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The consumer got the whole answer.
    Completed,
    /// The consumer went away.
    Cancelled,
    /// The request is wrong, or nothing here can serve it.
    Refused,
    /// A limit stood in the way: this gateway's, or that of every target.
    Limited,
    /// No provider answered, or one failed in the middle of its answer.
    UpstreamError,
    /// A clock ran out.
    TimedOut,
    /// The answer ended before its end was told.
    Truncated,
    /// The node's time to finish was over.
    Shutdown,
    /// A fault of this program.
    ProxyError,
}

impl End {
    /// Every way to end.
    pub const ALL: [Self; 9] = [
        Self::Completed,
        Self::Cancelled,
        Self::Refused,
        Self::Limited,
        Self::UpstreamError,
        Self::TimedOut,
        Self::Truncated,
        Self::Shutdown,
        Self::ProxyError,
    ];

    /// Name in records and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Cancelled => "client_cancelled",
            Self::Refused => "refused",
            Self::Limited => "limited",
            Self::UpstreamError => "upstream_error",
            Self::TimedOut => "timed_out",
            Self::Truncated => "upstream_truncated",
            Self::Shutdown => "shutdown",
            Self::ProxyError => "proxy_error",
        }
    }
}

/// An exchange as it was accepted.
#[derive(Clone, Debug)]
pub struct Began {
    /// Id of the exchange, unique whatever its consumer calls it; its end has the same.
    pub id: Arc<str>,
    /// Id of the request, as the consumer may have chosen it.
    pub request_id: Arc<str>,
    /// Unix milliseconds.
    pub at_ms: u64,
    /// Display name of the key.
    pub key: Arc<str>,
    /// The consumer's dialect.
    pub dialect: &'static str,
    /// What is asked of the model.
    pub operation: &'static str,
    /// The model the consumer asked for.
    pub model: Arc<str>,
    /// Whether the consumer asked for a stream.
    pub stream: bool,
    /// The trace that it is a part of.
    pub trace: Option<Arc<Trace>>,
}

/// What became of one accepted exchange: the one record that each has, however it ended.
#[derive(Clone, Debug)]
pub struct EndRecord {
    /// What was accepted.
    pub began: Began,
    /// The route that led to the attempt that decided; none where a provider was reached by its prefix, or nobody was asked.
    pub route: Option<Arc<str>>,
    /// Why it ended.
    pub end: End,
    /// Slug of the failure that the consumer was told, where there was one.
    pub failure: Option<&'static str>,
    /// The status that the consumer was told, if any.
    pub status: Option<u16>,
    /// Its attempts, in their order.
    pub attempts: Vec<UsageRecord>,
    /// How its targets were chosen; none where it did not come to that.
    pub trail: Option<Trail>,
    /// Milliseconds until its first attempt began: it waited for a limit, or for a target to be well again.
    pub queue_ms: u64,
    /// Milliseconds from the begin to the first content for the consumer.
    pub first_content_ms: Option<u64>,
    /// Milliseconds from the begin to the end.
    pub total_ms: u64,
    /// Microseconds in which this program worked on it, and waited for nobody: its own share of the time.
    pub own_us: u64,
}

impl EndRecord {
    /// Whether it tells of a part of another exchange: an answer of a batch, or one in a session. It has no time of its own, and no
    /// begin was told of it.
    pub fn is_part(&self) -> bool {
        let mut attempts = self.attempts.iter();
        attempts.any(|attempt| *attempt.id == *self.began.id)
    }

    /// The attempt that decided: the one whose answer the consumer got, else the one of which it got something, else the one that failed
    /// last. Of two beside each other that is not always the later one.
    pub fn decided(&self) -> Option<&UsageRecord> {
        decided(&self.attempts)
    }

    /// What all its attempts cost together, and whether that is all: an attempt whose cost is unknown adds nothing.
    pub fn cost(&self) -> (u64, bool) {
        let each = self.attempts.iter().map(|attempt| attempt.cost.nano_usd());
        each.fold((0, true), |(sum, all), cost| {
            let sum = sum.saturating_add(cost.unwrap_or_default());
            (sum, all && cost.is_some())
        })
    }
}

/// The attempt that decided, of these.
pub(crate) fn decided(attempts: &[UsageRecord]) -> Option<&UsageRecord> {
    let rank = |attempt: &UsageRecord| match attempt.outcome {
        Outcome::Completed => 3,
        Outcome::Broken | Outcome::Cancelled | Outcome::ProxyError => 2,
        Outcome::Failed => 1,
        Outcome::Outrun => 0,
    };
    let ended = |attempt: &UsageRecord| attempt.began_ms.saturating_add(attempt.total_ms);
    let decided = attempts.iter().filter(|attempt| rank(attempt) > 0);
    decided.max_by_key(|attempt| (rank(attempt), ended(attempt)))
}

/// Somebody who wants to know what becomes of exchanges. It is told in the worker that serves the consumer: it must neither wait nor take
/// long, so what takes long is another thread's.
pub trait Sink: Send + Sync {
    /// An exchange was accepted.
    fn began(&self, _began: &Began) {}

    /// Whether it keeps note of what begins, for whoever comes after this process. At most one of a ledger does.
    fn keeps_begins(&self) -> bool {
        false
    }

    /// Keeps note of these, and says when that is done: they ask no provider before, and answer nobody.
    fn keep(&self, _begins: Vec<Began>) -> Option<Pledge> {
        None
    }

    /// An attempt was of no avail, and its exchange may go on. Its record will be in the exchange's as well.
    fn aside(&self, _attempt: &UsageRecord) {}

    /// An exchange has ended.
    fn ended(&self, record: &Arc<EndRecord>);

    /// A target is passed over from now on, or serves again.
    fn turned(&self, _turned: Turned<'_>) {}
}

/// What became of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turned<'a> {
    /// Its provider.
    pub provider: &'a str,
    /// The model there.
    pub model: &'a str,
    /// Its breaker opened; else it closed.
    pub opened: bool,
}

/// Where records go.
pub struct Ledger {
    log: Log,
    sinks: Vec<Box<dyn Sink>>,
    /// Which of them keeps note of begins.
    keeper: Option<usize>,
    recent: Recent,
    /// Answers of batches that were recorded here.
    pub(crate) seen: Seen,
}

impl Ledger {
    /// An empty ledger. Records go to the log, to each of these in turn, and the last ones are kept.
    pub fn new(sinks: Vec<Box<dyn Sink>>) -> Self {
        Self {
            log: Log,
            keeper: sinks.iter().position(|sink| sink.keeps_begins()),
            sinks,
            recent: Recent::default(),
            seen: Seen::default(),
        }
    }

    fn all(&self) -> impl Iterator<Item = &dyn Sink> {
        let log: &dyn Sink = &self.log;
        let recent: &dyn Sink = &self.recent;
        let more = self.sinks.iter().map(AsRef::as_ref);
        std::iter::once(log)
            .chain(more)
            .chain(std::iter::once(recent))
    }

    pub(crate) fn began(&self, began: &Began) {
        self.sinks.iter().for_each(|sink| sink.began(began));
    }

    /// Whether anybody keeps note of begins.
    pub(crate) fn keeps_begins(&self) -> bool {
        self.keeper.is_some()
    }

    /// Has note kept of begins.
    pub(crate) fn keep(&self, begins: Vec<Began>) -> Option<Pledge> {
        self.sinks.get(self.keeper?)?.keep(begins)
    }

    pub(crate) fn aside(&self, attempt: &UsageRecord) {
        self.all().for_each(|sink| sink.aside(attempt));
    }

    pub(crate) fn ended(&self, record: EndRecord) {
        let record = Arc::new(record);
        for sink in self.all() {
            // One that has a fault must not keep the others from their record.
            let _ = panics::contain(|| sink.ended(&record));
        }
    }

    pub(crate) fn turned(&self, turned: Turned<'_>) {
        self.sinks.iter().for_each(|sink| sink.turned(turned));
    }

    /// The last exchanges that ended, oldest first.
    pub fn recent(&self) -> Vec<Arc<EndRecord>> {
        self.recent.all()
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
