//! What a consumer presented: from header values to one canonical `id` and secret.

mod token;

use std::fmt;

use crate::error::{AuthError, Hint};
use crate::secret::Secret;

/// Longest header value that is looked at, in bytes, its scheme included. The longest credential takes 392 in base64.
pub const MAX_HEADER_BYTES: usize = 1024;
/// Longest password, in bytes; random keys have their own form and are not measured by this. Bounds what one slow hash
/// can cost, since SHA-crypt takes time in step with the password.
pub const MAX_PASSWORD_BYTES: usize = 128;
/// How many values are looked at in one request, over all headers.
pub const MAX_VALUES: usize = 8;

/// Where a credential was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredentialSource {
    /// `Authorization: Bearer …` or `Basic …`.
    Authorization,
    /// `x-api-key`.
    XApiKey,
    /// `api-key`.
    ApiKey,
    /// `x-goog-api-key`.
    XGoogApiKey,
    /// The key part of a WebSocket sub-protocol; the caller has cut off what stands in front of it.
    WebSocketProtocol,
    /// A query parameter, already percent-decoded. Query strings end up in logs: a caller must have been told to look.
    Query,
}

impl fmt::Display for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Authorization => "`Authorization`",
            Self::XApiKey => "`x-api-key`",
            Self::ApiKey => "`api-key`",
            Self::XGoogApiKey => "`x-goog-api-key`",
            Self::WebSocketProtocol => "`Sec-WebSocket-Protocol`",
            Self::Query => "the query string",
        })
    }
}

/// Every value of a request that may hold a credential, borrowed and in raw bytes. Allocates nothing.
#[derive(Clone, Copy, Default)]
pub struct CredentialHeaders<'a> {
    values: [Option<(CredentialSource, &'a [u8])>; MAX_VALUES],
    overflowed: bool,
}

impl<'a> CredentialHeaders<'a> {
    /// No values yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one value. Call it for every occurrence of a header, not for the first only: two differing values must
    /// be seen to be refused.
    pub fn push(&mut self, source: CredentialSource, value: &'a [u8]) {
        match self.values.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some((source, value)),
            None => self.overflowed = true,
        }
    }

    /// All that was added; `None` where that is nothing, or more than is looked at.
    pub(crate) fn all(&self) -> Option<impl Iterator<Item = &(CredentialSource, &'a [u8])>> {
        let whole = !self.overflowed && self.values.first().is_some_and(Option::is_some);
        whole.then(|| self.values.iter().flatten())
    }

    /// [`Self::push`], as a chain.
    #[must_use]
    pub fn with(mut self, source: CredentialSource, value: &'a [u8]) -> Self {
        self.push(source, value);
        self
    }
}

impl fmt::Debug for CredentialHeaders<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources = self.values.iter().flatten().map(|(source, _)| source);
        f.debug_list().entries(sources).finish()
    }
}

/// One credential in its canonical form: whatever the spelling on the wire, equal credentials are equal here.
pub struct Credential {
    id: Box<str>,
    secret: Secret,
    kind: Kind,
}

/// What the secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Chosen by a person: proven by a slow hash.
    Password,
    /// A whole random key, its checksum already verified: proven by a fast hash.
    RandomKey,
    /// A token with two dots: proven by its signature.
    Signed,
    /// Another token: proven by asking its issuer.
    Opaque,
}

/// Which tokens are taken beside keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Signed ones.
    pub signed: bool,
    /// Opaque ones, which have no form to be known by: whatever cannot be a key.
    pub opaque: bool,
}

impl Credential {
    /// Reads the credential of a request.
    ///
    /// Accepted in every place: a random key, `id:password`, or base64 of that (standard or URL alphabet, padded or
    /// not, otherwise canonical). `Authorization` wants `Bearer` in front, or `Basic` and base64; the scheme's case does
    /// not matter. The same credential in several places, in whatever spelling, is one credential.
    ///
    /// # Errors
    ///
    /// [`AuthError::Missing`], [`AuthError::Malformed`] or [`AuthError::Conflicting`]. A malformed value is an error even
    /// beside a good one; an empty one is passed over there.
    pub fn from_headers(headers: &CredentialHeaders<'_>) -> Result<Self, AuthError> {
        Self::read(headers, Tokens::default())
    }

    /// The same where tokens are taken as well, in the same places (but for `Basic`). What has a colon is `id:password`; what
    /// begins as a random key does is one; what has exactly two dots is a signed token; what is base64 of `id:password` is
    /// that; and the rest may be an opaque token.
    ///
    /// # Errors
    ///
    /// As [`Self::from_headers`].
    pub fn read(headers: &CredentialHeaders<'_>, tokens: Tokens) -> Result<Self, AuthError> {
        if headers.overflowed {
            return Err(AuthError::Conflicting);
        }
        let mut found: Option<Self> = None;
        let mut empty: Option<CredentialSource> = None;
        for &(source, value) in headers.values.iter().flatten() {
            let malformed = |hint| AuthError::Malformed {
                header: source,
                hint,
            };
            let value = value.trim_ascii();
            if value.is_empty() {
                empty = empty.or(Some(source));
                continue;
            }
            let credential = match source {
                CredentialSource::Authorization => token::authorization(value, tokens),
                _ => token::token(value, tokens),
            }
            .map_err(malformed)?;
            match &found {
                Some(first) if !first.same_as(&credential) => return Err(AuthError::Conflicting),
                Some(_) => {}
                None => found = Some(credential),
            }
        }
        match (found, empty) {
            (Some(credential), _) => Ok(credential),
            (None, Some(header)) => Err(AuthError::Malformed {
                header,
                hint: Hint::Empty,
            }),
            (None, None) => Err(AuthError::Missing),
        }
    }

    /// The id the caller claims, before anything is proven. Not for logs of accepted requests: use the principal.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The token, and whether it is a signed one.
    pub fn token(&self) -> Option<(&str, bool)> {
        match self.kind {
            Kind::Password | Kind::RandomKey => None,
            Kind::Signed => Some((self.secret.expose(), true)),
            Kind::Opaque => Some((self.secret.expose(), false)),
        }
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    fn same_as(&self, other: &Self) -> bool {
        self.id == other.id
            && self.kind == other.kind
            && self.secret.ct_eq(other.secret.expose().as_bytes())
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not even the id: people paste secrets into the wrong half.
        f.write_str("Credential(…)")
    }
}

#[cfg(test)]
mod tests;
