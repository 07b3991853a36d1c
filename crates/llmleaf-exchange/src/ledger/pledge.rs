//! Words that are owed, and whether they are worth waiting for.

use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long an exchange waits for its begin to be kept. That takes microseconds, unless a disk is in trouble.
pub(crate) const PATIENCE: Duration = Duration::from_millis(250);
/// A disk that takes longer is in trouble, though somebody has waited for it.
const SLOW: Duration = Duration::from_millis(200);
/// For so long nothing may have been slow before words are waited for again: one that is slow now and then would be waited for now and then,
/// and be told of each time.
const QUICK: Duration = Duration::from_secs(10);

/// A word that is owed: it is given, or whoever owed it has gone, or somebody waited for it in vain.
pub struct Pledge {
    word: oneshot::Receiver<()>,
    doubt: Arc<Doubt>,
}

impl Pledge {
    /// That word. Whoever waits too long for it says so, and nobody waits from then on, until who gives words has been quick for a while.
    pub fn new(word: oneshot::Receiver<()>, doubt: Arc<Doubt>) -> Self {
        Self { word, doubt }
    }

    /// Waits for it.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.doubt.is_in() {
            return Poll::Ready(());
        }
        Pin::new(&mut self.word).poll(cx).map(|_given_or_gone| ())
    }

    /// It was waited for too long.
    pub(crate) fn give_up(&self) {
        self.doubt.begin();
    }
}

/// Whether words are waited for. It is told of when that changes, and then only.
#[derive(Debug, Default)]
pub struct Doubt {
    is_in: AtomicBool,
    /// When a word last came too late, or not at all, as far as who gives them knows.
    slow: Mutex<Option<Instant>>,
}

impl Doubt {
    /// Whether nobody waits.
    pub fn is_in(&self) -> bool {
        self.is_in.load(Ordering::Relaxed)
    }

    /// Nobody waits from now on.
    fn begin(&self) {
        if !self.is_in.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the disk does not take what begins, or not in time: until it does, requests go on without that, and a crash may leave no trace of them"
            );
        }
    }

    /// Who gives words was asked for some this long ago, and has kept what they are about, or could not.
    pub fn kept(&self, all: bool, longest: Duration, now: Instant) {
        let mut slow = self.slow.lock();
        if !all || longest > SLOW {
            *slow = Some(now);
            return self.begin();
        }
        let for_long = |slow: Instant| now.saturating_duration_since(slow) >= QUICK;
        if self.is_in() && slow.is_none_or(for_long) {
            *slow = None;
            self.is_in.store(false, Ordering::Relaxed);
            tracing::info!("the disk takes what begins again, and requests wait for that");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each write takes 300 ms: somebody waits for the first, nobody for the others, and it is told of once.
    #[test]
    fn h6_a_slow_disk_is_waited_for_once() {
        let (doubt, zero) = (Doubt::default(), Instant::now());
        let at = |secs| zero + Duration::from_secs(secs);
        let (slow, quick) = (Duration::from_millis(300), Duration::from_millis(1));
        doubt.kept(true, quick, at(0));
        assert!(!doubt.is_in());
        doubt.begin();
        for second in 1..60 {
            doubt.kept(true, slow, at(second));
            assert!(doubt.is_in(), "{second}");
        }
        // Quick again, but for one time.
        doubt.kept(true, quick, at(65));
        doubt.kept(true, slow, at(66));
        doubt.kept(true, quick, at(70));
        assert!(doubt.is_in());
        doubt.kept(true, quick, at(76));
        assert!(!doubt.is_in());
        doubt.kept(false, quick, at(77));
        assert!(doubt.is_in());
        // What it is not asked for it is not slow at.
        doubt.kept(true, Duration::ZERO, at(87));
        assert!(!doubt.is_in());
    }
}
