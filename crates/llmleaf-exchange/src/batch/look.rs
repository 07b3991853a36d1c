//! How far a batch is, and which there are.

use super::make::{ask_for, asking, get, post};
use super::{At, BatchAsk, BatchVerb, of_consumer};
use crate::attempt::Attempt;
use crate::drive::Run;
use bytes::Bytes;
use http::{Method, StatusCode};
use llmleaf_dialects::batches::{Kind, Task, files, object};
use llmleaf_model::{Batch, Failure, FailureKind, Origin};

/// Most pages of a provider's list that are looked through for those of one consumer.
const PAGES: usize = 20;
/// How many a page of a provider's list has.
const PAGE: usize = 100;

/// Between a file's name and that of the batch whose results it has.
pub(crate) const BETWEEN: &str = "\n";

/// The provider's own name of what is asked about.
pub(super) fn own(run: &Run) -> Result<(String, String), Failure> {
    let owner = run.job.owner.as_deref();
    owner
        .map(|owner| (owner.id.clone(), owner.told.clone()))
        .ok_or_else(|| Failure::gateway(FailureKind::Internal, "the batch has no name"))
}

/// Asks about one, or stops it.
pub(super) async fn one(
    run: &mut Run,
    attempt: &mut Attempt,
    at: At<'_>,
    ask: &BatchAsk,
    verb: BatchVerb,
) -> Result<(), Failure> {
    let (id, _) = own(run)?;
    let mut reply = Bytes::new();
    if verb == BatchVerb::Cancel {
        let path = at.jobs(Some(&id), at.offer.wire().cancel_tail(), "");
        let body = Bytes::from_static(b"{}");
        reply = post(run, attempt, at, &path, body)
            .await
            .map_err(of_consumer)?;
    }
    // Some say nothing when they are told to stop.
    if at.offer.wire().parse_batch(&reply).is_err() {
        reply = get(run, attempt, at, &at.jobs(Some(&id), "", "")).await?;
    }
    tell(run, attempt, at, ask, reply)
}

/// Tells the consumer of a batch as the provider describes it.
pub(super) fn tell(
    run: &mut Run,
    attempt: &mut Attempt,
    at: At<'_>,
    ask: &BatchAsk,
    reply: Bytes,
) -> Result<(), Failure> {
    let wire = at.offer.wire();
    let mut batch = wire.parse_batch(&reply)?;
    let account = (at.candidate.provider, attempt.credential());
    let of = batch.id.clone();
    let naming = naming(at, ask, account, (&of, None));
    let same = wire.is_same(ask.form) && at.offer.is_same(ask.task);
    let edited = same
        .then(|| files::renamed(&reply, ask.form, &naming))
        .flatten();
    let body = match edited {
        Some(edited) => edited,
        None => {
            resulting(&mut batch, at);
            Bytes::from(object::render(&batch, ask.form, ask.task, &naming))
        }
    };
    answer(run, attempt, body);
    Ok(())
}

/// The names by which a consumer is told what belongs to a batch: its own one there, and the mark that it has in a list.
fn naming<'n>(
    at: At<'n>,
    ask: &'n BatchAsk,
    account: (usize, usize),
    (of, mark): (&'n str, Option<&'n str>),
) -> impl Fn(Kind, &str) -> String + 'n {
    move |kind, own| match kind {
        // A file of results says whose they are, so that they are counted once wherever they are read.
        Kind::Output | Kind::Errors if at.offer.batches.files.is_some() => {
            let own = [own, BETWEEN, of].concat();
            ask.names.told(kind, account, mark, &own)
        }
        _ => ask.names.told(kind, account, mark, own),
    }
}

/// Where a provider keeps no files of results, its batch itself takes the place of both.
fn resulting(batch: &mut Batch, at: At<'_>) {
    if at.offer.batches.files.is_some() || !batch.status.is_final() {
        return;
    }
    let counts = batch.counts;
    let others = counts.failed.saturating_add(counts.cancelled);
    let others = others.saturating_add(counts.expired);
    batch.output = (counts.completed > 0 || counts.total() == 0).then(|| batch.id.clone());
    batch.errors = (others > 0).then(|| batch.id.clone());
}

/// Has the provider forget one.
pub(super) async fn delete(
    run: &mut Run,
    attempt: &mut Attempt,
    at: At<'_>,
) -> Result<(), Failure> {
    let (id, told) = own(run)?;
    if !at.offer.wire().deletes() {
        let message = "the provider of this batch does not forget any";
        let kind = FailureKind::InvalidRequest;
        return Err(Failure::new(Origin::Consumer, kind, message));
    }
    let path = at.jobs(Some(&id), "", "");
    let going = asking(at, Method::DELETE, &path);
    ask_for(run, attempt, at, going)
        .await
        .map_err(of_consumer)?;
    answer(run, attempt, Bytes::from(object::deleted(&told)));
    Ok(())
}

/// What is known of a file, or to forget it.
pub(super) async fn file(
    run: &mut Run,
    attempt: &mut Attempt,
    at: At<'_>,
    ask: &BatchAsk,
    verb: BatchVerb,
) -> Result<(), Failure> {
    let (id, told) = own(run)?;
    let path = at.files(Some(&id), "")?;
    let method = match verb {
        BatchVerb::DeleteFile => Method::DELETE,
        _ => Method::GET,
    };
    let going = asking(at, method, &path);
    let reply = ask_for(run, attempt, at, going)
        .await
        .map_err(of_consumer)?;
    let naming = |_: Kind, _: &str| told.clone();
    let told = files::renamed(&reply, ask.form, &naming).unwrap_or(reply);
    answer(run, attempt, told);
    Ok(())
}

/// Those of one provider that are the consumer's.
pub(super) async fn list(
    run: &mut Run,
    attempt: &mut Attempt,
    at: At<'_>,
    ask: &BatchAsk,
) -> Result<(), Failure> {
    let wire = at.offer.wire();
    let account = (at.candidate.provider, attempt.credential());
    let (behind, limit) = ask.page.clone();
    // Where pages are told by tokens of their own, the batch behind which the list is to go on is looked for.
    let (mut token, mut sought) = match wire.lists_by_id() {
        true => (behind, None),
        false => (None, behind),
    };
    let mut found: Vec<(Batch, Task)> = Vec::new();
    let mut more = false;
    for page in 0.. {
        let asked = (token.as_deref(), PAGE);
        let path = at.jobs(None, "", &wire.list_query(asked.0, asked.1));
        let reply = get(run, attempt, at, &path).await?;
        let (batches, next) = wire.parse_list(&reply, asked)?;
        for mut batch in batches {
            if let Some(last) = &sought {
                if *last == batch.id {
                    sought = None;
                }
                continue;
            }
            let Some(task) = whose(&batch, ask) else {
                continue;
            };
            if found.len() >= limit {
                more = true;
                break;
            }
            resulting(&mut batch, at);
            let (of, mark) = (batch.id.clone(), batch.mark.clone());
            let naming = naming(at, ask, account, (&of, mark.as_deref()));
            found.push((object::named(batch, &naming), task));
        }
        // A page that leads to itself leads nowhere.
        match next.filter(|next| !more && token.as_ref() != Some(next)) {
            Some(next) if page + 1 < PAGES => token = Some(next),
            // Nobody could go on from nothing, and the list has not ended.
            Some(_) if found.is_empty() => return Err(too_long()),
            // The next request goes on from what is found.
            Some(_) => {
                more = true;
                break;
            }
            None => break,
        }
    }
    let body = object::render_list(&found, ask.form, more);
    answer(run, attempt, Bytes::from(body));
    Ok(())
}

/// So many of others' batches come first that those of the consumer were not reached.
fn too_long() -> Failure {
    let most = PAGES * PAGE;
    let why = format!(
        "none of the {most} batches that the provider lists first is this key's; ask for one by its id"
    );
    let mut failure = Failure::new(Origin::Gateway, FailureKind::Unsupported, why);
    failure.code = Some("list_too_long".to_owned());
    failure
}

/// What a batch of a provider's list is for, where it is this consumer's and of its surface.
fn whose(batch: &Batch, ask: &BatchAsk) -> Option<Task> {
    let mark = batch.mark.as_deref();
    let owners = &ask.owner_marks;
    let of_mark = mark.and_then(|mark| owners.iter().find_map(|owner| mark.strip_prefix(&**owner)));
    let task = match of_mark {
        Some(rest) => Task::of_letter(rest.chars().next()?)?,
        // Marked for somebody else, or nobody could be meant but the one.
        None if mark.is_some_and(|mark| mark.starts_with(files::MARK)) => return None,
        None if ask.alone => ask.task,
        None => return None,
    };
    (task.form() == ask.form).then_some(task)
}

pub(super) fn answer(run: &mut Run, attempt: &mut Attempt, body: Bytes) {
    attempt.first_content(run.node.shared.now());
    attempt.complete(&run.losses);
    run.whole(StatusCode::OK, body);
}

/// A batch that is not done has no results.
pub fn unready(batch: &Batch) -> Failure {
    let words = match batch.status.is_final() {
        true => "it has none",
        false => "it is not done yet; ask for the batch to see how far it is",
    };
    let message = format!("there are no results of this batch: {words}");
    let mut failure = Failure::new(Origin::Consumer, FailureKind::InvalidRequest, message);
    failure.code = Some("batch_not_ready".to_owned());
    failure
}
