//! What a consumer is told of a recorded batch: on its own surface, on the other, and in a list.

use super::{OURS, Step, body, json_of, of, phase, total};
use llmleaf_testkit::http::Response;
use llmleaf_testkit::recordings::{Body, Recording};
use llmleaf_testkit::tally::Finding;
use serde_json::Value;

/// Requests that are recorded in a job's body, and sent as its file: the same ones, for the same model.
pub fn filed(
    sent: &[Value],
    (got, recorded): (&Value, &Value),
    (messages, asked): (bool, &Value),
    finding: &mut Finding,
) {
    finding.note("requests that are recorded in a job's body are sent as its file");
    let same = got["endpoint"] == recorded["endpoint"];
    finding.check(same, || format!("{got} for {recorded}"));
    if messages {
        // They are our own, and other words.
        let count = asked["requests"].as_array().map(Vec::len);
        finding.check(count == Some(sent.len()), || {
            format!("{sent:?} for {asked}")
        });
        return;
    }
    let same = got["model"] == recorded["model"];
    finding.check(same, || format!("{got} for {recorded}"));
    let same = recorded["requests"]
        .as_array()
        .is_some_and(|all| all == sent);
    finding.check(same, || format!("{sent:?} for {recorded}"));
}

/// A recorded list, which has no marks: all of it is its one caller's.
pub fn listed(recording: &Recording, list: &Response, messages: bool, finding: &mut Finding) {
    finding.note("all of an account's batches are those of its one caller");
    let told = json_of(list);
    let of = |list: &Value| list["data"].as_array().cloned().unwrap_or_default();
    let (found, recorded) = (of(&told), of(&body(recording)));
    finding.check(found.len() == recorded.len(), || list.text());
    let text = list.text();
    finding.check(!text.contains("batch_67d"), || format!("theirs: {text}"));
    // The other surface has words of its own, and no files.
    for (one, recorded) in found.iter().zip(&recorded).filter(|_| !messages) {
        let time = |name: &str| one[name] == recorded[name];
        let same = ["status", "endpoint", "created_at", "expires_at"];
        let same = same.into_iter().all(time) && one["metadata"] == recorded["metadata"];
        finding.check(same, || format!("{one} for {recorded}"));
        for name in &OURS[2..5] {
            let both = one[name].is_null() == recorded[name].is_null();
            finding.check(both, || format!("{name}: {one} for {recorded}"));
        }
    }
}

/// Its own surface: what was recorded, but for the names.
pub fn same(recording: &Recording, reply: &Response, names: &[&str], finding: &mut Finding) {
    if of(recording) == Step::Results {
        let lines = |text: &str| -> Vec<Value> {
            let lines = text.lines().map(serde_json::from_str);
            lines.map(|line| line.unwrap_or_default()).collect()
        };
        let recorded = recording.body.text().unwrap_or_default();
        finding.check(lines(&reply.text()) == lines(recorded), || reply.text());
        if matches!(recording.body, Body::Ndjson(_)) {
            finding.check(reply.text() == recorded, || "other bytes".to_owned());
        }
        return;
    }
    let (mut got, mut wanted) = (json_of(reply), body(recording));
    for name in names {
        let null = |value: &Value| value[name].is_null();
        let both = null(&got) == null(&wanted) || *name == "metadata";
        finding.check(both, || {
            format!("{name}: {} for {}", got[name], wanted[name])
        });
        let other = got[name] != wanted[name] || null(&wanted);
        finding.check(other, || format!("{name} is the provider's own"));
        for body in [&mut got, &mut wanted] {
            body.as_object_mut().map(|object| object.remove(*name));
        }
    }
    finding.check(got == wanted, || format!("told {got}, recorded {wanted}"));
}

/// The other surface: the same state, counts and answers.
pub fn across(recording: &Recording, reply: &Response, messages: bool, finding: &mut Finding) {
    if of(recording) == Step::Results {
        return;
    }
    let got = json_of(reply);
    let status = &got[if messages {
        "processing_status"
    } else {
        "status"
    }];
    let words: &[&str] = match (phase(recording), messages) {
        (Some("ended"), true) => &["ended"],
        (Some("ended"), false) => &["completed"],
        (Some("cancelling"), true) => &["canceling"],
        (Some("cancelling"), false) => &["cancelling"],
        (_, true) => &["in_progress"],
        (_, false) => &["validating", "in_progress"],
    };
    let status = status.as_str().unwrap_or_default();
    finding.check(words.contains(&status), || {
        format!("{status} for {words:?} in {got}")
    });
    let counts = &got["request_counts"];
    let count = match messages {
        true => counts
            .as_object()
            .map(|counts| counts.values().filter_map(Value::as_u64).sum()),
        false => counts["total"].as_u64(),
    };
    if let Some(total) = total(recording) {
        finding.check(count == Some(total), || format!("{counts} for {total}"));
    }
}
