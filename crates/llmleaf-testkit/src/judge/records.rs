//! I-1: each attempt has its record, in order, ending as the exchange ended, with the counts that the provider told; and each exchange one end.

use std::collections::{BTreeMap, BTreeSet};

use super::{Attempt, Evidence, Exchange, Invariant, Report};
use crate::digest::UsageClasses;
use crate::http::End;
use crate::json::{self, Value};
use crate::replay::{Closed, Ended};

const I: Invariant = Invariant::Records;

pub(super) fn check(evidence: &Evidence, report: &mut Report) {
    let mut records = Vec::new();
    for line in &evidence.records {
        match json::parse(line) {
            Ok(record) => records.push(record),
            Err(error) => report.expect(false, I, "a record", || format!("{error}: {line}")),
        }
    }
    let known: BTreeSet<&str> = evidence.exchanges.iter().map(|own| &*own.id).collect();
    let mut by_request: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for record in &records {
        let id = record.text_at(&["id"]);
        report.expect(!id.is_empty() && ids.insert(id.to_owned()), I, id, || {
            format!("an id that is not its own: {record}")
        });
        let request = record.text_at(&["request_id"]);
        by_request.entry(request).or_default().push(record);
        report.expect(known.contains(request), I, request, || {
            format!("a record of no request: {record}")
        });
    }
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    let more: Vec<Value> = (evidence.ends.iter())
        .filter_map(|line| json::parse(line).ok())
        .collect();
    for record in records.iter().chain(&more) {
        if record.get("end").is_some() {
            *ends.entry(record.text_at(&["request_id"])).or_default() += 1;
        }
    }
    for exchange in &evidence.exchanges {
        let own = by_request.remove(exchange.id.as_str()).unwrap_or_default();
        Own {
            evidence,
            exchange,
            records: &own,
            ends: ends.remove(exchange.id.as_str()).unwrap_or_default(),
        }
        .check(report);
    }
}

/// The records of one exchange.
struct Own<'a> {
    evidence: &'a Evidence,
    exchange: &'a Exchange,
    records: &'a [&'a Value],
    ends: usize,
}

impl Own<'_> {
    fn check(&self, report: &mut Report) {
        let id = &self.exchange.id;
        // An answer that never began on the wire may stand for a request that was sent once more on a fresh connection.
        let answered: Vec<&Attempt> = self
            .evidence
            .attempts_of(self.exchange)
            .filter(|attempt| attempt.answer.wire_bytes > 0 || self.exchange.canary.is_none())
            .collect();
        if self.exchange.canary.is_some() {
            self.numbers(report);
            self.ends(report);
            for provider in providers(&answered) {
                let made = answered.iter().filter(|a| a.provider == provider).count();
                let told = self.of_provider(provider);
                report.expect(made <= told, I, id, || {
                    format!("{made} attempts at {provider}, {told} records")
                });
            }
            self.unheard(report);
        }
        self.outcomes(report);
        self.ending(report);
        self.usage(&answered, report);
    }

    /// It was accepted, and so has ended once.
    fn ends(&self, report: &mut Report) {
        let made = self.evidence.attempts_of(self.exchange).next().is_some();
        let accepted = made || !self.records.is_empty();
        let fits = self.ends == 1 || (self.ends == 0 && !accepted);
        report.expect(fits, I, &self.exchange.id, || {
            format!("it has ended {} times", self.ends)
        });
        for record in self.records.iter().filter(|r| r.get("end").is_some()) {
            let whole = ["outcome", "end"].map(|name| record.text_at(&[name]) == "completed");
            report.expect(whole[0] == whole[1], I, &self.exchange.id, || {
                format!("its attempt and its end differ: {record}")
            });
        }
    }

    fn of_provider(&self, provider: &str) -> usize {
        let mut own = self.records.iter();
        own.by_ref()
            .filter(|record| record.text_at(&["provider"]) == provider)
            .count()
    }

    /// Numbered from 1, without a gap.
    fn numbers(&self, report: &mut Report) {
        let mut numbers: Vec<u64> = self
            .records
            .iter()
            .filter_map(|record| record.u64_at(&["attempt"]))
            .collect();
        numbers.sort_unstable();
        let expected = u64::try_from(self.records.len()).expect("few records");
        report.expect(
            numbers.iter().copied().eq(1..=expected),
            I,
            &self.exchange.id,
            || format!("attempts are numbered {numbers:?}"),
        );
    }

    /// A status in a record came from somewhere.
    fn unheard(&self, report: &mut Report) {
        let known: BTreeSet<&str> = self
            .evidence
            .attempts
            .iter()
            .map(|a| &*a.provider)
            .collect();
        for record in self.records {
            let provider = record.text_at(&["provider"]);
            let mut made = self.evidence.attempts_of(self.exchange);
            let told = record.u64_at(&["status"]);
            let heard = made.any(|attempt| {
                attempt.provider == provider && told == Some(u64::from(attempt.answer.status))
            });
            let fits = told.is_none() || heard || !known.contains(provider);
            report.expect(fits, I, &self.exchange.id, || {
                format!("{provider} never answered with {told:?}")
            });
        }
    }

    /// Only the last may be anything but a failure that nobody saw, or slower than another beside it. Who goes may leave two.
    fn outcomes(&self, report: &mut Report) {
        let last = self.last();
        let decided = |record: &&&Value| last.is_some_and(|last| std::ptr::eq(last, **record));
        for record in self.records.iter().filter(|record| !decided(record)) {
            let outcome = record.text_at(&["outcome"]);
            let left = self.exchange.left.is_some() && outcome == "cancelled";
            let fits = left || matches!(outcome, "failed" | "outrun");
            report.expect(fits, I, &self.exchange.id, || {
                format!("an attempt before the last one ended {outcome:?}")
            });
        }
    }

    /// The record of the attempt that decided: one that was only slower than that may be written after it.
    fn last(&self) -> Option<&Value> {
        let mut back = self.records.iter().copied().rev();
        back.find(|record| record.text_at(&["outcome"]) != "outrun")
    }

    /// The last outcome is what the consumer saw.
    fn ending(&self, report: &mut Report) {
        let response = &self.exchange.response;
        let Some(last) = self.last() else {
            let reached = self.evidence.attempts_of(self.exchange).next().is_some();
            let served = self.exchange.canary.is_some() && (reached || response.status == 200);
            return report.expect(!served, I, &self.exchange.id, || "no record".to_owned());
        };
        let outcome = last.text_at(&["outcome"]);
        let error = self
            .exchange
            .digest()
            .is_some_and(|digest| digest.error.is_some());
        let fits: &[&str] = match (response.status, response.end) {
            // The last bytes may have been on their way when the consumer went.
            _ if self.exchange.left.is_some() && self.stands_open() => &["cancelled"],
            _ if self.exchange.left.is_some() => return,
            (200, End::Clean) if !error => &["completed"],
            (200, End::Cut | End::Reset) => &["broken", "failed"],
            (0, _) | (_, End::Open | End::TimedOut) => return,
            _ => &["failed"],
        };
        report.expect(fits.contains(&outcome), I, &self.exchange.id, || {
            format!("recorded as {outcome:?}; {}", self.exchange.tail())
        });
    }

    /// A provider had still something to say, and was left because the consumer had gone.
    fn stands_open(&self) -> bool {
        let mut made = self.evidence.attempts_of(self.exchange);
        made.any(|attempt| {
            let after = |closed: Closed| Some(closed.at) >= self.exchange.left;
            let open = match attempt.answer.ended {
                Ended::Open => true,
                Ended::Gone => attempt.closed.is_none_or(after),
                Ended::Complete | Ended::Closed | Ended::Reset => false,
            };
            open && !attempt.digest().is_some_and(|digest| digest.terminal)
        })
    }

    /// What the provider reported is what is recorded, and what the consumer is told.
    fn usage(&self, answered: &[&Attempt], report: &mut Report) {
        let id = &self.exchange.id;
        let Some(last) = self.last() else {
            return;
        };
        let provider = last.text_at(&["provider"]);
        let mut back = answered.iter().rev();
        let made = back.find(|made| made.provider == provider);
        if made.is_some_and(|made| !made.answer.is_whole()) {
            return;
        }
        let told = made
            .and_then(|made| made.digest())
            .and_then(|digest| digest.usage);
        let grade = last.text_at(&["grade"]);
        let completed = last.text_at(&["outcome"]) == "completed";
        let Some(told) = told else {
            return report.expect(grade != "reported", I, id, || {
                "recorded as reported, and nobody reported".to_owned()
            });
        };
        if !completed || self.exchange.canary.is_none() {
            return;
        }
        report.expect(grade == "reported", I, id, || {
            format!("a report is recorded as {grade:?}")
        });
        let recorded = recorded(last);
        report.expect(same_counts(told, recorded), I, id, || {
            format!("the provider reported {told:?}, recorded is {recorded:?}")
        });
        let consumer = self.exchange.digest().and_then(|digest| digest.usage);
        if let Some(consumer) = consumer {
            report.expect(same_counts(told, consumer), I, id, || {
                format!("the provider reported {told:?}, the consumer is told {consumer:?}")
            });
        }
    }
}

fn providers<'a>(attempts: &[&'a Attempt]) -> BTreeSet<&'a str> {
    attempts.iter().map(|attempt| &*attempt.provider).collect()
}

/// The counts of a record in the convention of the judge.
fn recorded(record: &Value) -> UsageClasses {
    let count = |name: &str| record.u64_at(&[name]).unwrap_or(0);
    let writes = count("input_cache_write") + count("input_cache_write_1h");
    UsageClasses {
        input_total: Some(
            count("input")
                + count("input_cache_read")
                + writes
                + count("input_audio")
                + count("input_image"),
        ),
        cache_read: Some(count("input_cache_read")),
        cache_write: Some(writes),
        output_total: Some(
            count("output")
                + count("output_reasoning")
                + count("output_audio")
                + count("output_image"),
        ),
        reasoning: Some(count("output_reasoning")),
    }
}

/// A total that was not given cannot differ; a detail that was not given is zero.
fn same_counts(told: UsageClasses, found: UsageClasses) -> bool {
    let total = |told: Option<u64>, found: Option<u64>| told.is_none() || told == found;
    let detail = |told: Option<u64>, found: Option<u64>| told.unwrap_or(0) == found.unwrap_or(0);
    total(told.input_total, found.input_total)
        && total(told.output_total, found.output_total)
        && detail(told.cache_read, found.cache_read)
        && detail(told.cache_write, found.cache_write)
        && detail(told.reasoning, found.reasoning)
}
