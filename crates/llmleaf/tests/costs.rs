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

use rig::{Case, Consumer, SCENARIOS, Scenario, config};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::net::SocketAddr;
use std::sync::mpsc;

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

/// Within five parts of a hundred. What is counted once in many exchanges (a table that grows) is no cost of a chunk.
pub fn fit(figure: f64, limit: f64) -> bool {
    figure <= limit * 1.05 + 0.02
}

#[test]
fn requests_and_chunks_allocate_no_more_than_they_did() {
    let (short, long) = (Case::with_chunks(10), Case::with_chunks(110));
    let cases = SCENARIOS.iter().map(|scenario| {
        let [one, other] = [short, long].map(|case| {
            let at = serve(&config(scenario, case));
            allocations(&mut Consumer::new(at, scenario, case))
        });
        (scenario, one, (other - one) / 100.0)
    });
    let mut told = String::new();
    let mut fits = true;
    for (Scenario { name, limits, .. }, request, chunk) in cases {
        told += &format!("{name}: {request:.1} a request, {chunk:.2} a chunk\n");
        fits &= fit(request, limits.allocations) && fit(chunk, limits.allocations_of_chunk);
    }
    println!("{told}");
    assert!(fits, "more than the limits in costs/rig.rs:\n{told}");
}
