//! The loop that pushes events.

use super::{Outlets, Plan, Push, Reach};
use crate::outbox::{self, Next, Pushed};
use std::future::pending;
use tokio::time::sleep;

pub(super) async fn run<R: Reach>(plan: &Plan, reach: &R, outlets: &Outlets) {
    let Some(usage) = &plan.usage else {
        return pending().await;
    };
    let Some(queue) = &outlets.events else {
        tracing::warn!("usage is kept and pushed only after a restart: it began without");
        return pending().await;
    };
    let mut failing = false;
    loop {
        // Looked at without waiting for anything while it is locked: nobody else pushes.
        let next = queue.lock().next();
        let events = match next {
            Next::Push(events) => events,
            Next::Wait(wait) => {
                sleep(wait).await;
                continue;
            }
            Next::Idle => {
                sleep(usage.batch_wait).await;
                continue;
            }
        };
        let full = events.len() >= usage.batch_max;
        let pushed = match reach.post(Push::Usage, outbox::body(&events)).await {
            Ok((answer, _)) => Pushed::Answered(answer.status, answer.retry_after),
            Err(_) => Pushed::Unanswered,
        };
        let taken = matches!(pushed, Pushed::Answered(200..=299, _));
        if taken == failing {
            match taken {
                true => tracing::info!("the controller takes usage again"),
                false => {
                    tracing::warn!(?pushed, "the controller does not take usage; it waits here")
                }
            }
        }
        failing = !taken;
        queue.lock().told(pushed);
        if taken && !full {
            // What comes meanwhile goes together.
            sleep(usage.batch_wait).await;
        }
    }
}
