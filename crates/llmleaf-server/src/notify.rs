//! systemd's readiness protocol (sd_notify(3), systemd 252): words on a datagram socket that `NOTIFY_SOCKET` names.
//!
//! Without that variable nothing is sent. Every failure is ignored, as the manual asks for: a service must run without
//! a service manager, too.

use llmleaf_config::environment;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::Duration;

/// The way to the service manager, if there is one.
pub struct Notify {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// How often the service manager wants a sign of life.
    pub watchdog: Option<Duration>,
}

impl Notify {
    /// As the environment says.
    pub fn from_environment() -> Self {
        let socket = environment::var("NOTIFY_SOCKET").and_then(|name| open(&name));
        // The interval is for one process, if it names one.
        let mine = environment::var("WATCHDOG_PID")
            .is_none_or(|pid| pid.trim() == std::process::id().to_string());
        let micros = environment::var("WATCHDOG_USEC")
            .filter(|_| mine && socket.is_some())
            .and_then(|text| text.trim().parse().ok())
            .filter(|micros| *micros > 0);
        Self {
            socket,
            // Half of what is allowed, as sd_watchdog_enabled(3) recommends.
            watchdog: micros.map(|micros: u64| Duration::from_micros(micros / 2)),
        }
    }

    /// It serves.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={status}"));
    }

    /// It reads its configuration again. [`Self::ready`] ends that.
    pub fn reloading(&self) {
        // `Type=notify-reload` wants the time beside it.
        let micros = monotonic_micros().unwrap_or_default();
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// It finishes what runs; the service manager is asked for the time that may take.
    pub fn stopping(&self, drain: Duration) {
        let micros = drain.as_micros();
        self.send(&format!(
            "STOPPING=1\nSTATUS=Draining\nEXTEND_TIMEOUT_USEC={micros}"
        ));
    }

    /// It is alive.
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    fn send(&self, words: &str) {
        if let Some((socket, to)) = &self.socket {
            // Nobody who listens is no failure of ours.
            let _ = socket.send_to_addr(words.as_bytes(), to);
        }
    }
}

/// A path, or a name without a file behind an `@`.
fn open(name: &str) -> Option<(UnixDatagram, SocketAddr)> {
    let to = match name.strip_prefix('@') {
        Some(hidden) => SocketAddr::from_abstract_name(hidden.as_bytes()).ok()?,
        None if name.starts_with('/') => SocketAddr::from_pathname(Path::new(name)).ok()?,
        None => return None,
    };
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    Some((socket, to))
}

/// No less than the monotonic clock's microseconds, which the standard library does not tell. The service manager asks only
/// whether the time is after its request for the reload.
fn monotonic_micros() -> Option<u64> {
    /// `/proc/uptime` tells hundredths of a second, rounded down.
    const STEP: Duration = Duration::from_millis(10);
    // It counts the time that a machine slept, which the monotonic clock does not: never less.
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    let uptime = Duration::try_from_secs_f64(seconds).ok()? + STEP;
    u64::try_from(uptime.as_micros()).ok()
}
