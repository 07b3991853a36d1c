//! Makes a batch: its requests in the provider's own wire, handed over in the way that the provider takes them.

use super::upload::{add, keep, list};
use super::{At, BatchAsk, dialect, of_consumer};
use crate::attempt::{self, Attempt, Incoming, Outgoing};
use crate::drive::Run;
use crate::failure::unoffered;
use crate::whole;
use bytes::Bytes;
use http::{HeaderValue, Method};
use llmleaf_dialects::batches::items::Problems;
use llmleaf_dialects::batches::{BatchWire, FilesQuirks, Item, Making, Task, added, joined};
use llmleaf_dialects::splice::{Splices, quote};
use llmleaf_dialects::{Rendered, Target};
use llmleaf_model::{Failure, FailureKind, Loss, Retry};
use std::time::Duration;

/// Bytes of requests that are added to a batch at once, where they are added.
pub(super) const ADDED_BYTES: usize = 8 * 1024 * 1024;
/// What a file is called that no consumer named.
const FILE: &str = "batch.jsonl";
/// How often a service is asked whether it has looked at a file, and how long it may take.
const RIPENS: Duration = Duration::from_millis(500);
const LOOKS: usize = 60;

pub(super) async fn run(
    run: &mut Run,
    attempt: &mut Attempt,
    at: At<'_>,
    ask: &BatchAsk,
) -> Result<(), Failure> {
    let wire = at.offer.wire();
    let endpoint = endpoint(at);
    let items = match (&ask.file, &ask.filed) {
        (None, None) => rendered(run, at, ask)?,
        _ => Vec::new(),
    };
    lost(run, at, ask)?;
    let input = match (&ask.file, wire, &ask.filed) {
        (Some(file), ..) => file.clone().into_bytes(),
        (None, BatchWire::Files(quirks), filed) => {
            let reply = match filed {
                Some(filed) => keep(run, attempt, at, filed, quirks).await?,
                None => upload(run, attempt, at, quirks, (FILE, &items.concat())).await?,
            };
            file_id(&reply)?.into_bytes()
        }
        (None, BatchWire::Added, _) => Vec::new(),
        (None, BatchWire::Messages | BatchWire::GenerateContent, _) => joined(&items),
    };
    let making = Making {
        model: at.upstream.named(&at.candidate.model),
        endpoint,
        window: ask.window.as_deref(),
        labels: &ask.labels,
        mark: &ask.mark,
    };
    let path = match at.offer.batches.create {
        Some(path) => at.upstream.path(path, &at.candidate.model, false),
        None => at.jobs(None, "", "").into(),
    };
    // A service that did not answer may have made it all the same: who made another one elsewhere would have two.
    let made = match (wire, &ask.filed) {
        (BatchWire::Messages | BatchWire::GenerateContent, Some(filed)) => {
            list(run, attempt, at, filed, (&making, &path)).await
        }
        _ => {
            let body = Bytes::from(wire.make(&making, &input));
            post(run, attempt, at, &path, body).await
        }
    };
    let made = made.map_err(once)?;
    let made = match wire {
        BatchWire::Added => filled(run, attempt, at, ask, (&made, &items)).await?,
        _ => made,
    };
    super::look::tell(run, attempt, at, ask, made)
}

/// Adds its requests to a batch that was made without any; what the provider says of it then.
async fn filled(
    run: &mut Run,
    attempt: &mut Attempt,
    at: At<'_>,
    ask: &BatchAsk,
    (made, items): (&[u8], &[Vec<u8>]),
) -> Result<Bytes, Failure> {
    let wire = at.offer.wire();
    let id = wire.parse_batch(made)?.id;
    let path = at.jobs(Some(&id), "/requests", "");
    let added = match &ask.filed {
        Some(filed) => add(run, attempt, at, filed, &path).await,
        None => added_all(run, attempt, at, items, &path).await,
    };
    if let Err(failure) = added {
        // Half a batch is none.
        let path = at.jobs(Some(&id), wire.cancel_tail(), "");
        let _ = post(run, attempt, at, &path, Bytes::new()).await;
        return Err(failure);
    }
    get(run, attempt, at, &at.jobs(Some(&id), "", "")).await
}

async fn added_all(
    run: &mut Run,
    attempt: &mut Attempt,
    at: At<'_>,
    items: &[Vec<u8>],
    path: &str,
) -> Result<(), Failure> {
    for piece in pieces(items) {
        let body = Bytes::from(added::add(&piece));
        post(run, attempt, at, path, body).await.map_err(once)?;
    }
    Ok(())
}

/// The path that the service's requests are for.
fn endpoint(at: At<'_>) -> &'static str {
    match at.offer.wire() {
        BatchWire::Files(quirks) => quirks.endpoint(at.offer.task).unwrap_or_default(),
        _ => "",
    }
}

pub(super) fn once(mut failure: Failure) -> Failure {
    let ambiguous = matches!(
        failure.kind,
        FailureKind::Timeout | FailureKind::Truncated | FailureKind::InvalidResponse
    );
    if ambiguous || failure.possibly_billed {
        failure.retry = Retry::Never;
    }
    failure
}

/// What cannot be attached there.
fn lost(run: &mut Run, at: At<'_>, ask: &BatchAsk) -> Result<(), Failure> {
    let keeps = matches!(at.offer.wire(), BatchWire::Files(quirks) if quirks.labels);
    let mut losses = std::mem::take(&mut run.losses);
    if !keeps && !ask.labels.is_empty() {
        losses.push(Loss::dropped(
            "metadata",
            "the provider keeps none with a batch",
        ));
    }
    let keeps = matches!(at.offer.wire(), BatchWire::Files(_));
    if !keeps && ask.window.as_deref().is_some_and(|window| window != "24h") {
        losses.push(Loss::dropped(
            "completion_window",
            "the provider has one of its own",
        ));
    }
    let rendered = Rendered {
        body: Bytes::new(),
        losses,
        usage_added: false,
    };
    attempt::accepted(run, rendered).map(drop)
}

/// Every request, as it stands in the provider's list or file. Whatever is wrong is told by line.
pub(super) fn rendered(run: &mut Run, at: At<'_>, ask: &BatchAsk) -> Result<Vec<Vec<u8>>, Failure> {
    let wire = at.offer.wire();
    let most = wire.most();
    if ask.items.len() > most {
        let message = format!("the provider takes at most {most} requests in a batch");
        return Err(Failure::invalid(message, Some("requests")));
    }
    let mut losses: Vec<Loss> = Vec::new();
    let mut problems = Problems::default();
    let mut items = Vec::with_capacity(ask.items.len());
    for item in &ask.items {
        match one(at, ask, item, &mut losses) {
            Ok(bytes) => items.push(bytes),
            // Another target may be able to.
            Err(failure) if failure.retry == Retry::NextTarget => return Err(failure),
            Err(failure) => problems.add("request", item.line, &failure.message),
        }
        if problems.is_full() {
            break;
        }
    }
    problems.check("requests")?;
    run.losses = losses;
    Ok(items)
}

/// One request in the provider's wire, with what lies around it.
pub(super) fn one(
    at: At<'_>,
    ask: &BatchAsk,
    item: &Item,
    losses: &mut Vec<Loss>,
) -> Result<Vec<u8>, Failure> {
    let wire = at.offer.wire();
    if let Some(objection) = wire.objection(&item.custom_id) {
        return Err(Failure::invalid(objection, Some("custom_id")));
    }
    unkept(ask.task, item)?;
    let known = ask
        .models
        .iter()
        .find(|known| known.name == item.head.model);
    let model = known.and_then(|known| known.at(at.candidate.provider));
    let model = model.ok_or_else(|| unoffered("the target does not serve all of its models"))?;
    let rendered = body(at, ask.task, item, at.upstream.named(model))?;
    for loss in rendered.losses {
        let routing = llmleaf_dialects::preferences::is_field(&loss.field);
        if !routing && !losses.contains(&loss) {
            losses.push(loss);
        }
    }
    let mut out = Vec::with_capacity(rendered.body.len() + 128);
    wire.write_item(&mut out, &item.custom_id, endpoint(at), &rendered.body);
    Ok(out)
}

/// A request of a batch cannot go on from an answer that is kept elsewhere, under a name that its provider does not know.
fn unkept(task: Task, item: &Item) -> Result<(), Failure> {
    if task != Task::Responses {
        return Ok(());
    }
    let text = llmleaf_dialects::head::checked(&item.body)?;
    for field in ["previous_response_id", "conversation"] {
        let said = item.head.value(text, field);
        if said.is_some_and(|value| value != "null") {
            let message = format!("`{field}` is not offered in a batch that a provider runs");
            return Err(Failure::invalid(message, Some(field)));
        }
    }
    Ok(())
}

fn body(at: At<'_>, task: Task, item: &Item, model: &str) -> Result<Rendered, Failure> {
    let target = Target {
        model,
        stream: false,
    };
    if task == Task::Embeddings {
        return named(item, model);
    }
    let chat = at.offer.chat;
    if at.offer.task == task && chat.takes(&item.head, &item.body, model) {
        return chat.edit_request(&item.head, &item.body, target);
    }
    let text = llmleaf_dialects::head::text(&item.body)?;
    let mut request = dialect(task).parse_request(text)?;
    request.stream = false;
    let mut rendered = chat.render_request(&request, target)?;
    if let Some(field) = llmleaf_dialects::unrestored(&request, chat) {
        // Who reads the results knows nothing of the request any more.
        rendered.losses.push(Loss::approximated(
            field,
            "results of a batch name such tools as the provider does",
        ));
    }
    Ok(rendered)
}

/// A request of which the model's name alone is edited.
fn named(item: &Item, model: &str) -> Result<Rendered, Failure> {
    let text = llmleaf_dialects::head::checked(&item.body)?;
    let mut splices = Splices::new();
    if let Some(field) = item.head.field(text, "model") {
        splices.replace(field.value.clone(), quote(model));
    }
    Ok(Rendered {
        body: splices.apply(text).into(),
        losses: Vec::new(),
        usage_added: false,
    })
}

/// The requests in pieces of bounded size.
fn pieces(items: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    let (mut from, mut size) = (0, 0);
    for (at, item) in items.iter().enumerate() {
        if size > 0 && size + item.len() > ADDED_BYTES {
            pieces.push(joined(items.get(from..at).unwrap_or_default()));
            (from, size) = (at, 0);
        }
        size += item.len();
    }
    pieces.push(joined(items.get(from..).unwrap_or_default()));
    pieces
}

/// Sends a file of requests; what the provider says of it.
pub(super) async fn upload(
    run: &mut Run,
    attempt: &mut Attempt,
    at: At<'_>,
    quirks: &FilesQuirks,
    (name, lines): (&str, &[u8]),
) -> Result<Bytes, Failure> {
    let form = Form::new(&run.job.id, quirks);
    let body = [form.head(name).as_bytes(), lines, form.tail().as_bytes()].concat();
    let path = at.files(None, &quirks.upload)?;
    let going = Outgoing {
        method: Method::POST,
        wire: at.offer.chat,
        path: &path,
        body: body.into(),
        stream: false,
        same: false,
        kind: Some(form.kind()),
    };
    let reply = ask_for(run, attempt, at, going).await?;
    let id = file_id(&reply)?;
    if quirks.files_ripen {
        ripen(run, attempt, at, &id).await?;
    }
    Ok(reply)
}

pub(super) fn file_id(reply: &[u8]) -> Result<String, Failure> {
    let text = String::from_utf8_lossy(reply);
    let object = llmleaf_dialects::object::Object::parse(&text).ok();
    let id = object.as_ref().and_then(|object| object.get("id"));
    let id = id.and_then(llmleaf_dialects::object::string);
    id.map(Into::into).ok_or_else(|| {
        let message = "the provider took a file and did not name it";
        Failure::upstream(FailureKind::InvalidResponse, message)
    })
}

/// Waits until the service has looked at a file.
pub(super) async fn ripen(
    run: &mut Run,
    attempt: &mut Attempt,
    at: At<'_>,
    id: &str,
) -> Result<(), Failure> {
    let path = at.files(Some(id), "")?;
    for _ in 0..LOOKS {
        let reply = get(run, attempt, at, &path).await?;
        let text = String::from_utf8_lossy(&reply);
        let object = llmleaf_dialects::object::Object::parse(&text).unwrap_or_default();
        let status = object
            .get("status")
            .and_then(llmleaf_dialects::object::string);
        match status.as_deref() {
            Some("pending" | "uploading" | "uploaded" | "running" | "notRunning") => {
                let until = run.node.shared.now().after(RIPENS);
                run.pause(until).await?;
            }
            Some("error" | "failed") => {
                let message = "the provider cannot use the file of requests";
                return Err(Failure::invalid(message, Some("requests")));
            }
            _ => return Ok(()),
        }
    }
    let message = "the provider has not looked at the file of requests yet";
    Err(Failure::upstream(FailureKind::Overloaded, message))
}

/// A form that sends a file of requests.
pub(super) struct Form {
    boundary: String,
    purpose: String,
    named: bool,
}

impl Form {
    /// `id` is one that nothing else has.
    pub fn new(id: &str, quirks: &FilesQuirks) -> Self {
        Self {
            boundary: format!("llmleaf-{id}"),
            purpose: quirks.purpose.to_string(),
            named: quirks.named_in_form,
        }
    }

    pub fn kind(&self) -> HeaderValue {
        let text = format!("multipart/form-data; boundary={}", self.boundary);
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("multipart/form-data"))
    }

    /// What stands before the lines. Each of those is a JSON object, so none can be taken for a boundary.
    pub fn head(&self, name: &str) -> String {
        let field = |name: &str, value: &str| {
            let boundary = &self.boundary;
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            )
        };
        let mut head = field("purpose", &self.purpose);
        if self.named {
            head.push_str(&field("file_name", name));
            head.push_str(&field("file_type", "jsonl"));
        }
        let boundary = &self.boundary;
        head.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             Content-Type: application/jsonl\r\n\r\n"
        ));
        head
    }

    pub fn tail(&self) -> String {
        format!("\r\n--{}--\r\n", self.boundary)
    }
}

/// A reply to a body.
pub(super) async fn post(
    run: &mut Run,
    attempt: &mut Attempt,
    at: At<'_>,
    path: &str,
    body: Bytes,
) -> Result<Bytes, Failure> {
    let going = Outgoing {
        method: Method::POST,
        wire: at.offer.chat,
        path,
        body,
        stream: false,
        same: true,
        kind: None,
    };
    ask_for(run, attempt, at, going).await
}

/// A reply to a question.
pub(super) async fn get(
    run: &mut Run,
    attempt: &mut Attempt,
    at: At<'_>,
    path: &str,
) -> Result<Bytes, Failure> {
    let going = asking(at, Method::GET, path);
    ask_for(run, attempt, at, going).await.map_err(of_consumer)
}

/// A request without a body.
pub(super) fn asking<'a>(at: At<'_>, method: Method, path: &'a str) -> Outgoing<'a> {
    Outgoing {
        method,
        wire: at.offer.chat,
        path,
        body: Bytes::new(),
        stream: false,
        same: true,
        kind: None,
    }
}

pub(super) async fn ask_for(
    run: &mut Run,
    attempt: &mut Attempt,
    at: At<'_>,
    going: Outgoing<'_>,
) -> Result<Bytes, Failure> {
    let sent = attempt::send(run, attempt, at.candidate, at.upstream, going).await;
    let Incoming {
        mut watch, body, ..
    } = sent?;
    whole::gather(run, &mut watch, body).await
}
