//! Sessions of speech and text: what is settled before the consumer's connection is switched, and what runs on it then.
//!
//! Key, model, limits and origin are judged while the connection speaks HTTP, and so is the provider: a refusal of any of them is an
//! answer with a status. What goes through afterwards is the exchange's ([`llmleaf_exchange::realtime`]).
//!
//! Reading order: `realtime/asked.rs` (what a request says), [`proven`], [`open`], `realtime/keeper.rs` (who decides while it lives), [`run`]; `realtime/bridged.rs` (a session over a model that only chats),
//! `realtime/secrets.rs` (what a browser is given in place of a key).

mod asked;
mod bridged;
mod keeper;
pub mod secrets;

use crate::app::App;
use crate::desk::Desk;
use crate::reply::{self, Reply, ReplyBody};
use crate::routing::{self, Routing};
use crate::service::{Call, Job, unix_now};
use crate::socket::{self, Opened, Upgrades};
use crate::worker::Order;
use crate::{allowance, authenticate, intercept, lease};
use asked::Asked;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use keeper::Keeper;
use llmleaf_auth::{Pass, Principal};
use llmleaf_dialects::realtime::names::PROTOCOL;
use llmleaf_dialects::{Dialect, Head};
use llmleaf_exchange::realtime::{Duplex, Talk};
use llmleaf_exchange::{Allowance, Exchange, Operation};
use llmleaf_model::{Failure, FailureKind, Origin};
use llmleaf_transport::{Bounds, Role, WebSocket};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::watch;

pub use asked::credentials;
pub use bridged::{Bridged, run_bridged};

/// What stands for a body.
const NOTHING: &[u8] = b"{}";
/// Longest message: speech comes in pieces of up to 15 MiB, as the reference has it.
const MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// How often a consumer is asked whether it is there, and how many of these may stay without a sign of it.
const PING: Duration = Duration::from_secs(15);
const UNHEARD: u32 = 8;

/// A session whose provider is there, and whose consumer's connection is being switched. Dropping it closes the provider's.
pub struct Session {
    exchange: Exchange,
    talk: Rc<Talk>,
}

/// Opens a session: the answer that switches the consumer's connection, or a refusal.
///
/// # Errors
/// The request is none for a session, or it may not be held.
pub async fn open(
    call: &Call,
    upgrades: &Rc<Upgrades>,
    parts: &Parts,
    Proven { principal, pass }: Proven,
) -> Result<Reply, Failure> {
    let accept = socket::accept(parts, "GET /v1/realtime opens a WebSocket over HTTP/1.1")?;
    let app = &call.worker.app;
    let asked = Asked::read(parts, &app.realtime_origins, pass.as_ref())?;
    let head = Head::addressed(NOTHING, asked.model.clone(), false)?;
    let dialect = Dialect::ChatCompletions;
    let routing = routing::of(app, &principal, dialect, &head, NOTHING)?;
    let (mut sessions, chats) = offered(app, &routing);
    // What goes through a provider's own session nobody could be shown. In one that is held here each answer is a request like any other.
    let key = routing.grant.principal().display();
    if sessions && intercept::is_of_interest(app, key, named(&head, &routing)) {
        if !chats || asked.transcribes {
            return Err(unseen());
        }
        sessions = false;
    }
    // What is heard is written down by those who hear.
    let bridges = chats && !asked.transcribes;
    if !sessions && !bridges {
        return Err(unoffered(asked.transcribes));
    }
    let (allowance, told) = match call.allowance(dialect, &principal, 0) {
        Ok(allowed) => allowed,
        Err(reply) => return Ok(*reply),
    };
    let mut keeper = Keeper::new(
        Rc::clone(&upgrades.desk),
        (principal, &parts.headers),
        Arc::clone(routing.grant.model()),
        pass.as_ref().map(|pass| Rc::from(pass.models.clone())),
    );
    let opening = pass.map(|pass| pass.session);
    if !sessions {
        drop(allowance);
        return Ok(bridge(
            call,
            upgrades,
            (keeper, opening),
            (accept, &asked, parts),
        ));
    }
    // Each answer takes anew; of a session that is held here, by itself.
    let holder = keeper.principal().clone();
    let allowance = lease::hold(app, &holder, 0, allowance).await?;
    let spare = bridges.then(|| (keeper.clone(), opening.clone()));
    keeper.unseen = true;
    let most = app.max_body_bytes.min(MESSAGE_BYTES);
    let mut talk = Talk::new(Box::new(keeper), most);
    talk.older = asked.older;
    talk.transcribes = asked.transcribes;
    talk.opening = opening;
    let talk = Rc::new(talk);
    let job = job(call, (head, routing), allowance, (&talk, &parts.headers));
    let (reply, exchange) = begin(call, job, &holder).await?;
    let Some(exchange) = exchange else {
        // The providers that hold sessions have none to give; those that chat may answer.
        return Ok(match spare {
            Some(spare) if reply.status().is_server_error() => {
                bridge(call, upgrades, spare, (accept, &asked, parts))
            }
            _ => reply,
        });
    };
    let mut reply = switching(reply, accept, &asked);
    if let Some(figures) = told {
        allowance::tell(reply.headers_mut(), dialect, &figures, unix_now());
    }
    upgrades.open(Opened::Session(Box::new(Session { exchange, talk })));
    Ok(reply)
}

fn job(
    call: &Call,
    (head, routing): (Head, Routing),
    allowance: Option<Allowance>,
    (talk, headers): (&Rc<Talk>, &HeaderMap),
) -> Job {
    let id = call.worker.ids.fresh(call.created.saturating_mul(1000));
    Job {
        body: Bytes::from_static(NOTHING),
        more: routing.more,
        preferences: routing.preferences,
        allowance,
        realtime: Some(Rc::clone(talk)),
        ..call.bare_job(
            (Operation::Realtime, Dialect::ChatCompletions, head),
            (id, routing.grant.principal()),
            routing.resolved,
            headers,
        )
    }
}

/// Who was proven, and by what.
pub struct Proven {
    /// Who.
    pub principal: Principal,
    /// What was shown in place of a key.
    pass: Option<Pass>,
}

/// Proves who asks: by a pass, or by a key in any place where one may stand.
///
/// # Errors
/// Nobody is proven.
pub async fn proven(call: &Call, headers: &HeaderMap) -> Result<Proven, Failure> {
    let app = &call.worker.app;
    if let Some(token) = asked::pass(headers) {
        let opened = app.passes.open(&app.authenticator, token, call.created);
        let pass = opened.map_err(|error| reply::unauthorised(&error))?;
        return Ok(Proven {
            principal: pass.principal.clone(),
            pass: Some(pass),
        });
    }
    let principal = authenticate::session(&call.worker, headers).await;
    Ok(Proven {
        principal: principal.map_err(|error| reply::unauthorised(&error))?,
        pass: None,
    })
}

/// Whether some target holds sessions itself, and whether some target chats and does not.
fn offered(app: &App, routing: &Routing) -> (bool, bool) {
    let all = std::iter::once(&routing.resolved).chain(&routing.more);
    let mut offered = (false, false);
    for candidate in all.flat_map(|resolved| &resolved.chain) {
        let Some(upstream) = app.shared.upstreams.get(candidate.provider) else {
            continue;
        };
        let holds = upstream.realtime(&candidate.model).is_some();
        let chats = upstream
            .chat(Dialect::Responses, &candidate.model)
            .is_some();
        offered.0 |= holds;
        offered.1 |= chats && !holds;
    }
    offered
}

/// Leaves only targets that hold no sessions: they are who answers in one that is held here.
pub fn only_chats(app: &App, routing: &mut Routing) {
    let all = std::iter::once(&mut routing.resolved).chain(&mut routing.more);
    for resolved in all {
        resolved.chain.retain(|candidate| {
            let upstream = app.shared.upstreams.get(candidate.provider);
            upstream.is_none_or(|upstream| upstream.realtime(&candidate.model).is_none())
        });
    }
}

/// The models that a session may be held with.
fn named<'a>(head: &'a Head, routing: &'a Routing) -> impl Iterator<Item = &'a str> {
    let more = routing.preferences.iter().flat_map(|p| &p.models);
    std::iter::once(&head.model).chain(more).map(String::as_str)
}

/// Somebody is to be asked about what the session would say, and cannot be.
fn unseen() -> Failure {
    let why = "requests of this key for this model are looked at before they go on, which a session of a provider's own does not allow";
    let mut failure = Failure::new(Origin::Consumer, FailureKind::Permission, why);
    failure.code = Some("session_not_allowed".to_owned());
    failure
}

fn unoffered(transcribes: bool) -> Failure {
    let why = match transcribes {
        true => "no target of this model writes down what it hears in a session",
        false => "no target of this model offers realtime sessions or chat",
    };
    Failure::new(Origin::Consumer, FailureKind::Unsupported, why)
}

/// Holds the session here.
fn bridge(
    call: &Call,
    upgrades: &Upgrades,
    (keeper, opening): (Keeper, Option<String>),
    (accept, asked, parts): (HeaderValue, &Asked, &Parts),
) -> Reply {
    let id = call.worker.ids.fresh(call.created.saturating_mul(1000));
    let headers = parts.headers.clone();
    let shared = &call.worker.app.shared;
    let route = shared.routes.resolve(&keeper.model);
    let settings = shared.settings(route.and_then(|resolved| resolved.route));
    let beside = settings.parts.as_deref().cloned().unwrap_or_default();
    let bridged = Bridged::new(keeper, (headers, opening), (&*id, asked.older), beside);
    upgrades.open(Opened::Bridged(Box::new(bridged)));
    switching(Reply::new(ReplyBody::Whole(None)), accept, asked)
}

/// Waits until a provider's session has begun. What comes with it goes on; without it the reply says why.
async fn begin(
    call: &Call,
    job: Job,
    holder: &Principal,
) -> Result<(Reply, Option<Exchange>), Failure> {
    let mut exchange = Exchange::start(Rc::clone(&call.worker.node), job);
    if call.explains(holder) {
        exchange.explain();
    }
    let Some(head) = poll_fn(|cx| exchange.poll_head(cx)).await else {
        let why = "the exchange ended without a reply";
        return Err(Failure::gateway(FailureKind::Internal, why));
    };
    let mut reply = Reply::new(ReplyBody::Whole(head.whole));
    *reply.status_mut() = head.status;
    *reply.headers_mut() = head.headers;
    let switches = head.status == StatusCode::SWITCHING_PROTOCOLS;
    Ok((reply, switches.then_some(exchange)))
}

fn switching(mut reply: Reply, accept: HeaderValue, asked: &Asked) -> Reply {
    socket::switch(&mut reply, accept);
    if asked.names_protocol {
        let name = HeaderValue::from_static(PROTOCOL);
        let headers = reply.headers_mut();
        headers.insert(http::header::SEC_WEBSOCKET_PROTOCOL, name);
    }
    reply
}

/// Runs a session on its consumer's connection.
pub async fn run<S: Duplex + 'static>(
    desk: Rc<Desk>,
    mut orders: watch::Receiver<Order>,
    session: Box<Session>,
    stream: S,
    begun: Bytes,
) {
    let Session { mut exchange, talk } = *session;
    let bounds = Bounds {
        message_bytes: desk.worker().app.max_body_bytes.min(MESSAGE_BYTES),
        ping: PING,
        unheard: UNHEARD,
    };
    let stream: Box<dyn Duplex> = Box::new(stream);
    talk.seat(WebSocket::new(stream, &begun, Role::Server, bounds).await);
    let mut ended = false;
    while !ended {
        let running = poll_fn(|cx| match exchange.poll_chunk(cx) {
            Poll::Pending => Poll::Pending,
            // What a session says goes over its own socket.
            Poll::Ready(chunk) => Poll::Ready(chunk.is_none_or(|chunk| chunk.is_err())),
        });
        tokio::select! {
            biased;
            done = running => ended = done,
            // It looks at the node's state when it is polled.
            changed = orders.changed() => ended = changed.is_err(),
        }
    }
}
