//! What a consumer that gets calls whole is not told yet: calls that still come, and how choices ended.

use super::super::answer::CallView;
use llmleaf_model::{Artefact, Finish, ToolFlavour};

/// Most bytes that are kept for one stream, those of all calls together: their arguments, names and proofs.
const MAX_CALL_BYTES: usize = 16 * 1024 * 1024;

/// What is kept for one stream.
#[derive(Default)]
pub(super) struct Held {
    /// How choices ended; the last chunk of those tells the use.
    pub ends: Vec<(u32, Finish)>,
    /// Bytes of all calls that are kept.
    bytes: usize,
}

/// A call until it is whole.
pub(super) struct HeldCall {
    index: usize,
    id: String,
    name: String,
    flavour: ToolFlavour,
    arguments: String,
    artefact: Option<Artefact>,
}

/// More comes than is kept.
pub(super) struct TooMuch;

impl Held {
    /// Keeps a call that begins.
    pub fn begin(
        &mut self,
        index: usize,
        (id, name, flavour): (&str, &str, ToolFlavour),
    ) -> Result<Box<HeldCall>, TooMuch> {
        self.hold(id.len().saturating_add(name.len()))?;
        Ok(Box::new(HeldCall {
            index,
            id: id.to_owned(),
            name: name.to_owned(),
            flavour,
            arguments: String::new(),
            artefact: None,
        }))
    }

    /// Adds to a call.
    pub fn keep(&mut self, call: &mut HeldCall, more: &str) -> Result<(), TooMuch> {
        self.hold(more.len())?;
        call.arguments.push_str(more);
        Ok(())
    }

    /// The proof of a call.
    pub fn prove(&mut self, call: &mut HeldCall, artefact: &Artefact) -> Result<(), TooMuch> {
        let before = call.artefact.take();
        let before = before.map_or(0, |artefact| artefact.data.len());
        self.bytes = self.bytes.saturating_sub(before);
        self.hold(artefact.data.len())?;
        call.artefact = Some(artefact.clone());
        Ok(())
    }

    /// A call is no longer kept.
    pub fn release(&mut self, call: &HeldCall) {
        self.bytes = self.bytes.saturating_sub(call.bytes());
    }

    fn hold(&mut self, more: usize) -> Result<(), TooMuch> {
        let held = self.bytes.saturating_add(more);
        if held > MAX_CALL_BYTES {
            return Err(TooMuch);
        }
        self.bytes = held;
        Ok(())
    }
}

impl HeldCall {
    fn bytes(&self) -> usize {
        let proof = self.artefact.as_ref();
        let proof = proof.map_or(0, |artefact| artefact.data.len());
        self.id.len() + self.name.len() + self.arguments.len() + proof
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
