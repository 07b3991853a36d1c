//! The same dialect at both ends: what came goes on, byte by byte, but for named edits.

use llmleaf_testkit::digest::Tolerance;
use llmleaf_testkit::http::End;
use llmleaf_testkit::json;
use llmleaf_testkit::recordings::{Body, Recording, boundaries};
use llmleaf_testkit::replay::{Request, Script};
use llmleaf_testkit::sse;
use llmleaf_testkit::stand::{self, Ask, Exchange, PREFIX, Service, Stand, UPSTREAM_CREDENTIAL};
use llmleaf_testkit::tally::{Finding, Tally};

use super::edits::{self, Edited};
use super::reading::{
    Spoken, UNFINISHED, consumer_status, is_unfinished, kind, received, recorded, recorded_to_error,
};
use super::{EXE, LOG, recordings};

/// Exchanges in the set when this was written: 907, and 195 of Gemini's, each asked twice.
const LEAST: usize = 1814 + 2 * 195;

/// Streams that go through once more with one write a byte, per provider.
const BYTEWISE_EACH: usize = 3;

#[test]
fn the_same_dialect_goes_through_unchanged() {
    let Some(recordings) = recordings() else {
        return;
    };
    let tally = Tally::default();
    stand::each(EXE, LOG, &recordings, Service::of, |stand, recording| {
        let plain = stand::request(recording);
        // Where the path names the model, the body needs no edit.
        let edited = match Spoken::of(recording) {
            Spoken::Gemini => plain.clone(),
            _ => stand::prefixed(&plain, &stand::model(recording)),
        };
        for (name, body, prefix) in [("as it is", plain, ""), ("renamed", edited, PREFIX)] {
            let script = Script::recorded(recording);
            let exchange = ask(stand, recording, prefix, &body, script);
            let subject = format!("{} {name}", recording.id);
            let finding = judge(recording, &body, &exchange);
            add(&tally, recording, kind(recording), &subject, finding);
        }
    });
    tally.conclude("same dialect in and out", LEAST);
}

/// The shortest streams of each provider, and all with CRLF, one write a byte, so that every read of the program may end anywhere.
#[test]
fn the_same_dialect_goes_through_byte_by_byte() {
    let Some(mut recordings) = recordings() else {
        return;
    };
    recordings.retain(|recording| recording.stream);
    recordings.sort_by_key(|recording| {
        let length = recording.body.text().map_or(0, str::len);
        (recording.provider.clone(), recording.wire.clone(), length)
    });
    let mut taken = std::collections::BTreeMap::<_, usize>::new();
    recordings.retain(|recording| {
        let count = taken
            .entry((recording.provider.clone(), recording.wire.clone()))
            .or_default();
        *count += 1;
        // CRLF is where a cut between two bytes can show.
        *count <= BYTEWISE_EACH || recording.has_tag("sse-crlf")
    });
    let tally = Tally::default();
    stand::each(EXE, LOG, &recordings, Service::of, |stand, recording| {
        let body = stand::request(recording);
        let script = Script::recorded(recording).write_every(1);
        let exchange = ask(stand, recording, "", &body, script);
        let finding = judge(recording, &body, &exchange);
        add(&tally, recording, "bytewise", &recording.id, finding);
    });
    tally.conclude("same dialect, one write a byte", 40);
}

fn add(tally: &Tally, recording: &Recording, kind: &str, subject: &str, finding: Finding) {
    let dialect = Spoken::of(recording).name();
    tally.add(dialect, &recording.provider, kind, subject, finding);
}

fn ask(
    stand: &mut Stand,
    recording: &Recording,
    prefix: &str,
    body: &str,
    script: Script,
) -> Exchange {
    let headers = recording.request_headers.iter();
    let model = format!("{prefix}{}", stand::model(recording));
    // An error may have come of a stream that was asked for.
    let streams = recording.stream || recording.path.contains(":streamGenerateContent");
    let mut path = Spoken::of(recording).path(&model, streams);
    if in_array(recording) {
        path = path.replace("?alt=sse", "");
    }
    let ask = Ask {
        path: &path,
        headers: headers
            .filter(|(name, _)| name.as_str() != "content-type")
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect(),
        body,
    };
    stand.exchange(&ask, script)
}

/// Whether the stream came as one JSON array.
fn in_array(recording: &Recording) -> bool {
    let gemini = Spoken::of(recording) == Spoken::Gemini;
    recording.stream && gemini && matches!(recording.body, Body::Json(_))
}

fn judge(recording: &Recording, body: &str, exchange: &Exchange) -> Finding {
    let mut finding = Finding::default();
    if lacks_messages(recording, body) {
        finding.check(
            exchange.requests.is_empty() && exchange.response.status == 400,
            || format!("a request without messages: {}", exchange.response.text()),
        );
        finding.except("a request without `messages` is refused before it is sent");
        return finding;
    }
    let edited = judge_request(recording, body, exchange, &mut finding);
    if recording.status >= 400 {
        judge_error(recording, exchange, &mut finding);
    } else if is_unfinished(recording) {
        judge_unfinished(recording, exchange, &mut finding);
    } else if recorded(recording).error.is_some() {
        judge_error_within(recording, exchange, &mut finding);
    } else {
        judge_answer(recording, exchange, edited.usage_added, &mut finding);
    }
    finding
}

/// Nothing was asked: such a request is refused by us, with the field's name, whatever its service would say.
fn lacks_messages(recording: &Recording, body: &str) -> bool {
    let asked = json::parse(body).ok();
    Spoken::of(recording) == Spoken::Chat
        && asked.is_some_and(|asked| asked.get("messages").is_none())
}

fn judge_request(
    recording: &Recording,
    body: &str,
    exchange: &Exchange,
    finding: &mut Finding,
) -> Edited {
    let [request] = exchange.requests.as_slice() else {
        let count = exchange.requests.len();
        let text = exchange.response.text();
        finding.check(false, || format!("{count} requests upstream; {text}"));
        return Edited::default();
    };
    let service = Service::of(recording);
    let losses = exchange.response.header("x-llmleaf-loss");
    let after = request.text();
    let edited = edits::explain(
        Spoken::of(recording),
        &service.kind,
        body,
        &after,
        losses.unwrap_or_default(),
    );
    for edit in &edited.unexplained {
        finding.check(false, || format!("request: {edit}"));
    }
    if edited.names.is_empty() {
        finding.check(after == body, || {
            format!("request: nothing was edited, yet the bytes differ: {body}\n  {after}")
        });
        finding.note("request bytes equal");
    }
    finding.notes.extend(edited.names.iter().cloned());
    judge_head(recording, request, finding);
    edited
}

/// Path, credential and the few headers that go on.
fn judge_head(recording: &Recording, request: &Request, finding: &mut Finding) {
    let recorded = recording.path.as_str();
    let without_query = |path: &str| path.split('?').next().unwrap_or_default().to_owned();
    let path = request.path.as_str();
    if recorded.starts_with("/models/chat/completions") {
        finding.note("path: Azure's inference path is reached as a deployment");
    } else if recorded.contains("/deployments/") {
        // The recorded deployment and the recorded model may be named differently; the route says which is asked for.
        let version = recorded.split_once('?').map_or("", |(_, query)| query);
        let good = path.starts_with("/openai/deployments/") && path.ends_with(version);
        finding.check(good, || format!("path: {path}, recorded {recorded}"));
    } else {
        // Where the recorder kept the version, it is compared as well.
        let same = match recorded.contains("?api-version") {
            true => path == recorded,
            false => without_query(path) == without_query(recorded),
        };
        finding.check(same, || format!("path: {path}, recorded {recorded}"));
    }
    let credential = ["authorization", "x-api-key", "api-key", "x-goog-api-key"]
        .into_iter()
        .find_map(|name| request.header(name))
        .unwrap_or_default();
    finding.check(credential.ends_with(UPSTREAM_CREDENTIAL), || {
        "the service did not get the gateway's credential".to_owned()
    });
    let all = format!("{:?}", request.headers);
    finding.check(!all.contains("llk_"), || {
        "the consumer's key went upstream".to_owned()
    });
    if Spoken::of(recording) == Spoken::Messages {
        for name in ["anthropic-version", "anthropic-beta"] {
            if let Some(value) = recording.request_headers.get(name) {
                finding.check(request.header(name) == Some(value), || {
                    format!("header {name}: {:?}", request.header(name))
                });
            }
        }
    }
}

fn judge_error(recording: &Recording, exchange: &Exchange, finding: &mut Finding) {
    let response = &exchange.response;
    let text = recording.body.text().unwrap_or_default();
    let (statuses, reason) = consumer_status(&recorded(recording), recording.status, text);
    finding.check(statuses.contains(&response.status), || {
        format!(
            "status {}, expected {statuses:?}, recorded {} {text}",
            response.status, recording.status
        )
    });
    match reason {
        Some(reason) => finding.except(reason),
        None => finding.check(
            Some(response.text().as_str()) == recording.body.text(),
            || format!("error body: {}", response.text()),
        ),
    }
    finding.check(response.end == End::Clean, || {
        format!("ended {:?}", response.end)
    });
}

/// An error in spite of a good status: before any content it is an error reply, after it an error in the stream.
fn judge_error_within(recording: &Recording, exchange: &Exchange, finding: &mut Finding) {
    let response = &exchange.response;
    let expected = recorded_to_error(recording);
    let got = received(Spoken::of(recording), response);
    finding.check(got.error.is_some(), || {
        format!("no error: {} {}", response.status, response.text())
    });
    if response.status >= 400 {
        finding.check(!expected.has_content(), || {
            "the content was lost".to_owned()
        });
        return finding.except("error in a good status, before content: told by the status");
    }
    let tolerance = Tolerance::exact().ignoring("error").ignoring("terminal");
    // The frame that told of the error is replaced by the gateway's own, and with it the finish reason it had.
    let (worded, before): (Vec<_>, Vec<_>) = expected
        .compare(&got, &tolerance)
        .into_iter()
        .partition(|difference| difference.name == "finish" && difference.found == "Error");
    if !worded.is_empty() {
        finding.except("a provider's error within a stream: told in our words");
    }
    finding.check(before.is_empty(), || {
        format!("before the error: {before:?}")
    });
    finding.check(!got.terminal && response.end != End::Clean, || {
        format!("a success after the error: {:?}", response.end)
    });
    finding.note("error within a stream: told in it, and the transport aborted");
}

/// All that was recorded is told, and then that it is no whole answer; by the status where there is no content in it.
fn judge_unfinished(recording: &Recording, exchange: &Exchange, finding: &mut Finding) {
    let response = &exchange.response;
    let got = received(Spoken::of(recording), response);
    finding.check(got.error.is_some(), || {
        format!("no error: {} {}", response.status, response.text())
    });
    finding.except(UNFINISHED);
    if response.status >= 400 {
        let lost = recorded(recording).has_content();
        return finding.check(!lost, || "the content was lost".to_owned());
    }
    let text = recording.body.text().unwrap_or_default();
    let (expected, _) = relayed(Spoken::of(recording), text);
    let before = sse::parse(expected.as_bytes()).events;
    let after = sse::parse(&response.body).events;
    let told = after.split_last().map(|(_, told)| told);
    finding.check(
        told == Some(&before[..]) && !got.terminal && response.end != End::Clean,
        || format!("{:?}: {}", response.end, response.text()),
    );
}

fn judge_answer(
    recording: &Recording,
    exchange: &Exchange,
    usage_added: bool,
    finding: &mut Finding,
) {
    let response = &exchange.response;
    finding.check(response.status == recording.status, || {
        format!("status {} {}", response.status, response.text())
    });
    finding.check(response.end == End::Clean, || {
        format!("ended {:?}", response.end)
    });
    if in_array(recording) {
        let (before, after) = (recording.body.text().unwrap_or_default(), response.text());
        let read = |text: &str| Some(llmleaf_testkit::json::parse(text).ok()?.to_string());
        let same = read(before).is_some() && read(before) == read(&after);
        finding.check(same, || format!("array: {after}"));
        return finding.note("stream of one JSON array: equal but for white space");
    }
    let Body::Sse(text) = &recording.body else {
        return finding.check(
            Some(response.text().as_str()) == recording.body.text(),
            || format!("body: {}", response.text()),
        );
    };
    let (expected, reasons) = relayed(Spoken::of(recording), text);
    reasons
        .into_iter()
        .for_each(|reason| finding.except(reason));
    if response.body == expected.as_bytes() {
        return finding.note("stream bytes equal");
    }
    let (before, after) = (sse::parse(expected.as_bytes()), sse::parse(&response.body));
    if usage_added {
        match edits::without_usage(&before.events, &after.events) {
            Ok(_) => {
                finding.note("stream equal but for the usage that the consumer did not ask for")
            }
            Err(what) => finding.check(false, || format!("stream: {what}")),
        }
        return finding.check(before.comments == after.comments, || "comments".to_owned());
    }
    let same = before.events.iter().zip(&after.events);
    let equal = same.take_while(|(a, b)| a == b).count();
    finding.check(false, || {
        format!(
            "stream bytes: {} and {} events, the first {equal} equal, then {:?} became {:?}",
            before.events.len(),
            after.events.len(),
            before.events.get(equal),
            after.events.get(equal),
        )
    });
}

/// What a consumer of the same dialect must get of a recorded stream: all of it up to its end.
fn relayed(spoken: Spoken, text: &str) -> (String, Vec<&'static str>) {
    let mut reasons = Vec::new();
    let is_end = |piece: &str| {
        let stream = sse::parse(piece.as_bytes());
        stream.events.iter().any(|event| match spoken {
            Spoken::Chat | Spoken::Cohere => event.data.trim() == "[DONE]",
            Spoken::Messages => event.event == "message_stop",
            // It has none: all of it goes on.
            Spoken::Gemini => false,
            // Its streams are no events.
            Spoken::Lines | Spoken::Prompt => false,
            Spoken::Responses => {
                let ends = ["response.completed", "response.incomplete"];
                ends.iter()
                    .any(|end| event.data.contains(&format!("\"type\":\"{end}\"")))
                    || ends.contains(&event.event.as_str())
            }
        })
    };
    let mut start = 0;
    for end in boundaries(text) {
        if is_end(&text[start..end]) {
            if !text[end..].trim().is_empty() {
                reasons.push("stream: what follows the dialect's end is not part of the answer");
            }
            return (text[..end].to_owned(), reasons);
        }
        start = end;
    }
    let mut whole = text.to_owned();
    if !text[start..].trim().is_empty() {
        reasons.push("stream: the blank line that the last event lacks is added");
        whole.push_str(if whole.ends_with('\n') { "\n" } else { "\n\n" });
    }
    (whole, reasons)
}

/// The prefix must be no part of any recorded name, or a plain request could not be told from an edited one.
#[test]
fn no_recorded_model_has_the_prefix() {
    let Some(recordings) = recordings() else {
        return;
    };
    let mut models = recordings.iter().map(stand::model);
    assert!(models.all(|model| !model.starts_with(PREFIX)));
}
