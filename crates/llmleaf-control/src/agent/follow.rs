//! One thing that is pulled, for ever: ask when it is due, put in effect what is good, tell how things are.

use super::aside::Aside;
use super::keeper::Keep;
use super::{Beside, Memory, Reach, What, since};
use crate::board::{Board, View};
use crate::pull::{Answer, Pull, Stamp, Step, Trouble};
use crate::store::Store;
use bytes::Bytes;
use llmleaf_route::Millis;
use sha2::{Digest, Sha256};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Where what was pulled goes.
pub(super) trait Sink {
    type Value: Send + 'static;

    /// What a body means, and how many entries it has.
    fn read(body: &Bytes) -> Result<(Self::Value, usize), Trouble>;

    /// Puts it in effect.
    async fn install(&mut self, value: Self::Value, size: Size<'_>) -> Result<(), Trouble>;

    /// Something has happened to the pull, or it has become too old.
    fn after(&mut self, pull: &Pull, now: Millis) {
        let _ = (pull, now);
    }
}

/// Where the work that comes with a body is done.
pub(super) enum Size<'a> {
    /// Here: it takes no longer than a request.
    Small,
    /// Elsewhere.
    Large(&'a Aside),
}

impl Size<'_> {
    /// Does that where it is to be done. Whoever goes on with another plan meanwhile may leave it running: it is told whether it is still
    /// wanted.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Fn() -> bool) -> T + Send + 'static,
    ) -> T {
        match self {
            Self::Small => work(&|| true),
            Self::Large(aside) => {
                let wanted = Arc::new(());
                let still = Arc::downgrade(&wanted);
                let done = aside.run(move || work(&|| still.strong_count() > 0)).await;
                drop(wanted);
                done
            }
        }
    }
}

/// What a pull works with.
pub(super) struct Around<'a, R> {
    pub what: What,
    pub reach: &'a R,
    pub board: &'a Board,
    pub store: Option<&'a Store>,
    pub beside: &'a Beside,
    /// Lives as long as the plan is followed.
    pub plan: Arc<()>,
    pub epoch: Instant,
    /// Counts those that were tried once.
    pub tried: &'a watch::Sender<usize>,
}

/// What the body in effect was, so that the same one is not read twice.
#[derive(Default)]
pub(super) struct Digested(Option<[u8; 32]>);

/// How often a trouble that lasts is told in the log.
const REMIND: Duration = Duration::from_secs(600);

pub(super) async fn follow<R: Reach, S: Sink>(
    around: Around<'_, R>,
    memory: &mut Memory,
    sink: &mut S,
) {
    restore(&around, memory, sink).await;
    let mut told: Option<(&'static str, Millis)> = None;
    let mut first = true;
    loop {
        let due = instant(around.epoch, memory.pull.due());
        meanwhile(&around, memory, sink, sleep_until(due)).await;
        // What the file has not got is asked for whole.
        let is_kept = around.store.is_none() || !around.beside.keeper.is_behind();
        let etag = memory.pull.etag().filter(|_| is_kept);
        let asked = around.reach.get(around.what, etag);
        let result = meanwhile(&around, memory, sink, asked).await;
        let was = memory.pull.confirmed();
        digest(&around, memory, sink, result).await;
        tell(around.what, memory, was, &mut told, since(around.epoch));
        if std::mem::take(&mut first) {
            show(&around, memory, sink);
            around.tried.send_modify(|tried| *tried += 1);
        }
    }
}

/// Waits for something, and tells it when what is in effect becomes too old meanwhile.
async fn meanwhile<R, S: Sink, T>(
    around: &Around<'_, R>,
    memory: &Memory,
    sink: &mut S,
    wanted: impl Future<Output = T>,
) -> T {
    show(around, memory, sink);
    let mut wanted = std::pin::pin!(wanted);
    let cools = memory
        .pull
        .cools()
        .filter(|_| !memory.pull.is_cold(since(around.epoch)));
    let cools = cools.map(|at| instant(around.epoch, at));
    tokio::select! {
        result = &mut wanted => return result,
        () = at(cools) => show(around, memory, sink),
    }
    wanted.await
}

/// Begins with what a file remembers.
async fn restore<R: Reach, S: Sink>(around: &Around<'_, R>, memory: &mut Memory, sink: &mut S) {
    let Some(store) = around.store.filter(|_| memory.pull.confirmed().is_none()) else {
        return;
    };
    let what = around.what.as_str();
    let keeper = &around.beside.keeper;
    let load = keeper.load(store, what, memory.address, around.what.limit());
    let kept = match load.await {
        Ok(None) => return,
        Ok(Some(kept)) => kept,
        Err(error) => {
            tracing::warn!(what, %error, "what was kept from an earlier run cannot be used");
            return;
        }
    };
    let body = Bytes::from(kept.body);
    let size = around.size(&body, memory);
    let installed = match read::<S>(&size, &body).await {
        Ok((value, _)) => install(around, memory, sink, value, &body).await,
        Err(trouble) => Err(trouble),
    };
    match installed {
        Ok(()) => {
            let age_secs = kept.age.map(|age| age.as_secs());
            tracing::info!(
                what,
                age_secs,
                "beginning with what was kept from an earlier run"
            );
            memory
                .pull
                .restored(kept.stamp, kept.age, since(around.epoch));
            memory.digested = Digested(Some(sum(&size, &body).await));
        }
        Err(trouble) => {
            tracing::warn!(what, %trouble, "what was kept from an earlier run cannot be used");
        }
    }
}

/// Makes of an answer what it means.
async fn digest<R: Reach, S: Sink>(
    around: &Around<'_, R>,
    memory: &mut Memory,
    sink: &mut S,
    result: Result<(Answer, Bytes), Trouble>,
) {
    let now = || since(around.epoch);
    let (answer, body) = match result {
        Ok(answered) => answered,
        Err(trouble) => return memory.pull.failed(trouble, None, now()),
    };
    let is_body = (200..300).contains(&answer.status);
    let size = around.size(&body, memory);
    let pull = &mut memory.pull;
    let sum = if is_body {
        Some(sum(&size, &body).await)
    } else {
        None
    };
    if sum.is_some() && memory.digested.0 == sum && pull.stamp().is_some() {
        pull.repeated(&answer, now());
        let stamp = pull.stamp().filter(|_| around.beside.keeper.is_behind());
        let fresh = stamp.map(|stamp| (stamp.clone(), body));
        return keep(around, fresh, memory);
    }
    let read = match is_body {
        true => read::<S>(&size, &body).await,
        // Its status says all.
        false => Err(Trouble::Status(answer.status)),
    };
    match pull.answered(&answer, now(), || read) {
        Step::Kept => {}
        Step::Same => keep(around, None, memory),
        Step::Fresh(value, stamp) => match install(around, memory, sink, value, &body).await {
            Ok(()) => {
                memory.pull.accepted(stamp.clone(), now());
                memory.digested = Digested(sum);
                let what = around.what.as_str();
                tracing::info!(
                    what,
                    entries = stamp.size,
                    version = stamp.version.map(|v| v.to_string()),
                    "in effect"
                );
                keep(around, Some((stamp, body)), memory);
            }
            Err(trouble) => memory.pull.failed(trouble, answer.retry_after, now()),
        },
    }
}

/// Puts a body in effect.
async fn install<R, S: Sink>(
    around: &Around<'_, R>,
    memory: &mut Memory,
    sink: &mut S,
    value: S::Value,
    body: &Bytes,
) -> Result<(), Trouble> {
    let size = around.size(body, memory);
    // Before it is: it may count although nobody is here any more to say so.
    let was_large = memory.is_large;
    memory.is_large |= is_large(body);
    let installed = sink.install(value, size).await;
    memory.is_large = match installed {
        Ok(()) => is_large(body),
        Err(_) => was_large,
    };
    installed
}

/// Keeps what is in effect, for the next run.
fn keep<R>(around: &Around<'_, R>, fresh: Option<(Stamp, Bytes)>, memory: &Memory) {
    let Some(store) = around.store.cloned() else {
        return;
    };
    around.beside.keeper.keep(Keep {
        store,
        what: around.what.as_str(),
        address: memory.address,
        fresh,
        at: SystemTime::now(),
        plan: Arc::downgrade(&around.plan),
    });
}

/// Bodies up to this many bytes are read where they come in.
const SMALL: usize = 64 * 1024;

impl<R> Around<'_, R> {
    /// What is to be freed for it counts like what is to be read.
    fn size(&self, body: &Bytes, memory: &Memory) -> Size<'_> {
        match is_large(body) || memory.is_large {
            false => Size::Small,
            true => Size::Large(&self.beside.aside),
        }
    }
}

fn is_large(body: &Bytes) -> bool {
    body.len() > SMALL
}

/// What a body means.
async fn read<S: Sink>(size: &Size<'_>, body: &Bytes) -> Result<(S::Value, usize), Trouble> {
    let body = body.clone();
    size.run(move |_| S::read(&body)).await
}

/// The digest of a body.
async fn sum(size: &Size<'_>, body: &Bytes) -> [u8; 32] {
    let body = body.clone();
    size.run(move |_| Sha256::digest(&body).into()).await
}

/// Logs what has changed, and now and then what has not.
fn tell(
    what: What,
    memory: &Memory,
    was: Option<Millis>,
    told: &mut Option<(&'static str, Millis)>,
    now: Millis,
) {
    let what = what.as_str();
    if memory.pull.confirmed() != was {
        if told.take().is_some() {
            tracing::info!(what, "the controller is back");
        }
        return;
    }
    let Some((trouble, at)) = memory.pull.troubles().last() else {
        return;
    };
    let again = told.is_none_or(|(kind, at)| {
        kind != trouble.kind() || u128::from(now.since(at)) >= REMIND.as_millis()
    });
    if again && *at <= now {
        *told = Some((trouble.kind(), now));
        let in_effect = was.is_some();
        tracing::warn!(what, in_effect, %trouble, "nothing good from the controller; what is in effect stays");
    }
}

fn show<R, S: Sink>(around: &Around<'_, R>, memory: &Memory, sink: &mut S) {
    let now = since(around.epoch);
    sink.after(&memory.pull, now);
    around.board.put(around.what, View::of(&memory.pull, now));
}

fn instant(epoch: Instant, at: Millis) -> Instant {
    /// Nothing is planned for later than that.
    const FAR: u64 = 400 * 24 * 3600 * 1000;
    epoch + Duration::from_millis(at.0.min(since(epoch).0.saturating_add(FAR)))
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::{ThreadId, current};

    /// Where it was installed.
    struct Where(Option<ThreadId>);

    impl Sink for Where {
        type Value = ThreadId;

        fn read(_: &Bytes) -> Result<(ThreadId, usize), Trouble> {
            Ok((current().id(), 0))
        }

        async fn install(&mut self, _: ThreadId, size: Size<'_>) -> Result<(), Trouble> {
            self.0 = Some(size.run(|_| current().id()).await);
            Ok(())
        }
    }

    /// All loops share one thread: what would keep it from leases for long is done elsewhere.
    #[tokio::test]
    async fn what_is_large_is_read_beside_the_loops() {
        let here = current().id();
        let body = Bytes::from_static(b"{}");
        let read_as = async |size: Size<'_>| {
            assert_eq!(sum(&size, &body).await, *Sha256::digest(&body));
            read::<Where>(&size, &body).await.expect("it is read").0
        };
        assert_eq!(read_as(Size::Small).await, here);
        let aside = Aside::default();
        assert_ne!(read_as(Size::Large(&aside)).await, here);
    }

    /// What goes on after its plan was given up hears of it.
    #[tokio::test]
    async fn what_nobody_waits_for_is_not_wanted() {
        let aside = Aside::default();
        let (told, heard) = std::sync::mpsc::channel();
        let (go, waits) = std::sync::mpsc::channel::<()>();
        let size = Size::Large(&aside);
        let mut work = Box::pin(size.run(move |wanted| {
            told.send(wanted()).expect("somebody hears it");
            waits.recv().expect("it is told");
            told.send(wanted()).expect("somebody hears it");
        }));
        let begun = std::future::poll_fn(|cx| std::task::Poll::Ready(work.as_mut().poll(cx)));
        assert!(begun.await.is_pending());
        assert!(heard.recv().expect("told"));
        drop(work);
        go.send(()).expect("it waits");
        assert!(!heard.recv().expect("told"));
    }

    /// A small roster that takes a large one's place has that one to free.
    #[tokio::test]
    async fn what_replaces_something_large_is_put_in_place_beside_the_loops() {
        let (plan, beside, board) = (Arc::new(()), Beside::default(), Board::default());
        let around = Around {
            what: What::Identity,
            reach: &(),
            board: &board,
            store: None,
            beside: &beside,
            plan,
            epoch: Instant::now(),
            tried: &watch::channel(0).0,
        };
        let cadence = crate::pull::Cadence {
            every: Duration::from_secs(1),
            max_shrink_percent: 50,
            max_stale: None,
        };
        let mut memory = Memory {
            address: [0; 32],
            pull: Pull::new(cadence, 1, Millis(0)),
            digested: Digested::default(),
            is_large: false,
        };
        let mut put = async |length: usize| {
            let body = Bytes::from(vec![b' '; length]);
            let mut sink = Where(None);
            let value = current().id();
            let installed = install(&around, &mut memory, &mut sink, value, &body).await;
            installed.expect("it is taken");
            sink.0.expect("installed") != current().id()
        };
        for (length, is_beside) in [
            (SMALL, false),
            (SMALL + 1, true),
            (SMALL, true),
            (SMALL, false),
        ] {
            assert_eq!(put(length).await, is_beside, "{length}");
        }
    }
}
