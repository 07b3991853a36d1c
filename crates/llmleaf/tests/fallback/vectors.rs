//! Embeddings and reranking along a chain: an answer that is none moves on, and one that is made of several requests is never of two targets.

use llmleaf_testkit::binary::Llmleaf;
use llmleaf_testkit::http::{Response, post};
use llmleaf_testkit::json::Value;
use llmleaf_testkit::replay::{Replay, Request, Script};
use llmleaf_testkit::stage::LONG;

const KEY: (&str, &str) = ("authorization", "Bearer bWU6czNjcmV0");

/// A provider of Cohere's forms, and behind it one that always answers.
fn start(replay: &Replay) -> Llmleaf {
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\n\n\
         [[providers]]\nname = \"vendor\"\nkind = \"cohere\"\nendpoint = \"{}\"\ncredential = \"CANARY-vendor\"\nhealth = false\n\n\
         [[providers]]\nname = \"plain\"\nkind = \"echo\"\n\n\
         [[routes]]\nmodel = \"v\"\ntargets = [{{ provider = \"vendor\", model = \"theirs\" }}, {{ provider = \"plain\" }}]\n\n\
         [[keys]]\nid = \"me\"\npw_hash = \"$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO\"\n",
        replay.url()
    );
    Llmleaf::with_config(env!("CARGO_BIN_EXE_llmleaf"), &config).start()
}

fn embed(leaf: &Llmleaf) -> Response {
    let texts: Vec<String> = (0..100).map(|n| format!("\"text {n}\"")).collect();
    let body = format!("{{\"model\":\"v\",\"input\":[{}]}}", texts.join(","));
    let answer = post(leaf.addr, "/v1/embeddings", &[KEY], &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

/// A vector for each text of the request: the number in it. Tokens are texts.
fn vectors(request: &Request) -> Script {
    let body = request.json().expect("JSON");
    let texts = body.elements_at(&["texts"]);
    let numbers: Vec<String> = texts
        .iter()
        .map(|text| text.as_str().unwrap_or_default().replace("text ", ""))
        .map(|number| format!("[{number},1]"))
        .collect();
    Script::json(
        200,
        format!(
            "{{\"id\":\"i\",\"embeddings\":{{\"float\":[{}]}},\"meta\":{{\"billed_units\":{{\"input_tokens\":{}}}}}}}",
            numbers.join(","),
            numbers.len()
        ),
    )
}

#[test]
fn more_inputs_than_a_target_takes_are_asked_for_piece_by_piece() {
    let replay = Replay::start();
    let leaf = start(&replay);
    replay.on(vectors);
    let told = embed(&leaf).json();
    let sizes: Vec<usize> = replay
        .take_requests()
        .iter()
        .map(|request| request.json().expect("JSON").elements_at(&["texts"]).len())
        .collect();
    assert_eq!(sizes, [96, 4]);
    let data = told.elements_at(&["data"]);
    assert_eq!(data.len(), 100);
    for (at, one) in data.iter().enumerate() {
        let vector = one.elements_at(&["embedding"]);
        assert_eq!(vector[0].as_u64(), Some(at as u64), "{at}");
    }
    assert_eq!(told.u64_at(&["usage", "prompt_tokens"]), Some(100));
}

#[test]
fn a_piece_that_fails_leaves_the_whole_to_the_next_target() {
    let replay = Replay::start();
    let leaf = start(&replay);
    let mut first = true;
    replay.on(move |request| match std::mem::take(&mut first) {
        true => vectors(request),
        false => Script::json(500, "{\"message\":\"broken\"}"),
    });
    let told = embed(&leaf).json();
    let lengths: Vec<usize> = told
        .elements_at(&["data"])
        .iter()
        .map(|one| one.elements_at(&["embedding"]).len())
        .collect();
    assert_eq!(lengths, [256; 100], "all of them are of the second target");
    let failed = |line: &str| line.contains("llmleaf::usage") && line.contains("\"failed\"");
    let lines = leaf.wait_lines(1, LONG, failed).expect("a record");
    let record = llmleaf_testkit::json::parse(&lines[0]).expect("JSON");
    assert_eq!(record.text_at(&["grade"]), "partial");
    assert_eq!(record.u64_at(&["input"]), Some(96), "of the first piece");
}

#[test]
fn a_piece_that_nobody_counted_is_not_free() {
    let replay = Replay::start();
    let leaf = start(&replay);
    let mut first = true;
    replay.on(move |request| match std::mem::take(&mut first) {
        true => {
            let body = request.json().expect("JSON");
            let each = body.elements_at(&["texts"]).iter().map(|_| "[1,1]");
            let all = each.collect::<Vec<_>>().join(",");
            Script::json(
                200,
                format!("{{\"id\":\"i\",\"embeddings\":{{\"float\":[{all}]}}}}"),
            )
        }
        false => Script::json(429, "{\"message\":\"busy\"}"),
    });
    embed(&leaf);
    let failed = |line: &str| line.contains("llmleaf::usage") && line.contains("\"failed\"");
    let lines = leaf.wait_lines(1, LONG, failed).expect("a record");
    let record = llmleaf_testkit::json::parse(&lines[0]).expect("JSON");
    assert_eq!(record.text_at(&["grade"]), "none");
    assert!(record.get("possibly_billed").is_some_and(Value::is_truthy));
    assert!(
        record.get("cost_nano_usd").is_none(),
        "unknown: {}",
        lines[0]
    );
}

#[test]
fn an_answer_that_is_none_is_not_free() {
    let replay = Replay::start();
    let leaf = start(&replay);
    replay.on(|_| Script::json(200, "{\"odd\":true}"));
    embed(&leaf);
    let failed = |line: &str| line.contains("llmleaf::usage") && line.contains("\"failed\"");
    let lines = leaf.wait_lines(1, LONG, failed).expect("a record");
    let record = llmleaf_testkit::json::parse(&lines[0]).expect("JSON");
    assert!(record.get("possibly_billed").is_some_and(Value::is_truthy));
    assert!(
        record.get("cost_nano_usd").is_none(),
        "unknown: {}",
        lines[0]
    );
}

#[test]
fn an_order_of_what_was_not_asked_moves_on() {
    let replay = Replay::start();
    let leaf = start(&replay);
    let body = "{\"model\":\"v\",\"query\":\"red fox\",\"documents\":[\"a dog\",\"a red fox\"]}";
    for (path, results) in [
        ("/v1/rerank", "{\"index\":2,\"relevance_score\":1}"),
        ("/v2/rerank", "{\"index\":2,\"relevance_score\":1}"),
        (
            "/v2/rerank",
            "{\"index\":0,\"relevance_score\":1},{\"index\":0,\"relevance_score\":1}",
        ),
        ("/v2/rerank", ""),
    ] {
        replay.push(Script::json(200, format!("{{\"results\":[{results}]}}")));
        let answer = post(leaf.addr, path, &[KEY], body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let told = answer.json();
        let order: Vec<Option<u64>> = told
            .elements_at(&["results"])
            .iter()
            .map(|one: &Value| one.u64_at(&["index"]))
            .collect();
        assert_eq!(order, [Some(1), Some(0)], "{path} {results}");
        let sent = replay.take_requests().remove(0);
        assert_eq!(sent.path, path, "each form has its own door there");
        assert_eq!(sent.text(), body.replace("\"v\"", "\"theirs\""));
    }
}
