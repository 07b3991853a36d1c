//! Counting what a large replay proved, so that every exception is named and visible.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// What was found, by cell.
#[derive(Debug, Default)]
pub struct Tally(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    cells: BTreeMap<Cell, Counts>,
    exceptions: BTreeMap<String, BTreeSet<String>>,
    notes: BTreeMap<String, usize>,
    failures: Vec<String>,
}

/// Consumer's dialect, provider, kind of exchange.
type Cell = (String, String, String);

#[derive(Debug, Default)]
struct Counts {
    passed: usize,
    excepted: usize,
    failed: usize,
}

/// The finding of one exchange.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    /// What is wrong; empty when all is well.
    pub failures: Vec<String>,
    /// Named reasons for which something differs as it should.
    pub exceptions: Vec<String>,
    /// Named things that happened and are no exception, such as edits.
    pub notes: Vec<String>,
}

impl Finding {
    /// Something is wrong unless `good`.
    pub fn check(&mut self, good: bool, wrong: impl FnOnce() -> String) {
        if !good {
            self.failures.push(wrong());
        }
    }

    /// A named exception.
    pub fn except(&mut self, reason: impl Into<String>) {
        self.exceptions.push(reason.into());
    }

    /// A named thing that is no exception.
    pub fn note(&mut self, what: impl Into<String>) {
        self.notes.push(what.into());
    }
}

impl Tally {
    /// Takes in a finding. `subject` names the exchange.
    pub fn add(&self, dialect: &str, provider: &str, kind: &str, subject: &str, finding: Finding) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = (dialect.to_owned(), provider.to_owned(), kind.to_owned());
        let counts = state.cells.entry(cell).or_default();
        if !finding.failures.is_empty() {
            counts.failed += 1;
        } else if finding.exceptions.is_empty() {
            counts.passed += 1;
        } else {
            counts.excepted += 1;
        }
        for note in finding.notes {
            *state.notes.entry(note).or_default() += 1;
        }
        for reason in finding.exceptions {
            let subjects = state.exceptions.entry(reason).or_default();
            subjects.insert(subject.to_owned());
        }
        let failures = finding.failures.into_iter();
        let named =
            failures.map(|failure| format!("{dialect} ← {provider} {kind} {subject}: {failure}"));
        state.failures.extend(named);
    }

    /// Exchanges so far.
    #[must_use]
    pub fn exchanges(&self) -> usize {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = state.cells.values();
        counts
            .map(|cell| cell.passed + cell.excepted + cell.failed)
            .sum()
    }

    /// Prints the table, and fails where anything failed or fewer than `least` exchanges were seen.
    ///
    /// # Panics
    /// In both cases.
    pub fn conclude(&self, title: &str, least: usize) {
        eprintln!("{title}\n{self}");
        let failures = {
            let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.failures.clone()
        };
        let shown = failures.len().min(SHOWN);
        assert!(
            failures.is_empty(),
            "{title}: {} failures, the first {shown}:\n{}",
            failures.len(),
            failures[..shown].join("\n")
        );
        let seen = self.exchanges();
        assert!(seen >= least, "{title}: only {seen} exchanges, not {least}");
    }
}

/// Most failures that a panic shows.
const SHOWN: usize = 200;

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(
            f,
            "{:<18} {:<24} {:<10} {:>7} {:>10} {:>7}",
            "consumer", "provider", "kind", "passed", "exceptions", "failed"
        )?;
        let mut sum = Counts::default();
        let row = |f: &mut fmt::Formatter<'_>, cell: &Cell, counts: &Counts| {
            writeln!(
                f,
                "{:<18} {:<24} {:<10} {:>7} {:>10} {:>7}",
                cell.0, cell.1, cell.2, counts.passed, counts.excepted, counts.failed
            )
        };
        for (cell, counts) in &state.cells {
            sum.passed += counts.passed;
            sum.excepted += counts.excepted;
            sum.failed += counts.failed;
            row(f, cell, counts)?;
        }
        let all = ("all".to_owned(), String::new(), String::new());
        row(f, &all, &sum)?;
        for (note, count) in &state.notes {
            writeln!(f, "note: {note}: {count}")?;
        }
        for (reason, subjects) in &state.exceptions {
            let names: Vec<&str> = subjects.iter().take(NAMED).map(String::as_str).collect();
            let more = if subjects.len() > NAMED { ", …" } else { "" };
            writeln!(
                f,
                "exception: {reason}: {} ({}{more})",
                subjects.len(),
                names.join(", ")
            )?;
        }
        Ok(())
    }
}

/// Most exchanges that an exception lists by name.
const NAMED: usize = 100;
