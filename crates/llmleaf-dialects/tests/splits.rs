//! Every recorded stream, cut where no network ever cut it: the pieces say the same as the whole.
//!
//! Three things are shown, each for every recorded stream of the two chat wires.
//!
//! - Fed one byte at a time, the frames are those of the whole stream, the decoder reads the same events from them, and
//!   both encoders write the same bytes.
//! - Cut in two at every byte position, a frame and its neighbour behind it come out as they do whole. The cut is made
//!   within these two alone: the framer keeps nothing of a frame that is done, which the next point shows.
//! - Cut in two at every byte position of the whole stream, where the stream is short enough for the square of its length.
//!
//! A decoder sees frames and nothing of the bytes, so equal frames are equal events; they are compared all the same.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use bytes::Bytes;
use llmleaf_dialects::{
    ChatWire, Dialect, Frame, ReplyContext, chat_completions, gemini, messages, responses,
};
use llmleaf_framing::{SseFramer, SseLimits};
use llmleaf_model::Event;
use llmleaf_testkit::recordings::{Body, Recording, boundaries, load_where};

/// Streams in the set when this was written.
const LEAST: usize = 324 + 88 + 29;

/// A stream of at most so many bytes is cut in two at each of them, whole.
const SHORT: usize = 3000;

fn streams() -> Option<Vec<Recording>> {
    let found = load_where(
        "streams of openai-chat, anthropic-messages, gemini-generate and cohere-v2",
        |one| {
            let wires = [
                "openai-chat",
                "anthropic-messages",
                "gemini-generate",
                "cohere-v2",
            ];
            // A few come as JSON arrays.
            one.stream && wires.contains(&one.wire.as_str()) && matches!(one.body, Body::Sse(_))
        },
    )?;
    assert!(found.len() >= LEAST, "only {} streams", found.len());
    Some(found)
}

/// Streams of the Responses wire, but for those that hold whole images: their frames are cut as all others are, so they
/// are only read.
fn responses_streams() -> Vec<Recording> {
    const LONGEST: usize = 200_000;
    let found = load_where("streams of openai-responses", |one| {
        one.stream && one.wire == "openai-responses"
    });
    let mut found = found.unwrap_or_default();
    found.retain(|one| one.body.text().is_some_and(|text| text.len() < LONGEST));
    found
}

fn text(recording: &Recording) -> Bytes {
    Bytes::from(recording.body.text().unwrap_or_default().to_owned())
}

/// Events with their data, and all bytes.
type Says<'a> = (Vec<(&'a [u8], &'a [u8])>, Vec<u8>);

/// What must not depend on the pieces: the frames that carry something, and all bytes in order. A line feed that comes late
/// behind its carriage return is a silent frame of its own, which is the framer's word.
fn says(frames: &[Frame]) -> Says<'_> {
    let loud = frames.iter().filter(|frame| frame.has_data);
    let loud = loud.map(|frame| (frame.event.as_deref().unwrap_or_default(), &frame.data[..]));
    let raw = frames.iter().flat_map(|frame| frame.raw.to_vec());
    (loud.collect(), raw.collect())
}

/// The frames of a stream that comes in these pieces.
fn frames(pieces: impl IntoIterator<Item = Bytes>) -> Vec<Frame> {
    let mut framer = SseFramer::new(SseLimits::default());
    let mut found = Vec::new();
    for piece in pieces {
        framer.push(piece);
        while let Some(frame) = framer.next() {
            found.push(frame.expect("a recorded stream is well framed"));
        }
    }
    if let Some(tail) = framer.finish() {
        let tail = tail.expect("a recorded stream ends well");
        // What is left may be no message: half of a blank line.
        found.push(tail.frame.unwrap_or(Frame {
            raw: tail.raw,
            event: None,
            data: Bytes::new(),
            has_data: false,
        }));
    }
    found
}

fn events(wire: &ChatWire, frames: &[Frame]) -> Vec<Event> {
    let mut decoder = wire.decoder();
    let mut found = Vec::new();
    for frame in frames {
        decoder.push(frame, &mut found);
    }
    decoder.finish(&mut found);
    found
}

fn encoded(dialect: Dialect, events: &[Event]) -> Vec<u8> {
    let context = ReplyContext {
        fallback_id: "1".to_owned(),
        stream_usage: true,
        ..ReplyContext::default()
    };
    let mut encoder = dialect.encoder(context);
    let mut bytes = Vec::new();
    for event in events {
        encoder.encode(event, &mut bytes);
    }
    bytes
}

fn wire(recording: &Recording) -> ChatWire {
    match recording.wire.as_str() {
        "anthropic-messages" => ChatWire::Messages(messages::Quirks::REFERENCE),
        "openai-responses" => ChatWire::Responses(responses::Quirks::REFERENCE),
        "gemini-generate" => ChatWire::GenerateContent(gemini::Quirks::REFERENCE),
        "cohere-v2" => ChatWire::CohereChat,
        _ => ChatWire::Completions(chat_completions::Quirks::REFERENCE),
    }
}

#[test]
fn one_byte_at_a_time_says_the_same() {
    let Some(mut streams) = streams() else {
        return;
    };
    streams.extend(responses_streams());
    let mut bytes = 0;
    for recording in &streams {
        let whole = text(recording);
        bytes += whole.len();
        let expected = frames([whole.clone()]);
        let single = frames((0..whole.len()).map(|at| whole.slice(at..=at)));
        assert_eq!(says(&single), says(&expected), "{}", recording.id);
        assert_eq!(says(&expected).1, whole, "{}: not all of it", recording.id);
        let wire = wire(recording);
        let (a, b) = (events(&wire, &expected), events(&wire, &single));
        assert_eq!(a, b, "{}", recording.id);
        assert!(a.last().is_some_and(Event::is_terminal), "{}", recording.id);
        for dialect in [
            Dialect::ChatCompletions,
            Dialect::Messages,
            Dialect::Responses,
            Dialect::GenerateContent,
        ] {
            let (a, b) = (encoded(dialect, &a), encoded(dialect, &b));
            assert_eq!(a, b, "{}", recording.id);
        }
    }
    eprintln!(
        "one byte at a time: {} streams, {bytes} bytes",
        streams.len()
    );
}

#[test]
fn a_cut_anywhere_within_a_frame_says_the_same() {
    let Some(streams) = streams() else {
        return;
    };
    let halves = streams.split_at(streams.len() / 2);
    let cuts = std::thread::scope(|scope| {
        let one = scope.spawn(|| cut_windows(halves.0));
        let other = cut_windows(halves.1);
        one.join().expect("the other half is fine too") + other
    });
    eprintln!(
        "cut in two: {} streams at {cuts} positions, within the frame and the next",
        streams.len()
    );
}

fn cut_windows(streams: &[Recording]) -> usize {
    /// A cut so close behind a frame's end may leave half a line end behind.
    const NEAR: usize = 4;
    let mut cuts = 0;
    for recording in streams {
        let whole = text(recording);
        let mut ends = boundaries(recording.body.text().unwrap_or_default());
        if ends.last() != Some(&whole.len()) {
            ends.push(whole.len());
        }
        let mut start = 0;
        for (number, &end) in ends.iter().enumerate() {
            let next = ends.get(number + 1).copied().unwrap_or(end);
            let alone = whole.slice(start..end);
            let both = whole.slice(start..next);
            let (expected, expected_both) = (frames([alone.clone()]), frames([both.clone()]));
            for at in 1..=alone.len() {
                cuts += 1;
                let near = at <= NEAR || at + NEAR >= alone.len();
                let (window, expected) = if near {
                    (&both, &expected_both)
                } else {
                    (&alone, &expected)
                };
                let found = frames([window.slice(..at), window.slice(at..)]);
                assert!(
                    found == *expected || says(&found) == says(expected),
                    "{}: byte {}: {found:?} {expected:?}",
                    recording.id,
                    start + at
                );
            }
            start = end;
        }
    }
    cuts
}

#[test]
fn a_short_stream_cut_anywhere_says_the_same() {
    let Some(streams) = streams() else {
        return;
    };
    let (mut short, mut cuts) = (0, 0);
    for recording in &streams {
        let whole = text(recording);
        if whole.len() > SHORT {
            continue;
        }
        short += 1;
        let expected = frames([whole.clone()]);
        for at in 0..=whole.len() {
            cuts += 1;
            let found = frames([whole.slice(..at), whole.slice(at..)]);
            let same = found == expected || says(&found) == says(&expected);
            assert!(same, "{}: byte {at}", recording.id);
        }
    }
    assert!(short >= 50, "only {short} short streams");
    eprintln!("cut in two: {short} whole streams at {cuts} positions");
}
