//! One request: find its endpoint, prove the caller, read the body, run the exchange.

mod about;
mod allowed;
mod audio;
mod batches;
mod forms;
mod job;
mod node;
mod parts;
mod ready;
mod refusals;

pub use self::node::public;
pub use self::parts::part;
use self::ready::{Passed, Ready};
use self::refusals::{overloaded, refused};
pub use self::refusals::{unknown, unread};
use crate::app::App;
use crate::incoming::Incoming;
use crate::kept;
use crate::path::Calls;
use crate::registry::{self, Addressing, AuthClass, Endpoint, Matched, Operation};
use crate::reply::{self, Reply, ReplyBody};
use crate::request_id::Ids;
use crate::socket::{Caller, Opened, Upgrades};
use crate::{
    allowance, authenticate, discovery, gate, inbound, lease, path, realtime, routing, socket,
    telemetry, traces,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use llmleaf_auth::Principal;
use llmleaf_dialects::batches::Task;
use llmleaf_dialects::{Dialect, EmbeddingForm, Head};
pub use llmleaf_exchange::Job;
use llmleaf_exchange::{Exchange, Node, panics};
use llmleaf_model::{Failure, FailureKind};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What one worker serves with.
pub struct Worker {
    /// What all workers share.
    pub app: Arc<App>,
    /// The snapshot and this worker's connections.
    pub node: Rc<Node>,
    /// Ids of requests.
    pub ids: Rc<Ids>,
}

/// Time since 1970; zero on a clock set before that.
pub fn unix_now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Answers one request.
/// A `crowded` request is answered only if it asks how the node is.
pub async fn serve(
    worker: Rc<Worker>,
    request: Request<Incoming>,
    crowded: bool,
    upgrades: &Rc<Upgrades>,
) -> Reply {
    let now = unix_now();
    let millis = u64::try_from(now.as_millis()).unwrap_or_default();
    let (id, chosen) = worker.ids.of(request.headers(), millis);
    let uri_path = request.uri().path().to_owned();
    let canonical = path::canonical(&uri_path);
    let dialect = discovery::dialect(&canonical.path, canonical.dialect, request.headers());
    if let Err(failure) = gate::check(&request) {
        let mut reply = reply::finish(reply::failed(dialect, &failure, &id), dialect, &id);
        let telemetry = &worker.app.telemetry;
        telemetry.refused(&id, None, &failure, reply.status());
        gate::close(&mut reply, request.version());
        return reply;
    }
    let method = request.method().clone();
    let call = Call {
        worker: Rc::clone(&worker),
        id: Arc::clone(&id),
        chosen,
        created: now.as_secs(),
        calls: canonical.calls,
        crowded,
        explain: routing::explain(request.headers()),
    };
    let mut answer = pin!(call.answer(request, &canonical.path, dialect, upgrades));
    let answered = poll_fn(|cx| match panics::contain(|| answer.as_mut().poll(cx)) {
        Ok(polled) => polled,
        // It is not polled again.
        Err(panics::Panicked) => Poll::Ready(Err(panics::failure())),
    });
    let reply = match answered.await {
        Ok(reply) => reply,
        Err(failure) => {
            let endpoint = match registry::find(&method, &canonical.path) {
                Matched::Found(endpoint, _) => Some(endpoint),
                Matched::OtherMethods(_) | Matched::Unknown => None,
            };
            refused(&worker, dialect, endpoint, &failure, &id)
        }
    };
    reply::finish(reply, dialect, &id)
}

/// What a turn of a WebSocket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It is a request of its own.
    Turn,
    /// It is an answer in a session that is held here: by the targets that only chat.
    Session,
}

/// Answers one turn of a WebSocket: as if its body had been posted.
pub async fn turn(
    worker: Rc<Worker>,
    opened: socket::Caller,
    body: Bytes,
    purpose: Purpose,
) -> Reply {
    let asked = Asked {
        operation: llmleaf_exchange::Operation::Chat,
        dialect: Dialect::Responses,
        addressing: Addressing::Body,
        model: None,
        within: match purpose {
            Purpose::Session => Within::Session,
            Purpose::Turn => Within::Nothing,
        },
    };
    let socket::Caller { principal, headers } = opened;
    // A token may have come to its end since the connection was opened, or its issuer may have said so.
    let proven = match principal.ends() {
        None => Ok(principal),
        Some(_) if purpose == Purpose::Session => authenticate::session(&worker, &headers).await,
        Some(_) => authenticate::principal(&worker, &headers).await,
    };
    match proven {
        Ok(principal) => posted(worker, asked, principal, &headers, body, true).await,
        Err(error) => {
            let millis = u64::try_from(unix_now().as_millis()).unwrap_or_default();
            let id = worker.ids.fresh(millis);
            let refused = reply::failed(asked.dialect, &reply::unauthorised(&error), &id);
            reply::finish(refused, asked.dialect, &id)
        }
    }
}

/// Answers one request of a batch that this node runs: as if its body had been posted.
pub async fn item(worker: Rc<Worker>, principal: Principal, task: Task, body: Bytes) -> Reply {
    let asked = Asked {
        operation: match task {
            Task::Embeddings => llmleaf_exchange::Operation::Embed(EmbeddingForm::Embeddings),
            _ => llmleaf_exchange::Operation::Chat,
        },
        dialect: task.dialect().unwrap_or(Dialect::ChatCompletions),
        addressing: Addressing::Body,
        model: None,
        within: Within::Nothing,
    };
    posted(worker, asked, principal, &HeaderMap::new(), body, false).await
}

/// What a request of a batch is answered whose answer was cut, or is too large to keep.
pub fn cut(task: Task) -> Vec<u8> {
    let failure = Failure::gateway(FailureKind::Truncated, "the answer could not be kept whole");
    let dialect = task.dialect().unwrap_or(Dialect::ChatCompletions);
    dialect.render_error(&failure, "").body
}

/// `sheds`: it is turned away where there is no room.
async fn posted(
    worker: Rc<Worker>,
    asked: Asked<'_>,
    principal: Principal,
    headers: &HeaderMap,
    body: Bytes,
    sheds: bool,
) -> Reply {
    let dialect = asked.dialect;
    let now = unix_now();
    let id = worker
        .ids
        .fresh(u64::try_from(now.as_millis()).unwrap_or_default());
    let call = Call {
        worker: Rc::clone(&worker),
        id: Arc::clone(&id),
        chosen: false,
        created: now.as_secs(),
        calls: Calls::InPieces,
        crowded: false,
        // Of a session nothing is told, and what a batch has comes without headers.
        explain: asked.within == Within::Nothing && routing::explain(headers),
    };
    let explains = call.explain && worker.app.explains(&principal);
    if sheds && call.sheds(Operation::Exchange(asked.operation)) {
        let reply = refused(&worker, dialect, None, &overloaded(), &id);
        return reply::finish(reply, dialect, &id);
    }
    let mut answer = pin!(call.asked(asked, principal, headers, None, body));
    let answered = poll_fn(|cx| match panics::contain(|| answer.as_mut().poll(cx)) {
        Ok(polled) => polled,
        Err(panics::Panicked) => Poll::Ready(Err(panics::failure())),
    });
    let (mut reply, why) = match answered.await {
        Ok(reply) => (reply, None),
        Err(failure) => {
            let reply = refused(&worker, dialect, None, &failure, &id);
            (reply, Some(failure.kind))
        }
    };
    if explains {
        reply = refusals::explained(reply, why);
    }
    reply::finish(reply, dialect, &id)
}

/// Whether a turn that is only prepared would be served; the model that it asks for.
///
/// # Errors
/// It would not.
pub fn prepared(worker: &Worker, principal: &Principal, body: &[u8]) -> Result<String, Failure> {
    let head = Head::read_as(Dialect::Responses, body)?;
    routing::of(&worker.app, principal, Dialect::Responses, &head, body)?;
    Ok(head.model)
}

/// What an endpoint says of an exchange, its path included.
struct Asked<'a> {
    operation: llmleaf_exchange::Operation,
    dialect: Dialect,
    addressing: Addressing,
    /// The model, where it stands in the path; perhaps percent-encoded.
    model: Option<&'a str>,
    within: Within<'a>,
}

/// What a request is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within<'a> {
    Nothing,
    /// A session that is held here. Targets that hold sessions themselves are passed over.
    Session,
    /// The same, of the model that it was opened for. Another model is asked, which its route names.
    PartOf(&'a str),
}

impl Asked<'_> {
    /// The first reading of the body, and the dialect that it is in.
    fn head(&self, body: &[u8]) -> Result<(Head, Dialect), Failure> {
        let Addressing::Path { stream } = self.addressing else {
            use llmleaf_exchange::Operation::{Audio, Embed, Rerank};
            if let Audio(_) | Embed(_) | Rerank(_) = self.operation {
                // They come whole, whatever is said of streams, and sound as its own fields say.
                let mut head = Head::read(body)?;
                head.stream = false;
                return Ok((head, self.dialect));
            }
            if let llmleaf_exchange::Operation::Draw(form) = self.operation {
                return Ok((Head::read_or(body, form.unnamed())?, self.dialect));
            }
            if let llmleaf_exchange::Operation::Moderate(_) = self.operation {
                let mut head = Head::read_or(body, llmleaf_dialects::moderations::UNNAMED)?;
                head.stream = false;
                return Ok((head, self.dialect));
            }
            let read = Head::read_as(self.dialect, body);
            return match (read, self.dialect) {
                (Ok(head), dialect) => Ok((head, dialect)),
                // Cursor's agent posts Responses' requests here and reads this endpoint's chunks (its forum, read 2026-11).
                (Err(_), Dialect::ChatCompletions) if Head::is_of_responses(body) => {
                    let heard = Dialect::Responses;
                    Ok((Head::read_as(heard, body)?, heard))
                }
                (Err(failure), _) => Err(failure),
            };
        };
        let named = self.model.and_then(discovery::query::decode);
        let model = named.ok_or_else(|| Failure::invalid("the path names no model", None))?;
        Ok((Head::addressed(body, model, stream)?, self.dialect))
    }

    /// True where a stream is to be one JSON array: the path asks for a stream, and the query for no events.
    fn in_array(&self, query: Option<&str>) -> bool {
        let mut fields = query.unwrap_or_default().split('&');
        self.addressing == Addressing::Path { stream: true } && !fields.any(|f| f == "alt=sse")
    }
}

/// A request that is being answered.
pub struct Call {
    /// What it is answered with.
    pub worker: Rc<Worker>,
    /// Its id.
    pub id: Arc<str>,
    /// The caller chose it, and may choose it again.
    chosen: bool,
    /// Unix seconds at which it came.
    pub created: u64,
    /// How it reads calls of tools.
    calls: Calls,
    crowded: bool,
    /// It asks how it is decided.
    explain: bool,
}

impl Call {
    async fn answer(
        self,
        request: Request<Incoming>,
        path: &str,
        dialect: Dialect,
        upgrades: &Rc<Upgrades>,
    ) -> Result<Reply, Failure> {
        panics::inject("service", &self.id);
        let (endpoint, rest) = match registry::find(request.method(), path) {
            Matched::Found(endpoint, rest) => (endpoint, rest),
            Matched::OtherMethods(methods) => {
                return Ok(refusals::other_methods(dialect, &methods, &self.id));
            }
            Matched::Unknown => return Err(unknown(path)),
        };
        match endpoint.auth {
            AuthClass::Public => Ok(public(&self.worker.app, endpoint)),
            _ if self.sheds(endpoint.operation) => Err(overloaded()),
            AuthClass::Admin if endpoint.operation == Operation::Metrics => {
                telemetry::door::enter(&self.worker.app, request.headers(), path).await
            }
            AuthClass::Admin => {
                let asked = (path, request.uri().query());
                self.admin(endpoint.operation, request.headers(), asked)
            }
            // It proves its caller itself: browsers have other places for that.
            AuthClass::Consumer if endpoint.operation == Operation::Realtime => {
                let (parts, _) = request.into_parts();
                let proven = realtime::proven(&self, &parts.headers).await?;
                let explains = self.explains(&proven.principal);
                let opened = Box::pin(realtime::open(&self, upgrades, &parts, proven)).await;
                match explains {
                    true => Ok(refusals::told(
                        &self.worker,
                        (endpoint, dialect),
                        opened,
                        &self.id,
                    )),
                    false => opened,
                }
            }
            AuthClass::Consumer => {
                let (headers, known) = (request.headers(), &upgrades.known);
                let proven = authenticate::again(&self.worker, headers, known).await;
                let principal = proven.map_err(|error| reply::unauthorised(&error))?;
                let explains = (self.explains(&principal))
                    .then(|| (Rc::clone(&self.worker), Arc::clone(&self.id)));
                let caller = (principal, upgrades);
                let served = self.consumer(endpoint, rest, caller, request);
                match (explains, served.await) {
                    (None, served) => served,
                    (Some((worker, id)), served) => {
                        Ok(refusals::told(&worker, (endpoint, dialect), served, &id))
                    }
                }
            }
        }
    }

    /// Whether there is no room for this now.
    fn sheds(&self, operation: Operation) -> bool {
        let is_exchange = matches!(
            operation,
            Operation::Exchange(_) | Operation::Batch(_) | Operation::Realtime
        );
        let load = &self.worker.app.load;
        let sheds = self.crowded || is_exchange && load.is_shedding();
        if sheds {
            load.shed();
        }
        sheds
    }

    async fn consumer(
        self,
        endpoint: &Endpoint,
        rest: Option<&str>,
        (principal, upgrades): (Principal, &Rc<Upgrades>),
        request: Request<Incoming>,
    ) -> Result<Reply, Failure> {
        match endpoint.operation {
            Operation::Exchange(llmleaf_exchange::Operation::Kept(verb)) => {
                let id = rest.unwrap_or_default();
                Box::pin(self.kept(verb, id, principal, request)).await
            }
            Operation::Batch(call) => {
                Box::pin(self.batches(endpoint, call, rest, principal, request)).await
            }
            Operation::Exchange(llmleaf_exchange::Operation::Audio(audio)) => {
                Box::pin(self.audio(audio, principal, request)).await
            }
            Operation::Socket => {
                let (parts, _) = request.into_parts();
                let purpose =
                    "GET /v1/responses opens a WebSocket over HTTP/1.1; POST makes a response";
                let accept = socket::accept(&parts, purpose)?;
                let mut reply = Response::new(ReplyBody::Whole(None));
                socket::switch(&mut reply, accept);
                let headers = parts.headers;
                upgrades.open(Opened::Turns(Caller { principal, headers }));
                Ok(reply)
            }
            Operation::RealtimeSecret { nested } => {
                let (parts, body) = request.into_parts();
                let limit = self.worker.app.max_body_bytes;
                let body = inbound::read(&parts.headers, body, limit).await?;
                realtime::secrets::issue(&self, &principal, &body, nested)
            }
            Operation::Exchange(operation) => {
                // Boxed: every other request would carry this one's size about.
                let asked = Asked {
                    operation,
                    dialect: endpoint.dialect,
                    addressing: endpoint.addressing,
                    model: rest,
                    within: Within::Nothing,
                };
                Box::pin(self.exchange(asked, principal, request)).await
            }
            Operation::Show => {
                let (parts, body) = request.into_parts();
                let limit = self.worker.app.max_body_bytes;
                let body = inbound::read(&parts.headers, body, limit).await?;
                discovery::tags::show(&self.worker.app, &principal, &body)
            }
            Operation::Loaded => Ok(discovery::tags::loaded()),
            Operation::Models if endpoint.dialect.streams_lines() => {
                Ok(discovery::tags::list(&self.worker.app, &principal))
            }
            // Google's clients read their own form alone, and some versions of them ask below `/v1`.
            _ if endpoint.path.starts_with("/v1beta/")
                || request.headers().contains_key("x-goog-api-key") =>
            {
                discovery::generative::answer(&self.worker.app, &principal, rest)
            }
            Operation::Model => discovery::model(
                &self.worker.app,
                &principal,
                rest.unwrap_or_default(),
                request.headers(),
            ),
            _ => discovery::models(
                &self.worker.app,
                &principal,
                request.uri().query(),
                request.headers(),
            ),
        }
    }

    async fn exchange(
        self,
        asked: Asked<'_>,
        principal: Principal,
        request: Request<Incoming>,
    ) -> Result<Reply, Failure> {
        let (parts, body) = request.into_parts();
        let most = self.worker.app.max_body_bytes;
        let body = forms::read(asked.operation, &parts.headers, body, most).await?;
        self.asked(asked, principal, &parts.headers, parts.uri.query(), body)
            .await
    }

    async fn asked(
        self,
        asked: Asked<'_>,
        principal: Principal,
        headers: &HeaderMap,
        query: Option<&str>,
        body: Bytes,
    ) -> Result<Reply, Failure> {
        let (operation, dialect) = (asked.operation, asked.dialect);
        let app = &self.worker.app;
        let prompt_cache = routing::prompt_cache(headers)?;
        let id = self.exchange_id();
        let passed = self.passed(&asked, &principal, &id, body).await?;
        let Passed {
            ready,
            tokens,
            allowance,
            told,
        } = match passed {
            Ok(passed) => passed,
            Err(reply) => return Ok(*reply),
        };
        let inspector = self.inspector(&asked, &principal, &id, &ready);
        let Ready {
            heard,
            body,
            head,
            owner,
            routing,
            ..
        } = ready;
        let principal = routing.grant.principal();
        // After all that may refuse it: what is refused costs a key nothing.
        let allowance = lease::hold(app, principal, tokens, allowance).await?;
        let settings = app.shared.settings(routing.resolved.route);
        let follows = settings.affinity
            && app
                .shared
                .follows(&routing.resolved, settings.policy.strategy);
        let names = {
            let turn = (&head, &*body, owner.as_deref());
            kept::names(app, &routing.grant, (dialect, inspector.is_some()), turn)
        };
        let job = Job {
            operation,
            dialect,
            heard,
            head,
            in_array: asked.in_array(query),
            whole_calls: self.calls == Calls::Whole && dialect == Dialect::ChatCompletions,
            body,
            upload: None,
            id,
            request_id: Arc::clone(&self.id),
            key: Arc::clone(principal.display()),
            resolved: routing.resolved,
            more: routing.more,
            preferences: routing.preferences,
            prompt_cache,
            session: follows.then(|| routing::session(headers)).flatten(),
            tokens,
            allowance,
            owner,
            batch: None,
            names,
            headers: self.forwarded(headers),
            realtime: None,
            inspector,
            trace: traces::of(&self.worker, headers),
            created: self.created,
        };
        let mut reply = self.begin(job, principal).await?;
        if let Some(figures) = told {
            allowance::tell(reply.headers_mut(), dialect, &figures, unix_now());
        }
        Ok(reply)
    }

    /// Id of the one exchange that a request begins: unique, so its own only where we made that.
    fn exchange_id(&self) -> Arc<str> {
        match self.chosen {
            true => self.worker.ids.fresh(self.created.saturating_mul(1000)),
            false => Arc::clone(&self.id),
        }
    }

    /// The consumer's headers that some provider's row lets through.
    pub fn forwarded(&self, headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
        let names = self.worker.app.forwarded.iter();
        let each = names.flat_map(|name| {
            let values = headers.get_all(name).iter();
            values.map(move |value| (name.clone(), value.clone()))
        });
        each.collect()
    }

    /// Whether a caller asks how requests are decided, and may.
    pub fn explains(&self, principal: &Principal) -> bool {
        self.explain && self.worker.app.explains(principal)
    }

    /// Begins an exchange for a caller, and waits for the head of its reply. It ends with the caller's leave, where that is asked for.
    async fn begin(&self, job: Job, principal: &Principal) -> Result<Reply, Failure> {
        let mut exchange = Exchange::start(Rc::clone(&self.worker.node), job);
        if let Some(bar) = self.worker.app.bar(principal) {
            exchange.bar(bar);
        }
        if self.explains(principal) {
            exchange.explain();
        }
        reply::begun(exchange).await
    }
}
