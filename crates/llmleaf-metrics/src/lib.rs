//! Numbers that are counted while serving, and how they are told.
//!
//! What this crate does not know: what is counted, where names come from, who asks. It reads no clock and no file.
//!
//! Reading order: `family.rs` (what a number is called), `cells.rs` (where it is counted: atomics, so that counting neither waits nor
//! allocates), `table.rs` (cells by labels, bounded), `text.rs` (the two text formats), `accept.rs` (which of them a scraper wants).

mod accept;
mod cells;
mod family;
mod table;
mod text;

pub use accept::negotiate;
pub use cells::{Counter, Histogram, Sums};
pub use family::{Family, Kind, Scale};
pub use table::Table;
pub use text::{Format, Text};
