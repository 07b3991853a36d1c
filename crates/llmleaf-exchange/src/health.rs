//! What operators are told of targets that fall and rise.

use llmleaf_route::{Attempt, Change, Changes};

/// Logs what an outcome changed.
pub(crate) fn log(attempt: &Attempt, changes: Changes) {
    log_of(attempt.provider().name(), attempt.target().model(), changes);
}

/// The same for an attempt that is over.
pub(crate) fn log_of(provider: &str, model: &str, changes: Changes) {
    for change in changes.iter() {
        match change {
            Change::Opened { again, .. } => {
                tracing::warn!(provider, model, again, "a target is passed over");
            }
            Change::Closed => tracing::info!(provider, model, "a target serves again"),
            Change::Cooled { cause, .. } => {
                tracing::info!(
                    provider,
                    model,
                    cause = cause.as_str(),
                    "a credential is held back"
                );
            }
            Change::CredentialRefused { .. } => {
                tracing::warn!(
                    provider,
                    "a credential is refused; another is used if there is one"
                );
            }
            Change::CredentialAccepted => {
                tracing::info!(provider, "a credential is accepted again")
            }
        }
    }
}
