//! Who was let in, and to what. Neither type can be built outside this crate, so holding one is proof.

use std::fmt;
use std::sync::Arc;

use crate::roster::Record;

/// A caller whose credential was proven. Cheap to clone.
#[derive(Clone)]
pub struct Principal {
    pub(crate) record: Arc<Record>,
    /// Of the roster that `record` was found in.
    pub(crate) generation: u64,
}

impl Principal {
    /// The id of the key.
    pub fn key_id(&self) -> &Arc<str> {
        &self.record.id
    }

    /// The key's name, or its id where it has none: for logs, usage records and ownership.
    pub fn display(&self) -> &Arc<str> {
        &self.record.display
    }

    /// Whether the key's list has the model. For showing a list of models; a call needs a [`Grant`].
    pub fn permits(&self, model: &str) -> bool {
        self.record
            .models
            .as_ref()
            .is_none_or(|models| models.allow(model))
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("key_id", &self.record.id)
            .field("display", &self.record.display)
            .finish_non_exhaustive()
    }
}

/// Leave for one principal to use one model. A handler that takes a `Grant` cannot be reached without asking
/// [`crate::Authenticator::authorise`]; and since the model is inside, a session that changes its model needs another.
#[derive(Debug, Clone)]
pub struct Grant {
    pub(crate) principal: Principal,
    pub(crate) model: Arc<str>,
}

impl Grant {
    /// Who may.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// What they may use.
    pub fn model(&self) -> &Arc<str> {
        &self.model
    }
}
