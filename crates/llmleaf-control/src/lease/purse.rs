//! The lease of one key.

use super::wire::{Grant, Granted, Report, Spent};
use super::{Denied, REPORT};
use llmleaf_route::Millis;
use std::sync::Arc;
use std::time::Duration;

/// Shortest time between two questions about one key. Twice as long after each that brought nothing, up to [`REPORT`].
const GAP: Duration = Duration::from_millis(200);
/// Whoever would have to wait longer than that for the next question is told that nothing is left.
const PATIENCE: Duration = Duration::from_secs(3);
/// Most times that the gap is doubled.
const DOUBLINGS: u32 = 6;
/// The least that is asked for at once.
const LEAST: Spent = Spent {
    requests: 16,
    tokens: 50_000,
    nano_usd: 50_000_000,
};
/// Longest that a lease lasts, in seconds, whatever was granted.
const LONGEST: u64 = 31 * 24 * 3600;

/// What is known of one key's budget.
#[derive(Debug, Default)]
pub(super) struct Purse {
    lease: Option<Lease>,
    /// Leases before, of which something is still to be told.
    before: Vec<Lease>,
    /// Spent without any, so far, and what is running so.
    without: Spent,
    running_without: u64,
    without_told: Spent,
    /// What the dearest of the last requests have cost: the next one is thought to cost as much. Falls with each that costs less.
    dearest_nano_usd: u64,
    /// What was asked for since the last report, granted or not.
    demand: Spent,
    /// It was asked for more than there was.
    wanting: bool,
    /// Last use.
    used: Millis,
    /// When the controller was asked last, and what became of that.
    asked: Option<(Millis, Question)>,
    /// How often in a row it was asked and granted nothing more.
    vain: u32,
    /// Somebody was in need of it when it was asked; else it was asked ahead of time.
    in_need: bool,
    /// The cap is used up until then.
    exhausted: Option<Millis>,
    /// When the last lease was over. What was asked before that, is answered about it.
    ended: Millis,
    /// And which it was.
    last: Option<Arc<str>>,
    /// It is among those of which something may have to be told.
    pub is_noted: bool,
    /// When it is looked at though nothing happens.
    pub look: Option<Millis>,
}

/// A question about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    OnItsWay,
    /// It is answered, or will not be.
    Over,
}

#[derive(Debug)]
struct Lease {
    id: Arc<str>,
    granted: Granted,
    spent: Spent,
    held: Spent,
    open: u64,
    expires: Millis,
    /// Nothing more is held on it.
    over: bool,
    /// What the controller knows: spent, open, and whether it is over.
    told: Option<(Spent, u64, bool)>,
}

impl Lease {
    fn state(&self) -> (Spent, u64, bool) {
        (self.spent, self.open, self.over)
    }

    fn is_settled(&self) -> bool {
        self.open == 0 && self.told == Some((self.spent, 0, true))
    }
}

impl Purse {
    /// Something has changed; whether that is news.
    pub fn note_change(&mut self) -> bool {
        !std::mem::replace(&mut self.is_noted, true)
    }

    /// What a request is held for: what is known beforehand, and in money what the dearest have cost lately.
    pub fn thought(&self, thought: Spent) -> Spent {
        Spent {
            requests: 1,
            tokens: thought.tokens,
            nano_usd: thought.nano_usd.max(self.dearest_nano_usd),
        }
    }

    /// Takes so much, and says on which lease, and how much it was.
    ///
    /// While the controller is `away` nobody has said that nothing is left.
    pub fn hold(
        &mut self,
        amount: Spent,
        now: Millis,
        away: bool,
    ) -> Result<(Arc<str>, Spent), Denied> {
        self.used = now;
        self.demand = self.demand.plus(amount);
        if let Some(lease) = self
            .lease
            .as_mut()
            .filter(|lease| now < lease.expires && !lease.over)
        {
            let amount = lease.affordable(amount);
            let after = lease.spent.plus(lease.held).plus(amount);
            if lease.granted.covers(after) {
                lease.held = lease.held.plus(amount);
                lease.open += 1;
                return Ok((Arc::clone(&lease.id), amount));
            }
        }
        self.wanting = true;
        if !self.in_need {
            // What was not granted ahead of time may be granted now that it is needed.
            self.in_need = true;
            self.vain = 0;
        }
        match self.exhausted {
            Some(until) if now < until => Err(Denied::Exhausted(Some(until))),
            // It was asked again and again: one more question would say no more than the last one did. One that is asked may.
            _ if !away && !self.is_asking() && self.gap() > now.after(PATIENCE) => {
                Err(Denied::Exhausted(Some(self.gap())))
            }
            _ => Err(Denied::Asking),
        }
    }

    /// Not before then is the controller asked again.
    fn gap(&self) -> Millis {
        let pause = GAP.saturating_mul(1 << self.vain.min(DOUBLINGS));
        let asked = self.asked.map(|(asked, _)| asked.after(pause.min(REPORT)));
        asked.unwrap_or_default()
    }

    fn is_asking(&self) -> bool {
        matches!(self.asked, Some((_, Question::OnItsWay)))
    }

    /// The last question is answered, or nobody heard it.
    pub fn hear(&mut self) {
        self.asked = self.asked.map(|(asked, _)| (asked, Question::Over));
    }

    pub fn hold_without(&mut self) {
        self.running_without += 1;
    }

    /// A request has cost so much.
    pub fn note_price(&mut self, nano_usd: u64) {
        // One that was dear by chance is forgotten after some that were not.
        let less = self.dearest_nano_usd.saturating_sub(nano_usd);
        self.dearest_nano_usd = nano_usd.max(self.dearest_nano_usd - less.div_ceil(8));
    }

    pub fn settle(&mut self, id: Option<&str>, held: Spent, used: Spent, now: Millis) {
        self.used = now;
        let Some(id) = id else {
            self.running_without = self.running_without.saturating_sub(1);
            self.without = self.without.plus(used);
            return;
        };
        let all = self.lease.iter_mut().chain(&mut self.before);
        for lease in all.filter(|lease| &*lease.id == id) {
            lease.held = lease.held.minus(held);
            lease.open = lease.open.saturating_sub(1);
            lease.spent = lease.spent.plus(used);
        }
    }

    /// Whether more should be asked for, before it is needed.
    pub fn is_low(&self, now: Millis) -> bool {
        let Some(lease) = self.lease.as_ref().filter(|lease| now < lease.expires) else {
            return true;
        };
        let taken = lease.spent.plus(lease.held);
        // A quarter of what is asked for at once is left.
        let ahead = self.wish();
        let quarter = Spent {
            requests: ahead.requests / 4,
            tokens: ahead.tokens / 4,
            nano_usd: ahead.nano_usd / 4,
        };
        self.wanting || !lease.granted.covers(taken.plus(quarter))
    }

    /// What is asked for at once: twice what was asked for lately.
    fn wish(&self) -> Spent {
        self.demand.plus(self.demand).max(LEAST)
    }

    /// When the controller may be asked.
    pub fn may_ask(&self, now: Millis) -> Millis {
        match self.exhausted {
            Some(until) if now < until => until,
            _ => self.gap().max(now),
        }
    }

    /// Adds what there is to tell.
    pub fn report(&mut self, key: &str, now: Millis, idle_ms: u64, reports: &mut Vec<Report>) {
        let idle = now.since(self.used) >= idle_ms;
        let asks = !idle && self.is_low(now) && self.may_ask(now) <= now;
        let wish = self.wish();
        if let Some(lease) = &mut self.lease {
            // Given back before it is told, so that nothing can be spent of what the controller takes back.
            lease.over |= idle || now >= lease.expires;
        }
        let over = self.lease.as_ref().is_some_and(|lease| lease.over);
        if over && let Some(lease) = self.lease.take() {
            self.ended = now;
            self.last = Some(Arc::clone(&lease.id));
            self.before.push(lease);
        }
        for lease in self
            .before
            .iter()
            .filter(|lease| lease.told != Some(lease.state()))
        {
            reports.push(lease.report(key, None));
        }
        if self.without != self.without_told {
            reports.push(Report {
                key: key.to_owned(),
                lease: None,
                spent: self.without,
                open: self.running_without,
                want: None,
                over: false,
            });
        }
        match &self.lease {
            Some(lease) if asks || lease.told != Some(lease.state()) => {
                reports.push(lease.report(key, asks.then_some(wish)));
            }
            None if asks => reports.push(Report {
                key: key.to_owned(),
                lease: None,
                spent: self.without,
                open: self.running_without,
                want: Some(wish),
                over: false,
            }),
            _ => {}
        }
        if asks {
            self.asked = Some((now, Question::OnItsWay));
            self.demand = Spent::default();
            self.wanting = false;
        }
    }

    /// The controller knows that.
    pub fn told(&mut self, report: &Report) {
        if report.want.is_some() {
            self.hear();
        }
        // Until it turns out that it has granted something.
        self.vain = self.vain.saturating_add(u32::from(report.want.is_some()));
        let Some(id) = &report.lease else {
            self.without_told = report.spent;
            return;
        };
        let all = self.lease.iter_mut().chain(&mut self.before);
        for lease in all.filter(|lease| *lease.id == **id) {
            lease.told = Some((report.spent, report.open, report.over));
        }
        self.before.retain(|lease| !lease.is_settled());
    }

    /// The controller has granted that, on what was asked at that time.
    pub fn granted(&mut self, grant: &Grant, asked: Millis, now: Millis) {
        let life = Duration::from_secs(grant.expires_in_secs.min(LONGEST));
        let expires = asked.after(life);
        let wait = grant
            .exhausted_secs
            .map(|secs| Duration::from_secs(secs.min(LONGEST)));
        self.exhausted = wait.map(|wait| now.after(wait));
        // What is over stays over, also where an answer comes late: it would be spent a second time.
        let is_it = |id: &str| *id == *grant.lease;
        let over = self.last.as_deref().is_some_and(is_it)
            || self.before.iter().any(|lease| is_it(&lease.id));
        if asked < self.ended || over {
            return;
        }
        let before = match &self.lease {
            Some(lease) if *lease.id == *grant.lease => lease.granted,
            _ => Granted::NOTHING,
        };
        if before.max(grant.granted) != before {
            self.vain = 0;
            self.in_need = false;
        }
        match &mut self.lease {
            Some(lease) if *lease.id == *grant.lease => {
                lease.granted = lease.granted.max(grant.granted);
                lease.expires = lease.expires.max(expires);
            }
            known => {
                let fresh = Lease {
                    id: grant.lease.as_str().into(),
                    granted: grant.granted,
                    spent: Spent::default(),
                    held: Spent::default(),
                    open: 0,
                    expires,
                    over: false,
                    told: None,
                };
                if let Some(mut older) = known.replace(fresh) {
                    older.over = true;
                    self.ended = now;
                    self.before.push(older);
                }
            }
        }
    }

    /// Whether the controller has not heard all of it.
    pub fn is_untold(&self) -> bool {
        let mut all = self.lease.iter().chain(&self.before);
        all.any(|lease| lease.told != Some(lease.state())) || self.without != self.without_told
    }

    /// Whether there is nothing to tell and nothing that will be.
    fn is_quiet(&self) -> bool {
        self.lease.is_none()
            && self.before.is_empty()
            && self.without == self.without_told
            && self.running_without == 0
    }

    /// When to look at it though nothing happens: its lease ends, or is to be given back, or more is wanted; or it may be forgotten.
    pub fn look_at(&self, now: Millis, idle_ms: u64) -> Option<Millis> {
        let idle = Millis(self.used.0.saturating_add(idle_ms));
        let Some(lease) = &self.lease else {
            if self.wanting && now < idle {
                return Some(self.may_ask(now).max(now.after(GAP)));
            }
            let forgotten = self.is_quiet() && self.without == Spent::default();
            return forgotten.then_some(idle.max(now.after(GAP)));
        };
        let ends = lease.expires.min(idle);
        let asks = self
            .is_low(now)
            .then(|| self.may_ask(now).max(now.after(REPORT)));
        Some(asks.map_or(ends, |asks| asks.min(ends)).max(now))
    }

    /// Whether it can be forgotten.
    pub fn is_over(&self, now: Millis, idle_ms: u64) -> bool {
        // What was spent without a lease is told as a sum, which goes on where it was.
        self.is_quiet() && now.since(self.used) >= idle_ms && self.without == Spent::default()
    }
}

impl Lease {
    /// As much of that as may be held. What a request will cost is a guess: where it is more than all that is left, and nothing else
    /// runs, what is left is held for it, or a key whose requests were dear once could not spend its last money at all.
    fn affordable(&self, amount: Spent) -> Spent {
        let left =
            (self.granted.nano_usd).map(|granted| granted.saturating_sub(self.spent.nano_usd));
        match left {
            Some(left) if self.open == 0 && left > 0 => Spent {
                nano_usd: amount.nano_usd.min(left),
                ..amount
            },
            _ => amount,
        }
    }

    fn report(&self, key: &str, want: Option<Spent>) -> Report {
        Report {
            key: key.to_owned(),
            lease: Some(self.id.to_string()),
            spent: self.spent,
            open: self.open,
            want,
            over: self.over,
        }
    }
}

const _: () = assert!(REPORT.as_millis() > GAP.as_millis());
