//! The transport against hand-scripted servers on loopback sockets. Nothing sleeps.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "clippy's exemption for tests does not reach what tests share"
)]

mod connect;
mod faults;
mod feeds;
mod ownership;
mod proxy;
mod races;
mod reuse;
mod support;
mod tls;
