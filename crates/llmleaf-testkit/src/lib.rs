//! Test support: the independent judge.
//!
//! This crate shares no code with the product: what it knows of HTTP, server-sent events, JSON and
//! the dialects it knows from the documents and from recorded traffic, so that a misreading in the product
//! and the same misreading in its tests cannot cancel out.
//!
//! Reading order: [`recordings`] (real traffic), [`json`] and [`sse`] (naive readers), [`digest`]
//! (what a response says, whatever its dialect), [`jsondiff`] (what was changed on the way),
//! [`replay`] (a fake provider with faults), [`controller`] (a fake controller with faults), [`http`] (a raw consumer), [`binary`] (the real program), [`samples`] (small
//! answers to cut), [`stage`] (the real program in front of two fake providers), [`judge`] (whether what is promised was kept),
//! [`leaks`] (whether a secret got out of any of it).
//!
//! A test never sleeps: it waits for a [`replay::Gate`], a request, a closed connection or a log line,
//! each with a deadline.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test support: a panic is the failure report"
)]

pub mod beside;
pub mod binary;
pub mod controller;
pub mod digest;
pub mod http;
pub mod json;
pub mod jsondiff;
pub mod judge;
pub mod leaks;
pub mod metrics;
pub mod queued;
pub mod recordings;
pub mod replay;
pub mod samples;
pub mod sessions;
pub mod spool;
pub mod sse;
pub mod stage;
pub mod stand;
pub mod taken;
pub mod tally;
pub mod websocket;

mod wire;
