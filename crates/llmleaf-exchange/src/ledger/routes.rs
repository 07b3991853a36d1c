//! By which route each attempt of an exchange was reached: of two beside each other, that which began last need not be the one that decides.

use super::UsageRecord;
use std::cell::RefCell;

#[derive(Default)]
pub(crate) struct Routes(RefCell<Vec<(u32, Option<usize>)>>);

impl Routes {
    /// An attempt begins, by this route.
    pub fn reached(&self, attempt: u32, route: Option<usize>) {
        self.0.borrow_mut().push((attempt, route));
    }

    /// The route that led to an attempt.
    pub fn of(&self, attempt: Option<&UsageRecord>) -> Option<usize> {
        let number = attempt?.attempt;
        let routes = self.0.borrow();
        let (_, route) = routes.iter().find(|(known, _)| *known == number)?;
        *route
    }
}
