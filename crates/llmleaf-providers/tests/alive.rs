//! Every quirk is alive: reset to the reference, it changes the outcome of some recording or documented sample.
//!
//! A quirk that changes nothing is either untrue or unused, and a row of untrue quirks removes consumers' fields.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

#[path = "alive/rendered.rs"]
mod rendered;
#[path = "alive/resets.rs"]
mod resets;
#[path = "alive/samples.rs"]
mod samples;

use llmleaf_dialects::ChatWire;
use llmleaf_providers::{Chat, Provider};
use samples::Sample;

/// The row's wires that have quirks.
fn wires(row: &Provider) -> impl Iterator<Item = &ChatWire> {
    let makers = row.speaks.makers.iter().flat_map(|maker| maker.chat);
    row.speaks
        .chat
        .iter()
        .chain(makers)
        .filter_map(|chat| match chat {
            Chat::Wire(wire, _) => Some(wire),
            Chat::Echo => None,
        })
}

#[test]
fn every_difference_from_the_reference_changes_an_outcome() {
    let recorded = samples::recorded();
    let (mut dead, mut skipped, mut alive) = (Vec::new(), 0, 0);
    for row in llmleaf_providers::all() {
        let mut samples: Vec<Sample> = samples::documented(row.name);
        let all = recorded.iter().flatten();
        samples.extend(all.filter(|s| s.provider == row.name).cloned());
        for wire in wires(row) {
            for (name, reset) in resets::of(wire) {
                if samples.iter().any(|s| s.outcome(wire) != s.outcome(&reset)) {
                    alive += 1;
                } else if recorded.is_none() {
                    skipped += 1;
                    eprintln!("skipped: {} {name} (recordings folder not found)", row.name);
                } else {
                    dead.push(format!("{} {name}", row.name));
                }
            }
        }
    }
    eprintln!("{alive} quirks alive, {skipped} skipped");
    assert!(dead.is_empty(), "no outcome depends on: {dead:#?}");
    assert!(alive > 0);
}

/// What goes to the provider is what the sample says: the edited bytes, or the translation.
#[test]
fn documented_samples_are_sent_as_written() {
    let mut checked = 0;
    for row in llmleaf_providers::all() {
        for sample in samples::documented(row.name) {
            let mut wires = wires(row);
            let wire = wires.find(|wire| wire.dialect() == sample.dialect);
            let wire = wire.expect("the row speaks what the sample says");
            let (sent, expected) = sample.sent(wire);
            assert_eq!(sent, expected, "{}", sample.name);
            checked += 1;
        }
    }
    assert!(checked > 30, "{checked}");
}

/// Recordings as a whole are read with a row's quirks: no stream that a service ended well may look cut.
#[test]
fn recorded_streams_end_well() {
    let Some(recorded) = samples::recorded() else {
        return;
    };
    let mut read = 0;
    for row in llmleaf_providers::all() {
        for sample in recorded.iter().filter(|s| s.provider == row.name) {
            let mut wires = wires(row);
            let Some(wire) = wires.find(|wire| wire.dialect() == sample.dialect) else {
                continue;
            };
            if let Some(end) = sample.stream_end(wire) {
                read += 1;
                assert!(
                    !end.contains("Truncated"),
                    "{}: {}: {end}",
                    row.name,
                    sample.name
                );
            }
        }
    }
    eprintln!("{read} streams read");
    assert!(read > 100, "{read}");
}
