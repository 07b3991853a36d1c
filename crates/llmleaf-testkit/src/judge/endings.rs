//! I-4: a success is one, anything else says so and breaks the transport. I-7: and says it in the dialect's own form.

use super::{Attempt, Evidence, Exchange, Invariant, Report};
use crate::digest::{Digest, FinishClass};
use crate::http::End;
use crate::json::{self, Value};
use crate::replay::Ended;
use crate::samples::Wire;
use crate::sse;

const I: Invariant = Invariant::HonestEnd;

/// The types of error that Anthropic's OpenAPI document (2026-08) has; its clients know these.
const MESSAGES_ERRORS: &[&str] = &[
    "invalid_request_error",
    "authentication_error",
    "billing_error",
    "permission_error",
    "not_found_error",
    "request_too_large",
    "rate_limit_error",
    "timeout_error",
    "api_error",
    "overloaded_error",
];

pub(super) fn check(evidence: &Evidence, exchange: &Exchange, report: &mut Report) {
    let response = &exchange.response;
    match (response.status, response.end) {
        // Nothing came: the consumer went, or the program did.
        (0, _) => {}
        (200, _) if exchange.is_streamed() => stream(evidence, exchange, report),
        (200, End::Clean) => {
            let digest = exchange.digest();
            let good = digest.as_ref().is_some_and(|digest| digest.error.is_none());
            report.expect(good, I, &exchange.id, || {
                format!("a success that is none: {}", exchange.tail())
            });
            told_by_somebody(evidence, exchange, report);
        }
        (400.., _) => refusal(exchange, report),
        _ => {}
    }
}

fn stream(evidence: &Evidence, exchange: &Exchange, report: &mut Report) {
    let id = &exchange.id;
    let Some(digest) = exchange.digest() else {
        return;
    };
    if !exchange.whole {
        return;
    }
    let end = exchange.response.end;
    let ends_well = digest.terminal && digest.error.is_none() && has_finish(&digest);
    if end == End::Clean {
        report.expect(ends_well, I, id, || {
            format!(
                "an orderly end without the dialect's own: {}",
                exchange.tail()
            )
        });
        told_by_somebody(evidence, exchange, report);
    }
    if matches!(end, End::Cut | End::Reset) {
        report.expect(digest.error.is_some(), I, id, || {
            format!("cut without a word: {}", exchange.tail())
        });
    }
    report.expect(end != End::Malformed, I, id, || {
        format!("the framing is broken: {}", exchange.tail())
    });
    report.expect(digest.after_terminal == 0, I, id, || {
        format!("something after the end: {}", exchange.tail())
    });
    report.expect(!(digest.terminal && digest.error.is_some()), I, id, || {
        format!("an error and a success: {}", exchange.tail())
    });
    if digest.error.is_some() {
        in_band(exchange, report);
    }
}

/// Every answer says why it ended.
fn has_finish(digest: &Digest) -> bool {
    let mut choices = digest.choices.iter();
    !digest.choices.is_empty() && choices.all(|choice| choice.finish != FinishClass::None)
}

/// A success is one that a provider told.
fn told_by_somebody(evidence: &Evidence, exchange: &Exchange, report: &mut Report) {
    let mut made = evidence.attempts_of(exchange).peekable();
    if exchange.canary.is_none() || made.peek().is_none() {
        return;
    }
    let told = made.any(|attempt| !attempt.answer.is_whole() || is_success(attempt));
    report.expect(told, I, &exchange.id, || {
        format!("a success that no provider told: {}", exchange.tail())
    });
}

fn is_success(attempt: &Attempt) -> bool {
    let Some(digest) = attempt.digest() else {
        return false;
    };
    let by_finish =
        attempt.ends_with_finish && attempt.answer.ended == Ended::Complete && has_finish(&digest);
    digest.error.is_none() && (digest.terminal || by_finish)
}

/// An error reply in full.
fn refusal(exchange: &Exchange, report: &mut Report) {
    let response = &exchange.response;
    let id = &exchange.id;
    if response.end != End::Clean {
        return;
    }
    let mut fault = |what: &str| {
        report.expect(false, Invariant::Dialect, id, || {
            format!("{what}: {}", exchange.tail())
        });
    };
    let kind = response.header("content-type").unwrap_or_default();
    if !kind.starts_with("application/json") {
        fault("an error that is not called JSON");
    }
    if response.header("x-request-id").is_none() {
        fault("an error without a request id");
    }
    let body = std::str::from_utf8(&response.body).ok();
    match body.and_then(|text| json::parse(text).ok()) {
        Some(body) => {
            if let Some(what) = shape_fault(exchange.wire, &body) {
                fault(what);
            }
        }
        None => fault("an error that is no JSON"),
    }
}

/// The error within a stream: the last thing told, in the dialect's form.
fn in_band(exchange: &Exchange, report: &mut Report) {
    let stream = sse::parse(&exchange.response.body);
    let Some(last) = stream.events.last() else {
        return;
    };
    let value = json::parse(&last.data).unwrap_or(Value::Null);
    let named = match exchange.wire {
        Wire::Chat | Wire::Gemini => last.event.is_empty() || last.event == "message",
        Wire::Messages => last.event == "error",
        // The error is followed by the response as it failed, unless that never began.
        Wire::Responses => ["error", "response.failed"].contains(&&*last.event),
    };
    let what = match shape_fault(exchange.wire, &value) {
        None if named => return,
        None => "an error event without its name",
        Some(what) => what,
    };
    report.expect(false, Invariant::Dialect, &exchange.id, || {
        format!("{what}: {}", exchange.tail())
    });
}

/// What is wrong with an error's body.
fn shape_fault(wire: Wire, body: &Value) -> Option<&'static str> {
    let error = body.get("error")?;
    let text = |name: &str| matches!(error.get(name), Some(Value::String { text, .. }) if !text.is_empty());
    if !matches!(error, Value::Object(_)) {
        return Some("`error` is no object");
    }
    if !text("message") {
        return Some("an error without a message");
    }
    let class = match wire {
        Wire::Gemini => "status",
        _ => "type",
    };
    if !text(class) {
        return Some("an error without a type");
    }
    if wire == Wire::Messages {
        if body.text_at(&["type"]) != "error" {
            return Some("an error of another dialect");
        }
        if !MESSAGES_ERRORS.contains(&error.text_at(&["type"])) {
            return Some("a type of error that its clients do not know");
        }
    } else if body.text_at(&["type"]) == "error" {
        return Some("an error of another dialect");
    }
    None
}
