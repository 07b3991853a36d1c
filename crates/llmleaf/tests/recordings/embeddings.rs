//! Recorded embeddings: their own form goes through, and a consumer of the other form gets the same numbers.

use llmleaf_testkit::json;
use llmleaf_testkit::recordings::{self, Recording};
use llmleaf_testkit::replay::Script;
use llmleaf_testkit::stand::{self, Ask, Exchange, PREFIX, Service, Stand};
use llmleaf_testkit::tally::{Finding, Tally};
use serde_json::Value;

use super::{EXE, LOG};

/// Exchanges in the set when this was written: 60 that state their request, less the two of perplexity, each asked in both forms.
const LEAST: usize = 110;

const MODEL: &str = "embedder";

#[test]
fn embeddings_reach_consumers_of_either_form() {
    let Some(mut recordings) = recordings::load_where("embeddings", |recording| {
        let wires = ["embeddings-openai", "embeddings-gemini"];
        // perplexity writes integers of 8 bits, which is another form than the one it borrows the path of.
        wires.contains(&recording.wire.as_str()) && recording.provider != "perplexity"
    }) else {
        return;
    };
    recordings.retain(|recording| recording.request().is_some());
    let tally = Tally::default();
    stand::each(EXE, LOG, &recordings, service, |stand, recording| {
        for gemini in [false, true] {
            let finding = match body(recording, gemini) {
                Some(body) => judge(
                    recording,
                    gemini,
                    &body,
                    &ask(stand, recording, gemini, &body),
                ),
                None => {
                    let mut finding = Finding::default();
                    finding.except("inputs that the other form cannot say");
                    finding
                }
            };
            let form = if gemini { "gemini" } else { "openai" };
            let kind = if is_gemini(recording) == gemini {
                "same"
            } else {
                "across"
            };
            tally.add(form, &recording.provider, kind, &recording.id, finding);
        }
    });
    tally.conclude("embeddings", LEAST);
}

fn is_gemini(recording: &Recording) -> bool {
    recording.wire == "embeddings-gemini"
}

fn service(recording: &Recording) -> Service {
    let (path, query) = recording
        .path
        .split_once('?')
        .unwrap_or((&recording.path, ""));
    let kind = match recording.provider.as_str() {
        "other-openai-compatible" => "openai-compatible",
        own => own,
    };
    let base = match path.split_once("/models/") {
        Some((base, _)) => base,
        None if path.contains("/deployments/") => "",
        None => path.trim_end_matches("/embeddings"),
    };
    Service {
        kind: kind.to_owned(),
        base: base.to_owned(),
        settings: match query.strip_prefix("api-version=") {
            Some(version) if kind == "azure-openai" => format!("api_version = \"{version}\""),
            _ => String::new(),
        },
    }
}

fn asked(recording: &Recording) -> Value {
    serde_json::from_str(recording.request_body.as_deref().unwrap_or_default()).unwrap_or_default()
}

/// The request in that form; `None` where that cannot say it.
fn body(recording: &Recording, gemini: bool) -> Option<Value> {
    let mut asked = asked(recording);
    if is_gemini(recording) == gemini {
        if !gemini {
            asked["model"] = format!("{PREFIX}{MODEL}").into();
        }
        return Some(asked);
    }
    if !gemini {
        let texts: Option<Vec<&str>> = asked["requests"]
            .as_array()?
            .iter()
            .map(|one| one["content"]["parts"][0]["text"].as_str())
            .collect();
        return Some(serde_json::json!({"model": format!("{PREFIX}{MODEL}"), "input": texts?}));
    }
    let texts: Vec<&str> = match &asked["input"] {
        Value::String(text) => vec![text],
        Value::Array(list) => list.iter().map(Value::as_str).collect::<Option<_>>()?,
        _ => return None,
    };
    let one = |text: &str| serde_json::json!({"content": {"parts": [{"text": text}]}, "model": "models/x"});
    Some(serde_json::json!({"requests": texts.into_iter().map(one).collect::<Vec<_>>()}))
}

fn ask(stand: &mut Stand, recording: &Recording, gemini: bool, body: &Value) -> Exchange {
    let path = format!("/v1beta/models/{PREFIX}{MODEL}:batchEmbedContents");
    let ask = Ask {
        path: if gemini { &path } else { "/v1/embeddings" },
        headers: Vec::new(),
        body: &body.to_string(),
    };
    stand.exchange(&ask, Script::recorded(recording))
}

fn judge(recording: &Recording, gemini: bool, body: &Value, exchange: &Exchange) -> Finding {
    let mut finding = Finding::default();
    let text = exchange.response.text();
    let [request] = exchange.requests.as_slice() else {
        finding.check(false, || {
            format!("{} requests; {text}", exchange.requests.len())
        });
        return finding;
    };
    let same = is_gemini(recording) == gemini;
    finding.check(
        request.path.contains(MODEL) || request.text().contains(MODEL),
        || "the model's name did not reach the service".to_owned(),
    );
    if same {
        let mut expected = body.clone();
        let mut sent: Value = serde_json::from_str(&request.text()).unwrap_or_default();
        if gemini {
            for one in [&mut expected, &mut sent] {
                for request in one["requests"].as_array_mut().into_iter().flatten() {
                    request["model"] = Value::Null;
                }
            }
        } else {
            expected["model"] = MODEL.into();
        }
        finding.check(sent == expected, || format!("sent {sent}, not {expected}"));
    }
    if recording.status >= 400 {
        let recorded = recording.body.text().unwrap_or_default();
        let error = json::parse(&text).is_ok_and(|text| text.get("error").is_some());
        // A service's own words go through where the form is its own.
        let good = error || same && text == recorded;
        finding.check(exchange.response.status >= 400 && good, || text.clone());
        return finding;
    }
    let recorded = recording.body.text().unwrap_or_default();
    finding.check(exchange.response.status == 200, || text.clone());
    if same {
        finding.check(text == recorded, || "the answer changed".to_owned());
    }
    let (got, had) = (vectors(&text), vectors(recorded));
    finding.check(!had.is_empty() && got == had, || {
        format!("other numbers: {text:.200}")
    });
    let loss = exchange
        .response
        .header("x-llmleaf-loss")
        .unwrap_or_default();
    finding.check(!same || loss.is_empty(), || format!("lost {loss}"));
    finding
}

/// The numbers of an answer of either form, as 32-bit floats.
fn vectors(text: &str) -> Vec<Vec<u32>> {
    let answer: Value = serde_json::from_str(text).unwrap_or_default();
    let lists = answer["data"]
        .as_array()
        .or(answer["embeddings"].as_array());
    let vector = |one: &Value| {
        let numbers = one
            .get("embedding")
            .or(one.get("values"))
            .cloned()
            .unwrap_or_default();
        if let Some(text) = numbers.as_str() {
            return from_base64(text);
        }
        let floats = numbers.as_array().cloned().unwrap_or_default();
        let bits = floats
            .iter()
            .filter_map(Value::as_f64)
            .map(|x| (x as f32).to_bits());
        bits.collect()
    };
    lists.into_iter().flatten().map(vector).collect()
}

fn from_base64(text: &str) -> Vec<u32> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text);
    let bytes = bytes.expect("base64");
    let floats = bytes.as_chunks::<4>().0;
    floats
        .iter()
        .map(|four| f32::from_le_bytes(*four).to_bits())
        .collect()
}
