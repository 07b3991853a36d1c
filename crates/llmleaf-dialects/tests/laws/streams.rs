//! Any bytes, read as a stream of a provider, and what was read, told to consumers of both dialects.

use crate::{answers, json, wires};
use bytes::Bytes;
use llmleaf_dialects::{ChatWire, Decoder, Dialect, Frame, Relayed};
use llmleaf_framing::{FramingError, NdjsonFramer, NdjsonLimits, SseFramer, SseLimits, Tail};
use llmleaf_model::{BlockKind, Collector, Event, FinishReason, Grammar, Response, ToolFlavour};

/// All laws of a stream. `lengths` says where the network cuts the bytes.
pub fn hold(dialect: Dialect, choice: u8, lengths: &[usize], bytes: &[u8]) {
    let wire = wires::pick(dialect, choice);
    let framed = Framed::cut(dialect, bytes, &[]);
    let events = framed.decode(&wire);
    assert_eq!(
        Framed::cut(dialect, bytes, lengths).decode(&wire),
        events,
        "the cut changes the events"
    );
    // Half characters are mended around both readings.
    let halves = |pair: &[u8]| pair.eq_ignore_ascii_case(b"\\ud");
    if !bytes.windows(3).any(halves) {
        assert_eq!(
            framed.read_by(wires::whole_decoder(&wire)),
            events,
            "the fast reading is not the whole reading"
        );
    }
    relayed(&wire, &framed, &events);
    if !framed.whole {
        return;
    }
    // Names that stand twice in a frame may stand so in what is passed on.
    let doubles = framed.frames.iter().any(|f| json::has_doubles(&f.data));
    for to in wires::DIALECTS {
        told(to, choice, &events, doubles);
    }
    if let Some(response) = collect(&events) {
        answers::rendered(&response, choice, doubles);
    }
}

/// How a dialect's bytes are cut.
enum Framer {
    Events(SseFramer),
    Lines(NdjsonFramer),
}

impl Framer {
    fn of(dialect: Dialect) -> Self {
        match dialect.streams_lines() {
            true => Self::Lines(NdjsonFramer::new(NdjsonLimits::default())),
            false => Self::Events(SseFramer::new(SseLimits::default())),
        }
    }

    fn push(&mut self, piece: Bytes) {
        match self {
            Self::Events(framer) => framer.push(piece),
            Self::Lines(framer) => framer.push(piece),
        }
    }

    fn next(&mut self) -> Option<Result<Frame, FramingError>> {
        match self {
            Self::Events(framer) => framer.next(),
            Self::Lines(framer) => framer.next(),
        }
    }

    fn finish(&mut self) -> Option<Result<Tail, FramingError>> {
        match self {
            Self::Events(framer) => framer.finish(),
            Self::Lines(framer) => framer.finish(),
        }
    }
}

/// A stream as frames.
pub struct Framed {
    pub frames: Vec<Frame>,
    /// False where the framing failed on the way.
    pub whole: bool,
}

impl Framed {
    /// Pushes pieces of the given lengths, over and over; all at once where there are none.
    pub fn cut(dialect: Dialect, bytes: &[u8], lengths: &[usize]) -> Self {
        let mut framer = Framer::of(dialect);
        let mut frames = Vec::new();
        let mut lengths = lengths.iter().map(|l| (*l).max(1)).cycle();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, after) =
                rest.split_at(lengths.next().unwrap_or(rest.len()).min(rest.len()));
            rest = after;
            framer.push(Bytes::copy_from_slice(piece));
            while let Some(frame) = framer.next() {
                match frame {
                    Ok(frame) => frames.push(frame),
                    Err(_) => {
                        return Self {
                            frames,
                            whole: false,
                        };
                    }
                }
            }
        }
        let whole = match framer.finish() {
            None => true,
            Some(Ok(tail)) => {
                frames.extend(tail.frame);
                true
            }
            Some(Err(_)) => false,
        };
        Self { frames, whole }
    }

    /// The events of the stream, each held to the grammar.
    pub fn decode(&self, wire: &ChatWire) -> Vec<Event> {
        self.read_by(wire.decoder())
    }

    fn read_by(&self, mut decoder: Box<dyn Decoder>) -> Vec<Event> {
        let mut events = Vec::new();
        for frame in &self.frames {
            decoder.push(frame, &mut events);
        }
        if !self.whole {
            lawful(&events);
            return events;
        }
        decoder.finish(&mut events);
        lawful(&events);
        assert!(
            events.last().is_some_and(Event::is_terminal),
            "no terminal in {events:?}"
        );
        let length = events.len();
        for frame in self.frames.iter().take(3) {
            decoder.push(frame, &mut events);
        }
        decoder.finish(&mut events);
        assert_eq!(events.len(), length, "something after the terminal");
        events
    }
}

/// Holds events to the grammar, but for the terminal.
pub fn lawful(events: &[Event]) {
    let mut grammar = Grammar::new();
    for event in events {
        if let Err(broken) = grammar.check(event) {
            panic!("{broken} at {event:?} in {events:#?}");
        }
    }
}

/// The whole response, where the stream did not fail.
pub fn collect(events: &[Event]) -> Option<Response> {
    let mut collector = Collector::new();
    for event in events {
        collector.push(event.clone()).ok()?;
    }
    Some(collector.into_response())
}

/// What reaches a consumer of the same dialect says what the provider said, but for the report it did not ask for.
fn relayed(wire: &ChatWire, framed: &Framed, events: &[Event]) {
    let mut bytes = Vec::new();
    for frame in &framed.frames {
        assert_eq!(wire.relay(frame, false), Relayed::AsIs);
        match wire.relay(frame, true) {
            Relayed::AsIs => bytes.extend_from_slice(&frame.raw),
            Relayed::Edited(edited) => bytes.extend_from_slice(&edited),
            Relayed::Hidden => {}
        }
    }
    let mut again = Framed::cut(wire.dialect(), &bytes, &[]);
    again.whole &= framed.whole;
    let content = |events: &[Event]| -> Vec<Event> {
        events
            .iter()
            .filter(|e| e.bears_content() && !e.is_terminal())
            .cloned()
            .collect()
    };
    let mut told = content(&again.decode(wire));
    if matches!(events.last(), Some(Event::Error(_))) {
        // Nothing is relayed past the frame in which the reading failed.
        told.truncate(content(events).len());
    }
    assert_eq!(told, content(events), "the relay changes the answer");
}

/// Tells events to a consumer, and reads what it would read.
fn told(to: Dialect, choice: u8, events: &[Event], doubles: bool) {
    let context = wires::context(choice);
    let mut encoder = to.encoder(context.clone());
    let mut bytes = Vec::new();
    for event in events {
        encoder.encode(event, &mut bytes);
    }
    let length = bytes.len();
    encoder.encode(&Event::ResponseEnd, &mut bytes);
    assert_eq!(bytes.len(), length, "bytes after the terminal");
    encoder.take_losses();
    assert!(encoder.take_losses().is_empty(), "losses told twice");

    let framed = Framed::cut(to, &bytes, &[]);
    assert!(framed.whole, "we wrote a stream that cannot be framed");
    for frame in framed.frames.iter().filter(|f| f.has_data) {
        if &frame.data[..] != b"[DONE]" {
            json::assert_strict(&frame.data, if doubles { ANYTHING } else { PASSED });
        }
    }
    let again = framed.decode(&wires::reference(to));
    assert!(
        !again.iter().any(|e| matches!(e, Event::Unknown { .. })) || has_unknown(events),
        "we wrote a frame that we do not know: {}",
        String::from_utf8_lossy(&bytes)
    );
    compare(to, &context, events, &again);
}

/// What comes from outside as it is, doubled names included.
const PASSED: &[&str] = &[
    "input",
    "arguments",
    "logprobs",
    "citation",
    "annotation",
    "annotations",
    "content_block",
    "args",
    "citations",
];
const ANYTHING: &[&str] = &[
    "choices",
    "delta",
    "message",
    "usage",
    "content_block",
    "error",
    "response",
    "item",
    "part",
    "annotation",
    "logprobs",
    "candidates",
    "promptFeedback",
    "usageMetadata",
];

fn has_unknown(events: &[Event]) -> bool {
    events.iter().any(|e| {
        matches!(
            e,
            Event::Unknown { .. }
                | Event::BlockStart {
                    kind: BlockKind::Opaque { .. },
                    ..
                }
                | Event::BlockDelta {
                    delta: llmleaf_model::Delta::Opaque { .. },
                    ..
                }
        )
    })
}

fn compare(
    to: Dialect,
    context: &llmleaf_dialects::ReplyContext,
    events: &[Event],
    again: &[Event],
) {
    let completed = matches!(events.last(), Some(Event::ResponseEnd));
    let completed_again = matches!(again.last(), Some(Event::ResponseEnd));
    let failed = |event: &Event| matches!(event, Event::ChoiceEnd { finish, .. } if finish.reason == FinishReason::Error);
    // A choice that the provider ended with an error is told as one.
    if !events.iter().any(failed) {
        assert_eq!(completed_again, completed, "{events:?}\nbecame {again:?}");
    } else {
        assert!(completed || !completed_again);
    }
    let (before, after) = (Told::of(to, events), Told::of(to, again));
    if completed_again {
        assert_eq!(after.text, before.text, "{events:?}\nbecame {again:?}");
        assert_eq!(after.calls, before.calls, "{events:?}\nbecame {again:?}");
        if !context.hide_reasoning {
            assert_eq!(
                after.thoughts, before.thoughts,
                "{events:?}\nbecame {again:?}"
            );
        }
    } else {
        assert!(
            before.text.starts_with(&after.text),
            "{events:?}\nbecame {again:?}"
        );
    }
}

/// What a consumer of a dialect must be told of the first answer.
#[derive(Default)]
struct Told {
    text: String,
    thoughts: String,
    /// Id, name and arguments.
    calls: Vec<(String, String, String)>,
}

impl Told {
    fn of(to: Dialect, events: &[Event]) -> Self {
        let mut told = Self::default();
        // This wire tells text alone.
        let text_only = to == Dialect::TextCompletions;
        for (kind, text, arguments) in blocks(to, events) {
            match kind {
                BlockKind::Text => told.text.push_str(&text),
                // This wire has no other place for it.
                BlockKind::Refusal if refuses_in_text(to) => told.text.push_str(&text),
                BlockKind::Reasoning { .. } if !text_only => told.thoughts.push_str(&text),
                BlockKind::ToolCall { id, name, flavour } if !text_only => {
                    told.calls
                        .push((id, name, call_arguments(to, flavour, arguments)));
                }
                _ => {}
            }
        }
        if matches!(to, Dialect::GenerateContent | Dialect::Ollama(_)) {
            // A call is told when it is whole.
            told.calls.sort();
        }
        told
    }
}

/// True for wires without refusals: they go as text.
fn refuses_in_text(to: Dialect) -> bool {
    matches!(
        to,
        Dialect::Messages
            | Dialect::GenerateContent
            | Dialect::Ollama(_)
            | Dialect::CohereChat
            | Dialect::TextCompletions
    )
}

fn call_arguments(to: Dialect, flavour: ToolFlavour, arguments: String) -> String {
    match (to, flavour) {
        // A custom tool's text is wrapped in an object.
        (Dialect::Messages | Dialect::CohereChat, ToolFlavour::Custom) => {
            serde_json::json!({ "input": arguments }).to_string()
        }
        (_, ToolFlavour::Function) if arguments.is_empty() => "{}".into(),
        (Dialect::GenerateContent | Dialect::Ollama(_), ToolFlavour::Custom) => {
            serde_json::json!({ "input": arguments }).to_string()
        }
        (Dialect::GenerateContent | Dialect::Ollama(_), ToolFlavour::Function) => {
            match llmleaf_dialects::object::Object::parse(&arguments) {
                Ok(_) => arguments.trim().replace(['\n', '\r'], " "),
                Err(_) if arguments.trim().is_empty() => "{}".into(),
                Err(_) => serde_json::json!({ "input": arguments }).to_string(),
            }
        }
        _ => arguments,
    }
}

/// The blocks of the first answer with their text and arguments, in order of their start. Where the wire has one text
/// that grows as it comes, the texts of blocks that grow side by side lie as they came: in the first of them.
fn blocks(to: Dialect, events: &[Event]) -> Vec<(BlockKind, String, String)> {
    let mut blocks: Vec<(u32, BlockKind, String, String)> = Vec::new();
    for event in events {
        match event {
            Event::BlockStart {
                block,
                choice: 0,
                kind,
            } => blocks.push((*block, kind.clone(), String::new(), String::new())),
            Event::BlockDelta { block, delta } => {
                let Some(at) = blocks.iter().position(|b| b.0 == *block) else {
                    continue;
                };
                let lane = match (&blocks[at].1, to) {
                    (
                        BlockKind::Text | BlockKind::Refusal,
                        Dialect::GenerateContent | Dialect::Ollama(_) | Dialect::TextCompletions,
                    ) => {
                        let words = |b: &(u32, BlockKind, String, String)| {
                            matches!(b.1, BlockKind::Text | BlockKind::Refusal)
                        };
                        blocks.iter().position(words).unwrap_or(at)
                    }
                    (
                        BlockKind::Text | BlockKind::Reasoning { .. },
                        Dialect::ChatCompletions | Dialect::GenerateContent | Dialect::Ollama(_),
                    ) => {
                        let kind = std::mem::discriminant(&blocks[at].1);
                        blocks
                            .iter()
                            .position(|b| std::mem::discriminant(&b.1) == kind)
                            .unwrap_or(at)
                    }
                    _ => at,
                };
                match delta {
                    llmleaf_model::Delta::Text(text) => blocks[lane].2.push_str(text),
                    llmleaf_model::Delta::Arguments(text) => blocks[at].3.push_str(text),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    blocks.into_iter().map(|(_, k, t, a)| (k, t, a)).collect()
}

/// Text of one answer of a whole response; refusals too where the wire has no other place for them.
pub fn whole_text(to: Dialect, response: &Response, choice: usize) -> String {
    let blocks = response
        .choices
        .get(choice)
        .into_iter()
        .flat_map(|c| &c.blocks);
    blocks
        .filter(|b| match b.kind {
            BlockKind::Text => true,
            BlockKind::Refusal => refuses_in_text(to),
            _ => false,
        })
        .map(|b| b.text.as_str())
        .collect()
}
