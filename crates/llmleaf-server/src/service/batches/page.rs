//! A page of a list that several providers have parts of: one provider's batches after another's.

use crate::reply::{self, Reply, ReplyBody};
use http::{HeaderName, HeaderValue, StatusCode};
use llmleaf_dialects::batches::BatchForm;
use llmleaf_model::Failure;
use serde::Deserialize;
use serde_json::value::RawValue;

/// What is gathered so far.
pub(super) struct Page {
    limit: usize,
    items: Vec<Box<RawValue>>,
    first: Option<String>,
    last: Option<String>,
    /// There are more than fit.
    pub more: bool,
    /// A provider that could not be asked, and what is told where none could.
    failed: usize,
    asked: usize,
    refusal: Option<Result<Reply, Failure>>,
}

/// A provider's part.
#[derive(Deserialize)]
struct Part {
    data: Vec<Box<RawValue>>,
    first_id: Option<String>,
    last_id: Option<String>,
    has_more: bool,
}

impl Page {
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            items: Vec::new(),
            first: None,
            last: None,
            more: false,
            failed: 0,
            asked: 0,
            refusal: None,
        }
    }

    /// How many still fit.
    pub fn left(&self) -> usize {
        self.limit.saturating_sub(self.items.len())
    }

    /// Takes a provider's part.
    pub fn take(&mut self, reply: Result<Reply, Failure>) {
        self.asked += 1;
        match reply.map(part) {
            Ok(Ok(part)) => {
                let room = self.left();
                self.more |= part.has_more || part.data.len() > room;
                self.first = self.first.take().or(part.first_id);
                self.last = part.last_id.or(self.last.take());
                self.items.extend(part.data.into_iter().take(room));
            }
            Ok(Err(reply)) => {
                self.failed += 1;
                self.refusal.get_or_insert(Ok(*reply));
            }
            Err(failure) => {
                self.failed += 1;
                self.refusal.get_or_insert(Err(failure));
            }
        }
    }

    /// The list. A provider that could not be asked is told of; where none could, that is the answer.
    pub fn reply(self, form: BatchForm) -> Result<Reply, Failure> {
        if self.failed == self.asked
            && let Some(refusal) = self.refusal
        {
            return refusal;
        }
        let object = match form {
            BatchForm::Files => "\"object\":\"list\",",
            BatchForm::Messages => "",
        };
        let list = serde_json::json!({
            "first_id": self.first,
            "last_id": self.last,
            "has_more": self.more,
        });
        let data = serde_json::to_string(&self.items).unwrap_or_default();
        let mut body = list.to_string();
        body.insert_str(1, &format!("{object}\"data\":{data},"));
        let mut reply = reply::whole(StatusCode::OK, "application/json", body);
        if self.failed > 0 {
            let text = format!("data: dropped ({} providers did not answer)", self.failed);
            if let Ok(value) = HeaderValue::from_str(&text) {
                let name = HeaderName::from_static("x-llmleaf-loss");
                reply.headers_mut().insert(name, value);
            }
        }
        Ok(reply)
    }
}

/// Reads a part; gives back what is none.
fn part(mut reply: Reply) -> Result<Part, Box<Reply>> {
    if reply.status() != StatusCode::OK {
        return Err(Box::new(reply));
    }
    let ReplyBody::Whole(Some(bytes)) = reply.body_mut() else {
        return Err(Box::new(reply));
    };
    match serde_json::from_slice(bytes) {
        Ok(part) => Ok(part),
        Err(_) => Err(Box::new(reply)),
    }
}
