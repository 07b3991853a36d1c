//! The laws of the event grammar, as a machine.

use crate::Event;
use std::collections::HashSet;
use thiserror::Error;

/// Checks a stream of events against the grammar in [`crate::event`].
///
/// Wrapped around every decoder in tests, fuzz targets and debug builds.
#[derive(Debug, Default)]
pub struct Grammar {
    started: bool,
    ended: bool,
    /// Blocks that are open.
    open: HashSet<u32>,
    next_block: u32,
    ended_choices: HashSet<u32>,
    tool_ids: HashSet<(u32, String)>,
}

/// A law that was broken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GrammarError {
    /// A second start, or a start after content.
    #[error("response started twice or late")]
    LateStart,
    /// Something after the terminal.
    #[error("event after the terminal")]
    AfterTerminal,
    /// A block index was reused or skipped.
    #[error("block {0} opened out of order")]
    BlockOrder(u32),
    /// A delta or end for a block that is not open.
    #[error("block {0} is not open")]
    NotOpen(u32),
    /// Two tool calls of one choice share an id.
    #[error("tool call id {0:?} used twice")]
    ToolId(String),
    /// A tool call without an id.
    #[error("tool call without id")]
    EmptyToolId,
    /// A choice ended twice, or a block opened in an ended choice.
    #[error("choice {0} had already ended")]
    ChoiceEnded(u32),
    /// The response ended with blocks open.
    #[error("response ended with {0} open blocks")]
    OpenAtEnd(usize),
    /// The stream ended without terminal.
    #[error("no terminal")]
    NoTerminal,
}

impl Grammar {
    /// A checker at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// The event breaks a law.
    pub fn check(&mut self, event: &Event) -> Result<(), GrammarError> {
        if self.ended {
            return Err(GrammarError::AfterTerminal);
        }
        match event {
            Event::ResponseStart(_) => {
                if self.started || self.next_block > 0 {
                    return Err(GrammarError::LateStart);
                }
                self.started = true;
            }
            Event::BlockStart {
                block,
                choice,
                kind,
            } => self.open_block(*block, *choice, kind)?,
            Event::BlockDelta { block, .. } => {
                if !self.open.contains(block) {
                    return Err(GrammarError::NotOpen(*block));
                }
            }
            Event::BlockEnd { block } => {
                if !self.open.remove(block) {
                    return Err(GrammarError::NotOpen(*block));
                }
            }
            Event::ChoiceEnd { choice, .. } => {
                if !self.ended_choices.insert(*choice) {
                    return Err(GrammarError::ChoiceEnded(*choice));
                }
            }
            Event::ResponseEnd => {
                if !self.open.is_empty() {
                    return Err(GrammarError::OpenAtEnd(self.open.len()));
                }
                self.ended = true;
            }
            Event::Error(_) => self.ended = true,
            Event::UsageReport(_) | Event::Unknown { .. } => {}
        }
        Ok(())
    }

    fn open_block(
        &mut self,
        block: u32,
        choice: u32,
        kind: &crate::BlockKind,
    ) -> Result<(), GrammarError> {
        if block != self.next_block {
            return Err(GrammarError::BlockOrder(block));
        }
        if self.ended_choices.contains(&choice) {
            return Err(GrammarError::ChoiceEnded(choice));
        }
        if let crate::BlockKind::ToolCall { id, .. } = kind {
            if id.is_empty() {
                return Err(GrammarError::EmptyToolId);
            }
            if !self.tool_ids.insert((choice, id.clone())) {
                return Err(GrammarError::ToolId(id.clone()));
            }
        }
        self.next_block += 1;
        self.open.insert(block);
        Ok(())
    }

    /// The stream is over.
    ///
    /// # Errors
    /// No terminal came.
    pub fn finish(&self) -> Result<(), GrammarError> {
        if self.ended {
            Ok(())
        } else {
            Err(GrammarError::NoTerminal)
        }
    }
}
