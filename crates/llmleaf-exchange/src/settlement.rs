//! What an attempt is billed: the one place where a report, a part of one, or none becomes counts and a grade, and where counts become money.

#[cfg(test)]
mod costs;

use crate::ledger::{Cost, Grade, Outcome};
use crate::pump::Meter;
use llmleaf_model::{Units, Usage};
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
        Some(usage) if outcome == Outcome::Completed => (usage.clone(), Grade::Reported),
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

/// Whether what is known of an attempt beside tokens has a price, so that a cost can be told where nobody reported any.
pub(crate) fn is_priced(units: Units, sheet: Option<&Sheet>) -> bool {
    sheet.is_some_and(|sheet| {
        let rates = &sheet.rates.units;
        let characters = units.characters > 0 && rates.characters.is_some();
        characters || units.audio_ms > 0 && rates.audio_hour.is_some()
    })
}

/// What was used costs what the provider says, else what it comes to by the prices that are known.
pub(crate) fn cost(usage: &Usage, sheet: Option<&Sheet>, batch: bool) -> Cost {
    if let Some(nano) = usage.cost_nano_usd {
        return Cost::Reported(nano);
    }
    let cost = sheet.and_then(|sheet| sheet.rates.cost(usage, batch));
    cost.map_or(Cost::Unknown, Cost::Computed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmleaf_model::{Delta, Event, Finish, FinishReason, ResponseStart};

    fn queued() -> Event {
        Event::ChoiceEnd {
            choice: 0,
            finish: Finish::new(FinishReason::Unstated, "queued"),
        }
    }

    fn text(length: usize) -> Event {
        Event::BlockDelta {
            block: 0,
            delta: Delta::Text("x".repeat(length)),
        }
    }

    fn usage(input: u64, output: u64) -> Usage {
        Usage {
            input,
            output,
            ..Usage::default()
        }
    }

    fn start(usage: Option<Usage>) -> Event {
        Event::ResponseStart(ResponseStart {
            usage,
            ..ResponseStart::default()
        })
    }

    fn settled(events: &[Event], outcome: Outcome) -> (u64, u64, Grade) {
        let mut running = Meter::default();
        let mut seen = Meter::default();
        for event in events {
            running.see(event);
            seen.glance(&running);
        }
        let (usage, grade) = settle(&seen, outcome, || 50);
        (usage.input, usage.output, grade)
    }

    #[test]
    fn every_end_has_its_counts_and_grade() {
        use Outcome::{Broken, Cancelled, Completed, Failed};
        let report = |input, output| Event::UsageReport(usage(input, output));
        let first = || start(Some(usage(100, 1)));
        for (events, outcome, settlement) in [
            (
                vec![text(40), report(9, 7), Event::ResponseEnd],
                Completed,
                (9, 7, Grade::Reported),
            ),
            // A first report of one token does not stand for all that came after it.
            (
                vec![first(), text(400)],
                Cancelled,
                (100, 101, Grade::Partial),
            ),
            (
                vec![first(), text(400), report(100, 90)],
                Broken,
                (100, 90, Grade::Partial),
            ),
            // Reports with every chunk: the last one counts, not the first.
            (
                vec![text(4), report(9, 1), text(4), report(9, 2), text(4)],
                Cancelled,
                (9, 3, Grade::Partial),
            ),
            // A report before the start is not lost by a start that has none.
            (
                vec![report(9, 7), start(None), text(4), Event::ResponseEnd],
                Completed,
                (9, 7, Grade::Reported),
            ),
            (
                vec![start(None), text(40)],
                Cancelled,
                (50, 10, Grade::Estimated),
            ),
            (
                vec![text(40), Event::ResponseEnd],
                Completed,
                (50, 10, Grade::Estimated),
            ),
            // It is made in the background: what it takes is not known yet.
            (
                vec![start(None), queued(), Event::ResponseEnd],
                Completed,
                (0, 0, Grade::None),
            ),
            (
                vec![text(40), queued(), Event::ResponseEnd],
                Completed,
                (50, 10, Grade::Estimated),
            ),
            (vec![start(None)], Failed, (0, 0, Grade::None)),
            (vec![], Cancelled, (0, 0, Grade::None)),
        ] {
            assert_eq!(
                settled(&events, outcome),
                settlement,
                "{events:?} {outcome:?}"
            );
        }
    }
}
