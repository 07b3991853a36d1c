//! A whole response is a collected stream.

use crate::{
    Artefact, BlockKind, Citation, Delta, Event, Failure, Finish, Json, MediaSource, ResponseStart,
    Usage,
};

/// A whole response.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Response {
    /// Id, model and such.
    pub start: ResponseStart,
    /// The answers, by index.
    pub choices: Vec<Choice>,
    /// The last usage report.
    pub usage: Option<Usage>,
}

/// One answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// Blocks in order of their start.
    pub blocks: Vec<Block>,
    /// Why it ended; `None` where the provider did not say.
    pub finish: Option<Finish>,
}

/// A whole block.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// What it is.
    pub kind: BlockKind,
    /// Text of a text, reasoning or refusal block; transcript of an audio block.
    pub text: String,
    /// Arguments of a tool call, input of a server tool.
    pub arguments: String,
    /// Opaque proof.
    pub artefact: Option<Artefact>,
    /// Sources cited.
    pub citations: Vec<Citation>,
    /// Log-probability pieces, in order.
    pub logprobs: Vec<Json>,
    /// Data of a media block.
    pub media: Option<MediaSource>,
    /// Deltas that only their own dialect understands.
    pub opaque: Vec<Json>,
}

impl Block {
    fn new(kind: BlockKind) -> Self {
        Self {
            kind,
            text: String::new(),
            arguments: String::new(),
            artefact: None,
            citations: Vec::new(),
            logprobs: Vec::new(),
            media: None,
            opaque: Vec::new(),
        }
    }

    fn grow(&mut self, delta: Delta) {
        match delta {
            Delta::Text(text) => self.text.push_str(&text),
            Delta::Arguments(text) => self.arguments.push_str(&text),
            Delta::Artefact(next) => match &mut self.artefact {
                // Wires may split a signature over several deltas.
                Some(have) if have.kind == next.kind => have.data.push_str(&next.data),
                slot => *slot = Some(next),
            },
            Delta::Citation(citation) => self.citations.push(*citation),
            Delta::Logprobs(json) => self.logprobs.push(json),
            Delta::MediaData(data) => match &mut self.media {
                Some(MediaSource::Base64(have)) => have.push_str(&data),
                slot => *slot = Some(MediaSource::Base64(data)),
            },
            Delta::MediaUrl(url) => self.media = Some(MediaSource::Url(url)),
            Delta::Opaque { json, .. } => self.opaque.push(json),
        }
    }
}

/// Folds events into a [`Response`].
#[derive(Debug, Default)]
pub struct Collector {
    response: Response,
    /// Block index to (choice, position in it).
    places: Vec<(usize, usize)>,
    ended: bool,
}

/// Most answers kept of one response; more are ignored. Providers cap `n` at 128 or less.
const MAX_CHOICES: usize = 256;

impl Collector {
    /// An empty collector.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// The event is the stream's error; what came before is kept in the collector.
    pub fn push(&mut self, event: Event) -> Result<(), Box<Failure>> {
        match event {
            Event::ResponseStart(start) => {
                self.response.usage.clone_from(&start.usage);
                self.response.start = start;
            }
            Event::BlockStart {
                block,
                choice,
                kind,
            } => self.open(block, choice, kind),
            Event::BlockDelta { block, delta } => {
                if let Some(block) = self.block(block) {
                    block.grow(delta);
                }
            }
            Event::ChoiceEnd { choice, finish } => {
                if let Some(choice) = self.choice(choice) {
                    choice.finish = Some(finish);
                }
            }
            Event::UsageReport(usage) => self.response.usage = Some(usage),
            Event::ResponseEnd => self.ended = true,
            Event::Error(failure) => return Err(failure),
            Event::BlockEnd { .. } | Event::Unknown { .. } => {}
        }
        Ok(())
    }

    fn choice(&mut self, index: u32) -> Option<&mut Choice> {
        let index = usize::try_from(index).ok().filter(|i| *i < MAX_CHOICES)?;
        if self.response.choices.len() <= index {
            self.response
                .choices
                .resize_with(index + 1, Choice::default);
        }
        self.response.choices.get_mut(index)
    }

    fn open(&mut self, block: u32, choice: u32, kind: BlockKind) {
        let at = match self.choice(choice) {
            Some(c) => {
                c.blocks.push(Block::new(kind));
                (
                    usize::try_from(choice).unwrap_or(usize::MAX),
                    c.blocks.len() - 1,
                )
            }
            None => (usize::MAX, 0),
        };
        debug_assert_eq!(usize::try_from(block).ok(), Some(self.places.len()));
        self.places.push(at);
    }

    fn block(&mut self, index: u32) -> Option<&mut Block> {
        let (choice, at) = *self.places.get(usize::try_from(index).ok()?)?;
        self.response.choices.get_mut(choice)?.blocks.get_mut(at)
    }

    /// True once the terminal came.
    pub fn is_complete(&self) -> bool {
        self.ended
    }

    /// What was collected.
    pub fn into_response(self) -> Response {
        self.response
    }
}
