//! An answer that is handed on while it comes, and is no chat: sound, and events about sound.

use crate::attempt::Attempt;
use crate::drive::{self, Run};
use crate::failure;
use crate::inspect;
use crate::pump::{HOLD_BYTES, Meter};
use crate::upload;
use bytes::Bytes;
use http::HeaderValue;
use llmleaf_framing::{Frame, SseFramer};
use llmleaf_model::{Failure, FailureKind};
use llmleaf_route::Watch;
use llmleaf_transport::Body;
use std::pin::pin;
use std::time::Duration;

/// How long the end of the upstream's body is waited for once all of the answer is there: a connection whose body was read to its end
/// can be used again.
const LINGER: Duration = Duration::from_millis(100);

/// What reads a provider's bytes and writes the consumer's.
pub(crate) trait Tap {
    /// Takes bytes, and appends what the consumer gets. It notes in the meter that content came, that all of it did, and the counts.
    ///
    /// # Errors
    /// What came is no answer, or tells an error. What was appended before still counts.
    fn bytes(&mut self, bytes: Bytes, out: &mut Vec<u8>, meter: &mut Meter) -> Result<(), Failure>;

    /// The provider's bytes ended cleanly.
    ///
    /// # Errors
    /// The answer was not complete.
    fn end(&mut self, out: &mut Vec<u8>, meter: &mut Meter) -> Result<(), Failure>;

    /// How long the sound is that was said so far, in milliseconds, where that can be told. It is asked while the answer comes, so
    /// that the record of one that is cut has it too.
    fn said_ms(&self) -> u64 {
        0
    }
}

/// What reads a provider's bytes as events.
pub(crate) trait Frames {
    /// Where they become such; nothing where they are none.
    fn framer(&mut self) -> Option<&mut SseFramer>;

    /// All of them go on as they came.
    fn relays(&self) -> bool;

    /// Takes one.
    ///
    /// # Errors
    /// As with [`Tap::bytes`].
    fn frame(&mut self, frame: &Frame, out: &mut Vec<u8>, meter: &mut Meter)
    -> Result<(), Failure>;
}

/// Takes bytes, event by event.
pub(crate) fn frames(
    reader: &mut impl Frames,
    bytes: Bytes,
    out: &mut Vec<u8>,
    meter: &mut Meter,
) -> Result<(), Failure> {
    if let Some(framer) = reader.framer() {
        framer.push(bytes);
    }
    while let Some(frame) = reader.framer().and_then(SseFramer::next) {
        let frame = frame.map_err(|error| failure::framing(&error))?;
        // The mark after the end is for the consumer too, where it gets all as it came.
        if meter.ended && !reader.relays() {
            return Ok(());
        }
        reader.frame(&frame, out, meter)?;
    }
    Ok(())
}

/// Takes the last event, which may lack the empty line behind it.
pub(crate) fn last_frame(
    reader: &mut impl Frames,
    out: &mut Vec<u8>,
    meter: &mut Meter,
) -> Result<(), Failure> {
    if let Some(Ok(tail)) = reader.framer().and_then(SseFramer::finish)
        && let Some(frame) = tail.frame
        && !meter.ended
    {
        reader.frame(&frame, out, meter)?;
    }
    Ok(())
}

/// Whether the answer told its end.
///
/// # Errors
/// It did not: it broke off.
pub(crate) fn told_its_end(meter: &Meter) -> Result<(), Failure> {
    if meter.ended {
        return Ok(());
    }
    let why = "the provider's stream ended before its end was told";
    Err(Failure::upstream(FailureKind::Truncated, why))
}

/// How the consumer gets it.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// As events; an error can be told among them.
    Events,
    /// As bytes of that type; all that can be told of an error is that the end is missing.
    Bytes(HeaderValue),
}

/// Hands an answer on. `Err` only while nothing of it reached the consumer.
pub(crate) async fn run(
    run: &mut Run,
    attempt: &mut Attempt,
    mut watch: Watch,
    mut body: Body,
    tap: &mut dyn Tap,
    kind: &Kind,
) -> Result<(), Failure> {
    let mut out = Vec::new();
    let result = loop {
        let next = match attempt.meter.ended {
            // What is still to come of the request keeps nobody waiting.
            true => run.wait(&watch, pin!(body.chunk())).await,
            false => upload::answered(run, &mut watch, &mut body).await,
        };
        let result = match next {
            // The answer is complete; what its transport does now is no matter of the consumer's.
            Err(_) | Ok(Some(Err(_)) | None) if attempt.meter.ended => break Ok(()),
            Err(alarm) => break Err(failure::timeout(alarm, &watch)),
            Ok(Some(Err(error))) => break Err(upload::broken(run, &error, true)),
            Ok(None) => {
                let fresh = !attempt.meter.committed;
                let ended = tap.end(&mut out, &mut attempt.meter);
                attempt.units.audio_ms = attempt.units.audio_ms.max(tap.said_ms());
                let ended = ended.and_then(|()| timely(run, attempt, &mut out, fresh));
                deliver(run, attempt, &mut watch, &mut out, kind);
                break ended;
            }
            Ok(Some(Ok(bytes))) => {
                watch.bytes(run.node.shared.now());
                run.out.read(bytes.len());
                let fresh = !attempt.meter.committed;
                let taken = tap.bytes(bytes, &mut out, &mut attempt.meter);
                attempt.units.audio_ms = attempt.units.audio_ms.max(tap.said_ms());
                taken.and_then(|()| timely(run, attempt, &mut out, fresh))
            }
        };
        deliver(run, attempt, &mut watch, &mut out, kind);
        let result = result.and_then(|()| inspect::bound(run));
        if attempt.meter.ended {
            watch.linger(run.node.shared.now(), LINGER);
        }
        if let Err(failure) = result {
            break Err(failure);
        }
        if !attempt.meter.committed && out.len() > HOLD_BYTES {
            let why = "the provider sent too much before the first content";
            break Err(Failure::upstream(FailureKind::InvalidResponse, why));
        }
        run.out.taken().await;
    };
    concluded(run, attempt, kind, result).await
}

/// An answer that is complete and is about less than all of the request is none: its end is told to nobody, nor anything of it where all of
/// it came at once (`fresh`).
fn timely(run: &Run, attempt: &mut Attempt, out: &mut Vec<u8>, fresh: bool) -> Result<(), Failure> {
    let early = match attempt.meter.ended {
        true => upload::early(run),
        false => Ok(()),
    };
    if early.is_err() {
        out.clear();
        attempt.meter.committed &= !fresh;
    }
    early
}

/// The answer ended, one way or the other.
async fn concluded(
    run: &mut Run,
    attempt: &mut Attempt,
    kind: &Kind,
    result: Result<(), Failure>,
) -> Result<(), Failure> {
    match result {
        Ok(()) if !attempt.meter.committed => {
            let why = "the provider's answer ended and holds nothing";
            Err(Failure::upstream(FailureKind::InvalidResponse, why))
        }
        Ok(()) => {
            head(run, kind);
            attempt.complete(&run.losses);
            if let Kind::Events = kind {
                run.explain_late();
            }
            run.out.taken().await;
            Ok(())
        }
        Err(failure) if !attempt.meter.committed || run.out.keeps_back() => Err(failure),
        Err(mut failure) => {
            run.scrub(&mut failure);
            attempt.broke(&failure, &run.losses);
            if let Kind::Events = kind {
                let public = drive::public(&failure);
                let told = run
                    .job
                    .dialect
                    .render_stream_error(&public, &run.job.request_id);
                run.out.write(&told);
                run.explain_late();
            }
            run.abort().await;
            Ok(())
        }
    }
}

fn head(run: &mut Run, kind: &Kind) {
    match kind {
        Kind::Events => run.stream_head(),
        Kind::Bytes(kind) => run.bytes_head(kind.clone()),
    }
}

/// Writes what there is, once there is content.
fn deliver(
    run: &mut Run,
    attempt: &mut Attempt,
    watch: &mut Watch,
    out: &mut Vec<u8>,
    kind: &Kind,
) {
    if !attempt.meter.committed || out.is_empty() {
        return;
    }
    run.content(attempt, run.node.shared.now());
    watch.content();
    if let Some(upload) = &run.job.upload {
        // Nobody else is asked from here on.
        upload.let_go();
    }
    head(run, kind);
    run.out.write(out);
    out.clear();
    run.sent();
}
