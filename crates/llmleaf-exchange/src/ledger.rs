//! One usage record per attempt.

use crate::panics;
use llmleaf_model::{Units, Usage};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

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
}

/// How far the token counts of a record can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grade {
    /// The provider's own final report.
    Reported,
    /// A report of the provider that more output followed.
    Partial,
    /// Counted here from what went through.
    Estimated,
    /// Nothing to count.
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
    /// The upstream may have done the work although nothing says so.
    pub possibly_billed: bool,
    /// What was lost in translation, the first few by name.
    pub losses: Vec<String>,
    /// Milliseconds from the attempt's begin to its first content.
    pub first_content_ms: Option<u64>,
    /// Milliseconds from the attempt's begin to its end.
    pub total_ms: u64,
}

/// Records kept for the admin surface.
const KEPT: usize = 1024;

/// Where records go: the last ones are kept in memory, each is logged.
#[derive(Debug, Default)]
pub struct Ledger {
    recent: Mutex<VecDeque<Arc<UsageRecord>>>,
}

impl Ledger {
    /// An empty ledger.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a record.
    pub fn record(&self, record: UsageRecord) {
        log(&record);
        let mut recent = self.recent.lock();
        panics::inject("ledger", &record.request_id);
        if recent.len() >= KEPT {
            recent.pop_front();
        }
        recent.push_back(Arc::new(record));
    }

    /// The last records, oldest first.
    pub fn recent(&self) -> Vec<Arc<UsageRecord>> {
        self.recent.lock().iter().cloned().collect()
    }
}

fn log(record: &UsageRecord) {
    let units = record.usage.units;
    let units = (units != Units::default()).then(|| format!("{units:?}"));
    let lost = (!record.losses.is_empty()).then(|| record.losses.join("; "));
    tracing::info!(
        target: "llmleaf::usage",
        id = record.id,
        request_id = &*record.request_id,
        attempt = record.attempt,
        key = &*record.key,
        dialect = record.dialect,
        model = &*record.model,
        provider = &*record.provider,
        upstream_model = &*record.upstream_model,
        credential = record.credential,
        stream = record.stream,
        outcome = record.outcome.as_str(),
        failure = record.failure,
        status = record.status,
        grade = record.grade.as_str(),
        input = record.usage.input,
        input_cache_read = record.usage.input_cache_read,
        input_cache_write = record.usage.input_cache_write,
        input_cache_write_1h = record.usage.input_cache_write_1h,
        input_audio = record.usage.input_audio,
        input_image = record.usage.input_image,
        output = record.usage.output,
        output_reasoning = record.usage.output_reasoning,
        output_audio = record.usage.output_audio,
        output_image = record.usage.output_image,
        units = units.as_deref(),
        cost_nano_usd = record.usage.cost_nano_usd,
        possibly_billed = record.possibly_billed,
        losses = record.losses.len(),
        lost = lost.as_deref(),
        first_content_ms = record.first_content_ms,
        total_ms = record.total_ms,
        "usage"
    );
}
