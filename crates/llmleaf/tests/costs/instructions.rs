//! Instructions, counted by callgrind in a release build of the program.

use super::fit;
use super::rig::{Case, Consumer, SCENARIOS, Scenario, config};
use llmleaf_testkit::binary::Llmleaf;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const WARM_UP: usize = 50;
const EXCHANGES: usize = 100;

/// Thousands of instructions in user space of one exchange.
fn thousands(program: &str, scenario: &Scenario, case: Case) -> f64 {
    let leaf = Llmleaf::with_config("valgrind", &config(scenario, case))
        .args(&[
            "--tool=callgrind",
            "--callgrind-out-file=counted",
            "--log-file=/dev/null",
            program,
            "{config}",
        ])
        .env("LLMLEAF_LOG", "warn,llmleaf::command=info")
        // Else it begins anew, where valgrind does not follow.
        .env("MIMALLOC_GENERIC_COLLECT", "1000")
        .env("MIMALLOC_ALLOW_THP", "0")
        // callgrind counts a repeated instruction once per byte: large copies are to be made without.
        .env("GLIBC_TUNABLES", "glibc.cpu.x86_rep_stosb_threshold=0x7fffffffffff:glibc.cpu.x86_rep_movsb_threshold=0x7fffffffffff")
        .start_timeout(Duration::from_secs(120))
        .start();
    let mut consumer = Consumer::new(leaf.addr, scenario, case);
    (0..WARM_UP).for_each(|_| consumer.ask());
    control("-z", leaf.pid());
    (0..EXCHANGES).for_each(|_| consumer.ask());
    control("-d", leaf.pid());
    total(leaf.folder()) / EXCHANGES as f64 / 1000.0
}

fn control(what: &str, pid: u32) {
    let mut command = Command::new("callgrind_control");
    let done = command.args([what, &pid.to_string()]).output();
    assert!(done.expect("callgrind_control").status.success());
}

/// What the first dump counted.
fn total(folder: &Path) -> f64 {
    let dump = std::fs::read_to_string(folder.join("counted.1")).expect("a dump");
    let totals = dump.lines().find_map(|line| line.strip_prefix("totals: "));
    totals.and_then(|count| count.parse().ok()).expect("totals")
}

#[test]
#[ignore = "needs valgrind and a release build: CONTRIBUTING.md says how"]
fn requests_and_chunks_take_no_more_instructions_than_they_did() {
    #[expect(
        clippy::disallowed_methods,
        reason = "which program it is about is up to whoever runs it"
    )]
    let program = std::env::var("LLMLEAF_BIN").expect("LLMLEAF_BIN is a release build's path");
    let (short, long) = (Case::with_chunks(10), Case::with_chunks(110));
    let mut told = String::new();
    let mut fits = true;
    for scenario in &SCENARIOS {
        let [request, other] = [short, long].map(|case| thousands(&program, scenario, case));
        let (chunk, limits) = ((other - request) / 100.0, &scenario.limits);
        told += &format!(
            "{}: {request:.1} a request, {chunk:.2} a chunk\n",
            scenario.name
        );
        fits &= fit(request, limits.instructions) && fit(chunk, limits.instructions_of_chunk);
    }
    println!("thousands of instructions\n{told}");
    assert!(fits, "more than the limits in costs/rig.rs:\n{told}");
}
