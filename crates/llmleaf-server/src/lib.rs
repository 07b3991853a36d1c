//! The surface: route registry, listeners, authentication, admin and discovery.
//!
//! What this crate does not know: wires (only `llmleaf-dialects` does), how an exchange runs (`llmleaf-exchange`), how a
//! credential is proven (`llmleaf-auth`).
//!
//! Reading order: [`registry`] (every endpoint, one row each), `path` (which row a path means), `app` (the node built from
//! its config), `service` (one request), `gate` (what is refused of any request), `authenticate`, `incoming` and `inbound` (the body), `kept` (whose answer an id names), `intercept` (who is asked before something goes on), `lease` (what a key's budget has left), `batches` (whose batch), `socket` (many requests over a WebSocket), `realtime` (sessions of speech and text), `reply` (the answer on its way),
//! `worker` and `run` (threads, signals, the end), `http1`, `http2` and `graceful` (a consumer's connection), `load` (how much is taken on), `doors` and `tls`
//! (listeners), `ways` (to providers), `reload`, `watch` and `desk` (how another configuration takes effect), `control` (a controller's client beside it all), then `discovery`, `admin`, `telemetry` and `access`.

mod access;
mod admin;
mod alarm;
mod allowance;
mod app;
mod authenticate;
mod batches;
mod control;
mod desk;
mod discovery;
mod doors;
mod ebb;
mod gate;
mod graceful;
mod holders;
mod http1;
mod http2;
mod inbound;
mod incoming;
mod intercept;
mod kept;
mod lease;
mod load;
mod notify;
mod openapi;
mod path;
mod prices;
mod realtime;
pub mod registry;
mod reload;
mod reply;
mod request_id;
mod routing;
mod run;
mod service;
mod signals;
mod socket;
mod telemetry;
mod tls;
mod tokens;
mod traces;
mod usage;
mod watch;
mod ways;
mod worker;

pub use app::plan::{Plan, PlanError, Planned};
pub use app::{BuildError, check_urls};
pub use reload::Source;
pub use run::{Listening, RunError, run};
