//! The loop that pushes events.

use super::{Outlets, Plan, Push, Reach};
use crate::outbox::{self, Next, Pushed};
use std::future::pending;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// How often the queue is looked at when the program ends: its last events may come yet.
const LAST_LOOK: Duration = Duration::from_millis(20);

pub(super) async fn run<R: Reach>(plan: &Plan, reach: &R, outlets: &Outlets) {
    let Some(usage) = &plan.usage else {
        return pending().await;
    };
    let Some(queue) = &outlets.events else {
        tracing::warn!("usage is kept and pushed only after a restart: it began without");
        return pending().await;
    };
    // Of a plan that came later than the queue.
    queue.lock().bound(usage.batch_max);
    let mut ending = outlets.ending.clone();
    let mut failing = false;
    loop {
        // Looked at without waiting for anything while it is locked: nobody else pushes.
        let next = queue.lock().next();
        let (events, more) = match next {
            Next::Push { events, more } => (events, more),
            Next::Wait(wait) => {
                sleep(wait).await;
                continue;
            }
            Next::Idle => {
                gather(usage.batch_wait, &mut ending).await;
                continue;
            }
        };
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
        if taken && !more {
            // What comes meanwhile goes together.
            gather(usage.batch_wait, &mut ending).await;
        }
    }
}

/// Lets events come together, unless the program ends: then none will, and there is no time.
async fn gather(wait: Duration, ending: &mut watch::Receiver<bool>) {
    if *ending.borrow() {
        return sleep(LAST_LOOK.min(wait)).await;
    }
    let ended = async {
        if ending.wait_for(|ending| *ending).await.is_err() {
            pending::<()>().await;
        }
    };
    tokio::select! {
        () = sleep(wait) => {}
        () = ended => {}
    }
}
