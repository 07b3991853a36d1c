//! What a consumer is told about a batch, and about lists of them.

use super::files::results_path;
use super::{BatchForm, Kind, Naming, Task};
use crate::ollama::moment;
use crate::writer::{ObjectWriter, array};
use llmleaf_model::{Batch, BatchStatus};

/// Renders a batch.
pub fn render(batch: &Batch, form: BatchForm, task: Task, naming: Naming<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    write(&mut out, batch, form, task, naming);
    out
}

fn write(out: &mut Vec<u8>, batch: &Batch, form: BatchForm, task: Task, naming: Naming<'_>) {
    match form {
        BatchForm::Files => openai(out, batch, task, naming),
        BatchForm::Messages => messages(out, batch, naming),
    }
}

/// A batch of which all names are those that a consumer is told.
pub fn named(mut batch: Batch, naming: Naming<'_>) -> Batch {
    let files = [
        (Kind::Input, &mut batch.input),
        (Kind::Output, &mut batch.output),
        (Kind::Errors, &mut batch.errors),
    ];
    for (kind, own) in files {
        if let Some(own) = own {
            *own = naming(kind, own);
        }
    }
    batch.id = naming(Kind::Batch, &batch.id);
    batch
}

/// Renders a page of a list. Each batch by the names that are told, with what its requests are for.
pub fn render_list(batches: &[(Batch, Task)], form: BatchForm, more: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut list = ObjectWriter::new(&mut out);
    if form == BatchForm::Files {
        list.string("object", "list");
    }
    array(list.key("data"), batches, |out, (batch, task)| {
        write(out, batch, form, *task, &|_, told| told.to_owned());
    });
    let first = batches.first().map(|(batch, _)| batch.id.as_str());
    or_null(list.key("first_id"), first);
    let last = batches.last().map(|(batch, _)| batch.id.as_str());
    or_null(list.key("last_id"), last);
    list.bool("has_more", more);
    list.end();
    out
}

fn or_null(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => crate::writer::string(out, text),
        None => out.extend_from_slice(b"null"),
    }
}

fn word(status: BatchStatus) -> &'static str {
    match status {
        BatchStatus::Validating => "validating",
        BatchStatus::InProgress => "in_progress",
        BatchStatus::Finalizing => "finalizing",
        BatchStatus::Completed => "completed",
        BatchStatus::Failed => "failed",
        BatchStatus::Expired => "expired",
        BatchStatus::Cancelling => "cancelling",
        BatchStatus::Cancelled => "cancelled",
    }
}

fn openai(out: &mut Vec<u8>, batch: &Batch, task: Task, naming: Naming<'_>) {
    let mut object = ObjectWriter::new(out);
    object.string("id", &naming(Kind::Batch, &batch.id));
    object.string("object", "batch");
    object.string("endpoint", task.endpoint());
    if batch.problems.is_empty() {
        object.raw("errors", "null");
    } else {
        object.object("errors", |errors| {
            errors.string("object", "list");
            array(errors.key("data"), &batch.problems, |out, problem| {
                let mut error = ObjectWriter::new(out);
                or_null(error.key("code"), problem.code.as_deref());
                error.string("message", &problem.message);
                error.raw("param", "null");
                let line = problem.line.map(|line| line.to_string());
                error.raw("line", line.as_deref().unwrap_or("null"));
                error.end();
            });
        });
    }
    let told = |kind: Kind, own: &Option<String>| own.as_ref().map(|own| naming(kind, own));
    or_null(
        object.key("input_file_id"),
        told(Kind::Input, &batch.input).as_deref(),
    );
    object.string("completion_window", "24h");
    object.string("status", word(batch.status));
    or_null(
        object.key("output_file_id"),
        told(Kind::Output, &batch.output).as_deref(),
    );
    or_null(
        object.key("error_file_id"),
        told(Kind::Errors, &batch.errors).as_deref(),
    );
    object.number("created_at", batch.created.unwrap_or_default());
    let ended = |status: BatchStatus| batch.ended.filter(|_| batch.status == status);
    let completed = ended(BatchStatus::Completed);
    for (name, time) in [
        ("in_progress_at", batch.begun),
        ("expires_at", batch.expires),
        ("finalizing_at", completed),
        ("completed_at", completed),
        ("failed_at", ended(BatchStatus::Failed)),
        ("expired_at", ended(BatchStatus::Expired)),
        ("cancelling_at", batch.stopping),
        ("cancelled_at", ended(BatchStatus::Cancelled)),
    ] {
        let time = time.map(|time| time.to_string());
        object.raw(name, time.as_deref().unwrap_or("null"));
    }
    let counts = batch.counts;
    object.object("request_counts", |object| {
        object.number("total", counts.total());
        object.number("completed", counts.completed);
        object.number("failed", counts.failed);
        object.number("processing", counts.processing);
        object.number("canceled", counts.cancelled);
        object.number("expired", counts.expired);
    });
    if batch.labels.is_empty() {
        object.raw("metadata", "null");
    } else {
        object.object("metadata", |labels| {
            for (name, value) in &batch.labels {
                labels.string(name, value);
            }
        });
    }
    object.end();
}

fn messages(out: &mut Vec<u8>, batch: &Batch, naming: Naming<'_>) {
    let mut object = ObjectWriter::new(out);
    let told = naming(Kind::Batch, &batch.id);
    object.string("id", &told);
    object.string("type", "message_batch");
    let status = match batch.status {
        BatchStatus::Cancelling => "canceling",
        status if status.is_final() => "ended",
        _ => "in_progress",
    };
    object.string("processing_status", status);
    let counts = batch.counts;
    object.object("request_counts", |object| {
        object.number("processing", counts.processing);
        object.number("succeeded", counts.completed);
        object.number("errored", counts.failed);
        object.number("canceled", counts.cancelled);
        object.number("expired", counts.expired);
    });
    let time = |time: Option<u64>| time.map(moment::written);
    let created = batch.created.unwrap_or_default();
    let ended = batch.ended.filter(|_| batch.status.is_final());
    or_null(object.key("ended_at"), time(ended).as_deref());
    object.string("created_at", &moment::written(created));
    let expires = batch.expires.unwrap_or(created.saturating_add(24 * 3600));
    object.string("expires_at", &moment::written(expires));
    object.raw("archived_at", "null");
    or_null(
        object.key("cancel_initiated_at"),
        time(batch.stopping).as_deref(),
    );
    let url = batch.status.is_final().then(|| results_path(&told));
    or_null(object.key("results_url"), url.as_deref());
    object.end();
}

/// Says that a batch is forgotten.
pub fn deleted(told: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    object.string("id", told);
    object.string("type", "message_batch_deleted");
    object.end();
    out
}
