//! Counting records. Each exchange and each attempt is one look into a table and some additions to atomics: no lock, no allocation, no text.

mod cells;
mod tell;

use super::known::{Known, OTHER};
use arc_swap::ArcSwap;
use cells::{Failed, Keyed, Served, Target};
use llmleaf_config::Config;
use llmleaf_exchange::{Began, EndRecord, Outcome, Sink, UsageRecord};
use llmleaf_metrics::{Counter, Table};
use std::sync::Arc;

/// Most rows of each table. What comes then is counted as other.
const ROUTES: usize = 2000;
const TARGETS: usize = 2000;
const FAILURES: usize = 4000;
const KEYS: usize = 10_000;
/// Bytes of the longest name of a model that becomes a label unless the configuration says it.
const LONGEST_NAME: usize = 256;
/// Codes of failures are ours, and few.
const TOLD: usize = 1000;

/// What was counted of exchanges.
pub struct Exchanges {
    known: ArcSwap<Known>,
    /// Dialect, operation, route.
    served: Table<Served, 3>,
    /// Operation, failure.
    told: Table<Counter, 2>,
    /// Provider, model, operation.
    targets: Table<Target, 3>,
    /// Provider, model, operation, error.
    failures: Table<Failed, 4>,
    /// Models that the configuration does not name and a provider has answered for.
    models: Table<(), 2>,
    keys: Table<Keyed, 1>,
    whole: Running,
    streams: Running,
}

/// What began, and what of it is over.
#[derive(Debug, Default)]
struct Running {
    begun: Counter,
    over: Counter,
}

impl Running {
    fn now(&self) -> u64 {
        // In this order: what ends in between is not counted as running.
        let over = self.over.get();
        self.begun.get().saturating_sub(over)
    }
}

impl Exchanges {
    /// Nothing was counted.
    pub fn new() -> Self {
        let new = Self {
            known: ArcSwap::default(),
            served: Table::new(ROUTES),
            told: Table::new(TOLD),
            targets: Table::new(TARGETS),
            failures: Table::new(FAILURES),
            models: Table::new(TARGETS),
            keys: Table::new(KEYS),
            whole: Running::default(),
            streams: Running::default(),
        };
        // So that there is a place for everything, however full a table is.
        new.served.admit(&[OTHER; 3], Served::new);
        new.told.admit(&[OTHER; 2], Counter::new);
        new.targets.admit(&[OTHER; 3], Target::new);
        new.failures.admit(&[OTHER; 4], Failed::new);
        new.keys.admit(&[OTHER], Keyed::new);
        new
    }

    /// Another configuration is in effect.
    pub fn follow(&self, config: &Config) {
        self.known.store(Arc::new(Known::of(config)));
    }

    /// Whether a model of a provider has a label of its own.
    pub fn names(&self, provider: &str, model: &str) -> bool {
        self.known.load().has(provider, model)
            || self.models.with(&[provider, model], |()| ()).is_some()
    }

    fn running(&self, began: &Began) -> &Running {
        match began.stream {
            true => &self.streams,
            false => &self.whole,
        }
    }

    fn served(&self, record: &EndRecord, part: bool) {
        let began = &record.began;
        let route = record.route.as_deref().unwrap_or_default();
        count(
            &self.served,
            [
                [began.dialect, began.operation, route],
                [began.dialect, began.operation, OTHER],
                [OTHER; 3],
            ],
            Served::new,
            |cells| cells.note(record, part),
        );
        if let Some(failure) = record.failure {
            let labels = [[began.operation, failure], [OTHER; 2]];
            count(&self.told, labels, Counter::new, Counter::up);
        }
    }

    fn attempt(&self, attempt: &UsageRecord, operation: &'static str, part: bool) {
        let (provider, model) = (&*attempt.provider, &*attempt.upstream_model);
        let note = |cells: &Target| cells.note(attempt, part);
        let row = [provider, model, operation];
        let mut label = model;
        // What has a row was found worth one.
        if self.targets.with(&row, note).is_none() {
            label = self.label(attempt);
            let rows = [
                [provider, label, operation],
                [provider, OTHER, operation],
                [OTHER; 3],
            ];
            count(&self.targets, rows, Target::new, note);
        }
        if attempt.outcome != Outcome::Completed {
            let error = attempt.failure.unwrap_or(attempt.outcome.as_str());
            let rows = [
                [provider, label, operation, error],
                [provider, OTHER, operation, error],
                [OTHER; 4],
            ];
            let note = |cells: &Failed| cells.note(attempt, part);
            count(&self.failures, rows, Failed::new, note);
        }
    }

    /// The model's own name where the configuration says it, or where a provider has answered for it and there is room.
    fn label<'r>(&self, attempt: &'r UsageRecord) -> &'r str {
        let (provider, model) = (&*attempt.provider, &*attempt.upstream_model);
        // Some services answer for whatever name they are given.
        let is_name = model.len() <= LONGEST_NAME && !model.contains(char::is_control);
        let admitted = self.names(provider, model)
            || is_name
                && attempt.outcome == Outcome::Completed
                && self.models.len() < self.known.load().more_models
                && self.models.admit(&[provider, model], || ());
        match admitted {
            true => model,
            false => OTHER,
        }
    }

    fn key(&self, record: &EndRecord) {
        let most = self.known.load().keys;
        if most == 0 {
            return;
        }
        let key = &*record.began.key;
        let note = |cells: &Keyed| cells.note(record);
        if self.keys.with(&[key], note).is_some() {
            return;
        }
        // One row is that of the others.
        let key = match self.keys.len() <= most {
            true => key,
            false => OTHER,
        };
        count(&self.keys, [[key], [OTHER]], Keyed::new, note);
    }
}

/// Counts in the first of these rows that there is, or can be.
fn count<C, const N: usize, const ROWS: usize>(
    table: &Table<C, N>,
    rows: [[&str; N]; ROWS],
    make: impl Fn() -> C,
    note: impl Fn(&C),
) {
    for row in &rows {
        if table.with(row, &note).is_some() {
            return;
        }
        if table.admit(row, &make) && table.with(row, &note).is_some() {
            return;
        }
    }
}

/// The ledger's hold of what is counted.
pub struct Counting(pub Arc<Exchanges>);

impl Sink for Counting {
    fn began(&self, began: &Began) {
        self.0.running(began).begun.up();
    }

    fn ended(&self, record: &Arc<EndRecord>) {
        let part = record.is_part();
        if !part {
            self.0.running(&record.began).over.up();
        }
        self.0.served(record, part);
        for attempt in &record.attempts {
            self.0.attempt(attempt, record.began.operation, part);
        }
        self.0.key(record);
    }
}
