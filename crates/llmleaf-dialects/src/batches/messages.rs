//! Anthropic's batches: the requests in the body, the results as lines.
//!
//! Source: the vendor's OpenAPI document, 2026-08 (`MessageBatch`, `MessageBatchIndividualResponse`), and recordings of 2026-08.

use super::reading;
use crate::object::{Object, string};
use crate::writer::ObjectWriter;
use bytes::Bytes;
use llmleaf_model::{Batch, BatchCounts, BatchOutcome, BatchResult, BatchStatus};

pub(super) fn write_item(out: &mut Vec<u8>, custom_id: &str, body: &[u8]) {
    let mut item = ObjectWriter::new(out);
    item.string("custom_id", custom_id);
    item.raw("params", &String::from_utf8_lossy(body));
    item.end();
}

pub(super) fn make(items: &[u8]) -> Vec<u8> {
    [b"{\"requests\":[", items, b"]}"].concat()
}

pub(super) fn parse_batch(text: &str) -> Option<Batch> {
    batch(&Object::parse(text).ok()?)
}

fn batch(object: &Object<'_>) -> Option<Batch> {
    let counts = reading::inner(object, "request_counts").unwrap_or_default();
    let count = |name| reading::count(&counts, name).unwrap_or_default();
    let counts = BatchCounts {
        processing: count("processing"),
        completed: count("succeeded"),
        failed: count("errored"),
        cancelled: count("canceled"),
        expired: count("expired"),
    };
    let status = match (&*reading::text(object, "processing_status")?, &counts) {
        ("canceling", _) => BatchStatus::Cancelling,
        // One word for every end: which it was, the counts say.
        ("ended", counts) if counts.cancelled > 0 => BatchStatus::Cancelled,
        ("ended", counts) if counts.expired > 0 => BatchStatus::Expired,
        ("ended", _) => BatchStatus::Completed,
        _ => BatchStatus::InProgress,
    };
    Some(Batch {
        id: reading::text(object, "id")?,
        status,
        counts,
        created: reading::time(object, "created_at"),
        begun: reading::time(object, "created_at"),
        expires: reading::time(object, "expires_at"),
        ended: reading::time(object, "ended_at"),
        stopping: reading::time(object, "cancel_initiated_at"),
        ..Batch::default()
    })
}

pub(super) fn parse_list(text: &str) -> Option<(Vec<Batch>, Option<String>)> {
    let list = Object::parse(text).ok()?;
    let items = reading::list(&list, "data");
    let batches = items.into_iter().filter_map(Object::from_raw);
    let batches: Vec<Batch> = batches.filter_map(|object| batch(&object)).collect();
    let more = list.get("has_more").is_some_and(|raw| raw.get() == "true");
    let next = reading::text(&list, "last_id").filter(|_| more);
    Some((batches, next))
}

pub(super) fn parse_line(text: &str) -> Option<BatchResult> {
    let line = Object::parse(text).ok()?;
    let result = reading::inner(&line, "result")?;
    let body = |name: &str| {
        let raw = result.get(name)?;
        Some(Bytes::copy_from_slice(raw.get().as_bytes()))
    };
    let outcome = match &*reading::text(&result, "type")? {
        "succeeded" => BatchOutcome::Replied {
            status: 200,
            body: body("message")?,
            request_id: None,
        },
        "canceled" => BatchOutcome::Cancelled,
        "expired" => BatchOutcome::Expired,
        _ => {
            let error = reading::inner(&result, "error")?;
            let inner = reading::inner(&error, "error");
            let kind = inner.as_ref().and_then(|inner| inner.get("type"));
            BatchOutcome::Replied {
                status: status(&kind.and_then(string).unwrap_or_default()),
                body: body("error")?,
                request_id: reading::text(&error, "request_id"),
            }
        }
    };
    Some(BatchResult {
        custom_id: reading::text(&line, "custom_id")?,
        outcome,
    })
}

/// The status that a type of error has (the vendor's page on errors, read 2026-11).
fn status(kind: &str) -> u16 {
    match kind {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => 500,
    }
}
