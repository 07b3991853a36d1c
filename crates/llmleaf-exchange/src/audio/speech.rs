//! A text is said: the sound goes on as it comes.

use super::{header, local, stopped};
use crate::asking::is_whole;
use crate::attempt::{self, Attempt, Incoming, Manner, Outgoing};
use crate::drive::Run;
use crate::failure::unoffered;
use crate::flow::{self, Frames, Kind, Tap};
use crate::pump::Meter;
use crate::upstream::Upstream;
use crate::whole;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};
use llmleaf_dialects::speech::{self, Heard, Pcm, Reader, SpeechWire, Writer};
use llmleaf_dialects::{ChatWire, Decoder, Rendered};
use llmleaf_framing::{Frame, SseFramer, SseLimits};
use llmleaf_model::{BlockKind, Delta, Event, Failure, FailureKind, SpeechRequest, Usage};
use llmleaf_providers::Speech;
use llmleaf_route::Candidate;

/// Asks one target.
pub(super) async fn run(
    run: &mut Run,
    attempt: &mut Attempt,
    candidate: &Candidate,
    upstream: &Upstream,
) -> Result<(), Failure> {
    let text = llmleaf_dialects::head::text(&run.job.body)?;
    let request = speech::parse_request(text, &run.job.head.model)?;
    attempt.units.characters = request.input.chars().count() as u64;
    let (wire, path) = match &upstream.row.speaks.speech {
        Some(Speech::Wire(wire, path, _)) => (wire, *path),
        Some(Speech::Echo) => return local::speak(run, attempt, &request).await,
        None => return Err(unoffered("the target does not say texts")),
    };
    let Some((chat, _)) = upstream.wire(run.job.dialect, &candidate.model) else {
        return Err(unoffered("the target does not say texts"));
    };
    let model = upstream.named(&candidate.model);
    let mut rendered = rendered(run, &request, model, wire)?;
    attempt::heeded(run, wire.routes(), &mut rendered.losses);
    let rendered = attempt::accepted(run, rendered)?;
    let path = upstream.path(path, &candidate.model, true);
    let going = Outgoing {
        method: Method::POST,
        wire: chat,
        path: &path,
        body: rendered.body,
        stream: false,
        same: wire.is_same(),
        kind: None,
    };
    let manner = Manner {
        accept: Some("*/*"),
        ..Manner::default()
    };
    let incoming = attempt::send_as(run, attempt, candidate, upstream, going, manner).await?;
    let kind = match request.events {
        true => Kind::Events,
        false => Kind::Bytes(answer_type(&incoming.headers, &request, wire)),
    };
    let Incoming {
        mut watch,
        headers,
        body,
    } = incoming;
    let in_events = attempt::is_event_stream(&headers);
    let in_json = attempt::is_json(&headers) && matches!(wire, SpeechWire::AudioData(_));
    if !in_events && !in_json && is_text(&headers) {
        let why = "the provider answered text in place of sound";
        return Err(Failure::upstream(FailureKind::InvalidResponse, why));
    }
    let mut tap = Speaking::new(&request, wire, chat, in_events);
    if in_json {
        let body = whole::gather(run, &mut watch, body).await?;
        return answered(run, attempt, tap, &body, &kind).await;
    }
    flow::run(run, attempt, watch, body, &mut tap, &kind).await
}

/// Whether a target takes every field of the request.
pub(super) fn expresses(run: &Run, upstream: &Upstream, model: &str) -> bool {
    let text = llmleaf_dialects::head::text(&run.job.body);
    let request = text.and_then(|text| speech::parse_request(text, &run.job.head.model));
    match (request, &upstream.row.speaks.speech) {
        (Ok(request), Some(Speech::Wire(wire, ..))) => {
            is_whole(rendered(run, &request, upstream.named(model), wire))
        }
        (Ok(_), Some(Speech::Echo)) => true,
        _ => false,
    }
}

fn rendered(
    run: &Run,
    request: &SpeechRequest,
    model: &str,
    wire: &SpeechWire,
) -> Result<Rendered, Failure> {
    match wire {
        SpeechWire::Reference(quirks) => {
            speech::edit(&run.job.head, &run.job.body, request, model, quirks)
        }
        _ => speech::render_request(request, model, wire, true),
    }
}

/// Whether what came says that it is a page, or JSON: no type of any sound, and some proxies answer so with a good status.
fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let kind = kind.unwrap_or_default().trim_start().to_ascii_lowercase();
    kind.starts_with("text/") || kind.split(';').next().is_some_and(|k| k.contains("json"))
}

/// The type of the sound: as the provider says it, where it is one of sound, else by what was asked for.
fn answer_type(
    headers: &HeaderMap,
    request: &SpeechRequest,
    wire: &SpeechWire,
) -> http::HeaderValue {
    let told = headers.get(CONTENT_TYPE).filter(|value| {
        let text = value.to_str().unwrap_or_default();
        wire.is_same() && text.starts_with("audio/")
    });
    match told {
        Some(value) => value.clone(),
        None => header(speech::content_type(speech::format(request))),
    }
}

/// Sound that came whole.
async fn answered(
    run: &mut Run,
    attempt: &mut Attempt,
    mut tap: Speaking,
    body: &[u8],
    kind: &Kind,
) -> Result<(), Failure> {
    let (sound, usage) = tap.reader.whole(body)?;
    attempt.meter.usage = usage;
    super::local::hand_on(run, attempt, &mut tap.writer, &sound, kind).await
}

fn framer() -> SseFramer {
    SseFramer::new(SseLimits::default())
}

/// How a provider's bytes are read.
enum Way {
    /// They are the sound.
    AsItIs,
    /// They are the events that the consumer wants.
    Relayed(SseFramer),
    /// They are events with the sound in them.
    Events(SseFramer),
    /// They are events of a chat wire, with the sound as media.
    Decoded(SseFramer, Box<dyn Decoder>, Vec<Event>),
}

struct Speaking {
    way: Way,
    reader: Reader,
    writer: Writer,
    /// How the samples are written, where they are known to be samples.
    samples: Option<Pcm>,
    /// Bytes of sound so far.
    sound: u64,
    /// Why the answer is not all that was asked for.
    stopped: Option<Failure>,
}

impl Speaking {
    fn new(
        request: &SpeechRequest,
        wire: &SpeechWire,
        chat: &'static ChatWire,
        in_events: bool,
    ) -> Self {
        let format = speech::format(request);
        let floats = matches!(wire, SpeechWire::AudioData(_)) && format == "pcm";
        let samples = matches!(wire, SpeechWire::GenerateContent).then_some(Pcm::USUAL);
        Self {
            way: match (in_events, wire) {
                (false, SpeechWire::Reference(_)) => Way::AsItIs,
                (true, SpeechWire::Reference(_)) if request.events => Way::Relayed(framer()),
                (_, SpeechWire::GenerateContent) => {
                    Way::Decoded(framer(), chat.decoder(), Vec::new())
                }
                _ => Way::Events(framer()),
            },
            reader: Reader::new(floats),
            writer: Writer::new(request.events, samples.filter(|_| format == "wav")),
            samples,
            sound: 0,
            stopped: None,
        }
    }

    fn heard(&mut self, heard: Heard, out: &mut Vec<u8>, meter: &mut Meter) -> Result<(), Failure> {
        match heard {
            Heard::Sound(sound) => {
                self.sound = self.sound.saturating_add(sound.len() as u64);
                meter.committed |= !sound.is_empty();
                self.writer.sound(&sound, out);
            }
            Heard::Done(usage) => self.done(usage, out, meter),
            Heard::Failed(failure) => return Err(*failure),
            Heard::Other => {}
        }
        Ok(())
    }

    fn done(&mut self, usage: Option<Usage>, out: &mut Vec<u8>, meter: &mut Meter) {
        if meter.ended {
            return;
        }
        meter.usage = usage.or(meter.usage.take());
        meter.ended = true;
        self.writer.done(meter.usage.as_ref(), out);
    }

    /// An event that goes on as it came.
    fn relayed(
        &mut self,
        frame: &Frame,
        out: &mut Vec<u8>,
        meter: &mut Meter,
    ) -> Result<(), Failure> {
        match self.reader.event(frame) {
            Heard::Sound(_) => meter.committed = true,
            Heard::Done(usage) => {
                meter.usage = usage;
                meter.ended = true;
            }
            Heard::Failed(failure) => return Err(*failure),
            Heard::Other => {}
        }
        out.extend_from_slice(&frame.raw);
        Ok(())
    }

    fn event(&mut self, event: Event, out: &mut Vec<u8>, meter: &mut Meter) -> Result<(), Failure> {
        match event {
            Event::BlockStart {
                kind: BlockKind::Media {
                    mime: Some(mime), ..
                },
                ..
            } => {
                let known = self.samples.filter(|_| self.sound > 0);
                let pcm = Pcm::of_type(&mime);
                let pcm = pcm.filter(|pcm| known.is_none_or(|known| known == *pcm));
                let pcm = pcm.ok_or_else(|| {
                    // Bytes of a container would be told as samples, and samples at another pace as those before.
                    let why = format!("the provider's sound is of the type `{mime}`");
                    Failure::upstream(FailureKind::InvalidResponse, why)
                })?;
                self.samples = Some(pcm);
                self.writer.samples(pcm);
            }
            Event::BlockDelta {
                delta: Delta::MediaData(data),
                ..
            } => {
                let heard = self.reader.decode(&data);
                self.heard(heard, out, meter)?;
            }
            Event::UsageReport(usage) => meter.report(&usage),
            // What was used is told behind it.
            Event::ChoiceEnd { finish, .. } => self.stopped = stopped(&finish),
            Event::ResponseEnd => match self.stopped.take() {
                Some(failure) => return Err(failure),
                None => self.done(None, out, meter),
            },
            Event::Error(failure) => return Err(*failure),
            _ => {}
        }
        Ok(())
    }
}

impl Frames for Speaking {
    fn framer(&mut self) -> Option<&mut SseFramer> {
        match &mut self.way {
            Way::AsItIs => None,
            Way::Relayed(framer) | Way::Events(framer) | Way::Decoded(framer, ..) => Some(framer),
        }
    }

    fn relays(&self) -> bool {
        matches!(self.way, Way::Relayed(_))
    }

    fn frame(
        &mut self,
        frame: &Frame,
        out: &mut Vec<u8>,
        meter: &mut Meter,
    ) -> Result<(), Failure> {
        match &mut self.way {
            Way::AsItIs => Ok(()),
            Way::Relayed(_) => self.relayed(frame, out, meter),
            Way::Events(_) => {
                let heard = self.reader.event(frame);
                self.heard(heard, out, meter)
            }
            Way::Decoded(_, decoder, events) => {
                decoder.push(frame, events);
                let events = std::mem::take(events);
                events
                    .into_iter()
                    .try_for_each(|event| self.event(event, out, meter))
            }
        }
    }
}

impl Tap for Speaking {
    fn said_ms(&self) -> u64 {
        self.samples.map_or(0, |pcm| pcm.millis(self.sound))
    }

    fn bytes(&mut self, bytes: Bytes, out: &mut Vec<u8>, meter: &mut Meter) -> Result<(), Failure> {
        if let Way::AsItIs = self.way {
            self.sound = self.sound.saturating_add(bytes.len() as u64);
            meter.committed = true;
            self.writer.sound(&bytes, out);
            return Ok(());
        }
        flow::frames(self, bytes, out, meter)
    }

    fn end(&mut self, out: &mut Vec<u8>, meter: &mut Meter) -> Result<(), Failure> {
        flow::last_frame(self, out, meter)?;
        match &mut self.way {
            // The transport says where the sound ends.
            Way::AsItIs => self.done(None, out, meter),
            Way::Decoded(_, decoder, events) => {
                decoder.finish(events);
                for event in std::mem::take(events) {
                    self.event(event, out, meter)?;
                }
            }
            Way::Relayed(_) | Way::Events(_) => {}
        }
        if self.sound == 0 && !meter.committed {
            let why = "the provider's answer holds no sound";
            return Err(Failure::upstream(FailureKind::InvalidResponse, why));
        }
        flow::told_its_end(meter)
    }
}
