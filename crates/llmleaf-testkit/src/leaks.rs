//! Every test looks for secrets: whatever a program that a test runs writes, keeps, answers or pushes is searched for what its
//! configuration has of secrets and for the credentials that consumers sent it, in every spelling of [`Secret`].
//!
//! Searched are its standard error and output as they come, every answer that [`crate::http::Connection`] reads of it, what it pushes to
//! [`crate::controller::Controller`], and at its end the files in its folder and its state directory, its admin surface and its numbers.
//! What is found fails the test when the program is dropped. With `LLMLEAF_LOG=trace` all tests do that with all there is to log.
//!
//! Not searched are what is there to tell a secret (`key new`), and `*.snapshot`, in which a node keeps what a controller said to the letter.
//!
//! Reading order: here what is watched, `leaks/known.rs` (where secrets are read from), `leaks/search.rs` (one pass for all spellings),
//! `leaks/surface.rs` (what is asked of a program at its end).

mod known;
mod search;
mod surface;

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

pub(crate) use known::{in_config, in_text, sent};
use search::Search;
pub use surface::SURFACES;
pub(crate) use surface::ask_all;

use crate::judge::{SHORTEST, Secret};

/// Most secrets of one program: tests of credentials send thousands, each of which is searched for in all that follows.
const MOST: usize = 200;
/// Longest secret.
const LONGEST: usize = 4096;
/// How much of a secret is one by itself: `sk-`, `Bearer` and the like are none.
const START: usize = 12;
/// Largest file that is read.
const MAX_FILE: u64 = 64 << 20;

/// What is searched for at one program, and what was found.
#[derive(Default)]
pub(crate) struct Watch {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: BTreeSet<String>,
    search: Search,
    found: BTreeSet<String>,
    /// How many bytes were searched.
    searched: u64,
}

/// Programs by where they listen, and secrets of nobody in particular.
#[derive(Default)]
struct All {
    watches: HashMap<SocketAddr, Weak<Watch>>,
    shared: BTreeSet<(String, String)>,
}

static ALL: LazyLock<Mutex<All>> = LazyLock::new(Mutex::default);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// One more secret.
    pub(crate) fn add(&self, name: &str, text: &str) {
        let text = text.trim();
        let mut state = locked(&self.state);
        let of_use = (SHORTEST..=LONGEST).contains(&text.len()) && !is_plain(text);
        if !of_use || state.known.len() >= MOST || !state.known.insert(text.to_owned()) {
            return;
        }
        let mut secrets = vec![Secret::with_start(name, text, START)];
        // A key of ours says in front whose it is, which is no secret.
        if let Some((_, own)) = text
            .strip_prefix("llk_")
            .and_then(|key| key.rsplit_once('_'))
        {
            secrets = vec![Secret::with_start(name, own, START)];
        }
        for secret in &secrets {
            state.search.add(secret);
        }
    }

    /// Searches.
    pub(crate) fn look(&self, place: &str, text: &[u8]) {
        let mut state = locked(&self.state);
        state.searched += u64::try_from(text.len()).unwrap_or(u64::MAX);
        for found in state.search.all(text) {
            state.found.insert(format!("{found} in {place}"));
        }
    }

    /// Searches the files below a folder, but for those with these names.
    pub(crate) fn look_into(&self, folder: &Path, but: &BTreeSet<String>) {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return;
        };
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy().into_owned();
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() {
                self.look_into(&path, but);
            } else if kind.is_file()
                && !but.contains(&name)
                && !name.ends_with(".snapshot")
                && entry.metadata().is_ok_and(|meta| meta.len() <= MAX_FILE)
            {
                // What goes away meanwhile leaves nothing to find.
                let bytes = std::fs::read(&path).unwrap_or_default();
                self.look(&format!("the file {name}"), &bytes);
            }
        }
    }

    /// What was found since the last call, and where; the secrets themselves are not shown.
    pub(crate) fn take(&self) -> Vec<String> {
        let found = std::mem::take(&mut locked(&self.state).found);
        found.into_iter().collect()
    }

    /// How many secrets there are, and how many bytes were searched for them.
    pub(crate) fn extent(&self) -> (usize, u64) {
        let state = locked(&self.state);
        (state.known.len(), state.searched)
    }
}

/// Has what is sent to and heard from an address watched.
pub(crate) fn watch(addr: SocketAddr, watch: &Arc<Watch>) {
    let mut all = locked(&ALL);
    all.watches.retain(|_, known| known.strong_count() > 0);
    all.watches.insert(addr, Arc::downgrade(watch));
    for (name, text) in &all.shared {
        watch.add(name, text);
    }
}

/// Who watches that address.
pub(crate) fn at(addr: SocketAddr) -> Option<Arc<Watch>> {
    locked(&ALL).watches.get(&addr)?.upgrade()
}

/// A secret that any program of this process may come to know.
pub(crate) fn share(name: &str, text: &str) {
    let mut all = locked(&ALL);
    if all.shared.insert((name.to_owned(), text.to_owned())) {
        for watch in all.watches.values().filter_map(Weak::upgrade) {
            watch.add(name, text);
        }
    }
}

/// Searches what came from some program, nobody knows which.
pub(crate) fn look(place: &str, text: &[u8]) {
    let watches: Vec<_> = locked(&ALL).watches.values().cloned().collect();
    for watch in watches.iter().filter_map(Weak::upgrade) {
        watch.look(place, text);
    }
}

/// A word of a test that stands in texts as well, such as `metadata` or forty times the same letter.
fn is_plain(text: &str) -> bool {
    let distinct: BTreeSet<char> = text.chars().collect();
    distinct.len() < 5 || matches!(text, "metadata" | "credential")
}

#[cfg(test)]
mod tests;
