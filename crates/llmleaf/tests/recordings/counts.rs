//! Recorded counts of tokens: each is asked for in both forms; its own goes through unchanged, the other tells an estimate.

use llmleaf_testkit::recordings::{self, Recording};
use llmleaf_testkit::replay::Script;
use llmleaf_testkit::stand::{self, Ask, PREFIX, Service, Stand};
use llmleaf_testkit::tally::{Finding, Tally};
use serde_json::{Value, json};

use super::{EXE, LOG};

/// Exchanges in the set when this was written: 8 of Messages and 6 of Gemini in both forms, 5 of Responses in none: those are played elsewhere.
const LEAST: usize = 2 * (8 + 6) + 5;

#[test]
fn recorded_counts_reach_consumers_of_either_form() {
    let wires = [
        "anthropic-count-tokens",
        "gemini-count-tokens",
        "openai-responses-other",
    ];
    let keep = |recording: &Recording| {
        wires.contains(&recording.wire.as_str()) && recording.provider != "vertex"
    };
    let Some(recordings) = recordings::load_where("counts of tokens", keep) else {
        return;
    };
    let tally = Tally::default();
    stand::each(EXE, LOG, &recordings, service, |stand, recording| {
        if recording.provider == "openai" {
            let mut finding = Finding::default();
            finding.except(match recording.path.ends_with("/input_tokens") {
                true => "Responses' own count of tokens is played in `fallback/kept`, as it is documented",
                false => "a kept answer is asked for by the id under which it was told here: `fallback/kept`",
            });
            tally.add("openai", "openai", "same", &recording.id, finding);
            return;
        }
        for gemini in [false, true] {
            let same = (recording.provider == "gemini") == gemini;
            let finding = played(stand, recording, gemini, same);
            let form = if gemini { "gemini" } else { "anthropic" };
            let kind = if same { "same" } else { "across" };
            tally.add(form, &recording.provider, kind, &recording.id, finding);
        }
    });
    tally.conclude("counts of tokens", LEAST);
}

/// Asks for a count in one of the forms.
fn played(stand: &mut Stand, recording: &Recording, gemini: bool, same: bool) -> Finding {
    let name = format!("{PREFIX}{}", model(recording));
    let path = match gemini {
        true => format!("/v1beta/models/{name}:countTokens"),
        false => "/v1/messages/count_tokens".to_owned(),
    };
    let recorded = recording.request_body.as_deref().unwrap_or("null");
    let recorded: Value = serde_json::from_str(recorded).expect("JSON");
    let mut body = match (same, gemini) {
        (true, _) => recorded.clone(),
        (false, true) => json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}),
        (false, false) => json!({"messages": [{"role": "user", "content": "Hi"}]}),
    };
    if !gemini {
        body["model"] = name.into();
    }
    let text = body.to_string();
    let ask = Ask {
        path: &path,
        headers: Vec::new(),
        body: &text,
    };
    let exchange = stand.exchange(&ask, Script::recorded(recording));
    let mut finding = Finding::default();
    let reply = &exchange.response;
    finding.check(reply.status == 200, || {
        format!("{}: {}", reply.status, reply.text())
    });
    let got: Value = serde_json::from_str(&reply.text()).unwrap_or_default();
    let told = recording.body.text().unwrap_or_default();
    let told: Value = serde_json::from_str(told).expect("JSON");
    if !same {
        finding.except("a wire that counts otherwise is not asked: the count is an estimate");
        finding.check(count(&got) > Some(0), || got.to_string());
        return finding;
    }
    finding.check(got == told, || format!("{got} for {told}"));
    let Some(sent) = exchange.requests.first() else {
        finding.check(false, || "nobody was asked".to_owned());
        return finding;
    };
    finding.check(sent.path == recording.path, || {
        format!("asked at {}", sent.path)
    });
    let sent: Value = serde_json::from_slice(&sent.body).unwrap_or_default();
    finding.check(sent == recorded, || {
        format!("sent {sent}, recorded {recorded}")
    });
    finding
}

fn count(body: &Value) -> Option<u64> {
    body["input_tokens"]
        .as_u64()
        .or(body["totalTokens"].as_u64())
}

fn model(recording: &Recording) -> String {
    let path = recording.path.rsplit('/').next().unwrap_or_default();
    match path.split_once(':') {
        Some((model, _)) => model.to_owned(),
        None => {
            let body = recording.request();
            let model = body.map(|body| body.text_at(&["model"]).to_owned());
            model.unwrap_or_default()
        }
    }
}

fn service(recording: &Recording) -> Service {
    let base = match recording.provider.as_str() {
        "gemini" => "/v1beta",
        "openai" => "/v1",
        _ => "",
    };
    Service {
        kind: recording.provider.clone(),
        base: base.to_owned(),
        settings: String::new(),
    }
}
