//! Upstream HTTP/1.1: connections owned by the exchange that uses them, pools, TLS.
//!
//! The exchange that makes a [`Call`] owns its connection and drives it from its own task: no task
//! is spawned per connection, a wake-up goes straight to the exchange, and dropping the [`Call`] or
//! the [`Body`] closes the socket at once, because nothing else holds it.
//!
//! What this crate does not know: dialects, providers, credentials, retries across targets, and
//! every clock but the one for connecting. Timeouts are the caller's: it drops the future.
//!
//! Nothing here is `Send`: each worker thread has its own [`Pool`].
//!
//! Reading order: [`origin`](Origin), [`pool`](Pool), `preamble` (a request as it goes out), `call`, `feed` (a request's body that
//! comes piece by piece), `body`, then `conn` (how one
//! connection is driven), `head`, `headers` and `coding` (what a response is), `dial`, `resolve`, `tls` and `proxy` (how one comes
//! to be); `turns` (in which order they write); then `websocket` (messages on a connection that has left HTTP, at either end).

mod body;
mod call;
mod coding;
mod conn;
mod dial;
mod error;
mod feed;
mod head;
mod headers;
mod origin;
mod pool;
mod preamble;
mod proxy;
mod resolve;
mod stream;
mod tls;
mod turns;
mod websocket;

pub use body::{Body, Response};
pub use call::{Call, Upgraded};
pub use coding::{Decoded, Decoder, is_token};
pub use error::TransportError;
pub use feed::{Feed, Unfed};
pub use headers::Headers;
pub use origin::{Origin, OriginError};
pub use pool::{Limits, Pool};
pub use preamble::Preamble;
pub use proxy::{Proxy, ProxyKind};
pub use stream::Stream;
pub use tls::{Identity, TlsConfig, TlsError};
pub use turns::Turns;
pub use websocket::{
    Bounds, Close, CloseCode, Fault, Handshake, Leg, Message, Received, Role, WAITING_BYTES,
    WebSocket, closing,
};
