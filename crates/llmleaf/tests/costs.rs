//! What a request and a chunk of a stream cost: allocations, counted here, and instructions, where valgrind is.
//!
//! Provider and consumer of these exchanges allocate nothing once they run, so that what is counted in this process is the server's. The
//! limits are what was measured; five parts of a hundred are slack. Whoever makes something cheaper lowers its limit.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]
#![expect(
    clippy::indexing_slicing,
    reason = "so has one whose buffer is too small"
)]

#[path = "costs/instructions.rs"]
mod instructions;
#[path = "costs/rig.rs"]
mod rig;

use rig::{Consumer, Cost, Limits, SCENARIOS, config, stories};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Exchanges before the first that counts: by then connections are made and tables have grown.
const WARM_UP: usize = 20;
/// Exchanges of one count, and counts. What else this process does meanwhile (a sweep, a look at its memory) only adds, so the
/// smallest counts.
const EXCHANGES: usize = 20;
const COUNTS: usize = 3;

/// Serves in this process until it ends.
fn serve(config: &str) -> SocketAddr {
    let config = llmleaf_config::Config::parse(config, "costs.toml", &|_| None).expect("a config");
    let (ready, address) = mpsc::channel();
    std::thread::spawn(move || {
        llmleaf_server::run(config, None, |listening| {
            let at = listening.first().expect("it listens").addr;
            ready.send(at).expect("a test that waits");
        })
        .expect("a server");
    });
    address.recv().expect("a server that starts")
}

/// Allocations of one exchange: new ones, and old ones that grew.
fn allocations(consumer: &mut Consumer) -> f64 {
    (0..WARM_UP).for_each(|_| consumer.ask());
    let counts = (0..COUNTS).map(|_| {
        let region = Region::new(COUNTED);
        (0..EXCHANGES).for_each(|_| consumer.ask());
        let change = region.change();
        change.allocations + change.reallocations
    });
    counts.min().unwrap_or_default() as f64 / EXCHANGES as f64
}

/// Counts what all this process does: nothing else may run meanwhile.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    // A test that failed has said so.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells what each scenario costs, and fails where one costs more than it did.
fn judge(what: &str, figures: &[f64], limit: impl Fn(&Limits) -> Cost) -> String {
    let (mut told, mut dearer) = (format!("{what}\n"), Vec::new());
    for (scenario, pair) in SCENARIOS.iter().zip(figures.chunks_exact(2)) {
        let (cost, limit) = (Cost::of(pair[0], pair[1]), limit(&scenario.limits));
        told += &format!("{}: {cost} (limit {limit})\n", scenario.name);
        if !cost.fits(limit) {
            dearer.push(scenario.name);
        }
    }
    assert!(
        dearer.is_empty(),
        "{dearer:?}: more than the limits in costs/rig.rs, which are to be kept:\n{told}"
    );
    told
}

#[test]
fn requests_and_chunks_allocate_no_more_than_they_did() {
    let _alone = alone();
    let at = serve(&config());
    let figures: Vec<f64> = stories()
        .enumerate()
        .map(|(number, story)| allocations(&mut Consumer::new(at, number, story)))
        .collect();
    println!(
        "{}",
        judge("allocations", &figures, |limits| limits.allocations)
    );
}
