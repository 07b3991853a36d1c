//! Answers that providers keep: under which names they are told, and what can be asked about one afterwards.
//!
//! Only whoever made an answer knows it. A job that is about one, or goes on from one, is led to its owner by the server and
//! finds the provider's own name of it in [`Owner`]. What the provider then says of answers is told under the names that
//! [`Names`] gives them; who proves and reads those is no matter of this crate.

use crate::attempt::{self, Attempt, Incoming, Outgoing};
use crate::drive::Run;
use crate::failure;
use crate::inspect;
use crate::upstream::Upstream;
use crate::whole;
use bytes::Bytes;
use http::{Method, StatusCode};
use llmleaf_dialects::responses::kept as wire;
use llmleaf_dialects::{Dialect, Frame};
use llmleaf_framing::{SseFramer, SseLimits};
use llmleaf_model::{Failure, FailureKind, Origin, Retry};
use llmleaf_providers::Path;
use llmleaf_route::{Candidate, Watch};
use llmleaf_transport::Body;
use std::fmt;
use std::pin::pin;
use std::rc::Rc;

/// What is asked about a kept answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// What it is by now.
    Retrieve,
    /// To forget it.
    Delete,
    /// To stop making it.
    Cancel,
    /// What it answers.
    Inputs,
}

impl Verb {
    fn method(self) -> Method {
        match self {
            Self::Retrieve | Self::Inputs => Method::GET,
            Self::Delete => Method::DELETE,
            Self::Cancel => Method::POST,
        }
    }

    fn tail(self) -> &'static str {
        match self {
            Self::Retrieve | Self::Delete => "",
            Self::Cancel => "/cancel",
            Self::Inputs => "/input_items",
        }
    }
}

/// A kept answer, and who keeps it.
#[derive(Clone, Debug)]
pub struct Owner {
    /// Index of the provider.
    pub provider: usize,
    /// Index of the credential whose account has it, where it is known.
    pub credential: Option<usize>,
    /// The provider's name of it.
    pub id: String,
    /// The name that the consumer knows.
    pub told: String,
    /// What else is asked about it: a query, of known fields only.
    pub query: String,
}

impl Owner {
    /// Puts the consumer's name of it in place of the provider's in what the provider says.
    pub(crate) fn hide(&self, failure: &mut Failure) {
        if self.id == self.told {
            return;
        }
        failure.message = failure.message.replace(&self.id, &self.told);
        let body = failure.body.as_deref().map(std::str::from_utf8);
        if let Some(Ok(text)) = body
            && text.contains(&self.id)
        {
            failure.body = Some(text.replace(&self.id, &self.told).into());
        }
    }
}

/// Gives the answers of a provider's account their names: index of the provider, of the credential, and the name there.
type Naming = dyn Fn(usize, usize, &str) -> String;

/// The names under which a consumer is told of kept answers.
#[derive(Clone)]
pub struct Names(Rc<Naming>);

impl Names {
    /// By this rule.
    pub fn new(naming: impl Fn(usize, usize, &str) -> String + 'static) -> Self {
        Self(Rc::new(naming))
    }

    /// Those of one account.
    pub(crate) fn at(&self, provider: usize, credential: usize) -> Told {
        Told {
            names: self.clone(),
            provider,
            credential,
        }
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Names(…)")
    }
}

/// The names of the answers of one account.
#[derive(Debug)]
pub(crate) struct Told {
    names: Names,
    provider: usize,
    credential: usize,
}

impl Told {
    fn name(&self, id: &str) -> String {
        (self.names.0)(self.provider, self.credential, id)
    }

    /// An event, where something of it is told otherwise.
    pub fn event(&self, frame: &Frame) -> Option<Frame> {
        wire::in_event(frame, &|id| self.name(id))
    }

    /// A whole reply.
    pub fn body(&self, body: Bytes) -> Bytes {
        wire::in_body(&body, &|id| self.name(id)).unwrap_or(body)
    }
}

/// No provider here keeps such an answer.
pub fn unknown(told: &str) -> Failure {
    /// Characters of a name that a message repeats.
    const ECHOED: usize = 128;
    let shown: String = told
        .chars()
        .filter(|c| !c.is_control())
        .take(ECHOED)
        .collect();
    let message = format!("no response with the id \"{shown}\" is kept for this key");
    let mut failure = Failure::new(Origin::Consumer, FailureKind::NotFound, message);
    failure.param = Some("response_id".to_owned());
    failure.code = Some("response_not_found".to_owned());
    failure
}

/// Asks the owner.
pub(crate) async fn run(
    run: &mut Run,
    attempt: &mut Attempt,
    candidate: &Candidate,
    upstream: &Upstream,
    verb: Verb,
) -> Result<(), Failure> {
    let owner = run.job.owner.clone();
    let keeper = upstream
        .wire(Dialect::Responses, &candidate.model)
        .filter(|(wire, _)| wire.keeps());
    let (Some(owner), Some((wire, path))) = (owner, keeper) else {
        return Err(unknown(
            run.job.owner.as_ref().map_or("", |owner| &owner.told),
        ));
    };
    let path = address(upstream, path, &candidate.model, &owner, verb);
    let going = Outgoing {
        method: verb.method(),
        wire,
        path: &path,
        body: Bytes::new(),
        stream: run.job.head.stream,
        same: true,
        kind: None,
    };
    let sent = attempt::send(run, attempt, candidate, upstream, going).await;
    let Incoming {
        mut watch,
        headers,
        body,
    } = sent.map_err(of_consumer)?;
    let told = run.job.names.as_ref();
    let told = told.map(|names| names.at(owner.provider, attempt.credential()));
    if run.job.head.stream && attempt::is_event_stream(&headers) {
        return relay(run, attempt, watch, told, body).await;
    }
    let body = whole::gather(run, &mut watch, body).await?;
    let body = match told {
        Some(told) => told.body(body),
        None => body,
    };
    attempt.first_content(run.node.shared.now());
    attempt.complete(&run.losses);
    run.whole(StatusCode::OK, body);
    Ok(())
}

/// Where the answer is found at its provider, below the path that makes answers.
fn address(upstream: &Upstream, path: Path, model: &str, owner: &Owner, verb: Verb) -> String {
    let made = upstream.path(path, model, false);
    let (made, version) = made.split_once('?').unwrap_or((&made, ""));
    let queries = [version, &owner.query];
    let query: Vec<&str> = queries
        .into_iter()
        .filter(|query| !query.is_empty())
        .collect();
    let mark = if query.is_empty() { "" } else { "?" };
    let (id, tail) = (&owner.id, verb.tail());
    format!("{made}/{id}{tail}{mark}{}", query.join("&"))
}

/// What the owner refuses about its own answer is between it and the consumer; nobody else would know better.
fn of_consumer(mut failure: Failure) -> Failure {
    let refused = matches!(failure.status, Some(400 | 404 | 405 | 409 | 410 | 422));
    if refused {
        failure.origin = Origin::Consumer;
        failure.retry = Retry::Never;
    }
    failure
}

/// Hands on a stream that may begin anywhere, as it comes.
async fn relay(
    run: &mut Run,
    attempt: &mut Attempt,
    mut watch: Watch,
    told: Option<Told>,
    mut body: Body,
) -> Result<(), Failure> {
    let mut framer = SseFramer::new(SseLimits::default());
    let mut last: Option<Bytes> = None;
    let mut ended = false;
    let result = loop {
        let chunk = match run.wait(&watch, pin!(body.chunk())).await {
            // What its transport does after its end is no matter of the consumer's.
            _ if ended => break Ok(()),
            Err(alarm) => break Err(failure::timeout(alarm, &watch)),
            Ok(None) => break last_words(run, &mut framer, told.as_ref()),
            Ok(Some(Err(error))) => break Err(failure::transport(&error, true)),
            Ok(Some(Ok(chunk))) => chunk,
        };
        let now = run.node.shared.now();
        watch.bytes(now);
        framer.push(chunk);
        let mut broken = None;
        while let Some(frame) = framer.next() {
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) => {
                    broken = Some(failure::framing(&error));
                    break;
                }
            };
            let renamed = told.as_ref().and_then(|told| told.event(&frame));
            let frame = renamed.unwrap_or(frame);
            run.out.write(&frame.raw);
            ended |= wire::ends(&frame);
            if frame.has_data {
                last = Some(frame.data);
            }
        }
        broken = broken.or_else(|| inspect::bound(run).err());
        if last.is_some() {
            watch.content();
            run.content(attempt, now);
        }
        if run.out.pending() > 0 {
            run.stream_head();
            run.sent();
            run.out.taken().await;
        } else if run.out.kept_back() > 0 {
            run.stream_head();
        }
        if let Some(failure) = broken {
            break Err(failure);
        }
        if ended {
            break Ok(());
        }
    };
    finish(run, attempt, result, last.as_deref()).await
}

/// What was left when the bytes ended cleanly: some services leave out the blank line after their last event.
fn last_words(run: &mut Run, framer: &mut SseFramer, told: Option<&Told>) -> Result<(), Failure> {
    let tail = framer.finish().and_then(Result::ok);
    let frame = tail.and_then(|tail| tail.frame).filter(wire::ends);
    let frame = frame.ok_or_else(truncated)?;
    let renamed = told.and_then(|told| told.event(&frame));
    let raw = renamed.unwrap_or(frame).raw;
    run.stream_head();
    run.out.write(&raw);
    let rest: &[u8] = if raw.ends_with(b"\n\n") {
        b""
    } else if raw.ends_with(b"\n") {
        b"\n"
    } else {
        b"\n\n"
    };
    run.out.write(rest);
    Ok(())
}

fn truncated() -> Failure {
    let message = "the provider's stream ended before its end was told";
    Failure::upstream(FailureKind::Truncated, message)
}

/// Ends a stream of which the consumer has got `last`.
async fn finish(
    run: &mut Run,
    attempt: &mut Attempt,
    result: Result<(), Failure>,
    last: Option<&[u8]>,
) -> Result<(), Failure> {
    match result {
        Ok(()) => {
            run.out.close();
            attempt.complete(&[]);
            run.out.taken().await;
            Ok(())
        }
        Err(failure) if !run.out.head_sent() => Err(failure),
        Err(mut failure) => {
            run.scrub(&mut failure);
            attempt.broke(&failure, &[]);
            let public = crate::drive::public(&failure);
            let trail = last.map(|last| (last, last));
            let (dialect, id) = (run.job.dialect, &run.job.request_id);
            run.out.write(&dialect.render_break(&public, id, trail));
            run.abort().await;
            Ok(())
        }
    }
}
