//! Sends a file of requests on while it is read, each in the provider's own wire: one that a consumer sends, or one that is kept here.
//!
//! Errors by line end the upload before its form is complete, so the provider keeps nothing of a file that is refused.

use super::lines::{Filed, Lines};
use super::look::answer;
use super::make::{ADDED_BYTES, Form, file_id, once, one, post, ripen};
use super::{At, BatchAsk, Destined, Offer};
use crate::attempt::{self, Attempt, Incoming, Manner, Outgoing};
use crate::drive::Run;
use crate::failure::unoffered;
use crate::job::Job;
use crate::losses;
use crate::node::{LossPolicy, Shared};
use crate::whole;
use bytes::Bytes;
use http::Method;
use llmleaf_dialects::Rendered;
use llmleaf_dialects::batches::{BatchWire, FilesQuirks, Item, Kind, Making, added, files};
use llmleaf_model::{Failure, FailureKind, Loss, Retry};
use llmleaf_route::Candidate;
use llmleaf_transport::{Feed, Unfed};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Bytes of lines that go on as one piece if they came together.
const PIECE: usize = 64 * 1024;
/// Stands where requests are put; no JSON has it.
const HOLE: u8 = 0;

/// Keeps a file at the provider.
pub(super) async fn run(
    run: &mut Run,
    attempt: &mut Attempt,
    at: At<'_>,
    ask: &BatchAsk,
) -> Result<(), Failure> {
    let (BatchWire::Files(quirks), Some(filed)) = (at.offer.wire(), &ask.filed) else {
        return Err(unoffered("the target keeps no files"));
    };
    let reply = keep(run, attempt, at, filed, quirks).await?;
    let account = (at.candidate.provider, attempt.credential());
    let naming = |_: Kind, own: &str| ask.names.told(Kind::Input, account, None, own);
    let told = files::renamed(&reply, ask.form, &naming);
    let told = told.ok_or_else(|| {
        let message = "the provider took a file and did not describe it";
        Failure::upstream(FailureKind::InvalidResponse, message)
    })?;
    answer(run, attempt, told);
    Ok(())
}

/// Sends a file to a provider that keeps it; what that says of it.
pub(super) async fn keep(
    run: &mut Run,
    attempt: &mut Attempt,
    at: At<'_>,
    filed: &Filed,
    quirks: &FilesQuirks,
) -> Result<Bytes, Failure> {
    let around = Around::Form(Form::new(&run.job.id, quirks));
    let path = at.files(None, &quirks.upload)?;
    let way = Way::new(run, at, filed, around);
    let reply = pass(run, attempt, at, &way, &path).await?;
    let id = file_id(&reply)?;
    if quirks.files_ripen {
        ripen(run, attempt, at, &id).await?;
    }
    Ok(reply)
}

/// Makes a batch where its requests are a list in the body; what the provider says of it.
pub(super) async fn list(
    run: &mut Run,
    attempt: &mut Attempt,
    at: At<'_>,
    filed: &Filed,
    (making, path): (&Making<'_>, &str),
) -> Result<Bytes, Failure> {
    let body = at.offer.wire().make(making, &[HOLE]);
    let mut parts = body.splitn(2, |byte| *byte == HOLE).map(Into::into);
    let around = Around::List(
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let way = Way::new(run, at, filed, around);
    pass(run, attempt, at, &way, path).await
}

/// Adds requests to a batch that exists, in pieces.
pub(super) async fn add(
    run: &mut Run,
    attempt: &mut Attempt,
    at: At<'_>,
    filed: &Filed,
    path: &str,
) -> Result<(), Failure> {
    let way = Way::new(run, at, filed, Around::List(Vec::new(), Vec::new()));
    let mut passing = Passing::new(&way, None).ok_or_else(crate::upload::gone)?;
    let mut piece = Vec::new();
    loop {
        let more = poll_fn(|cx| passing.poll(cx)).await?;
        let more = more.unwrap_or_default();
        let full = piece.len().saturating_add(more.len()) > ADDED_BYTES;
        if !piece.is_empty() && (full || more.is_empty()) {
            let requests = piece.strip_prefix(b",").unwrap_or(&piece);
            let body = Bytes::from(added::add(requests));
            piece.clear();
            post(run, attempt, at, path, body).await.map_err(once)?;
        }
        if more.is_empty() {
            break;
        }
        piece.extend_from_slice(&more);
    }
    run.losses = way.told.take().losses;
    Ok(())
}

/// Sends what is made of a file.
async fn pass(
    run: &mut Run,
    attempt: &mut Attempt,
    at: At<'_>,
    way: &Rc<Way>,
    path: &str,
) -> Result<Bytes, Failure> {
    let length = way.glance()?;
    let known = Rendered {
        body: Bytes::new(),
        losses: way.told.borrow().losses.clone(),
        usage_added: false,
    };
    attempt::accepted(run, known)?;
    let reply = send(run, attempt, at, way, (path, length)).await;
    let told = way.told.take();
    let reply = reply.map_err(|failure| told.failure.unwrap_or(failure))?;
    run.losses = told.losses;
    Ok(reply)
}

async fn send(
    run: &mut Run,
    attempt: &mut Attempt,
    at: At<'_>,
    way: &Rc<Way>,
    (path, length): (&str, Option<u64>),
) -> Result<Bytes, Failure> {
    let feeds = {
        let way = Rc::clone(way);
        move || {
            let passing = Passing::new(&way, length)?;
            Some(Box::new(passing) as Box<dyn Feed>)
        }
    };
    let (kind, same) = match &way.around {
        Around::Form(form) => (Some(form.kind()), false),
        Around::List(..) => (None, true),
    };
    let going = Outgoing {
        method: Method::POST,
        wire: at.offer.chat,
        path,
        body: Bytes::new(),
        stream: false,
        same,
        kind,
    };
    let manner = Manner {
        fed: Some((&way.filed.upload, &feeds)),
        ..Manner::default()
    };
    let sent = attempt::send_as(run, attempt, at.candidate, at.upstream, going, manner).await;
    let Incoming {
        mut watch, body, ..
    } = sent?;
    let reply = whole::gather(run, &mut watch, body).await?;
    match way.passed.get() {
        true => Ok(reply),
        // What it took is a part of what was to be taken, and perhaps kept as if it were all.
        false => Err(crate::upload::hasty()),
    }
}

/// What stands around the requests.
enum Around {
    /// A form with a file of lines.
    Form(Form),
    /// A body with a list: what is before it, and behind it.
    List(Vec<u8>, Vec<u8>),
}

/// From one file to one target.
struct Way {
    filed: Filed,
    job: Rc<Job>,
    shared: Arc<Shared>,
    candidate: Candidate,
    offer: Offer,
    around: Around,
    policy: LossPolicy,
    told: RefCell<Told>,
    /// All of it was given to be sent.
    passed: Cell<bool>,
}

/// What is told of a file when it is sent, or is not.
#[derive(Default)]
struct Told {
    losses: Vec<Loss>,
    failure: Option<Failure>,
}

impl Way {
    fn new(run: &Run, at: At<'_>, filed: &Filed, around: Around) -> Rc<Self> {
        let told = Told {
            losses: run.losses.clone(),
            failure: None,
        };
        Rc::new(Self {
            filed: filed.clone(),
            job: Rc::clone(&run.job),
            shared: Arc::clone(&run.node.shared),
            candidate: at.candidate.clone(),
            offer: at.offer,
            around,
            policy: run.node.shared.settings(run.route).loss_policy,
            told: told.into(),
            passed: Cell::new(false),
        })
    }

    /// Has a file that is all there pass, to see whether it can, what is lost, and how long it will be.
    fn glance(self: &Rc<Self>) -> Result<Option<u64>, Failure> {
        if !self.filed.upload.is_whole() || self.filed.upload.held().is_none() {
            return Ok(None);
        }
        let mut passing = Passing::new(self, None).ok_or_else(crate::upload::gone)?;
        let mut nobody = Context::from_waker(Waker::noop());
        let mut length = 0u64;
        while let Poll::Ready(Some(piece)) = passing.poll_next(&mut nobody) {
            match piece {
                Ok(bytes) => length = length.saturating_add(bytes.len() as u64),
                Err(Unfed) => {
                    let failure = self.told.take().failure;
                    return Err(failure.unwrap_or_else(crate::upload::gone));
                }
            }
        }
        Ok(Some(length))
    }

    /// A line of the provider's file.
    fn line(&self, item: &Item) -> Result<Vec<u8>, Failure> {
        let gone = || Failure::gateway(FailureKind::Internal, "the target is not known");
        let ask = self.job.batch.as_deref().ok_or_else(gone)?;
        let upstream = self.shared.upstreams.get(self.candidate.provider);
        let at = At {
            candidate: &self.candidate,
            upstream: upstream.ok_or_else(gone)?,
            offer: self.offer,
        };
        let other = |first: &&Destined| first.name != item.head.model;
        if let Some(first) = ask.models.first().filter(other)
            && self.offer.wire().is_of_one_model()
        {
            let message = format!(
                "its provider takes one model in a batch, and the first line names \"{}\"",
                first.name
            );
            return Err(Failure::invalid(message, Some("model")));
        }
        let losses = &mut self.told.borrow_mut().losses;
        let known = losses.len();
        let line = one(at, ask, item, losses)?;
        losses::refusal(self.policy, losses.get(known..).unwrap_or_default()).map_or(Ok(line), Err)
    }
}

/// A file on its way.
struct Passing {
    way: Rc<Way>,
    lines: Lines,
    length: Option<u64>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// No request came yet. What the file is called is known with the first.
    Head,
    Lines,
    Ended,
}

impl Passing {
    fn new(way: &Rc<Way>, length: Option<u64>) -> Option<Self> {
        way.passed.set(false);
        Some(Self {
            lines: Lines::new(&way.filed)?,
            way: Rc::clone(way),
            length,
            stage: Stage::Head,
        })
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Failure>> {
        if self.stage == Stage::Ended {
            return Poll::Ready(Ok(None));
        }
        let mut out = Vec::new();
        while out.len() < PIECE {
            let item = match self.lines.poll_next(cx) {
                Poll::Pending if out.is_empty() => return Poll::Pending,
                Poll::Pending => break,
                Poll::Ready(None) => {
                    self.unheeded()?;
                    self.stage = Stage::Ended;
                    self.way.passed.set(true);
                    match &self.way.around {
                        Around::Form(form) => out.extend_from_slice(form.tail().as_bytes()),
                        Around::List(_, tail) => out.extend_from_slice(tail),
                    }
                    break;
                }
                Poll::Ready(Some(item)) => item?,
            };
            match (&self.way.around, self.stage) {
                (Around::Form(form), Stage::Head) => {
                    let head = form.head(&self.lines.filename());
                    out.extend_from_slice(head.as_bytes());
                }
                (Around::List(head, _), Stage::Head) => out.extend_from_slice(head),
                (Around::List(..), _) => out.push(b','),
                (Around::Form(_), _) => {}
            }
            self.stage = Stage::Lines;
            let most = self.way.offer.wire().most();
            if self.lines.count() > most {
                let why = format!("the provider takes at most {most} requests in a batch");
                return Poll::Ready(Err(Failure::invalid(why, Some("file"))));
            }
            match self.way.line(&item) {
                Ok(line) => out.extend_from_slice(&line),
                // Another target may be able to.
                Err(failure) if failure.retry == Retry::NextTarget => {
                    return Poll::Ready(Err(failure));
                }
                Err(failure) => self.lines.object(&item, &failure.message),
            }
        }
        Poll::Ready(Ok(Some(out.into())))
    }

    /// Adds what the form says and nobody heeds, which is known at its end only; before that nothing is kept.
    ///
    /// # Errors
    /// That is a reason to refuse it.
    fn unheeded(&self) -> Result<(), Failure> {
        let losses = &mut self.way.told.borrow_mut().losses;
        let known = losses.len();
        for loss in self.lines.losses() {
            if !losses.contains(&loss) {
                losses.push(loss);
            }
        }
        let new = losses.get(known..).unwrap_or_default();
        losses::refusal(self.way.policy, new).map_or(Ok(()), Err)
    }
}

impl Feed for Passing {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Unfed>>> {
        self.poll(cx).map(|piece| match piece {
            Ok(bytes) => bytes.map(Ok),
            Err(failure) => {
                self.way.told.borrow_mut().failure = Some(failure);
                Some(Err(Unfed))
            }
        })
    }

    fn rewind(&mut self) -> bool {
        if !self.way.filed.upload.can_begin_again() {
            return false;
        }
        let again = Self::new(&self.way, self.length);
        let is_possible = again.is_some();
        if let Some(again) = again {
            *self = again;
        }
        is_possible
    }

    fn length(&self) -> Option<u64> {
        self.length
    }
}
