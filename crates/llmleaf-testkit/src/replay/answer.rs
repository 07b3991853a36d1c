//! What was said to a request, for whoever judges what became of it.

use bytes::Bytes;

use super::Request;

/// How an answer came to its end on our side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ended {
    /// Not yet, or it stands still for good.
    #[default]
    Open,
    /// All of it was written, as its framing promised.
    Complete,
    /// With a FIN of ours where the script had one.
    Closed,
    /// With an RST of ours.
    Reset,
    /// The peer went first.
    Gone,
}

/// A request and what it was told.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The request.
    pub request: Request,
    /// Its number among all requests, from 0.
    pub number: usize,
    /// The status of the script; 0 where it is no HTTP.
    pub status: u16,
    /// The script's `content-type`.
    pub content_type: String,
    /// The body without transfer coding, as far as its writing was begun: what the peer saw is a prefix of it.
    pub sent: Vec<u8>,
    /// Bytes of all kinds whose writing was begun.
    pub wire_bytes: usize,
    /// How it ended.
    pub ended: Ended,
    /// Most bytes of the body that are kept, but for one write.
    kept: usize,
}

impl Answer {
    pub(super) fn to(request: Request, number: usize, kept: usize) -> Self {
        Answer {
            request,
            number,
            status: 0,
            content_type: String::new(),
            sent: Vec::new(),
            wire_bytes: 0,
            ended: Ended::Open,
            kept,
        }
    }

    pub(super) fn begin(&mut self, wire: &Bytes, body: Bytes) {
        self.wire_bytes += wire.len();
        if self.sent.len() < self.kept {
            self.sent.extend_from_slice(&body);
        }
    }

    /// Whether all of the body is kept here; longer ones are not.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.sent.len() < self.kept
    }
}
