//! A roster of a million keys comes in while requests go on. A run of the tests has a few thousand; the full size is for a release build:
//!
//! `LLMLEAF_ROSTER=1000000 LLMLEAF_BIN=… cargo test -p llmleaf --test lifecycle g4_a_roster -- --nocapture`

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use llmleaf_testkit::beside::pause;
use llmleaf_testkit::controller::{Controller, Part};
use llmleaf_testkit::http::{Connection, get, request};
use llmleaf_testkit::queued::Thread;
use llmleaf_testkit::stage::Stage;

use super::control::pulled_key;
use super::stage;

/// A stall is what takes longer than this and no other work on the machine explains.
const STALL: Duration = Duration::from_millis(1);
/// How long a million keys may take to come.
const LONG: Duration = Duration::from_secs(180);

/// Requests that were served, those of them that stalled, and the longest.
#[derive(Clone, Copy, Debug, Default)]
struct Served {
    count: u32,
    stalls: u32,
    longest: Duration,
    /// The longest that the program's worker ran from the end of one to the end of the next, whatever it did.
    ran: Duration,
    /// The longest in which neither worker nor consumer ran or stood ready.
    slept: Duration,
}

fn roster(keys: usize, generation: usize, row: &str) -> String {
    let hash = row.split("\"pw_hash\":\"").nth(1).expect("a hash");
    let hash = hash.split('"').next().expect("its end").to_owned();
    let mut text = format!("{{\"keys\":[{row}");
    for number in 1..keys {
        // Every row is another one than before.
        write!(
            text,
            ",{{\"id\":\"key-{number}\",\"pw_hash\":\"{hash}\",\"allowed_models\":[\"model-{generation}-*\"]}}"
        )
        .expect("a string takes it");
    }
    text + "]}"
}

/// Asks one thing again and again until told to stop. What the program's worker and this thread stood by for a processor is no stall. What the
/// worker ran is told beside it: no other work of this machine is in it, but what its host takes away is.
fn serve(stage: &Stage, stop: &AtomicBool) -> Served {
    let mut served = Served::default();
    let mut line = Connection::open(stage.leaf.addr);
    let bearer = stage.bearer();
    let asked = request("GET", "/v1/models", &[("authorization", &bearer)], b"");
    let worker = Thread::named(stage.leaf.pid(), "worker-0");
    let own = Thread::own();
    let stood = || worker.queued() + own.queued();
    let mut before_it = (worker.ran(), own.ran());
    while !stop.load(Ordering::Relaxed) {
        let (before, began) = (stood(), Instant::now());
        line.send(&asked);
        assert_eq!(line.response().status, 200);
        let took = began.elapsed().saturating_sub(stood() - before);
        served.count += 1;
        served.stalls += u32::from(took > STALL);
        served.longest = served.longest.max(took);
        let now = (worker.ran(), own.ran());
        let ran = (now.0 - before_it.0, now.1 - before_it.1);
        before_it = now;
        served.ran = served.ran.max(ran.0);
        served.slept = served.slept.max(took.saturating_sub(ran.0 + ran.1));
    }
    served
}

fn while_serving(stage: &Stage, work: impl FnOnce()) -> Served {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let serving = scope.spawn(|| serve(stage, &stop));
        work();
        stop.store(true, Ordering::Relaxed);
        serving.join().expect("it goes on")
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "how much a test does is asked of it from outside"
)]
fn asked_for() -> Option<usize> {
    let asked = std::env::var("LLMLEAF_ROSTER").ok()?;
    Some(asked.parse().expect("a number"))
}

#[test]
fn g4_a_roster_of_many_comes_in_while_requests_go_on() {
    let asked = asked_for();
    let keys = asked.unwrap_or(2000);
    let controller = Controller::start();
    controller.replay.keep_answers_to(0);
    let config = controller.config(&[Part::Keys]);
    let config = config.replace(
        "refresh_secs = 1\n",
        "refresh_secs = 1\ntimeout_ms = 120000\n",
    );
    let stage = stage().key(&config).start();
    let rosters: Vec<_> = (0..if asked.is_some() { 3 } else { 1 })
        .map(|generation| {
            let (credential, row) = pulled_key(&format!("of-{generation}"));
            (credential, roster(keys, generation, &row))
        })
        .collect();
    let mut took = Duration::ZERO;
    let busy = while_serving(&stage, || {
        for (credential, text) in &rosters {
            let began = Instant::now();
            controller.set(Part::Keys, text);
            let bearer = format!("Bearer {credential}");
            while get(stage.leaf.addr, "/v1/models", &[("authorization", &bearer)]).status != 200 {
                assert!(began.elapsed() < LONG, "it does not come in");
                pause(Duration::from_millis(20));
            }
            took = took.max(began.elapsed());
        }
    });
    let wait = took.min(Duration::from_secs(10));
    let quiet = while_serving(&stage, || pause(wait));
    println!("{keys} keys, each time within {took:?}; meanwhile {busy:?}, without {quiet:?}");
    assert!(busy.count > 0);
    if asked.is_some() {
        let spread = f64::from(busy.count) / f64::from(quiet.count.max(1));
        let as_usual = f64::from(quiet.stalls) * spread;
        // What the machine does to requests by itself is no stall of ours.
        assert!(
            f64::from(busy.stalls) <= as_usual * 2.0 + 3.0,
            "{busy:?} {quiet:?}"
        );
    }
}
