//! What is kept here on its way to who asks for it, piece by piece, beside the worker's own work: the results of a batch that this gateway
//! ran, read from its journal, and files of requests as they came.

use super::journal::Results;
use super::store::{Kept, Store};
use bytes::Bytes;
use llmleaf_dialects::batches::{BatchForm, line};
use llmleaf_exchange::{Aborted, Part};
use llmleaf_model::{BatchOutcome, BatchResult, BatchStatus, Failure, FailureKind};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::task::JoinHandle;

/// How much is read at a time.
const PIECE: usize = 64 * 1024;

/// Something on its way.
pub struct Reading(Step);

enum Step {
    Ready(Box<dyn Pieces>),
    Reading(JoinHandle<Read>),
    Ended,
}

/// A piece that was read, and where the next one comes from.
type Read = (Box<dyn Pieces>, io::Result<Vec<u8>>);

/// What is read piece by piece.
trait Pieces: Send {
    /// The next piece; empty at the end.
    fn piece(&mut self) -> io::Result<Vec<u8>>;
}

struct Source {
    answered: Option<Results>,
    input: BufReader<File>,
    /// What became of those that have no result.
    rest: Option<BatchOutcome>,
    seen: HashSet<String>,
    form: BatchForm,
    part: Part,
    count: u64,
}

impl Reading {
    /// Of a file, byte for byte. It is opened when it is read.
    pub fn file(path: PathBuf) -> Self {
        Self(Step::Ready(Box::new(Whole { path, file: None })))
    }

    /// The results of a batch that has ended.
    ///
    /// # Errors
    /// The system's.
    pub fn open(
        store: &Store,
        id: &str,
        status: BatchStatus,
        form: BatchForm,
        part: Part,
    ) -> io::Result<Self> {
        let rest = match status {
            BatchStatus::Cancelled => Some(BatchOutcome::Cancelled),
            BatchStatus::Expired => Some(BatchOutcome::Expired),
            _ => None,
        };
        Ok(Self(Step::Ready(Box::new(Source {
            answered: Some(Results::open(&store.journal(id))?),
            input: BufReader::new(File::open(store.input(id))?),
            rest,
            seen: HashSet::new(),
            form,
            part,
            count: 0,
        }))))
    }

    /// The next piece; `None` at the end.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Aborted>>> {
        loop {
            self.0 = match std::mem::replace(&mut self.0, Step::Ended) {
                Step::Ended => return Poll::Ready(None),
                Step::Ready(mut source) => Step::Reading(tokio::task::spawn_blocking(move || {
                    let piece = source.piece();
                    (source, piece)
                })),
                Step::Reading(mut handle) => {
                    let Poll::Ready(read) = Pin::new(&mut handle).poll(cx) else {
                        self.0 = Step::Reading(handle);
                        return Poll::Pending;
                    };
                    match read {
                        Ok((source, Ok(piece))) if !piece.is_empty() => {
                            self.0 = Step::Ready(source);
                            return Poll::Ready(Some(Ok(piece.into())));
                        }
                        Ok((_, Ok(_))) => return Poll::Ready(None),
                        Ok((_, Err(error))) => {
                            tracing::error!(%error, "what is kept of batches cannot be read");
                            return Poll::Ready(Some(Err(Aborted)));
                        }
                        Err(_) => return Poll::Ready(Some(Err(Aborted))),
                    }
                }
            };
        }
    }
}

/// A file as it is.
struct Whole {
    path: PathBuf,
    file: Option<File>,
}

impl Pieces for Whole {
    fn piece(&mut self) -> io::Result<Vec<u8>> {
        let file = match self.file.take() {
            Some(file) => file,
            None => File::open(&self.path)?,
        };
        let file = self.file.insert(file);
        let mut out = Vec::new();
        file.take(PIECE as u64).read_to_end(&mut out)?;
        Ok(out)
    }
}

/// A file that is kept here, for whoever sends it on.
pub struct Sent {
    path: PathBuf,
    reading: Reading,
}

impl Sent {
    /// A file there.
    pub fn new(path: PathBuf) -> Self {
        Self {
            reading: Reading::file(path.clone()),
            path,
        }
    }
}

impl llmleaf_exchange::Source for Sent {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        self.reading.poll_piece(cx).map_err(|Aborted| {
            let why = "a file that is kept here cannot be read";
            Failure::gateway(FailureKind::Internal, why)
        })
    }

    fn begin_again(&mut self) -> bool {
        self.reading = Reading::file(self.path.clone());
        true
    }
}

impl Pieces for Source {
    fn piece(&mut self) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        while out.len() < PIECE {
            let Some(result) = self.next()? else {
                break;
            };
            if !self.part.has(result.outcome.is_answer()) {
                continue;
            }
            self.count += 1;
            let id = format!("batch_req_{}", self.count);
            line::write(&mut out, &result, self.form, &id);
        }
        Ok(out)
    }
}

impl Source {
    fn next(&mut self) -> io::Result<Option<BatchResult>> {
        while let Some(answered) = &mut self.answered {
            match answered.next()? {
                None => self.answered = None,
                // A line that is there twice counts once.
                Some(result) if !self.seen.insert(result.custom_id.clone()) => {}
                Some(result) => return Ok(Some(result)),
            }
        }
        let Some(rest) = self.rest.clone() else {
            return Ok(None);
        };
        let seen = &mut self.seen;
        let kept = Kept::next(&mut self.input, |id| !seen.insert(id.to_owned()))?;
        Ok(kept.map(|kept| BatchResult {
            custom_id: kept.custom_id,
            outcome: rest,
        }))
    }
}
