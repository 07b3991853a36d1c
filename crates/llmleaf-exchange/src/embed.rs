//! Vectors for texts: whole answers, over the same walk as chat.
//!
//! It is one request to the provider, or, where a target takes fewer inputs at a time than there are, one after another; they are one attempt
//! then, with one record.

mod pieces;

use self::pieces::Pieces;
use crate::asking::{Asking, Body, answered, count_of, is_whole, unsupported};
use crate::attempt::Attempt;
use crate::drive::Run;
use crate::upstream::Upstream;
use bytes::Bytes;
use llmleaf_dialects::EmbeddingForm;
use llmleaf_dialects::embeddings::{is_as_asked, makeable};
use llmleaf_model::{EmbeddingRequest, Embeddings, Failure, Usage};
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
        if request.inputs.is_empty() {
            return nothing(run, attempt, &request, form);
        }
        upstream.embedding.apply(&mut request);
    }
    let same = wire.is_same(form);
    let asking = Asking {
        candidate,
        upstream,
        path,
        chat,
        same,
        routes: wire.routes(),
    };
    let most = if same { usize::MAX } else { wire.most() };
    let mut answer: Option<Embeddings> = None;
    let mut pieces = Pieces::of(request, most)?;
    while let Some(piece) = pieces.next() {
        let rendered = if same {
            wire.edit(&run.job.head, &run.job.body, piece, &candidate.model)?
        } else {
            wire.render_request(piece, &candidate.model)?
        };
        let body = asking.ask(run, attempt, rendered).await?;
        let part = wire.parse_answer(&body, piece)?;
        if same && is_as_asked(&part, piece) {
            answered(run, attempt, part.usage, Body::Through(body));
            return Ok(());
        }
        match &mut answer {
            Some(answer) => answer.append(part),
            None => answer = Some(part),
        }
        // Should a later one fail, these were billed all the same.
        attempt.meter.usage = answer.as_ref().and_then(|answer| answer.usage.clone());
        attempt.meter.uncounted += u64::from(attempt.meter.usage.is_none());
    }
    let mut answer = answer.unwrap_or_default();
    answer.usage = Some(count_of(run, answer.usage));
    answer.model = Some(run.job.head.model.clone());
    answer.id.get_or_insert_with(|| run.job.id.to_string());
    let body = Bytes::from(form.render(&answer, &pieces.whole())?);
    answered(run, attempt, answer.usage, Body::Own(body));
    Ok(())
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
    is_whole(rendered)
}

/// Nothing is to be embedded, and only a service of the same form can make something of that: nobody is asked.
fn nothing(
    run: &mut Run,
    attempt: &mut Attempt,
    request: &EmbeddingRequest,
    form: EmbeddingForm,
) -> Result<(), Failure> {
    attempt.forgo();
    let body = Bytes::from(form.render(&Embeddings::default(), request)?);
    answered(run, attempt, Some(Usage::default()), Body::Own(body));
    Ok(())
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
    answered(run, attempt, answer.usage, Body::Own(body));
    Ok(())
}
