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
use llmleaf_testkit::taken::{Gaps, Watch};

use super::control::pulled_key;
use super::stage;

/// A stall is what takes longer than this and no other work on the machine explains.
const STALL: Duration = Duration::from_millis(1);
/// How long a million keys may take to come.
const LONG: Duration = Duration::from_secs(180);

/// Requests that were served, and those that took longer than a stall.
#[derive(Debug, Default)]
struct Served {
    count: u32,
    slow: Vec<Slow>,
}

/// One that took longer than a stall.
#[derive(Clone, Copy, Debug)]
struct Slow {
    began: Instant,
    ended: Instant,
    /// What worker and consumer stood by for a processor.
    stood: Duration,
    /// What the worker ran.
    ran: Duration,
}

impl Slow {
    /// What nothing else explains: neither a queue for a processor nor a host that took one away.
    fn own(&self, gaps: &Gaps) -> Duration {
        let took = self.ended - self.began;
        took.saturating_sub(self.stood)
            .saturating_sub(gaps.within(self.began, self.ended))
    }
}

/// What came of them.
#[derive(Debug)]
#[expect(dead_code, reason = "most of it is printed")]
struct Summary {
    count: u32,
    /// Took longer than a stall, whatever the reason.
    slow: usize,
    /// Without what was waited for a processor.
    unqueued: usize,
    /// Without the time, too, in which the host had one.
    stalls: usize,
    /// The longest by each of the three ways to count.
    longest: [Duration; 3],
    /// The most that the worker ran for one of the stalls.
    ran: Duration,
    /// The longest time in which a processor was away.
    away: Duration,
}

impl Served {
    fn summary(&self, gaps: &Gaps) -> Summary {
        let ways: [&dyn Fn(&Slow) -> Duration; 3] = [
            &|slow| slow.ended - slow.began,
            &|slow| (slow.ended - slow.began).saturating_sub(slow.stood),
            &|slow| slow.own(gaps),
        ];
        let over = |way: &dyn Fn(&Slow) -> Duration| {
            self.slow.iter().filter(|one| way(one) > STALL).count()
        };
        let stalls = self.slow.iter().filter(|one| one.own(gaps) > STALL);
        Summary {
            count: self.count,
            slow: over(ways[0]),
            unqueued: over(ways[1]),
            stalls: over(ways[2]),
            longest: ways.map(|way| self.slow.iter().map(way).max().unwrap_or_default()),
            ran: stalls.map(|one| one.ran).max().unwrap_or_default(),
            away: gaps.longest(),
        }
    }
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

/// Asks one thing again and again until told to stop.
fn serve(stage: &Stage, stop: &AtomicBool) -> Served {
    let mut served = Served::default();
    let mut line = Connection::open(stage.leaf.addr);
    let bearer = stage.bearer();
    let asked = request("GET", "/v1/models", &[("authorization", &bearer)], b"");
    let worker = Thread::named(stage.leaf.pid(), "worker-0");
    let own = Thread::own();
    let told = || (worker.queued() + own.queued(), worker.ran());
    while !stop.load(Ordering::Relaxed) {
        let (before, began) = (told(), Instant::now());
        line.send(&asked);
        assert_eq!(line.response().status, 200);
        let ended = Instant::now();
        served.count += 1;
        if ended - began > STALL {
            let after = told();
            served.slow.push(Slow {
                began,
                ended,
                stood: after.0 - before.0,
                ran: after.1 - before.1,
            });
        }
    }
    served
}

fn while_serving(stage: &Stage, work: impl FnOnce()) -> Summary {
    let stop = AtomicBool::new(false);
    let watch = Watch::begin();
    let served = std::thread::scope(|scope| {
        let serving = scope.spawn(|| serve(stage, &stop));
        work();
        stop.store(true, Ordering::Relaxed);
        serving.join().expect("it goes on")
    });
    served.summary(&watch.end())
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
    let wait = (took * 3).min(Duration::from_secs(30));
    let quiet = while_serving(&stage, || pause(wait));
    println!(
        "{keys} keys, each time within {took:?}; meanwhile {busy:#?}, as long without {quiet:#?}"
    );
    assert!(busy.count > 0);
    if asked.is_some() {
        // Without any roster some take as long: up to 3.4 ms on a machine that does nothing else. What was once wrong took 12 to 33.
        let own = busy.longest.last().copied().unwrap_or_default();
        assert!(own <= 4 * STALL, "{busy:?} {quiet:?}");
    }
}
