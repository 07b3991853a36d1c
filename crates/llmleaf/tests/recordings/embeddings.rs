//! Recorded embeddings: a form of its provider goes through, and consumers of the other forms get the same numbers.

use llmleaf_testkit::json;
use llmleaf_testkit::recordings::{self, Recording};
use llmleaf_testkit::replay::Script;
use llmleaf_testkit::stand::{self, Ask, Exchange, PREFIX, Service, Stand};
use llmleaf_testkit::tally::{Finding, Tally};
use serde_json::{Value, json};

use super::{EXE, LOG};

/// Exchanges in the set when this was written: 86 with the two whose request was not published, less two of perplexity, each asked for in
/// four forms, and some in two older ones.
const LEAST: usize = 330;

const MODEL: &str = "embedder";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    OpenAi,
    Gemini,
    Cohere,
    CohereFirst,
    Ollama,
    OllamaPrompt,
}

const FORMS: [Form; 6] = [
    Form::OpenAi,
    Form::Gemini,
    Form::Cohere,
    Form::CohereFirst,
    Form::Ollama,
    Form::OllamaPrompt,
];

#[test]
fn embeddings_reach_consumers_of_every_form() {
    let Some(recordings) = recordings::load_where("embeddings", |recording| {
        // perplexity writes integers of 8 bits, which is another form than the one it borrows the path of.
        recording.wire.starts_with("embeddings-") && recording.provider != "perplexity"
    }) else {
        return;
    };
    let tally = Tally::default();
    stand::each(EXE, LOG, &recordings, service, |stand, recording| {
        for form in FORMS {
            let own = form.is_of(recording);
            // The older forms are other spellings: they are asked for where they were recorded.
            if !own && matches!(form, Form::CohereFirst | Form::OllamaPrompt) {
                continue;
            }
            let finding = match form.body(recording) {
                Some(body) => {
                    let exchange = form.ask(stand, &body);
                    judge(
                        recording,
                        form,
                        &body,
                        &exchange(Script::recorded(recording)),
                    )
                }
                None => {
                    let mut finding = Finding::default();
                    finding.except("inputs that the other form cannot say");
                    finding
                }
            };
            let kind = if own { "same" } else { "across" };
            let name = format!("{form:?}");
            tally.add(&name, &recording.provider, kind, &recording.id, finding);
        }
    });
    tally.conclude("embeddings", LEAST);
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
        Some((base, _)) => base.trim_end_matches("/publishers/google"),
        None if path.contains("/deployments/") || matches!(kind, "cohere" | "ollama") => "",
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

fn asked(recording: &Recording) -> Option<Value> {
    serde_json::from_str(recording.request_body.as_deref()?).ok()
}

/// The texts of a recorded request; `None` where it is of something else. Made up where it was not published.
fn texts(recording: &Recording) -> Option<Vec<String>> {
    let Some(asked) = asked(recording) else {
        let count = vectors(recording.body.text().unwrap_or_default()).len();
        return Some((0..count).map(|n| format!("text {n}")).collect());
    };
    let one = |text: &Value| text.as_str().map(str::to_owned);
    let all = |list: &Value, at: &str| -> Option<Vec<String>> {
        list.as_array()?
            .iter()
            .map(|item| one(item.pointer(at)?))
            .collect()
    };
    if asked.get("images").is_some() {
        return None;
    }
    all(&asked["requests"], "/content/parts/0/text")
        .or_else(|| all(&asked["instances"], "/content"))
        .or_else(|| all(&asked["texts"], ""))
        .or_else(|| all(&asked["input"], ""))
        .or_else(|| one(&asked["input"]).map(|text| vec![text]))
        .or_else(|| one(&asked["prompt"]).map(|text| vec![text]))
}

impl Form {
    fn is_of(self, recording: &Recording) -> bool {
        match self {
            Self::OpenAi => recording.wire == "embeddings-openai",
            Self::Gemini => recording.wire == "embeddings-gemini",
            Self::Cohere => recording.path == "/v2/embed",
            Self::CohereFirst => recording.path == "/v1/embed",
            Self::Ollama => recording.path == "/api/embed",
            Self::OllamaPrompt => recording.path == "/api/embeddings",
        }
    }

    /// Whether the provider speaks this form too, whichever was recorded.
    fn is_spoken(self, recording: &Recording) -> bool {
        let cohere = matches!(self, Self::Cohere | Self::CohereFirst);
        let ollama = matches!(self, Self::Ollama | Self::OllamaPrompt);
        self.is_of(recording)
            || cohere && recording.provider == "cohere"
            || ollama && recording.provider == "ollama"
    }

    fn path(self) -> String {
        match self {
            Self::OpenAi => "/v1/embeddings".to_owned(),
            Self::Gemini => format!("/v1beta/models/{PREFIX}{MODEL}:batchEmbedContents"),
            Self::Cohere => "/v2/embed".to_owned(),
            Self::CohereFirst => "/v1/embed".to_owned(),
            Self::Ollama => "/api/embed".to_owned(),
            Self::OllamaPrompt => "/api/embeddings".to_owned(),
        }
    }

    /// The request in this form; `None` where that cannot say it.
    fn body(self, recording: &Recording) -> Option<Value> {
        let model = format!("{PREFIX}{MODEL}");
        if let Some(mut asked) = asked(recording).filter(|_| self.is_of(recording)) {
            if self != Self::Gemini {
                asked["model"] = model.into();
            }
            return Some(asked);
        }
        let texts = texts(recording)?;
        Some(match self {
            Self::OpenAi => json!({"model": model, "input": texts}),
            Self::Gemini => {
                let one =
                    |text| json!({"content": {"parts": [{"text": text}]}, "model": "models/x"});
                json!({"requests": texts.into_iter().map(one).collect::<Vec<_>>()})
            }
            Self::Cohere | Self::CohereFirst => {
                json!({"model": model, "texts": texts, "input_type": "search_document"})
            }
            Self::Ollama | Self::OllamaPrompt => json!({"model": model, "input": texts}),
        })
    }

    fn ask(self, stand: &mut Stand, body: &Value) -> impl FnOnce(Script) -> Exchange {
        let (path, body) = (self.path(), body.to_string());
        move |script| {
            let ask = Ask {
                path: &path,
                headers: Vec::new(),
                body: &body,
            };
            stand.exchange(&ask, script)
        }
    }
}

fn judge(recording: &Recording, form: Form, body: &Value, exchange: &Exchange) -> Finding {
    let mut finding = Finding::default();
    let text = exchange.response.text();
    let [request] = exchange.requests.as_slice() else {
        finding.check(false, || {
            format!("{} requests; {text}", exchange.requests.len())
        });
        return finding;
    };
    let own = form.is_spoken(recording);
    let sent = request.text();
    finding.check(request.path.contains(MODEL) || sent.contains(MODEL), || {
        "the model's name did not reach the service".to_owned()
    });
    let mut sent: Value = serde_json::from_str(&sent).unwrap_or_default();
    if own {
        let mut expected = body.clone();
        if form == Form::Gemini {
            for one in [&mut expected, &mut sent] {
                for request in one["requests"].as_array_mut().into_iter().flatten() {
                    request["model"] = Value::Null;
                }
            }
        } else {
            expected["model"] = MODEL.into();
        }
        finding.check(sent == expected, || format!("sent {sent}, not {expected}"));
    } else {
        let mut said = Vec::new();
        strings(&sent, &mut said);
        let texts = texts(recording).unwrap_or_default();
        let all = texts.iter().all(|text| said.contains(text));
        finding.check(all, || format!("sent {sent}, without some of the texts"));
    }
    let recorded = recording.body.text().unwrap_or_default();
    if recording.status >= 400 {
        let field = match form {
            Form::Cohere | Form::CohereFirst => "message",
            _ => "error",
        };
        let error = json::parse(&text).is_ok_and(|text| text.get(field).is_some());
        // A service's own words go through where the form is its own.
        let good = error || own && text == recorded;
        finding.check(exchange.response.status >= 400 && good, || text.clone());
        return finding;
    }
    finding.check(exchange.response.status == 200, || text.clone());
    if own {
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
    if loss.contains("input_type") && !loss.contains(';') && !own {
        finding.except("what the vectors are for, which the target is not told");
    } else {
        finding.check(loss.is_empty(), || format!("lost {loss}"));
    }
    finding
}

fn strings(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|one| strings(one, out)),
        Value::Object(fields) => fields.values().for_each(|one| strings(one, out)),
        _ => {}
    }
}

/// The numbers of an answer of any form, as 32-bit floats.
fn vectors(text: &str) -> Vec<Vec<u32>> {
    let answer: Value = serde_json::from_str(text).unwrap_or_default();
    if let Some(only) = answer["embedding"].as_array() {
        return vec![numbers(&Value::Array(only.clone()))];
    }
    let lists = [&answer["data"], &answer["embeddings"]["float"]];
    let lists = lists
        .into_iter()
        .chain([&answer["embeddings"], &answer["predictions"]]);
    let list = lists.into_iter().find_map(Value::as_array);
    let vector = |one: &Value| {
        let inner = [
            one.get("embedding"),
            one.get("values"),
            one.pointer("/embeddings/values"),
        ];
        numbers(inner.into_iter().flatten().next().unwrap_or(one))
    };
    list.into_iter().flatten().map(vector).collect()
}

fn numbers(vector: &Value) -> Vec<u32> {
    if let Some(text) = vector.as_str() {
        return from_base64(text);
    }
    let floats = vector.as_array().cloned().unwrap_or_default();
    let floats = floats.iter().filter_map(Value::as_f64);
    floats.map(|x| (x as f32).to_bits()).collect()
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
