//! Every kind of recording is played through the program, or has a reason not to be.

use std::collections::BTreeMap;

use llmleaf_testkit::recordings;

/// Which file plays a wire.
const PLAYED: &[(&str, &str)] = &[
    ("openai-chat", "same, across"),
    ("anthropic-messages", "same, across"),
    ("openai-responses", "same, across"),
    ("gemini-generate", "same, across"),
    ("ollama-chat", "same, across"),
    ("ollama-generate", "same, across"),
    ("cohere-v2", "same, across"),
    ("vertex-anthropic", "cloud"),
    ("anthropic-count-tokens", "counts"),
    ("gemini-count-tokens", "counts, cloud"),
    ("openai-responses-other", "counts"),
    ("embeddings-openai", "embeddings"),
    ("embeddings-cohere", "embeddings"),
    ("embeddings-gemini", "embeddings"),
    ("embeddings-vertex", "embeddings"),
    ("embeddings-ollama", "embeddings"),
    ("rerank", "rerank"),
    ("moderation", "modalities"),
    ("openai-completions", "modalities"),
    ("images", "pictures"),
    ("audio-speech", "audio"),
    ("audio-transcription", "audio"),
    ("audio-translation", "audio"),
    ("batch", "batches"),
    ("files", "batches"),
];

/// Which are not played, and why.
const NOT_PLAYED: &[(&str, &str)] = &[
    (
        "models",
        "no list of a provider's is asked for: models are what the configuration names",
    ),
    ("gemini-interactions", "a wire that is not spoken"),
    ("cohere-v1", "the wire before the one that is spoken"),
    ("anthropic-complete", "a wire that its service gave up"),
    ("mistral-ocr", "an operation that is not served"),
];

#[test]
fn every_kind_of_recording_is_played_or_has_a_reason() {
    let Some(all) = recordings::load_where("every kind", |_| true) else {
        return;
    };
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for recording in &all {
        *kinds.entry(&recording.wire).or_default() += 1;
    }
    let find = |table: &[(&str, &'static str)], kind: &str| {
        let found = table.iter().find(|(known, _)| *known == kind);
        found.map(|(_, how)| *how)
    };
    let mut unknown = Vec::new();
    for (kind, count) in &kinds {
        match (find(PLAYED, kind), find(NOT_PLAYED, kind)) {
            (Some(file), None) => eprintln!("{kind} {count}: {file}"),
            (None, Some(why)) => eprintln!("{kind} {count}: not played, {why}"),
            _ => unknown.push(kind),
        }
    }
    assert!(
        unknown.is_empty(),
        "{unknown:?} are neither played nor excused"
    );
    let gone = PLAYED.iter().filter(|(kind, _)| !kinds.contains_key(kind));
    assert_eq!(gone.count(), 0, "the set has no such kinds any more");
}
