//! What is in effect on its way to a file, for the next run. Nobody waits for it: a disk may hang, and what is pulled counts all the same.

use super::aside::Aside;
use crate::pull::Stamp;
use crate::store::{self, Store};
use bytes::Bytes;
use parking_lot::Mutex;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::SystemTime;

/// Keeps the last good snapshot of one pull, on a thread that does nothing else.
#[derive(Default)]
pub(super) struct Keeper {
    disk: Aside,
    shelf: Arc<Shelf>,
}

#[derive(Default)]
struct Shelf {
    /// What waits to be kept. There is one at most, however long the disk takes: a later one takes its place.
    next: Mutex<Option<Keep>>,
    /// The file is not of what is in effect, as far as is known: it could not be written, or not be confirmed.
    behind: AtomicBool,
}

/// What was confirmed just now.
pub(super) struct Keep {
    pub store: Store,
    pub what: &'static str,
    pub address: [u8; 32],
    /// What it is, where the file may not have it.
    pub fresh: Option<(Stamp, Bytes)>,
    pub at: SystemTime,
    /// Is gone when the plan that it came by is given up for another one: then nothing is to be written any more.
    pub plan: Weak<()>,
}

impl Keeper {
    /// What an earlier run kept.
    ///
    /// # Errors
    /// It cannot be used.
    pub async fn load(
        &self,
        from: &Store,
        what: &'static str,
        address: [u8; 32],
        limit: usize,
    ) -> io::Result<Option<store::Kept>> {
        let from = from.clone();
        let load = move || from.load(what, address, limit);
        self.disk.run(load).await
    }

    /// Keeps that when the disk gets to it.
    pub fn keep(&self, mut keep: Keep) {
        let mut next = self.shelf.next.lock();
        let waits = next.take();
        let is_wanted = waits.is_some();
        // Whoever confirms what waits to be written speaks of just that.
        keep.fresh = keep.fresh.or(waits.and_then(|waits| waits.fresh));
        *next = Some(keep);
        drop(next);
        if !is_wanted {
            let shelf = Arc::clone(&self.shelf);
            self.disk.leave(move || shelf.write());
        }
    }

    /// Whether what is in effect is to be handed over again: the file has not got it, so that it is to be asked for as if nothing were known.
    pub fn is_behind(&self) -> bool {
        self.shelf.behind.load(Ordering::Relaxed)
    }
}

impl Shelf {
    fn write(&self) {
        let Some(keep) = self.next.lock().take() else {
            return;
        };
        let _turn = keep.store.turn();
        let was_behind = self.behind.load(Ordering::Relaxed);
        let is_left = keep.plan.strong_count() == 0;
        let (what, at) = (keep.what, keep.at);
        let kept = match &keep.fresh {
            Some(_) if is_left => {
                return self.behind.store(true, Ordering::Relaxed);
            }
            Some((stamp, body)) => {
                let kept = keep.store.save(what, keep.address, stamp, body, at);
                self.behind.store(kept.is_err(), Ordering::Relaxed);
                kept
            }
            // What the file has was not confirmed.
            None if is_left || was_behind => return,
            None => {
                let kept = keep.store.confirm(what, at);
                // It is not there any more, or another folder is to be written to.
                self.behind.store(kept.is_err(), Ordering::Relaxed);
                kept
            }
        };
        match kept {
            Err(error) if !was_behind => {
                tracing::warn!(what, %error, "cannot be kept for the next run");
            }
            Err(error) => tracing::debug!(what, %error, "still cannot be kept for the next run"),
            Ok(()) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::time::Duration;

    struct Folder(PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn keep(folder: &Folder, body: Option<&'static str>, at: u64, plan: &Weak<()>) -> Keep {
        Keep {
            store: Store::new(folder.0.clone(), Arc::default()),
            what: "identity",
            address: [1; 32],
            fresh: body.map(|body| (Stamp::default(), Bytes::from_static(body.as_bytes()))),
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(at),
            plan: Weak::clone(plan),
        }
    }

    fn kept(folder: &Folder) -> Option<(String, u64)> {
        let path = folder.0.join("identity.snapshot");
        let file = std::fs::read_to_string(&path).ok()?;
        let at = std::fs::metadata(&path).and_then(|meta| meta.modified());
        let at = at.ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some((file.lines().nth(1)?.to_owned(), at.as_secs()))
    }

    #[tokio::test]
    async fn a_disk_that_hangs_has_one_snapshot_to_write_and_it_is_the_last() {
        let name = format!("llmleaf-keeper-{}", std::process::id());
        let folder = Folder(std::env::temp_dir().join(name));
        let (keeper, followed) = (Keeper::default(), Arc::new(()));
        let plan = Arc::downgrade(&followed);
        let (go, waits) = std::sync::mpsc::channel::<()>();
        keeper.disk.leave(move || {
            let _ = waits.recv();
        });
        keeper.keep(keep(&folder, Some("first"), 10, &plan));
        keeper.keep(keep(&folder, Some("second"), 20, &plan));
        keeper.keep(keep(&folder, None, 30, &plan));
        assert_eq!(kept(&folder), None, "the disk hangs");
        go.send(()).expect("it waits");
        keeper.disk.run(|| ()).await;
        // As old as the word that it is in effect, and not as the writing of it.
        assert_eq!(kept(&folder), Some(("second".to_owned(), 30)));
        keeper.keep(keep(&folder, None, 40, &plan));
        keeper.disk.run(|| ()).await;
        assert_eq!(kept(&folder), Some(("second".to_owned(), 40)));
        // Of a plan that was left. What the file has is older than what counts, so that nobody confirms it until it was written.
        keeper.keep(keep(&folder, Some("third"), 50, &Weak::new()));
        keeper.keep(keep(&folder, None, 50, &Weak::new()));
        keeper.disk.run(|| ()).await;
        assert!(keeper.is_behind());
        keeper.keep(keep(&folder, None, 60, &plan));
        keeper.disk.run(|| ()).await;
        assert_eq!(kept(&folder), Some(("second".to_owned(), 40)));
        keeper.keep(keep(&folder, Some("third"), 70, &plan));
        keeper.disk.run(|| ()).await;
        assert_eq!(kept(&folder), Some(("third".to_owned(), 70)));
        assert!(!keeper.is_behind());
        // A file that is gone is not confirmed, but asked for.
        std::fs::remove_file(folder.0.join("identity.snapshot")).expect("it was there");
        keeper.keep(keep(&folder, None, 80, &plan));
        keeper.disk.run(|| ()).await;
        assert!(keeper.is_behind());
    }
}
