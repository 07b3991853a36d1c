//! HTTP/1 with a consumer: one connection, one request after the other, in one task.
//!
//! There is no queue and no second task between the socket and an exchange: the task that reads a request polls what answers it, and
//! writes what that says. A connection that waits for a request holds no buffer, one that waits for the rest of an answer a small one.
//! The other side of the node speaks in the same way (`llmleaf-transport`); what both leave out of HTTP/1 is what nobody in this
//! field uses and smugglers do.
//!
//! Reading order: this file (a connection's course), `head.rs` (which heads are read), `wire.rs` (the socket and its clocks),
//! `answer.rs` (what goes out); [`crate::incoming`] has the bodies of requests.

mod answer;
mod head;
mod spares;
mod wire;

pub use head::Refused;
pub use spares::Spares;
pub use wire::{HEAD_TIMEOUT, IDLE_TIMEOUT, Socket, Wire};

use crate::graceful::graceful;
use crate::incoming::{Coming, Incoming};
use crate::worker::Order;
use answer::{Manner, Outgoing};
use bytes::Bytes;
use head::Head;
use http::{Method, Request, Response, StatusCode, Version};
use http_body::Body;
use llmleaf_exchange::Aborted;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use tokio::sync::watch;
use wire::Next;

/// What answers the requests of a connection.
pub trait Service {
    /// Bodies of its answers.
    type Body: Body<Data = Bytes, Error = Aborted> + Unpin;

    /// Answers a request.
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Response<Self::Body>>;

    /// Answers what is no request that is read.
    fn refuse(&self, refused: Refused) -> Response<Self::Body>;
}

/// How a connection ended that was not given up.
enum Ended {
    /// With an answer, or between two.
    Closed,
    /// It speaks no HTTP any more.
    Switched,
}

/// Serves a connection until it ends or is to. What is left of one that speaks no HTTP any more is returned, with what was read of it.
pub async fn talk<S: Service>(
    socket: Box<dyn Socket>,
    service: S,
    spares: &Rc<Spares>,
    orders: watch::Receiver<Order>,
) -> Option<(Box<dyn Socket>, Bytes)> {
    let wire = Rc::new(Wire::new(socket, Rc::clone(spares)));
    let ends = Cell::new(false);
    let ended = {
        let held = Held {
            wire: &wire,
            spares,
            ends: &ends,
        };
        let serving = pin!(serve(&held, &service));
        graceful(serving, orders, || wire.has_served(), |_| ends.set(true)).await
    };
    match ended {
        Ok(Ended::Switched) => return Rc::try_unwrap(wire).ok().map(Wire::into_parts),
        Ok(Ended::Closed) => poll_fn(|cx| wire.poll_close(cx)).await,
        Err(error) => tracing::debug!(%error, "a consumer's connection ended"),
    }
    None
}

/// What a connection has.
struct Held<'c> {
    wire: &'c Rc<Wire>,
    spares: &'c Spares,
    /// It is to take nothing more.
    ends: &'c Cell<bool>,
}

async fn serve<S: Service>(held: &Held<'_>, service: &S) -> io::Result<Ended> {
    let Held { wire, ends, .. } = held;
    loop {
        let (head, whole) = match poll_fn(|cx| wire.poll_next(ends.get(), cx)).await? {
            Next::Request(head, whole) => (head, whole),
            Next::Refused(refused) => {
                let manner = Manner {
                    version: Version::HTTP_11,
                    head_only: false,
                    keeps: false,
                };
                held.send(service.refuse(*refused), manner).await?;
                return Ok(Ended::Closed);
            }
            Next::End => return Ok(Ended::Closed),
        };
        let manner = Manner {
            version: head.version,
            head_only: head.method == Method::HEAD,
            keeps: head.keeps,
        };
        let body = match whole {
            Some(bytes) => Incoming::Whole(bytes),
            None => Incoming::Wire(Coming::new(wire)),
        };
        let reply = {
            // Boxed: it is most of what a connection would hold, and is over when an answer begins.
            let mut answer = Box::pin(service.answer(request(head, body)));
            let reply = poll_fn(|cx| match answer.as_mut().poll(cx) {
                Poll::Ready(reply) => Poll::Ready(Ok(reply)),
                Poll::Pending => match wire.hear(cx) {
                    Ok(()) => Poll::Pending,
                    Err(error) => Poll::Ready(Err(error)),
                },
            });
            reply.await?
        };
        let switches = reply.status() == StatusCode::SWITCHING_PROTOCOLS;
        let keeps = held.send(reply, manner).await?;
        if switches {
            return Ok(Ended::Switched);
        }
        if !keeps {
            return Ok(Ended::Closed);
        }
    }
}

fn request(head: Head, body: Incoming) -> Request<Incoming> {
    let mut request = Request::new(body);
    *request.method_mut() = head.method;
    *request.uri_mut() = head.uri;
    *request.version_mut() = head.version;
    *request.headers_mut() = head.headers;
    request
}

impl Held<'_> {
    /// Sends an answer; whether the connection can take another request.
    async fn send<B>(&self, reply: Response<B>, mut manner: Manner) -> io::Result<bool>
    where
        B: Body<Data = Bytes, Error = Aborted> + Unpin,
    {
        let Self { wire, spares, ends } = self;
        let (parts, mut body) = reply.into_parts();
        let exact = body.size_hint().exact();
        // Nobody reads what is left of the request when its answer is whole. While one runs somebody may.
        let may_read_on = exact.is_none();
        poll_fn(|cx| wire.poll_settled(may_read_on, cx)).await;
        manner.keeps &= wire.has_whole_request() && !ends.get();
        let mut outgoing = Outgoing::new(&parts, exact, manner, spares);
        spares.leave_headers(parts.headers);
        let spoils = outgoing.ends_with_connection();
        if spoils {
            // However this ends, and be it that nobody polls it any more.
            wire.spoil(true);
        }
        poll_fn(|cx| outgoing.poll(wire, &mut body, spares, cx)).await?;
        if spoils {
            if !outgoing.is_done() {
                // No orderly end either.
                return Err(io::Error::other("an answer was cut"));
            }
            wire.spoil(false);
        }
        wire.rest();
        Ok(outgoing.keeps() && !ends.get())
    }
}

#[cfg(test)]
mod tests;
