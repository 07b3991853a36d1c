//! Who is calling: consumer keys, password hashes and grants.
//!
//! Pure: no I/O, clock, environment, thread or runtime. The one thing taken from the system is randomness, for new
//! keys, salts and the key of the proof cache. The crate knows neither HTTP nor the config format: its caller hands
//! in header values, and turns [`AuthError`] into a status and a body.
//!
//! ```text
//! header values ─ Credential::from_headers
//!               ─ Authenticator::check ─┬─ Granted(Principal)
//!                                       ├─ Denied(AuthError)
//!                                       └─ NeedsWork(Work) ─ Work::run, on a blocking pool ─ Authenticator::settle
//!               ─ Authenticator::authorise(principal, model) ─ Grant      a handler asks for one, so none runs without
//! ```
//!
//! Reading order: [`error`], [`secret`], [`credential`], [`random_key`], [`password`], [`models`], [`roster`], [`verdicts`],
//! [`authenticator`], [`grant`]; then [`sealed_id`], [`pass`]; and [`tokens`], for callers that an identity provider vouches for.
//!
//! Invariants, each with a test:
//!
//! - Nothing here prints a secret, a stored hash or a piece of either, in `Debug`, in `Display` or in an error.
//! - Unknown id and wrong password give the same error and cost the same work.
//! - A slow hash never runs in `check`; a random key never needs one.
//! - A refused form (alias, over-long, control characters) is refused before anything is hashed.
//! - Memory is bounded: one proof per key of the roster, [`authenticator::MAX_REFUSALS`] remembered refusals.

pub mod authenticator;
pub mod credential;
pub mod error;
pub mod grant;
pub mod models;
pub mod pass;
pub mod password;
pub mod random_key;
pub mod roster;
pub mod sealed_id;
pub mod secret;
pub mod tokens;
pub mod verdicts;

pub use authenticator::{Authenticator, Check, Recall, Verdict, Work};
pub use credential::{Credential, CredentialHeaders, CredentialSource, Tokens};
pub use error::{AuthError, Hint, MintError};
pub use grant::{Grant, Principal};
pub use models::ModelPatterns;
pub use pass::{Pass, Passes};
pub use password::{HashError, PasswordHash, hash_password};
pub use random_key::NewKey;
pub use roster::{KeyEntry, Roster, RosterError};
pub use sealed_id::IdSeal;
pub use secret::Secret;
pub use tokens::{Issuer, Issuers, KeySet, Proof, TokenFault};
pub use verdicts::{KeyVerdict, Verdicts, VerdictsError};
