//! Echo: answers with the last user message, for tests and first steps. See [`crate::echo`].

use crate::{Auth, Chat, Embeddings, Provider, Speaks};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "echo",
    aliases: &["mock"],
    title: "Echo (local)",
    auth: Auth::None,
    speaks: Speaks {
        chat: &[Chat::Echo],
        embeddings: Some(Embeddings::Echo),
        ..Speaks::NOTHING
    },
    source: "this project",
    ..Provider::TEMPLATE
};
