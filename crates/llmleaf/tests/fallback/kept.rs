//! Answers that providers keep: an id leads any node back to its owner, and to nobody else, for its own key only.

use llmleaf_testkit::binary::Llmleaf;
use llmleaf_testkit::http::{self, Connection, End, Response};
use llmleaf_testkit::json;
use llmleaf_testkit::replay::{Replay, Request, Script};

/// base64 of `me:s3cret` and of `you:s3cret`.
const ME: (&str, &str) = ("authorization", "Bearer bWU6czNjcmV0");
const YOU: (&str, &str) = ("authorization", "Bearer eW91OnMzY3JldA==");
const HASH: &str = "$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO";
/// What the providers call the one answer they have.
const OWN: &str = "resp_0a1b2c";

/// Two nodes of one configuration before two providers.
struct Site {
    nodes: [Llmleaf; 2],
    east: Replay,
    west: Replay,
}

fn site(server: &str, keys: &[&str]) -> Site {
    let (east, west) = (Replay::start(), Replay::start());
    east.on(service);
    west.on(service);
    let mut config = format!("[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\n{server}\n");
    for (name, replay) in [("east", &east), ("west", &west)] {
        config.push_str(&format!(
            "[[providers]]\nname = \"{name}\"\nkind = \"openai\"\nendpoint = \"{}/v1\"\n\
             credentials = [\"CANARY-{name}-one\", \"CANARY-{name}-two\"]\nspread_credentials = true\nprefix = \"{name}\"\n\n",
            replay.url(),
        ));
    }
    config.push_str(
        "[[providers]]\nname = \"plain\"\nkind = \"echo\"\nprefix = \"plain\"\n\n\
         [[providers]]\nname = \"forgetful\"\nkind = \"groq\"\nendpoint = \"http://127.0.0.1:9\"\ncredential = \"CANARY-forgetful\"\n\
         prefix = \"forgetful\"\n\n\
         [[routes]]\nmodel = \"m\"\ntargets = [{ provider = \"east\" }, { provider = \"west\" }]\n\n\
         [[routes]]\nmodel = \"w\"\ntargets = [{ provider = \"plain\" }, { provider = \"west\", model = \"m\" }, { provider = \"east\", model = \"m\" }]\n\n",
    );
    for id in keys {
        config.push_str(&format!(
            "[[keys]]\nid = \"{id}\"\npw_hash = \"{HASH}\"\n\n"
        ));
    }
    let start = || Llmleaf::with_config(env!("CARGO_BIN_EXE_llmleaf"), &config).start();
    Site {
        nodes: [start(), start()],
        east,
        west,
    }
}

fn sealed() -> Site {
    site(
        "batch_id_secret = \"a secret of all nodes\"",
        &["me", "you"],
    )
}

fn object(status: &str, previous: &str) -> String {
    format!(
        "{{\"id\":\"{OWN}\",  \"object\":\"response\",\"created_at\":1,\"status\":\"{status}\",\"model\":\"m\",\"x\":[1.0],\
         \"previous_response_id\":{previous},\"output\":[{{\"type\":\"message\",\"id\":\"msg_1\",\"role\":\"assistant\",\
         \"status\":\"completed\",\"content\":[{{\"type\":\"output_text\",\"text\":\"hi \\\"response\\\"\",\"annotations\":[]}}]}}],\
         \"usage\":{{\"input_tokens\":1,\"output_tokens\":2,\"total_tokens\":3}}}}"
    )
}

fn stream(from: u64) -> String {
    let events = [
        format!("{{\"type\":\"response.created\",\"sequence_number\":0,\"response\":{}}}", object("in_progress", "null")),
        "{\"type\":\"response.output_item.added\",\"sequence_number\":1,\"output_index\":0,\"item\":{\"type\":\"message\",\"id\":\"msg_1\",\"role\":\"assistant\",\"content\":[]}}".to_owned(),
        "{\"type\":\"response.output_text.delta\",\"sequence_number\":2,\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"delta\":\"hi\"}".to_owned(),
        format!("{{\"type\":\"response.completed\",\"sequence_number\":3,\"response\":{}}}", object("completed", "null")),
    ];
    let numbered = (0u64..).zip(events).filter(|(number, _)| *number >= from);
    numbered
        .map(|(_, event)| format!("data: {event}\n\n"))
        .collect()
}

/// A service that keeps one answer.
fn service(request: &Request) -> Script {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let known = path
        .split('/')
        .nth(3)
        .is_none_or(|id| id == OWN || id == "input_tokens");
    if !known {
        let text = format!(
            "{{\"error\":{{\"message\":\"no {path}\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":null}}}}"
        );
        return Script::json(404, text);
    }
    let body = request.json();
    let field = |name: &str| body.as_ref().map(|body| body.text_at(&[name]).to_owned());
    match (&*request.method, path) {
        ("POST", "/v1/responses/input_tokens") => Script::json(
            200,
            "{\"object\":\"response.input_tokens\",\"input_tokens\":77}",
        ),
        ("POST", "/v1/responses") if request.text().contains("\"stream\":true") => {
            Script::sse(stream(0))
        }
        ("POST", "/v1/responses") if request.text().contains("\"background\":true") => {
            Script::json(200, object("queued", "null"))
        }
        ("POST", "/v1/responses") => {
            let previous = field("previous_response_id").unwrap_or_default();
            match &*previous {
                "" => Script::json(200, object("completed", "null")),
                OWN => Script::json(200, object("completed", &format!("\"{OWN}\""))),
                other => Script::json(400, format!("{{\"error\":{{\"message\":\"no {other}\"}}}}")),
            }
        }
        ("GET", "/v1/responses/resp_0a1b2c") if query.contains("stream=true") => {
            Script::sse(stream(if query.contains("starting_after=1") {
                2
            } else {
                0
            }))
        }
        ("GET", "/v1/responses/resp_0a1b2c") => Script::json(200, object("completed", "null")),
        ("DELETE", _) => Script::json(
            200,
            format!("{{\"id\":\"{OWN}\",\"object\":\"response.deleted\",\"deleted\":true}}"),
        ),
        ("POST", "/v1/responses/resp_0a1b2c/cancel") => {
            Script::json(200, object("cancelled", "null"))
        }
        ("GET", _) => Script::json(
            200,
            "{\"object\":\"list\",\"data\":[],\"first_id\":\"msg_1\",\"id\":\"resp_kept\"}",
        ),
        _ => Script::json(405, "{}"),
    }
}

impl Site {
    fn ask(
        &self,
        node: usize,
        key: (&str, &str),
        method: &str,
        path: &str,
        body: &str,
    ) -> Response {
        let mut line = Connection::open(self.nodes[node].addr);
        line.send(&http::request(method, path, &[key], body.as_bytes()));
        line.response()
    }

    fn create(&self, body: &str) -> Response {
        let response = self.ask(0, ME, "POST", "/v1/responses", body);
        assert_eq!(
            (response.status, response.end),
            (200, End::Clean),
            "{}",
            response.text()
        );
        response
    }

    /// What the providers were asked since the last look.
    fn asked(&self) -> (Vec<Request>, Vec<Request>) {
        (self.east.take_requests(), self.west.take_requests())
    }
}

#[test]
fn an_id_leads_every_node_back_to_its_owner() {
    let site = sealed();
    // `m` goes to the east first; its answer is asked for at the other node.
    let made = site.create("{\"model\":\"west/m\",\"input\":\"hi\"}");
    let id = made.json().text_at(&["id"]).to_owned();
    assert!(id.starts_with("resp_") && !id.contains(OWN), "{id}");
    assert_eq!(
        made.text(),
        object("completed", "null").replace(OWN, &id),
        "one edit"
    );
    let first = site.asked().1.remove(0);
    let credential = first
        .header("authorization")
        .expect("a credential")
        .to_owned();
    for (method, tail, upstream) in [
        ("GET", "", "/v1/responses/resp_0a1b2c"),
        (
            "GET",
            "?include[]=a&x=1",
            "/v1/responses/resp_0a1b2c?include[]=a",
        ),
        (
            "GET",
            "/input_items?limit=2&order=asc",
            "/v1/responses/resp_0a1b2c/input_items?limit=2&order=asc",
        ),
        ("POST", "/cancel", "/v1/responses/resp_0a1b2c/cancel"),
        ("DELETE", "", "/v1/responses/resp_0a1b2c"),
    ] {
        let response = site.ask(1, ME, method, &format!("/v1/responses/{id}{tail}"), "");
        assert_eq!(response.status, 200, "{method} {tail}: {}", response.text());
        assert!(!response.text().contains(OWN), "{}", response.text());
        let told = response.json().text_at(&["id"]).to_owned();
        let list = tail.starts_with("/input_items");
        assert_eq!(
            told,
            if list { "resp_kept" } else { &*id },
            "{method} {tail}"
        );
        let lost = response
            .header("x-llmleaf-loss")
            .unwrap_or_default()
            .to_owned();
        assert_eq!(lost.contains("?x"), tail.contains("x=1"), "{lost}");
        let (east, west) = site.asked();
        assert!(east.is_empty(), "{method} {tail}");
        assert_eq!((&*west[0].method, &*west[0].path), (method, upstream));
        assert!(west[0].body.is_empty());
        assert_eq!(
            west[0].header("authorization"),
            Some(&*credential),
            "of the account that has it"
        );
        for (key, id) in [
            (YOU, &*id),
            (ME, OWN),
            (ME, "resp_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        ] {
            let refused = site.ask(1, key, method, &format!("/v1/responses/{id}{tail}"), "");
            assert_eq!(refused.status, 404, "{}", refused.text());
            assert_eq!(
                refused.json().text_at(&["error", "code"]),
                "response_not_found"
            );
        }
        assert_eq!(site.asked().1.len(), 0, "nobody else is let through");
    }
}

#[test]
fn a_stream_tells_the_same_id_and_can_be_taken_up() {
    let site = sealed();
    let made = site.create("{\"model\":\"m\",\"input\":\"hi\",\"stream\":true}");
    let id = json::parse(&made.sse().events[0].data)
        .expect("JSON")
        .text_at(&["response", "id"])
        .to_owned();
    assert_eq!(
        made.text(),
        stream(0).replace(OWN, &id),
        "nothing else is edited"
    );
    let path = format!("/v1/responses/{id}?stream=true&starting_after=1");
    let rest = site.ask(1, ME, "GET", &path, "");
    assert_eq!((rest.status, rest.end), (200, End::Clean));
    assert_eq!(rest.text(), stream(2).replace(OWN, &id));
    // A stream that is cut says so.
    site.east.on(|_| Script::sse(stream(0)).end_at(900));
    let cut = site.ask(1, ME, "GET", &path, "");
    assert_eq!(cut.end, End::Cut);
    assert!(cut.text().contains("response.failed"), "{}", cut.text());
    assert!(!cut.text().contains(OWN));
}

#[test]
fn what_goes_on_from_an_answer_goes_to_its_owner_alone() {
    let site = sealed();
    let id = site
        .create("{\"model\":\"west/m\",\"input\":\"hi\"}")
        .json()
        .text_at(&["id"])
        .to_owned();
    site.asked();
    let body = format!("{{\"model\":\"w\",\"input\":\"on\", \"previous_response_id\": \"{id}\"}}");
    let on = site.ask(1, ME, "POST", "/v1/responses", &body);
    assert_eq!(on.status, 200, "{}", on.text());
    assert_eq!(on.json().text_at(&["previous_response_id"]), id);
    let (east, west) = site.asked();
    assert_eq!((east.len(), west.len()), (0, 1));
    assert_eq!(
        west[0].text(),
        format!("{{\"model\":\"m\",\"input\":\"on\", \"previous_response_id\": \"{OWN}\"}}")
    );
    // Its owner fails: nobody else is asked.
    site.west
        .on(|_| Script::json(500, "{\"error\":{\"message\":\"no\"}}"));
    assert_eq!(site.ask(1, ME, "POST", "/v1/responses", &body).status, 502);
    assert!(site.asked().0.is_empty());
    for (key, body) in [(YOU, body.clone()), (ME, body.replace(&id, OWN))] {
        let refused = site.ask(0, key, "POST", "/v1/responses", &body);
        assert_eq!(refused.status, 400, "{}", refused.text());
        let error = refused.json();
        assert_eq!(
            error.text_at(&["error", "code"]),
            "previous_response_not_found"
        );
        assert_eq!(error.text_at(&["error", "param"]), "previous_response_id");
    }
    let elsewhere = site.ask(
        0,
        ME,
        "POST",
        "/v1/responses",
        &body.replace("\"w\"", "\"east/m\""),
    );
    assert_eq!(elsewhere.status, 400, "{}", elsewhere.text());
    // What its owner says of it is told under the name that the consumer knows.
    site.west.on(|_| Script::json(400, format!("{{\"error\":{{\"message\":\"'{OWN}' is no more\",\"type\":\"invalid_request_error\"}}}}")));
    let gone = site.ask(0, ME, "POST", "/v1/responses", &body).text();
    assert!(gone.contains(&id) && !gone.contains(OWN), "{gone}");
}

#[test]
fn who_keeps_nothing_refuses_by_the_field_s_name() {
    let site = site("", &["me"]);
    for (field, value) in [
        ("previous_response_id", "\"resp_1\""),
        ("background", "true"),
    ] {
        for model in ["plain/x", "forgetful/x"] {
            let body = format!("{{\"model\":\"{model}\",\"input\":\"hi\",\"{field}\":{value}}}");
            let refused = site.ask(0, ME, "POST", "/v1/responses", &body);
            assert_eq!(refused.status, 400, "{model} {field}: {}", refused.text());
            assert_eq!(
                refused.json().text_at(&["error", "param"]),
                field,
                "{}",
                refused.text()
            );
        }
    }
    // One that does is found behind one that does not.
    let body = "{\"model\":\"w\",\"input\":\"hi\",\"background\":true}";
    let queued = site.create(body);
    assert_eq!(queued.text(), object("queued", "null"));
    assert_eq!(site.asked().1.len(), 1);
}

#[test]
fn what_is_not_to_be_kept_and_ids_without_a_secret_stay_as_they_are() {
    let site = sealed();
    let made = site.create("{\"model\":\"m\",\"input\":\"hi\",\"store\":false}");
    assert_eq!(made.text(), object("completed", "null"));
    let open = self::site("", &["me"]);
    let made = open.create("{\"model\":\"m\",\"input\":\"hi\"}");
    assert_eq!(made.text(), object("completed", "null"));
    let doubtful = open.ask(0, ME, "GET", &format!("/v1/responses/{OWN}"), "");
    assert_eq!(doubtful.status, 404, "two providers could have it");
    assert!(
        doubtful.text().contains("batch_id_secret"),
        "{}",
        doubtful.text()
    );
}

#[test]
fn a_request_is_counted_by_who_would_answer_it_else_here() {
    let site = sealed();
    let count = |body: &str| site.ask(1, ME, "POST", "/v1/responses/input_tokens", body);
    let made = site.create("{\"model\":\"west/m\",\"input\":\"hi\"}");
    let id = made.json().text_at(&["id"]).to_owned();
    let _ = site.asked();
    let counted = count("{\"model\":\"m\",\"input\":\"hi\",\"x\":1.0}");
    assert_eq!(
        counted.text(),
        "{\"object\":\"response.input_tokens\",\"input_tokens\":77}"
    );
    assert_eq!(counted.header("x-llmleaf-estimate"), None);
    let (east, _) = site.asked();
    assert_eq!(east[0].path, "/v1/responses/input_tokens");
    assert_eq!(
        east[0].text(),
        "{\"model\":\"m\",\"input\":\"hi\",\"x\":1.0}"
    );
    // What goes on from a kept answer only its owner can count.
    let body = format!("{{\"model\":\"m\",\"input\":\"hi\",\"previous_response_id\":\"{id}\"}}");
    assert_eq!(count(&body).status, 200);
    let (east, west) = site.asked();
    assert_eq!((east.len(), west.len()), (0, 1));
    assert!(west[0].text().contains(OWN), "{}", west[0].text());
    // Nobody else counts on this wire: more than there can be, and said to be an estimate.
    let counted = count("{\"model\":\"plain/m\",\"input\":\"one two three\"}");
    assert_eq!(counted.header("x-llmleaf-estimate"), Some("true"));
    let counted = counted.json();
    assert_eq!(counted.text_at(&["object"]), "response.input_tokens");
    let plain = counted.u64_at(&["input_tokens"]);
    assert!(plain.is_some_and(|n| n > 3));
    // The schema of the answer counts, and what a service holds of the prompt nobody else can guess.
    let schema = format!(
        "\"text\":{{\"format\":{{\"type\":\"json_schema\",\"name\":\"n\",\"schema\":{{\"description\":\"{}\"}}}}}}",
        "word ".repeat(60)
    );
    let longer = count(&format!(
        "{{\"model\":\"plain/m\",\"input\":\"one two three\",{schema}}}"
    ));
    let longer = longer.json().u64_at(&["input_tokens"]);
    assert!(longer > plain.map(|n| n + 100), "{longer:?}");
    for (field, value) in [
        ("conversation", "\"conv_1\""),
        ("prompt", "{\"id\":\"pmpt_1\"}"),
    ] {
        let refused = count(&format!(
            "{{\"model\":\"plain/m\",\"input\":\"one\",\"{field}\":{value}}}"
        ));
        assert_eq!(refused.status, 400, "{}", refused.text());
        assert_eq!(refused.json().text_at(&["error", "param"]), field);
    }
}
