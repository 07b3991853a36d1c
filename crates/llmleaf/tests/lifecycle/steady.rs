//! Whether what the program holds stays level under mixed load that goes on: all wires, streams and whole answers, tools, embeddings,
//! consumers that leave in the midst of it and providers that fail.
//!
//! An ordinary run plays a second of it. `LLMLEAF_STEADY=30` asks for as many minutes and judges them, `LLMLEAF_STEADY_RATE=300` for as
//! many requests a second; a release build (`LLMLEAF_BIN`) is what is worth it.

#[path = "steady/mix.rs"]
mod mix;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use llmleaf_testkit::beside::pause;
use llmleaf_testkit::http::{Connection, End, request};
use llmleaf_testkit::metrics::Exposition;
use llmleaf_testkit::replay::{Replay, Script};
use llmleaf_testkit::stage::{LONG, Stage};

use super::soak::asked_for;
use super::stage;
use super::usage::State;
use mix::Ask;

/// Consumers at once.
const LANES: u64 = 24;
/// Requests on one connection.
const ON_ONE_LINE: usize = 150;
/// Who is that late leaves its turn out.
const LATE: Duration = Duration::from_secs(2);
/// Between two samples, at most.
const SAMPLED: Duration = Duration::from_secs(10);
/// A shorter run is not judged: memory that is taken for the first time is no leak.
const JUDGED_FROM: Duration = Duration::from_secs(240);

#[derive(Default)]
struct Counts {
    good: AtomicU64,
    left: AtomicU64,
    failed: AtomicU64,
}

impl Counts {
    fn all(&self) -> [u64; 3] {
        [&self.good, &self.left, &self.failed].map(|count| count.load(Ordering::Relaxed))
    }
}

/// What the program holds at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    asked: u64,
    /// In the order of [`FIGURES`].
    figures: [f64; 5],
}

/// What is sampled, and by how much its mean over the last third of a run may be above that over the second: by so much, and by so many
/// hundredths.
const FIGURES: [(&str, f64, f64); 5] = [
    ("resident memory, MB", 1.0, 3.0),
    ("descriptors", 4.0, 3.0),
    ("threads", 1.0, 0.0),
    ("connections of consumers", 2.0, 3.0),
    ("exchanges under way", 2.0, 3.0),
];

/// A program with all that it does beside exchanges: usage kept on disk and pushed, numbers to scrape.
struct Running {
    stage: Stage,
    sink: Replay,
    _state: State,
}

/// Short ones, for providers that fall silent.
const CLOCKS: &str = "timeouts = { first_content_ms = 2000, idle_ms = 2000 }\n";
const TOKEN: &str = "scrape-canary-Fn38";

impl Running {
    fn start() -> Self {
        let (sink, state) = (Replay::start(), State::new("steady"));
        sink.on(|_| Script::json(200, "{}"));
        sink.keep_answers_to(0);
        let tables = format!(
            "\n[metrics]\ntoken = \"{TOKEN}\"\n[control.usage]\nurl = \"{}/usage\"\ncredential = \"canary-of-the-sink-Pk20\"\n",
            sink.url()
        );
        let stage = stage()
            .later()
            .instead("workers", "2")
            .server(&state.server())
            .first(CLOCKS)
            .second(CLOCKS)
            .key(&tables)
            // Else every record would be kept here as a line.
            .env("LLMLEAF_LOG", "error,llmleaf::command=info")
            .start();
        for (number, replay) in stage.replays().into_iter().enumerate() {
            replay.keep_answers_to(0);
            let mut asked = 0;
            replay.on(move |request| {
                asked += 1;
                mix::answer(request, number, asked)
            });
        }
        Self {
            stage,
            sink,
            _state: state,
        }
    }

    fn sample(&self, asked: u64) -> Sample {
        let mut line = Connection::open_unwatched(self.stage.leaf.addr);
        let bearer = format!("Bearer {TOKEN}");
        line.send(&request(
            "GET",
            "/metrics",
            &[("authorization", &bearer)],
            b"",
        ));
        let page = line.response();
        assert_eq!(page.status, 200, "{}", page.text());
        let page = Exposition::read(&page.text());
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.stage.leaf.pid()));
        let status = status.unwrap_or_default();
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            number.unwrap_or(0.0)
        };
        let files = self.stage.leaf.open_files().unwrap_or_default();
        // What is kept for tests that look at it.
        for replay in self.stage.replays().into_iter().chain([&self.sink]) {
            let _ = (replay.take_requests(), replay.take_answers());
        }
        let _ = self.stage.leaf.take_log();
        Sample {
            asked,
            figures: [
                of("VmRSS:") / 1024.0,
                f64::from(u32::try_from(files).unwrap_or(u32::MAX)),
                of("Threads:"),
                page.sum("llmleaf_connections", &[]),
                page.sum("llmleaf_requests_in_flight", &[]),
            ],
        }
    }

    /// A consumer that asks when its turn comes, until the time is over. What it was too late for it does not make up for: a machine that stood
    /// still is no load.
    fn consume(&self, lane: u64, (rate, time): (u64, Duration), of: &Counts) {
        let begun = Instant::now();
        let (mut line, mut on_it) = (None, 0);
        for number in (lane..).step_by(usize::try_from(LANES).expect("few")) {
            let due = Duration::from_micros(number * 1_000_000 / rate);
            let late = begun.elapsed().saturating_sub(due);
            if due.max(begun.elapsed()) >= time {
                return;
            }
            if late > LATE {
                continue;
            }
            pause(due.saturating_sub(begun.elapsed()));
            let ask = Ask::of(number);
            let own = line.take().filter(|_| on_it < ON_ONE_LINE);
            let mut own = own.unwrap_or_else(|| {
                on_it = 0;
                Connection::open(self.stage.leaf.addr)
            });
            on_it += 1;
            let bearer = self.stage.bearer();
            let headers = [
                ("content-type", "application/json"),
                ("authorization", bearer.as_str()),
            ];
            own.send(&request("POST", &ask.path, &headers, ask.body.as_bytes()));
            if ask.leaves {
                if ask.stream {
                    own.read_body(1);
                }
                of.left.fetch_add(1, Ordering::Relaxed);
                if number.is_multiple_of(2) {
                    own.reset();
                }
                continue;
            }
            let response = own.response();
            let whole = response.end == End::Clean;
            let good = whole && response.status == 200;
            let count = if good { &of.good } else { &of.failed };
            count.fetch_add(1, Ordering::Relaxed);
            line = whole.then_some(own);
        }
    }
}

fn mean(samples: &[Sample], figure: usize) -> f64 {
    let values = samples
        .iter()
        .filter_map(|sample| sample.figures.get(figure));
    let count = u32::try_from(samples.len()).unwrap_or(u32::MAX).max(1);
    values.sum::<f64>() / f64::from(count)
}

/// What rose, with the table of all.
fn judged(samples: &[Sample]) -> (Vec<&'static str>, String) {
    let third = samples.len() / 3;
    let (first, rest) = samples.split_at(third);
    let (second, last) = rest.split_at(third);
    let mut rose = Vec::new();
    let mut table =
        "| | first third | second | last | may be |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for (figure, (name, by, hundredths)) in FIGURES.into_iter().enumerate() {
        let [one, two, three] = [first, second, last].map(|part| mean(part, figure));
        let most = two * (1.0 + hundredths / 100.0) + by;
        table += &format!("| {name} | {one:.1} | {two:.1} | {three:.1} | {most:.1} |\n");
        if three > most {
            rose.push(name);
        }
    }
    (rose, table)
}

#[test]
fn i1_mixed_load_that_goes_on_holds_no_more_and_no_more() {
    let minutes = asked_for("LLMLEAF_STEADY", 0);
    let (rate, time) = match minutes {
        0 => (100, Duration::from_secs(1)),
        _ => (
            asked_for("LLMLEAF_STEADY_RATE", 150),
            Duration::from_secs(60 * minutes),
        ),
    };
    let running = Running::start();
    let before = running.sample(0);
    let counts = Counts::default();
    let begun = Instant::now();
    let mut samples = Vec::new();
    std::thread::scope(|scope| {
        let (running, counts) = (&running, &counts);
        for lane in 0..LANES {
            scope.spawn(move || running.consume(lane, (rate, time), counts));
        }
        let every = SAMPLED.min(time / 6);
        while begun.elapsed() + every < time {
            pause(every);
            let sample = running.sample(counts.all().iter().sum());
            let Sample { asked, figures } = sample;
            println!(
                "{:.1} s, {asked} asked: {figures:?}",
                begun.elapsed().as_secs_f64()
            );
            samples.push(sample);
        }
    });
    let [good, left, failed] = counts.all();
    let deadline = Instant::now() + LONG;
    let after = loop {
        let after = running.sample(good + left + failed);
        let upstream: usize = [&running.stage.first, &running.stage.second, &running.sink]
            .map(Replay::open_connections)
            .iter()
            .sum();
        let upstream = f64::from(u32::try_from(upstream).unwrap_or(u32::MAX));
        let [_, files, _, connections, exchanges] = after.figures;
        // The scraper's own is one; a few descriptors are opened at the first exchange.
        if connections < 1.5 && exchanges < 0.5 && files <= before.figures[1] + upstream + 8.0 {
            break after;
        }
        assert!(
            Instant::now() < deadline,
            "something is left: {before:?} {after:?}, {upstream} upstream"
        );
        pause(Duration::from_millis(20));
    };
    println!("{good} good answers, {left} left by their consumers, {failed} failed");
    println!("before it {before:?}, after it {after:?}");
    let all = good + left + failed;
    assert!(
        left > 0 && failed * 12 < all,
        "{left} left, {failed} failed"
    );
    if time >= JUDGED_FROM {
        let (rose, table) = judged(&samples);
        println!("{table}");
        assert!(rose.is_empty(), "it rose: {rose:?}\n{table}");
    }
}

#[test]
fn what_rises_is_seen() {
    let level = |number: u32| Sample {
        asked: 0,
        figures: [f64::from(30 + number % 3), 50.0, 6.0, 24.0, 3.0],
    };
    let mut samples: Vec<Sample> = (0..30).map(level).collect();
    assert!(judged(&samples).0.is_empty());
    // A megabyte and a half in the time of a third.
    for (number, sample) in samples.iter_mut().enumerate() {
        sample.figures[0] += f64::from(u32::try_from(number).expect("few")) * 0.25;
    }
    assert_eq!(judged(&samples).0, ["resident memory, MB"]);
    samples[29].figures[2] += 11.0;
    assert_eq!(judged(&samples).0, ["resident memory, MB", "threads"]);
}
