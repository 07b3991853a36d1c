//! An attempt's account: its usage record, and what it holds of its target and its key. Both are settled when it ends, also when the
//! consumer goes away and all of it is dropped.

use crate::audio::Audio;
use crate::drive::{Common, Run};
use crate::job::{Job, Operation};
use crate::ledger::{Chunks, Cost, Grade, Outcome, UsageRecord};
use crate::node::Shared;
use crate::outlet::{Open, Outlet};
use crate::pump::Meter;
use crate::upload::{Upload, sound_tokens};
use crate::upstream::Upstream;
use crate::{count, failure, health, settlement};
use llmleaf_dialects::realtime::{Counted, Part};
use llmleaf_model::{Failure, FailureKind, Loss, Units, Usage};
use llmleaf_route::{Attempt as Held, Candidate, Millis, Spent};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Longest name of a part in its record's id.
const PART_ID: usize = 128;
/// Most losses that a record names.
const LOSSES: usize = 32;

/// The attempt's record; written when the attempt ends, also when the consumer goes away and all of this is dropped.
pub(crate) struct Attempt {
    shared: Arc<Shared>,
    job: Rc<Job>,
    common: Rc<Common>,
    out: Outlet,
    record: Option<UsageRecord>,
    began: Millis,
    /// Index of the provider.
    provider: usize,
    /// What was seen of the answer; kept here so that a dropped attempt still counts.
    pub meter: Meter,
    /// What is measured otherwise than in tokens, and known here.
    pub units: Units,
    /// A request went out.
    sent: bool,
    /// The upstream is read to its end, whoever goes.
    drains: bool,
    /// It runs.
    open: Option<Open>,
    /// What it holds of the target's limits and health; whoever ends it gives it back.
    held: Option<Held>,
    /// Tokens of its parts that have records of their own.
    parts: u64,
}

impl Attempt {
    pub(super) fn begin(run: &Run, candidate: &Candidate, upstream: &Upstream, held: Held) -> Self {
        let shared = Arc::clone(&run.node.shared);
        let began = shared.now();
        let record = UsageRecord {
            id: numbered(&run.job.id, held.number),
            request_id: Arc::clone(&run.job.request_id),
            attempt: held.number,
            key: Arc::clone(&run.job.key),
            dialect: run.job.dialect.name().as_str(),
            model: run.common.ending.model(),
            provider: Arc::clone(&upstream.name),
            upstream_model: Arc::clone(&candidate.model),
            credential: held.credential,
            stream: run.job.head.stream,
            outcome: Outcome::Cancelled,
            failure: None,
            status: None,
            grade: Grade::None,
            usage: llmleaf_model::Usage::default(),
            cost: Cost::Unknown,
            possibly_billed: false,
            losses: Vec::new(),
            began_ms: run.common.ending.since(began),
            connect_ms: None,
            first_content_ms: None,
            chunks: Chunks::default(),
            total_ms: 0,
        };
        Self {
            shared,
            job: Rc::clone(&run.job),
            common: Rc::clone(&run.common),
            out: run.out.clone(),
            record: Some(record),
            began,
            provider: candidate.provider,
            meter: Meter::default(),
            units: Units::default(),
            sent: false,
            drains: upstream.drains,
            open: None,
            held: Some(held),
            parts: 0,
        }
    }

    /// A part of a session has used something, and has a record of its own; that of the session itself counts nothing.
    pub fn part(&mut self, counted: &Counted) {
        let Some(session) = &self.record else {
            return;
        };
        let what = match counted.part {
            Part::Answer => "",
            Part::Transcript => "transcript.",
        };
        let plain = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
        let id: String = counted.id.chars().filter(plain).take(PART_ID).collect();
        let upstream_model = match &counted.model {
            Some(model) => model.as_str().into(),
            None => Arc::clone(&session.upstream_model),
        };
        let sheet = self.shared.sheet(self.provider, &upstream_model);
        let record = UsageRecord {
            cost: settlement::cost(&counted.usage, sheet.map(AsRef::as_ref), false),
            id: format!("{}.{what}{id}", session.id),
            outcome: match (counted.complete, counted.reported) {
                (true, _) => Outcome::Completed,
                (false, true) => Outcome::Broken,
                (false, false) => Outcome::Cancelled,
            },
            grade: match counted.usage == llmleaf_model::Usage::default() {
                _ if counted.reported => Grade::Reported,
                true => Grade::None,
                false => Grade::Estimated,
            },
            usage: counted.usage.clone(),
            upstream_model,
            possibly_billed: !counted.reported,
            total_ms: self.shared.now().0.saturating_sub(self.began.0),
            ..session.clone()
        };
        let (tokens, nano_usd) = settlement::due(&record);
        self.parts = self.parts.saturating_add(tokens);
        if let Some(allowance) = &self.job.allowance {
            allowance.spend(tokens);
            allowance.pay(nano_usd);
        }
        self.common.ending.spoken(record);
    }

    /// Its number in its exchange, from 1.
    pub fn number(&self) -> u32 {
        self.record.as_ref().map_or(0, |record| record.attempt)
    }

    /// Index of the credential to use.
    pub fn credential(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.credential)
    }

    /// The request goes out.
    pub fn sending(&mut self) {
        self.sent = true;
        // A session without its consumer has nothing left to say.
        let drains = self.drains && self.job.operation != Operation::Realtime;
        self.open = Some(self.out.open(drains));
        if let Some(held) = &mut self.held {
            held.sent();
        }
    }

    /// Nothing goes out: what it holds of the target is given back, and nobody's health learns of it.
    pub fn forgo(&mut self) {
        self.held = None;
    }

    /// The first content of a stream came: from here on there is no way back.
    pub fn commit(&mut self, now: Millis) {
        if let Some(held) = &mut self.held
            && let Some(walk) = self.common.walk.borrow_mut().as_mut()
            && !walk.is_committed()
        {
            let changes = walk.commit(held, now);
            health::log(&self.shared.ledger, held, changes);
        }
    }

    /// What it holds, for the walk to take back. Only a failed attempt has it still.
    pub(super) fn take(&mut self) -> Option<Held> {
        self.held.take()
    }

    /// An answer of a batch was read: a record of its own when this node reads it first, whose name is the same wherever it is read.
    pub fn batched(&self, id: String, model: &str, upstream_model: &str, usage: Option<Usage>) {
        let Some(record) = &self.record else {
            return;
        };
        if !self.shared.ledger.seen.is_new(&id) {
            return;
        }
        let sheet = self.shared.sheet(self.provider, upstream_model);
        let sheet = sheet.map(AsRef::as_ref);
        let record = UsageRecord {
            id,
            model: model.into(),
            upstream_model: upstream_model.into(),
            outcome: Outcome::Completed,
            grade: match usage {
                Some(_) => Grade::Reported,
                None => Grade::None,
            },
            cost: match &usage {
                Some(usage) => settlement::cost(usage, sheet, true),
                None => Cost::Unknown,
            },
            usage: usage.unwrap_or_default(),
            losses: Vec::new(),
            ..record.clone()
        };
        if let Some(allowance) = &self.job.allowance {
            let (tokens, nano_usd) = settlement::due(&record);
            allowance.charge(tokens, nano_usd);
        }
        self.common.ending.batched(record);
    }

    /// The upstream's status came.
    pub fn status(&mut self, status: u16) {
        if let Some(record) = &mut self.record {
            record.status = Some(status);
        }
    }

    /// A connection was made for it, which took so long.
    pub(super) fn connected(&mut self, took: Option<Duration>) {
        if let Some(record) = &mut self.record {
            record.connect_ms =
                took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        }
    }

    /// The first content came.
    pub fn first_content(&mut self, now: Millis) {
        if let Some(record) = &mut self.record {
            record
                .first_content_ms
                .get_or_insert(now.0.saturating_sub(self.began.0));
        }
    }

    /// So many pieces of its stream have come by now.
    pub fn chunks(&mut self, count: u64, now: Millis) {
        if let Some(record) = &mut self.record {
            record.chunks.come(count, now);
        }
    }

    /// The consumer gets the whole answer.
    pub fn complete(&mut self, losses: &[Loss]) {
        let Some(spent) = self.close(Outcome::Completed, None, losses) else {
            return;
        };
        let mut walk = self.common.walk.borrow_mut();
        let Some((held, walk)) = self.held.take().zip(walk.as_mut()) else {
            return;
        };
        let (provider, target) = (Arc::clone(held.provider()), Arc::clone(held.target()));
        let changes = walk.complete(held, spent, self.shared.now());
        health::log_of(
            &self.shared.ledger,
            provider.name(),
            target.model(),
            changes,
        );
    }

    /// It failed after the consumer had some of it.
    pub fn broke(&mut self, failure: &Failure, losses: &[Loss]) {
        self.common.ending.failed(failure);
        self.close(Outcome::Broken, Some(failure), losses);
        let Some(held) = self.held.take() else {
            return;
        };
        let (provider, target) = (Arc::clone(held.provider()), Arc::clone(held.target()));
        let changes = held.fail(failure, self.shared.now());
        health::log_of(
            &self.shared.ledger,
            provider.name(),
            target.model(),
            changes,
        );
    }

    /// Whether it failed at what the provider may bill all the same.
    pub(super) fn worked(&self, failure: &Failure) -> bool {
        let status = self.record.as_ref().and_then(|record| record.status);
        settlement::worked(failure, status) || (self.sent && self.meter.uncounted > 0)
    }

    /// It failed before anything of it reached the consumer. What the failure is held against is the walk's to judge.
    pub(super) fn failed(&mut self, failure: &Failure, losses: &[Loss]) {
        self.close(Outcome::Failed, Some(failure), losses);
    }

    /// Writes the record, and sets the target's limits right.
    fn close(
        &mut self,
        outcome: Outcome,
        failure: Option<&Failure>,
        losses: &[Loss],
    ) -> Option<Spent> {
        let mut record = self.record.take()?;
        self.open = None;
        record.outcome = outcome;
        record.failure = failure.map(failure::slug);
        record.losses = losses
            .iter()
            .take(LOSSES)
            .map(ToString::to_string)
            .collect();
        let spent = self.write(record, failure);
        if let (Some(_), Some(tokens), Some(held)) = (failure, spent.tokens, &mut self.held) {
            held.settle(tokens, self.shared.now());
        }
        Some(spent)
    }

    fn write(&self, mut record: UsageRecord, failure: Option<&Failure>) -> Spent {
        let input = || count::of_body(self.job.operation, self.job.heard, &self.job.body);
        // Nobody is billed for counting, or for asking after what was made before.
        let free = matches!(
            self.job.operation,
            Operation::CountTokens
                | Operation::Kept(_)
                | Operation::Batch(_)
                | Operation::Realtime
                | Operation::Audio(Audio::Voices)
        );
        let sheet = match free {
            true => None,
            false => self.shared.sheet(self.provider, &record.upstream_model),
        };
        let sheet = sheet.map(AsRef::as_ref);
        if !free {
            // How much is in a sound only who heard it can say: no bytes of a request or an answer tell it.
            let unheard = matches!(
                self.job.operation,
                Operation::Audio(Audio::Transcription(_))
            ) && self.meter.usage.is_none();
            if !unheard {
                let settled = settlement::settle(&self.meter, record.outcome, input);
                (record.usage, record.grade) = settled;
            }
            if self.meter.committed || record.outcome == Outcome::Completed {
                let units = &mut record.usage.units;
                units.characters = units.characters.max(self.units.characters);
                units.audio_ms = units.audio_ms.max(self.units.audio_ms);
            }
            if record.grade == Grade::None && settlement::is_priced(record.usage.units, sheet) {
                record.grade = Grade::Estimated;
            }
            let uncounted = unheard && record.grade == Grade::None;
            let done = record.outcome == Outcome::Completed;
            record.possibly_billed = settlement::possibly_billed(
                &self.meter,
                record.outcome,
                self.sent,
                failure.map(|failure| (failure, record.status)),
            ) || (self.sent && uncounted && done);
        }
        // As the provider says, else by the prices that are known here.
        record.cost = match free || !self.sent {
            true => Cost::Computed(0),
            false => settlement::charge(&record.usage, record.grade, record.possibly_billed, sheet),
        };
        if self.out.is_gone() {
            // However its upstream ended, nobody was there any more.
            record.outcome = Outcome::Cancelled;
        }
        record.total_ms = self.shared.now().0.saturating_sub(self.began.0);
        let (total, nano_usd) = settlement::due(&record);
        // Nobody counted, and the upstream may have worked all the same.
        let unknown = record.grade == Grade::None && record.possibly_billed;
        if let Some(allowance) = &self.job.allowance {
            // Whoever hangs up early and often must not thereby be free, nor who has all made in the background; for a failure its key
            // does not pay.
            if unknown && matches!(record.outcome, Outcome::Cancelled | Outcome::Completed) {
                // How long an upload is that comes in chunks is known now.
                let sound = matches!(self.job.operation, Operation::Audio(_));
                let upload = self.job.upload.as_ref().filter(|_| sound);
                let unsaid = upload.map_or(0, Upload::unsaid);
                allowance.spend_thought(sound_tokens(unsaid));
            } else {
                allowance.spend(total);
            }
            allowance.pay(nano_usd);
        }
        let spent = Spent {
            tokens: (!unknown).then_some(total.saturating_add(self.parts)),
            output: record.usage.output_total().min(settlement::MOST_TOKENS),
        };
        self.common.ending.attempted(record);
        spent
    }
}

/// Id of an attempt. Each request has one, and hardly any a second: to format it costs ten times as much.
fn numbered(exchange: &str, attempt: u32) -> String {
    let mut id = String::with_capacity(exchange.len() + 4);
    id.push_str(exchange);
    id.push('-');
    match char::from_digit(attempt, 10) {
        Some(digit) => id.push(digit),
        None => id.push_str(&attempt.to_string()),
    }
    id
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(mut record) = self.record.take() {
            if std::thread::panicking() {
                record.outcome = Outcome::ProxyError;
                record.failure = Some(FailureKind::Internal.as_str());
            } else if self.common.outrun.get() {
                record.outcome = Outcome::Outrun;
            }
            let spent = self.write(record, None);
            if let (true, Some(held), Some(tokens)) = (self.sent, &mut self.held, spent.tokens) {
                held.settle(tokens, self.shared.now());
            }
        }
    }
}
