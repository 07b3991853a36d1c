//! Files of requests: sent on to the provider that will run them, or kept here where that keeps none.

use super::here::beside;
use super::{Asked, ask};
use crate::batches::destined::{self, Destination};
use crate::batches::form::{self, Form};
use crate::batches::ids::{self, Found, Holder, Named};
use crate::batches::shelf::Card;
use crate::batches::store::Store;
use crate::inbound;
use crate::reply::{self, Reply};
use crate::service::Call;
use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use hyper::body::Incoming;
use llmleaf_dialects::batches::{BatchForm, Item, Kind, Order, Task, items};
use llmleaf_exchange::{BatchVerb, Destined, Upstream};
use llmleaf_model::Failure;
use llmleaf_route::Candidate;
use std::sync::Arc;

impl Call {
    /// Takes a file: to whoever of its model's targets keeps files, else to the directory here.
    pub(super) async fn upload(self, asked: Asked, body: Incoming) -> Result<Reply, Failure> {
        let app = &self.worker.app;
        let kind = asked.headers.get(CONTENT_TYPE);
        let kind = kind.and_then(|value| value.to_str().ok());
        let boundary = kind.and_then(form::boundary).ok_or_else(|| {
            let why =
                "a file is sent as multipart/form-data, whose content-type names its boundary";
            Failure::invalid(why, None)
        })?;
        let body = inbound::read(&asked.headers, body, app.max_body_bytes).await?;
        let form = form::read(&body, boundary)?;
        drop(body);
        let items = requests(&form.file, None, "file")?;
        let Some(first) = items.first() else {
            let message = "the `file` has no request";
            return Err(Failure::invalid(message, Some("file")));
        };
        let task = first.task;
        let models = destined::models(app, &asked.principal, &items, "line")?;
        let destination = destined::of(app, task, models);
        let keeps = |candidate: &Candidate| {
            let upstream = app.shared.upstreams.get(candidate.provider);
            upstream.is_some_and(Upstream::keeps_batch_files)
        };
        match destination {
            Ok(mut destination) if destination.resolved.chain.iter().any(keeps) => {
                destination.resolved.chain.retain(keeps);
                let Destination { models, resolved } = destination;
                let mut ask = ask(&asked, task, models);
                ask.items = items;
                ask.filename = form.filename;
                self.asking(&asked, BatchVerb::Upload, ask, None, resolved)
                    .await
            }
            Ok(Destination { models, .. }) | Err(models) => {
                self.shelve(asked, form, task, models).await
            }
        }
    }

    /// Keeps a file here.
    async fn shelve(
        self,
        asked: Asked,
        form: Form,
        task: Task,
        models: Vec<Destined>,
    ) -> Result<Reply, Failure> {
        let Some(store) = &self.worker.app.batch_store else {
            return Err(destined::nobody(&models));
        };
        let id = self.worker.ids.fresh(self.created.saturating_mul(1000));
        let card = Card {
            owner: asked.key().to_owned(),
            filename: form.filename,
            created: self.created,
            bytes: form.file.len() as u64,
            task: task.letter(),
            model: models
                .into_iter()
                .next()
                .map_or_else(String::new, |m| m.name),
        };
        let (store, own, kept) = (Arc::clone(store), id.to_string(), card.clone());
        beside(move || store.shelf.keep(&own, &kept, &form.file)).await?;
        Ok(reply::json(StatusCode::OK, &told(&asked, &id, &card)))
    }

    /// A batch of the requests in a file that is kept here.
    pub(super) async fn make_of_own_file(
        self,
        asked: Asked,
        mut order: Order,
        found: &Found,
        told: &str,
    ) -> Result<Reply, Failure> {
        let app = &self.worker.app;
        let store = app.batch_store.as_ref();
        let store = store.ok_or_else(|| ids::unknown("file", told))?;
        own(&asked, store, found, told)?;
        let path = store.shelf.lines(&found.id);
        let text = beside(move || std::fs::read(path)).await?;
        let text = Bytes::from(text);
        order.items = requests(&text, Some(found.task), "input_file_id")?;
        self.make_of_items(asked, order, Some(told.to_owned()))
            .await
    }

    /// The caller's files, of those that are kept here.
    pub(super) fn files(&self, asked: &Asked) -> Result<Reply, Failure> {
        let store = self.worker.app.batch_store.as_ref();
        let found = store.map(|store| store.shelf.of(asked.key()));
        let found = found.unwrap_or_default();
        let data: Vec<serde_json::Value> = found
            .iter()
            .map(|(id, card)| self::told(asked, id, card))
            .collect();
        let id = |value: Option<&serde_json::Value>| value.and_then(|v| v.get("id").cloned());
        let list = serde_json::json!({
            "object": "list",
            "first_id": id(data.first()),
            "last_id": id(data.last()),
            "has_more": false,
            "data": data,
        });
        Ok(reply::json(StatusCode::OK, &list))
    }
}

/// The requests of a file, one a line; what is wrong is told by line.
fn requests(text: &Bytes, task: Option<Task>, param: &str) -> Result<Vec<Item>, Failure> {
    let mut reader = items::Reader::new(BatchForm::Files, task, "line");
    let mut found = Vec::new();
    let mut from = 0;
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let whole = text.slice(from..from + line.len());
        from += line.len() + 1;
        let Ok(line) = std::str::from_utf8(line) else {
            reader.object(at + 1, "it is not UTF-8");
            continue;
        };
        if !line.trim().is_empty() {
            found.extend(reader.read(at + 1, line, Some(&whole)));
        }
        if reader.problems.is_full() {
            break;
        }
    }
    reader.problems.check(param)?;
    Ok(found)
}

/// What is known of a file, if it is the caller's.
fn own(asked: &Asked, store: &Store, found: &Found, told: &str) -> Result<Card, Failure> {
    let card = store.shelf.card(&found.id);
    let card = card.filter(|card| card.owner == asked.key());
    card.ok_or_else(|| ids::unknown("file", told))
}

/// Answers what is asked about a file that is kept here.
pub(super) async fn about(
    asked: &Asked,
    store: &Arc<Store>,
    found: &Found,
    told: &str,
    verb: BatchVerb,
) -> Result<Reply, Failure> {
    let card = own(asked, store, found, told)?;
    let (kept, id) = (Arc::clone(store), found.id.clone());
    match verb {
        BatchVerb::DeleteFile => {
            beside(move || kept.shelf.forget(&id)).await?;
            let gone = serde_json::json!({"id": told, "object": "file", "deleted": true});
            Ok(reply::json(StatusCode::OK, &gone))
        }
        BatchVerb::Content => {
            let text = beside(move || std::fs::read(kept.shelf.lines(&id))).await?;
            Ok(reply::whole(
                StatusCode::OK,
                "application/octet-stream",
                text,
            ))
        }
        _ => Ok(reply::json(
            StatusCode::OK,
            &self::told(asked, &found.id, &card),
        )),
    }
}

/// A file as its owner is told of it.
fn told(asked: &Asked, id: &str, card: &Card) -> serde_json::Value {
    let models = [card.model.clone()];
    let named = Named {
        kind: Kind::Input,
        task: Task::of_letter(card.task).unwrap_or(Task::Chat),
        holder: Holder::Here,
        models: &models,
        id,
    };
    serde_json::json!({
        "id": asked.ids.told(asked.key(), &named),
        "object": "file",
        "bytes": card.bytes,
        "created_at": card.created,
        "filename": card.filename,
        "purpose": "batch",
        "status": "processed",
        "status_details": null,
    })
}
