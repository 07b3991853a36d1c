//! Lists of services that tell the next page by something else than a batch: each is walked from here, batch by batch.

use super::{HASH, ME, requests};
use llmleaf_testkit::binary::Llmleaf;
use llmleaf_testkit::http::{self, Connection, Response};
use llmleaf_testkit::json::Value;
use llmleaf_testkit::replay::{Replay, Request, Script};

/// Batches that a service has, each on a page of its own.
const COUNT: usize = 3;

/// What a service is told when one is made is shown with each of its batches.
fn answer(marks: &mut Vec<String>, kind: &str, request: &Request) -> Script {
    if request.method == "POST" {
        let Some(body) = request.json() else {
            return Script::json(200, r#"{"id":"file-own","object":"file"}"#);
        };
        let mark = match kind {
            "mistral" => body.text_at(&["metadata", "llmleaf"]),
            "gemini" => body.text_at(&["batch", "displayName"]),
            _ => body.text_at(&["name"]),
        };
        if !mark.is_empty() {
            marks.push(mark.to_owned());
        }
        return Script::json(200, object(marks, kind, marks.len().saturating_sub(1)));
    }
    if !request.path.contains('?') {
        return Script::json(200, object(marks, kind, 0));
    }
    let value = |name: &str| {
        let (_, query) = request.path.split_once('?')?;
        let mut fields = query.split('&').filter_map(|field| field.split_once('='));
        fields
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
    };
    let token = match kind {
        "mistral" => value("page"),
        "gemini" => value("pageToken"),
        _ => value("pagination_token"),
    };
    // Anything else than what was told is no place in the list.
    let at: usize = match token {
        None => 0,
        Some(token) => match token.strip_prefix(if kind == "mistral" { "" } else { "p" }) {
            Some(digits) if digits.parse::<usize>().is_ok_and(|at| at < COUNT) => {
                digits.parse().expect("digits")
            }
            _ => return Script::json(400, r#"{"error":{"message":"no such page"}}"#),
        },
    };
    let object = object(marks, kind, at);
    let next = (at + 1 < COUNT).then(|| format!("\"p{}\"", at + 1));
    let next = next.as_deref().unwrap_or("null");
    Script::json(
        200,
        match kind {
            "mistral" => format!(
                r#"{{"object":"list","data":[{object}],"total":{}}}"#,
                100 * COUNT
            ),
            "gemini" => format!(r#"{{"operations":[{object}],"nextPageToken":{next}}}"#),
            _ => format!(r#"{{"batches":[{object}],"pagination_token":{next}}}"#),
        },
    )
}

fn object(marks: &[String], kind: &str, at: usize) -> String {
    let mark = marks.first().map_or("", String::as_str);
    match kind {
        "mistral" => format!(
            r#"{{"id":"own-{at}","status":"SUCCESS","created_at":1,"input_files":["file-own"],"output_file":"file-results","metadata":{{"llmleaf":"{mark}"}},"total_requests":1,"succeeded_requests":1,"failed_requests":0}}"#
        ),
        "gemini" => format!(
            r#"{{"name":"batches/own-{at}","metadata":{{"displayName":"{mark}","createTime":"2026-11-26T00:00:00Z","state":"BATCH_STATE_SUCCEEDED"}}}}"#
        ),
        _ => format!(
            r#"{{"batch_id":"own-{at}","name":"{mark}","create_time":"2026-11-26","state":{{"num_requests":1,"num_pending":0,"num_success":1}}}}"#
        ),
    }
}

fn ask(node: &Llmleaf, method: &str, path: &str, body: &str) -> Response {
    let mut line = Connection::open(node.addr);
    line.send(&http::request(method, path, &[ME], body.as_bytes()));
    line.response()
}

#[test]
fn a_list_that_is_asked_for_one_by_one_has_every_batch_once() {
    for (kind, base) in [("mistral", "/v1"), ("gemini", "/v1beta"), ("xai", "/v1")] {
        let replay = Replay::start();
        let mut marks = Vec::new();
        replay.on(move |request| answer(&mut marks, kind, request));
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\nbatch_id_secret = \"a secret of all nodes\"\n\n\
             [[providers]]\nname = \"{kind}\"\nkind = \"{kind}\"\nendpoint = \"{}{base}\"\ncredential = \"CANARY-{kind}\"\nprefix = \"{kind}\"\n\n\
             [[keys]]\nid = \"me\"\npw_hash = \"{HASH}\"\n\n[[keys]]\nid = \"you\"\npw_hash = \"{HASH}\"\n",
            replay.url(),
        );
        let node = Llmleaf::with_config(env!("CARGO_BIN_EXE_llmleaf"), &config).start();
        let body = requests(&format!("{kind}/m-1"), "body");
        let made = ask(&node, "POST", "/v1/batches", &body);
        assert_eq!(made.status, 200, "{kind}: {}", made.text());
        let mut found: Vec<String> = Vec::new();
        let mut after = String::new();
        loop {
            let page = ask(&node, "GET", &format!("/v1/batches?limit=1{after}"), "");
            assert_eq!(page.status, 200, "{kind}: {}", page.text());
            let page: Value = page.json();
            let all = page.elements_at(&["data"]);
            assert_eq!(all.len(), 1, "{kind}: {page}");
            let id = all[0].text_at(&["id"]).to_owned();
            assert!(!found.contains(&id), "{kind}: {page}");
            // It is the same as when it is asked for by itself.
            if kind == "mistral" {
                let name = ["input_file_id", "output_file_id", "error_file_id"];
                let names = name.map(|name| all[0].text_at(&[name]).starts_with("file-"));
                assert_eq!(names, [true, true, false], "{page}");
            }
            assert_eq!(page.text_at(&["last_id"]), id, "{kind}");
            after = format!("&after={id}");
            found.push(id);
            if page
                .at(&["has_more"])
                .is_some_and(|more| more.to_string() == "false")
            {
                break;
            }
        }
        assert_eq!(found.len(), COUNT, "{kind}: {found:?}");
        let whole = ask(&node, "GET", "/v1/batches?limit=100", "").json();
        assert_eq!(whole.elements_at(&["data"]).len(), COUNT, "{kind}: {whole}");
    }
}

#[test]
fn a_list_of_others_alone_is_not_told_to_be_the_end() {
    let replay = Replay::start();
    // Whichever page is asked for has a foreign batch, and another page behind it.
    let mut page = 0;
    replay.on(move |_| {
        page += 1;
        Script::json(
            200,
            format!(
                r#"{{"batches":[{{"batch_id":"own-{page}","name":"llmleaf-00-c","create_time":"2026-11-26","state":{{"num_requests":1,"num_pending":0,"num_success":1}}}}],"pagination_token":"p{page}"}}"#
            ),
        )
    });
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\nbatch_id_secret = \"a secret of all nodes\"\n\n\
         [[providers]]\nname = \"xai\"\nkind = \"xai\"\nendpoint = \"{}/v1\"\ncredential = \"CANARY-xai\"\nprefix = \"xai\"\n\n\
         [[keys]]\nid = \"me\"\npw_hash = \"{HASH}\"\n\n[[keys]]\nid = \"you\"\npw_hash = \"{HASH}\"\n",
        replay.url(),
    );
    let node = Llmleaf::with_config(env!("CARGO_BIN_EXE_llmleaf"), &config).start();
    let listed = ask(&node, "GET", "/v1/batches", "");
    assert_eq!(listed.status, 400, "{}", listed.text());
    let code = listed.json().text_at(&["error", "code"]).to_owned();
    assert_eq!(code, "list_too_long");
}
