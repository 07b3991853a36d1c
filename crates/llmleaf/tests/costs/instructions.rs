//! Instructions, counted by callgrind: of the program that the tests have, which is not optimised, and of a release build where there is one.

use super::rig::{Consumer, config, stories};
use super::{alone, judge};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use llmleaf_testkit::binary::Llmleaf;
use llmleaf_testkit::http::{Connection, request};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Exchanges before the first that counts, and those of one count: of a release build, and of the tests' own, which takes ten times as long.
const RELEASE: (usize, usize) = (50, 40);
const UNOPTIMISED: (usize, usize) = (6, 4);
/// Counts of each, of which the smallest counts: what else a process does meanwhile only adds.
const COUNTS: usize = 3;

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
        .env("MIMALLOC_ARENA_PURGE_MULT", "0")
        // callgrind counts a repeated instruction once per byte: large copies are to be made without.
        .env("GLIBC_TUNABLES", "glibc.cpu.x86_rep_stosb_threshold=0x7fffffffffff:glibc.cpu.x86_rep_movsb_threshold=0x7fffffffffff")
        .start_timeout(Duration::from_secs(120))
        .start()
}

/// Thousands of instructions in user space of an exchange of each of the stories.
fn thousands(program: &str, (warm_up, exchanges): (usize, usize)) -> Vec<f64> {
    let leaf = counted(program, &config());
    let count = |(number, story)| {
        let mut consumer = Consumer::new(leaf.addr, number, story);
        (0..warm_up).for_each(|_| consumer.ask());
        let counts = (1..=COUNTS).map(|count| {
            control("-z", leaf.pid());
            (0..exchanges).for_each(|_| consumer.ask());
            control("-d", leaf.pid());
            total(leaf.folder(), number * COUNTS + count)
        });
        counts.fold(f64::INFINITY, f64::min) / exchanges as f64 / 1000.0
    };
    stories().enumerate().map(count).collect()
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
    let _alone = alone();
    let leaf = counted(&program(), &config);
    // Each password is another one, so that none is known to be wrong; and as long.
    let ask = |pair: &str, from: usize| {
        for number in from..from + RELEASE.1 {
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
            total(leaf.folder(), dumps) / RELEASE.1 as f64
        });
        println!("{known:.0} instructions of a wrong password, {unknown:.0} of an unknown id");
        assert!((known / unknown - 1.0).abs() < 0.01, "{known} {unknown}");
    }
}

#[test]
#[ignore = "needs valgrind and a release build: CONTRIBUTING.md says how"]
fn requests_and_chunks_take_no_more_instructions_than_they_did() {
    let _alone = alone();
    let figures = thousands(&program(), RELEASE);
    let what = "thousands of instructions of a release build";
    println!("{}", judge(what, &figures, |limits| limits.instructions));
}

/// Coarser than a release build's: what a compiler would have taken out is counted here, too. What reads or copies something once more is
/// seen all the same.
#[test]
fn unoptimised_requests_and_chunks_take_no_more_instructions_than_they_did() {
    if !cfg!(target_arch = "x86_64") || Command::new("valgrind").arg("--version").output().is_err()
    {
        eprintln!("skipped: instructions are counted by valgrind, on x86-64");
        return;
    }
    let _alone = alone();
    let figures = thousands(env!("CARGO_BIN_EXE_llmleaf"), UNOPTIMISED);
    let what = "thousands of instructions, not optimised";
    println!("{}", judge(what, &figures, |limits| limits.unoptimised));
}
