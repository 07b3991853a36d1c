//! What a request is thought to use, and whether its key's limits and budget allow that.

use super::{Call, refused, unix_now};
use crate::allowance;
use crate::reply::Reply;
use llmleaf_auth::Principal;
use llmleaf_dialects::{Dialect, Head};
use llmleaf_exchange::{Allowance, Operation};
use llmleaf_route::limits::Figures;

/// What a request holds of its key's limits and budget, and the figures to tell; or the reply that it may not.
pub type Admitted = Result<(Option<Allowance>, Option<Figures>), Box<Reply>>;

/// Marks a reply that says no more than that the key is at its limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limited;

impl Call {
    /// Tokens that the request is thought to use, where a limit counts them.
    pub(super) fn tokens(
        &self,
        (operation, heard): (Operation, Dialect),
        principal: &Principal,
        head: &Head,
        body: &[u8],
    ) -> u64 {
        let app = &self.worker.app;
        let counts = app.shared.counts_tokens
            || app.allowances.counts_tokens(principal)
            || app.authenticator.is_leased(principal);
        if !counts {
            return 0;
        }
        llmleaf_exchange::chain::estimate(operation, heard, head, body)
    }

    /// What the key's limits allow. Whatever asks a provider for an answer passes here, and then holds what it uses of a budget.
    pub fn allowance(&self, dialect: Dialect, principal: &Principal, tokens: u64) -> Admitted {
        let app = &self.worker.app;
        let Some(limiter) = app.allowances.of(principal, app.shared.now()) else {
            return Ok((None, None));
        };
        let admitted = allowance::admit(&limiter, tokens, &app.shared);
        let figures = limiter.figures(app.shared.now());
        match admitted {
            Ok(allowance) => Ok((Some(allowance), Some(figures))),
            Err(failure) => {
                let mut reply = refused(&self.worker, dialect, None, &failure, &self.id);
                allowance::tell(reply.headers_mut(), dialect, &figures, unix_now());
                reply.extensions_mut().insert(Limited);
                Err(Box::new(reply))
            }
        }
    }
}
