//! Why a token is refused.

use thiserror::Error;

/// Why a token is refused. Holds no part of it. The text completes "the token …"; it holds no quotation mark and no backslash, so
/// that it can stand in a challenge (RFC 6750 section 3, 2012-10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum TokenFault {
    /// No three parts of canonical base64url, or over a bound.
    #[error("is not a well-formed JSON web token")]
    Form,
    /// A part is not one JSON object without members that stand twice.
    #[error("has a part that is not one plain JSON object")]
    Json,
    /// It asks for what is not understood here, as `crit` and `b64` do.
    #[error("needs an extension that is not understood here")]
    Extension,
    /// It is encrypted, compressed or holds another token.
    #[error("is encrypted, compressed or nested")]
    Wrapped,
    /// A kind of token that is not for this.
    #[error("is of a type that is not accepted here")]
    Type,
    /// An algorithm that is not listed, or not the key's.
    #[error("is signed by an algorithm that is not accepted here")]
    Algorithm,
    /// From another issuer.
    #[error("is from an issuer that is not accepted here")]
    Issuer,
    /// It names a key that its issuer does not publish, or none where there are several.
    #[error("is signed by a key that its issuer does not publish")]
    Key,
    /// The signature is not right.
    #[error("has a signature that does not verify")]
    Signature,
    /// For somebody else.
    #[error("is meant for another audience")]
    Audience,
    /// Its time is over.
    #[error("has expired")]
    Expired,
    /// Its time has not come.
    #[error("is not valid yet")]
    Early,
    /// A claim that must be there is not, or is of the wrong type.
    #[error("has a claim that is missing or of the wrong type")]
    Claim,
    /// It is bound to a key of its holder, which a bearer does not prove.
    #[error("is bound to its sender and cannot be used as a bearer token")]
    Bound,
    /// It names nobody that could be told from others.
    #[error("names no caller")]
    Identity,
    /// Its issuer says that it is not good, or it is no longer.
    #[error("is not active")]
    Inactive,
    /// What it was proven by is not there any more.
    #[error("was proven by a key or a configuration that is gone")]
    Withdrawn,
}
