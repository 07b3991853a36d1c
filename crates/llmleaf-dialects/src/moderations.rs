//! Moderation: the forms that consumers speak and what services make of them.
//!
//! OpenAI's form (its OpenAPI document 2.3.0, `/moderations`) and Mistral's two (its OpenAPI document 1.0.0, `/moderations` and
//! `/chat/moderations`) differ in little: Mistral judges no pictures, judges conversations as well, has categories of its own, and does
//! not say `flagged`. So a body of the endpoint's own form goes through, but for named edits, and what one form has and the other has not
//! is rendered. Names of categories stay as the service writes them: to call one by another's name would be a verdict of our own.
//!
//! Reading order: this file, `moderations/request.rs`, `moderations/answer.rs`.

mod answer;
mod request;

use crate::{Head, Rendered};
use bytes::Bytes;
use llmleaf_model::{Failure, FailureKind, ModerationRequest, Moderations, Retry};
use serde::Deserialize;

/// The model that is meant where a request names none (OpenAI's document).
pub const UNNAMED: &str = "omni-moderation-latest";

/// The form of a consumer's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModerationForm {
    /// `POST /v1/moderations`: texts, and pictures beside a text.
    Inputs,
    /// `POST /v1/chat/moderations`: conversations.
    Conversations,
}

impl ModerationForm {
    /// Parses a request. `model` is the one that is meant.
    ///
    /// # Errors
    /// The body does not say what a request needs; the failure names the field.
    pub fn parse_request(self, body: &str, model: &str) -> Result<ModerationRequest, Failure> {
        request::parse(self, body, model)
    }

    /// Renders an answer.
    pub fn render(self, answer: &Moderations, request: &ModerationRequest) -> Vec<u8> {
        answer::render(answer, request)
    }
}

/// How a service differs from OpenAI's form.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "snake_case")]
pub struct ModerationWire {
    /// It judges pictures, and several parts together.
    pub parts: bool,
    /// It judges conversations, on a path of its own.
    pub conversations: bool,
    /// A verdict says `flagged`. Else it is whether any of its categories applies.
    pub flags: bool,
}

impl ModerationWire {
    /// As OpenAI documents it.
    pub const REFERENCE: Self = Self {
        parts: true,
        conversations: false,
        flags: true,
    };

    /// Whether the service takes a body of that form.
    pub fn is_same(&self, form: ModerationForm) -> bool {
        form == ModerationForm::Inputs || self.conversations
    }

    /// Splices the model's name into a body of the same form.
    ///
    /// # Errors
    /// The service cannot do what is asked (kind `Unsupported`: the next target may).
    pub fn edit(
        &self,
        head: &Head,
        body: &Bytes,
        request: &ModerationRequest,
        model: &str,
    ) -> Result<Rendered, Failure> {
        request::edit(self, head, body, request, model)
    }

    /// Renders a parsed request in OpenAI's form.
    ///
    /// # Errors
    /// The service cannot do what is asked (kind `Unsupported`: the next target may).
    pub fn render_request(
        &self,
        request: &ModerationRequest,
        model: &str,
    ) -> Result<Rendered, Failure> {
        request::render(self, request, model)
    }

    /// Reads an answer, and that it has a verdict for each input. Edits what its consumer's form has and the service's has not.
    ///
    /// # Errors
    /// It is none (kind `InvalidResponse`: the next target may do better).
    pub fn parse_answer(
        &self,
        body: &[u8],
        form: ModerationForm,
        request: &ModerationRequest,
    ) -> Result<Moderations, Failure> {
        let flags = !self.flags && form == ModerationForm::Inputs;
        answer::parse(body, flags, request)
    }

    /// The answer for a consumer of the same form: as it came, but that verdicts on inputs say `flagged`.
    pub fn pass(&self, form: ModerationForm, body: Bytes) -> Bytes {
        let flags = !self.flags && form == ModerationForm::Inputs;
        match flags.then(|| answer::flagging(&body)).flatten() {
            Some(flagged) => Bytes::from(flagged),
            None => body,
        }
    }
}

impl Default for ModerationWire {
    fn default() -> Self {
        Self::REFERENCE
    }
}

fn broken(why: impl Into<String>) -> Failure {
    Failure::upstream(FailureKind::InvalidResponse, why)
}

/// The target cannot do this; another may.
fn unsupported(why: &str) -> Failure {
    let mut failure = Failure::invalid(format!("`input`: {why}"), Some("input"));
    failure.kind = FailureKind::Unsupported;
    failure.retry = Retry::NextTarget;
    failure
}

#[cfg(test)]
mod tests;
