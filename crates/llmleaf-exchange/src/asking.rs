//! What operations have in common that are one request and one whole answer: embeddings, reranking, moderation, and images as far as nobody
//! streams them.

use crate::attempt::{self, Attempt, Incoming, Outgoing};
use crate::count;
use crate::drive::Run;
use crate::failure;
use crate::losses;
use crate::upstream::Upstream;
use crate::whole;
use bytes::Bytes;
use http::{Method, StatusCode};
use llmleaf_dialects::{ChatWire, Rendered};
use llmleaf_model::{Failure, Usage};
use llmleaf_providers::Path;
use llmleaf_route::Candidate;

/// Where a target is asked.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub candidate: &'a Candidate,
    pub upstream: &'a Upstream,
    pub path: Path,
    /// Reads its errors.
    pub chat: &'static ChatWire,
    /// The consumer's form is the service's.
    pub same: bool,
    /// The service gets what is asked of routing.
    pub routes: bool,
}

impl Asking<'_> {
    /// Sends what was rendered, if its losses are accepted, and gathers the answer.
    ///
    /// # Errors
    /// A loss is not accepted, or the target failed.
    pub async fn ask(
        &self,
        run: &mut Run,
        attempt: &mut Attempt,
        mut rendered: Rendered,
    ) -> Result<Bytes, Failure> {
        attempt::heeded(run, self.same && self.routes, &mut rendered.losses);
        let rendered = attempt::accepted(run, rendered)?;
        let model = &self.candidate.model;
        let path = self.upstream.path(self.path, model, false);
        let going = Outgoing {
            method: Method::POST,
            wire: self.chat,
            path: &path,
            body: rendered.body,
            stream: false,
            same: self.same,
            kind: None,
        };
        let Incoming {
            mut watch, body, ..
        } = attempt::send(run, attempt, self.candidate, self.upstream, going).await?;
        whole::gather(run, &mut watch, body).await
    }
}

/// Whether the target takes every field of a request.
pub(crate) fn is_whole(rendered: Result<Rendered, Failure>) -> bool {
    rendered.is_ok_and(|rendered| losses::are_none(&rendered.losses))
}

/// A count where the provider told none: its form wants one.
pub(crate) fn count_of(run: &mut Run, told: Option<Usage>) -> Usage {
    told.unwrap_or_else(|| {
        run.estimated = true;
        let job = &run.job;
        Usage {
            input: count::of_body(job.operation, job.heard, &job.body),
            ..Usage::default()
        }
    })
}

/// An answer, on its way out.
pub(crate) enum Body {
    /// As it came.
    Through(Bytes),
    /// Written here.
    Own(Bytes),
}

/// The whole answer goes out.
pub(crate) fn answered(run: &mut Run, attempt: &mut Attempt, usage: Option<Usage>, body: Body) {
    // What we estimated ourselves is no report: the record makes its own estimate, and says so.
    attempt.meter.usage = usage.filter(|_| !run.estimated);
    attempt.first_content(run.node.shared.now());
    attempt.complete(&run.losses);
    let body = match body {
        Body::Through(body) => body,
        Body::Own(body) => run.explaining_whole(body),
    };
    run.whole(StatusCode::OK, body);
}

/// The target does not offer that at all.
pub(crate) fn unsupported(what: &str) -> Failure {
    failure::unoffered(format!("the target does not offer {what}"))
}
