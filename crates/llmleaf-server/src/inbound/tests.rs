use super::{GRACE, read};
use crate::incoming::Inbound;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame};
use llmleaf_model::Failure;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// A body that comes in pieces with a pause before each.
struct Dripping {
    pieces: usize,
    bytes: usize,
    pause: Duration,
    next: Pin<Box<Sleep>>,
}

impl Inbound for Dripping {}

impl Body for Dripping {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.pieces == 0 {
            return Poll::Ready(None);
        }
        if self.next.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.pieces -= 1;
        let at = Instant::now() + self.pause;
        self.next.as_mut().reset(at);
        let piece = vec![b'x'; self.bytes];
        Poll::Ready(Some(Ok(Frame::data(piece.into()))))
    }
}

/// Reads such a body; how it went, and how long it took.
fn drip(pieces: usize, bytes: usize, pause: Duration) -> (Result<Bytes, Failure>, Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let body = Dripping {
            pieces,
            bytes,
            pause,
            next: Box::pin(sleep(pause)),
        };
        let started = Instant::now();
        let read = read(&HeaderMap::new(), body, 64 << 20).await;
        (read, started.elapsed())
    })
}

#[test]
fn d10_a_body_may_be_slow_but_not_too_slow() {
    let second = Duration::from_secs(1);
    let (read, took) = drip(300, 2048, second);
    assert_eq!(read.expect("2 KiB a second").len(), 300 * 2048);
    assert!(took > 4 * GRACE);

    let (read, took) = drip(100_000, 1, second);
    assert_eq!(read.expect_err("1 byte a second").status, Some(408));
    assert!(took >= GRACE && took < GRACE + 2 * second, "{took:?}");
}

#[test]
fn d10_a_body_that_came_fast_may_not_stand_still_for_long() {
    // 10 MiB at once would buy hours.
    let (read, took) = drip(2, 10 << 20, 2 * GRACE);
    let failure = read.expect_err("stands still");
    assert_eq!(failure.status, Some(StatusCode::REQUEST_TIMEOUT.as_u16()));
    assert!(took <= GRACE + Duration::from_secs(1), "{took:?}");
}
