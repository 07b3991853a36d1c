//! The loops that pull and push, each at its own pace, all in one task. Nothing here is on the way of a request.
//!
//! Reading order: [`Plan`] (what to do), [`Reach`] (how a controller is reached: by HTTP, or in a test by nothing at all),
//! `follow` (one thing that is pulled), [`Agent`] (all of them).

mod aside;
mod follow;
mod http;
mod keeper;
mod leases;
mod sinks;
mod usage;

#[cfg(test)]
mod tests;

use crate::board::Board;
use crate::budget::Budget;
use crate::endpoint::Endpoint;
use crate::outbox::Queue;
use crate::pull::{Answer, Cadence, Pull, Trouble};
use crate::store::{Store, Writing};
use crate::verdicts::Ruling;
use aside::Aside;
use bytes::Bytes;
use follow::{Around, Digested, follow};
use keeper::Keeper;
use llmleaf_auth::{Authenticator, Verdicts};
use llmleaf_route::Millis;
use parking_lot::Mutex;
use sinks::{IdentitySink, TopologySink, VerdictsSink};
use std::future::{Future, pending};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

pub use http::Http;

/// What is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// The roster of keys.
    Identity,
    /// Verdicts on keys.
    Verdicts,
    /// Further providers and routes.
    Topology,
}

impl What {
    /// Its name, in files, logs and the admin surface.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Verdicts => "verdicts",
            Self::Topology => "topology",
        }
    }

    /// Largest body, in bytes.
    pub fn limit(self) -> usize {
        match self {
            Self::Identity => 512 * 1024 * 1024,
            Self::Verdicts => 128 * 1024 * 1024,
            Self::Topology => 16 * 1024 * 1024,
        }
    }
}

/// What is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    /// What was spent of leases, and what more is wanted.
    Leases,
    /// What requests used.
    Usage,
}

/// How events are pushed.
#[derive(Clone, Debug)]
pub struct UsagePlan {
    /// Where to.
    pub endpoint: Endpoint,
    /// How long events may wait for more of them.
    pub batch_wait: Duration,
    /// Most events in a batch.
    pub batch_max: usize,
}

impl UsagePlan {
    fn mark(&self) -> ([u8; 32], Duration, usize) {
        (self.endpoint.mark(), self.batch_wait, self.batch_max)
    }
}

/// One thing to pull.
#[derive(Clone, Debug)]
pub struct PullPlan {
    /// Where it is.
    pub endpoint: Endpoint,
    /// How often, and what is believed.
    pub cadence: Cadence,
}

/// What to do.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The roster of keys.
    pub identity: Option<PullPlan>,
    /// Where the controller has given keys, the file's do not count.
    pub identity_alone: bool,
    /// Verdicts on keys.
    pub verdicts: Option<PullPlan>,
    /// Nobody is let in until there were verdicts.
    pub verdicts_closed: bool,
    /// Further providers and routes.
    pub topology: Option<PullPlan>,
    /// Slices of budgets.
    pub leases: Option<Endpoint>,
    /// While the controller does not answer, requests go on without a lease.
    pub leases_open: bool,
    /// What requests used.
    pub usage: Option<UsagePlan>,
    /// What the node is called.
    pub node: String,
    /// This run of it.
    pub run: String,
    /// Where the last good snapshots are kept.
    pub state: Option<PathBuf>,
}

impl Plan {
    /// How that is pulled, if it is.
    pub fn pull(&self, what: What) -> Option<&PullPlan> {
        match what {
            What::Identity => self.identity.as_ref(),
            What::Verdicts => self.verdicts.as_ref(),
            What::Topology => self.topology.as_ref(),
        }
    }

    /// Whether the other one says the same, secrets included.
    pub fn same_as(&self, other: &Self) -> bool {
        let each = [What::Identity, What::Verdicts, What::Topology];
        let marks = |plan: &Self, what| {
            let pull = plan.pull(what);
            pull.map(|pull| (pull.endpoint.mark(), pull.cadence))
        };
        each.iter()
            .all(|&what| marks(self, what) == marks(other, what))
            && self.identity_alone == other.identity_alone
            && self.verdicts_closed == other.verdicts_closed
            && self.leases.as_ref().map(Endpoint::mark) == other.leases.as_ref().map(Endpoint::mark)
            && self.leases_open == other.leases_open
            && self.usage.as_ref().map(UsagePlan::mark) == other.usage.as_ref().map(UsagePlan::mark)
            && self.state == other.state
    }

    /// Whether there is anything to do.
    pub fn is_empty(&self) -> bool {
        self.identity.is_none()
            && self.verdicts.is_none()
            && self.topology.is_none()
            && self.leases.is_none()
            && self.usage.is_none()
    }
}

/// How a controller is reached.
pub trait Reach {
    /// Asks for what is there, unless it is still what the entity tag names.
    fn get(
        &self,
        what: What,
        etag: Option<&str>,
    ) -> impl Future<Output = Result<(Answer, Bytes), Trouble>>;

    /// Tells something, and hears what is said to it.
    fn post(
        &self,
        what: Push,
        body: Bytes,
    ) -> impl Future<Output = Result<(Answer, Bytes), Trouble>>;
}

/// Providers and routes, for whoever can put them in effect; `None` where none shall be any more. Says what came of it.
#[derive(Debug)]
pub struct Offer {
    /// What the controller wrote.
    pub body: Option<Bytes>,
    /// Whether it was taken, or why not.
    pub taken: oneshot::Sender<Result<(), String>>,
}

/// What the agent acts upon.
#[derive(Clone)]
pub struct Outlets {
    /// Who decides on keys.
    pub authenticator: Arc<Authenticator>,
    /// Who puts providers and routes in effect.
    pub topology: mpsc::Sender<Offer>,
    /// Slices of budgets.
    pub budget: Arc<Budget>,
    /// Events that wait to be pushed.
    pub events: Option<Arc<Mutex<dyn Queue>>>,
    /// Who wants to know what became of keys. Told on the client's threads: it must not wait.
    pub ruled: Arc<Ruled>,
    /// The program ends: what waits to be pushed does not wait for more.
    pub ending: watch::Receiver<bool>,
    /// Where it is told how things are.
    pub board: Arc<Board>,
    /// The time in unix seconds.
    pub unix_now: fn() -> u64,
    /// Chance, so that nodes differ.
    pub seed: u64,
}

/// Somebody who wants to know of rulings.
pub type Ruled = dyn Fn(Ruling<'_>) + Send + Sync;

/// What is remembered of one thing that is pulled, over changes of the plan.
struct Memory {
    address: [u8; 32],
    pull: Pull,
    digested: Digested,
    /// What is in effect is large, or may be.
    is_large: bool,
}

/// Who does what takes long for one pull. Nothing waits here for what another pull has to do.
#[derive(Default)]
struct Beside {
    aside: Aside,
    keeper: Keeper,
}

#[derive(Default)]
struct Besides {
    identity: Beside,
    verdicts: Beside,
    topology: Beside,
}

impl Besides {
    fn of(&self, what: What) -> &Beside {
        match what {
            What::Identity => &self.identity,
            What::Verdicts => &self.verdicts,
            What::Topology => &self.topology,
        }
    }
}

/// The client of a controller.
pub struct Agent {
    outlets: Outlets,
    epoch: Instant,
    /// Who waits until everything was asked for once.
    tried: Option<oneshot::Sender<()>>,
    /// Who keeps something for the next run.
    writing: Writing,
    /// Who does what takes long.
    beside: Besides,
    identity: Option<Memory>,
    verdicts: Option<Memory>,
    topology: Option<Memory>,
}

impl Agent {
    /// Knows nothing yet. `tried` is told when everything was asked for once.
    pub fn new(outlets: Outlets, tried: oneshot::Sender<()>) -> Self {
        Self {
            outlets,
            epoch: Instant::now(),
            tried: Some(tried),
            writing: Writing::default(),
            beside: Besides::default(),
            identity: None,
            verdicts: None,
            topology: None,
        }
    }

    /// Follows the plan, and every plan that comes after it, until nobody can send one any more. Where it is left before that it can be
    /// called again: what is in effect stays so, and as old as it is.
    pub async fn run<R: Reach>(
        &mut self,
        plans: &mut watch::Receiver<Arc<Plan>>,
        reach: impl Fn(&Plan) -> R,
    ) {
        loop {
            let plan = Arc::clone(&plans.borrow_and_update());
            self.prepare(&plan).await;
            let reach = reach(&plan);
            tokio::select! {
                () = self.work(&plan, &reach) => {}
                changed = plans.changed() => if changed.is_err() {
                    return;
                },
            }
        }
    }

    /// It was left because of a fault, which may come from what was pulled just now: that is not pulled again at once.
    pub fn stumbled(&mut self) {
        let now = self.now();
        let all = [&mut self.identity, &mut self.verdicts, &mut self.topology];
        for memory in all.into_iter().flatten() {
            if memory.pull.due() <= now {
                memory.pull.failed(Trouble::Fault, None, now);
            }
        }
    }

    fn now(&self) -> Millis {
        since(self.epoch)
    }

    /// Takes up what is new in a plan, and lets go of what is not in it any more.
    async fn prepare(&mut self, plan: &Plan) {
        let now = self.now();
        let seed = self.outlets.seed;
        let renew = |memory: &mut Option<Memory>, pull: Option<&PullPlan>, salt| {
            let Some(plan) = pull else {
                return memory.take().is_some();
            };
            let address = plan.endpoint.address();
            match memory {
                Some(known) => {
                    known.pull.change(plan.cadence, now);
                    if known.address != address {
                        known.address = address;
                        known.digested = Digested::default();
                        known.pull.moved(now);
                    }
                }
                None => {
                    *memory = Some(Memory {
                        address,
                        pull: Pull::new(plan.cadence, seed ^ salt, now),
                        digested: Digested::default(),
                        is_large: false,
                    });
                }
            }
            false
        };
        let authenticator = &self.outlets.authenticator;
        let fresh = self.identity.is_none();
        if renew(&mut self.identity, plan.identity.as_ref(), 1) {
            authenticator.install_upper(None, false);
            authenticator.set_cold(false);
        } else if fresh && plan.identity.is_some() {
            authenticator.set_cold(true);
        }
        if plan.identity.is_some() {
            // Their roster may be the same for a long time.
            authenticator.set_upper_alone(plan.identity_alone);
        }
        if renew(&mut self.verdicts, plan.verdicts.as_ref(), 2) {
            authenticator.install_verdicts(Verdicts::default());
            authenticator.set_closed(false);
        }
        if renew(&mut self.topology, plan.topology.as_ref(), 3) {
            let (taken, heard) = oneshot::channel();
            let offer = Offer { body: None, taken };
            if self.outlets.topology.send(offer).await.is_ok() {
                // Whatever came of it: nothing more can be done from here.
                let _ = heard.await;
            }
        }
        self.outlets.board.keep(|what| plan.pull(what).is_some());
    }

    /// Pulls what there is to pull, for ever.
    async fn work<R: Reach>(&mut self, plan: &Plan, reach: &R) {
        let writing = &self.writing;
        let store = plan.state.clone();
        let store = store.map(|folder| Store::new(folder, Writing::clone(writing)));
        let epoch = self.epoch;
        let (count, _counts) = watch::channel(0usize);
        let wanted = [What::Identity, What::Verdicts, What::Topology];
        let wanted = wanted
            .iter()
            .filter(|&&what| plan.pull(what).is_some())
            .count();
        let (outlets, beside) = (&self.outlets, &self.beside);
        let around = |what| Around {
            what,
            reach,
            board: &outlets.board,
            store: store.as_ref(),
            beside: beside.of(what),
            plan: Arc::default(),
            epoch,
            tried: &count,
        };
        let identity = async {
            if let Some(memory) = &mut self.identity {
                let mut sink = IdentitySink {
                    authenticator: &outlets.authenticator,
                    alone: plan.identity_alone,
                };
                follow(around(What::Identity), memory, &mut sink).await;
            }
            pending::<()>().await;
        };
        let verdicts = async {
            if let Some(memory) = &mut self.verdicts {
                let mut sink = VerdictsSink {
                    authenticator: &outlets.authenticator,
                    closed: plan.verdicts_closed,
                    ruled: &outlets.ruled,
                    unix_now: outlets.unix_now,
                };
                follow(around(What::Verdicts), memory, &mut sink).await;
            }
            pending::<()>().await;
        };
        let topology = async {
            if let Some(memory) = &mut self.topology {
                let mut sink = TopologySink(&outlets.topology);
                follow(around(What::Topology), memory, &mut sink).await;
            }
            pending::<()>().await;
        };
        let all_tried = async {
            let mut seen = count.subscribe();
            // The sender lives as long as this.
            let _ = seen.wait_for(|&tried| tried >= wanted).await;
            if let Some(tried) = self.tried.take() {
                // Nobody may wait for it.
                let _ = tried.send(());
            }
            pending::<()>().await;
        };
        let clock = clock(outlets);
        let leases = leases::run(plan, reach, outlets);
        let usage = usage::run(plan, reach, outlets);
        tokio::join!(
            identity, verdicts, topology, all_tried, clock, leases, usage
        );
    }
}

/// Tells the time once a second, for suspensions to end by.
async fn clock(outlets: &Outlets) {
    loop {
        outlets.authenticator.tell_time((outlets.unix_now)());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn since(epoch: Instant) -> Millis {
    Millis(u64::try_from(epoch.elapsed().as_millis()).unwrap_or(u64::MAX))
}
