//! What the process holds: connections, descriptors, memory, and the place where its log goes.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use llmleaf_testkit::binary::Llmleaf;
use llmleaf_testkit::http::{Connection, get, request};
use llmleaf_testkit::replay::{Request, Script};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{LONG, Stage};

use super::corpus::body;
use super::{answer, stage};

const PROGRAM: &str = env!("CARGO_BIN_EXE_llmleaf");

/// The program behind a line of shell, in a folder that goes with it.
struct Wrapped {
    folder: PathBuf,
    path: String,
}

impl Wrapped {
    fn new(name: &str, script: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let folder = std::env::temp_dir().join(format!("llmleaf-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("llmleaf");
        std::fs::write(&path, format!("#!/bin/bash\n{script}\n")).expect("a script");
        let all = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&path, all).expect("it can be run");
        Wrapped {
            path: path.to_str().expect("a plain path").to_owned(),
            folder,
        }
    }
}

impl Drop for Wrapped {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn post(stage: &Stage, wire: Wire) -> Vec<u8> {
    let bearer = stage.bearer();
    let body = wire.request(wire.name(), false);
    request(
        "POST",
        wire.path(),
        &[("authorization", &bearer)],
        body.as_bytes(),
    )
}

/// Does something until it succeeds, for a long time at most.
fn until<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(done) = attempt() {
            return done;
        }
        assert!(started.elapsed() < LONG, "{what}");
    }
}

#[test]
fn d20_beyond_the_most_connections_there_is_health_or_a_503() {
    const MOST: usize = 20;
    let stage = stage().server(&format!("max_connections = {MOST}")).start();
    stage.first.on(|_| answer(Wire::Chat, false));
    let ask = |connection: &mut Connection| {
        connection.send(&post(&stage, Wire::Chat));
        connection.response()
    };
    let mut served: Vec<Connection> = (0..MOST)
        .map(|_| Connection::open(stage.leaf.addr))
        .collect();
    assert!(
        served
            .iter_mut()
            .all(|connection| ask(connection).status == 200)
    );
    for wire in Wire::BOTH {
        let mut beyond = Connection::open(stage.leaf.addr);
        beyond.send(&post(&stage, wire));
        let response = beyond.response();
        let status = if wire == Wire::Messages { 529 } else { 503 };
        assert_eq!(response.status, status, "{wire}: {}", response.text());
        assert!(!wire.read_error(&response).kind.is_empty());
        let wait: u64 = response
            .header("retry-after")
            .and_then(|s| s.parse().ok())
            .expect("a wait");
        assert!((1..10).contains(&wait), "{wait}");
        // The same connection may ask how the node is.
        beyond.send(&request("GET", "/healthz", &[], b""));
        assert_eq!(beyond.response().status, 200);
    }
    let mut flood: Vec<Connection> = (0..200)
        .map(|_| Connection::open(stage.leaf.addr))
        .collect();
    let last = flood.last_mut().expect("many").response();
    assert!([0, 503].contains(&last.status), "{}", last.status);
    assert!(
        served
            .iter_mut()
            .all(|connection| ask(connection).status == 200),
        "those before are served"
    );
    drop(flood);
    drop(served);
    until("places are given back", || {
        let mut connection = Connection::open(stage.leaf.addr);
        (ask(&mut connection).status == 200).then_some(())
    });
}

#[test]
fn i2_near_the_ceiling_of_memory_work_is_turned_away_and_health_is_not() {
    // A ceiling below what the program itself takes.
    let stage = stage().server("memory_limit_mib = 4").start();
    stage.first.on(|_| answer(Wire::Chat, false));
    for (wire, status) in [(Wire::Chat, 503), (Wire::Messages, 529)] {
        let refused = until("memory is looked at", || {
            let mut connection = Connection::open(stage.leaf.addr);
            connection.send(&post(&stage, wire));
            let response = connection.response();
            (response.status != 200).then_some(response)
        });
        assert_eq!(refused.status, status, "{}", refused.text());
        assert!(refused.header("retry-after").is_some());
    }
    assert_eq!(get(stage.leaf.addr, "/healthz", &[]).status, 200);
    assert_eq!(get(stage.leaf.addr, "/readyz", &[]).status, 200);
}

#[test]
fn i3_too_few_open_files_are_an_error_at_start() {
    let few = Wrapped::new("few", &format!("ulimit -n 60; exec {PROGRAM} \"$@\""));
    let config = "[server]\nlisten = \"127.0.0.1:0\"\n";
    let (status, _, told) = Llmleaf::with_config(&few.path, config).run();
    assert!(!status.success() && told.contains("ulimit -n"), "{told}");
    let some = Wrapped::new("some", &format!("ulimit -n 300; exec {PROGRAM} \"$@\""));
    let config = "[server]\nlisten = \"127.0.0.1:0\"\nmax_connections = 4000\n";
    let (status, _, told) = Llmleaf::with_config(&some.path, config).run();
    assert!(!status.success() && told.contains("4000"), "{told}");
}

/// Sets the limit of open files of the running program; `false` where the system has no command for it.
fn limit_files(stage: &Stage, most: usize) -> bool {
    let pid = stage.leaf.pid().to_string();
    // The hard limit stays, so that it can be raised again by anybody.
    let limit = format!("--nofile={most}:");
    let set = Command::new("prlimit")
        .args(["--pid", &pid, &limit])
        .output();
    set.is_ok_and(|output| output.status.success())
}

#[test]
fn i3_without_descriptors_nothing_is_blamed_on_a_provider_and_all_recovers() {
    let stage = stage().instead("fallback_cooldown_secs", "3600").start();
    stage.first.on(|_| answer(Wire::Chat, false));
    stage.second.on(|_| answer(Wire::Chat, false));
    let mut connection = Connection::open(stage.leaf.addr);
    connection.send(&request("GET", "/healthz", &[], b""));
    assert_eq!(connection.response().status, 200);
    // What is open stays open; nothing more can be.
    if !limit_files(&stage, 1) {
        println!("skipped: no prlimit here");
        return;
    }
    for _ in 0..3 {
        connection.send(&post(&stage, Wire::Chat));
        let response = connection.response();
        assert_eq!(response.status, 503, "{}", response.text());
        connection.send(&request("GET", "/healthz", &[], b""));
        assert_eq!(connection.response().status, 200, "health is answered");
    }
    assert_eq!(
        stage.first.connections().len() + stage.second.connections().len(),
        0
    );
    // Connections wait to be accepted until there are descriptors again.
    let mut waiting: Vec<Connection> = (0..8).map(|_| Connection::open(stage.leaf.addr)).collect();
    for one in &mut waiting {
        one.send(&request("GET", "/healthz", &[], b""));
    }
    let accepting = |line: &str| line.contains("cannot accept");
    assert!(stage.leaf.wait_lines(1, LONG, accepting).is_some());
    assert!(limit_files(&stage, 1000));
    let recovered = Instant::now();
    assert!(waiting.iter_mut().all(|one| one.response().status == 200));
    assert!(recovered.elapsed() < Duration::from_secs(5));
    connection.send(&post(&stage, Wire::Chat));
    assert_eq!(connection.response().status, 200);
    assert_eq!(
        stage.first.connections().len(),
        1,
        "the first provider was never the one to blame"
    );
    assert_eq!(stage.second.connections().len(), 0);
}

#[test]
fn i10_a_log_that_nobody_reads_keeps_nobody_waiting() {
    for (name, reader) in [
        // It reads the line that says where the program listens, and then nothing, or goes. Nobody waits for the end of it.
        (
            "blocked",
            "(read -r line; echo \"$line\" >&2; exec sleep 40 >&- 2>&-)",
        ),
        ("closed", "(read -r line; echo \"$line\" >&2)"),
    ] {
        let wrapped = Wrapped::new(name, &format!("exec {PROGRAM} \"$@\" 2> >{reader}"));
        let stage = Stage::with(&wrapped.path).start();
        stage.first.on(|_| answer(Wire::Chat, false));
        let mut connection = Connection::open(stage.leaf.addr);
        // Some 600 bytes of record each: more than a pipe holds.
        for number in 0..400 {
            connection.send(&post(&stage, Wire::Chat));
            assert_eq!(connection.response().status, 200, "{name}, {number}");
        }
    }
}

#[test]
fn i13_when_an_upstream_comes_back_its_consumers_are_served_at_once() {
    const CONSUMERS: usize = 16;
    let stage = stage().start();
    let down = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let is_down = std::sync::Arc::clone(&down);
    let decide = move |_: &Request| {
        if is_down.load(std::sync::atomic::Ordering::Relaxed) {
            Script::json(503, Wire::Chat.error("overloaded_error", "down"))
        } else {
            answer(Wire::Chat, false)
        }
    };
    stage.first.on(decide.clone());
    stage.second.on(decide);
    let mut consumers: Vec<Connection> = (0..CONSUMERS)
        .map(|_| Connection::open(stage.leaf.addr))
        .collect();
    let before = stage.leaf.resident_kib();
    for _ in 0..10 {
        for consumer in &mut consumers {
            consumer.send(&post(&stage, Wire::Chat));
        }
        for consumer in &mut consumers {
            assert!(consumer.response().status >= 429);
        }
    }
    down.store(false, std::sync::atomic::Ordering::Relaxed);
    let back = Instant::now();
    for consumer in &mut consumers {
        until("it is served again", || {
            consumer.send(&post(&stage, Wire::Chat));
            (consumer.response().status == 200).then_some(())
        });
    }
    assert!(
        back.elapsed() < Duration::from_secs(10),
        "{:?}",
        back.elapsed()
    );
    let grown = stage
        .leaf
        .resident_kib()
        .zip(before)
        .map(|(now, before)| now.saturating_sub(before));
    assert!(grown < Some(16 << 10), "{grown:?} KiB");
}

#[test]
fn i5_health_is_answered_while_bodies_are_read() {
    let stage = stage().start();
    stage.first.on(|_| answer(Wire::Chat, false));
    let bearer = stage.bearer();
    let long = body("outer").replace("outer", &"x".repeat(2 << 20));
    let mut busy: Vec<Connection> = (0..8).map(|_| Connection::open(stage.leaf.addr)).collect();
    for connection in &mut busy {
        let headers = [("authorization", bearer.as_str())];
        connection.send(&request(
            "POST",
            "/v1/chat/completions",
            &headers,
            long.as_bytes(),
        ));
    }
    let started = Instant::now();
    assert_eq!(get(stage.leaf.addr, "/healthz", &[]).status, 200);
    println!("health after {:?}", started.elapsed());
    assert!(
        busy.iter_mut()
            .all(|connection| connection.response().status == 200)
    );
}
