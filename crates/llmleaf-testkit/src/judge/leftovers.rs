//! I-5: who has gone costs nothing more, and leaves nothing. I-6: memory grows as far as stated.

use super::{CLOSE_BOUND, Evidence, Exchange, Invariant, Report};
use crate::replay::{ClosedHow, Ended};

/// Something that is counted before and after, such as descriptors or permits.
#[derive(Clone, Debug)]
pub struct Leftover {
    /// What.
    pub what: String,
    /// How many before.
    pub before: u64,
    /// How many after everybody has gone.
    pub after: u64,
    /// How many more may be.
    pub slack: u64,
}

/// Memory that some streams took.
#[derive(Clone, Debug)]
pub struct Growth {
    /// Of what.
    pub what: String,
    /// KiB that were added.
    pub grown_kib: u64,
    /// How many streams.
    pub streams: u64,
    /// Most KiB that one may take.
    pub ceiling_kib: u64,
}

pub(super) fn check_exchange(evidence: &Evidence, exchange: &Exchange, report: &mut Report) {
    const I: Invariant = Invariant::Cancellation;
    let (Some(left), Some(_)) = (exchange.left, &exchange.canary) else {
        return;
    };
    for attempt in evidence.attempts_of(exchange) {
        let begun = attempt.answer.request.head_at;
        report.expect(begun <= left + CLOSE_BOUND, I, &exchange.id, || {
            format!("{} was asked for nobody", attempt.provider)
        });
        // What had come to its end by itself is no cancellation any more.
        if !matches!(attempt.answer.ended, Ended::Open | Ended::Gone) {
            continue;
        }
        let closed = attempt
            .closed
            .filter(|closed| closed.how != ClosedHow::ByUs);
        let after = closed.map(|closed| closed.at.saturating_duration_since(left));
        report.expect(
            after.is_some_and(|after| after <= CLOSE_BOUND),
            I,
            &exchange.id,
            || {
                format!(
                    "{} saw the close {after:?} after the consumer went",
                    attempt.provider
                )
            },
        );
    }
}

pub(super) fn check(evidence: &Evidence, report: &mut Report) {
    for Leftover {
        what,
        before,
        after,
        slack,
    } in &evidence.leftovers
    {
        report.expect(
            *after <= before + slack,
            Invariant::Cancellation,
            what,
            || format!("{after} are left of what was {before} before, with {slack} to spare"),
        );
    }
    for Growth {
        what,
        grown_kib,
        streams,
        ceiling_kib,
    } in &evidence.growth
    {
        report.expect(
            *grown_kib <= streams * ceiling_kib,
            Invariant::Bounds,
            what,
            || format!("{grown_kib} KiB for {streams} streams of at most {ceiling_kib} KiB"),
        );
    }
}
