//! Answers of providers, shown before their consumers get them.

use super::{Interceptor, Phase, Question, Said, Unasked, blocked, of_answers, of_any_answers};
use crate::service::Worker;
use bytes::Bytes;
use llmleaf_auth::Principal;
use llmleaf_dialects::Dialect;
use llmleaf_exchange::{Audio, Inspector, Looking, Operation, Opinion};
use llmleaf_model::Failure;
use serde_json::value::RawValue;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

/// Whose answer it is, and to what.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The exchange.
    pub id: &'a Arc<str>,
    /// Who asks.
    pub principal: &'a Principal,
    /// What is asked.
    pub operation: Operation,
    /// The wire of the answer.
    pub dialect: Dialect,
    /// It is to be a stream.
    pub stream: bool,
    /// It may be of any model.
    pub in_scope: bool,
}

/// Shows the answer to one request.
struct Shows {
    worker: Rc<Worker>,
    interceptor: Arc<Interceptor>,
    id: Arc<str>,
    key: Arc<str>,
    model: Box<str>,
    operation: &'static str,
    dialect: &'static str,
    stream: bool,
}

/// Who looks at the answer to a request for these models, the first of which is asked for; nobody, where it is out of scope or nothing that can
/// be shown: sound, a count of tokens, what is said of batches, and sessions, which nobody holds that is in scope.
pub fn looking<'m>(
    worker: &Rc<Worker>,
    asked: Asked<'_>,
    models: impl Iterator<Item = &'m str> + Clone,
) -> Option<Rc<dyn Inspector>> {
    match asked.operation {
        Operation::CountTokens | Operation::Realtime | Operation::Batch(_) => return None,
        Operation::Audio(Audio::Speech | Audio::Voices) => return None,
        _ => {}
    }
    let key = asked.principal.display();
    let any = asked.in_scope.then(|| of_any_answers(&worker.app, key));
    let interceptor = any.unwrap_or_else(|| of_answers(&worker.app, key, models.clone()))?;
    Some(Rc::new(Shows {
        worker: Rc::clone(worker),
        interceptor,
        id: Arc::clone(asked.id),
        key: Arc::clone(key),
        model: models.clone().next().unwrap_or_default().into(),
        operation: asked.operation.as_str(),
        dialect: asked.dialect.name().as_str(),
        stream: asked.stream,
    }))
}

impl Shows {
    async fn shown(&self, answer: &[u8]) -> Result<Said, Unasked> {
        let payload: &RawValue = serde_json::from_slice(answer)
            .map_err(|_| Unasked::Unfit("the answer is no JSON".to_owned()))?;
        let question = Question {
            phase: Phase::Response,
            id: &self.id,
            key: &self.key,
            model: &self.model,
            operation: self.operation,
            dialect: self.dialect,
            stream: self.stream,
            payload,
        };
        self.interceptor.ask(&self.worker, &question).await
    }

    fn unasked(&self, why: &Unasked) -> Result<(), Failure> {
        self.note(Err(why));
        self.interceptor.unasked(Phase::Response, why)
    }

    fn note(&self, outcome: Result<&'static str, &Unasked>) {
        self.interceptor
            .note(&self.worker.app, Phase::Response, outcome);
    }
}

impl Inspector for Shows {
    fn most(&self) -> usize {
        self.interceptor.most
    }

    fn look(&self, answer: Bytes) -> Looking<'_> {
        Box::pin(async move {
            match self.shown(&answer).await {
                Ok(Said::Pass) => {
                    self.note(Ok("pass"));
                    Ok(Opinion::Passes)
                }
                Ok(Said::Block(reason)) => {
                    self.note(Ok("block"));
                    Err(blocked(Phase::Response, reason.as_deref()))
                }
                // Whether it can take the place of the answer is found out first.
                Ok(Said::Instead(payload)) => Ok(Opinion::Instead(payload)),
                Err(why) => self.unasked(&why).map(|()| Opinion::Passes),
            }
        })
    }

    fn took(&self) {
        self.note(Ok("rewrite"));
    }

    fn too_large(&self) -> Result<(), Failure> {
        self.unasked(&Unasked::TooLarge(self.interceptor.most))
    }

    fn unfit(&self, why: &str) -> Result<(), Failure> {
        self.unasked(&Unasked::Unfit(why.to_owned()))
    }
}

impl fmt::Debug for Shows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shows(…)")
    }
}
