//! Vectors for texts: whole answers, over the same walk as chat.
//!
//! It is one request to the provider, or, where a target takes fewer inputs at a time than there are, one after another; they are one attempt
//! then, with one record.

use crate::attempt::{self, Attempt, Incoming, Outgoing};
use crate::count;
use crate::drive::Run;
use crate::upstream::Upstream;
use crate::whole;
use bytes::Bytes;
use http::{Method, StatusCode};
use llmleaf_dialects::embeddings::{is_as_asked, makeable};
use llmleaf_dialects::{ChatWire, EmbeddingForm, EmbeddingWire};
use llmleaf_model::{EmbeddingRequest, Embeddings, Failure, FailureKind, Origin, Retry, Usage};
use llmleaf_providers::{Embeddings as Offered, Path};
use llmleaf_route::Candidate;

const WHAT: &str = "embeddings";

/// Most requests that one attempt makes of the consumer's.
const PIECES: usize = 128;

/// Where a target is asked, and how.
struct Asking<'a> {
    candidate: &'a Candidate,
    upstream: &'a Upstream,
    wire: &'static EmbeddingWire,
    path: Path,
    /// Reads its errors.
    chat: &'static ChatWire,
    form: EmbeddingForm,
}

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
    let mut request = form.parse_request(text, &run.job.head.model)?;
    let (wire, path) = match offered(upstream, form, &candidate.model) {
        Some(Offered::Wire(wire, path) | Offered::Of(_, wire, path)) => (wire, *path),
        Some(Offered::Echo) => return echo(run, attempt, &request, form),
        None => return Err(unsupported(WHAT)),
    };
    let Some((chat, _)) = upstream.wire(run.job.dialect, &candidate.model) else {
        return Err(unsupported(WHAT));
    };
    if !wire.is_same(form) {
        upstream.embedding.apply(&mut request);
    }
    let asking = Asking {
        candidate,
        upstream,
        wire,
        path,
        chat,
        form,
    };
    let mut answer: Option<Embeddings> = None;
    for piece in pieces(&asking, &request)? {
        let piece = piece.as_ref().unwrap_or(&request);
        let (part, body) = ask(run, attempt, &asking, piece).await?;
        if wire.is_same(form) && is_as_asked(&part, piece) {
            answered(run, attempt, part.usage, body);
            return Ok(());
        }
        match &mut answer {
            Some(answer) => answer.append(part),
            None => answer = Some(part),
        }
        // Should a later one fail, these were billed all the same.
        attempt.meter.usage = answer.as_ref().and_then(|answer| answer.usage.clone());
    }
    let mut answer = answer.unwrap_or_default();
    answer.usage = Some(count_of(run, answer.usage));
    answer.model = Some(run.job.head.model.clone());
    answer.id.get_or_insert_with(|| run.job.id.to_string());
    let body = Bytes::from(form.render(&answer, &request)?);
    answered(run, attempt, answer.usage, body);
    Ok(())
}

/// The requests that are made of the consumer's: it alone (`None`), or some of its inputs each.
fn pieces(
    asking: &Asking<'_>,
    request: &EmbeddingRequest,
) -> Result<Vec<Option<EmbeddingRequest>>, Failure> {
    let most = asking.wire.most().max(1);
    if asking.wire.is_same(asking.form) || request.inputs.len() <= most {
        return Ok(vec![None]);
    }
    if request.inputs.len().div_ceil(most) > PIECES {
        return Err(unsupported("so many inputs at once"));
    }
    let some = |inputs: &[_]| {
        let inputs = inputs.to_vec();
        let bare = false;
        let request = request.clone();
        Some(EmbeddingRequest {
            inputs,
            bare,
            ..request
        })
    };
    Ok(request.inputs.chunks(most).map(some).collect())
}

/// One request, and its answer as it was read and as it came.
async fn ask(
    run: &mut Run,
    attempt: &mut Attempt,
    asking: &Asking<'_>,
    request: &EmbeddingRequest,
) -> Result<(Embeddings, Bytes), Failure> {
    let Asking { wire, form, .. } = *asking;
    let model = &*asking.candidate.model;
    let same = wire.is_same(form);
    let mut rendered = if same {
        wire.edit(&run.job.head, &run.job.body, request, model)?
    } else {
        wire.render_request(request, model)?
    };
    attempt::heeded(run, same && wire.routes(), &mut rendered.losses);
    let rendered = attempt::accepted(run, rendered)?;
    let path = asking.upstream.path(asking.path, model, false);
    let going = Outgoing {
        method: Method::POST,
        wire: asking.chat,
        path: &path,
        body: rendered.body,
        stream: false,
        same,
        kind: None,
    };
    let Incoming {
        mut watch, body, ..
    } = attempt::send(run, attempt, asking.candidate, asking.upstream, going).await?;
    let body = whole::gather(run, &mut watch, body).await?;
    Ok((wire.parse_answer(&body, request)?, body))
}

/// What the service offers for a model: the first entry that names it; else one in the consumer's form, else the first.
fn offered(upstream: &Upstream, form: EmbeddingForm, model: &str) -> Option<&'static Offered> {
    let all = upstream.row.speaks.embeddings;
    let model = upstream.named(model);
    let named = |one: &&Offered| match one {
        Offered::Of(begins, ..) => begins.iter().any(|begin| model.starts_with(begin)),
        Offered::Wire(..) | Offered::Echo => false,
    };
    let same = |one: &&Offered| matches!(one, Offered::Wire(wire, _) if wire.is_same(form));
    let general = |one: &&Offered| !matches!(one, Offered::Of(..));
    let found = all.iter().find(named).or_else(|| all.iter().find(same));
    found.or_else(|| all.iter().find(general))
}

/// Whether a target takes every field of the request.
pub(crate) fn expresses(run: &Run, upstream: &Upstream, form: EmbeddingForm, model: &str) -> bool {
    let text = llmleaf_dialects::head::text(&run.job.body);
    let request = text.and_then(|text| form.parse_request(text, &run.job.head.model));
    let (Ok(mut request), Some(offered)) = (request, offered(upstream, form, model)) else {
        return false;
    };
    let (Offered::Wire(wire, _) | Offered::Of(_, wire, _)) = offered else {
        return true;
    };
    let rendered = if wire.is_same(form) {
        wire.edit(&run.job.head, &run.job.body, &request, model)
    } else {
        request.inputs.truncate(wire.most().max(1));
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
    makeable(request)?;
    let mut answer = llmleaf_providers::echo::embed(request)?;
    answer.id = Some(run.job.id.to_string());
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
