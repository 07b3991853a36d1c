//! Events and frames on their way from a provider to the consumer.

use crate::attempt::Cut;
use crate::failure;
use crate::kept::Told;
use crate::outlet::Outlet;
use crate::settlement;
use llmleaf_dialects::{ChatWire, Decoder, Dialect, Encoder, Frame, Relayed};
use llmleaf_framing::{
    ArrayFramer, FramingError, NdjsonFramer, NdjsonLimits, SseFramer, SseLimits, Tail,
};
use llmleaf_model::{
    Collector, Delta, Event, Failure, FailureKind, FinishReason, Grammar, Origin, Usage,
};
use llmleaf_prices::Sheet;
use std::sync::Arc;

/// Most bytes held back before the first content.
pub(crate) const HOLD_BYTES: usize = 1024 * 1024;

/// Most bytes of text, reasoning, arguments and media in an answer that is collected from a stream.
const COLLECT_BYTES: u64 = 128 * 1024 * 1024;

/// How a stream reaches the consumer.
pub(crate) enum Mode {
    /// Same dialect: frames go through.
    Relay {
        wire: &'static ChatWire,
        usage_added: bool,
    },
    /// Another dialect: events are rendered.
    Encode(Box<dyn Encoder>),
    /// The consumer wants a whole answer.
    Collect(Box<Collector>),
}

/// What was seen of an answer.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// The provider's last report.
    pub usage: Option<Usage>,
    /// How many reports came.
    pub reports: u64,
    /// Bytes of text, reasoning and arguments since that report.
    pub bytes_since_usage: u64,
    /// Bytes of text, reasoning and arguments in all.
    pub bytes: u64,
    /// Bytes of media, in base64.
    pub media_bytes: u64,
    /// Content came: the exchange is committed.
    pub committed: bool,
    /// The provider said that the answer is complete.
    pub ended: bool,
    /// What came is whole, and the answer is still being made: it is to be asked for later.
    pub unfinished: bool,
    /// Parts of the work that were answered, and that the provider did not count.
    pub uncounted: u64,
    /// Pieces of a stream that had something in them.
    pub chunks: u64,
}

impl Meter {
    /// Nobody can say yet what the answer takes: it is made in the background.
    pub fn is_open(&self) -> bool {
        self.unfinished && self.usage.is_none() && self.bytes == 0
    }

    /// Brings a copy up to date with what a running stream has seen, without the cost of a whole copy per turn.
    pub fn glance(&mut self, running: &Self) {
        if running.reports != self.reports {
            self.usage.clone_from(&running.usage);
            self.reports = running.reports;
        }
        self.bytes = running.bytes;
        self.unfinished = running.unfinished;
        self.bytes_since_usage = running.bytes_since_usage;
        self.committed = running.committed;
        self.ended = running.ended;
    }

    /// The provider reports what it used so far.
    pub fn report(&mut self, usage: &Usage) {
        self.usage = Some(usage.clone());
        self.reports += 1;
        self.bytes_since_usage = 0;
    }

    /// So many bytes of text came.
    pub fn text(&mut self, bytes: usize) {
        let length = bytes as u64;
        self.bytes += length;
        self.bytes_since_usage += length;
    }

    /// Takes note of an event.
    pub fn see(&mut self, event: &Event) {
        if let Some(text) = text_of(event) {
            self.text(text.len());
        }
        match event {
            // A start that reports nothing takes no report back that came before it.
            Event::ResponseStart(start) => start.usage.iter().for_each(|usage| self.report(usage)),
            Event::UsageReport(usage) => self.report(usage),
            Event::BlockDelta {
                delta: Delta::MediaData(data),
                ..
            } => self.media_bytes += data.len() as u64,
            Event::ChoiceEnd { finish, .. } => {
                self.unfinished = finish.reason == FinishReason::Unstated;
            }
            Event::ResponseEnd => self.ended = true,
            _ => {}
        }
        self.committed |= event.bears_content();
    }
}

/// Text, or arguments, of an event.
fn text_of(event: &Event) -> Option<&str> {
    match event {
        Event::BlockDelta {
            delta: Delta::Text(text) | Delta::Arguments(text),
            ..
        } => Some(text),
        _ => None,
    }
}

/// A failure of a stream, and whether the consumer has been told in its own dialect.
#[derive(Debug)]
pub(crate) struct Broken {
    pub failure: Failure,
    pub told: bool,
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            told: false,
        }
    }
}

/// Whether a frame that ends a stream tells the consumer of it by itself: an error of the consumer's own, as the provider
/// words it. Not a frame that nobody can read, and not words about the operator's account, hosts or limits.
fn passes(failure: &Failure) -> bool {
    failure.body.is_some() && failure.origin == Origin::Consumer
}

/// How the provider's bytes are cut.
enum Framer {
    Events(SseFramer),
    Array(ArrayFramer),
    Lines(NdjsonFramer),
}

impl Framer {
    fn push(&mut self, chunk: bytes::Bytes) {
        match self {
            Self::Events(framer) => framer.push(chunk),
            Self::Array(framer) => framer.push(chunk),
            Self::Lines(framer) => framer.push(chunk),
        }
    }

    fn next(&mut self) -> Option<Result<Frame, FramingError>> {
        match self {
            Self::Events(framer) => framer.next(),
            // From here on it is an event like any other.
            Self::Array(framer) => framer.next().map(|frame| frame.map(as_event)),
            Self::Lines(framer) => framer.next(),
        }
    }

    fn finish(&mut self) -> Option<Result<Tail, FramingError>> {
        match self {
            Self::Events(framer) => framer.finish(),
            Self::Array(framer) => framer.finish(),
            Self::Lines(framer) => framer.finish(),
        }
    }

    /// What ends a last frame whose end was left out.
    fn missing_end(&self, raw: &[u8]) -> &'static [u8] {
        match self {
            Self::Lines(_) => b"\n",
            _ if raw.ends_with(b"\n") => b"\n",
            _ => b"\n\n",
        }
    }
}

/// An element of an array as the event that it would have been.
fn as_event(mut frame: Frame) -> Frame {
    let mut raw = b"data: ".to_vec();
    // Outside of strings, where JSON has none, line ends are white space.
    raw.extend(frame.data.iter().map(|byte| match byte {
        b'\n' | b'\r' => b' ',
        other => *other,
    }));
    raw.extend_from_slice(b"\r\n\r\n");
    frame.raw = raw.into();
    frame
}

/// A frame that reports usage, with what it costs.
fn told(wire: &ChatWire, frame: &Frame, cost: u64) -> Option<Vec<u8>> {
    let data = wire.tell_cost(&frame.data, cost)?;
    let mut places = frame.raw.windows(frame.data.len().max(1));
    let at = places.position(|place| place == &frame.data[..])?;
    let (before, after) = (
        frame.raw.get(..at)?,
        frame.raw.get(at + frame.data.len()..)?,
    );
    Some([before, &data, after].concat())
}

fn hand_on(relayed: &Relayed, frame: &Frame, out: &Outlet) {
    match relayed {
        Relayed::AsIs => out.write(&frame.raw),
        Relayed::Edited(bytes) => out.write(bytes),
        Relayed::Hidden => {}
    }
}

fn silent(raw: bytes::Bytes) -> Frame {
    Frame {
        raw,
        event: None,
        data: bytes::Bytes::new(),
        has_data: false,
    }
}

/// The way from frames to the consumer's bytes.
pub(crate) struct Pump {
    decoder: Box<dyn Decoder>,
    framer: Framer,
    mode: Mode,
    events: Vec<Event>,
    /// Bytes for the consumer that wait for the commit point.
    held: Vec<u8>,
    grammar: Grammar,
    /// Data of the first and of the last event that was forwarded.
    trail: Option<(bytes::Bytes, bytes::Bytes)>,
    /// The answer is kept, and told under another name.
    pub told: Option<Told>,
    /// What the answer costs is told by this.
    pub teller: Option<Arc<Sheet>>,
    /// What it comes to as a whole, beside the stream of it.
    pub beside: Option<Box<Collector>>,
    pub meter: Meter,
}

impl Pump {
    /// A pump at the start of a stream.
    pub fn new(decoder: Box<dyn Decoder>, mode: Mode) -> Self {
        Self {
            decoder,
            framer: Framer::Events(SseFramer::new(SseLimits::default())),
            mode,
            events: Vec::new(),
            held: Vec::new(),
            grammar: Grammar::new(),
            trail: None,
            told: None,
            teller: None,
            beside: None,
            meter: Meter::default(),
        }
    }

    /// How what comes is cut.
    pub fn read(&mut self, cut: Cut) {
        self.framer = match cut {
            Cut::Events => Framer::Events(SseFramer::new(SseLimits::default())),
            Cut::Array => Framer::Array(ArrayFramer::default()),
            Cut::Lines => Framer::Lines(NdjsonFramer::new(NdjsonLimits::default())),
        };
    }

    /// What comes are events of up to so many bytes.
    pub fn read_events_of(&mut self, max_event_bytes: usize) {
        self.framer = Framer::Events(SseFramer::new(SseLimits { max_event_bytes }));
    }

    /// Takes bytes from the provider.
    pub fn bytes(&mut self, chunk: bytes::Bytes, out: &Outlet) -> Result<(), Broken> {
        if matches!(self.mode, Mode::Relay { .. }) {
            out.expect(chunk.len());
        }
        self.framer.push(chunk);
        let keeps = self.keeps_trail();
        let mut last = None;
        let mut result = Ok(());
        loop {
            if !keeps {
                self.alike(out);
            }
            let Some(frame) = self.framer.next() else {
                break;
            };
            result = match frame {
                Ok(frame) if !keeps => self.frame(&frame, out),
                Ok(frame) => self.frame(&frame, out).map(|()| last = Some(frame)),
                Err(error) => Err(failure::framing(&error).into()),
            };
            if result.is_err() {
                break;
            }
            if keeps && self.trail.is_none() {
                self.remember(last.as_ref());
            }
        }
        self.remember(last.as_ref());
        result
    }

    /// Keeps the data of an event that was forwarded, as a copy: the event is a piece of all that was read with it, and the
    /// consumer may be slow.
    fn remember(&mut self, frame: Option<&Frame>) {
        let Some(frame) = frame.filter(|frame| frame.has_data) else {
            return;
        };
        if self.keeps_trail() {
            let last = bytes::Bytes::copy_from_slice(&frame.data);
            let first = self
                .trail
                .take()
                .map_or_else(|| last.clone(), |(first, _)| first);
            self.trail = Some((first, last));
        }
    }

    /// One wire alone goes on from what was forwarded when it breaks; elsewhere an event may be an image.
    fn keeps_trail(&self) -> bool {
        let asks = |wire: &ChatWire| wire.dialect() == Dialect::Responses;
        matches!(&self.mode, Mode::Relay { wire, .. } if asks(wire))
    }

    /// The provider's bytes ended cleanly.
    pub fn end(&mut self, out: &Outlet) -> Result<(), Broken> {
        if let Some(tail) = self.framer.finish() {
            let tail = tail.map_err(|e| failure::framing(&e))?;
            // Some services leave out the blank line after their last event, or the end of their last line. The transport ended cleanly, so the event
            // is whole; what the consumer gets is framed properly.
            if let Some(mut frame) = tail.frame {
                let mut raw = frame.raw.to_vec();
                raw.extend_from_slice(self.framer.missing_end(&frame.raw));
                frame.raw = raw.into();
                self.frame(&frame, out)?;
                self.remember(Some(&frame));
            } else {
                // What is no event may still be the provider's last word; the decoder looks at it, nobody gets it.
                self.decoder.push(&silent(tail.raw), &mut self.events);
                self.events(out)?;
            }
        }
        self.decoder.finish(&mut self.events);
        self.events(out)?;
        if self.meter.ended {
            return Ok(());
        }
        Err(Failure::upstream(
            FailureKind::Truncated,
            "the provider's stream ended before its end was told",
        )
        .into())
    }

    /// Takes one frame.
    fn frame(&mut self, frame: &Frame, out: &Outlet) -> Result<(), Broken> {
        if self.meter.ended {
            // Nothing after the terminal is part of the answer.
            return Ok(());
        }
        self.meter.chunks += u64::from(frame.has_data);
        if self.glances()
            && let Some(bytes) = self.decoder.glance(frame)
        {
            // Text, and nothing that a record or a clock does not know already.
            self.meter.text(bytes);
            self.relay(frame, out);
            return Ok(());
        }
        let renamed = self.told.as_ref().and_then(|told| told.event(frame));
        let frame = renamed.as_ref().unwrap_or(frame);
        self.decoder.push(frame, &mut self.events);
        if let Mode::Relay { wire, usage_added } = &self.mode {
            let relayed = match wire.relay(frame, *usage_added) {
                Relayed::AsIs => self
                    .cost()
                    .and_then(|cost| told(wire, frame, cost))
                    .map_or(Relayed::AsIs, Relayed::Edited),
                relayed => relayed,
            };
            let seen = self.events(out);
            if let Err(broken) = &seen
                && !(self.meter.committed && passes(&broken.failure))
            {
                return seen;
            }
            match &relayed {
                Relayed::AsIs => self.sink(&frame.raw, out),
                Relayed::Edited(bytes) => self.sink(bytes, out),
                Relayed::Hidden => {}
            }
            return seen.map_err(|broken| Broken {
                told: true,
                ..broken
            });
        }
        self.events(out)
    }

    /// Whether the text in a frame is of no use here but to be counted: it goes through, and the answer has begun.
    fn glances(&self) -> bool {
        let relays = matches!(self.mode, Mode::Relay { .. });
        relays
            && self.meter.committed
            && !self.meter.ended
            && self.told.is_none()
            && self.held.is_empty()
            && self.beside.is_none()
    }

    /// Hands on the frames of text that are here and differ from those before in nothing else, all at once.
    fn alike(&mut self, out: &Outlet) {
        if !self.glances() {
            return;
        }
        let (Framer::Events(framer), Mode::Relay { wire, usage_added }) =
            (&mut self.framer, &self.mode)
        else {
            return;
        };
        let Some(alike) = self.decoder.pattern().and_then(|it| framer.alike(it)) else {
            return;
        };
        self.meter.chunks += alike.count;
        self.meter.text(alike.text);
        // What becomes of them lies in what they have in common: what is looked for has more than one pair of quotes, or is there in all of them.
        let becomes = |frame: Frame| wire.relay(&frame, *usage_added);
        let one = alike.frames().next().map(becomes);
        if matches!(one, Some(Relayed::AsIs)) {
            return out.write(&alike.raw);
        }
        for frame in alike.frames() {
            hand_on(&wire.relay(&frame, *usage_added), &frame, out);
        }
    }

    /// Hands a frame of text on.
    fn relay(&mut self, frame: &Frame, out: &Outlet) {
        if let Mode::Relay { wire, usage_added } = &self.mode {
            hand_on(&wire.relay(frame, *usage_added), frame, out);
        }
    }

    /// Takes an event that came by no frame.
    pub fn event(&mut self, event: Event, out: &Outlet) -> Result<(), Broken> {
        self.events.push(event);
        self.events(out)
    }

    fn events(&mut self, out: &Outlet) -> Result<(), Broken> {
        let mut events = std::mem::take(&mut self.events);
        let committed = self.meter.committed;
        let result = events.drain(..).try_for_each(|event| self.take(event));
        self.events = events;
        if let Err(broken) = result {
            if committed {
                out.write(&self.held);
                self.held.clear();
            } else {
                // Content that came with the error reached nobody: another target may still answer.
                self.meter.committed = false;
            }
            return Err(broken);
        }
        if self.held.len() > HOLD_BYTES && !self.meter.committed {
            let message = "the provider sent too much before the first content";
            return Err(Failure::upstream(FailureKind::InvalidResponse, message).into());
        }
        if self.meter.committed && !self.held.is_empty() {
            out.write(&self.held);
            self.held.clear();
        }
        Ok(())
    }

    fn take(&mut self, event: Event) -> Result<(), Broken> {
        if cfg!(debug_assertions) {
            let checked = self.grammar.check(&event);
            debug_assert!(checked.is_ok(), "{checked:?} at {event:?}");
        }
        if let Event::Error(failure) = event {
            return Err((*failure).into());
        }
        self.meter.see(&event);
        let event = self.priced(event);
        if let Some(beside) = &mut self.beside {
            // Errors were taken out above.
            let _ = beside.push(event.clone());
        }
        match &mut self.mode {
            Mode::Relay { .. } => {}
            Mode::Encode(encoder) => {
                encoder.encode(&event, &mut self.held);
                if let Some(failure) = encoder.failure() {
                    return Err(failure.clone().into());
                }
            }
            Mode::Collect(_) if self.meter.bytes + self.meter.media_bytes > COLLECT_BYTES => {
                let message = "the provider's answer is too large to be collected";
                return Err(Failure::upstream(FailureKind::InvalidResponse, message).into());
            }
            Mode::Collect(collector) => {
                // Errors were taken out above.
                let _ = collector.push(event);
            }
        }
        Ok(())
    }

    /// What the last report among the events that wait comes to, where that is to be told and is not told yet.
    fn cost(&self) -> Option<u64> {
        let sheet = self.teller.as_deref()?;
        let mut reports = self.events.iter().rev().filter_map(|event| match event {
            Event::UsageReport(usage) => Some(usage),
            _ => None,
        });
        let texts = self.events.iter().filter_map(text_of);
        let waiting: u64 = texts.map(|text| text.len() as u64).sum();
        settlement::told(reports.next()?, self.meter.bytes + waiting, sheet)
    }

    /// An event with its cost, where that is to be told. The record is made without it: there it would pass for the provider's own word.
    fn priced(&self, mut event: Event) -> Event {
        if let Some(sheet) = self.teller.as_deref()
            && let Event::UsageReport(usage) = &mut event
            && let Some(cost) = settlement::told(usage, self.meter.bytes, sheet)
        {
            usage.cost_nano_usd = Some(cost);
        }
        event
    }

    fn sink(&mut self, bytes: &[u8], out: &Outlet) {
        if self.meter.committed {
            out.write(bytes);
        } else {
            self.held.extend_from_slice(bytes);
        }
    }

    /// Tells the consumer, in the stream, that it broke.
    pub fn tell(&mut self, failure: &Failure, dialect: Dialect, request_id: &str, out: &Outlet) {
        match &mut self.mode {
            Mode::Encode(encoder) => {
                let mut bytes = Vec::new();
                encoder.encode(&Event::Error(Box::new(failure.clone())), &mut bytes);
                out.write(&bytes);
            }
            _ => {
                let trail = self.trail.as_ref();
                let trail = trail.map(|(first, last)| (&first[..], &last[..]));
                out.write(&dialect.render_break(failure, request_id, trail));
            }
        }
    }

    /// What the encoder could not express.
    pub fn take_losses(&mut self) -> Vec<llmleaf_model::Loss> {
        match &mut self.mode {
            Mode::Encode(encoder) => encoder.take_losses(),
            _ => Vec::new(),
        }
    }

    /// The collected answer, where the mode is [`Mode::Collect`].
    pub fn into_response(self) -> Option<llmleaf_model::Response> {
        match self.mode {
            Mode::Collect(collector) => Some(collector.into_response()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
