//! Whose model costs what.
//!
//! A name is looked up as it is; then without what only dates it, so that a dated version costs what its model costs unless it has a
//! price of its own: `-2025-08-07`, `-20250929`, `@20250929`, `-001` and `-latest` at its end, `models/` before it. Nothing else is taken off: `x-mini`
//! is another model than `x`. A pattern with `*` comes last, the longest first.

use crate::rates::Rates;
use std::collections::HashMap;
use std::sync::Arc;

/// What is known of a model at a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sheet {
    /// What it costs.
    pub rates: Rates,
    /// Most tokens of prompt and answer together.
    pub context: Option<u64>,
    /// Most tokens of an answer.
    pub max_output: Option<u64>,
}

/// What is known of a provider's models.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tariff {
    exact: HashMap<Box<str>, Arc<Sheet>>,
    /// Beginning and end of names, the longest first.
    patterns: Vec<(Box<str>, Box<str>, Arc<Sheet>)>,
}

impl Tariff {
    /// What is known of a model.
    pub fn get(&self, model: &str) -> Option<&Arc<Sheet>> {
        self.exact
            .get(model)
            .or_else(|| self.exact.get(undated(model)))
            .or_else(|| {
                let mut patterns = self.patterns.iter();
                let found = patterns.find(|(head, tail, _)| fits(model, head, tail));
                found.map(|(_, _, sheet)| sheet)
            })
    }

    /// Takes note of a model, or of all whose names have a form with `*`. Later notes count.
    pub fn set(&mut self, model: &str, sheet: Sheet) {
        let sheet = Arc::new(sheet);
        let Some((head, tail)) = model.split_once('*') else {
            self.exact.insert(model.into(), sheet);
            return;
        };
        self.patterns
            .retain(|(h, t, _)| (&**h, &**t) != (head, tail));
        self.patterns.push((head.into(), tail.into(), sheet));
        let length = |(head, tail, _): &(Box<str>, Box<str>, _)| head.len() + tail.len();
        self.patterns
            .sort_by_key(|pattern| std::cmp::Reverse(length(pattern)));
    }

    /// Adds what another knows; what it says counts before what was known.
    pub fn extend(&mut self, other: &Self) {
        for (model, sheet) in &other.exact {
            self.exact.insert(model.clone(), Arc::clone(sheet));
        }
        for (head, tail, sheet) in other.patterns.iter().rev() {
            self.set(&format!("{head}*{tail}"), Sheet::clone(sheet));
        }
    }

    /// How many models have a price of their own.
    pub fn len(&self) -> usize {
        self.exact.len() + self.patterns.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn fits(model: &str, head: &str, tail: &str) -> bool {
    model.len() >= head.len() + tail.len() && model.starts_with(head) && model.ends_with(tail)
}

/// A name without what only dates it.
fn undated(model: &str) -> &str {
    let model = model.strip_prefix("models/").unwrap_or(model);
    if let Some(model) = model.strip_suffix("-latest") {
        return model;
    }
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let cut = |length: usize, form: &dyn Fn(&str) -> bool| {
        let at = model.len().checked_sub(length)?;
        let (name, date) = model.split_at_checked(at)?;
        (!name.is_empty() && form(date)).then_some(name)
    };
    let long = |date: &str| {
        let mut parts = date
            .strip_prefix('-')
            .into_iter()
            .flat_map(|d| d.split('-'));
        let lengths = [4, 2, 2];
        lengths.iter().all(|length| {
            parts
                .next()
                .is_some_and(|part| part.len() == *length && digits(part))
        }) && parts.next().is_none()
    };
    let short = |date: &str| date.strip_prefix(['-', '@']).is_some_and(digits);
    let edition = |text: &str| text.strip_prefix("-0").is_some_and(digits);
    cut(11, &long)
        .or_else(|| cut(9, &short))
        .or_else(|| cut(4, &edition))
        .unwrap_or(model)
}

/// The tariffs of all providers, by the name of their kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book(HashMap<Box<str>, Tariff>);

impl Book {
    /// The tariff of a kind of provider, to be filled in.
    pub fn of(&mut self, provider: &str) -> &mut Tariff {
        self.0.entry(provider.into()).or_default()
    }

    /// The tariff of a kind of provider.
    pub fn get(&self, provider: &str) -> Option<&Tariff> {
        self.0.get(provider)
    }

    /// All of them.
    pub fn providers(&self) -> impl Iterator<Item = (&str, &Tariff)> {
        self.0.iter().map(|(name, tariff)| (&**name, tariff))
    }
}
