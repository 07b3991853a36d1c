//! The walk along the chain: attempts until one is committed or nothing is left.

mod waits;

use crate::attempt::{self, Attempt};
use crate::chain::{self, Stop};
use crate::count;
use crate::ending::Ending;
use crate::explain;
use crate::failure;
use crate::inspect;
use crate::job::{Job, Operation};
use crate::ledger::UsageRecord;
use crate::losses;
use crate::node::Node;
use crate::outlet::{Outlet, ReplyHead};
use crate::panics;
use crate::pulse::{Pulse, Timer};
use crate::race;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use llmleaf_dialects::{Dialect, ReplyContext};
use llmleaf_model::{ChatRequest, Failure, FailureKind, Loss, Origin, Preferences, Response};
use llmleaf_prices::{Sheet, decimal};
use llmleaf_route::walk::Step;
use llmleaf_route::{Attempt as Held, Candidate, Millis, Resolved, Walk};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// Everything one exchange works with. Two attempts beside each other have one each, and [`Common`] in common.
pub(crate) struct Run {
    pub node: Rc<Node>,
    pub job: Rc<Job>,
    pub out: Outlet,
    pub common: Rc<Common>,
    /// The request parsed whole; made when a target first needs it.
    pub canonical: Option<Rc<ChatRequest>>,
    /// What the current attempt could not express.
    pub losses: Vec<Loss>,
    /// The targets that may be tried, as configured; the walk knows in which order.
    pub chain: Rc<Vec<Stop>>,
    /// The route of the current attempt.
    pub route: Option<usize>,
    /// The target of the current attempt.
    pub current: Option<Candidate>,
    /// Fields of the routing language that nobody heeds.
    pub unheeded: Vec<String>,
    began: Millis,
    /// The reply is an estimate of ours, and says so.
    pub estimated: bool,
    /// What a stream that is kept back comes to.
    pub answer: Option<Box<Response>>,
    timer: Timer,
}

/// What is one for the whole exchange.
pub(crate) struct Common {
    /// What is noted for its record. Whoever runs the exchange holds it too, and longer.
    pub ending: Rc<Ending>,
    /// The walk along its targets.
    pub walk: RefCell<Option<Walk>>,
    /// What the head of the stream said was lost.
    told: RefCell<Vec<Loss>>,
    pulse: RefCell<Option<Pulse>>,
    /// Whatever attempt is dropped now goes because another was faster.
    pub outrun: Cell<bool>,
}

/// Where a request may go, in the order of the models that it names, and what it asks of routing beside that.
pub(crate) type Wishes = (Vec<Resolved>, Option<Box<Preferences>>);

/// Runs an exchange to its end.
pub(crate) async fn run(
    node: Rc<Node>,
    job: Rc<Job>,
    (destinations, wishes): Wishes,
    out: Outlet,
    ending: Rc<Ending>,
) {
    let began = node.shared.now();
    let tuning = node.shared.tuning;
    let pulse = job
        .head
        .stream
        .then(|| Pulse::new(began, tuning.hold_headers, tuning.keepalive));
    let mut run = Run {
        node,
        job,
        out,
        common: Rc::new(Common {
            ending: Rc::clone(&ending),
            walk: RefCell::new(None),
            told: RefCell::default(),
            pulse: RefCell::new(pulse),
            outrun: Cell::new(false),
        }),
        canonical: None,
        losses: Vec::new(),
        chain: Rc::default(),
        route: None,
        current: None,
        unheeded: Vec::new(),
        began,
        estimated: false,
        answer: None,
        timer: Timer::default(),
    };
    if run.job.inspector.is_some() {
        run.out.keep_back();
    }
    let walked = walk(&mut run, destinations, wishes).await;
    let settled = match walked {
        Ok(()) if run.out.keeps_back() => Box::pin(inspect::settle(&mut run)).await,
        walked => walked,
    };
    match settled {
        Ok(()) => ending.done(),
        Err(failure) => {
            run.out.give_up();
            ending.failed(&failure);
            run.refuse(&failure).await;
        }
    }
}

async fn walk(
    run: &mut Run,
    destinations: Vec<Resolved>,
    wishes: Option<Box<Preferences>>,
) -> Result<(), Failure> {
    panics::inject("exchange", &run.job.request_id);
    let begun = chain::begin(run, destinations, wishes)?;
    run.common.walk.replace(Some(begun));
    let shared = Arc::clone(&run.node.shared);
    let mut last = None;
    while let Some(step) = run.common.step(shared.now()) {
        match step {
            Step::Try(held) => match tried(run, held).await {
                Ok(()) => return Ok(()),
                // Nobody is left to be served.
                Err(failure) if run.out.is_gone() => return Err(failure),
                Err(failure) => last = Some(failure),
            },
            Step::Wait(until) => run.pause(until).await?,
            // All targets are passed over, which keeps nobody from counting.
            Step::GiveUp(_) if last.is_none() && run.job.operation == Operation::CountTokens => {
                return count::here(run);
            }
            Step::GiveUp(why) => return Err(failure::gave_up(why, last, shared.now())),
        }
    }
    Ok(())
}

/// One attempt, or two where the first is slow and the route allows it.
async fn tried(run: &mut Run, held: Held) -> Result<(), Failure> {
    let hedge_at = {
        let walk = run.common.walk.borrow();
        walk.as_ref().and_then(|walk| walk.hedge_at(&held))
    };
    let result = match hedge_at {
        Some(at) => Box::pin(race::run(run, held, at)).await,
        None => attempt::run(run, held).await,
    };
    result.inspect_err(|failure| {
        tracing::debug!(
            request_id = &*run.job.request_id,
            attempt = run.common.attempts(),
            failure = failure.kind.as_str(),
            message = failure.message,
            "attempt failed"
        );
    })
}

impl Drop for Common {
    fn drop(&mut self) {
        if let Some(walk) = self.walk.get_mut() {
            self.ending.walked(walk);
        }
    }
}

impl Common {
    fn step(&self, now: Millis) -> Option<Step> {
        self.walk.borrow_mut().as_mut().map(|walk| walk.step(now))
    }

    /// Attempts so far.
    fn attempts(&self) -> u32 {
        self.walk.borrow().as_ref().map_or(0, Walk::attempts)
    }

    /// Content has come.
    pub fn is_committed(&self) -> bool {
        self.walk.borrow().as_ref().is_some_and(Walk::is_committed)
    }
}

impl Run {
    /// For an attempt beside this one's.
    pub fn beside(&self) -> Self {
        Self {
            node: Rc::clone(&self.node),
            job: Rc::clone(&self.job),
            out: self.out.clone(),
            common: Rc::clone(&self.common),
            canonical: self.canonical.clone(),
            losses: Vec::new(),
            chain: Rc::clone(&self.chain),
            route: None,
            current: None,
            unheeded: self.unheeded.clone(),
            began: self.began,
            estimated: false,
            answer: None,
            timer: Timer::default(),
        }
    }

    /// What encoders and renderers need to know.
    pub fn reply_context(&self) -> ReplyContext {
        let canonical = self.canonical.as_deref();
        ReplyContext {
            fallback_id: self.job.request_id.to_string(),
            request_id: self.job.request_id.to_string(),
            model: self.job.head.model.clone(),
            created: self.job.created,
            stream_usage: self.asks_cost() || canonical.is_some_and(|c| c.stream_usage),
            hide_reasoning: canonical
                .and_then(|c| c.reasoning.as_ref())
                .and_then(|r| r.hidden)
                .unwrap_or_default(),
            whole_calls: self.job.whole_calls,
            request: self.canonical.clone(),
        }
    }

    /// Whether the consumer asks what its answer costs, in the one dialect that has words for it.
    pub fn asks_cost(&self) -> bool {
        self.job.head.asks_cost() && self.job.dialect == Dialect::ChatCompletions
    }

    /// By what the cost of the current attempt's answer is told to its consumer, where it is to be told.
    pub fn teller(&self) -> Option<Arc<Sheet>> {
        let shared = &self.node.shared;
        let current = self.current.as_ref();
        let current = current.filter(|_| shared.tuning.tell_cost || self.asks_cost())?;
        shared.sheet(current.provider, &current.model).cloned()
    }

    /// The request parsed whole.
    pub fn canonical(&mut self) -> Result<Rc<ChatRequest>, Failure> {
        if let Some(request) = &self.canonical {
            return Ok(Rc::clone(request));
        }
        let text = llmleaf_dialects::head::text(&self.job.body)?;
        let mut request = self.job.heard.parse_request(text)?;
        // Some wires say these in the path; where the body says them, the two agree.
        request.model.clone_from(&self.job.head.model);
        request.stream = self.job.head.stream;
        let request = Rc::new(request);
        self.canonical = Some(Rc::clone(&request));
        Ok(request)
    }

    /// Names what was lost after the head had gone, in a comment that no client takes for an event.
    pub fn late_losses(&self, losses: &[Loss]) {
        if !self.job.dialect.takes_comments() {
            // The encoder tells its losses in the last piece of the stream.
            return;
        }
        let told = self.common.told.borrow();
        let late: Vec<Loss> = losses
            .iter()
            .filter(|loss| !told.contains(loss))
            .cloned()
            .collect();
        if let Some(value) = losses::header(&late) {
            self.out.write(b": x-llmleaf-loss: ");
            self.out.write(value.as_bytes());
            self.out.write(b"\n\n");
        }
    }

    /// Sends the head of a stream, if it is not gone yet.
    pub fn stream_head(&mut self) {
        if self.out.head_made() {
            return;
        }
        self.common.told.borrow_mut().clone_from(&self.losses);
        let mut headers = self.headers();
        let kind = match self.job.in_array {
            true => "application/json; charset=utf-8",
            // The one spelling that this wire's own service writes.
            false if self.job.dialect.streams_lines() => "application/x-ndjson",
            false => "text/event-stream; charset=utf-8",
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        // nginx and its kin hold back streams unless told otherwise.
        headers.insert(
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        );
        self.out.head(ReplyHead {
            status: StatusCode::OK,
            headers,
            whole: None,
        });
    }

    /// Sends a whole reply.
    pub fn whole(&self, status: StatusCode, body: Bytes) {
        self.whole_as(status, HeaderValue::from_static("application/json"), body);
    }

    /// Sends the head of an answer that comes as bytes of some type, if it is not gone yet.
    pub fn bytes_head(&mut self, kind: HeaderValue) {
        let mut headers = self.headers();
        headers.insert(CONTENT_TYPE, kind);
        self.out.head(ReplyHead {
            status: StatusCode::OK,
            headers,
            whole: None,
        });
    }

    /// Sends a whole reply of some type.
    pub fn whole_as(&self, status: StatusCode, kind: HeaderValue, body: Bytes) {
        let mut headers = self.headers();
        headers.insert(CONTENT_TYPE, kind);
        self.out.head(ReplyHead {
            status,
            headers,
            whole: Some(body),
        });
    }

    /// Tells the consumer that its connection is one of messages from now on.
    pub fn switched(&self) {
        self.out.head(ReplyHead {
            status: StatusCode::SWITCHING_PROTOCOLS,
            headers: self.headers(),
            whole: None,
        });
    }

    pub fn headers(&self) -> HeaderMap {
        self.headed(true)
    }

    /// `answering`: the current attempt is the answer, or becomes it.
    fn headed(&self, answering: bool) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(8);
        if let Some(value) = self.explain_header(answering) {
            headers.insert(&explain::HEADER, value);
        }
        if let Some(value) = losses::header(&self.losses) {
            headers.insert(HeaderName::from_static("x-llmleaf-loss"), value);
        }
        let attempts = self.common.attempts();
        if attempts > 1 {
            headers.insert(
                HeaderName::from_static("x-llmleaf-attempts"),
                HeaderValue::from(attempts),
            );
        }
        // Of a stream it is known when its head has long gone.
        if let Some(cost) = self.common.ending.cost().filter(|cost| *cost > 0)
            && let Ok(value) = HeaderValue::try_from(decimal::dollars(cost))
        {
            headers.insert(HeaderName::from_static("x-llmleaf-cost-usd"), value);
        }
        if self.estimated {
            headers.insert(
                HeaderName::from_static("x-llmleaf-estimate"),
                HeaderValue::from_static("true"),
            );
        }
        headers
    }

    /// Tells the consumer that the exchange failed, in its dialect, before or inside a stream.
    pub async fn refuse(&mut self, failure: &Failure) {
        let failure = public(failure);
        if self.out.head_sent() {
            let (dialect, id) = (self.job.dialect, &self.job.request_id);
            let bytes = match self.job.operation {
                Operation::Draw(form) => form.render_stream_error(&failure),
                _ => dialect.render_stream_error(&failure, id),
            };
            self.out.write(&bytes);
            self.explain_late();
            self.abort().await;
            return;
        }
        let own = failure.status.zip(failure.body.as_ref());
        // A consumer's own fault, told by a provider of its own dialect: the reply goes through as it came.
        let reply = match own {
            Some((status, body))
                if failure.origin == Origin::Consumer
                    && self.same_dialect_failed()
                    && is_object(body) =>
            {
                (status, body.clone())
            }
            _ => {
                let reply = self
                    .job
                    .dialect
                    .render_error(&failure, &self.job.request_id);
                (reply.status, Bytes::from(self.explaining(reply.body)))
            }
        };
        let status = StatusCode::from_u16(reply.0).unwrap_or(StatusCode::BAD_GATEWAY);
        // An attempt before the one that is told may have been paid for too.
        let billed = |all: &[UsageRecord]| all.iter().any(|attempt| attempt.possibly_billed);
        if failure.code.as_deref() == Some(inspect::UNAVAILABLE)
            || failure.possibly_billed
            || self.common.ending.attempts(billed)
        {
            self.out.last_word();
        }
        let mut headers = self.headed(false);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        retry_headers(&mut headers, &failure, status, self.common.attempts());
        self.out.head(ReplyHead {
            status,
            headers,
            whole: Some(reply.1),
        });
    }

    fn same_dialect_failed(&self) -> bool {
        let last = self.current.as_ref().and_then(|c| {
            let upstream = self.node.shared.upstreams.get(c.provider)?;
            upstream.wire(self.job.heard, &c.model)
        });
        last.is_some_and(|(wire, _)| wire.dialect() == self.job.dialect)
    }

    /// Ends the transport without a clean end. What was written before is the connection's, which cuts when it has left.
    pub async fn abort(&mut self) {
        self.out.taken().await;
        self.out.abort();
    }

    /// Takes the current target's credential out of what it said.
    pub fn scrub(&self, failure: &mut Failure) {
        let current = self.current.as_ref();
        let upstream = current.and_then(|c| self.node.shared.upstreams.get(c.provider));
        if let Some(upstream) = upstream {
            upstream.scrub(failure);
        }
    }

    /// The first content of an attempt's stream came.
    pub fn content(&mut self, attempt: &mut Attempt, now: Millis) {
        attempt.first_content(now);
        // What is kept back has reached nobody: another target may still answer.
        if !self.out.keeps_back() {
            attempt.commit(now);
        }
    }

    /// The unix time, in seconds, by the time at which the request came.
    pub fn unix_now(&self) -> u64 {
        let passed = self.node.shared.now().since(self.began);
        self.job.created.saturating_add(passed / 1000)
    }

    /// From now on the consumer gets signs of life: its answer turns out to be a stream, which its request did not say in its head.
    pub fn enliven(&self) {
        let tuning = self.node.shared.tuning;
        let now = self.node.shared.now();
        let fresh = || Pulse::new(now, tuning.hold_headers, tuning.keepalive);
        (self.common.pulse.borrow_mut()).get_or_insert_with(fresh);
    }

    /// Something was sent to the consumer.
    pub fn sent(&mut self) {
        let now = self.node.shared.now();
        if let Some(pulse) = self.common.pulse.borrow_mut().as_mut() {
            pulse.sent(now);
        }
    }
}

/// Whether a body is a JSON object, as a client of an API expects of an error. A proxy in front of a provider may answer with a
/// page for people instead, which says nothing to a program and much about the provider's insides.
fn is_object(body: &[u8]) -> bool {
    std::str::from_utf8(body)
        .is_ok_and(|text| llmleaf_dialects::object::Object::parse(text).is_ok())
}

/// A failure as consumers may see it: what an upstream said of the operator's account stays with the operator.
pub(crate) fn public(failure: &Failure) -> Failure {
    let mut failure = failure.clone();
    // What we say ourselves of clocks and streams names no host and quotes nobody.
    let ours = matches!(failure.kind, FailureKind::Timeout | FailureKind::Truncated)
        && failure.status.is_none();
    if failure.origin == Origin::Upstream && !ours {
        tracing::warn!(
            failure = failure.kind.as_str(),
            status = failure.status,
            message = failure.message,
            "an upstream failed; its own words"
        );
        failure.message = format!("the provider failed: {}", words(failure.kind));
        failure.body = None;
    }
    failure
}

fn words(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::RateLimit => "it limits the rate of requests",
        FailureKind::Quota => "a quota is used up",
        FailureKind::Overloaded => "it is overloaded",
        FailureKind::Credential => "it did not accept this gateway's credential",
        FailureKind::NotFound => "it does not know the model",
        FailureKind::Timeout => "it did not answer in time",
        FailureKind::Connect => "it cannot be reached",
        FailureKind::InvalidResponse => "its answer is not well-formed",
        _ => "it had an error of its own",
    }
}

fn retry_headers(headers: &mut HeaderMap, failure: &Failure, status: StatusCode, attempts: u32) {
    if let Some(wait) = failure.retry_after {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        headers.insert(RETRY_AFTER, HeaderValue::from(millis.div_ceil(1000)));
        headers.insert(
            HeaderName::from_static("retry-after-ms"),
            HeaderValue::from(millis),
        );
    }
    let shutdown = failure.code.as_deref() == Some(failure::SHUTDOWN);
    if shutdown {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    let unseen = failure.code.as_deref() == Some(inspect::UNAVAILABLE);
    if unseen {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("2"));
    }
    let retry = match failure.kind {
        // A provider has answered, and would be paid again.
        _ if unseen => "false",
        // Whatever was tried here: another node answers, or this one when it is back.
        _ if shutdown => "true",
        FailureKind::Quota => "false",
        // The chain was walked: a client that walks it again three times multiplies the load on what is down already.
        _ if attempts > 1 => "false",
        _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => "true",
        _ => "false",
    };
    headers.insert(
        HeaderName::from_static("x-should-retry"),
        HeaderValue::from_static(retry),
    );
}
