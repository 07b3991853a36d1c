//! What is no request by itself, or more than one, is no way around whoever is to be asked: turns of a WebSocket, sessions, batches.

use std::path::PathBuf;
use std::time::Instant;

use llmleaf_testkit::controller::{Controller, block, pass};
use llmleaf_testkit::http::{Connection, Response, request};
use llmleaf_testkit::json::{self, Value};
use llmleaf_testkit::replay::Script;
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::sessions::Sessions;
use llmleaf_testkit::stage::{LONG, Stage};
use llmleaf_testkit::websocket::Socket;

use super::{in_other_words, node_with};

/// The operations and phases of what was shown from there on.
fn shown(controller: &Controller, from: usize) -> Vec<(String, String)> {
    let shown = controller.shown();
    let each = shown.iter().skip(from).map(|question| {
        let text = |name| question.text_at(&[name]).to_owned();
        (text("operation"), text("phase"))
    });
    each.collect()
}

fn both(operation: &str) -> [(String, String); 2] {
    ["request", "response"].map(|phase| (operation.to_owned(), phase.to_owned()))
}

fn next(socket: &mut Socket) -> Value {
    json::parse(&socket.text()).expect("an event is JSON")
}

/// Events up to one of this type.
#[track_caller]
fn until(socket: &mut Socket, kind: &str) -> (Value, String) {
    let mut text = String::new();
    loop {
        let event = next(socket);
        match event.text_at(&["type"]) {
            found if found == kind => return (event, text),
            "response.output_text.delta" => text.push_str(event.text_at(&["delta"])),
            other => assert_ne!(other, "error", "{event}"),
        }
    }
}

const ECHO: &str = "[[providers]]\nname = \"plain\"\nkind = \"echo\"\nprefix = \"plain\"\n";

fn open(stage: &Stage, path: &str) -> Result<Socket, Box<Response>> {
    let bearer = stage.bearer();
    Socket::open(stage.leaf.addr, path, &[("authorization", &bearer)])
}

#[test]
fn turns_of_a_socket_are_shown_each() {
    let controller = Controller::start();
    let stage = node_with(&controller, "\"request\", \"response\"", &[]);
    let stage = stage.key(ECHO).start();
    let opened = open(&stage, "/v1/responses").map_err(|reply| reply.text());
    let mut socket = opened.expect("a socket");
    let create = r#"{"type":"response.create","model":"plain/m","input":"say this back"}"#;
    socket.send(create);
    assert_eq!(until(&mut socket, "response.completed").1, "say this back");
    assert_eq!(shown(&controller, 0), both("chat"));
    controller.decide(|_| block("not that"));
    socket.send(create);
    let error = next(&mut socket);
    assert_eq!(error.u64_at(&["status"]), Some(403), "{error}");
    assert_eq!(error.text_at(&["error", "message"]), "not that");
    controller.decide(in_other_words("say this back", "other words"));
    socket.send(create);
    assert_eq!(until(&mut socket, "response.completed").1, "other words");
}

/// A provider's own session cannot be shown; one that is held here can, answer by answer.
#[test]
fn sessions_are_held_here_or_not_at_all() {
    let controller = Controller::start();
    let vendor = Sessions::start();
    let talks = format!(
        "{ECHO}[[providers]]\nname = \"talks\"\nkind = \"openai\"\nendpoint = \"{}\"\ncredential = \"CANARY-talks\"\nprefix = \"talks\"\n\
         [[routes]]\nmodel = \"spare\"\ntargets = [{{ provider = \"talks\", model = \"gpt-realtime\" }}, {{ provider = \"plain\", model = \"e\" }}]\n",
        vendor.url()
    );
    let setup = node_with(&controller, "\"request\", \"response\"", &[]);
    let stage = setup.key(&talks).start();
    for path in [
        "/v1/realtime?model=talks/gpt-realtime",
        "/v1/realtime?intent=transcription&model=spare",
    ] {
        let refused = open(&stage, path).err().expect("it is refused");
        assert_eq!(refused.status, 403, "{path}: {}", refused.text());
        let code = refused.json().text_at(&["error", "code"]).to_owned();
        assert_eq!(code, "session_not_allowed", "{path}");
    }
    let opened = open(&stage, "/v1/realtime?model=spare").map_err(|reply| reply.text());
    let mut socket = opened.expect("a session");
    assert!(vendor.is_idle(), "no provider's session is opened");
    until(&mut socket, "session.created");
    socket.send(r#"{"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text","text":"say this back"}]}}"#);
    socket.send(r#"{"type":"response.create"}"#);
    let (_, text) = until(&mut socket, "response.done");
    assert_eq!(text, "say this back");
    assert_eq!(shown(&controller, 0), both("chat"));
    controller.decide(|_| block("not that"));
    socket.send(r#"{"type":"response.create"}"#);
    let (done, text) = until(&mut socket, "response.done");
    assert_eq!(done.text_at(&["response", "status"]), "failed", "{done}");
    assert_eq!(text, "");
}

/// In a session of a provider's own, out of scope as it is, nothing that is in scope may be asked.
#[test]
fn a_session_asks_nothing_that_is_in_scope() {
    let controller = Controller::start();
    let vendor = Sessions::start();
    let talks = format!(
        "[[providers]]\nname = \"talks\"\nkind = \"openai\"\nendpoint = \"{}\"\ncredential = \"CANARY-talks\"\nprefix = \"talks\"\n",
        vendor.url()
    );
    let scope = "on_error = \"deny\"\nmodels = [\"talks/whisper*\"]";
    let changes = [("on_error = \"deny\"", scope)];
    let setup = node_with(&controller, "\"request\"", &changes);
    let stage = setup.key(&talks).start();
    let (mut consumer, mut provider) = std::thread::scope(|scope| {
        let provider = scope.spawn(|| {
            let mut session = vendor.next();
            session.send(r#"{"type":"session.created","session":{}}"#);
            session
        });
        let opened = open(&stage, "/v1/realtime?model=talks/gpt-realtime");
        let opened = opened.map_err(|reply| reply.text()).expect("a session");
        (opened, provider.join().expect("a session"))
    });
    consumer.text();
    let update = |model: &str| {
        format!(
            r#"{{"type":"session.update","session":{{"audio":{{"input":{{"transcription":{{"model":"{model}"}}}}}}}}}}"#
        )
    };
    consumer.send(&update("talks/whisper-1"));
    let error = next(&mut consumer);
    let code = error.text_at(&["error", "code"]);
    assert_eq!(code, "session_not_allowed", "{error}");
    let create = r#"{"type":"response.create"}"#;
    consumer.send(create);
    assert_eq!(provider.text(), create, "nothing came before it");
}

/// What is too long to be looked at is what the file says, and is not held.
#[test]
fn g12_an_answer_that_is_too_long_to_be_looked_at() {
    let words = "word ".repeat(4000);
    for (on_error, status) in [("deny", 503), ("allow", 200)] {
        let controller = Controller::start();
        let on_error = format!("on_error = \"{on_error}\"\nmax_body_bytes = 16384");
        let changes = [("on_error = \"deny\"", &*on_error)];
        let stage = node_with(&controller, "\"response\"", &changes).start();
        for (consumer, provider) in super::WAYS {
            for stream in [false, true] {
                stage.first.push(match stream {
                    true => Script::sse(provider.stream(words.trim()).body()),
                    false => Script::json(200, provider.whole(words.trim())),
                });
                let model = Stage::alone(provider);
                let response = stage.post(consumer, &model, stream).1;
                let way = format!("{on_error} {consumer} to {provider}, {stream}");
                // The wire of Messages has a status of its own for that.
                let told = if response.status == 529 {
                    503
                } else {
                    response.status
                };
                assert_eq!(told, status, "{way}");
                if status == 200 {
                    let digest = consumer.read(&response);
                    assert_eq!(digest.text(), words.trim(), "{way}");
                    assert!(digest.terminal || !stream, "{way}");
                } else {
                    assert!(!response.text().contains("word"), "{way}");
                }
            }
        }
        assert_eq!(controller.shown().len(), 0);
    }
}

/// A stream that is one JSON array is one afterwards.
#[test]
fn an_array_stays_an_array() {
    let controller = Controller::start();
    let stage = node_with(&controller, "\"response\"", &[]).start();
    let path = "/v1beta/models/gemini-first:streamGenerateContent";
    let body = Wire::Gemini.request("gemini-first", true);
    for (text, other) in [("first answer", None), ("other words", Some(()))] {
        if other.is_some() {
            controller.decide(in_other_words("first answer", "other words"));
        }
        let answer = Wire::Gemini.stream("first answer");
        stage.first.push(Script::sse(answer.body()));
        let response = call(&stage, "POST", path, &body);
        assert_eq!(response.status, 200, "{}", response.text());
        let told = response.json();
        let parts = told.elements().iter().flat_map(|chunk| {
            let candidates = chunk.elements_at(&["candidates"]).iter();
            candidates.flat_map(|candidate| candidate.elements_at(&["content", "parts"]))
        });
        let told: String = parts.map(|part| part.text_at(&["text"])).collect();
        assert_eq!(told, text, "{}", response.text());
    }
}

/// A folder that goes with the test.
pub(super) struct Folder(pub(super) PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left in a temporary folder harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) fn call(stage: &Stage, method: &str, path: &str, body: &str) -> Response {
    let bearer = stage.bearer();
    let mut line = Connection::open(stage.leaf.addr);
    let headers = [("authorization", bearer.as_str())];
    line.send(&request(method, path, &headers, body.as_bytes()));
    line.response()
}

pub(super) const BATCH: &str = r#"{"requests":[{"custom_id":"a","body":{"model":"chat-first","messages":[{"role":"user","content":"Say two words."}]}}]}"#;

/// What a provider would run unseen is run here.
#[test]
fn a_batch_is_shown_request_by_request() {
    let name = format!("llmleaf-intercepted-{}", std::process::id());
    let folder = Folder(std::env::temp_dir().join(name));
    let controller = Controller::start();
    let setup = node_with(&controller, "\"request\", \"response\"", &[]);
    let lines = format!(
        "batch_id_secret = \"a secret of all nodes\"\nstate_dir = \"{}\"",
        folder.0.display()
    );
    let stage = setup.server(&lines).start();
    for (word, status) in [(pass(), 200), (block("not that"), 403)] {
        controller.decide(move |_| word.clone());
        let from = controller.shown().len();
        stage
            .first
            .push(Script::json(200, Wire::Chat.whole("first answer")));
        let made = call(&stage, "POST", "/v1/batches", BATCH);
        assert_eq!(made.status, 200, "{}", made.text());
        let path = format!("/v1/batches/{}", made.json().text_at(&["id"]));
        let began = Instant::now();
        while call(&stage, "GET", &path, "").json().text_at(&["status"]) != "completed" {
            assert!(began.elapsed() < LONG, "it does not end");
            std::thread::yield_now();
        }
        let results = call(&stage, "GET", &format!("{path}/results"), "").text();
        let line = json::parse(results.lines().next().expect("a line")).expect("JSON");
        let told = line.u64_at(&["response", "status_code"]);
        assert_eq!(told, Some(status), "{results}");
        match status {
            200 => assert_eq!(shown(&controller, from), both("chat")),
            _ => assert!(results.contains("not that"), "{results}"),
        }
    }
    let asked = stage.first.requests();
    let paths: Vec<&str> = asked.iter().map(|asked| asked.path.as_str()).collect();
    assert_eq!(paths, ["/v1/chat/completions"]);
}

/// Where none are run here there is nobody to run them.
#[test]
fn a_batch_that_nobody_may_run_is_refused() {
    let controller = Controller::start();
    let setup = node_with(&controller, "\"request\"", &[]);
    let stage = setup
        .server("batch_id_secret = \"a secret of all nodes\"")
        .start();
    let refused = call(&stage, "POST", "/v1/batches", BATCH);
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(refused.text().contains("looked at"), "{}", refused.text());
    assert_eq!(stage.first.requests().len(), 0);
}
