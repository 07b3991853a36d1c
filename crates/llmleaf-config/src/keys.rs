//! `[[keys]]`: who may call.

use crate::Secret;

/// One `[[keys]]` table.
#[derive(Clone, Debug)]
pub struct Key {
    /// The part of the credential before the colon; unique.
    pub id: String,
    /// Display name; unique among names and ids.
    pub name: Option<String>,
    /// Hash of the password, in a form that this program can check.
    pub pw_hash: Secret,
    /// Models that this key may use, exact or with `*`; `None` means all, an empty list none.
    pub allowed_models: Option<Vec<String>>,
}

impl Key {
    /// What to call this key in logs, events and lists.
    pub fn display_name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.id)
    }
}
