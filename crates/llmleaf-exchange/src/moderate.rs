//! Verdicts on texts, pictures and conversations: one request, one whole answer, over the same walk as chat.

use crate::attempt::{self, Attempt, Incoming, Outgoing};
use crate::drive::Run;
use crate::upstream::Upstream;
use crate::whole;
use bytes::Bytes;
use http::{Method, StatusCode};
use llmleaf_dialects::{ModerationForm, Rendered};
use llmleaf_model::{Failure, FailureKind, ModerationRequest, Origin, Retry, Usage};
use llmleaf_providers::Moderations as Offered;
use llmleaf_route::Candidate;

/// Asks one target.
pub(crate) async fn run(
    run: &mut Run,
    attempt: &mut Attempt,
    candidate: &Candidate,
    upstream: &Upstream,
    form: ModerationForm,
) -> Result<(), Failure> {
    let text = llmleaf_dialects::head::text(&run.job.body)?;
    let request = form.parse_request(text, &run.job.head.model)?;
    let (wire, paths) = match &upstream.row.speaks.moderations {
        Some(Offered::Wire(wire, inputs, conversations)) => (wire, (inputs, conversations)),
        Some(Offered::Echo) => {
            let answer = llmleaf_providers::echo::moderate(&request);
            let body = Bytes::from(form.render(&answer, &request));
            answered(run, attempt, answer.usage, body);
            return Ok(());
        }
        None => return Err(unsupported()),
    };
    let Some((chat, _)) = upstream.wire(run.job.dialect, &candidate.model) else {
        return Err(unsupported());
    };
    let same = wire.is_same(form);
    let mut rendered = rendered(run, wire, form, &request, &candidate.model)?;
    attempt::heeded(run, false, &mut rendered.losses);
    let rendered = attempt::accepted(run, rendered)?;
    let path = match form {
        ModerationForm::Conversations if same => paths.1,
        _ => paths.0,
    };
    let path = upstream.path(*path, &candidate.model, false);
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
    let answer = wire.parse_answer(&body, form, &request)?;
    let body = match same {
        true => wire.pass(form, body),
        false => Bytes::from(form.render(&answer, &request)),
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
            let routing = |field: &str| llmleaf_dialects::preferences::is_field(field);
            rendered(run, wire, form, &request, model)
                .is_ok_and(|r| r.losses.iter().all(|loss| routing(&loss.field)))
        }
        (Ok(_), Some(Offered::Echo)) => true,
        _ => false,
    }
}

fn rendered(
    run: &Run,
    wire: &llmleaf_dialects::ModerationWire,
    form: ModerationForm,
    request: &ModerationRequest,
    model: &str,
) -> Result<Rendered, Failure> {
    match wire.is_same(form) {
        true => wire.edit(&run.job.head, &run.job.body, request, model),
        false => wire.render_request(request, model),
    }
}

fn answered(run: &mut Run, attempt: &mut Attempt, usage: Option<Usage>, body: Bytes) {
    attempt.meter.usage = usage;
    attempt.first_content(run.node.shared.now());
    attempt.complete(&run.losses);
    run.whole(StatusCode::OK, body);
}

fn unsupported() -> Failure {
    let why = "the target does not offer moderation";
    let mut failure = Failure::new(Origin::Gateway, FailureKind::Unsupported, why);
    failure.retry = Retry::NextTarget;
    failure
}
