//! What an answer waits for before it begins.

use crate::ledger::Pledge;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Sleep;

/// How long an answer waits for its begin to be kept. That takes microseconds, unless a disk is in trouble.
const PATIENCE: Duration = Duration::from_millis(100);

/// What must be kept before the answer begins, so that whoever had any of it is told of, even if the process dies.
pub(super) struct Owed {
    pledge: Option<Pledge>,
    /// A disk that takes nothing keeps no answer for longer.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Owed {
    pub(super) fn of(pledge: Option<Pledge>) -> Self {
        Self {
            pledge,
            patience: None,
        }
    }

    /// Whether nothing is owed any more, or it was waited for in vain.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(pledge) = &mut self.pledge else {
            return Poll::Ready(());
        };
        if Pin::new(pledge).poll(cx).is_pending() {
            let patience = || Box::pin(tokio::time::sleep(PATIENCE));
            let patience = self.patience.get_or_insert_with(patience);
            if patience.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        (self.pledge, self.patience) = (None, None);
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn h4_an_answer_waits_for_its_begin_to_be_kept_and_not_for_ever() {
        let owed = || {
            let (kept, pledge) = tokio::sync::oneshot::channel();
            (kept, Owed::of(Some(pledge)))
        };
        let at_once =
            async |owed: &mut Owed| poll_fn(|cx| Poll::Ready(owed.poll(cx).is_ready())).await;
        let (kept, mut one) = owed();
        assert!(!at_once(&mut one).await, "not yet");
        kept.send(()).expect("somebody who waits");
        assert!(at_once(&mut one).await, "kept");
        assert!(at_once(&mut one).await, "and for good");
        let (kept, mut one) = owed();
        drop(kept);
        assert!(at_once(&mut one).await, "nobody keeps it");
        let (_kept, mut one) = owed();
        let began = Instant::now();
        poll_fn(|cx| one.poll(cx)).await;
        assert_eq!(began.elapsed(), PATIENCE, "the disk takes nothing");
    }
}
