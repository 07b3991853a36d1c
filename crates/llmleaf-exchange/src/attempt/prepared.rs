//! What goes out to one target: rendered, with what the configuration adds, and its losses judged.

use super::effort;
use crate::drive::Run;
use crate::node::PromptCache;
use crate::{chain, losses};
use llmleaf_dialects::{ChatWire, Rendered, Target};
use llmleaf_model::{Failure, Loss};
use llmleaf_route::Candidate;
use std::rc::Rc;

/// A request ready to go out.
pub(super) struct Prepared {
    pub rendered: Rendered,
    /// The consumer's bytes go through.
    pub same: bool,
    /// It is in the consumer's wire, and says all that it said, so that its headers go on.
    pub own: bool,
}

/// A request as one target would get it, without what the configuration adds.
pub(crate) struct Said {
    pub rendered: Rendered,
    same: bool,
    /// It asks for an effort that nobody but the configuration asked for.
    unasked: bool,
}

pub(crate) fn say(
    run: &mut Run,
    wire: &ChatWire,
    candidate: &Candidate,
    target: Target<'_>,
) -> Result<Said, Failure> {
    let effort = effort::default(run, candidate);
    // What the service refuses in its own dialect is said in a way that it takes, and so is what the request does not say.
    let same = effort.is_none()
        && wire.dialect() == run.job.heard
        && wire.takes(&run.job.head, &run.job.body, target.model)
        // Nor can a consumer that wants calls whole be given their pieces.
        && (!run.job.whole_calls || wire.calls_whole());
    let mut rendered = if same {
        wire.edit_request(&run.job.head, &run.job.body, target)?
    } else {
        let mut request = run.canonical()?;
        if effort.is_some() {
            let config = Rc::make_mut(&mut request).reasoning.get_or_insert_default();
            config.effort = effort;
            config.unasked = true;
        }
        wire.render_request(&request, target)?
    };
    if effort.is_some() {
        // What nobody asked for is no loss where it cannot be had.
        let of_reasoning = |field: &str| field.split('.').next() == Some("reasoning");
        rendered.losses.retain(|loss| !of_reasoning(&loss.field));
    }
    Ok(Said {
        rendered,
        same,
        unasked: effort.is_some(),
    })
}

pub(super) fn prepare(
    run: &mut Run,
    wire: &ChatWire,
    candidate: &Candidate,
    target: Target<'_>,
) -> Result<Prepared, Failure> {
    let said = say(run, wire, candidate, target)?;
    let (mut rendered, same) = (said.rendered, said.same);
    keep_prompt(run, wire, candidate, &mut rendered);
    if run.job.head.routes() {
        heeded(run, same && wire.routes(), &mut rendered.losses);
    }
    if run.asks_cost() && run.teller().is_some() {
        // It is told here.
        rendered.losses.retain(|loss| loss.field != "usage");
    }
    let rendered = accepted(run, rendered)?;
    Ok(Prepared {
        rendered,
        same,
        // What is only said for it goes beside all that it says itself.
        own: same || said.unasked && wire.dialect() == run.job.heard,
    })
}

/// Takes note of what a rendered request lost, and refuses it where the route wants nothing lost.
pub(crate) fn accepted(run: &mut Run, rendered: Rendered) -> Result<Rendered, Failure> {
    run.losses.clone_from(&rendered.losses);
    let policy = run.node.shared.settings(run.route).loss_policy;
    losses::refusal(policy, &rendered.losses).map_or(Ok(rendered), Err)
}

/// Tells the service to keep the beginning of the prompt, where that was asked for: by the request, else the route, else the
/// provider.
fn keep_prompt(run: &Run, wire: &ChatWire, candidate: &Candidate, rendered: &mut Rendered) {
    let shared = &run.node.shared;
    let upstream = shared.upstreams.get(candidate.provider);
    let asked = (run.job.prompt_cache)
        .or(shared.settings(run.route).prompt_cache)
        .or_else(|| upstream.and_then(|upstream| upstream.prompt_cache));
    if let Some(PromptCache::For(lifetime)) = asked {
        wire.keep_prompt(rendered, &candidate.model, lifetime, chain::key(run));
    }
}

/// What a request asked of routing was done here: it is no loss, but for what nobody heeds.
pub(crate) fn heeded(run: &Run, routes: bool, losses: &mut Vec<Loss>) {
    losses.retain(|loss| !llmleaf_dialects::preferences::is_field(&loss.field));
    if !routes {
        let unheeded = run.unheeded.iter();
        losses.extend(
            unheeded.map(|field| Loss::dropped(field, "this gateway does not route by it")),
        );
    }
}
