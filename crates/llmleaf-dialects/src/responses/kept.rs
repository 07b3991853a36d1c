//! Answers that a service keeps: the names under which they are told.
//!
//! An id means something to the service and the account that gave it, and to nobody else. A gateway in front of several tells
//! its consumer another one. Both ids of a response object are told so, its own and that of the answer it goes on from; in a
//! stream they stand in the events that repeat the response. All other bytes stay as they came.

use crate::skim;
use crate::splice::{Splices, quote};
use crate::{Frame, object};
use bytes::Bytes;
use llmleaf_model::{Failure, FailureKind, Retry};
use memchr::memmem;
use std::ops::Range;

/// Fields of a response object that name answers.
const NAMING: [&str; 2] = ["\"id\"", "\"previous_response_id\""];

/// An event with the ids of answers told under other names; `None` where it has none.
pub fn in_event(frame: &Frame, name: &dyn Fn(&str) -> String) -> Option<Frame> {
    // Most events are pieces of text, and repeat no response.
    memmem::find(&frame.data, b"\"response\"")?;
    let text = std::str::from_utf8(&frame.data).ok()?;
    let response = member(text, "\"response\"")?;
    let mut splices = Splices::new();
    rename(text, response, name, &mut splices);
    if splices.is_empty() {
        return None;
    }
    let data = splices.apply(text);
    let (raw, at) = match memmem::find(&frame.raw, &frame.data) {
        Some(at) => {
            let before = frame.raw.get(..at)?;
            let after = frame.raw.get(at + frame.data.len()..)?;
            ([before, &data, after].concat(), at)
        }
        None => framed(frame.event.as_deref(), &data),
    };
    let raw = Bytes::from(raw);
    let data = match raw.get(at..at + data.len()) {
        Some(written) if written == data => raw.slice(at..at + data.len()),
        _ => data.into(),
    };
    Some(Frame {
        raw,
        data,
        event: frame.event.clone(),
        has_data: frame.has_data,
    })
}

/// A whole response, or the notice that one is gone, with ids told under other names; `None` where it has none.
pub fn in_body(body: &Bytes, name: &dyn Fn(&str) -> String) -> Option<Bytes> {
    let text = std::str::from_utf8(body).ok()?;
    let mut splices = Splices::new();
    rename(text, 0..text.len(), name, &mut splices);
    (!splices.is_empty()).then(|| splices.apply(text).into())
}

/// Whether an event is the last one of its stream.
pub fn ends(frame: &Frame) -> bool {
    let kind = std::str::from_utf8(&frame.data).ok().and_then(|text| {
        let at = member(text, "\"type\"")?;
        serde_json::from_str::<String>(text.get(at)?).ok()
    });
    matches!(
        kind.as_deref(),
        Some(
            "response.completed"
                | "response.incomplete"
                | "response.failed"
                | "response.cancelled"
                | "error"
        )
    )
}

/// The failure of a target that keeps no answers, or cannot be told of one.
pub(crate) fn unkept(field: &str) -> Failure {
    let why = format!(
        "`{field}` needs a provider that keeps responses, and no target of this model is one"
    );
    let mut failure = Failure::gateway(FailureKind::Unsupported, why);
    failure.param = Some(field.to_owned());
    failure.retry = Retry::NextTarget;
    failure
}

/// The data of an event that came on several lines, as one event.
fn framed(event: Option<&[u8]>, data: &[u8]) -> (Vec<u8>, usize) {
    let mut raw = Vec::with_capacity(data.len() + 64);
    if let Some(event) = event {
        raw.extend_from_slice(b"event: ");
        raw.extend_from_slice(event);
        raw.push(b'\n');
    }
    raw.extend_from_slice(b"data: ");
    let at = raw.len();
    // Outside of strings, where JSON has none, line ends are white space.
    raw.extend(data.iter().map(|byte| match byte {
        b'\n' | b'\r' => b' ',
        other => *other,
    }));
    raw.extend_from_slice(b"\n\n");
    (raw, at)
}

/// Where the value of a field lies. The field is given with its quotes.
fn member(text: &str, key: &str) -> Option<Range<usize>> {
    let fields = skim::fields(text)?;
    let found = fields
        .into_iter()
        .find(|entry| text.get(entry.key.clone()) == Some(key));
    found.map(|entry| entry.value)
}

fn rename<'a>(
    text: &'a str,
    within: Range<usize>,
    name: &dyn Fn(&str) -> String,
    splices: &mut Splices<'a>,
) {
    let start = within.start;
    let Some(object) = text.get(within) else {
        return;
    };
    // A list has ids of its entries, which are no answers.
    let of_list = member(object, "\"object\"").is_some_and(|at| object.get(at) == Some("\"list\""));
    if of_list {
        return;
    }
    for key in NAMING {
        let Some(value) = member(object, key) else {
            continue;
        };
        let raw = object.get(value.clone()).and_then(|json| {
            let raw: &serde_json::value::RawValue = serde_json::from_str(json).ok()?;
            object::string(raw)
        });
        if let Some(id) = raw.filter(|id| !id.is_empty()) {
            let told = name(&id);
            if told != *id {
                splices.replace(start + value.start..start + value.end, quote(&told));
            }
        }
    }
}
