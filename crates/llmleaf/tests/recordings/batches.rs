//! Recorded batches: each exchange is played to a batch that was made over either surface. Its own surface tells it unchanged but for
//! names that are ours; the other tells the same state, counts and answers. Recorded files are none of requests, and are refused by name.

#[path = "batches/judging.rs"]
mod judging;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use llmleaf_testkit::binary::Llmleaf;
use llmleaf_testkit::http::{self, Connection, Response};
use llmleaf_testkit::recordings::{self, Body, Recording};
use llmleaf_testkit::replay::{Replay, Request, Script};
use llmleaf_testkit::tally::{Finding, Tally};
use serde_json::{Value, json};

use super::EXE;
use judging::{across, filed, listed, same};

/// Exchanges in the set when this was written, each asked for over both surfaces: 24 of batches, 13 of files.
const LEAST: usize = 2 * 24 + 13;

/// Services with recorded batches, and the path below their address.
const SERVICES: [(&str, &str); 5] = [
    ("anthropic", ""),
    ("gemini", "/v1beta"),
    ("mistral", "/v1"),
    ("openai", "/v1"),
    ("xai", "/v1"),
];

const ME: (&str, &str) = ("authorization", "Bearer bWU6czNjcmV0");
const KEY: &str = "[[keys]]\nid = \"me\"\npw_hash = \"$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO\"\n";

const JSON: &str = "application/json";

/// Names in a batch that are ours.
const OURS: [&str; 6] = [
    "id",
    "results_url",
    "input_file_id",
    "output_file_id",
    "error_file_id",
    "metadata",
];

/// What is done with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Upload,
    Make,
    Add,
    Look,
    Results,
    Cancel,
    List,
}

impl Step {
    fn of(method: &str, path: &str) -> Self {
        let path = path.split('?').next().unwrap_or_default();
        match method {
            "POST" if path.ends_with("/files") => Self::Upload,
            "POST" if path.ends_with("/cancel") || path.ends_with(":cancel") => Self::Cancel,
            "POST" if path.ends_with("/requests") => Self::Add,
            "POST" => Self::Make,
            _ if path.ends_with("/results") => Self::Results,
            _ if path.ends_with("/batches") || path.ends_with("/jobs") => Self::List,
            _ => Self::Look,
        }
    }
}

/// What a service plays.
struct Play {
    all: Vec<Recording>,
    now: usize,
    asked: Vec<Request>,
}

impl Play {
    fn answer(&mut self, request: &Request) -> Script {
        self.asked.push(request.clone());
        let (step, now) = (
            Step::of(&request.method, &request.path),
            &self.all[self.now],
        );
        if request.path.ends_with("/content") {
            // What is recorded within its job is what is in that job's file.
            let outputs = self.all.iter().map(|known| body(known)["outputs"].clone());
            let lines = outputs
                .filter_map(|list| list.as_array().cloned())
                .flatten();
            let lines: String = lines.map(|line| format!("{line}\n")).collect();
            return Script::body(200, "application/octet-stream", lines);
        }
        if step == of(now) {
            return Script::recorded(now);
        }
        let own = id(now);
        // A batch whose results are asked for has ended; any other runs.
        let ends = of(now) == Step::Results;
        let fits = |known: &&Recording| {
            of(known) == step && (step != Step::Look || (phase(known) == Some("ended")) == ends)
        };
        let other = self.all.iter().find(fits);
        match other.or_else(|| self.all.iter().find(|known| of(known) == Step::Look)) {
            _ if step == Step::Upload => {
                let file = body(now)["input_file_id"].clone();
                let file = file.as_str().unwrap_or("file-made-up").to_owned();
                Script::json(200, json!({"id": file, "object": "file", "bytes": 1, "created_at": 1, "filename": "batch.jsonl", "purpose": "batch", "status": "processed"}).to_string())
            }
            Some(other) => {
                let text = other.body.text().expect("a text");
                let kind = match &other.body {
                    Body::Ndjson(_) => "application/x-jsonl",
                    _ => "application/json",
                };
                Script::body(200, kind, text.replace(&id(other), &own))
            }
            None => Script::json(404, "{}"),
        }
    }
}

fn of(recording: &Recording) -> Step {
    Step::of(&recording.method, &recording.path)
}

fn body(recording: &Recording) -> Value {
    let text = recording.body.text().unwrap_or_default();
    serde_json::from_str(text).unwrap_or_default()
}

/// The provider's name of the batch.
fn id(recording: &Recording) -> String {
    let path = recording.path.split('?').next().unwrap_or_default();
    let mut parts = path
        .split('/')
        .skip_while(|part| !["batches", "jobs"].contains(part));
    let named = parts.nth(1).map(str::to_owned);
    named.unwrap_or_else(|| {
        let body = body(recording);
        let id = ["id", "batch_id"]
            .iter()
            .find_map(|name| body[name].as_str());
        id.unwrap_or("batch_of_nobody").to_owned()
    })
}

/// How far a recorded batch is.
fn phase(recording: &Recording) -> Option<&'static str> {
    let body = body(recording);
    let state = match &*recording.provider {
        "anthropic" => body["processing_status"].as_str(),
        "gemini" => match body["metadata"]["state"].as_str() {
            None if !body["metadata"]["output"].is_null() => Some("ended"),
            state => state,
        },
        "xai" => match (
            body["state"]["num_requests"].as_u64(),
            body["state"]["num_pending"].as_u64(),
        ) {
            (Some(1..), Some(0)) => Some("ended"),
            (Some(_), _) => Some("running"),
            _ => None,
        },
        _ => body["status"].as_str(),
    }?;
    Some(match state {
        "ended" | "completed" | "SUCCESS" | "BATCH_STATE_SUCCEEDED" => "ended",
        "canceling" | "cancelling" => "cancelling",
        _ => "running",
    })
}

/// How many requests it has, where it says so.
fn total(recording: &Recording) -> Option<u64> {
    let body = body(recording);
    let total = match &*recording.provider {
        "anthropic" => {
            let counts = body["request_counts"].as_object()?.values();
            Some(counts.filter_map(Value::as_u64).sum())
        }
        "gemini" => {
            let count = body["metadata"]["batchStats"]["requestCount"].as_str()?;
            count.parse().ok()
        }
        "xai" => body["state"]["num_requests"].as_u64(),
        "mistral" => body["total_requests"].as_u64(),
        _ => body["request_counts"]["total"].as_u64(),
    };
    total.filter(|total| *total > 0)
}

/// The answers in a recording, by the names of their requests.
fn answers(recording: &Recording) -> BTreeMap<String, String> {
    let text = recording.body.text().unwrap_or_default();
    let body = body(recording);
    let list: Vec<(Value, Value)> = match &*recording.provider {
        "anthropic" if of(recording) == Step::Results => {
            let lines = text
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let lines = lines.map(|line| {
                let content = &line["result"]["message"]["content"][0]["text"];
                (line["custom_id"].clone(), content.clone())
            });
            lines.collect()
        }
        "gemini" => {
            let list = &body["metadata"]["output"]["inlinedResponses"]["inlinedResponses"];
            let each = list.as_array().into_iter().flatten().map(|item| {
                let parts = &item["response"]["candidates"][0]["content"]["parts"][0];
                (item["metadata"]["custom_id"].clone(), parts["text"].clone())
            });
            each.collect()
        }
        "xai" => {
            let each = body["results"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|item| {
                    let answer = &item["batch_result"]["response"]["chat_get_completion"];
                    let message = &answer["choices"][0]["message"];
                    (item["batch_request_id"].clone(), message["content"].clone())
                });
            each.collect()
        }
        "mistral" => {
            let outputs = body["outputs"].as_array().into_iter().flatten();
            let each = outputs.map(|item| {
                let message = &item["response"]["body"]["choices"][0]["message"];
                (item["custom_id"].clone(), message["content"].clone())
            });
            each.collect()
        }
        _ => Vec::new(),
    };
    let text = |value: Value| value.as_str().unwrap_or_default().to_owned();
    let each = list.into_iter();
    each.map(|(id, answer)| (text(id), text(answer))).collect()
}

/// What a consumer reads of results.
fn told(results: &Response, messages: bool) -> BTreeMap<String, String> {
    let text = results.text();
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let each = lines.map(|line| {
        let answer = match messages {
            true => {
                let content = line["result"]["message"]["content"].as_array();
                let mut texts = content.into_iter().flatten();
                let text = texts.find(|block| block["type"] == "text");
                text.map(|block| block["text"].clone()).unwrap_or_default()
            }
            false => line["response"]["body"]["choices"][0]["message"]["content"].clone(),
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&line["custom_id"]), text(&answer))
    });
    each.collect()
}

struct Rig {
    leaf: Llmleaf,
    services: BTreeMap<String, (Replay, Arc<Mutex<Play>>)>,
}

impl Rig {
    fn start(recordings: &[Recording]) -> Self {
        let mut config = "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\nbatch_id_secret = \"a secret of all nodes\"\n\n".to_owned();
        let mut services = BTreeMap::new();
        for (provider, base) in SERVICES {
            let of = |recording: &&Recording| {
                recording.provider == provider && recording.wire == "batch"
            };
            let all: Vec<Recording> = recordings.iter().filter(of).cloned().collect();
            let play = Arc::new(Mutex::new(Play {
                all,
                now: 0,
                asked: Vec::new(),
            }));
            let (replay, next) = (Replay::start(), Arc::clone(&play));
            replay.on(move |request| {
                let mut play = next.lock().unwrap_or_else(PoisonError::into_inner);
                play.answer(request)
            });
            config += &format!(
                "[[providers]]\nname = \"{provider}\"\nkind = \"{provider}\"\nendpoint = \"{}{base}\"\ncredential = \"k\"\nprefix = \"{provider}\"\n\n",
                replay.url()
            );
            services.insert(provider.to_owned(), (replay, play));
        }
        Self {
            leaf: Llmleaf::with_config(EXE, &(config + KEY))
                .log("llmleaf::command=info,warn")
                .start(),
            services,
        }
    }

    fn ask(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Response {
        let mut line = Connection::open(self.leaf.addr);
        line.send(&http::request(
            method,
            path,
            &[ME, ("content-type", kind)],
            body,
        ));
        line.response()
    }

    fn with<T>(&self, provider: &str, what: impl FnOnce(&mut Play) -> T) -> T {
        what(
            &mut self.services[provider]
                .1
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Makes a batch over a surface, and does with it what was recorded.
    fn play(&self, recording: &Recording, messages: bool, finding: &mut Finding) {
        let provider = &*recording.provider;
        self.with(provider, |play| {
            let found = play.all.iter().position(|known| known.id == recording.id);
            play.now = found.expect("it is one of them");
            play.asked.clear();
        });
        let surface = match messages {
            true => "/v1/messages/batches",
            false => "/v1/batches",
        };
        let asked = request(recording, messages);
        let made = self.ask("POST", surface, JSON, asked.to_string().as_bytes());
        finding.check(made.status == 200, || {
            format!("{}: {}", made.status, made.text())
        });
        let made_id = json_of(&made)["id"].as_str().unwrap_or_default().to_owned();
        let path = format!("{surface}/{made_id}");
        let reply = match of(recording) {
            Step::Make | Step::Add | Step::Upload => made,
            Step::Look => self.ask("GET", &path, JSON, b""),
            Step::Cancel => self.ask("POST", &format!("{path}/cancel"), JSON, b""),
            Step::Results => self.ask("GET", &format!("{path}/results"), JSON, b""),
            Step::List => {
                let list = self.ask("GET", &format!("{surface}?limit=10"), JSON, b"");
                return listed(recording, &list, messages, finding);
            }
        };
        finding.check(reply.status == 200, || {
            format!("{}: {}", reply.status, reply.text())
        });
        self.sent(recording, (messages, &asked), finding);
        if !answers(recording).is_empty() {
            let results = self.ask("GET", &format!("{path}/results"), JSON, b"");
            let (got, wanted) = (told(&results, messages), answers(recording));
            finding.check(got == wanted, || {
                format!("{got:?} for {wanted:?} in {}", results.text())
            });
        }
        match (provider, of(recording)) {
            (_, Step::Add) => {}
            ("anthropic", _) if messages => same(recording, &reply, &OURS[..2], finding),
            ("openai", _) if !messages => same(recording, &reply, &OURS, finding),
            _ => across(recording, &reply, messages, finding),
        }
    }

    /// What the service was asked: by method and path as it was recorded, and in the same words where they are not ours.
    fn sent(
        &self,
        recording: &Recording,
        (messages, asked): (bool, &Value),
        finding: &mut Finding,
    ) {
        let provider = &*recording.provider;
        let requests = self.with(provider, |play| std::mem::take(&mut play.asked));
        let plain = |path: &str| path.split('?').next().unwrap_or_default().to_owned();
        let found = requests.iter().find(|request| {
            request.method == recording.method && plain(&request.path) == plain(&recording.path)
        });
        let Some(found) = found else {
            let paths = requests
                .iter()
                .map(|request| format!("{} {}", request.method, request.path));
            let paths: Vec<_> = paths.collect();
            return finding.check(false, || format!("asked {paths:?}"));
        };
        let got: Value = serde_json::from_slice(&found.body).unwrap_or_default();
        let recorded = recording.request_body.as_deref().unwrap_or("null");
        let mut wanted: Value = serde_json::from_str(recorded).unwrap_or_default();
        match (provider, of(recording)) {
            ("anthropic", Step::Make) if messages => {}
            ("anthropic", Step::Make) => {
                let names = |list: &Value| -> Vec<Value> {
                    let list = list["requests"].as_array().into_iter().flatten();
                    list.map(|item| item["custom_id"].clone()).collect()
                };
                finding.check(names(&got) == names(asked), || format!("{got} for {asked}"));
                return;
            }
            ("openai", Step::Make) => {
                // Whose it is.
                finding.note("a mark is attached to a batch");
                if messages {
                    wanted["endpoint"] = "/v1/chat/completions".into();
                }
                wanted["metadata"] = got["metadata"].clone();
            }
            ("mistral", Step::Make) => {
                let sent = requests.iter().find(|request| of_file(request));
                let sent: Vec<Value> = sent.map(lines).unwrap_or_default();
                return filed(&sent, (&got, &wanted), (messages, asked), finding);
            }
            ("xai", Step::Make) => {
                finding.note("a batch is named by its mark");
                wanted["name"] = got["name"].clone();
            }
            ("xai", Step::Add) => {
                finding.except("requests of Responses are recorded, those of chat are sent here");
                let count = |body: &Value| body["batch_requests"].as_array().map(Vec::len);
                finding.check(count(&got) == count(&wanted), || {
                    format!("{got} for {wanted}")
                });
                return;
            }
            _ => {
                finding.check(found.body.len() <= 2, || format!("{got} for {asked}"));
                return;
            }
        }
        finding.check(got == wanted, || format!("sent {got}, recorded {wanted}"));
    }
}

/// Whether a file is sent.
fn of_file(request: &Request) -> bool {
    Step::of(&request.method, &request.path) == Step::Upload
}

/// The requests in a file that is sent.
fn lines(request: &Request) -> Vec<Value> {
    let text = request.text();
    let lines = text.lines().filter(|line| line.starts_with('{'));
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_default())
        .collect()
}

fn json_of(reply: &Response) -> Value {
    serde_json::from_str(&reply.text()).unwrap_or_default()
}

/// Requests over a surface: as they were recorded where that is so, else two of our own.
fn request(recording: &Recording, messages: bool) -> Value {
    let provider = &recording.provider;
    let recorded = recording.request_body.as_deref().unwrap_or("null");
    let mut recorded: Value = serde_json::from_str(recorded).unwrap_or_default();
    if messages
        && provider == "anthropic"
        && let Some(list) = recorded["requests"].as_array_mut()
    {
        for item in list {
            let model = item["params"]["model"].as_str().unwrap_or_default();
            item["params"]["model"] = format!("anthropic/{model}").into();
        }
        return recorded;
    }
    if !messages && provider == "mistral" && recorded["requests"].is_array() {
        let model = format!("{provider}/{}", recorded["model"].as_str().unwrap_or("m"));
        for item in recorded["requests"].as_array_mut().into_iter().flatten() {
            item["body"]["model"] = model.clone().into();
        }
        return recorded;
    }
    let endpoint = match of(recording) {
        Step::Make => recorded["endpoint"].as_str(),
        _ => None,
    };
    let responses = endpoint == Some("/v1/responses") && !messages;
    let each = ["0", "1"].map(|id| {
        let model = format!("{provider}/m");
        let said = json!([{"role": "user", "content": "What is 2 + 2?"}]);
        let body = match responses {
            true => json!({"model": model, "input": said}),
            false => json!({"model": model, "max_tokens": 64, "messages": said}),
        };
        json!({"custom_id": id, if messages { "params" } else { "body" }: body})
    });
    match responses {
        true => json!({"endpoint": "/v1/responses", "completion_window": "24h", "requests": each}),
        false => json!({"requests": each}),
    }
}

#[test]
fn recorded_batches_reach_consumers_of_either_surface() {
    let wires = ["batch", "files"];
    let keep = |recording: &Recording| wires.contains(&recording.wire.as_str());
    let Some(recordings) = recordings::load_where("batches, files", keep) else {
        return;
    };
    let rig = Rig::start(&recordings);
    let tally = Tally::default();
    for recording in &recordings {
        if recording.wire == "files" {
            let finding = file(&rig, recording);
            tally.add(
                "openai",
                &recording.provider,
                "files",
                &recording.id,
                finding,
            );
            continue;
        }
        for messages in [false, true] {
            let mut finding = Finding::default();
            rig.play(recording, messages, &mut finding);
            let surface = if messages { "anthropic" } else { "openai" };
            let same = surface == recording.provider;
            let kind = if same { "same" } else { "across" };
            tally.add(surface, &recording.provider, kind, &recording.id, finding);
        }
    }
    tally.conclude("batches, files", LEAST);
}

/// Files are served for batches. All that were recorded are for something else.
fn file(rig: &Rig, recording: &Recording) -> Finding {
    let mut finding = Finding::default();
    finding.except("the recorded file is none of requests");
    let kind = recording.request_headers.get("content-type");
    let Some((kind, text)) = kind.zip(recording.request_body.as_deref()) else {
        return finding;
    };
    if kind.starts_with("multipart/") && recording.path == "/v1/files" {
        let reply = rig.ask("POST", "/v1/files", kind, text.as_bytes());
        finding.check(reply.status == 400, || {
            format!("{}: {}", reply.status, reply.text())
        });
    }
    finding
}
