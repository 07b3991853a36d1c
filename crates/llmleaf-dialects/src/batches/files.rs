//! OpenAI's batches and their kin: a file of requests goes in, files of results come out.
//!
//! Sources: OpenAI's document 2.3.0, Groq's 2.1, Moonshot's 1.0.0, Mistral's 1.0.0 (all 2026-08), Together's 2.0.0 (2026-04), Azure's REST
//! reference (2026-11), and recordings of 2025 and 2026. Answers and errors of single requests come in two files; who reads one of them
//! misses the others.

use super::{BatchForm, Kind, Making, Naming, Task, reading};
use crate::head::Head;
use crate::object::{Object, string};
use crate::splice::{Splices, quote};
use crate::writer::ObjectWriter;
use bytes::Bytes;
use llmleaf_model::{
    Batch, BatchCounts, BatchOutcome, BatchProblem, BatchResult, BatchStatus, percent,
};
use serde::Deserialize;
use std::borrow::Cow;

/// What a gateway writes its mark under, among the labels of a batch.
pub const MARK: &str = "llmleaf";

/// How services differ.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "snake_case")]
pub struct FilesQuirks {
    /// Where files are sent, below where they are found.
    pub upload: Cow<'static, str>,
    /// The purpose of a file of requests.
    pub purpose: Cow<'static, str>,
    /// Name and type of a file are fields of the form.
    pub named_in_form: bool,
    /// What requests may be for.
    pub endpoints: Cow<'static, [Cow<'static, str>]>,
    /// How jobs are described.
    pub jobs: Jobs,
    /// A batch may be labelled.
    pub labels: bool,
    /// A file can be used only when it was looked at, some time after it was sent.
    pub files_ripen: bool,
}

/// How a service describes a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Jobs {
    /// As OpenAI does.
    #[default]
    Reference,
    /// The object stands below `job`, states are upper case, times are texts.
    Wrapped,
    /// Several inputs, one model said once, states of its own.
    OfOneModel,
}

impl FilesQuirks {
    /// As OpenAI documents it.
    pub const REFERENCE: Self = Self {
        upload: Cow::Borrowed(""),
        purpose: Cow::Borrowed("batch"),
        named_in_form: false,
        endpoints: Cow::Borrowed(&[
            Cow::Borrowed("/v1/chat/completions"),
            Cow::Borrowed("/v1/responses"),
            Cow::Borrowed("/v1/embeddings"),
        ]),
        jobs: Jobs::Reference,
        labels: true,
        files_ripen: false,
    };
    /// The same, for chat alone.
    pub const CHAT: Self = Self {
        endpoints: Cow::Borrowed(&[Cow::Borrowed("/v1/chat/completions")]),
        ..Self::REFERENCE
    };

    /// The path that a task has there; services differ in whether it names the version.
    pub fn endpoint(&self, task: Task) -> Option<&str> {
        let mut all = self.endpoints.iter();
        all.find(|endpoint| Task::of(endpoint) == Some(task))
            .map(|endpoint| &**endpoint)
    }

    pub(super) fn takes(&self, task: Task) -> bool {
        self.endpoint(task).is_some()
    }

    pub(super) fn is_reference_object(&self) -> bool {
        self.jobs == Jobs::Reference
    }

    /// The model is said once for all requests, which do not name it.
    pub fn says_model_once(&self) -> bool {
        self.jobs == Jobs::OfOneModel
    }
}

impl Default for FilesQuirks {
    fn default() -> Self {
        Self::REFERENCE
    }
}

pub(super) fn write_item(
    out: &mut Vec<u8>,
    custom_id: &str,
    endpoint: &str,
    body: &[u8],
    quirks: &FilesQuirks,
) {
    let mut item = ObjectWriter::new(out);
    item.string("custom_id", custom_id);
    if !quirks.says_model_once() {
        item.string("method", "POST");
        item.string("url", endpoint);
    }
    let text = String::from_utf8_lossy(body);
    match quirks.says_model_once() {
        true => item.raw("body", &without_model(&text)),
        false => item.raw("body", &text),
    };
    item.end();
    out.push(b'\n');
}

fn without_model(body: &str) -> Cow<'_, str> {
    let removal = Head::read(body.as_bytes())
        .ok()
        .and_then(|head| head.removal(body, "model"));
    let Some(range) = removal else {
        return Cow::Borrowed(body);
    };
    let mut splices = Splices::new();
    splices.remove(range);
    Cow::Owned(String::from_utf8_lossy(&splices.apply(body)).into_owned())
}

pub(super) fn make(making: &Making<'_>, file: &str, quirks: &FilesQuirks) -> Vec<u8> {
    let mut out = Vec::new();
    let mut body = ObjectWriter::new(&mut out);
    match quirks.jobs {
        Jobs::OfOneModel => {
            body.raw("input_files", &format!("[{}]", quote(file)));
            body.string("model", making.model);
        }
        Jobs::Reference | Jobs::Wrapped => {
            body.string("input_file_id", file);
        }
    }
    body.string("endpoint", making.endpoint);
    match (quirks.jobs, making.window) {
        (Jobs::OfOneModel, window) => {
            if let Some(hours) = window.and_then(super::window_hours) {
                body.number("timeout_hours", hours);
            }
        }
        (Jobs::Reference | Jobs::Wrapped, window) => {
            body.string("completion_window", window.unwrap_or("24h"));
        }
    }
    if quirks.labels {
        body.object("metadata", |labels| {
            for (name, value) in making.labels {
                labels.string(name, value);
            }
            labels.string(MARK, making.mark);
        });
    }
    body.end();
    out
}

pub(super) fn parse_batch(text: &str, quirks: &FilesQuirks) -> Option<Batch> {
    let object = Object::parse(text).ok()?;
    // The reply to making one is wrapped, the later ones are not.
    let inner = reading::inner(&object, "job").filter(|_| quirks.jobs == Jobs::Wrapped);
    batch(inner.as_ref().unwrap_or(&object), quirks)
}

fn batch(object: &Object<'_>, quirks: &FilesQuirks) -> Option<Batch> {
    let status = status(&reading::text(object, "status")?);
    let first = |names: &[&str]| names.iter().find_map(|name| reading::text(object, name));
    let time = |names: &[&str]| names.iter().find_map(|name| reading::time(object, name));
    let mut labels = reading::labels(object, "metadata");
    let mark = labels.iter().position(|(name, _)| name == MARK);
    let mark = mark.map(|at| labels.remove(at).1);
    let inputs = reading::list(object, "input_files");
    let input = inputs.first().and_then(|raw| string(raw));
    Some(Batch {
        id: reading::text(object, "id")?,
        status,
        counts: counts(object, status, quirks),
        created: time(&["created_at"]),
        begun: time(&["in_progress_at", "started_at"]),
        expires: time(&["expires_at", "job_deadline"]),
        ended: time(&["completed_at", "failed_at", "expired_at", "cancelled_at"])
            .filter(|_| status.is_final()),
        stopping: time(&["cancelling_at"]),
        input: first(&["input_file_id"]).or(input.map(Cow::into_owned)),
        output: first(&["output_file_id", "output_file"]),
        errors: first(&["error_file_id", "error_file"]),
        problems: problems(object),
        labels,
        mark,
    })
}

/// Its end or way, in whichever words: OpenAI's, the same in upper case (Together), Mistral's.
fn status(word: &str) -> BatchStatus {
    match &*word.to_ascii_lowercase() {
        "validating" | "queued" => BatchStatus::Validating,
        "finalizing" => BatchStatus::Finalizing,
        "completed" | "success" => BatchStatus::Completed,
        "failed" => BatchStatus::Failed,
        "expired" | "timeout_exceeded" => BatchStatus::Expired,
        "cancelling" | "cancellation_requested" => BatchStatus::Cancelling,
        "cancelled" => BatchStatus::Cancelled,
        _ => BatchStatus::InProgress,
    }
}

fn counts(object: &Object<'_>, status: BatchStatus, quirks: &FilesQuirks) -> BatchCounts {
    let (total, completed, failed) = match quirks.jobs {
        Jobs::OfOneModel => (
            reading::count(object, "total_requests"),
            reading::count(object, "succeeded_requests"),
            reading::count(object, "failed_requests"),
        ),
        Jobs::Reference | Jobs::Wrapped => {
            let counts = reading::inner(object, "request_counts").unwrap_or_default();
            (
                reading::count(&counts, "total"),
                reading::count(&counts, "completed"),
                reading::count(&counts, "failed"),
            )
        }
    };
    let mut counts = BatchCounts {
        completed: completed.unwrap_or_default(),
        failed: failed.unwrap_or_default(),
        ..BatchCounts::default()
    };
    let done = counts.completed.saturating_add(counts.failed);
    let left = total.unwrap_or_default().saturating_sub(done);
    match status {
        BatchStatus::Cancelled => counts.cancelled = left,
        BatchStatus::Expired => counts.expired = left,
        BatchStatus::Failed => counts.failed = counts.failed.saturating_add(left),
        _ => counts.processing = left,
    }
    counts
}

fn problems(object: &Object<'_>) -> Vec<BatchProblem> {
    let wrapped = reading::inner(object, "errors");
    let list = match &wrapped {
        Some(errors) => reading::list(errors, "data"),
        None => reading::list(object, "errors"),
    };
    let each = list.into_iter().filter_map(Object::from_raw);
    let mut problems: Vec<BatchProblem> = each
        .map(|error| BatchProblem {
            message: reading::text(&error, "message").unwrap_or_default(),
            code: reading::text(&error, "code"),
            line: reading::count(&error, "line"),
        })
        .collect();
    problems.extend(reading::text(object, "error").map(|message| BatchProblem {
        message,
        ..BatchProblem::default()
    }));
    problems
}

pub(super) fn list_query(after: Option<&str>, limit: usize, quirks: &FilesQuirks) -> String {
    match (quirks.jobs, after) {
        // It counts pages.
        (Jobs::OfOneModel, after) => format!("page={}&page_size={limit}", after.unwrap_or("0")),
        // It gives all.
        (Jobs::Wrapped, _) => String::new(),
        (Jobs::Reference, Some(after)) => {
            format!("limit={limit}&after={}", percent::encode(after))
        }
        (Jobs::Reference, None) => format!("limit={limit}"),
    }
}

pub(super) fn parse_list(
    text: &str,
    (asked, limit): (Option<&str>, usize),
    quirks: &FilesQuirks,
) -> Option<(Vec<Batch>, Option<String>)> {
    let bare = text.trim_start().starts_with('[');
    let owned;
    let list = match bare {
        true => {
            owned = format!("{{\"data\":{text}}}");
            Object::parse(&owned).ok()?
        }
        false => Object::parse(text).ok()?,
    };
    let items = reading::list(&list, "data");
    let batches = items.into_iter().filter_map(Object::from_raw);
    let batches: Vec<Batch> = batches
        .filter_map(|object| batch(&object, quirks))
        .collect();
    let next = match quirks.jobs {
        Jobs::OfOneModel => {
            // It says how many there are on all pages (Mistral's document 1.0.0, 2026-08, `BatchJobsOut`).
            let page: u64 = asked.and_then(|page| page.parse().ok()).unwrap_or(0);
            let next = page.saturating_add(1);
            let before = next.saturating_mul(limit as u64);
            let total = reading::count(&list, "total").unwrap_or_default();
            (before < total).then(|| next.to_string())
        }
        Jobs::Reference | Jobs::Wrapped => {
            let more = list.get("has_more").is_some_and(|raw| raw.get() == "true");
            batches.last().map(|last| last.id.clone()).filter(|_| more)
        }
    };
    Some((batches, next))
}

pub(super) fn parse_line(text: &str) -> Option<BatchResult> {
    let line = Object::parse(text).ok()?;
    let custom_id = reading::text(&line, "custom_id")?;
    let response = reading::inner(&line, "response");
    let outcome = match response {
        Some(response) => BatchOutcome::Replied {
            status: reading::count(&response, "status_code")
                .and_then(|status| u16::try_from(status).ok())
                .unwrap_or(200),
            body: Bytes::copy_from_slice(response.get("body")?.get().as_bytes()),
            request_id: reading::text(&response, "request_id"),
        },
        None => {
            let error = reading::inner(&line, "error").unwrap_or_default();
            let code = reading::text(&error, "code");
            match code.as_deref() {
                Some("batch_expired") => BatchOutcome::Expired,
                Some("batch_cancelled") => BatchOutcome::Cancelled,
                _ => BatchOutcome::Failed {
                    code,
                    message: reading::text(&error, "message")
                        .or_else(|| reading::text(&line, "error"))
                        .unwrap_or_else(|| "the provider could not answer it".to_owned()),
                },
            }
        }
    };
    Some(BatchResult { custom_id, outcome })
}

/// A batch of the reference form with its names told otherwise, and without the gateway's own mark; all else as it came.
pub fn renamed(body: &[u8], form: BatchForm, naming: Naming<'_>) -> Option<Bytes> {
    let text = std::str::from_utf8(body).ok()?;
    let head = Head::addressed(body, "-", false).ok()?;
    let mut splices = Splices::new();
    let fields: &[(&str, Kind)] = match form {
        BatchForm::Files => &[
            ("id", Kind::Batch),
            ("input_file_id", Kind::Input),
            ("output_file_id", Kind::Output),
            ("error_file_id", Kind::Errors),
        ],
        BatchForm::Messages => &[("id", Kind::Batch)],
    };
    for (name, kind) in fields {
        if let Some(field) = head.field(text, name)
            && let Some(value) = text.get(field.value.clone())
            && let Ok(own) = serde_json::from_str::<String>(value)
        {
            splices.replace(field.value.clone(), quote(&naming(*kind, &own)));
        }
    }
    if let Some(field) = head.field(text, "results_url")
        && form == BatchForm::Messages
        && let Some(id) = head.value(text, "id")
        && text.get(field.value.clone()) != Some("null")
    {
        let own: String = serde_json::from_str(id).ok()?;
        let path = results_path(&naming(Kind::Batch, &own));
        splices.replace(field.value.clone(), quote(&path));
    }
    unmark(text, &head, &mut splices);
    Some(splices.apply(text).into())
}

/// Takes the gateway's mark out of the labels.
fn unmark(text: &str, head: &Head, splices: &mut Splices<'_>) {
    let Some(range) = head
        .field(text, "metadata")
        .map(|field| field.value.clone())
    else {
        return;
    };
    let Some(inner) = text.get(range.clone()) else {
        return;
    };
    let Ok(labels) = Head::addressed(inner.as_bytes(), "-", false) else {
        return;
    };
    if labels.field(inner, MARK).is_none() {
        return;
    }
    if labels.fields().len() == 1 {
        splices.replace(range, "null");
    } else if let Some(cut) = labels.removal(inner, MARK) {
        splices.remove(range.start + cut.start..range.start + cut.end);
    }
}

/// Where the results of a batch are found on the surface of messages: below the address that the client has.
pub fn results_path(told: &str) -> String {
    format!("/v1/messages/batches/{told}/results")
}
