//! An idle connection that its provider closes is nothing that a consumer ever hears of.

use llmleaf_testkit::replay::{Command, Script};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{LONG, Stage};

use super::{answer, expect_answer, stage};

/// Asks once and expects the first provider's answer at the first attempt.
#[track_caller]
fn answered(stage: &Stage, pair: (Wire, Wire), stream: bool, case: &str) {
    let (_, response) = stage.post(pair.0, &Stage::chain(pair.1), stream);
    expect_answer(pair.0, &response, "first answer", case);
    assert_eq!(response.header("x-llmleaf-attempts"), None, "{case}");
}

#[test]
fn a_connection_is_used_again() {
    let stage = stage().start();
    for pair in Wire::PAIRS {
        for stream in [true, false, true] {
            stage.first.push(answer(pair.1, stream, "first answer"));
            answered(&stage, pair, stream, "reuse");
        }
    }
    assert_eq!(
        stage.first.connections().len(),
        1,
        "all over one connection"
    );
}

#[test]
fn b20_an_idle_connection_may_close_or_speak_out_of_turn() {
    let stage = stage().start();
    let unasked = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    for pair in Wire::PAIRS {
        for (case, command) in [
            ("FIN", Command::Close),
            ("RST", Command::Reset),
            ("an answer to nothing", Command::Write(unasked.into())),
        ] {
            stage.first.push(answer(pair.1, true, "first answer"));
            answered(&stage, pair, true, case);
            let connections = stage.first.connections();
            let last = connections.len() - 1;
            let speaks = matches!(command, Command::Write(_));
            stage.first.command(last, command);
            if speaks {
                // What comes together with the next request cannot be told from its answer.
                let writes = connections[last].writes.len() + 1;
                assert!(stage.first.wait_writes(last, writes, LONG));
            }
            stage.first.push(answer(pair.1, true, "first answer"));
            answered(&stage, pair, true, case);
            assert!(stage.first.wait_closed(last, LONG).is_some(), "{case}");
        }
    }
}

#[test]
fn b17_a_connection_that_closes_as_the_request_comes_is_replaced() {
    let stage = stage().start();
    for pair in Wire::PAIRS {
        stage.first.push(answer(pair.1, true, "first answer"));
        answered(&stage, pair, true, "a fresh one");
        // The provider reads the request and closes without a byte: it had decided so before the request came.
        stage.first.push(Script::raw(""));
        stage.first.push(answer(pair.1, true, "first answer"));
        answered(
            &stage,
            pair,
            true,
            "closed while the request was on its way",
        );
    }
    assert_eq!(stage.second.connections().len(), 0);
}

#[test]
fn a_connection_whose_answer_was_cut_is_never_used_again() {
    let stage = stage().start();
    for pair in Wire::PAIRS {
        let before = stage.first.connections().len();
        let stream = pair.1.stream("first answer");
        stage
            .first
            .push(Script::sse(stream.body()).end_at(stream.until(1).len()));
        let (_, response) = stage.post(pair.0, &Stage::chain(pair.1), true);
        assert!(pair.0.read(&response).error.is_some());
        stage
            .first
            .push(answer(pair.1, true, "first answer").close_after());
        answered(&stage, pair, true, "after a cut");
        let added = stage.first.connections().len() - before;
        assert!(added >= 1, "{added}");
    }
}
