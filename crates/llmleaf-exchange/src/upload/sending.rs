//! An upload on its way to an upstream.

use super::Upload;
use crate::drive::Run;
use crate::failure;
use crate::pulse::Alarm;
use llmleaf_model::{Failure, FailureKind};
use llmleaf_route::Watch;
use llmleaf_transport::{Call, Response, TransportError};
use std::pin::Pin;
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
        if upload.is_waiting() || upload.moves() != moves {
            moves = upload.moves();
            watch.sending(run.node.shared.now());
        }
        run.poll_alarm(watch, cx).map(Err::<_, Alarm>)
    });
    match response.await {
        Err(clock) => Err(failure::timeout(clock, watch)),
        // Whatever the connection says: the body ended before its time.
        Ok(Err(error)) => Err(match upload.failure() {
            Some(failure) => failure,
            None if error == TransportError::Fed => {
                Failure::gateway(FailureKind::Internal, "an upload was not completed")
            }
            None => failure::transport(&error, false),
        }),
        Ok(Ok(response)) => Ok(response),
    }
}

/// Another attempt is wanted where nothing is left to be sent.
pub(crate) fn gone() -> Failure {
    Failure::gateway(
        FailureKind::Internal,
        "the upload cannot be sent once more: it is not held any more",
    )
}
