//! Gemini's batches: the requests in the body, and in the end the answers in the object itself.
//!
//! Source: discovery document of generativelanguage v1beta, 2026-08 (`GenerateContentBatch`), and recordings of 2026-08. Its states begin
//! with `BATCH_STATE_` or, on other surfaces, with `JOB_STATE_`.

use super::{Making, reading};
use crate::object::{Object, items};
use crate::writer::ObjectWriter;
use bytes::Bytes;
use llmleaf_model::{Batch, BatchCounts, BatchOutcome, BatchProblem, BatchResult, BatchStatus};
use serde_json::value::RawValue;

/// The field of a request's metadata that has the consumer's name of it.
const KEY: &str = "key";

pub(super) fn write_item(out: &mut Vec<u8>, custom_id: &str, body: &[u8]) {
    let mut item = ObjectWriter::new(out);
    item.raw("request", &String::from_utf8_lossy(body));
    item.object("metadata", |metadata| {
        metadata.string(KEY, custom_id);
    });
    item.end();
}

pub(super) fn make(making: &Making<'_>, items: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(items.len() + 128);
    let mut body = ObjectWriter::new(&mut out);
    body.object("batch", |batch| {
        batch.string("displayName", making.mark);
        batch.object("inputConfig", |input| {
            input.object("requests", |requests| {
                let list = requests.key("requests");
                list.push(b'[');
                list.extend_from_slice(items);
                list.push(b']');
            });
        });
    });
    body.end();
    out
}

pub(super) fn parse_batch(text: &str) -> Option<Batch> {
    batch(&Object::parse(text).ok()?)
}

fn batch(operation: &Object<'_>) -> Option<Batch> {
    let name = reading::text(operation, "name")?;
    let metadata = reading::inner(operation, "metadata").unwrap_or_default();
    let stats = reading::inner(&metadata, "batchStats").unwrap_or_default();
    let count = |name| reading::count(&stats, name).unwrap_or_default();
    let (total, done, failed) = (
        count("requestCount"),
        count("successfulRequestCount"),
        count("failedRequestCount"),
    );
    let left = total.saturating_sub(done).saturating_sub(failed);
    let state = reading::text(&metadata, "state").unwrap_or_default();
    let status = match state.rsplit('_').next() {
        Some("PENDING") => BatchStatus::Validating,
        Some("SUCCEEDED") => BatchStatus::Completed,
        Some("FAILED") => BatchStatus::Failed,
        Some("CANCELLED") => BatchStatus::Cancelled,
        Some("EXPIRED") => BatchStatus::Expired,
        _ => BatchStatus::InProgress,
    };
    let mut counts = BatchCounts {
        completed: done,
        failed,
        ..BatchCounts::default()
    };
    match status {
        BatchStatus::Cancelled => counts.cancelled = left,
        BatchStatus::Expired => counts.expired = left,
        BatchStatus::Failed => counts.failed = counts.failed.saturating_add(left),
        // The counts of those that are done come late.
        BatchStatus::Completed => counts.completed = counts.completed.saturating_add(left),
        _ => counts.processing = left,
    }
    let error = reading::inner(operation, "error");
    let problem = error.map(|error| BatchProblem {
        message: reading::text(&error, "message").unwrap_or_default(),
        code: reading::count(&error, "code").map(|code| code.to_string()),
        line: None,
    });
    Some(Batch {
        id: name.strip_prefix("batches/").unwrap_or(&name).to_owned(),
        status,
        counts,
        created: reading::time(&metadata, "createTime"),
        begun: reading::time(&metadata, "createTime"),
        // Batch guide of the vendor, read 2026-11: results come within 24 hours, a batch that waits longer than 48 is given up.
        expires: reading::time(&metadata, "createTime").map(|at| at.saturating_add(48 * 3600)),
        ended: reading::time(&metadata, "endTime").or_else(|| {
            let updated = reading::time(&metadata, "updateTime");
            updated.filter(|_| status.is_final())
        }),
        problems: problem.into_iter().collect(),
        mark: reading::text(&metadata, "displayName"),
        ..Batch::default()
    })
}

pub(super) fn parse_list(text: &str) -> Option<(Vec<Batch>, Option<String>)> {
    let list = Object::parse(text).ok()?;
    let items = reading::list(&list, "operations");
    let batches = items.into_iter().filter_map(Object::from_raw);
    let batches = batches.filter_map(|object| batch(&object)).collect();
    Some((batches, reading::text(&list, "nextPageToken")))
}

/// The results that the object has: below its metadata, or where operations have their answer.
pub(super) fn parse_results(text: &str) -> Option<Vec<BatchResult>> {
    let operation = Object::parse(text).ok()?;
    let metadata = reading::inner(&operation, "metadata");
    let output = metadata.and_then(|metadata| reading::inner(&metadata, "output"));
    let output = output.or_else(|| reading::inner(&operation, "response"));
    let Some(outer) = output.and_then(|output| reading::inner(&output, "inlinedResponses")) else {
        // It ended without any.
        return Some(Vec::new());
    };
    let list = outer.get("inlinedResponses").and_then(items)?;
    let results = list.into_iter().enumerate();
    Some(results.filter_map(|(at, raw)| result(at, raw)).collect())
}

fn result(at: usize, raw: &RawValue) -> Option<BatchResult> {
    let result = Object::from_raw(raw)?;
    let metadata = reading::inner(&result, "metadata").unwrap_or_default();
    let named = [KEY, "custom_id"]
        .into_iter()
        .find_map(|name| reading::text(&metadata, name));
    let outcome = match (result.get("response"), reading::inner(&result, "error")) {
        (Some(response), _) => BatchOutcome::Replied {
            status: 200,
            body: Bytes::copy_from_slice(response.get().as_bytes()),
            request_id: None,
        },
        (None, error) => {
            let error = error.unwrap_or_default();
            let message = reading::text(&error, "message");
            match reading::count(&error, "code") {
                // google.rpc.Code: cancelled, deadline exceeded.
                Some(1) => BatchOutcome::Cancelled,
                Some(4) => BatchOutcome::Expired,
                code => BatchOutcome::Replied {
                    status: status(code.unwrap_or(2)),
                    body: as_reply(&result, status(code.unwrap_or(2)), message),
                    request_id: None,
                },
            }
        }
    };
    Some(BatchResult {
        custom_id: named.unwrap_or_else(|| at.to_string()),
        outcome,
    })
}

/// An error as the same service replies with it.
fn as_reply(result: &Object<'_>, status: u16, message: Option<String>) -> Bytes {
    let error = reading::inner(result, "error").unwrap_or_default();
    let mut out = Vec::new();
    let mut reply = ObjectWriter::new(&mut out);
    reply.object("error", |inner| {
        inner.number("code", u64::from(status));
        inner.string("message", message.as_deref().unwrap_or("it failed"));
        if let Some(details) = error.get("details") {
            inner.raw("details", details.get());
        }
    });
    reply.end();
    out.into()
}

/// The HTTP status of a code of google.rpc (google/rpc/code.proto).
fn status(code: u64) -> u16 {
    match code {
        3 | 9 | 11 => 400,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        12 => 501,
        14 => 503,
        16 => 401,
        400..=599 => u16::try_from(code).unwrap_or(500),
        _ => 500,
    }
}
