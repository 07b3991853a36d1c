//! What the fake providers of a soak say: good answers with counts that are each request's own, and faults, all by the request's id, so
//! that a run can be told again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use llmleaf_testkit::replay::{Replay, Request, Script};
use llmleaf_testkit::samples::{INPUT_TOKENS, OUTPUT_TOKENS, Wire};

/// What was said to one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// All of an answer, with input and output tokens.
    Good(u64, u64),
    /// All of it, and not a word of what it used.
    Uncounted,
    /// No answer, or not all of one. The count may have been in what was said.
    Fault(u64, u64),
    /// Not a byte. On a connection that was used before that may be a close that crossed the request, which is sent again within the same
    /// attempt.
    Silence,
}

/// By request.
#[derive(Clone, Default)]
pub struct Book(Arc<Mutex<BTreeMap<String, Vec<Said>>>>);

/// How many of a hundred attempts meet a fault.
pub const FAULTS: u64 = 30;

impl Book {
    pub fn read(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Said>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a provider answer so.
    pub fn serve(&self, replay: &Replay, faults: bool) {
        let book = self.clone();
        replay.keep_answers_to(0);
        replay.on(move |request| book.answer(request, faults));
    }

    fn answer(&self, request: &Request, faults: bool) -> Script {
        let text = request.text();
        let id = id_in(&text).to_owned();
        let mut book = self.read();
        let said = book.entry(id.clone()).or_default();
        let chance = mixed(&id, said.len() as u64);
        let counts = (1 + chance / 100 % 5000, 1 + chance / 1_000_000 % 900);
        let wire = Wire::of_path(&request.path);
        let stream = text.contains("\"stream\":true");
        let (what, script) = match chance % 100 {
            fault if faults && fault < FAULTS && fault % 10 == 4 => {
                (Said::Silence, Script::raw(""))
            }
            fault if faults && fault < FAULTS => (
                Said::Fault(counts.0, counts.1),
                faulty(wire, stream, counts, fault),
            ),
            _ if faults && chance % 100 == FAULTS => (Said::Uncounted, uncounted(wire, stream)),
            _ => (Said::Good(counts.0, counts.1), good(wire, stream, counts)),
        };
        said.push(what);
        script
    }
}

/// The id that a request has in its prompt.
fn id_in(text: &str) -> &str {
    let at = text.find("load-").expect("an id in the prompt");
    let rest = &text[at..];
    let end = rest.find([' ', '"']).unwrap_or(rest.len());
    &rest[..end]
}

/// A number that is the same for the same request, and any other for another (FNV-1a, then the finish of SplitMix64).
pub fn mixed(id: &str, more: u64) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ more.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let sum = id.bytes().fold(start, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let sum = (sum ^ (sum >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let sum = (sum ^ (sum >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    sum ^ (sum >> 31)
}

/// A body with these counts in the place of the sample's.
fn counted(body: &str, (input, output): (u64, u64)) -> String {
    let total = INPUT_TOKENS + OUTPUT_TOKENS;
    let names = [
        ("prompt_tokens", INPUT_TOKENS, input),
        ("completion_tokens", OUTPUT_TOKENS, output),
        ("total_tokens", total, input + output),
        ("input_tokens", INPUT_TOKENS, input),
        ("output_tokens", OUTPUT_TOKENS, output),
    ];
    names
        .iter()
        .fold(body.to_owned(), |body, (name, from, to)| {
            body.replace(&format!("\"{name}\":{from}"), &format!("\"{name}\":{to}"))
        })
}

fn good(wire: Wire, stream: bool, counts: (u64, u64)) -> Script {
    match stream {
        true => Script::sse(counted(&wire.stream("first answer").body(), counts)),
        false => Script::json(200, counted(&wire.whole("first answer"), counts)),
    }
}

/// A service that tells no usage. Messages always has it, so there it is an answer that somebody else's wire lacks.
fn uncounted(wire: Wire, stream: bool) -> Script {
    let body = match stream {
        true => wire.stream("first answer").body(),
        false => wire.whole("first answer"),
    };
    let body = body.replace("\"usage\":", "\"unknown\":");
    match stream {
        true => Script::sse(body),
        false => Script::json(200, body),
    }
}

fn faulty(wire: Wire, stream: bool, counts: (u64, u64), which: u64) -> Script {
    let all = wire.stream("first answer");
    let begun = counted(&all.until(1), counts);
    let whole = counted(&wire.whole("first answer"), counts);
    let half = whole.len() / 2;
    match which % 10 {
        0 => Script::json(500, wire.error("api_error", "no")),
        1 => Script::json(503, wire.error("overloaded_error", "no")),
        2 => Script::json(429, wire.error("rate_limit_error", "no")),
        3 => Script::json(400, wire.error("invalid_request_error", "no")),
        5 => Script::raw("HTTP/1.1 200 OK\r\nbad header\r\n\r\n"),
        6 if stream => Script::sse(begun.clone()).close_at(begun.len()),
        7 if stream => Script::sse(begun.clone()).reset_at(begun.len()),
        8 if stream => Script::sse(begun + &wire.error_event("api_error", "no")),
        9 if stream => Script::sse(wire.error_event("api_error", "no")),
        6 | 7 => Script::json(200, whole).close_at(half),
        8 => Script::json(200, whole[..half].to_owned()),
        _ => Script::json(200, wire.error("api_error", "no")),
    }
}
