//! The last exchanges of this node, of all its workers, with what is known of each: no word of a prompt or an answer, and no secret, because no
//! record has any.
//!
//! What is asked for may be narrowed. A name that is not known is refused: who mistypes one must not take all exchanges for those of a key.

use super::view;
use crate::app::App;
use crate::discovery::query::decode;
use crate::reply::{self, Reply};
use http::StatusCode;
use llmleaf_exchange::{End, EndRecord, explain};
use llmleaf_model::Failure;
use serde_json::{Value, json};
use std::sync::Arc;

/// Exchanges shown where the query says nothing.
const USUAL: usize = 50;
/// Most that can be asked for: all that are kept.
pub const MOST: usize = llmleaf_exchange::KEPT;

/// What the query may name beside `limit`, for the API's description too.
pub const FIELDS: &[(&str, &str)] = &[
    ("key", "Display name of the key."),
    ("model", "The model that was asked for."),
    ("route", "The route that led to the answer."),
    ("provider", "A provider that was tried."),
    (
        "request_id",
        "Id of the request, or the exchange's own (`id`).",
    ),
    (
        "outcome",
        "How it ended: a value of `end`, or `failed` for all that did not complete and were not left by their consumers.",
    ),
];

/// Whatever went wrong.
const FAILED: &str = "failed";

/// The exchanges that a query asks for, the newest first.
///
/// # Errors
/// The query names what is not known.
pub fn answer(app: &App, query: &str) -> Result<Reply, Failure> {
    let shown = chosen(&app.shared.ledger.recent(), query)?;
    Ok(reply::json(StatusCode::OK, &shown))
}

/// Those of the kept ones, the oldest first, that a query asks for.
fn chosen(kept: &[Arc<EndRecord>], query: &str) -> Result<Value, Failure> {
    let asked = Asked::parse(query)?;
    let fitting = kept.iter().rev().filter(|record| asked.takes(record));
    let all = fitting.clone().count();
    let shown: Vec<Value> = (fitting.take(asked.limit))
        .map(|record| one(record))
        .collect();
    Ok(json!({"exchanges": shown, "matching": all, "kept": kept.len()}))
}

/// An exchange with the records of its attempts, and how its targets were chosen.
fn one(record: &EndRecord) -> Value {
    let mut shown = view::exchange(record);
    if let Value::Object(fields) = &mut shown {
        let attempts: Vec<Value> = record.attempts.iter().map(view::record).collect();
        fields.insert("attempts".to_owned(), attempts.into());
        let trail = record.trail.as_ref().map(explain::trail);
        fields.insert("trail".to_owned(), trail.into());
    }
    shown
}

/// What is asked for.
#[derive(Debug)]
struct Asked {
    limit: usize,
    wanted: Vec<(&'static str, String)>,
}

impl Asked {
    fn parse(query: &str) -> Result<Self, Failure> {
        let mut asked = Self {
            limit: USUAL,
            wanted: Vec::new(),
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded = decode(&value.replace('+', " "));
            let decoded =
                decoded.ok_or_else(|| Failure::invalid("not percent-encoded UTF-8", Some(name)))?;
            if name == "limit" {
                asked.limit = limit(&decoded)?;
                continue;
            }
            let Some((known, _)) = FIELDS.iter().find(|(known, _)| *known == name) else {
                return Err(unknown(name));
            };
            if *known == "outcome" && !is_outcome(&decoded) {
                return Err(no_outcome());
            }
            asked.wanted.push((known, decoded));
        }
        Ok(asked)
    }

    fn takes(&self, record: &EndRecord) -> bool {
        let began = &record.began;
        self.wanted.iter().all(|(field, wanted)| match *field {
            "key" => *began.key == **wanted,
            "model" => *began.model == **wanted,
            "route" => record.route.as_deref() == Some(wanted),
            "provider" => (record.attempts.iter()).any(|tried| *tried.provider == **wanted),
            "request_id" => *began.request_id == **wanted || *began.id == **wanted,
            _ => ended(record.end, wanted),
        })
    }
}

fn ended(end: End, wanted: &str) -> bool {
    match wanted {
        FAILED => !matches!(end, End::Completed | End::Cancelled),
        name => end.as_str() == name,
    }
}

fn limit(text: &str) -> Result<usize, Failure> {
    let message = format!("`limit` must be a number from 1 to {MOST}");
    let number = text.parse().ok().filter(|n| (1..=MOST).contains(n));
    number.ok_or_else(|| Failure::invalid(message, Some("limit")))
}

/// Every value of `outcome`.
pub fn outcomes() -> impl Iterator<Item = &'static str> {
    let ends = End::ALL.iter().map(|end| end.as_str());
    ends.chain(std::iter::once(FAILED))
}

fn is_outcome(text: &str) -> bool {
    outcomes().any(|known| known == text)
}

fn no_outcome() -> Failure {
    let known: Vec<&str> = outcomes().collect();
    let message = format!("`outcome` must be one of {}", known.join(", "));
    Failure::invalid(message, Some("outcome"))
}

fn unknown(name: &str) -> Failure {
    let known: Vec<&str> = FIELDS.iter().map(|(known, _)| *known).collect();
    let message = format!(
        "this list is narrowed by {} and `limit`, and by nothing else",
        known.join(", ")
    );
    Failure::invalid(message, Some(name))
}

#[cfg(test)]
mod tests;
