//! Asking a controller about requests and answers before they go on: `[control.intercept]`.
//!
//! Whoever is asked sees what the consumer wrote, in the consumer's own wire, and says whether it passes, is blocked, or is to be
//! something else. It is asked before a provider is chosen, so no credential of one is near. A request asks in its own task, by its
//! worker's own connections: nothing is spawned, and whoever hangs up ends the question.
//!
//! Reading order: this file (who is in scope, and what an outage means), `intercept/wire.rs` (what is said and heard), `intercept/once.rs` (bodies with two readings),
//! `intercept/answers.rs` (answers of providers).

mod answers;
mod once;
mod wire;

use crate::app::{App, BuildError};
use crate::control;
use crate::service::Worker;
use crate::ways::{self, Way};
use bytes::Bytes;
use llmleaf_auth::ModelPatterns;
use llmleaf_auth::models::MAX_MODEL_BYTES;
use llmleaf_config::{Config, InterceptPhase, OnError};
use llmleaf_control::Endpoint;
use llmleaf_dialects::preferences;
use llmleaf_exchange::UNAVAILABLE;
use llmleaf_model::{Failure, FailureKind, Origin, Retry};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

pub use answers::{Asked, looking};
pub use wire::{Phase, Question, Said};

/// What an answer may have beside what takes the place of something: reason, names, white space.
const AROUND_BYTES: usize = 64 * 1024;
/// Most characters of a reason that a consumer is told.
const REASON: usize = 1000;

/// Whom to ask, about what.
pub struct Interceptor {
    endpoint: Endpoint,
    /// The way there.
    way: usize,
    requests: bool,
    responses: bool,
    /// Display names; `None` means everybody's.
    keys: Option<HashSet<Box<str>>>,
    models: Option<ModelPatterns>,
    /// What nobody can be asked about goes on.
    open: bool,
    /// Largest thing that is shown, or taken.
    most: usize,
    /// What is wrong, as far as it was told already.
    trouble: Mutex<Option<&'static str>>,
}

/// Why nothing came of a question. Says nothing of what was asked or answered.
#[derive(Debug, thiserror::Error)]
pub enum Unasked {
    /// It is larger than what is shown.
    #[error("it is larger than {0} bytes")]
    TooLarge(usize),
    /// The call failed.
    #[error("{0}")]
    Call(#[from] llmleaf_control::Trouble),
    /// It cannot be shown, or what is to take its place cannot.
    #[error("it does not fit: {0}")]
    Unfit(String),
    /// There is no way.
    #[error("there is no way to the interceptor")]
    NoWay,
}

impl Unasked {
    /// A stable word for it.
    fn kind(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "too_large",
            Self::Call(trouble) => trouble.kind(),
            Self::Unfit(_) => "unfit",
            Self::NoWay => "transport",
        }
    }
}

impl Interceptor {
    /// The one of a configuration, if it is asked about anything.
    ///
    /// # Errors
    /// It cannot be called.
    pub fn build(
        config: &Config,
        all: &mut Vec<Way>,
        before: &[Way],
    ) -> Result<Option<Arc<Self>>, BuildError> {
        let control = config.control.as_ref();
        let Some(intercept) = control.and_then(|control| control.intercept.as_ref()) else {
            return Ok(None);
        };
        let asks = |phase| intercept.phases.contains(&phase);
        if intercept.phases.is_empty() {
            return Ok(None);
        }
        let node = match control.and_then(|control| control.node.as_deref()) {
            Some(node) => node,
            None => control::run_name(),
        };
        let call = &intercept.call;
        let identity = call.client_certificate.as_ref();
        let ca = call.ca_file.as_deref();
        let (keys, models) = (&intercept.keys, &intercept.models);
        Ok(Some(Arc::new(Self {
            endpoint: control::endpoint("intercept", call, node)?,
            way: ways::beside(all, before, "control.intercept", (ca, identity))?,
            requests: asks(InterceptPhase::Request),
            responses: asks(InterceptPhase::Response),
            keys: (!keys.is_empty()).then(|| keys.iter().map(|key| key.as_str().into()).collect()),
            models: (!models.is_empty())
                .then(|| ModelPatterns::new(models.iter().map(String::as_str))),
            open: intercept.on_error == OnError::Allow,
            most: intercept.max_body_bytes,
            trouble: Mutex::default(),
        })))
    }

    /// Whether somebody's requests for a model are of interest.
    fn covers(&self, key: &str, model: &str) -> bool {
        let of_key = self.keys.as_ref().is_none_or(|keys| keys.contains(key));
        of_key && self.models.as_ref().is_none_or(|all| fits(all, model))
    }

    /// Asks, and counts what comes of it.
    ///
    /// # Errors
    /// Nothing came of it.
    pub async fn ask(&self, worker: &Worker, question: &Question<'_>) -> Result<Said, Unasked> {
        let began = Instant::now();
        let asked = self.call(worker, question).await;
        let telemetry = &worker.app.telemetry;
        telemetry.intercepted(question.phase.as_str(), began.elapsed());
        asked
    }

    async fn call(&self, worker: &Worker, question: &Question<'_>) -> Result<Said, Unasked> {
        if question.payload.get().len() > self.most {
            return Err(Unasked::TooLarge(self.most));
        }
        let pool = worker.node.pools.get(self.way).ok_or(Unasked::NoWay)?;
        let most = self.most.saturating_add(AROUND_BYTES);
        let (answer, body) = self.endpoint.post(pool, question.body(), most).await?;
        if !(200..300).contains(&answer.status) {
            return Err(llmleaf_control::Trouble::Status(answer.status).into());
        }
        let said = wire::read(&body)?;
        match &said {
            Said::Instead(payload) if payload.len() > self.most => {
                Err(Unasked::TooLarge(self.most))
            }
            _ => Ok(said),
        }
    }

    /// Asks about something in whose place nothing can be put.
    ///
    /// # Errors
    /// It may not go on.
    pub async fn passes(&self, worker: &Worker, question: &Question<'_>) -> Result<(), Failure> {
        let app = &worker.app;
        let why = match self.ask(worker, question).await {
            Ok(Said::Pass) => {
                self.note(app, question.phase, Ok("pass"));
                return Ok(());
            }
            Ok(Said::Block(reason)) => {
                self.note(app, question.phase, Ok("block"));
                return Err(blocked(question.phase, reason.as_deref()));
            }
            Ok(Said::Instead(_)) => {
                Unasked::Unfit("nothing can, of a file that is on its way".to_owned())
            }
            Err(why) => why,
        };
        self.note(app, question.phase, Err(&why));
        self.unasked(question.phase, &why)
    }

    /// What came of a question, at its end: counted, and told in the log where that is news.
    pub fn note(&self, app: &App, phase: Phase, outcome: Result<&'static str, &Unasked>) {
        let word = match outcome {
            Ok(word) => word,
            Err(why) => why.kind(),
        };
        app.telemetry.interception(phase.as_str(), word);
        let now = outcome.err().map(Unasked::kind);
        let before = std::mem::replace(&mut *self.trouble.lock(), now);
        match (outcome, before) {
            (Err(why), before) if before != now => {
                let goes_on = self.open;
                tracing::warn!(
                    phase = phase.as_str(), %why, goes_on,
                    "the interceptor cannot be asked; `on_error` decides"
                );
            }
            (Ok(_), Some(_)) => tracing::info!("the interceptor can be asked again"),
            _ => {}
        }
    }

    /// What becomes of what nobody could be asked about.
    ///
    /// # Errors
    /// It is refused: for good where it would be as unfit the next time, or where a provider has answered and would be paid again.
    pub fn unasked(&self, phase: Phase, why: &Unasked) -> Result<(), Failure> {
        match self.open {
            true => Ok(()),
            false => {
                let message =
                    "whoever must be asked about this cannot be asked now; try again shortly";
                let mut failure = Failure::gateway(FailureKind::Overloaded, message);
                failure.code = Some(UNAVAILABLE.to_owned());
                let stays = matches!(why, Unasked::TooLarge(_) | Unasked::Unfit(_));
                failure.retry = match stays || phase == Phase::Response {
                    true => Retry::Never,
                    // Nobody was asked, and the next time somebody may be.
                    false => Retry::NextTarget,
                };
                Err(failure)
            }
        }
    }
}

/// A name that is too long to be compared is one that may be meant.
fn fits(models: &ModelPatterns, model: &str) -> bool {
    model.len() > MAX_MODEL_BYTES
        || models.allow(model)
        || preferences::suffix(model).is_some_and(|(name, _)| models.allow(name))
}

/// What it is told that something is blocked.
pub fn blocked(phase: Phase, reason: Option<&str>) -> Failure {
    let reason: String = reason
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .take(REASON)
        .collect();
    let message = match (reason.trim(), phase) {
        ("", Phase::Request) => "this request is not allowed here",
        ("", Phase::Response) => "the answer to this request is not allowed here",
        (reason, _) => reason,
    };
    let mut failure = Failure::new(Origin::Consumer, FailureKind::Permission, message);
    let code = match phase {
        Phase::Request => "request_blocked",
        Phase::Response => "response_blocked",
    };
    failure.code = Some(code.to_owned());
    failure
}

/// Who is asked about requests of a key for one of these models.
pub fn of_requests<'m>(
    app: &App,
    key: &str,
    models: impl IntoIterator<Item = &'m str>,
) -> Option<Arc<Interceptor>> {
    let interceptor = app.interceptor.as_ref().filter(|i| i.requests)?;
    let mut models = models.into_iter();
    let covers = models.any(|model| interceptor.covers(key, model));
    covers.then(|| Arc::clone(interceptor))
}

/// Who is asked about answers to a key that one of these models may give.
pub fn of_answers<'m>(
    app: &App,
    key: &str,
    models: impl IntoIterator<Item = &'m str>,
) -> Option<Arc<Interceptor>> {
    let interceptor = app.interceptor.as_ref().filter(|i| i.responses)?;
    let mut models = models.into_iter();
    let covers = models.any(|model| interceptor.covers(key, model));
    covers.then(|| Arc::clone(interceptor))
}

/// Who is asked about answers to a key that any model may have given.
pub fn of_any_answers(app: &App, key: &str) -> Option<Arc<Interceptor>> {
    let interceptor = app.interceptor.as_ref().filter(|i| i.responses)?;
    concerns(app, key).then(|| Arc::clone(interceptor))
}

/// Whether anything is to be shown of what a key asks these models, or is answered.
pub fn is_of_interest<'m>(app: &App, key: &str, models: impl IntoIterator<Item = &'m str>) -> bool {
    let Some(interceptor) = &app.interceptor else {
        return false;
    };
    let mut models = models.into_iter();
    models.any(|model| interceptor.covers(key, model))
}

/// Whether anything at all of a key is to be shown.
pub fn concerns(app: &App, key: &str) -> bool {
    let interceptor = app.interceptor.as_ref();
    let keys = interceptor.map(|interceptor| &interceptor.keys);
    keys.is_some_and(|keys| keys.as_ref().is_none_or(|keys| keys.contains(key)))
}

/// A body as it is shown.
///
/// # Errors
/// It is no JSON, or could be read in two ways.
pub fn shown(body: &Bytes) -> Result<&serde_json::value::RawValue, Failure> {
    let text = llmleaf_dialects::head::text(body)?;
    let shown = serde_json::from_str(text);
    let shown = shown.map_err(|error| llmleaf_dialects::head::invalid_json(&error))?;
    match once::says_once(text) {
        true => Ok(shown),
        false => {
            let message = "an object in the body names a field twice, or has too many: it could be read otherwise than whoever is asked about it does";
            Err(Failure::invalid(message, None))
        }
    }
}

#[cfg(test)]
mod tests;
