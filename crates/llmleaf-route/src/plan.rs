//! One exchange's walk along its chain, under one attempt budget.

use llmleaf_model::{Failure, Origin, Retry};

/// Where to go next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Try this member of the chain.
    Try(usize),
    /// Nothing is left: the last failure is the answer.
    GiveUp,
}

/// The walk. Healthy targets come first in chain order; those that are cooling down are tried only when no
/// healthy one is left, soonest recovery first, so that a sole target is always tried.
#[derive(Debug)]
pub struct Plan {
    order: Vec<usize>,
    next: usize,
    budget: u32,
    spent: u32,
}

impl Plan {
    /// A walk along a chain. `cooling` says, per member, how many milliseconds it is still to be passed over.
    pub fn new(cooling: impl Iterator<Item = u64>, budget: u32) -> Self {
        let mut order: Vec<(u64, usize)> = cooling.enumerate().map(|(i, ms)| (ms, i)).collect();
        order.sort();
        Self {
            order: order.into_iter().map(|(_, i)| i).collect(),
            next: 0,
            budget,
            spent: 0,
        }
    }

    /// The next target to try, counted against the budget.
    pub fn step(&mut self) -> Step {
        match self.order.get(self.next) {
            Some(index) if self.spent < self.budget => {
                self.next += 1;
                self.spent += 1;
                Step::Try(*index)
            }
            _ => Step::GiveUp,
        }
    }

    /// Whether a failure lets the walk go on. A consumer's fault never does.
    pub fn goes_on(&self, failure: &Failure) -> bool {
        failure.retry != Retry::Never
            && (failure.origin != Origin::Consumer || failure.retry == Retry::NextTarget)
            && self.next < self.order.len()
            && self.spent < self.budget
    }

    /// Attempts made so far.
    pub fn spent(&self) -> u32 {
        self.spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmleaf_model::FailureKind;
    use proptest::prelude::*;

    #[test]
    fn healthy_targets_come_first_and_cooling_ones_are_not_lost() {
        let mut plan = Plan::new([500, 0, 100, 0].into_iter(), 10);
        let walk: Vec<Step> = (0..5).map(|_| plan.step()).collect();
        assert_eq!(
            walk,
            [
                Step::Try(1),
                Step::Try(3),
                Step::Try(2),
                Step::Try(0),
                Step::GiveUp
            ]
        );
    }

    #[test]
    fn a_consumers_fault_ends_the_walk() {
        let mut plan = Plan::new([0, 0].into_iter(), 10);
        plan.step();
        assert!(!plan.goes_on(&Failure::invalid("bad", None)));
        assert!(plan.goes_on(&Failure::upstream(FailureKind::Server, "500")));
    }

    proptest! {
        #[test]
        fn no_walk_is_longer_than_chain_or_budget(cooling in prop::collection::vec(0u64..3, 0..9), budget in 0u32..9) {
            let length = cooling.len();
            let mut plan = Plan::new(cooling.into_iter(), budget);
            let mut tried = std::collections::HashSet::new();
            while let Step::Try(i) = plan.step() {
                prop_assert!(tried.insert(i), "each target once");
            }
            prop_assert_eq!(tried.len(), length.min(budget as usize));
        }
    }
}
