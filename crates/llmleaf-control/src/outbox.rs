//! Events on their way to a controller: batches of what some queue keeps until it was taken. The queue decides what is pushed, when
//! again, and what is laid aside; this only carries.

use bytes::{BufMut, Bytes, BytesMut};
use std::time::Duration;

/// What is to be done now.
#[derive(Debug)]
pub enum Next {
    /// Push these: each one JSON object. [`Queue::told`] hears how it went.
    Push {
        /// The events.
        events: Vec<Bytes>,
        /// Further ones wait already.
        more: bool,
    },
    /// Nothing before so much time has passed.
    Wait(Duration),
    /// Nothing waits.
    Idle,
}

/// How a push went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It was answered: with which status, and how long to wait.
    Answered(u16, Option<Duration>),
    /// It was not.
    Unanswered,
}

/// Where events wait.
pub trait Queue: Send {
    /// No batch is to have more events than that from now on.
    fn bound(&mut self, most: usize);

    /// What to do now.
    fn next(&mut self) -> Next;

    /// How the last push went.
    fn told(&mut self, pushed: Pushed);
}

/// The body of a push.
pub(crate) fn body(events: &[Bytes]) -> Bytes {
    let size: usize = events.iter().map(|event| event.len() + 1).sum();
    let mut body = BytesMut::with_capacity(size + 16);
    body.put_slice(b"{\"events\":[");
    for (place, event) in events.iter().enumerate() {
        if place > 0 {
            body.put_u8(b',');
        }
        body.put_slice(event);
    }
    body.put_slice(b"]}");
    body.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_one_list() {
        let events = |count: usize| vec![Bytes::from_static(b"{\"a\":1}"); count];
        assert_eq!(body(&events(0)), "{\"events\":[]}");
        assert_eq!(body(&events(2)), "{\"events\":[{\"a\":1},{\"a\":1}]}");
    }
}
