//! Who was let in, and to what. Neither type can be built outside this crate, so holding one is proof.

use std::fmt;
use std::sync::Arc;

use crate::roster::{Own, Record};
use crate::tokens::{Identity, IdentityLimits};

/// A caller whose credential was proven. Cheap to clone.
#[derive(Clone)]
pub struct Principal {
    pub(crate) holder: Holder,
}

/// Of what.
#[derive(Clone)]
pub(crate) enum Holder {
    /// Of a key.
    Key {
        record: Arc<Record>,
        /// Of the roster that `record` was found in.
        generation: u64,
    },
    /// Of a token.
    Token(Arc<Identity>),
}

impl Principal {
    pub(crate) fn of_key(record: Arc<Record>, generation: u64) -> Self {
        let holder = Holder::Key { record, generation };
        Self { holder }
    }

    pub(crate) fn of_token(identity: Arc<Identity>) -> Self {
        let holder = Holder::Token(identity);
        Self { holder }
    }

    /// The id of the key, or `issuer:subject` of a token. One space of ids: that of a key has no colon.
    pub fn key_id(&self) -> &Arc<str> {
        match &self.holder {
            Holder::Key { record, .. } => &record.id,
            Holder::Token(identity) => &identity.id,
        }
    }

    /// The name, or the id where there is none: for logs, usage records and ownership.
    pub fn display(&self) -> &Arc<str> {
        match &self.holder {
            Holder::Key { record, .. } => &record.display,
            Holder::Token(identity) => &identity.display,
        }
    }

    /// Whether its list has the model. For showing a list of models; a call needs a [`Grant`].
    pub fn permits(&self, model: &str) -> bool {
        match &self.holder {
            Holder::Key { record, .. } => record.models.as_ref().is_none_or(|m| m.allow(model)),
            Holder::Token(identity) => identity.models.allow(model),
        }
    }

    /// What the caller may ask for, where that came with it: of a token by its roles, of a controller's key by its row. `None` for a key of
    /// the file.
    pub fn limits(&self) -> Option<IdentityLimits> {
        match &self.holder {
            Holder::Key { record, .. } => match &record.limits {
                Own::Elsewhere => None,
                Own::Here(limits) => Some(limits.as_deref().copied().unwrap_or_default()),
            },
            Holder::Token(identity) => Some(identity.limits),
        }
    }

    /// Whether the caller may ask how its requests are decided, as far as that came with it: by the roles of a token. Of a key whoever has the file
    /// knows.
    pub fn explains(&self) -> bool {
        match &self.holder {
            Holder::Key { .. } => false,
            Holder::Token(identity) => identity.explains,
        }
    }

    /// The unix second from which on a token is not good any more; `None` for a key. A session that lives long looks at it.
    pub fn ends(&self) -> Option<u64> {
        match &self.holder {
            Holder::Key { .. } => None,
            Holder::Token(identity) => Some(identity.ends),
        }
    }

    /// The unix second from which on an issuer is to be asked again about a token; `None` where it was not asked. A session that lives
    /// long looks at it: the token may be revoked.
    pub fn answered_until(&self) -> Option<u64> {
        match &self.holder {
            Holder::Key { .. } => None,
            Holder::Token(identity) => identity.answered_until,
        }
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("key_id", self.key_id())
            .field("display", self.display())
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
