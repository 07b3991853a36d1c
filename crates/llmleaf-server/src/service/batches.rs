//! The endpoints of batches and their files.

mod files;
mod here;
mod page;

use self::page::Page;
use super::Call;
use crate::batches::destined::{self, Destination};
use crate::batches::ids::{self, BatchIds, Found, Holder, Named};
use crate::incoming::Incoming;
use crate::registry::{BatchCall, Endpoint};
use crate::reply::{self, Reply};
use crate::{allowance, inbound, intercept, lease, service};
use bytes::Bytes;
use http::{HeaderMap, Request};
use llmleaf_auth::Principal;
use llmleaf_dialects::batches::{BatchForm, Kind, Order, Task, items};
use llmleaf_dialects::{Dialect, EmbeddingForm, Head};
use llmleaf_exchange::batch::Filed;
use llmleaf_exchange::{
    Allowance, BatchAsk, BatchNames, BatchVerb, Destined, Job, Operation, Owner, Part,
};
use llmleaf_model::{Failure, FailureKind, Origin};
use llmleaf_route::{Candidate, Resolved};
use std::sync::Arc;

/// What health and records are kept by where no model is known.
const NAMELESS: &str = "batches";
/// Batches in a page of a list.
const PAGE: usize = 20;
const LARGEST_PAGE: usize = 100;

/// A request about batches, as far as its endpoint says it.
struct Asked {
    form: BatchForm,
    dialect: Dialect,
    principal: Principal,
    headers: HeaderMap,
    ids: Arc<BatchIds>,
    /// There is no other caller.
    alone: bool,
}

impl Asked {
    fn key(&self) -> &str {
        self.principal.key_id()
    }
}

/// Where the requests of a batch are.
enum From {
    /// They came along.
    Body,
    /// In a file that its provider keeps.
    There(Found),
    /// In a file that is kept here.
    Here(Filed),
}

impl Call {
    /// Answers a request about batches or their files.
    pub(super) async fn batches(
        self,
        endpoint: &Endpoint,
        call: BatchCall,
        id: Option<&str>,
        principal: Principal,
        request: Request<Incoming>,
    ) -> Result<Reply, Failure> {
        let (parts, body) = request.into_parts();
        let ids = self.worker.app.batch_ids.clone();
        let asked = Asked {
            form: match endpoint.dialect {
                Dialect::Messages => BatchForm::Messages,
                _ => BatchForm::Files,
            },
            dialect: endpoint.dialect,
            principal,
            ids: ids.ok_or_else(ids::unsealed)?,
            headers: parts.headers,
            alone: self.worker.app.is_alone(),
        };
        let id = id.unwrap_or_default();
        let verb = match call {
            BatchCall::Make => {
                let limit = self.worker.app.max_body_bytes;
                let body = inbound::read(&asked.headers, body, limit).await?;
                return self.make(asked, &body).await;
            }
            BatchCall::List => {
                let query = parts.uri.query().unwrap_or_default();
                return self.list(asked, query).await;
            }
            BatchCall::Upload => return self.upload(asked, body).await,
            BatchCall::Files => return self.files(&asked).await,
            BatchCall::Retrieve => BatchVerb::Retrieve,
            BatchCall::Cancel => BatchVerb::Cancel,
            BatchCall::Delete => BatchVerb::Delete,
            BatchCall::Results => BatchVerb::Results(Part::All),
            BatchCall::File => BatchVerb::File,
            BatchCall::DeleteFile => BatchVerb::DeleteFile,
            BatchCall::Content => BatchVerb::Content,
        };
        // Some clients send an empty object along; it says nothing.
        inbound::read(&asked.headers, body, self.worker.app.max_body_bytes).await?;
        self.about(asked, id, verb).await
    }

    async fn make(self, asked: Asked, body: &Bytes) -> Result<Reply, Failure> {
        let mut order = items::order(body, asked.form)?;
        if let Some(told) = order.file.take() {
            return self.make_of_file(asked, order, &told).await;
        }
        self.make_of_items(asked, order).await
    }

    /// A batch of requests that came along.
    async fn make_of_items(self, asked: Asked, mut order: Order) -> Result<Reply, Failure> {
        let app = &self.worker.app;
        let task = order.items.first().map_or(Task::Chat, |item| item.task);
        let models = destined::models(app, &asked.principal, &order.items, "request")?;
        let key = asked.principal.display();
        let destination = match (destined::of(app, key, task, models), &app.batch_store) {
            (Ok(destination), _) => destination,
            (Err(models), None) => return Err(destined::nobody(app, key, &models)),
            (Err(models), Some(store)) => {
                let id = self.worker.ids.fresh(self.created.saturating_mul(1000));
                let named = (&*id, self.created);
                let held = here::Requests::Held(std::mem::take(&mut order.items));
                return here::take(&asked, store, (order, held), task, &models, named).await;
            }
        };
        self.place(asked, order, task, destination, From::Body)
            .await
    }

    /// A batch of the requests in a file that was sent before.
    async fn make_of_file(self, asked: Asked, order: Order, told: &str) -> Result<Reply, Failure> {
        let found = open(&asked, told, |found| found.kind == Kind::Input);
        let found = found.map_err(|mut failure| {
            failure.param = Some("input_file_id".to_owned());
            failure
        })?;
        let said = order.endpoint.as_deref().and_then(Task::of);
        if let Some(said) = said.filter(|said| *said != found.task) {
            let message = format!(
                "the file's requests are for {}, not for {}",
                found.task.endpoint(),
                said.endpoint()
            );
            return Err(Failure::invalid(message, Some("endpoint")));
        }
        if found.holder == Holder::Here {
            return self.make_of_own_file(asked, order, &found, told).await;
        }
        let models = self.known(&asked, &found)?;
        let (app, key) = (&self.worker.app, asked.principal.display());
        let names = models.iter().map(|model| &*model.name);
        // No provider takes a file that asks more than one; a name that is too long for an id may be any.
        let unseen = match models.is_empty() {
            true => intercept::concerns(app, key),
            false => intercept::is_of_interest(app, key, names),
        };
        if unseen {
            // It went to its provider before anybody was to look at what is in it.
            return Err(destined::unseen());
        }
        let resolved = self.target_of(&models, &found)?;
        let destination = Destination { models, resolved };
        let task = found.task;
        self.place(asked, order, task, destination, From::There(found))
            .await
    }

    /// Hands a batch to whoever takes it.
    async fn place(
        self,
        asked: Asked,
        order: Order,
        task: Task,
        destination: Destination,
        from: From,
    ) -> Result<Reply, Failure> {
        let Destination { models, resolved } = destination;
        let mut ask = ask(&asked, task, models);
        let file = match from {
            From::Body => None,
            From::There(found) => Some(found),
            From::Here(filed) => {
                ask.filed = Some(filed);
                None
            }
        };
        ask.items = order.items;
        ask.window = order.window;
        ask.labels = order.labels;
        ask.file = file.as_ref().map(|file| file.id.clone());
        let owner = file.map(|file| Owner {
            provider: match file.holder {
                Holder::Provider(provider, _) => provider,
                Holder::Here => 0,
            },
            credential: match file.holder {
                Holder::Provider(_, credential) => credential,
                Holder::Here => None,
            },
            told: file.id.clone(),
            id: file.id,
            query: String::new(),
        });
        self.asking(&asked, BatchVerb::Make, ask, owner, resolved)
            .await
    }

    /// Asks the owner of a batch or file about it.
    async fn about(self, asked: Asked, told: &str, verb: BatchVerb) -> Result<Reply, Failure> {
        let file = matches!(
            verb,
            BatchVerb::File | BatchVerb::DeleteFile | BatchVerb::Content
        );
        let found = open(&asked, told, |found| {
            file != (found.kind == Kind::Batch) && (file || found.task.form() == asked.form)
        })?;
        let models = self.known(&asked, &found)?;
        let Holder::Provider(provider, credential) = found.holder else {
            let store = self.worker.app.batch_store.as_ref();
            let store = store.ok_or_else(|| ids::unknown("batch", told))?;
            if found.kind == Kind::Input {
                return files::about(&asked, store, &found, told, verb).await;
            }
            return here::about(&asked, store, &found, (told, self.created), verb).await;
        };
        let names = models.iter().map(|model| &*model.name);
        if matches!(verb, BatchVerb::Results(_) | BatchVerb::Content)
            && intercept::of_answers(&self.worker.app, asked.principal.display(), names).is_some()
        {
            return Err(unseen());
        }
        let resolved = self.target_of(&models, &found)?;
        let upstreams = &self.worker.app.shared.upstreams;
        let keeps = upstreams
            .get(provider)
            .is_some_and(|upstream| upstream.keeps_batch_files());
        // Where results are no files, their names stand for parts of the batch.
        let verb = match (verb, found.kind) {
            (BatchVerb::Content, Kind::Output) if !keeps => BatchVerb::Results(Part::Answers),
            (BatchVerb::Content, Kind::Errors) if !keeps => BatchVerb::Results(Part::Errors),
            (BatchVerb::File, Kind::Output | Kind::Errors) if !keeps => {
                return Ok(reply::json(
                    http::StatusCode::OK,
                    &stand_in(told, self.created),
                ));
            }
            (verb, _) => verb,
        };
        let mut ask = ask(&asked, found.task, models);
        ask.batch = found.batch;
        let owner = Owner {
            provider,
            credential,
            id: found.id,
            told: told.to_owned(),
            query: String::new(),
        };
        self.asking(&asked, verb, ask, Some(owner), resolved).await
    }

    /// The models of what was found, which the caller may still ask.
    fn known(&self, asked: &Asked, found: &Found) -> Result<Vec<Destined>, Failure> {
        let app = &self.worker.app;
        let each = found.models.iter().map(|model| {
            let destined = destined::one(app, &asked.principal, model);
            match destined {
                // A model that is gone is no reason to keep its results back.
                Err(failure) if failure.code.as_deref() == Some("model_not_found") => {
                    Ok(Destined {
                        name: model.clone(),
                        chain: Vec::new(),
                    })
                }
                other => other,
            }
        });
        each.collect()
    }

    /// The one target that what was found is at.
    fn target_of(&self, models: &[Destined], found: &Found) -> Result<Resolved, Failure> {
        let Holder::Provider(provider, _) = found.holder else {
            return Err(ids::unknown("batch", &found.id));
        };
        let routes = &self.worker.app.shared.routes;
        let first = models.first();
        let model = first.and_then(|first| first.at(provider));
        let route = first.and_then(|first| routes.resolve(&first.name));
        Ok(Resolved {
            chain: vec![Candidate {
                provider,
                model: model.unwrap_or(NAMELESS).into(),
            }],
            route: route.and_then(|route| route.route),
        })
    }

    async fn list(self, asked: Asked, query: &str) -> Result<Reply, Failure> {
        let field = |names: [&str; 2]| {
            let mut fields = query.split('&').filter_map(|field| field.split_once('='));
            let found = fields.find(|(name, _)| names.contains(name));
            found.map(|(_, value)| value.to_owned())
        };
        let limit = field(["limit", "limit"]).and_then(|limit| limit.parse().ok());
        let limit = limit.unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
        let after = field(["after", "after_id"]);
        let after = after
            .map(|told| open(&asked, &told, |found| found.kind == Kind::Batch))
            .transpose()?;
        let task = match asked.form {
            BatchForm::Files => Task::Chat,
            BatchForm::Messages => Task::Messages,
        };
        let app = Arc::clone(&self.worker.app);
        let mut page = Page::new(limit);
        if let Some(store) = &app.batch_store
            && after
                .as_ref()
                .is_none_or(|found| found.holder == Holder::Here)
        {
            let own = after.as_ref().map(|found| found.id.clone());
            page.take(here::list(&asked, store, own, limit).await);
        }
        let start = match after.as_ref().map(|found| found.holder) {
            Some(Holder::Provider(provider, _)) => provider,
            _ => 0,
        };
        for (provider, upstream) in app.shared.upstreams.iter().enumerate().skip(start) {
            if !upstream.takes_batches(task, NAMELESS) || page.more {
                continue;
            }
            let mut ask = ask(&asked, task, Vec::new());
            let own = after.as_ref().filter(
                |found| matches!(found.holder, Holder::Provider(holder, _) if holder == provider),
            );
            ask.page = (own.map(|found| found.id.clone()), page.left());
            let resolved = Resolved {
                chain: vec![Candidate {
                    provider,
                    model: NAMELESS.into(),
                }],
                route: None,
            };
            let reply = self
                .asking(&asked, BatchVerb::List, ask, None, resolved)
                .await;
            page.take(reply);
        }
        page.reply(asked.form)
    }

    async fn asking(
        &self,
        asked: &Asked,
        verb: BatchVerb,
        ask: BatchAsk,
        owner: Option<Owner>,
        resolved: Resolved,
    ) -> Result<Reply, Failure> {
        let (allowance, told) = match self.allowance(asked.dialect, &asked.principal, 0) {
            Ok(allowed) => allowed,
            Err(reply) => return Ok(*reply),
        };
        let allowance = self.budget(asked, verb, &ask, allowance).await?;
        let model = ask.models.first().map_or(NAMELESS, |model| &model.name);
        let head = Head::addressed(b"{}", model, false)?;
        let id = self.worker.ids.fresh(self.created.saturating_mul(1000));
        let job = Job {
            upload: ask.filed.as_ref().map(|filed| filed.upload.clone()),
            allowance,
            owner: owner.map(Box::new),
            batch: Some(Box::new(ask)),
            ..self.bare_job(
                (Operation::Batch(verb), asked.dialect, head),
                (id, &asked.principal),
                resolved,
                &asked.headers,
            )
        };
        let mut reply = self.begin(job, &asked.principal).await?;
        if let Some(figures) = told {
            let now = service::unix_now();
            allowance::tell(reply.headers_mut(), asked.dialect, &figures, now);
        }
        Ok(reply)
    }
}

impl Call {
    /// Adds to what a request holds what it takes of its key's budget: of a batch that is made, what its requests are thought to use; of
    /// results, what was used, once they are read.
    async fn budget(
        &self,
        asked: &Asked,
        verb: BatchVerb,
        ask: &BatchAsk,
        allowance: Option<Allowance>,
    ) -> Result<Option<Allowance>, Failure> {
        let (app, principal) = (&self.worker.app, &asked.principal);
        match verb {
            BatchVerb::Make => {
                let counts = app.authenticator.is_leased(principal);
                let items = ask.items.iter().filter(|_| counts);
                let each = items.map(|item| {
                    let dialect = item.task.dialect().unwrap_or(Dialect::ChatCompletions);
                    let operation = match item.task {
                        Task::Embeddings => Operation::Embed(EmbeddingForm::Embeddings),
                        _ => Operation::Chat,
                    };
                    llmleaf_exchange::chain::estimate(operation, dialect, &item.head, &item.body)
                });
                let tokens = each.fold(0, u64::saturating_add);
                lease::hold(app, principal, tokens, allowance).await
            }
            BatchVerb::Results(_) | BatchVerb::Content => {
                Ok(lease::charge(app, principal, allowance))
            }
            _ => Ok(allowance),
        }
    }
}

/// What an id names, if it is the caller's and of the kind that is asked for.
fn open(asked: &Asked, told: &str, fits: impl Fn(&Found) -> bool) -> Result<Found, Failure> {
    let what = match told.starts_with("file") {
        true => "file",
        false => "batch",
    };
    let found = asked
        .ids
        .open(asked.key(), told)
        .filter(|found| fits(found));
    found.ok_or_else(|| ids::unknown(what, told))
}

/// What every job about batches says.
fn ask(asked: &Asked, task: Task, models: Vec<Destined>) -> BatchAsk {
    let names: Vec<String> = models.iter().map(|model| model.name.clone()).collect();
    BatchAsk {
        form: asked.form,
        task,
        items: Vec::new(),
        filed: None,
        file: None,
        batch: None,
        models,
        window: None,
        labels: Vec::new(),
        mark: asked.ids.mark(asked.key(), task, &names),
        owner_marks: asked.ids.owner_marks(asked.key()),
        alone: asked.alone,
        names: naming(asked, task, names),
        page: (None, PAGE),
    }
}

/// The names by which the caller knows what providers have of it.
fn naming(asked: &Asked, task: Task, names: Vec<String>) -> BatchNames {
    let (ids, key) = (Arc::clone(&asked.ids), asked.key().to_owned());
    BatchNames::new(move |kind, provider, credential, mark, id| {
        let marked = mark.and_then(|mark| ids.marked(&key, mark));
        let (task, models) = marked.as_ref().map_or((task, &names), |(t, m)| (*t, m));
        let named = Named {
            kind,
            task,
            holder: Holder::Provider(provider, Some(credential)),
            models,
            id,
        };
        ids.told(&key, &named)
    })
}

/// A provider ran it before anybody was to look at its answers.
fn unseen() -> Failure {
    let message =
        "answers to this key are looked at before they go on, and those of this batch were not";
    let mut failure = Failure::new(Origin::Consumer, FailureKind::Permission, message);
    failure.code = Some("results_not_allowed".to_owned());
    failure
}

/// A file of results that is no file at its provider.
fn stand_in(told: &str, now: u64) -> serde_json::Value {
    serde_json::json!({
        "id": told,
        "object": "file",
        "bytes": 0,
        "created_at": now,
        "filename": "results.jsonl",
        "purpose": "batch_output",
        "status": "processed",
        "status_details": null,
    })
}
