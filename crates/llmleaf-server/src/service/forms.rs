//! Bodies that are forms, where an endpoint takes such.

use crate::inbound::{self, Streamed};
use crate::incoming::Inbound;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use llmleaf_dialects::images::FormReader;
use llmleaf_exchange::{Operation, Source};
use llmleaf_framing::multipart::boundary;
use llmleaf_model::Failure;
use std::future::poll_fn;

/// Reads a body of at most `limit` bytes; a form of an operation that has one is JSON then.
///
/// # Errors
/// Those of [`inbound::read`], and that it is no form.
pub async fn read<B: Inbound>(
    operation: Operation,
    headers: &HeaderMap,
    body: B,
    limit: usize,
) -> Result<Bytes, Failure> {
    if !matches!(operation, Operation::Draw(_)) || !is_form(headers) {
        return inbound::read(headers, body, limit).await;
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let boundary = kind.and_then(boundary).ok_or_else(unbounded)?;
    let length = body.size_hint().exact();
    let length = length.and_then(|length| usize::try_from(length).ok());
    let length = length.filter(|length| *length <= limit);
    let mut reader = FormReader::new(&boundary, length);
    each(headers, body, limit, |bytes| reader.push(bytes)).await?;
    reader.finish().map(Bytes::from)
}

/// Gives a body of at most `limit` bytes on while it comes, so that it need not be held; what is compressed is inflated first.
///
/// # Errors
/// Those of [`inbound::read`], and of whoever takes it.
async fn each<B: Inbound>(
    headers: &HeaderMap,
    body: B,
    limit: usize,
    mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if headers.contains_key(CONTENT_ENCODING) {
        return take(&inbound::read(headers, body, limit).await?);
    }
    let (mut source, _) = Streamed::new(headers, body, limit as u64)?;
    while let Some(bytes) = poll_fn(|cx| source.poll_next(cx)).await.transpose()? {
        take(&bytes)?;
    }
    Ok(())
}

/// Whether a body calls itself a form.
pub fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    let kind = kind.unwrap_or_default().trim_ascii_start();
    let form = b"multipart/";
    kind.get(..form.len())
        .is_some_and(|kind| kind.eq_ignore_ascii_case(form))
}

/// A form that cannot be cut into its parts.
pub fn unbounded() -> Failure {
    let why = "the content-type of a form names its boundary";
    Failure::invalid(why, None)
}
