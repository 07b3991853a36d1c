//! One target: render, send, read the head, hand the answer on.

mod account;
mod effort;
mod prepared;

pub(crate) use account::Attempt;
use prepared::{Prepared, prepare};
pub(crate) use prepared::{Said, accepted, heeded, say};

use crate::drive::Run;
use crate::failure;
use crate::health;
use crate::job::Operation;
use crate::kept::{self, Told};
use crate::pump::Pump;
use crate::upload::{self, Upload};
use crate::upstream::{Upstream, UpstreamStreaming};
use crate::{
    audio, batch, count, draw, embed, minting, moderate, realtime, rerank, stream, waits, whole,
};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use llmleaf_dialects::{ChatWire, Target};
use llmleaf_model::{Event, Failure, FailureKind, Origin, Retry};
use llmleaf_providers::echo::Step;
use llmleaf_providers::{Chat, Path};
use llmleaf_route::{Attempt as Held, Candidate, Clock, Clocks, Watch};
use llmleaf_transport::{Body, Feed, Headers, Response};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// Most bytes read of an error reply.
const ERROR_BYTES: usize = 1024 * 1024;

/// Tries one target. `Err` leaves the consumer untouched: nothing of this attempt reached it.
pub(crate) async fn run(run: &mut Run, held: Held) -> Result<(), Failure> {
    let shared = Arc::clone(&run.node.shared);
    let Some(stop) = run.chain.get(held.member).cloned() else {
        return Err(internal("the walk names no target"));
    };
    run.route = stop.route;
    let candidate = &stop.candidate;
    run.current = Some(candidate.clone());
    let Some(upstream) = shared.upstreams.get(candidate.provider) else {
        return Err(internal("the route names no provider"));
    };
    run.common.ending.through(held.number, stop.route);
    let mut attempt = Attempt::begin(run, candidate, upstream, held);
    run.losses.clear();
    run.out.begin_anew();
    let result = made(run, &mut attempt, candidate, upstream).await;
    // After content it ends where that happens, whichever way.
    result.map_err(|mut failure| {
        upstream.scrub(&mut failure);
        if let Some(owner) = &run.job.owner {
            owner.hide(&mut failure);
        }
        if let Some(upload) = &run.job.upload
            && !upload.can_begin_again()
        {
            // What it took is not held: nobody else can be given it.
            failure.retry = Retry::Never;
        }
        failure.possibly_billed |= attempt.worked(&failure);
        attempt.failed(&failure, &run.losses);
        let mut walk = run.common.walk.borrow_mut();
        if let Some((held, walk)) = attempt.take().zip(walk.as_mut()) {
            let (provider, target) = (Arc::clone(held.provider()), Arc::clone(held.target()));
            let changes = walk.failed(held, &failure, shared.now());
            health::log_of(&shared.ledger, provider.name(), target.model(), changes);
        }
        failure
    })
}

/// Does what is asked at the target.
async fn made(
    run: &mut Run,
    attempt: &mut Attempt,
    candidate: &Candidate,
    upstream: &Upstream,
) -> Result<(), Failure> {
    match upstream.chat(run.job.heard, &candidate.model) {
        _ if let Operation::Batch(verb) = run.job.operation => {
            Box::pin(batch::run(run, attempt, candidate, upstream, verb)).await
        }
        _ if let Operation::Embed(form) = run.job.operation => {
            Box::pin(embed::run(run, attempt, candidate, upstream, form)).await
        }
        _ if let Operation::Rerank(form) = run.job.operation => {
            Box::pin(rerank::run(run, attempt, candidate, upstream, form)).await
        }
        _ if let Operation::Draw(form) = run.job.operation => {
            Box::pin(draw::run(run, attempt, candidate, upstream, form)).await
        }
        _ if let Operation::Moderate(form) = run.job.operation => {
            Box::pin(moderate::run(run, attempt, candidate, upstream, form)).await
        }
        _ if run.job.operation == Operation::Realtime => {
            Box::pin(realtime::run(run, attempt, candidate, upstream)).await
        }
        _ if let Operation::Audio(audio) = run.job.operation => {
            Box::pin(audio::run(run, attempt, candidate, upstream, audio)).await
        }
        Some(_) if let Operation::Kept(verb) = run.job.operation => {
            Box::pin(kept::run(run, attempt, candidate, upstream, verb)).await
        }
        Some(_) if run.job.operation == Operation::CountTokens => {
            Box::pin(count::run(run, attempt, candidate, upstream)).await
        }
        Some(Chat::Wire(wire, path)) => match idle(run, wire) {
            Some(events) => Box::pin(played(run, attempt, at_once(events))).await,
            None => http(run, attempt, candidate, upstream, (wire, *path)).await,
        },
        Some(Chat::Echo) => Box::pin(echo(run, attempt)).await,
        None => {
            let mut failure =
                Failure::upstream(FailureKind::Unsupported, "the target does not offer chat");
            failure.origin = Origin::Gateway;
            failure.retry = Retry::NextTarget;
            Err(failure)
        }
    }
}

fn internal(why: &str) -> Failure {
    Failure::gateway(FailureKind::Internal, why)
}

async fn http(
    run: &mut Run,
    attempt: &mut Attempt,
    candidate: &Candidate,
    upstream: &Upstream,
    (wire, path): (&'static ChatWire, Path),
) -> Result<(), Failure> {
    let stream = match upstream.streaming {
        UpstreamStreaming::WhenRequested => run.job.head.stream,
        UpstreamStreaming::Always => true,
        UpstreamStreaming::Never => false,
    };
    let target = Target {
        model: upstream.named(&candidate.model),
        stream,
    };
    let Prepared {
        rendered,
        same,
        own,
    } = prepare(run, wire, candidate, target)?;
    let path = upstream.path(path, &candidate.model, stream);
    let usage_added = rendered.usage_added;
    let names = run.job.names.as_ref().filter(|_| wire.keeps());
    let told = names.map(|names| names.at(candidate.provider, attempt.credential()));
    let going = Outgoing {
        method: Method::POST,
        wire,
        path: &path,
        body: rendered.body,
        stream,
        same: own,
        kind: None,
    };
    let Incoming {
        watch,
        headers,
        body,
    } = Box::pin(send(run, attempt, candidate, upstream, going)).await?;
    let answer = Answer {
        wire,
        same: same && run.job.heard == run.job.dialect && wire.answers_in_kind(),
        // Who asks what it costs wants to see the report.
        usage_added: usage_added && !run.asks_cost(),
        told,
    };
    let cut = match is_event_stream(&headers) {
        true => Some(Cut::Events),
        false if !stream => None,
        // A service that was asked for events and sends JSON may send its chunks as one array.
        false if wire.streams_arrays() => Some(Cut::Array),
        false if wire.dialect().streams_lines() && !is_json(&headers) => Some(Cut::Lines),
        false => None,
    };
    if let Some(cut) = cut {
        // Boxed, as what follows is: an exchange that needs less is to be small.
        Box::pin(stream::http(run, attempt, watch, (answer, cut), body)).await
    } else {
        whole::http(run, attempt, watch, answer, body).await
    }
}

/// A request as it goes out.
pub(crate) struct Outgoing<'a> {
    pub method: Method,
    pub wire: &'static ChatWire,
    /// Path and query.
    pub path: &'a str,
    pub body: Bytes,
    /// A stream is asked for.
    pub stream: bool,
    /// The consumer speaks the same dialect.
    pub same: bool,
    /// What the body is, where it is no JSON.
    pub kind: Option<HeaderValue>,
}

/// How a request differs from those of chats.
#[derive(Default)]
pub(crate) struct Manner<'a> {
    /// What is asked for in `accept`.
    pub accept: Option<&'static str>,
    /// Where the body comes from while it is sent, in place of [`Outgoing::body`].
    pub fed: Option<(&'a Upload, &'a Feeds)>,
}

/// Begins a body from its beginning; `None` where that is gone.
pub(crate) type Feeds = dyn Fn() -> Option<Box<dyn Feed>>;

/// What is asked for in `accept`.
fn accept(wire: &ChatWire, stream: bool) -> &'static str {
    match stream {
        true if wire.dialect().streams_lines() => "application/x-ndjson",
        true => "text/event-stream",
        false => "application/json",
    }
}

/// An accepted request: a good status came.
pub(crate) struct Incoming {
    pub watch: Watch,
    pub headers: Headers,
    pub body: Body,
}

/// Sends a request and waits for a good status. Any other is read whole and told as a failure.
pub(crate) async fn send(
    run: &mut Run,
    attempt: &mut Attempt,
    candidate: &Candidate,
    upstream: &Upstream,
    going: Outgoing<'_>,
) -> Result<Incoming, Failure> {
    send_as(run, attempt, candidate, upstream, going, Manner::default()).await
}

/// The same for a request that is no chat's.
pub(crate) async fn send_as(
    run: &mut Run,
    attempt: &mut Attempt,
    candidate: &Candidate,
    upstream: &Upstream,
    going: Outgoing<'_>,
    manner: Manner<'_>,
) -> Result<Incoming, Failure> {
    run.out.kept(&run.node.begins).await;
    let clocks = clocks(run, candidate);
    let mut watch = watch(run, clocks);
    let minter = upstream.minter(attempt.credential());
    let mints = upstream.mint_pool;
    let mut token = match minter {
        Some(minter) => Some(Box::pin(minting::token(run, minter, mints, &watch)).await?),
        None => None,
    };
    let mut again = false;
    let response = loop {
        let shown = token.as_ref().map(|token| token.value.clone());
        let going = (&going, &manner);
        let response = once(run, attempt, upstream, going, shown, &mut watch).await?;
        // A token may have been revoked, or run out by another clock than ours: once, another one is asked for.
        if let (401, false, Some(minter), Some(old)) =
            (response.status.as_u16(), again, minter, &token)
            // The answer stands where what was sent cannot be sent once more.
            && manner.fed.is_none_or(|(upload, _)| upload.can_begin_again())
            && let Some(new) = Box::pin(minting::another(run, minter, old, mints, &watch)).await
        {
            token = Some(new?);
            again = true;
            continue;
        }
        break response;
    };
    watch.headers(run.node.shared.now());
    attempt.status(response.status.as_u16());
    attempt.connected(response.connected());
    if !response.status.is_success() {
        return Err(Box::pin(refused(run, &watch, going.wire, response)).await);
    }
    Ok(Incoming {
        watch,
        headers: response.headers,
        body: response.body,
    })
}

/// Sends a request, with the token if the credential is minted, and waits for any status.
async fn once(
    run: &mut Run,
    attempt: &mut Attempt,
    upstream: &Upstream,
    (going, manner): (&Outgoing<'_>, &Manner<'_>),
    token: Option<HeaderValue>,
    watch: &mut Watch,
) -> Result<Response, Failure> {
    let (Some(origin), Some(pool)) = (upstream.origin(), run.node.pools.get(upstream.pool)) else {
        return Err(Failure::gateway(
            FailureKind::Internal,
            "the provider has no address",
        ));
    };
    let connect = watch.limit(Clock::Connect);
    let usual = || accept(going.wire, going.stream);
    let accept = manner.accept.unwrap_or_else(usual);
    let (credential, headers) = (attempt.credential(), &run.job.headers);
    let trace = run.job.trace.as_ref().filter(|_| upstream.traces);
    let known = match (&token, &going.kind, &going.method) {
        (None, None, &Method::POST) if trace.is_none() => {
            upstream.preamble(credential, going.path, accept, going.same, headers)
        }
        _ => None,
    };
    let mut call = pin!(match (known, manner.fed) {
        (Some(preamble), None) => pool.post(origin, preamble, going.body.clone(), connect),
        (_, fed) => {
            let method = going.method.clone();
            let mut request = upstream
                .request(
                    (credential, token),
                    method,
                    going.path,
                    accept,
                    going.same,
                    headers,
                )
                .map_err(|_| {
                    Failure::invalid("the model's name cannot be part of a URL", Some("model"))
                })?;
            if let Some(trace) = trace {
                trace.tell(attempt.number(), request.headers_mut());
            }
            if let Some(kind) = &going.kind {
                request.headers_mut().insert(CONTENT_TYPE, kind.clone());
            }
            if let Some((upload, feeds)) = fed {
                let feed = feeds().ok_or_else(upload::gone)?;
                let call = pin!(pool.upload(origin, request, feed, connect));
                attempt.sending();
                return upload::sent(run, watch, upload, call).await;
            }
            pool.call(origin, request.map(|()| going.body.clone()), connect)
        }
    });
    attempt.sending();
    match run.wait(watch, call.as_mut()).await {
        Err(clock) => Err(failure::timeout(clock, watch)),
        Ok(Err(error)) => Err(failure::transport(&error, false)),
        Ok(Ok(response)) => Ok(response),
    }
}

/// What is to be known about an answer beside its bytes.
pub(crate) struct Answer {
    pub wire: &'static ChatWire,
    /// The consumer reads the same dialect.
    pub same: bool,
    /// A usage report was asked for on our own account.
    pub usage_added: bool,
    /// The answer is kept, and told under another name.
    pub told: Option<Told>,
}

/// How a stream is cut into its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Events.
    Events,
    /// One JSON array of what would be events.
    Array,
    /// Lines of JSON.
    Lines,
}

/// The clocks of an attempt that begins. What is left of the exchange's time is all that it has.
pub(crate) fn watch(run: &Run, clocks: Clocks) -> Watch {
    let mut watch = Watch::new(clocks, run.node.shared.now());
    if let Some(walk) = run.common.walk.borrow().as_ref() {
        watch.content_by(walk.deadline());
    }
    watch
}

pub(crate) fn clocks(run: &Run, candidate: &Candidate) -> Clocks {
    let settings = run.node.shared.settings(run.route);
    settings
        .clocks
        .get(candidate.provider)
        .copied()
        .unwrap_or(FALLBACK_CLOCKS)
}

/// Only for a snapshot without clocks, which the server never builds.
const FALLBACK_CLOCKS: Clocks = Clocks {
    connect: Duration::from_secs(3),
    headers: Duration::from_secs(60),
    first_content: Duration::from_secs(60),
    idle: Duration::from_secs(300),
    total: Duration::from_secs(3600),
};

pub(crate) async fn refused(
    run: &mut Run,
    watch: &Watch,
    wire: &ChatWire,
    response: Response,
) -> Failure {
    let status = response.status.as_u16();
    let body = match run
        .wait(watch, pin!(response.body.collect(ERROR_BYTES)))
        .await
    {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => {
            tracing::debug!(%error, "an error reply was cut");
            Bytes::new()
        }
        Err(clock) => return failure::timeout(clock, watch),
    };
    if response.status.is_redirection() {
        let mut failure = Failure::upstream(
            FailureKind::InvalidResponse,
            "the upstream redirects; its address is configured wrongly",
        );
        failure.status = Some(status);
        return failure;
    }
    let headers = &response.headers;
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned)
    };
    let mut failure = wire.parse_error(status, &header, &body);
    if failure.origin == Origin::Upstream && failure.retry_after.is_none() {
        failure.retry_after = waits::stated(headers, failure.kind, run.unix_now());
    }
    failure
}

pub(crate) fn is_event_stream(headers: &Headers) -> bool {
    is_of(headers, "text/event-stream")
}

/// Whether one JSON value comes: a service that streams lines answers so where there is nothing to stream.
pub(crate) fn is_json(headers: &Headers) -> bool {
    is_of(headers, "application/json")
}

fn is_of(headers: &Headers, kind: &str) -> bool {
    let found = headers.first(CONTENT_TYPE.as_str()).unwrap_or_default();
    found
        .get(..kind.len())
        .is_some_and(|found| found.eq_ignore_ascii_case(kind.as_bytes()))
}

/// The answer of the provider that needs no service.
async fn echo(run: &mut Run, attempt: &mut Attempt) -> Result<(), Failure> {
    let request = run.canonical()?;
    llmleaf_dialects::needs_no_keeper(&request)?;
    let steps = llmleaf_providers::echo::answer(&request);
    played(run, attempt, steps).await
}

/// The answer to a request that asks nothing, where the target speaks another wire and could not take it.
fn idle(run: &mut Run, wire: &ChatWire) -> Option<Vec<Event>> {
    let dialect = run.job.dialect;
    if wire.dialect() == dialect || !dialect.has_idle_requests() {
        return None;
    }
    dialect.idle_answer(&*run.canonical().ok()?)
}

fn at_once(events: Vec<Event>) -> Vec<Step> {
    let delay = Duration::ZERO;
    let steps = events.into_iter();
    steps.map(|event| Step { delay, event }).collect()
}

/// An answer that is made here.
async fn played(run: &mut Run, attempt: &mut Attempt, steps: Vec<Step>) -> Result<(), Failure> {
    let candidate = run.current.clone();
    let clocks = candidate.map_or(FALLBACK_CLOCKS, |c| clocks(run, &c));
    let mut watch = watch(run, clocks);
    watch.headers(run.node.shared.now());
    let mode = stream::mode_across(run);
    stream::script(
        run,
        attempt,
        watch,
        Pump::new(Box::new(NoFrames), mode),
        steps,
    )
    .await
}

/// A decoder for answers that come as events.
pub(crate) struct NoFrames;

impl llmleaf_dialects::Decoder for NoFrames {
    fn push(&mut self, _: &llmleaf_dialects::Frame, _: &mut Vec<llmleaf_model::Event>) {}
    fn finish(&mut self, _: &mut Vec<llmleaf_model::Event>) {}
}
