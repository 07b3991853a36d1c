//! Every recorded exchange with Vertex AI: Gemini's models on their wire, Anthropic's on theirs, and a token count; in their own dialect
//! and in the chat dialect.

use std::sync::Mutex;

use llmleaf_testkit::digest::{
    Digest, FinishClass, anthropic_stream, anthropic_unary, gemini_stream, gemini_unary,
    openai_chat_stream, openai_chat_unary,
};
use llmleaf_testkit::json;
use llmleaf_testkit::recordings::{Body, Recording};
use llmleaf_testkit::replay::Script;
use llmleaf_testkit::sse;
use llmleaf_testkit::stand::{self, Ask, Exchange, Service, UPSTREAM_CREDENTIAL};

use super::{EXE, LOG};

/// Exchanges in the set when this was written, without those of embeddings.
const LEAST: usize = 90;

fn recordings() -> Option<Vec<Recording>> {
    llmleaf_testkit::recordings::load_where("Vertex AI", |recording| {
        recording.provider == "vertex" && recording.wire != "embeddings-vertex"
    })
}

/// Runs `judge` for each recording and fails with all that it found.
fn each(judge: impl Fn(&mut stand::Stand, &Recording) -> Result<bool, String> + Sync) {
    let Some(recordings) = recordings() else {
        return;
    };
    let wrong = Mutex::new(Vec::new());
    let judged = Mutex::new(0);
    stand::each(
        EXE,
        LOG,
        &recordings,
        Service::of,
        |stand, recording| match judge(stand, recording) {
            Ok(true) => *judged.lock().expect("no panic") += 1,
            Ok(false) => {}
            Err(why) => {
                let told = format!("{}: {why}", recording.id);
                wrong.lock().expect("no panic").push(told);
            }
        },
    );
    let wrong = wrong.into_inner().expect("no panic");
    assert!(
        wrong.is_empty(),
        "{} of {}: {wrong:#?}",
        wrong.len(),
        recordings.len()
    );
    let judged = judged.into_inner().expect("no panic");
    eprintln!("{judged} of {} exchanges", recordings.len());
    assert!(judged + 25 >= LEAST, "{judged}");
}

fn is_messages(recording: &Recording) -> bool {
    recording.wire == "vertex-anthropic"
}

/// The request in its own dialect: path and body.
fn own(recording: &Recording) -> (String, String) {
    let model = stand::model(recording);
    let recorded = recording.request_body.clone();
    if is_messages(recording) {
        // A consumer names the model and leaves the version to its header.
        let name = serde_json::Value::from(model);
        let body = format!("{{\"model\":{name},{}", unversioned(recording));
        return ("/v1/messages".to_owned(), body);
    }
    let method = match (recording.wire.as_str(), recording.stream, &recording.body) {
        ("gemini-count-tokens", ..) => "countTokens",
        (_, true, Body::Sse(_)) => "streamGenerateContent?alt=sse",
        (_, true, _) => "streamGenerateContent",
        _ => "generateContent",
    };
    let plain = r#"{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}"#;
    let body = recorded.unwrap_or_else(|| plain.to_owned());
    (format!("/v1beta/models/{model}:{method}"), body)
}

/// What a recorded request to Anthropic's models says behind the version, with which each begins.
fn unversioned(recording: &Recording) -> &str {
    let body = recording.request_body.as_deref().expect("a body");
    let rest = body.strip_prefix("{\"anthropic_version\": \"vertex-2023-10-16\", ");
    rest.expect("the version comes first")
}

#[test]
fn each_maker_is_asked_in_its_own_wire_and_its_answer_goes_through() {
    each(|stand, recording| {
        let (path, body) = own(recording);
        // What a consumer of each dialect sends.
        let headers = match is_messages(recording) {
            true => vec![
                ("anthropic-beta", "some-beta-2026-01-01"),
                ("anthropic-version", "2023-06-01"),
            ],
            false => Vec::new(),
        };
        let ask = Ask {
            path: &path,
            headers,
            body: &body,
        };
        let exchange = stand.exchange(&ask, Script::recorded(recording));
        asked(recording, &body, &exchange)?;
        answered(recording, &exchange)?;
        Ok(true)
    });
}

fn asked(recording: &Recording, body: &str, exchange: &Exchange) -> Result<(), String> {
    let [request] = exchange.requests.as_slice() else {
        let text = exchange.response.text();
        return Err(format!("{} requests; {text}", exchange.requests.len()));
    };
    let without_query = |path: &str| path.split('?').next().unwrap_or_default().to_owned();
    if without_query(&request.path) != without_query(&recording.path) {
        return Err(format!(
            "path {}, recorded {}",
            request.path, recording.path
        ));
    }
    let credential = format!("Bearer {UPSTREAM_CREDENTIAL}");
    if request.header("authorization") != Some(&credential) {
        return Err("not the gateway's credential".to_owned());
    }
    let version = request.header("anthropic-version");
    let beta = request.header("anthropic-beta");
    let expected = is_messages(recording).then_some("some-beta-2026-01-01");
    if version.is_some() || beta != expected {
        return Err(format!("headers {version:?} {beta:?}"));
    }
    let wanted = match is_messages(recording) {
        true => [
            "{\"anthropic_version\":\"vertex-2023-10-16\",",
            unversioned(recording),
        ]
        .concat(),
        false => body.to_owned(),
    };
    if request.text() != wanted {
        return Err(format!("sent {}, recorded {wanted}", request.text()));
    }
    Ok(())
}

fn answered(recording: &Recording, exchange: &Exchange) -> Result<(), String> {
    let response = &exchange.response;
    let recorded = recording.body.text().unwrap_or_default();
    let wanted = match recording.status {
        // The gateway's own credential is not the consumer's affair.
        401 | 403 => {
            return (response.status == 502)
                .then_some(())
                .ok_or(response.text());
        }
        status => status,
    };
    let text = response.text();
    if let Body::Sse(stream) = &recording.body
        && !is_messages(recording)
        && (stream.contains("\n{\n  \"error\"") || !ends(stream))
    {
        // The vendor's mocks of streams that break: an end is not made up.
        return text.contains("\"error\"").then_some(()).ok_or(text);
    }
    if response.status != wanted {
        return Err(format!("status {}: {text}", response.status));
    }
    let same = match &recording.body {
        Body::Sse(_) => text.trim_end() == recorded.trim_end(),
        // A stream in one array is written anew, element by element.
        _ => text == recorded || parsed(&text) == parsed(recorded),
    };
    if same {
        return Ok(());
    }
    Err(format!("answer {text}\n recorded {recorded}"))
}

/// Whether a stream of Gemini's has its end: every candidate finished, or the prompt was blocked.
fn ends(stream: &str) -> bool {
    stream.contains("\"blockReason\"")
        || gemini_stream(&sse::parse(stream.as_bytes()).events).terminal
}

fn parsed(text: &str) -> Option<serde_json::Value> {
    serde_json::from_str(text).ok()
}

#[test]
fn both_makers_answer_the_chat_dialect() {
    each(|stand, recording| {
        let Some(expected) = expected(recording) else {
            return Ok(false);
        };
        let model = serde_json::Value::from(stand::model(recording));
        let body = format!(
            r#"{{"model":{model},"max_tokens":1024,"stream":{},"messages":[{{"role":"user","content":"Hi"}}]}}"#,
            recording.stream
        );
        let ask = Ask {
            path: "/v1/chat/completions",
            body: &body,
            ..Ask::default()
        };
        let exchange = stand.exchange(&ask, Script::recorded(recording));
        let response = &exchange.response;
        if response.status != 200 {
            return Err(format!("status {}: {}", response.status, response.text()));
        }
        let sent = exchange.requests.first().map(|request| request.text());
        let sent = json::parse(&sent.unwrap_or_default()).map_err(|error| error.to_string())?;
        let version = sent.text_at(&["anthropic_version"]);
        if sent.get("model").is_some() || is_messages(recording) != (version == "vertex-2023-10-16")
        {
            return Err("the model is in the path, and the version in the body".to_owned());
        }
        let got = match recording.stream {
            true => openai_chat_stream(&sse::parse(&response.body).events),
            false => openai_chat_unary(&response.json()),
        };
        let calls = |digest: &Digest| {
            let calls = digest.tool_calls().iter();
            calls
                .map(|call| (call.name.clone(), parsed(&call.arguments)))
                .collect::<Vec<_>>()
        };
        for (what, same) in [
            ("text", got.text() == expected.text()),
            ("calls", calls(&got) == calls(&expected)),
            ("error", got.error.is_none()),
        ] {
            if !same {
                return Err(format!("{what}: {got:?}\n expected {expected:?}"));
            }
        }
        Ok(true)
    });
}

/// What a good answer says; `None` for errors, counts, answers that stop for their content, streams in one array, and what the
/// reference reading does not know: arguments in pieces, and an error between two events.
fn expected(recording: &Recording) -> Option<Digest> {
    if recording.status != 200 || recording.wire == "gemini-count-tokens" {
        return None;
    }
    let text = recording.body.text()?;
    if text.contains("\"partialArgs\"") || text.contains("\n{\n  \"error\"") {
        return None;
    }
    let digest = match (&recording.body, is_messages(recording)) {
        (Body::Sse(text), true) => anthropic_stream(&sse::parse(text.as_bytes()).events),
        (Body::Sse(text), false) => gemini_stream(&sse::parse(text.as_bytes()).events),
        (body, messages) => {
            let value = json::parse(body.text()?).ok()?;
            match messages {
                true => anthropic_unary(&value),
                false if recording.stream => return None,
                false => gemini_unary(&value),
            }
        }
    };
    let plain = matches!(
        digest.finish(),
        FinishClass::Stop | FinishClass::Length | FinishClass::ToolCalls
    );
    (plain && digest.error.is_none()).then_some(digest)
}
