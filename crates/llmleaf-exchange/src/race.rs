//! Two attempts beside each other: where the first is slower than it nearly always is, a second target is asked too. Whoever says
//! something first stays; the other is dropped, which closes its connection and writes its record.

use crate::attempt;
use crate::drive::{Common, Run};
use crate::pulse::Timer;
use llmleaf_model::{Failure, Retry};
use llmleaf_route::{Attempt as Held, Millis};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

/// An attempt that runs.
type Lane<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + 'a>>;

/// Runs an attempt, and another one beside it if it has no content at `at`. `Err` is that of whoever failed last.
pub(crate) async fn run(run: &mut Run, held: Held, at: Millis) -> Result<(), Failure> {
    let common = Rc::clone(&run.common);
    let mut beside = run.beside();
    let mut first: Lane<'_> = Box::pin(attempt::run(run, held));
    if let Some(result) = alone(&mut first, &beside, at).await {
        return result;
    }
    let second = {
        let mut walk = common.walk.borrow_mut();
        let wanted = walk.as_mut().filter(|_| !beside.out.is_gone());
        wanted.and_then(|walk| walk.hedge(beside.node.shared.now()))
    };
    let Some(second) = second else {
        return first.await;
    };
    let request_id = Arc::clone(&beside.job.request_id);
    tracing::debug!(request_id = &*request_id, "a second target is asked");
    let second: Lane<'_> = Box::pin(attempt::run(&mut beside, second));
    let (mut first, mut second) = (Some(first), Some(second));
    let (result, of_second) = poll_fn(|cx| {
        if let Poll::Ready(result) = turn(&mut first, (&mut second, false), &common, cx) {
            return Poll::Ready((result, false));
        }
        turn(&mut second, (&mut first, true), &common, cx).map(|result| (result, true))
    })
    .await;
    drop((first, second));
    if of_second {
        // What is told of a failure is about whose it is.
        run.current = beside.current.take();
        run.losses = std::mem::take(&mut beside.losses);
    }
    result
}

/// Polls an attempt until it ended, which is returned, or said something, or `at` has come.
async fn alone(first: &mut Lane<'_>, beside: &Run, at: Millis) -> Option<Result<(), Failure>> {
    let shared = &beside.node.shared;
    let mut timer = Timer::default();
    poll_fn(|cx| {
        if let Poll::Ready(result) = first.as_mut().poll(cx) {
            return Poll::Ready(Some(result));
        }
        if beside.common.is_committed() || shared.now() >= at {
            return Poll::Ready(None);
        }
        timer.poll(shared.instant(at), cx).map(|()| None)
    })
    .await
}

/// One turn of an attempt beside another. Ready when the exchange is decided.
fn turn(
    own: &mut Option<Lane<'_>>,
    (other, is_second): (&mut Option<Lane<'_>>, bool),
    common: &Common,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Failure>> {
    let Some(lane) = own else {
        return Poll::Pending;
    };
    match lane.as_mut().poll(cx) {
        Poll::Pending => {
            if other.is_some() && common.is_committed() {
                outrun(other, common);
            }
            Poll::Pending
        }
        // The other may still answer. That the first refuses the request itself is what would have been without a second; what a second
        // refuses the first may take.
        Poll::Ready(Err(failure))
            if other.is_some() && (is_second || failure.retry != Retry::Never) =>
        {
            *own = None;
            Poll::Pending
        }
        Poll::Ready(result) => {
            *own = None;
            outrun(other, common);
            Poll::Ready(result)
        }
    }
}

/// Ends an attempt for which another was too fast.
fn outrun(lane: &mut Option<Lane<'_>>, common: &Common) {
    common.outrun.set(true);
    *lane = None;
    common.outrun.set(false);
}
