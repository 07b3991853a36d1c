//! Errors, both ends.

use super::Quirks;
use crate::Reply;
use bytes::Bytes;
use llmleaf_model::{Failure, FailureKind};

/// Reads an error reply of a provider.
pub fn parse_error(
    _status: u16,
    _header: &dyn Fn(&str) -> Option<String>,
    _body: &Bytes,
    _quirks: &Quirks,
) -> Failure {
    Failure::upstream(FailureKind::Server, "not built yet")
}

/// Renders a failure as a whole reply.
pub fn render_error(_failure: &Failure, _request_id: &str) -> Reply {
    Reply {
        status: 500,
        body: Vec::new(),
        losses: Vec::new(),
    }
}

/// Renders a failure inside a stream.
pub fn render_stream_error(_failure: &Failure, _request_id: &str) -> Vec<u8> {
    Vec::new()
}
