//! One thing that is pulled, for ever: ask when it is due, put in effect what is good, tell how things are.

use super::{Memory, Reach, What, since};
use crate::board::{Board, View};
use crate::pull::{Answer, Pull, Stamp, Step, Trouble};
use crate::store::Store;
use bytes::Bytes;
use llmleaf_route::Millis;
use sha2::{Digest, Sha256};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Where what was pulled goes.
pub(super) trait Sink {
    type Value: Send + 'static;

    /// What a body means, and how many entries it has.
    fn read(body: &Bytes) -> Result<(Self::Value, usize), Trouble>;

    /// Puts it in effect.
    async fn install(&mut self, value: Self::Value) -> Result<(), Trouble>;

    /// Something has happened to the pull, or it has become too old.
    fn after(&mut self, pull: &Pull, now: Millis) {
        let _ = (pull, now);
    }
}

/// What a pull works with.
pub(super) struct Around<'a, R> {
    pub what: What,
    pub reach: &'a R,
    pub board: &'a Board,
    pub store: Option<&'a Store>,
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
        let asked = around.reach.get(around.what, memory.pull.etag());
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
    let (from, address, limit) = (store.clone(), memory.address, around.what.limit());
    let kept = match aside(move || from.load(what, address, limit)).await {
        Ok(None) => return,
        Ok(Some(kept)) => kept,
        Err(error) => {
            tracing::warn!(what, %error, "what was kept from an earlier run cannot be used");
            return;
        }
    };
    let body = Bytes::from(kept.body);
    let installed = match read::<S>(&body).await {
        Ok((value, _)) => sink.install(value).await,
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
            memory.digested = Digested(Some(sum(&body).await));
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
    let pull = &mut memory.pull;
    let (answer, body) = match result {
        Ok(answered) => answered,
        Err(trouble) => return pull.failed(trouble, None, now()),
    };
    let is_body = (200..300).contains(&answer.status);
    let sum = if is_body {
        Some(sum(&body).await)
    } else {
        None
    };
    if sum.is_some() && memory.digested.0 == sum && pull.stamp().is_some() {
        pull.repeated(&answer, now());
        return keep(around, None, memory).await;
    }
    let read = match is_body {
        true => read::<S>(&body).await,
        // Its status says all.
        false => Err(Trouble::Status(answer.status)),
    };
    match pull.answered(&answer, now(), || read) {
        Step::Kept => {}
        Step::Same => keep(around, None, memory).await,
        Step::Fresh(value, stamp) => match sink.install(value).await {
            Ok(()) => {
                pull.accepted(stamp.clone(), now());
                memory.digested = Digested(sum);
                let what = around.what.as_str();
                tracing::info!(
                    what,
                    entries = stamp.size,
                    version = stamp.version.map(|v| v.to_string()),
                    "in effect"
                );
                keep(around, Some((stamp, body)), memory).await;
            }
            Err(trouble) => pull.failed(trouble, answer.retry_after, now()),
        },
    }
}

/// Keeps what is in effect, for the next run.
async fn keep<R>(around: &Around<'_, R>, fresh: Option<(Stamp, Bytes)>, memory: &Memory) {
    let Some(store) = around.store.cloned() else {
        return;
    };
    let (what, address) = (around.what.as_str(), memory.address);
    // Who waits for this may be given up for another plan: then nothing is to be written any more.
    let wanted = Arc::new(());
    let still = Arc::downgrade(&wanted);
    let kept = aside(move || {
        let _turn = store.turn();
        match (still.upgrade(), fresh) {
            (None, _) => Ok(()),
            (_, Some((stamp, body))) => store.save(what, address, &stamp, &body),
            (_, None) => store.confirm(what),
        }
    });
    let kept = kept.await;
    drop(wanted);
    if let Err(error) = kept {
        tracing::warn!(what, %error, "cannot be kept for the next run");
    }
}

/// Bodies up to this many bytes are read where they come in.
const SMALL: usize = 64 * 1024;

/// What a body means.
async fn read<S: Sink>(body: &Bytes) -> Result<(S::Value, usize), Trouble> {
    if body.len() <= SMALL {
        return S::read(body);
    }
    let body = body.clone();
    aside(move || S::read(&body)).await
}

/// The digest of a body.
async fn sum(body: &Bytes) -> [u8; 32] {
    if body.len() <= SMALL {
        return Sha256::digest(body).into();
    }
    let body = body.clone();
    aside(move || Sha256::digest(&body).into()).await
}

/// Does what takes its time (a disk, or half a gibibyte) beside the loops, all of which share one thread: leases do not wait for it.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and this with it.
            Err(_) => std::future::pending().await,
        },
    }
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

    struct Where;

    impl Sink for Where {
        type Value = ThreadId;

        fn read(_: &Bytes) -> Result<(ThreadId, usize), Trouble> {
            Ok((current().id(), 0))
        }

        async fn install(&mut self, _: ThreadId) -> Result<(), Trouble> {
            Ok(())
        }
    }

    /// All loops share one thread: what would keep it from leases for long is done elsewhere.
    #[tokio::test]
    async fn what_is_large_is_read_beside_the_loops() {
        let here = current().id();
        let small = Bytes::from(vec![b' '; SMALL]);
        assert_eq!(read::<Where>(&small).await, Ok((here, 0)));
        let large = Bytes::from(vec![b' '; SMALL + 1]);
        let (there, _) = read::<Where>(&large).await.expect("it is read");
        assert_ne!(there, here);
        assert_eq!(sum(&large).await, *Sha256::digest(&large));
        assert_ne!(aside(|| current().id()).await, here);
    }
}
