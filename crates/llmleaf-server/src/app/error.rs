//! Why a configuration cannot be served.

use crate::load::TooFewFiles;
use crate::usage::UsageError;
use llmleaf_auth::RosterError;
use llmleaf_exchange::UpstreamError;
use llmleaf_route::TableError;
use llmleaf_transport::{OriginError, TlsError};
use std::path::PathBuf;
use thiserror::Error;

/// A configuration that cannot be served.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The system allows too few open files.
    #[error(transparent)]
    Files(#[from] TooFewFiles),
    /// A provider cannot be called.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// Routes do not stand.
    #[error(transparent)]
    Routes(#[from] TableError),
    /// Keys do not stand.
    #[error(transparent)]
    Keys(#[from] RosterError),
    /// A key's hash does not parse.
    #[error("key `{id}`: {error}")]
    Hash {
        id: String,
        error: llmleaf_auth::HashError,
    },
    /// The authenticator's own key could not be made.
    #[error(transparent)]
    Mint(#[from] llmleaf_auth::MintError),
    /// Trust could not be set up.
    #[error("provider `{provider}`: {error}")]
    Trust { provider: String, error: TlsError },
    /// An issuer's address is none.
    #[error("issuer `{name}`: {error}")]
    Issuer { name: String, error: OriginError },
    /// The proxy's host is no host.
    #[error("proxy of provider `{provider}`: {error}")]
    Proxy {
        provider: String,
        error: OriginError,
    },
    /// The listener's certificate or key cannot be used.
    #[error("cannot use {path}: {why}")]
    Certificate { path: PathBuf, why: String },
    /// The directory for what is to outlive the process cannot be used.
    #[error("cannot use `state_dir` {path}: {error}")]
    Directory {
        path: PathBuf,
        error: std::io::Error,
    },
    /// The controller cannot be called.
    #[error("control.{what}: {why}")]
    Control { what: &'static str, why: String },
    /// There is no thread for the controller's client.
    #[error("cannot start the controller's client: {0}")]
    Thread(std::io::Error),
    /// Usage records cannot be kept as configured.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The access log cannot be written.
    #[error("cannot write the access log: {0}")]
    AccessLog(std::io::Error),
    /// Nobody can be told of traces.
    #[error("[traces] cannot be used: {0}")]
    Traces(String),
    /// A certificate file cannot be read.
    #[error("cannot read {path}: {error}")]
    File {
        path: PathBuf,
        error: std::io::Error,
    },
}
