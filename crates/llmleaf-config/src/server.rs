//! `[server]`: the listener, and defaults for all providers and routes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::{Secret, Timeouts};

/// The `[server]` table.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where to listen. Default `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// Opens `/admin/*` to those who send it in `x-admin-token`.
    pub admin_token: Option<Secret>,
    /// Seals batch ids; the same on all nodes.
    pub batch_id_secret: Option<Secret>,
    /// Events kept for slow readers before the oldest is dropped. Default 1024.
    pub event_buffer: usize,
    /// Put request bodies into events. Default false.
    pub include_payloads: bool,
    /// How long a failed provider is passed over. Default 15 s.
    pub fallback_cooldown: Duration,
    /// How long a request may wait when every target is at its local limit; zero means not at all.
    /// Default 5 s.
    pub rate_limit_max_wait: Duration,
    /// Largest request body. Default 32 MiB.
    pub max_body_bytes: usize,
    /// Gap after which a silent stream gets a keep-alive. Default 15 s.
    pub keepalive: Duration,
    /// How long response headers wait for the first content. Default 10 s.
    pub hold_headers: Duration,
    /// How long running exchanges may take to finish after a stop signal. Default 30 s.
    pub drain: Duration,
    /// What to do when a target cannot express a request. Default [`LossPolicy::Report`].
    pub loss_policy: LossPolicy,
    /// The clocks of every upstream call that nothing nearer overrides.
    pub timeouts: Timeouts,
    /// Worker threads. Default: one per available core.
    pub workers: usize,
    /// Certificate and key of the listener.
    pub tls: Option<Tls>,
}

impl Default for Server {
    fn default() -> Self {
        Server {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            admin_token: None,
            batch_id_secret: None,
            event_buffer: 1024,
            include_payloads: false,
            fallback_cooldown: Duration::from_secs(15),
            rate_limit_max_wait: Duration::from_millis(5000),
            max_body_bytes: 32 * 1024 * 1024,
            keepalive: Duration::from_secs(15),
            hold_headers: Duration::from_millis(10_000),
            drain: Duration::from_secs(30),
            loss_policy: LossPolicy::Report,
            timeouts: Timeouts::default(),
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            tls: None,
        }
    }
}

/// What to do when a target cannot express all of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LossPolicy {
    /// Send what can be expressed and name the rest in a response header.
    #[default]
    Report,
    /// Refuse with 400 before anything is sent.
    Error,
    /// Try the next target that can express it.
    Reroute,
}

/// The `tls` table of the server: PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Certificate chain, leaf first.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
}
