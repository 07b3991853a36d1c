//! Many consumers at once: some that hardly read, some that only hold on.
//!
//! Samples of twenty by default. `LLMLEAF_READERS=2000` and `LLMLEAF_LIVE=5000` are the sizes that docs/faults.md promises; they
//! need as many descriptors four times over.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use llmleaf_testkit::beside::{Beside, dripping, pause};
use llmleaf_testkit::http;
use llmleaf_testkit::judge::{Evidence, Growth};
use llmleaf_testkit::replay::{Framing, Script};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{Asked, LONG, Stage};

use super::{number_of, stage};

/// What each slow reader is sent: so many pieces of a MiB.
const PIECES: usize = 200;
/// How many times as long others may take, by their 99th percentile.
const MOST_RATIO: f64 = 1.2;

fn count_of(name: &str) -> usize {
    usize::try_from(number_of(name).unwrap_or(20)).expect("a number of consumers")
}

/// A stream of 200 MB in events, ended by the close of the connection, so that its pieces are shared by all.
fn flood(piece: &Bytes) -> Script {
    let head = Bytes::from(Wire::Chat.stream("first ").until(1));
    let pieces = std::iter::repeat_n(piece.clone(), PIECES);
    Script::sse("")
        .framing(Framing::UntilClose)
        .writes(std::iter::once(head).chain(pieces))
}

/// One good exchange.
fn fast(stage: &Stage) {
    let good = Script::sse(Wire::Chat.stream("second answer").body());
    stage.second.push(good);
    let (_, response) = stage.post(Wire::Chat, "chat-second", true);
    assert_eq!(Wire::Chat.read(&response).text(), "second answer");
}

/// One that reads a byte when it is told to.
struct Slow(TcpStream);

impl Slow {
    fn ask(stage: &Stage) -> Self {
        let bearer = stage.bearer();
        let headers = [("authorization", bearer.as_str())];
        let body = Wire::Chat.request("chat-first", true);
        let bytes = http::request("POST", Wire::Chat.path(), &headers, body.as_bytes());
        let mut stream = TcpStream::connect(stage.leaf.addr).expect("it accepts");
        stream
            .set_read_timeout(Some(LONG))
            .expect("a timeout can be set");
        stream.write_all(&bytes).expect("it reads");
        Slow(stream)
    }

    fn read_one(&mut self) {
        self.0.read_exact(&mut [0]).expect("a byte comes");
    }
}

#[test]
fn a7_readers_of_a_byte_a_second_hold_little_and_hinder_nobody() {
    let readers = count_of("LLMLEAF_READERS");
    let full = readers >= 1000;
    let stage = stage().instead("workers", "2").start();
    let free = self::stage().instead("workers", "2").start();
    stage.first.keep_answers_to(0);
    let event = Wire::Chat.stream(&"x".repeat(200)).content.concat();
    let piece = Bytes::from(event.repeat((1 << 20) / event.len()));
    stage.first.on(move |_| flood(&piece));
    let pairs = if full { 1250 } else { 100 };
    let compare = || Beside::measure(pairs, || fast(&stage), || fast(&free));
    // Warm, so that what the program needs once is not counted to the readers.
    let healthy = compare();
    let before = stage.leaf.resident_kib();
    let mut all: Vec<Slow> = (0..readers).map(|_| Slow::ask(&stage)).collect();
    all.iter_mut().for_each(Slow::read_one);
    // What the sockets between the two hold is filled first; that is work, and no wait.
    let written = || {
        let lines = stage.first.connections();
        lines.iter().map(|line| line.writes.len()).sum::<usize>()
    };
    let mut last = 0;
    while full && written() > last {
        last = written();
        pause(Duration::from_secs(2));
    }
    let (most, meanwhile) = dripping(&mut all, Slow::read_one, || {
        let seconds = if full { 20 } else { 1 };
        let seen = (0..seconds).map(|_| {
            pause(Duration::from_secs(1));
            stage.leaf.resident_kib().unwrap_or(0)
        });
        let most = seen.max().unwrap_or(0);
        let meanwhile = compare();
        (most.max(stage.leaf.resident_kib().unwrap_or(0)), meanwhile)
    });
    let grown_kib = most.saturating_sub(before.unwrap_or(most));
    println!(
        "slow readers: {readers} of 200 MB at 1 B/s: {grown_kib} KiB more, {} KiB each\nothers before: {healthy}\n\
         others meanwhile: {meanwhile}",
        grown_kib / u64::try_from(readers).expect("few")
    );
    let growth = Growth {
        what: "slow readers".to_owned(),
        grown_kib,
        streams: u64::try_from(readers).expect("few"),
        // Twenty share what an allocator keeps for itself.
        ceiling_kib: if full { 64 } else { 512 },
    };
    let evidence = Evidence {
        growth: vec![growth],
        ..Evidence::default()
    };
    evidence.expect_kept();
    drop(all);
    assert!(wait_gone(&stage, readers), "the floods are not closed");
    // A sample is too small to say anything of a ratio.
    assert!(!full || meanwhile.ratio() <= MOST_RATIO, "{meanwhile}");
}

/// Waits until the first provider's connections are closed.
fn wait_gone(stage: &Stage, least: usize) -> bool {
    stage.first.wait_all_closed(LONG) && stage.first.connections().len() >= least
}

#[test]
fn a7_live_streams_are_held_and_let_go() {
    let live = count_of("LLMLEAF_LIVE");
    let stage = stage().instead("workers", "2").start();
    stage.first.on(|_| {
        let stream = Wire::Chat.stream("first answer");
        Script::sse(stream.body()).stall_at(stream.until(1).len())
    });
    fast(&stage);
    let before = stage.leaf.resident_kib().unwrap_or(0);
    let files = stage.leaf.open_files();
    let mut all: Vec<Asked> = Vec::new();
    for _ in 0..live {
        let mut asked = stage.ask(Wire::Chat, "chat-first", true);
        asked.connection.read_to("first ");
        all.push(asked);
    }
    let grown = stage
        .leaf
        .resident_kib()
        .unwrap_or(0)
        .saturating_sub(before);
    println!(
        "live streams: {live} held: {grown} KiB more, {:.1} KiB each; {:?} descriptors, {files:?} before",
        f64::from(u32::try_from(grown).expect("no TiB"))
            / f64::from(u32::try_from(live).expect("few")),
        stage.leaf.open_files(),
    );
    drop(all);
    assert!(wait_gone(&stage, live), "the upstreams are not closed");
    if live < 1000 {
        // Thousands would keep the judge longer than anybody wants to wait.
        stage.settle();
    }
}

/// Fault I14: the flood of one key ends at its own limit, and costs no other key anything.
#[test]
fn i14_a_key_that_floods_is_held_to_its_limit_and_others_are_served() {
    const OWN: usize = 4;
    let quiet = "$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO";
    let stage = stage()
        .key(&format!(
            "limits = {{ max_concurrent = {OWN} }}\n\n[[keys]]\nid = \"quiet\"\npw_hash = \"{quiet}\"\n"
        ))
        .start();
    stage.first.on(|_| {
        let stream = Wire::Chat.stream("first answer");
        Script::sse(stream.body()).stall_at(stream.until(1).len())
    });
    let mut held: Vec<Asked> = Vec::new();
    for _ in 0..OWN {
        let mut asked = stage.ask(Wire::Chat, "chat-first", true);
        asked.connection.read_to("first ");
        held.push(asked);
    }
    for _ in 0..60 {
        let mut asked = stage.ask(Wire::Chat, "chat-first", true);
        let response = asked.connection.response();
        assert_eq!(response.status, 429, "{}", response.text());
    }
    assert_eq!(
        stage.first.requests().len(),
        OWN,
        "refused before any provider"
    );
    // The base64 of `quiet:s3cret`.
    let headers = [("authorization", "Bearer cXVpZXQ6czNjcmV0")];
    for _ in 0..10 {
        stage
            .second
            .push(Script::sse(Wire::Chat.stream("second answer").body()));
        let body = Wire::Chat.request("chat-second", true);
        let response = http::post(stage.leaf.addr, Wire::Chat.path(), &headers, &body);
        assert_eq!(Wire::Chat.read(&response).text(), "second answer");
    }
    drop(held);
    assert!(stage.first.wait_all_closed(LONG), "the flood is let go");
    stage
        .second
        .push(Script::sse(Wire::Chat.stream("second answer").body()));
    let (_, response) = stage.post(Wire::Chat, "chat-second", true);
    assert_eq!(response.status, 200, "its places are given back");
}
