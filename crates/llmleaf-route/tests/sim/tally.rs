//! What happened in a story or in many.

/// What happened, so that a run in which something never happened is not taken for proof.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub exchanges: u64,
    pub attempts: u64,
    pub commits: u64,
    pub completed: u64,
    pub cancelled: u64,
    pub opened: u64,
    pub closed: u64,
    pub trials: u64,
    pub last_resorts: u64,
    pub cooled: u64,
    pub refused: u64,
    pub accepted: u64,
    pub waits: u64,
    pub hedges: u64,
    pub repeats: u64,
    pub gave_up: [u64; 6],
    pub settled: u64,
    pub unmet: u64,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.exchanges, other.exchanges),
            (&mut self.attempts, other.attempts),
            (&mut self.commits, other.commits),
            (&mut self.completed, other.completed),
            (&mut self.cancelled, other.cancelled),
            (&mut self.opened, other.opened),
            (&mut self.closed, other.closed),
            (&mut self.trials, other.trials),
            (&mut self.last_resorts, other.last_resorts),
            (&mut self.cooled, other.cooled),
            (&mut self.refused, other.refused),
            (&mut self.accepted, other.accepted),
            (&mut self.waits, other.waits),
            (&mut self.hedges, other.hedges),
            (&mut self.repeats, other.repeats),
            (&mut self.settled, other.settled),
            (&mut self.unmet, other.unmet),
        ];
        for (own, more) in pairs {
            *own += more;
        }
        for (own, more) in self.gave_up.iter_mut().zip(other.gave_up) {
            *own += more;
        }
    }

    pub fn assert_all_happened(&self) {
        let all = [
            self.commits,
            self.completed,
            self.cancelled,
            self.opened,
            self.closed,
            self.trials,
            self.last_resorts,
            self.cooled,
            self.refused,
            self.accepted,
            self.waits,
            self.hedges,
            self.repeats,
            self.settled,
            self.unmet,
        ];
        assert!(all.iter().chain(&self.gave_up).all(|n| *n > 0), "{self:?}");
    }
}
