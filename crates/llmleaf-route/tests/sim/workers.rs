//! Workers on threads of their own share one fleet: what is held never exceeds its bound, and all of it comes back.

use llmleaf_model::{Failure, FailureKind};
use llmleaf_route::health::BreakerState;
use llmleaf_route::walk::Step;
use llmleaf_route::{Ask, Candidate, Fleet, Limits, Millis, Policy, ProviderSpec, Spent, Walk};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

const WORKERS: u64 = 4;
const EXCHANGES: u64 = 3_000;
const AT_ONCE: u32 = 3;

struct Stage {
    fleet: Fleet,
    clock: AtomicU64,
    running: AtomicU32,
    trials: AtomicU32,
}

#[test]
fn workers_share_one_fleet_and_nothing_leaks() {
    let spec = ProviderSpec {
        name: "p".into(),
        credentials: vec![1, 2],
        spread: true,
        limits: Limits {
            max_concurrent: Some(AT_ONCE),
            ..Limits::default()
        },
        cooldown: Duration::from_millis(200),
        ..ProviderSpec::default()
    };
    let stage = Stage {
        fleet: Fleet::new(&[spec], 1, Millis(0)),
        clock: AtomicU64::new(0),
        running: AtomicU32::new(0),
        trials: AtomicU32::new(0),
    };
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let stage = &stage;
            scope
                .spawn(move || (0..EXCHANGES).for_each(|n| stage.exchange(worker * EXCHANGES + n)));
        }
    });
    let provider = &stage.fleet.providers()[0];
    let target = &provider.targets()[0];
    assert_eq!((provider.limiter().running(), target.pending()), (0, 0));
    // No trial is lost: the target still recovers.
    let mut now = stage.clock.load(Ordering::SeqCst) + 3_600_000;
    for _ in 0..10 {
        now += 1_000;
        if let Some((mut walk, attempt)) = stage.tries(now, 0) {
            walk.complete(attempt, Spent::default(), Millis(now));
        }
    }
    assert_eq!(target.breaker().state(Millis(now)), BreakerState::Closed);
}

impl Stage {
    fn tries(&self, now: u64, seed: u64) -> Option<(Walk, llmleaf_route::Attempt)> {
        let candidate = Candidate {
            provider: 0,
            model: "m".into(),
        };
        let members = self.fleet.member(&candidate, 1, Millis(now));
        let ask = Ask {
            seed,
            ..Ask::default()
        };
        let members = members.into_iter().collect();
        let mut walk =
            Walk::new(&self.fleet, Policy::default(), members, &ask, Millis(now)).unwrap();
        match walk.step(Millis(now)) {
            Step::Try(mut attempt) => {
                attempt.sent();
                Some((walk, attempt))
            }
            _ => None,
        }
    }

    fn exchange(&self, number: u64) {
        let now = self.clock.fetch_add(7, Ordering::SeqCst);
        let Some((mut walk, attempt)) = self.tries(now, number) else {
            return;
        };
        let running = self.running.fetch_add(1, Ordering::SeqCst);
        assert!(running < AT_ONCE, "{running} ran already");
        let trial = attempt.is_trial();
        if trial {
            let trials = self.trials.fetch_add(1, Ordering::SeqCst);
            assert!(trials < 2, "{trials} trials ran already");
        }
        std::thread::yield_now();
        // Counted down before the end is told, since another may begin the moment it is.
        self.running.fetch_sub(1, Ordering::SeqCst);
        self.trials.fetch_sub(u32::from(trial), Ordering::SeqCst);
        match number % 5 {
            0 | 1 => {
                let failure = Failure::upstream(FailureKind::Server, "simulated");
                walk.failed(attempt, &failure, Millis(now));
            }
            2 => drop(attempt),
            _ => {
                walk.complete(attempt, Spent::default(), Millis(now));
            }
        }
    }
}
