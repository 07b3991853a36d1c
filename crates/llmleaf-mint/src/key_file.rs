//! Key files as a cloud's tools write them: one JSON object, whose `type` says how to read it.

use crate::assertion::{KeyError, Signer};
use crate::hidden::Hidden;
use crate::source::{Grant, Source};
use serde::Deserialize;
use thiserror::Error;

/// What a key file holds.
#[derive(Debug)]
pub struct KeyFile {
    /// How tokens are asked for with it.
    pub source: Source,
    /// The project it belongs to.
    pub project: Option<String>,
}

/// A text that is no key file, or none that can be used. Never quotes it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyFileError {
    /// No JSON object.
    #[error("it is no JSON object")]
    NotJson,
    /// No `type`.
    #[error("it has no `type`, so it is no key file")]
    NoType,
    /// A type that is known and not served.
    #[error(
        "keys of type `{0}` are not supported; use a service account's key, or the machine's own account"
    )]
    Unsupported(String),
    /// A type that nobody knows.
    #[error("its `type` is unknown")]
    Unknown,
    /// Something is missing.
    #[error("it is of type `{kind}` and has no `{field}`")]
    Missing {
        /// The type.
        kind: &'static str,
        /// What is missing.
        field: &'static str,
    },
    /// A key that cannot sign.
    #[error(transparent)]
    Key(#[from] KeyError),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw {
    r#type: Option<String>,
    project_id: Option<String>,
    quota_project_id: Option<String>,
    private_key_id: Option<String>,
    private_key: Option<Hidden>,
    client_email: Option<String>,
    token_uri: Option<String>,
    client_id: Option<String>,
    client_secret: Option<Hidden>,
    refresh_token: Option<Hidden>,
}

/// Types that exist and need more than one exchange.
const UNSUPPORTED: &[&str] = &[
    "external_account",
    "external_account_authorized_user",
    "impersonated_service_account",
    "gdch_service_account",
];

/// Reads a key file. `token_url` counts where it names no address of its own.
///
/// # Errors
/// It cannot be used; says why.
pub fn read(text: &str, token_url: &str, scope: &str) -> Result<KeyFile, KeyFileError> {
    // The parser's own words may quote the text.
    let raw: Raw = serde_json::from_str(text).map_err(|_| KeyFileError::NotJson)?;
    let url = raw.token_uri.filter(|url| !url.is_empty());
    let url = url.unwrap_or_else(|| token_url.to_owned());
    match raw.r#type.as_deref() {
        None => Err(KeyFileError::NoType),
        Some("service_account") => {
            let missing = |field| KeyFileError::Missing {
                kind: "service_account",
                field,
            };
            let key = raw.private_key.ok_or_else(|| missing("private_key"))?;
            let grant = Grant::Assertion {
                issuer: raw.client_email.ok_or_else(|| missing("client_email"))?,
                scope: scope.to_owned(),
                signer: Signer::new(key.expose(), raw.private_key_id)?,
            };
            Ok(KeyFile {
                source: Source::new(url, grant),
                project: raw.project_id,
            })
        }
        Some("authorized_user") => {
            let missing = |field| KeyFileError::Missing {
                kind: "authorized_user",
                field,
            };
            let grant = Grant::Refresh {
                client_id: raw.client_id.ok_or_else(|| missing("client_id"))?,
                client_secret: raw.client_secret.ok_or_else(|| missing("client_secret"))?,
                refresh_token: raw.refresh_token.ok_or_else(|| missing("refresh_token"))?,
            };
            Ok(KeyFile {
                source: Source::new(url, grant),
                project: raw.quota_project_id,
            })
        }
        Some(other) => match UNSUPPORTED.iter().find(|known| **known == other) {
            Some(known) => Err(KeyFileError::Unsupported((*known).to_owned())),
            None => Err(KeyFileError::Unknown),
        },
    }
}

#[cfg(test)]
mod tests;
