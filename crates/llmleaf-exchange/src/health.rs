//! What operators are told of targets that fall and rise.

use crate::ledger::{Ledger, Turned};
use llmleaf_route::{Attempt, Change, Changes};

/// Tells what an outcome changed.
pub(crate) fn log(ledger: &Ledger, attempt: &Attempt, changes: Changes) {
    let (provider, target) = (attempt.provider(), attempt.target());
    log_of(ledger, provider.name(), target.model(), changes);
}

/// The same for an attempt that is over.
pub(crate) fn log_of(ledger: &Ledger, provider: &str, model: &str, changes: Changes) {
    let turned = |opened| Turned {
        provider,
        model,
        opened,
    };
    for change in changes.iter() {
        match change {
            Change::Opened { again, .. } => {
                tracing::warn!(provider, model, again, "a target is passed over");
                ledger.turned(turned(true));
            }
            Change::Closed => {
                tracing::info!(provider, model, "a target serves again");
                ledger.turned(turned(false));
            }
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
