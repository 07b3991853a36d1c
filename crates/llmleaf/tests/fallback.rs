//! A chain of two providers outlives whatever the first one does before its first content; a consumer's own fault is
//! its answer, and harms nobody.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

#[path = "fallback/batches.rs"]
mod batches;
#[path = "fallback/caching.rs"]
mod caching;
#[path = "fallback/chain.rs"]
mod chain;
#[path = "fallback/clocks.rs"]
mod clocks;
#[path = "fallback/committed.rs"]
mod committed;
#[path = "fallback/effort.rs"]
mod effort;
#[path = "fallback/exhausted.rs"]
mod exhausted;
#[path = "fallback/explain.rs"]
mod explain;
#[path = "fallback/health.rs"]
mod health;
#[path = "fallback/hedged.rs"]
mod hedged;
#[path = "fallback/kept.rs"]
mod kept;
#[path = "fallback/limits.rs"]
mod limits;
#[path = "fallback/live.rs"]
mod live;
#[path = "fallback/pictures.rs"]
mod pictures;
#[path = "fallback/pooled.rs"]
mod pooled;
#[path = "fallback/realtime.rs"]
mod realtime;
#[path = "fallback/routing.rs"]
mod routing;
#[path = "fallback/shapes.rs"]
mod shapes;
#[path = "fallback/socket.rs"]
mod socket;
#[path = "fallback/spoken.rs"]
mod spoken;
#[path = "fallback/thought.rs"]
mod thought;
#[path = "fallback/vectors.rs"]
mod vectors;

use llmleaf_testkit::http::{End, Response};
use llmleaf_testkit::replay::Script;
use llmleaf_testkit::samples::{INPUT_TOKENS, OUTPUT_TOKENS, Wire};
use llmleaf_testkit::stage::{Setup, Stage};

fn stage() -> Setup {
    Stage::with(env!("CARGO_BIN_EXE_llmleaf")).judged()
}

/// An answer of good words, as a stream or whole.
fn answer(provider: Wire, stream: bool, text: &str) -> Script {
    if stream {
        Script::sse(provider.stream(text).body())
    } else {
        Script::json(200, provider.whole(text))
    }
}

/// Asks a chain whose first provider was given its fault, and expects the second one's answer, whole and alone.
#[track_caller]
fn survives(stage: &Stage, pair: (Wire, Wire), stream: bool, failure: &str, case: &str) {
    let (consumer, provider) = pair;
    let case = format!("{consumer} to {provider}, stream {stream}: {case}");
    stage.second.push(answer(provider, stream, "second answer"));
    let before = [stage.first.requests().len(), stage.second.requests().len()];
    let (id, response) = stage.post(consumer, &Stage::chain(provider), stream);
    expect_answer(consumer, &response, "second answer", &case);
    assert_eq!(response.header("x-llmleaf-attempts"), Some("2"), "{case}");
    let after = [stage.first.requests().len(), stage.second.requests().len()];
    assert!(after[0] <= before[0] + 1, "{case}: the first is tried once");
    assert_eq!(after[1], before[1] + 1, "{case}");
    let usage = stage.usage(&id, 2);
    assert_eq!(usage[0].text_at(&["outcome"]), "failed", "{case}");
    assert_eq!(usage[0].text_at(&["failure"]), failure, "{case}");
    assert_eq!(usage[0].u64_at(&["attempt"]), Some(1), "{case}");
    assert_eq!(usage[0].text_at(&["provider"]), format!("{provider}-first"));
    assert_eq!(usage[1].text_at(&["outcome"]), "completed", "{case}");
    assert_eq!(usage[1].text_at(&["grade"]), "reported", "{case}");
    assert_eq!(usage[1].u64_at(&["input"]), Some(INPUT_TOKENS), "{case}");
    assert_eq!(usage[1].u64_at(&["output"]), Some(OUTPUT_TOKENS), "{case}");
}

/// The answer is complete, in the consumer's dialect, and nothing but these words.
#[track_caller]
fn expect_answer(consumer: Wire, response: &Response, text: &str, case: &str) {
    assert_eq!(
        (response.status, response.end),
        (200, End::Clean),
        "{case}: {}",
        response.text()
    );
    let digest = consumer.read(response);
    assert_eq!(digest.text(), text, "{case}: {}", response.text());
    assert!(digest.terminal, "{case}: {}", response.text());
    assert_eq!((&digest.error, digest.responses), (&None, 1), "{case}");
}
