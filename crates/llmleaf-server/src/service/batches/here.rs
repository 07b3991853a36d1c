//! Batches that this gateway runs itself.

use super::Asked;
use crate::batches::ids::{self, Found, Holder, Named};
use crate::batches::reading::Reading;
use crate::batches::shelf::Card;
use crate::batches::store::{MOST_OPEN, Sheet, Store, WINDOW_SECS};
use crate::reply::{self, Reply, ReplyBody};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use llmleaf_dialects::batches::{BatchForm, Item, Kind, Order, Task, object};
use llmleaf_exchange::{BatchVerb, Destined, Part};
use llmleaf_model::{Batch, Failure, FailureKind, Origin};
use std::sync::Arc;

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
    let window = order.window.as_deref().map_or(Some(WINDOW_SECS), seconds);
    let Some(window) = window else {
        let message = "`completion_window` must be a number of hours or days, such as `24h`";
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
        true => tell(asked, store, id),
        false => {
            let message = format!("this key has {MOST_OPEN} batches that have not ended");
            let kind = FailureKind::RateLimit;
            Err(Failure::new(Origin::Consumer, kind, message))
        }
    }
}

/// `24h` and `7d` in seconds.
fn seconds(window: &str) -> Option<u64> {
    let (digits, unit) = window.split_at_checked(window.len().checked_sub(1)?)?;
    let count: u64 = digits
        .parse()
        .ok()
        .filter(|count| (1..=168).contains(count))?;
    match unit {
        "h" => Some(count * 3600),
        "d" => Some(count.min(7) * 24 * 3600),
        _ => None,
    }
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
    let batch = store
        .batch(&id)
        .filter(|(_, sheet)| sheet.owner == asked.key());
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
            tell(asked, store, &id)
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
            results(asked, store, &batch, part)
        }
        (BatchVerb::File, _) => Ok(reply::json(
            StatusCode::OK,
            &super::stand_in(told, batch.ended.unwrap_or(now)),
        )),
        (BatchVerb::DeleteFile, _) => {
            let message = "results are kept with their batch, and go with it";
            Err(Failure::invalid(message, None))
        }
        _ => tell(asked, store, &id),
    }
}

fn results(asked: &Asked, store: &Store, batch: &Batch, part: Part) -> Result<Reply, Failure> {
    if !batch.status.is_final() {
        return Err(llmleaf_exchange::batch::unready(batch));
    }
    let reading = Reading::open(store, &batch.id, batch.status, asked.form, part);
    let reading = reading.map_err(|error| {
        tracing::error!(%error, "results of a batch cannot be read");
        unkept()
    })?;
    let mut reply = Response::new(ReplyBody::Kept(reading));
    let kind = match asked.form {
        BatchForm::Files => "application/x-ndjson",
        BatchForm::Messages => "application/x-jsonl",
    };
    let kind = HeaderValue::from_static(kind);
    reply.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(reply)
}

/// Tells of a batch.
fn tell(asked: &Asked, store: &Store, id: &str) -> Result<Reply, Failure> {
    let (batch, sheet) = store.batch(id).ok_or_else(|| ids::unknown("batch", id))?;
    let naming = |kind: Kind, own: &str| match kind {
        Kind::Input => own.to_owned(),
        _ => named(asked, &sheet, kind, own),
    };
    let body = object::render(&batch, asked.form, sheet.task(), &naming);
    Ok(reply::whole(StatusCode::OK, "application/json", body))
}

fn named(asked: &Asked, sheet: &Sheet, kind: Kind, id: &str) -> String {
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
pub(super) fn list(
    asked: &Asked,
    store: &Store,
    after: Option<&str>,
    limit: usize,
) -> Result<Reply, Failure> {
    let mut found = Vec::new();
    let mut more = false;
    let ids = store.ids();
    let behind = ids
        .iter()
        .rev()
        .filter(|id| after.is_none_or(|after| id.as_str() < after));
    for id in behind {
        let Some((batch, sheet)) = store.batch(id) else {
            continue;
        };
        if sheet.owner != asked.key() || sheet.task().form() != asked.form {
            continue;
        }
        if found.len() >= limit {
            more = true;
            break;
        }
        let told = named(asked, &sheet, Kind::Batch, id);
        found.push((batch, sheet.task(), told));
    }
    let body = object::render_list(&found, asked.form, more);
    Ok(reply::whole(StatusCode::OK, "application/json", body))
}
