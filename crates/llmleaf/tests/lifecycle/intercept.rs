//! Somebody is asked about requests and answers: what they say is done, and what is done while they say nothing is what the file says.

#[path = "intercept/around.rs"]
mod around;
#[path = "intercept/held.rs"]
mod held;

use std::time::Duration;

use llmleaf_testkit::controller::{Controller, Misdeed, Part, TOKEN, block, pass, rewrite};
use llmleaf_testkit::digest::ErrorClass;
use llmleaf_testkit::http::{Connection, Response, get, post, request};
use llmleaf_testkit::json::Value;
use llmleaf_testkit::replay::{Gate, Script};
use llmleaf_testkit::samples::{INPUT_TOKENS, OUTPUT_TOKENS, Wire};
use llmleaf_testkit::stage::{LONG, Setup, Stage};

use super::{answer, stage};

const ADMIN: (&str, &str) = ("x-admin-token", "canary-admin-token-Zx81");

/// The wires with their consumers: the same on both sides, and another one behind it.
const WAYS: [(Wire, Wire); 6] = [
    (Wire::Chat, Wire::Chat),
    (Wire::Messages, Wire::Messages),
    (Wire::Responses, Wire::Responses),
    (Wire::Gemini, Wire::Gemini),
    (Wire::Messages, Wire::Chat),
    (Wire::Responses, Wire::Messages),
];

/// A node that asks in these phases, with these changes of its table.
fn node_with(controller: &Controller, phases: &str, changes: &[(&str, &str)]) -> Setup {
    let mut config = controller.config(&[Part::Intercept]);
    let phases = format!("phases = [{phases}]");
    for (old, new) in [("phases = [\"request\", \"response\"]", &*phases)]
        .iter()
        .chain(changes)
    {
        assert!(config.contains(old), "{old}");
        config = config.replace(old, new);
    }
    let server = format!("admin_token = \"{}\"", ADMIN.1);
    stage().later().server(&server).key(&config)
}

fn node(controller: &Controller, phases: &str) -> Stage {
    node_with(controller, phases, &[]).start()
}

/// What was shown of a question.
fn payload(question: &str) -> &str {
    let (_, rest) = question.split_once("\"payload\":").expect("it has one");
    rest.strip_suffix('}').expect("it ends with it")
}

/// Says what is shown in other words.
fn in_other_words(from: &'static str, to: &'static str) -> impl Fn(&str) -> String + Send {
    move |question| rewrite(&payload(question).replace(from, to))
}

/// Asks the first provider of a wire, which answers so.
fn ask(stage: &Stage, (consumer, provider): (Wire, Wire), stream: bool) -> (String, Response) {
    stage.first.push(match stream {
        true => answer(provider, "first answer"),
        false => Script::json(200, provider.whole("first answer")),
    });
    stage.post(consumer, &Stage::alone(provider), stream)
}

/// What an attempt used and came to.
fn used(records: &[Value]) -> Option<(u64, u64, String)> {
    let record = records.first()?;
    let outcome = record.text_at(&["outcome"]).to_owned();
    Some((
        record.u64_at(&["input"])?,
        record.u64_at(&["output"])?,
        outcome,
    ))
}

/// So many things came of questions, by the node's own count.
#[track_caller]
fn counted(stage: &Stage, phase: &str, outcome: &str, count: usize) {
    let page = get(stage.leaf.addr, "/metrics", &[ADMIN]).text();
    let line =
        format!("llmleaf_interceptions_total{{phase=\"{phase}\",outcome=\"{outcome}\"}} {count}\n");
    assert!(page.contains(&line), "{line}{page}");
}

#[test]
fn a_request_is_shown_as_it_came_and_goes_on_if_it_may() {
    let controller = Controller::start();
    let stage = node(&controller, "\"request\"");
    for way in WAYS {
        for stream in [false, true] {
            let (_, response) = ask(&stage, way, stream);
            assert_eq!(response.status, 200, "{way:?}: {}", response.text());
            assert_eq!(way.0.read(&response).text(), "first answer", "{way:?}");
            let asked = controller.asked(Part::Intercept);
            let text = asked.last().map(|asked| asked.text()).unwrap_or_default();
            let model = Stage::alone(way.1);
            // The stage marks what it asks, so that it is known again at the provider.
            let (before, mark) = payload(&text).split_once(" cnry-").expect("a mark");
            let asked = [before, mark.get(16..).unwrap_or_default()].concat();
            assert_eq!(asked, way.0.request(&model, stream), "{way:?}");
            let shown = controller.shown();
            let shown = shown.last().expect("it was asked");
            assert_eq!(shown.text_at(&["phase"]), "request");
            assert_eq!(shown.text_at(&["key"]), "stage");
            assert_eq!(shown.text_at(&["model"]), model);
            assert_eq!(shown.text_at(&["operation"]), "chat");
            assert!(!shown.text_at(&["id"]).is_empty());
        }
    }
    let asked = controller.asked(Part::Intercept);
    assert_eq!(asked.len(), WAYS.len() * 2);
    assert!(
        asked
            .iter()
            .all(|asked| asked.header("x-llmleaf-control") == Some("1"))
    );
    let secret = |text: &str| text.contains("sk-canary") || text.contains(&stage.key);
    assert!(!asked.iter().any(|asked| secret(&asked.text())));
    counted(&stage, "request", "pass", WAYS.len() * 2);
}

#[test]
fn a_blocked_request_reaches_nobody_and_is_told_why_in_its_own_words() {
    let controller = Controller::start();
    let stage = node(&controller, "\"request\"");
    controller.decide(|_| block("no secrets, please"));
    for way in WAYS {
        for stream in [false, true] {
            let response = stage.post(way.0, &Stage::alone(way.1), stream).1;
            let error = way.0.read_error(&response);
            assert_eq!(error.status, Some(403), "{way:?}: {}", response.text());
            assert_eq!(error.class, ErrorClass::Permission, "{way:?}");
            assert_eq!(error.message, "no secrets, please", "{way:?}");
            assert_eq!(response.header("x-should-retry"), Some("false"));
        }
    }
    assert_eq!(stage.first.requests().len(), 0);
    // What could be read in two ways is nobody's to look at.
    let before = controller.asked(Part::Intercept).len();
    let twice =
        r#"{"model":"chat-first","messages":[{"role":"user","content":"good","content":"bad"}]}"#;
    let response = stage.ask_with(Wire::Chat, twice).connection.response();
    assert_eq!(response.status, 400, "{}", response.text());
    assert_eq!(controller.asked(Part::Intercept).len(), before);
    // What it is refused anyway is no matter of the interceptor's.
    let before = controller.asked(Part::Intercept).len();
    let response = stage.post(Wire::Chat, "nobody's model", false).1;
    assert_eq!(response.status, 404);
    assert_eq!(controller.asked(Part::Intercept).len(), before);
}

#[test]
fn what_takes_the_place_of_a_request_is_what_goes_on() {
    let controller = Controller::start();
    let stage = node(&controller, "\"request\"");
    controller.decide(in_other_words("two words", "three words"));
    for way in WAYS {
        for stream in [false, true] {
            let (_, response) = ask(&stage, way, stream);
            assert_eq!(way.0.read(&response).text(), "first answer", "{way:?}");
            let got = stage.first.requests().pop().expect("it was asked").text();
            assert!(got.contains("Say three words."), "{way:?}: {got}");
        }
    }
    // To another model, of those that the key may use.
    controller.decide(in_other_words("\"chat-first\"", "\"chat-second\""));
    stage.second.push(answer(Wire::Chat, "second answer"));
    let response = stage.post(Wire::Chat, "chat-first", true).1;
    assert_eq!(Wire::Chat.read(&response).text(), "second answer");
    counted(&stage, "request", "rewrite", WAYS.len() * 2 + 1);
}

/// Nothing takes the place of a request that is not of its kind.
#[test]
fn g12_what_cannot_take_the_place_of_a_request_is_refused() {
    for (on_error, status) in [("deny", 503), ("allow", 200)] {
        let controller = Controller::start();
        let on_error = format!("on_error = \"{on_error}\"");
        let changes = [("on_error = \"deny\"", &*on_error)];
        let setup = node_with(&controller, "\"request\"", &changes);
        let stage = setup.server("max_body_bytes = 100000").start();
        let long = format!("\"{}\"", "x".repeat(200_000));
        for garbage in [
            "null",
            "[]",
            "{}",
            "7",
            "\"text\"",
            r#"{"model":"chat-first"}"#,
            r#"{"model":"chat-first","messages":7}"#,
            r#"{"model":"chat-first","stream":true,"messages":[{"role":"user","content":"a"}]}"#,
            r#"{"model":"no such model","messages":[{"role":"user","content":"a"}]}"#,
            r#"{"model":"chat-first","messages":[{"role":"user","content":"a"}],"messages":[]}"#,
        ]
        .map(rewrite)
        .into_iter()
        .chain(
            [
                "",
                "null",
                "[]",
                r#"{"action":"rewrite"}"#,
                r#"{"action":"what"}"#,
                r#"{"action":7}"#,
                r#"{"reason":"none"}"#,
                r#"{"action":"pass""#,
                "<!doctype html>",
            ]
            .map(str::to_owned),
        )
        .chain([long])
        {
            let said = garbage.clone();
            controller.decide(move |_| said.clone());
            let (_, response) = ask(&stage, (Wire::Chat, Wire::Chat), false);
            assert_eq!(response.status, status, "{on_error}: {garbage:.80}");
            match status {
                200 => assert_eq!(Wire::Chat.read(&response).text(), "first answer"),
                _ => {
                    let code = response.json().text_at(&["error", "code"]).to_owned();
                    assert_eq!(code, "interceptor_unavailable");
                    assert!(response.header("retry-after").is_some());
                }
            }
        }
        let log = stage.leaf.log().join("\n");
        assert!(log.contains("the interceptor cannot be asked"), "{log}");
        assert!(!log.contains(TOKEN) && !log.contains("doctype"));
    }
}

/// Slow, down, refusing, cut, huge, elsewhere: what the file says is done, within the interceptor's own time.
#[test]
fn g12_an_interceptor_that_does_not_answer_is_what_the_file_says() {
    for (on_error, status) in [("deny", 503), ("allow", 200)] {
        for phase in ["request", "response"] {
            let controller = Controller::start();
            let on_error = format!("on_error = \"{on_error}\"");
            let changes = [
                ("on_error = \"deny\"", &*on_error),
                (
                    "timeout_ms = 20000",
                    "timeout_ms = 50\nmax_body_bytes = 4096",
                ),
            ];
            let stage = node_with(&controller, &format!("\"{phase}\""), &changes).start();
            let gate = Gate::new();
            for (kind, misdeed) in [
                ("status", Misdeed::Status(500)),
                ("status", Misdeed::Later(429, 30)),
                ("status", Misdeed::Redirect(stage.second.url())),
                ("shape", Misdeed::Html),
                ("transport", Misdeed::Cut(3)),
                ("slow", Misdeed::Silent),
                ("slow", Misdeed::Slow(3, gate.clone())),
                ("too_large", Misdeed::Huge(200_000)),
            ] {
                controller.misbehave(Part::Intercept, misdeed);
                for stream in [false, true] {
                    let (_, response) = ask(&stage, (Wire::Chat, Wire::Chat), stream);
                    assert_eq!(response.status, status, "{on_error} {phase} {kind}");
                    if status == 200 {
                        let text = Wire::Chat.read(&response).text().to_owned();
                        assert_eq!(text, "first answer", "{on_error} {phase} {kind}");
                    }
                }
                let page = get(stage.leaf.addr, "/metrics", &[ADMIN]).text();
                let line = format!("{{phase=\"{phase}\",outcome=\"{kind}\"}}");
                assert!(page.contains(&line), "{line}");
            }
            assert_eq!(
                stage.second.requests().len(),
                0,
                "redirects are not followed"
            );
            controller.behave(Part::Intercept);
            let (_, response) = ask(&stage, (Wire::Chat, Wire::Chat), true);
            assert_eq!(response.status, 200, "it is asked again");
            counted(&stage, phase, "pass", 1);
        }
    }
}

/// An answer is kept back, so nothing of it is told that may not be; what it cost is told all the same.
#[test]
fn an_answer_passes_is_blocked_or_becomes_another() {
    let controller = Controller::start();
    let stage = node(&controller, "\"response\"");
    for way in WAYS {
        for stream in [false, true] {
            controller.decide(|_| pass());
            let (id, response) = ask(&stage, way, stream);
            let digest = way.0.read(&response);
            assert_eq!(digest.text(), "first answer", "{way:?} {stream}");
            assert!(digest.terminal || !stream, "{way:?}: {}", response.text());
            let asked = controller
                .asked(Part::Intercept)
                .pop()
                .expect("asked")
                .text();
            assert!(payload(&asked).contains("first answer"), "{way:?}: {asked}");
            if !stream && way.0 == way.1 {
                assert_eq!(payload(&asked), response.text(), "shown as it is told");
            }
            let paid = stage.usage(&id, 1);

            controller.decide(in_other_words("first answer", "other words"));
            let (id, response) = ask(&stage, way, stream);
            let digest = way.0.read(&response);
            assert_eq!(
                digest.text(),
                "other words",
                "{way:?} {stream}: {}",
                response.text()
            );
            assert!(digest.terminal || !stream, "{way:?}: {}", response.text());
            // A stream of chat completions tells it only if it was asked to.
            assert!(
                digest.usage.is_some() || (stream && way.0 == Wire::Chat),
                "{way:?}"
            );
            if let Some(usage) = digest.usage {
                let used = (usage.input_total, usage.output_total);
                assert_eq!(
                    used,
                    (Some(INPUT_TOKENS), Some(OUTPUT_TOKENS)),
                    "{way:?} {stream}"
                );
            }
            assert_eq!(used(&stage.usage(&id, 1)), used(&paid));

            controller.decide(|_| block("not that"));
            let (id, response) = ask(&stage, way, stream);
            let error = way.0.read_error(&response);
            assert_eq!(error.status, Some(403), "{way:?}: {}", response.text());
            assert_eq!(error.message, "not that", "{way:?}");
            assert!(!response.text().contains("first answer"));
            let record = stage.usage(&id, 1);
            assert_eq!(used(&record), used(&paid), "it is paid all the same");
            let record = record.first().expect("there is one");
            assert_eq!(record.text_at(&["end"]), "refused", "{record:?}");
            // A stream that was kept alive has its status; none of these was.
            assert_eq!(record.u64_at(&["end_status"]), Some(403), "{record:?}");
        }
    }
    counted(&stage, "response", "block", WAYS.len() * 2);
}

/// While somebody looks at a stream its consumer gets signs of life and nothing else; a block is told inside it then.
#[test]
fn a_stream_that_is_looked_at_is_kept_alive() {
    for (word, blocks) in [(pass(), false), (block("not that"), true)] {
        let controller = Controller::start();
        controller.answer(Part::Intercept, &word);
        let gate = Gate::new();
        controller.misbehave(Part::Intercept, Misdeed::Slow(0, gate.clone()));
        let setup = node_with(&controller, "\"response\"", &[]);
        let stage = setup.server("hold_headers_ms = 20").start();
        stage.first.push(answer(Wire::Chat, "first answer"));
        let mut asked = stage.ask(Wire::Chat, "chat-first", true);
        let begun = asked.connection.read_to(": keep-alive");
        assert_eq!(begun.status, 200);
        assert!(gate.wait_reached(LONG));
        assert!(!begun.text().contains("answer"), "{}", begun.text());
        gate.release();
        let response = asked.connection.response();
        let digest = Wire::Chat.read(&response);
        match blocks {
            false => assert_eq!(digest.text(), "first answer", "{}", response.text()),
            true => {
                assert_eq!(digest.text(), "");
                let error = digest.error.expect("it is told");
                assert_eq!(error.message, "not that");
            }
        }
    }
}

/// What is kept back has reached nobody: where its provider breaks off, the next one answers.
#[test]
fn a_stream_that_breaks_off_while_it_is_kept_back_is_asked_for_elsewhere() {
    let controller = Controller::start();
    let stage = node(&controller, "\"response\"");
    let broken = Wire::Chat.stream("first answer").until(1);
    stage.first.push(Script::sse(broken).close_after());
    stage.second.push(answer(Wire::Chat, "second answer"));
    let (id, response) = stage.post(Wire::Chat, "chat", true);
    let digest = Wire::Chat.read(&response);
    assert_eq!(digest.text(), "second answer", "{}", response.text());
    assert!(!response.text().contains("first"), "{}", response.text());
    assert_eq!(stage.usage(&id, 2).len(), 2);
    assert_eq!(controller.shown().len(), 1);
}

/// Where nobody is to be asked nobody is: of other keys, other models, other phases.
#[test]
fn only_what_is_in_scope_is_shown() {
    let scope = "on_error = \"deny\"\nkeys = [\"stage\"]\nmodels = [\"chat*\"]";
    let controller = Controller::start();
    controller.decide(|_| block("in scope"));
    let changes = [("on_error = \"deny\"", scope)];
    let stage = node_with(&controller, "\"request\", \"response\"", &changes).start();
    let (_, response) = ask(&stage, (Wire::Messages, Wire::Messages), true);
    assert_eq!(response.status, 200, "another model");
    let fallbacks = r#"{"model":"messages-first","models":["messages-first","chat-second"],"messages":[{"role":"user","content":"a"}],"max_tokens":9}"#;
    for model in ["chat-first", "chat-first:floor"] {
        let body = Wire::Chat.request(model, true);
        let response = stage.ask_with(Wire::Chat, &body).connection.response();
        assert_eq!(response.status, 403, "{model}");
    }
    let response = stage.ask_with(Wire::Chat, fallbacks).connection.response();
    assert_eq!(response.status, 403, "a model that it falls back on");
    let others = [("keys = [\"stage\"]", "keys = [\"another\"]")];
    let changes = [changes[0], others[0]];
    let asked = controller.shown().len();
    let stage = node_with(&controller, "\"request\", \"response\"", &changes).start();
    let (_, response) = ask(&stage, (Wire::Chat, Wire::Chat), true);
    assert_eq!(response.status, 200, "another key");
    assert_eq!(controller.shown().len(), asked);
}

/// Every endpoint whose body is JSON is looked at, both ways.
#[test]
fn whatever_is_asked_in_json_is_shown() {
    let controller = Controller::start();
    let echo = "[[providers]]\nname = \"plain\"\nkind = \"echo\"\nprefix = \"plain\"\n";
    let setup = node_with(&controller, "\"request\", \"response\"", &[]);
    let stage = setup.key(echo).start();
    let bearer = stage.bearer();
    let ask =
        |path: &str, body: &str| post(stage.leaf.addr, path, &[("authorization", &bearer)], body);
    let model = r#""model":"plain/m""#;
    for (path, rest, operation, answers) in [
        ("/v1/embeddings", r#""input":"a""#, "embeddings", true),
        (
            "/v1/rerank",
            r#""query":"a","documents":["a","b"]"#,
            "rerank",
            true,
        ),
        ("/v1/moderations", r#""input":"a""#, "moderations", true),
        ("/v1/images/generations", r#""prompt":"a""#, "images", true),
        (
            "/v1/audio/speech",
            r#""input":"a","voice":"alloy""#,
            "speech",
            false,
        ),
        ("/v1/completions", r#""prompt":"a""#, "chat", true),
        (
            "/v1/messages/count_tokens",
            r#""messages":[{"role":"user","content":"a"}]"#,
            "count_tokens",
            false,
        ),
        (
            "/v2/chat",
            r#""messages":[{"role":"user","content":"a"}]"#,
            "chat",
            true,
        ),
        (
            "/api/chat",
            r#""messages":[{"role":"user","content":"a"}]"#,
            "chat",
            true,
        ),
    ] {
        let body = format!("{{{model},{rest}}}");
        let before = controller.shown().len();
        let response = ask(path, &body);
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        let shown = controller.shown();
        let shown = shown.get(before..).unwrap_or_default();
        let phases: Vec<&str> = shown.iter().map(|q| q.text_at(&["phase"])).collect();
        let wanted: &[&str] = if answers {
            &["request", "response"]
        } else {
            &["request"]
        };
        assert_eq!(phases, wanted, "{path}");
        assert!(
            shown.iter().all(|q| q.text_at(&["operation"]) == operation),
            "{path}"
        );
        controller.decide(|_| block("no"));
        assert_eq!(ask(path, &body).status, 403, "{path}");
        controller.decide(|_| pass());
    }
}

/// A form is shown without its file, and nothing can take its place.
#[test]
fn g12_a_form_is_shown_without_its_file() {
    let controller = Controller::start();
    let stage = node(&controller, "\"request\"");
    let form = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nchat-first\r\n\
        --b\r\nContent-Disposition: form-data; name=\"language\"\r\n\r\nde\r\n\
        --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\nSOUND\r\n--b--\r\n";
    let bearer = stage.bearer();
    let kind = ("content-type", "multipart/form-data; boundary=b");
    let headers = [("authorization", bearer.as_str()), kind];
    let ask = || {
        let mut connection = Connection::open(stage.leaf.addr);
        let path = "/v1/audio/transcriptions";
        connection.send(&request("POST", path, &headers, form.as_bytes()));
        connection.response()
    };
    for (word, status) in [
        (block("not that"), 403),
        (rewrite("{}"), 503),
        (pass(), 200),
    ] {
        stage.first.push(Script::json(200, r#"{"text":"heard"}"#));
        controller.decide(move |_| word.clone());
        let response = ask();
        assert_eq!(response.status, status, "{}", response.text());
    }
    assert_eq!(stage.first.requests().len(), 1);
    let shown = controller.shown().pop().expect("it was shown");
    assert_eq!(shown.text_at(&["operation"]), "transcription");
    assert_eq!(shown.text_at(&["payload", "language"]), "de");
    assert_eq!(shown.text_at(&["payload", "file", "filename"]), "a.wav");
    let asked = controller.asked(Part::Intercept);
    assert!(!asked.iter().any(|asked| asked.text().contains("SOUND")));
}

/// Whoever hangs up while the interceptor thinks ends the question too.
#[test]
fn who_hangs_up_asks_nobody_any_more() {
    let controller = Controller::start();
    let gate = Gate::new();
    controller.misbehave(Part::Intercept, Misdeed::Slow(0, gate.clone()));
    let stage = node(&controller, "\"request\"");
    let asked = stage.ask(Wire::Chat, "chat-first", true);
    assert!(gate.wait_reached(LONG));
    drop(asked.connection);
    assert!(controller.replay.wait_all_closed(Duration::from_secs(10)));
    assert_eq!(stage.first.requests().len(), 0);
}
