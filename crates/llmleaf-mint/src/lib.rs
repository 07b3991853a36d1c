//! Credentials that do not last: tokens that are minted from a key, kept, and renewed ahead of their end.
//!
//! A [`Source`] says how a token is asked for and reads what comes back; a [`Purse`] holds the one there is and decides who asks for the
//! next, and when. Neither does I/O: the caller sends the request, and says what time it is.
//!
//! What this crate does not know: services, sockets, clocks, files. A key file comes to it as text.
//!
//! Reading order: [`purse`](Purse), [`source`](Source), `assertion` (what a private key signs), [`key_file`] and `answer`.

mod answer;
mod assertion;
mod hidden;
pub mod key_file;
mod purse;
mod source;
#[cfg(test)]
mod testing;

pub use answer::Fresh;
pub use assertion::{KeyError, Signer};
pub use hidden::Hidden;
pub use purse::{Purse, Take, Token};
pub use source::{Grant, Source};
