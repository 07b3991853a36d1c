//! What a consumer that gets calls whole is not told yet: calls that still come, and how choices ended.

use super::super::answer::CallView;
use llmleaf_model::{Artefact, Finish, ToolFlavour};

/// Most bytes of arguments that are kept for one stream, those of all calls together.
const MAX_CALL_BYTES: usize = 16 * 1024 * 1024;

/// What is kept for one stream.
#[derive(Default)]
pub(super) struct Held {
    /// How choices ended; the last chunk of those tells the use.
    pub ends: Vec<(u32, Finish)>,
    /// Bytes of the arguments of all calls that are kept.
    bytes: usize,
}

/// A call until it is whole.
pub(super) struct HeldCall {
    index: usize,
    id: String,
    name: String,
    flavour: ToolFlavour,
    arguments: String,
    pub artefact: Option<Artefact>,
}

impl Held {
    /// Adds to a call. False where that is more than is kept: then the call is gone.
    pub fn keep(&mut self, call: &mut HeldCall, more: &str) -> bool {
        let fits = self.bytes.saturating_add(more.len()) <= MAX_CALL_BYTES;
        if fits {
            self.bytes += more.len();
            call.arguments.push_str(more);
        } else {
            self.release(call);
        }
        fits
    }

    /// A call is no longer kept.
    pub fn release(&mut self, call: &HeldCall) {
        self.bytes = self.bytes.saturating_sub(call.arguments.len());
    }
}

impl HeldCall {
    pub fn new(index: usize, id: &str, name: &str, flavour: ToolFlavour) -> Box<Self> {
        Box::new(Self {
            index,
            id: id.to_owned(),
            name: name.to_owned(),
            flavour,
            arguments: String::new(),
            artefact: None,
        })
    }

    /// The whole call. Clients parse arguments as JSON; a call without any takes none.
    pub fn view(&self) -> CallView<'_> {
        let empty = self.arguments.is_empty() && self.flavour == ToolFlavour::Function;
        CallView {
            index: Some(self.index),
            id: Some(&self.id),
            name: Some(&self.name),
            arguments: Some(if empty { "{}" } else { &self.arguments }),
            flavour: self.flavour,
            artefact: self.artefact.as_ref(),
        }
    }
}
