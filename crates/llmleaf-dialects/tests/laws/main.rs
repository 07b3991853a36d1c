//! What holds for any bytes at all, at both ends of every wire.
//!
//! The laws are functions that panic where they are broken. Two things call them: the fuzz targets in `fuzz/`, with
//! whatever their engine thinks of, and [`smoke`], with recorded traffic and a few thousand mutations of it, the same
//! ones on every run.
//!
//! Reading order: [`wires`] (what the laws run under), [`json`] (an independent reading), [`streams`], [`answers`],
//! [`requests`], [`edits`], [`errors`].
//!
//! `cfg(test)` is always true here; it tells clippy that all of a module is test code.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod edits;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod json;
#[cfg(test)]
mod mutate;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod smoke;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod wires;
