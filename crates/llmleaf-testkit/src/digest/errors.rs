//! Errors, whose fault they were, read from status and body.

use crate::json::{self, Value};

/// What kind of error it is, across dialects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// 400, 422: the request is wrong.
    InvalidRequest,
    /// 401: no or a bad credential.
    Auth,
    /// 402: no money.
    Billing,
    /// 403: not allowed.
    Permission,
    /// 404: no such model or path.
    NotFound,
    /// 413, 414, 431: too large.
    TooLarge,
    /// 429: too many.
    RateLimit,
    /// 408, 504: took too long.
    Timeout,
    /// 500, 502 and other 5xx: the provider's fault.
    Server,
    /// 503, 529: cannot serve now.
    Overloaded,
    /// None of these.
    Other,
}

/// An error as a consumer can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorReading {
    /// What kind.
    pub class: ErrorClass,
    /// HTTP status; for an error within a stream the status its body names, if any.
    pub status: Option<u16>,
    /// The dialect's `type`.
    pub kind: String,
    /// The dialect's `code`, numbers as text.
    pub code: String,
    /// The parameter at fault.
    pub param: String,
    /// The message.
    pub message: String,
}

/// Reads an error of the OpenAI chat wire in every shape seen: `{"error":{…}}`, xAI's and others' `{"code","error":"text"}`,
/// Mistral's flat object, `{"detail":…}` and `{"message"}`, and bodies that are no JSON. `status` is the HTTP
/// status, `None` within a stream.
#[must_use]
pub fn openai_error(status: Option<u16>, body: &str) -> ErrorReading {
    let value = json::parse(body).unwrap_or(Value::Null);
    openai_error_value(status, &value, body)
}

pub(super) fn openai_error_value(status: Option<u16>, value: &Value, body: &str) -> ErrorReading {
    let inner = match value.at(&["error"]) {
        Some(object @ Value::Object(_)) => object,
        _ => value,
    };
    let named = [
        inner.get("status_code"),
        inner.get("status"),
        inner.get("code"),
    ]
    .into_iter()
    .flatten()
    .find_map(|value| value.as_u64().and_then(|code| u16::try_from(code).ok()))
    .filter(|code| (400..600).contains(code));
    let message = [
        inner.get("message"),
        inner.get("error"),
        inner.get("detail"),
    ]
    .into_iter()
    .flatten()
    .find(|value| value.is_truthy())
    .map_or_else(|| body.to_owned(), plain);
    finish_reading(status, named, inner, message)
}

/// Reads an error of the Anthropic wire: `{"type":"error","error":{"type","message"}}`. `status` is the HTTP status,
/// `None` within a stream.
#[must_use]
pub fn anthropic_error(status: Option<u16>, body: &str) -> ErrorReading {
    let value = json::parse(body).unwrap_or(Value::Null);
    let inner = value.at(&["error"]).unwrap_or(&value);
    let message = inner.get("message").map_or_else(|| body.to_owned(), plain);
    finish_reading(status, None, inner, message)
}

/// Reads an error of Google's APIs: `{"error":{"code","message","status"}}`, also inside an array.
#[must_use]
pub fn google_error(status: Option<u16>, body: &str) -> ErrorReading {
    let value = json::parse(body).unwrap_or(Value::Null);
    let value = match &value {
        Value::Array(items) => items.first().unwrap_or(&Value::Null),
        one => one,
    };
    let inner = value.at(&["error"]).unwrap_or(value);
    let named = inner
        .get("code")
        .and_then(Value::as_u64)
        .and_then(|code| u16::try_from(code).ok());
    let message = inner.get("message").map_or_else(|| body.to_owned(), plain);
    finish_reading(
        status,
        named.filter(|code| (400..600).contains(code)),
        inner,
        message,
    )
}

/// Reads an error of Cohere's: `{"message","id"}`, with its kind in the status.
#[must_use]
pub fn cohere_error(status: Option<u16>, body: &str) -> ErrorReading {
    let value = json::parse(body).unwrap_or(Value::Null);
    let message = value.get("message").map_or_else(|| body.to_owned(), plain);
    finish_reading(status, None, &value, message)
}

fn finish_reading(
    status: Option<u16>,
    named: Option<u16>,
    inner: &Value,
    message: String,
) -> ErrorReading {
    let part = |key: &str| inner.at(&[key]).map(plain).unwrap_or_default();
    let (kind, code) = (part("type"), part("code"));
    let status = status.filter(|status| *status >= 400).or(named);
    let class = match status {
        Some(status) => by_status(status),
        None => by_word(&code)
            .or_else(|| by_word(&kind))
            .unwrap_or(ErrorClass::Other),
    };
    ErrorReading {
        class,
        status,
        param: part("param"),
        kind,
        code,
        message,
    }
}

/// Text as it is, anything else as its JSON.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn by_status(status: u16) -> ErrorClass {
    match status {
        400 | 422 => ErrorClass::InvalidRequest,
        401 => ErrorClass::Auth,
        402 => ErrorClass::Billing,
        403 => ErrorClass::Permission,
        404 => ErrorClass::NotFound,
        408 | 504 => ErrorClass::Timeout,
        413 | 414 | 431 => ErrorClass::TooLarge,
        429 => ErrorClass::RateLimit,
        503 | 529 => ErrorClass::Overloaded,
        500..=599 => ErrorClass::Server,
        _ => ErrorClass::Other,
    }
}

/// The slugs of both dialects, for errors that come without a status.
fn by_word(word: &str) -> Option<ErrorClass> {
    let class = match word {
        "invalid_api_key" | "authentication_error" => ErrorClass::Auth,
        "billing_error" => ErrorClass::Billing,
        "permission_error" | "permission_denied" => ErrorClass::Permission,
        "not_found_error" | "model_not_found" => ErrorClass::NotFound,
        "request_too_large" => ErrorClass::TooLarge,
        // `insufficient_quota` comes with 429.
        "rate_limit_error" | "rate_limit_exceeded" | "insufficient_quota" => ErrorClass::RateLimit,
        "timeout_error" | "upstream_timeout" => ErrorClass::Timeout,
        "overloaded_error" | "server_overloaded" => ErrorClass::Overloaded,
        "api_error"
        | "server_error"
        | "internal_server_error"
        | "upstream_error"
        | "upstream_truncated"
        | "upstream_invalid" => ErrorClass::Server,
        "invalid_request_error" | "tool_use_failed" | "context_length_exceeded" => {
            ErrorClass::InvalidRequest
        }
        _ => return None,
    };
    Some(class)
}
