//! One exchange: attempts, commit point, clocks, cancellation, ledger. The one driver.
//!
//! An [`Exchange`] is a single future with an outlet for bytes. It owns everything it started: the upstream call
//! lives inside it, so dropping the exchange closes the upstream socket, in every phase, with no task to forget. Where configuration wants
//! an upstream read to its end all the same, `drains` takes over what is left.
//! The server polls it for a reply head and then for chunks; it is never `Send`.
//!
//! What this crate does not know: wires (only `llmleaf-dialects` does), providers' names, sockets, HTTP servers.
//!
//! Reading order: [`node`] (what all exchanges of a worker share), [`job`], [`chain`] (whom it may try), `drive` (the walk along the chain), `attempt`
//! (one target), [`minting`] (credentials that do not last), `race` (two of them), [`realtime`] (a session in place of an answer), `stream` and `whole` (its answer), `pump` (events and frames on their way), `outlet`, `drains`,
//! [`upload`] (bodies that are sent on while they come), `flow` (answers that are no chats), `inspect` (who looks at it first), `begins`, `ending` and [`ledger`] (its record), [`explain`] (its decisions, for those who may ask), [`panics`].

mod asking;
mod attempt;
mod audio;
pub mod batch;
mod begins;
pub mod chain;
mod count;
mod drains;
mod draw;
mod drive;
mod embed;
mod ending;
pub mod explain;
mod failure;
mod flow;
mod health;
mod inspect;
pub mod job;
pub mod kept;
pub mod ledger;
pub mod losses;
pub mod minting;
mod moderate;
pub mod node;
mod outlet;
pub mod panics;
mod pulse;
mod pump;
mod race;
pub mod realtime;
mod rerank;
mod settlement;
mod stream;
mod trace;
pub mod upload;
pub mod upstream;
mod waits;
mod whole;

pub use audio::Audio;
pub use batch::{BatchAsk, BatchNames, BatchVerb, Destined, Part};
pub use begins::Begins;
pub use drains::Drains;
pub use inspect::{Inspector, Looking, Opinion, UNAVAILABLE};
pub use job::{Allowance, Job, Operation, Spending};
pub use kept::{Names, Owner, Verb};
pub use ledger::{
    Began, CHUNK_BOUNDS_MS, Chunks, Cost, Doubt, End, EndRecord, Grade, KEPT, Ledger, Outcome,
    Pledge, Sink, Turned, UsageRecord,
};
pub use minting::Minter;
pub use node::{
    LossPolicy, Node, Parts, PromptCache, RouteSettings, Seeds, SessionParts, Shared, Tuning,
};
pub use outlet::{Aborted, Bar, Exchange, ReplyHead};
pub use trace::{SpanId, Trace};
pub use upload::{Room, Share, Source, Upload};
pub use upstream::{ChatApi, Credential, Upstream, UpstreamError, UpstreamSpec, UpstreamStreaming};
