//! An order for documents: one request, one whole answer, over the same walk as chat.

use crate::asking::{Asking, Body, answered, count_of, is_whole, unsupported};
use crate::attempt::Attempt;
use crate::drive::Run;
use crate::upstream::Upstream;
use bytes::Bytes;
use llmleaf_dialects::rerank::is_as_asked;
use llmleaf_dialects::{Rendered, RerankForm, RerankWire};
use llmleaf_model::{Failure, RerankRequest};
use llmleaf_providers::Rerank as Offered;
use llmleaf_route::Candidate;

const WHAT: &str = "reranking";

/// Asks one target.
pub(crate) async fn run(
    run: &mut Run,
    attempt: &mut Attempt,
    candidate: &Candidate,
    upstream: &Upstream,
    form: RerankForm,
) -> Result<(), Failure> {
    run.estimated = false;
    let request = request(run, form)?;
    let (wire, path) = match offered(upstream, form) {
        Some(Offered::Wire(wire, path)) => (wire, *path),
        Some(Offered::Echo) => {
            let answer = llmleaf_providers::echo::rerank(&request);
            let body = Bytes::from(form.render(&answer, &request));
            answered(run, attempt, answer.usage, Body::Own(body));
            return Ok(());
        }
        None => return Err(unsupported(WHAT)),
    };
    let Some((chat, _)) = upstream.wire(run.job.dialect, &candidate.model) else {
        return Err(unsupported(WHAT));
    };
    let same = wire.is_same(form);
    let rendered = rendered(run, wire, form, &request, &candidate.model)?;
    let asking = Asking {
        candidate,
        upstream,
        path,
        chat,
        same,
        routes: wire.routes(),
    };
    let body = asking.ask(run, attempt, rendered).await?;
    let mut answer = wire.parse_answer(&body, &request)?;
    let body = if same && is_as_asked(&answer, &request) {
        Body::Through(body)
    } else {
        answer.usage = Some(count_of(run, answer.usage));
        answer.model = Some(run.job.head.model.clone());
        Body::Own(form.render(&answer, &request).into())
    };
    answered(run, attempt, answer.usage, body);
    Ok(())
}

/// Whether a target takes every field of the request.
pub(crate) fn expresses(run: &Run, upstream: &Upstream, form: RerankForm, model: &str) -> bool {
    let (Ok(request), Some(offered)) = (request(run, form), offered(upstream, form)) else {
        return false;
    };
    let Offered::Wire(wire, _) = offered else {
        return true;
    };
    is_whole(rendered(run, wire, form, &request, model))
}

/// What the service offers: in the consumer's form, else in the one that it prefers.
fn offered(upstream: &Upstream, form: RerankForm) -> Option<&'static Offered> {
    let all = upstream.row.speaks.rerank;
    let same = |one: &&Offered| matches!(one, Offered::Wire(wire, _) if wire.is_same(form));
    all.iter().find(same).or_else(|| all.first())
}

fn request(run: &Run, form: RerankForm) -> Result<RerankRequest, Failure> {
    let text = llmleaf_dialects::head::text(&run.job.body)?;
    form.parse_request(text, &run.job.head.model)
}

fn rendered(
    run: &Run,
    wire: &RerankWire,
    form: RerankForm,
    request: &RerankRequest,
    model: &str,
) -> Result<Rendered, Failure> {
    match wire.is_same(form) {
        true => wire.edit(&run.job.head, &run.job.body, model),
        false => wire.render_request(request, model),
    }
}
