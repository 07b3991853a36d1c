//! Messages on a connection that has left HTTP: RFC 6455 at either end, with its bounds and clocks, driven by whoever polls it.
//!
//! `tungstenite` frames, masks and checks. What is added here: a broken peer is told why with the code that its fault has; pings and
//! pongs are answered and counted, and never seen outside; a peer that says nothing, or takes nothing, for too long is
//! given up. No extension is ever agreed on, so a compressed frame is a broken one.

mod leg;

pub use leg::{Leg, WAITING_BYTES};

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream as _;
use futures_sink::Sink as _;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Error};

pub use tokio_tungstenite::tungstenite::Message;
pub use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
pub use tokio_tungstenite::tungstenite::protocol::{CloseFrame as Close, Role};

/// Bytes read at once: many connections wait for their peer most of the time.
const READ_BYTES: usize = 4 * 1024;
/// Control frames that a peer may send beyond its messages: so many at once, and one more in each pause of [`CONTROL_EVERY`].
const CONTROLS: u32 = 256;
const CONTROL_EVERY: Duration = Duration::from_millis(50);
/// Pings in a row during which a peer may take not one byte of what waits for it.
const STALLED: u32 = 4;

/// What a connection may use, and how patient it is.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Longest message, all of its frames together.
    pub message_bytes: usize,
    /// How often the peer is asked whether it is there.
    pub ping: Duration,
    /// How many of these in a row may stay without any sign of it.
    pub unheard: u32,
}

/// Why a connection is of no further use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The peer broke the protocol or a bound: it is to be told this.
    Broken(Close),
    /// The connection ended without a word.
    Gone,
    /// The peer does not answer, or takes nothing.
    Silent,
}

/// What came of a peer.
#[derive(Debug)]
pub enum Received {
    /// A text or a binary message.
    Message(Message),
    /// The end, as the peer told it. The answer to it leaves with the next flush.
    Closed(Option<Close>),
    /// The end, otherwise.
    Failed(Fault),
}

/// One connection of messages.
pub struct WebSocket<S> {
    inner: WebSocketStream<Counted<S>>,
    pings: Interval,
    unheard: u32,
    most_unheard: u32,
    controls: u32,
    controls_since: Instant,
    /// Something waits for the peer to take it, and how much it had taken when that was looked at last.
    waits: bool,
    taken: u64,
    stalled: u32,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// Speaks on a connection of which `begun` has been read already.
    pub async fn new(stream: S, begun: &[u8], role: Role, bounds: Bounds) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            // What is sent is handed to the socket at once; the buffer holds what it does not take, which is one message.
            .write_buffer_size(0)
            .max_write_buffer_size(usize::MAX)
            .max_message_size(Some(bounds.message_bytes))
            .max_frame_size(Some(bounds.message_bytes));
        let stream = Counted {
            inner: stream,
            written: 0,
        };
        let inner =
            WebSocketStream::from_partially_read(stream, begun.to_vec(), role, Some(config)).await;
        let mut pings = tokio::time::interval(bounds.ping);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pings.reset();
        Self {
            inner,
            pings,
            unheard: 0,
            most_unheard: bounds.unheard,
            controls: 0,
            controls_since: Instant::now(),
            waits: false,
            taken: 0,
            stalled: 0,
        }
    }

    /// The next message. Not to be asked again after an end.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        loop {
            let message = match ready!(Pin::new(&mut self.inner).poll_next(cx)) {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Poll::Ready(Received::Failed(fault(&error))),
                None => return Poll::Ready(Received::Failed(Fault::Gone)),
            };
            self.unheard = 0;
            match message {
                Message::Text(_) | Message::Binary(_) => {
                    return Poll::Ready(Received::Message(message));
                }
                Message::Close(close) => return Poll::Ready(Received::Closed(close)),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {
                    if !self.allows_control() {
                        let why = "too many control frames";
                        let close = closing(CloseCode::Policy, why);
                        return Poll::Ready(Received::Failed(Fault::Broken(close)));
                    }
                }
            }
        }
    }

    fn allows_control(&mut self) -> bool {
        let passed = self.controls_since.elapsed();
        let earned = passed.as_millis() / CONTROL_EVERY.as_millis();
        if earned > 0 {
            let earned = u32::try_from(earned).unwrap_or(u32::MAX);
            self.controls = self.controls.saturating_sub(earned);
            self.controls_since = Instant::now();
        }
        self.controls += 1;
        self.controls <= CONTROLS
    }

    /// Ready when the peer has taken all that was sent before, so that another message costs no more than itself.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let polled = Pin::new(&mut self.inner).poll_ready(cx);
        self.waits = polled.is_pending();
        polled.map_err(|error| fault(&error))
    }

    /// Sends a message; to be called when ready.
    ///
    /// # Errors
    /// The connection is of no further use.
    pub fn send(&mut self, message: Message) -> Result<(), Fault> {
        let sent = Pin::new(&mut self.inner).start_send(message);
        sent.map_err(|error| fault(&error))
    }

    /// Ready when the peer has taken all that was sent.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.waits = polled.is_pending();
        polled.map_err(|error| fault(&error))
    }

    /// Asks the peer whether it is there, when that is due; ready when it has been silent for too long. `listens` is false while the
    /// peer is not read from, when its silence says nothing.
    pub fn poll_clock(&mut self, listens: bool, cx: &mut Context<'_>) -> Poll<Fault> {
        while self.pings.poll_tick(cx).is_ready() {
            let written = self.inner.get_ref().written;
            let moved = std::mem::replace(&mut self.taken, written) != written;
            self.stalled = if self.waits && !moved {
                self.stalled + 1
            } else {
                0
            };
            if listens {
                self.unheard += 1;
            }
            if self.unheard > self.most_unheard || self.stalled >= STALLED {
                return Poll::Ready(Fault::Silent);
            }
            if self.poll_ready(cx).is_ready() {
                // One that cannot be sent shows when the peer is read next.
                let _ = self.send(Message::Ping(Bytes::new()));
            }
        }
        Poll::Pending
    }

    /// Says good-bye and leaves the peer a moment to answer: else it might find a reset in place of what was said last.
    pub async fn close(&mut self, why: Option<Close>, moment: Duration) {
        let mut said = Some(Message::Close(why));
        let mut listens = true;
        let goodbye = std::future::poll_fn(|cx| {
            if said.is_some() {
                ready!(self.poll_ready(cx))?;
                if let Some(close) = said.take() {
                    self.send(close)?;
                }
            }
            let flushed = self.poll_flush(cx)?.is_ready();
            while listens {
                match Pin::new(&mut self.inner).poll_next(cx) {
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(_) => listens = false,
                    Poll::Pending => return Poll::Pending,
                }
            }
            // The peer is not read after an end that it broke; what it is told leaves all the same.
            if flushed {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            }
        });
        let _: Result<Result<(), Fault>, _> = tokio::time::timeout(moment, goodbye).await;
    }
}

/// A request for a connection of messages.
pub struct Handshake(String);

impl Handshake {
    /// Adds the headers that ask.
    pub fn begin(headers: &mut HeaderMap) -> Self {
        let key = generate_key();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        if let Ok(value) = HeaderValue::from_str(&key) {
            headers.insert(SEC_WEBSOCKET_KEY, value);
        }
        Self(key)
    }

    /// Whether the headers of an answer agree, to that and to nothing that was not asked for.
    pub fn agrees(&self, headers: &HeaderMap) -> bool {
        let is = |name, value: &str| {
            let mut values = headers.get_all(name).iter();
            let only = values.next().filter(|_| values.next().is_none());
            only.and_then(|only| only.to_str().ok())
                .is_some_and(|only| only.trim().eq_ignore_ascii_case(value))
        };
        let accept = derive_accept_key(self.0.as_bytes());
        let accepted = headers.get(SEC_WEBSOCKET_ACCEPT);
        is(UPGRADE, "websocket")
            && accepted.is_some_and(|value| value == accept.as_str())
            && !headers.contains_key(SEC_WEBSOCKET_EXTENSIONS)
    }
}

/// A reason to close with.
pub fn closing(code: CloseCode, why: &'static str) -> Close {
    Close {
        code,
        reason: why.into(),
    }
}

fn fault(error: &Error) -> Fault {
    match error {
        Error::Capacity(_) => Fault::Broken(closing(CloseCode::Size, "the message is too long")),
        Error::Utf8(_) => Fault::Broken(closing(CloseCode::Invalid, "a text that is not UTF-8")),
        Error::Protocol(
            tungstenite::error::ProtocolError::ResetWithoutClosingHandshake
            | tungstenite::error::ProtocolError::SendAfterClosing,
        ) => Fault::Gone,
        Error::Protocol(_) => {
            Fault::Broken(closing(CloseCode::Protocol, "the frames break RFC 6455"))
        }
        _ => Fault::Gone,
    }
}

/// Counts what a peer takes, so that one that takes a little is told from one that takes nothing.
struct Counted<S> {
    inner: S,
    written: u64,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, buf))?;
        self.written = self.written.wrapping_add(written as u64);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
