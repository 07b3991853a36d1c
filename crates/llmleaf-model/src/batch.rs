//! Batches: many requests handed over at once, answered later.

use bytes::Bytes;

/// Where a batch stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BatchStatus {
    /// Its input is looked at.
    Validating,
    /// It runs.
    #[default]
    InProgress,
    /// Its results are put together.
    Finalizing,
    /// It is done; each request has its own result.
    Completed,
    /// It could not be run as a whole.
    Failed,
    /// Its time ran out before it was done.
    Expired,
    /// It is being stopped.
    Cancelling,
    /// It was stopped.
    Cancelled,
}

impl BatchStatus {
    /// Whether nothing of it changes any more.
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Failed | Self::Expired | Self::Cancelled
        )
    }
}

/// How many of its requests stand where. They sum up to all of them, where the service counts them all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchCounts {
    /// Not answered yet.
    pub processing: u64,
    /// Answered.
    pub completed: u64,
    /// Refused, or failed.
    pub failed: u64,
    /// Stopped before they were answered.
    pub cancelled: u64,
    /// Not reached in time.
    pub expired: u64,
}

impl BatchCounts {
    /// All of them.
    pub fn total(&self) -> u64 {
        let parts = [self.completed, self.failed, self.cancelled, self.expired];
        parts.into_iter().fold(self.processing, u64::saturating_add)
    }
}

/// One batch. Times are unix seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Its name at whoever runs it.
    pub id: String,
    /// Where it stands.
    pub status: BatchStatus,
    /// How far its requests are.
    pub counts: BatchCounts,
    /// When it was made.
    pub created: Option<u64>,
    /// When it began to run.
    pub begun: Option<u64>,
    /// When it is given up.
    pub expires: Option<u64>,
    /// When it came to its end, whichever.
    pub ended: Option<u64>,
    /// When its end was asked for.
    pub stopping: Option<u64>,
    /// The file that its requests came in.
    pub input: Option<String>,
    /// The file of its answers.
    pub output: Option<String>,
    /// The file of what went wrong with single requests.
    pub errors: Option<String>,
    /// What was wrong with all of it.
    pub problems: Vec<BatchProblem>,
    /// What the consumer attached.
    pub labels: Vec<(String, String)>,
    /// What a gateway attached, by which it knows whose it is.
    pub mark: Option<String>,
}

/// Something wrong with a batch as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchProblem {
    /// What.
    pub message: String,
    /// A word for it.
    pub code: Option<String>,
    /// The line of the input.
    pub line: Option<u64>,
}

/// The result of one request.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchResult {
    /// The consumer's name of the request.
    pub custom_id: String,
    /// What became of it.
    pub outcome: BatchOutcome,
}

/// What became of one request.
#[derive(Clone, Debug, PartialEq)]
pub enum BatchOutcome {
    /// A reply came: an answer or an error, as the status says, in the wire that the batch ran on.
    Replied {
        /// Its HTTP status.
        status: u16,
        /// Its body.
        body: Bytes,
        /// The service's name of the call.
        request_id: Option<String>,
    },
    /// It failed without a reply.
    Failed {
        /// A word for it.
        code: Option<String>,
        /// Why.
        message: String,
    },
    /// It was stopped before.
    Cancelled,
    /// It was not reached in time.
    Expired,
}

impl BatchOutcome {
    /// An answer came.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Replied { status, .. } if (200..300).contains(status))
    }
}
