//! When to push what: batches in their order, one at a time, again after a pause where that may help, and laid aside where it never will. A state
//! machine: whoever pushes asks what is [`Next`], and says how it went.
//!
//! Who refuses a record may be refusing everything: a proxy before it, a wrong version of it. So a record is laid aside on evidence alone,
//! however long that takes: it is refused by itself, another one is taken, and it is refused again. The other one is looked for behind it,
//! ever farther, since those beside it may be of its kind.

use crate::{Batch, Spool, Unread};

/// The first pause after a failure, in milliseconds; it doubles up to the longest.
const FIRST_MS: u64 = 1000;
const LONGEST_MS: u64 = 60_000;
/// The longest pause that the other side can ask for.
const ASKED_MS: u64 = 3_600_000;
/// How often a single record is pushed that the other side calls wrong or too large, before others are tried in its place.
const WRONG_TRIES: u32 = 3;
/// The same where the other side fails at it: some minutes.
const FAILED_TRIES: u32 = 10;
/// How far behind a refused record others are tried.
const FARTHEST: usize = 1024;
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

/// What is known of the oldest record, if it was refused by itself.
#[derive(Default)]
struct Suspect {
    tries: u32,
    /// So far behind it lies the one that is pushed in its place; at nought it is pushed itself.
    ahead: usize,
    /// Another one was taken since it was refused.
    witness: Option<Witness>,
}

struct Witness {
    batch: Batch,
    /// It comes right after the suspect, so it need not be told again.
    next: bool,
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
    /// Readings of what is oldest that were of no avail.
    unread: u32,
    suspect: Suspect,
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
            unread: 0,
            suspect: Suspect::default(),
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
        let batch = match self.suspect.ahead {
            0 => self.spool.batch(self.size, BATCH_BYTES),
            ahead => self.spool.one_after(ahead, BATCH_BYTES),
        };
        let batch = match batch {
            Ok(batch) => batch,
            Err(unread) => return self.unread(&unread, now_ms),
        };
        self.unread = 0;
        if batch.is_empty() && self.suspect.ahead > 0 {
            // Nobody is left who could be taken.
            self.suspect.ahead = 0;
            return self.pauses(None, now_ms);
        }
        if batch.is_empty() {
            // There may be damaged lines, which nobody needs to take.
            self.spool.acknowledge(&batch);
            return Next::Idle;
        }
        self.pushed = Some(batch.clone());
        Next::Push(batch)
    }

    /// So many records at a time from now on.
    pub fn bound(&mut self, most: usize) {
        let most = most.max(1);
        // One that is being halved goes on being so.
        self.size = match self.size == self.most {
            true => most,
            false => self.size.min(most),
        };
        self.most = most;
    }

    /// What became of the batch that was pushed last.
    pub fn told(&mut self, verdict: Verdict, now_ms: u64) {
        let Some(batch) = self.pushed.take() else {
            return;
        };
        if let Verdict::Later(asked) = verdict {
            self.tries = self.tries.saturating_add(1);
            self.pauses(asked, now_ms);
        } else if self.suspect.ahead > 0 {
            self.told_of_another(batch, verdict, now_ms);
        } else if verdict == Verdict::Taken {
            self.spool.acknowledge(&batch);
            self.moved_on();
            self.size = self.size.saturating_mul(2).min(self.most);
        } else if batch.records.len() > 1 {
            self.size = (batch.records.len() / 2).max(1);
            // The one that is wrong is found by halving. No pause where it is too large: nothing says that it is busy.
            if verdict != Verdict::TooLarge {
                self.tries = self.tries.saturating_add(1);
                self.pauses(None, now_ms);
            }
        } else {
            self.refused(&batch, verdict, now_ms);
        }
    }

    /// The oldest record is not taken by itself.
    fn refused(&mut self, batch: &Batch, verdict: Verdict, now_ms: u64) {
        self.size = 1;
        self.tries = self.tries.saturating_add(1);
        self.suspect.tries = self.suspect.tries.saturating_add(1);
        let most = match verdict {
            Verdict::Failed => FAILED_TRIES,
            _ => WRONG_TRIES,
        };
        if self.suspect.witness.is_some() {
            self.bury(batch, now_ms);
        } else if self.suspect.tries >= most {
            self.suspect.ahead = 1;
        } else {
            self.pauses(None, now_ms);
        }
    }

    /// What became of one that was pushed in place of the suspect.
    fn told_of_another(&mut self, batch: Batch, verdict: Verdict, now_ms: u64) {
        if verdict == Verdict::Taken {
            let next = self.suspect.ahead == 1;
            self.suspect.witness = Some(Witness { batch, next });
            self.suspect.ahead = 0;
            return;
        }
        self.suspect.ahead *= 2;
        if self.suspect.ahead > FARTHEST {
            // It takes none at all: that is no matter of the records.
            self.suspect.ahead = 0;
            self.pauses(None, now_ms);
        }
    }

    fn pauses(&mut self, asked: Option<u64>, now_ms: u64) -> Next {
        let asked = asked.unwrap_or_default().min(ASKED_MS);
        self.due_ms = now_ms.saturating_add(asked.max(self.pause()));
        Next::Wait(self.due_ms)
    }

    /// A disk that does not give records may do so later. What never comes must not keep the others.
    fn unread(&mut self, unread: &Unread, now_ms: u64) -> Next {
        if self.unread == 0 {
            tracing::error!(error = %unread, "usage records cannot be pushed");
        }
        // Apart from the tries of whoever takes none: they say nothing of the disk.
        self.unread = self.unread.saturating_add(1);
        self.tries = self.tries.saturating_add(1);
        if unread.is_gone() || self.unread >= UNREAD_TRIES {
            self.spool.give_up(unread);
            self.moved_on();
            return Next::Wait(now_ms.saturating_add(1));
        }
        self.pauses(None, now_ms)
    }

    fn bury(&mut self, batch: &Batch, now_ms: u64) {
        if let Err(error) = self.spool.bury(batch) {
            tracing::error!(%error, "a usage record is not taken, and cannot be laid aside");
            self.pauses(None, now_ms);
            return;
        }
        tracing::error!("a usage record is not taken, and is laid aside");
        self.moved_on();
    }

    /// What was oldest is done.
    fn moved_on(&mut self) {
        let suspect = std::mem::take(&mut self.suspect);
        if let Some(Witness { batch, next: true }) = suspect.witness {
            self.spool.acknowledge(&batch);
        }
        (self.tries, self.unread, self.due_ms) = (0, 0, 0);
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
