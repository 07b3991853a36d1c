//! Whole responses, both ends.

use super::Quirks;
use crate::{Reply, ReplyContext};
use llmleaf_model::{Event, Response};

/// Reads a whole response as events.
pub fn parse_response(_body: &[u8], _quirks: &Quirks) -> Vec<Event> {
    Vec::new()
}

/// Renders a whole response for a consumer.
pub fn render_response(_response: &Response, _context: &ReplyContext) -> Reply {
    Reply {
        status: 500,
        body: Vec::new(),
        losses: Vec::new(),
    }
}
