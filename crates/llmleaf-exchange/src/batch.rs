//! Batches: many requests, handed to a provider that answers them later.
//!
//! Whoever took a batch is the only one that knows it. A job that is about one is led to its owner by the server, as with kept answers
//! ([`crate::kept`]), and what the provider calls things is told under the names that [`BatchNames`] gives. The requests inside are mapped
//! by the chat wires like any other; nothing of that is remembered between making a batch and reading its results.
//!
//! Reading order: this file (what is asked, and of whom), `make.rs`, `lines.rs` and `upload.rs` (files of requests), `look.rs` (how far one is, lists), `results.rs`.

mod lines;
mod look;
mod make;
mod results;
mod upload;

pub use lines::{Filed, Lines};
pub use look::unready;

use crate::attempt::Attempt;
use crate::drive::Run;
use crate::failure::unoffered;
use crate::upstream::Upstream;
use llmleaf_dialects::batches::{BatchForm, BatchWire, Item, Kind, Task};
use llmleaf_dialects::{ChatWire, Dialect};
use llmleaf_model::{Failure, FailureKind, Origin, Retry};
use llmleaf_providers::{Batches, Chat, Path};
use llmleaf_route::Candidate;
use std::fmt;
use std::rc::Rc;

/// What is asked about batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BatchVerb {
    /// To make one.
    Make,
    /// To keep a file of requests.
    Upload,
    /// How far one is.
    Retrieve,
    /// To stop one.
    Cancel,
    /// To forget one.
    Delete,
    /// Its results.
    Results(Part),
    /// The content of a file of its results.
    Content,
    /// What is known of a file.
    File,
    /// To forget a file.
    DeleteFile,
    /// Those of one provider.
    List,
}

/// Which results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// All.
    All,
    /// Answers.
    Answers,
    /// Whatever is none.
    Errors,
}

impl Part {
    /// Whether it has such a result.
    pub fn has(self, is_answer: bool) -> bool {
        match self {
            Self::All => true,
            Self::Answers => is_answer,
            Self::Errors => !is_answer,
        }
    }
}

/// A model of a batch: its name here, and where it leads.
#[derive(Clone, Debug)]
pub struct Destined {
    /// The name that consumers use.
    pub name: String,
    /// Its targets.
    pub chain: Vec<Candidate>,
}

impl Destined {
    /// What it is called at a provider.
    pub fn at(&self, provider: usize) -> Option<&str> {
        let mut chain = self.chain.iter();
        chain
            .find(|candidate| candidate.provider == provider)
            .map(|candidate| &*candidate.model)
    }
}

/// What a job about batches says beside what every job does.
#[derive(Debug)]
pub struct BatchAsk {
    /// The surface of the consumer.
    pub form: BatchForm,
    /// What the requests are for.
    pub task: Task,
    /// The requests, where a batch is made of them.
    pub items: Vec<Item>,
    /// A file of requests that comes.
    pub filed: Option<Filed>,
    /// The provider's own name of the file that they are in, where they are in one.
    pub file: Option<String>,
    /// The provider's own name of the batch, where a file of its results is asked for.
    pub batch: Option<String>,
    /// The models that are asked, the first one first.
    pub models: Vec<Destined>,
    /// How long it may take.
    pub window: Option<String>,
    /// What the consumer attached.
    pub labels: Vec<(String, String)>,
    /// By what a provider's list shows whose a batch is.
    pub mark: String,
    /// How marks of this consumer's begin.
    pub owner_marks: Vec<String>,
    /// Everything at the provider is this consumer's.
    pub alone: bool,
    /// Under which names things are told.
    pub names: BatchNames,
    /// Where a list goes on, and how many are wanted.
    pub page: (Option<String>, usize),
}

/// Gives the things of a provider's account their names: what it is, the provider, the credential, the mark that it has there, its own name.
type Naming = dyn Fn(Kind, usize, usize, Option<&str>, &str) -> String;

/// The names under which a consumer is told of batches.
#[derive(Clone)]
pub struct BatchNames(Rc<Naming>);

impl BatchNames {
    /// By this rule.
    pub fn new(
        naming: impl Fn(Kind, usize, usize, Option<&str>, &str) -> String + 'static,
    ) -> Self {
        Self(Rc::new(naming))
    }

    fn told(&self, kind: Kind, account: (usize, usize), mark: Option<&str>, own: &str) -> String {
        (self.0)(kind, account.0, account.1, mark, own)
    }
}

impl fmt::Debug for BatchNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BatchNames(…)")
    }
}

/// How a provider takes a batch of such requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    pub batches: &'static Batches,
    /// The wire of its requests; for those that are no chat, the one that its errors are read with.
    pub chat: &'static ChatWire,
    /// What its requests are for, there.
    pub task: Task,
}

impl Offer {
    pub fn wire(&self) -> &'static BatchWire {
        &self.batches.wire
    }

    /// Whether results need no mapping.
    fn is_same(&self, task: Task) -> bool {
        self.task == task
    }
}

impl Upstream {
    /// How it takes batches of such requests for a model, if it does.
    pub(crate) fn offers_batches(&self, task: Task, model: &str) -> Option<Offer> {
        let batches = self.row.speaks.batches.as_ref()?;
        let chats = || {
            self.chats(model).iter().filter_map(|chat| match chat {
                Chat::Wire(wire, _) => Some((wire, Task::of_dialect(wire.dialect())?)),
                Chat::Echo => None,
            })
        };
        let able = |(_, own): &(&'static ChatWire, Task)| batches.wire.takes(*own);
        let (chat, own) = match task {
            Task::Embeddings if batches.wire.takes(task) => (chats().next()?.0, task),
            Task::Embeddings => return None,
            _ => chats()
                .filter(able)
                .find(|(_, own)| *own == task)
                .or_else(|| chats().find(able))?,
        };
        Some(Offer {
            batches,
            chat,
            task: own,
        })
    }

    /// Whether its batches take such requests for a model.
    pub fn takes_batches(&self, task: Task, model: &str) -> bool {
        self.offers_batches(task, model).is_some()
    }

    /// Whether all requests of a batch must be for one model.
    pub fn batches_one_model(&self) -> bool {
        let batches = self.row.speaks.batches.as_ref();
        batches.is_some_and(|batches| batches.wire.is_of_one_model())
    }

    /// Whether it keeps files of requests.
    pub fn keeps_batch_files(&self) -> bool {
        let batches = self.row.speaks.batches.as_ref();
        batches.is_some_and(|batches| batches.files.is_some())
    }
}

/// Asks one target.
pub(crate) async fn run(
    run: &mut Run,
    attempt: &mut Attempt,
    candidate: &Candidate,
    upstream: &Upstream,
    verb: BatchVerb,
) -> Result<(), Failure> {
    let job = Rc::clone(&run.job);
    let Some(ask) = job.batch.as_deref() else {
        let message = "nothing is said of the batch";
        return Err(Failure::gateway(FailureKind::Internal, message));
    };
    let offer = upstream
        .offers_batches(ask.task, &candidate.model)
        .ok_or_else(|| unoffered("the target does not offer such batches"))?;
    let at = At {
        candidate,
        upstream,
        offer,
    };
    match verb {
        BatchVerb::Make => make::run(run, attempt, at, ask).await,
        BatchVerb::Upload => upload::run(run, attempt, at, ask).await,
        BatchVerb::Retrieve | BatchVerb::Cancel => look::one(run, attempt, at, ask, verb).await,
        BatchVerb::Delete => look::delete(run, attempt, at).await,
        BatchVerb::List => look::list(run, attempt, at, ask).await,
        BatchVerb::File | BatchVerb::DeleteFile => look::file(run, attempt, at, ask, verb).await,
        BatchVerb::Results(part) => results::run(run, attempt, at, ask, part).await,
        BatchVerb::Content => results::content(run, attempt, at, ask).await,
    }
}

/// A target, and how it takes batches.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub candidate: &'a Candidate,
    pub upstream: &'a Upstream,
    pub offer: Offer,
}

impl At<'_> {
    /// Where something about a batch, or all of them, is asked.
    fn jobs(&self, id: Option<&str>, tail: &str, query: &str) -> String {
        self.below(self.offer.batches.jobs, id, tail, query)
    }

    /// Where something about a file is asked.
    fn files(&self, id: Option<&str>, tail: &str) -> Result<String, Failure> {
        let files = self.offer.batches.files;
        let files = files.ok_or_else(|| unoffered("the target keeps no files"))?;
        Ok(self.below(files, id, tail, ""))
    }

    fn below(&self, path: Path, id: Option<&str>, tail: &str, query: &str) -> String {
        let made = self.upstream.path(path, &self.candidate.model, false);
        let (made, version) = made.split_once('?').unwrap_or((&made, ""));
        let (slash, id) = match id {
            Some(id) => ("/", id),
            None => ("", ""),
        };
        let queries = [version, query];
        let query: Vec<&str> = queries.into_iter().filter(|q| !q.is_empty()).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{made}{slash}{id}{tail}{mark}{}", query.join("&"))
    }
}

/// The dialect that a consumer's answers are in; of vectors, that of their errors.
fn dialect(task: Task) -> Dialect {
    task.dialect().unwrap_or(Dialect::ChatCompletions)
}

/// What the owner refuses about its own is between it and the consumer; nobody else would know better.
fn of_consumer(mut failure: Failure) -> Failure {
    if matches!(failure.status, Some(400 | 404 | 405 | 409 | 410 | 422)) {
        failure.origin = Origin::Consumer;
        failure.retry = Retry::Never;
    }
    failure
}
