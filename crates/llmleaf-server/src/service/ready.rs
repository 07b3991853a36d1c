//! A request as it goes on: read, the answer that it speaks of found, routed, and shown to whoever is to be asked about it.

use super::{Asked, Call, Within};
use crate::intercept::{self, Interceptor, Phase, Question, Said, Unasked};
use crate::kept::{self, Turn};
use crate::realtime;
use crate::routing::{self, Routing};
use bytes::Bytes;
use llmleaf_auth::Principal;
use llmleaf_dialects::{Dialect, Head, speech};
use llmleaf_exchange::{Audio, Inspector, Operation, Owner};
use llmleaf_model::Failure;
use std::rc::Rc;
use std::sync::Arc;

/// A request that may go on.
pub(super) struct Ready {
    /// The dialect of the body.
    pub heard: Dialect,
    pub body: Bytes,
    pub head: Head,
    pub owner: Option<Box<Owner>>,
    pub routing: Routing,
    /// The models that it named before it was something else.
    before: Vec<String>,
}

impl Ready {
    /// The models that it names, and those that it named: the one that is asked for first.
    pub fn models(&self) -> impl Iterator<Item = &str> + Clone {
        let more = self.routing.preferences.iter().flat_map(|p| &p.models);
        std::iter::once(&self.head.model)
            .chain(more)
            .chain(&self.before)
            .map(String::as_str)
    }
}

impl Call {
    /// Reads a body and finds where it may go.
    fn ready(
        &self,
        asked: &Asked<'_>,
        principal: &Principal,
        body: Bytes,
    ) -> Result<Ready, Failure> {
        let app = &self.worker.app;
        let (head, heard) = asked.head(&body)?;
        let Turn { body, head, owner } = kept::turn(app, principal, heard, body, head)?;
        let mut routing = match asked.within {
            Within::PartOf(session) => routing::part(app, principal, session, &head.model)?,
            _ => routing::of(app, principal, heard, &head, &body)?,
        };
        if let Some(owner) = &owner {
            kept::narrow(&mut routing, owner)?;
        }
        if asked.within == Within::Session {
            realtime::only_chats(app, &mut routing);
        }
        Ok(Ready {
            heard,
            body,
            head,
            owner,
            routing,
            before: Vec::new(),
        })
    }

    /// The request as it goes on: as it came, or as whoever is asked about it wants it. It is shown as it came, under the names that
    /// its consumer knows, and only if it could go on so: what is refused anyway is no interceptor's matter.
    pub(super) async fn passed(
        &self,
        asked: &Asked<'_>,
        principal: &Principal,
        id: &str,
        body: Bytes,
    ) -> Result<Ready, Failure> {
        let ready = self.ready(asked, principal, body.clone())?;
        let key = principal.display();
        match intercept::of_requests(&self.worker.app, key, ready.models()) {
            None => Ok(ready),
            // Boxed: every other request would carry its size about.
            Some(interceptor) => {
                let shown = (ready, body);
                Box::pin(self.intercepted(&interceptor, (asked, principal, id), shown)).await
            }
        }
    }

    /// Who looks at the answer, if anybody is to.
    pub(super) fn inspector(
        &self,
        asked: &Asked<'_>,
        principal: &Principal,
        id: &Arc<str>,
        ready: &Ready,
    ) -> Option<Rc<dyn Inspector>> {
        let answered = intercept::Asked {
            id,
            principal,
            operation: asked.operation,
            dialect: asked.dialect,
            stream: ready.head.stream,
        };
        intercept::looking(&self.worker, answered, ready.models())
    }

    async fn intercepted(
        &self,
        interceptor: &Interceptor,
        (asked, principal, id): (&Asked<'_>, &Principal, &str),
        (ready, body): (Ready, Bytes),
    ) -> Result<Ready, Failure> {
        let app = &self.worker.app;
        let question = Question {
            phase: Phase::Request,
            id,
            key: principal.display(),
            model: &ready.head.model,
            operation: asked.operation.as_str(),
            dialect: ready.heard.name().as_str(),
            stream: ready.head.stream,
            payload: intercept::shown(&body)?,
        };
        let said = interceptor.ask(&self.worker, &question).await;
        let came = match said {
            Ok(Said::Pass) => Ok(("pass", Ok(ready))),
            Ok(Said::Block(reason)) => {
                let failure = intercept::blocked(Phase::Request, reason.as_deref());
                Ok(("block", Err(failure)))
            }
            Ok(Said::Instead(payload)) => {
                match self.instead((asked, principal), (&ready, &body), payload) {
                    Ok(other) => Ok(("rewrite", Ok(other))),
                    Err(why) => Err((why, ready)),
                }
            }
            Err(why) => Err((why, ready)),
        };
        match came {
            Ok((word, result)) => {
                interceptor.note(app, Phase::Request, Ok(word));
                result
            }
            Err((why, ready)) => {
                interceptor.note(app, Phase::Request, Err(&why));
                interceptor.unasked().map(|()| ready)
            }
        }
    }

    /// Another body in the place of one: a request of the same kind, for a model that the key may use, which is read as far as the one before
    /// could be.
    fn instead(
        &self,
        (asked, principal): (&Asked<'_>, &Principal),
        (before, body): (&Ready, &Bytes),
        payload: Bytes,
    ) -> Result<Ready, Unasked> {
        let unfit = |failure: Failure| Unasked::Unfit(failure.message);
        let mut ready = self
            .ready(asked, principal, payload.clone())
            .map_err(unfit)?;
        ready.before = before.models().map(str::to_owned).collect();
        if ready.head.stream != before.head.stream || ready.heard != before.heard {
            let why = "its consumer waits for another kind of answer";
            return Err(Unasked::Unfit(why.to_owned()));
        }
        let reads = |ready: &Ready, body: &Bytes| {
            read(asked.operation, ready.heard, &ready.head.model, body)
        };
        // What goes through as it is may hold what nobody here can read yet.
        match reads(&ready, &payload) {
            Err(failure) if reads(before, body).is_ok() => Err(unfit(failure)),
            _ => Ok(ready),
        }
    }
}

/// Reads a request whole.
fn read(operation: Operation, heard: Dialect, model: &str, body: &[u8]) -> Result<(), Failure> {
    let text = llmleaf_dialects::head::text(body)?;
    match operation {
        Operation::Chat => heard.parse_request(text).map(drop),
        Operation::CountTokens => heard.parse_count(text).map(drop),
        Operation::Embed(form) => form.parse_request(text, model).map(drop),
        Operation::Rerank(form) => form.parse_request(text, model).map(drop),
        Operation::Moderate(form) => form.parse_request(text, model).map(drop),
        Operation::Draw(form) => form.parse_request(text, model).map(drop),
        Operation::Audio(Audio::Speech) => speech::parse_request(text, model).map(drop),
        Operation::Audio(_) | Operation::Kept(_) | Operation::Batch(_) | Operation::Realtime => {
            Ok(())
        }
    }
}
