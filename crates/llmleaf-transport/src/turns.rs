//! Who is about to write lets those go first who still read and reckon.

use std::cell::Cell;

/// After so many that met nobody, it is not worth a turn of the event loop each time…
const ALONE: u32 = 8;
/// …and one in so many looks whether that has changed.
const LOOKS: u32 = 16;

/// The order in which one worker's exchanges write.
///
/// A write wakes its peer where that sleeps, and to wake it costs more than to write: the kernel sends an interrupt to another core, on
/// a virtual machine through its host. Who is written to again before it has slept is not woken again. So exchanges
/// that are ready in the same turn of the event loop reckon first and write then, one behind the other. With 64 connections, each with a
/// provider and a consumer on another core, that took a quarter to a third off the whole cost of a small request, and most of it off
/// the kernel's share (docs/performance.md).
///
/// Who is alone pays for it with one more turn of the loop, and does so seldom.
#[derive(Debug, Default)]
pub struct Turns {
    /// How many came here, modulo 2^32.
    came: Cell<u32>,
    /// How many of those that waited met nobody, one behind the other.
    alone: Cell<u32>,
}

impl Turns {
    /// Waits until everything else of this worker that is ready has been worked on once. It returns at once where that was of no use lately.
    pub async fn behind_others(&self) {
        let own = self.came.get().wrapping_add(1);
        self.came.set(own);
        if self.alone.get() >= ALONE && !own.is_multiple_of(LOOKS) {
            return;
        }
        tokio::task::yield_now().await;
        let met_nobody = self.came.get() == own;
        self.alone.set(if met_nobody {
            self.alone.get().saturating_add(1)
        } else {
            0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::future::Future;
    use std::pin::pin;
    use std::rc::Rc;
    use std::task::{Context, Waker};

    /// What one did, and when among the others.
    type Told = Rc<RefCell<Vec<(&'static str, u8)>>>;

    async fn exchange(turns: Rc<Turns>, told: Told, name: u8) {
        told.borrow_mut().push(("reckons", name));
        turns.behind_others().await;
        told.borrow_mut().push(("writes", name));
    }

    #[tokio::test]
    async fn all_that_are_ready_reckon_before_the_first_one_writes() {
        let (turns, told) = (Rc::new(Turns::default()), Told::default());
        let one = |name| exchange(Rc::clone(&turns), Rc::clone(&told), name);
        let all = tokio::task::LocalSet::new();
        for name in 0..3 {
            all.spawn_local(one(name));
        }
        all.await;
        let steps: Vec<_> = told.borrow().iter().map(|(step, _)| *step).collect();
        let expected = ["reckons"; 3].into_iter().chain(["writes"; 3]);
        assert!(steps.iter().copied().eq(expected), "{steps:?}");
    }

    /// Whether the next one waits.
    fn waits(turns: &Turns) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let mut turn = pin!(turns.behind_others());
        let waits = turn.as_mut().poll(&mut cx).is_pending();
        if waits {
            assert!(turn.as_mut().poll(&mut cx).is_ready(), "one turn is all");
        }
        waits
    }

    #[test]
    fn who_is_alone_seldom_waits_and_who_meets_others_does_again() {
        let turns = Turns::default();
        let first: Vec<_> = (0..ALONE).map(|_| waits(&turns)).collect();
        assert!(first.iter().all(|waits| *waits));
        let looks = (0..10 * LOOKS).filter(|_| waits(&turns)).count();
        assert_eq!(looks, 10);
        // One looks while others pass.
        let mut cx = Context::from_waker(Waker::noop());
        let mut looking = Box::pin(turns.behind_others());
        while looking.as_mut().poll(&mut cx).is_ready() {
            looking = Box::pin(turns.behind_others());
        }
        assert!(!waits(&turns));
        assert!(looking.as_mut().poll(&mut cx).is_ready());
        assert!(waits(&turns));
    }
}
