//! The provider that needs no service: it says the last user message back, word by word.

use llmleaf_model::{
    BlockKind, ChatRequest, Delta, Event, Finish, FinishReason, ResponseStart, Role, Usage,
};
use std::time::Duration;

/// One step of an echo's answer: wait, then say.
#[derive(Clone, Debug)]
pub struct Step {
    /// How long to wait before the event.
    pub delay: Duration,
    /// What is said.
    pub event: Event,
}

/// The answer to a request, as a script.
pub fn answer(request: &ChatRequest) -> Vec<Step> {
    let text = request
        .messages
        .iter()
        .rev()
        .find(|m| m.role == Role::User)
        .map(llmleaf_model::Message::joined_text)
        .unwrap_or_default();
    let words: Vec<&str> = text.split_inclusive(' ').collect();
    let count = u64::try_from(words.len()).unwrap_or(u64::MAX);
    let mut events = vec![
        Event::ResponseStart(ResponseStart {
            model: Some(request.model.clone()),
            ..ResponseStart::default()
        }),
        Event::BlockStart {
            block: 0,
            choice: 0,
            kind: BlockKind::Text,
        },
    ];
    events.extend(words.into_iter().map(|w| Event::BlockDelta {
        block: 0,
        delta: Delta::Text(w.to_owned()),
    }));
    events.extend([
        Event::BlockEnd { block: 0 },
        Event::ChoiceEnd {
            choice: 0,
            finish: Finish::new(FinishReason::Stop, "stop"),
        },
        Event::UsageReport(Usage {
            input: count,
            output: count,
            ..Usage::default()
        }),
        Event::ResponseEnd,
    ]);
    events
        .into_iter()
        .map(|event| Step {
            delay: Duration::ZERO,
            event,
        })
        .collect()
}
