//! The decisions of an exchange, told: to the operator, and to a consumer who may ask for them and does.
//!
//! Whoever asks gets a header with every reply. Where a body is written here (an answer in another wire than its provider's, an error) it has
//! them too, as a member of its own, and a stream of events ends with them in a comment. Bytes that go through as they came stay as they are.
//!
//! What is told: names that the configuration gives, slugs, figures. No word of a provider, since that may quote what nobody is to see, and of
//! a credential its place.

use crate::drive::Run;
use crate::ledger::UsageRecord;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use llmleaf_prices::decimal;
use llmleaf_route::choice::Price;
use llmleaf_route::walk::trail::{Passed, Stop};
use llmleaf_route::{Millis, Trail};
use serde_json::{Map, Value, json};

/// The header that asks, and that tells.
pub static HEADER: HeaderName = HeaderName::from_static("x-llmleaf-explain");

/// The member of a body.
const MEMBER: &str = "x_llmleaf_explain";

/// Longest value of the header, in bytes: what stands between a consumer and us holds few kibibytes of headers.
const LONGEST: usize = 2048;
/// Longest name, in characters, in a header that is too long.
const NAME: usize = 64;

/// The decisions of a walk.
pub fn trail(trail: &Trail) -> Value {
    Value::Object(decisions(trail))
}

/// What a request is told that was refused before any target was looked at: the header, and a body of ours with the same.
pub fn refused(body: &[u8], why: &str) -> (Option<HeaderValue>, Vec<u8>) {
    let told = json!({"refused": why, "candidates": [], "attempts": []});
    (header(told.clone()), with_member(body.to_vec(), &told))
}

fn decisions(trail: &Trail) -> Map<String, Value> {
    let mut told = Told::default();
    let order = trail.order;
    told.add("strategy", order.strategy.as_str());
    told.some("asked", order.asked.then_some(true));
    told.some("affinity", order.followed.map(|why| why.as_str()));
    told.some("waited_ms", Some(trail.waited_ms).filter(|ms| *ms > 0));
    told.some("hedge", trail.hedge);
    let candidates: Vec<Value> = (trail.stops.iter())
        .map(|stop| candidate(stop, trail.began))
        .collect();
    told.add("candidates", candidates);
    told.0
}

fn candidate(stop: &Stop, began: Millis) -> Value {
    let verdict = match stop.passed {
        _ if stop.left_out.is_some() => "left_out",
        _ if stop.attempts > 0 => "tried",
        Some(_) => "passed_over",
        None => "not_needed",
    };
    let mut told = Told::default();
    told.add("provider", &*stop.provider);
    told.add("model", &*stop.model);
    told.add("verdict", verdict);
    if let Some(left_out) = stop.left_out {
        told.add("why", left_out.field());
    } else if let Some(Passed { why, at, until }) = stop.passed {
        told.add("why", why.as_str());
        told.add("at_ms", at.since(began));
        let ends = Some(until).filter(|until| *until != Millis::NEVER);
        told.some("until_ms", ends.map(|until| until.since(began)));
    }
    told.some("last_resort", stop.last_resort.then_some(true));
    told.some("attempts", Some(stop.attempts).filter(|n| *n > 1));
    told.some("group", Some(stop.group).filter(|group| *group > 0));
    told.some("usd_per_million", stop.price.map(price));
    told.0.into()
}

/// Dollars for a million tokens, as decimal numbers.
fn price(price: Price) -> Value {
    let mut told = Told::default();
    told.add("input", decimal::dollars(price.input));
    told.add("output", decimal::dollars(price.output));
    let request = Some(price.request).filter(|nano| *nano > 0);
    told.some("request", request.map(decimal::dollars));
    told.0.into()
}

fn attempt(record: &UsageRecord) -> Value {
    let mut told = Told::default();
    told.add("attempt", record.attempt);
    told.add("provider", &*record.provider);
    told.add("model", &*record.upstream_model);
    told.add("credential", record.credential);
    told.add("outcome", record.outcome.as_str());
    told.some("failure", record.failure);
    told.some("status", record.status);
    told.add("began_ms", record.began_ms);
    told.some("connect_ms", record.connect_ms);
    told.some("first_content_ms", record.first_content_ms);
    told.add("total_ms", record.total_ms);
    told.some("cost_usd", record.cost.nano_usd().map(decimal::dollars));
    told.some("possibly_billed", record.possibly_billed.then_some(true));
    let losses = Some(&record.losses).filter(|losses| !losses.is_empty());
    told.some("losses", losses.cloned());
    told.0.into()
}

/// An object without members that say nothing.
#[derive(Default)]
struct Told(Map<String, Value>);

impl Told {
    fn add(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    fn some(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }
}

impl Run {
    /// All decisions so far; `None` where nobody may know. `answering`: the current attempt may be the answer, and has no record yet.
    fn explained(&self, answering: bool) -> Option<Value> {
        if !self.out.explains() {
            return None;
        }
        let ending = &self.common.ending;
        let walk = self.common.walk.try_borrow().ok();
        let trail = walk.and_then(|walk| walk.as_ref().map(llmleaf_route::Walk::trail));
        let mut told = match trail.or_else(|| ending.trail()) {
            Some(trail) => Told(decisions(&trail)),
            None => Told::default(),
        };
        told.add("model", &*self.job.head.model);
        let settings = self.node.shared.settings(self.route);
        told.some("route", settings.name.as_deref());
        let (attempts, open) = ending.attempts(|all| {
            let told: Vec<Value> = all.iter().map(attempt).collect();
            (told, all.iter().all(|attempt| attempt.outcome.is_aside()))
        });
        told.add("attempts", attempts);
        let current = self.current.as_ref().filter(|_| answering && open);
        told.some(
            "answering",
            current.and_then(|current| {
                let upstream = self.node.shared.upstreams.get(current.provider)?;
                Some(json!({"provider": &*upstream.name, "model": &*current.model}))
            }),
        );
        Some(told.0.into())
    }

    /// The header that tells of decisions.
    pub(crate) fn explain_header(&self, answering: bool) -> Option<HeaderValue> {
        self.explained(answering).and_then(header)
    }

    /// A body of ours, with the decisions where its consumer asks for them.
    pub(crate) fn explaining(&self, body: Vec<u8>) -> Vec<u8> {
        match self.explained(false) {
            Some(told) => with_member(body, &told),
            None => body,
        }
    }

    /// The same for one that is whole already, and is written here as well.
    pub(crate) fn explaining_whole(&self, body: Bytes) -> Bytes {
        match self.explained(false) {
            Some(told) => with_member(body.to_vec(), &told).into(),
            None => body,
        }
    }

    /// Tells of the decisions behind the last event of a stream, in a comment that no client takes for an event.
    pub(crate) fn explain_late(&self) {
        if !self.job.dialect.takes_comments() {
            return;
        }
        if let Some(told) = self.explained(false) {
            self.out.write(b": x-llmleaf-explain: ");
            self.out.write(ascii(&told.to_string()).as_bytes());
            self.out.write(b"\n\n");
        }
    }
}

/// The same for all of these, also behind the first that was long.
fn clip_all<'v>(all: impl Iterator<Item = &'v mut Value>) -> bool {
    all.filter_map(|one| clip(one).then_some(())).count() > 0
}

/// A header of it. Losses have one of their own; of what is too long still the middle goes, and that is said.
fn header(mut told: Value) -> Option<HeaderValue> {
    for attempt in list(&mut told, "attempts").into_iter().flatten() {
        if let Value::Object(attempt) = attempt {
            attempt.remove("losses");
        }
    }
    loop {
        let text = ascii(&told.to_string());
        if text.len() <= LONGEST {
            return HeaderValue::from_str(&text).ok();
        }
        if !shorten(&mut told) {
            let clipped = clip(&mut told);
            let Value::Object(members) = &mut told else {
                return None;
            };
            if !clipped {
                // Whoever asked is to see that there would be more.
                members.clear();
            }
            members.insert("shortened".to_owned(), true.into());
        }
    }
}

/// Cuts names that are long, and says whether there was any.
fn clip(told: &mut Value) -> bool {
    match told {
        Value::String(text) => {
            let end = text.char_indices().nth(NAME).map(|(end, _)| end);
            if let Some(end) = end {
                text.truncate(end);
            }
            end.is_some()
        }
        Value::Array(list) => clip_all(list.iter_mut()),
        Value::Object(members) => clip_all(members.values_mut()),
        _ => false,
    }
}

/// Drops half of the longer list: candidates behind those that were tried first, attempts before the last.
fn shorten(told: &mut Value) -> bool {
    let length = |told: &mut Value, name| list(told, name).map_or(0, |list| list.len());
    let (candidates, attempts) = (length(told, "candidates"), length(told, "attempts"));
    if candidates.max(attempts) < 2 {
        return false;
    }
    if candidates >= attempts {
        if let Some(list) = list(told, "candidates") {
            list.truncate(candidates / 2);
        }
    } else if let Some(list) = list(told, "attempts") {
        list.drain(..attempts / 2);
    }
    if let Value::Object(told) = told {
        told.insert("shortened".to_owned(), true.into());
    }
    true
}

fn list<'v>(told: &'v mut Value, name: &str) -> Option<&'v mut Vec<Value>> {
    told.get_mut(name)?.as_array_mut()
}

/// JSON in visible ASCII: what is beyond it can only stand in strings, and has an escape there.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut units = [0; 2];
    for c in json.chars() {
        if matches!(c, ' '..='~') {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}

/// An object with one more member; anything else as it is.
fn with_member(mut body: Vec<u8>, told: &Value) -> Vec<u8> {
    let opens = body.trim_ascii_start().first() == Some(&b'{');
    let closes = body.trim_ascii_end().last() == Some(&b'}');
    let Some(end) = body.iter().rposition(|byte| *byte == b'}') else {
        return body;
    };
    if !opens || !closes {
        return body;
    }
    body.truncate(end);
    let first = body.trim_ascii_end().last() == Some(&b'{');
    if !first {
        body.push(b',');
    }
    body.extend_from_slice(format!("\"{MEMBER}\":{told}}}").as_bytes());
    body
}

#[cfg(test)]
mod tests;
