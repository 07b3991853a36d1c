//! What was paid is not paid again because nobody could look at it, what is kept is no way around whoever is to look, and who is at a limit asks
//! nobody.

use std::time::Instant;

use llmleaf_testkit::controller::{Controller, Misdeed, Part, block, pass, rewrite};
use llmleaf_testkit::http::{Connection, Response, request};
use llmleaf_testkit::json;
use llmleaf_testkit::replay::{Gate, Replay, Script};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{LONG, Setup, Stage};

use super::around::{BATCH, Folder, call};
use super::{ADMIN, ask, node, node_with, payload};
use crate::stage;

/// Begins a batch, and says where it is.
fn begun(stage: &Stage, batch: &str) -> String {
    let made = call(stage, "POST", "/v1/batches", batch);
    assert_eq!(made.status, 200, "{}", made.text());
    format!("/v1/batches/{}", made.json().text_at(&["id"]))
}

/// The one result of a batch.
fn results(stage: &Stage, path: &str) -> String {
    let began = Instant::now();
    while call(stage, "GET", path, "").json().text_at(&["status"]) != "completed" {
        assert!(began.elapsed() < LONG, "it does not end");
        std::thread::yield_now();
    }
    call(stage, "GET", &format!("{path}/results"), "").text()
}

/// A batch's request has its answer when a provider has answered, or when it would be as unfit the next time.
#[test]
fn a_batch_pays_once_for_what_nobody_could_look_at() {
    for (phase, paid) in [("response", 1), ("request", 0)] {
        let name = format!("llmleaf-paid-{phase}-{}", std::process::id());
        let folder = Folder(std::env::temp_dir().join(name));
        let controller = Controller::start();
        if paid == 1 {
            controller.misbehave(Part::Intercept, Misdeed::Status(500));
        }
        let changes = [(
            "on_error = \"deny\"",
            "on_error = \"deny\"\nmax_body_bytes = 1024",
        )];
        let setup = node_with(&controller, &format!("\"{phase}\""), &changes);
        let lines = format!(
            "batch_id_secret = \"a secret of all nodes\"\nstate_dir = \"{}\"",
            folder.0.display()
        );
        let stage = setup.server(&lines).start();
        for _ in 0..2 {
            let answer = Wire::Chat.whole("first answer");
            stage.first.push(Script::json(200, answer));
        }
        let long = "word ".repeat(400);
        let batch = match paid {
            1 => BATCH.to_owned(),
            _ => BATCH.replace("Say two words.", &long),
        };
        let results = results(&stage, &begun(&stage, &batch));
        let line = json::parse(results.lines().next().expect("a line")).expect("JSON");
        let told = line.u64_at(&["response", "status_code"]);
        assert_eq!(told, Some(503), "{phase}: {results}");
        assert!(results.contains("interceptor_unavailable"), "{results}");
        assert_eq!(stage.first.requests().len(), paid, "{phase}");
    }
}

/// What nobody could be asked about has cost nothing, and is asked about again.
#[test]
fn a_batch_waits_for_whoever_is_to_be_asked() {
    let name = format!("llmleaf-waits-{}", std::process::id());
    let folder = Folder(std::env::temp_dir().join(name));
    let controller = Controller::start();
    let gate = Gate::new();
    controller.misbehave(Part::Intercept, Misdeed::Slow(0, gate.clone()));
    let changes = [("timeout_ms = 20000", "timeout_ms = 50")];
    let lines = format!(
        "batch_id_secret = \"a secret of all nodes\"\nstate_dir = \"{}\"",
        folder.0.display()
    );
    let setup = node_with(&controller, "\"request\"", &changes);
    let stage = setup.server(&lines).start();
    let answer = Wire::Chat.whole("first answer");
    stage.first.push(Script::json(200, answer));
    let path = begun(&stage, BATCH);
    assert!(gate.wait_reached(LONG));
    controller.behave(Part::Intercept);
    let results = results(&stage, &path);
    assert!(results.contains("first answer"), "{results}");
    gate.release();
}

/// Whoever could be asked again soon is told when, and clients do not try again by themselves what was paid.
#[test]
fn what_was_paid_is_not_to_be_asked_again() {
    for (phase, again) in [("request", None), ("response", Some("false"))] {
        let controller = Controller::start();
        controller.misbehave(Part::Intercept, Misdeed::Status(500));
        let stage = node(&controller, &format!("\"{phase}\""));
        let (_, response) = ask(&stage, (Wire::Chat, Wire::Chat), false);
        assert_eq!(response.status, 503, "{}", response.text());
        assert_eq!(response.header("x-should-retry"), again, "{phase}");
        assert!(response.header("retry-after").is_some(), "{phase}");
    }
    // Nor is another target asked for what is too long to be looked at.
    let controller = Controller::start();
    let changes = [(
        "on_error = \"deny\"",
        "on_error = \"deny\"\nmax_body_bytes = 1024",
    )];
    let stage = node_with(&controller, "\"response\"", &changes).start();
    let words = "word ".repeat(1000);
    for stream in [false, true] {
        stage.first.push(match stream {
            true => Script::sse(Wire::Chat.stream(words.trim()).body()),
            false => Script::json(200, Wire::Chat.whole(words.trim())),
        });
        let (_, response) = stage.post(Wire::Chat, "chat", stream);
        assert_eq!(response.status, 503, "{stream}");
        assert_eq!(response.header("x-should-retry"), Some("false"), "{stream}");
    }
    assert_eq!(stage.second.requests().len(), 0);
}

/// A node with a provider that keeps answers.
fn keeping(setup: Setup, keeper: &Replay) -> Stage {
    keeper.on(|request| match &*request.method {
        "GET" if request.path.contains("stream=true") => {
            Script::sse(Wire::Responses.stream("kept answer").body())
        }
        _ => Script::json(200, Wire::Responses.whole("kept answer")),
    });
    let provider = format!(
        "[[providers]]\nname = \"own\"\nkind = \"openai\"\nendpoint = \"{}/v1\"\ncredential = \"CANARY-own\"\nprefix = \"own\"\n",
        keeper.url()
    );
    let secret = "batch_id_secret = \"a secret of all nodes\"";
    setup.server(secret).key(&provider).start()
}

/// Has an answer made, and says where it is kept.
fn made(stage: &Stage, model: &str) -> String {
    let body = format!("{{\"model\":\"{model}\",\"input\":\"hi\"}}");
    let made = call(stage, "POST", "/v1/responses", &body);
    assert_eq!(made.status, 200, "{}", made.text());
    format!("/v1/responses/{}", made.json().text_at(&["id"]))
}

#[test]
fn the_stream_of_a_kept_answer_is_looked_at() {
    let (controller, keeper) = (Controller::start(), Replay::start());
    let stage = keeping(node_with(&controller, "\"response\"", &[]), &keeper);
    let path = format!("{}?stream=true", made(&stage, "own/m"));
    let response = call(&stage, "GET", &path, "");
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(Wire::Responses.read(&response).text(), "kept answer");
    let shown = controller.shown().pop().expect("it was shown");
    assert_eq!(shown.text_at(&["operation"]), "kept");
    assert!(!shown.elements_at(&["payload"]).is_empty(), "{shown}");
    controller.decide(|_| block("not that"));
    let response = call(&stage, "GET", &path, "");
    assert_eq!(response.status, 403, "{}", response.text());
    assert!(!response.text().contains("kept answer"));
}

/// The model of an answer is not always the one that its request asked for first.
#[test]
fn a_kept_answer_is_in_scope_if_its_request_was() {
    let (controller, keeper) = (Controller::start(), Replay::start());
    let scope = "on_error = \"deny\"\nmodels = [\"own/secret\"]";
    let changes = [("on_error = \"deny\"", scope)];
    let setup = node_with(&controller, "\"request\", \"response\"", &changes);
    let stage = keeping(setup, &keeper);
    let plain = made(&stage, "own/plain");
    assert_eq!(call(&stage, "GET", &plain, "").status, 200);
    assert_eq!(controller.shown().len(), 0, "out of scope");
    controller.decide(
        |question| match question.contains("\"phase\":\"request\"") {
            true => rewrite(&payload(question).replace("own/secret", "own/plain")),
            false => pass(),
        },
    );
    let path = made(&stage, "own/secret");
    let asked = controller.shown().len();
    controller.decide(|_| block("not that"));
    let response = call(&stage, "GET", &path, "");
    assert_eq!(response.status, 403, "{}", response.text());
    assert_eq!(controller.shown().len(), asked + 1);
}

fn form(stage: &Stage) -> Response {
    sent(stage, "").response()
}

/// Sends a sound, with these fields before it.
fn sent(stage: &Stage, fields: &str) -> Connection {
    let form = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nchat-first\r\n"
        .to_owned()
        + fields
        + "\
        --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\nSOUND\r\n--b--\r\n";
    let bearer = stage.bearer();
    let kind = ("content-type", "multipart/form-data; boundary=b");
    let headers = [("authorization", bearer.as_str()), kind];
    let mut connection = Connection::open(stage.leaf.addr);
    let path = "/v1/audio/transcriptions";
    connection.send(&request("POST", path, &headers, form.as_bytes()));
    connection
}

/// A transcript that comes as events, and is held until somebody has looked at it.
#[test]
fn a_transcript_that_is_looked_at_is_kept_alive() {
    const STREAM: &str = "--b\r\nContent-Disposition: form-data; name=\"stream\"\r\n\r\ntrue\r\n";
    const EVENTS: &str = "data: {\"type\":\"transcript.text.delta\",\"delta\":\"heard\"}\n\n\
        data: {\"type\":\"transcript.text.done\",\"text\":\"heard\"}\n\n";
    for (word, says) in [(pass(), EVENTS), (block("not that"), "not that")] {
        let controller = Controller::start();
        controller.answer(Part::Intercept, &word);
        let gate = Gate::new();
        controller.misbehave(Part::Intercept, Misdeed::Slow(0, gate.clone()));
        let setup = node_with(&controller, "\"response\"", &[]);
        let stage = setup.server("hold_headers_ms = 20").start();
        stage.first.push(Script::sse(EVENTS));
        let mut connection = sent(&stage, STREAM);
        let begun = connection.read_to(": keep-alive");
        assert_eq!(begun.status, 200);
        assert!(gate.wait_reached(LONG));
        assert!(!begun.text().contains("heard"), "{}", begun.text());
        gate.release();
        let text = connection.response().text();
        assert!(text.contains(says), "{text}");
    }
}

#[test]
fn a_key_at_its_limits_asks_nobody() {
    let controller = Controller::start();
    let limits = "limits = { requests_per_min = 1 }\n\n";
    let config = [limits, &controller.config(&[Part::Intercept])].concat();
    let server = format!("admin_token = \"{}\"", ADMIN.1);
    let stage = stage().later().server(&server).key(&config).start();
    controller.decide(|_| block("not that"));
    let (_, response) = ask(&stage, (Wire::Chat, Wire::Chat), false);
    assert_eq!(response.status, 403, "{}", response.text());
    for _ in 0..3 {
        let response = stage.post(Wire::Chat, "chat-first", false).1;
        assert_eq!(response.status, 429, "{}", response.text());
        assert_eq!(form(&stage).status, 429);
    }
    assert_eq!(controller.shown().len(), 1);
}

/// Sound in JSON has fields of its own by which it is answered.
#[test]
fn what_takes_the_place_of_sound_is_sound_for_the_same_answer() {
    let controller = Controller::start();
    let stage = node(&controller, "\"request\"");
    let sound = r#"{"model":"chat-first","input_audio":{"data":"U09VTkQ=","format":"wav"}}"#;
    let with = |fields: &str| sound.replace("}}", &format!("}},{fields}}}"));
    for (other, status) in [
        (with(r#""stream":true"#), 503),
        (with(r#""stream_format":"sse""#), 503),
        (with(r#""response_format":"text""#), 503),
        (r#"{"model":"chat-first"}"#.to_owned(), 503),
        (with(r#""language":"de","stream":false"#), 200),
    ] {
        stage.first.push(Script::json(200, r#"{"text":"heard"}"#));
        let said = rewrite(&other);
        controller.decide(move |_| said.clone());
        let response = call(&stage, "POST", "/v1/audio/transcriptions", sound);
        assert_eq!(response.status, status, "{other}: {}", response.text());
    }
}
