//! What was said is written down: an upload, or sound inside JSON, to whatever form the target has.

use super::form::{Making, change};
use super::{header, heard, local};
use crate::asking::is_whole;
use crate::attempt::{self, Attempt, Incoming, Manner, Outgoing};
use crate::drive::Run;
use crate::failure::unoffered;
use crate::upload;
use crate::upstream::Upstream;
use bytes::Bytes;
use http::{HeaderValue, Method};
use llmleaf_dialects::splice::{Splices, quote};
use llmleaf_dialects::transcription::{
    self, Ask, JsonRequest, Request, Task, TranscriptionWire, Whole, parse_json, render_form,
};
use llmleaf_dialects::{ChatWire, Rendered};
use llmleaf_model::{Failure, Loss};
use llmleaf_providers::Transcription;
use llmleaf_route::Candidate;
use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

/// Where one target is asked, and how.
struct Way<'a> {
    attempt: &'a mut Attempt,
    candidate: &'a Candidate,
    upstream: &'a Upstream,
    chat: &'static ChatWire,
    wire: &'static TranscriptionWire,
    path: llmleaf_providers::Path,
    model: &'a str,
    task: Task,
}

/// Asks one target.
pub(super) async fn run(
    run: &mut Run,
    attempt: &mut Attempt,
    candidate: &Candidate,
    upstream: &Upstream,
    task: Task,
) -> Result<(), Failure> {
    let (wire, path) = match &upstream.row.speaks.transcription {
        Some(Transcription::Wire {
            wire,
            path,
            translations,
        }) => match (task, translations) {
            (Task::Transcribe, _) => (wire, *path),
            (Task::Translate, Some(path)) => (wire, *path),
            (Task::Translate, None) => {
                return Err(unoffered("the target does not translate what is said"));
            }
        },
        Some(Transcription::Echo) => return local::listen(run, attempt, task).await,
        None => return Err(unoffered("the target writes down nothing that is said")),
    };
    let Some((chat, _)) = upstream.wire(run.job.dialect, &candidate.model) else {
        return Err(unoffered("the target writes down nothing that is said"));
    };
    let way = Way {
        attempt,
        candidate,
        upstream,
        chat,
        wire,
        path,
        model: upstream.named(&candidate.model),
        task,
    };
    match run.job.upload.clone() {
        Some(upload) => Box::pin(uploaded(run, way, upload)).await,
        None => Box::pin(whole(run, way)).await,
    }
}

/// What is asked of the target, and whether its answer is to come as it is made.
fn asked(way: &Way<'_>, request: &Request) -> Result<(Ask, bool), Failure> {
    let ask = answers(way.wire, request)?;
    Ok((ask, request.stream && way.wire.streams()))
}

fn answers(wire: &TranscriptionWire, request: &Request) -> Result<Ask, Failure> {
    match (&request.other_format, wire) {
        // A format that nobody knows goes to those who take any, and its answer back as it is.
        (Some(_), TranscriptionWire::Form(quirks)) if quirks.is_plain() => Ok(Ask::Same),
        (Some(format), _) => Err(transcription::unsupported(format)),
        (None, _) => wire.ask(request.format),
    }
}

/// Whether a target takes every field of the request.
pub(super) fn expresses(run: &Run, upstream: &Upstream, task: Task, model: &str) -> bool {
    let wire = match &upstream.row.speaks.transcription {
        Some(Transcription::Wire {
            wire, translations, ..
        }) if task == Task::Transcribe || translations.is_some() => wire,
        Some(Transcription::Echo) => return true,
        _ => return false,
    };
    // What a form asks of its target is found out where it is sent: nothing in it asks for routing.
    if run.job.upload.is_some() {
        return true;
    }
    let text = llmleaf_dialects::head::text(&run.job.body);
    let Ok(json) = text.and_then(parse_json) else {
        return false;
    };
    let rendered = render(run, (wire, upstream.named(model), task), &json);
    answers(wire, &json.request).is_ok() && is_whole(rendered.map(|whole| whole.rendered))
}

/// A form, sent on while it comes.
async fn uploaded(run: &mut Run, mut way: Way<'_>, upload: upload::Upload) -> Result<(), Failure> {
    let ahead = upload.ahead();
    let making = Making {
        boundary: ahead.map(|ahead| ahead.0.clone()).unwrap_or_default(),
        model: way.model.to_owned(),
        wire: way.wire,
        task: way.task,
        upload: upload.clone(),
    };
    let (seen, length) = making.glance()?;
    let stream = asked(&way, seen.request())?.1;
    let mut losses = seen.losses().to_vec();
    attempt::heeded(run, false, &mut losses);
    accepted(run, losses)?;
    let passing = Rc::new(RefCell::new(seen));
    let feeds = {
        let passing = Rc::clone(&passing);
        let making = making.clone();
        move || making.feed(&passing, length)
    };
    let kind = match way.wire {
        TranscriptionWire::Form(_) => header(&format!(
            "multipart/form-data; boundary={}",
            quoted(&making.boundary)
        )),
        TranscriptionWire::GenerateContent => HeaderValue::from_static("application/json"),
    };
    let manner = Manner {
        accept: Some("*/*"),
        fed: Some((&upload, &feeds)),
    };
    let incoming = send(run, &mut way, (kind, Bytes::new(), stream), manner).await?;
    // The answer came: nobody else is asked.
    let request = passing.borrow().request().clone();
    for loss in passing.borrow().losses() {
        if !run.losses.contains(loss) {
            run.losses.push(loss.clone());
        }
    }
    answer(run, way, &request, incoming).await
}

/// A boundary as a parameter.
fn quoted(boundary: &str) -> Cow<'_, str> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"'+_-.".contains(&b);
    match boundary.bytes().all(token) {
        true => Cow::Borrowed(boundary),
        false => format!("\"{boundary}\"").into(),
    }
}

/// Sound inside JSON.
async fn whole(run: &mut Run, mut way: Way<'_>) -> Result<(), Failure> {
    let body = run.job.body.clone();
    let json = parse_json(llmleaf_dialects::head::text(&body)?)?;
    let (_, stream) = asked(&way, &json.request)?;
    let Whole {
        mut rendered,
        content_type,
    } = render(run, (way.wire, way.model, way.task), &json)?;
    attempt::heeded(run, false, &mut rendered.losses);
    let rendered = attempt::accepted(run, rendered)?;
    let kind = header(&content_type);
    let manner = Manner {
        accept: Some("*/*"),
        fed: None,
    };
    let incoming = send(run, &mut way, (kind, rendered.body, stream), manner).await?;
    answer(run, way, &json.request, incoming).await
}

fn render(
    run: &Run,
    (wire, model, task): (&TranscriptionWire, &str, Task),
    json: &JsonRequest<'_>,
) -> Result<Whole, Failure> {
    match wire {
        TranscriptionWire::GenerateContent => json.render_generate(task),
        TranscriptionWire::Form(quirks)
            if quirks.json && answers(wire, &json.request)? == Ask::Same =>
        {
            let text = llmleaf_dialects::head::text(&run.job.body)?;
            let mut splices = Splices::new();
            if let Some(field) = run.job.head.field(text, "model") {
                splices.replace(field.value.clone(), quote(model));
            }
            Ok(Whole {
                rendered: Rendered {
                    body: Bytes::from(splices.apply(text)),
                    losses: Vec::new(),
                    usage_added: false,
                },
                content_type: Cow::Borrowed("application/json"),
            })
        }
        TranscriptionWire::Form(quirks) => {
            // Nothing of the sound can say it by chance: it is this exchange's own.
            let boundary = format!("llmleaf-{}", run.job.id.replace('-', ""));
            render_form(json, &boundary, &change(model, quirks))
        }
    }
}

async fn send(
    run: &mut Run,
    way: &mut Way<'_>,
    (kind, body, stream): (HeaderValue, Bytes, bool),
    manner: Manner<'_>,
) -> Result<Incoming, Failure> {
    let path = way.upstream.path(way.path, &way.candidate.model, stream);
    let going = Outgoing {
        method: Method::POST,
        wire: way.chat,
        path: &path,
        body,
        stream,
        same: matches!(way.wire, TranscriptionWire::Form(_)),
        kind: Some(kind),
    };
    let (candidate, upstream) = (way.candidate, way.upstream);
    attempt::send_as(run, way.attempt, candidate, upstream, going, manner).await
}

async fn answer(
    run: &mut Run,
    way: Way<'_>,
    request: &Request,
    incoming: Incoming,
) -> Result<(), Failure> {
    let same = answers(way.wire, request).is_ok_and(|ask| ask == Ask::Same);
    let asked = heard::Asked {
        wire: way.wire,
        chat: way.chat,
        same,
        request,
        task: way.task,
    };
    heard::run(run, way.attempt, asked, incoming).await
}

fn accepted(run: &mut Run, losses: Vec<Loss>) -> Result<(), Failure> {
    let rendered = Rendered {
        body: Bytes::new(),
        losses,
        usage_added: false,
    };
    attempt::accepted(run, rendered).map(drop)
}
