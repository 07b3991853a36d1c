//! Callers proven by tokens that an identity provider issued: signed ones (JWT), and opaque ones that it is asked about.
//!
//! Everything is decided here but for how bytes travel: [`Issuers::prove`] says what is known of a token, or what has to be fetched
//! first, and by whom. Time is told.
//!
//! Reading order: [`fault`] (why not), [`strict`] (JSON without two readings), [`form`] (a token's parts), [`keys`] (what
//! signatures are checked with), [`rules`] (what is asked of a token), [`mapping`] (from claims to an identity),
//! [`identity`], [`schedule`] (when keys are fetched), [`discovery`] (from where), [`proven`] (what was proven before), [`introspection`] (the issuer is asked),
//! [`issuers`] (all of it together).
//!
//! Invariants, each with a test:
//!
//! - A token's own header chooses among the keys that its issuer publishes, and nothing else: no algorithm that the operator did
//!   not list, no key or address of its own.
//! - What is not understood is refused: `crit`, encryption, nesting, members that stand twice, numbers that are text.
//! - Nothing is believed for longer than the token, its key, its issuer and the configuration stand.
//! - However many tokens name keys that do not exist, the keys are fetched at most once in a stated time.
//! - No fault, message or `Debug` holds a part of a token.

pub mod discovery;
pub mod fault;
pub mod form;
pub mod identity;
pub mod introspection;
pub mod issuers;
pub mod keys;
pub mod mapping;
pub mod proven;
pub mod rules;
pub mod schedule;
pub mod strict;

pub use fault::TokenFault;
pub use identity::{Identity, IdentityLimits};
pub use introspection::{Asked, ClientAuth, Introspection};
pub use issuers::{Issuer, Issuers, KeySource, Missing, Proof};
pub use keys::{Algorithm, KeySet, KeySetError};
pub use mapping::{ClaimPath, Mapping, RoleGrant};
pub use rules::Rules;
pub use schedule::{Schedule, Wanted};
