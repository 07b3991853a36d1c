//! Upstreams that are read to their end although their consumers have gone, so that the bill is known: providers whose
//! `on_cancel` says so. The one thing that outlives the task of its consumer's connection; few at a time, and bounded in bytes and
//! time. What is beyond is closed, as everywhere else.

use crate::outlet::{Driver, Slot};
use crate::panics;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::Notify;

/// Most of them at a time, per worker.
pub const MOST: usize = 64;
/// Most bytes of an answer that are read for nobody.
const BYTES: usize = 16 * 1024 * 1024;
/// Longest reading for nobody.
const LONGEST: Duration = Duration::from_secs(300);

/// The drains of a worker.
#[derive(Default)]
pub struct Drains {
    waiting: RefCell<Vec<Drain>>,
    news: Notify,
    /// Waiting and running.
    count: Rc<Cell<usize>>,
    tended: Cell<bool>,
}

struct Drain {
    driver: Driver,
    slot: Rc<RefCell<Slot>>,
    _counted: Counted,
}

struct Counted(Rc<Cell<usize>>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

impl Drains {
    /// Takes what is left of an exchange, if there is room; else it is dropped, which closes its upstream.
    pub(crate) fn adopt(&self, driver: Driver, slot: Rc<RefCell<Slot>>) {
        if !self.tended.get() || self.count.get() >= MOST || std::thread::panicking() {
            return;
        }
        slot.borrow_mut().leave();
        self.count.set(self.count.get() + 1);
        let counted = Counted(Rc::clone(&self.count));
        self.waiting.borrow_mut().push(Drain {
            driver,
            slot,
            _counted: counted,
        });
        self.news.notify_one();
    }

    /// Reads them to their end. Runs as long as its worker; when it is dropped, whatever is left is closed.
    pub async fn tend(self: Rc<Self>) {
        let tending = Tending(self);
        tending.0.tended.set(true);
        loop {
            tending.0.news.notified().await;
            let waiting = tending.0.waiting.take();
            for drain in waiting {
                tokio::task::spawn_local(drain.run());
            }
        }
    }
}

struct Tending(Rc<Drains>);

impl Drop for Tending {
    fn drop(&mut self) {
        self.0.tended.set(false);
        // What waits holds its node, which holds these: nobody else would ever drop it.
        drop(self.0.waiting.take());
    }
}

impl Drain {
    async fn run(self) {
        let Self {
            mut driver,
            slot,
            _counted,
        } = self;
        let work = poll_fn(|cx| {
            let polled = panics::contain(|| driver.as_mut().poll(cx));
            let within = slot.borrow().discarded <= BYTES;
            match polled {
                Ok(Poll::Pending) if within => Poll::Pending,
                _ => Poll::Ready(()),
            }
        });
        let _ = tokio::time::timeout(LONGEST, work).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::time::{Instant, sleep};

    /// Runs a test in simulated time, beside what tends the drains.
    fn tended(test: impl AsyncFnOnce(Rc<Drains>)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build_local(tokio::runtime::LocalOptions::default())
            .unwrap();
        runtime.block_on(async {
            let drains = Rc::new(Drains::default());
            tokio::task::spawn_local(Rc::clone(&drains).tend());
            tokio::task::yield_now().await;
            test(drains).await;
        });
    }

    /// Until nothing is read for nobody any more; how long that took.
    async fn all_gone(drains: &Drains) -> Duration {
        let began = Instant::now();
        while drains.count.get() > 0 {
            sleep(Duration::from_secs(1)).await;
        }
        began.elapsed()
    }

    #[test]
    fn a8_who_says_nothing_more_is_read_for_a_stated_time() {
        tended(async |drains| {
            let slot = Rc::new(RefCell::new(Slot::default()));
            let upstream = Rc::clone(&slot);
            drains.adopt(
                Box::pin(async move {
                    let _held = upstream;
                    pending::<()>().await;
                }),
                Rc::clone(&slot),
            );
            sleep(LONGEST - Duration::from_secs(1)).await;
            assert_eq!(drains.count.get(), 1);
            assert!(all_gone(&drains).await <= Duration::from_secs(2));
            // What held the upstream is dropped with it.
            assert_eq!(Rc::strong_count(&slot), 1);
        });
    }

    #[test]
    fn a8_who_goes_on_for_ever_is_read_up_to_a_stated_number_of_bytes() {
        const PIECE: usize = 64 * 1024;
        tended(async |drains| {
            let slot = Rc::new(RefCell::new(Slot::default()));
            let upstream = Rc::clone(&slot);
            drains.adopt(
                Box::pin(async move {
                    loop {
                        upstream.borrow_mut().discarded += PIECE;
                        tokio::task::yield_now().await;
                    }
                }),
                Rc::clone(&slot),
            );
            assert!(all_gone(&drains).await <= Duration::from_secs(1));
            assert_eq!(slot.borrow().discarded, BYTES + PIECE);
            assert_eq!(Rc::strong_count(&slot), 1);
        });
    }

    #[test]
    fn a8_so_many_are_read_for_nobody_and_no_more() {
        tended(async |drains| {
            for _ in 0..=MOST {
                let slot = Rc::new(RefCell::new(Slot::default()));
                drains.adopt(Box::pin(pending()), slot);
            }
            assert_eq!(drains.count.get(), MOST);
            all_gone(&drains).await;
            let slot = Rc::new(RefCell::new(Slot::default()));
            drains.adopt(Box::pin(async {}), slot);
            assert_eq!(drains.count.get(), 1, "there is room again");
        });
    }
}
