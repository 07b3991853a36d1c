//! When to push what: batches in their order, one at a time, again after a pause where that may help, and laid aside where it never will. A state
//! machine: whoever pushes asks what is [`Next`], and says how it went.

use crate::{Batch, Spool, Unread};

/// The first pause after a failure, in milliseconds; it doubles up to the longest.
const FIRST_MS: u64 = 1000;
const LONGEST_MS: u64 = 60_000;
/// The longest pause that the other side can ask for.
const ASKED_MS: u64 = 3_600_000;
/// How often a single record is pushed that the other side calls wrong.
const WRONG_TRIES: u32 = 3;
/// How often a single record is pushed on which the other side fails: about an hour at the longest pause.
const FAILED_TRIES: u32 = 60;
/// How often records are read that the disk does not give: about an hour at the longest pause.
const UNREAD_TRIES: u32 = 60;
/// Most bytes of records in a batch.
const BATCH_BYTES: usize = 1024 * 1024;

/// What is to be done.
#[derive(Debug)]
pub enum Next {
    /// Push these. [`Delivery::told`] hears how it went.
    Push(Batch),
    /// Nothing before then, in milliseconds.
    Wait(u64),
    /// Nothing waits.
    Idle,
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Taken: a status of 2xx.
    Taken,
    /// Too large (413): smaller ones may be taken.
    TooLarge,
    /// Something in it is wrong (400, 422): it never will be taken as it is.
    Wrong,
    /// The other side failed at it (500): perhaps it always will.
    Failed,
    /// It could not be reached, is busy (429, 502 to 504), or does not know us (401, 403, 404): no matter of the batch. Where it says so, again after so many milliseconds.
    Later(Option<u64>),
}

impl Verdict {
    /// By the status of a reply, and the wait that it asks for.
    pub fn of_status(status: u16, after_ms: Option<u64>) -> Self {
        match status {
            200..=299 => Self::Taken,
            413 => Self::TooLarge,
            400 | 422 => Self::Wrong,
            500 if after_ms.is_none() => Self::Failed,
            _ => Self::Later(after_ms),
        }
    }
}

/// The pushing of a spool's records.
pub struct Delivery {
    spool: Spool,
    /// Most records in a batch.
    most: usize,
    /// How many go into the next one.
    size: usize,
    /// Pushes of what is oldest that were of no avail.
    tries: u32,
    /// Those of them at a single record.
    alone: u32,
    due_ms: u64,
    pushed: Option<Batch>,
    chance: u64,
}

impl Delivery {
    /// From this spool, so many records at a time. The chance tells nodes apart that fail together.
    pub fn new(spool: Spool, most: usize, chance: u64) -> Self {
        Self {
            spool,
            most: most.max(1),
            size: most.max(1),
            tries: 0,
            alone: 0,
            due_ms: 0,
            pushed: None,
            chance,
        }
    }

    /// What to do now.
    pub fn next(&mut self, now_ms: u64) -> Next {
        if now_ms < self.due_ms {
            return Next::Wait(self.due_ms);
        }
        let batch = match self.spool.batch(self.size, BATCH_BYTES) {
            Ok(batch) => batch,
            Err(unread) => return self.unread(&unread, now_ms),
        };
        if batch.is_empty() {
            // There may be damaged lines, which nobody needs to take.
            self.spool.acknowledge(&batch);
            return Next::Idle;
        }
        self.pushed = Some(batch.clone());
        Next::Push(batch)
    }

    /// What became of the batch that was pushed last.
    pub fn told(&mut self, verdict: Verdict, now_ms: u64) {
        let Some(batch) = self.pushed.take() else {
            return;
        };
        let single = batch.records.len() == 1;
        let smaller = (batch.records.len() / 2).max(1);
        match verdict {
            Verdict::Taken => {
                self.spool.acknowledge(&batch);
                self.moved_on();
                self.size = self.size.saturating_mul(2).min(self.most);
                return;
            }
            Verdict::TooLarge if single => return self.bury(&batch),
            Verdict::TooLarge => {
                // No pause: nothing says that it is busy.
                self.size = smaller;
                return;
            }
            Verdict::Wrong | Verdict::Failed if single => {
                self.alone += 1;
                let most = match verdict {
                    Verdict::Wrong => WRONG_TRIES,
                    _ => FAILED_TRIES,
                };
                if self.alone >= most {
                    return self.bury(&batch);
                }
            }
            // The one that is wrong is found by halving.
            Verdict::Wrong | Verdict::Failed => self.size = smaller,
            Verdict::Later(_) => {}
        }
        self.tries = self.tries.saturating_add(1);
        let asked = match verdict {
            Verdict::Later(asked) => asked.map(|ms| ms.min(ASKED_MS)),
            _ => None,
        };
        self.due_ms = now_ms.saturating_add(asked.unwrap_or_default().max(self.pause()));
    }

    /// A disk that does not give records may do so later. What never comes must not keep the others.
    fn unread(&mut self, unread: &Unread, now_ms: u64) -> Next {
        if self.tries == 0 {
            tracing::error!(error = %unread, "usage records cannot be pushed");
        }
        self.tries = self.tries.saturating_add(1);
        if unread.is_gone() || self.tries >= UNREAD_TRIES {
            self.spool.give_up(unread);
            self.moved_on();
            return Next::Wait(now_ms.saturating_add(1));
        }
        self.due_ms = now_ms.saturating_add(self.pause());
        Next::Wait(self.due_ms)
    }

    fn bury(&mut self, batch: &Batch) {
        tracing::error!(
            records = batch.records.len(),
            "a usage record is not taken, and is laid aside"
        );
        self.spool.bury(batch);
        self.moved_on();
    }

    fn moved_on(&mut self) {
        (self.tries, self.alone, self.due_ms) = (0, 0, 0);
    }

    /// Between half of the pause and all of it.
    fn pause(&mut self) -> u64 {
        let doubled = self.tries.saturating_sub(1).min(16);
        let whole = (FIRST_MS << doubled).min(LONGEST_MS);
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.chance = self.chance.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.chance ^ (self.chance >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        whole / 2 + z % (whole / 2 + 1)
    }
}
