//! Instructions, counted by callgrind in a release build of the program.

use super::fit;
use super::rig::{Case, Consumer, SCENARIOS, Scenario, config};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use llmleaf_testkit::binary::Llmleaf;
use llmleaf_testkit::http::{Connection, request};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const WARM_UP: usize = 50;
const EXCHANGES: usize = 100;

/// The program under callgrind.
fn counted(program: &str, config: &str) -> Llmleaf {
    Llmleaf::with_config("valgrind", config)
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
        .start()
}

/// Thousands of instructions in user space of one exchange.
fn thousands(program: &str, scenario: &Scenario, case: Case) -> f64 {
    let leaf = counted(program, &config(scenario, case));
    let mut consumer = Consumer::new(leaf.addr, scenario, case);
    (0..WARM_UP).for_each(|_| consumer.ask());
    control("-z", leaf.pid());
    (0..EXCHANGES).for_each(|_| consumer.ask());
    control("-d", leaf.pid());
    total(leaf.folder(), 1) / EXCHANGES as f64 / 1000.0
}

fn control(what: &str, pid: u32) {
    let mut command = Command::new("callgrind_control");
    let done = command.args([what, &pid.to_string()]).output();
    assert!(done.expect("callgrind_control").status.success());
}

/// What a dump counted.
fn total(folder: &Path, number: usize) -> f64 {
    let dump = std::fs::read_to_string(folder.join(format!("counted.{number}"))).expect("a dump");
    let totals = dump.lines().find_map(|line| line.strip_prefix("totals: "));
    totals.and_then(|count| count.parse().ok()).expect("totals")
}

#[expect(
    clippy::disallowed_methods,
    reason = "which program it is about is up to whoever runs it"
)]
fn program() -> String {
    std::env::var("LLMLEAF_BIN").expect("LLMLEAF_BIN is a release build's path")
}

/// Of every kind of credential: who asks for a key that is not there learns nothing from how long the answer takes.
#[test]
#[ignore = "needs valgrind and a release build: CONTRIBUTING.md says how"]
fn f2_an_unknown_id_costs_what_a_wrong_password_does() {
    // "known" has a password, whose hash is cheap here, and "random" a random key.
    let keys = "[[keys]]\nid = \"known\"\npw_hash = \"$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO\"\n\
                [[keys]]\nid = \"random\"\npw_hash = '$llk$sha256$BRAzf4gpbamV6RvI5rndWnZifSt1iT7HGoOeAkePAU0'\n";
    let config = format!("[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\n{keys}");
    let leaf = counted(&program(), &config);
    // Each password is another one, so that none is known to be wrong; and as long.
    let ask = |pair: &str, from: usize| {
        for number in from..from + EXCHANGES {
            let pair = pair.replace("NNNN", &format!("{number:04}"));
            let basic = format!("Basic {}", STANDARD.encode(&pair));
            let headers = [("authorization", basic.as_str())];
            let mut line = Connection::open_unwatched(leaf.addr);
            line.send(&request("GET", "/v1/models", &headers, b""));
            assert_eq!(line.response().status, 401, "{pair}");
        }
    };
    let pairs = [
        ("known:wrong-NNNN", "nobod:wrong-NNNN"),
        (
            "random:llk_random_Vl9DkcwD6qKHX1ZsrErVV0gw0MpNNNN",
            "nobody:llk_nobody_Vl9DkcwD6qKHX1ZsrErVV0gw0MpNNNN",
        ),
    ];
    let mut dumps = 0;
    for (known, unknown) in pairs {
        let [known, unknown] = [known, unknown].map(|pair| {
            ask(pair, 1000);
            control("-z", leaf.pid());
            ask(pair, 2000);
            control("-d", leaf.pid());
            dumps += 1;
            total(leaf.folder(), dumps) / EXCHANGES as f64
        });
        println!("{known:.0} instructions of a wrong password, {unknown:.0} of an unknown id");
        assert!((known / unknown - 1.0).abs() < 0.01, "{known} {unknown}");
    }
}

#[test]
#[ignore = "needs valgrind and a release build: CONTRIBUTING.md says how"]
fn requests_and_chunks_take_no_more_instructions_than_they_did() {
    let program = program();
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
