//! The answer on its way to the consumer.

use crate::batches::reading::Reading;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use llmleaf_auth::AuthError;
use llmleaf_dialects::Dialect;
use llmleaf_exchange::{Aborted, Exchange, UNAVAILABLE};
use llmleaf_model::{Failure, FailureKind, Origin, Retry};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A reply's body: whole, or an exchange that still runs. Dropping it ends the exchange.
pub enum ReplyBody {
    /// Whole; taken once.
    Whole(Option<Bytes>),
    /// Running.
    Running(Exchange),
    /// What is kept here of batches.
    Kept(Reading),
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(
                bytes
                    .take()
                    .filter(|b| !b.is_empty())
                    .map(|b| Ok(Frame::data(b))),
            ),
            Self::Running(exchange) => exchange
                .poll_chunk(cx)
                .map(|chunk| chunk.map(|c| c.map(Frame::data))),
            Self::Kept(reading) => reading
                .poll_piece(cx)
                .map(|piece| piece.map(|p| p.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
            Self::Running(_) | Self::Kept(_) => SizeHint::default(),
        }
    }
}

/// A reply.
pub type Reply = Response<ReplyBody>;

/// Waits for the head of an exchange's reply.
///
/// # Errors
/// It ended without one.
pub async fn begun(mut exchange: Exchange) -> Result<Reply, Failure> {
    let Some(head) = std::future::poll_fn(|cx| exchange.poll_head(cx)).await else {
        return Err(Failure::gateway(
            FailureKind::Internal,
            "the exchange ended without a reply",
        ));
    };
    let last = exchange.had_its_last_word();
    let body = match head.whole {
        Some(bytes) => ReplyBody::Whole(Some(bytes)),
        None => ReplyBody::Running(exchange),
    };
    let mut reply = Response::new(body);
    *reply.status_mut() = head.status;
    *reply.headers_mut() = head.headers;
    if last {
        reply.extensions_mut().insert(LastWord);
    }
    Ok(reply)
}

/// Marks a reply that stays what it is, or costs another answer, however often its request is repeated.
#[derive(Clone, Copy, Debug)]
pub struct LastWord;

/// A whole reply of this type and text.
pub fn whole(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(ReplyBody::Whole(Some(body.into())));
    *reply.status_mut() = status;
    reply
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    reply
}

/// A JSON reply.
pub fn json(status: StatusCode, value: &impl serde::Serialize) -> Reply {
    match serde_json::to_vec(value) {
        Ok(body) => whole(status, "application/json", body),
        Err(_) => whole(StatusCode::INTERNAL_SERVER_ERROR, "application/json", "{}"),
    }
}

/// A failure in the consumer's dialect.
pub fn failed(dialect: Dialect, failure: &Failure, request_id: &str) -> Reply {
    let rendered = dialect.render_error(failure, request_id);
    let status = StatusCode::from_u16(rendered.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut reply = whole(status, "application/json", rendered.body);
    let unseen = failure.code.as_deref() == Some(UNAVAILABLE);
    let last = unseen && failure.retry == Retry::Never;
    if last {
        reply.extensions_mut().insert(LastWord);
    }
    let headers = reply.headers_mut();
    match failure.kind {
        FailureKind::Authentication => {
            // Both schemes are taken; the challenge names them in one header each.
            headers.append(WWW_AUTHENTICATE, challenge(failure));
            headers.append(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"llmleaf\""),
            );
        }
        FailureKind::Permission if failure.code.as_deref() == Some(INSUFFICIENT) => {
            headers.append(WWW_AUTHENTICATE, challenge(failure));
        }
        FailureKind::Overloaded => {
            headers.insert(http::header::RETRY_AFTER, HeaderValue::from(soon()));
        }
        _ => {}
    }
    if let Some(wait) = failure.retry_after {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let seconds = HeaderValue::from(millis.div_ceil(1000));
        headers.insert(http::header::RETRY_AFTER, seconds);
        let name = HeaderName::from_static("retry-after-ms");
        headers.insert(name, HeaderValue::from(millis));
    }
    if last || !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS {
        headers.insert(
            HeaderName::from_static("x-should-retry"),
            HeaderValue::from_static("false"),
        );
    }
    reply
}

/// RFC 6750, section 3.1 (2012-10).
const INVALID: &str = "invalid_token";
const INSUFFICIENT: &str = "insufficient_scope";

/// What is wrong with a token, or that there may be one.
fn challenge(failure: &Failure) -> HeaderValue {
    let plain = HeaderValue::from_static("Bearer");
    let code = failure.code.as_deref();
    let Some(code) = code.filter(|code| [INVALID, INSUFFICIENT].contains(code)) else {
        return plain;
    };
    // What may stand in it, without escapes.
    let fits = |c: &char| matches!(c, ' '..='!' | '#'..='[' | ']'..='~');
    let told: String = failure.message.chars().filter(fits).collect();
    let value = format!("Bearer realm=\"llmleaf\", error=\"{code}\", error_description=\"{told}\"");
    HeaderValue::from_str(&value).unwrap_or(plain)
}

/// Seconds after which an overloaded node may be asked again: not the same for all, or all come back at once.
fn soon() -> u64 {
    1 + u64::from(crate::service::unix_now().subsec_micros() % 4)
}

/// A refused credential as a failure.
pub fn unauthorised(error: &AuthError) -> Failure {
    let kind = match error {
        AuthError::ModelNotAllowed { .. }
        | AuthError::ModelNotGranted { .. }
        | AuthError::InsufficientScope { .. }
        | AuthError::Blocked => FailureKind::Permission,
        AuthError::Suspended { .. } => FailureKind::RateLimit,
        AuthError::Overloaded
        | AuthError::IssuerUnavailable
        | AuthError::IdentityUnavailable
        | AuthError::VerdictsUnavailable => FailureKind::Overloaded,
        _ => FailureKind::Authentication,
    };
    let mut failure = Failure::new(Origin::Consumer, kind, error.message());
    failure.code = Some(error.code().to_owned());
    if let AuthError::Suspended { secs } = error {
        failure.retry_after = Some(std::time::Duration::from_secs(*secs));
    }
    failure
}

/// The headers every reply has.
pub fn finish(mut reply: Reply, dialect: Dialect, request_id: &str) -> Reply {
    let headers: &mut HeaderMap = reply.headers_mut();
    if let Ok(value) = HeaderValue::from_str(request_id) {
        if dialect == Dialect::Messages {
            headers.insert(HeaderName::from_static("request-id"), value.clone());
        }
        headers.insert(HeaderName::from_static("x-request-id"), value);
    }
    if let ReplyBody::Whole(Some(bytes)) = reply.body() {
        let length = HeaderValue::from(bytes.len());
        reply.headers_mut().insert(CONTENT_LENGTH, length);
    }
    reply
}
