//! What an attempt is billed: the one place where a report, a part of one, or none becomes counts and a grade, and where counts become money.

#[cfg(test)]
mod costs;
#[cfg(test)]
mod tests;

use crate::ledger::{Cost, Grade, Outcome, UsageRecord};
use crate::pump::Meter;
use llmleaf_model::{Failure, FailureKind, Units, Usage};
use llmleaf_prices::Sheet;

/// Bytes of text per token where nobody counted: the rule of thumb for English. Better than nothing, and marked as such.
const BYTES_PER_TOKEN: u64 = 4;

/// Counts and their grade. `input` estimates the request's tokens; it is asked only where nobody reported any.
pub(crate) fn settle(
    meter: &Meter,
    outcome: Outcome,
    input: impl FnOnce() -> u64,
) -> (Usage, Grade) {
    let since = meter.bytes_since_usage.div_ceil(BYTES_PER_TOKEN);
    match &meter.usage {
        Some(usage) if outcome == Outcome::Completed => completed(usage, meter, input),
        // The last report stands, and what came after it is counted here.
        Some(usage) => {
            let output = usage.output.saturating_add(since);
            (
                Usage {
                    output,
                    ..usage.clone()
                },
                Grade::Partial,
            )
        }
        None if meter.is_open() => (Usage::default(), Grade::None),
        None if meter.uncounted > 0 && outcome != Outcome::Completed => {
            (Usage::default(), Grade::None)
        }
        None if meter.bytes > 0 || outcome == Outcome::Completed => {
            let output = meter.bytes.div_ceil(BYTES_PER_TOKEN);
            (
                Usage {
                    input: input(),
                    output,
                    ..Usage::default()
                },
                Grade::Estimated,
            )
        }
        None => (Usage::default(), Grade::None),
    }
}

/// What a provider reports of an answer that is whole. A count of nothing for what there was is none, whatever stood in its place (a number
/// below zero, a text, a number that no answer has): that side is counted here.
fn completed(usage: &Usage, meter: &Meter, input: impl FnOnce() -> u64) -> (Usage, Grade) {
    if counts_all(usage, meter.bytes) {
        return (usage.clone(), Grade::Reported);
    }
    let mut usage = usage.clone();
    if usage.input_total() == 0 {
        usage.input = input();
    }
    if usage.output_total() == 0 {
        usage.output = meter.bytes.div_ceil(BYTES_PER_TOKEN);
    }
    (usage, Grade::Partial)
}

/// Whether a report has a count of each side of an answer with so much text. What is counted otherwise, or has its price with it, may have no
/// tokens; and only of text it is known that there was some.
fn counts_all(usage: &Usage, bytes: u64) -> bool {
    let otherwise = usage.units != Units::default() || usage.cost_nano_usd.is_some();
    otherwise || bytes == 0 || (usage.input_total() > 0 && usage.output_total() > 0)
}

/// What the consumer is told that a report comes to, of an answer with so much text, where the provider does not say it. Nothing where a side
/// has no count: its record says more than the report then, and the two would not be the same.
pub(crate) fn told(usage: &Usage, bytes: u64, sheet: &Sheet) -> Option<u64> {
    let is_ours = usage.cost_nano_usd.is_none() && counts_all(usage, bytes);
    is_ours.then(|| cost(usage, Some(sheet), false).nano_usd())?
}

/// Most tokens that one answer takes of a budget or a limit, whatever its provider reports: twice the largest context window that any model
/// has (Llama 4 Scout, 10 million as announced on 2025-04-05; told by others, read 2026-11-27).
pub(crate) const MOST_TOKENS: u64 = 20_000_000;
/// And most money, in billionths of a dollar: so many tokens at 500 dollars a million.
pub(crate) const MOST_NANO_USD: u64 = 10_000 * 1_000_000_000;

/// What an answer takes of a key's budget and limits, in tokens and money. Its record says what its provider reports, all of it; but a figure
/// that cannot be true must not use up what a key was given for a month.
pub(crate) fn due(record: &UsageRecord) -> (u64, u64) {
    let told = record.usage.total();
    let cost = record.cost.nano_usd().unwrap_or_default();
    let (tokens, money) = believed(told, record.cost);
    if (tokens, money) != (told, cost) {
        tracing::error!(
            id = record.id,
            provider = &*record.provider,
            model = &*record.upstream_model,
            told_tokens = told,
            told_nano_usd = cost,
            tokens,
            nano_usd = money,
            "a provider reports more than one answer can take: its key's budget and limits are charged with as much as can be"
        );
    }
    (tokens, money)
}

fn believed(told: u64, cost: Cost) -> (u64, u64) {
    let tokens = told.min(MOST_TOKENS);
    let money = match cost {
        // By the prices that are known here the share that is believed costs its share.
        Cost::Computed(cost) if tokens < told => {
            let share = u128::from(cost) * u128::from(tokens) / u128::from(told.max(1));
            u64::try_from(share).unwrap_or(u64::MAX)
        }
        cost => cost.nano_usd().unwrap_or_default(),
    };
    (tokens, money.min(MOST_NANO_USD))
}

/// Whether what is known of an attempt beside tokens has a price, so that a cost can be told where nobody reported any.
pub(crate) fn is_priced(units: Units, sheet: Option<&Sheet>) -> bool {
    sheet.is_some_and(|sheet| {
        let rates = &sheet.rates.units;
        let characters = units.characters > 0 && rates.characters.is_some();
        characters || units.audio_ms > 0 && rates.audio_hour.is_some()
    })
}

/// Whether the upstream may have done work of which nobody says so: a request went out and nobody heard how it ended, pieces of it were
/// answered without a count, or what failed is no word of the provider's that it did nothing.
pub(crate) fn possibly_billed(
    meter: &Meter,
    outcome: Outcome,
    sent: bool,
    failure: Option<(&Failure, Option<u16>)>,
) -> bool {
    let open = outcome.is_open() || meter.is_open();
    let uncounted = meter.uncounted > 0 && outcome != Outcome::Completed;
    (sent && (open || uncounted))
        || failure
            .is_some_and(|(failure, status)| failure.possibly_billed || worked(failure, status))
}

/// Whether it failed at an answer that had come with a good status: the provider did its work, and what it did cannot be used here.
pub(crate) fn worked(failure: &Failure, status: Option<u16>) -> bool {
    status.is_some_and(|status| (200..300).contains(&status))
        && matches!(
            failure.kind,
            FailureKind::InvalidResponse
                | FailureKind::Truncated
                | FailureKind::Timeout
                | FailureKind::Internal
        )
}

/// What an attempt costs whose counts have this grade. Nothing only where nothing was done.
pub(crate) fn charge(
    usage: &Usage,
    grade: Grade,
    possibly_billed: bool,
    sheet: Option<&Sheet>,
) -> Cost {
    match grade {
        Grade::None if possibly_billed => Cost::Unknown,
        Grade::None => Cost::Computed(0),
        _ => cost(usage, sheet, false),
    }
}

/// What was used costs what the provider says, else what it comes to by the prices that are known.
pub(crate) fn cost(usage: &Usage, sheet: Option<&Sheet>, batch: bool) -> Cost {
    if let Some(nano) = usage.cost_nano_usd {
        return Cost::Reported(nano);
    }
    let cost = sheet.and_then(|sheet| sheet.rates.cost(usage, batch));
    cost.map_or(Cost::Unknown, Cost::Computed)
}
