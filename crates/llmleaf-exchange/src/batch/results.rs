//! The results of a batch: line by line from the provider to the consumer, in the consumer's wire, each counted once.
//!
//! No line is held longer than it takes to map it, but where a provider tells all at once.

use super::look::{own, unready};
use super::make::{asking, get};
use super::{At, BatchAsk, Destined, Part, dialect, of_consumer};
use crate::attempt::{self, Attempt, Incoming};
use crate::drive::{self, Run};
use crate::failure;
use crate::outlet::ReplyHead;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};
use llmleaf_dialects::ReplyContext;
use llmleaf_dialects::batches::{BatchForm, BatchWire, Task, line};
use llmleaf_framing::{Frame, NdjsonFramer, NdjsonLimits};
use llmleaf_model::{Batch, BatchOutcome, BatchResult, Collector, Failure, FailureKind, Usage};
use llmleaf_route::Watch;
use llmleaf_transport::Body;
use std::pin::pin;

/// Longest line of results.
const LONGEST_LINE: usize = 32 * 1024 * 1024;
/// How many results come at once where they come by pages.
const PAGE: usize = 100;
/// Most pages.
const PAGES: usize = 100_000;

/// Hands on the results of a batch.
pub(super) async fn run(
    run: &mut Run,
    attempt: &mut Attempt,
    at: At<'_>,
    ask: &BatchAsk,
    part: Part,
) -> Result<(), Failure> {
    let (id, _) = own(run)?;
    let mut teller = Teller::new(at, ask, part);
    let result = match at.offer.wire() {
        BatchWire::Files(_) => by_files(run, attempt, &mut teller, &id).await,
        BatchWire::Messages => {
            let path = at.jobs(Some(&id), "/results", "");
            lines(run, attempt, &mut teller, &path).await
        }
        BatchWire::GenerateContent | BatchWire::Added => {
            by_pages(run, attempt, &mut teller, &id).await
        }
    };
    finish(run, attempt, &teller, result).await
}

/// Hands on the content of a file of results.
pub(super) async fn content(
    run: &mut Run,
    attempt: &mut Attempt,
    at: At<'_>,
    ask: &BatchAsk,
) -> Result<(), Failure> {
    let (id, _) = own(run)?;
    let mut teller = Teller::new(at, ask, Part::All);
    // A file of requests goes back as it is.
    teller.through |= ask.batch.is_none();
    let path = at.files(Some(&id), "/content")?;
    let result = lines(run, attempt, &mut teller, &path).await;
    finish(run, attempt, &teller, result).await
}

/// A batch that has ended, and what its provider says of it.
async fn ended(
    run: &mut Run,
    attempt: &mut Attempt,
    at: At<'_>,
    id: &str,
) -> Result<(Batch, Bytes), Failure> {
    let reply = get(run, attempt, at, &at.jobs(Some(id), "", "")).await?;
    let batch = at.offer.wire().parse_batch(&reply)?;
    match batch.status.is_final() {
        true => Ok((batch, reply)),
        false => Err(unready(&batch)),
    }
}

async fn by_files(
    run: &mut Run,
    attempt: &mut Attempt,
    teller: &mut Teller<'_>,
    id: &str,
) -> Result<(), Failure> {
    let at = teller.at;
    let (batch, _) = ended(run, attempt, at, id).await?;
    // What went wrong stands in a file of its own: who reads one misses the other.
    let files = [
        batch
            .output
            .as_ref()
            .filter(|_| teller.part != Part::Errors),
        batch
            .errors
            .as_ref()
            .filter(|_| teller.part != Part::Answers),
    ];
    let mut files = files.into_iter().flatten().peekable();
    if files.peek().is_none() {
        return Err(unready(&batch));
    }
    for file in files {
        let path = at.files(Some(file), "/content")?;
        lines(run, attempt, teller, &path).await?;
    }
    Ok(())
}

async fn by_pages(
    run: &mut Run,
    attempt: &mut Attempt,
    teller: &mut Teller<'_>,
    id: &str,
) -> Result<(), Failure> {
    let at = teller.at;
    let wire = at.offer.wire();
    let (_, reply) = ended(run, attempt, at, id).await?;
    let mut page = match wire {
        BatchWire::GenerateContent => wire.parse_page(&reply)?,
        _ => next(run, attempt, at, id, None).await?,
    };
    for _ in 0..PAGES {
        for result in page.0 {
            teller.tell(run, attempt, result, None);
            hand_on(run, attempt, teller).await;
        }
        match page.1 {
            Some(token) => page = next(run, attempt, at, id, Some(&token)).await?,
            None => break,
        }
    }
    Ok(())
}

type Page = (Vec<BatchResult>, Option<String>);

async fn next(
    run: &mut Run,
    attempt: &mut Attempt,
    at: At<'_>,
    id: &str,
    token: Option<&str>,
) -> Result<Page, Failure> {
    let query = at.offer.wire().list_query(token, PAGE);
    let reply = get(run, attempt, at, &at.jobs(Some(id), "/results", &query)).await?;
    let (results, next) = at.offer.wire().parse_page(&reply)?;
    // A page that leads to itself leads nowhere.
    let next = next.filter(|next| token != Some(next.as_str()) && !results.is_empty());
    Ok((results, next))
}

/// Hands on a body of lines.
async fn lines(
    run: &mut Run,
    attempt: &mut Attempt,
    teller: &mut Teller<'_>,
    path: &str,
) -> Result<(), Failure> {
    let at = teller.at;
    let going = asking(at, Method::GET, path);
    let sent = attempt::send(run, attempt, at.candidate, at.upstream, going).await;
    let Incoming {
        mut watch, body, ..
    } = sent.map_err(of_consumer)?;
    read(run, attempt, teller, &mut watch, body).await
}

async fn read(
    run: &mut Run,
    attempt: &mut Attempt,
    teller: &mut Teller<'_>,
    watch: &mut Watch,
    mut body: Body,
) -> Result<(), Failure> {
    let mut framer = NdjsonFramer::new(NdjsonLimits {
        max_line_bytes: LONGEST_LINE,
    });
    loop {
        let chunk = match run.wait(watch, pin!(body.chunk())).await {
            Err(alarm) => return Err(failure::timeout(alarm, watch)),
            Ok(None) => break,
            Ok(Some(Err(error))) => return Err(failure::transport(&error, true)),
            Ok(Some(Ok(chunk))) => chunk,
        };
        watch.bytes(run.node.shared.now());
        framer.push(chunk);
        while let Some(frame) = framer.next() {
            let frame = frame.map_err(|error| failure::framing(&error))?;
            teller.line(run, attempt, &frame)?;
        }
        watch.content();
        hand_on(run, attempt, teller).await;
    }
    let tail = framer.finish().transpose();
    let tail = tail.map_err(|error| failure::framing(&error))?;
    if let Some(frame) = tail.and_then(|tail| tail.frame) {
        teller.line(run, attempt, &frame)?;
        hand_on(run, attempt, teller).await;
    }
    Ok(())
}

/// Lets the consumer take what there is.
async fn hand_on(run: &mut Run, attempt: &mut Attempt, teller: &Teller<'_>) {
    if run.out.pending() > 0 {
        head(run, teller);
        run.content(attempt, run.node.shared.now());
        run.out.taken().await;
    }
}

fn head(run: &mut Run, teller: &Teller<'_>) {
    if run.out.head_sent() {
        return;
    }
    let mut headers = run.headers();
    let kind = match teller.ask.form {
        BatchForm::Files => "application/x-ndjson",
        // What this wire's own service says.
        BatchForm::Messages => "application/x-jsonl",
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    run.out.head(ReplyHead {
        status: StatusCode::OK,
        headers,
        whole: None,
    });
}

async fn finish(
    run: &mut Run,
    attempt: &mut Attempt,
    teller: &Teller<'_>,
    result: Result<(), Failure>,
) -> Result<(), Failure> {
    match result {
        Ok(()) => {
            head(run, teller);
            run.out.close();
            attempt.complete(&[]);
            run.out.taken().await;
            Ok(())
        }
        Err(failure) if !run.out.head_sent() => Err(failure),
        Err(mut failure) => {
            // Lines have no place for an error that is nobody's: the end that is missing tells it.
            run.scrub(&mut failure);
            attempt.broke(&failure, &[]);
            run.abort().await;
            Ok(())
        }
    }
}

/// Tells results in the consumer's form.
struct Teller<'a> {
    at: At<'a>,
    ask: &'a BatchAsk,
    part: Part,
    /// Lines go on as they come.
    through: bool,
    count: usize,
}

impl<'a> Teller<'a> {
    fn new(at: At<'a>, ask: &'a BatchAsk, part: Part) -> Self {
        let through = at.offer.is_same(ask.task) && at.offer.wire().has_same_lines(ask.form);
        Self {
            at,
            ask,
            part,
            through,
            count: 0,
        }
    }

    fn line(&mut self, run: &mut Run, attempt: &Attempt, frame: &Frame) -> Result<(), Failure> {
        if !frame.has_data {
            return Ok(());
        }
        match self.at.offer.wire().parse_line(&frame.data) {
            Ok(result) => {
                self.tell(run, attempt, result, Some(&frame.data));
                Ok(())
            }
            // What is no result is the consumer's own file.
            Err(_) if self.through => {
                run.out.write(&frame.data);
                run.out.write(b"\n");
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    fn tell(&mut self, run: &mut Run, attempt: &Attempt, result: BatchResult, raw: Option<&Bytes>) {
        self.count += 1;
        let is_answer = result.outcome.is_answer();
        if !self.part.has(is_answer) {
            return;
        }
        if let (true, Some(raw)) = (self.through, raw) {
            if let BatchOutcome::Replied { body, .. } = &result.outcome
                && is_answer
            {
                let read = self.read(body);
                self.record(run, attempt, &result.custom_id, read);
            }
            run.out.write(raw);
            if !raw.ends_with(b"\n") {
                run.out.write(b"\n");
            }
            return;
        }
        let result = self.mapped(run, attempt, result);
        let id = format!("batch_req_{}", self.count);
        let mut out = Vec::new();
        line::write(&mut out, &result, self.ask.form, &id);
        run.out.write(&out);
    }

    /// A result in the consumer's wire.
    fn mapped(&self, run: &Run, attempt: &Attempt, result: BatchResult) -> BatchResult {
        let BatchResult { custom_id, outcome } = result;
        let is_answer = outcome.is_answer();
        let outcome = match outcome {
            BatchOutcome::Replied {
                status,
                body,
                request_id,
            } => {
                let (status, body) = if is_answer {
                    let read = self.read(&body);
                    let replied = self.answered(run, &custom_id, &read);
                    self.record(run, attempt, &custom_id, read);
                    replied
                } else {
                    self.refused(run, status, &body)
                };
                BatchOutcome::Replied {
                    status,
                    body,
                    request_id,
                }
            }
            BatchOutcome::Failed { code, message } => {
                let mut failure = Failure::upstream(FailureKind::Server, message);
                failure.code = code;
                self.at.upstream.scrub(&mut failure);
                BatchOutcome::Failed {
                    code: failure.code,
                    message: failure.message,
                }
            }
            BatchOutcome::Cancelled | BatchOutcome::Expired => outcome,
        };
        BatchResult { custom_id, outcome }
    }

    /// What an answer says.
    fn read(&self, body: &Bytes) -> Read {
        if self.ask.task == Task::Embeddings {
            let usage = llmleaf_dialects::batches::usage_of_vectors(body);
            return Read {
                usage,
                ..Read::default()
            };
        }
        let chat = self.at.offer.chat;
        let mut collector = Collector::new();
        let mut failure = None;
        for event in chat.parse_response(body) {
            if let Err(error) = collector.push(event) {
                failure = Some(*error);
            }
        }
        let response = collector.into_response();
        Read {
            usage: response.usage.clone(),
            model: response.start.model.clone(),
            response: Some(response),
            failure,
        }
    }

    fn answered(&self, run: &Run, custom_id: &str, read: &Read) -> (u16, Bytes) {
        let task = dialect(self.ask.task);
        if let Some(failure) = &read.failure {
            return self.told_failure(run, failure.clone());
        }
        let Some(response) = &read.response else {
            let message = "the provider's answer is not one of its wire";
            let failure = Failure::upstream(FailureKind::InvalidResponse, message);
            return self.told_failure(run, failure);
        };
        let context = ReplyContext {
            fallback_id: format!("{}-{custom_id}", run.job.request_id),
            request_id: run.job.request_id.to_string(),
            model: self.model(read.model.as_deref()).to_owned(),
            created: run.job.created,
            ..ReplyContext::default()
        };
        let reply = task.render_response(response, &context);
        (reply.status, reply.body.into())
    }

    fn refused(&self, run: &Run, status: u16, body: &Bytes) -> (u16, Bytes) {
        // Services tell it as a reply without a reply's headers.
        let failure = self.at.offer.chat.parse_error(status, &|_| None, body);
        self.told_failure(run, failure)
    }

    fn told_failure(&self, run: &Run, mut failure: Failure) -> (u16, Bytes) {
        self.at.upstream.scrub(&mut failure);
        let public = drive::public(&failure);
        let reply = dialect(self.ask.task).render_error(&public, &run.job.request_id);
        (reply.status, reply.body.into())
    }

    /// The model that the consumer asked, of those that the batch has.
    fn model(&self, upstream: Option<&str>) -> &'a str {
        let asked = asked(&self.ask.models, self.at.candidate.provider, upstream);
        asked.map_or("", |model| model.name.as_str())
    }

    /// One record for an answer, however often it is fetched: its name follows from the batch's and the request's.
    fn record(&self, run: &Run, attempt: &Attempt, custom_id: &str, read: Read) {
        let provider = &self.at.upstream.name;
        let own = run.job.owner.as_ref().map(|owner| owner.id.as_str());
        let own = self.ask.batch.as_deref().or(own).unwrap_or_default();
        let id = format!("{provider}/{own}/{custom_id}");
        let asked = asked(
            &self.ask.models,
            self.at.candidate.provider,
            read.model.as_deref(),
        );
        let model = asked.map_or("", |model| model.name.as_str());
        // Priced by what was asked for, as everywhere: an answer may name another form of it, or nothing that is known.
        let target = asked.and_then(|model| model.at(self.at.candidate.provider));
        let upstream = target.unwrap_or(&self.at.candidate.model);
        let usage: Option<Usage> = read.usage;
        attempt.batched(id, model, upstream, usage);
    }
}

/// The model that was asked, of those that a batch has at a provider, by what its answer calls itself.
fn asked<'a>(models: &'a [Destined], provider: usize, told: Option<&str>) -> Option<&'a Destined> {
    let Some(told) = told.filter(|_| models.len() > 1) else {
        return models.first();
    };
    // Services answer with the dated name of what was asked for.
    let fitting = models.iter().filter_map(|model| {
        let own = model.at(provider)?;
        told.starts_with(own).then_some((own.len(), model))
    });
    let longest = fitting.max_by_key(|(length, _)| *length);
    longest.map(|(_, model)| model).or_else(|| models.first())
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmleaf_route::Candidate;

    #[test]
    fn an_answer_counts_for_the_target_that_was_asked() {
        let model = |name: &str, own: &str| Destined {
            name: name.to_owned(),
            chain: vec![
                Candidate {
                    provider: 1,
                    model: "elsewhere".into(),
                },
                Candidate {
                    provider: 2,
                    model: own.into(),
                },
            ],
        };
        let models = [model("fast", "gpt-x"), model("smart", "gpt-x-pro")];
        let target = |models: &[Destined], told: Option<&str>| {
            let asked = asked(models, 2, told).expect("one of them");
            (asked.name.clone(), asked.at(2).map(str::to_owned))
        };
        let fast = ("fast".to_owned(), Some("gpt-x".to_owned()));
        let smart = ("smart".to_owned(), Some("gpt-x-pro".to_owned()));
        assert_eq!(target(&models, Some("gpt-x-2026-01-01")), fast);
        assert_eq!(target(&models, Some("gpt-x-pro-2026-01-01")), smart);
        assert_eq!(target(&models, None), fast);
        // Whatever the answer of the only one calls itself.
        assert_eq!(target(&models[1..], Some("some-snapshot")), smart);
    }
}

/// What was read of an answer.
#[derive(Default)]
struct Read {
    usage: Option<Usage>,
    model: Option<String>,
    response: Option<llmleaf_model::Response>,
    failure: Option<Failure>,
}
