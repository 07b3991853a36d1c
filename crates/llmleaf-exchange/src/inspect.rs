//! Answers that somebody looks at before their consumer gets them.
//!
//! Such an answer is kept back until it is whole ([`crate::outlet`]): a stream too, of which the consumer gets signs of life meanwhile. So nothing of
//! it is told before it may be, and as long as it is kept back another target may still answer. What it is shown as is JSON: a whole answer as it
//! is, a chat's stream as the whole answer that it would have been, any other stream as a list of its events, and a text as a text.
//! What passes goes on byte for byte as it came. What takes its place is read first, and has the counts that the provider reported.

mod replaced;

use crate::drive::Run;
use crate::job::Operation;
use crate::outlet::Shown;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use llmleaf_framing::{SseFramer, SseLimits};
use llmleaf_model::{Failure, FailureKind, Response};
use replaced::replaced;
use std::fmt::Debug;
use std::pin::Pin;

/// The code of an answer that nobody could be asked about.
pub const UNAVAILABLE: &str = "interceptor_unavailable";

/// What is thought of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// It goes on.
    Passes,
    /// That goes on in its place.
    Instead(Bytes),
}

/// What it comes to look at an answer.
pub type Looking<'a> = Pin<Box<dyn Future<Output = Result<Opinion, Failure>> + 'a>>;

/// Somebody who looks at an answer.
pub trait Inspector: Debug {
    /// The most that it looks at, in bytes.
    fn most(&self) -> usize;

    /// Shows it an answer, as JSON. The error is what the consumer is told in place of it.
    fn look(&self, answer: Bytes) -> Looking<'_>;

    /// What was to take the place of the answer did.
    fn took(&self);

    /// The answer is more than it looks at.
    ///
    /// # Errors
    /// So it does not go on; that is what the consumer is told.
    fn too_large(&self) -> Result<(), Failure>;

    /// The answer cannot be shown, or nothing can take its place, for that reason.
    ///
    /// # Errors
    /// So it does not go on; that is what the consumer is told.
    fn unfit(&self, why: &str) -> Result<(), Failure>;
}

/// How an answer that is kept back is shown.
enum Form {
    /// A JSON value.
    Json(Bytes),
    /// A text.
    Text(Bytes),
    /// A chat's stream, by what it comes to.
    Stream(Box<Response>),
    /// Any other stream.
    Events(Bytes),
}

/// Shows the answer that is kept back, and lets go what may go.
pub(crate) async fn settle(run: &mut Run) -> Result<(), Failure> {
    let inspector = run.job.inspector.clone();
    let Some(inspector) = inspector.filter(|_| !run.out.is_gone()) else {
        return Ok(());
    };
    if run.out.broke_off() {
        let why = "the provider's stream ended before its end was told";
        return Err(Failure::upstream(FailureKind::Truncated, why));
    }
    if run.out.kept_back() > 0 {
        // What has no head yet would go on unseen.
        run.stream_head();
    }
    let Some((form, shown)) = run.out.shown().and_then(|shown| form(run, shown)) else {
        run.out.release(None);
        return Ok(());
    };
    let payload = match payload(run, &form) {
        Ok(payload) => payload,
        Err(why) => {
            inspector.unfit(why)?;
            run.out.release(Some(shown));
            return Ok(());
        }
    };
    let opinion = {
        let mut looking = inspector.look(payload.clone());
        run.meanwhile(looking.as_mut()).await??
    };
    match opinion {
        Opinion::Passes => run.out.release(Some(shown)),
        Opinion::Instead(other) => match replaced(run, &form, &payload, &other) {
            Ok(bytes) => {
                inspector.took();
                run.out.release(Some(match shown {
                    Shown::Whole(..) => Shown::Whole(None, bytes),
                    Shown::Stream(_) => Shown::Stream(bytes),
                }));
            }
            Err(why) => {
                inspector.unfit(&why)?;
                run.out.release(Some(shown));
            }
        },
    }
    run.out.taken().await;
    Ok(())
}

/// What is kept back is more than what is looked at: it goes on from here as it is, or ends.
///
/// # Errors
/// It ends.
pub(crate) fn bound(run: &Run) -> Result<(), Failure> {
    let Some(inspector) = &run.job.inspector else {
        return Ok(());
    };
    if run.out.kept_back() > inspector.most() {
        inspector.too_large()?;
        run.out.release(None);
    }
    Ok(())
}

/// How it is shown; `None` where it is no answer.
fn form(run: &mut Run, shown: Shown) -> Option<(Form, Shown)> {
    let form = match &shown {
        Shown::Whole(head, body) => {
            let head = head.as_ref().filter(|head| head.status.is_success())?;
            let kind = head.headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes());
            match kind.unwrap_or_default().starts_with(b"application/json") {
                true => Form::Json(body.clone()),
                false => Form::Text(body.clone()),
            }
        }
        Shown::Stream(bytes) => match run.answer.take() {
            Some(response) if run.job.operation == Operation::Chat => Form::Stream(response),
            _ => Form::Events(bytes.clone()),
        },
    };
    Some((form, shown))
}

/// What is shown.
fn payload(run: &mut Run, form: &Form) -> Result<Bytes, &'static str> {
    match form {
        Form::Json(body) => Ok(body.clone()),
        Form::Text(text) => std::str::from_utf8(text)
            .ok()
            .and_then(|text| serde_json::to_vec(text).ok())
            .map(Bytes::from)
            .ok_or("it is neither JSON nor text"),
        Form::Stream(response) => {
            let reply = (run.job.dialect).render_response(response, &run.reply_context());
            Ok(reply.body.into())
        }
        Form::Events(bytes) => Ok(listed(bytes.clone())),
    }
}

/// The events of a stream as one list. What is no JSON is the mark of an end.
fn listed(bytes: Bytes) -> Bytes {
    let mut framer = SseFramer::new(SseLimits {
        max_event_bytes: bytes.len().max(1),
    });
    let mut list = Vec::with_capacity(bytes.len() + 2);
    list.push(b'[');
    framer.push(bytes);
    while let Some(Ok(frame)) = framer.next() {
        if serde_json::from_slice::<serde::de::IgnoredAny>(&frame.data).is_err() {
            continue;
        }
        if list.len() > 1 {
            list.push(b',');
        }
        list.extend_from_slice(&frame.data);
    }
    list.push(b']');
    list.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_shown_as_its_events() {
        let stream =
            ": sign\n\nevent: a\ndata: {\"n\":1}\n\ndata: {\"n\":\ndata: 2}\n\ndata: [DONE\n\n";
        let shown = listed(Bytes::from_static(stream.as_bytes()));
        assert_eq!(shown, "[{\"n\":1},{\"n\":\n2}]");
        assert_eq!(listed(Bytes::new()), "[]");
    }
}
