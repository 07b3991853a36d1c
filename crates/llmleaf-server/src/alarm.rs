//! Deadlines that move far more often than they pass.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// One timer for one waiter. It is armed when it is first asked, and armed anew only where the deadline came nearer or
/// the old one has passed: a deadline that is moved with every request costs no timer operation.
#[derive(Debug, Default)]
pub struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Whether the time is past `at`; if not, the task is woken then.
    pub fn is_past(&mut self, at: Instant, cx: &mut Context<'_>) -> bool {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if sleep.deadline() > at {
            sleep.as_mut().reset(at);
        }
        loop {
            match sleep.as_mut().poll(cx) {
                Poll::Pending => return false,
                Poll::Ready(()) if sleep.deadline() >= at => return true,
                Poll::Ready(()) => sleep.as_mut().reset(at),
            }
        }
    }
}

/// How long a consumer may take nothing of what it is sent.
pub const WRITE_STALL: Duration = Duration::from_secs(60);

/// The clock of whoever writes to a consumer.
#[derive(Debug, Default)]
pub struct Stall {
    /// Since when no byte could be written.
    since: Option<Instant>,
    alarm: Alarm,
}

impl Stall {
    /// Passes on what writing said, unless nothing was taken for too long.
    pub fn heed<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.since = None;
            return polled;
        }
        let until = *self.since.get_or_insert_with(Instant::now) + WRITE_STALL;
        if self.alarm.is_past(until, cx) {
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}
