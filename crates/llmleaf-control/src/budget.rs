//! The leases of a node between those who spend and the loop that asks for more.

use crate::lease::{Denied, Held, Leases, Reports, Spent, Told};
use llmleaf_route::Millis;
use parking_lot::Mutex;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Longest time that a request waits for what it may spend.
const WAIT: Duration = Duration::from_secs(3);

/// The leases of a node.
pub struct Budget {
    leases: Mutex<Leases>,
    epoch: Instant,
    /// Somebody wants more, or has something to tell.
    wanted: Notify,
    /// The controller has answered, or has not.
    answered: Notify,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            leases: Mutex::default(),
            epoch: Instant::now(),
            wanted: Notify::new(),
            answered: Notify::new(),
        }
    }
}

/// Why a request may not go on now, for its consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spendless {
    /// Nothing is left, for so long where that is known.
    Exhausted(Option<Duration>),
    /// Nobody says whether something is left.
    Unknown,
}

impl Budget {
    /// Takes what a request is thought to use, and asks for it and waits where it is not here: not for long.
    ///
    /// # Errors
    /// There is not that much left, or nobody says so.
    pub async fn hold(self: &Arc<Self>, key: &str, thought: Spent) -> Result<Hold, Spendless> {
        let until = Instant::now() + WAIT;
        loop {
            let mut answered = pin!(self.answered.notified());
            // From here on no answer is missed.
            answered.as_mut().enable();
            let now = self.now();
            let held = self.change(|leases| leases.hold(key, thought, now));
            match held {
                Ok(held) => {
                    return Ok(Hold {
                        budget: Arc::clone(self),
                        held: Some(held),
                        used: Spent::default(),
                    });
                }
                Err(Denied::Exhausted(until)) => {
                    let wait = until.map(|until| Duration::from_millis(until.since(now)));
                    return Err(Spendless::Exhausted(wait));
                }
                Err(Denied::Away) => return Err(Spendless::Unknown),
                Err(Denied::Asking) => {
                    if timeout_at(until, answered).await.is_err() {
                        return Err(Spendless::Unknown);
                    }
                }
            }
        }
    }

    /// For what was used already, at another time: it is told, whether something is left or not.
    pub fn charge(self: &Arc<Self>, key: &str) -> Hold {
        let held = self.change(|leases| leases.hold_anyway(key, self.now()));
        Hold {
            budget: Arc::clone(self),
            held: Some(held),
            used: Spent::default(),
        }
    }

    /// Takes as much again as something that goes on for long, without waiting.
    fn again(&self, held: &Held) -> Result<Option<Held>, Spendless> {
        let now = self.now();
        // What one costs may be thought otherwise by now.
        let thought = Spent {
            nano_usd: 0,
            ..held.amount()
        };
        match self.change(|leases| leases.hold(held.key(), thought, now)) {
            Ok(next) => Ok(Some(next)),
            // The answer is on its way, and counts the next time.
            Err(Denied::Asking) => Ok(None),
            Err(Denied::Exhausted(until)) => {
                let wait = until.map(|until| Duration::from_millis(until.since(now)));
                Err(Spendless::Exhausted(wait))
            }
            Err(Denied::Away) => Err(Spendless::Unknown),
        }
    }

    /// Whether requests go on without a lease while the controller does not answer.
    pub fn open(&self, open: bool) {
        self.leases.lock().set_open(open);
    }

    /// Waits until there is something to tell or to ask, and says what.
    pub async fn next(&self) -> Reports {
        loop {
            let due = self.leases.lock().due();
            let now = self.now();
            match due {
                Some(due) if due <= now => {
                    if let Some(reports) = self.leases.lock().report(now) {
                        return reports;
                    }
                }
                Some(due) => {
                    let pause = Duration::from_millis(due.since(now));
                    // Either is a reason to look again.
                    let _ = tokio::time::timeout(pause, self.wanted.notified()).await;
                }
                None => self.wanted.notified().await,
            }
        }
    }

    /// The controller has answered.
    pub fn answered(&self, reports: &Reports, told: &Told) {
        self.leases.lock().answered(reports, told, self.now());
        self.answered.notify_waiters();
    }

    /// The controller has not answered; it is asked again after that.
    pub fn unanswered(&self, retry: Duration) {
        self.leases.lock().unanswered(retry, self.now());
        self.answered.notify_waiters();
    }

    /// How many keys there are leases for.
    pub fn keys(&self) -> usize {
        self.leases.lock().len()
    }

    fn settle(&self, held: Held, used: Spent) {
        self.change(|leases| leases.settle(held, used, self.now()));
    }

    /// Changes something, and wakes who tells of it only if that is to be told sooner than what it waits for. Whatever may have something told
    /// sooner goes this way: who waits knows only what was due when it began to.
    fn change<T>(&self, change: impl FnOnce(&mut Leases) -> T) -> T {
        let (changed, sooner) = {
            let mut leases = self.leases.lock();
            let before = leases.due();
            let changed = change(&mut leases);
            let due = leases.due();
            (
                changed,
                due.is_some_and(|due| before.is_none_or(|before| due < before)),
            )
        };
        if sooner {
            self.wanted.notify_one();
        }
        changed
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

impl std::fmt::Debug for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Budget({} keys)", self.keys())
    }
}

/// What a running request holds. What it used is told when it is dropped.
#[derive(Debug)]
pub struct Hold {
    budget: Arc<Budget>,
    held: Option<Held>,
    used: Spent,
}

impl Hold {
    /// It used so much more. A request counts as one however many attempts it takes.
    pub fn spend(&mut self, tokens: u64, nano_usd: u64) {
        let more = Spent {
            requests: 0,
            tokens,
            nano_usd,
        };
        self.used = self.used.plus(more);
    }

    /// Settles what was used so far as a request of its own, and takes as much again.
    ///
    /// # Errors
    /// Nothing is left. What is used all the same is settled with what was used so far.
    pub fn renew(&mut self) -> Result<(), Spendless> {
        let Some(held) = &self.held else {
            return Ok(());
        };
        if let Some(next) = self.budget.again(held)? {
            self.settle(Some(next));
        }
        Ok(())
    }

    fn settle(&mut self, next: Option<Held>) {
        let used = std::mem::take(&mut self.used);
        if let Some(held) = std::mem::replace(&mut self.held, next) {
            // Looking at what is paid for is no request.
            let requests = u64::from(!held.is_late() || used != Spent::default());
            self.budget.settle(held, Spent { requests, ..used });
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.settle(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::{Grant, Granted};

    fn granted(reports: &Reports, requests: u64) -> Told {
        let all = reports.leases.iter().map(|report| Grant {
            key: report.key.clone(),
            lease: "a".into(),
            granted: Granted {
                requests: Some(requests),
                ..Granted::default()
            },
            expires_in_secs: 60,
            exhausted_secs: None,
        });
        Told {
            leases: all.collect(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_for_its_first_lease_and_not_for_ever() {
        let budget = Arc::<Budget>::default();
        let controller = async {
            let reports = budget.next().await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            budget.answered(&reports, &granted(&reports, 1));
        };
        let (held, ()) = tokio::join!(budget.hold("k", Spent::default()), controller);
        let mut held = held.expect("granted");
        held.spend(7, 9);
        drop(held);
        let reports = budget.next().await;
        let spent = reports.leases[0].spent;
        assert_eq!((spent.requests, spent.tokens, spent.nano_usd), (1, 7, 9));
        let began = Instant::now();
        let refused = budget.hold("k", Spent::default()).await;
        assert_eq!(refused.err(), Some(Spendless::Unknown));
        assert_eq!(began.elapsed(), WAIT);
    }

    /// Requests come and go by the thousand; the loop that tells of them sleeps until it is to tell.
    #[tokio::test(start_paused = true)]
    async fn a_request_wakes_nobody_who_has_nothing_to_say_yet() {
        #[derive(Default)]
        struct Wakes(std::sync::atomic::AtomicUsize);
        impl std::task::Wake for Wakes {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
        let budget = Arc::<Budget>::default();
        let asking = budget.hold("k", Spent::default());
        let controller = async {
            let reports = budget.next().await;
            budget.answered(&reports, &granted(&reports, 10_000));
        };
        drop(tokio::join!(asking, controller).0.expect("granted"));
        // Told of that one, and asleep again.
        let reports = budget.next().await;
        budget.answered(&reports, &Told::default());
        let wakes = Arc::<Wakes>::default();
        let waker = Arc::clone(&wakes).into();
        let mut next = pin!(budget.next());
        let mut poll = || {
            let mut cx = std::task::Context::from_waker(&waker);
            next.as_mut().poll(&mut cx)
        };
        assert!(poll().is_pending());
        for _ in 0..1000 {
            drop(budget.hold("k", Spent::default()).await.expect("granted"));
            assert!(poll().is_pending());
        }
        let woken = wakes.0.load(std::sync::atomic::Ordering::Relaxed);
        assert!(woken <= 2, "{woken} times");
    }

    /// What is charged late finds the loop asleep for good, or for long.
    #[tokio::test(start_paused = true)]
    async fn what_is_charged_late_is_told_and_keeps_nobody_waiting() {
        let budget = Arc::<Budget>::default();
        let wait = tokio::time::timeout(Duration::from_secs(60), budget.next());
        let charging = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let mut charge = budget.charge("k");
            charge.spend(7, 9);
        };
        let (reports, ()) = tokio::join!(wait, charging);
        let reports = reports.expect("it is told");
        let spent = reports.leases[0].spent;
        assert_eq!((spent.requests, spent.tokens, spent.nano_usd), (1, 7, 9));
        budget.answered(&reports, &granted(&reports, 10));
        // And what cost nothing is not a request.
        drop(budget.charge("k"));
        let asking = budget.hold("k", Spent::default()).await;
        drop(asking.expect("granted"));
        let reports = budget.next().await;
        let told = reports.leases.iter().find(|told| told.lease.is_some());
        assert_eq!(told.expect("its lease").spent.requests, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_on_for_long_is_settled_as_it_goes_and_ends_when_nothing_is_left() {
        let budget = Arc::<Budget>::default();
        let controller = async {
            let reports = budget.next().await;
            budget.answered(&reports, &granted(&reports, 2));
        };
        let (held, ()) = tokio::join!(budget.hold("k", Spent::default()), controller);
        let mut held = held.expect("granted");
        held.spend(7, 9);
        assert_eq!(held.renew(), Ok(()));
        let reports = budget.next().await;
        let told = |reports: &Reports| {
            let spent = reports.leases.iter().map(|lease| lease.spent);
            spent.fold(Spent::default(), Spent::plus)
        };
        assert_eq!(told(&reports).tokens, 7);
        // Nothing more is granted, and the controller says so.
        let mut answer = granted(&reports, 2);
        answer.leases[0].exhausted_secs = Some(60);
        budget.answered(&reports, &answer);
        held.spend(5, 0);
        let refused = held.renew();
        assert!(
            matches!(refused, Err(Spendless::Exhausted(Some(_)))),
            "{refused:?}"
        );
        // What was used before is told all the same, and so is what another time used.
        let mut charged = budget.charge("k");
        charged.spend(100, 3);
        drop((held, charged));
        let reports = budget.next().await;
        let told = told(&reports);
        assert_eq!((told.requests, told.tokens, told.nano_usd), (3, 112, 12));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_hears_that_nobody_answers() {
        let budget = Arc::<Budget>::default();
        let controller = async {
            budget.next().await;
            budget.unanswered(Duration::from_secs(5));
        };
        let (held, ()) = tokio::join!(budget.hold("k", Spent::default()), controller);
        assert_eq!(held.err(), Some(Spendless::Unknown));
    }
}
