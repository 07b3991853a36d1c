//! Sends a file of requests to a provider that keeps it, each in the provider's own wire.

use super::look::answer;
use super::make::{file_id, rendered, upload};
use super::{At, BatchAsk, unsupported};
use crate::attempt::Attempt;
use crate::drive::Run;
use llmleaf_dialects::batches::{BatchWire, Kind, files};
use llmleaf_model::{Failure, FailureKind};

pub(super) async fn run(
    run: &mut Run,
    attempt: &mut Attempt,
    at: At<'_>,
    ask: &BatchAsk,
) -> Result<(), Failure> {
    let BatchWire::Files(quirks) = at.offer.wire() else {
        return Err(unsupported("the target keeps no files"));
    };
    let lines = rendered(run, at, ask)?.concat();
    let reply = upload(run, attempt, at, quirks, (&ask.filename, &lines)).await?;
    file_id(&reply)?;
    let account = (at.candidate.provider, attempt.credential());
    let naming = |_: Kind, own: &str| ask.names.told(Kind::Input, account, None, own);
    let told = files::renamed(&reply, ask.form, &naming);
    let told = told.ok_or_else(|| {
        let message = "the provider took a file and did not describe it";
        Failure::upstream(FailureKind::InvalidResponse, message)
    })?;
    answer(run, attempt, told);
    Ok(())
}
