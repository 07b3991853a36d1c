//! The laws of the framers, each by a table, by random input against an independent reference, and by
//! recorded streams. `reference.rs` and `drive.rs` are shared with the fuzz targets.
//!
//! `cfg(test)` is always true here; it tells clippy that all of a module is test code.

#[cfg(test)]
mod alike;
#[cfg(test)]
mod array;
#[cfg(test)]
mod bounds;
#[cfg(test)]
mod drive;
#[cfg(test)]
mod multipart;
#[cfg(test)]
mod ndjson;
#[cfg(test)]
mod recordings;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod sse_properties;
#[cfg(test)]
mod sse_table;
#[cfg(test)]
mod write;
