//! A point in an answer where the server waits until the test lets it go on.

use std::sync::Arc;
use std::time::Duration;

use super::Signal;

/// Cheap to clone; every clone is the same gate.
#[derive(Clone, Default)]
pub struct Gate {
    state: Arc<Signal<GateState>>,
}

#[derive(Default)]
struct GateState {
    reached: usize,
    released: bool,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Gate::default()
    }

    /// Opens it, for good.
    pub fn release(&self) {
        self.state.update(|state| state.released = true);
    }

    /// Waits until an answer stands at the gate; `false` after the timeout.
    #[must_use]
    pub fn wait_reached(&self, timeout: Duration) -> bool {
        self.state.wait(timeout, reached).is_some()
    }

    /// The same for async tests; combine it with a timeout.
    pub async fn reached(&self) {
        self.state.changed_to(reached).await;
    }

    /// The server's side.
    pub(super) async fn pass(&self) {
        self.state.update(|state| state.reached += 1);
        self.state
            .changed_to(|state| state.released.then_some(()))
            .await;
    }
}

fn reached(state: &GateState) -> Option<()> {
    (state.reached > 0).then_some(())
}
