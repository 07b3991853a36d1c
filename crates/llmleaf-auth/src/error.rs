//! What a consumer is told when it is not let in, and what an operator is told when a key cannot be made.

use crate::credential::CredentialSource;
use crate::tokens::TokenFault;

/// How many characters of a model's name are repeated in [`AuthError::message`].
pub const MAX_ECHOED_MODEL_CHARS: usize = 128;

/// Why a caller is not let in. Carries no part of a credential, so it can be shown and logged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No header carried a credential.
    #[error("no credential was sent")]
    Missing,
    /// A credential was sent in a form that cannot be one of ours.
    #[error("malformed credential in {header}: {hint}")]
    Malformed {
        /// Where it was read.
        header: CredentialSource,
        /// What it looked like.
        hint: Hint,
    },
    /// Two different credentials were sent. Choosing one of them would be guessing who is calling.
    #[error("two different credentials were sent")]
    Conflicting,
    /// The id is unknown or the secret is wrong. Deliberately one variant, so that ids cannot be probed.
    #[error("the credential is not valid")]
    Invalid,
    /// The key is good and may not use this model.
    #[error("the key may not use this model")]
    ModelNotAllowed {
        /// The model as the consumer named it.
        model: String,
    },
    /// The key is good, and a controller has blocked it.
    #[error("the key is blocked")]
    Blocked,
    /// The key is good, and a controller has suspended it.
    #[error("the key is suspended")]
    Suspended {
        /// For how much longer.
        secs: u64,
    },
    /// The credential is none of those known here, and the roster that would know was never had, or is too old.
    #[error("the roster of keys is not there yet")]
    IdentityUnavailable,
    /// The key is good, and nobody is let in before it is known what is said of keys.
    #[error("the verdicts on keys are not there yet")]
    VerdictsUnavailable,
    /// A token of an issuer that is believed here is not good.
    #[error("the token {0}")]
    Token(TokenFault),
    /// The token is good and lacks a scope that the operator asks for.
    #[error("the token lacks a scope")]
    InsufficientScope {
        /// All that are asked for.
        needed: String,
    },
    /// The token is good, and none of its roles may use this model.
    #[error("the token may not use this model")]
    ModelNotGranted {
        /// The model as the consumer named it.
        model: String,
    },
    /// Nothing is known of the token, since its issuer cannot be reached.
    #[error("the issuer of the token cannot be asked")]
    IssuerUnavailable,
    /// Too many unproven credentials are waiting to be hashed (said by the caller's pool), or there was no memory to hash
    /// one in. Says nothing about the credential.
    #[error("too many credentials are waiting to be checked")]
    Overloaded,
}

impl AuthError {
    /// The text for the consumer: says what to do, and repeats nothing of the credential.
    pub fn message(&self) -> String {
        match self {
            Self::Missing => "No credential was sent. Send `Authorization: Bearer <key>` or `x-api-key: <key>`.".into(),
            Self::Malformed { header, hint } => {
                format!("The credential in {header} {hint}. {}", hint.advice())
            }
            Self::Conflicting => {
                "Two different credentials were sent in this request. Send one, or the same one in each header.".into()
            }
            Self::Invalid => "The credential is well formed, but this gateway does not accept it.".into(),
            Self::ModelNotAllowed { model } => {
                format!("This key may not use the model `{}`.", echoed(model))
            }
            Self::Blocked => "This key is blocked.".into(),
            Self::Suspended { secs } => {
                format!("This key is suspended for another {secs} seconds.")
            }
            Self::IdentityUnavailable => {
                "The list of keys is not available right now, so this credential cannot be checked. Try again in a moment.".into()
            }
            Self::VerdictsUnavailable => {
                "It is not known right now whether this key may be used. Try again in a moment.".into()
            }
            Self::Token(fault) => format!("The token {fault}."),
            Self::InsufficientScope { needed } => {
                format!("The token lacks a scope. Needed: {needed}.")
            }
            Self::ModelNotGranted { model } => {
                format!("This token may not use the model `{}`.", echoed(model))
            }
            Self::IssuerUnavailable => {
                "The issuer of this token cannot be asked about it right now. Try again in a moment.".into()
            }
            Self::Overloaded => "Too many credentials are being checked right now. Try again in a moment.".into(),
        }
    }

    /// A stable code for error bodies, metrics and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing | Self::Malformed { .. } | Self::Conflicting | Self::Invalid => {
                "invalid_api_key"
            }
            Self::ModelNotAllowed { .. } => "permission_denied",
            Self::Blocked => "key_blocked",
            Self::Suspended { .. } => "key_suspended",
            Self::IdentityUnavailable => "identity_unavailable",
            Self::VerdictsUnavailable => "limits_unavailable",
            // RFC 6750 section 3.1 (2012-10).
            Self::Token(_) => "invalid_token",
            Self::InsufficientScope { .. } | Self::ModelNotGranted { .. } => "insufficient_scope",
            Self::IssuerUnavailable => "identity_unavailable",
            Self::Overloaded => "server_overloaded",
        }
    }
}

/// The model's name as it may be repeated: bounded, and without control characters.
fn echoed(model: &str) -> String {
    let mut text: String = model
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_ECHOED_MODEL_CHARS)
        .collect();
    if text.len() < model.len() {
        text.push('…');
    }
    text
}

/// What a refused credential looked like. The text completes "the credential in `x-api-key` …".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Hint {
    /// A header with no value.
    #[error("is empty")]
    Empty,
    /// Over [`crate::credential::MAX_HEADER_BYTES`] or over a limit of one of its parts.
    #[error("is too long")]
    TooLong,
    /// Not UTF-8, or control characters.
    #[error("contains bytes that are not text")]
    NotText,
    /// A line break or another control character inside base64.
    #[error("decodes to text that contains a line break or another control character")]
    ControlCharacter,
    /// Spaces inside the token.
    #[error("contains white space")]
    WhiteSpace,
    /// `Authorization` without `Bearer` or `Basic` in front.
    #[error("has no scheme that is known here")]
    Scheme,
    /// Good base64, no colon in it.
    #[error("looks like base64 of something without a colon")]
    Base64WithoutColon,
    /// Base64 with wrong padding, mixed alphabets or stray trailing bits.
    #[error("looks like base64 that is damaged or not in its canonical form")]
    Base64NotCanonical,
    /// Base64 of bytes that are not UTF-8.
    #[error("looks like base64 of something that is not text")]
    Base64NotText,
    /// `:password`.
    #[error("has no id in front of the colon")]
    EmptyId,
    /// `id:`.
    #[error("has no password after the colon")]
    EmptyPassword,
    /// The prefix of our random keys, and not their shape.
    #[error("looks like one of this gateway's random keys, but a part of it is missing")]
    RandomKeyShape,
    /// The shape of our random keys, and a checksum that disagrees.
    #[error(
        "looks like one of this gateway's random keys, but was mistyped or cut: its checksum does not match"
    )]
    RandomKeyChecksum,
    /// `id:llk_…` where the key names another id.
    #[error("has one id in front of the colon and another in the key")]
    RandomKeyId,
    /// `sk-…` and the like.
    #[error("looks like a key of some other service")]
    ForeignKey,
    /// Three parts with dots between them.
    #[error("looks like a JSON web token")]
    Jwt,
    /// None of the above.
    #[error("has a form that is not known here")]
    Unknown,
}

impl Hint {
    /// What to send instead.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Scheme => "Send `Authorization: Bearer <key>`, or `Basic` with id and password.",
            Self::ControlCharacter | Self::WhiteSpace | Self::Base64NotCanonical => {
                "Encode with `printf '%s' 'id:password' | base64 -w0`; `echo` and plain `base64` add line breaks."
            }
            Self::RandomKeyShape | Self::RandomKeyChecksum | Self::RandomKeyId => {
                "Copy the whole key again."
            }
            Self::Jwt => {
                "Tokens of an identity provider are not accepted here; send a key of this gateway."
            }
            Self::ForeignKey => {
                "Send a key of this gateway; the keys of the providers stay inside it and are not used by consumers."
            }
            _ => "Send a key made by `llmleaf key new`, or `id:password`, raw or in base64.",
        }
    }
}

/// Why a key or a password hash could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// The id cannot be part of a key.
    #[error("this id cannot be used in a key: {0}")]
    Id(&'static str),
    /// The password could never be presented as a credential.
    #[error("this password cannot be used: {0}")]
    Password(&'static str),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Entropy,
    /// The hash function refused or could not get its memory.
    #[error("the password could not be hashed, probably for want of memory")]
    Hash,
}
