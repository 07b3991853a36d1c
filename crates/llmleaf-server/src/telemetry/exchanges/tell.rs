//! What was counted, family by family.

use super::cells::{CLASSES, ENDS, GRADES, OUTCOMES, UNITS};
use super::{Exchanges, Known};
use crate::telemetry::names;
use llmleaf_metrics::{Counter, Family, Sums, Text};
use std::collections::BTreeMap;

/// Nano-dollars in a dollar.
const NANO: u64 = 1_000_000_000;

/// Cells of several rows, added up by fewer labels.
struct Together<T>(BTreeMap<Vec<String>, T>);

impl<T: Default> Together<T> {
    fn new() -> Self {
        Self(BTreeMap::new())
    }

    fn of(&mut self, labels: &[&str]) -> &mut T {
        let labels = labels.iter().map(|label| (*label).to_owned());
        self.0.entry(labels.collect()).or_default()
    }

    fn each(&self, mut tell: impl FnMut(&[&str], &T)) {
        for (labels, cells) in &self.0 {
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            tell(&labels, cells);
        }
    }
}

fn histograms(text: &mut Text, family: &'static Family, all: &Together<Sums>) {
    let mut samples = text.family(family);
    all.each(|labels, sums| {
        if sums.count() > 0 {
            samples.histogram(labels, sums);
        }
    });
}

fn counts(text: &mut Text, family: &'static Family, all: &Together<u64>) {
    let mut samples = text.family(family);
    all.each(|labels, count| {
        if *count > 0 {
            samples.whole(labels, *count);
        }
    });
}

impl Exchanges {
    /// All that was counted.
    pub fn tell(&self, text: &mut Text) {
        let known = self.known.load();
        self.tell_served(text);
        self.tell_targets(text);
        if known.keys > 0 {
            self.tell_keys(text);
        }
        if known.gen_ai {
            self.tell_gen_ai(text, &known);
        }
    }

    fn tell_served(&self, text: &mut Text) {
        let mut ends = Together::new();
        let (mut fallbacks, mut losses) = (Together::new(), Together::new());
        let [mut duration, mut first, mut queue, mut overhead] =
            std::array::from_fn(|_| Together::<Sums>::new());
        self.served.for_each(|[dialect, operation, route], cells| {
            for (end, count) in ENDS.iter().zip(&cells.ends) {
                *ends.of(&[dialect, operation, route, end.as_str()]) += count.get();
            }
            let by_route = [*operation, *route];
            duration.of(&by_route).add(&cells.duration.sums());
            first.of(&by_route).add(&cells.first_content.sums());
            queue.of(&by_route).add(&cells.queue.sums());
            overhead.of(&[operation]).add(&cells.overhead.sums());
            *fallbacks.of(&by_route) += cells.fallbacks.get();
            *losses.of(&by_route) += cells.losses.get();
        });
        counts(text, &names::REQUESTS, &ends);
        let mut told = text.family(&names::REQUEST_FAILURES);
        self.told.for_each(|labels, count| {
            if count.get() > 0 {
                told.whole(labels, count.get());
            }
        });
        let mut running = text.family(&names::IN_FLIGHT);
        running.whole(&["false"], self.whole.now());
        running.whole(&["true"], self.streams.now());
        histograms(text, &names::DURATION, &duration);
        histograms(text, &names::FIRST_CONTENT, &first);
        histograms(text, &names::QUEUE, &queue);
        histograms(text, &names::OVERHEAD, &overhead);
        counts(text, &names::FALLBACKS, &fallbacks);
        counts(text, &names::LOSSES, &losses);
    }

    fn tell_targets(&self, text: &mut Text) {
        self.tell_lists(text, &names::ATTEMPTS, |cells, note| {
            for (outcome, count) in OUTCOMES.iter().zip(&cells.outcomes) {
                note(outcome.as_str(), count);
            }
        });
        let mut errors = text.family(&names::ATTEMPT_ERRORS);
        self.failures.for_each(|labels, cells| {
            if cells.count.get() > 0 {
                errors.whole(labels, cells.count.get());
            }
        });
        let (mut connect, mut ways, mut grades) =
            (Together::<Sums>::new(), Together::new(), Together::new());
        self.targets.for_each(|[provider, _, _], cells| {
            let sums = cells.connect.sums();
            connect.of(&[provider]).add(&sums);
            *ways.of(&[provider, "kept"]) += cells.kept.get();
            *ways.of(&[provider, "new"]) += sums.count();
            for (grade, count) in GRADES.iter().zip(&cells.grades) {
                *grades.of(&[provider, grade.as_str()]) += count.get();
            }
        });
        histograms(text, &names::CONNECT, &connect);
        counts(text, &names::CONNECTIONS_MADE, &ways);
        self.tell_lists(text, &names::USED, |cells, note| {
            for (class, count) in CLASSES.iter().zip(&cells.classes) {
                note(class, count);
            }
        });
        self.tell_lists(text, &names::UNITS, |cells, note| {
            for (unit, count) in UNITS.iter().zip(&cells.units) {
                note(unit, count);
            }
        });
        let mut cost = text.family(&names::COST);
        self.targets.for_each(|labels, cells| {
            if cells.nano_usd.get() > 0 {
                cost.parts(labels, cells.nano_usd.get(), NANO);
            }
        });
        let mut unknown = text.family(&names::COST_UNKNOWN);
        self.targets.for_each(|labels, cells| {
            if cells.unknown_cost.get() > 0 {
                unknown.whole(labels, cells.unknown_cost.get());
            }
        });
        counts(text, &names::GRADES, &grades);
    }

    /// A family with one label more than a target has.
    fn tell_lists(
        &self,
        text: &mut Text,
        family: &'static Family,
        list: impl Fn(&super::Target, &mut dyn FnMut(&str, &Counter)),
    ) {
        let mut samples = text.family(family);
        self.targets
            .for_each(|[provider, model, operation], cells| {
                list(cells, &mut |last, count| {
                    if count.get() > 0 {
                        samples.whole(&[provider, model, operation, last], count.get());
                    }
                });
            });
    }

    fn tell_keys(&self, text: &mut Text) {
        let mut requests = text.family(&names::KEY_REQUESTS);
        self.keys.for_each(|[key], cells| {
            for (end, count) in ENDS.iter().zip(&cells.ends) {
                if count.get() > 0 {
                    requests.whole(&[key, end.as_str()], count.get());
                }
            }
        });
        let mut tokens = text.family(&names::KEY_TOKENS);
        self.keys.for_each(|[key], cells| {
            for (class, count) in CLASSES.iter().zip(&cells.classes) {
                if count.get() > 0 {
                    tokens.whole(&[key, class], count.get());
                }
            }
        });
        let mut cost = text.family(&names::KEY_COST);
        self.keys.for_each(|labels, cells| {
            if cells.nano_usd.get() > 0 {
                cost.parts(labels, cells.nano_usd.get(), NANO);
            }
        });
    }

    /// OpenTelemetry knows services, and not what they are called here, so several providers may be one there.
    fn tell_gen_ai(&self, text: &mut Text, known: &Known) {
        let [mut tokens, mut duration, mut first, mut chunks] =
            std::array::from_fn(|_| Together::<Sums>::new());
        self.targets
            .for_each(|[provider, model, operation], cells| {
                let service = known.semantic(provider);
                for (kind, histogram) in [("input", &cells.input), ("output", &cells.output)] {
                    let labels = [*operation, service, *model, kind];
                    tokens.of(&labels).add(&histogram.sums());
                }
                let labels = [*operation, service, *model, ""];
                duration.of(&labels).add(&cells.duration.sums());
                let labels = [*operation, service, *model];
                first.of(&labels).add(&cells.first_chunk.sums());
                chunks.of(&labels).add(&cells.chunks.sums());
            });
        self.failures
            .for_each(|[provider, model, operation, error], cells| {
                let labels = [*operation, known.semantic(provider), *model, *error];
                duration.of(&labels).add(&cells.duration.sums());
            });
        histograms(text, &names::GEN_AI_TOKENS, &tokens);
        histograms(text, &names::GEN_AI_DURATION, &duration);
        histograms(text, &names::GEN_AI_FIRST_CHUNK, &first);
        histograms(text, &names::GEN_AI_CHUNKS, &chunks);
    }
}
