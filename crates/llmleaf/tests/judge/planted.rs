//! Bugs that are planted into good evidence, recorded live: each is noticed, by the promise that it breaks.

use std::time::Duration;

use llmleaf_testkit::digest::{anthropic_stream, openai_chat_stream};
use llmleaf_testkit::http::End;
use llmleaf_testkit::judge::{Evidence, Exchange, Growth, Invariant};
use llmleaf_testkit::replay::{CANARY, Ended, Script};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::CREDENTIALS;

use super::stage;

/// The exchanges of the good run, by their place in it.
const STREAM: usize = 0;
const FALLEN_BACK: usize = 1;
const BROKEN: usize = 2;
const REFUSED: usize = 3;
const TOOLS: usize = 4;
const WHOLE: usize = 5;
const MESSAGES: usize = 6;
const LEFT: usize = 7;
const FAILED_MESSAGES: usize = 8;

/// A stream with a tool call in pieces, and usage in several classes.
fn tools() -> String {
    let piece = |delta: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"chatcmpl-{CANARY}\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m-1\",\
             \"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let arguments = |text: &str| {
        format!("{{\"tool_calls\":[{{\"index\":0,\"function\":{{\"arguments\":{text}}}}}]}}")
    };
    let call = "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"type\":\"function\",\
                \"function\":{\"name\":\"look_up\",\"arguments\":\"\"}}]}";
    [
        piece(call, "null"),
        piece(&arguments("\"{\\\"place\\\":\""), "null"),
        piece(&arguments("\"\\\"Oslo\\\"}\""), "null"),
        piece("{}", "\"tool_calls\""),
        format!(
            "data: {{\"id\":\"chatcmpl-{CANARY}\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m-1\",\
             \"choices\":[],\"usage\":{{\"prompt_tokens\":90,\"completion_tokens\":20,\"total_tokens\":110,\
             \"prompt_tokens_details\":{{\"cached_tokens\":64}},\"completion_tokens_details\":{{\"reasoning_tokens\":7}}}}}}\n\n"
        ),
        "data: [DONE]\n\n".to_owned(),
    ]
    .concat()
}

/// One exchange of every kind, in the order of the places above.
fn good_run() -> Evidence {
    let stage = stage().start();
    let chat = Wire::Chat.stream("first answer");
    let sse = |text: String| Script::sse(text);
    let end = |wire: Wire, stream: bool, script: Script| {
        let mut asked = stage.play(wire, wire.name(), stream, script);
        asked.connection.response();
    };
    end(Wire::Chat, true, sse(chat.body()));
    let second = Wire::Chat.stream("second answer");
    stage.second.push(sse(second.body()));
    end(
        Wire::Chat,
        true,
        sse(chat.body()).close_at(chat.head().len()),
    );
    let one = chat.until(1).len();
    end(Wire::Chat, true, sse(chat.body()).close_at(one));
    let refusal = |wire: Wire| Script::json(500, wire.error("api_error", "no"));
    stage.second.push(refusal(Wire::Chat));
    end(Wire::Chat, true, refusal(Wire::Chat));
    let body = Wire::Chat.request("chat", true);
    let asks = body.replacen('{', "{\"stream_options\":{\"include_usage\":true},", 1);
    stage.first.push(sse(tools()));
    drop(stage.ask_with(Wire::Chat, &asks).connection.response());
    let whole = Wire::Messages.whole("first answer");
    end(Wire::Messages, false, Script::json(200, whole));
    let body = Wire::Messages.stream("first answer").body();
    end(Wire::Messages, true, sse(body));
    let stalled = sse(chat.body()).stall_at(one);
    let mut asked = stage.play(Wire::Chat, "chat", true, stalled);
    asked.connection.read_to("first ");
    drop(asked);
    stage.second.push(refusal(Wire::Messages));
    end(Wire::Messages, true, refusal(Wire::Messages));
    stage.evidence()
}

/// A bug: its name, the promise that it breaks, and how it changes the evidence.
type Bug = (&'static str, Invariant, fn(&mut Evidence));

fn edit(exchange: &mut Exchange, from: &str, to: &str) {
    let text = exchange.response.text();
    assert!(text.contains(from), "no {from:?} in {text}");
    exchange.response.body = text.replacen(from, to, 1).into_bytes();
}

fn edit_record(evidence: &mut Evidence, place: usize, from: &str, to: &str) {
    let id = format!("\"request_id\":\"{}\"", evidence.exchanges[place].id);
    let mut own = evidence
        .records
        .iter_mut()
        .filter(|line| line.contains(&id));
    let record = own.next_back().expect("a record");
    assert!(record.contains(from), "no {from:?} in {record}");
    *record = record.replacen(from, to, 1);
}

/// Fabrications, splices and other wrong words.
const WORDS: &[Bug] = &[
    (
        "a stop that nobody told",
        Invariant::HonestEnd,
        |evidence| {
            let broken = &mut evidence.exchanges[BROKEN];
            let at = broken.response.text().rfind("data: {").expect("an error");
            broken.response.body.truncate(at);
            let stop = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
            broken.response.body.extend_from_slice(stop.as_bytes());
            broken.response.end = End::Clean;
        },
    ),
    ("a splice of two attempts", Invariant::Prefix, |evidence| {
        edit(&mut evidence.exchanges[FALLEN_BACK], "second ", "first ");
    }),
    (
        "content told again after the commit",
        Invariant::Prefix,
        |evidence| {
            let stream = &mut evidence.exchanges[STREAM];
            let text = stream.response.text();
            let event = text
                .split_inclusive("\n\n")
                .find(|event| event.contains("first "));
            let again = event.expect("content").repeat(2);
            edit(stream, event.expect("content"), &again);
        },
    ),
    ("a replacement character", Invariant::Prefix, |evidence| {
        edit(&mut evidence.exchanges[BROKEN], "first ", "f\u{fffd}rst ");
    }),
    (
        "a byte of tool arguments is lost",
        Invariant::Prefix,
        |evidence| {
            edit(&mut evidence.exchanges[TOOLS], "Oslo", "Osl");
        },
    ),
    (
        "the end of an answer is lost",
        Invariant::Prefix,
        |evidence| {
            edit(&mut evidence.exchanges[STREAM], "answer", "");
        },
    ),
    ("words that nobody said", Invariant::Prefix, |evidence| {
        edit(
            &mut evidence.exchanges[WHOLE],
            "first answer",
            "first answer, and more",
        );
    }),
    ("another finish reason", Invariant::Prefix, |evidence| {
        edit(
            &mut evidence.exchanges[TOOLS],
            "\"tool_calls\"}",
            "\"stop\"}",
        );
    }),
    (
        "a canary of another request in an answer",
        Invariant::Isolation,
        |evidence| {
            let foreign = evidence.exchanges[TOOLS].canary.clone().expect("a canary");
            let own = evidence.exchanges[STREAM].canary.clone().expect("a canary");
            edit(&mut evidence.exchanges[STREAM], &own, &foreign);
        },
    ),
    ("a prompt in the log", Invariant::Isolation, |evidence| {
        let own = evidence.exchanges[STREAM].canary.clone().expect("a canary");
        evidence.log.push(format!(
            "{{\"level\":\"DEBUG\",\"body\":\"Say two words. {own}\"}}"
        ));
    }),
    (
        "a prompt in another's upstream request",
        Invariant::Isolation,
        |evidence| {
            let foreign = evidence.exchanges[TOOLS].canary.clone().expect("a canary");
            let own = evidence.exchanges[STREAM].canary.clone();
            let mut made = evidence
                .attempts
                .iter_mut()
                .filter(|made| made.canary == own);
            let request = &mut made.next().expect("an attempt").answer.request;
            request.body = format!("{} {foreign}", request.text()).into();
        },
    ),
];

/// Ends that are none.
const ENDS: &[Bug] = &[
    (
        "an orderly end without a terminal",
        Invariant::HonestEnd,
        |evidence| {
            edit(&mut evidence.exchanges[STREAM], "data: [DONE]\n\n", "");
        },
    ),
    (
        "an orderly end after an error",
        Invariant::HonestEnd,
        |evidence| {
            evidence.exchanges[BROKEN].response.end = End::Clean;
        },
    ),
    ("a cut without a word", Invariant::HonestEnd, |evidence| {
        let broken = &mut evidence.exchanges[BROKEN];
        let at = broken.response.text().rfind("data: {").expect("an error");
        broken.response.body.truncate(at);
    }),
    (
        "a success mark after an error",
        Invariant::HonestEnd,
        |evidence| {
            let broken = &mut evidence.exchanges[BROKEN];
            broken.response.body.extend_from_slice(b"data: [DONE]\n\n");
        },
    ),
    (
        "a message that never stops",
        Invariant::HonestEnd,
        |evidence| {
            let stop = "event: message_stop
data: {\"type\":\"message_stop\"}

";
            edit(&mut evidence.exchanges[MESSAGES], stop, "");
        },
    ),
    (
        "an error of the other dialect",
        Invariant::Dialect,
        |evidence| {
            let body = Wire::Messages.error("api_error", "no");
            evidence.exchanges[REFUSED].response.body = body.into_bytes();
        },
    ),
    (
        "an error that its clients do not know",
        Invariant::Dialect,
        |evidence| {
            edit(
                &mut evidence.exchanges[FAILED_MESSAGES],
                "api_error",
                "upstream_error",
            );
        },
    ),
    ("an error page", Invariant::Dialect, |evidence| {
        evidence.exchanges[REFUSED].response.body = b"<html>502</html>".to_vec();
    }),
    (
        "an error in a stream without its type",
        Invariant::Dialect,
        |evidence| {
            edit(&mut evidence.exchanges[BROKEN], "\"type\":", "\"kind\":");
        },
    ),
];

/// Books that do not add up.
const BOOKS: &[Bug] = &[
    ("a record is missing", Invariant::Records, |evidence| {
        let id = evidence.exchanges[STREAM].id.clone();
        evidence
            .records
            .retain(|line| !line.contains(&format!("\"request_id\":\"{id}\"")));
    }),
    (
        "an exchange without its end",
        Invariant::Records,
        |evidence| {
            edit_record(evidence, STREAM, "\"end\":", "\"fin\":");
        },
    ),
    (
        "an exchange that ends twice",
        Invariant::Records,
        |evidence| {
            let id = evidence.exchanges[STREAM].id.clone();
            let end = format!("{{\"request_id\":\"{id}\",\"end\":\"completed\"}}");
            evidence.ends.push(end);
        },
    ),
    (
        "an end that its attempt knows nothing of",
        Invariant::Records,
        |evidence| {
            edit_record(
                evidence,
                STREAM,
                "\"end\":\"completed\"",
                "\"end\":\"refused\"",
            );
        },
    ),
    (
        "a record of a failed attempt is missing",
        Invariant::Records,
        |evidence| {
            let id = format!("\"request_id\":\"{}\"", evidence.exchanges[FALLEN_BACK].id);
            let first = |line: &String| line.contains(&id) && line.contains("\"attempt\":1");
            evidence.records.retain(|line| !first(line));
        },
    ),
    ("a record twice", Invariant::Records, |evidence| {
        let again = evidence.records[0].clone();
        evidence.records.push(again);
    }),
    (
        "a record of a request that nobody made",
        Invariant::Records,
        |evidence| {
            let id = evidence.exchanges[STREAM].id.clone();
            edit_record(evidence, STREAM, &id, "somebody-else");
        },
    ),
    ("a double count", Invariant::Records, |evidence| {
        edit_record(evidence, STREAM, "\"output\":5", "\"output\":10");
    }),
    ("classes swapped", Invariant::Records, |evidence| {
        edit_record(
            evidence,
            TOOLS,
            "\"input\":26,\"input_cache_read\":64",
            "\"input\":64,\"input_cache_read\":26",
        );
    }),
    (
        "reasoning counted beside the output it is part of",
        Invariant::Records,
        |evidence| {
            edit_record(evidence, TOOLS, "\"output\":13", "\"output\":20");
        },
    ),
    (
        "a consumer is told other counts",
        Invariant::Records,
        |evidence| {
            edit(
                &mut evidence.exchanges[TOOLS],
                "\"completion_tokens\":20",
                "\"completion_tokens\":21",
            );
        },
    ),
    (
        "a broken stream recorded as completed",
        Invariant::Records,
        |evidence| {
            edit_record(evidence, BROKEN, "\"broken\"", "\"completed\"");
        },
    ),
    (
        "a hang-up recorded as completed",
        Invariant::Records,
        |evidence| {
            edit_record(evidence, LEFT, "\"cancelled\"", "\"completed\"");
        },
    ),
    (
        "an estimate called a report",
        Invariant::Records,
        |evidence| {
            edit_record(
                evidence,
                BROKEN,
                "\"grade\":\"estimated\"",
                "\"grade\":\"reported\"",
            );
        },
    ),
];

/// What costs more than it should, and what gets out.
const COSTS: &[Bug] = &[
    (
        "an upstream that closes late",
        Invariant::Cancellation,
        |evidence| {
            let own = evidence.exchanges[LEFT].canary.clone();
            let mut made = evidence
                .attempts
                .iter_mut()
                .filter(|made| made.canary == own);
            let closed = made.next().and_then(|made| made.closed.as_mut());
            closed.expect("closed").at += Duration::from_secs(2);
        },
    ),
    (
        "an upstream that never closes",
        Invariant::Cancellation,
        |evidence| {
            let own = evidence.exchanges[LEFT].canary.clone();
            let mut made = evidence
                .attempts
                .iter_mut()
                .filter(|made| made.canary == own);
            made.next().expect("an attempt").closed = None;
        },
    ),
    (
        "a fallback for nobody",
        Invariant::Cancellation,
        |evidence| {
            let own = evidence.exchanges[LEFT].canary.clone();
            let left = evidence.exchanges[LEFT].left.expect("it left");
            let made = evidence.attempts.iter().find(|made| made.canary == own);
            let mut later = made.expect("an attempt").clone();
            later.provider = "chat-second".to_owned();
            later.answer.request.head_at = left + Duration::from_secs(1);
            later.answer.ended = Ended::Complete;
            evidence.attempts.push(later);
        },
    ),
    ("a forgotten permit", Invariant::Cancellation, |evidence| {
        let all = &mut evidence.leftovers;
        all.iter_mut()
            .for_each(|kept| kept.after = kept.before + kept.slack + 1);
        assert!(!all.is_empty());
    }),
    ("a stream that grows", Invariant::Bounds, |evidence| {
        evidence.growth.push(Growth {
            what: "slow readers".to_owned(),
            grown_kib: 65 * 2000,
            streams: 2000,
            ceiling_kib: 64,
        });
    }),
    ("a credential in a reply", Invariant::Secrets, |evidence| {
        let words = format!("api_error: {}", CREDENTIALS[0]);
        edit(
            &mut evidence.exchanges[FAILED_MESSAGES],
            "api_error",
            &words,
        );
    }),
    (
        "the first letters of a credential in a header",
        Invariant::Secrets,
        |evidence| {
            let headers = &mut evidence.exchanges[WHOLE].response.headers;
            headers.push(("x-upstream-key".to_owned(), CREDENTIALS[1][..8].to_owned()));
        },
    ),
    (
        "a credential in the log, in base64",
        Invariant::Secrets,
        |evidence| {
            // `user:sk-canary-Zx81first`
            evidence
                .log
                .push("authorization: Basic dXNlcjpzay1jYW5hcnktWng4MWZpcnN0".to_owned());
        },
    ),
    (
        "a credential for another provider",
        Invariant::Secrets,
        |evidence| {
            let headers = &mut evidence.attempts[0].answer.request.headers;
            let own = headers
                .iter_mut()
                .find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
            own.expect("a credential").1 = format!("Bearer {}", CREDENTIALS[1]);
        },
    ),
];

#[test]
fn every_planted_bug_is_noticed() {
    let good = good_run();
    good.expect_kept();
    assert_eq!(good.exchanges.len(), 9);
    // The run is what its places say.
    let tools = &good.exchanges[TOOLS].response;
    let call = &openai_chat_stream(&tools.sse().events).choices[0].tool_calls[0];
    assert_eq!(call.arguments, "{\"place\":\"Oslo\"}");
    assert!(anthropic_stream(&good.exchanges[MESSAGES].response.sse().events).terminal);
    assert!(good.exchanges[LEFT].left.is_some());
    let bugs = [WORDS, ENDS, BOOKS, COSTS].concat();
    for (name, invariant, plant) in &bugs {
        let mut evidence = good.clone();
        plant(&mut evidence);
        let found = evidence.violations();
        assert!(
            found
                .iter()
                .any(|violation| violation.invariant == *invariant),
            "{name}: not noticed as {invariant}, but {found:?}"
        );
    }
    println!("judge: {} planted bugs, all noticed", bugs.len());
}
