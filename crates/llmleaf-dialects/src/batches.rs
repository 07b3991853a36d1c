//! Batches: the forms in which consumers hand over many requests at once, and those in which providers take them.
//!
//! The requests and answers inside a batch are those of the chat wires; what is here is only what lies around them: the list or the file
//! that they come in, the object that says how far it is, and the lines of the results.
//!
//! Reading order: [`items`] (what a consumer hands over), [`object`] and [`line`] (what it is told), `reading.rs` (fields as services write
//! them), then the four forms that services speak: [`files`] (OpenAI's and its kin, by files), `messages.rs` (Anthropic's), `generate.rs`
//! (Gemini's), `added.rs` (requests are added to a batch that exists).

pub mod added;
pub mod files;
mod generate;
pub mod items;
pub mod line;
mod messages;
pub mod object;
mod reading;
#[cfg(test)]
mod tests;

pub use files::FilesQuirks;
pub use items::{Item, Order};

use crate::Dialect;
use crate::writer;
use bytes::Bytes;
use llmleaf_model::{Batch, BatchResult, Failure, FailureKind, percent};
use serde::Deserialize;

/// The surface that a consumer uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BatchForm {
    /// OpenAI's: a file of lines, or the same requests in the body itself.
    Files,
    /// Anthropic's.
    Messages,
}

/// What the requests of a batch ask for, and so the wire that they are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// Chat Completions.
    Chat,
    /// Responses.
    Responses,
    /// Messages.
    Messages,
    /// OpenAI's embeddings.
    Embeddings,
    /// Gemini's `generateContent`; only services are asked so.
    GenerateContent,
}

impl Task {
    /// Its path, as batches name it.
    pub fn endpoint(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
            Self::Messages => "/v1/messages",
            Self::Embeddings => "/v1/embeddings",
            Self::GenerateContent => "",
        }
    }

    /// What a path asks for, with and without the version in front.
    pub fn of(endpoint: &str) -> Option<Self> {
        let bare = endpoint.strip_prefix("/v1").unwrap_or(endpoint);
        let all = [Self::Chat, Self::Responses, Self::Embeddings];
        let mut all = all.into_iter();
        all.find(|task| task.endpoint().strip_prefix("/v1") == Some(bare))
    }

    /// The wire of chat that it is; vectors are none.
    pub fn dialect(self) -> Option<Dialect> {
        match self {
            Self::Chat => Some(Dialect::ChatCompletions),
            Self::Responses => Some(Dialect::Responses),
            Self::Messages => Some(Dialect::Messages),
            Self::GenerateContent => Some(Dialect::GenerateContent),
            Self::Embeddings => None,
        }
    }

    /// The same, the other way about.
    pub fn of_dialect(dialect: Dialect) -> Option<Self> {
        match dialect {
            Dialect::ChatCompletions => Some(Self::Chat),
            Dialect::Responses => Some(Self::Responses),
            Dialect::Messages => Some(Self::Messages),
            Dialect::GenerateContent => Some(Self::GenerateContent),
            Dialect::Ollama(_) | Dialect::CohereChat | Dialect::TextCompletions => None,
        }
    }

    /// A letter for it, in names that are told.
    pub fn letter(self) -> char {
        match self {
            Self::Chat => 'c',
            Self::Responses => 'r',
            Self::Messages => 'm',
            Self::Embeddings => 'e',
            Self::GenerateContent => 'g',
        }
    }

    /// The task of a letter.
    pub fn of_letter(letter: char) -> Option<Self> {
        let all = [
            Self::Chat,
            Self::Responses,
            Self::Messages,
            Self::Embeddings,
        ];
        all.into_iter().find(|task| task.letter() == letter)
    }

    /// The surface on which such batches are spoken of.
    pub fn form(self) -> BatchForm {
        match self {
            Self::Messages => BatchForm::Messages,
            _ => BatchForm::Files,
        }
    }
}

/// What the parts of a batch are told under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The batch.
    Batch,
    /// The file that its requests came in.
    Input,
    /// Its answers.
    Output,
    /// What went wrong with single requests.
    Errors,
}

/// Gives the things of a provider the names under which a consumer knows them.
pub type Naming<'a> = &'a dyn Fn(Kind, &str) -> String;

/// The form that a provider speaks, with that provider's variations of it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchWire {
    /// OpenAI's: files of lines go in and come out.
    Files(FilesQuirks),
    /// Anthropic's: the requests in the body, the results as lines.
    Messages,
    /// Gemini's: the requests in the body, the results in the object.
    GenerateContent,
    /// xAI's: requests are added to a batch that exists, results come by pages.
    Added,
}

/// What is said when a batch is made, beside its requests.
#[derive(Clone, Debug, Default)]
pub struct Making<'a> {
    /// The model's name at the provider; the first one's, where there are several.
    pub model: &'a str,
    /// The path that the requests are for.
    pub endpoint: &'a str,
    /// How long it may take.
    pub window: Option<&'a str>,
    /// What the consumer attached.
    pub labels: &'a [(String, String)],
    /// What the gateway attaches.
    pub mark: &'a str,
}

impl BatchWire {
    /// Whether its batches take such requests.
    pub fn takes(&self, task: Task) -> bool {
        match self {
            Self::Files(quirks) => quirks.takes(task),
            Self::Messages => task == Task::Messages,
            Self::GenerateContent => task == Task::GenerateContent,
            Self::Added => task == Task::Chat,
        }
    }

    /// Whether all requests of a batch must be for one model.
    pub fn is_of_one_model(&self) -> bool {
        // OpenAI: "each input file can only include requests to a single model"; Mistral and Gemini say the model once.
        matches!(self, Self::Files(_) | Self::GenerateContent)
    }

    /// What it asks of a consumer's name for a request; `None` where it is content.
    pub fn objection(&self, custom_id: &str) -> Option<&'static str> {
        // MessageBatchIndividualRequestParams of the vendor's document, 2026-08.
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let fits = custom_id.len() <= 64 && custom_id.chars().all(plain);
        (matches!(self, Self::Messages) && !fits).then_some(
            "the provider takes 1 to 64 letters, digits, hyphens and underscores for `custom_id`",
        )
    }

    /// Most requests that a batch takes.
    pub fn most(&self) -> usize {
        match self {
            // Batch guide of OpenAI, read 2026-11: 50,000; its kin take no more.
            Self::Files(_) => 50_000,
            // Batches guide of Anthropic, read 2026-11: 100,000 or 256 MB.
            Self::Messages => 100_000,
            Self::GenerateContent | Self::Added => 50_000,
        }
    }

    /// Writes one request, as it stands in the list or file. `body` is in the provider's own wire.
    pub fn write_item(&self, out: &mut Vec<u8>, custom_id: &str, endpoint: &str, body: &[u8]) {
        match self {
            Self::Files(quirks) => files::write_item(out, custom_id, endpoint, body, quirks),
            Self::Messages => messages::write_item(out, custom_id, body),
            Self::GenerateContent => generate::write_item(out, custom_id, body),
            Self::Added => added::write_item(out, custom_id, body),
        }
    }

    /// The body that makes a batch of the list of requests, or, by files, of the file's name.
    pub fn make(&self, making: &Making<'_>, input: &[u8]) -> Vec<u8> {
        match self {
            Self::Files(quirks) => files::make(making, &String::from_utf8_lossy(input), quirks),
            Self::Messages => messages::make(input),
            Self::GenerateContent => generate::make(making, input),
            Self::Added => added::make(making),
        }
    }

    /// Where a batch is stopped, behind its own address.
    pub fn cancel_tail(&self) -> &'static str {
        match self {
            Self::Files(_) | Self::Messages => "/cancel",
            Self::GenerateContent | Self::Added => ":cancel",
        }
    }

    /// Whether a batch can be forgotten.
    pub fn deletes(&self) -> bool {
        matches!(self, Self::Messages | Self::GenerateContent)
    }

    /// Reads a batch.
    ///
    /// # Errors
    /// It is none of this form.
    pub fn parse_batch(&self, body: &[u8]) -> Result<Batch, Failure> {
        let text = text(body)?;
        let batch = match self {
            Self::Files(quirks) => files::parse_batch(text, quirks),
            Self::Messages => messages::parse_batch(text),
            Self::GenerateContent => generate::parse_batch(text),
            Self::Added => added::parse_batch(text),
        };
        batch.ok_or_else(broken)
    }

    /// Whether a page of a list may begin behind a batch. Elsewhere it is told by a token that comes with the page before.
    pub fn lists_by_id(&self) -> bool {
        match self {
            Self::Files(quirks) => quirks.is_reference_object(),
            Self::Messages => true,
            Self::GenerateContent | Self::Added => false,
        }
    }

    /// Reads a page of a list of batches: the batches, and by what the next page is asked for. `asked` is what this one was asked by,
    /// as in [`Self::list_query`].
    ///
    /// # Errors
    /// It is none of this form.
    pub fn parse_list(
        &self,
        body: &[u8],
        asked: (Option<&str>, usize),
    ) -> Result<(Vec<Batch>, Option<String>), Failure> {
        let text = text(body)?;
        let list = match self {
            Self::Files(quirks) => files::parse_list(text, asked, quirks),
            Self::Messages => messages::parse_list(text),
            Self::GenerateContent => generate::parse_list(text),
            Self::Added => added::parse_list(text),
        };
        list.ok_or_else(broken)
    }

    /// The query of a page of a list.
    pub fn list_query(&self, after: Option<&str>, limit: usize) -> String {
        let (size, token) = match self {
            Self::Files(quirks) => return files::list_query(after, limit, quirks),
            Self::Messages => ("limit", "after_id"),
            Self::GenerateContent => ("pageSize", "pageToken"),
            Self::Added => ("limit", "pagination_token"),
        };
        match after {
            Some(after) => format!("{size}={limit}&{token}={}", percent::encode(after)),
            None => format!("{size}={limit}"),
        }
    }

    /// Reads one line of results.
    ///
    /// # Errors
    /// It is none of this form.
    pub fn parse_line(&self, line: &[u8]) -> Result<BatchResult, Failure> {
        let text = text(line)?;
        let result = match self {
            Self::Files(_) => files::parse_line(text),
            Self::Messages => messages::parse_line(text),
            Self::GenerateContent | Self::Added => None,
        };
        result.ok_or_else(broken)
    }

    /// Reads results that come together, and by what the next ones are asked for.
    ///
    /// # Errors
    /// It is none of this form.
    pub fn parse_page(&self, body: &[u8]) -> Result<(Vec<BatchResult>, Option<String>), Failure> {
        let text = text(body)?;
        let page = match self {
            Self::Added => added::parse_page(text),
            Self::GenerateContent => generate::parse_results(text).map(|all| (all, None)),
            Self::Files(_) | Self::Messages => None,
        };
        page.ok_or_else(broken)
    }

    /// Whether a consumer of that surface reads this provider's objects, but for names.
    pub fn is_same(&self, form: BatchForm) -> bool {
        match self {
            Self::Files(quirks) => form == BatchForm::Files && quirks.is_reference_object(),
            Self::Messages => form == BatchForm::Messages,
            Self::GenerateContent | Self::Added => false,
        }
    }

    /// Whether such a consumer reads its lines of results as they come.
    pub fn has_same_lines(&self, form: BatchForm) -> bool {
        match self {
            Self::Files(_) => form == BatchForm::Files,
            Self::Messages => form == BatchForm::Messages,
            Self::GenerateContent | Self::Added => false,
        }
    }
}

fn text(body: &[u8]) -> Result<&str, Failure> {
    std::str::from_utf8(body).map_err(|_| broken())
}

fn broken() -> Failure {
    let message = "the provider's answer about a batch is not one of its wire";
    Failure::upstream(FailureKind::InvalidResponse, message)
}

/// A list of requests, as a body: what is between the brackets.
pub fn joined(items: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(items.iter().map(|item| item.len() + 1).sum());
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(item);
    }
    out
}

/// The hours of a completion window: `24h`, `7d`.
pub fn window_hours(window: &str) -> Option<u64> {
    let (digits, unit) = window.split_at_checked(window.len().checked_sub(1)?)?;
    let count: u64 = digits.parse().ok()?;
    match unit {
        "h" => Some(count),
        "d" => count.checked_mul(24),
        _ => None,
    }
}

/// The usage that an answer of vectors reports.
pub fn usage_of_vectors(body: &[u8]) -> Option<llmleaf_model::Usage> {
    let answer = crate::object::Object::parse(text(body).ok()?).ok()?;
    let usage = reading::inner(&answer, "usage")?;
    let input = reading::count(&usage, "prompt_tokens")?;
    Some(llmleaf_model::Usage {
        input,
        ..llmleaf_model::Usage::default()
    })
}

/// JSON on one line: in a file of lines a line break inside a value would end it.
pub fn one_line(body: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(body.len());
    writer::one_line(&mut out, &String::from_utf8_lossy(body));
    out.into()
}
