//! Where what was pulled goes.

use super::follow::{Sink, Size};
use super::{Offer, Ruled};
use crate::pull::{Pull, Trouble};
use crate::verdicts::{Ruling, Status};
use crate::{identity, verdicts};
use bytes::Bytes;
use llmleaf_auth::{Authenticator, Verdicts};
use llmleaf_route::Millis;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

pub(super) struct IdentitySink<'a> {
    pub authenticator: &'a Arc<Authenticator>,
    pub alone: bool,
}

/// Frees what was replaced while somebody still held it. Who shows a list does so for a moment, and whoever holds it for longer than this
/// has it freed with the next one.
fn bury(authenticator: &Authenticator) {
    const TIMES: usize = 50;
    const PAUSE: Duration = Duration::from_millis(20);
    for _ in 0..TIMES {
        if authenticator.bury() {
            return;
        }
        std::thread::sleep(PAUSE);
    }
}

impl Sink for IdentitySink<'_> {
    type Value = identity::Identity;

    fn read(body: &Bytes) -> Result<(Self::Value, usize), Trouble> {
        let read = identity::read(body)?;
        let rows = read.rows;
        Ok((read, rows))
    }

    async fn install(&mut self, value: Self::Value, size: Size<'_>) -> Result<(), Trouble> {
        if !value.too_costly.is_empty() {
            let keys = value.too_costly.join(", ");
            tracing::error!(keys, "keys whose hash costs too much to check are left out");
        }
        let (authenticator, alone) = (Arc::clone(self.authenticator), self.alone);
        let (roster, is_large) = (value.roster, matches!(size, Size::Large(_)));
        let install = move |wanted: &dyn Fn() -> bool| {
            authenticator.install_upper_if(Some(roster), alone, wanted);
            if is_large {
                bury(&authenticator);
            }
        };
        size.run(install).await;
        Ok(())
    }

    fn after(&mut self, pull: &Pull, now: Millis) {
        self.authenticator.set_cold(pull.is_cold(now));
    }
}

/// Most rulings of one snapshot that are told one by one.
const MOST_TOLD: usize = 1000;

pub(super) struct VerdictsSink<'a> {
    pub authenticator: &'a Arc<Authenticator>,
    pub closed: bool,
    pub ruled: &'a Arc<Ruled>,
    /// The time at which a snapshot comes, which is not the one at which the agent began.
    pub unix_now: fn() -> u64,
}

impl Sink for VerdictsSink<'_> {
    type Value = Verdicts;

    fn read(body: &Bytes) -> Result<(Self::Value, usize), Trouble> {
        let read = verdicts::read(body)?;
        let size = read.len();
        Ok((read, size))
    }

    async fn install(&mut self, value: Self::Value, size: Size<'_>) -> Result<(), Trouble> {
        let (authenticator, now) = (Arc::clone(self.authenticator), (self.unix_now)());
        let ruled = Arc::clone(self.ruled);
        let is_large = matches!(size, Size::Large(_));
        let install = move |wanted: &dyn Fn() -> bool| {
            let before = authenticator.verdicts();
            let changes = changes(&before, &value, now);
            // Or it would be held by who frees it.
            drop(before);
            if authenticator.install_verdicts_if(value, wanted) {
                // At once: whoever waits for this may go on with another plan, and these count all the same.
                tell(&*ruled, &changes);
            }
            if is_large {
                bury(&authenticator);
            }
        };
        size.run(install).await;
        Ok(())
    }

    fn after(&mut self, pull: &Pull, now: Millis) {
        self.authenticator
            .set_closed(self.closed && pull.is_cold(now));
    }
}

/// Tells what became of keys.
fn tell(ruled: &Ruled, changes: &[(Box<str>, Status)]) {
    if changes.len() > MOST_TOLD {
        let count = changes.len();
        tracing::warn!(
            count,
            "verdicts on many keys changed at once; not all are told as events"
        );
    }
    for (key, status) in changes.iter().take(MOST_TOLD) {
        let status = *status;
        ruled(Ruling { key, status });
    }
}

/// What became of keys whose verdict is another one, in the order of their ids.
fn changes(before: &Verdicts, after: &Verdicts, now: u64) -> Vec<(Box<str>, Status)> {
    let status = |verdicts: &Verdicts, id: &str| Status::of(verdicts.get(id), now);
    let ids = before.ids().chain(after.ids());
    let mut all: Vec<(Box<str>, Status)> = ids
        .filter(|id| status(before, id) != status(after, id))
        .map(|id| (id.into(), status(after, id)))
        .collect();
    all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    all.dedup_by(|a, b| a.0 == b.0);
    all
}

pub(super) struct TopologySink<'a>(pub &'a mpsc::Sender<Offer>);

impl Sink for TopologySink<'_> {
    type Value = Bytes;

    fn read(body: &Bytes) -> Result<(Self::Value, usize), Trouble> {
        let size = crate::topology::size(body)?;
        Ok((body.clone(), size))
    }

    async fn install(&mut self, value: Self::Value, _: Size<'_>) -> Result<(), Trouble> {
        let (taken, heard) = oneshot::channel();
        let offer = Offer {
            body: Some(value),
            taken,
        };
        let nobody = || Trouble::Refused("nobody takes it".to_owned());
        self.0.send(offer).await.map_err(|_| nobody())?;
        match heard.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(Trouble::Refused(why)),
            Err(_) => Err(nobody()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::aside::Aside;
    use super::*;
    use llmleaf_auth::{KeyVerdict, Roster};
    use std::cell::Cell;
    use std::sync::Mutex;

    fn verdicts(rows: &[(&str, bool, Option<u64>)]) -> Verdicts {
        let rows = rows.iter().map(|(id, blocked, suspended_until)| {
            let verdict = KeyVerdict {
                blocked: *blocked,
                suspended_until: *suspended_until,
                ..KeyVerdict::default()
            };
            ((*id).into(), verdict)
        });
        Verdicts::new(rows).expect("each once")
    }

    thread_local! {
        static NOW: Cell<u64> = const { Cell::new(10) };
    }

    #[tokio::test]
    async fn a_suspension_is_told_by_the_time_at_which_it_comes() {
        let authenticator = Authenticator::new(Roster::default()).expect("an authenticator");
        let authenticator = Arc::new(authenticator);
        let told = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&told);
        let ruled: Arc<Ruled> = Arc::new(move |ruling: Ruling<'_>| {
            let heard = (ruling.key.to_owned(), ruling.status);
            hears.lock().expect("whole").push(heard);
        });
        let mut sink = VerdictsSink {
            authenticator: &authenticator,
            closed: false,
            ruled: &ruled,
            unix_now: || NOW.get(),
        };
        let first = verdicts(&[("a", false, Some(50))]);
        sink.install(first, Size::Small).await.expect("taken");
        NOW.set(60);
        let over = verdicts(&[("a", false, Some(50)), ("b", false, Some(55))]);
        sink.install(over, Size::Small).await.expect("taken");
        let told = told.lock().expect("whole");
        assert_eq!(*told, [("a".to_owned(), Status::Suspended)]);
    }

    /// Another plan may come when verdicts count and nobody has heard of it yet.
    #[tokio::test]
    async fn what_counts_is_told_whoever_waits_for_it() {
        let authenticator = Authenticator::new(Roster::default()).expect("an authenticator");
        let authenticator = Arc::new(authenticator);
        let (told, heard) = std::sync::mpsc::channel();
        let ruled: Arc<Ruled> = Arc::new(move |ruling: Ruling<'_>| {
            told.send(ruling.key.to_owned()).expect("somebody hears it");
        });
        let mut sink = VerdictsSink {
            authenticator: &authenticator,
            closed: false,
            ruled: &ruled,
            unix_now: || 10,
        };
        let aside = Aside::default();
        let blocked = verdicts(&[("a", true, None)]);
        let mut install = Box::pin(sink.install(blocked, Size::Large(&aside)));
        let begun = std::future::poll_fn(|cx| std::task::Poll::Ready(install.as_mut().poll(cx)));
        let _ = begun.await;
        while authenticator.verdicts().is_empty() {
            std::thread::yield_now();
        }
        drop(install);
        aside.run(|| ()).await;
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn only_what_is_another_verdict_is_told() {
        let before = verdicts(&[
            ("gone", true, None),
            ("over", false, Some(50)),
            ("same", true, Some(200)),
            ("less", true, Some(200)),
        ]);
        let after = verdicts(&[
            ("same", true, Some(300)),
            ("less", false, Some(200)),
            ("late", false, Some(50)),
            ("fresh", true, None),
        ]);
        let told = changes(&before, &after, 100);
        let told: Vec<(&str, Status)> =
            told.iter().map(|(key, status)| (&**key, *status)).collect();
        assert_eq!(
            told,
            [
                ("fresh", Status::Blocked),
                ("gone", Status::Free),
                ("less", Status::Suspended),
            ]
        );
    }
}
