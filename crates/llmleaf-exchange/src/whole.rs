//! An answer that comes whole, to a consumer that waits for it or streams.

use crate::attempt::{Answer, Attempt};
use crate::drive::Run;
use crate::failure;
use crate::pump::Pump;
use crate::settlement;
use crate::stream;
use crate::upload;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use llmleaf_model::{Event, Failure, FailureKind};
use llmleaf_providers::echo::Step;
use llmleaf_route::Watch;
use llmleaf_transport::Body;
use std::time::Duration;

/// Largest whole answer. Images and audio come in base64 inside it.
const ANSWER_BYTES: usize = 128 * 1024 * 1024;

/// Hands a whole answer on.
pub(crate) async fn http(
    run: &mut Run,
    attempt: &mut Attempt,
    mut watch: Watch,
    answer: Answer,
    body: Body,
) -> Result<(), Failure> {
    let body = gather(run, &mut watch, body).await?;
    let body = match &answer.told {
        Some(told) => told.body(body),
        None => body,
    };
    if answer.same
        && !run.job.head.stream
        && let Some(usage) = answer.wire.outline(&body)
    {
        let events = vec![Event::UsageReport(usage), Event::ResponseEnd];
        return forward(run, attempt, &answer, events, body);
    }
    let events = answer.wire.parse_response(&body);
    if run.job.head.stream {
        let pump = Pump::new(Box::new(crate::attempt::NoFrames), stream::mode_across(run));
        let steps = events
            .into_iter()
            .map(|event| Step {
                delay: Duration::ZERO,
                event,
            })
            .collect();
        let script = stream::script(run, attempt, watch, pump, steps);
        return Box::pin(script).await;
    }
    if answer.same {
        return forward(run, attempt, &answer, events, body);
    }
    let mut pump = Pump::new(Box::new(crate::attempt::NoFrames), stream::mode_across(run));
    pump.teller = run.teller();
    let result = events
        .into_iter()
        .try_for_each(|event| pump.event(event, &run.out))
        .map_err(|b| b.failure);
    attempt.meter = std::mem::take(&mut pump.meter);
    collected(run, attempt, pump, result)
}

/// Reads a body to its end. Each piece is a sign of life: services send white space while a model thinks.
pub(crate) async fn gather(
    run: &mut Run,
    watch: &mut Watch,
    mut body: Body,
) -> Result<Bytes, Failure> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    loop {
        let piece = match upload::answered(run, watch, &mut body).await {
            Err(clock) => return Err(failure::timeout(clock, watch)),
            Ok(Some(Err(error))) => return Err(upload::broken(run, &error, true)),
            Ok(Some(Ok(piece))) => piece,
            // A body of one piece is never copied.
            Ok(None) if all.is_empty() => return Ok(first),
            Ok(None) => return Ok(all.freeze()),
        };
        watch.bytes(run.node.shared.now());
        run.out.read(piece.len());
        if all.is_empty() && first.is_empty() {
            first = piece;
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        if all.len() + piece.len() > ANSWER_BYTES {
            let message = "the provider's answer is too large";
            return Err(Failure::upstream(FailureKind::InvalidResponse, message));
        }
        all.extend_from_slice(&piece);
    }
}

/// Same dialect: the bytes go through, the reading beside them is for the record.
fn forward(
    run: &mut Run,
    attempt: &mut Attempt,
    answer: &Answer,
    events: Vec<Event>,
    body: Bytes,
) -> Result<(), Failure> {
    for event in events {
        if let Event::Error(failure) = event {
            return Err(*failure);
        }
        attempt.meter.see(&event);
    }
    if !attempt.meter.ended {
        return Err(Failure::upstream(
            FailureKind::InvalidResponse,
            "the provider's answer is not one of its wire",
        ));
    }
    attempt.first_content(run.node.shared.now());
    let meter = &attempt.meter;
    let usage = meter.usage.as_ref();
    let cost = usage
        .zip(run.teller())
        .and_then(|(usage, teller)| settlement::told(usage, meter.bytes, &teller));
    let told = cost.and_then(|cost| answer.wire.tell_cost(&body, cost));
    attempt.complete(&run.losses);
    run.whole(StatusCode::OK, told.map_or(body, Bytes::from));
    Ok(())
}

/// Renders a collected answer for a consumer that waits for the whole.
pub(crate) fn collected(
    run: &mut Run,
    attempt: &mut Attempt,
    pump: Pump,
    result: Result<(), Failure>,
) -> Result<(), Failure> {
    result?;
    let response = match (attempt.meter.ended, pump.into_response()) {
        (true, Some(response)) => response,
        _ => {
            let message = "the provider's answer ended before its end was told";
            return Err(Failure::upstream(FailureKind::Truncated, message));
        }
    };
    let reply = run
        .job
        .dialect
        .render_response(&response, &run.reply_context());
    run.losses.extend(reply.losses);
    attempt.first_content(run.node.shared.now());
    attempt.complete(&run.losses);
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    run.whole(status, Bytes::from(run.explaining(reply.body)));
    Ok(())
}
