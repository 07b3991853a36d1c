//! Requests about sound: forms that are sent on while they come, and what a query asks.

use super::forms::{is_form, unbounded};
use super::{Asked, Call};
use crate::inbound::{self, Streamed};
use crate::incoming::Incoming;
use crate::intercept::{self, Phase, Question};
use crate::reply::Reply;
use crate::{allowance, discovery, lease, routing, service};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request};
use llmleaf_auth::Principal;
use llmleaf_dialects::transcription;
use llmleaf_dialects::{Dialect, Head};
use llmleaf_exchange::upload::{Field, Form, Wanted, sound_tokens};
use llmleaf_exchange::{Audio, Job, Operation, Upload};
use llmleaf_framing::multipart::boundary;
use llmleaf_model::Failure;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// The dialect of these endpoints.
const DIALECT: Dialect = Dialect::ChatCompletions;

impl Call {
    /// Leads a request about sound on.
    pub(super) async fn audio(
        self,
        audio: Audio,
        principal: Principal,
        request: Request<Incoming>,
    ) -> Result<Reply, Failure> {
        let (parts, body) = request.into_parts();
        let query = parts.uri.query();
        match audio {
            Audio::Transcription(_) if is_form(&parts.headers) => {
                self.uploaded(audio, &principal, &parts.headers, body).await
            }
            Audio::Voices => {
                let model = (query.unwrap_or_default().split('&'))
                    .find_map(|field| field.strip_prefix("model="))
                    .and_then(discovery::query::decode);
                let missing = || Failure::invalid("the query names no `model`", Some("model"));
                let model = model.filter(|model| !model.is_empty());
                let head = Head::addressed(b"{}", model.ok_or_else(missing)?, false)?;
                let job = self
                    .job(audio, head, None, &principal, &parts.headers)
                    .await;
                self.begun(job, &principal).await
            }
            _ => {
                let most = self.worker.app.max_body_bytes;
                let body = inbound::read(&parts.headers, body, most).await?;
                let asked = Asked {
                    operation: Operation::Audio(audio),
                    dialect: DIALECT,
                    addressing: crate::registry::Addressing::Body,
                    model: None,
                    within: super::Within::Nothing,
                };
                self.asked(asked, principal, &parts.headers, query, body)
                    .await
            }
        }
    }

    /// A form with a file: read until it is known where it may go, then sent on while it comes.
    async fn uploaded(
        self,
        audio: Audio,
        principal: &Principal,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Result<Reply, Failure> {
        let app = &self.worker.app;
        let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let boundary = kind.and_then(boundary).ok_or_else(unbounded)?;
        let (source, length) = Streamed::new(headers, body, app.max_upload_bytes)?;
        let upload = Upload::new(Box::new(source), length, self.worker.node.room.clone());
        let wanted = Wanted {
            needed: "model",
            keeps: transcription::Request::reads,
            most: app.max_body_bytes,
        };
        let form = upload.form(&boundary, wanted).await?;
        let model = form.1.get("model").unwrap_or_default().to_owned();
        let head = Head::addressed(b"{}", model, false)?;
        let job = self
            .job(audio, head, Some(upload), principal, headers)
            .await;
        self.begun(job, principal).await
    }

    /// A request without a body that is held.
    async fn job(
        &self,
        audio: Audio,
        head: Head,
        upload: Option<Upload>,
        principal: &Principal,
        headers: &HeaderMap,
    ) -> Result<Result<(Job, Told), Box<Reply>>, Failure> {
        let app = &self.worker.app;
        let routing = routing::of(app, principal, DIALECT, &head, b"{}")?;
        let id = self.worker.ids.fresh(self.created.saturating_mul(1000));
        let operation = Operation::Audio(audio);
        let answered = intercept::Asked {
            id: &id,
            principal,
            operation,
            dialect: DIALECT,
            stream: upload.as_ref().is_some_and(streams),
            in_scope: false,
        };
        let inspector = intercept::looking(&self.worker, answered, std::iter::once(&*head.model));
        let tokens = match audio {
            Audio::Voices => 0,
            _ => {
                let asked = (operation, DIALECT);
                match self.tokens(asked, principal, &head, b"{}") {
                    0 => 0,
                    tokens => {
                        let length = upload.as_ref().and_then(Upload::length);
                        tokens.saturating_add(sound_tokens(length.unwrap_or_default()))
                    }
                }
            }
        };
        let (allowance, told) = match self.allowance(DIALECT, principal, tokens) {
            Ok(allowed) => allowed,
            Err(reply) => return Ok(Err(reply)),
        };
        // After its key's limits: who is at them asks nobody.
        if let Some(upload) = &upload {
            self.shown((operation, &*id), &head, upload, principal)
                .await?;
        }
        let allowance = lease::hold(app, principal, tokens, allowance).await?;
        let caller = routing.grant.principal();
        let job = Job {
            body: Bytes::from_static(b"{}"),
            upload,
            more: routing.more,
            preferences: routing.preferences,
            tokens,
            allowance,
            inspector,
            ..self.bare_job(
                (operation, DIALECT, head),
                (id, caller),
                routing.resolved,
                headers,
            )
        };
        Ok(Ok((job, told)))
    }

    /// Shows a form to whoever is to be asked about it: what it says, and what its file is called. The file itself is on its way.
    async fn shown(
        &self,
        (operation, id): (Operation, &str),
        head: &Head,
        upload: &Upload,
        principal: &Principal,
    ) -> Result<(), Failure> {
        let (key, model) = (principal.display(), &*head.model);
        let interceptor = intercept::of_requests(&self.worker.app, key, [model]);
        let (Some(interceptor), Some(form)) = (interceptor, upload.ahead()) else {
            return Ok(());
        };
        let payload = shape(&form.1);
        let question = Question {
            phase: Phase::Request,
            id,
            key,
            model,
            operation: operation.as_str(),
            dialect: DIALECT.name().as_str(),
            stream: streams(upload),
            payload: &payload,
        };
        let passes = interceptor.passes(&self.worker, &question);
        Box::pin(passes).await
    }

    /// Begins the exchange, unless the key's limits forbid it.
    async fn begun(
        self,
        job: Result<Result<(Job, Told), Box<Reply>>, Failure>,
        principal: &Principal,
    ) -> Result<Reply, Failure> {
        let (job, told) = match job? {
            Ok(allowed) => allowed,
            Err(reply) => return Ok(*reply),
        };
        let mut reply = self.begin(job, principal).await?;
        if let Some(figures) = told {
            allowance::tell(reply.headers_mut(), DIALECT, &figures, service::unix_now());
        }
        Ok(reply)
    }
}

/// Whether a form asks for a stream.
fn streams(upload: &Upload) -> bool {
    let form = upload.ahead();
    form.is_some_and(|form| form.1.get("stream") == Some("true"))
}

/// A form as JSON: a field that comes several times is a list.
fn shape(form: &Form) -> Box<RawValue> {
    let mut fields = Map::new();
    for Field { name, value } in &form.fields {
        let value = Value::from(value.as_str());
        match fields.get_mut(name) {
            None => {
                fields.insert(name.clone(), value);
            }
            Some(Value::Array(list)) => list.push(value),
            Some(known) => *known = Value::from(vec![known.take(), value]),
        }
    }
    let file = json!({"filename": form.filename, "content_type": form.content_type});
    fields.insert("file".to_owned(), file);
    serde_json::value::to_raw_value(&fields).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// Figures of the key's limits, where it has some.
type Told = Option<llmleaf_route::limits::Figures>;
