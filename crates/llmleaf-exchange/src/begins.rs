//! Begins of exchanges on their way to whoever keeps note of them, so that whoever comes after this process knows of all that a provider was
//! asked, even if the process dies in the next moment.
//!
//! Nothing goes to a provider, and no byte to a consumer, before the begin is kept. That is the work of another thread, and what it costs is
//! waking that thread and being woken: so the begins of a worker that come in the same turn of its event loop go together, are kept together, and
//! whoever waits for them is woken by whoever hears of it. A disk that takes nothing, or is slow, is waited for once, and not for long.

use crate::ledger::{Began, Ledger, PATIENCE, Pledge};
use llmleaf_transport::Turns;
use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::time::Sleep;

/// The begins of a worker.
#[derive(Default)]
pub struct Begins {
    /// Those that go next.
    gathering: RefCell<Weak<Group>>,
    turns: Turns,
}

/// Begins that go together.
struct Group {
    ledger: Arc<Ledger>,
    stage: RefCell<Stage>,
    /// Who waits for them, by their places.
    waiting: RefCell<Vec<Waker>>,
}

enum Stage {
    /// More may come.
    Gathers(Vec<Began>),
    /// They are told to whoever keeps them.
    Told(Pledge),
    /// They are kept, or nobody waits for that any more.
    Over,
}

impl Begins {
    /// An exchange begins.
    pub(crate) fn add(&self, ledger: &Arc<Ledger>, began: Began) -> Owed {
        let id = Arc::clone(&began.id);
        let known = self.gathering.borrow().upgrade();
        let group = known.filter(|group| group.gathers()).unwrap_or_else(|| {
            let group = Rc::new(Group {
                ledger: Arc::clone(ledger),
                stage: RefCell::new(Stage::Gathers(Vec::new())),
                waiting: RefCell::default(),
            });
            self.gathering.replace(Rc::downgrade(&group));
            group
        });
        if let Stage::Gathers(begins) = &mut *group.stage.borrow_mut() {
            begins.push(began);
        }
        Owed(Some(Box::new(Due {
            group,
            id,
            place: None,
            patience: None,
        })))
    }

    /// Lets others that are ready add theirs.
    pub(crate) async fn gather(&self) {
        self.turns.behind_others().await;
    }
}

impl fmt::Debug for Begins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Begins").finish_non_exhaustive()
    }
}

impl Group {
    fn gathers(&self) -> bool {
        matches!(*self.stage.borrow(), Stage::Gathers(_))
    }

    /// Tells them, and polls for their being kept.
    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let stage = &mut *self.stage.borrow_mut();
        if let Stage::Gathers(begins) = stage {
            *stage = match self.ledger.keep(std::mem::take(begins)) {
                Some(pledge) => Stage::Told(pledge),
                None => Stage::Over,
            };
        }
        match stage {
            Stage::Told(pledge) => pledge.poll(cx),
            Stage::Gathers(_) | Stage::Over => Poll::Ready(()),
        }
    }

    /// Wakes whoever waits, but for the one at this place.
    fn wake(&self, but: Option<usize>) {
        let waiting = self.waiting.borrow();
        let others = waiting.iter().enumerate();
        others
            .filter(|(place, _)| Some(*place) != but)
            .for_each(|(_, waker)| waker.wake_by_ref());
    }
}

/// What an exchange waits for before it asks or answers anybody.
#[derive(Default)]
pub(crate) struct Owed(Option<Box<Due>>);

struct Due {
    group: Rc<Group>,
    id: Arc<str>,
    /// Its place among those that wait.
    place: Option<usize>,
    patience: Option<Pin<Box<Sleep>>>,
}

impl Owed {
    /// Whether anything is owed.
    pub fn is_due(&self) -> bool {
        self.0.is_some()
    }

    /// Whether nothing is owed any more, or it was waited for in vain.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = &mut self.0 else {
            return Poll::Ready(());
        };
        if due.group.poll(cx).is_pending() {
            let patience = || Box::pin(tokio::time::sleep(PATIENCE));
            let patience = due.patience.get_or_insert_with(patience);
            if patience.as_mut().poll(cx).is_pending() {
                due.waits(cx);
                return Poll::Pending;
            }
            if let Stage::Told(pledge) = &*due.group.stage.borrow() {
                pledge.give_up();
            }
        }
        due.group.stage.replace(Stage::Over);
        due.group.wake(due.place);
        self.0 = None;
        Poll::Ready(())
    }

    /// It ends before anybody was told of its begin: nobody need be.
    pub fn withdraw(&mut self) {
        let Some(due) = self.0.take() else {
            return;
        };
        if let Stage::Gathers(begins) = &mut *due.group.stage.borrow_mut() {
            begins.retain(|began| !Arc::ptr_eq(&began.id, &due.id));
        }
    }
}

impl Due {
    fn waits(&mut self, cx: &Context<'_>) {
        let waiting = &mut *self.group.waiting.borrow_mut();
        match self.place.and_then(|place| waiting.get_mut(place)) {
            Some(waker) => waker.clone_from(cx.waker()),
            None => {
                self.place = Some(waiting.len());
                waiting.push(cx.waker().clone());
            }
        }
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        // It may have been the one who would hear of it; another one listens from now on.
        if matches!(*self.group.stage.borrow(), Stage::Told(_)) {
            self.group.wake(self.place);
        }
    }
}

#[cfg(test)]
mod tests;
