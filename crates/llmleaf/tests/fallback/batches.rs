//! Batches: made, looked at and read at any node, for every service that takes them, in the consumer's own form; and nobody else's.

#[path = "batches/here.rs"]
mod here;
#[path = "batches/lists.rs"]
mod lists;
#[path = "batches/services.rs"]
mod services;
#[path = "batches/uploads.rs"]
mod uploads;

use llmleaf_testkit::binary::{Llmleaf, played};
use llmleaf_testkit::http::{self, Connection, End, Response};
use llmleaf_testkit::json::{self, Value};
use llmleaf_testkit::replay::Replay;
use services::{Form, KINDS};
use std::collections::HashMap;

/// base64 of `me:s3cret` and of `you:s3cret`.
const ME: (&str, &str) = ("authorization", "Bearer bWU6czNjcmV0");
const YOU: (&str, &str) = ("authorization", "Bearer eW91OnMzY3JldA==");
const HASH: &str = "$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO";

/// Two nodes of one configuration before a service of each kind. They share nothing but the configuration.
struct Site {
    nodes: [Llmleaf; 2],
    services: HashMap<&'static str, Replay>,
}

fn site() -> Site {
    site_with("")
}

/// The same with these tables too.
fn site_with(tables: &str) -> Site {
    let mut config = String::from(
        "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\nbatch_id_secret = \"a secret of all nodes\"\n\n",
    );
    let mut services = HashMap::new();
    for (kind, form, base) in KINDS {
        let replay = Replay::start();
        services::serve(&replay, form);
        config.push_str(&format!(
            "[[providers]]\nname = \"{kind}\"\nkind = \"{kind}\"\nendpoint = \"{}{base}\"\ncredential = \"CANARY-{kind}\"\nprefix = \"{kind}\"\n\n",
            replay.url(),
        ));
        services.insert(kind, replay);
    }
    config.push_str(
        "[[providers]]\nname = \"plain\"\nkind = \"cerebras\"\nendpoint = \"http://127.0.0.1:9\"\ncredential = \"CANARY-plain\"\nprefix = \"plain\"\n\n",
    );
    for (id, models) in [
        ("me", ""),
        (
            "you",
            "allowed_models = [\"openai/m-1\", \"anthropic/*\"]\n",
        ),
    ] {
        config.push_str(&format!(
            "[[keys]]\nid = \"{id}\"\npw_hash = \"{HASH}\"\n{models}\n"
        ));
    }
    config.push_str(tables);
    let start = || Llmleaf::with_config(played(env!("CARGO_BIN_EXE_llmleaf")), &config).start();
    Site {
        nodes: [start(), start()],
        services,
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

    #[track_caller]
    fn get(&self, path: &str) -> Response {
        let reply = self.ask(1, ME, "GET", path, "");
        assert_eq!(
            (reply.status, reply.end),
            (200, End::Clean),
            "{path}: {}",
            reply.text()
        );
        reply
    }

    /// Usage records of batches that the nodes wrote: id and tokens.
    fn records(&self) -> Vec<(String, u64, u64)> {
        let lines = self.nodes.iter().flat_map(Llmleaf::log_json);
        let fields = lines.filter_map(|line| {
            let fields = line.get("fields").unwrap_or(&line);
            let id = fields.text_at(&["id"]).to_owned();
            let count = |name: &str| fields.u64_at(&[name]).unwrap_or_default();
            id.contains('/')
                .then(|| (id, count("input"), count("output")))
        });
        fields.collect()
    }
}

fn lines(reply: &Response) -> Vec<Value> {
    let text = reply.text();
    let each = text
        .lines()
        .map(|line| json::parse(line).expect("a line of JSON"));
    each.collect()
}

/// Three requests: one is answered, one refused, one comes too late.
fn requests(model: &str, field: &str) -> String {
    let each = [("one", "hi"), ("two-x", "refuse"), ("three_y", "late")];
    let each = each.map(|(id, text)| {
        format!(
            "{{\"custom_id\":\"{id}\",\"{field}\":{{\"model\":\"{model}\",\"max_tokens\":9,\"messages\":[{{\"role\":\"user\",\"content\":\"{text}\"}}]}}}}"
        )
    });
    format!("{{\"requests\":[{}]}}", each.join(", "))
}

#[test]
fn m1_a_request_of_a_batch_goes_on_from_no_answer_that_is_kept_elsewhere() {
    let site = site();
    let asks = |more: &str| {
        let body = format!(
            "{{\"endpoint\":\"/v1/responses\",\"requests\":[{{\"custom_id\":\"a\",\"body\":{{\"model\":\"openai/m-1\",\"input\":\"hi\"{more}}}}}]}}"
        );
        site.ask(0, ME, "POST", "/v1/batches", &body)
    };
    for field in [
        ",\"previous_response_id\":\"resp_1\"",
        ",\"background\":true",
    ] {
        let refused = asks(field);
        assert_eq!(refused.status, 400, "{field}: {}", refused.text());
        let message = refused.json().text_at(&["error", "message"]).to_owned();
        assert!(message.starts_with("request 1: "), "{message}");
    }
    assert!(site.services["openai"].take_requests().is_empty());
    let made = asks(",\"previous_response_id\":null,\"background\":false");
    assert_eq!(made.status, 200, "{}", made.text());
}

#[test]
fn m3_every_kind_of_service_serves_a_batch_at_any_node_and_each_answer_has_one_record() {
    let site = site();
    for (kind, form, _) in KINDS {
        let made = site.ask(
            0,
            ME,
            "POST",
            "/v1/batches",
            &requests(&format!("{kind}/m-1"), "body"),
        );
        assert_eq!(made.status, 200, "{kind}: {}", made.text());
        let id = made.json().text_at(&["id"]).to_owned();
        assert!(
            id.starts_with("batch_") && !id.contains("own"),
            "{kind}: {id}"
        );
        assert!(!made.text().contains("llmleaf-"), "{kind}: {}", made.text());
        let got = site.get(&format!("/v1/batches/{id}")).json();
        assert_eq!(
            got.text_at(&["status"]),
            match form {
                // Its one word for the end does not say which; the counts do.
                Form::Messages => "expired",
                _ => "completed",
            },
            "{kind}"
        );
        assert_eq!(got.text_at(&["id"]), id, "{kind}");
        assert_eq!(got.u64_at(&["request_counts", "total"]), Some(3), "{kind}");
        assert_eq!(
            got.u64_at(&["request_counts", "completed"]),
            Some(1),
            "{kind}"
        );
        let results = site.get(&format!("/v1/batches/{id}/results"));
        judge(kind, &lines(&results), 3);
        by_files(&site, kind, &got);
        let elsewhere = site.ask(0, ME, "GET", &format!("/v1/batches/{id}/results"), "");
        judge(kind, &lines(&elsewhere), 3);
        let listed = site.get("/v1/batches?limit=100").json();
        let listed = listed
            .elements_at(&["data"])
            .iter()
            .filter(|batch| batch.text_at(&["id"]) == id);
        // Some services keep nothing by which a list could show whose a batch is.
        let shown = !matches!(form, Form::Messages | Form::Wrapped);
        assert_eq!(listed.count(), usize::from(shown), "{kind}");
        for path in [
            format!("/v1/batches/{id}"),
            format!("/v1/batches/{id}/results"),
        ] {
            let refused = site.ask(0, YOU, "GET", &path, "");
            assert_eq!(refused.status, 404, "{kind} {path}: {}", refused.text());
        }
        let stopped = site.ask(1, ME, "POST", &format!("/v1/batches/{id}/cancel"), "");
        assert_eq!(stopped.status, 200, "{kind}: {}", stopped.text());
        let status = stopped.json().text_at(&["status"]).to_owned();
        assert!(status.starts_with("cancel"), "{kind}: {status}");
    }
    // Each answer was fetched twice at one node and once at another: each has told its one record once.
    let mut records = site.records();
    assert_eq!(records.len(), 2 * KINDS.len(), "{records:?}");
    records.sort();
    records.dedup();
    assert_eq!(records.len(), KINDS.len(), "{records:?}");
    assert!(
        records
            .iter()
            .all(|(_, input, output)| (*input, *output) == (5, 7)),
        "{records:?}"
    );
}

/// The same by files: answers and what is none, apart.
#[track_caller]
fn by_files(site: &Site, kind: &str, got: &Value) {
    let mut by_files = Vec::new();
    for file in ["output_file_id", "error_file_id"] {
        let file = got.text_at(&[file]).to_owned();
        assert!(file.starts_with("file-"), "{kind}: {file}");
        let path = format!("/v1/files/{file}");
        assert_eq!(site.get(&path).json().text_at(&["id"]), file);
        let path = format!("{path}/content");
        by_files.extend(lines(&site.get(&path)));
        assert_eq!(site.ask(1, YOU, "GET", &path, "").status, 404);
    }
    judge(kind, &by_files, 3);
}

/// Whether the results of [`requests`] are what a consumer of OpenAI's form expects.
#[track_caller]
fn judge(kind: &str, lines: &[Value], count: usize) {
    assert_eq!(lines.len(), count, "{kind}: {lines:?}");
    let of = |id: &str| {
        let found = lines.iter().find(|line| line.text_at(&["custom_id"]) == id);
        found.unwrap_or_else(|| unreachable!("{kind}: no {id} in {lines:?}"))
    };
    let good = of("one");
    assert_eq!(
        good.u64_at(&["response", "status_code"]),
        Some(200),
        "{kind}: {good}"
    );
    let choices = good.elements_at(&["response", "body", "choices"]);
    assert_eq!(
        choices[0].text_at(&["message", "content"]),
        "re: one",
        "{kind}"
    );
    assert_eq!(choices[0].text_at(&["finish_reason"]), "stop", "{kind}");
    let bad = of("two-x");
    let told = bad.u64_at(&["response", "status_code"]);
    let message = bad
        .text_at(&["response", "body", "error", "message"])
        .to_owned();
    match kind {
        // It tells no status.
        "xai" => assert_eq!(bad.text_at(&["error", "message"]), "refused"),
        _ => assert_eq!((told, &*message), (Some(400), "refused"), "{kind}: {bad}"),
    }
    if kind != "xai" {
        assert_eq!(
            of("three_y").text_at(&["error", "code"]),
            "batch_expired",
            "{kind}"
        );
    }
}

#[test]
fn a_batch_of_messages_goes_through_but_for_its_names() {
    let site = site();
    let body = requests("anthropic/m-1", "params");
    let made = site.ask(0, ME, "POST", "/v1/messages/batches", &body);
    assert_eq!(made.status, 200, "{}", made.text());
    let id = made.json().text_at(&["id"]).to_owned();
    assert!(id.starts_with("msgbatch_"), "{id}");
    let service = &site.services["anthropic"];
    let sent = service.take_requests().remove(0);
    assert_eq!(sent.path, "/v1/messages/batches");
    assert_eq!(
        sent.text().replace(' ', ""),
        body.replace("anthropic/m-1", "m-1").replace(' ', ""),
        "one edit each"
    );
    let path = format!("/v1/messages/batches/{id}");
    let got = site.get(&path).text();
    assert!(got.contains("\"x\":1.0") && !got.contains("_own"), "{got}");
    assert_eq!(
        json::parse(&got).expect("JSON").text_at(&["results_url"]),
        format!("{path}/results")
    );
    let results = site.get(&format!("{path}/results"));
    assert_eq!(results.header("content-type"), Some("application/x-jsonl"));
    assert!(
        results.text().contains("\"custom_id\":\"one\", \"result\""),
        "{}",
        results.text()
    );
    assert_eq!(lines(&results).len(), 3);
    for (key, path) in [
        (YOU, path.clone()),
        (ME, format!("/v1/batches/{id}")),
        (ME, "/v1/messages/batches/msgbatch_own".to_owned()),
    ] {
        let refused = site.ask(0, key, "GET", &path, "");
        assert_eq!(refused.status, 404, "{path}: {}", refused.text());
    }
    assert_eq!(
        site.ask(0, ME, "DELETE", &path, "").json().text_at(&["id"]),
        id
    );
    let cancelled = site
        .ask(0, ME, "POST", &format!("{path}/cancel"), "{}")
        .json();
    assert_eq!(cancelled.text_at(&["processing_status"]), "canceling");
}

#[test]
fn m3_a_batch_of_messages_reaches_a_service_of_another_form() {
    let site = site();
    let body = requests("openai/m-1", "params");
    let made = site.ask(0, ME, "POST", "/v1/messages/batches", &body);
    assert_eq!(made.status, 200, "{}", made.text());
    let made = made.json();
    assert_eq!(made.text_at(&["type"]), "message_batch");
    let path = format!("/v1/messages/batches/{}", made.text_at(&["id"]));
    let got = site.get(&path).json();
    assert_eq!(got.text_at(&["processing_status"]), "ended");
    assert_eq!(got.u64_at(&["request_counts", "succeeded"]), Some(1));
    let results = lines(&site.get(got.text_at(&["results_url"])));
    let kinds: Vec<&str> = results
        .iter()
        .map(|line| line.text_at(&["result", "type"]))
        .collect();
    assert_eq!(kinds, ["succeeded", "errored", "expired"]);
    let said = results[0].elements_at(&["result", "message", "content"]);
    assert_eq!(said[0].text_at(&["text"]), "re: one");
    assert_eq!(results[1].text_at(&["result", "error", "type"]), "error");
    let refused = site.ask(0, ME, "DELETE", &path, "");
    assert_eq!(refused.status, 400, "{}", refused.text());
}

#[test]
fn m1_what_is_wrong_is_told_by_line_before_anything_is_sent() {
    let site = site();
    let item = |id: &str, model: &str, more: &str| {
        format!(
            "{{\"custom_id\":{id},\"body\":{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}]}}{more}}}"
        )
    };
    let good = item("\"a\"", "openai/m-1", "");
    for (key, second, status, says) in [
        (
            ME,
            good.clone(),
            400,
            "request 2: `custom_id` \"a\" was used before",
        ),
        (
            ME,
            item("7", "openai/m-1", ""),
            400,
            "request 2: `custom_id` must be",
        ),
        (ME, "3".to_owned(), 400, "request 2: not a JSON object"),
        (
            ME,
            "{\"custom_id\":\"b\"}".to_owned(),
            400,
            "request 2: the field `body` is missing",
        ),
        (
            ME,
            item("\"b\"", "nowhere", ""),
            404,
            "request 2: the model \"nowhere\" is not routed",
        ),
        (
            ME,
            item("\"b\"", "openai/m-1", ",\"url\":\"/v1/responses\""),
            400,
            "request 2: `url`",
        ),
        (
            ME,
            item("\"b\"", "openai/m-2", ""),
            400,
            "no provider takes all",
        ),
        (
            ME,
            item("\"b\"", "groq/m-1", ""),
            400,
            "no provider takes all",
        ),
        (YOU, item("\"b\"", "openai/m-2", ""), 403, "request 2:"),
    ] {
        let body = format!("{{\"requests\":[{good},{second}]}}");
        let refused = site.ask(0, key, "POST", "/v1/batches", &body);
        let text = refused.text();
        assert_eq!(refused.status, status, "{second}: {text}");
        let message = refused.json().text_at(&["error", "message"]).to_owned();
        assert!(message.contains(says), "{second}: {message}");
    }
    of_the_whole(&site, item);
    for (kind, replay) in &site.services {
        assert!(replay.requests().is_empty(), "{kind} was asked");
    }
}

/// What is wrong with a batch as a whole.
fn of_the_whole(site: &Site, item: impl Fn(&str, &str, &str) -> String) {
    for (body, says) in [
        ("{}", "input_file_id"),
        ("{\"requests\":[]}", "at least one"),
        ("{\"endpoint\":\"/v1/images\",\"requests\":[]}", "not for"),
        (
            "{\"input_file_id\":\"file-own\",\"endpoint\":\"/v1/chat/completions\"}",
            "file-own",
        ),
    ] {
        let refused = site.ask(0, ME, "POST", "/v1/batches", body);
        assert!(
            matches!(refused.status, 400 | 404),
            "{body}: {}",
            refused.text()
        );
        assert!(refused.text().contains(says), "{body}: {}", refused.text());
    }
    // A name that the provider does not take is refused by its line; a model that nobody takes batches of, by its name.
    let odd = format!(
        "{{\"requests\":[{}]}}",
        item("\"a b\"", "anthropic/m-1", "")
    );
    let refused = site.ask(0, ME, "POST", "/v1/batches", &odd);
    assert!(
        refused.text().contains("request 1: the provider takes"),
        "{}",
        refused.text()
    );
    let plain = format!("{{\"requests\":[{}]}}", item("\"a\"", "plain/m", ""));
    let refused = site.ask(0, ME, "POST", "/v1/batches", &plain);
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("state_dir"), "{}", refused.text());
}
