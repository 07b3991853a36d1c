//! Recorded images: OpenAI's form goes through to those who speak it, and answers in other words are told in that form's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use llmleaf_testkit::binary::Llmleaf;
use llmleaf_testkit::http;
use llmleaf_testkit::recordings::{self, Recording};
use llmleaf_testkit::replay::{Replay, Script};
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
            None => form(recording),
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

/// A form of bytes, which names no model: what is in it reaches the service, in a form as well.
fn form(recording: &Recording) -> Finding {
    let mut finding = Finding::default();
    let said: Value = serde_json::from_str(recording.request_body.as_deref().unwrap_or_default())
        .unwrap_or_default();
    let sent = STANDARD.decode(said["__base64__"].as_str().unwrap_or_default());
    let sent = sent.expect("base64");
    let replay = Replay::start();
    replay.push(Script::recorded(recording));
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\n\n[[providers]]\nname = \"own\"\nkind = \"{}\"\nendpoint = \"{}/v1\"\ncredential = \"k\"\n\n\
         [[routes]]\nmodel = \"dall-e-2\"\ntargets = [{{ provider = \"own\", model = \"dall-e-2\" }}]\n\n\
         [[keys]]\nid = \"me\"\npw_hash = \"$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO\"\n",
        recording.provider,
        replay.url(),
    );
    let leaf = Llmleaf::with_config(EXE, &config).start();
    let kind = recording.request_headers.get("content-type");
    let headers = [
        ("authorization", "Bearer bWU6czNjcmV0"),
        ("content-type", kind.map_or("", String::as_str)),
    ];
    let mut line = http::Connection::open(leaf.addr);
    line.send(&http::request("POST", &recording.path, &headers, &sent));
    let response = line.response();
    let recorded = recording.body.text().unwrap_or_default();
    let same = (response.status, &*response.text()) == (recording.status, recorded);
    finding.check(same, || response.text());
    let requests = replay.take_requests();
    let came = requests.first().map(|request| request.body.to_vec());
    let came = came.unwrap_or_default();
    let (sent, came) = (parts(&sent), parts(&came));
    let added = came.iter().filter(|part| !sent.contains(part));
    let added: Vec<_> = added.map(|(name, _)| name.as_str()).collect();
    let kept = sent.iter().all(|part| came.contains(part));
    finding.check(kept && added == ["model"], || {
        format!("{sent:?} for {came:?}")
    });
    finding
}

/// Names and contents of a form's fields.
fn parts(form: &[u8]) -> Vec<(String, Vec<u8>)> {
    let find = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|w| w == what);
    let end = find(form, b"\r\n").unwrap_or_default();
    let (mark, mut rest) = (&form[..end], &form[end..]);
    let mut found = Vec::new();
    while let Some(next) = find(rest, &[b"\r\n", mark].concat()) {
        let part = &rest[..next];
        let head = find(part, b"\r\n\r\n").unwrap_or_default();
        let text = String::from_utf8_lossy(&part[..head]);
        let name = text
            .split("name=\"")
            .nth(1)
            .and_then(|n| n.split('"').next());
        found.push((
            name.unwrap_or_default().to_owned(),
            part[head + 4..].to_vec(),
        ));
        rest = &rest[next + 2 + mark.len()..];
    }
    found
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
