//! After the story: what was told holds, and whatever was broken recovers.

use crate::world::World;
use llmleaf_route::health::BreakerState;
use llmleaf_route::walk::Step;
use llmleaf_route::{Ask, GiveUp, Millis, Policy, Spent, Walk};
use std::time::Duration;

/// Nothing runs any longer.
pub fn settles(world: &mut World) -> Result<(), String> {
    world.now += 1;
    world.judge.compare_all(&world.fleet, world.now)?;
    told(world)?;
    recovers(world)
}

const PATIENT: Policy = Policy {
    strategy: llmleaf_route::Strategy::Ordered,
    attempts: 1,
    tries_per_target: 1,
    deadline: Duration::from_secs(86_400),
    max_wait: Duration::ZERO,
    hedge: false,
};

/// Before the told moment nobody is tried; at that moment somebody is. Asking changes nothing.
fn told(world: &mut World) -> Result<(), String> {
    let ask = |world: &World, at: u64| -> Result<Option<GiveUp>, String> {
        let ask = Ask {
            tokens: 1,
            ..Ask::default()
        };
        let now = Millis(at);
        let walk = Walk::new(&world.fleet, PATIENT, world.members(), &ask, now);
        match walk.map_err(|unmet| format!("{unmet:?}"))?.step(now) {
            Step::Try(_) => Ok(None),
            Step::GiveUp(why) => Ok(Some(why)),
            Step::Wait(until) => Err(format!("an impatient walk waits until {until:?}")),
        }
    };
    let Some(why) = ask(world, world.now)? else {
        return Ok(());
    };
    let Some(at) = why.retry_at else {
        return Err(format!("nobody is tried, and no moment is told: {why:?}"));
    };
    let before = ask(world, (at.0 - 1).max(world.now))?;
    if at.0 - 1 > world.now && before.is_none() {
        return Err(format!("told {at:?}, but somebody is tried before"));
    }
    if let Some(still) = ask(world, at.0)? {
        return Err(format!("told {at:?}, but then it is {still:?}"));
    }
    world.judge.tally.settled += 1;
    world.now = at.0;
    Ok(())
}

/// Each target alone, at a provider that is well again: it serves, and soon as if nothing had been.
fn recovers(world: &mut World) -> Result<(), String> {
    for member in world.scenario.chain.clone() {
        let mut served = 0;
        for _ in 0..40 {
            let members = vec![world.member(member, 1).ok_or("no such provider")?];
            let target = members[0].target.clone();
            let ask = Ask::default();
            let now = Millis(world.now);
            let mut walk = Walk::new(&world.fleet, PATIENT, members, &ask, now)
                .map_err(|unmet| format!("{unmet:?}"))?;
            match walk.step(now) {
                Step::Try(mut attempt) => {
                    attempt.sent();
                    walk.commit(&mut attempt, now);
                    world.now += 10;
                    let spent = Spent {
                        tokens: Some(0),
                        output: 0,
                    };
                    walk.complete(attempt, spent, Millis(world.now));
                    served += 1;
                }
                Step::GiveUp(why) => {
                    let at = why.retry_at.ok_or("it never comes back")?;
                    if at.0 - world.now > 4_000_000 {
                        return Err(format!("it comes back only after {} ms", at.0 - world.now));
                    }
                    world.now = at.0;
                }
                Step::Wait(until) => return Err(format!("waits until {until:?}")),
            }
            let view = target.view(Millis(world.now));
            if served >= 3 && view.state == BreakerState::Closed && view.score == 0 {
                break;
            }
            if served > 5 {
                return Err(format!("served {served} times and is not well: {view:?}"));
            }
        }
        if served < 3 {
            return Err(format!("{member:?} does not recover"));
        }
    }
    Ok(())
}
