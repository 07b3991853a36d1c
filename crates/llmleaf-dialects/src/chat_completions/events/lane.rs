//! What is needed of choices and blocks to write their chunks.

use super::held::HeldCall;
use llmleaf_model::{ReasoningForm, ToolFlavour};

/// What has been told of a choice.
#[derive(Default)]
pub(super) struct ChoiceState {
    pub index: u32,
    pub calls: usize,
    pub thoughts: usize,
}

/// Where a block goes.
pub(super) struct BlockState {
    pub choice: u32,
    pub lane: Lane,
}

/// What is needed of a block to write its deltas.
pub(super) enum Lane {
    Text,
    Refusal,
    Reasoning {
        index: usize,
        id: Option<String>,
        form: ReasoningForm,
    },
    Call {
        index: usize,
        id: Box<str>,
        flavour: ToolFlavour,
        empty: bool,
    },
    /// A call for a consumer that takes them whole.
    Held(Box<HeldCall>),
    Image {
        mime: Option<String>,
        data: String,
    },
    Audio {
        id: Option<String>,
    },
    /// Nothing of it can be told.
    Lost,
}
