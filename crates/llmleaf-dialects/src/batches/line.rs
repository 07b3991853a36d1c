//! The lines of results, as consumers read them.

use super::BatchForm;
use crate::writer::ObjectWriter;
use llmleaf_model::{BatchOutcome, BatchResult};

/// Writes a line. The body of a reply is in the consumer's own wire already.
pub fn write(out: &mut Vec<u8>, result: &BatchResult, form: BatchForm, id: &str) {
    match form {
        BatchForm::Files => openai(out, result, id),
        BatchForm::Messages => messages(out, result),
    }
    out.push(b'\n');
}

fn openai(out: &mut Vec<u8>, result: &BatchResult, id: &str) {
    let mut line = ObjectWriter::new(out);
    line.string("id", id);
    line.string("custom_id", &result.custom_id);
    let (code, message) = match &result.outcome {
        BatchOutcome::Replied {
            status,
            body,
            request_id,
        } => {
            line.object("response", |response| {
                response.number("status_code", u64::from(*status));
                response.string("request_id", request_id.as_deref().unwrap_or(id));
                response.raw("body", &String::from_utf8_lossy(body));
            });
            line.raw("error", "null");
            line.end();
            return;
        }
        BatchOutcome::Failed { code, message } => {
            (code.as_deref().unwrap_or("server_error"), message.as_str())
        }
        // The words of OpenAI's batch guide, read 2026-11.
        BatchOutcome::Cancelled => ("batch_cancelled", "The batch was cancelled before it."),
        BatchOutcome::Expired => (
            "batch_expired",
            "This request could not be executed before the completion window expired.",
        ),
    };
    line.raw("response", "null");
    line.object("error", |error| {
        error.string("code", code);
        error.string("message", message);
    });
    line.end();
}

fn messages(out: &mut Vec<u8>, result: &BatchResult) {
    let mut line = ObjectWriter::new(out);
    line.string("custom_id", &result.custom_id);
    line.object("result", |object| match &result.outcome {
        BatchOutcome::Replied { body, .. } if result.outcome.is_answer() => {
            object.string("type", "succeeded");
            object.raw("message", &String::from_utf8_lossy(body));
        }
        BatchOutcome::Replied { body, .. } => {
            object.string("type", "errored");
            object.raw("error", &String::from_utf8_lossy(body));
        }
        BatchOutcome::Failed { message, .. } => {
            object.string("type", "errored");
            object.object("error", |error| {
                error.string("type", "error");
                error.object("error", |inner| {
                    inner.string("type", "api_error");
                    inner.string("message", message);
                });
            });
        }
        BatchOutcome::Cancelled => {
            object.string("type", "canceled");
        }
        BatchOutcome::Expired => {
            object.string("type", "expired");
        }
    });
    line.end();
}
