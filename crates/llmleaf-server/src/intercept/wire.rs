//! What is said to an interceptor, and what it answers.

use bytes::Bytes;
use llmleaf_control::Trouble;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// When it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Before a request goes to a provider.
    Request,
    /// Before an answer goes to its consumer.
    Response,
}

impl Phase {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
        }
    }
}

/// What is asked.
#[derive(Debug, Serialize)]
pub struct Question<'a> {
    /// When.
    pub phase: Phase,
    /// The exchange; its usage event has the same.
    pub id: &'a str,
    /// Who asks the model: the key's display name.
    pub key: &'a str,
    /// The model that is asked for.
    pub model: &'a str,
    /// What is asked of it.
    pub operation: &'a str,
    /// In which wire.
    pub dialect: &'a str,
    /// Whether the answer is to be a stream.
    pub stream: bool,
    /// The request, or the answer.
    pub payload: &'a RawValue,
}

impl Question<'_> {
    /// As it is sent.
    pub fn body(&self) -> Bytes {
        // What is written is text and JSON that was read: there is nothing that could fail.
        Bytes::from(serde_json::to_vec(self).unwrap_or_default())
    }
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It goes on as it is.
    Pass,
    /// It goes nowhere, and why.
    Block(Option<String>),
    /// That goes on in its place.
    Instead(Bytes),
}

#[derive(Deserialize)]
struct Answer<'a> {
    action: Action,
    #[serde(default)]
    reason: Option<String>,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Pass,
    Block,
    Rewrite,
}

/// Reads an answer.
///
/// # Errors
/// It is none.
pub fn read(body: &[u8]) -> Result<Said, Trouble> {
    let text = std::str::from_utf8(body).map_err(|_| shape("not UTF-8"))?;
    // What a parser says of a place quotes nothing of what was answered.
    let answer = serde_json::from_str::<Answer<'_>>(text);
    let answer = answer.map_err(|error| match error.is_data() {
        true => shape("`action` must be \"pass\", \"block\" or \"rewrite\", `reason` a text"),
        false => shape("no JSON object"),
    })?;
    match (answer.action, answer.payload) {
        (Action::Pass, _) => Ok(Said::Pass),
        (Action::Block, _) => Ok(Said::Block(answer.reason)),
        (Action::Rewrite, Some(payload)) => Ok(Said::Instead(Bytes::copy_from_slice(
            payload.get().as_bytes(),
        ))),
        (Action::Rewrite, None) => Err(shape("a \"rewrite\" needs a `payload`")),
    }
}

fn shape(why: &str) -> Trouble {
    Trouble::Shape(why.to_owned())
}
