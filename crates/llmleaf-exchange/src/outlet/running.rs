//! An exchange as its server runs it.

use super::{Aborted, Bar, Driver, Outlet, Repeats, ReplyHead, Slot, Tells};
use crate::drains::Drains;
use crate::drive;
use crate::ending::Ending;
use crate::job::Job;
use crate::node::Node;
use crate::panics;
use bytes::Bytes;
use llmleaf_dialects::Dialect;
use llmleaf_framing::ArrayWriter;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::Instant;

/// A running exchange. Dropping it ends everything it started.
pub struct Exchange {
    driver: Option<Driver>,
    drains: Rc<Drains>,
    slot: Rc<RefCell<Slot>>,
    dialect: Dialect,
    request_id: Arc<str>,
}

impl Exchange {
    /// Begins an exchange; nothing happens until it is polled.
    pub fn start(node: Rc<Node>, mut job: Job) -> Self {
        let wishes = (job.destinations(), job.preferences.take());
        // Once, before it is handed on: it is large.
        let job = Rc::new(job);
        let slot = Rc::new(RefCell::new(Slot {
            list: job.in_array.then(ArrayWriter::default),
            ..Slot::default()
        }));
        let outlet = Outlet(Rc::clone(&slot));
        let ending = Ending::open(&node, &job, outlet.clone());
        Self {
            dialect: job.dialect,
            request_id: Arc::clone(&job.request_id),
            drains: Rc::clone(&node.drains),
            driver: Some(Box::pin(drive::run(
                node,
                job,
                wishes,
                outlet,
                Rc::new(ending),
            ))),
            slot,
        }
    }

    /// It ends with an error when its caller may call no more. Whoever knows of that has it polled.
    pub fn bar(&mut self, bar: Bar) {
        self.slot.borrow_mut().bar = Some(bar);
    }

    /// Its consumer is told of its decisions: which targets, in which order, and why. To be said before it is polled.
    pub fn explain(&mut self) {
        self.slot.borrow_mut().tells = Tells::Decisions;
    }

    /// Whether its consumer is.
    pub fn explains(&self) -> bool {
        self.slot.borrow().tells == Tells::Decisions
    }

    /// Waits for status and headers.
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Option<ReplyHead>> {
        let done = self.poll_driver(cx);
        if self.slot.borrow().head.is_none() {
            return match done {
                true => Poll::Ready(None),
                false => Poll::Pending,
            };
        }
        let slot = &mut *self.slot.borrow_mut();
        slot.owed.poll(cx).map(|()| slot.head.take())
    }

    /// Whether it was refused in a way that asking again would not change, or only at the price of another answer.
    pub fn had_its_last_word(&self) -> bool {
        self.slot.borrow().repeats == Repeats::InVain
    }

    /// Waits for the next bytes of the body.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Aborted>>> {
        if let Some(chunk) = self.take_ready() {
            return Poll::Ready(Some(Ok(chunk)));
        }
        let done = self.poll_driver(cx);
        if let Some(chunk) = self.take_ready() {
            return Poll::Ready(Some(Ok(chunk)));
        }
        if self.slot.borrow().aborted {
            return Poll::Ready(Some(Err(Aborted)));
        }
        if done {
            Poll::Ready(None)
        } else {
            Poll::Pending
        }
    }

    /// Whether there is work left for [`Drains`].
    fn is_left_open(&self) -> bool {
        self.slot.borrow().drains()
    }

    fn take_ready(&self) -> Option<Bytes> {
        let mut slot = self.slot.borrow_mut();
        if slot.ready.is_empty() {
            None
        } else {
            // Handed on with the room it takes, and no more: a slow reader holds it for long.
            let ready = std::mem::take(&mut slot.ready);
            // A little more, or a piece that is an event longer would take twice the room.
            slot.usual = ready.len() + ready.len() / 8;
            slot.taken = slot.taken.saturating_add(ready.len());
            Some(Bytes::from(ready))
        }
    }

    fn poll_driver(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(driver) = &mut self.driver else {
            return true;
        };
        let began = Instant::now();
        self.slot.borrow_mut().running = Some(began);
        let polled = panics::contain(|| driver.as_mut().poll(cx));
        self.slot.borrow_mut().stands(began);
        match polled {
            Ok(Poll::Pending) => false,
            Ok(Poll::Ready(())) => {
                self.driver = None;
                true
            }
            Err(panics::Panicked) => {
                let outlet = Outlet(Rc::clone(&self.slot));
                let told = panics::told(outlet, self.dialect, Arc::clone(&self.request_id));
                // What is left of the driver is dropped here; its record was written while it unwound.
                self.driver = Some(Box::pin(told));
                self.poll_driver(cx)
            }
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(driver) = self.driver.take()
            && self.is_left_open()
        {
            self.drains.adopt(driver, Rc::clone(&self.slot));
        }
    }
}
