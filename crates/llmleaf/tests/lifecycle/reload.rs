//! Another configuration while the program runs: it takes effect as a whole, or not at all.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use llmleaf_testkit::binary::Llmleaf;
use llmleaf_testkit::http::{End, get};
use llmleaf_testkit::json::Value;
use llmleaf_testkit::replay::{Gate, Script};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{LONG, Setup, Stage};

use super::{answer, stage};

const ADMIN: (&str, &str) = ("x-admin-token", "canary-admin-token-Zx81");

/// Nothing is looked after unless a test wants it.
fn quiet() -> Setup {
    stage().server(&format!("admin_token = \"{}\"\nwatch_secs = 0", ADMIN.1))
}

fn reloaded(line: &str) -> bool {
    line.contains("configuration reloaded")
}

fn refused(line: &str) -> bool {
    line.contains("configuration refused")
}

/// Puts a configuration in place, asks for a reload, and waits for the log line that tells of it.
#[track_caller]
fn reload(stage: &Stage, text: &str, told: impl Fn(&str) -> bool) -> String {
    stage.leaf.write_config(text);
    ask(stage, told)
}

#[track_caller]
fn ask(stage: &Stage, told: impl Fn(&str) -> bool) -> String {
    let before = stage.leaf.log().iter().filter(|line| told(line)).count();
    stage.leaf.signal("HUP");
    let lines = stage.leaf.wait_lines(before + 1, LONG, &told);
    let line = lines.and_then(|lines| lines.get(before).cloned());
    line.expect("the reload is told")
}

fn shown(stage: &Stage) -> Value {
    let health = get(stage.leaf.addr, "/admin/health", &[ADMIN]).json();
    health.get("config").cloned().expect("a configuration")
}

#[test]
fn g8_a_good_configuration_takes_effect_and_running_streams_keep_theirs() {
    let stage = quiet().start();
    let gate = Gate::new();
    let stream = Wire::Messages.stream("first answer");
    let at = stream.until(1).len();
    stage
        .first
        .push(Script::sse(stream.body()).hold_at(at, &gate));
    let mut running = stage.ask(Wire::Messages, "messages", true);
    running.connection.read_to("first ");
    let text = stage
        .config
        .replace("model = \"messages\"", "model = \"extra\"")
        .replace("canary-admin-token-Zx81", "canary-admin-token-Zx82");
    let line = reload(&stage, &text, reloaded);
    for part in [
        "server changed: admin_token",
        "route `extra` added",
        "route `messages` removed",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(!line.contains("canary"), "{line}");
    assert_eq!(stage.post(Wire::Messages, "messages", true).1.status, 404);
    stage.first.push(answer(Wire::Messages, "first answer"));
    let (_, response) = stage.post(Wire::Messages, "extra", true);
    assert_eq!(Wire::Messages.read(&response).text(), "first answer");
    assert_eq!(get(stage.leaf.addr, "/admin/health", &[ADMIN]).status, 401);
    gate.release();
    let response = running.connection.response();
    assert_eq!(response.end, End::Clean);
    assert_eq!(Wire::Messages.read(&response).text(), "first answer");
}

#[test]
fn g8_a_bad_configuration_changes_nothing() {
    let limits = "limits = { requests_per_min = 1000 }\n";
    let stage = quiet().first(limits).start();
    let half = &stage.config[..stage.config.len() / 2 + 7];
    let bad = [
        stage
            .config
            .replace("kind = \"anthropic\"", "kind = \"antropic\""),
        format!("{half}\n[[rout"),
        stage.config.replace("workers", "wrokers"),
        stage.config.replace(
            "kind = \"openai\"",
            "kind = \"openai\"\nca_file = \"absent.pem\"",
        ),
        stage.config.replace(
            "workers",
            "tls = { cert = \"absent\", key = \"absent\" }\nworkers",
        ),
        // An address that is not this machine's (RFC 5737), and a limit that the next request would not keep.
        stage
            .config
            .replace("127.0.0.1:0", "192.0.2.1:0")
            .replace("min = 1000", "min = 1"),
    ];
    for text in &bad {
        reload(&stage, text, refused);
        stage.first.push(answer(Wire::Chat, "first answer"));
        let (_, response) = stage.post(Wire::Chat, "chat", true);
        assert_eq!(Wire::Chat.read(&response).text(), "first answer");
        let shown = shown(&stage);
        assert_eq!(shown.u64_at(&["generation"]), Some(1));
        let last = shown.get("last_reload").expect("a reload");
        assert!(last.get("refused").is_some_and(Value::is_truthy));
        assert!(!last.elements_at(&["told"]).is_empty());
    }
    let log = stage.leaf.log().join("\n");
    assert!(log.contains("did you mean `anthropic`?"), "{log}");
    assert!(log.contains("line 3: unknown key `wrokers`"), "{log}");
    assert!(log.contains("  |  "), "carets: {log}");
    std::fs::remove_file(stage.leaf.config_path()).expect("removed");
    let line = ask(&stage, refused);
    assert!(line.contains("no such file"), "{line}");
    // And back: with nothing changed since the start.
    let line = reload(&stage, &stage.config, reloaded);
    assert!(line.contains("nothing changed"), "{line}");
    assert_eq!(shown(&stage).u64_at(&["generation"]), Some(2));
}

#[test]
fn g8_files_are_looked_after() {
    let stage = stage()
        .server("watch_secs = 1")
        .first("ca_file = \"ca.pem\"\n")
        .file("ca.pem", &super::crypto::Authority::new().pem)
        .start();
    stage
        .leaf
        .write_config(&stage.config.replace("\"messages\"", "\"extra\""));
    let told = stage.leaf.wait_lines(1, LONG, reloaded).expect("reloaded");
    assert!(told[0].contains("route `extra` added"), "{}", told[0]);
    // A file that the configuration names, by a link that is turned as Kubernetes does.
    let (ca, other) = (
        stage.leaf.folder().join("ca.pem"),
        stage.leaf.folder().join("other.pem"),
    );
    std::fs::write(&other, super::crypto::Authority::new().pem).expect("written");
    let turned = stage.leaf.folder().join("turned");
    std::os::unix::fs::symlink(other, &turned).expect("linked");
    std::fs::rename(turned, ca).expect("turned");
    let told = stage.leaf.wait_lines(2, LONG, reloaded).expect("reloaded");
    assert!(told[1].contains("another way"), "{}", told[1]);
    stage.leaf.write_config("[server");
    assert!(stage.leaf.wait_lines(1, LONG, refused).is_some());
}

#[test]
fn g8_services_that_stay_keep_health_and_connections() {
    let stage = quiet().instead("fallback_cooldown_secs", "600").start();
    let fails = || Script::json(500, Wire::Chat.error("server_error", "down"));
    for _ in 0..3 {
        stage.first.push(fails());
        stage.second.push(answer(Wire::Chat, "second"));
        assert_eq!(stage.post(Wire::Chat, "chat", true).1.status, 200);
    }
    let asked = stage.first.requests().len();
    let text = stage.config.replace("keepalive", "x")
        + "[[providers]]\nname = \"more\"\nkind = \"echo\"\nprefix = \"more\"\n";
    let line = reload(&stage, &text, reloaded);
    assert!(line.contains("provider `more` added"), "{line}");
    stage.second.push(answer(Wire::Chat, "second"));
    let (_, response) = stage.post(Wire::Chat, "chat", true);
    assert_eq!(Wire::Chat.read(&response).text(), "second");
    assert_eq!(
        stage.first.requests().len(),
        asked,
        "it is still passed over"
    );
    assert_eq!(
        stage.second.connections().len(),
        1,
        "the connection is kept"
    );
    // Another credential may mend it, so it is tried anew.
    let text = text.replace("sk-canary-Zx81first", "sk-canary-Zx81third");
    let line = reload(&stage, &text, reloaded);
    assert!(
        line.contains("provider `chat-first` changed: credential"),
        "{line}"
    );
    assert!(!line.contains("canary"), "{line}");
    stage.first.push(answer(Wire::Chat, "first"));
    let (_, response) = stage.post(Wire::Chat, "chat", true);
    assert_eq!(Wire::Chat.read(&response).text(), "first");
    let sent = stage.first.requests();
    let sent = sent
        .last()
        .and_then(|request| request.header("authorization"));
    assert_eq!(sent, Some("Bearer sk-canary-Zx81third"));
}

#[test]
fn g8_a_key_that_changed_opens_nothing() {
    let stage = quiet().start();
    let exe = env!("CARGO_BIN_EXE_llmleaf");
    let (_, table, _) = Llmleaf::with_config(exe, "")
        .args(&["key", "new", "--id", "stage"])
        .run();
    let other = table.lines().find(|line| line.starts_with("pw_hash"));
    let own = stage
        .config
        .lines()
        .find(|line| line.starts_with("pw_hash"));
    let (own, other) = (own.expect("a hash"), other.expect("a hash"));
    stage.first.on(|_| answer(Wire::Chat, "first answer"));
    assert_eq!(stage.post(Wire::Chat, "chat", true).1.status, 200);
    let line = reload(&stage, &stage.config.replace(own, other), reloaded);
    assert!(line.contains("key `stage` changed: pw_hash"), "{line}");
    assert_eq!(stage.post(Wire::Chat, "chat", true).1.status, 401);
    reload(&stage, &stage.config, reloaded);
    assert_eq!(stage.post(Wire::Chat, "chat", true).1.status, 200);
    let narrow = stage
        .config
        .replace(own, &format!("{own}\nallowed_models = [\"messages\"]"));
    reload(&stage, &narrow, reloaded);
    assert_eq!(stage.post(Wire::Chat, "chat", true).1.status, 403);
}

#[test]
fn g8_what_a_key_has_used_stays_used() {
    let limits = "limits = { requests_per_min = 3, max_concurrent = 1 }\n";
    let stage = quiet().key(limits).start();
    let wire = Wire::Chat;
    let gate = Gate::new();
    stage
        .first
        .push(answer(wire, "first answer").hold_head(&gate));
    let mut running = stage.ask(wire, "chat", true);
    assert!(gate.wait_reached(LONG));
    // Refused as a whole: nobody is held to its limits.
    let bad = stage.config.replace("127.0.0.1:0", "192.0.2.1:0");
    reload(
        &stage,
        &bad.replace("concurrent = 1", "concurrent = 5"),
        refused,
    );
    let (_, response) = stage.post(wire, "chat", true);
    assert_eq!(response.status, 429, "one runs: {}", response.text());
    let other = stage.config.replace("\"messages\"", "\"extra\"");
    reload(&stage, &other, reloaded);
    let (_, response) = stage.post(wire, "chat", true);
    assert_eq!(response.status, 429, "one runs: {}", response.text());
    reload(
        &stage,
        &other.replace("concurrent = 1", "concurrent = 5"),
        reloaded,
    );
    stage.first.push(answer(wire, "first answer"));
    assert_eq!(stage.post(wire, "chat", true).1.status, 200);
    gate.release();
    assert_eq!(running.connection.response().status, 200);
    reload(&stage, &other.replace("min = 3", "min = 2"), reloaded);
    let (_, response) = stage.post(wire, "chat", true);
    assert_eq!(response.status, 429, "two were used: {}", response.text());
}

#[test]
fn g10_another_address_is_opened_and_the_old_one_closed() {
    let stage = quiet().instead("workers", "2").start();
    let gate = Gate::new();
    let stream = Wire::Chat.stream("first answer");
    let at = stream.until(1).len();
    stage
        .first
        .push(Script::sse(stream.body()).hold_at(at, &gate));
    let mut running = stage.ask(Wire::Chat, "chat", true);
    running.connection.read_to("first ");
    let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
    let free: SocketAddr = free.expect("a free port");
    let text = stage.config.replace("127.0.0.1:0", &free.to_string());
    let line = reload(&stage, &text, reloaded);
    assert!(line.contains("server changed: listen"), "{line}");
    assert_eq!(get(free, "/healthz", &[]).status, 200);
    // Each worker closes the old one by itself.
    while TcpStream::connect(stage.leaf.addr).is_ok() {
        std::thread::yield_now();
    }
    gate.release();
    let response = running.connection.response();
    assert_eq!(Wire::Chat.read(&response).text(), "first answer");
    // An address that is taken refuses the whole.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken_at = taken.local_addr().expect("its address").to_string();
    let text = text.replace(&free.to_string(), &taken_at);
    let line = reload(&stage, &text, refused);
    assert!(line.contains(&taken_at), "{line}");
    assert_eq!(get(free, "/healthz", &[]).status, 200);
}

#[test]
fn what_wants_a_restart_is_named() {
    let stage = quiet().start();
    let text = stage.config.replace("workers = 1", "workers = 3");
    reload(&stage, &text, reloaded);
    let told = stage
        .leaf
        .wait_lines(1, LONG, |line| line.contains("only after a restart"));
    assert!(told.expect("told")[0].contains("server.workers"));
    let names = shown(&stage);
    let names = names.elements_at(&["last_reload", "wants_restart"]);
    assert_eq!(
        names.first().and_then(Value::as_str),
        Some("server.workers")
    );
}

/// How often it is reloaded under load; `LLMLEAF_RELOADS=1000` is the full size.
fn reloads() -> usize {
    let set = llmleaf_config::environment::var("LLMLEAF_RELOADS");
    set.and_then(|text| text.parse().ok()).unwrap_or(20)
}

#[test]
fn g8_reloads_under_load_fail_no_request() {
    const GROWTH_KIB: u64 = 16 * 1024;
    let stage = quiet().instead("workers", "2").start();
    stage.first.on(|_| answer(Wire::Chat, "first answer"));
    let other = stage.config.replace("\"messages\"", "\"extra\"")
        + "[[providers]]\nname = \"more\"\nkind = \"echo\"\nprefix = \"more\"\n";
    let (done, served, failed) = (
        AtomicBool::new(false),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    let (mut early, mut late) = (0, 0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let (_, response) = stage.post(Wire::Chat, "chat", true);
                    let whole = response.end == End::Clean
                        && Wire::Chat.read(&response).text() == "first answer";
                    served.fetch_add(1, Ordering::Relaxed);
                    failed.fetch_add(usize::from(!whole), Ordering::Relaxed);
                }
            });
        }
        for round in 0..reloads() {
            let text = if round % 2 == 0 {
                &other
            } else {
                &stage.config
            };
            // What was logged before is of no use, and would be looked through for every line.
            let _ = stage.leaf.take_log();
            stage.leaf.write_config(text);
            stage.leaf.signal("HUP");
            let generation = format!("\"generation\":{}", round + 2);
            let told = |line: &str| reloaded(line) && line.contains(&generation);
            assert!(stage.leaf.wait_lines(1, LONG, told).is_some(), "{round}");
            if round == reloads() / 5 {
                early = stage.leaf.resident_kib().unwrap_or(0);
            }
        }
        late = stage.leaf.resident_kib().unwrap_or(0);
        done.store(true, Ordering::Relaxed);
    });
    let (served, failed) = (served.into_inner(), failed.into_inner());
    println!(
        "{} reloads, {served} requests, {failed} failed; resident {early} KiB after a fifth, {late} KiB at the end",
        reloads()
    );
    assert!(served > 0);
    assert_eq!(failed, 0, "of {served}");
    assert!(late <= early + GROWTH_KIB, "{early} KiB grew to {late} KiB");
}
