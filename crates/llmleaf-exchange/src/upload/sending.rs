//! An upload on its way to an upstream.

use super::Upload;
use crate::drive::Run;
use crate::failure;
use crate::pulse::Alarm;
use bytes::Bytes;
use llmleaf_model::{Failure, FailureKind};
use llmleaf_route::Watch;
use llmleaf_transport::{Body, Call, Response, TransportError};
use std::pin::{Pin, pin};
use std::task::Poll;

/// Waits for the head of the answer. Its clocks stand still while the body moves, or while its consumer is waited for, who has clocks
/// of its own: no provider is blamed for a slow consumer.
pub(crate) async fn sent(
    run: &mut Run,
    watch: &mut Watch,
    upload: &Upload,
    mut call: Pin<&mut Call>,
) -> Result<Response, Failure> {
    let mut moves = upload.moves();
    let response = std::future::poll_fn(|cx| {
        if let Poll::Ready(response) = call.as_mut().poll(cx) {
            return Poll::Ready(Ok(response));
        }
        stand(run, watch, upload, &mut moves);
        run.poll_alarm(watch, cx).map(Err::<_, Alarm>)
    });
    match response.await {
        Err(clock) => Err(failure::timeout(clock, watch)),
        Ok(Err(error)) => Err(broken(run, &error, false)),
        Ok(Ok(response)) => Ok(response),
    }
}

/// The next bytes of an answer. It may have begun while its request is still on its way, and then its clocks stand as they do before it.
pub(crate) async fn answered(
    run: &mut Run,
    watch: &mut Watch,
    body: &mut Body,
) -> Result<Option<Result<Bytes, TransportError>>, Alarm> {
    let mut chunk = pin!(body.chunk());
    let Some(upload) = run.job.upload.clone() else {
        return run.wait(watch, chunk).await;
    };
    let mut moves = upload.moves();
    std::future::poll_fn(|cx| {
        let polled = chunk.as_mut().poll(cx);
        stand(run, watch, &upload, &mut moves);
        match polled {
            Poll::Ready(chunk) => Poll::Ready(Ok(chunk)),
            Poll::Pending => run.poll_alarm(watch, cx).map(Err),
        }
    })
    .await
}

/// Lets the clocks stand where the upload moved, or was asked for more.
fn stand(run: &Run, watch: &mut Watch, upload: &Upload, moves: &mut u64) {
    if upload.moves() == *moves {
        return;
    }
    *moves = upload.moves();
    let passed = watch.sending(run.node.shared.now());
    if let Some(walk) = run.common.walk.borrow_mut().as_mut() {
        // Neither do targets that may be tried after this one pay for it.
        walk.extend(passed);
    }
}

/// A connection failed. Whatever it says: where the body ended before its time, that is why. `started`: a good head had come.
pub(crate) fn broken(run: &Run, error: &TransportError, started: bool) -> Failure {
    let own = run.job.upload.as_ref().and_then(Upload::failure);
    let mut failure = match own {
        Some(failure) => failure,
        None if *error == TransportError::Fed => {
            Failure::gateway(FailureKind::Internal, "an upload was not completed")
        }
        None => return failure::transport(error, started),
    };
    failure.possibly_billed |= started;
    failure
}

/// Whether a whole answer was given before all of what it is about was taken.
///
/// # Errors
/// It was: it is about something else. What was taken may be held for another target.
pub(crate) fn early(run: &Run) -> Result<(), Failure> {
    match &run.job.upload {
        Some(upload) if !upload.is_passed() => Err(hasty()),
        _ => Ok(()),
    }
}

/// An answer came before its question was there.
pub(crate) fn hasty() -> Failure {
    let why = "the provider answered before it had taken all of the upload";
    Failure::upstream(FailureKind::InvalidResponse, why)
}

/// Another attempt is wanted where nothing is left to be sent.
pub(crate) fn gone() -> Failure {
    Failure::gateway(
        FailureKind::Internal,
        "the upload cannot be sent once more: it is not held any more",
    )
}
