//! `[server]`: the listener, and defaults for all providers and routes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::diagnose::{Diagnostic, Place};
use crate::read::{At, Reading, Table};
use crate::{Retries, Secret, Timeouts, prices, retries, secrets, timeouts};
use llmleaf_prices::Book;

/// The `[server]` table.
#[derive(Debug)]
pub struct Server {
    /// Where to listen. Default `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// Opens `/admin/*` to those who send it in `x-admin-token`.
    pub admin_token: Option<Secret>,
    /// Seals ids of what providers keep (responses, batches); the same on all nodes.
    pub batch_id_secret: Option<Secret>,
    /// The secret that sealed ids before it, which still open.
    pub batch_id_secret_previous: Option<Secret>,
    /// Where what is to outlive the process is kept: batches that this gateway runs itself.
    pub state_dir: Option<PathBuf>,
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
    /// Most files of requests that are kept here for a key. Default 1000.
    pub max_files_per_key: usize,
    /// Most bytes of them. Default 4 GiB.
    pub max_file_bytes_per_key: u64,
    /// Sites whose pages may open realtime sessions with a key, as browsers say them; `*` is all. Default none but this one.
    pub realtime_origins: Vec<String>,
    /// Largest body that is sent on while it comes. Default 512 MiB.
    pub max_upload_bytes: u64,
    /// Most consumer connections at a time. Default: as many as the limit of open files allows.
    pub max_connections: Option<usize>,
    /// Ceiling of memory in bytes, near which new requests are turned away. Default: the limit of the control group, if any.
    pub memory_limit: Option<u64>,
    /// Gap after which a silent stream gets a keep-alive. Default 15 s.
    pub keepalive: Duration,
    /// How long response headers wait for the first content. Default 10 s.
    pub hold_headers: Duration,
    /// How long running exchanges may take to finish after a stop signal. Default 300 s.
    pub drain: Duration,
    /// How long connections are still taken after a stop signal, while readiness already says no. Default none.
    pub drain_delay: Duration,
    /// How often this file and those it names are looked at for changes; zero is never. Default 2 s.
    pub watch: Duration,
    /// Whether another process may listen on the same address at the same time. Default false.
    pub reuse_port: bool,
    /// What to do when a target cannot express a request. Default [`LossPolicy::Report`].
    pub loss_policy: LossPolicy,
    /// The clocks of every upstream call that nothing nearer overrides.
    pub timeouts: Timeouts,
    /// How often and how long exchanges may try, where no route says otherwise.
    pub retries: Retries,
    /// Worker threads. Default: one per available core.
    pub workers: usize,
    /// Certificate and key of the listener.
    pub tls: Option<Tls>,
    /// Tell each consumer what its answers cost, not only those who ask. Default false.
    pub tell_cost: bool,
    /// Most bytes of usage records that wait to be pushed. Default 256 MiB.
    pub spool_bytes: u64,
}

impl Default for Server {
    fn default() -> Self {
        Server {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            admin_token: None,
            batch_id_secret: None,
            batch_id_secret_previous: None,
            state_dir: None,
            event_buffer: 1024,
            include_payloads: false,
            fallback_cooldown: Duration::from_secs(15),
            rate_limit_max_wait: Duration::from_millis(5000),
            max_body_bytes: 32 * 1024 * 1024,
            max_files_per_key: 1000,
            max_file_bytes_per_key: 4 << 30,
            realtime_origins: Vec::new(),
            max_upload_bytes: 512 * 1024 * 1024,
            max_connections: None,
            memory_limit: None,
            keepalive: Duration::from_secs(15),
            hold_headers: Duration::from_millis(10_000),
            drain: Duration::from_secs(300),
            drain_delay: Duration::ZERO,
            watch: Duration::from_secs(2),
            reuse_port: false,
            loss_policy: LossPolicy::Report,
            timeouts: Timeouts::default(),
            retries: Retries::default(),
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            tls: None,
            tell_cost: false,
            spool_bytes: 256 << 20,
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
    /// Where to listen with TLS, beside plain HTTP on `server.listen`. Without it, `server.listen` speaks TLS itself.
    pub listen: Option<SocketAddr>,
}

/// Scalars of `[server]` may come from the environment under this prefix.
const ENV_PREFIX: &str = "LLMLEAF_SERVER__";
/// Longest length of a setting in seconds: a day.
const MAX_SECS: u64 = 24 * 3600;
/// Largest body limit: bodies are held in memory.
const MAX_BODY: u64 = 1024 * 1024 * 1024;
const MAX_UPLOAD: u64 = 1 << 40;

/// The words of `loss_policy`.
pub(crate) const LOSS_POLICIES: &[(&str, LossPolicy)] = &[
    ("report", LossPolicy::Report),
    ("error", LossPolicy::Error),
    ("reroute", LossPolicy::Reroute),
];

/// What reading `[server]` yields beside the values.
pub(crate) struct ServerRead {
    pub server: Server,
    /// Where the listen address was written, if anywhere.
    pub listen_place: Place,
    /// The table of prices that it names.
    pub prices: Book,
    /// Every key the table may have.
    pub known: Vec<&'static str>,
}

/// Reads the `[server]` table, and the environment's say on it.
pub(crate) fn read(cx: &Reading<'_>, root: &mut Table<'_>) -> ServerRead {
    let mut table = root.table_or_empty(cx, "server").with_env(ENV_PREFIX);
    let defaults = Server::default();
    let listen = listen(cx, &mut table);
    let (listen, listen_place) = match listen {
        Some(At { value, place }) => (value, place),
        None => (defaults.listen, Place::Whole),
    };
    let t = &mut table;
    let size = |n: u64| usize::try_from(n).ok();
    let server = Server {
        listen,
        admin_token: secrets::read(cx, t, "admin_token").map(|s| s.value),
        batch_id_secret: secrets::read(cx, t, "batch_id_secret").map(|s| s.value),
        batch_id_secret_previous: secrets::read(cx, t, "batch_id_secret_previous").map(|s| s.value),
        state_dir: t.string(cx, "state_dir").map(|at| cx.file(&at.value)),
        event_buffer: (t.whole(cx, "event_buffer", 1..=1_000_000))
            .and_then(size)
            .unwrap_or(defaults.event_buffer),
        include_payloads: (t.boolean(cx, "include_payloads")).unwrap_or(defaults.include_payloads),
        fallback_cooldown: (t.seconds(cx, "fallback_cooldown_secs", 0..=MAX_SECS))
            .unwrap_or(defaults.fallback_cooldown),
        rate_limit_max_wait: (t.millis(cx, "rate_limit_max_wait_ms", 0..=MAX_SECS * 1000))
            .unwrap_or(defaults.rate_limit_max_wait),
        max_body_bytes: (t.whole(cx, "max_body_bytes", 1024..=MAX_BODY))
            .and_then(size)
            .unwrap_or(defaults.max_body_bytes),
        max_files_per_key: (t.whole(cx, "max_files_per_key", 0..=1_000_000))
            .and_then(size)
            .unwrap_or(defaults.max_files_per_key),
        max_file_bytes_per_key: (t.whole(cx, "max_file_mib_per_key", 1..=1 << 24))
            .map_or(defaults.max_file_bytes_per_key, |mib| mib << 20),
        realtime_origins: (t.strings(cx, "realtime_origins"))
            .map(|list| list.value.into_iter().map(|at| at.value).collect())
            .unwrap_or(defaults.realtime_origins),
        max_upload_bytes: (t.whole(cx, "max_upload_bytes", 1024..=MAX_UPLOAD))
            .unwrap_or(defaults.max_upload_bytes),
        max_connections: (t.whole(cx, "max_connections", 1..=1_000_000)).and_then(size),
        memory_limit: (t.whole(cx, "memory_limit_mib", 1..=1 << 24)).map(|mib| mib << 20),
        keepalive: (t.seconds(cx, "keepalive_secs", 1..=MAX_SECS)).unwrap_or(defaults.keepalive),
        hold_headers: (t.millis(cx, "hold_headers_ms", 0..=MAX_SECS * 1000))
            .unwrap_or(defaults.hold_headers),
        drain: (t.seconds(cx, "drain_secs", 0..=MAX_SECS)).unwrap_or(defaults.drain),
        drain_delay: (t.seconds(cx, "drain_delay_secs", 0..=MAX_SECS))
            .unwrap_or(defaults.drain_delay),
        watch: (t.seconds(cx, "watch_secs", 0..=MAX_SECS)).unwrap_or(defaults.watch),
        reuse_port: (t.boolean(cx, "reuse_port")).unwrap_or(defaults.reuse_port),
        loss_policy: (t.choice(cx, "loss_policy", LOSS_POLICIES)).unwrap_or(defaults.loss_policy),
        timeouts: defaults.timeouts.with(&timeouts::read(cx, t)),
        retries: defaults.retries.with(&retries::read(cx, t)),
        workers: (t.whole(cx, "workers", 1..=1024))
            .and_then(size)
            .unwrap_or(defaults.workers),
        tls: tls(cx, t),
        tell_cost: (t.boolean(cx, "tell_cost")).unwrap_or(defaults.tell_cost),
        spool_bytes: (t.whole(cx, "spool_mib", 1..=1 << 20))
            .map_or(defaults.spool_bytes, |mib| mib << 20),
    };
    let prices = prices::table(cx, t);
    ServerRead {
        server,
        listen_place,
        prices,
        known: table.finish(cx),
    }
}

/// `listen`, or, where nothing sets that, `PORT` as platforms give it: on all addresses.
fn listen(cx: &Reading<'_>, table: &mut Table<'_>) -> Option<At<SocketAddr>> {
    let explicit = table.is_set(cx, "listen");
    if let Some(at) = table.string(cx, "listen") {
        let Ok(value) = at.value.parse() else {
            cx.report(bad_address(&at));
            return None;
        };
        return Some(At {
            value,
            place: at.place,
        });
    }
    let port = (cx.env)("PORT").filter(|_| !explicit)?;
    let place = Place::Env {
        var: "PORT".to_owned(),
        value: port.clone(),
    };
    match port.trim().parse::<u16>() {
        Ok(port) => Some(At {
            value: SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
            place,
        }),
        Err(_) => {
            cx.report(
                Diagnostic::error(&place, "`PORT` is not a port number", "not 0 to 65535")
                    .help("unset it, or set `listen` in `[server]`, which counts before it"),
            );
            None
        }
    }
}

pub(crate) fn bad_address(at: &At<String>) -> Diagnostic {
    let text = at.value.trim();
    let example = match text.rsplit_once(':') {
        _ if text.contains("://") => Some("127.0.0.1:8080".to_owned()),
        Some(("localhost", port)) => Some(format!("127.0.0.1:{port}")),
        Some(("" | "*", port)) => Some(format!("0.0.0.0:{port}")),
        None if text.parse::<u16>().is_ok() => Some(format!("127.0.0.1:{text}")),
        None if text.parse::<std::net::IpAddr>().is_ok() => Some(format!("{text}:8080")),
        Some(_) | None => None,
    };
    let help = match example {
        Some(example) => format!("write it as IP address and port: `{example}`"),
        None => "an IP address and a port, such as `127.0.0.1:8080` or `[::1]:8080`".to_owned(),
    };
    let message = format!("`{text}` is no address to listen on");
    Diagnostic::error(&at.place, message, "expected address:port").help(help)
}

fn tls(cx: &Reading<'_>, server: &mut Table<'_>) -> Option<Tls> {
    let mut table = server.table(cx, "tls")?;
    let help = "`tls` takes two PEM files: `{ cert = \"…\", key = \"…\" }`";
    let cert = table.required(cx, "cert", help);
    let key = table.required(cx, "key", help);
    let listen = table.string(cx, "listen").and_then(|at| {
        let parsed = at.value.parse().ok();
        if parsed.is_none() {
            cx.report(bad_address(&at));
        }
        parsed
    });
    table.finish(cx);
    Some(Tls {
        cert: cx.file(&cert?.value),
        key: cx.file(&key?.value),
        listen,
    })
}
