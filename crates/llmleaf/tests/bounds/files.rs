//! Files of requests cost no memory either, whether a provider keeps them or this gateway does.

use std::path::PathBuf;

use llmleaf_testkit::binary::{Llmleaf, played};
use llmleaf_testkit::http::{Connection, Response, request};
use llmleaf_testkit::stage::LONG;

use crate::uploads::{BEARER, KEY, Sink, mebibytes};

const BEFORE: &str = "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\r\n";
const AFTER: &str = "\r\n--b--\r\n";

const MADE: &str = "{\"id\":\"msgbatch_1\",\"type\":\"message_batch\",\"processing_status\":\"in_progress\",\"request_counts\":{\"processing\":1,\"succeeded\":0},\"created_at\":\"2026-11-26T00:00:00Z\",\"expires_at\":\"2026-11-27T00:00:00Z\"}";
const TOOK: &str = "{\"id\":\"file-own\",\"object\":\"file\",\"purpose\":\"batch\"}";

/// A folder for what is kept.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left in a temporary folder harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn leaf(sink: &Sink, folder: &Folder) -> Llmleaf {
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\nbatch_id_secret = \"a secret of all nodes\"\nmax_upload_bytes = 4294967296\nstate_dir = \"{}\"\n\
         [[providers]]\nname = \"keeps\"\nkind = \"openai\"\nendpoint = \"http://{}/v1\"\ncredential = \"k\"\nprefix = \"keeps\"\n\
         [[providers]]\nname = \"lists\"\nkind = \"anthropic\"\nendpoint = \"http://{}\"\ncredential = \"k\"\nprefix = \"lists\"\n\
         [[providers]]\nname = \"echo\"\nkind = \"echo\"\nprefix = \"echo\"\n{KEY}",
        folder.0.display(),
        sink.addr,
        sink.addr,
    );
    Llmleaf::with_config(played(env!("CARGO_BIN_EXE_llmleaf")), &config).start()
}

fn line(model: &str, at: usize, text: &str) -> String {
    format!(
        "{{\"custom_id\":\"{at:08}\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"user\",\"content\":\"{text}\"}}]}}}}\n"
    )
}

/// Sends a file of so many lines of 64 KiB; the answer, and the most memory on the way.
fn upload(leaf: &Llmleaf, model: &str, lines: usize) -> (Response, u64) {
    let text = "x".repeat(64 << 10);
    let length = BEFORE.len() + lines * line(model, 0, &text).len() + AFTER.len();
    let mut connection = Connection::open(leaf.addr);
    let head = format!(
        "POST /v1/files HTTP/1.1\r\nhost: h\r\nauthorization: {BEARER}\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: {length}\r\n\r\n{BEFORE}"
    );
    connection.send(head.as_bytes());
    let mut most = 0;
    for at in 0..lines {
        connection.send(line(model, at, &text).as_bytes());
        if at % (lines / 8).max(1) == 0 {
            most = most.max(leaf.resident_kib().expect("a size"));
        }
    }
    connection.send(AFTER.as_bytes());
    let response = connection.response();
    (response, most.max(leaf.resident_kib().expect("a size")))
}

#[test]
fn m1_a_long_file_of_requests_costs_no_memory() {
    let mebibytes = mebibytes();
    let name = format!("llmleaf-bounds-files-{}", std::process::id());
    let folder = Folder(std::env::temp_dir().join(name));
    let sink = Sink::start(&[TOOK, TOOK, MADE]);
    let leaf = leaf(&sink, &folder);
    for model in ["keeps/m", "lists/m", "echo/m"] {
        // What passes needs room to pass in, which is kept: as much as it takes is there before it is measured.
        let (first, _) = upload(&leaf, model, 8 * 16);
        assert_eq!(first.status, 200, "{model}: {}", first.text());
        let before = leaf.resident_kib().expect("a size");
        let (sent, most) = upload(&leaf, model, mebibytes * 16);
        assert_eq!(sent.status, 200, "{model}: {}", sent.text());
        let grown = most.saturating_sub(before);
        eprintln!("{model}, {mebibytes} MiB: {grown} KiB above idle");
        assert!(grown < 8 << 10, "{model}: {grown} KiB for {mebibytes} MiB");
        if model == "keeps/m" {
            sink.wait(mebibytes << 20);
            continue;
        }
        let file = sent.json().text_at(&["id"]).to_owned();
        let order =
            format!("{{\"input_file_id\":\"{file}\",\"endpoint\":\"/v1/chat/completions\"}}");
        let made = ask(&leaf, "POST", "/v1/batches", &order);
        assert_eq!(made.status, 200, "{}", made.text());
        // Of those that run here sixteen at a time are asked, each held with its answer.
        let most = if model == "echo/m" { 24 } else { 8 };
        let grown = leaf.resident_kib().expect("a size").saturating_sub(before);
        eprintln!("{model}, made a batch: {grown} KiB above idle");
        assert!(
            grown < most << 10,
            "{model}: {grown} KiB for a batch of {mebibytes} MiB"
        );
        if model == "lists/m" {
            sink.wait(mebibytes << 20);
            continue;
        }
        let made = made.json();
        let total = made.u64_at(&["request_counts", "total"]);
        assert_eq!(total, Some(mebibytes as u64 * 16));
        let path = format!("/v1/batches/{}/cancel", made.text_at(&["id"]));
        assert_eq!(ask(&leaf, "POST", &path, "").status, 200);
    }
}

fn ask(leaf: &Llmleaf, method: &str, path: &str, body: &str) -> Response {
    let mut connection = Connection::open(leaf.addr);
    // All of a long file is read again for its batch.
    connection.read_timeout(LONG * 20);
    let headers = [
        ("authorization", BEARER),
        ("content-type", "application/json"),
    ];
    connection.send(&request(method, path, &headers, body.as_bytes()));
    connection.response()
}
