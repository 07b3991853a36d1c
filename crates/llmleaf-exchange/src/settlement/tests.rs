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
fn what_may_have_been_done_is_not_free() {
    use Outcome::{Completed, Failed};
    let invalid = || Failure::upstream(FailureKind::InvalidResponse, "not of its wire");
    let limited = || Failure::upstream(FailureKind::RateLimit, "busy");
    let started = || Failure {
        possibly_billed: true,
        ..limited()
    };
    let pieces = || Meter {
        uncounted: 1,
        ..Meter::default()
    };
    for (meter, outcome, sent, failure, unknown) in [
        // A good answer that is none.
        (
            Meter::default(),
            Failed,
            true,
            Some((invalid(), Some(200))),
            true,
        ),
        (
            Meter::default(),
            Failed,
            true,
            Some((invalid(), Some(502))),
            false,
        ),
        // The provider says that it did nothing.
        (
            Meter::default(),
            Failed,
            true,
            Some((limited(), Some(429))),
            false,
        ),
        (
            Meter::default(),
            Failed,
            true,
            Some((limited(), Some(200))),
            false,
        ),
        (
            Meter::default(),
            Failed,
            true,
            Some((started(), Some(429))),
            true,
        ),
        // Pieces before it were answered, and not counted.
        (pieces(), Failed, true, Some((limited(), Some(429))), true),
        (pieces(), Completed, true, None, false),
        (Meter::default(), Outcome::Cancelled, true, None, true),
        (Meter::default(), Outcome::Cancelled, false, None, false),
    ] {
        let told = failure.as_ref().map(|(failure, status)| (failure, *status));
        let possibly = possibly_billed(&meter, outcome, sent, told);
        let (usage, grade) = settle(&meter, outcome, || 50);
        assert_eq!(possibly, unknown, "{outcome:?} {failure:?}");
        if outcome != Completed {
            let cost = charge(&usage, grade, possibly, None);
            let expected = if unknown {
                Cost::Unknown
            } else {
                Cost::Computed(0)
            };
            assert_eq!(
                (grade, cost),
                (Grade::None, expected),
                "{outcome:?} {failure:?}"
            );
        }
    }
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

#[test]
fn c12_nothing_is_no_count_of_what_there_was() {
    let report = |input, output| Event::UsageReport(usage(input, output));
    for (events, settlement) in [
        // Below zero, or no number: what came of it is nothing, and there was something.
        (vec![text(40), report(0, 7)], (50, 7, Grade::Partial)),
        (vec![text(40), report(9, 0)], (9, 10, Grade::Partial)),
        (vec![text(40), report(0, 0)], (50, 10, Grade::Partial)),
        // A whole answer without a word, as an embedding.
        (vec![report(9, 0)], (9, 0, Grade::Reported)),
    ] {
        assert_eq!(
            settled(&events, Outcome::Completed),
            settlement,
            "{events:?}"
        );
    }
}

/// The record counts more than such a report, and costs more.
#[test]
fn c12_no_cost_is_told_of_half_a_report() {
    let book = llmleaf_prices::shipped::book("2026-11-27");
    let tariff = book.get("openai").expect("it has prices");
    let sheet = tariff.get("gpt-4o").expect("it has a price");
    for (told, bytes, has_cost) in [
        (usage(9, 7), 40, true),
        (usage(0, 7), 40, false),
        (usage(9, 0), 40, false),
        (usage(0, 0), 40, false),
        (usage(9, 0), 0, true),
    ] {
        assert_eq!(super::told(&told, bytes, sheet).is_some(), has_cost);
    }
    let own = Usage {
        cost_nano_usd: Some(1),
        ..usage(9, 7)
    };
    assert_eq!(super::told(&own, 40, sheet), None, "the provider said it");
}

#[test]
fn what_is_counted_otherwise_may_have_no_tokens() {
    let mut meter = Meter::default();
    meter.see(&text(40));
    for told in [
        Usage {
            units: Units {
                audio_ms: 5,
                ..Units::default()
            },
            ..usage(0, 7)
        },
        Usage {
            cost_nano_usd: Some(1),
            ..usage(0, 7)
        },
    ] {
        meter.usage = Some(told.clone());
        let settled = settle(&meter, Outcome::Completed, || 50);
        assert_eq!(settled, (told, Grade::Reported));
    }
}

#[test]
fn no_answer_takes_more_of_a_budget_than_one_can_have() {
    use Cost::{Computed, Reported, Unknown};
    for (told, cost, taken) in [
        (12_000_000, Computed(7), (12_000_000, 7)),
        (MOST_TOKENS, Reported(9), (MOST_TOKENS, 9)),
        // A fifth of the tokens is believed, and so is a fifth of what they come to.
        (5 * MOST_TOKENS, Computed(500), (MOST_TOKENS, 100)),
        (5 * MOST_TOKENS, Reported(500), (MOST_TOKENS, 500)),
        (1 << 53, Unknown, (MOST_TOKENS, 0)),
        (1, Reported(u64::MAX), (1, MOST_NANO_USD)),
        (u64::MAX, Computed(u64::MAX), (MOST_TOKENS, MOST_TOKENS)),
    ] {
        assert_eq!(believed(told, cost), taken, "{told} {cost:?}");
    }
}
