//! What takes the place of an answer: read as the answer was, and brought to the form in which its consumer waits for it.

use super::Form;
use crate::drive::Run;
use crate::job::Operation;
use bytes::Bytes;
use llmleaf_dialects::object::Object;
use llmleaf_dialects::splice::Splices;
use llmleaf_dialects::{ChatWire, Head};
use llmleaf_model::{Event, Response};
use serde_json::value::RawValue;

/// The fields in which wires report what was used: it stays what the provider said, whoever writes the answer.
const COUNTS: [&str; 5] = [
    "usage",
    "usageMetadata",
    "meta",
    "prompt_eval_count",
    "eval_count",
];

/// What names an event.
const EVENT: &[u8] = b"event:";

/// The bytes for the consumer.
pub(super) fn replaced(
    run: &mut Run,
    form: &Form,
    shown: &Bytes,
    other: &Bytes,
) -> Result<Bytes, String> {
    match form {
        Form::Text(_) => serde_json::from_slice::<String>(other)
            .map(Bytes::from)
            .map_err(|_| "a text must take the place of a text".to_owned()),
        Form::Json(_) => {
            if run.job.operation == Operation::Chat {
                readable(run, shown, other)?;
            }
            like(shown, other)?;
            counted(shown, other)
        }
        Form::Stream(response) => {
            readable(run, shown, other)?;
            like(shown, other)?;
            Ok(streamed(run, response, other))
        }
        Form::Events(stream) => events(stream, other),
    }
}

/// Whether it is an answer of the consumer's wire, if what was shown is one as far as can be read here.
fn readable(run: &Run, shown: &[u8], other: &[u8]) -> Result<(), String> {
    let wire = ChatWire::reference(run.job.dialect);
    let reads = |body: &[u8]| {
        let events = wire.parse_response(body);
        let broken = events.iter().any(|event| matches!(event, Event::Error(_)));
        let ends = |event: &Event| matches!(event, Event::ResponseEnd);
        !broken && events.iter().any(ends)
    };
    match reads(other) || !reads(shown) {
        true => Ok(()),
        false => Err("it is no answer of its wire".to_owned()),
    }
}

/// Whether it is an object whose lists are where those of the other are.
fn like(shown: &[u8], other: &[u8]) -> Result<(), String> {
    let object = |body: &[u8]| {
        let text = std::str::from_utf8(body).ok()?;
        let fields = Head::addressed(text.as_bytes(), "-", false).ok()?;
        let lists = fields.fields().iter().filter_map(|field| {
            let value = text.get(field.value.clone())?;
            value.starts_with('[').then(|| field.name(text).to_owned())
        });
        Some(lists.collect::<Vec<String>>())
    };
    let Some(lists) = object(shown) else {
        return Ok(());
    };
    let others = object(other).ok_or("it is no JSON object")?;
    match lists.iter().find(|list| !others.contains(list)) {
        Some(list) => Err(format!("it has no list `{list}`")),
        None => Ok(()),
    }
}

/// The one with the counts of the other.
fn counted(shown: &[u8], other: &[u8]) -> Result<Bytes, String> {
    let unreadable = |_| "it is no JSON object".to_owned();
    let text = llmleaf_dialects::head::checked(other);
    let text = text.map_err(|failure| failure.message)?;
    // Located fields are not all read: what goes to a consumer is JSON through and through.
    serde_json::from_str::<&RawValue>(text).map_err(unreadable)?;
    let counts = llmleaf_dialects::head::checked(shown).unwrap_or_default();
    let Ok(counts) = Object::parse(counts) else {
        return Ok(Bytes::copy_from_slice(text.as_bytes()));
    };
    let head = Head::addressed(text.as_bytes(), "-", false);
    let head = head.map_err(|failure| failure.message)?;
    let mut splices = Splices::new();
    for name in COUNTS {
        let Some(count) = counts.get(name) else {
            continue;
        };
        match (head.field(text, name), head.insertion()) {
            (Some(field), _) => splices.replace(field.value.clone(), count.get().to_owned()),
            (None, Some(at)) => splices.insert(at, format!("\"{name}\":{},", count.get())),
            (None, None) => {}
        }
    }
    Ok(splices.apply(text).into())
}

/// A whole answer as the stream that its consumer waits for.
fn streamed(run: &mut Run, response: &Response, other: &[u8]) -> Bytes {
    // Some of the request is repeated in the stream, and decides what is told.
    let _ = run.canonical();
    let mut encoder = run.job.dialect.encoder(run.reply_context());
    let events = ChatWire::reference(run.job.dialect).parse_response(other);
    let mut bytes = Vec::new();
    let mut reported = false;
    for event in events {
        let counts = response.usage.clone().map(Event::UsageReport);
        match (event, counts) {
            (Event::UsageReport(_), Some(counts)) => {
                reported = true;
                encoder.encode(&counts, &mut bytes);
            }
            (Event::ResponseStart(mut start), _) => {
                start.usage.clone_from(&response.start.usage);
                encoder.encode(&Event::ResponseStart(start), &mut bytes);
            }
            (Event::ResponseEnd, Some(counts)) => {
                if !reported {
                    encoder.encode(&counts, &mut bytes);
                }
                encoder.encode(&Event::ResponseEnd, &mut bytes);
            }
            // What nobody reported is not made up.
            (Event::UsageReport(_), None) => {}
            (event, _) => encoder.encode(&event, &mut bytes),
        }
    }
    if let Some(failure) = encoder.failure().cloned() {
        encoder.encode(&Event::Error(Box::new(failure)), &mut bytes);
    }
    bytes.into()
}

/// A list of events as a stream, under their names where they had such.
fn events(stream: &[u8], other: &[u8]) -> Result<Bytes, String> {
    let list: Vec<&RawValue> = serde_json::from_slice(other)
        .map_err(|_| "a list must take the place of a stream's events".to_owned())?;
    let named = stream.windows(EVENT.len()).any(|place| place == EVENT);
    let mut bytes = Vec::with_capacity(other.len() + 32);
    for event in list {
        let object = Object::parse(event.get());
        let object = object.map_err(|_| "an event is an object".to_owned())?;
        let kind = object.get("type").map(RawValue::get);
        let kind = kind.and_then(|kind| serde_json::from_str::<String>(kind).ok());
        if let Some(kind) = kind.filter(|kind| named && !kind.contains(['\n', '\r'])) {
            bytes.extend_from_slice(b"event: ");
            bytes.extend_from_slice(kind.as_bytes());
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(b"data: ");
        // Outside of strings, where JSON has none, line ends are white space.
        bytes.extend(event.get().bytes().map(|byte| match byte {
            b'\n' | b'\r' => b' ',
            other => other,
        }));
        bytes.extend_from_slice(b"\n\n");
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_stay_what_the_provider_said() {
        let shown = r#"{"id":1,"usage":{"total_tokens":7},"eval_count":3}"#;
        for (other, told) in [
            (
                r#"{"id":2,"usage":{"total_tokens":0}}"#,
                r#"{"eval_count":3,"id":2,"usage":{"total_tokens":7}}"#,
            ),
            (
                r#"{"usage":null,"eval_count":9}"#,
                r#"{"usage":{"total_tokens":7},"eval_count":3}"#,
            ),
        ] {
            let counted = counted(shown.as_bytes(), other.as_bytes());
            assert_eq!(counted.as_deref(), Ok(told.as_bytes()), "{other}");
        }
        for garbage in ["7", "[]", "", r#"{"a":}"#, r#"{"a":1,"a":2}"#] {
            assert!(
                counted(shown.as_bytes(), garbage.as_bytes()).is_err(),
                "{garbage}"
            );
        }
    }

    #[test]
    fn a_list_stays_a_list() {
        let shown = br#"{"data":[1],"note":"a"}"#;
        assert_eq!(like(shown, br#"{"data":[],"more":[]}"#), Ok(()));
        for other in ["{}", r#"{"data":7}"#, r#"{"data":null}"#, "[]", "null", ""] {
            assert!(like(shown, other.as_bytes()).is_err(), "{other}");
        }
    }

    #[test]
    fn events_keep_their_names_where_they_had_such() {
        let other = br#"[{"type":"a","n":1}, {"n":2}]"#;
        let plain = events(b"data: {}\n\n", other).expect("a list");
        assert_eq!(
            plain,
            "data: {\"type\":\"a\",\"n\":1}\n\ndata: {\"n\":2}\n\n"
        );
        let named = events(b"event: b\ndata: {}\n\n", other).expect("a list");
        assert_eq!(
            named,
            "event: a\ndata: {\"type\":\"a\",\"n\":1}\n\ndata: {\"n\":2}\n\n"
        );
        let hidden = br#"[{"type":"a\ndata: x"}]"#;
        let hidden = events(b"event: b\n\n", hidden).expect("a list");
        assert_eq!(hidden, "data: {\"type\":\"a\\ndata: x\"}\n\n");
        for other in ["{}", "7", "[7]", "["] {
            assert!(events(b"", other.as_bytes()).is_err(), "{other}");
        }
    }
}
