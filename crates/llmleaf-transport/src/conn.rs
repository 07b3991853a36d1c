//! One HTTP/1.1 connection, driven by whoever polls it.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use crate::error::{TransportError, from_hyper};
use crate::pool::Limits;
use crate::stream::Stream;
use crate::wire::{Metered, Quiet, Wire};

/// The request is one buffer: hyper writes it with the head in one `writev`.
pub(crate) type RequestBody = Full<Bytes>;

/// The largest read, in bytes. hyper starts with 8 KiB and doubles it while reads come back full,
/// so only a stream that is fast enough to need it has a large buffer.
const MAX_READ_BYTES: usize = 64 * 1024;
/// hyper keeps up to this many headers on the stack; any other number costs an allocation.
const HYPER_DEFAULT_HEADERS: usize = 100;
/// How often hyper may ask to be polled again at once before others get their turn.
const MAX_ROUNDS: usize = 8;

pub(crate) struct Conn {
    sender: http1::SendRequest<RequestBody>,
    connection: http1::Connection<TokioIo<Metered>, RequestBody>,
    /// What the connection ended with; it must not be polled again then.
    ended: Option<Result<(), hyper::Error>>,
    wire: Rc<Wire>,
    quiet: Arc<Quiet>,
    quiet_waker: Waker,
}

impl Conn {
    pub async fn new(stream: Stream, limits: &Limits) -> Result<Box<Conn>, TransportError> {
        let wire = Wire::new();
        let io = TokioIo::new(Metered::new(stream, Rc::clone(&wire)));
        let mut builder = http1::Builder::new();
        builder
            .writev(true)
            .max_buf_size(MAX_READ_BYTES.max(limits.max_header_bytes))
            .max_header_size(limits.max_header_bytes);
        if limits.max_headers != HYPER_DEFAULT_HEADERS {
            builder.max_headers(limits.max_headers);
        }
        let (sender, connection) = builder
            .handshake(io)
            .await
            .map_err(|error| from_hyper(&error, wire.progress()))?;
        let quiet = Arc::new(Quiet::default());
        Ok(Box::new(Conn {
            sender,
            connection,
            ended: None,
            wire,
            quiet_waker: Waker::from(Arc::clone(&quiet)),
            quiet,
        }))
    }

    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Hands the request to hyper; nothing moves until the connection is driven.
    pub fn send(
        &mut self,
        request: Request<RequestBody>,
        head_allowance: u64,
    ) -> impl Future<Output = hyper::Result<Response<Incoming>>> + use<> {
        self.wire.begin(head_allowance);
        self.sender.send_request(request)
    }

    /// Polls the connection, then `step`, which looks at what the connection has brought, until
    /// `step` has something or both wait for the socket.
    ///
    /// `step` is given a waker that wakes nobody: only the connection can bring it further, and
    /// that is polled here.
    pub fn drive<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut step: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<Result<T, TransportError>> {
        self.wire.wake_up(cx.waker());
        for _ in 0..MAX_ROUNDS {
            self.quiet.take();
            self.poll_connection();
            if let Poll::Ready(value) = step(&mut Context::from_waker(&self.quiet_waker)) {
                return Poll::Ready(Ok(value));
            }
            if let Some(ended) = &self.ended {
                return Poll::Ready(Err(match ended {
                    Ok(()) => self.wire.progress().ended(),
                    Err(error) => from_hyper(error, self.wire.progress()),
                }));
            }
            if !self.quiet.take() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Looks only at what the connection has already brought.
    pub fn peek<T>(&self, step: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        step(&mut Context::from_waker(&self.quiet_waker))
    }

    /// Reads a hyper error, preferring what ended the connection: the error that reaches a body
    /// may only say that the connection has failed.
    pub fn read_error(&self, error: &hyper::Error) -> TransportError {
        let cause = match &self.ended {
            Some(Err(cause)) => cause,
            _ => error,
        };
        from_hyper(cause, self.wire.progress())
    }

    /// Whether the connection can take another request: the last one is done on both ends, the
    /// upstream has not closed it, and no byte is there that nobody asked for. Wakes nobody
    /// afterwards; who keeps the connection asks again before using it.
    pub fn is_idle(&mut self) -> bool {
        self.wire.wake_up(Waker::noop());
        if self.wire.is_spoilt() {
            return false;
        }
        self.poll_connection();
        self.ended.is_none() && self.sender.is_ready()
    }

    fn poll_connection(&mut self) {
        if self.ended.is_some() {
            return;
        }
        let mut quiet = Context::from_waker(&self.quiet_waker);
        if let Poll::Ready(ended) = Pin::new(&mut self.connection).poll(&mut quiet) {
            self.ended = Some(ended);
        }
    }
}
