//! What a provider does with one attempt, as the transport and the dialect would tell it.

use crate::chance::Chance;
use crate::scenario::{Consumer, Mood, Provider};
use llmleaf_model::{Failure, FailureKind, Origin, Retry};
use std::time::Duration;

/// Something that happens to an attempt.
#[derive(Clone, Debug)]
pub enum Act {
    Headers,
    Bytes,
    Content,
    /// Headers said that nothing is left for so many milliseconds.
    Exhausted(u64),
    /// The end; so many tokens were used.
    End(u64),
    Fail(Box<Failure>),
}

/// What happens, and when, counted from the beginning of the attempt. Nothing more comes after the last.
pub type Script = Vec<(u64, Act)>;

pub fn script(
    c: &mut Chance,
    provider: &Provider,
    consumer: &Consumer,
    credential: usize,
    now: u64,
) -> Script {
    let mood = provider.mood(now);
    let hit = |mask: u64| mask >> credential & 1 == 1;
    let soon = c.range(1, 60);
    let fail = |failure| vec![(soon, Act::Fail(Box::new(failure)))];
    match mood {
        Mood::Refusing => fail(upstream(FailureKind::Connect, None)),
        Mood::Failing => fail(upstream(FailureKind::Server, Some(500))),
        Mood::Shedding => {
            let mut failure = upstream(FailureKind::Overloaded, Some(503));
            failure.retry_after = stated(c);
            fail(failure)
        }
        Mood::Stalling => Vec::new(),
        Mood::HalfStalling => vec![(soon, Act::Headers), (soon + 1, Act::Bytes)],
        Mood::Truncating => truncated(c, provider, consumer),
        Mood::Garbage => vec![
            (soon, Act::Headers),
            (
                soon + 5,
                Act::Fail(Box::new(upstream(FailureKind::InvalidResponse, None))),
            ),
        ],
        Mood::Limiting(mask) if hit(mask) => {
            let mut failure = upstream(FailureKind::RateLimit, Some(429));
            failure.retry_after = stated(c);
            fail(failure)
        }
        Mood::Unauthorized(mask) if hit(mask) => fail(upstream(FailureKind::Credential, Some(401))),
        Mood::Forbidden(mask) if hit(mask) => fail(upstream(FailureKind::Credential, Some(403))),
        Mood::Unpaid(mask) if hit(mask) => fail(upstream(FailureKind::Quota, Some(402))),
        Mood::Flapping(percent) if c.percent(percent) => {
            fail(upstream(FailureKind::Server, Some(502)))
        }
        Mood::Losing if c.percent(60) => fail(upstream(FailureKind::Connect, None)),
        Mood::Lacking => fail(upstream(FailureKind::Unsupported, None)),
        _ if consumer.bad => fail(refusal(c)),
        _ => answer(c, provider, consumer),
    }
}

fn upstream(kind: FailureKind, status: Option<u16>) -> Failure {
    let mut failure = Failure::upstream(kind, "simulated");
    failure.status = status;
    failure
}

/// What is a consumer's own fault, whatever it is called.
fn refusal(c: &mut Chance) -> Failure {
    let (kind, status) = *c.pick(&[
        (FailureKind::InvalidRequest, 400),
        (FailureKind::ContextLength, 400),
        (FailureKind::NotFound, 404),
        (FailureKind::TooLarge, 413),
        (FailureKind::ContentPolicy, 403),
        (FailureKind::Permission, 403),
        (FailureKind::Server, 500),
    ]);
    let mut failure = Failure::new(Origin::Consumer, kind, "simulated");
    failure.status = Some(status);
    if kind == FailureKind::ContextLength && c.percent(50) {
        failure.retry = Retry::NextTarget;
    }
    failure
}

/// Waits as upstreams state them: none, nothing, some, absurd.
fn stated(c: &mut Chance) -> Option<Duration> {
    match c.range(0, 6) {
        0 => None,
        1 => Some(Duration::ZERO),
        2 => Some(Duration::from_millis(c.range(1, 900))),
        3 => Some(Duration::MAX),
        _ => Some(Duration::from_millis(c.range(1_000, 30_000))),
    }
}

fn answer(c: &mut Chance, provider: &Provider, consumer: &Consumer) -> Script {
    let first = c.range(provider.pace / 2 + 1, provider.pace * 2 + 2);
    let used = c.range(1, consumer.tokens * 3 / 2 + 2);
    let mut script = vec![(first, Act::Headers)];
    if c.percent(5) {
        script.push((first, Act::Exhausted(c.range(0, 20_000))));
    }
    if consumer.stream {
        script.push((first, Act::Content));
    }
    let mut at = first;
    // Some talk for longer than any clock allows.
    let pieces = if c.percent(4) { 100 } else { 4 };
    for _ in 0..c.range(0, pieces) {
        at += c.range(1, 300);
        script.push((at, Act::Bytes));
    }
    script.push((at + 1, Act::End(used)));
    script
}

fn truncated(c: &mut Chance, provider: &Provider, consumer: &Consumer) -> Script {
    let mut script = answer(c, provider, consumer);
    let keep = c.range(1, script.len() as u64) as usize;
    let at = script[keep].0;
    script.truncate(keep);
    let failure = upstream(FailureKind::Truncated, None);
    script.push((at, Act::Fail(Box::new(failure))));
    script
}
