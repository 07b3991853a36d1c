//! The turns of one lane, one after the other.

use super::Opened;
use crate::desk::Desk;
use crate::reply::{Reply, ReplyBody};
use crate::{kept, service};
use bytes::Bytes;
use http_body::Body as _;
use llmleaf_dialects::responses::socket as wire;
use llmleaf_framing::{SseFramer, SseLimits};
use llmleaf_model::{Failure, FailureKind};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What came of polling.
pub enum Passed {
    /// Nothing; it waits for its upstream or for its consumer.
    Nothing,
    /// It went on.
    Something,
    /// There are messages for the consumer.
    Messages(Vec<String>),
}

/// A lane.
pub struct Lane {
    name: Option<String>,
    waiting: VecDeque<wire::Create>,
    turn: Option<Turn>,
}

/// A turn that runs.
struct Turn {
    listener: Option<wire::Listener>,
    stage: Stage,
}

enum Stage {
    /// Its head is waited for.
    Asking(Pin<Box<dyn Future<Output = Reply>>>),
    /// Its events come.
    Answering(Box<ReplyBody>, SseFramer),
}

impl Lane {
    /// A lane without turns.
    pub fn new(name: Option<String>) -> Self {
        Self {
            name,
            waiting: VecDeque::new(),
            turn: None,
        }
    }

    /// Its name.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// How many turns wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Bytes of them.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting.iter().map(wire::Create::size).sum()
    }

    /// Whether nothing runs or waits.
    pub fn is_idle(&self) -> bool {
        self.turn.is_none() && self.waiting.is_empty()
    }

    /// Another turn, behind those before it.
    pub fn push(&mut self, create: wire::Create) {
        self.waiting.push_back(create);
    }

    /// Goes on.
    pub fn poll(
        &mut self,
        desk: &Desk,
        opened: &Opened,
        memory: &mut wire::Memory,
        cx: &mut Context<'_>,
    ) -> Passed {
        let Some(turn) = &mut self.turn else {
            return match self.waiting.pop_front() {
                Some(create) => self.begin(&create, desk, opened, memory),
                None => Passed::Nothing,
            };
        };
        match turn.poll(self.name.as_deref(), cx) {
            Poll::Pending => Passed::Nothing,
            Poll::Ready(Some(messages)) if messages.is_empty() => Passed::Something,
            Poll::Ready(Some(messages)) => Passed::Messages(messages),
            Poll::Ready(None) => {
                let most = desk.worker().app.max_body_bytes;
                let known = self
                    .turn
                    .take()
                    .and_then(|turn| turn.listener?.into_known());
                if let Some((id, items)) = known {
                    memory.keep(id, items, most);
                }
                Passed::Something
            }
        }
    }

    fn begin(
        &mut self,
        create: &wire::Create,
        desk: &Desk,
        opened: &Opened,
        memory: &mut wire::Memory,
    ) -> Passed {
        let worker = desk.worker();
        let app = &worker.app;
        // What its provider keeps is gone on from there; all else is known here or nowhere.
        let keeps = |id: &str| {
            app.response_ids.is_some() && kept::owner(app, &opened.principal, id).is_ok()
        };
        let previous = create.previous.as_deref();
        let before = previous
            .filter(|id| !keeps(id))
            .and_then(|id| memory.recall(id));
        let items = create.items(before);
        let whole = before.is_some().then_some(&items);
        let body = Bytes::from(create.body(whole));
        if !create.generate {
            return match service::prepared(&worker, &opened.principal, &body) {
                Ok(model) => {
                    let id = [
                        "resp_",
                        &worker.ids.fresh(super::now().saturating_mul(1000)),
                    ]
                    .concat();
                    let events = wire::warmed(&id, &model, super::now(), self.name.as_deref());
                    memory.keep(id, items, app.max_body_bytes);
                    Passed::Messages(events.into())
                }
                Err(failure) => {
                    let reply = llmleaf_dialects::Dialect::Responses.render_error(&failure, "");
                    let lane = self.name.as_deref();
                    let event = wire::refusal(reply.status, &[], &reply.body.into(), lane);
                    Passed::Messages(vec![event])
                }
            };
        }
        let asking = service::turn(worker, opened.clone(), body);
        self.turn = Some(Turn {
            listener: Some(wire::Listener::new(items, create.store)),
            stage: Stage::Asking(Box::pin(asking)),
        });
        Passed::Something
    }
}

impl Turn {
    /// The next messages; `None` when it has ended.
    fn poll(&mut self, lane: Option<&str>, cx: &mut Context<'_>) -> Poll<Option<Vec<String>>> {
        let (body, framer) = match &mut self.stage {
            Stage::Asking(asking) => {
                let Poll::Ready(reply) = asking.as_mut().poll(cx) else {
                    return Poll::Pending;
                };
                return Poll::Ready(self.answered(reply, lane));
            }
            Stage::Answering(body, framer) => (body, framer),
        };
        match Pin::new(&mut **body).poll_frame(cx) {
            Poll::Pending => Poll::Pending,
            // One that breaks off has said so in its last events.
            Poll::Ready(None | Some(Err(_))) => Poll::Ready(None),
            Poll::Ready(Some(Ok(frame))) => {
                framer.push(frame.into_data().unwrap_or_default());
                let mut messages = Vec::new();
                while let Some(frame) = framer.next() {
                    let Ok(frame) = frame else {
                        messages.push(too_long(lane));
                        self.listener = None;
                        self.stage = nothing_more();
                        break;
                    };
                    // A comment keeps a body alive; here pings do.
                    let text = std::str::from_utf8(&frame.data).unwrap_or_default();
                    if !frame.has_data || !text.starts_with('{') {
                        continue;
                    }
                    if let Some(listener) = &mut self.listener {
                        listener.hear(text);
                    }
                    messages.push(wire::tagged(text, lane));
                }
                Poll::Ready(Some(messages))
            }
        }
    }

    /// The head came: events follow it, or it is a refusal.
    fn answered(&mut self, reply: Reply, lane: Option<&str>) -> Option<Vec<String>> {
        let (parts, body) = reply.into_parts();
        let whole = match body {
            ReplyBody::Running(exchange) => {
                let body = Box::new(ReplyBody::Running(exchange));
                let limits = SseLimits {
                    max_event_bytes: EVENT_BYTES,
                };
                self.stage = Stage::Answering(body, SseFramer::new(limits));
                return Some(Vec::new());
            }
            ReplyBody::Whole(bytes) => bytes.unwrap_or_default(),
            // No turn asks for these.
            ReplyBody::Results(_) => Bytes::new(),
        };
        self.listener = None;
        let names = [
            "retry-after",
            "retry-after-ms",
            "x-should-retry",
            "x-request-id",
        ];
        let headers = names.into_iter().filter_map(|name| {
            let value = parts.headers.get(name)?.to_str().ok()?;
            Some((name, value))
        });
        let headers: Vec<(&str, &str)> = headers.collect();
        let event = wire::refusal(parts.status.as_u16(), &headers, &whole, lane);
        self.stage = nothing_more();
        Some(vec![event])
    }
}

/// Longest event that goes over a socket: there a message is whole. What one provider's event may be is less, but the last one of an
/// answer holds all of it.
const EVENT_BYTES: usize = 24 * 1024 * 1024;

fn nothing_more() -> Stage {
    let empty = Box::new(ReplyBody::Whole(None));
    Stage::Answering(empty, SseFramer::new(SseLimits::default()))
}

fn too_long(lane: Option<&str>) -> String {
    let message = "an event of the answer is too long for this connection; ask by POST";
    let failure = Failure::gateway(FailureKind::TooLarge, message);
    let reply = llmleaf_dialects::Dialect::Responses.render_error(&failure, "");
    wire::refusal(reply.status, &[], &reply.body.into(), lane)
}
