//! Reading the configuration again: validate it, build from it, and only then put it in effect, as a whole.

use crate::app::App;
use crate::control::Controller;
use crate::desk::Published;
use crate::doors::{self, Address, Bound, Change};
use crate::service::unix_now;
use crate::usage::Happening;
use llmleaf_config::{Config, Diagnostics, Layer, Severity};
use llmleaf_control::Offer;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Where a configuration comes from, so that it can be read again.
pub struct Source {
    /// Its file.
    pub path: PathBuf,
    /// Reads it.
    pub load: Box<dyn Fn() -> Result<Config, Diagnostics>>,
    /// Shows what is wrong with it, or what its author may not expect.
    pub show: Box<dyn Fn(&Diagnostics)>,
}

/// How the last reload went, for the admin surface.
#[derive(Clone, Debug, Default)]
pub struct LastReload {
    /// Unix seconds; 0 where there was none.
    pub at: u64,
    /// What it changed, or why it was refused.
    pub told: Vec<String>,
    /// Whether it was refused.
    pub refused: bool,
    /// What takes effect only after a restart.
    pub wants_restart: Vec<&'static str>,
}

/// What can be reloaded, and how.
pub struct Reloader {
    /// `None` where the configuration cannot be read again.
    pub source: Option<Source>,
    /// What a controller has added to the file.
    pub layer: Option<Layer>,
    pub published: Arc<Published>,
    /// The configuration in effect.
    pub config: Config,
    /// How many workers there are.
    pub workers: usize,
    /// Where each worker hears of other addresses.
    pub doors: Vec<mpsc::Sender<Change>>,
    /// The controller's client.
    pub controller: Controller,
    /// Why what a controller adds was refused last, as it was told: it comes with every pull again, and is news only once.
    pub refused: Option<Vec<String>>,
}

/// What a change changed, and what of it takes effect only after a restart.
type Told = (Vec<String>, Vec<&'static str>);

/// Most lines about one reload that the log and the admin surface show.
const LINES: usize = 100;

impl Reloader {
    /// Every file that the configuration in effect was made of.
    pub fn files(&self) -> Vec<PathBuf> {
        let Some(source) = &self.source else {
            return Vec::new();
        };
        let own = std::iter::once(source.path.clone());
        own.chain(self.config.files.iter().cloned()).collect()
    }

    /// Reads, validates, builds, and puts in effect. Whatever fails, the one before stays, untouched. Returns the files that
    /// were looked at and are not those of the configuration in effect.
    pub fn reload(&mut self) -> Vec<PathBuf> {
        let Some(source) = &self.source else {
            return Vec::new();
        };
        let mut others = Vec::new();
        let outcome = match (source.load)() {
            Ok(mut config) => {
                others.clone_from(&config.files);
                self.add(&mut config, self.layer.as_ref())
                    .and_then(|()| self.put(config))
            }
            Err(diagnostics) => {
                others.extend_from_slice(diagnostics.files());
                (source.show)(&diagnostics);
                Err(lines(&diagnostics))
            }
        };
        // What is told of it, it is told where everybody looks.
        let _ = self.tell(outcome);
        // What a controller adds is judged anew, by what the file says now.
        self.refused = None;
        others
    }

    /// Puts in effect what a controller adds to the file from now on, and says what came of it.
    pub fn take(&mut self, offer: Offer) {
        let taken = self.try_take(offer.body.as_deref());
        // Who offered it may have gone.
        let _ = offer.taken.send(taken);
    }

    fn try_take(&mut self, body: Option<&[u8]>) -> Result<(), String> {
        let outcome = self.put_layer(body);
        let known = std::mem::replace(&mut self.refused, outcome.as_ref().err().cloned());
        if let Some(told) = self.refused.as_ref().filter(|_| self.refused == known) {
            return Err(told.first().cloned().unwrap_or_default());
        }
        self.tell(outcome)
    }

    fn put_layer(&mut self, body: Option<&[u8]>) -> Result<Told, Vec<String>> {
        let refused = |why: &str| vec![format!("control.topology: {why}")];
        let layer = body.map(Layer::parse).transpose();
        let layer = layer.map_err(|error| refused(&error.to_string()))?;
        let source = self.source.as_ref();
        let source = source.ok_or_else(|| refused("there is no file that it could be added to"))?;
        let config = (source.load)();
        let mut config = config.map_err(|_| refused("the file is in no state to add to it"))?;
        self.add(&mut config, layer.as_ref())?;
        let told = self.put(config)?;
        self.layer = layer;
        Ok(told)
    }

    /// Adds a layer to what the file says.
    fn add(&self, config: &mut Config, layer: Option<&Layer>) -> Result<(), Vec<String>> {
        // A controller that is gone from the file adds nothing any more.
        let wanted = config.control.as_ref().and_then(|c| c.topology.as_ref());
        let Some(layer) = layer.filter(|_| wanted.is_some()) else {
            return Ok(());
        };
        let added = config.add(layer, &llmleaf_config::environment::var);
        let added = added.map_err(|error| vec![format!("control.topology: {error}")])?;
        for passed in added.passed.iter().take(LINES) {
            tracing::warn!("the controller's topology: {passed}");
        }
        Ok(())
    }

    /// Tells what came of a change.
    fn tell(&self, outcome: Result<Told, Vec<String>>) -> Result<(), String> {
        let app = self.published.app();
        // Also where the file has a mistake: whoever moved the log away waits for a new one.
        app.telemetry.reopen();
        if let Some(usage) = &app.usage {
            usage.tell(&match &outcome {
                Ok((changes, restart)) => Happening::reloaded(app.generation, changes, restart),
                Err(told) => Happening::refused(app.generation, told),
            });
        }
        let mut last = app.last_reload.lock();
        last.at = unix_now().as_secs();
        match outcome {
            Ok((changes, wants_restart)) => {
                tracing::info!(
                    generation = app.generation,
                    changes = changes.join("; "),
                    "configuration reloaded"
                );
                if !wants_restart.is_empty() {
                    let keys = wants_restart.join(", ");
                    tracing::warn!(keys, "these take effect only after a restart");
                }
                last.refused = false;
                last.told = changes;
                last.wants_restart = wants_restart;
                Ok(())
            }
            Err(told) => {
                for line in &told {
                    tracing::error!(
                        generation = app.generation,
                        "configuration refused, the one before stays: {line}"
                    );
                }
                last.refused = true;
                last.told = told;
                Err(last.told.first().cloned().unwrap_or_default())
            }
        }
    }

    /// Waits until a controller was asked for everything once, and puts in effect what it says, before anybody is served.
    pub async fn first(&mut self) {
        let mut first = std::pin::pin!(self.controller.first());
        loop {
            tokio::select! {
                biased;
                offer = self.controller.offers.recv() => match offer {
                    Some(offer) => self.take(offer),
                    None => return first.await,
                },
                () = &mut first => return,
            }
        }
    }

    /// Whether usage is pushed to a controller.
    pub fn pushes_usage(&self) -> bool {
        let control = self.config.control.as_ref();
        control.is_some_and(|control| control.usage.is_some())
    }

    /// The next thing that a controller adds to the file.
    pub async fn offered(&mut self) -> Offer {
        match self.controller.offers.recv().await {
            Some(offer) => offer,
            None => std::future::pending().await,
        }
    }

    fn put(&mut self, config: Config) -> Result<Told, Vec<String>> {
        let refused = |error: &dyn std::fmt::Display| vec![error.to_string()];
        if let Some(source) = self.source.as_ref().filter(|_| !config.warnings.is_empty()) {
            (source.show)(&config.warnings);
        }
        let before = self.published.app();
        // First, since what is built renews limits and cool-downs that the one before has too: after it nothing may fail.
        let fresh = self.bind(&config).map_err(|error| refused(&error))?;
        let plan = self
            .controller
            .plan(&config)
            .map_err(|error| refused(&error))?;
        let (app, roster) = App::rebuild(&config, &before).map_err(|error| refused(&error))?;
        let mut changes: Vec<String> = config
            .changes_since(&self.config)
            .iter()
            .map(ToString::to_string)
            .collect();
        changes.extend(app.renewed(&before).map(str::to_owned));
        if changes.is_empty() {
            changes.push("nothing changed".to_owned());
        }
        let more = changes.len().saturating_sub(LINES);
        if more > 0 {
            changes.truncate(LINES);
            changes.push(format!("and {more} more"));
        }
        // From here on all of it takes effect.
        let app = Arc::new(app);
        app.authenticator.install(roster);
        app.allowances.install(app.shared.now());
        app.telemetry.follow(&config);
        if let Err(error) = app.telemetry.trace(app.collector.clone()) {
            tracing::error!(%error, "nobody is told of traces");
        }
        if let Some(usage) = &app.usage {
            usage.follow(&config);
        }
        self.published.put(Arc::clone(&app));
        // Who is proven from here on is proven by what is in effect.
        if let Some(tokens) = &before.tokens {
            tokens.close(app.tokens.as_deref());
        }
        self.controller.follow(plan);
        self.open(&config, fresh);
        let mut wants_restart = Vec::new();
        if config.server.workers != self.workers {
            wants_restart.push("server.workers");
        }
        let (now, then) = (&config.server, &self.config.server);
        if now.max_connections != then.max_connections {
            wants_restart.push("server.max_connections");
        }
        if now.memory_limit != then.memory_limit {
            wants_restart.push("server.memory_limit_mib");
        }
        if (&now.state_dir, now.spool_bytes) != (&then.state_dir, then.spool_bytes) {
            wants_restart.push("server.state_dir");
        }
        if config.access_log != self.config.access_log {
            wants_restart.push("access_log");
        }
        self.config = config;
        Ok((changes, wants_restart))
    }

    /// Binds the addresses that are new.
    fn bind(&self, config: &Config) -> Result<Vec<Vec<Bound>>, String> {
        let known = doors::addresses(&self.config);
        let mut fresh: Vec<Vec<Bound>> = Vec::new();
        for address in doors::addresses(config) {
            if known.contains(&address) {
                continue;
            }
            let Address { listen, .. } = address;
            let (_, bound) = doors::bind(address, self.workers, config.server.reuse_port)
                .map_err(|error| format!("cannot listen on {listen}: {error}"))?;
            fresh.push(bound);
        }
        Ok(fresh)
    }

    /// Tells each worker its addresses, where they are others than before.
    fn open(&self, config: &Config, mut fresh: Vec<Vec<Bound>>) {
        let wanted = doors::addresses(config);
        if wanted == doors::addresses(&self.config) {
            return;
        }
        for listen in fresh.iter().filter_map(|bound| bound.first()?.at()) {
            tracing::info!(%listen, "listening there from now on");
        }
        for worker in &self.doors {
            let change = Change {
                wanted: wanted.clone(),
                fresh: fresh.iter_mut().filter_map(Vec::pop).collect(),
            };
            if worker.try_send(change).is_err() {
                tracing::error!("a worker does not hear of its new addresses");
            }
        }
    }
}

/// The mistakes as lines of a log.
fn lines(diagnostics: &Diagnostics) -> Vec<String> {
    diagnostics
        .iter()
        .filter(|item| item.severity() == Severity::Error)
        .take(LINES)
        .map(|item| match diagnostics.line_of(item) {
            Some(line) => format!("line {line}: {}", item.message()),
            None => item.message().to_owned(),
        })
        .collect()
}
