//! The end of an exchange: its record, written when the last of it goes, whichever way that happens.

use crate::failure;
use crate::inspect::UNAVAILABLE;
use crate::job::Job;
use crate::ledger;
use crate::ledger::{Began, End, EndRecord, Outcome, Routes, UsageRecord};
use crate::node::{Node, Shared};
use crate::outlet::Outlet;
use llmleaf_model::{Failure, FailureKind, Origin};
use llmleaf_route::{Millis, Trail, Walk};
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is noted of an exchange for its record. Dropping it writes the record, so the exchange's work drops it last.
pub(crate) struct Ending {
    shared: Arc<Shared>,
    out: Outlet,
    began: Millis,
    /// Taken when it is written.
    accepted: RefCell<Option<Began>>,
    attempts: RefCell<Vec<UsageRecord>>,
    routes: Routes,
    trail: RefCell<Option<Trail>>,
    failed: Cell<Option<(End, &'static str)>>,
    done: Cell<bool>,
}

impl Ending {
    /// An exchange is accepted. Where note is kept of that, it is owed before anybody is asked or answered.
    pub fn open(node: &Node, job: &Job, out: Outlet) -> Self {
        let shared = Arc::clone(&node.shared);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let began = Began {
            id: Arc::clone(&job.id),
            request_id: Arc::clone(&job.request_id),
            at_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            key: Arc::clone(&job.key),
            dialect: job.dialect.name().as_str(),
            operation: job.operation.as_str(),
            model: job.head.model.as_str().into(),
            stream: job.head.stream,
            trace: job.trace.clone(),
        };
        shared.ledger.began(&began);
        if shared.ledger.keeps_begins() {
            out.owes(node.begins.add(&shared.ledger, began.clone()));
        }
        Self {
            began: shared.now(),
            accepted: RefCell::new(Some(began)),
            shared,
            out,
            attempts: RefCell::default(),
            routes: Routes::default(),
            trail: RefCell::default(),
            failed: Cell::new(None),
            done: Cell::new(false),
        }
    }

    /// The model that was asked for.
    pub fn model(&self) -> Arc<str> {
        let accepted = self.accepted.borrow();
        accepted
            .as_ref()
            .map_or_else(|| Arc::from(""), |began| Arc::clone(&began.model))
    }

    /// Milliseconds since the begin.
    pub fn since(&self, now: Millis) -> u64 {
        now.since(self.began)
    }

    /// An attempt begins, by this route.
    pub fn through(&self, attempt: u32, route: Option<usize>) {
        self.routes.reached(attempt, route);
    }

    /// The name of the route that led to an attempt.
    fn route_of(&self, attempt: Option<&UsageRecord>) -> Option<Arc<str>> {
        let route = self.routes.of(attempt)?;
        self.shared.settings(Some(route)).name.clone()
    }

    /// An attempt has ended.
    pub fn attempted(&self, record: UsageRecord) {
        if record.outcome.is_aside() {
            self.shared.ledger.aside(&record);
        }
        let mut attempts = self.attempts.borrow_mut();
        // Hardly any exchange has a second one, and a record is large.
        attempts.reserve_exact(1);
        attempts.push(record);
    }

    /// An answer of a batch was read: an exchange of its own, made elsewhere and before.
    pub fn batched(&self, record: UsageRecord) {
        self.part("batch", Outcome::Completed, record);
    }

    /// A part of a session has used something: an exchange of its own in all that counts.
    pub fn spoken(&self, record: UsageRecord) {
        self.part("realtime", record.outcome, record);
    }

    fn part(&self, operation: &'static str, outcome: Outcome, record: UsageRecord) {
        let Some(accepted) = self.accepted.borrow().clone() else {
            return;
        };
        self.shared.ledger.ended(EndRecord {
            route: self.route_of(Some(&record)),
            began: Began {
                id: record.id.as_str().into(),
                operation,
                model: Arc::clone(&record.model),
                stream: false,
                // It has no time of its own.
                trace: None,
                ..accepted
            },
            end: match outcome {
                Outcome::Completed => End::Completed,
                Outcome::Cancelled => End::Cancelled,
                _ => End::UpstreamError,
            },
            failure: None,
            status: record.status,
            attempts: vec![record],
            trail: None,
            queue_ms: 0,
            first_content_ms: None,
            total_ms: 0,
            own_us: 0,
        });
    }

    /// Nobody could be chosen, and here is why.
    pub fn unmet(&self, trail: Trail) {
        self.trail.replace(Some(trail));
    }

    /// The walk is over. What it decided is worth naming each target only where something happened, or where its consumer wants to know.
    pub fn walked(&self, walk: &Walk) {
        let trail = match walk.is_eventful() || self.out.explains() {
            true => walk.trail(),
            false => walk.outline(),
        };
        self.trail.replace(Some(trail));
    }

    /// What was decided, where the walk is over.
    pub fn trail(&self) -> Option<Trail> {
        self.trail.borrow().clone()
    }

    /// Looks at the attempts that have ended so far.
    pub fn attempts<R>(&self, look: impl FnOnce(&[UsageRecord]) -> R) -> R {
        look(&self.attempts.borrow())
    }

    /// What the attempts so far cost together, where all of that is known.
    pub fn cost(&self) -> Option<u64> {
        let attempts = self.attempts.borrow();
        let mut costs = attempts.iter().map(|attempt| attempt.cost.nano_usd());
        costs.try_fold(0u64, |sum, cost| Some(sum.saturating_add(cost?)))
    }

    /// The consumer is told of a failure.
    pub fn failed(&self, failure: &Failure) {
        self.failed
            .set(Some((cause(failure), failure::slug(failure))));
    }

    /// The consumer has got what there is.
    pub fn done(&self) {
        self.done.set(true);
    }

    fn record(&self) -> Option<EndRecord> {
        let began = self.accepted.take()?;
        let mut attempts = self.attempts.take();
        attempts.sort_by_key(|record| record.attempt);
        let gone = self.out.is_gone();
        let completed = attempts.iter().any(|a| a.outcome == Outcome::Completed);
        let (end, failure) = match self.failed.get() {
            _ if std::thread::panicking() => {
                (End::ProxyError, Some(FailureKind::Internal.as_str()))
            }
            _ if gone => (End::Cancelled, None),
            Some((end, slug)) => (end, Some(slug)),
            None if completed || self.done.get() => (End::Completed, None),
            None => (End::Cancelled, None),
        };
        let first_content = attempts.iter().filter(|a| !a.outcome.is_aside());
        let first_content_ms = first_content
            .filter_map(|a| Some(a.began_ms.saturating_add(a.first_content_ms?)))
            .min();
        let total_ms = self.since(self.shared.now());
        let route = self.route_of(ledger::decided(&attempts));
        Some(EndRecord {
            route,
            end,
            failure,
            status: self.out.status(),
            queue_ms: attempts.first().map_or(total_ms, |a| a.began_ms),
            first_content_ms,
            total_ms,
            own_us: u64::try_from(self.out.own_time().as_micros()).unwrap_or(u64::MAX),
            trail: self.trail.take(),
            attempts,
            began,
        })
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(record) = self.record() {
            self.out.withdraw();
            self.shared.ledger.ended(record);
        }
    }
}

/// Why an exchange ends that ends with this failure.
fn cause(failure: &Failure) -> End {
    match failure.kind {
        _ if failure.code.as_deref() == Some(failure::SHUTDOWN) => End::Shutdown,
        _ if failure.origin == Origin::Consumer => End::Refused,
        // No provider is to blame.
        _ if failure.code.as_deref() == Some(UNAVAILABLE) => End::Refused,
        FailureKind::Timeout => End::TimedOut,
        FailureKind::Truncated => End::Truncated,
        FailureKind::RateLimit | FailureKind::Quota => End::Limited,
        FailureKind::Internal if failure.origin == Origin::Gateway => End::ProxyError,
        FailureKind::Unsupported => End::Refused,
        _ => End::UpstreamError,
    }
}
