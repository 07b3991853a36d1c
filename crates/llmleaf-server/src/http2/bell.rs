//! Whether a request's own work was woken, or only the connection that it runs on.
//!
//! hyper polls the answer to a request whenever its connection has anything to do, and so for every request once more when the last of
//! its body has been taken. Nothing has changed then for what waits in it: an upstream, clocks, a semaphore. A bell of its own tells.

use parking_lot::Mutex;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// A future that is polled when something it waits for has called, and not otherwise.
pub struct Awoken<'f, F> {
    work: Pin<&'f mut F>,
    bell: Arc<Bell>,
    waker: Waker,
}

#[derive(Default)]
struct Bell {
    rung: AtomicBool,
    /// Whom to wake.
    owner: Mutex<Option<Waker>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        if let Some(owner) = &*self.owner.lock() {
            owner.wake_by_ref();
        }
    }
}

impl<'f, F: Future> Awoken<'f, F> {
    /// A future that was never polled.
    pub fn new(work: Pin<&'f mut F>) -> Self {
        let bell = Arc::new(Bell::default());
        bell.rung.store(true, Ordering::Relaxed);
        Self {
            work,
            waker: Waker::from(Arc::clone(&bell)),
            bell,
        }
    }

    /// Polls it if something has called since it was polled last, or `anyway`.
    pub fn poll(&mut self, anyway: bool, cx: &Context<'_>) -> Poll<F::Output> {
        let Bell { rung, owner } = &*self.bell;
        {
            let mut owner = owner.lock();
            if !matches!(&*owner, Some(known) if known.will_wake(cx.waker())) {
                *owner = Some(cx.waker().clone());
            }
        }
        // After the owner is known: what calls from here on wakes it.
        if !rung.swap(false, Ordering::Acquire) && !anyway {
            return Poll::Pending;
        }
        self.work
            .as_mut()
            .poll(&mut Context::from_waker(&self.waker))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn work_is_polled_when_it_was_called_and_not_when_its_connection_was() {
        let (mut polls, mut wakers) = (0, Vec::new());
        let work = pin!(poll_fn(|cx| {
            polls += 1;
            wakers.push(cx.waker().clone());
            if polls == 4 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }));
        let mut work = work;
        let calls = || {
            let count = Arc::<Count>::default();
            (Arc::clone(&count), Waker::from(count))
        };
        let ((first, waker), (second, other)) = (calls(), calls());
        let (cx, other) = (Context::from_waker(&waker), Context::from_waker(&other));
        let mut awoken = Awoken::new(work.as_mut());
        assert!(awoken.poll(false, &cx).is_pending(), "begun");
        let inner = awoken.waker.clone();
        assert!(awoken.poll(false, &cx).is_pending(), "nobody called");
        inner.wake_by_ref();
        assert_eq!(first.0.load(Ordering::Relaxed), 1);
        assert!(awoken.poll(false, &other).is_pending(), "called");
        assert!(awoken.poll(true, &other).is_pending(), "polled anyway");
        inner.wake();
        let woken = [&first, &second].map(|count| count.0.load(Ordering::Relaxed));
        assert_eq!(woken, [1, 1], "whoever polled last is woken");
        assert!(awoken.poll(false, &other).is_ready());
        drop(awoken);
        assert_eq!(polls, 4);
    }
}
