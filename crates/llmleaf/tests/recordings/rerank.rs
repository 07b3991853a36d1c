//! Recorded reranking: each exchange is asked for in both forms; its own goes through, the other gets the same order.

use llmleaf_testkit::json;
use llmleaf_testkit::recordings::{self, Recording};
use llmleaf_testkit::replay::Script;
use llmleaf_testkit::stand::{self, Ask, Exchange, PREFIX, Service};
use llmleaf_testkit::tally::{Finding, Tally};
use serde_json::{Value, json};

use super::{EXE, LOG};

/// Exchanges in the set when this was written, each asked for in both forms.
const LEAST: usize = 28;

const MODEL: &str = "reranker";

#[test]
fn recorded_orders_reach_consumers_of_either_form() {
    let Some(recordings) = recordings::load_where("rerank", |recording| recording.wire == "rerank")
    else {
        return;
    };
    let tally = Tally::default();
    stand::each(EXE, LOG, &recordings, service, |stand, recording| {
        for texts in [false, true] {
            let body = body(recording, texts);
            let ask = Ask {
                path: if texts { "/v2/rerank" } else { "/v1/rerank" },
                headers: Vec::new(),
                body: &body.to_string(),
            };
            let exchange = stand.exchange(&ask, Script::recorded(recording));
            let mut finding = judge(recording, texts, &body, &exchange);
            if recording.request().is_none() {
                finding.note("only the answer was published: the request is made up");
            }
            let form = if texts { "texts" } else { "plain" };
            let same = is_texts(recording) == texts;
            let kind = if same { "same" } else { "across" };
            tally.add(form, &recording.provider, kind, &recording.id, finding);
        }
    });
    tally.conclude("rerank", LEAST);
}

fn is_texts(recording: &Recording) -> bool {
    recording.path == "/v2/rerank"
}

fn service(recording: &Recording) -> Service {
    let stem = recording.path.trim_end_matches("/rerank");
    Service {
        kind: match recording.provider.as_str() {
            "other-openai-compatible" => "openai-compatible".to_owned(),
            own => own.to_owned(),
        },
        base: match recording.provider.as_str() {
            "cohere" => String::new(),
            _ => stem.to_owned(),
        },
        settings: String::new(),
    }
}

fn answer(recording: &Recording) -> Value {
    serde_json::from_str(recording.body.text().unwrap_or_default()).unwrap_or_default()
}

/// The request in that form.
fn body(recording: &Recording, texts: bool) -> Value {
    let recorded = recording.request_body.as_deref().unwrap_or_default();
    let mut asked: Value = serde_json::from_str(recorded).unwrap_or_else(|_| {
        let answer = answer(recording);
        let results = answer["results"].as_array().cloned().unwrap_or_default();
        let most = results.iter().filter_map(|one| one["index"].as_u64()).max();
        let documents: Vec<String> = (0..=most.unwrap_or(0))
            .map(|n| format!("text {n}"))
            .collect();
        json!({"query": "Which?", "documents": documents, "top_n": results.len()})
    });
    asked["model"] = format!("{PREFIX}{MODEL}").into();
    if texts && let Some(fields) = asked.as_object_mut() {
        fields.remove("return_documents");
    }
    asked
}

fn judge(recording: &Recording, texts: bool, body: &Value, exchange: &Exchange) -> Finding {
    let mut finding = Finding::default();
    let text = exchange.response.text();
    let [request] = exchange.requests.as_slice() else {
        finding.check(false, || {
            format!("{} requests; {text}", exchange.requests.len())
        });
        return finding;
    };
    // Cohere serves both forms: a consumer of either gets its own.
    let same = is_texts(recording) == texts || recording.provider == "cohere";
    let sent: Value = serde_json::from_str(&request.text()).unwrap_or_default();
    let mut expected = body.clone();
    expected["model"] = MODEL.into();
    if same {
        finding.check(sent == expected, || format!("sent {sent}, not {expected}"));
    } else {
        for field in ["model", "query", "documents", "top_n"] {
            finding.check(sent[field] == expected[field], || {
                format!("sent {sent}, not {expected}")
            });
        }
    }
    let recorded = recording.body.text().unwrap_or_default();
    if recording.status >= 400 {
        let told = json::parse(&text);
        let field = if texts { "message" } else { "error" };
        let error = told.is_ok_and(|told| told.get(field).is_some());
        let good = exchange.response.status >= 400 && error;
        finding.check(good, || format!("{} {text}", exchange.response.status));
        finding.check(
            recording.status != 400 || exchange.response.status == 400,
            || format!("status {}", exchange.response.status),
        );
        return finding;
    }
    finding.check(exchange.response.status == 200, || text.clone());
    if same {
        finding.check(text == recorded, || "the answer changed".to_owned());
    }
    let told: Value = serde_json::from_str(&text).unwrap_or_default();
    let order = |answer: &Value| -> Vec<(Value, Value)> {
        let results = answer["results"].as_array().cloned().unwrap_or_default();
        let pair = |one: &Value| (one["index"].clone(), one["relevance_score"].clone());
        results.iter().map(pair).collect()
    };
    finding.check(order(&told) == order(&answer(recording)), || {
        format!("another order: {text:.300}")
    });
    let loss = exchange
        .response
        .header("x-llmleaf-loss")
        .unwrap_or_default();
    finding.check(loss.is_empty(), || format!("lost {loss}"));
    finding
}
