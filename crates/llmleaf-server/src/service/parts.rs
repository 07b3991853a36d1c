//! What a realtime session that is held here asks of the models beside its own: to write down what is said, and to say texts.

use super::{Asked, Within, posted, unix_now};
use crate::registry::Addressing;
use crate::reply::{self, Reply};
use crate::service::Worker;
use crate::{authenticate, socket};
use bytes::Bytes;
use llmleaf_dialects::Dialect;
use llmleaf_exchange::{Audio, Operation};
use std::rc::Rc;
use std::sync::Arc;

/// Asks one of them, as if its body had been posted. `session` is the model that the session was opened for.
pub async fn part(
    worker: Rc<Worker>,
    caller: socket::Caller,
    session: Arc<str>,
    audio: Audio,
    body: Bytes,
) -> Reply {
    let dialect = Dialect::ChatCompletions;
    let socket::Caller { principal, headers } = caller;
    let proven = match principal.ends() {
        None => Ok(principal),
        Some(_) => authenticate::session(&worker, &headers).await,
    };
    let principal = match proven {
        Ok(principal) => principal,
        Err(error) => {
            let millis = u64::try_from(unix_now().as_millis()).unwrap_or_default();
            let id = worker.ids.fresh(millis);
            let refused = reply::failed(dialect, &reply::unauthorised(&error), &id);
            return reply::finish(refused, dialect, &id);
        }
    };
    let asked = Asked {
        operation: Operation::Audio(audio),
        dialect,
        addressing: Addressing::Body,
        model: None,
        within: Within::PartOf(&session),
    };
    posted(worker, asked, principal, &headers, body, true).await
}
