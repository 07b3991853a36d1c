//! What a stage has collected, for the judge.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::{CREDENTIALS, PLACES, Stage};
use crate::http::{End, Transcript};
use crate::judge::{Attempt, Evidence, Exchange, Leftover, Secret};
use crate::replay::{Replay, canary_in};
use crate::samples::Wire;

/// How long records, closes and log lines may lag behind an answer.
const LAG: Duration = Duration::from_secs(5);

/// Descriptors that a program may have open beside what it serves: it may still have been opening its own when it was
/// counted first.
const OWN_FILES: u64 = 16;

/// A request that was sent, and where what came of it is kept.
pub(super) struct Noted {
    pub(super) id: String,
    pub(super) wire: Wire,
    pub(super) stream: bool,
    pub(super) canary: Option<String>,
    pub(super) transcript: Transcript,
}

impl Stage {
    pub(super) fn note(&self, noted: Noted) {
        let mut all = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(noted);
    }

    /// All that is known of every exchange since the start or the last [`Stage::settle`], once it is complete: waits for
    /// records and closes that are still to come.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        let deadline = Instant::now() + LAG;
        loop {
            let evidence = self.collect();
            if evidence.violations().is_empty() || Instant::now() >= deadline {
                return evidence;
            }
            // Until the log says more, or a moment has gone: a close says nothing there.
            let lines = self.leaf.log().len();
            let moment = Duration::from_millis(20);
            let _ = self.leaf.wait_lines(lines + 1, moment, |_| true);
        }
    }

    /// Judges every exchange since the start or the last call, and forgets them.
    ///
    /// # Panics
    /// When a promise was broken.
    #[track_caller]
    pub fn settle(&self) {
        self.evidence().expect_kept();
        for replay in self.replays() {
            let _ = (replay.take_answers(), replay.take_requests());
        }
        let _ = self.leaf.take_log();
        let mut all = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        all.clear();
    }

    fn collect(&self) -> Evidence {
        let all = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let exchanges: Vec<Exchange> = all.iter().map(Noted::exchange).collect();
        drop(all);
        let replays = self.replays().into_iter().zip(PLACES).zip(CREDENTIALS);
        let attempts = replays
            .flat_map(|((replay, place), credential)| attempts(place, credential, replay))
            .collect();
        let (records, log): (Vec<String>, Vec<String>) = self
            .leaf
            .log()
            .into_iter()
            .partition(|line| line.contains("\"target\":\"llmleaf::usage\""));
        let (ends, log) = log
            .into_iter()
            .partition(|line: &String| line.contains("\"target\":\"llmleaf::exchange\""));
        let key = self.key.rsplit('_').next().unwrap_or(&self.key);
        Evidence {
            leftovers: self.leftovers(&exchanges).into_iter().collect(),
            exchanges,
            attempts,
            records,
            ends,
            log,
            secrets: PLACES
                .iter()
                .zip(CREDENTIALS)
                .map(|(place, credential)| {
                    Secret::new(&format!("the {place} credential"), credential)
                })
                .chain([Secret::new("the consumer's key", key)])
                .collect(),
            growth: Vec::new(),
        }
    }

    /// Descriptors, once every consumer has gone.
    fn leftovers(&self, exchanges: &[Exchange]) -> Option<Leftover> {
        let all = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = all.iter().all(|noted| noted.transcript.is_over());
        drop(all);
        let (before, after) = self.base_files.zip(self.leaf.open_files())?;
        let idle = self.replays().into_iter().map(Replay::open_connections);
        (gone && !exchanges.is_empty()).then(|| Leftover {
            what: "descriptors".to_owned(),
            before: count(before),
            after: count(after),
            slack: OWN_FILES + count(idle.sum()),
        })
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

impl Noted {
    fn exchange(&self) -> Exchange {
        let response = self.transcript.response();
        // Who goes between two requests leaves nothing.
        let left = self
            .transcript
            .left()
            .filter(|_| response.end != End::Clean);
        Exchange {
            id: self.id.clone(),
            wire: self.wire,
            stream: self.stream,
            canary: self.canary.clone(),
            response,
            whole: self.transcript.is_whole(),
            left,
        }
    }
}

/// What one of the two providers saw.
fn attempts(place: &str, credential: &str, replay: &Replay) -> Vec<Attempt> {
    let answers = replay.answers_and_ends().into_iter();
    let made = answers.map(|(answer, closed)| {
        let wire = Wire::of_path(&answer.request.path);
        Attempt {
            provider: format!("{wire}-{place}"),
            wire,
            credential: credential.to_owned(),
            ends_with_finish: false,
            closed,
            canary: canary_in(&answer.request.body),
            answer,
        }
    });
    made.collect()
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.judged && !std::thread::panicking() {
            self.evidence().expect_kept();
        }
    }
}
