//! Bodies that are forms, where an endpoint takes such.

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use llmleaf_exchange::Operation;
use llmleaf_model::Failure;

/// A body as JSON, where it is a form of an operation that has one.
pub fn in_json(operation: Operation, headers: &HeaderMap, body: Bytes) -> Result<Bytes, Failure> {
    let Operation::Draw(form) = operation else {
        return Ok(body);
    };
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    match kind.and_then(|kind| form.of_parts(kind, &body)) {
        Some(json) => json.map(Bytes::from),
        None => Ok(body),
    }
}
