//! Speech and transcriptions: sound as an answer, and sound as a request.
//!
//! Reading order: this file, `speech.rs`, `transcription.rs` and `form.rs` (what is sent of an upload), `heard.rs` (its answer),
//! `voices.rs`, `local.rs` (the provider that needs no service).

mod form;
mod heard;
mod local;
mod speech;
mod transcription;
mod voices;

use crate::attempt::Attempt;
use crate::drive::Run;
use crate::upstream::Upstream;
use http::HeaderValue;
use llmleaf_dialects::transcription::Task;
use llmleaf_model::{Failure, FailureKind, Finish, FinishReason};
use llmleaf_route::Candidate;

/// What is asked about sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audio {
    /// A text is to be said.
    Speech,
    /// Who can say it.
    Voices,
    /// What was said is to be written down.
    Transcription(Task),
}

impl Audio {
    /// Name in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Speech => "speech",
            Self::Voices => "voices",
            Self::Transcription(_) => "transcription",
        }
    }
}

/// Asks one target.
pub(crate) async fn run(
    run: &mut Run,
    attempt: &mut Attempt,
    candidate: &Candidate,
    upstream: &Upstream,
    audio: Audio,
) -> Result<(), Failure> {
    run.estimated = false;
    match audio {
        Audio::Speech => speech::run(run, attempt, candidate, upstream).await,
        Audio::Voices => voices::run(run, attempt, candidate, upstream).await,
        Audio::Transcription(task) => {
            transcription::run(run, attempt, candidate, upstream, task).await
        }
    }
}

/// Whether a target takes every field of the request.
pub(crate) fn expresses(run: &Run, upstream: &Upstream, audio: Audio, model: &str) -> bool {
    match audio {
        Audio::Speech => speech::expresses(run, upstream, model),
        Audio::Voices => true,
        Audio::Transcription(task) => transcription::expresses(run, upstream, task, model),
    }
}

/// A chat's answer ended otherwise than by being done: what there is of it is part of what was asked for, or none of it.
fn stopped(finish: &Finish) -> Option<Failure> {
    let (kind, why) = match finish.reason {
        FinishReason::Stop | FinishReason::StopSequence => return None,
        FinishReason::ContentFilter | FinishReason::Refusal => {
            (FailureKind::ContentPolicy, "by its content policy")
        }
        FinishReason::Error => (FailureKind::Server, "by an error"),
        _ => (FailureKind::Truncated, "before it was done"),
    };
    let word = finish.native.as_deref().unwrap_or("no reason");
    let message = format!("the target stopped its answer {why} ({word})");
    Some(Failure::new(kind.upstream_origin(), kind, message))
}

/// A type for a header, where the text can stand in one.
fn header(kind: &str) -> HeaderValue {
    HeaderValue::from_str(kind)
        .unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"))
}
