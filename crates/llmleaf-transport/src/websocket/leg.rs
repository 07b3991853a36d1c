//! A connection of messages, and what waits to go out there.

use super::{Close, Fault, Message, WebSocket};
use std::collections::VecDeque;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes of messages that may wait before there is no room. A message more may come on top.
pub const WAITING_BYTES: usize = 64 * 1024;
/// What a message costs beside its bytes, so that a flood of empty ones is bounded too.
const MESSAGE_BYTES: usize = 64;

/// A connection with a queue. Whoever has something to say looks for room first.
pub struct Leg<S> {
    /// The connection.
    pub socket: WebSocket<S>,
    waiting: VecDeque<Message>,
    bytes: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Leg<S> {
    /// Nothing waits.
    pub fn new(socket: WebSocket<S>) -> Self {
        Self {
            socket,
            waiting: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Whether there is room for what comes of somebody else.
    pub fn has_room(&self) -> bool {
        self.bytes < WAITING_BYTES
    }

    /// How many messages wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Has a message wait for its turn.
    pub fn push(&mut self, message: Message) {
        self.bytes += message.len() + MESSAGE_BYTES;
        self.waiting.push_back(message);
    }

    /// Sends what waits; ready when all of it is taken.
    pub fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        while !self.waiting.is_empty() {
            ready!(self.socket.poll_ready(cx))?;
            if let Some(message) = self.waiting.pop_front() {
                self.bytes = self.bytes.saturating_sub(message.len() + MESSAGE_BYTES);
                self.socket.send(message)?;
            }
        }
        self.socket.poll_flush(cx)
    }

    /// Sends what waits, then says good-bye; all in a moment.
    pub async fn end(&mut self, why: Option<Close>, moment: Duration) {
        let sent = std::future::poll_fn(|cx| self.poll_send(cx));
        if let Ok(Ok(())) = tokio::time::timeout(moment, sent).await {
            self.socket.close(why, moment).await;
        }
    }
}
