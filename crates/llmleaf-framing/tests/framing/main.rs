//! The laws of the framers, each by a table, by random input against an independent reference, and by
//! recorded streams. `reference.rs` and `drive.rs` are shared with the fuzz targets.

mod bounds;
mod drive;
mod ndjson;
mod recordings;
mod reference;
mod sse_properties;
mod sse_table;
mod write;
