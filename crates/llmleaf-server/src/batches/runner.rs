//! Runs the batches in the directory: a thread of its own, so that what it writes keeps no consumer waiting.
//!
//! Each request goes through the node like any other: limits, fallback, records. A limit is waited for, and so, for a while, is a provider
//! that is away. Whatever is answered is written
//! before it counts; who is killed finds it again, and asks only for the rest. At most [`AT_ONCE`] requests run at a time, taken
//! in turns from the batches that there are.

use super::journal::{End, Entry, Journal};
use super::store::{Kept, Sheet, State, Store};
use crate::app::App;
use crate::desk::{Desk, Published};
use crate::reply::{LastWord, Reply, ReplyBody};
use crate::service::{self, unix_now};
use crate::worker::Order;
use bytes::Bytes;
use http::header::RETRY_AFTER;
use http_body::Body;
use llmleaf_auth::Principal;
use llmleaf_dialects::Dialect;
use llmleaf_dialects::batches::{Task, one_line};
use llmleaf_dialects::head::Head;
use llmleaf_model::{Failure, FailureKind};
use serde_json::value::RawValue;
use std::cell::RefCell;
use std::collections::HashSet;
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, BufReader};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Most requests at a time.
pub const AT_ONCE: usize = 16;
/// How often the directory is looked through for what others left.
const ROUND: Duration = Duration::from_secs(30);
/// How often a batch is looked at for its end, and told how far it is.
const LOOK: Duration = Duration::from_millis(500);
/// Waits for a limit.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How often a request is asked again that its providers could not answer: over four minutes, in which most of them are back.
const RETRIES: u32 = 9;
/// Largest answer.
const ANSWER_BYTES: usize = 128 * 1024 * 1024;

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

/// A batch that runs.
struct Run {
    id: String,
    sheet: Sheet,
    journal: Journal,
    done: HashSet<String>,
    state: State,
    /// None where it is gone.
    input: Option<BufReader<File>>,
    /// Requests that could be read of it, with a result or without.
    read: u64,
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
        let input = match File::open(store.input(id)) {
            Ok(file) => Some(BufReader::new(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            id: id.to_owned(),
            sheet: sheet.clone(),
            journal,
            done,
            state,
            input,
            read: 0,
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
                Ok(seat) = seats.acquire_owned(), if has_room => match self.next()? {
                    None => exhausted = true,
                    Some(kept) => {
                        let runner = runner.clone();
                        let (batch, sheet) = (self.id.clone(), self.sheet.clone());
                        items.spawn_local(async move {
                            let body = Bytes::from(String::from(Box::<str>::from(kept.body)));
                            let reply = item(&runner, &batch, &sheet, body, seat).await;
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

    /// The next request that has no result.
    fn next(&mut self) -> io::Result<Option<Kept>> {
        let Some(input) = &mut self.input else {
            return Ok(None);
        };
        let (done, read) = (&self.done, &mut self.read);
        Kept::next(input, |id| {
            *read += 1;
            done.contains(id)
        })
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

/// Asks for one answer, as often as a limit stands in the way. `None` where it was not asked.
async fn item(
    runner: &Runner,
    batch: &str,
    sheet: &Sheet,
    body: Bytes,
    mut seat: OwnedSemaphorePermit,
) -> Option<(u16, Bytes)> {
    let mut patience = Patience::default();
    let mut orders = runner.orders.clone();
    loop {
        let asked = once(runner, batch, sheet, body.clone()).await;
        let owner = &*sheet.owner;
        match asked {
            _ if patience != Patience::default() => {}
            Asked::Unknown => tracing::warn!(batch, owner, "a batch waits for its key"),
            Asked::Nowhere(..) => {
                tracing::warn!(batch, owner, "a model of a batch leads nowhere any more");
            }
            _ => {}
        }
        let pause = match patience.after(asked) {
            Ok(pause) => pause,
            Err(answered) => return Some(answered),
        };
        let now = unix_now().as_secs();
        if now >= sheet.expires || runner.store.cancelled(batch).is_some() {
            return None;
        }
        drop(seat);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = orders.wait_for(|order| *order != Order::Run) => return None,
        }
        seat = Arc::clone(&runner.seats).acquire_owned().await.ok()?;
    }
}

/// How long a request waits until it is asked again.
#[derive(Clone, Debug, PartialEq)]
struct Patience {
    wait: Duration,
    retries: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            wait: SHORTEST_WAIT,
            retries: RETRIES,
        }
    }
}

impl Patience {
    /// The pause behind what came of asking.
    ///
    /// # Errors
    /// It is the answer.
    fn after(&mut self, asked: Asked) -> Result<Duration, (u16, Bytes)> {
        let pause = match asked {
            Asked::Answered(status, reply) => return Err((status, reply)),
            Asked::Failed(status, reply) | Asked::Nowhere(status, reply) if self.retries == 0 => {
                return Err((status, reply));
            }
            Asked::Failed(..) | Asked::Nowhere(..) => {
                self.retries -= 1;
                self.wait
            }
            Asked::Later(pause) => pause.unwrap_or(self.wait),
            // What says "soon" again and again is asked less and less often.
            Asked::Busy(pause) => pause.unwrap_or_default().max(self.wait),
            Asked::Unknown => self.wait,
        };
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        Ok(pause.clamp(SHORTEST_WAIT, LONGEST_WAIT))
    }
}

/// What came of asking.
enum Asked {
    /// A reply that counts.
    Answered(u16, Bytes),
    /// No provider could answer, and none will be paid for that.
    Failed(u16, Bytes),
    /// Its model leads nowhere any more.
    Nowhere(u16, Bytes),
    /// It is to be asked again, after so long where that is said.
    Later(Option<Duration>),
    /// The same of one that does not know when it can answer.
    Busy(Option<Duration>),
    /// Nobody knows its key now. Those of a controller come after the start, and one that was taken out may come back.
    Unknown,
}

async fn once(runner: &Runner, batch: &str, sheet: &Sheet, body: Bytes) -> Asked {
    let task: Task = sheet.task();
    let worker = runner.desk.worker();
    let principal: Option<Principal> = runner.store.principal(batch);
    let principal = principal.or_else(|| worker.app.authenticator.known(&sheet.owner));
    let Some(principal) = principal else {
        return Asked::Unknown;
    };
    if let Some(nowhere) = nowhere(&worker.app, task, &body) {
        return nowhere;
    }
    let asked = async {
        let reply = service::item(worker, principal, task, body).await;
        let status = reply.status().as_u16();
        let last = reply.extensions().get::<LastWord>().is_some();
        let after = reply.headers().get(RETRY_AFTER);
        let after = after.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let after = after.map(Duration::from_secs);
        ((status, last), after, gather(reply).await)
    };
    let ((status, last), after, read) = heeding(runner.orders.clone(), asked).await;
    match (status, read) {
        // Of an answer that nobody could look at, or that broke off, the next one would be paid too: what then is not the last word.
        // What is used up is told with another status on one of the wires.
        (402 | 429, _) if !last => Asked::Later(after),
        (503 | 529, _) if !last => Asked::Busy(after),
        (502 | 504, Some(read)) if !last => Asked::Failed(status, read),
        (_, Some(read)) => Asked::Answered(status, read),
        (_, None) => Asked::Answered(502, service::cut(task).into()),
    }
}

/// A model that led somewhere when its batch was taken, and now leads nowhere: the configuration is another one. It may come back, and is waited
/// for like a provider that is away; then the request is told what happened, and not that it was wrong.
fn nowhere(app: &App, task: Task, body: &Bytes) -> Option<Asked> {
    let model = Head::read(body).ok()?.model;
    if app.shared.routes.resolve(&model).is_some() {
        return None;
    }
    let why = "the model of this request leads nowhere any more: the configuration of this gateway was changed after its batch was taken";
    let mut failure = Failure::gateway(FailureKind::Overloaded, why);
    failure.code = Some("model_gone".to_owned());
    let dialect = task.dialect().unwrap_or(Dialect::ChatCompletions);
    let told = dialect.render_error(&failure, "");
    Some(Asked::Nowhere(told.status, told.body.into()))
}

/// Does some work, which looks at the node's state whenever an order comes: that its caller was blocked, say.
async fn heeding<W: Future>(mut orders: watch::Receiver<Order>, work: W) -> W::Output {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            changed = orders.changed() => if changed.is_err() {
                return work.await;
            }
        }
    }
}

/// A reply's body; `None` where it was cut or is too large.
async fn gather(reply: Reply) -> Option<Bytes> {
    let mut body = reply.into_body();
    if let ReplyBody::Whole(whole) = &mut body {
        return Some(whole.take().unwrap_or_default());
    }
    let mut all = Vec::new();
    loop {
        let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        match frame {
            None => return Some(all.into()),
            Some(Err(_)) => return None,
            Some(Ok(frame)) => {
                let data = frame.into_data().unwrap_or_default();
                if all.len() + data.len() > ANSWER_BYTES {
                    return None;
                }
                all.extend_from_slice(&data);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_nobody_can_answer_is_asked_again_for_minutes_and_told_then() {
        let mut patience = Patience::default();
        let mut waited = Duration::ZERO;
        let told = loop {
            match patience.after(Asked::Failed(502, Bytes::from_static(b"no"))) {
                Ok(pause) => waited += pause,
                Err(told) => break told,
            }
        };
        assert_eq!(told, (502, Bytes::from_static(b"no")));
        assert_eq!(
            waited,
            Duration::from_secs(1 + 2 + 4 + 8 + 16 + 32 + 3 * 60)
        );
        // Limits are waited for as long as it takes, in between as well.
        let pause = patience.after(Asked::Busy(Some(Duration::from_secs(3))));
        assert_eq!(pause, Ok(LONGEST_WAIT));
        let pause = patience.after(Asked::Later(Some(Duration::from_secs(3))));
        assert_eq!(pause, Ok(Duration::from_secs(3)));
    }

    #[test]
    fn what_is_forgotten_in_the_directory_is_forgotten_here() {
        let names = |all: &[&str]| all.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let mut known: HashSet<String> = names(&["a", "b", "c"]).into_iter().collect();
        keep_of(&mut known, &names(&["b", "d"]));
        assert_eq!(known.into_iter().collect::<Vec<_>>(), names(&["b"]));
    }
}
