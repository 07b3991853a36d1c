//! Slow readers push back on the upstream and do not grow memory.

use std::time::Duration;

use llmleaf_testkit::http::End;
use llmleaf_testkit::replay::Script;
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{Asked, LONG, Stage};

use super::{answer, stage};

#[test]
fn a7_slow_readers_do_not_grow_memory() {
    const READERS: usize = 24;
    let stage = stage().start();
    stage.first.push(answer(Wire::Chat, true));
    assert_eq!(
        stage
            .post(Wire::Chat, &Stage::chain(Wire::Chat), true)
            .1
            .status,
        200
    );
    let before = stage.leaf.resident_kib();
    let comment = bytes::Bytes::from(format!(": {}\n\n", "x".repeat(60)).repeat(1 << 10));
    let mut readers: Vec<Asked> = Vec::new();
    for _ in 0..READERS {
        let head = bytes::Bytes::from(Wire::Chat.stream("first ").until(1));
        let writes = std::iter::once(head).chain(std::iter::repeat_n(comment.clone(), 1024));
        stage.first.push(Script::sse("").writes(writes));
        let mut asked = stage.ask(Wire::Chat, &Stage::chain(Wire::Chat), true);
        asked.connection.read_to("first ");
        readers.push(asked);
    }
    // All writes stand still.
    let written = || {
        stage
            .first
            .connections()
            .iter()
            .map(|c| c.writes.len())
            .collect::<Vec<_>>()
    };
    let mut last = written();
    loop {
        let more = last[READERS - 1] + 1;
        let _ = stage
            .first
            .wait_writes(READERS - 1, more, Duration::from_millis(200));
        let now = written();
        if now == last {
            break;
        }
        last = now;
    }
    assert!(last.iter().skip(1).all(|writes| *writes < 1024), "{last:?}");
    let grown = stage
        .leaf
        .resident_kib()
        .zip(before)
        .map(|(now, before)| now.saturating_sub(before));
    // Of 64 MiB that each upstream has to say. What many cost each is measured by `judge`; few share what an allocator keeps.
    let limit = 256 * u64::try_from(READERS).expect("few");
    assert!(grown < Some(limit), "{grown:?} KiB for {READERS} readers");
    // Another consumer is served meanwhile.
    stage.first.push(answer(Wire::Messages, true));
    let (_, response) = stage.post(Wire::Messages, &Stage::chain(Wire::Messages), true);
    assert_eq!(Wire::Messages.read(&response).text(), "first answer");
    let mut one = readers.remove(0);
    one.connection.read_timeout(LONG);
    let response = one.connection.response();
    assert!(response.body.len() > 60 << 20, "it gets all of it, late");
    assert!(
        matches!(response.end, End::Cut | End::Reset),
        "the stream had no end"
    );
    let tail = response.body.len() - 1024;
    let tail = String::from_utf8_lossy(&response.body[tail..]);
    assert!(tail.contains("\"error\""), "told, however late: {tail}");
}

#[test]
fn b23_a_stream_without_line_ends_is_cut_at_a_limit() {
    let stage = stage().start();
    stage.first.push(answer(Wire::Chat, true));
    let _ = stage.post(Wire::Chat, &Stage::chain(Wire::Chat), true);
    let before = stage.leaf.resident_kib();
    for pair in Wire::PAIRS {
        let head = bytes::Bytes::from(pair.1.stream("first ").until(1) + "data: ");
        let piece = bytes::Bytes::from("x".repeat(256 << 10));
        let writes = std::iter::once(head).chain(std::iter::repeat_n(piece, 400));
        stage.first.push(Script::sse("").writes(writes));
        let (_, response) = stage.post(pair.0, &Stage::chain(pair.1), true);
        let digest = pair.0.read(&response);
        assert!(
            digest.error.is_some() && !digest.terminal,
            "{} to {}",
            pair.0,
            pair.1
        );
        assert!(response.body.len() < 1 << 20, "nothing of it is passed on");
    }
    let grown = stage
        .leaf
        .resident_kib()
        .zip(before)
        .map(|(now, before)| now.saturating_sub(before));
    assert!(grown < Some(48 << 10), "{grown:?} KiB");
}
