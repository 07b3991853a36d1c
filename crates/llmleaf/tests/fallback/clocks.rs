//! Each of the five clocks runs out on the first provider, and the second one answers. A clock's own length is the
//! only wait.

use llmleaf_testkit::replay::{Gate, Script};
use llmleaf_testkit::samples::Wire;

use super::{stage, survives};

const CLOCK: &str = "upstream_timeout";

#[test]
fn the_connect_clock_covers_the_handshake() {
    // The provider takes the connection and never says a word of TLS.
    let port = llmleaf_testkit::replay::Replay::start();
    let stage = stage()
        .first_at(&port.url().replace("http:", "https:"))
        .first("timeouts = { connect_ms = 150 }")
        .start();
    for pair in Wire::PAIRS {
        survives(&stage, pair, true, CLOCK, "connect");
    }
}

#[test]
fn b5_the_headers_clock() {
    let stage = stage().first("timeouts = { headers_ms = 150 }").start();
    for pair in Wire::PAIRS {
        for stream in [true, false] {
            stage.first.push(Script::silent());
            survives(&stage, pair, stream, CLOCK, "headers");
        }
    }
}

#[test]
fn b6_the_first_content_clock_is_not_moved_by_lifecycle_events() {
    let stage = stage()
        .first("timeouts = { first_content_ms = 150 }")
        .start();
    for pair in Wire::PAIRS {
        let answer = pair.1.stream("first answer");
        stage.first.push(Script::sse(answer.body()).stall_at(0));
        survives(&stage, pair, true, CLOCK, "only a head");
        stage
            .first
            .push(Script::sse(answer.body()).stall_at(answer.head().len()));
        survives(&stage, pair, true, CLOCK, "lifecycle events");
    }
}

#[test]
fn the_idle_clock_before_content() {
    let stage = stage().first("timeouts = { idle_ms = 150 }").start();
    for pair in Wire::PAIRS {
        let answer = pair.1.stream("first answer");
        stage
            .first
            .push(Script::sse(answer.body()).stall_at(answer.head().len()));
        survives(&stage, pair, true, CLOCK, "idle");
        let whole = pair.1.whole("first answer");
        stage.first.push(Script::json(200, whole).stall_at(30));
        survives(&stage, pair, false, CLOCK, "idle in a whole body");
    }
}

#[test]
fn the_total_clock() {
    let stage = stage().first("timeouts = { total_ms = 150 }").start();
    for pair in Wire::PAIRS {
        stage.first.push(Script::silent());
        survives(&stage, pair, true, CLOCK, "total");
    }
}

#[test]
fn the_total_clock_of_a_chain_runs_anew_for_each_attempt() {
    let stage = stage().route("timeouts = { total_ms = 1000 }").start();
    stage.first.push(Script::silent());
    survives(
        &stage,
        (Wire::Chat, Wire::Chat),
        true,
        CLOCK,
        "total of the chain",
    );
}

#[test]
fn a_route_s_clock_counts_before_its_provider_s() {
    let stage = stage()
        .first("timeouts = { headers_ms = 100000 }")
        .route("timeouts = { headers_ms = 200 }")
        .start();
    let gate = Gate::new();
    stage.first.push(Script::silent().hold_head(&gate));
    survives(
        &stage,
        (Wire::Chat, Wire::Chat),
        true,
        CLOCK,
        "the route's clock",
    );
}
