//! One target: render, send, read the head, hand the answer on.

use crate::drive::Run;
use crate::failure;
use crate::job::Operation;
use crate::ledger::{Grade, Outcome, UsageRecord};
use crate::node::{LossPolicy, Shared};
use crate::pump::{Meter, Pump};
use crate::upstream::{Upstream, UpstreamStreaming};
use crate::{count, settlement, stream, whole};
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use llmleaf_dialects::{ChatWire, Dialect, Rendered, Target};
use llmleaf_model::{Failure, FailureKind, Loss, LossKind, Origin, Retry};
use llmleaf_providers::{Chat, Path};
use llmleaf_route::{Candidate, Clocks, Millis, Watch};
use llmleaf_transport::{Body, Response};
use std::pin::pin;
use std::sync::Arc;

/// Most losses that a record names.
const LOSSES: usize = 32;

/// Most bytes read of an error reply.
const ERROR_BYTES: usize = 1024 * 1024;

/// The attempt's record; written when the attempt ends, also when the consumer goes away and all of this is dropped.
pub(crate) struct Attempt {
    shared: Arc<Shared>,
    record: Option<UsageRecord>,
    began: Millis,
    /// The consumer's request, for an estimate of its tokens where nobody counts them.
    body: Bytes,
    dialect: Dialect,
    /// What was seen of the answer; kept here so that a dropped attempt still counts.
    pub meter: Meter,
    /// A request went out.
    pub sent: bool,
    /// The consumer got the whole answer.
    completed: bool,
}

impl Attempt {
    fn begin(run: &Run, candidate: &Candidate, upstream: &Upstream) -> Self {
        let shared = Arc::clone(&run.node.shared);
        let record = UsageRecord {
            id: format!("{}-{}", run.job.id, run.attempts),
            request_id: Arc::clone(&run.job.request_id),
            attempt: run.attempts,
            key: Arc::clone(&run.job.key),
            dialect: run.job.dialect.name().as_str(),
            model: run.job.head.model.as_str().into(),
            provider: Arc::clone(&upstream.name),
            upstream_model: Arc::clone(&candidate.model),
            stream: run.job.head.stream,
            outcome: Outcome::Cancelled,
            failure: None,
            status: None,
            grade: Grade::None,
            usage: llmleaf_model::Usage::default(),
            possibly_billed: false,
            losses: Vec::new(),
            first_content_ms: None,
            total_ms: 0,
        };
        let began = shared.now();
        Self {
            shared,
            record: Some(record),
            began,
            body: run.job.body.clone(),
            dialect: run.job.dialect,
            meter: Meter::default(),
            sent: false,
            completed: false,
        }
    }

    /// The upstream's status came.
    pub fn status(&mut self, status: u16) {
        if let Some(record) = &mut self.record {
            record.status = Some(status);
        }
    }

    /// The first content came.
    pub fn first_content(&mut self, now: Millis) {
        if let Some(record) = &mut self.record {
            record
                .first_content_ms
                .get_or_insert(now.0.saturating_sub(self.began.0));
        }
    }

    /// The attempt ended, and how.
    pub fn end(&mut self, outcome: Outcome, failure: Option<&Failure>, losses: &[Loss]) {
        let Some(mut record) = self.record.take() else {
            return;
        };
        self.completed = outcome == Outcome::Completed;
        record.outcome = outcome;
        record.failure = failure.map(failure::slug);
        record.losses = losses
            .iter()
            .take(LOSSES)
            .map(ToString::to_string)
            .collect();
        self.write(record, failure.is_some_and(|f| f.possibly_billed));
    }

    fn write(&self, mut record: UsageRecord, possibly_billed: bool) {
        let input = || count::of_body(self.dialect, &self.body);
        (record.usage, record.grade) = settlement::settle(&self.meter, record.outcome, input);
        record.possibly_billed = possibly_billed || (self.sent && record.outcome.is_open());
        record.total_ms = self.shared.now().0.saturating_sub(self.began.0);
        self.shared.ledger.record(record);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(mut record) = self.record.take() {
            if std::thread::panicking() {
                record.outcome = Outcome::ProxyError;
                record.failure = Some(FailureKind::Internal.as_str());
            }
            self.write(record, false);
        }
    }
}

/// A request ready to go out.
struct Prepared {
    rendered: Rendered,
    /// The consumer's bytes go through.
    same: bool,
}

/// Tries one target. `Err` leaves the consumer untouched: nothing of this attempt reached it.
pub(crate) async fn run(run: &mut Run, candidate: &Candidate) -> Result<(), Failure> {
    let shared = Arc::clone(&run.node.shared);
    let Some(upstream) = shared.upstreams.get(candidate.provider) else {
        return Err(Failure::gateway(
            FailureKind::Internal,
            "the route names no provider",
        ));
    };
    let mut attempt = Attempt::begin(run, candidate, upstream);
    run.losses.clear();
    let result = match upstream.chat(run.job.dialect) {
        Some(_) if run.job.operation == Operation::CountTokens => {
            Box::pin(count::run(run, &mut attempt, candidate, upstream)).await
        }
        Some(Chat::Wire(wire, path)) => {
            http(run, &mut attempt, candidate, upstream, (wire, *path)).await
        }
        Some(Chat::Echo) => Box::pin(echo(run, &mut attempt)).await,
        None => {
            let mut failure =
                Failure::upstream(FailureKind::Unsupported, "the target does not offer chat");
            failure.origin = Origin::Gateway;
            failure.retry = Retry::NextTarget;
            Err(failure)
        }
    };
    let result = result.map_err(|mut failure| {
        upstream.scrub(&mut failure);
        failure
    });
    match &result {
        Ok(()) if attempt.completed => {
            if let Some(health) = shared.health(candidate) {
                health.success();
            }
        }
        // It broke after content: the consumer and the target's health were told where it happened.
        Ok(()) => {}
        Err(failure) => attempt.end(Outcome::Failed, Some(failure), &run.losses),
    }
    result
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
    let Prepared { rendered, same } = prepare(run, wire, candidate, stream)?;
    let path = upstream.path(path, &candidate.model, stream);
    let usage_added = rendered.usage_added;
    let going = Outgoing {
        wire,
        path: &path,
        body: rendered.body,
        stream,
        same,
    };
    let Incoming {
        watch,
        clocks,
        headers,
        body,
    } = send(run, attempt, candidate, upstream, going).await?;
    let events = is_event_stream(&headers);
    let answer = Answer {
        wire,
        same,
        usage_added,
        clocks,
        // A service that was asked for events and sends JSON may send its chunks as one array.
        in_array: stream && !events && wire.streams_arrays(),
    };
    if events || answer.in_array {
        stream::http(run, attempt, watch, answer, body).await
    } else {
        whole::http(run, attempt, watch, answer, body).await
    }
}

/// A request as it goes out.
pub(crate) struct Outgoing<'a> {
    pub wire: &'static ChatWire,
    /// Path and query.
    pub path: &'a str,
    pub body: Bytes,
    /// A stream is asked for.
    pub stream: bool,
    /// The consumer speaks the same dialect.
    pub same: bool,
}

/// An accepted request: a good status came.
pub(crate) struct Incoming {
    pub watch: Watch,
    pub clocks: Clocks,
    pub headers: HeaderMap,
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
    let request = upstream
        .request(going.path, going.stream, going.same, &run.job.headers)
        .map_err(|_| Failure::invalid("the model's name cannot be part of a URL", Some("model")))?
        .map(|()| going.body);
    let (Some(origin), Some(pool)) = (upstream.origin(), run.node.pools.get(upstream.pool)) else {
        return Err(Failure::gateway(
            FailureKind::Internal,
            "the provider has no address",
        ));
    };
    let clocks = clocks(run, candidate);
    let mut watch = Watch::new(clocks, run.node.shared.now());
    let mut call = pin!(pool.call(origin, request, clocks.connect));
    attempt.sent = true;
    let response = match run.wait(&watch, call.as_mut()).await {
        Err(clock) => return Err(failure::timeout(clock, &clocks)),
        Ok(Err(error)) => return Err(failure::transport(&error, false)),
        Ok(Ok(response)) => response,
    };
    watch.headers(run.node.shared.now());
    attempt.status(response.status.as_u16());
    if !response.status.is_success() {
        return Err(Box::pin(refused(run, &watch, &clocks, going.wire, response)).await);
    }
    Ok(Incoming {
        watch,
        clocks,
        headers: response.headers,
        body: response.body,
    })
}

/// What is to be known about an answer beside its bytes.
pub(crate) struct Answer {
    pub wire: &'static ChatWire,
    /// The consumer speaks the same dialect.
    pub same: bool,
    /// A usage report was asked for on our own account.
    pub usage_added: bool,
    pub clocks: Clocks,
    /// The stream is one JSON array of chunks.
    pub in_array: bool,
}

fn clocks(run: &Run, candidate: &Candidate) -> Clocks {
    let settings = run.node.shared.settings(run.job.resolved.route);
    settings
        .clocks
        .get(candidate.provider)
        .copied()
        .unwrap_or(FALLBACK_CLOCKS)
}

/// Only for a snapshot without clocks, which the server never builds.
const FALLBACK_CLOCKS: Clocks = Clocks {
    connect: std::time::Duration::from_secs(3),
    headers: std::time::Duration::from_secs(60),
    first_content: std::time::Duration::from_secs(60),
    idle: std::time::Duration::from_secs(300),
    total: std::time::Duration::from_secs(3600),
};

fn prepare(
    run: &mut Run,
    wire: &ChatWire,
    candidate: &Candidate,
    stream: bool,
) -> Result<Prepared, Failure> {
    let target = Target {
        model: &candidate.model,
        stream,
    };
    // What the service refuses in its own dialect is said in a way that it takes.
    let same = wire.dialect() == run.job.dialect && wire.takes(&run.job.head, &run.job.body);
    let rendered = if same {
        wire.edit_request(&run.job.head, &run.job.body, target)?
    } else {
        let request = run.canonical()?;
        wire.render_request(&request, target)?
    };
    run.losses.clone_from(&rendered.losses);
    // An approximation says what was asked in the target's own way: it is reported, and no reason to refuse.
    let lost = |loss: &&Loss| loss.kind != LossKind::Approximated;
    let lost: Vec<&Loss> = rendered.losses.iter().filter(lost).collect();
    let policy = run.node.shared.settings(run.job.resolved.route).loss_policy;
    let Some(first) = lost.first().filter(|_| policy != LossPolicy::Report) else {
        return Ok(Prepared { rendered, same });
    };
    let list: Vec<String> = lost.iter().map(ToString::to_string).collect();
    let message = format!("the target cannot express the request: {}", list.join("; "));
    let mut failure = Failure::invalid(message, Some(&first.field));
    if policy == LossPolicy::Reroute {
        failure.kind = FailureKind::Unsupported;
        failure.retry = Retry::NextTarget;
    }
    Err(failure)
}

async fn refused(
    run: &mut Run,
    watch: &Watch,
    clocks: &Clocks,
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
        Err(clock) => return failure::timeout(clock, clocks),
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
    wire.parse_error(status, &header, &body)
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    kind.trim_start()
        .get(..17)
        .is_some_and(|k| k.eq_ignore_ascii_case("text/event-stream"))
}

/// The answer of the provider that needs no service.
async fn echo(run: &mut Run, attempt: &mut Attempt) -> Result<(), Failure> {
    let request = run.canonical()?;
    let steps = llmleaf_providers::echo::answer(&request);
    let candidate = run.job.resolved.chain.first().cloned();
    let clocks = candidate.map_or(FALLBACK_CLOCKS, |c| clocks(run, &c));
    let mut watch = Watch::new(clocks, run.node.shared.now());
    watch.headers(run.node.shared.now());
    let mode = stream::mode_across(run);
    stream::script(
        run,
        attempt,
        watch,
        clocks,
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
