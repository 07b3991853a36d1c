//! Batches that this gateway runs itself.

use super::Asked;
use crate::batches::ids::{self, Found, Holder, Named};
use crate::batches::reading::Reading;
use crate::batches::shelf::Card;
use crate::batches::store::{MOST_OPEN, Sheet, Store, WINDOW_SECS};
use crate::reply::{self, Reply, ReplyBody};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use llmleaf_dialects::batches::{self, BatchForm, Item, Kind, Order, Task, object};
use llmleaf_exchange::{BatchVerb, Destined, Part};
use llmleaf_model::{Batch, Failure, FailureKind, Origin};
use std::sync::Arc;

/// Longest that a batch may take.
const LONGEST_HOURS: u64 = 7 * 24;

/// The requests of a batch.
pub(super) enum Requests {
    /// They came along.
    Held(Vec<Item>),
    /// They are in a file that is kept here: its own id, and the one that is told.
    Filed(String, String, Card),
}

/// Takes a batch.
pub(super) async fn take(
    asked: &Asked,
    store: &Arc<Store>,
    (order, requests): (Order, Requests),
    task: Task,
    models: &[Destined],
    (id, now): (&str, u64),
) -> Result<Reply, Failure> {
    if asked.principal.ends().is_some() {
        // Whoever is known by a token alone is not known any more when that has ended, or when this node has been started anew.
        let message = "a batch that this gateway runs itself needs a key: it may outlive the token that it is handed over with";
        let mut failure = Failure::invalid(message, None);
        failure.code = Some("batch_needs_key".to_owned());
        return Err(failure);
    }
    let window = order.window.as_deref().map_or(Some(WINDOW_SECS), seconds);
    let Some(window) = window else {
        let message = "`completion_window` must be hours or days, such as `24h`, and at most `7d`";
        return Err(Failure::invalid(message, Some("completion_window")));
    };
    let sheet = Sheet {
        owner: asked.key().to_owned(),
        task: task.letter(),
        created: now,
        expires: now.saturating_add(window),
        total: match &requests {
            Requests::Held(items) => items.len() as u64,
            Requests::Filed(_, _, card) => card.requests,
        },
        models: models.iter().map(|model| model.name.clone()).collect(),
        labels: order.labels,
        input: match &requests {
            Requests::Held(_) => None,
            Requests::Filed(_, told, _) => Some(told.clone()),
        },
    };
    let (kept, own) = (Arc::clone(store), id.to_owned());
    let principal = asked.principal.clone();
    let written = beside(move || {
        if kept.open_of(&sheet.owner) >= MOST_OPEN {
            return Ok(false);
        }
        match requests {
            Requests::Held(items) => {
                let items = items.into_iter().map(Ok);
                kept.take(&own, &sheet, items, &principal)?;
            }
            Requests::Filed(file, ..) => {
                let items = kept.shelf.requests(&file, task)?;
                kept.take(&own, &sheet, items, &principal)?;
            }
        }
        Ok(true)
    });
    match written.await? {
        true => tell(asked, store, id).await,
        false => {
            let message = format!("this key has {MOST_OPEN} batches that have not ended");
            let kind = FailureKind::RateLimit;
            Err(Failure::new(Origin::Consumer, kind, message))
        }
    }
}

/// `24h` and `7d` in seconds.
fn seconds(window: &str) -> Option<u64> {
    let hours = batches::window_hours(window)?;
    (1..=LONGEST_HOURS).contains(&hours).then(|| hours * 3600)
}

/// Work with files, beside the worker's own.
pub(super) async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    match done {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            tracing::error!(%error, "the directory of batches");
            Err(unkept())
        }
        Err(_) => Err(unkept()),
    }
}

pub(super) fn unkept() -> Failure {
    let message = "this gateway cannot keep batches now";
    Failure::gateway(FailureKind::Internal, message)
}

/// Answers what is asked about one.
pub(super) async fn about(
    asked: &Asked,
    store: &Arc<Store>,
    found: &Found,
    (told, now): (&str, u64),
    verb: BatchVerb,
) -> Result<Reply, Failure> {
    let id = found.id.clone();
    let batch = look(store, &id).await?;
    let batch = batch.filter(|(_, sheet)| sheet.owner == asked.key());
    let Some((batch, _)) = batch else {
        return Err(ids::unknown("batch", told));
    };
    match (verb, found.kind) {
        (BatchVerb::Cancel, _) => {
            if !batch.status.is_final() {
                let kept = Arc::clone(store);
                let own = id.clone();
                beside(move || kept.cancel(&own, now)).await?;
            }
            tell(asked, store, &id).await
        }
        (BatchVerb::Delete, _) => {
            let kept = Arc::clone(store);
            if !beside(move || kept.forget(&id)).await? {
                let message = "this batch has not ended; it can be cancelled first";
                return Err(Failure::invalid(message, None));
            }
            let body = object::deleted(told);
            Ok(reply::whole(StatusCode::OK, "application/json", body))
        }
        (BatchVerb::Results(_) | BatchVerb::Content, kind) => {
            let part = match kind {
                Kind::Output => Part::Answers,
                Kind::Errors => Part::Errors,
                Kind::Batch | Kind::Input => Part::All,
            };
            results(asked, store, batch, part).await
        }
        (BatchVerb::File, _) => Ok(reply::json(
            StatusCode::OK,
            &super::stand_in(told, batch.ended.unwrap_or(now)),
        )),
        (BatchVerb::DeleteFile, _) => {
            let message = "results are kept with their batch, and go with it";
            Err(Failure::invalid(message, None))
        }
        _ => tell(asked, store, &id).await,
    }
}

async fn results(
    asked: &Asked,
    store: &Arc<Store>,
    batch: Batch,
    part: Part,
) -> Result<Reply, Failure> {
    if !batch.status.is_final() {
        return Err(llmleaf_exchange::batch::unready(&batch));
    }
    let (kept, form) = (Arc::clone(store), asked.form);
    let reading = beside(move || Reading::open(&kept, &batch.id, batch.status, form, part)).await?;
    let mut reply = Response::new(ReplyBody::Kept(reading));
    let kind = match asked.form {
        BatchForm::Files => "application/x-ndjson",
        BatchForm::Messages => "application/x-jsonl",
    };
    let kind = HeaderValue::from_static(kind);
    reply.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(reply)
}

/// What is known of a batch.
async fn look(store: &Arc<Store>, id: &str) -> Result<Option<(Batch, Sheet)>, Failure> {
    let (kept, own) = (Arc::clone(store), id.to_owned());
    beside(move || Ok(kept.batch(&own))).await
}

/// Tells of a batch.
async fn tell(asked: &Asked, store: &Arc<Store>, id: &str) -> Result<Reply, Failure> {
    let batch = look(store, id).await?;
    let (batch, sheet) = batch.ok_or_else(|| ids::unknown("batch", id))?;
    let naming = |kind: Kind, own: &str| named(asked, &sheet, kind, own);
    let body = object::render(&batch, asked.form, sheet.task(), &naming);
    Ok(reply::whole(StatusCode::OK, "application/json", body))
}

/// Under which name what belongs to a batch is told; that of its file of requests is kept as it was told.
fn named(asked: &Asked, sheet: &Sheet, kind: Kind, id: &str) -> String {
    if kind == Kind::Input {
        return id.to_owned();
    }
    let named = Named {
        kind,
        task: sheet.task(),
        holder: Holder::Here,
        models: &sheet.models,
        id,
    };
    asked.ids.told(asked.key(), &named)
}

/// Those of the caller, newest first, behind the one that is named.
pub(super) async fn list(
    asked: &Asked,
    store: &Arc<Store>,
    after: Option<String>,
    limit: usize,
) -> Result<Reply, Failure> {
    let (kept, owner, form) = (Arc::clone(store), asked.key().to_owned(), asked.form);
    let mut found = beside(move || {
        let ids = kept.ids();
        let behind = ids.iter().rev();
        let behind = behind.filter(|id| after.as_ref().is_none_or(|after| *id < after));
        let all = behind.filter_map(|id| kept.batch(id));
        let own = all.filter(|(_, sheet)| sheet.owner == owner && sheet.task().form() == form);
        Ok(own.take(limit.saturating_add(1)).collect::<Vec<_>>())
    })
    .await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let told = found.into_iter().map(|(batch, sheet)| {
        let task = sheet.task();
        let naming = |kind: Kind, own: &str| named(asked, &sheet, kind, own);
        (object::named(batch, &naming), task)
    });
    let body = object::render_list(&told.collect::<Vec<_>>(), asked.form, more);
    Ok(reply::whole(StatusCode::OK, "application/json", body))
}
