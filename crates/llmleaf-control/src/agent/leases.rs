//! The loop that tells what was spent of leases and asks for more.

use super::{Outlets, Plan, Push, Reach};
use crate::lease::{self, Asking};
use bytes::Bytes;
use llmleaf_route::random::Random;
use std::future::pending;
use std::time::Duration;

/// Longest pause after a failure, in milliseconds.
const LONGEST_MS: u64 = 10_000;

pub(super) async fn run<R: Reach>(plan: &Plan, reach: &R, outlets: &Outlets) {
    if plan.leases.is_none() {
        return pending().await;
    }
    outlets.budget.open(plan.leases_open);
    let mut random = Random::new(outlets.seed ^ 0x6c65_6173_6573);
    let mut failures = 0u32;
    loop {
        let reports = outlets.budget.next().await;
        let asking = Asking {
            node: &plan.node,
            run: &plan.run,
            leases: &reports.leases,
        };
        let body = Bytes::from(serde_json::to_vec(&asking).unwrap_or_default());
        let answered = match reach.post(Push::Leases, body).await {
            Ok((answer, body)) if (200..300).contains(&answer.status) => {
                lease::read(&body).map_err(|trouble| (trouble, None))
            }
            Ok((answer, _)) => {
                let trouble = crate::pull::Trouble::Status(answer.status);
                Err((trouble, answer.retry_after))
            }
            Err(trouble) => Err((trouble, None)),
        };
        match answered {
            Ok(told) => {
                if failures > 0 {
                    tracing::info!("the controller answers about leases again");
                }
                failures = 0;
                outlets.budget.answered(&reports, &told);
            }
            Err((trouble, asked)) => {
                if failures == 0 {
                    tracing::warn!(%trouble, "no leases from the controller; what was granted can be spent");
                }
                failures = failures.saturating_add(1);
                let doubled = 500u64 << failures.min(10).saturating_sub(1);
                let most = doubled.min(LONGEST_MS);
                let pause = Duration::from_millis(most / 2 + random.below(most / 2 + 1));
                let asked = asked.map(|asked| asked.min(Duration::from_secs(3600)));
                outlets
                    .budget
                    .unanswered(asked.unwrap_or_default().max(pause));
            }
        }
    }
}
