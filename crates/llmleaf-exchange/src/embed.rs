//! Vectors for texts: one request, one whole answer, over the same walk as chat.

use crate::attempt::{self, Attempt, Incoming, Outgoing};
use crate::count;
use crate::drive::Run;
use crate::upstream::Upstream;
use crate::whole;
use bytes::Bytes;
use http::{Method, StatusCode};
use llmleaf_dialects::EmbeddingForm;
use llmleaf_dialects::embeddings::is_as_asked;
use llmleaf_model::{EmbeddingRequest, Failure, FailureKind, Origin, Retry, Usage};
use llmleaf_providers::Embeddings as Offered;
use llmleaf_route::Candidate;

const WHAT: &str = "embeddings";

/// Asks one target.
pub(crate) async fn run(
    run: &mut Run,
    attempt: &mut Attempt,
    candidate: &Candidate,
    upstream: &Upstream,
    form: EmbeddingForm,
) -> Result<(), Failure> {
    run.estimated = false;
    let text = llmleaf_dialects::head::text(&run.job.body)?;
    let request = form.parse_request(text, &run.job.head.model)?;
    let (wire, path) = match &upstream.row.speaks.embeddings {
        Some(Offered::Wire(wire, path)) => (wire, *path),
        Some(Offered::Echo) => return echo(run, attempt, &request, form),
        None => return Err(unsupported(WHAT)),
    };
    let Some((chat, _)) = upstream.wire(run.job.dialect, &candidate.model) else {
        return Err(unsupported(WHAT));
    };
    let same = wire.is_same(form);
    let rendered = if same {
        wire.edit(&run.job.head, &run.job.body, &request, &candidate.model)?
    } else {
        wire.render_request(&request, &candidate.model)?
    };
    let mut rendered = rendered;
    attempt::heeded(run, same && wire.routes(), &mut rendered.losses);
    let rendered = attempt::accepted(run, rendered)?;
    let path = upstream.path(path, &candidate.model, false);
    let going = Outgoing {
        method: Method::POST,
        wire: chat,
        path: &path,
        body: rendered.body,
        stream: false,
        same,
        kind: None,
    };
    let Incoming {
        mut watch, body, ..
    } = attempt::send(run, attempt, candidate, upstream, going).await?;
    let body = whole::gather(run, &mut watch, body).await?;
    let mut answer = wire.parse_answer(&body, &request)?;
    let through = same && is_as_asked(&answer, &request);
    let body = if through {
        body
    } else {
        answer.usage = Some(count_of(run, answer.usage));
        answer.model = Some(run.job.head.model.clone());
        Bytes::from(form.render(&answer, &request)?)
    };
    answered(run, attempt, answer.usage, body);
    Ok(())
}

/// Whether a target takes every field of the request.
pub(crate) fn expresses(run: &Run, upstream: &Upstream, form: EmbeddingForm, model: &str) -> bool {
    let text = llmleaf_dialects::head::text(&run.job.body);
    let request = text.and_then(|text| form.parse_request(text, &run.job.head.model));
    let (Ok(request), Some(offered)) = (request, &upstream.row.speaks.embeddings) else {
        return false;
    };
    let Offered::Wire(wire, _) = offered else {
        return true;
    };
    let rendered = if wire.is_same(form) {
        wire.edit(&run.job.head, &run.job.body, &request, model)
    } else {
        wire.render_request(&request, model)
    };
    let routing = |field: &str| llmleaf_dialects::preferences::is_field(field);
    rendered.is_ok_and(|r| r.losses.iter().all(|loss| routing(&loss.field)))
}

/// A count where the provider told none: its form wants one.
pub(crate) fn count_of(run: &mut Run, told: Option<Usage>) -> Usage {
    told.unwrap_or_else(|| {
        run.estimated = true;
        Usage {
            input: count::of_text(run.job.body.len()),
            ..Usage::default()
        }
    })
}

/// The whole answer goes out.
pub(crate) fn answered(run: &mut Run, attempt: &mut Attempt, usage: Option<Usage>, body: Bytes) {
    // What we estimated ourselves is no report: the record makes its own estimate, and says so.
    attempt.meter.usage = usage.filter(|_| !run.estimated);
    attempt.first_content(run.node.shared.now());
    attempt.complete(&run.losses);
    run.whole(StatusCode::OK, body);
}

fn echo(
    run: &mut Run,
    attempt: &mut Attempt,
    request: &EmbeddingRequest,
    form: EmbeddingForm,
) -> Result<(), Failure> {
    let answer = llmleaf_providers::echo::embed(request)?;
    let body = Bytes::from(form.render(&answer, request)?);
    answered(run, attempt, answer.usage, body);
    Ok(())
}

/// The target does not offer that at all.
pub(crate) fn unsupported(what: &str) -> Failure {
    let why = format!("the target does not offer {what}");
    let mut failure = Failure::new(Origin::Gateway, FailureKind::Unsupported, why);
    failure.retry = Retry::NextTarget;
    failure
}
