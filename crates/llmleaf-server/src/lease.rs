//! What a request holds of its key's budget, where a controller grants budgets in slices.

use crate::app::App;
use llmleaf_auth::Principal;
use llmleaf_control::lease::Spent;
use llmleaf_control::{Hold, Spendless};
use llmleaf_exchange::{Allowance, Spending};
use llmleaf_model::{Failure, FailureKind, Origin};

#[derive(Debug)]
struct Charged(Hold);

impl Spending for Charged {
    fn spend(&mut self, tokens: u64, nano_usd: u64) {
        self.0.spend(tokens, nano_usd);
    }

    fn renew(&mut self) -> Result<(), Failure> {
        self.0.renew().map_err(refused)
    }
}

/// Adds to what a request holds what it takes of its key's budget, if the key has one. Only where nothing is left of the slice that this
/// node was granted does it wait, for the controller's word, and not for long.
///
/// # Errors
/// Nothing is left, or nobody says whether something is.
pub async fn hold(
    app: &App,
    principal: &Principal,
    tokens: u64,
    allowance: Option<Allowance>,
) -> Result<Option<Allowance>, Failure> {
    if !app.authenticator.is_leased(principal) {
        return Ok(allowance);
    }
    let thought = Spent {
        requests: 1,
        tokens,
        nano_usd: 0,
    };
    let held = match app.leases {
        true => app.budget.hold(principal.key_id(), thought).await,
        false => Err(Spendless::Unknown),
    };
    let budget = Box::new(Charged(held.map_err(refused)?));
    let all = Allowance::budgeted(allowance, budget, tokens, &app.shared);
    Ok(Some(all))
}

/// The same for what was used already and is only told now, such as the answers of a batch: that is never refused.
pub fn charge(app: &App, principal: &Principal, allowance: Option<Allowance>) -> Option<Allowance> {
    if !app.leases || !app.authenticator.is_leased(principal) {
        return allowance;
    }
    let budget = Box::new(Charged(app.budget.charge(principal.key_id())));
    Some(Allowance::budgeted(allowance, budget, 0, &app.shared))
}

fn refused(spendless: Spendless) -> Failure {
    match spendless {
        Spendless::Exhausted(wait) => {
            let message = "the budget of this key is used up";
            let mut failure = Failure::new(Origin::Gateway, FailureKind::RateLimit, message);
            failure.code = Some("budget_exhausted".to_owned());
            failure.retry_after = wait;
            failure
        }
        Spendless::Unknown => {
            let message = "it is not known right now what is left of the budget of this key; try again shortly";
            let mut failure = Failure::gateway(FailureKind::Overloaded, message);
            failure.code = Some("budget_unavailable".to_owned());
            failure
        }
    }
}
