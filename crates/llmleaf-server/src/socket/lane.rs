//! The turns of one lane, one after the other.

use super::Caller;
use super::turn::{Heard, Running};
use crate::desk::Desk;
use crate::kept;
use crate::service::{self, Purpose};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use llmleaf_dialects::responses::socket as wire;
use llmleaf_model::{Failure, FailureKind};
use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

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

/// A turn that runs, and who listens for what a later one may go on from.
struct Turn {
    listener: Option<wire::Listener>,
    running: Running,
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
        opened: &Caller,
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
        opened: &Caller,
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
        let asking = service::turn(worker, opened.clone(), body, Purpose::Turn);
        self.turn = Some(Turn {
            listener: Some(wire::Listener::new(items, create.store)),
            running: Running::new(asking),
        });
        Passed::Something
    }
}

impl Turn {
    /// The next messages; `None` when it has ended.
    fn poll(&mut self, lane: Option<&str>, cx: &mut Context<'_>) -> Poll<Option<Vec<String>>> {
        let Some(heard) = ready!(self.running.poll(cx)) else {
            return Poll::Ready(None);
        };
        let (events, last) = match heard {
            Heard::Events(events) => (events, None),
            Heard::TooLong(events) => (events, Some(too_long(lane))),
            Heard::Refused(status, headers, body) => {
                let event = refusal(status, &headers, &body, lane);
                (Vec::new(), Some(event))
            }
            // It asks for none.
            Heard::Bytes(_) | Heard::Cut => (Vec::new(), None),
        };
        let mut messages = Vec::with_capacity(events.len());
        for text in events {
            if let Some(listener) = &mut self.listener {
                listener.hear(&text);
            }
            messages.push(wire::tagged(&text, lane));
        }
        if let Some(last) = last {
            self.listener = None;
            messages.push(last);
        }
        Poll::Ready(Some(messages))
    }
}

fn refusal(status: StatusCode, headers: &HeaderMap, body: &Bytes, lane: Option<&str>) -> String {
    let names = [
        "retry-after",
        "retry-after-ms",
        "x-should-retry",
        "x-request-id",
        "x-llmleaf-explain",
    ];
    let headers = names.into_iter().filter_map(|name| {
        let value = headers.get(name)?.to_str().ok()?;
        Some((name, value))
    });
    let headers: Vec<(&str, &str)> = headers.collect();
    wire::refusal(status.as_u16(), &headers, body, lane)
}

fn too_long(lane: Option<&str>) -> String {
    let message = "an event of the answer is too long for this connection; ask by POST";
    let failure = Failure::gateway(FailureKind::TooLarge, message);
    let reply = llmleaf_dialects::Dialect::Responses.render_error(&failure, "");
    wire::refusal(reply.status, &[], &reply.body.into(), lane)
}
