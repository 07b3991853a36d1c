//! What is told of the node while it serves: numbers for scrapers, and lines of the access log.
//!
//! Numbers of exchanges come from the ledger, like bills do: one record for each exchange, however it ended, so the two agree. What merely is as
//! it is (health, limits, queues) is looked up when somebody asks.
//!
//! Reading order: [`names`] (what every number is called), [`exchanges`] (counting records), [`known`] (which names become labels),
//! [`page`] (all of it as one text), [`door`] (who may read it).

pub mod door;
mod exchanges;
mod known;
mod names;
mod page;
mod process;

use crate::access::{AccessLog, Refused};
use crate::app::{App, BuildError};
use crate::registry::Endpoint;
use crate::service::unix_now;
use crate::traces::{Collector, Traces};
use arc_swap::ArcSwap;
use door::Door;
use exchanges::{Counting, Exchanges};
use http::StatusCode;
use llmleaf_config::Config;
use llmleaf_exchange::Sink;
use llmleaf_metrics::{Counter, Format, Histogram, Table, Text};
use llmleaf_model::Failure;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// What is counted. It outlives configurations.
pub struct Telemetry {
    exchanges: Arc<Exchanges>,
    /// Requests that were refused before they were accepted, by kind of failure.
    refused: Table<Counter, 1>,
    /// Questions to an interceptor, by phase and what came of them, and how long it took.
    interceptions: Table<Counter, 2>,
    intercepting: Table<Histogram, 1>,
    access: Option<AccessLog>,
    traces: Traces,
    door: ArcSwap<Door>,
    /// Leave to write a page.
    writing: Arc<Semaphore>,
}

/// Kinds of failures are few.
const KINDS: usize = 100;

impl Telemetry {
    /// Nothing is counted yet.
    ///
    /// # Errors
    /// The access log cannot be written.
    pub fn new(config: &Config) -> io::Result<Self> {
        let access = config.access_log.as_ref();
        let telemetry = Self {
            refused: Table::new(KINDS),
            interceptions: Table::new(KINDS),
            intercepting: Table::new(KINDS),
            access: access.map(AccessLog::start).transpose()?,
            exchanges: Arc::new(Exchanges::new()),
            traces: Traces::new(),
            door: ArcSwap::default(),
            writing: Arc::new(Semaphore::new(1)),
        };
        telemetry.follow(config);
        Ok(telemetry)
    }

    /// Another configuration is in effect.
    pub fn follow(&self, config: &Config) {
        self.exchanges.follow(config);
        self.door.store(Arc::new(Door::of(config)));
    }

    /// That one is told of traces from now on.
    ///
    /// # Errors
    /// There is no thread for it.
    pub fn trace(&self, collector: Option<Arc<Collector>>) -> Result<(), BuildError> {
        self.traces.follow(collector).map_err(BuildError::Thread)
    }

    /// Files of logs may have been moved away.
    pub fn reopen(&self) {
        if let Some(access) = &self.access {
            access.reopen();
        }
    }

    /// Leave to write a page: one is written at a time, however many ask, since passwords are proven on the same threads.
    pub fn writing(&self) -> Arc<Semaphore> {
        Arc::clone(&self.writing)
    }

    /// Who may read.
    pub fn door(&self) -> Arc<Door> {
        self.door.load_full()
    }

    /// Who counts records, and who writes them down.
    pub fn sinks(&self) -> impl Iterator<Item = Box<dyn Sink>> {
        let counting: Box<dyn Sink> = Box::new(Counting(Arc::clone(&self.exchanges)));
        let access = self.access.iter().map(AccessLog::sink);
        [counting, self.traces.sink()].into_iter().chain(access)
    }

    /// A request is refused before it was accepted.
    pub fn refused(
        &self,
        id: &Arc<str>,
        endpoint: Option<&'static Endpoint>,
        failure: &Failure,
        status: StatusCode,
    ) {
        let kind = failure.kind.as_str();
        count(&self.refused, &[kind]);
        if let Some(access) = &self.access {
            access.refused(Refused {
                at_ms: u64::try_from(unix_now().as_millis()).unwrap_or(u64::MAX),
                request_id: Arc::clone(id),
                endpoint: endpoint.map(|endpoint| (endpoint.method.as_str(), endpoint.path)),
                failure: kind,
                status: status.as_u16(),
            });
        }
    }

    /// Somebody was asked about a request or an answer, and that came of it.
    pub fn interception(&self, phase: &str, outcome: &str) {
        count(&self.interceptions, &[phase, outcome]);
    }

    /// So long an interceptor was waited for.
    pub fn intercepted(&self, phase: &str, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let note = |of: &Histogram| of.note(millis);
        if self.intercepting.with(&[phase], note).is_none() {
            let scale = || Histogram::new(&names::MILLIS);
            self.intercepting.admit(&[phase], scale);
            self.intercepting.with(&[phase], note);
        }
    }

    /// Waits until the last lines are written, not for ever.
    pub fn flush(&self) {
        if let Some(access) = &self.access {
            access.flush();
        }
        self.traces.flush();
    }

    /// All numbers of the node as they are now.
    pub fn page(app: &App, format: Format) -> String {
        let mut text = Text::new(format);
        app.telemetry.exchanges.tell(&mut text);
        app.telemetry.tell_refused(&mut text);
        page::tell(app, &app.telemetry.exchanges, &mut text);
        text.finish()
    }

    fn tell_refused(&self, text: &mut Text) {
        let mut refused = text.family(&names::REFUSED);
        self.refused
            .for_each(|labels, count| refused.whole(labels, count.get()));
        let mut interceptions = text.family(&names::INTERCEPTIONS);
        self.interceptions
            .for_each(|labels, count| interceptions.whole(labels, count.get()));
        let mut intercepting = text.family(&names::INTERCEPT_TIME);
        self.intercepting
            .for_each(|labels, time| intercepting.histogram(labels, &time.sums()));
        let counts = self.access.as_ref().map(AccessLog::counts);
        let mut of = |family, count: Option<&Counter>| {
            let mut samples = text.family(family);
            if let Some(count) = count {
                samples.whole(&[], count.get());
            }
        };
        of(&names::ACCESS_WRITTEN, counts.map(|counts| &counts.written));
        of(&names::ACCESS_DROPPED, counts.map(|counts| &counts.dropped));
        let counts = self.traces.counts();
        of(&names::SPANS_SENT, counts.map(|counts| &counts.sent));
        of(&names::SPANS_DROPPED, counts.map(|counts| &counts.dropped));
    }
}

/// One more of these labels, if there is room for them.
fn count<const N: usize>(table: &Table<Counter, N>, labels: &[&str; N]) {
    if table.with(labels, Counter::up).is_none() && table.admit(labels, Counter::new) {
        table.with(labels, Counter::up);
    }
}

#[cfg(test)]
mod tests;
