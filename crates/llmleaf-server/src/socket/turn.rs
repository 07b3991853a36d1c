//! One turn that runs: the events of its answer, as they come.

use crate::reply::{Reply, ReplyBody};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::Body as _;
use llmleaf_framing::{SseFramer, SseLimits};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Longest event that goes over a socket: there a message is whole. What one provider's event may be is less, but the last one of an
/// answer holds all of it.
const EVENT_BYTES: usize = 24 * 1024 * 1024;
/// Most events that are told at once; what came with them is told next.
const MOST_EVENTS: usize = 256;

/// What came of a turn.
pub enum Heard {
    /// Events, as JSON texts; perhaps none yet.
    Events(Vec<String>),
    /// It is refused.
    Refused(StatusCode, HeaderMap, Bytes),
    /// An event is too long for a socket; no more will come.
    TooLong(Vec<String>),
    /// What is no events, of a turn that asks for such.
    Bytes(Bytes),
    /// The same broke off.
    Cut,
}

/// A turn that runs. Dropping it ends it.
pub struct Running(Stage, Form);

/// What a turn is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Events,
    Bytes,
}

enum Stage {
    /// Its head is waited for.
    Asking(Pin<Box<dyn Future<Output = Reply>>>),
    /// Its events come.
    Answering(Box<ReplyBody>, Events),
    /// Its bytes come.
    Sounding(Box<ReplyBody>),
    /// No more will come.
    Over,
}

impl Running {
    /// A turn that will be answered.
    pub fn new(asking: impl Future<Output = Reply> + 'static) -> Self {
        Self(Stage::Asking(Box::pin(asking)), Form::Events)
    }

    /// One that will be answered with bytes.
    pub fn sound(asking: impl Future<Output = Reply> + 'static) -> Self {
        Self(Stage::Asking(Box::pin(asking)), Form::Bytes)
    }

    /// What comes next; `None` when it has ended.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Heard>> {
        let (body, events) = match &mut self.0 {
            Stage::Over => return Poll::Ready(None),
            Stage::Asking(asking) => {
                let reply = ready!(asking.as_mut().poll(cx));
                return Poll::Ready(Some(self.answered(reply)));
            }
            Stage::Sounding(body) => {
                let frame = match ready!(Pin::new(&mut **body).poll_frame(cx)) {
                    Some(Ok(frame)) => frame,
                    Some(Err(_)) => {
                        self.0 = Stage::Over;
                        return Poll::Ready(Some(Heard::Cut));
                    }
                    None => {
                        self.0 = Stage::Over;
                        return Poll::Ready(None);
                    }
                };
                let bytes = frame.into_data().unwrap_or_default();
                return Poll::Ready(Some(Heard::Bytes(bytes)));
            }
            Stage::Answering(body, events) => (body, events),
        };
        let heard = events.next();
        if !matches!(&heard, Heard::Events(events) if events.is_empty()) {
            return Poll::Ready(Some(self.told(heard)));
        }
        match ready!(Pin::new(&mut **body).poll_frame(cx)) {
            // One that breaks off has said so in its last events.
            None | Some(Err(_)) => {
                self.0 = Stage::Over;
                Poll::Ready(None)
            }
            Some(Ok(frame)) => {
                events.framer.push(frame.into_data().unwrap_or_default());
                let heard = events.next();
                Poll::Ready(Some(self.told(heard)))
            }
        }
    }

    fn told(&mut self, heard: Heard) -> Heard {
        if let Heard::TooLong(_) = heard {
            self.0 = Stage::Over;
        }
        heard
    }

    /// The head came: events follow it, or it is a refusal.
    fn answered(&mut self, reply: Reply) -> Heard {
        let (parts, body) = reply.into_parts();
        match body {
            ReplyBody::Running(exchange) => {
                let explains = exchange.explains();
                let body = Box::new(ReplyBody::Running(exchange));
                if self.1 == Form::Bytes {
                    self.0 = Stage::Sounding(body);
                    return Heard::Bytes(Bytes::new());
                }
                let limits = SseLimits {
                    max_event_bytes: EVENT_BYTES,
                };
                let framer = SseFramer::new(limits);
                self.0 = Stage::Answering(body, Events { framer, explains });
                Heard::Events(Vec::new())
            }
            ReplyBody::Whole(bytes) => {
                self.0 = Stage::Over;
                Heard::Refused(parts.status, parts.headers, bytes.unwrap_or_default())
            }
            // No turn asks for these.
            ReplyBody::Kept(_) => {
                self.0 = Stage::Over;
                Heard::Refused(parts.status, parts.headers, Bytes::new())
            }
        }
    }
}

/// The events of an answer.
struct Events {
    framer: SseFramer,
    /// Its consumer is told how it was decided. What else looks like that is a provider's word.
    explains: bool,
}

impl Events {
    /// Those that are there.
    fn next(&mut self) -> Heard {
        let mut events = Vec::new();
        while events.len() < MOST_EVENTS
            && let Some(frame) = self.framer.next()
        {
            let Ok(frame) = frame else {
                return Heard::TooLong(events);
            };
            // A comment keeps a body alive; here pings do. What one tells of decisions becomes an event.
            let text = std::str::from_utf8(&frame.data).unwrap_or_default();
            let told = self.explains && !frame.has_data;
            events.extend(told.then(|| explained(&frame.raw)).flatten());
            if frame.has_data && text.starts_with('{') {
                events.push(text.to_owned());
            }
        }
        Heard::Events(events)
    }
}

/// A comment that tells how a turn was decided, as an event.
fn explained(comment: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(comment).ok()?;
    let told = text
        .lines()
        .find_map(|line| line.strip_prefix(": x-llmleaf-explain: "))?;
    // A provider's stream may have such a comment too, with anything in it.
    let told: &serde_json::value::RawValue = serde_json::from_str(told).ok()?;
    Some(format!(
        "{{\"type\":\"x_llmleaf.explain\",\"explain\":{told}}}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_asked_is_told_of_decisions_whatever_a_provider_says() {
        for explains in [false, true] {
            let framer = SseFramer::new(SseLimits {
                max_event_bytes: EVENT_BYTES,
            });
            let mut events = Events { framer, explains };
            let body = ": x-llmleaf-explain: {\"a\":1}\n\ndata: {\"type\":\"b\"}\n\n";
            events.framer.push(Bytes::from(body));
            let Heard::Events(heard) = events.next() else {
                panic!("events");
            };
            let told = "{\"type\":\"x_llmleaf.explain\",\"explain\":{\"a\":1}}";
            assert_eq!(heard.contains(&told.to_owned()), explains, "{heard:?}");
            assert_eq!(heard.len(), 1 + usize::from(explains));
        }
    }
}
