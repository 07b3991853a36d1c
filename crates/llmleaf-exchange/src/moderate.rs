//! Verdicts on texts, pictures and conversations: one request, one whole answer, over the same walk as chat.

use crate::asking::{Asking, Body, answered, is_whole, unsupported};
use crate::attempt::Attempt;
use crate::drive::Run;
use crate::upstream::Upstream;
use bytes::Bytes;
use llmleaf_dialects::{ModerationForm, ModerationWire, Rendered};
use llmleaf_model::{Failure, ModerationRequest};
use llmleaf_providers::Moderations as Offered;
use llmleaf_route::Candidate;

const WHAT: &str = "moderation";

/// Asks one target.
pub(crate) async fn run(
    run: &mut Run,
    attempt: &mut Attempt,
    candidate: &Candidate,
    upstream: &Upstream,
    form: ModerationForm,
) -> Result<(), Failure> {
    run.estimated = false;
    let text = llmleaf_dialects::head::text(&run.job.body)?;
    let request = form.parse_request(text, &run.job.head.model)?;
    let (wire, paths) = match &upstream.row.speaks.moderations {
        Some(Offered::Wire(wire, inputs, conversations)) => (wire, (inputs, conversations)),
        Some(Offered::Echo) => {
            let answer = llmleaf_providers::echo::moderate(&request);
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
    let path = match form {
        ModerationForm::Conversations if same => paths.1,
        _ => paths.0,
    };
    let asking = Asking {
        candidate,
        upstream,
        path: *path,
        chat,
        same,
        routes: false,
    };
    let body = asking.ask(run, attempt, rendered).await?;
    let answer = wire.parse_answer(&body, form, &request)?;
    let body = match same {
        true => Body::Through(wire.pass(form, body)),
        false => Body::Own(form.render(&answer, &request).into()),
    };
    answered(run, attempt, answer.usage, body);
    Ok(())
}

/// Whether a target takes every field of the request.
pub(crate) fn expresses(run: &Run, upstream: &Upstream, form: ModerationForm, model: &str) -> bool {
    let text = llmleaf_dialects::head::text(&run.job.body);
    let request = text.and_then(|text| form.parse_request(text, &run.job.head.model));
    match (request, &upstream.row.speaks.moderations) {
        (Ok(request), Some(Offered::Wire(wire, ..))) => {
            is_whole(rendered(run, wire, form, &request, model))
        }
        (Ok(_), Some(Offered::Echo)) => true,
        _ => false,
    }
}

fn rendered(
    run: &Run,
    wire: &ModerationWire,
    form: ModerationForm,
    request: &ModerationRequest,
    model: &str,
) -> Result<Rendered, Failure> {
    match wire.is_same(form) {
        true => wire.edit(&run.job.head, &run.job.body, request, model),
        false => wire.render_request(request, model),
    }
}
