//! The judge's own account of limits: every charge in a list, and a plain bucket in floating point.

use llmleaf_route::limits::Figures;
use llmleaf_route::{Limits, Millis};

#[derive(Default)]
pub struct LimitBook {
    limits: Limits,
    pub running: u32,
    requests: Rate,
    tokens: Rate,
}

#[derive(Default)]
struct Rate {
    per_min: Option<f64>,
    level: f64,
    at: u64,
    /// (when, how much; negative is given back)
    charges: Vec<(u64, f64)>,
}

impl Rate {
    fn new(per_min: Option<u64>) -> Self {
        let per_min = per_min.map(|n| n as f64);
        Self {
            per_min,
            level: per_min.unwrap_or_default(),
            ..Self::default()
        }
    }

    fn flow(&mut self, now: u64) {
        let rate = self.per_min.unwrap_or_default();
        self.level = (self.level + (now - self.at) as f64 * rate / 60_000.0).min(rate);
        self.at = now;
    }

    fn has(&mut self, amount: f64, now: u64) -> bool {
        let Some(rate) = self.per_min else {
            return true;
        };
        self.flow(now);
        rate > 0.0 && self.level + 1e-6 >= amount.min(rate)
    }

    fn charge(&mut self, amount: f64, now: u64) {
        let Some(rate) = self.per_min else { return };
        // What is given back does not wait for the clock: it is capped when it comes, as it stands then.
        if amount > 0.0 {
            self.flow(now);
        }
        self.level = (self.level - amount).min(rate);
        self.charges.push((now, amount));
    }

    /// In no stretch of time that ends with an admission did more pass than a minute's worth and what flowed in meanwhile.
    fn law(&self, newest: f64, now: u64) -> Result<(), String> {
        let Some(rate) = self.per_min else {
            return Ok(());
        };
        let mut sum = 0.0;
        for (at, amount) in self.charges.iter().rev() {
            sum += amount;
            let most = rate + (now - at) as f64 * rate / 60_000.0 + (newest - rate).max(0.0);
            if sum > most + 1e-6 {
                return Err(format!(
                    "{sum} since {} ms at {rate} a minute, at most {most}",
                    now - at
                ));
            }
        }
        Ok(())
    }

    fn remaining(&mut self, now: u64) -> Option<f64> {
        self.per_min?;
        self.flow(now);
        Some(self.level.max(0.0))
    }
}

impl LimitBook {
    pub fn new(limits: Limits) -> Self {
        Self {
            requests: Rate::new(limits.requests_per_min),
            tokens: Rate::new(limits.tokens_per_min),
            limits,
            running: 0,
        }
    }

    pub fn admits(&mut self, tokens: u64, now: u64) -> bool {
        let room = self
            .limits
            .max_concurrent
            .is_none_or(|most| self.running < most);
        room && self.requests.has(1.0, now) && self.tokens.has(tokens as f64, now)
    }

    pub fn admitted(&mut self, tokens: u64, now: u64) -> Result<(), String> {
        self.running += 1;
        if self
            .limits
            .max_concurrent
            .is_some_and(|most| self.running > most)
        {
            return Err(format!("{} run at once", self.running));
        }
        self.requests.charge(1.0, now);
        self.tokens.charge(tokens as f64, now);
        self.requests.law(1.0, now)?;
        self.tokens.law(tokens as f64, now)
    }

    pub fn settled(&mut self, charged: u64, used: u64, now: u64) {
        self.tokens.charge(used as f64 - charged as f64, now);
    }

    pub fn refunded(&mut self, charged: u64, now: u64) {
        self.requests.charge(-1.0, now);
        self.tokens.charge(-(charged as f64), now);
    }

    pub fn compare(&mut self, figures: &Figures, now: u64) -> Result<(), String> {
        if self.limits == Limits::default() {
            return Ok(());
        }
        let near = |own: Option<f64>, said: Option<u64>| match (own, said) {
            (Some(own), Some(said)) => (own - said as f64).abs() < 1.001,
            (own, said) => own.is_none() && said.is_none(),
        };
        let requests = self.requests.remaining(now);
        let tokens = self.tokens.remaining(now);
        let agree = near(requests, figures.requests.map(|f| f.remaining))
            && near(tokens, figures.tokens.map(|f| f.remaining))
            && figures
                .concurrent
                .is_none_or(|(running, _)| running == self.running);
        if agree {
            Ok(())
        } else {
            Err(format!(
                "limits at {:?}: {figures:?}, expected {requests:?}, {tokens:?}, {} running",
                Millis(now),
                self.running
            ))
        }
    }
}

impl LimitBook {
    pub fn is_limited(&self) -> bool {
        self.limits != Limits::default()
    }
}
