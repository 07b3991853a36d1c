//! What an error looks like in each dialect.

use llmleaf_dialects::Dialect;
use llmleaf_testkit::http::Response;

/// An endpoint of every dialect.
pub const DOORS: &[(&str, Dialect)] = &[
    ("/v1/chat/completions", Dialect::ChatCompletions),
    ("/v1/responses", Dialect::Responses),
    ("/v1/messages", Dialect::Messages),
    (
        "/v1beta/models/demo:generateContent",
        Dialect::GenerateContent,
    ),
    ("/v2/chat", Dialect::CohereChat),
    ("/api/chat", Dialect::LINES),
];

/// What is wrong with the body of an error.
pub fn shape(dialect: Dialect, response: &Response) -> Option<String> {
    let body: serde_json::Value = match serde_json::from_slice(&response.body) {
        Ok(body) => body,
        Err(error) => return Some(format!("no JSON: {error}")),
    };
    let text = |value: &serde_json::Value| value.as_str().is_some_and(|text| !text.is_empty());
    let error = &body["error"];
    let fits = match dialect {
        Dialect::Messages => {
            body["type"] == "error" && text(&error["type"]) && text(&error["message"])
        }
        Dialect::GenerateContent => {
            error["code"] == response.status && text(&error["status"]) && text(&error["message"])
        }
        Dialect::CohereChat => text(&body["message"]),
        dialect if dialect.streams_lines() => text(error),
        _ => text(&error["message"]) && text(&error["type"]) && error.get("code").is_some(),
    };
    (!fits).then(|| "not of its dialect".to_owned())
}
