//! What an exchange waits for, and what ends a wait: a clock, the node, or its caller.

use super::Run;
use crate::failure;
use crate::pulse::Alarm;
use llmleaf_model::Failure;
use llmleaf_route::{Millis, Watch};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

impl Run {
    /// Whether the node's time to finish is over. Whoever says so polls every exchange once more.
    pub fn closing(&self) -> bool {
        self.node.closing.load(Ordering::Relaxed)
    }

    /// Whether it is to end whatever becomes of its attempt: the node closes, or its caller may call no more.
    pub fn ends(&self) -> Option<Alarm> {
        if self.closing() {
            return Some(Alarm::Closing);
        }
        self.out.is_barred().then_some(Alarm::Barred)
    }

    /// Ready when a clock of the attempt has run out, or the node closes. Keeps the consumer's stream alive meanwhile.
    pub fn poll_alarm(&mut self, watch: &Watch, cx: &mut Context<'_>) -> Poll<Alarm> {
        loop {
            if let Some(alarm) = self.ends() {
                return Poll::Ready(alarm);
            }
            if let Some(clock) = watch.expired(self.node.shared.now()) {
                return Poll::Ready(Alarm::Clock(clock));
            }
            if self.poll_quiet(watch.deadline().0, cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Waits between two attempts, and keeps the consumer's stream alive meanwhile.
    pub async fn pause(&mut self, until: Millis) -> Result<(), Failure> {
        std::future::poll_fn(|cx| {
            loop {
                match self.ends() {
                    None => {}
                    Some(Alarm::Barred) => return Poll::Ready(Err(failure::barred())),
                    Some(_) => return Poll::Ready(Err(failure::shutdown())),
                }
                if self.node.shared.now() >= until {
                    return Poll::Ready(Ok(()));
                }
                if self.poll_quiet(until, cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Waits for somebody beside the attempts, who has a clock of its own, and keeps the consumer's stream alive meanwhile.
    pub async fn meanwhile<F: Future + ?Sized>(
        &mut self,
        mut future: Pin<&mut F>,
    ) -> Result<F::Output, Failure> {
        /// How often it is looked after that wait where no sign of life is due.
        const ROUND: Duration = Duration::from_secs(3600);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(value) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(value));
            }
            loop {
                match self.ends() {
                    None => {}
                    Some(Alarm::Barred) => return Poll::Ready(Err(failure::barred())),
                    Some(_) => return Poll::Ready(Err(failure::shutdown())),
                }
                let until = self.node.shared.now().after(ROUND);
                if self.poll_quiet(until, cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Sends the consumer a sign of life where one is due; ready at the deadline, or when the next one is.
    fn poll_quiet(&mut self, mut deadline: Millis, cx: &mut Context<'_>) -> Poll<()> {
        let due = |run: &Self| {
            let pulse = run.common.pulse.borrow();
            pulse.as_ref().map(|p| p.due(run.out.head_sent()))
        };
        if due(self).is_some_and(|due| self.node.shared.now() >= due) {
            self.sent();
            self.stream_head();
            self.out.sign(self.job.dialect.keep_alive());
        }
        if let Some(due) = due(self) {
            deadline = deadline.min(due);
        }
        self.timer.poll(self.node.shared.instant(deadline), cx)
    }

    /// Waits for a future under the attempt's clocks.
    pub async fn wait<F: Future>(
        &mut self,
        watch: &Watch,
        mut future: Pin<&mut F>,
    ) -> Result<F::Output, Alarm> {
        std::future::poll_fn(|cx| {
            if let Poll::Ready(value) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(value));
            }
            self.poll_alarm(watch, cx).map(Err)
        })
        .await
    }
}
