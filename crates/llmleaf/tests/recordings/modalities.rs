//! Recorded moderation and completions of text: their own form goes through, and consumers of completions get what chat models say.

use llmleaf_testkit::json;
use llmleaf_testkit::recordings::{self, Recording};
use llmleaf_testkit::replay::Script;
use llmleaf_testkit::stand::{self, Ask, Exchange, PREFIX, Service};
use llmleaf_testkit::tally::{Finding, Tally};
use serde_json::Value;

use super::reading;
use super::{EXE, LOG};

/// Exchanges in the set when this was written: 4 of moderation, 12 completions.
const LEAST: usize = 16;

/// Chat exchanges of each provider and kind that are asked for as completions.
const CHATS_EACH: usize = 3;

#[test]
fn other_modalities_go_through_unchanged() {
    let Some(recordings) = recordings::load_where("moderation, completions", |recording| {
        ["moderation", "openai-completions"].contains(&recording.wire.as_str())
    }) else {
        return;
    };
    let tally = Tally::default();
    stand::each(EXE, LOG, &recordings, service, |stand, recording| {
        let finding = match body(recording) {
            Ok((body, model)) => {
                let path = format!("/v1{}", operation(recording));
                let text = body.to_string();
                let ask = Ask {
                    path: &path,
                    headers: Vec::new(),
                    body: &text,
                };
                let exchange = stand.exchange(&ask, Script::recorded(recording));
                judge(recording, body, &model, &exchange)
            }
            Err(why) => {
                let mut finding = Finding::default();
                finding.except(why);
                finding
            }
        };
        tally.add(
            &recording.wire,
            &recording.provider,
            "same",
            &recording.id,
            finding,
        );
    });
    tally.conclude("moderation, completions", LEAST);
}

/// What stands behind the version in the path.
fn operation(recording: &Recording) -> &str {
    let path = recording.path.split('?').next().unwrap_or_default();
    path.strip_prefix("/v1").unwrap_or(path)
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
fn body(recording: &Recording) -> Result<(Value, String), &'static str> {
    let text = match &recording.request_body {
        Some(text) => text.clone(),
        None => format!(
            "{{\"model\":\"gpt-3.5-turbo-instruct\",\"prompt\":\"Hi\",\"stream\":{}}}",
            recording.stream
        ),
    };
    let mut body: Value = serde_json::from_str(&text).expect("json");
    if body.get("__base64__").is_some() {
        return Err("a form");
    }
    let model = body["model"].as_str().unwrap_or("some-model").to_owned();
    body["model"] = format!("{PREFIX}{model}").into();
    Ok((body, model))
}

fn judge(recording: &Recording, mut body: Value, model: &str, exchange: &Exchange) -> Finding {
    let mut finding = Finding::default();
    let text = exchange.response.text();
    let [request] = exchange.requests.as_slice() else {
        finding.check(false, || {
            format!("{} requests; {text}", exchange.requests.len())
        });
        return finding;
    };
    body["model"] = model.into();
    let mut sent: Value = serde_json::from_str(&request.text()).unwrap_or_default();
    let asked = body["stream_options"]["include_usage"].as_bool();
    if recording.stream && asked.is_none() && sent["stream_options"]["include_usage"] == true {
        // The report that the record needs; it is hidden on the way back.
        sent.as_object_mut()
            .map(|fields| fields.remove("stream_options"));
    }
    finding.check(sent == body, || {
        format!("sent {sent:.400}, not {body:.400}")
    });
    finding.check(request.path == recording.path, || {
        format!("asked at {}", request.path)
    });
    let recorded = recording.body.text().unwrap_or_default();
    finding.check(exchange.response.status == recording.status, || {
        format!("{} {text:.400}", exchange.response.status)
    });
    let without_reports = |text: &str| {
        let frames = text.split_inclusive("\n\n");
        let kept = frames.filter(|frame| !frame.contains("\"choices\":[]"));
        kept.collect::<String>().replace(",\"usage\":null", "")
    };
    let same = match recording.stream {
        // What was not asked for is taken out of every chunk.
        true => without_reports(&text) == without_reports(recorded),
        false => text == recorded,
    };
    finding.check(same, || format!("the answer changed: {text:.400}"));
    let loss = exchange
        .response
        .header("x-llmleaf-loss")
        .unwrap_or_default();
    finding.check(loss.is_empty(), || format!("lost {loss}"));
    finding
}

#[test]
fn chat_models_complete_texts() {
    let chats = ["openai-chat", "anthropic-messages", "gemini-generate"];
    let Some(mut recordings) = recordings::load_where("chat as completions", |recording| {
        let plain = ![
            "tool-call",
            "multi-choice",
            "stream-error",
            "image-output",
            "audio",
            "server-tool",
        ]
        .iter()
        .any(|tag| recording.has_tag(tag));
        // The others of this list complete texts on a wire of their own.
        let providers = [
            "openai",
            "anthropic",
            "gemini",
            "groq",
            "xai",
            "perplexity",
            "zai",
        ];
        plain
            && recording.status == 200
            && chats.contains(&recording.wire.as_str())
            && providers.contains(&recording.provider.as_str())
            && !recording.has_tag("json-array-stream")
    }) else {
        return;
    };
    let mut taken = std::collections::BTreeMap::<_, usize>::new();
    recordings.retain(|recording| {
        let digest = reading::recorded(recording);
        let whole = digest.terminal && digest.after_terminal == 0 && digest.responses <= 1;
        let kind = (
            recording.provider.clone(),
            recording.wire.clone(),
            recording.stream,
        );
        let count = taken.entry(kind).or_default();
        let good =
            whole && digest.has_content() && digest.choices.len() == 1 && *count < CHATS_EACH;
        *count += usize::from(good);
        good
    });
    let tally = Tally::default();
    stand::each(EXE, LOG, &recordings, Service::of, |stand, recording| {
        let model = stand::model(recording);
        let body = serde_json::json!({"model": format!("{PREFIX}{model}"), "prompt": "Hi", "stream": recording.stream});
        let body = body.to_string();
        let ask = Ask {
            path: "/v1/completions",
            headers: Vec::new(),
            body: &body,
        };
        let exchange = stand.exchange(&ask, Script::recorded(recording));
        let finding = completed(recording, &exchange);
        tally.add(
            "text-completions",
            &recording.provider,
            "across",
            &recording.id,
            finding,
        );
    });
    tally.conclude("chat as completions", 24);
}

fn completed(recording: &Recording, exchange: &Exchange) -> Finding {
    let mut finding = Finding::default();
    let text = exchange.response.text();
    finding.check(exchange.response.status == 200, || text.clone());
    let prompt = exchange.requests.first().map(|request| request.text());
    finding.check(
        prompt
            .as_deref()
            .is_some_and(|sent| sent.contains("\"Hi\"")),
        || format!("sent {prompt:?}"),
    );
    let expected = reading::recorded(recording);
    let choices: Vec<Value> = match recording.stream {
        false => vec![serde_json::from_str(&text).unwrap_or_default()],
        true => {
            let data = text
                .split("\n\n")
                .filter_map(|frame| frame.strip_prefix("data: {"));
            let chunks = data.filter_map(|rest| json_of(&["{", rest].concat()));
            finding.check(text.contains("data: [DONE]\n\n"), || "no end".to_owned());
            chunks.collect()
        }
    };
    let choices: Vec<&Value> = choices
        .iter()
        .filter_map(|one| one["choices"].get(0))
        .collect();
    let said: String = choices
        .iter()
        .filter_map(|one| one["text"].as_str())
        .collect();
    let first = expected.first().cloned().unwrap_or_default();
    let wanted = [first.text, first.refusal].concat();
    finding.check(said == wanted, || {
        format!("said {said:.200}, not {wanted:.200}")
    });
    let finish = choices
        .iter()
        .rev()
        .find_map(|one| one["finish_reason"].as_str());
    let words = ["stop", "length", "content_filter"];
    finding.check(finish.is_some_and(|word| words.contains(&word)), || {
        format!("{finish:?}")
    });
    finding
}

fn json_of(text: &str) -> Option<Value> {
    json::parse(text).ok()?;
    serde_json::from_str(text).ok()
}
