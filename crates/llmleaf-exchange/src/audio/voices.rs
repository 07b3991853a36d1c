//! Who can say a text: as configuration lists them, else as the row does, else as the service does.

use crate::attempt::{self, Attempt, Manner, Outgoing};
use crate::drive::Run;
use crate::failure::unoffered;
use crate::upstream::Upstream;
use crate::whole;
use bytes::Bytes;
use http::{Method, StatusCode};
use llmleaf_dialects::speech::Voices as List;
use llmleaf_model::Failure;
use llmleaf_providers::{Path, Speech, Voices};
use llmleaf_route::Candidate;

/// Most pages of a service's list.
const PAGES: usize = 20;
/// Voices of a page.
const PAGE: usize = 100;

/// Asks one target.
pub(super) async fn run(
    run: &mut Run,
    attempt: &mut Attempt,
    candidate: &Candidate,
    upstream: &Upstream,
) -> Result<(), Failure> {
    let mut list = List::new(&run.job.head.model);
    if let Some(voices) = upstream.voices(&candidate.model) {
        list.configured(voices);
        return told(run, attempt, list);
    }
    match &upstream.row.speaks.speech {
        None => return Err(unoffered("the target does not say texts")),
        Some(Speech::Echo) => list.named("echo"),
        Some(Speech::Wire(_, _, Voices::Known(known))) => {
            known.iter().for_each(|name| list.named(name));
        }
        Some(Speech::Wire(_, _, Voices::Unknown)) => {
            let why = "the target does not tell its voices; `settings.voices` of its provider can";
            return Err(unoffered(why));
        }
        Some(Speech::Wire(_, _, Voices::Listed(path))) => {
            listed(run, attempt, candidate, upstream, path, &mut list).await?;
        }
    }
    told(run, attempt, list)
}

async fn listed(
    run: &mut Run,
    attempt: &mut Attempt,
    candidate: &Candidate,
    upstream: &Upstream,
    path: &'static str,
    list: &mut List,
) -> Result<(), Failure> {
    let Some((chat, _)) = upstream.wire(run.job.dialect, &candidate.model) else {
        return Err(unoffered("the target does not say texts"));
    };
    for page in 0..PAGES {
        let path = upstream.path(Path::Fixed(path), &candidate.model, false);
        let path = format!("{path}?type=all&limit={PAGE}&offset={}", page * PAGE);
        let going = Outgoing {
            method: Method::GET,
            wire: chat,
            path: &path,
            body: Bytes::new(),
            stream: false,
            same: false,
            kind: None,
        };
        let manner = Manner::default();
        let incoming = attempt::send_as(run, attempt, candidate, upstream, going, manner).await?;
        let mut watch = incoming.watch;
        let body = whole::gather(run, &mut watch, incoming.body).await?;
        if list.page(&body)? < PAGE {
            break;
        }
    }
    Ok(())
}

fn told(run: &mut Run, attempt: &mut Attempt, list: List) -> Result<(), Failure> {
    attempt.first_content(run.node.shared.now());
    attempt.complete(&run.losses);
    run.whole(StatusCode::OK, run.explaining_whole(list.render().into()));
    Ok(())
}
