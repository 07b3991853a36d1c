//! Transcripts as streams: how providers' events are read, and how consumers' are written.

use super::{answer, render, usage};
use crate::object::string;
use crate::sound_events::{self, failed};
use crate::writer::ObjectWriter;
use llmleaf_framing::{Frame, write_event};
use llmleaf_model::{Failure, Segment, Transcript, Usage};

/// What an event says.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// More text.
    Text(String),
    /// A segment, with who speaks.
    Segment(Box<Segment>),
    /// The end, and what was used.
    Done(Option<String>, Option<Usage>),
    /// It failed.
    Failed(Box<Failure>),
    /// Nothing that is known: a sign of life, the mark after the end.
    Other,
}

impl Step {
    /// What a provider's frame says, in whichever of the forms.
    pub fn of(frame: &Frame) -> Self {
        let object = match sound_events::object(frame) {
            None => return Self::Other,
            Some(Err(failure)) => return Self::Failed(Box::new(failure)),
            Some(Ok(object)) => object,
        };
        let kind = object.get("type").and_then(string);
        let text = |name: &str| object.get(name).and_then(string).map(|t| t.into_owned());
        match kind.as_deref() {
            Some("transcript.text.delta") => Self::Text(text("delta").unwrap_or_default()),
            Some("transcription.text.delta") => Self::Text(text("text").unwrap_or_default()),
            Some("transcript.text.segment" | "transcription.segment") => segment(frame),
            Some("transcript.text.done" | "transcription.done") => {
                Self::Done(text("text"), object.get("usage").and_then(usage::of_object))
            }
            Some("error") => Self::Failed(Box::new(failed(&object))),
            _ if object.get("error").is_some() => Self::Failed(Box::new(failed(&object))),
            _ => Self::Other,
        }
    }
}

fn segment(frame: &Frame) -> Step {
    let raw = std::str::from_utf8(&frame.data)
        .ok()
        .and_then(|text| serde_json::from_str(text).ok());
    match raw.and_then(answer::segment) {
        Some(segment) => Step::Segment(Box::new(segment)),
        None => Step::Other,
    }
}

/// Writes a step as the reference's event. The text of the end is all that was said.
pub fn render_event(step: &Step, said: &str, number: usize, out: &mut Vec<u8>) {
    let mut data = Vec::new();
    let mut object = ObjectWriter::new(&mut data);
    match step {
        Step::Text(text) => {
            object.string("type", "transcript.text.delta");
            object.string("delta", text);
        }
        Step::Segment(segment) => render::write_diarized(&mut object, number, segment),
        Step::Done(text, told) => {
            object.string("type", "transcript.text.done");
            object.string("text", text.as_deref().unwrap_or(said));
            if let Some(told) = told {
                usage::write(&mut object, told);
            }
        }
        Step::Failed(_) | Step::Other => return,
    }
    object.end();
    write_event(out, None, &data);
}

/// Writes a transcript that came whole as the events of a stream.
pub fn render_events(transcript: &Transcript, diarized: bool, out: &mut Vec<u8>) {
    let segments = transcript.segments.iter().flatten();
    if diarized {
        for (number, segment) in segments.enumerate() {
            let step = Step::Segment(Box::new(segment.clone()));
            render_event(&step, "", number, out);
        }
    } else if !transcript.text.is_empty() {
        let step = Step::Text(transcript.text.clone());
        render_event(&step, "", 0, out);
    }
    let step = Step::Done(Some(transcript.text.clone()), transcript.usage.clone());
    render_event(&step, "", 0, out);
}
