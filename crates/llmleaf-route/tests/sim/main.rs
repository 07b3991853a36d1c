//! The machines of routing under simulated time, judged by a model that shares no code with them.
//!
//! A seed makes a scenario: providers with credentials and limits that refuse, stall, limit, truncate, flap and recover; chains, strategies
//! and budgets; consumers with good and bad requests who may go away at any moment. `world.rs` plays it with the real [`Walk`], [`Watch`] and
//! [`Fleet`]; `judge.rs` sees what was tried and what came of it, keeps its own books in the simplest way, and names what does not agree.
//!
//! ```console
//! $ LLMLEAF_SIM_SEED=1234 cargo test -p llmleaf-route --test sim one_seed -- --nocapture     # one seed, and its trace
//! $ LLMLEAF_SIM_SEEDS=1000000 cargo test -p llmleaf-route --test sim seeds --profile sim     # as many as one likes
//! $ cargo xtask mutants                                                                      # what the judge is worth
//! ```
//!
//! Reading order: `chance`, `scenario`, `world`, `exchange`, `judge` with `breaker_book`, `limit_book` and `lane_book`, `tally`, `after`, `odds`, `laws`, `workers`.
//!
//! [`Walk`]: llmleaf_route::Walk
//! [`Watch`]: llmleaf_route::Watch
//! [`Fleet`]: llmleaf_route::Fleet

#[cfg(test)]
mod after;
#[cfg(test)]
mod breaker_book;
#[cfg(test)]
mod chance;
#[cfg(test)]
mod exchange;
#[cfg(test)]
mod judge;
#[cfg(test)]
mod lane_book;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod limit_book;
#[cfg(test)]
mod odds;
#[cfg(test)]
mod scenario;
#[cfg(test)]
mod tally;
#[cfg(test)]
mod workers;
#[cfg(test)]
mod world;

#[cfg(test)]
mod tests {
    use crate::world::World;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// Seeds of the ordinary run.
    const SEEDS: u64 = 5_000;

    fn number(name: &str) -> Option<u64> {
        #[expect(
            clippy::disallowed_methods,
            reason = "how a failing seed is asked for again"
        )]
        let value = std::env::var(name).ok()?;
        Some(value.parse().expect("a number"))
    }

    fn play(seed: u64, trace: bool) -> Result<World, String> {
        let run = || {
            let mut world = World::new(seed, trace);
            world.run().map(|()| world)
        };
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err("it panicked, see above".into()))
    }

    #[test]
    fn seeds_hold() {
        let count = number("LLMLEAF_SIM_SEEDS").unwrap_or(SEEDS);
        let first = number("LLMLEAF_SIM_FIRST").unwrap_or(0);
        let mut tally = crate::tally::Tally::default();
        for seed in first..first + count {
            match play(seed, false) {
                Ok(world) => tally.add(&world.judge.tally),
                Err(violation) => panic!(
                    "seed {seed}: {violation}\nagain: LLMLEAF_SIM_SEED={seed} cargo test -p llmleaf-route --test sim one_seed -- --nocapture"
                ),
            }
        }
        eprintln!("{count} seeds: {tally:?}");
        tally.assert_all_happened();
    }

    #[test]
    fn one_seed() {
        let Some(seed) = number("LLMLEAF_SIM_SEED") else {
            return;
        };
        match play(seed, true) {
            Ok(world) => eprintln!("seed {seed} holds: {:?}", world.judge.tally),
            Err(violation) => panic!("seed {seed}: {violation}"),
        }
    }

    #[test]
    fn a_seed_is_one_story() {
        for seed in 0..50 {
            let story = |seed| play(seed, false).map(|world| world.judge.tally);
            assert_eq!(story(seed), story(seed));
        }
    }
}
