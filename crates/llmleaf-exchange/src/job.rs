//! What an exchange is to do.

use crate::audio::Audio;
use crate::batch::{BatchAsk, BatchVerb};
use crate::inspect::Inspector;
use crate::kept::{Names, Owner, Verb};
use crate::node::{PromptCache, Shared};
use crate::realtime::Talk;
use crate::trace::Trace;
use crate::upload::Upload;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use llmleaf_dialects::{Dialect, EmbeddingForm, Head, ImageForm, ModerationForm, RerankForm};
use llmleaf_model::{Failure, Preferences};
use llmleaf_route::{Permit, Resolved};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// What is asked of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// An answer.
    Chat,
    /// The number of input tokens.
    CountTokens,
    /// Vectors for its inputs.
    Embed(EmbeddingForm),
    /// An order for its documents.
    Rerank(RerankForm),
    /// Verdicts on its inputs.
    Moderate(ModerationForm),
    /// A session over a WebSocket, of speech and text.
    Realtime,
    /// Images.
    Draw(ImageForm),
    /// Speech, or what was said.
    Audio(Audio),
    /// Something about an answer that a provider keeps.
    Kept(Verb),
    /// Something about batches.
    Batch(BatchVerb),
}

impl Operation {
    /// Name in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::CountTokens => "count_tokens",
            Self::Embed(_) => "embeddings",
            Self::Rerank(_) => "rerank",
            Self::Audio(audio) => audio.as_str(),
            Self::Kept(_) => "kept",
            Self::Moderate(_) => "moderations",
            Self::Draw(_) => "images",
            Self::Batch(_) => "batches",
            Self::Realtime => "realtime",
        }
    }
}

/// One authorised, routed request.
#[derive(Debug)]
pub struct Job {
    /// What is asked.
    pub operation: Operation,
    /// The consumer's dialect.
    pub dialect: Dialect,
    /// The dialect of its body: another one where a client sends one wire's requests and reads another's answers.
    pub heard: Dialect,
    /// The first reading of the body.
    pub head: Head,
    /// A streamed answer is to be one JSON array of its events (only where the dialect knows such).
    pub in_array: bool,
    /// Calls of tools are to come whole in a streamed answer (only where the dialect brings them in pieces).
    pub whole_calls: bool,
    /// The body as the consumer sent it, inflated.
    pub body: Bytes,
    /// The body where it is sent on while it comes, in place of `body`, which is empty then.
    pub upload: Option<Upload>,
    /// Id of the exchange, made here and unique whatever the consumer calls its request. Records are known by it.
    pub id: Arc<str>,
    /// Id of the request, in replies, logs and records.
    pub request_id: Arc<str>,
    /// Who asks: display name of the key.
    pub key: Arc<str>,
    /// Where to.
    pub resolved: Resolved,
    /// Where to for the further models that the request names, in its order.
    pub more: Vec<Resolved>,
    /// What the request asks of routing, beside that.
    pub preferences: Option<Box<Preferences>>,
    /// Keep the beginning of the prompt, as the request says in a header.
    pub prompt_cache: Option<PromptCache>,
    /// Hash of the session that the client names in a header.
    pub session: Option<u64>,
    /// Tokens that it is thought to use, where some limit counts them; see [`crate::chain::estimate`].
    pub tokens: u64,
    /// What the exchange holds of its key's limits.
    pub allowance: Option<Allowance>,
    /// The answer that it is about, or goes on from.
    pub owner: Option<Box<Owner>>,
    /// What it says of a batch.
    pub batch: Option<Box<BatchAsk>>,
    /// Under which names the consumer is told of answers that providers keep; `None` leaves theirs.
    pub names: Option<Names>,
    /// Consumer headers that some provider's row lets through. Everything else stayed behind.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The session that is asked for.
    pub realtime: Option<Rc<Talk>>,
    /// Who looks at the answer before the consumer gets it.
    pub inspector: Option<Rc<dyn Inspector>>,
    /// The trace that it is a part of.
    pub trace: Option<Arc<Trace>>,
    /// Unix seconds at which the request came.
    pub created: u64,
}

impl Job {
    /// Takes out where it may go, in the order of the models that it names.
    pub(crate) fn destinations(&mut self) -> Vec<Resolved> {
        let nowhere = Resolved {
            chain: Vec::new(),
            route: None,
        };
        let first = std::mem::replace(&mut self.resolved, nowhere);
        let more = std::mem::take(&mut self.more);
        std::iter::once(first).chain(more).collect()
    }
}

/// What an exchange holds of its key's limits: a place until it ends, and the tokens that it is thought to use. At its end what its
/// attempts used takes the place of the thought.
#[derive(Clone, Debug)]
pub struct Allowance(Rc<RefCell<Held>>);

/// A budget beside a key's limits, which is told what was used, and settles when it is dropped.
pub trait Spending: std::fmt::Debug {
    /// So many tokens more, and so many billionths of a dollar.
    fn spend(&mut self, tokens: u64, nano_usd: u64);

    /// Settles what was used so far, and takes as much again as at first: for what goes on for long.
    ///
    /// # Errors
    /// Nothing is left. What is used all the same is settled later.
    fn renew(&mut self) -> Result<(), Failure>;
}

#[derive(Debug)]
struct Held {
    permit: Option<Permit>,
    budget: Option<Box<dyn Spending>>,
    /// Tokens that it was thought to use.
    thought: u64,
    spent: u64,
    shared: Arc<Shared>,
}

impl Allowance {
    /// From an admission.
    pub fn new(permit: Permit, shared: Arc<Shared>) -> Self {
        Self(Rc::new(RefCell::new(Held {
            thought: permit.charged(),
            permit: Some(permit),
            budget: None,
            spent: 0,
            shared,
        })))
    }

    /// The same with a budget; of a key without limits that alone. So many tokens are thought to be used.
    #[must_use]
    pub fn budgeted(
        limits: Option<Self>,
        budget: Box<dyn Spending>,
        thought: u64,
        shared: &Arc<Shared>,
    ) -> Self {
        match limits {
            Some(limits) => {
                limits.0.borrow_mut().budget = Some(budget);
                limits
            }
            None => Self(Rc::new(RefCell::new(Held {
                thought,
                permit: None,
                budget: Some(budget),
                spent: 0,
                shared: Arc::clone(shared),
            }))),
        }
    }

    /// An attempt cost so much, in billionths of a dollar.
    pub(crate) fn pay(&self, nano_usd: u64) {
        if let Some(budget) = &mut self.0.borrow_mut().budget {
            budget.spend(0, nano_usd);
        }
    }

    /// Takes anew of the budget, if there is one.
    pub(crate) fn renew(&self) -> Result<(), Failure> {
        match &mut self.0.borrow_mut().budget {
            Some(budget) => budget.renew(),
            None => Ok(()),
        }
    }

    /// It is another request by now, and is thought to use so many tokens. To be said before its budget is held.
    pub fn think_again(&self, tokens: u64) {
        let held = &mut *self.0.borrow_mut();
        held.thought = tokens;
        if let Some(permit) = &mut held.permit {
            permit.settle(tokens, held.shared.now());
        }
    }

    /// So many tokens were used at another time, which no limit of this minute is for.
    pub(crate) fn charge(&self, tokens: u64, nano_usd: u64) {
        if let Some(budget) = &mut self.0.borrow_mut().budget {
            budget.spend(tokens, nano_usd);
        }
    }

    /// An attempt used so many tokens.
    pub(crate) fn spend(&self, tokens: u64) {
        let held = &mut *self.0.borrow_mut();
        held.spent = held.spent.saturating_add(tokens);
        if let Some(budget) = &mut held.budget {
            budget.spend(tokens, 0);
        }
        // What is beyond the thought is owed at once; what is below it may be needed by a further attempt.
        if let Some(permit) = &mut held.permit
            && held.spent > permit.charged()
        {
            permit.settle(held.spent, held.shared.now());
        }
    }

    /// Nobody knows what an attempt used: the thought counts, and so many tokens of which nobody could think.
    pub(crate) fn spend_thought(&self, more: u64) {
        let thought = self.0.borrow().thought;
        self.spend(thought.saturating_add(more));
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(permit) = &mut self.permit {
            permit.settle(self.spent, self.shared.now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Ledger;
    use crate::node::{LossPolicy, Parts, RouteSettings, Tuning};
    use llmleaf_route::{Limiter, Limits, Policy, RouteTable};
    use std::time::Duration;

    fn shared() -> Arc<Shared> {
        let prefix_settings = RouteSettings {
            name: None,
            loss_policy: LossPolicy::Report,
            clocks: Vec::new(),
            policy: Policy::default(),
            affinity: false,
            prompt_cache: None,
            reasoning_effort: None,
            parts: None,
            weights: Vec::new(),
            prices: Vec::new(),
        };
        let parts = Parts {
            upstreams: Vec::new(),
            specs: Vec::new(),
            tariffs: Vec::new(),
            routes: RouteTable::default(),
            route_settings: Vec::new(),
            prefix_settings,
            tuning: Tuning {
                hold_headers: Duration::ZERO,
                keepalive: Duration::ZERO,
                tell_cost: false,
            },
        };
        Arc::new(Shared::new(parts, Arc::new(Ledger::new(Vec::new()))))
    }

    #[test]
    fn a_key_pays_for_what_its_exchange_used_however_that_ends() {
        // So slow a rate that nothing flows in meanwhile.
        let limits = Limits {
            tokens_per_min: Some(100),
            ..Limits::default()
        };
        let shared = shared();
        for (attempts, left) in [
            // It went away before any attempt.
            (&[][..], 100),
            (&[Some(0), Some(7)], 93),
            (&[Some(30), Some(70)], 0),
            // It went away during an attempt of which nothing was heard.
            (&[Some(10), None], 30),
        ] {
            let limiter = Arc::new(Limiter::new(limits, shared.now()));
            let left_now = || limiter.figures(shared.now()).tokens.map(|f| f.remaining);
            let permit = limiter.admit(60, shared.now());
            let allowance = Allowance::new(permit.expect("admitted"), Arc::clone(&shared));
            for attempt in attempts {
                match attempt {
                    Some(tokens) => allowance.spend(*tokens),
                    None => allowance.spend_thought(0),
                }
                assert!(left_now() <= Some(40), "it keeps what it may need");
            }
            drop(allowance);
            assert_eq!(left_now(), Some(left), "{attempts:?}");
        }
    }

    #[test]
    fn what_became_another_request_holds_what_that_is_thought_to_use() {
        let limits = Limits {
            tokens_per_min: Some(100),
            ..Limits::default()
        };
        let shared = shared();
        let limiter = Arc::new(Limiter::new(limits, shared.now()));
        let left_now = || limiter.figures(shared.now()).tokens.map(|f| f.remaining);
        let permit = limiter.admit(60, shared.now()).expect("admitted");
        let allowance = Allowance::new(permit, Arc::clone(&shared));
        allowance.think_again(20);
        assert_eq!(left_now(), Some(80));
        allowance.spend_thought(0);
        drop(allowance);
        assert_eq!(left_now(), Some(80));
    }
}
