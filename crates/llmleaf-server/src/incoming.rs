//! A request's body as it comes in, over either version of HTTP.

use crate::http1::Wire;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};

/// A request's body.
#[derive(Debug)]
pub enum Incoming {
    /// All of it came with the head.
    Whole(Bytes),
    /// It is still to come.
    Wire(Coming),
    /// What HTTP/2 has of it.
    Http2(hyper::body::Incoming),
}

/// A body that is still to come. Whoever has it has not the connection: it is cut when that ends, or has come to another request.
#[derive(Debug)]
pub struct Coming {
    wire: Weak<Wire>,
    number: u64,
}

impl Coming {
    /// Of the last request.
    pub fn new(wire: &Rc<Wire>) -> Self {
        Self {
            wire: Rc::downgrade(wire),
            number: wire.number(),
        }
    }

    fn wire(&self) -> Result<Rc<Wire>, Cut> {
        let wire = self.wire.upgrade().ok_or(Cut)?;
        (wire.number() == self.number).then_some(wire).ok_or(Cut)
    }
}

/// A body that ended before its end, or is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut;

/// A body that can be read behind what came of it before.
pub trait Inbound: Body<Data = Bytes> + Unpin {
    /// Reads on behind `all`, at most `most` bytes; `None` at the end. Trailers are passed over.
    fn poll_onto(
        &mut self,
        cx: &mut Context<'_>,
        all: &mut BytesMut,
        most: usize,
    ) -> Poll<Option<Result<Onto, Self::Error>>> {
        piece_onto(self, cx, all, most)
    }

    /// All of it, where it is there in one piece.
    fn take_whole(&mut self) -> Option<Bytes> {
        None
    }
}

fn piece_onto<B: Body<Data = Bytes> + Unpin + ?Sized>(
    mut body: &mut B,
    cx: &mut Context<'_>,
    all: &mut BytesMut,
    most: usize,
) -> Poll<Option<Result<Onto, B::Error>>> {
    loop {
        let frame = match ready!(Pin::new(&mut body).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None => return Poll::Ready(None),
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if data.len() > most {
            return Poll::Ready(Some(Ok(Onto::TooLarge)));
        }
        all.extend_from_slice(&data);
        return Poll::Ready(Some(Ok(Onto::Came(data.len()))));
    }
}

/// What came of reading on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onto {
    /// So many bytes.
    Came(usize),
    /// More than there may be.
    TooLarge,
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match self.get_mut() {
            Self::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Self::Wire(coming) => coming
                .wire()?
                .poll_data(cx)
                .map(|piece| piece.map(|piece| piece.map(Frame::data))),
            Self::Http2(body) => Pin::new(body)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(|_| Cut))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Wire(coming) => coming.wire().is_ok_and(|wire| wire.has_whole_request()),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Wire(coming) => {
                let to_come = coming.wire().ok().and_then(|wire| wire.to_come());
                to_come.map(SizeHint::with_exact).unwrap_or_default()
            }
            Self::Http2(body) => body.size_hint(),
        }
    }
}

impl Inbound for Incoming {
    fn poll_onto(
        &mut self,
        cx: &mut Context<'_>,
        all: &mut BytesMut,
        most: usize,
    ) -> Poll<Option<Result<Onto, Cut>>> {
        match self {
            // Into its place, without a buffer between.
            Self::Wire(coming) => coming.wire()?.poll_onto(cx, all, most),
            other => piece_onto(other, cx, all, most),
        }
    }

    fn take_whole(&mut self) -> Option<Bytes> {
        match self {
            Self::Whole(bytes) => Some(std::mem::take(bytes)),
            Self::Wire(_) | Self::Http2(_) => None,
        }
    }
}
