//! One request of a batch, asked until there is an answer that counts.

use super::Runner;
use crate::app::App;
use crate::batches::store::Sheet;
use crate::reply::{LastWord, Reply, ReplyBody};
use crate::service::{self, unix_now};
use crate::worker::Order;
use bytes::Bytes;
use http::header::RETRY_AFTER;
use http_body::Body;
use llmleaf_auth::Principal;
use llmleaf_dialects::Dialect;
use llmleaf_dialects::batches::Task;
use llmleaf_dialects::head::Head;
use llmleaf_model::{Failure, FailureKind};
use std::cell::RefCell;
use std::collections::HashSet;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};

/// Waits for a limit.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How often a request is asked again that its providers could not answer: over four minutes, in which most of them are back.
const RETRIES: u32 = 9;
/// Largest answer.
const ANSWER_BYTES: usize = 128 * 1024 * 1024;

/// Asks for one answer, as often as a limit stands in the way. `None` where it was not asked.
pub(super) async fn item(
    runner: &Runner,
    batch: &str,
    sheet: &Sheet,
    gone: &Gone,
    body: Bytes,
    mut seat: OwnedSemaphorePermit,
) -> Option<(u16, Bytes)> {
    let mut patience = Patience::default();
    let mut orders = runner.orders.clone();
    // How often its model led nowhere.
    let mut lost = 0;
    loop {
        let asked = once(runner, batch, sheet, gone, body.clone()).await;
        let owner = &*sheet.owner;
        match asked {
            _ if patience != Patience::default() => {}
            Asked::Unknown => tracing::warn!(batch, owner, "a batch waits for its key"),
            Asked::Nowhere(..) => {
                tracing::warn!(batch, owner, "a model of a batch leads nowhere any more");
            }
            _ => {}
        }
        let nowhere = match &asked {
            Asked::Nowhere(model, ..) => Some(model.clone()),
            _ => None,
        };
        lost += u32::from(nowhere.is_some());
        let pause = match patience.after(asked) {
            Ok(pause) => pause,
            Err(answered) => {
                // Unless it was waited for something else.
                let waited = nowhere.filter(|_| lost > RETRIES);
                waited.into_iter().for_each(|model| gone.add(model));
                return Some(answered);
            }
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

/// Models of a batch that led nowhere for as long as is waited for them: there are no more than the batch has, and none is waited for twice
/// as long as it does not come back.
#[derive(Clone, Default)]
pub(super) struct Gone(Rc<RefCell<HashSet<String>>>);

impl Gone {
    fn add(&self, model: String) {
        self.0.borrow_mut().insert(model);
    }

    fn has(&self, model: &str) -> bool {
        self.0.borrow().contains(model)
    }

    fn forget(&self, model: &str) {
        self.0.borrow_mut().remove(model);
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
            Asked::Failed(status, reply) | Asked::Nowhere(_, status, reply)
                if self.retries == 0 =>
            {
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
    /// Its model, this one, leads nowhere any more.
    Nowhere(String, u16, Bytes),
    /// It is to be asked again, after so long where that is said.
    Later(Option<Duration>),
    /// The same of one that does not know when it can answer.
    Busy(Option<Duration>),
    /// Nobody knows its key now. Those of a controller come after the start, and one that was taken out may come back.
    Unknown,
}

async fn once(runner: &Runner, batch: &str, sheet: &Sheet, gone: &Gone, body: Bytes) -> Asked {
    let task: Task = sheet.task();
    let worker = runner.desk.worker();
    let principal: Option<Principal> = runner.store.principal(batch);
    let principal = principal.or_else(|| worker.app.authenticator.known(&sheet.owner));
    let Some(principal) = principal else {
        return Asked::Unknown;
    };
    if let Some(nowhere) = nowhere(&worker.app, task, gone, &body) {
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
/// for like a provider that is away, once for all requests of a batch; then they are told what happened, and not that they were wrong.
fn nowhere(app: &App, task: Task, gone: &Gone, body: &Bytes) -> Option<Asked> {
    let model = Head::read(body).ok()?.model;
    if app.shared.routes.resolve(&model).is_some() {
        gone.forget(&model);
        return None;
    }
    let why = "the model of this request leads nowhere any more: the configuration of this gateway was changed after its batch was taken";
    let mut failure = Failure::gateway(FailureKind::Overloaded, why);
    failure.code = Some("model_gone".to_owned());
    let dialect = task.dialect().unwrap_or(Dialect::ChatCompletions);
    let told = dialect.render_error(&failure, "");
    let (status, reply) = (told.status, told.body.into());
    Some(match gone.has(&model) {
        true => Asked::Answered(status, reply),
        false => Asked::Nowhere(model, status, reply),
    })
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
}
