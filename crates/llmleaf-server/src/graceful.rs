//! How a connection hears of orders: it finishes what runs, and takes nothing more.

use crate::worker::{LATECOMERS, Order};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use tokio::sync::watch;

/// Runs a connection; when the worker drains, it finishes what runs and takes nothing more. It is `shut` then.
/// It is pinned by the caller: a future that takes another one and pins it has room for it twice.
pub async fn graceful<C: Future>(
    mut connection: Pin<&mut C>,
    mut orders: watch::Receiver<Order>,
    has_served: impl Fn() -> bool,
    shut: impl FnOnce(Pin<&mut C>),
) -> C::Output {
    let mut news = orders.clone();
    if let Some(result) = until(&mut connection, &mut orders, &mut news).await {
        return result;
    }
    // Who came just before the doors closed is left a moment for its first request.
    if !has_served() {
        let mut moment = pin!(tokio::time::sleep(LATECOMERS));
        let first = poll_fn(|cx| {
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                return Poll::Ready(Some(result));
            }
            if has_served() || moment.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            Poll::Pending
        });
        if let Some(result) = first.await {
            return result;
        }
    }
    shut(connection.as_mut());
    nudged(connection, orders).await
}

/// Runs a connection until it ends, or the worker drains.
async fn until<C: Future>(
    connection: &mut Pin<&mut C>,
    orders: &mut watch::Receiver<Order>,
    news: &mut watch::Receiver<Order>,
) -> Option<C::Output> {
    // Not for the task to be told that it has done enough: it would be woken, and nobody would wait.
    let drains = tokio::task::unconstrained(orders.wait_for(|order| *order != Order::Run));
    let mut drains = pin!(drains);
    let mut waits = false;
    poll_fn(|cx| {
        if let Poll::Ready(result) = connection.as_mut().poll(cx) {
            return Poll::Ready(Some(result));
        }
        // Whoever waits has left its waker, which is the task's own: to ask again at every poll costs more than to see that there is no news.
        if waits && !news.has_changed().unwrap_or(true) {
            return Poll::Pending;
        }
        waits = true;
        news.mark_unchanged();
        match drains.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Runs a future, and polls it once more at every order: an exchange looks at the node's state when it is polled.
pub async fn nudged<F: Future>(future: F, mut orders: watch::Receiver<Order>) -> F::Output {
    let mut future = pin!(future);
    loop {
        tokio::select! {
            biased;
            output = future.as_mut() => return output,
            changed = orders.changed() => if changed.is_err() {
                return future.await;
            }
        }
    }
}
