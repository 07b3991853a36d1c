//! Three providers, of which one is always in trouble: refusing, stalling, rate-limiting or truncating, by a seed.
//!
//! Consumers see next to nothing of it before the first content, wait for at most one failed attempt, and never get two answers
//! in one. A sample runs a few hundred requests; `LLMLEAF_CHAOS=100000` as many, `LLMLEAF_CHAOS_SEED` another course.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use llmleaf_testkit::http::End;
use llmleaf_testkit::replay::{Request, Script};
use llmleaf_testkit::samples::{INPUT_TOKENS, OUTPUT_TOKENS, Wire};
use llmleaf_testkit::spool;
use llmleaf_testkit::stage::{LONG, Stage};

use super::{number_of, stage};

/// Requests under one trouble.
const COURSE: usize = 60;
/// Consumers side by side.
const LANES: usize = 6;
/// How long a stalled attempt lasts.
const STALL: Duration = Duration::from_millis(250);
/// What a busy machine may add to it.
const SLACK: Duration = Duration::from_millis(250);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Refuse,
    Unavailable,
    Stall,
    RateLimit,
    TruncateBefore,
    TruncateWithin,
}

const TROUBLES: [Trouble; 6] = [
    Trouble::Refuse,
    Trouble::Unavailable,
    Trouble::Stall,
    Trouble::RateLimit,
    Trouble::TruncateBefore,
    Trouble::TruncateWithin,
];

/// Which provider is in which trouble, by the number of the request.
#[derive(Clone)]
struct Course {
    seed: u64,
    made: Arc<AtomicUsize>,
    /// Answers that were cut after their first content.
    broke: Arc<AtomicUsize>,
}

impl Course {
    fn now(&self) -> (usize, Trouble) {
        let part = self.made.load(Ordering::Relaxed) / COURSE;
        let mixed = mix(self.seed ^ u64::try_from(part).expect("few parts"));
        let pick =
            |shift: u32, of: usize| usize::try_from(mixed >> shift & 0xffff).expect("small") % of;
        (pick(0, 3), TROUBLES[pick(16, TROUBLES.len())])
    }

    /// What provider `own` says now.
    fn script(&self, own: usize, request: &Request) -> Script {
        let wire = match request.path.contains("/messages") {
            true => Wire::Messages,
            false => Wire::Chat,
        };
        let stream = wire.stream(WORDS[own]);
        let good = Script::sse(stream.body());
        let (victim, trouble) = self.now();
        if victim != own {
            return good;
        }
        match trouble {
            Trouble::Refuse => Script::raw(""),
            Trouble::Unavailable => Script::json(503, wire.error("overloaded_error", "busy")),
            Trouble::Stall => good.stall_at(stream.head().len()),
            // A wait that is about as long as the trouble: a longer one holds back who is well again, and at times all three.
            Trouble::RateLimit => Script::json(429, wire.error("rate_limit_error", "slow down"))
                .header("retry-after-ms", "100"),
            Trouble::TruncateBefore => good.close_at(stream.head().len()),
            Trouble::TruncateWithin => {
                self.broke.fetch_add(1, Ordering::Relaxed);
                good.close_at(stream.until(2).len())
            }
        }
    }
}

/// What each provider answers; no two share a word.
const WORDS: [&str; 3] = [
    "one two three four",
    "five six seven eight",
    "nine ten eleven twelve",
];

/// The finishing steps of SplitMix64 (public domain, S. Vigna 2015).
fn mix(seed: u64) -> u64 {
    let mut word = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

#[derive(Debug, Default)]
struct Figures {
    good: usize,
    /// Told as an error after content.
    broken: usize,
    /// Failed before content.
    failed: Vec<String>,
    /// From the request to the first bytes of the answer.
    waits: Vec<Duration>,
}

fn ask(stage: &Stage, number: usize, figures: &Mutex<Figures>) {
    let consumer = Wire::BOTH[number % 2];
    let provider = Wire::BOTH[number / 2 % 2];
    let begun = Instant::now();
    let mut asked = stage.ask(consumer, &Stage::three(provider), true);
    let response = asked.connection.response();
    let digest = consumer.read(&response);
    let mut figures = figures.lock().expect("no lane has failed");
    match response.end {
        End::Clean if response.status == 200 => figures.good += 1,
        _ if digest.has_content() => figures.broken += 1,
        _ => figures
            .failed
            .push(format!("{}: {}", asked.id, response.text())),
    }
    if let Some((at, _)) = response.arrivals.first() {
        figures.waits.push(at.saturating_duration_since(begun));
    }
}

fn run(stage: &Stage, count: usize, made: &AtomicUsize) -> Figures {
    let figures = Mutex::new(Figures::default());
    // In parts, so that what is kept for the judge stays small.
    for part in 0..count.div_ceil(COURSE * 4) {
        let next = AtomicUsize::new(0);
        let share = (count - part * COURSE * 4).min(COURSE * 4);
        std::thread::scope(|scope| {
            for _ in 0..LANES {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= share {
                            return;
                        }
                        made.fetch_add(1, Ordering::Relaxed);
                        ask(stage, number, &figures);
                    }
                });
            }
        });
        stage.settle();
    }
    figures.into_inner().expect("no lane has failed")
}

fn percentile(waits: &mut [Duration], share: f64) -> Duration {
    waits.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a position in a short list"
    )]
    let at = ((waits.len() - 1) as f64 * share).round() as usize;
    waits[at]
}

/// What the providers reported is what is on disk: one event for each request, and with each that was answered the tokens of one
/// answer. A broken answer has what was seen of its report.
fn booked(folder: &std::path::Path, stage: &Stage, healthy: usize, figures: &Figures) {
    let good = healthy + figures.good;
    let all = good + figures.broken + figures.failed.len();
    let deadline = Instant::now() + LONG;
    let mut events = spool::events(folder);
    while events.len() < all && Instant::now() < deadline {
        let _ = stage
            .leaf
            .wait_lines(usize::MAX, Duration::from_millis(5), |_| true);
        events = spool::events(folder);
    }
    let ids: BTreeSet<&str> = events.iter().map(|event| event.text_at(&["id"])).collect();
    assert_eq!((events.len(), ids.len()), (all, all), "one for each");
    let completed = events
        .iter()
        .filter(|event| event.text_at(&["outcome"]) == "completed");
    let tokens = completed.map(|event| {
        assert_eq!(event.text_at(&["usage_source"]), "provider");
        event.u64_at(&["usage", "total_tokens"]).expect("a count")
    });
    let tokens: Vec<u64> = tokens.collect();
    assert_eq!(tokens.len(), good);
    let each = INPUT_TOKENS + OUTPUT_TOKENS;
    assert_eq!(
        tokens.iter().sum::<u64>(),
        each * u64::try_from(good).expect("few")
    );
}

#[test]
fn b25_one_of_three_providers_is_always_in_trouble() {
    static SEED: AtomicU64 = AtomicU64::new(7);
    let seed = number_of("LLMLEAF_CHAOS_SEED").unwrap_or(SEED.load(Ordering::Relaxed));
    let count = number_of("LLMLEAF_CHAOS").unwrap_or(480);
    let count = usize::try_from(count).expect("a number of requests");
    let stall = STALL.as_millis();
    let state = std::env::temp_dir().join(format!("llmleaf-chaos-{}", std::process::id()));
    let stage = stage()
        .third()
        .server(&format!("state_dir = \"{}\"", state.display()))
        .server(&format!(
            "timeouts = {{ first_content_ms = {stall}, headers_ms = {stall} }}"
        ))
        .instead("fallback_cooldown_secs", "1")
        // As the program has them by itself.
        .instead("tries_per_target", "2")
        .instead("rate_limit_max_wait_ms", "5000")
        .start();
    let made = Arc::new(AtomicUsize::new(0));
    let course = Course {
        seed,
        made: Arc::clone(&made),
        broke: Arc::default(),
    };
    for (own, replay) in stage.replays().into_iter().enumerate() {
        replay.on(move |_| Script::sse(Wire::Chat.stream(WORDS[own]).body()));
    }
    let mut healthy = Figures::default();
    for number in 0..40 {
        let figures = Mutex::new(std::mem::take(&mut healthy));
        ask(&stage, number * 4, &figures);
        healthy = figures.into_inner().expect("it has not failed");
    }
    stage.settle();
    for (own, replay) in stage.replays().into_iter().enumerate() {
        let course = course.clone();
        replay.on(move |request| course.script(own, request));
    }
    let mut figures = run(&stage, count, &made);
    booked(&state.join("usage/0"), &stage, healthy.good, &figures);
    let _ = std::fs::remove_dir_all(state);
    let base = percentile(&mut healthy.waits, 0.5);
    let p99 = percentile(&mut figures.waits, 0.99);
    let added = p99.saturating_sub(base);
    println!(
        "chaos: seed {seed}, {count} requests: {} good, {} broken after content, {} failed before it; first content: \
         healthy p50 {base:?}, in trouble p50 {:?} p99 {p99:?}, a failed attempt lasts {STALL:?}; 0 violations",
        figures.good,
        figures.broken,
        figures.failed.len(),
        percentile(&mut figures.waits, 0.5),
    );
    let broke = course.broke.load(Ordering::Relaxed);
    assert!(
        figures.broken <= broke,
        "{} broken, and only {broke} by their providers",
        figures.broken
    );
    assert_eq!(figures.good + figures.broken + figures.failed.len(), count);
    assert!(
        figures.failed.len() * 10_000 <= count,
        "of {count}, failed before content: {:#?}",
        figures.failed
    );
    assert!(
        added <= STALL + SLACK,
        "p99 of added time to first content: {added:?}"
    );
}
