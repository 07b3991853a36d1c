//! Echo: answers with the last user message, for tests and first steps. See [`crate::echo`].

use crate::{
    Auth, Chat, Embeddings, Images, Moderations, Provider, Rerank, Speaks, Speech, Transcription,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "echo",
    aliases: &["mock"],
    title: "Echo (local)",
    auth: Auth::None,
    speaks: Speaks {
        chat: &[Chat::Echo],
        embeddings: &[Embeddings::Echo],
        rerank: &[Rerank::Echo],
        moderations: Some(Moderations::Echo),
        images: &[Images::Echo],
        speech: Some(Speech::Echo),
        transcription: Some(Transcription::Echo),
        ..Speaks::NOTHING
    },
    source: "this project",
    ..Provider::TEMPLATE
};
