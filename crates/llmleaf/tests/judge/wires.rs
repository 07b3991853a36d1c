//! The Responses wire and Gemini's, on either side, under the faults that a wire answers in its own way: ends, resets, stalls,
//! errors and nonsense, before the first content and behind it. The two other wires have tests of each row of their own.

use llmleaf_testkit::http::End;
use llmleaf_testkit::replay::Script;
use llmleaf_testkit::samples::{Stream, Wire};
use llmleaf_testkit::stage::{Asked, Stage};

use super::stage;

const TEXT: &str = "first answer";

/// A judged stage whose second provider answers well.
fn outlived(lines: &str) -> Stage {
    let stage = stage().later().judged().first(lines).start();
    stage.second.on(|request| {
        let wire = Wire::of_path(&request.path);
        Script::sse(wire.stream("second answer").body())
    });
    stage
}

/// An exchange under way, and up to where its provider went on as it should.
struct Case {
    name: String,
    pair: (Wire, Wire),
    at: usize,
    asked: Asked,
}

impl Case {
    fn new(stage: &Stage, name: &str, pair: (Wire, Wire), at: usize, script: Script) -> Self {
        Self {
            name: format!("{} to {}, {name} at {at}", pair.0, pair.1),
            pair,
            at,
            asked: stage.play(pair.0, &Stage::chain(pair.1), true, script),
        }
    }

    /// The next provider answers where there was no content, else all of it is told, and then an error and a cut.
    fn judge(mut self, stream: &Stream) {
        let response = self.asked.connection.response();
        let digest = self.pair.0.read(&response);
        let case = format!("{}: {:?} {}", self.name, response.end, response.text());
        assert_eq!(response.status, 200, "{case}");
        assert_eq!(digest.corrupt, 0, "{case}");
        let told = (0..=stream.content.len()).rfind(|count| stream.until(*count).len() <= self.at);
        let told = told.unwrap_or_default();
        if told == 0 {
            assert_eq!(
                (digest.text(), response.end),
                ("second answer", End::Clean),
                "{case}"
            );
            assert!(digest.terminal && digest.error.is_none(), "{case}");
            return;
        }
        let words: String = TEXT.split_inclusive(' ').take(told).collect();
        assert_eq!(digest.text(), words, "{case}");
        assert!(digest.error.is_some() && !digest.terminal, "{case}");
        assert!(matches!(response.end, End::Cut | End::Reset), "{case}");
    }
}

/// Behind every event but the last, and within every event.
fn positions(stream: &Stream) -> Vec<usize> {
    let ends = stream.boundaries();
    let last = ends.last().copied();
    let within = ends.iter().scan(0, |start, end| {
        let middle = *start + (end - *start) / 2;
        *start = *end;
        Some(middle)
    });
    let behind = ends.iter().copied().filter(|end| Some(*end) != last);
    within.chain(behind).collect()
}

#[test]
fn b9_b10_later_wires_that_end_anywhere_never_end_well() {
    let stage = outlived("");
    for pair in Wire::LATER_PAIRS {
        let stream = pair.1.stream(TEXT);
        let body = || Script::sse(stream.body());
        for (number, at) in positions(&stream).into_iter().enumerate() {
            // Each place takes one of the three in turn; a reset may take bytes with it that were on their way.
            let (name, script) = match number % 3 {
                0 => ("closed", body().close_at(at)),
                1 => ("ended", body().end_at(at)),
                _ => ("closed early", body().write_each_event().close_at(at)),
            };
            Case::new(&stage, name, pair, at, script).judge(&stream);
        }
        let mut asked = Case::new(&stage, "whole", pair, usize::MAX, body()).asked;
        let response = asked.connection.response();
        let digest = pair.0.read(&response);
        let good = digest.terminal && digest.error.is_none() && response.end == End::Clean;
        assert!(good && digest.text() == TEXT, "{}", response.text());
    }
}

#[test]
fn b6_b7_later_wires_that_fall_silent_are_ended_by_a_clock() {
    let stage = outlived("timeouts = { first_content_ms = 400, idle_ms = 400 }");
    let cases = Wire::LATER_PAIRS.into_iter().flat_map(|pair| {
        let stream = pair.1.stream(TEXT);
        let places = [
            stream.head().len(),
            stream.until(1).len(),
            stream.until(2).len() + 9,
        ];
        let body = stream.body();
        let stage = &stage;
        places.map(move |at| {
            let script = Script::sse(body.clone()).stall_at(at);
            Case::new(stage, "stalled", pair, at, script)
        })
    });
    // All of them are silent at the same time.
    let cases: Vec<Case> = cases.collect();
    for case in cases {
        let stream = case.pair.1.stream(TEXT);
        case.judge(&stream);
    }
}

#[test]
fn b11_b12_errors_and_nonsense_within_later_wires() {
    let stage = outlived("");
    for pair in Wire::LATER_PAIRS {
        let stream = pair.1.stream(TEXT);
        let error = pair
            .1
            .error_event("UNAVAILABLE", "failure at host internal-7.corp");
        for (name, odd) in [
            ("an error", error),
            ("no JSON", "data: {nope\n\n".to_owned()),
            ("no UTF-8", "data: {}".to_owned()),
        ] {
            for content in 0..2 {
                let mut body = stream.until(content).into_bytes();
                let at = body.len();
                body.extend_from_slice(odd.as_bytes());
                if name == "no UTF-8" {
                    body.extend_from_slice(b"\xff\n\n");
                }
                let script = Script::sse(body).write_at_once();
                let case = Case::new(&stage, name, pair, at, script);
                case.judge(&stream);
            }
        }
    }
}

/// Not judged: that is a long reading of nothing.
#[test]
fn b23_an_event_without_end_is_cut_in_later_wires() {
    let stage = stage().later().start();
    for pair in &Wire::LATER_PAIRS[..2] {
        let stream = pair.1.stream(TEXT);
        let body = format!("{}data: {}", stream.until(1), "x".repeat(9 << 20));
        let script = Script::sse(body).write_at_once();
        let at = stream.until(1).len();
        Case::new(&stage, "no end", *pair, at, script).judge(&stream);
    }
}

#[test]
fn b12_whole_answers_of_later_wires_are_what_was_said_or_an_error() {
    let stage = stage().later().judged().start();
    for pair in Wire::LATER_PAIRS {
        let play = |script| {
            let mut asked = stage.play(pair.0, &Stage::alone(pair.1), false, script);
            asked.connection.response()
        };
        let whole = pair.1.whole(TEXT);
        let response = play(Script::json(200, whole.clone()));
        assert_eq!(pair.0.read(&response).text(), TEXT, "{}", response.text());
        let half = whole[..whole.len() / 2].to_owned();
        for script in [
            Script::json(200, half),
            Script::json(200, whole.clone()).close_at(whole.len() / 2),
            Script::json(200, pair.1.error("UNAVAILABLE", "internal-7.corp")),
            Script::json(503, pair.1.error("UNAVAILABLE", "internal-7.corp")),
        ] {
            let response = play(script);
            let text = response.text();
            assert!(response.status >= 500, "{} {text}", response.status);
            assert!(!pair.0.read_error(&response).message.is_empty(), "{text}");
            assert!(!text.contains("internal-7"), "{text}");
        }
    }
}
