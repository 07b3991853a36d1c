//! What a connection heard, kept beside it: byte by byte as it came, and how it ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::{Current, End, Framing, Response};

/// Everything a consumer's connection got. Cheap to clone; it outlives the connection.
#[derive(Clone, Debug, Default)]
pub struct Transcript(Arc<Mutex<Heard>>);

#[derive(Debug, Default)]
struct Heard {
    bytes: Vec<u8>,
    /// More came than is kept.
    more: bool,
    end: Option<End>,
    left: Option<Instant>,
}

/// Most bytes that are kept, and one read more.
const MOST_KEPT: usize = 4 << 20;

/// The connection's own hold on it: going is noted when it is dropped.
#[derive(Default)]
pub(super) struct Keeper(pub(super) Transcript);

impl Drop for Keeper {
    fn drop(&mut self) {
        let mut heard = self.0.lock();
        if heard.end.is_none() {
            heard.left = Some(Instant::now());
        }
    }
}

impl Transcript {
    fn lock(&self) -> MutexGuard<'_, Heard> {
        // A panic elsewhere is reported there.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn heard(&self, bytes: &[u8]) {
        let mut heard = self.lock();
        if heard.bytes.len() < MOST_KEPT {
            heard.bytes.extend_from_slice(bytes);
        } else {
            heard.more = true;
        }
    }

    pub(super) fn ended(&self, end: End) -> End {
        self.lock().end = Some(end);
        end
    }

    /// When the consumer went without having seen the end of the connection.
    #[must_use]
    pub fn left(&self) -> Option<Instant> {
        self.lock().left
    }

    /// Whether nothing more can come: an end was seen, or the consumer went.
    pub(crate) fn is_over(&self) -> bool {
        let heard = self.lock();
        heard.end.is_some() || heard.left.is_some()
    }

    /// Whether all that came is kept.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self.lock().more
    }

    /// The first response in it, read anew from the bytes.
    #[must_use]
    pub fn response(&self) -> Response {
        let (bytes, end) = {
            let heard = self.lock();
            (heard.bytes.clone(), heard.end.unwrap_or(End::Open))
        };
        let (mut buffer, mut current) = (Vec::new(), None);
        // In pieces, because taking chunks off a long buffer moves all that is behind them.
        for piece in bytes.chunks(8 << 10) {
            buffer.extend_from_slice(piece);
            if current.is_none() {
                current = Current::begin(&mut buffer);
            }
            if let Some(current) = &mut current
                && let Some(end) = current.take(&mut buffer)
            {
                let mut response = std::mem::take(&mut current.response);
                response.end = end;
                return response;
            }
        }
        let mut current = current.unwrap_or_default();
        let empty = matches!(current.framing, Framing::Length(0)) && current.response.status > 0;
        let to_close =
            matches!(current.framing, Framing::UntilClose) && current.response.status > 0;
        current.response.end = match end {
            _ if empty => End::Clean,
            End::Cut if to_close => End::Clean,
            end => end,
        };
        current.response
    }
}
