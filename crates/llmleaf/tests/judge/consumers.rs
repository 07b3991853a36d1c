//! Consumers that go, or read slowly, or come twice: the rows of docs/faults.md that `cancel` has not.

use std::time::Duration;

use bytes::Bytes;
use llmleaf_testkit::http::End;
use llmleaf_testkit::replay::{CANARY, Script, canary_in};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{LONG, Stage};

use super::{number_of, stage};

#[test]
fn a6_a_slow_reader_gets_every_byte_and_pushes_back() {
    let stage = stage().judged().start();
    stage.first.keep_answers_to(0);
    for wire in Wire::BOTH {
        let sample = wire.stream("first answer");
        let many = sample.content[0].repeat(64);
        let piece = Bytes::from(many.repeat((256 << 10) / many.len()));
        let pieces = std::iter::repeat_n(piece.clone(), PIECES);
        let head = Bytes::from(sample.head());
        let ending = Bytes::from(sample.ending.concat());
        let all: Vec<Bytes> = std::iter::once(head)
            .chain(pieces)
            .chain([ending])
            .collect();
        let length: usize = all.iter().map(Bytes::len).sum();
        let mut asked = stage.play(
            wire,
            &Stage::alone(wire),
            true,
            Script::sse("").writes(all).close_after(),
        );
        asked.connection.read_to("first ");
        let connection = stage.first.requests().pop().expect("a request").connection;
        let writes = || stage.first.connections()[connection].writes.len();
        // It stands when nobody reads.
        let moment = Duration::from_millis(200);
        while stage.first.wait_writes(connection, writes() + 1, moment) {}
        assert!(
            writes() < PIECES,
            "{wire}: the upstream was read without a reader"
        );
        let response = asked.connection.response();
        assert_eq!(response.end, End::Clean, "{wire}");
        // The chat wire's usage was not asked for, so its report is taken out.
        assert!(
            response.body.len() + 1024 > length,
            "{wire}: {} of {length}",
            response.body.len()
        );
        // The same dialect: the bytes are the provider's, with the canary in its place.
        let content = &response.body[sample.head().len()..];
        let canary = canary_in(&response.body).unwrap_or_default();
        let piece = String::from_utf8_lossy(&piece).replace(CANARY, &canary);
        let mut got = content.chunks(piece.len()).take(PIECES);
        let same = got.all(|got| got == piece.as_bytes());
        assert!(same, "{wire}: other bytes than were sent");
        drop(asked);
    }
}

/// Of 256 KiB: more than all the sockets between the two hold.
const PIECES: usize = 96;

#[test]
fn a8_what_a_provider_may_bill_after_a_hang_up_is_marked() {
    let stage = stage().judged().start();
    for pair in Wire::PAIRS {
        let stream = pair.1.stream("first answer");
        let number = stage.first.connections().len();
        // Usage would come at the end.
        let script = Script::sse(stream.body()).stall_at(stream.until(2).len());
        let mut asked = stage.play(pair.0, &Stage::chain(pair.1), true, script);
        asked.connection.read_to("answer");
        let id = asked.id.clone();
        drop(asked);
        assert!(stage.first.wait_closed(number, LONG).is_some());
        let usage = stage.usage(&id, 1);
        assert_eq!(usage[0].text_at(&["outcome"]), "cancelled");
        assert!(matches!(
            usage[0].text_at(&["grade"]),
            "estimated" | "partial"
        ));
        assert!(
            usage[0]
                .get("possibly_billed")
                .is_some_and(|billed| billed.is_truthy())
        );
        assert!(usage[0].u64_at(&["output"]) > Some(0));
    }
}

#[test]
fn a11_two_requests_with_one_idempotency_key_are_both_served() {
    let stage = stage().judged().start();
    for pair in Wire::PAIRS {
        let answer = || Script::json(200, pair.1.whole("first answer"));
        stage.first.push(answer());
        stage.first.push(answer());
        let body = pair.0.request(&Stage::chain(pair.1), false);
        let both = [(); 2]
            .map(|()| stage.ask_headed(pair.0, &body, &[("idempotency-key", "the-same-key")]));
        for mut asked in both {
            let response = asked.connection.response();
            assert_eq!(pair.0.read(&response).text(), "first answer");
            let usage = stage.usage(&asked.id, 1);
            assert_eq!(usage[0].text_at(&["outcome"]), "completed");
        }
    }
    assert_eq!(stage.first.requests().len(), 8, "nothing is deduplicated");
}

#[test]
fn i1_traffic_with_hang_ups_leaves_nothing_behind() {
    let rounds = number_of("LLMLEAF_SOAK_ROUNDS").unwrap_or(6);
    let stage = stage().start();
    let mut resident = Vec::new();
    for _ in 0..rounds {
        for number in 0..64 {
            let pair = Wire::PAIRS[number % 4];
            let stream = pair.1.stream("first answer");
            let sse = Script::sse(stream.body());
            let script = match number % 8 {
                0 => sse.stall_at(stream.head().len()),
                1 => sse.close_at(stream.until(1).len()),
                2 => Script::silent(),
                3 => Script::json(400, pair.1.error("invalid_request_error", "no")),
                4 => sse.stall_at(stream.until(1).len()),
                _ => sse,
            };
            let mut asked = stage.play(pair.0, &Stage::alone(pair.1), true, script);
            match number % 8 {
                0 | 2 => {
                    asked.connection.read_timeout(Duration::from_millis(5));
                    asked.connection.read_head();
                }
                4 => drop(asked.connection.read_to("first ")),
                _ => drop(asked.connection.response()),
            }
        }
        // Descriptors are compared with the start there.
        stage.settle();
        resident.extend(stage.leaf.resident_kib());
    }
    println!("soak: {rounds} rounds of 64, resident KiB {resident:?}");
    let (Some(last), warm) = (resident.last(), resident.get(resident.len() / 2)) else {
        return;
    };
    assert!(Some(*last) <= warm.map(|warm| warm + 2048), "{resident:?}");
}
