//! Recorded streams that are ended, reset or stalled at every byte, through real sockets, to consumers of each dialect. Behind
//! the faulty provider stands one that answers well, so that a fault before the first content is outlived and one after it
//! is not.
//!
//! A sample has one position for each event and two dialects; `LLMLEAF_EVERY_BYTE=1` takes every byte and four dialects, `=7` every seventh, and tells of one recording after the other. The recordings lie beside the repository;
//! without them the test says `skipped` and passes.

use std::collections::BTreeSet;
use std::sync::Mutex;

use llmleaf_testkit::digest::Digest;
use llmleaf_testkit::http::End;
use llmleaf_testkit::recordings::{self, Body, Recording, boundaries};
use llmleaf_testkit::replay::{CANARY, Script};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{Asked, Stage};

use super::{number_of, stage};

/// Recordings of each dialect.
const EACH: usize = 5;
/// Large enough to have something in them, small enough that every byte is a matter of minutes.
const BYTES: std::ops::Range<usize> = 600..4200;
/// Exchanges that run side by side before they are judged.
const BATCH: usize = 48;
/// Stages for the stalls and for the rest. A sample has one for each; where there is more to do, it is shared by several, most of whose
/// time goes by in waiting.
const LANES: [usize; 2] = [2, 4];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    End,
    Reset,
    Stall,
}

const FAULTS: [Fault; 3] = [Fault::End, Fault::Reset, Fault::Stall];

/// One recorded stream, with a place for a canary where it has its id.
struct Stream {
    name: String,
    wire: Wire,
    text: String,
}

/// One exchange to be made.
struct Case<'a> {
    stream: &'a Stream,
    consumer: Wire,
    fault: Fault,
    at: usize,
}

fn read(wire: Wire, text: &str) -> Digest {
    wire.read_stream(&llmleaf_testkit::sse::parse(text.as_bytes()).events)
}

/// A stream that ends well by the documents of its wire, with an id that is long enough to be looked for.
fn usable(recording: &Recording) -> Option<Stream> {
    let wire = match recording.wire.as_str() {
        "openai-chat" => Wire::Chat,
        "anthropic-messages" => Wire::Messages,
        _ => return None,
    };
    let Body::Sse(text) = &recording.body else {
        return None;
    };
    if !BYTES.contains(&text.len()) || recording.is_error() || text.contains('\r') {
        return None;
    }
    let digest = read(wire, text);
    let good = digest.terminal
        && digest.after_terminal == 0
        && digest.corrupt == 0
        && digest.responses == 1
        && digest.choices.len() == 1
        && digest.has_content()
        && digest.usage.is_some();
    let first = recording.events().into_iter().next()?;
    let value = llmleaf_testkit::json::parse(&first.data).ok()?;
    let id = match wire {
        Wire::Chat => value.text_at(&["id"]),
        _ => value.text_at(&["message", "id"]),
    };
    (good && id.len() >= 8).then(|| Stream {
        name: recording.id.clone(),
        wire,
        text: text.replace(id, &format!("id-{CANARY}")),
    })
}

/// Some of each dialect, each from another provider or with another kind of content where there are so many.
fn streams() -> Option<Vec<Stream>> {
    let all = recordings::load_where("a sweep over recorded streams", |recording| {
        usable(recording).is_some()
    })?;
    let mut chosen = Vec::new();
    for wire in Wire::BOTH {
        let mut kinds = BTreeSet::new();
        let own = all.iter().filter_map(|recording| {
            let stream = usable(recording).filter(|stream| stream.wire == wire)?;
            let kind = (recording.provider.clone(), recording.has_tag("tool_calls"));
            kinds.insert(kind).then_some(stream)
        });
        let mut own: Vec<Stream> = own.collect();
        if own.len() < EACH {
            let more = all.iter().filter_map(usable).filter(|stream| {
                stream.wire == wire && !own.iter().any(|known| known.name == stream.name)
            });
            let lacking = EACH - own.len();
            let more: Vec<Stream> = more.take(lacking).collect();
            own.extend(more);
        }
        own.truncate(EACH);
        chosen.extend(own);
    }
    Some(chosen)
}

/// So many bytes lie between two positions, where more than a sample is asked for.
fn step() -> Option<usize> {
    let step = number_of("LLMLEAF_EVERY_BYTE").filter(|step| *step > 0)?;
    Some(usize::try_from(step).expect("a number of bytes"))
}

/// The positions of a stream: every byte, or one within each event.
fn positions(text: &str) -> Vec<usize> {
    if let Some(step) = step() {
        return (0..=text.len()).step_by(step).collect();
    }
    let mut start = 0;
    let within = boundaries(text).into_iter().map(|end| {
        let at = start + (end - start) / 2;
        start = end;
        at
    });
    within.collect()
}

fn cases(streams: &[Stream]) -> Vec<Case<'_>> {
    let mut cases = Vec::new();
    let all = step().is_some();
    let consumers = if all { &Wire::ALL[..] } else { &Wire::BOTH };
    for (number, stream) in streams.iter().enumerate() {
        let digest = read(stream.wire, &stream.text);
        let calls = digest.choices.iter().any(|c| !c.tool_calls.is_empty());
        let fits = |consumer: &Wire| match consumer {
            // A service that has both of its wires is asked in the consumer's own.
            Wire::Responses => stream.wire != Wire::Chat,
            // Its arguments are an object, spelled anew: nobody can tell a prefix of them.
            Wire::Gemini => !calls,
            Wire::Chat | Wire::Messages => true,
        };
        for consumer in consumers.iter().copied().filter(fits) {
            for (place, at) in positions(&stream.text).into_iter().enumerate() {
                for (kind, fault) in FAULTS.into_iter().enumerate() {
                    // A sample takes the faults in turn.
                    if all || (place + number) % FAULTS.len() == kind {
                        cases.push(Case {
                            stream,
                            consumer,
                            fault,
                            at,
                        });
                    }
                }
            }
        }
    }
    cases
}

/// How exchanges ended.
#[derive(Debug, Default)]
struct Ends {
    first: usize,
    second: usize,
    broken: usize,
}

fn script(case: &Case<'_>) -> Script {
    let script = Script::sse(case.stream.text.clone());
    match case.fault {
        Fault::End => script.close_at(case.at),
        Fault::Reset => script.reset_at(case.at),
        Fault::Stall => script.stall_at(case.at),
    }
}

fn play(stage: &Stage, batch: &[Case<'_>], ends: &Mutex<Ends>) {
    let asked = batch.iter().map(|case| {
        let model = Stage::chain(case.stream.wire);
        stage.play(case.consumer, &model, true, script(case))
    });
    let asked: Vec<Asked> = asked.collect();
    for (case, mut asked) in batch.iter().zip(asked) {
        let response = asked.connection.response();
        let name = &case.stream.name;
        assert_eq!(response.status, 200, "{name}: {}", response.text());
        let second = case.consumer.read(&response).text() == "second answer";
        let mut ends = ends.lock().expect("no lane has failed");
        match response.end {
            End::Clean if second => ends.second += 1,
            End::Clean => ends.first += 1,
            _ => ends.broken += 1,
        }
    }
    stage.settle();
}

/// A lane's stage. Stalls are ended by the shortest of clocks; ends and resets are not to be mistaken for them.
fn lane(stalls: bool) -> Stage {
    let setup = stage().instead("workers", "1");
    let setup = match stalls {
        true => setup.first("timeouts = { first_content_ms = 400, idle_ms = 400 }"),
        false => setup,
    };
    let stage = setup.start();
    stage.second.on(|request| {
        let wire = match request.path.contains("/messages") {
            true => Wire::Messages,
            false => Wire::Chat,
        };
        Script::sse(wire.stream("second answer").body())
    });
    stage
}

/// Plays these cases on stages of their own, and judges them.
fn sweep(cases: Vec<Case<'_>>, lanes: [usize; 2]) -> Ends {
    let ends = Mutex::new(Ends::default());
    let (stalls, others): (Vec<_>, Vec<_>) = cases
        .into_iter()
        .partition(|case| case.fault == Fault::Stall);
    std::thread::scope(|scope| {
        for ((stalled, cases), lanes) in [(true, &stalls), (false, &others)].into_iter().zip(lanes)
        {
            for cases in cases.chunks(cases.len().div_ceil(lanes).max(1)) {
                let ends = &ends;
                scope.spawn(move || {
                    let stage = lane(stalled);
                    for batch in cases.chunks(BATCH) {
                        play(&stage, batch, ends);
                    }
                });
            }
        }
    });
    ends.into_inner().expect("no lane has failed")
}

#[test]
fn b9_a_stream_that_ends_at_any_byte_is_a_prefix_and_an_error() {
    let Some(streams) = streams() else { return };
    assert_eq!(streams.len(), 2 * EACH, "too few recordings fit");
    // Where each takes minutes, it is told what came of one before the next begins.
    let (together, lanes) = match step() {
        Some(_) => (1, LANES),
        None => (streams.len(), [1, 1]),
    };
    for streams in streams.chunks(together) {
        let cases = cases(streams);
        let count = cases.len();
        let ends = sweep(cases, lanes);
        for stream in streams {
            println!("sweep: {}, {} bytes", stream.name, stream.text.len());
        }
        println!("sweep: {count} exchanges, {ends:?}, 0 violations");
        assert_eq!(ends.first + ends.second + ends.broken, count);
        assert!(ends.second > 0 && ends.broken > 0, "{ends:?}");
    }
}
