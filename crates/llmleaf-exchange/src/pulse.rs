//! Waiting: what ends a wait, and one timer for an attempt's clocks and the consumer's keep-alive.

use llmleaf_route::{Clock, Millis};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// Why a wait ended before what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alarm {
    /// A clock of the attempt ran out.
    Clock(Clock),
    /// The node's time to finish is over.
    Closing,
    /// The caller may call no more, and what runs is to end with that.
    Barred,
}

/// A timer whose deadline mostly moves later: it is re-armed when it fires, not each time bytes come.
#[derive(Default)]
pub(crate) struct Timer {
    sleep: Option<(Pin<Box<Sleep>>, Instant)>,
}

impl Timer {
    /// Ready when `deadline` has passed.
    pub fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let (sleep, armed) = self
                .sleep
                .get_or_insert_with(|| (Box::pin(sleep_until(deadline)), deadline));
            if *armed > deadline {
                sleep.as_mut().reset(deadline);
                *armed = deadline;
            }
            ready!(sleep.as_mut().poll(cx));
            if *armed >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
            *armed = deadline;
        }
    }
}

/// When a consumer's stream needs a sign of life.
#[derive(Debug)]
pub(crate) struct Pulse {
    hold_until: Millis,
    every: Duration,
    last: Millis,
}

impl Pulse {
    /// For a stream that began `now`: headers are held for `hold`, then silence is broken after each `every`.
    pub fn new(now: Millis, hold: Duration, every: Duration) -> Self {
        Self {
            hold_until: now.after(hold),
            every,
            last: now,
        }
    }

    /// When the next sign of life is due.
    pub fn due(&self, head_sent: bool) -> Millis {
        if head_sent {
            self.last.after(self.every)
        } else {
            self.hold_until
        }
    }

    /// Something was sent.
    pub fn sent(&mut self, now: Millis) {
        self.last = now;
    }
}
