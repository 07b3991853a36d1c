//! Whether all that was used is told, and told once: under faults on every side, and when the process is killed under load.
//!
//! `LLMLEAF_SOAK=100000` asks so much in one run; `LLMLEAF_KILLS=100` kills so often.

#[path = "soak/said.rs"]
mod said;
#[path = "soak/sink.rs"]
mod sink;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use llmleaf_testkit::http::{Connection, End, request};
use llmleaf_testkit::json::Value;
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{LONG, Stage};

use super::stage;
pub use said::mixed;
use said::{Book, Said};
use sink::{Sink, by_request};

/// Consumers at once.
const CONSUMERS: u64 = 8;
/// Of an answer that broke the output is counted by what was relayed of it: a word.
const RELAYED: u64 = 4;
/// Of a hundred streams so many are left by their consumers.
const LEAVERS: u64 = 4;

/// What a consumer had of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Got {
    /// A good answer, to its end.
    All,
    /// An error, or an answer that broke.
    Failure,
    /// Not a byte: the process died.
    Nothing,
    /// What it did not wait for.
    Left,
}

#[expect(
    clippy::disallowed_methods,
    reason = "how much a test does is asked of it from outside"
)]
pub fn asked_for(name: &str, else_: u64) -> u64 {
    let asked = std::env::var(name).ok();
    asked.map_or(else_, |number| number.parse().expect("a number"))
}

fn quiet(sink: &Sink, server: &str) -> Stage {
    let setup = stage()
        .server(server)
        .first("health = false\n")
        .second("health = false\n")
        .key(&format!("\n{}", sink.config()))
        // Else every record would be kept here as a line.
        .log("warn,llmleaf::command=info");
    setup.start()
}

/// Asks one thing on a line that goes on, and opens another when it does not.
fn ask(stage: &Stage, line: &mut Option<Connection>, id: &str, leaves: bool) -> Got {
    let chance = mixed(id, u64::MAX);
    let wire = if chance & 1 == 0 {
        Wire::Chat
    } else {
        Wire::Messages
    };
    let target = if chance & 2 == 0 {
        Wire::Chat
    } else {
        Wire::Messages
    };
    let stream = chance & 4 == 0;
    let body = wire.request(&Stage::chain(target), stream);
    let body = body.replacen("Say two words.", &format!("{id} Say two words."), 1);
    let bearer = stage.bearer();
    let headers = [
        ("content-type", "application/json"),
        ("authorization", bearer.as_str()),
        ("x-request-id", id),
    ];
    let mut own = line
        .take()
        .unwrap_or_else(|| Connection::open(stage.leaf.addr));
    own.send(&request("POST", wire.path(), &headers, body.as_bytes()));
    if stream && leaves && chance / 8 % 100 < LEAVERS {
        own.read_body(1);
        return Got::Left;
    }
    let response = own.response();
    let whole = response.end == End::Clean;
    if whole {
        *line = Some(own);
    }
    match (whole, response.status) {
        (true, 200) => Got::All,
        (_, 0) => Got::Nothing,
        _ => Got::Failure,
    }
}

#[test]
fn h1_all_that_providers_count_is_told_once() {
    let count = asked_for("LLMLEAF_SOAK", 150);
    let (sink, book) = (Sink::start(), Book::default());
    let state = super::usage::State::new("soak");
    let mut stage = quiet(&sink, &state.server());
    book.serve(&stage.first, true);
    book.serve(&stage.second, true);
    let next = AtomicU64::new(0);
    let got: BTreeMap<String, Got> = std::thread::scope(|scope| {
        let consumers: Vec<_> = (0..CONSUMERS)
            .map(|_| scope.spawn(|| consume(&stage, &next, count)))
            .collect();
        let all = consumers.into_iter();
        all.flat_map(|one| one.join().expect("it goes on"))
            .collect()
    });
    sink.wait(got.len());
    stage.leaf.signal("TERM");
    let ended = stage.leaf.wait_exit(LONG);
    assert!(ended.is_some_and(|status| status.success()));
    let taken = sink.taken();
    let events = by_request(&taken);
    let said = book.read();
    assert_eq!(got.len() as u64, count);
    let mut sums = Sums::default();
    let mut wrong = Vec::new();
    for (id, got) in &got {
        let none = Vec::new();
        let (events, said) = (
            events.get(id).unwrap_or(&none),
            said.get(id).map_or(&[][..], Vec::as_slice),
        );
        if let Err(why) = sums.add(*got, events, said) {
            wrong.push(format!("{id}, {got:?}, {said:?}: {why}: {events:?}"));
        }
    }
    println!("{count} requests, {} copies: {sums:?}", taken.copies);
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(taken.events.len() as u64, count, "an end of each");
    assert_eq!(sums.told, sums.said, "tokens");
    assert!(
        sums.faults > sums.attempts / 5 && taken.copies > 0,
        "{sums:?}"
    );
}

fn consume(stage: &Stage, next: &AtomicU64, count: u64) -> Vec<(String, Got)> {
    let mut line = None;
    let mut got = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= count {
            return got;
        }
        let id = format!("load-{number}");
        let one = ask(stage, &mut line, &id, true);
        if number.is_multiple_of(500) {
            for replay in stage.replays() {
                let _ = (replay.take_requests(), replay.take_answers());
            }
        }
        got.push((id, one));
    }
}

#[derive(Debug, Default)]
struct Sums {
    attempts: usize,
    faults: usize,
    good: usize,
    left: usize,
    /// Tokens that providers told with good answers that were read to their end, and those that records have of them.
    said: (u64, u64),
    told: (u64, u64),
}

impl Sums {
    fn add(&mut self, got: Got, events: &[Value], said: &[Said]) -> Result<(), &'static str> {
        let [event] = events else {
            return Err("not one end");
        };
        self.attempts += said.len();
        let silent = said.iter().filter(|s| **s == Said::Silence).count();
        let faults = said.iter().filter(|s| matches!(s, Said::Fault(..)));
        self.faults += faults.count() + silent;
        let attempts = event.elements_at(&["attempts"]).len();
        let counts = |event: &Value| {
            let count = |name: &str| event.u64_at(&["usage", name]).unwrap_or(0);
            (count("prompt_tokens"), count("completion_tokens"))
        };
        let told = counts(event);
        let source = event.text_at(&["usage_source"]);
        match got {
            Got::Left => {
                self.left += 1;
                // It may have gone before anything was asked, or after all was said.
                if attempts < said.len() - silent {
                    return Err("an attempt that is not told");
                }
            }
            _ if !(said.len() - silent..=said.len()).contains(&attempts) => {
                return Err("another number of attempts");
            }
            _ => {}
        }
        let last = said.last().copied();
        match (got, last) {
            (Got::All, Some(Said::Good(input, output))) => {
                self.good += 1;
                self.said.0 += input;
                self.said.1 += output;
                self.told.0 += told.0;
                self.told.1 += told.1;
                if event.text_at(&["outcome"]) != "completed" || source != "provider" {
                    return Err("a good answer that is told otherwise");
                }
                (told == (input, output)).then_some(()).ok_or("tokens")
            }
            (Got::All, Some(Said::Uncounted)) if source != "provider" => Ok(()),
            (Got::All, _) => Err("a good answer that nobody gave"),
            (_, None | Some(Said::Silence)) if told == (0, 0) => Ok(()),
            (_, Some(Said::Good(input, output) | Said::Fault(input, output)))
                if source != "provider" || (told.0 <= input && told.1 <= output.max(RELAYED)) =>
            {
                Ok(())
            }
            (_, Some(Said::Uncounted)) if source != "provider" => Ok(()),
            _ => Err("tokens that nobody told"),
        }
    }
}

/// Whatever a provider was asked has one end, and so has whoever had a byte of an answer, whenever the process is killed: its own, or that it died
/// with the process.
#[test]
fn h4_kills_under_load_lose_no_end_and_tell_none_twice() {
    let kills = asked_for("LLMLEAF_KILLS", 4);
    let (sink, book) = (Sink::start(), Book::default());
    let state = super::usage::State::new("kills");
    let next = AtomicU64::new(0);
    let mut got = BTreeMap::new();
    for round in 0..kills {
        let mut stage = quiet(&sink, &state.server());
        book.serve(&stage.first, false);
        book.serve(&stage.second, false);
        let after = 20 + usize::try_from(mixed("kill", round) % 200).expect("small");
        std::thread::scope(|scope| {
            let (running, next) = (&stage, &next);
            let consumers: Vec<_> = (0..CONSUMERS)
                .map(|_| scope.spawn(move || until_it_dies(running, next)))
                .collect();
            // Wherever it is then.
            let enough = running.first.wait_requests(after, LONG);
            assert!(enough.is_some(), "it is under load");
            running.leaf.signal("KILL");
            for one in consumers {
                got.extend(one.join().expect("it ends"));
            }
        });
        assert!(stage.leaf.wait_exit(LONG).is_some());
    }
    let mut stage = quiet(&sink, &state.server());
    stage.leaf.signal("TERM");
    let ended = stage.leaf.wait_exit(LONG);
    assert!(ended.is_some_and(|status| status.success()));
    let taken = sink.taken();
    let (events, said) = (by_request(&taken), book.read());
    let ends = |id: &String| events.get(id).map_or(0, Vec::len);
    let unknown: Vec<_> = said.keys().filter(|id| ends(id) == 0).collect();
    let crashed = taken.events.values();
    let crashed = crashed.filter(|event| event.text_at(&["outcome"]) == "crashed");
    let answered = || got.iter().filter(|(_, had)| **had != Got::Nothing);
    println!(
        "{kills} kills, {} requests at providers, {} answered, {} crashed, {} copies, {} unknown",
        said.len(),
        answered().count(),
        crashed.count(),
        taken.copies,
        unknown.len(),
    );
    let twice: Vec<_> = events.iter().filter(|(_, ends)| ends.len() > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    let lost: Vec<_> = answered().filter(|(id, _)| ends(id) == 0).collect();
    assert!(lost.is_empty(), "answered, and not told: {lost:?}");
    assert!(unknown.is_empty(), "asked for, and not told: {unknown:?}");
}

/// Asks until nobody answers.
fn until_it_dies(stage: &Stage, next: &AtomicU64) -> Vec<(String, Got)> {
    let mut got = Vec::new();
    let mut line = Some(Connection::open(stage.leaf.addr));
    while line.is_some() {
        let id = format!("load-{}", next.fetch_add(1, Ordering::Relaxed));
        let one = ask(stage, &mut line, &id, false);
        got.push((id, one));
    }
    got
}
