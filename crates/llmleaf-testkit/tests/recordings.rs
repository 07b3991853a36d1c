//! Every digest over every recording of the two wires: nothing panics, nothing is read as empty without a reason.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a panic is the failure report"
)]

use std::collections::BTreeMap;

use llmleaf_testkit::digest::{
    Choice, Digest, ErrorClass, FinishClass, anthropic_error, anthropic_stream, anthropic_unary,
    openai_chat_stream, openai_chat_unary, openai_error,
};
use llmleaf_testkit::http;
use llmleaf_testkit::recordings::{self, Body, Recording};
use llmleaf_testkit::replay::{Replay, Script};
use llmleaf_testkit::{json, jsondiff, sse};

fn digest(recording: &Recording) -> Digest {
    let openai = recording.wire == "openai-chat";
    let text = recording.body.text().expect("these wires have text bodies");
    if recording.status >= 400 {
        let read = if openai {
            openai_error
        } else {
            anthropic_error
        };
        return Digest::of_error(read(Some(recording.status), text));
    }
    match &recording.body {
        Body::Sse(_) if openai => openai_chat_stream(&recording.events()),
        Body::Sse(_) => anthropic_stream(&recording.events()),
        _ => {
            let value = json::parse(text).expect("a whole answer is JSON");
            if openai {
                openai_chat_unary(&value)
            } else {
                anthropic_unary(&value)
            }
        }
    }
}

#[derive(Default, Debug, PartialEq, Eq)]
struct Counts {
    recordings: usize,
    errors: usize,
    in_band_errors: usize,
    text: usize,
    reasoning: usize,
    tool_calls: usize,
    signatures: usize,
    usage: usize,
    finish: usize,
    citations: usize,
    no_terminal: usize,
    several_answers: usize,
    empty: usize,
}

fn survey(wire: &str) -> Option<(Counts, Vec<(Recording, Digest)>)> {
    let read: Vec<(Recording, Digest)> = recordings::load(wire)?
        .into_iter()
        .map(|recording| {
            let digest = digest(&recording);
            (recording, digest)
        })
        .collect();
    let mut counts = Counts::default();
    for (recording, digest) in &read {
        let any = |holds: fn(&Choice) -> bool| usize::from(digest.choices.iter().any(holds));
        counts.recordings += 1;
        counts.errors += usize::from(recording.status >= 400);
        counts.in_band_errors += usize::from(recording.status < 400 && digest.error.is_some());
        counts.text += any(|choice| !choice.text.is_empty());
        counts.reasoning += any(|choice| !choice.reasoning.is_empty());
        counts.tool_calls += any(|choice| !choice.tool_calls.is_empty());
        counts.signatures += any(|choice| !choice.signatures.is_empty());
        counts.citations += any(|choice| choice.citations > 0);
        counts.finish += any(|choice| choice.finish != FinishClass::None);
        counts.usage += usize::from(digest.usage.is_some());
        counts.no_terminal += usize::from(!digest.terminal);
        counts.several_answers += usize::from(digest.responses > 1 || digest.after_terminal > 0);
        let empty = digest.error.is_none() && !digest.has_content();
        counts.empty += usize::from(empty);
        if empty {
            let (finish, reasoning) = (digest.finish(), digest.reasoning().len());
            eprintln!("empty: {} {finish:?} reasoning {reasoning}", recording.id);
        }
        for choice in &digest.choices {
            if let FinishClass::Other(raw) = &choice.finish {
                eprintln!("unknown finish: {} {raw}", recording.id);
            }
        }
        assert_eq!(digest.corrupt, 0, "{}", recording.id);
    }
    eprintln!("{wire}: {counts:#?}");
    Some((counts, read))
}

#[test]
fn openai_chat_is_read_whole() {
    let Some((counts, read)) = survey("openai-chat") else {
        return;
    };
    assert!(counts.text * 2 > counts.recordings && counts.usage * 2 > counts.recordings);
    check_all(&read);
}

#[test]
fn anthropic_messages_are_read_whole() {
    let Some((counts, read)) = survey("anthropic-messages") else {
        return;
    };
    assert!(counts.text * 2 > counts.recordings && counts.usage * 2 > counts.recordings);
    check_all(&read);
}

/// The tags were found by other code than the digests were, so the two check each other. Tags are heuristics, so only
/// those are taken that a correct reading must bear out; the rest is printed.
#[test]
fn digests_agree_with_the_tags() {
    let (mut checked, mut unlike) = (0, Vec::new());
    for wire in ["openai-chat", "anthropic-messages"] {
        let Some(all) = recordings::load(wire) else {
            return;
        };
        for recording in &all {
            let digest = digest(recording);
            let any = |holds: fn(&Choice) -> bool| digest.choices.iter().any(holds);
            for (tag, found) in [
                ("tool-call", any(|choice| !choice.tool_calls.is_empty())),
                ("usage", digest.usage.is_some()),
                (
                    "thinking",
                    any(|choice| !choice.reasoning.is_empty() || !choice.signatures.is_empty()),
                ),
            ] {
                if recording.has_tag(tag) {
                    checked += 1;
                    assert!(found, "{}: {tag}", recording.id);
                }
            }
            for (tag, found) in [
                ("tool-call", any(|choice| !choice.tool_calls.is_empty())),
                ("parallel-tools", any(|choice| choice.tool_calls.len() > 1)),
                ("multi-choice", digest.choices.len() > 1),
                (
                    "truncated",
                    any(|choice| choice.finish == FinishClass::Length),
                ),
                (
                    "refusal-or-filter",
                    any(|choice| {
                        choice.finish == FinishClass::ContentFilter || !choice.refusal.is_empty()
                    }),
                ),
                ("signature", any(|choice| !choice.signatures.is_empty())),
                ("citations", any(|choice| choice.citations > 0)),
                ("logprobs", any(|choice| choice.logprobs > 0)),
            ] {
                if recording.has_tag(tag) != found {
                    unlike.push(format!("{} {tag}: digest says {found}", recording.id));
                }
            }
        }
    }
    eprintln!(
        "{checked} tags borne out; {} read otherwise\n{}",
        unlike.len(),
        unlike.join("\n")
    );
    assert!(checked > 0);
}

fn check_all(read: &[(Recording, Digest)]) {
    for (recording, digest) in read {
        let id = &recording.id;
        if digest.error.is_some() {
            continue;
        }
        assert!(!digest.choices.is_empty(), "{id}");
        assert_ne!(digest.finish(), FinishClass::None, "{id}");
        for choice in &digest.choices {
            assert_eq!(
                choice.others.iter().find(|kind| kind.is_empty()),
                None,
                "{id}"
            );
            for call in &choice.tool_calls {
                assert!(!call.name.is_empty(), "{id}");
                let cut = choice.finish == FinishClass::Length;
                assert!(
                    call.arguments_json().is_some() || cut,
                    "{id}: {}",
                    call.arguments
                );
            }
        }
        // Nothing to show for it is possible only when something else was in the way.
        let choice = &digest.choices[0];
        let stopped = [
            FinishClass::Length,
            FinishClass::ContentFilter,
            FinishClass::StopSequence,
        ];
        let told = stopped.contains(&choice.finish) || !choice.server_tools.is_empty();
        assert!(digest.has_content() || told, "{id}: {:?}", choice.finish);
    }
}

#[test]
fn recorded_errors_have_a_class_and_a_message() {
    let mut classes: BTreeMap<String, usize> = BTreeMap::new();
    for wire in ["openai-chat", "anthropic-messages"] {
        let Some(all) = recordings::load(wire) else {
            return;
        };
        for recording in all.iter().filter(|recording| recording.is_error()) {
            let error = digest(recording).error.expect("an error is read as one");
            assert_ne!(error.class, ErrorClass::Other, "{}", recording.id);
            assert!(
                !error.message.is_empty() || recording.status == 500,
                "{}",
                recording.id
            );
            *classes.entry(format!("{:?}", error.class)).or_default() += 1;
        }
    }
    eprintln!("error classes: {classes:?}");
    assert!(classes.len() >= 5);
}

#[test]
fn the_readers_take_every_recording() {
    let Some(all) = recordings::load_where("all wires", |_| true) else {
        return;
    };
    let (mut bodies, mut streams) = (0, 0);
    for recording in &all {
        match &recording.body {
            Body::Json(text) => {
                let value =
                    json::parse(text).unwrap_or_else(|error| panic!("{}: {error}", recording.id));
                assert_eq!(
                    jsondiff::diff(text, &value.to_string()),
                    Ok(Vec::new()),
                    "{}",
                    recording.id
                );
                bodies += 1;
            }
            Body::Sse(text) => {
                let stream = sse::parse(text.as_bytes());
                // One recording of another wire ends without the blank line, so its only event is not dispatched.
                let seen = !stream.events.is_empty() || stream.unfinished.is_some();
                assert!(seen, "{}", recording.id);
                assert!(!stream.invalid_utf8, "{}", recording.id);
                streams += 1;
            }
            _ => {}
        }
        if let Some(request) = &recording.request_body {
            assert!(json::parse(request).is_ok(), "{}", recording.id);
        }
    }
    eprintln!(
        "{} exchanges, {bodies} bodies, {streams} streams",
        all.len()
    );
    assert!(bodies > 0 && streams > 0);
}

#[test]
fn a_recording_is_replayed_byte_for_byte() {
    let Some(all) = recordings::load("openai-chat") else {
        return;
    };
    let replay = Replay::start();
    for recording in &all {
        replay.push(Script::recorded(recording));
        let response = http::post(replay.addr, "/", &[], "{}");
        assert_eq!(response.status, recording.status);
        assert_eq!(Some(response.text().as_str()), recording.body.text());
    }
}
