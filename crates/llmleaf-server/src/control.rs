//! The controller's client, beside everything that serves: a thread of its own, told of every configuration.

use crate::app::{App, BuildError};
use crate::service::unix_now;
use crate::usage::{Happening, Outgoing};
use crate::ways;
use llmleaf_config::{Config, Control, ControlCall, ControlCredential, FileKeys, OnError};
use llmleaf_control::outbox::Queue;
use llmleaf_control::{
    Agent, Cadence, Endpoint, EndpointSpec, Http, Offer, Outlets, Plan, PullPlan, UsagePlan,
};
use llmleaf_transport::{Identity, TlsConfig};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// The client, running.
pub struct Controller {
    plans: watch::Sender<Arc<Plan>>,
    /// Providers and routes that it brings.
    pub offers: mpsc::Receiver<Offer>,
    /// Says that the program ends.
    ending: watch::Sender<bool>,
    /// Told when everything was asked for once.
    tried: Option<oneshot::Receiver<()>>,
    /// What this run of the node is called.
    run: String,
    _thread: JoinHandle<()>,
}

/// Longest wait at the start for everything to be asked for once, beyond the time that the calls have.
const GRACE: Duration = Duration::from_secs(1);
/// Pause before the client goes on after a fault of its own.
const AFTER_PANIC: Duration = Duration::from_secs(1);

impl Controller {
    /// Starts the client, where the configuration has a controller or may get one.
    ///
    /// # Errors
    /// An endpoint cannot be called, or there is no thread to be had.
    pub fn start(config: &Config, app: &App) -> Result<Self, BuildError> {
        let chance = RandomState::new().hash_one(0u8);
        let run = run_name().to_owned();
        let plan = plan(config, &run)?;
        let (plans, heard) = watch::channel(Arc::new(plan));
        let (topology, offers) = mpsc::channel(1);
        let (told, tried) = oneshot::channel();
        let (ending, ends) = watch::channel(false);
        let outlets = Outlets {
            authenticator: Arc::clone(&app.authenticator),
            topology,
            budget: Arc::clone(&app.budget),
            events: events(config, app, chance),
            ruled: ruled(app),
            ending: ends,
            board: Arc::clone(&app.board),
            unix_now: || unix_now().as_secs(),
            seed: chance,
        };
        let thread = std::thread::Builder::new().name("control".to_owned());
        let thread = thread.spawn(move || client(Agent::new(outlets, told), heard));
        Ok(Self {
            plans,
            offers,
            ending,
            tried: Some(tried),
            run,
            _thread: thread.map_err(BuildError::Thread)?,
        })
    }

    /// What is to be done under that configuration.
    ///
    /// # Errors
    /// An endpoint cannot be called.
    pub fn plan(&self, config: &Config) -> Result<Plan, BuildError> {
        plan(config, &self.run)
    }

    /// Does that from now on.
    pub fn follow(&self, plan: Plan) {
        if !self.plans.borrow().same_as(&plan) {
            self.plans.send_replace(Arc::new(plan));
        }
    }

    /// The program ends: what waits to be pushed goes now.
    pub fn end(&self) {
        self.ending.send_replace(true);
    }

    /// Waits until everything was asked for once, but not for ever.
    pub fn first(&mut self) -> impl Future<Output = ()> + use<> {
        let plan = Arc::clone(&self.plans.borrow());
        let calls = [&plan.identity, &plan.verdicts, &plan.topology];
        let longest = calls
            .iter()
            .filter_map(|pull| Some(pull.as_ref()?.endpoint.timeout_ms()));
        let longest = longest.max().map(Duration::from_millis);
        let tried = self.tried.take();
        async move {
            if let (Some(longest), Some(tried)) = (longest, tried) {
                // What it brings it has brought by then; whatever else became of it, the node goes on.
                let _ = tokio::time::timeout(longest + GRACE, tried).await;
            }
        }
    }
}

/// What the client knows outlives a fault in it: what is in effect stays so.
fn client(mut agent: Agent, mut heard: watch::Receiver<Arc<Plan>>) {
    loop {
        let once = std::panic::AssertUnwindSafe(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => {
                    tracing::error!(%error, "the controller's client cannot start");
                    return false;
                }
            };
            runtime.block_on(agent.run(&mut heard, Http::new));
            true
        });
        match std::panic::catch_unwind(once) {
            Ok(true) => return,
            Ok(false) => {}
            Err(_) => {
                tracing::error!("a fault in the controller's client; it begins anew");
                agent.stumbled();
            }
        }
        std::thread::sleep(AFTER_PANIC);
    }
}

/// Who is told what became of keys.
fn ruled(app: &App) -> Arc<llmleaf_control::agent::Ruled> {
    let usage = app.usage.clone();
    Arc::new(move |ruling| {
        if let Some(usage) = &usage {
            usage.tell(&Happening::ruled(ruling));
        }
    })
}

/// What waits to be pushed.
fn events(config: &Config, app: &App, chance: u64) -> Option<Arc<Mutex<dyn Queue>>> {
    let control = config.control.as_ref();
    let most = control.and_then(|control| control.usage.as_ref());
    let most = most.map_or(256, |usage| usage.batch_max);
    let spool = app.usage.as_ref()?.spool().clone();
    Some(Arc::new(Mutex::new(Outgoing::new(spool, most, chance))))
}

/// What is to be done under a configuration.
fn plan(config: &Config, run: &str) -> Result<Plan, BuildError> {
    let Some(control) = &config.control else {
        return Ok(Plan::default());
    };
    let node = control.node.as_deref().unwrap_or(run);
    let mut plan = Plan {
        node: node.to_owned(),
        run: run.to_owned(),
        state: config
            .server
            .state_dir
            .as_ref()
            .map(|folder| folder.join("control")),
        ..Plan::default()
    };
    if let Some(identity) = &control.identity {
        plan.identity_alone = identity.file_keys == FileKeys::Replace;
        plan.identity = Some(PullPlan {
            endpoint: endpoint("identity", &identity.call, node)?,
            cadence: Cadence {
                every: identity.refresh,
                max_shrink_percent: identity.max_shrink_percent,
                max_stale: identity.max_stale,
            },
        });
    }
    if let Some(limits) = &control.limits {
        plan.verdicts_closed = limits.on_error == OnError::Deny;
        plan.verdicts = Some(PullPlan {
            endpoint: endpoint("limits", &limits.call, node)?,
            cadence: Cadence {
                every: limits.refresh,
                max_shrink_percent: 100,
                max_stale: None,
            },
        });
    }
    plan.topology = topology(control, node)?;
    if let Some(leases) = &control.leases {
        plan.leases = Some(endpoint("leases", &leases.call, node)?);
        plan.leases_open = leases.on_error == OnError::Allow;
    }
    if let Some(usage) = &control.usage {
        plan.usage = Some(UsagePlan {
            endpoint: endpoint("usage", &usage.call, node)?,
            batch_wait: usage.batch_wait,
            batch_max: usage.batch_max,
        });
    }
    Ok(plan)
}

fn topology(control: &Control, node: &str) -> Result<Option<PullPlan>, BuildError> {
    let Some(topology) = &control.topology else {
        return Ok(None);
    };
    Ok(Some(PullPlan {
        endpoint: endpoint("topology", &topology.call, node)?,
        cadence: Cadence {
            every: topology.refresh,
            max_shrink_percent: topology.max_shrink_percent,
            max_stale: None,
        },
    }))
}

/// What this run of the program is called, where nobody has given the node a name.
pub fn run_name() -> &'static str {
    static NAME: LazyLock<String> =
        LazyLock::new(|| format!("node-{:016x}", RandomState::new().hash_one(0u8)));
    &NAME
}

/// Makes an endpoint of the controller ready.
///
/// # Errors
/// It cannot be called.
pub fn endpoint(
    what: &'static str,
    call: &ControlCall,
    node: &str,
) -> Result<Endpoint, BuildError> {
    let credential = call.credential.as_ref().map(|credential| match credential {
        ControlCredential::Bearer(token) => ("authorization", format!("Bearer {}", token.expose())),
        ControlCredential::Header { name, value } => (name.as_str(), value.expose().to_owned()),
    });
    let ca = call.ca_file.as_deref().map(ways::file).transpose()?;
    let identity = match &call.client_certificate {
        Some(paths) => Some((
            ways::file(&paths.cert)?,
            zeroize::Zeroizing::new(ways::file(&paths.key)?),
        )),
        None => None,
    };
    let mut mark = Sha256::new();
    for part in [
        ca.as_deref(),
        identity.as_ref().map(|(cert, _)| cert.as_slice()),
        identity.as_ref().map(|(_, key)| key.as_slice()),
    ] {
        mark.update(
            part.map_or(u64::MAX, |part| part.len() as u64)
                .to_le_bytes(),
        );
        mark.update(part.unwrap_or_default());
    }
    let refused = |error: &dyn std::fmt::Display| BuildError::Control {
        what,
        why: error.to_string(),
    };
    let identity = identity.as_ref().map(|(cert, key)| Identity { cert, key });
    let tls = TlsConfig::with(ca.as_deref(), identity).map_err(|error| refused(&error))?;
    let credential = credential
        .as_ref()
        .map(|(name, value)| (*name, value.as_str()));
    Endpoint::new(&EndpointSpec {
        url: &call.url,
        credential,
        timeout: call.timeout,
        tls: &tls,
        tls_mark: mark.finalize().into(),
        node,
    })
    .map_err(|error| refused(&error))
}
