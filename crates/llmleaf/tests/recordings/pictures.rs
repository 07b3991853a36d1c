//! Recorded images: OpenAI's form goes through to those who speak it, and answers in other words are told in that form's.

use llmleaf_testkit::recordings::{self, Recording};
use llmleaf_testkit::replay::Script;
use llmleaf_testkit::stand::{self, Ask, Exchange, PREFIX, Service};
use llmleaf_testkit::tally::{Finding, Tally};
use serde_json::Value;

use super::{EXE, LOG};

/// Exchanges in the set when this was written.
const LEAST: usize = 15;

#[test]
fn images_reach_consumers_of_the_one_form() {
    let Some(recordings) = recordings::load_where("images", |recording| recording.wire == "images")
    else {
        return;
    };
    let tally = Tally::default();
    stand::each(EXE, LOG, &recordings, service, |stand, recording| {
        let finding = match body(recording) {
            Some((body, model)) => {
                let text = body.to_string();
                let ask = Ask {
                    path: &recording.path,
                    headers: Vec::new(),
                    body: &text,
                };
                let exchange = stand.exchange(&ask, Script::recorded(recording));
                judge(recording, body, &model, &exchange)
            }
            None => {
                let mut finding = Finding::default();
                finding.except("a form");
                finding
            }
        };
        let (wire, provider) = (&recording.wire, &recording.provider);
        tally.add(wire, provider, "same", &recording.id, finding);
    });
    tally.conclude("images", LEAST);
}

fn service(recording: &Recording) -> Service {
    let kind = match recording.provider.as_str() {
        "other-openai-compatible" => "openai-compatible",
        own => own,
    };
    Service {
        kind: kind.to_owned(),
        base: "/v1".to_owned(),
        settings: String::new(),
    }
}

/// The request for a model behind the prefix, and that model's own name.
fn body(recording: &Recording) -> Option<(Value, String)> {
    let mut body: Value = serde_json::from_str(recording.request_body.as_deref()?).ok()?;
    if body.get("__base64__").is_some() {
        return None;
    }
    let model = body["model"].as_str().unwrap_or("some-model").to_owned();
    body["model"] = format!("{PREFIX}{model}").into();
    Some((body, model))
}

fn judge(recording: &Recording, mut body: Value, model: &str, exchange: &Exchange) -> Finding {
    let mut finding = Finding::default();
    let text = exchange.response.text();
    let [request] = exchange.requests.as_slice() else {
        finding.check(false, || {
            format!("{} requests; {text:.400}", exchange.requests.len())
        });
        return finding;
    };
    body["model"] = model.into();
    let sent: Value = serde_json::from_str(&request.text()).unwrap_or_default();
    finding.check(sent == body, || {
        format!("sent {sent:.400}, not {body:.400}")
    });
    finding.check(request.path == recording.path, || {
        format!("asked at {}", request.path)
    });
    finding.check(exchange.response.status == recording.status, || {
        format!("{} {text:.400}", exchange.response.status)
    });
    let recorded = recording.body.text().unwrap_or_default();
    let mut own: Value = serde_json::from_str(recorded).unwrap_or_default();
    match own.as_object_mut().and_then(|own| own.remove("images")) {
        Some(Value::Array(mut images)) => {
            for image in images.iter_mut().filter_map(Value::as_object_mut) {
                let data = image.remove("image").expect("an image");
                image.insert("b64_json".to_owned(), data);
            }
            own["data"] = images.into();
            let told: Value = serde_json::from_str(&text).unwrap_or_default();
            finding.check(told == own, || format!("told {told:.400}"));
        }
        _ => finding.check(text == recorded, || {
            format!("the answer changed: {text:.400}")
        }),
    }
    let loss = exchange
        .response
        .header("x-llmleaf-loss")
        .unwrap_or_default();
    finding.check(loss.is_empty(), || format!("lost {loss}"));
    finding
}
