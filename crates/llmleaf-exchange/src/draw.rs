//! Images: one request; a whole answer, or a stream that shows images on their way. Over the same walk as chat.

use crate::asking::{is_whole, unsupported};
use crate::attempt::{self, Attempt, Incoming, Outgoing};
use crate::drive::Run;
use crate::pump::{Mode, Pump};
use crate::stream;
use crate::upstream::Upstream;
use crate::whole;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use llmleaf_dialects::ImageForm;
use llmleaf_dialects::images::Prepared;
use llmleaf_model::{Failure, ImageRequest, Images};
use llmleaf_providers::{ImageService, Images as Offered, Path};
use llmleaf_route::Candidate;

const WHAT: &str = "such images";

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
        None => return Err(unsupported(WHAT)),
    };
    let path = path(service, form).ok_or_else(|| unsupported(WHAT))?;
    let Some((chat, _)) = upstream.wire(run.job.dialect, &candidate.model) else {
        return Err(unsupported(WHAT));
    };
    let wire = &service.wire;
    let consumer = (&run.job.head, &run.job.body);
    // Nothing of an image can say it by chance: it is this exchange's own.
    let boundary = format!("llmleaf-{}", run.job.id.replace('-', ""));
    let Prepared {
        mut rendered,
        content_type,
    } = wire.prepare(form, consumer, &request, (model, &boundary))?;
    let stream = request.stream && wire.streams();
    // Its images may be megabytes, and what goes out is written.
    drop(request);
    attempt::heeded(run, wire.routes(), &mut rendered.losses);
    let rendered = attempt::accepted(run, rendered)?;
    let kind = content_type.and_then(|kind| HeaderValue::from_str(&kind).ok());
    let path = upstream.path(path, &candidate.model, false);
    let going = Outgoing {
        method: Method::POST,
        wire: chat,
        path: &path,
        body: rendered.body,
        stream,
        same: wire.is_same(),
        kind,
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
        let mut pump = Box::new(Pump::new(wire.decoder(), mode));
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
    let prepared = service.wire.prepare(form, consumer, request, (model, "b"));
    is_whole(prepared.map(|prepared| prepared.rendered)) && path(service, form).is_some()
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
        attempt.first_content(now);
        attempt.complete(&run.losses);
        let body = match through {
            Some(body) => body,
            None => run.explaining(form.render(&answer, created)).into(),
        };
        run.whole(StatusCode::OK, body);
        return Ok(());
    }
    run.content(attempt, now);
    run.stream_head();
    run.out.write(&form.render_stream(&answer, created));
    let losses = run.losses.clone();
    run.late_losses(&losses);
    attempt.complete(&losses);
    run.explain_late();
    run.out.close();
    Ok(())
}
