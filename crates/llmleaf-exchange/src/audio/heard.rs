//! The answer about a sound: handed on as it came where its form is the consumer's, else read and written anew.

use super::{header, local, stopped};
use crate::attempt::{self, Attempt, Incoming};
use crate::drive::Run;
use crate::flow::{self, Frames, Kind, Tap};
use crate::pump::Meter;
use crate::upload;
use crate::whole;
use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use llmleaf_dialects::transcription::{
    Format, Request, Step, Task, TranscriptionWire, parse_answer, render_event,
};
use llmleaf_dialects::{ChatWire, Decoder};
use llmleaf_framing::{Frame, SseFramer, SseLimits};
use llmleaf_model::{Delta, Event, Failure, Transcript, Usage};

/// What was asked, and of whom.
pub(super) struct Asked<'a> {
    pub wire: &'static TranscriptionWire,
    pub chat: &'static ChatWire,
    /// The answer is in the form that the consumer wants.
    pub same: bool,
    pub request: &'a Request,
    pub task: Task,
}

/// Hands an answer on.
pub(super) async fn run(
    run: &mut Run,
    attempt: &mut Attempt,
    asked: Asked<'_>,
    incoming: Incoming,
) -> Result<(), Failure> {
    let Incoming {
        mut watch,
        headers,
        body,
    } = incoming;
    if attempt::is_event_stream(&headers) {
        let relayed = asked.same && asked.wire.streams_as_asked();
        let mut tap = Listening {
            way: match asked.wire {
                TranscriptionWire::GenerateContent => {
                    Way::Decoded(asked.chat.decoder(), Vec::new())
                }
                TranscriptionWire::Form(_) if relayed => Way::Relayed,
                TranscriptionWire::Form(_) => Way::Read,
            },
            framer: SseFramer::new(SseLimits::default()),
            transcript: Transcript::default(),
            segments: 0,
            stopped: None,
            diarized: asked.request.format == Format::Diarized,
            silent: !asked.request.wants_events(),
        };
        if asked.request.wants_events() {
            run.enliven();
            return flow::run(run, attempt, watch, body, &mut tap, &Kind::Events).await;
        }
        // Events where one answer is wanted are gathered.
        let body = whole::gather(run, &mut watch, body).await?;
        upload::early(run)?;
        let mut nobody = Vec::new();
        tap.bytes(body, &mut nobody, &mut attempt.meter)?;
        tap.end(&mut nobody, &mut attempt.meter)?;
        return local::told(run, attempt, &tap.transcript, asked.request, asked.task).await;
    }
    let body = whole::gather(run, &mut watch, body).await?;
    upload::early(run)?;
    // A service that has no events answers in one piece, which becomes some; so does one that sends none, where the consumer was given signs
    // of life in place of another's answer.
    let in_events =
        asked.request.wants_events() && (!asked.wire.streams_as_asked() || run.out.head_sent());
    if in_events {
        run.enliven();
    }
    if asked.same && !in_events {
        let told = headers.get(CONTENT_TYPE).cloned();
        return forward(run, attempt, &asked, body, told);
    }
    let transcript = match asked.wire {
        TranscriptionWire::GenerateContent => generated(asked.chat, &body, &mut attempt.meter)?,
        TranscriptionWire::Form(_) if asked.same && asked.request.format == Format::Text => {
            Transcript {
                text: String::from_utf8_lossy(&body).trim_end().to_owned(),
                ..Transcript::default()
            }
        }
        TranscriptionWire::Form(_) => parse_answer(&body)?,
    };
    note(attempt, transcript.usage.as_ref());
    local::told(run, attempt, &transcript, asked.request, asked.task).await
}

fn note(attempt: &mut Attempt, usage: Option<&Usage>) {
    if let Some(usage) = usage {
        attempt.meter.report(usage);
        attempt.units.audio_ms = usage.units.audio_ms;
    }
}

/// The bytes go through; what was used is read beside them.
fn forward(
    run: &mut Run,
    attempt: &mut Attempt,
    asked: &Asked<'_>,
    body: Bytes,
    told: Option<http::HeaderValue>,
) -> Result<(), Failure> {
    let format = asked.request.format;
    let is_json = told.as_ref().is_some_and(|kind| {
        kind.to_str()
            .is_ok_and(|kind| kind.starts_with("application/json"))
    });
    if is_json || matches!(format, Format::Json | Format::Verbose | Format::Diarized) {
        match parse_answer(&body) {
            Ok(transcript) => note(attempt, transcript.usage.as_ref()),
            // What an answer in a format is that nobody here knows is the consumer's to judge.
            Err(_) if asked.request.other_format.is_some() => {}
            Err(failure) => return Err(failure),
        }
    }
    attempt.first_content(run.node.shared.now());
    attempt.meter.ended = true;
    attempt.complete(&run.losses);
    let kind = told.unwrap_or_else(|| header(format.content_type()));
    run.whole_as(StatusCode::OK, kind, body);
    Ok(())
}

/// The answer of a chat wire as a transcript.
fn generated(chat: &ChatWire, body: &[u8], meter: &mut Meter) -> Result<Transcript, Failure> {
    let mut transcript = Transcript::default();
    let mut end = None;
    for event in chat.parse_response(body) {
        if let Event::ChoiceEnd { finish, .. } = &event {
            end = end.or_else(|| stopped(finish));
        }
        // What was used is told behind the reason for the end.
        said(event, &mut transcript, meter)?;
    }
    match end {
        Some(failure) => Err(failure),
        None => Ok(transcript),
    }
}

/// What an event of a chat wire adds; the text, where it is some.
fn said(
    event: Event,
    transcript: &mut Transcript,
    meter: &mut Meter,
) -> Result<Option<String>, Failure> {
    match event {
        Event::BlockDelta {
            delta: Delta::Text(text),
            ..
        } => {
            meter.text(text.len());
            transcript.text.push_str(&text);
            return Ok(Some(text));
        }
        Event::UsageReport(usage) => {
            meter.report(&usage);
            transcript.usage = Some(usage);
        }
        Event::Error(failure) => return Err(*failure),
        _ => {}
    }
    Ok(None)
}

/// How a provider's events are read.
enum Way {
    /// They go on as they came.
    Relayed,
    /// They are written anew.
    Read,
    /// They are those of a chat.
    Decoded(Box<dyn Decoder>, Vec<Event>),
}

struct Listening {
    way: Way,
    framer: SseFramer,
    transcript: Transcript,
    segments: usize,
    /// Why the answer is not all that was asked for.
    stopped: Option<Failure>,
    diarized: bool,
    /// Nothing is written: the answer is gathered.
    silent: bool,
}

impl Frames for Listening {
    fn framer(&mut self) -> Option<&mut SseFramer> {
        Some(&mut self.framer)
    }

    fn relays(&self) -> bool {
        matches!(self.way, Way::Relayed)
    }

    fn frame(
        &mut self,
        frame: &Frame,
        out: &mut Vec<u8>,
        meter: &mut Meter,
    ) -> Result<(), Failure> {
        if let Way::Decoded(decoder, events) = &mut self.way {
            decoder.push(frame, events);
            return self.events(out, meter);
        }
        let step = Step::of(frame);
        let relayed = self.relays();
        if relayed && !matches!(step, Step::Failed(_)) {
            out.extend_from_slice(&frame.raw);
        }
        self.step(step, out, meter, !relayed && !self.silent)
    }
}

impl Listening {
    fn events(&mut self, out: &mut Vec<u8>, meter: &mut Meter) -> Result<(), Failure> {
        let Way::Decoded(_, events) = &mut self.way else {
            return Ok(());
        };
        for event in std::mem::take(events) {
            let ends = matches!(event, Event::ResponseEnd);
            if let Event::ChoiceEnd { finish, .. } = &event {
                // What was used is told behind it.
                self.stopped = self.stopped.take().or_else(|| stopped(finish));
            }
            let text = said(event, &mut self.transcript, meter)?;
            // What was said is counted already.
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                meter.committed = true;
                let step = Step::Text(text);
                if !self.silent {
                    render_event(&step, "", 0, out);
                }
            }
            if ends {
                if let Some(failure) = self.stopped.take() {
                    return Err(failure);
                }
                let usage = self.transcript.usage.clone();
                self.step(Step::Done(None, usage), out, meter, !self.silent)?;
            }
        }
        Ok(())
    }

    fn step(
        &mut self,
        step: Step,
        out: &mut Vec<u8>,
        meter: &mut Meter,
        writes: bool,
    ) -> Result<(), Failure> {
        let relayed = self.relays() && !self.silent;
        match &step {
            Step::Text(text) => {
                meter.text(text.len());
                // What goes on as it came is nobody's to hold.
                if !relayed {
                    self.transcript.text.push_str(text);
                }
                meter.committed |= !text.is_empty();
            }
            Step::Segment(segment) => {
                // Only who gets one answer in place of events gets them again.
                if self.silent {
                    let segments = self.transcript.segments.get_or_insert_default();
                    segments.push((**segment).clone());
                }
                meter.committed = true;
            }
            Step::Done(text, usage) => {
                if let Some(text) = text.as_ref().filter(|_| !relayed) {
                    self.transcript.text.clone_from(text);
                }
                self.transcript.usage.clone_from(usage);
                if let Some(usage) = usage {
                    meter.report(usage);
                }
                meter.committed = true;
                meter.ended = true;
            }
            Step::Failed(failure) => return Err((**failure).clone()),
            Step::Other => return Ok(()),
        }
        // Who speaks is told only where that was asked for.
        if writes && (self.diarized || !matches!(step, Step::Segment(_))) {
            render_event(&step, &self.transcript.text, self.segments, out);
        }
        self.segments += usize::from(matches!(step, Step::Segment(_)));
        Ok(())
    }
}

impl Tap for Listening {
    fn bytes(&mut self, bytes: Bytes, out: &mut Vec<u8>, meter: &mut Meter) -> Result<(), Failure> {
        flow::frames(self, bytes, out, meter)
    }

    fn end(&mut self, out: &mut Vec<u8>, meter: &mut Meter) -> Result<(), Failure> {
        flow::last_frame(self, out, meter)?;
        if let Way::Decoded(decoder, events) = &mut self.way {
            decoder.finish(events);
            self.events(out, meter)?;
        }
        flow::told_its_end(meter)
    }
}
