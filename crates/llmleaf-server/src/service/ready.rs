//! A request as it goes on: read, the answer that it speaks of found, routed, and shown to whoever is to be asked about it.

use super::{Asked, Call, Within};
use crate::intercept::{self, Interceptor, Phase, Question, Said, Unasked};
use crate::kept::{self, Turn};
use crate::realtime;
use crate::reply::Reply;
use crate::routing::{self, Routing};
use bytes::Bytes;
use llmleaf_auth::Principal;
use llmleaf_dialects::{Dialect, Head, speech, transcription};
use llmleaf_exchange::{Allowance, Audio, Inspector, Operation, Owner};
use llmleaf_model::Failure;
use llmleaf_route::limits::Figures;
use serde_json::value::RawValue;
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

/// One that whoever is asked about it lets go on, and what it holds of its key's limits.
pub(super) struct Passed {
    pub ready: Ready,
    /// Tokens that it is thought to use.
    pub tokens: u64,
    pub allowance: Option<Allowance>,
    /// Figures of the key's limits, where it has some.
    pub told: Option<Figures>,
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
    /// its consumer knows, and only if it could go on so: what is refused anyway is no interceptor's matter. So the key's limits come
    /// first; what goes on holds what it is thought to use by then.
    pub(super) async fn passed(
        &self,
        asked: &Asked<'_>,
        principal: &Principal,
        id: &str,
        body: Bytes,
    ) -> Result<Result<Passed, Box<Reply>>, Failure> {
        let ready = self.ready(asked, principal, body.clone())?;
        let key = principal.display();
        let interceptor = intercept::of_requests(&self.worker.app, key, ready.models());
        let payload = interceptor.as_ref().map(|_| intercept::shown(&body));
        let payload = payload.transpose()?;
        let tokens = self.thought(asked, &ready);
        // As its limits are now: what holds a connection for long was proven long ago.
        let limited = ready.routing.grant.principal();
        let (allowance, told) = match self.allowance(asked.dialect, limited, tokens) {
            Ok(allowed) => allowed,
            Err(reply) => return Ok(Err(reply)),
        };
        let mut passed = Passed {
            ready,
            tokens,
            allowance,
            told,
        };
        if let (Some(interceptor), Some(payload)) = (interceptor, payload) {
            let shown = (passed.ready, &body, payload);
            let asks = self.intercepted(&interceptor, (asked, principal, id), shown);
            // Boxed: every other request would carry its size about.
            passed.ready = Box::pin(asks).await?;
            passed.tokens = self.thought(asked, &passed.ready);
            if let Some(allowance) = &passed.allowance {
                allowance.think_again(passed.tokens);
            }
        }
        Ok(Ok(passed))
    }

    /// Tokens that a request is thought to use, where anything counts them.
    fn thought(&self, asked: &Asked<'_>, ready: &Ready) -> u64 {
        match asked.operation {
            // Counting uses none.
            Operation::CountTokens => 0,
            operation => {
                let principal = ready.routing.grant.principal();
                let told = (operation, ready.heard);
                self.tokens(told, principal, &ready.head, &ready.body)
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
        let sound = matches!(asked.operation, Operation::Audio(_));
        let streams = || written(&ready.head, &ready.body)[0].is_some();
        let answered = intercept::Asked {
            id,
            principal,
            operation: asked.operation,
            dialect: asked.dialect,
            // Sound is streamed as its own fields say.
            stream: ready.head.stream || sound && streams(),
            in_scope: false,
        };
        intercept::looking(&self.worker, answered, ready.models())
    }

    async fn intercepted(
        &self,
        interceptor: &Interceptor,
        (asked, principal, id): (&Asked<'_>, &Principal, &str),
        (ready, body, payload): (Ready, &Bytes, &RawValue),
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
            payload,
        };
        let said = interceptor.ask(&self.worker, &question).await;
        let came = match said {
            Ok(Said::Pass) => Ok(("pass", Ok(ready))),
            Ok(Said::Block(reason)) => {
                let failure = intercept::blocked(Phase::Request, reason.as_deref());
                Ok(("block", Err(failure)))
            }
            Ok(Said::Instead(payload)) => {
                match self.instead((asked, principal), (&ready, body), payload) {
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
                let goes_on = interceptor.unasked(Phase::Request, &why);
                goes_on.map(|()| ready)
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
        let sound = matches!(asked.operation, Operation::Audio(_));
        let otherwise = || written(&ready.head, &ready.body) != written(&before.head, &before.body);
        if ready.head.stream != before.head.stream
            || ready.heard != before.heard
            || sound && otherwise()
        {
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

/// How the answer to a request about sound is to be written; the first of it is whether it is a stream.
fn written<'b>(head: &Head, body: &'b [u8]) -> [Option<&'b str>; 3] {
    let text = llmleaf_dialects::head::checked(body).unwrap_or_default();
    let says = |field| head.value(text, field);
    let says_so = |field| says(field).filter(|value| !["false", "null"].contains(value));
    ["stream", "stream_format", "response_format"].map(says_so)
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
        Operation::Audio(Audio::Transcription(_)) => transcription::parse_json(text).map(drop),
        Operation::Audio(_) | Operation::Kept(_) | Operation::Batch(_) | Operation::Realtime => {
            Ok(())
        }
    }
}
