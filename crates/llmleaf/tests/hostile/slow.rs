//! Consumers that are slow on purpose: heads, bodies and readers that go on for ever. A hundred of each in the usual run;
//! `LLMLEAF_SLOW=2000` has as many, and waits until their places are given back. Where slowhttptest is installed,
//! `LLMLEAF_SLOWHTTPTEST=2000` has it attack with as many connections.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use llmleaf_testkit::beside::{Beside, dripping, pause};
use llmleaf_testkit::http::{Connection, request};
use llmleaf_testkit::replay::{Framing, Request, Script};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{LONG, Stage};

use super::corpus::body;
use super::{answer, stage};

/// How many times as long an honest consumer may wait, by the 99th percentile.
const MOST_RATIO: f64 = 1.2;

/// Most memory of the program that one of them may take: much less than what it announces.
const MOST_KIB: u64 = 256;
/// Exchanges that are compared at full size: who is slow with a head is gone after ten seconds.
const PAIRS: usize = 1250;

fn asked_for(name: &str) -> Option<usize> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the size of this test, not the program's configuration"
    )]
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a number"))
}

/// How many slow consumers, and whether that is the full size.
fn size() -> (usize, bool) {
    asked_for("LLMLEAF_SLOW").map_or((100, false), |count| (count, true))
}

/// One answer to an honest consumer, of a provider whose other thread serves no slow ones: what they cost their own is not the program's.
fn honest(bearer: &str, connection: &mut Connection) {
    let headers = [("authorization", bearer)];
    connection.send(&request(
        "POST",
        "/v1/chat/completions",
        &headers,
        body("outer")
            .replace("\"chat\"", "\"chat-second\"")
            .as_bytes(),
    ));
    assert_eq!(connection.response().status, 200);
}

/// A stage of which slow readers want more than anybody can hold.
fn set() -> Stage {
    let stage = stage().start();
    let endless = bytes::Bytes::from(format!(": {}\n\n", "x".repeat(1000)).repeat(1024));
    // What it wrote is not looked at, and thousands of copies would be gigabytes.
    stage.first.keep_answers_to(0);
    stage.first.on(move |_: &Request| {
        let head = bytes::Bytes::from(Wire::Chat.stream("first ").until(1));
        // More than the sockets between the three hold: one that ends within them ends unsound, and waits once more for its reader.
        let rest = std::iter::repeat_n(endless.clone(), 64);
        // Ended by the close of the connection, so that its pieces are shared by all: in chunks each reader's would be copies.
        Script::sse("")
            .framing(Framing::UntilClose)
            .writes(std::iter::once(head).chain(rest))
    });
    stage.second.on(|_| answer(Wire::Chat, false));
    stage
}

/// How much the provider has written so far.
fn written(stage: &Stage) -> usize {
    let lines = stage.first.connections();
    let written = lines.iter().flat_map(|line| &line.writes);
    written.map(|written| written.bytes).sum()
}

/// Compares honest consumers of both, each on a connection of its own.
fn comparing(stage: &Stage, free: &Stage) -> impl FnMut(usize) -> Beside {
    let mut own = (stage.bearer(), Connection::open(stage.leaf.addr));
    let mut other = (free.bearer(), Connection::open(free.leaf.addr));
    move |pairs| {
        Beside::measure(
            pairs,
            || honest(&own.0, &mut own.1),
            || honest(&other.0, &mut other.1),
        )
    }
}

/// Plays slow consumers, each of which begins with some bytes and goes on with one a second, beside an honest one, and beside another
/// program that has an honest one alone.
#[expect(
    clippy::print_stdout,
    reason = "the figures are for who reads the output"
)]
fn play(case: &str, begin: impl Fn(&Stage) -> Vec<u8>) {
    let (count, full) = size();
    let (stage, free) = (set(), set());
    let mut compare = comparing(&stage, &free);
    let pairs = if full { PAIRS } else { 50 };
    println!("{case}: honest before: {}", compare(pairs));
    let files = stage.leaf.open_files().unwrap_or_default();
    let resident = stage.leaf.resident_kib().unwrap_or_default();
    let beginning = begin(&stage);
    let mut slow: Vec<Connection> = (0..count)
        .map(|_| {
            let mut connection = Connection::open(stage.leaf.addr);
            connection.send(&beginning);
            connection
        })
        .collect();
    // To take them in, and to fill the sockets before them, is work like any other: what comes then is compared.
    compare(2);
    let mut last = usize::MAX;
    while written(&stage) != last {
        last = written(&stage);
        pause(Duration::from_millis(300));
    }
    let drop_one = |connection: &mut Connection| connection.send(b"x");
    let meanwhile = dripping(&mut slow, drop_one, || {
        let at_first = stage.leaf.open_files().unwrap_or_default();
        // On a machine that takes long over this, those who have had their time are gone before anybody is compared with them.
        assert!(!full || at_first >= files + count, "{case}: {at_first}");
        let meanwhile = compare(pairs);
        let held = stage.leaf.open_files().unwrap_or_default();
        let grown = stage.leaf.resident_kib().unwrap_or_default();
        let grown = grown.saturating_sub(resident) / u64::try_from(count).unwrap_or(1);
        println!(
            "{case}: honest beside {count} slow ones: {meanwhile}; {at_first} descriptors at first, {held} at last, {files} before; {grown} KiB each"
        );
        assert!(grown <= MOST_KIB, "{case}: {grown} KiB for each");
        let started = Instant::now();
        while full && stage.leaf.open_files().unwrap_or_default() > files + 16 {
            assert!(
                started.elapsed() < 4 * LONG,
                "{case}: places are not given back"
            );
            compare(1);
        }
        println!("{case}: places given back {:?} later", started.elapsed());
        meanwhile
    });
    // A sample is too small to say anything of a ratio.
    assert!(
        !full || meanwhile.ratio() <= MOST_RATIO,
        "{case}: {meanwhile}"
    );
}

#[test]
fn d10_slow_heads_harm_nobody_else() {
    play("heads", |_| {
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: ".to_vec()
    });
}

#[test]
fn d10_slow_bodies_harm_nobody_else() {
    play("bodies", |stage| {
        let bearer = stage.bearer();
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: {bearer}\r\ncontent-length: 8000000\r\n\r\n"
        )
        .into_bytes()
    });
}

#[test]
fn d10_slow_readers_harm_nobody_else() {
    play("readers", |stage| {
        let bearer = stage.bearer();
        let headers = [("authorization", bearer.as_str())];
        let body = body("endless").replace("{\"model\"", "{\"stream\":true,\"model\"");
        request("POST", "/v1/chat/completions", &headers, body.as_bytes())
    });
}

/// An attack of others' making; it ends with this.
struct Attack(Child);

impl Drop for Attack {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Attack {
    fn begin(stage: &Stage, connections: usize, path: &str, manner: &[&str]) -> Self {
        let mut tool = Command::new("slowhttptest");
        tool.args(["-c", &connections.to_string()])
            .args(["-r", "1000", "-l", "60", "-p", "5", "-u"])
            .arg(stage.leaf.url() + path)
            .args(manner)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Attack(tool.spawn().expect("slowhttptest is installed"))
    }
}

#[test]
fn d10_what_others_attack_with_harms_nobody_else() {
    let Some(connections) = asked_for("LLMLEAF_SLOWHTTPTEST") else {
        return;
    };
    let reads = ["-X", "-w", "1", "-y", "8", "-n", "1", "-z", "1", "-k", "8"];
    for (case, path, manner) in [
        ("heads", "/v1/models", &["-H", "-i", "1"][..]),
        (
            "bodies",
            "/v1/models",
            &["-B", "-i", "1", "-s", "65536"][..],
        ),
        ("reads", "/v1/openapi.json", &reads[..]),
    ] {
        let (stage, free) = (set(), set());
        let mut compare = comparing(&stage, &free);
        println!("slowhttptest, {case}: honest before: {}", compare(PAIRS));
        let files = stage.leaf.open_files().unwrap_or_default();
        let attack = Attack::begin(&stage, connections, path, manner);
        // Its connections come at a rate of its own.
        let mut most = 0;
        for _ in 0..50 {
            pause(Duration::from_millis(100));
            most = most.max(stage.leaf.open_files().unwrap_or_default());
            if most >= files + connections * 9 / 10 {
                break;
            }
        }
        let meanwhile = compare(PAIRS);
        println!(
            "slowhttptest, {case}: honest beside {connections}: {meanwhile}; {most} descriptors at most, {files} before"
        );
        drop(attack);
        let begun = Instant::now();
        while stage.leaf.open_files().unwrap_or_default() > files + 16 {
            assert!(begun.elapsed() < 4 * LONG, "{case}: places are kept");
            compare(1);
        }
        assert!(meanwhile.ratio() <= MOST_RATIO, "{case}: {meanwhile}");
    }
}
