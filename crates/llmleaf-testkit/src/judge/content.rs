//! I-2: what the consumer reads is a prefix of what one attempt said. I-3: and of nobody else's.

use super::{Attempt, Evidence, Exchange, Invariant, Report};
use crate::digest::{Choice, Digest, FinishClass, Tolerance};
use crate::http::End;
use crate::replay::canaries_in;

const I: Invariant = Invariant::Prefix;

pub(super) fn check(evidence: &Evidence, exchange: &Exchange, report: &mut Report) {
    if exchange.response.status != 200 || !exchange.whole {
        return;
    }
    replacement(evidence, exchange, report);
    let Some(got) = exchange.digest() else { return };
    let attempts: Vec<&Attempt> = evidence.attempts_of(exchange).collect();
    if exchange.canary.is_none() || attempts.iter().any(|made| !made.answer.is_whole()) {
        return;
    }
    let success = exchange.response.end == End::Clean && got.error.is_none();
    let mut why = Vec::new();
    for made in &attempts {
        let Some(said) = made.digest() else { continue };
        let same = made.wire == exchange.wire;
        let differs = match success {
            true => whole_difference(&got, &said, same),
            false => prefix_difference(&got, &said, same),
        };
        match differs {
            None => return,
            Some(differs) => why.push(format!("{}: {differs}", made.provider)),
        }
    }
    let nothing = !success && !got.has_content() && got.reasoning().is_empty();
    report.expect(nothing, I, &exchange.id, || {
        format!(
            "not what any attempt said: {}; {}",
            why.join("; "),
            exchange.tail()
        )
    });
}

/// A replacement character, or bytes that are no UTF-8, where no provider sent one.
fn replacement(evidence: &Evidence, exchange: &Exchange, report: &mut Report) {
    let replaced = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.contains('\u{fffd}') || text.to_ascii_lowercase().contains("\\ufffd")
    };
    let sent = |attempt: &Attempt| {
        std::str::from_utf8(&attempt.answer.sent).is_ok() && replaced(&attempt.answer.sent)
    };
    let mut made = evidence.attempts_of(exchange);
    let fits = !replaced(&exchange.response.body) || made.any(sent);
    report.expect(fits, I, &exchange.id, || {
        format!("a replacement character: {}", exchange.tail())
    });
}

/// Why an answer that is not complete is no prefix of what was said.
fn prefix_difference(got: &Digest, said: &Digest, same: bool) -> Option<String> {
    for choice in &got.choices {
        let theirs = said
            .choices
            .iter()
            .find(|other| other.index == choice.index);
        let empty = Choice::default();
        let differs = choice_difference(choice, theirs.unwrap_or(&empty), same);
        if differs.is_some() {
            return differs;
        }
    }
    (got.corrupt > said.corrupt).then(|| "events that are no JSON".to_owned())
}

fn choice_difference(got: &Choice, said: &Choice, same: bool) -> Option<String> {
    for (name, got, said) in [
        ("text", &got.text, &said.text),
        ("reasoning", &got.reasoning, &said.reasoning),
        ("refusal", &got.refusal, &said.refusal),
    ] {
        // Another dialect may have no refusal of its own and say it as text.
        if !said.starts_with(got.as_str()) && (same || name != "text" || !said.is_empty()) {
            return Some(format!(
                "{name} {:?} is no prefix of {:?}",
                end(got),
                end(said)
            ));
        }
    }
    if got.tool_calls.len() > said.tool_calls.len() {
        return Some("a tool call that nobody made".to_owned());
    }
    for (got, said) in got.tool_calls.iter().zip(&said.tool_calls) {
        // The messages wire opens every call with an empty object, which the pieces then replace.
        let arguments = got.arguments.as_str();
        let open = arguments == "{}";
        let fits = said.name.starts_with(&got.name)
            && (open || said.arguments.starts_with(arguments))
            && (!same || said.id == got.id);
        if !fits {
            return Some(format!("tool call {got:?} is no prefix of {said:?}"));
        }
    }
    // Some services tell an error as a finish reason too, and their clients look for it there.
    let own = got.finish == FinishClass::Error;
    let finished = own || got.finish_raw.is_empty() || !said.finish_raw.is_empty();
    (!finished).then(|| format!("a finish {:?} that nobody told", got.finish_raw))
}

/// Why an answer that is complete is not what was said.
fn whole_difference(got: &Digest, said: &Digest, same: bool) -> Option<String> {
    let mut tolerance = match same {
        true => Tolerance::exact(),
        false => Tolerance::across_dialects(),
    };
    let mut left_out = vec!["usage", "responses", "terminal", "error"];
    if !same {
        // What the other dialect has no place for is a loss, which the losses say; the words and calls are not.
        left_out.extend([
            "reasoning",
            "refusal",
            "signatures",
            "server_tools",
            "citations",
            "images",
            "audio",
            "logprobs",
            "others",
            "corrupt",
            "choices",
            "tool_call[*].id",
        ]);
    }
    for name in left_out {
        tolerance = tolerance.ignoring(name);
    }
    let differences = said.compare(got, &tolerance);
    differences.first().map(ToString::to_string)
}

fn end(text: &str) -> &str {
    let from = text.char_indices().rev().nth(60).map_or(0, |(at, _)| at);
    &text[from..]
}

/// Canaries stay with their own.
pub(super) fn isolation(evidence: &Evidence, report: &mut Report) {
    const I: Invariant = Invariant::Isolation;
    for exchange in &evidence.exchanges {
        let Some(own) = &exchange.canary else {
            continue;
        };
        let response = &exchange.response;
        let mut heard: Vec<u8> = response.body.clone();
        for (name, value) in &response.headers {
            heard.extend_from_slice(format!("\n{name}: {value}").as_bytes());
        }
        let foreign = canaries_in(&heard).find(|canary| canary != own);
        report.expect(foreign.is_none(), I, &exchange.id, || {
            format!("{foreign:?} of another request; {}", exchange.tail())
        });
    }
    for attempt in &evidence.attempts {
        let mut canaries = canaries_in(&attempt.answer.request.body);
        let foreign = canaries.find(|canary| Some(canary) != attempt.canary.as_ref());
        report.expect(foreign.is_none(), I, &attempt.provider, || {
            format!("{foreign:?} in a request of {:?}", attempt.canary)
        });
    }
    for line in evidence.records.iter().chain(&evidence.log) {
        let found = canaries_in(line.as_bytes()).next();
        report.expect(found.is_none(), I, "the log", || {
            format!("{found:?} of a prompt or an answer: {line}")
        });
    }
}
