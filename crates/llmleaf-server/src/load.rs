//! How much the process has taken on, and when it takes no more: connections within the descriptors that the system
//! gives, exchanges within a ceiling of memory. Whoever is turned away hears so at once, and probes of health are answered
//! all the while.

mod memory;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use thiserror::Error;

pub use memory::watch;

/// Descriptors for listeners, runtimes, logs, name resolution and files.
const RESERVE: usize = 32;
/// Descriptors that each worker needs for itself.
const RESERVE_PER_WORKER: usize = 8;
/// Of all descriptors, the share kept for idle connections to providers.
const IDLE_SHARE: usize = 8;
/// Connections beyond the most that are let in to ask for health.
const PROBES: usize = 16;
/// With room for fewer connections than this, the limit of open files is a mistake.
const FEWEST: usize = 16;
/// Most connections, where the system sets no limit.
const MOST: usize = 1_000_000;

/// Share of the memory ceiling from which new exchanges are turned away, and new connections are, in percent.
const SHED_AT: u64 = 85;
const FULL_AT: u64 = 95;

/// The limit of open files is too low for what is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "this process may have {have} files open (`ulimit -n`), which is enough for {fits} connections; {wanted} need {need}"
)]
pub struct TooFewFiles {
    have: usize,
    fits: usize,
    wanted: usize,
    need: usize,
}

/// The count of what is taken on; all workers share it.
#[derive(Debug)]
pub struct Load {
    most: usize,
    connections: AtomicUsize,
    memory_ceiling: Option<u64>,
    /// As [`Pressure`] numbers it.
    pressure: AtomicU8,
    /// Requests that were turned away, and connections.
    shed: [AtomicU64; 2],
}

/// How near memory is to its ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Pressure {
    None = 0,
    Shed = 1,
    Full = 2,
}

/// A place that a connection, or a further stream on one, has taken; given back when dropped.
#[derive(Debug)]
pub struct Seat(Arc<Load>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a new connection gets.
#[derive(Debug)]
pub enum Entry {
    /// Anything.
    Served(Seat),
    /// Answers to questions of health.
    Probes(Seat),
    /// Nothing.
    Full,
}

impl Load {
    /// Raises the limit of open files as far as the system lets it, and holds what is configured against it.
    ///
    /// # Errors
    /// The limit is too low.
    pub fn new(
        max_connections: Option<usize>,
        workers: usize,
        memory_limit: Option<u64>,
    ) -> Result<Self, TooFewFiles> {
        Ok(Self {
            most: most(max_connections, workers, raised())?,
            connections: AtomicUsize::new(0),
            memory_ceiling: memory_limit.or_else(memory::of_control_group),
            pressure: AtomicU8::new(Pressure::None as u8),
            shed: Default::default(),
        })
    }

    /// The ceiling of memory, in bytes.
    pub fn memory_ceiling(&self) -> Option<u64> {
        self.memory_ceiling
    }

    /// A connection comes.
    pub fn enter(self: &Arc<Self>) -> Entry {
        let before = self.connections.fetch_add(1, Ordering::Relaxed);
        let seat = Seat(Arc::clone(self));
        let full = self.is_under(Pressure::Full);
        match before {
            _ if before < self.most && !full => Entry::Served(seat),
            _ if before < self.most.saturating_add(PROBES) => Entry::Probes(seat),
            _ => {
                self.shed[1].fetch_add(1, Ordering::Relaxed);
                Entry::Full
            }
        }
    }

    /// How many connections there are, and how many there may be.
    pub fn connections(&self) -> (usize, usize) {
        (self.connections.load(Ordering::Relaxed), self.most)
    }

    /// A request is turned away.
    pub fn shed(&self) {
        self.shed[0].fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests were turned away, and how many connections.
    pub fn turned_away(&self) -> (u64, u64) {
        let [requests, connections] = &self.shed;
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        (count(requests), count(connections))
    }

    /// A further stream runs on a connection that has one; `None` when there is no place for it.
    pub fn further(self: &Arc<Self>) -> Option<Seat> {
        let before = self.connections.fetch_add(1, Ordering::Relaxed);
        let seat = Seat(Arc::clone(self));
        (before < self.most).then_some(seat)
    }

    /// Whether new exchanges are turned away.
    pub fn is_shedding(&self) -> bool {
        self.is_under(Pressure::Shed)
    }

    fn is_under(&self, pressure: Pressure) -> bool {
        self.pressure.load(Ordering::Relaxed) >= pressure as u8
    }

    /// Takes note of how much memory is used.
    fn note(&self, used: u64) {
        let Some(ceiling) = self.memory_ceiling else {
            return;
        };
        let percent = used.saturating_mul(100) / ceiling.max(1);
        let pressure = match percent {
            FULL_AT.. => Pressure::Full,
            SHED_AT.. => Pressure::Shed,
            _ => Pressure::None,
        };
        let before = self.pressure.swap(pressure as u8, Ordering::Relaxed);
        if before == Pressure::None as u8 && pressure != Pressure::None {
            tracing::warn!(
                used,
                ceiling,
                "memory is short; new requests are turned away"
            );
        }
        if before != Pressure::None as u8 && pressure == Pressure::None {
            tracing::info!(used, ceiling, "memory is no longer short");
        }
    }
}

/// The limit of open files, after raising it to what the system allows this process.
fn raised() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Where that is not allowed, what was there stays.
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current
}

/// Most connections: each may have one of its own to a provider.
fn most(wanted: Option<usize>, workers: usize, files: Option<u64>) -> Result<usize, TooFewFiles> {
    let Some(files) = files.and_then(|n| usize::try_from(n).ok()) else {
        return Ok(wanted.unwrap_or(MOST));
    };
    let reserve = RESERVE + PROBES + RESERVE_PER_WORKER.saturating_mul(workers);
    let room = files
        .saturating_sub(files / IDLE_SHARE)
        .saturating_sub(reserve);
    let fits = room / 2;
    let wanted_or_fewest = wanted.unwrap_or(FEWEST);
    if fits < wanted_or_fewest {
        let need = wanted_or_fewest.saturating_mul(2).saturating_add(reserve);
        return Err(TooFewFiles {
            have: files,
            fits,
            wanted: wanted_or_fewest,
            // The share for idle connections is of the whole.
            need: need.saturating_mul(IDLE_SHARE).div_ceil(IDLE_SHARE - 1),
        });
    }
    Ok(wanted.unwrap_or_else(|| fits.min(MOST)))
}

#[cfg(test)]
mod tests;
