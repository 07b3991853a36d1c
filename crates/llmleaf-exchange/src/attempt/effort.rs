//! What the configuration says of reasoning where a request says nothing.

use crate::drive::Run;
use llmleaf_model::Effort;
use llmleaf_route::Candidate;

/// How much the model shall reason, where the configuration says it and the request does not.
pub(super) fn default(run: &mut Run, candidate: &Candidate) -> Option<Effort> {
    let shared = &run.node.shared;
    let upstream = shared.upstreams.get(candidate.provider);
    let default = (shared.settings(run.route).reasoning_effort)
        .or_else(|| upstream.and_then(|upstream| upstream.reasoning_effort));
    default?;
    // What cannot be read is left as it is; the provider may read it.
    let request = run.canonical().ok()?;
    let said = request.reasoning.as_ref().is_some_and(|config| {
        config.mode.is_some() || config.effort.is_some() || config.budget_tokens.is_some()
    });
    default.filter(|_| !said)
}
