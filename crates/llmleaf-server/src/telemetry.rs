//! What is told of the node while it serves: numbers for scrapers.
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

use crate::app::App;
use arc_swap::ArcSwap;
use door::Door;
use exchanges::{Counting, Exchanges};
use llmleaf_config::Config;
use llmleaf_exchange::Sink;
use llmleaf_metrics::{Format, Text};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What is counted. It outlives configurations.
pub struct Telemetry {
    exchanges: Arc<Exchanges>,
    door: ArcSwap<Door>,
    /// Leave to write a page.
    writing: Arc<Semaphore>,
}

impl Telemetry {
    /// Nothing is counted yet.
    pub fn new(config: &Config) -> Self {
        let telemetry = Self {
            exchanges: Arc::new(Exchanges::new()),
            door: ArcSwap::default(),
            writing: Arc::new(Semaphore::new(1)),
        };
        telemetry.follow(config);
        telemetry
    }

    /// Another configuration is in effect.
    pub fn follow(&self, config: &Config) {
        self.exchanges.follow(config);
        self.door.store(Arc::new(Door::of(config)));
    }

    /// Leave to write a page: one is written at a time, however many ask, since passwords are proven on the same threads.
    pub fn writing(&self) -> Arc<Semaphore> {
        Arc::clone(&self.writing)
    }

    /// Who may read.
    pub fn door(&self) -> Arc<Door> {
        self.door.load_full()
    }

    /// What counts records.
    pub fn sink(&self) -> Box<dyn Sink> {
        Box::new(Counting(Arc::clone(&self.exchanges)))
    }

    /// All numbers of the node as they are now.
    pub fn page(app: &App, format: Format) -> String {
        let mut text = Text::new(format);
        app.telemetry.exchanges.tell(&mut text);
        page::tell(app, &app.telemetry.exchanges, &mut text);
        text.finish()
    }
}

#[cfg(test)]
mod tests;
