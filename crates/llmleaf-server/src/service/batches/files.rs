//! Files of requests: sent on to the provider that will run them, or kept here where that keeps none. Neither way holds one.

use super::here::{self, beside};
use super::{Asked, From, ask};
use crate::batches::destined::{self, Destination};
use crate::batches::ids::{self, Found, Holder, Named};
use crate::batches::reading::{Reading, Sent};
use crate::batches::shelf::{Card, Over, Quota, Writing};
use crate::batches::store::Store;
use crate::inbound::Streamed;
use crate::incoming::Incoming;
use crate::intercept;
use crate::reply::{self, Reply, ReplyBody};
use crate::service::Call;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use llmleaf_dialects::batches::{Item, Kind, Order};
use llmleaf_exchange::batch::{Filed, Lines};
use llmleaf_exchange::{BatchVerb, Destined, Upload, Upstream, losses};
use llmleaf_framing::multipart::boundary;
use llmleaf_model::{Failure, Loss};
use llmleaf_route::Candidate;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;

/// Most requests of a file that is kept here.
const MOST_REQUESTS: usize = 100_000;
/// Most models that its requests ask.
const MOST_MODELS: usize = 32;

impl Call {
    /// Takes a file, read up to its first request: to whoever of that one's targets keeps files, else to the directory here.
    pub(super) async fn upload(self, asked: Asked, body: Incoming) -> Result<Reply, Failure> {
        let app = &self.worker.app;
        let kind = asked.headers.get(CONTENT_TYPE);
        let kind = kind.and_then(|value| value.to_str().ok());
        let boundary = kind.and_then(boundary).ok_or_else(|| {
            let why =
                "a file is sent as multipart/form-data, whose content-type names its boundary";
            Failure::invalid(why, None)
        })?;
        let (source, length) = Streamed::new(&asked.headers, body, app.max_upload_bytes)?;
        let filed = Filed {
            upload: Upload::new(Box::new(source), length, self.worker.node.room.clone()),
            boundary: Some(boundary),
            longest: app.max_body_bytes,
        };
        let first = filed.ahead().await?;
        let model = destined::one(app, &asked.principal, &first.head.model);
        let model = model.map_err(|mut failure| {
            failure.message = format!("line {}: {}", first.line, failure.message);
            failure
        })?;
        let (key, models) = (asked.principal.display(), vec![model]);
        // Other lines may ask other models: whether somebody is to see them is known when all of them are. Where no file is kept until
        // then, none may: those that keep files take one model in each.
        let waits = intercept::concerns(app, key) && app.batch_store.is_some();
        let destination = match waits {
            true => Err(models),
            false => destined::of(app, key, first.task, models),
        };
        let keeps = |candidate: &Candidate| {
            let upstream = app.shared.upstreams.get(candidate.provider);
            upstream.is_some_and(Upstream::keeps_batch_files)
        };
        match destination {
            Ok(mut destination) if destination.resolved.chain.iter().any(keeps) => {
                destination.resolved.chain.retain(keeps);
                let Destination { models, resolved } = destination;
                let mut ask = ask(&asked, first.task, models);
                ask.filed = Some(filed);
                self.asking(&asked, BatchVerb::Upload, ask, None, resolved)
                    .await
            }
            Ok(Destination { models, .. }) | Err(models) => {
                self.shelve(asked, &filed, models).await
            }
        }
    }

    /// Keeps a file here.
    async fn shelve(
        self,
        asked: Asked,
        filed: &Filed,
        models: Vec<Destined>,
    ) -> Result<Reply, Failure> {
        let app = &self.worker.app;
        let Some(store) = &app.batch_store else {
            return Err(destined::nobody(app, asked.principal.display(), &models));
        };
        let id = self.worker.ids.fresh(self.created.saturating_mul(1000));
        let (store, own) = (Arc::clone(store), id.to_string());
        let (owner, quota) = (asked.key().to_owned(), self.worker.app.file_quota);
        let writing = beside(move || store.shelf.write(&own, &owner, quota)).await?;
        let mut writing = Some(writing.map_err(|over| refused(over, quota))?);
        let (card, losses) = match self.written(&asked, filed, &mut writing).await {
            Ok(written) => written,
            Err(failure) => {
                // What was written goes.
                beside(move || {
                    drop(writing);
                    Ok(())
                })
                .await?;
                return Err(failure);
            }
        };
        let card = beside(move || writing.map_or_else(gone, |writing| writing.finish(card)));
        let card = card.await?.map_err(|over| refused(over, quota))?;
        let mut reply = reply::json(StatusCode::OK, &told(&asked, &id, &card));
        if let Some(value) = losses::header(&losses) {
            let name = HeaderName::from_static("x-llmleaf-loss");
            reply.headers_mut().insert(name, value);
        }
        Ok(reply)
    }

    /// Writes a file down as it comes, its requests read on the way; what is to be known of it.
    async fn written(
        &self,
        asked: &Asked,
        filed: &Filed,
        writing: &mut Option<Writing>,
    ) -> Result<(Card, Vec<Loss>), Failure> {
        let mut lines = Lines::with_raw(filed).ok_or_else(here::unkept)?;
        // It goes nowhere else, so nothing is held for another attempt.
        filed.upload.let_go();
        let mut models: Vec<String> = Vec::new();
        loop {
            let next = poll_fn(|cx| lines.poll_next(cx)).await.transpose();
            let pieces = lines.raw();
            if !pieces.is_empty() {
                let taken = writing.take();
                let added = beside(move || {
                    let mut writing = taken.map_or_else(gone, Ok)?;
                    let added = writing.add(&pieces)?;
                    Ok((writing, added, pieces))
                });
                // The pieces go where they came from: an allocator finds room sooner that its own thread gave back.
                let (more, added, _pieces) = added.await?;
                *writing = Some(more);
                added.map_err(|over| refused(over, self.worker.app.file_quota))?;
            }
            let Some(item) = next? else {
                break;
            };
            if lines.count() > MOST_REQUESTS {
                let why = format!("a file that is kept here may have {MOST_REQUESTS} requests");
                return Err(Failure::invalid(why, Some("file")));
            }
            if models.contains(&item.head.model) {
                continue;
            }
            match self.may_ask(asked, &item, models.len()) {
                Ok(()) => models.push(item.head.model),
                Err(failure) => lines.object(&item, &failure.message),
            }
        }
        let losses = lines.losses();
        // What is lost of the form is lost of all requests: whoever of their models wants nothing lost is heard.
        let shared = &self.worker.app.shared;
        let refusal = models.iter().find_map(|model| {
            let route = shared.routes.resolve(model).and_then(|found| found.route);
            losses::refusal(shared.settings(route).loss_policy, &losses)
        });
        if let Some(failure) = refusal {
            return Err(failure);
        }
        let card = Card {
            owner: asked.key().to_owned(),
            filename: lines.filename(),
            created: self.created,
            bytes: 0,
            task: lines.task().letter(),
            models,
            requests: lines.count() as u64,
        };
        Ok((card, losses))
    }

    /// Whether the caller may ask one more model in a file.
    fn may_ask(&self, asked: &Asked, item: &Item, before: usize) -> Result<(), Failure> {
        destined::one(&self.worker.app, &asked.principal, &item.head.model)?;
        if before >= MOST_MODELS {
            let why = format!("a file that is kept here may ask {MOST_MODELS} models");
            return Err(Failure::invalid(why, Some("model")));
        }
        Ok(())
    }

    /// A batch of the requests in a file that is kept here.
    pub(super) async fn make_of_own_file(
        self,
        asked: Asked,
        order: Order,
        found: &Found,
        told: &str,
    ) -> Result<Reply, Failure> {
        let app = &self.worker.app;
        let store = app.batch_store.as_ref();
        let store = store.ok_or_else(|| ids::unknown("file", told))?;
        let card = own(&asked, store, found, told).await?;
        let task = card.task();
        let each = card.models.iter();
        let models = each.map(|model| destined::one(app, &asked.principal, model));
        let models = models.collect::<Result<Vec<_>, _>>()?;
        match destined::of(app, asked.principal.display(), task, models) {
            Err(models) => {
                let id = self.worker.ids.fresh(self.created.saturating_mul(1000));
                let filed = here::Requests::Filed(found.id.clone(), told.to_owned(), card);
                let named = (&*id, self.created);
                here::take(&asked, store, (order, filed), task, &models, named).await
            }
            Ok(destination) => {
                let sent = Sent::new(store.shelf.lines(&found.id));
                let filed = Filed {
                    upload: Upload::kept(Box::new(sent), card.bytes),
                    boundary: None,
                    longest: usize::try_from(card.bytes).unwrap_or(usize::MAX),
                };
                let from = From::Here(filed);
                self.place(asked, order, task, destination, from).await
            }
        }
    }

    /// The caller's files, of those that are kept here.
    pub(super) async fn files(&self, asked: &Asked) -> Result<Reply, Failure> {
        let found = match &self.worker.app.batch_store {
            Some(store) => {
                let (kept, owner) = (Arc::clone(store), asked.key().to_owned());
                beside(move || Ok(kept.shelf.of(&owner))).await?
            }
            None => Vec::new(),
        };
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

/// Why a file is not kept.
fn refused(over: Over, quota: Quota) -> Failure {
    let what = match over {
        Over::Files => format!("{} files", quota.files),
        Over::Bytes => format!("{} MiB of files", quota.bytes >> 20),
    };
    let message = format!("a key may have {what} here; delete some, or wait until they go");
    let mut failure = Failure::invalid(message, Some("file"));
    failure.code = Some("file_quota_exceeded".to_owned());
    failure
}

fn gone<T>() -> io::Result<T> {
    Err(io::Error::other("a file that is written is gone"))
}

/// What is known of a file, if it is the caller's.
async fn own(
    asked: &Asked,
    store: &Arc<Store>,
    found: &Found,
    told: &str,
) -> Result<Card, Failure> {
    let (kept, id) = (Arc::clone(store), found.id.clone());
    let card = beside(move || Ok(kept.shelf.card(&id))).await?;
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
    let card = own(asked, store, found, told).await?;
    let (kept, id) = (Arc::clone(store), found.id.clone());
    match verb {
        BatchVerb::DeleteFile => {
            beside(move || kept.shelf.forget(&id)).await?;
            let gone = serde_json::json!({"id": told, "object": "file", "deleted": true});
            Ok(reply::json(StatusCode::OK, &gone))
        }
        BatchVerb::Content => {
            let reading = Reading::file(kept.shelf.lines(&id));
            let mut reply = Response::new(ReplyBody::Kept(reading));
            let headers = reply.headers_mut();
            let kind = HeaderValue::from_static("application/octet-stream");
            headers.insert(CONTENT_TYPE, kind);
            headers.insert(CONTENT_LENGTH, HeaderValue::from(card.bytes));
            Ok(reply)
        }
        _ => Ok(reply::json(
            StatusCode::OK,
            &self::told(asked, &found.id, &card),
        )),
    }
}

/// A file as its owner is told of it.
fn told(asked: &Asked, id: &str, card: &Card) -> serde_json::Value {
    let named = Named {
        kind: Kind::Input,
        task: card.task(),
        holder: Holder::Here,
        models: card.models.get(..1).unwrap_or_default(),
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
