//! By which route each attempt of an exchange was reached: of two beside each other, that which began last need not be the one that decides.

use super::UsageRecord;
use std::cell::{Cell, RefCell};

/// Number of an attempt, and its route.
type Reached = (u32, Option<usize>);

#[derive(Default)]
pub(crate) struct Routes {
    /// Hardly any exchange has a second one.
    first: Cell<Option<Reached>>,
    more: RefCell<Vec<Reached>>,
}

impl Routes {
    /// An attempt begins, by this route.
    pub fn reached(&self, attempt: u32, route: Option<usize>) {
        match self.first.get() {
            None => self.first.set(Some((attempt, route))),
            Some(_) => self.more.borrow_mut().push((attempt, route)),
        }
    }

    /// The route that led to an attempt.
    pub fn of(&self, attempt: Option<&UsageRecord>) -> Option<usize> {
        let number = attempt?.attempt;
        let more = self.more.borrow();
        let mut all = self.first.get().into_iter().chain(more.iter().copied());
        all.find(|(known, _)| *known == number)?.1
    }
}
