//! Batches: who took one, under which names its owner is told of it, and those that this node runs itself.
//!
//! Nothing is remembered here of what a provider runs: the id says it all, sealed for the key that made it (`ids`). What no provider
//! runs as a batch, this node does (`runner`), if it is given a directory to keep it in (`store`), where a journal says what was answered.
//!
//! Reading order: `ids`, `destined` (where a batch may go), then `service/batches.rs` for the endpoints; `store`, `shelf` (both in `folders`), `journal`,
//! `runner`, `reading` for those that are run here.

pub mod destined;
mod folders;
pub mod ids;
pub mod journal;
pub mod reading;
pub mod runner;
pub mod shelf;
pub mod store;
