//! Images: one request; a whole answer, or a stream that shows images on their way. Over the same walk as chat.

use crate::attempt::{self, Attempt, Incoming, Outgoing};
use crate::drive::Run;
use crate::pump::{Mode, Pump};
use crate::stream;
use crate::upstream::Upstream;
use crate::whole;
use bytes::Bytes;
use http::{Method, StatusCode};
use llmleaf_dialects::ImageForm;
use llmleaf_model::{Failure, FailureKind, ImageRequest, Images, Origin, Retry};
use llmleaf_providers::{ImageService, Images as Offered, Path};
use llmleaf_route::Candidate;

/// Longest event of a stream: it holds an image whole, in base64.
const EVENT_BYTES: usize = 64 * 1024 * 1024;

/// Asks one target.
pub(crate) async fn run(
    run: &mut Run,
    attempt: &mut Attempt,
    candidate: &Candidate,
    upstream: &Upstream,
    form: ImageForm,
) -> Result<(), Failure> {
    let text = llmleaf_dialects::head::text(&run.job.body)?;
    let request = form.parse_request(text, &run.job.head.model)?;
    let model = upstream.named(&candidate.model);
    let service = match upstream.row.speaks.images(model) {
        Some(Offered::Service(service)) => service,
        Some(Offered::Echo) => {
            let answer = llmleaf_providers::echo::draw(&request)?;
            return answered(run, attempt, form, answer, None);
        }
        None => return Err(unsupported()),
    };
    let path = path(service, form).ok_or_else(unsupported)?;
    let Some((chat, _)) = upstream.wire(run.job.dialect, &candidate.model) else {
        return Err(unsupported());
    };
    let wire = &service.wire;
    let consumer = (&run.job.head, &run.job.body);
    let mut rendered = wire.prepare(form, consumer, &request, model)?;
    attempt::heeded(run, wire.routes(), &mut rendered.losses);
    let rendered = attempt::accepted(run, rendered)?;
    let stream = request.stream && wire.streams();
    let path = upstream.path(path, &candidate.model, false);
    let going = Outgoing {
        method: Method::POST,
        wire: chat,
        path: &path,
        body: rendered.body,
        stream,
        same: wire.is_same(),
        kind: None,
    };
    let Incoming {
        mut watch,
        headers,
        body,
    } = attempt::send(run, attempt, candidate, upstream, going).await?;
    if stream && attempt::is_event_stream(&headers) {
        let mode = Mode::Relay {
            wire: chat,
            usage_added: false,
        };
        let mut pump = Pump::new(wire.decoder(), mode);
        pump.read_events_of(EVENT_BYTES);
        pump.teller = run.teller();
        return Box::pin(stream::pumped(run, attempt, watch, pump, body)).await;
    }
    let body = whole::gather(run, &mut watch, body).await?;
    let answer = wire.parse_answer(&body)?;
    let through = wire.is_same().then(|| wire.pass(body));
    answered(run, attempt, form, answer, through)
}

/// Whether a target takes every field of the request.
pub(crate) fn expresses(run: &Run, upstream: &Upstream, form: ImageForm, model: &str) -> bool {
    let text = llmleaf_dialects::head::text(&run.job.body);
    let request = text.and_then(|text| form.parse_request(text, &run.job.head.model));
    let model = upstream.named(model);
    match (request, upstream.row.speaks.images(model)) {
        (Ok(request), Some(Offered::Service(service))) => fits(run, service, form, &request, model),
        (Ok(_), Some(Offered::Echo)) => true,
        _ => false,
    }
}

fn fits(
    run: &Run,
    service: &ImageService,
    form: ImageForm,
    request: &ImageRequest,
    model: &str,
) -> bool {
    let consumer = (&run.job.head, &run.job.body);
    let rendered = service.wire.prepare(form, consumer, request, model);
    let routing = |field: &str| llmleaf_dialects::preferences::is_field(field);
    let whole = rendered.is_ok_and(|r| r.losses.iter().all(|loss| routing(&loss.field)));
    whole && path(service, form).is_some()
}

fn path(service: &ImageService, form: ImageForm) -> Option<Path> {
    match form {
        ImageForm::Generations => Some(service.generations),
        ImageForm::Edits => service.edits,
        ImageForm::Variations => service.variations,
    }
}

/// Tells a whole answer: as it came, or rendered. Whoever wants a stream gets the events that end one.
fn answered(
    run: &mut Run,
    attempt: &mut Attempt,
    form: ImageForm,
    answer: Images,
    through: Option<Bytes>,
) -> Result<(), Failure> {
    let now = run.node.shared.now();
    attempt.meter.usage.clone_from(&answer.usage);
    let created = run.job.created;
    if !run.job.head.stream {
        let body = through.unwrap_or_else(|| Bytes::from(form.render(&answer, created)));
        attempt.first_content(now);
        attempt.complete(&run.losses);
        run.whole(StatusCode::OK, body);
        return Ok(());
    }
    run.content(attempt, now);
    run.stream_head();
    run.out.write(&form.render_stream(&answer, created));
    let losses = run.losses.clone();
    run.late_losses(&losses);
    run.out.close();
    attempt.complete(&losses);
    Ok(())
}

fn unsupported() -> Failure {
    let why = "the target does not make images so";
    let mut failure = Failure::new(Origin::Gateway, FailureKind::Unsupported, why);
    failure.retry = Retry::NextTarget;
    failure
}
