//! What the file may say already, but this version does not act upon yet.
//!
//! The one list: when something takes effect, its row goes, and nothing else changes.

use crate::diagnose::{Diagnostic, Place};

/// A key that is read and checked, but not in effect yet.
pub(crate) struct Pending {
    /// Dotted path without array indices.
    pub path: &'static str,
    /// What that means for the operator.
    pub consequence: &'static str,
}

/// Everything that is not in effect yet.
pub(crate) const PENDING: &[Pending] = &[
    row("server.event_buffer", "`spool_mib` bounds what waits"),
    row(
        "server.include_payloads",
        "events hold no prompts and answers",
    ),
    row(
        "providers.settings.chat_with_audio_input_api",
        "`chat_api` counts",
    ),
    row("providers.settings.audio_input", "audio goes to any target"),
    row("providers.settings.rerank_api", "the kind decides"),
    row(
        "providers.settings.safety_identifier",
        "realtime sessions are not told it",
    ),
    row("providers.settings.keep_alive", "no kind sends it yet"),
];

const fn row(path: &'static str, consequence: &'static str) -> Pending {
    Pending { path, consequence }
}

/// The row of that path.
pub(crate) fn find(path: &str) -> Option<&'static Pending> {
    PENDING.iter().find(|row| row.path == path)
}

/// What to say where such a key is used.
pub(crate) fn warning(row: &Pending, place: &Place) -> Diagnostic {
    let message = format!("`{}` is not in effect yet", row.path);
    Diagnostic::warning(place, message, row.consequence)
}
