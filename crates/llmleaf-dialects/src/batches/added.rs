//! xAI's batches: one is made empty, requests are added to it, results come by pages.
//!
//! Source: recordings of 2026-08; the document that a third party wrote (2026-08) agrees but for the shape of results, where the recordings
//! count. Requests name the call that they are (`chat_get_completion`).

use super::{Making, reading};
use crate::object::Object;
use crate::writer::ObjectWriter;
use bytes::Bytes;
use llmleaf_model::{Batch, BatchCounts, BatchOutcome, BatchResult, BatchStatus};

/// The call that a request is.
const CALL: &str = "chat_get_completion";

pub(super) fn write_item(out: &mut Vec<u8>, custom_id: &str, body: &[u8]) {
    let mut item = ObjectWriter::new(out);
    item.string("batch_request_id", custom_id);
    item.object("batch_request", |request| {
        request.raw(CALL, &String::from_utf8_lossy(body));
    });
    item.end();
}

pub(super) fn make(making: &Making<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut body = ObjectWriter::new(&mut out);
    body.string("name", making.mark);
    body.end();
    out
}

/// The body that adds requests.
pub fn add(items: &[u8]) -> Vec<u8> {
    [b"{\"batch_requests\":[", items, b"]}"].concat()
}

pub(super) fn parse_batch(text: &str) -> Option<Batch> {
    batch(&Object::parse(text).ok()?)
}

fn batch(object: &Object<'_>) -> Option<Batch> {
    let state = reading::inner(object, "state").unwrap_or_default();
    let count = |name| reading::count(&state, name).unwrap_or_default();
    let total = count("num_requests");
    let counts = BatchCounts {
        processing: count("num_pending"),
        completed: count("num_success"),
        failed: count("num_error"),
        cancelled: count("num_cancelled"),
        expired: 0,
    };
    let stopping = reading::time(object, "cancel_time");
    let stopped = stopping.is_some() || counts.cancelled > 0;
    let status = match (stopped, counts.processing) {
        (true, 0) => BatchStatus::Cancelled,
        (true, _) => BatchStatus::Cancelling,
        (false, 0) if total > 0 => BatchStatus::Completed,
        (false, _) => BatchStatus::InProgress,
    };
    Some(Batch {
        id: reading::text(object, "batch_id").or_else(|| reading::text(object, "id"))?,
        status,
        counts,
        created: reading::time(object, "create_time"),
        begun: reading::time(object, "create_time"),
        expires: reading::time(object, "expire_time")
            .or_else(|| reading::time(object, "expires_at")),
        stopping,
        mark: reading::text(object, "name"),
        ..Batch::default()
    })
}

pub(super) fn parse_list(text: &str) -> Option<(Vec<Batch>, Option<String>)> {
    let list = Object::parse(text).ok()?;
    let items = reading::list(&list, "batches");
    let batches = items.into_iter().filter_map(Object::from_raw);
    let batches = batches.filter_map(|object| batch(&object)).collect();
    Some((batches, reading::text(&list, "pagination_token")))
}

pub(super) fn parse_page(text: &str) -> Option<(Vec<BatchResult>, Option<String>)> {
    let page = Object::parse(text).ok()?;
    let lists = ["results", "succeeded", "failed"];
    let items = lists
        .into_iter()
        .flat_map(|name| reading::list(&page, name));
    let results = items.filter_map(|raw| result(&Object::from_raw(raw)?));
    Some((results.collect(), reading::text(&page, "pagination_token")))
}

fn result(item: &Object<'_>) -> Option<BatchResult> {
    let custom_id = reading::text(item, "batch_request_id")?;
    let inner = reading::inner(item, "batch_result");
    let holder = inner.as_ref().unwrap_or(item);
    let response = reading::inner(holder, "response");
    let answer = response.as_ref().and_then(|response| {
        let named = response.get(CALL);
        named.or_else(|| response.fields.first().map(|(_, raw)| *raw))
    });
    let outcome = match answer {
        Some(answer) => BatchOutcome::Replied {
            status: 200,
            body: Bytes::copy_from_slice(answer.get().as_bytes()),
            request_id: None,
        },
        None => {
            let told = [holder, item]
                .into_iter()
                .find_map(|object| reading::text(object, "error_message"));
            let error = reading::inner(holder, "error");
            let told = told.or_else(|| error.as_ref().and_then(|e| reading::text(e, "message")));
            let plain = reading::text(holder, "error");
            BatchOutcome::Failed {
                code: error.as_ref().and_then(|e| reading::text(e, "code")),
                message: told
                    .or(plain)
                    .unwrap_or_else(|| "the provider could not answer it".to_owned()),
            }
        }
    };
    Some(BatchResult { custom_id, outcome })
}
