//! The program and its connections: starting, reloading, its controller, who is asked before something goes on, stopping, TLS, the ways to providers, what is counted, credentials that are minted, panics, two workers, pipelining, half-closed connections, HTTP/2.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "lifecycle/connections.rs"]
mod connections;
#[path = "lifecycle/control.rs"]
mod control;
#[path = "lifecycle/crypto.rs"]
mod crypto;
#[path = "lifecycle/events.rs"]
mod events;
#[path = "lifecycle/handover.rs"]
mod handover;
#[path = "lifecycle/http2.rs"]
mod http2;
#[path = "lifecycle/intercept.rs"]
mod intercept;
#[path = "lifecycle/large.rs"]
mod large;
#[path = "lifecycle/metrics.rs"]
mod metrics;
#[path = "lifecycle/minting.rs"]
mod minting;
#[path = "lifecycle/panics.rs"]
mod panics;
#[path = "lifecycle/reload.rs"]
mod reload;
#[path = "lifecycle/soak.rs"]
mod soak;
#[path = "lifecycle/starting.rs"]
mod starting;
#[path = "lifecycle/steady.rs"]
mod steady;
#[path = "lifecycle/stopping.rs"]
mod stopping;
#[path = "lifecycle/tls.rs"]
mod tls;
#[path = "lifecycle/usage.rs"]
mod usage;
#[path = "lifecycle/ways.rs"]
mod ways;

use llmleaf_testkit::replay::Script;
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{Setup, Stage};

fn stage() -> Setup {
    Stage::with(env!("CARGO_BIN_EXE_llmleaf"))
}

/// A streamed answer of good words.
fn answer(wire: Wire, text: &str) -> Script {
    Script::sse(wire.stream(text).body())
}
