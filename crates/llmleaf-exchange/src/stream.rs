//! An answer that streams, to a consumer that streams or waits for the whole.

use crate::attempt::{Answer, Attempt, Cut};
use crate::drive::Run;
use crate::failure;
use crate::inspect;
use crate::job::Operation;
use crate::panics;
use crate::pulse::Alarm;
use crate::pump::{Broken, Mode, Pump};
use crate::whole;
use llmleaf_model::{Collector, Failure};
use llmleaf_providers::echo::Step;
use llmleaf_route::Watch;
use llmleaf_transport::{Body, TransportError};
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Most chunks read before other exchanges of the thread get their turn.
const CHUNKS_PER_TURN: u32 = 256;

/// How long the end of the consumer's body waits for the end of the upstream's, once all of the answer is delivered:
/// a connection whose body was read to its end can be used again.
const LINGER: Duration = Duration::from_millis(100);

/// How events reach a consumer to whom the provider's own frames cannot go.
pub(crate) fn mode_across(run: &mut Run) -> Mode {
    // What was forwarded as it came was not parsed; some of it is repeated, or decides what is told.
    let _ = run.canonical();
    if run.job.head.stream {
        Mode::Encode(run.job.dialect.encoder(run.reply_context()))
    } else {
        Mode::Collect(Box::new(Collector::new()))
    }
}

/// What one turn of reading gave.
enum Turn {
    /// There are bytes for the consumer.
    Deliver,
    /// The upstream's body ended cleanly.
    End,
    /// The upstream's body broke.
    Broke(TransportError),
    /// A clock ran out, or the node closes.
    Expired(Alarm),
    /// What came is no answer.
    Refused(Broken),
}

/// Hands a streamed answer on. `Err` only while nothing of it reached the consumer.
pub(crate) async fn http(
    run: &mut Run,
    attempt: &mut Attempt,
    watch: Watch,
    (answer, cut): (Answer, Cut),
    body: Body,
) -> Result<(), Failure> {
    let mode = match (run.job.head.stream, answer.same) {
        (true, true) => Mode::Relay {
            wire: answer.wire,
            usage_added: answer.usage_added,
        },
        _ => mode_across(run),
    };
    // Boxed: it is handed on, and a future has room for each of what it hands on.
    let mut pump = Box::new(Pump::new(answer.wire.decoder(), mode));
    pump.told = answer.told;
    pump.teller = run.teller();
    pump.read(cut);
    keep_beside(run, &mut pump);
    pumped(run, attempt, watch, pump, body).await
}

/// Hands a streamed answer on by way of a pump. `Err` as for [`http`].
pub(crate) async fn pumped(
    run: &mut Run,
    attempt: &mut Attempt,
    mut watch: Watch,
    mut pump: Box<Pump>,
    mut body: Body,
) -> Result<(), Failure> {
    let streams = run.job.head.stream;
    let result = loop {
        let turn =
            std::future::poll_fn(|cx| turn(run, &mut pump, attempt, &mut watch, &mut body, cx))
                .await;
        match turn {
            Turn::Deliver => {
                run.stream_head();
                run.out.taken().await;
                panics::inject("stream", &run.job.request_id);
            }
            Turn::End => break pump.end(&run.out),
            Turn::Refused(broken) => break Err(broken),
            // The answer is complete; what its transport does now is no matter of the consumer's.
            Turn::Broke(_) | Turn::Expired(_) if pump.meter.ended => break Ok(()),
            Turn::Broke(error) => break Err(failure::transport(&error, true).into()),
            Turn::Expired(clock) => break Err(failure::timeout(clock, &watch).into()),
        }
    };
    attempt.meter = std::mem::take(&mut pump.meter);
    if !streams {
        return whole::collected(run, attempt, *pump, result.map_err(|broken| broken.failure));
    }
    settle(run, attempt, &mut pump, result).await
}

/// Reads all that is there; ready when something must be done about it.
fn turn(
    run: &mut Run,
    pump: &mut Pump,
    attempt: &mut Attempt,
    watch: &mut Watch,
    body: &mut Body,
    cx: &mut Context<'_>,
) -> Poll<Turn> {
    if let Some(alarm) = run.ends().filter(|_| !pump.meter.ended) {
        return Poll::Ready(Turn::Expired(alarm));
    }
    let mut read = false;
    let mut turn = None;
    let mut budget = CHUNKS_PER_TURN;
    while turn.is_none() && !run.out.is_full() {
        if budget == 0 {
            // An upstream that always has more must not keep this thread from its other exchanges.
            cx.waker().wake_by_ref();
            break;
        }
        budget -= 1;
        match body.poll_chunk(cx) {
            Poll::Ready(Some(Ok(chunk))) => {
                read = true;
                run.out.read(chunk.len());
                if let Err(broken) = pump.bytes(chunk, &run.out) {
                    turn = Some(Turn::Refused(broken));
                }
            }
            Poll::Ready(Some(Err(error))) => turn = Some(Turn::Broke(error)),
            Poll::Ready(None) => turn = Some(Turn::End),
            Poll::Pending => break,
        }
    }
    if read {
        if let Err(failure) = inspect::bound(run) {
            turn = Some(Turn::Refused(failure.into()));
        }
        // What is read for nobody is shown to nobody.
        if !run.out.keeps_back() || run.out.is_gone() {
            pump.beside = None;
        }
        note(run, pump, attempt, watch);
    }
    if let Some(turn) = turn {
        return Poll::Ready(turn);
    }
    if run.out.pending() > 0 && !watch.is_over(run.node.shared.now()) {
        return Poll::Ready(Turn::Deliver);
    }
    run.poll_alarm(watch, cx).map(Turn::Expired)
}

/// Bytes came: clocks, keep-alive and the record take note.
fn note(run: &mut Run, pump: &Pump, attempt: &mut Attempt, watch: &mut Watch) {
    let now = run.node.shared.now();
    watch.bytes(now);
    if run.job.head.stream {
        attempt.chunks(pump.meter.chunks, now);
    }
    if pump.meter.committed {
        watch.content();
        if run.job.head.stream {
            run.content(attempt, now);
        } else {
            // What is collected has reached nobody: another target may still answer.
            attempt.first_content(now);
        }
    }
    if pump.meter.ended {
        watch.linger(now, LINGER);
    }
    if run.out.pending() > 0 {
        run.sent();
    }
    attempt.meter.glance(&pump.meter);
}

/// Tells the consumer how a stream ended, and writes the record.
async fn settle(
    run: &mut Run,
    attempt: &mut Attempt,
    pump: &mut Pump,
    result: Result<(), Broken>,
) -> Result<(), Failure> {
    // What is lost of a stream is known when its head is long gone: the record names it.
    let mut losses = run.losses.clone();
    losses.extend(pump.take_losses());
    match result {
        Ok(()) => {
            run.stream_head();
            run.late_losses(&losses);
            let beside = pump.beside.take();
            run.answer = beside.map(|collector| Box::new(collector.into_response()));
            attempt.complete(&losses);
            run.explain_late();
            run.out.close();
            run.out.taken().await;
            Ok(())
        }
        Err(broken) if !attempt.meter.committed || run.out.keeps_back() => Err(broken.failure),
        Err(mut broken) => {
            run.scrub(&mut broken.failure);
            attempt.broke(&broken.failure, &losses);
            run.stream_head();
            let failure = crate::drive::public(&broken.failure);
            match run.job.operation {
                _ if broken.told => {}
                Operation::Draw(form) => run.out.write(&form.render_stream_error(&failure)),
                _ => pump.tell(&failure, run.job.dialect, &run.job.request_id, &run.out),
            }
            run.explain_late();
            run.abort().await;
            Ok(())
        }
    }
}

/// What is kept back is collected beside its bytes, to be shown as a whole.
fn keep_beside(run: &Run, pump: &mut Pump) {
    if run.out.keeps_back() && run.job.head.stream {
        pump.beside = Some(Box::default());
    }
}

/// Hands on an answer that comes as a script of events.
pub(crate) async fn script(
    run: &mut Run,
    attempt: &mut Attempt,
    mut watch: Watch,
    mut pump: Pump,
    steps: Vec<Step>,
) -> Result<(), Failure> {
    pump.teller = run.teller();
    keep_beside(run, &mut pump);
    let mut result = Ok(());
    for step in steps {
        if !step.delay.is_zero() {
            if run.out.pending() > 0 {
                run.stream_head();
                run.out.taken().await;
            }
            let sleep = pin!(tokio::time::sleep(step.delay));
            if let Err(clock) = run.wait(&watch, sleep).await {
                result = Err(failure::timeout(clock, &watch).into());
                break;
            }
        }
        result = pump.event(step.event, &run.out);
        if result.is_ok() {
            result = inspect::bound(run).map_err(Broken::from);
        }
        note(run, &pump, attempt, &mut watch);
        if result.is_err() {
            break;
        }
        if run.job.head.stream && run.out.pending() > 0 {
            run.stream_head();
            run.out.taken().await;
        }
    }
    let result = result.and_then(|()| pump.end(&run.out));
    attempt.meter = std::mem::take(&mut pump.meter);
    if !run.job.head.stream {
        return whole::collected(run, attempt, pump, result.map_err(|broken| broken.failure));
    }
    settle(run, attempt, &mut pump, result).await
}
