//! A flood of wrong passwords, each of which would cost a slow hash: what callers whose keys are known notice of it.
//!
//! `LLMLEAF_FLOOD=500` sends so many a second, and then holds what others notice to its bound; a run of the tests sends a few.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use llmleaf_testkit::beside::{Beside, pause};
use llmleaf_testkit::binary::{Llmleaf, played};
use llmleaf_testkit::http::{Connection, request};

use super::{CONFIG, KEY};

/// bcrypt of `s3cret`, at a cost that people choose, and at the least one for a run that is not held to the bound.
const SLOW: [&str; 2] = [
    "$2b$10$rEeBn2MwGd.zcUriiktRguxymlJYWLIJaJAZ6g1KFmsLzAPEm.7Ti",
    "$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO",
];

/// Exchanges of a run that is held to the bound, and of one that is not.
const PAIRS: [usize; 2] = [30_000, 12];
/// How often an attacker asks in a second, if it is answered at once: each has a connection of its own, and waits for its answer.
const EACH: u32 = 2;

#[expect(
    clippy::disallowed_methods,
    reason = "how much a test does is asked of it from outside"
)]
fn a_second() -> Option<u32> {
    let asked = std::env::var("LLMLEAF_FLOOD").ok()?;
    Some(asked.parse().expect("a number"))
}

fn start(slow: &str) -> Llmleaf {
    // Whoever wants its keys hashed again and again.
    let victim = format!("\n[[keys]]\nid = \"victim\"\npw_hash = \"{slow}\"\n");
    let config = CONFIG.replace("ADMIN", "workers = 1") + &victim;
    Llmleaf::with_config(played(env!("CARGO_BIN_EXE_llmleaf")), &config).start()
}

/// One good exchange of a key that was proven before.
fn serve(line: &mut Connection) {
    let body = r#"{"model":"demo","messages":[{"role":"user","content":"hi"}]}"#;
    let headers = [("content-type", "application/json"), KEY];
    line.send(&request(
        "POST",
        "/v1/chat/completions",
        &headers,
        body.as_bytes(),
    ));
    let response = line.response();
    assert_eq!(response.status, 200, "{}", response.text());
}

#[test]
fn f4_a_flood_of_wrong_passwords_is_no_matter_to_known_keys() {
    let (asked, rate) = (a_second(), a_second().unwrap_or(16));
    let slow = SLOW[usize::from(asked.is_none())];
    let (burdened, free) = (start(slow), start(slow));
    let mut lines = [&burdened, &free].map(|leaf| Connection::open(leaf.addr));
    lines.iter_mut().for_each(serve);
    let pairs = PAIRS[usize::from(asked.is_none())];
    let [one, other] = &mut lines;
    let quiet = Beside::measure(pairs, || serve(one), || serve(other));
    let flood = Flood::default();
    let begun = Instant::now();
    let (noisy, took) = flood.around(burdened.addr, rate, || {
        let noisy = Beside::measure(pairs, || serve(one), || serve(other));
        (noisy, begun.elapsed())
    });
    let counts = [&flood.sent, &flood.refused, &flood.shed, &flood.other];
    let [sent, refused, shed, in_] = counts.map(|count| count.load(Ordering::Relaxed));
    println!(
        "{sent} wrong passwords in {:?}, {refused} refused, {shed} shed\nbefore: {quiet}\nmeanwhile: {noisy}",
        took
    );
    assert!(refused + shed > 0 && in_ == 0, "{in_} let in");
    if asked.is_some() {
        assert!(noisy.ratio() <= 1.2, "{noisy}");
    }
}

#[derive(Default)]
struct Flood {
    over: std::sync::atomic::AtomicBool,
    sent: AtomicUsize,
    refused: AtomicUsize,
    shed: AtomicUsize,
    other: AtomicUsize,
}

impl Flood {
    /// Does some work while wrong passwords come in.
    fn around<T>(&self, addr: std::net::SocketAddr, rate: u32, work: impl FnOnce() -> T) -> T {
        std::thread::scope(|scope| {
            let all = rate.div_ceil(EACH);
            for number in 0..all {
                // Spread over the time until each asks again, so that it is a flood and no wave.
                let first = Duration::from_secs(1) / EACH * number / all;
                scope.spawn(move || self.attack(addr, first));
            }
            // The first are on their way before anything is measured.
            while self.refused.load(Ordering::Relaxed) == 0 {
                pause(Duration::from_millis(1));
            }
            let done = work();
            self.over.store(true, Ordering::Relaxed);
            done
        })
    }

    /// Each password is another one, so that none is known to be wrong.
    fn attack(&self, addr: std::net::SocketAddr, first: Duration) {
        pause(first);
        let mut line = Connection::open_unwatched(addr);
        while !self.over.load(Ordering::Relaxed) {
            let number = self.sent.fetch_add(1, Ordering::Relaxed);
            let pair = format!("victim:wrong-{number}");
            let bearer = format!("Basic {}", STANDARD.encode(&pair));
            line.send(&request(
                "GET",
                "/v1/models",
                &[("authorization", &bearer)],
                b"",
            ));
            let count = match line.response().status {
                401 => &self.refused,
                429 | 503 => &self.shed,
                _ => &self.other,
            };
            count.fetch_add(1, Ordering::Relaxed);
            pause(Duration::from_secs(1) / EACH);
        }
    }
}
