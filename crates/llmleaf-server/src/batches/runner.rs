//! Runs the batches in the directory: a thread of its own, so that what it writes keeps no consumer waiting.
//!
//! Each request goes through the node like any other: limits, fallback, records. A limit is waited for, and so, for a while, is a provider
//! that is away. Whatever is answered is written
//! before it counts; who is killed finds it again, and asks only for the rest. At most [`AT_ONCE`] requests run at a time, taken
//! in turns from the batches that there are.

mod asking;
#[cfg(test)]
mod tests;

use super::journal::{End, Entry, Journal};
use super::store::{Kept, Sheet, State, Store};
use crate::desk::{Desk, Published};
use crate::service::unix_now;
use crate::worker::Order;
use asking::{Gone, item};
use bytes::Bytes;
use llmleaf_dialects::batches::one_line;
use serde_json::value::RawValue;
use std::cell::RefCell;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Most requests at a time.
pub const AT_ONCE: usize = 16;
/// How often the directory is looked through for what others left.
const ROUND: Duration = Duration::from_secs(30);
/// How often a batch is looked at for its end, and told how far it is.
const LOOK: Duration = Duration::from_millis(500);
/// How often requests that a disk cannot read are read once more, and how long it has until then each time.
const REREADS: u32 = 5;
const REREAD: Duration = Duration::from_secs(60);

/// Runs batches until told to stop.
pub fn run(
    published: Arc<Published>,
    store: Arc<Store>,
    orders: watch::Receiver<Order>,
) -> io::Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .build_local(LocalOptions::default())?;
    runtime.block_on(async move {
        let desk = Rc::new(Desk::new(published));
        tokio::task::spawn_local(desk.drains().tend());
        let runner = Runner {
            desk,
            store,
            orders,
            seats: Arc::new(Semaphore::new(AT_ONCE)),
            running: Rc::default(),
        };
        runner.rounds().await;
    });
    runtime.shutdown_background();
    Ok(())
}

#[derive(Clone)]
struct Runner {
    desk: Rc<Desk>,
    store: Arc<Store>,
    orders: watch::Receiver<Order>,
    seats: Arc<Semaphore>,
    /// Those that run here, and those of the directory that are known to have ended.
    running: Rc<RefCell<HashSet<String>>>,
}

impl Runner {
    async fn rounds(mut self) {
        let mut batches = JoinSet::new();
        let mut round = tokio::time::interval(ROUND);
        loop {
            tokio::select! {
                biased;
                changed = self.orders.changed() => {
                    let order = *self.orders.borrow_and_update();
                    if changed.is_err() || order != Order::Run {
                        break;
                    }
                }
                _ = round.tick() => {
                    self.store.sweep(unix_now().as_secs());
                    self.desk.sweep();
                    self.begin(&mut batches);
                }
                () = self.store.news.notified() => self.begin(&mut batches),
                Some(_) = batches.join_next() => {}
            }
        }
        // What runs is finished, or told to end like all else; the rest is left for the next start.
        loop {
            tokio::select! {
                biased;
                changed = self.orders.changed() => {
                    if changed.is_err() || *self.orders.borrow_and_update() == Order::Stop {
                        return;
                    }
                }
                ended = batches.join_next() => {
                    if ended.is_none() {
                        return;
                    }
                }
            }
        }
    }

    /// Begins what nobody runs.
    fn begin(&self, batches: &mut JoinSet<()>) {
        let ids = self.store.ids();
        keep_of(&mut self.running.borrow_mut(), &ids);
        for id in ids {
            if self.running.borrow().contains(&id) {
                continue;
            }
            if self.store.state(&id).ended.is_some() {
                // Another node may have run what was handed over here.
                self.store.release(&id);
                self.running.borrow_mut().insert(id);
                continue;
            }
            let (Some(lock), Some(sheet)) = (self.store.lock(&id), self.store.sheet(&id)) else {
                continue;
            };
            self.running.borrow_mut().insert(id.clone());
            batches.spawn_local(self.clone().batch(id, sheet, lock));
        }
    }

    async fn batch(self, id: String, sheet: Sheet, lock: File) {
        let ended = match Run::open(&self, &id, &sheet) {
            Ok(run) => run.finish(self.clone()).await,
            Err(error) => Err(error),
        };
        match ended {
            Ok(true) => self.store.release(&id),
            Ok(false) => {
                self.running.borrow_mut().remove(&id);
            }
            Err(error) => {
                tracing::error!(batch = id, %error, "a batch cannot be run now");
                self.running.borrow_mut().remove(&id);
            }
        }
        drop(lock);
    }
}

/// Forgets what is not in the directory any more. Its names are in order.
fn keep_of(known: &mut HashSet<String>, ids: &[String]) {
    known.retain(|id| ids.binary_search(id).is_ok());
}

/// The requests of a batch; none where they are gone.
fn input(store: &Store, id: &str) -> io::Result<Option<Box<dyn BufRead>>> {
    match File::open(store.input(id)) {
        Ok(file) => Ok(Some(Box::new(BufReader::new(file)))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A batch that runs.
struct Run {
    id: String,
    sheet: Sheet,
    journal: Journal,
    done: HashSet<String>,
    state: State,
    /// None where it is gone, or could not be read.
    input: Option<Box<dyn BufRead>>,
    /// How often it is read again where that fails, and whether it just has.
    rereads: u32,
    fails: bool,
    /// Requests that could be read of it, with a result or without.
    read: u64,
    gone: Gone,
    told: Instant,
    changed: bool,
}

impl Run {
    fn open(runner: &Runner, id: &str, sheet: &Sheet) -> io::Result<Self> {
        let store = &runner.store;
        let mut done = HashSet::new();
        let mut state = State::default();
        let journal = Journal::open(&store.journal(id), |entry| match entry {
            Entry::Done { id, status, .. } => {
                if done.insert(id) {
                    count(&mut state, status);
                }
            }
            Entry::Ended { end, at } => state.ended = Some((end, at)),
        })?;
        let begun = store.state(id).begun;
        state.begun = begun.or(Some(unix_now().as_secs()));
        let input = input(store, id)?;
        Ok(Self {
            id: id.to_owned(),
            sheet: sheet.clone(),
            journal,
            done,
            state,
            input,
            rereads: REREADS,
            fails: false,
            read: 0,
            gone: Gone::default(),
            told: Instant::now(),
            changed: true,
        })
    }

    /// Runs it to its end; false where the process is to end before.
    async fn finish(mut self, mut runner: Runner) -> io::Result<bool> {
        let mut items: JoinSet<(String, Option<(u16, Bytes)>)> = JoinSet::new();
        let mut exhausted = false;
        let mut look = tokio::time::interval(LOOK);
        runner.store.tell(&self.id, &self.state)?;
        while self.state.ended.is_none() {
            let stops = *runner.orders.borrow() != Order::Run;
            let end = self.end(&runner);
            let goes_on = !exhausted && !stops && end.is_none();
            // Those that wait for a limit leave their seats to other batches, so their number has a bound of its own.
            let has_room = goes_on && items.len() < AT_ONCE;
            if !goes_on && items.is_empty() {
                let all = self.done.len() as u64 >= self.sheet.total;
                match end {
                    // Whoever asks for the end of what is done already is too late.
                    _ if all => self.close(&runner, End::Completed)?,
                    Some(end) => self.close(&runner, end)?,
                    None if exhausted && self.fails && self.rereads > 0 => {
                        let stops = runner.orders.wait_for(|order| *order != Order::Run);
                        // It is looked at below whether the process is to end.
                        let _ = tokio::time::timeout(REREAD, stops).await;
                        self.reread(&runner.store);
                        exhausted = false;
                        continue;
                    }
                    None if exhausted && self.is_rest_lost() => {
                        self.close(&runner, End::Failed)?;
                    }
                    // What has no result is asked again at the next start.
                    None => {
                        self.journal.sync()?;
                        runner.store.tell(&self.id, &self.state)?;
                        return Ok(false);
                    }
                }
                break;
            }
            let seats = Arc::clone(&runner.seats);
            tokio::select! {
                biased;
                Some(item) = items.join_next(), if !items.is_empty() => {
                    if let Ok((id, reply)) = item {
                        self.take(&runner, id, reply)?;
                    }
                }
                Ok(seat) = seats.acquire_owned(), if has_room => match self.next() {
                    None => exhausted = true,
                    Some(kept) => {
                        let runner = runner.clone();
                        let (batch, sheet) = (self.id.clone(), self.sheet.clone());
                        let gone = self.gone.clone();
                        items.spawn_local(async move {
                            let body = Bytes::from(String::from(Box::<str>::from(kept.body)));
                            let reply = item(&runner, &batch, &sheet, &gone, body, seat).await;
                            (kept.custom_id, reply)
                        });
                    }
                },
                () = self.journal.due() => self.journal.sync_if_due()?,
                _ = runner.orders.changed(), if !stops => {}
                _ = look.tick() => self.told(&runner, false)?,
            }
        }
        self.told(&runner, true)?;
        Ok(true)
    }

    /// Whether it is to end before it is done.
    fn end(&self, runner: &Runner) -> Option<End> {
        if runner.store.cancelled(&self.id).is_some() {
            return Some(End::Cancelled);
        }
        (unix_now().as_secs() >= self.sheet.expires).then_some(End::Expired)
    }

    /// The next request that has no result. Those behind one that a disk cannot read are lost: what was asked before them may have been paid
    /// for, and is not given up for them, nor asked again.
    fn next(&mut self) -> Option<Kept> {
        let input = self.input.as_mut()?;
        let (done, read) = (&self.done, &mut self.read);
        let next = Kept::next(input, |id| {
            *read += 1;
            done.contains(id)
        });
        next.unwrap_or_else(|error| {
            let batch = &*self.id;
            tracing::error!(batch, %error, "requests of a batch cannot be read");
            self.fails = true;
            self.input = None;
            None
        })
    }

    /// Begins to read its requests once more: a disk may be back, and what has a result is passed over.
    fn reread(&mut self, store: &Store) {
        self.rereads -= 1;
        self.read = 0;
        let input = input(store, &self.id);
        self.fails = input.is_err();
        self.input = input.unwrap_or_default();
    }

    /// Whether all that could be read of its requests has a result, and there were more: a disk has lost those, and nobody can ask them.
    fn is_rest_lost(&self) -> bool {
        let done = self.done.len() as u64;
        let lost = self.sheet.total.saturating_sub(self.read.max(done));
        if lost == 0 || done.saturating_add(lost) < self.sheet.total {
            return false;
        }
        let batch = &*self.id;
        tracing::error!(
            batch,
            lost,
            "requests of a batch are damaged on the disk; it ends without them"
        );
        true
    }

    /// Writes a result down. One that comes of this process's end is none.
    fn take(&mut self, runner: &Runner, id: String, reply: Option<(u16, Bytes)>) -> io::Result<()> {
        let Some((status, body)) = reply else {
            return Ok(());
        };
        let app = &runner.desk.worker().app;
        if app.closing.load(Ordering::Relaxed) && status >= 300 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&one_line(&body)).into_owned();
        let body = RawValue::from_string(text).or_else(|_| {
            let quoted = serde_json::to_string(&String::from_utf8_lossy(&body))?;
            RawValue::from_string(quoted)
        })?;
        self.journal.add(&Entry::Done {
            id: id.clone(),
            status,
            body,
        })?;
        self.done.insert(id);
        count(&mut self.state, status);
        self.changed = true;
        // Where results come without a pause nothing else gets its turn.
        self.journal.sync_if_due()
    }

    fn close(&mut self, runner: &Runner, end: End) -> io::Result<()> {
        let at = unix_now().as_secs();
        self.journal.add(&Entry::Ended { end, at })?;
        self.journal.sync()?;
        self.state.ended = Some((end, at));
        self.changed = true;
        runner.store.tell(&self.id, &self.state)
    }

    fn told(&mut self, runner: &Runner, surely: bool) -> io::Result<()> {
        if self.changed && (surely || self.told.elapsed() >= LOOK) {
            runner.store.tell(&self.id, &self.state)?;
            self.told = Instant::now();
            self.changed = false;
        }
        Ok(())
    }
}

fn count(state: &mut State, status: u16) {
    match status {
        200..300 => state.completed += 1,
        _ => state.failed += 1,
    }
}
