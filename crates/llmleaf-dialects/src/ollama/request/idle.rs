//! Requests that ask nothing: without messages, or without a prompt, a model is loaded, or unloaded where it is to be kept no
//! longer (`docs/api.md`, "Load a model"). Clients send one before they let anybody type.

use llmleaf_model::{ChatRequest, Event, Finish, FinishReason, ResponseStart};

/// The answer, where there is nothing to load; `None` for a request that asks something.
pub fn idle_answer(request: &ChatRequest) -> Option<Vec<Event>> {
    let asks = |message: &llmleaf_model::Message| message.role != llmleaf_model::Role::System;
    if request.messages.iter().any(asks) || !request.tools.is_empty() {
        return None;
    }
    let kept = request.rest.get("keep_alive").map(|value| value.as_str());
    let word = match kept {
        Some("0" | "\"0\"" | "\"0s\"" | "\"0m\"") => "unload",
        _ => "load",
    };
    Some(vec![
        Event::ResponseStart(ResponseStart {
            model: Some(request.model.clone()),
            ..ResponseStart::default()
        }),
        Event::ChoiceEnd {
            choice: 0,
            finish: Finish::new(FinishReason::Other, word),
        },
        Event::ResponseEnd,
    ])
}
