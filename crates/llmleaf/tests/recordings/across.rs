//! The other dialect at the consumer's end: what the consumer reads is what the recording says, or the loss is reported.

use llmleaf_testkit::digest::{Digest, FinishClass, Tolerance, ToolCall, UsageClasses};
use llmleaf_testkit::http::End;
use llmleaf_testkit::json::Value;
use llmleaf_testkit::recordings::Recording;
use llmleaf_testkit::replay::Script;
use llmleaf_testkit::stand::{self, Ask, Exchange, PREFIX, Service, Stand};
use llmleaf_testkit::tally::{Finding, Tally};

use super::reading::{
    Spoken, UNFINISHED, consumer_status, is_unfinished, kind, received, recorded, recorded_to_error,
};
use super::{EXE, LOG, recordings};

/// Exchanges in the set when this was written.
const LEAST: usize = 701;

/// What one of the two dialects cannot say in an answer: these may differ where a loss is reported. Text, reasoning, tool
/// calls, finish, usage and errors may not.
const BESIDE: &[&str] = &[
    "citations",
    "images",
    "audio",
    "logprobs",
    "others",
    "server_tools",
    "signatures",
];

#[test]
fn the_other_dialects_say_the_same() {
    let Some(recordings) = recordings() else {
        return;
    };
    let tally = Tally::default();
    stand::each(EXE, LOG, &recordings, service, |stand, recording| {
        for spoken in Spoken::of(recording).others() {
            if !is_asked(spoken, recording) {
                continue;
            }
            let model = stand::model(recording);
            let body = question(spoken, &model, recording.stream);
            let ask = Ask {
                path: &spoken.path(&format!("{PREFIX}{model}"), recording.stream),
                body: &body,
                ..Ask::default()
            };
            let exchange = stand.exchange(&ask, Script::recorded(recording));
            let finding = judge(stand, spoken, recording, &exchange);
            tally.add(
                spoken.name(),
                &recording.provider,
                kind(recording),
                &recording.id,
                finding,
            );
        }
    });
    tally.conclude("across dialects", LEAST);
}

/// With `LLMLEAF_EVERY_PAIR=1` every recording is asked for in every other dialect; else the first two wires are asked for in
/// each other whole, and others in part, which keeps the whole suite short.
#[expect(
    clippy::disallowed_methods,
    reason = "how much a test does is asked of it from outside"
)]
fn is_asked(spoken: Spoken, recording: &Recording) -> bool {
    let first = |spoken: Spoken| matches!(spoken, Spoken::Chat | Spoken::Messages);
    let own = Spoken::of(recording);
    let lines = |spoken: Spoken| matches!(spoken, Spoken::Lines | Spoken::Prompt);
    let sum = recording.id.bytes().map(usize::from).sum::<usize>();
    let drawn = match spoken {
        _ if lines(own) || first(spoken) && first(own) => true,
        Spoken::Lines | Spoken::Cohere => sum % 8 == 0,
        Spoken::Prompt => sum % 32 == 0,
        _ => sum % 4 == 0,
    };
    drawn || std::env::var_os("LLMLEAF_EVERY_PAIR").is_some()
}

/// Services that also speak the consumer's dialect would be asked in it, so they are played by one that does not.
fn service(recording: &Recording) -> Service {
    let mut service = Service::of(recording);
    match service.kind.as_str() {
        "openrouter" => service.kind = "openai".to_owned(),
        "perplexity" => service.kind = "openai-compatible".to_owned(),
        _ => {}
    }
    let api = match Spoken::of(recording) {
        Spoken::Chat => "chat_completions",
        Spoken::Responses => "responses",
        Spoken::Messages | Spoken::Gemini | Spoken::Lines | Spoken::Prompt | Spoken::Cohere => {
            return service;
        }
    };
    let comma = if service.settings.is_empty() {
        ""
    } else {
        ", "
    };
    service
        .settings
        .push_str(&format!("{comma}chat_api = \"{api}\""));
    service
}

/// A plain request; what the answer says does not depend on it.
fn question(spoken: Spoken, model: &str, stream: bool) -> String {
    let model = serde_json::Value::from(format!("{PREFIX}{model}"));
    let rest = match (spoken, stream) {
        // With a cap, so that no loss is reported but those of the answer.
        (Spoken::Chat, false) => ",\"max_tokens\":1024".to_owned(),
        (Spoken::Chat, true) => {
            ",\"max_tokens\":1024,\"stream\":true,\"stream_options\":{\"include_usage\":true}"
                .to_owned()
        }
        (
            Spoken::Messages
            | Spoken::Responses
            | Spoken::Gemini
            | Spoken::Lines
            | Spoken::Prompt
            | Spoken::Cohere,
            _,
        ) => {
            format!(",\"max_tokens\":1024,\"stream\":{stream}")
        }
    };
    if spoken == Spoken::Gemini {
        // With a cap, for the wire that demands one.
        return "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"Hi\"}]}],\
            \"generationConfig\":{\"maxOutputTokens\":1024}}"
            .to_owned();
    }
    // There the cap stands in the options.
    let rest = match spoken {
        Spoken::Lines => format!(",\"options\":{{\"num_predict\":1024}},\"stream\":{stream}"),
        _ => rest,
    };
    if spoken == Spoken::Prompt {
        return format!(
            "{{\"model\":{model},\"prompt\":\"Hi\",\"options\":{{\"num_predict\":1024}},\"stream\":{stream}}}"
        );
    }
    if spoken == Spoken::Responses {
        return format!("{{\"model\":{model},\"input\":\"Hi\",\"stream\":{stream}}}");
    }
    format!("{{\"model\":{model},\"messages\":[{{\"role\":\"user\",\"content\":\"Hi\"}}]{rest}}}")
}

fn judge(stand: &Stand, spoken: Spoken, recording: &Recording, exchange: &Exchange) -> Finding {
    let mut finding = Finding::default();
    let response = &exchange.response;
    finding.check(exchange.requests.len() == 1, || {
        format!("{} requests upstream", exchange.requests.len())
    });
    let mut expected = recorded(recording);
    let mut got = received(spoken, response);
    if recording.status >= 400 {
        judge_error(&expected, &got, recording, exchange, &mut finding);
        return finding;
    }
    let marks = seals(&mut got);
    if marks > 0 {
        finding.note("reasoning that nobody signed bears the gateway's own mark");
    }
    let unfinished = is_unfinished(recording);
    if unfinished {
        finding.except(UNFINISHED);
    }
    if expected.error.is_some() || unfinished {
        expected = recorded_to_error(recording);
        finding.check(response.status >= 400 || begins(&expected, &got), || {
            format!("not the beginning of what was recorded: {got:?}")
        });
        finding.check(
            got.error.is_some() && !got.terminal | (response.status >= 400),
            || format!("no error: {} {}", response.status, response.text()),
        );
        finding.check(response.status >= 400 || response.end != End::Clean, || {
            "a clean end after an error".to_owned()
        });
        finding.note("error in a good status");
        return finding;
    }
    finding.check(response.status == 200 && response.end == End::Clean, || {
        format!("{} {:?} {}", response.status, response.end, response.text())
    });
    finding.check(got.terminal && got.corrupt == 0, || {
        "the stream has no end of its dialect".to_owned()
    });
    // A stream without `[DONE]` is complete by its finish reason; what corrupt parts it had is not compared.
    let tolerance = Tolerance::across_dialects().ignoring("terminal");
    let differences = expected.compare(&got, &tolerance);
    if !differences.is_empty() {
        let losses = stand.losses(exchange);
        for difference in differences {
            match reason(&expected, &got, &difference.name, losses) {
                Some(reason) => finding.except(reason),
                None => finding.check(false, || format!("{difference} ({losses} losses)")),
            }
        }
    }
    finding
}

/// Whether an answer that broke off says what was recorded, as far as it goes: what a dialect holds back until its turn
/// comes is not told any more.
fn begins(expected: &Digest, got: &Digest) -> bool {
    let (Some(own), Some(theirs)) = (expected.first(), got.first()) else {
        return got.choices.is_empty();
    };
    let calls = own.tool_calls.iter().zip(&theirs.tool_calls);
    let last = theirs.tool_calls.len().saturating_sub(1);
    own.text.starts_with(&theirs.text)
        && own.reasoning.starts_with(&theirs.reasoning)
        && own.tool_calls.len() >= theirs.tool_calls.len()
        && calls.enumerate().all(|(at, (own, theirs))| {
            let whole = own.arguments == theirs.arguments;
            own.name == theirs.name
                && own.id == theirs.id
                && (whole || at == last && own.arguments.starts_with(&theirs.arguments))
        })
}

/// Opens the envelopes in which this dialect carries artefacts of other families, and takes out those that only say that a
/// thought is unsigned (the dialect's clients demand a signature of every thought). Says how many those were.
fn seals(got: &mut Digest) -> usize {
    let mut marks = 0;
    for choice in &mut got.choices {
        let mut opened = Vec::new();
        for signature in std::mem::take(&mut choice.signatures) {
            // One dialect's signatures are bytes, so that the envelope stands in base64 there.
            let signature = match signature.starts_with("bGxtbGVhZi52MS") {
                true => base64url(&signature.replace('+', "-").replace('/', "_")),
                false => signature,
            };
            let parts: Vec<&str> = signature.split('.').collect();
            match parts.as_slice() {
                ["llmleaf", "v1", _, kind, ..] if kind.starts_with("unsigned") => marks += 1,
                ["llmleaf", "v1", _, _, data, ..] => opened.push(base64url(data)),
                _ => opened.push(signature),
            }
        }
        choice.signatures = opened;
    }
    marks
}

/// Decodes unpadded base64url (RFC 4648, section 5).
fn base64url(text: &str) -> String {
    let digits = text.bytes().filter_map(|byte| {
        Some(u32::from(match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        }))
    });
    let digits: Vec<u32> = digits.collect();
    let mut bytes = Vec::new();
    for group in digits.chunks(4) {
        let bits = group.iter().fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - group.len()));
        let whole = [(bits >> 16) as u8, (bits >> 8) as u8, bits as u8];
        bytes.extend_from_slice(&whole[..group.len() - 1]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The reason for which something differs as it must, where there is one.
fn reason(expected: &Digest, got: &Digest, name: &str, losses: u64) -> Option<String> {
    let (own, theirs) = (expected.first()?, got.first()?);
    let reported = losses > 0;
    let told_as_text = !own.refusal.is_empty() && theirs.text == own.refusal;
    let zero = |usage: &UsageClasses| (usage.input_total, usage.output_total) == (Some(0), Some(0));
    let clamped = expected.usage.zip(got.usage).is_some_and(|(own, theirs)| {
        own.cache_read > own.input_total && theirs.cache_read == own.input_total
    });
    let reason = match name {
        _ if reported && BESIDE.contains(&name) => return Some(format!("{name}: loss reported")),
        "choices" if reported => "choices: the dialect has one answer alone, loss reported",
        "text" | "refusal" if reported && told_as_text => {
            "refusal: the dialect tells it as text, loss reported"
        }
        "finish" if reported && told_as_text && theirs.finish == FinishClass::ContentFilter => {
            "refusal: the dialect has a stop reason for it, loss reported"
        }
        "finish" if !own.tool_calls.is_empty() && theirs.finish == FinishClass::ToolCalls => {
            "finish: `stop` beside tool calls is `tool_use`, on which alone this dialect's clients run tools"
        }
        "finish"
            if !own.tool_calls.is_empty()
                && own.finish == FinishClass::ToolCalls
                && theirs.finish == FinishClass::Stop =>
        {
            "finish: calls end an answer of this dialect like anything else"
        }
        "usage" if expected.usage.is_none() && got.usage.as_ref().is_some_and(zero) => {
            "usage: none was recorded, and the dialect demands numbers"
        }
        "usage.cache_read" | "usage.cache_write" | "usage.reasoning"
            if reported && got.usage.is_some_and(|usage| is_plain(&usage)) =>
        {
            "usage: the dialect counts input and output alone, loss reported"
        }
        "finish" if reported && matches!(own.finish, FinishClass::None | FinishClass::Other(_)) => {
            "finish: none was recorded, or a word that no dialect knows, loss reported"
        }
        "usage.cache_write" if reported => {
            "usage: what was written to a cache is input like any other in this dialect, loss reported"
        }
        "usage.cache_read" if clamped => {
            "usage: more cached input than input was recorded, which is brought down to all of it"
        }
        _ if name.ends_with("].id") && own.tool_calls.iter().all(|call| call.id.is_empty()) => {
            "tool call: the old function call has no id, and the dialect demands one"
        }
        _ if name.ends_with("].arguments") && free_text(&own.tool_calls, &theirs.tool_calls) => {
            "tool call: free text is the one field of an object where the dialect has objects only"
        }
        _ if name.ends_with("].arguments") && in_pieces(&own.tool_calls, &theirs.tool_calls) => {
            "tool call: its arguments came as places and pieces, which the reference reading does not join"
        }
        _ if reported && name.ends_with("].arguments") => {
            let objects = |calls: &[ToolCall]| {
                let parsed = calls.iter().filter_map(ToolCall::arguments_json);
                parsed
                    .filter(|value| matches!(value, Value::Object(_)))
                    .count()
            };
            let all = own.tool_calls.len();
            let wrapped = objects(&own.tool_calls) < all && objects(&theirs.tool_calls) == all;
            if !wrapped {
                return None;
            }
            "tool call: arguments that are no object are put into one, loss reported"
        }
        _ => return None,
    };
    Some(reason.to_owned())
}

/// Whether the arguments of every call that differ are an object where none were read.
fn in_pieces(own: &[ToolCall], theirs: &[ToolCall]) -> bool {
    own.iter().zip(theirs).all(|(own, theirs)| {
        let object = matches!(theirs.arguments_json(), Some(Value::Object(_)));
        own.arguments == theirs.arguments || own.arguments.is_empty() && object
    })
}

/// Whether counts tell nothing apart.
fn is_plain(usage: &UsageClasses) -> bool {
    let parts = [usage.cache_read, usage.cache_write, usage.reasoning];
    parts.iter().all(Option::is_none)
}

/// Whether the arguments of every call that differ are the recorded text in its one field.
fn free_text(own: &[ToolCall], theirs: &[ToolCall]) -> bool {
    own.iter().zip(theirs).all(|(own, theirs)| {
        let wrapped = serde_json::json!({ "input": own.arguments });
        let read = serde_json::from_str::<serde_json::Value>(&theirs.arguments);
        own.arguments == theirs.arguments || read.is_ok_and(|read| read == wrapped)
    })
}

fn judge_error(
    expected: &Digest,
    got: &Digest,
    recording: &Recording,
    exchange: &Exchange,
    finding: &mut Finding,
) {
    let response = &exchange.response;
    let text = recording.body.text().unwrap_or_default();
    let (statuses, reason) = consumer_status(expected, recording.status, text);
    finding.check(statuses.contains(&response.status), || {
        format!(
            "status {}, expected {statuses:?}, recorded {} {text}",
            response.status, recording.status
        )
    });
    let (Some(own), Some(theirs)) = (&expected.error, &got.error) else {
        return finding.check(false, || format!("no error: {}", response.text()));
    };
    match reason {
        Some(reason) => finding.except(reason),
        None => {
            finding.check(own.class == theirs.class, || {
                format!("class {:?}, expected {:?}", theirs.class, own.class)
            });
            // A list of mistakes may be told by its first, and words may stand in front of a message.
            let (a, b) = (own.message.trim(), theirs.message.trim());
            finding.check(!b.is_empty() && (b.contains(a) || a.contains(b)), || {
                format!("message {:?}, recorded {:?}", theirs.message, own.message)
            });
        }
    }
}
