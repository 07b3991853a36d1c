//! The judge's own breaker: every outcome in a list, every rule read from the list.

use llmleaf_route::Change;

#[derive(Default)]
pub struct BreakerBook {
    pub cooldown: u64,
    /// (when, weight) since it closed last; a weight of 0 is a success.
    outcomes: Vec<(u64, u32)>,
    /// It closed after having been open, and nothing has ended well since.
    probation: bool,
    /// Attempts older than this are no evidence.
    evidence_from: u64,
    pub open: Option<Open>,
    /// How long it was open last, when it closed, and its `again`.
    last: Option<(u64, u64, u32)>,
    /// Attempts that were let through while not closed, and have shown nothing yet.
    trials: Vec<u64>,
}

pub struct Open {
    at: u64,
    pub until: u64,
    again: u32,
    passes: u32,
    /// Its time is over, or a last resort passed: trials run.
    half: bool,
    last_trial: u64,
    /// Milliseconds from the last trial to the next last resort.
    gap: u64,
}

pub enum Let {
    Plain,
    Trial,
    LastResort,
}

impl BreakerBook {
    pub fn new(cooldown: u64) -> Self {
        Self {
            cooldown,
            ..Self::default()
        }
    }

    pub fn tried(&mut self, serial: u64, now: u64) -> Result<Let, String> {
        let Some(open) = &mut self.open else {
            return Ok(Let::Plain);
        };
        open.half |= now >= open.until;
        if self.trials.len() >= 2 {
            return Err("a third trial runs beside two".into());
        }
        let last_resort = !open.half;
        if last_resort && !self.trials.is_empty() {
            return Err("a last resort beside a trial".into());
        }
        if last_resort && now < open.last_trial + open.gap {
            return Err(format!(
                "a last resort {} ms after the last",
                now - open.last_trial
            ));
        }
        open.last_trial = now;
        if last_resort {
            open.gap = (open.gap * 2).min(1000);
        }
        self.trials.push(serial);
        Ok(if last_resort {
            Let::LastResort
        } else {
            Let::Trial
        })
    }

    fn forget(&mut self, serial: u64) -> bool {
        let before = self.trials.len();
        self.trials.retain(|trial| *trial != serial);
        before != self.trials.len()
    }

    pub fn dropped(&mut self, serial: u64) {
        self.forget(serial);
    }

    /// What a first content must have changed.
    pub fn passed(&mut self, serial: u64, now: u64) -> Option<Change> {
        if !self.forget(serial) || serial < self.evidence_from {
            return None;
        }
        let open = self.open.as_mut()?;
        open.half = true;
        open.passes += 1;
        if open.passes < 2 {
            return None;
        }
        self.last = Some((open.until - open.at, now, open.again));
        self.open = None;
        self.outcomes.clear();
        self.probation = true;
        Some(Change::Closed)
    }

    pub fn succeeded(&mut self, serial: u64, now: u64) -> Option<Change> {
        let change = self.passed(serial, now);
        if self.open.is_none() && serial >= self.evidence_from {
            self.outcomes.push((now, 0));
            self.probation = false;
        }
        change
    }

    /// Whether a failure must have opened it; if it did, what was said of that.
    pub fn failed(
        &mut self,
        serial: u64,
        weight: u32,
        said: Option<Change>,
        now: u64,
        next_serial: u64,
    ) -> Result<(), String> {
        self.forget(serial);
        let counts = weight > 0 && serial >= self.evidence_from;
        let opens = counts
            && match &self.open {
                Some(open) => open.half,
                None => {
                    self.outcomes.push((now, weight));
                    self.in_a_row() >= 6 || self.burst() || self.ratio(now)
                }
            };
        match said {
            None if !opens => Ok(()),
            Some(Change::Opened { until, again }) if opens => {
                let until = until.0;
                self.opened(until, again, now)?;
                self.evidence_from = next_serial;
                Ok(())
            }
            said => Err(format!("the breaker must open: {opens}, said {said:?}")),
        }
    }

    fn opened(&mut self, until: u64, again: u32, now: u64) -> Result<(), String> {
        let expected = match (&self.open, self.last) {
            (Some(open), _) => open.again + 1,
            (None, Some((opened_for, closed_at, again)))
                if now - closed_at < opened_for.max(60_000) =>
            {
                again + 1
            }
            (None, _) => 0,
        };
        if again != expected {
            return Err(format!("opened for the time {again}, expected {expected}"));
        }
        let nominal = (self.cooldown << again.min(16)).min(300_000.max(self.cooldown));
        let span = until - now;
        if span < nominal * 9 / 10 || span > nominal * 11 / 10 + 1 {
            return Err(format!("open for {span} ms, nominal {nominal}"));
        }
        self.open = Some(Open {
            at: now,
            until,
            again,
            passes: 0,
            half: false,
            last_trial: now,
            gap: 125,
        });
        Ok(())
    }

    fn in_a_row(&self) -> u32 {
        let failures = self
            .outcomes
            .iter()
            .rev()
            .take_while(|(_, weight)| *weight > 0);
        let row: u32 = failures.map(|(_, weight)| weight).sum();
        row + if self.probation { 5 } else { 0 }
    }

    fn burst(&self) -> bool {
        let mut failures = 0;
        let mut successes = 0;
        let newest = self.outcomes.last().map_or(0, |(at, _)| *at);
        for (at, weight) in self.outcomes.iter().rev() {
            if *weight == 0 {
                successes += 1;
                continue;
            }
            failures += 1;
            if failures == 5 {
                return newest - at <= 2000 && successes <= 20;
            }
        }
        false
    }

    fn ratio(&self, now: u64) -> bool {
        let lately = |at: u64| at / 10_000 + 3 > now / 10_000;
        let all = self.outcomes.iter().filter(|(at, _)| lately(*at)).count();
        let bad = self
            .outcomes
            .iter()
            .filter(|(at, weight)| lately(*at) && *weight > 0)
            .count();
        all >= 10 && bad * 2 >= all
    }
}
