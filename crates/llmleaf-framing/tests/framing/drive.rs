//! Runs a framer over pieces of a stream and collects what it says.

use bytes::Bytes;
use llmleaf_framing::{
    ArrayFramer, ArrayLimits, ArrayWriter, Frame, FramingError, MultipartError, MultipartLimits,
    MultipartReader, NdjsonFramer, NdjsonLimits, Piece, SseFramer, SseLimits, Tail,
};

use crate::reference::{self, Event, Reading};

/// Everything a framer said about a stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// The frames with data.
    pub events: Vec<Event>,
    /// The tail's frame.
    pub tail: Option<Event>,
    /// What ended it early.
    pub error: Option<FramingError>,
    /// All `raw` bytes, the tail's included.
    pub raw: Vec<u8>,
}

impl Collected {
    /// Checks it against the reference's reading of `input`, and that no byte was lost or made up.
    pub fn assert_reads(&self, reading: &Reading, input: &[u8]) {
        assert_eq!(self.events, reading.events);
        assert_eq!(self.tail, reading.tail);
        let invalid = reading
            .invalid_at
            .map(|offset| FramingError::InvalidUtf8 { offset });
        assert_eq!(self.error, invalid);
        if self.error.is_none() {
            assert_eq!(self.raw, input);
        } else {
            assert!(input.starts_with(&self.raw));
        }
    }
}

/// The framers, as far as driving them goes.
pub trait Framer {
    fn push(&mut self, chunk: Bytes);
    fn next(&mut self) -> Option<Result<Frame, FramingError>>;
    fn finish(&mut self) -> Option<Result<Tail, FramingError>>;
}

macro_rules! framer {
    ($name:ty) => {
        impl Framer for $name {
            fn push(&mut self, chunk: Bytes) {
                self.push(chunk);
            }
            fn next(&mut self) -> Option<Result<Frame, FramingError>> {
                self.next()
            }
            fn finish(&mut self) -> Option<Result<Tail, FramingError>> {
                self.finish()
            }
        }
    };
}
framer!(SseFramer);
framer!(NdjsonFramer);
framer!(ArrayFramer);

pub fn sse(max_event_bytes: usize) -> SseFramer {
    SseFramer::new(SseLimits { max_event_bytes })
}

pub fn ndjson(max_line_bytes: usize) -> NdjsonFramer {
    NdjsonFramer::new(NdjsonLimits { max_line_bytes })
}

pub fn array(max_element_bytes: usize) -> ArrayFramer {
    ArrayFramer::new(ArrayLimits { max_element_bytes })
}

/// The laws of arrays, of any bytes, cut anywhere: those of a framer, and those of the way back.
pub fn arrays_hold(stream: &[u8], lengths: &[usize], limit: usize) {
    const NO_LIMIT: usize = usize::MAX;
    let reading = reference::array(stream);
    collect(array(NO_LIMIT), [stream]).assert_reads(&reading, stream);
    collect(array(NO_LIMIT), pieces(stream, &[1])).assert_reads(&reading, stream);
    collect(array(NO_LIMIT), pieces(stream, lengths)).assert_reads(&reading, stream);
    collect_late(array(NO_LIMIT), pieces(stream, lengths)).assert_reads(&reading, stream);

    let limited = collect(array(limit), [stream]);
    assert_eq!(collect(array(limit), pieces(stream, &[1])), limited);
    assert_eq!(collect(array(limit), pieces(stream, lengths)), limited);

    let reading = reference::sse(stream);
    assert_writes(&reading, stream, [stream]);
    assert_writes(&reading, stream, pieces(stream, &[1]));
    assert_writes(&reading, stream, pieces(stream, lengths));
}

/// Checks the array that an event stream becomes against the reference's reading of it. Blank lines may stand where comments
/// stood.
/// What a form with the boundary `b` says: name, file name and data of each part, all bytes, and what ended it early.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Form {
    pub parts: Vec<(String, Option<String>, Vec<u8>)>,
    pub raw: Vec<u8>,
    pub error: Option<MultipartError>,
}

/// Reads a form.
pub fn form<'a>(limits: MultipartLimits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Form {
    let mut reader = MultipartReader::new("b", limits);
    let mut found = Form::default();
    for piece in pieces {
        reader.push(piece);
        while let Some(next) = reader.next() {
            let piece = match next {
                Ok(piece) => piece,
                Err(error) => {
                    found.error = Some(error);
                    assert_eq!(reader.next(), Some(Err(error)), "an error is final");
                    return found;
                }
            };
            found.raw.extend_from_slice(piece.raw());
            match piece {
                Piece::Head(head) => found.parts.push((head.name, head.filename, Vec::new())),
                Piece::Data(data) => {
                    assert!(!data.is_empty());
                    let open = found.parts.last_mut().expect("data comes after a head");
                    open.2.extend_from_slice(&data);
                }
                Piece::End(_) => {}
            }
        }
    }
    found.error = reader.finish().err();
    found
}

/// Checks that a form says the same under any cut, and that its pieces are its bytes.
pub fn forms_hold(body: &[u8], lengths: &[usize]) {
    let whole = form(MultipartLimits::default(), [body]);
    for cut in [pieces(body, lengths), body.chunks(1).collect()] {
        let cut = form(MultipartLimits::default(), cut);
        assert_eq!(cut.error, whole.error);
        assert!(body.starts_with(&cut.raw));
        if whole.error.is_none() {
            assert_eq!(cut.raw, body);
            assert_eq!(cut, whole);
        }
    }
}

fn assert_writes<'a>(reading: &Reading, stream: &[u8], pieces: impl IntoIterator<Item = &'a [u8]>) {
    let (mut writer, mut out) = (ArrayWriter::default(), Vec::new());
    for piece in pieces {
        writer.push(piece, &mut out);
    }
    let whole = writer.close(&mut out);
    let silent = |text: &[u8]| text.iter().take_while(|byte| **byte == b'\n').count();
    let mut rest = &out[..];
    let mut before: &[u8] = b"[";
    for (_, data) in reading.events.iter().chain(&reading.tail) {
        rest = &rest[silent(rest)..];
        rest = rest.strip_prefix(before).expect("what stands between");
        rest = rest.strip_prefix(&data[..]).expect("the event's data");
        before = b",\r\n";
    }
    rest = &rest[silent(rest)..];
    let end: &[u8] = match (whole, before) {
        (false, _) => b"",
        (true, b"[") => b"[]\n",
        (true, _) => b"]\n",
    };
    assert_eq!(rest, end, "whole: {whole}");
    assert!(
        !whole || reading.invalid_at.is_none(),
        "an end in spite of a loss"
    );
    let ended = stream.is_empty() || stream.ends_with(b"\n\n");
    assert!(
        whole || reading.invalid_at.is_some() || !ended,
        "no end without a loss"
    );
}

/// Pushes each piece and takes all frames in between.
pub fn collect<'a>(
    mut framer: impl Framer,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Collected {
    let mut collected = Collected::default();
    for piece in pieces {
        framer.push(Bytes::copy_from_slice(piece));
        take_frames(&mut framer, &mut collected);
    }
    take_tail(&mut framer, &mut collected);
    collected
}

/// Pushes all pieces before it takes the first frame.
pub fn collect_late<'a>(
    mut framer: impl Framer,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Collected {
    let mut collected = Collected::default();
    for piece in pieces {
        framer.push(Bytes::copy_from_slice(piece));
    }
    take_frames(&mut framer, &mut collected);
    take_tail(&mut framer, &mut collected);
    collected
}

/// Cuts `input` into pieces of the given lengths, used over and over; a length of 0 counts as 1.
pub fn pieces<'a>(mut input: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut lengths = lengths.iter().cycle();
    while !input.is_empty() {
        let length = lengths.next().map_or(input.len(), |length| *length);
        let (piece, rest) = input.split_at(length.clamp(1, input.len()));
        pieces.push(piece);
        input = rest;
    }
    pieces
}

fn take_frames(framer: &mut impl Framer, collected: &mut Collected) {
    while let Some(frame) = framer.next() {
        match frame {
            Ok(frame) => {
                assert!(!frame.raw.is_empty(), "a frame without bytes");
                collected.raw.extend_from_slice(&frame.raw);
                if frame.has_data {
                    collected.events.push(event(&frame));
                } else {
                    assert!(frame.data.is_empty(), "data in a frame without data");
                }
            }
            Err(error) => {
                assert_eq!(collected.error, None, "an error after an error");
                collected.error = Some(error);
            }
        }
    }
}

fn take_tail(framer: &mut impl Framer, collected: &mut Collected) {
    match framer.finish() {
        None => {}
        Some(Ok(tail)) => {
            collected.raw.extend_from_slice(&tail.raw);
            collected.tail = tail.frame.map(|frame| {
                assert!(frame.has_data);
                assert_eq!(frame.raw, tail.raw);
                event(&frame)
            });
        }
        Some(Err(error)) => {
            assert_eq!(collected.error, None, "an error after an error");
            collected.error = Some(error);
        }
    }
    assert!(framer.next().is_none(), "a frame after the end");
    assert!(framer.finish().is_none(), "a second end");
}

fn event(frame: &Frame) -> Event {
    let name = frame.event.as_ref().map(|name| name.to_vec());
    (name, frame.data.to_vec())
}
