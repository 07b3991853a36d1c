//! A stand: the real program between this consumer and a replay of one recorded service.
//!
//! A [`Service`] says how a recording's provider is configured; [`Stand::start`] runs the program with that one provider,
//! reached by every recorded model name as it is and, behind [`PREFIX`], by any name with an edit; [`each`] replays many
//! recordings over several stands at once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::binary::Llmleaf;
use crate::http::{self, Connection, End, Response};
use crate::json::Value;
use crate::recordings::Recording;
use crate::replay::{Replay, Request, Script};
use crate::stage::ADMIN_TOKEN;

/// What a model's name begins with to be sent on under the rest of it.
pub const PREFIX: &str = "any/";

/// A key made for these tests alone; it opens nothing else.
const CREDENTIAL: &str = "llk_matrix_Vl9DkcwD6qKHX1ZsrErVV0gw0MpE9A";
const KEY: &str = "\n[[keys]]\nid = \"matrix\"\npw_hash = '$llk$sha256$BRAzf4gpbamV6RvI5rndWnZifSt1iT7HGoOeAkePAU0'\n";

/// What the program sends to the service as its own credential.
pub const UPSTREAM_CREDENTIAL: &str = "upstream-canary-Wn84";

/// How long the program's own log may lag behind an answer.
const LOG_LAG: Duration = Duration::from_secs(20);

/// How a recorded service is configured.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    /// `kind` of the provider.
    pub kind: String,
    /// Path of the endpoint's URL.
    pub base: String,
    /// `settings`, as an inline table's inside.
    pub settings: String,
}

impl Service {
    /// The configuration that leads to where the exchange was recorded: the provider's own kind where there is one, the kind
    /// that speaks the wire elsewhere.
    #[must_use]
    pub fn of(recording: &Recording) -> Self {
        let (path, query) = recording
            .path
            .split_once('?')
            .unwrap_or((&recording.path, ""));
        if recording.wire == "anthropic-messages" {
            return Service {
                kind: "anthropic".to_owned(),
                base: path.trim_end_matches("/v1/messages").to_owned(),
                settings: String::new(),
            };
        }
        if recording.wire == "openai-responses" {
            return Service::of_responses(recording, path, query);
        }
        if recording.provider == "vertex" {
            return Service {
                kind: "vertex".to_owned(),
                base: path
                    .split("/publishers/")
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
                settings: String::new(),
            };
        }
        if recording.wire == "gemini-generate" {
            return Service {
                kind: "gemini".to_owned(),
                base: path.split("/models/").next().unwrap_or_default().to_owned(),
                settings: String::new(),
            };
        }
        if recording.wire.starts_with("ollama-") {
            return Service {
                kind: "ollama".to_owned(),
                base: String::new(),
                settings: String::new(),
            };
        }
        if recording.wire == "cohere-v2" {
            return Service {
                kind: "cohere".to_owned(),
                base: path.trim_end_matches("/v2/chat").to_owned(),
                settings: String::new(),
            };
        }
        let kind = match recording.provider.as_str() {
            "cohere" | "ollama" | "other-openai-compatible" => "openai-compatible",
            own => own,
        };
        let azure = kind == "azure-openai";
        Service {
            kind: kind.to_owned(),
            // The model's name is in the path there, and the path is built from it.
            base: match azure {
                true => String::new(),
                false => path.trim_end_matches("/chat/completions").to_owned(),
            },
            settings: match query.strip_prefix("api-version=") {
                Some(version) if azure => format!("api_version = \"{version}\""),
                _ => String::new(),
            },
        }
    }

    /// The same for the Responses wire. Services whose kind does not speak it are played by the reference.
    fn of_responses(recording: &Recording, path: &str, query: &str) -> Self {
        let kind = match recording.provider.as_str() {
            own @ ("openai" | "xai" | "groq" | "openrouter" | "azure-openai") => own,
            _ => "openai",
        };
        let base = path.trim_end_matches("/responses");
        Service {
            kind: kind.to_owned(),
            base: match base {
                // The path is built from the version then.
                "/openai" if kind == "azure-openai" => String::new(),
                base => base.to_owned(),
            },
            settings: match query.strip_prefix("api-version=") {
                Some(version) => format!("responses_api_version = \"{version}\""),
                // The recorder left the version out: this path has a dated one.
                None if base == "/openai" && kind == "azure-openai" => {
                    "responses_api_version = \"2025-04-01-preview\"".to_owned()
                }
                None => String::new(),
            },
        }
    }
}

/// What the consumer sends.
#[derive(Clone, Debug, Default)]
pub struct Ask<'a> {
    /// Path with query.
    pub path: &'a str,
    /// Headers beside the credential.
    pub headers: Vec<(&'a str, &'a str)>,
    /// JSON body.
    pub body: &'a str,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// What the consumer got.
    pub response: Response,
    /// What the service got.
    pub requests: Vec<Request>,
}

/// The program, its one provider, and a consumer's connection.
pub struct Stand {
    /// The program.
    pub leaf: Llmleaf,
    replay: Replay,
    script: Arc<Mutex<Script>>,
    line: Option<Connection>,
}

impl Stand {
    /// Starts the program at `exe` in front of a service that serves these models. `log` is its log filter.
    #[must_use]
    pub fn start(
        exe: impl AsRef<Path>,
        service: &Service,
        models: &BTreeSet<String>,
        log: &str,
    ) -> Self {
        let replay = Replay::start();
        let script = Arc::new(Mutex::new(Script::silent()));
        let next = Arc::clone(&script);
        replay.on(move |_| next.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let mut config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\nadmin_token = \"{ADMIN_TOKEN}\"\n\n[[providers]]\nname = \"service\"\nkind = \"{}\"\n\
             endpoint = \"{}{}\"\ncredential = \"{UPSTREAM_CREDENTIAL}\"\nprefix = \"{}\"\nsettings = {{ {} }}\nhealth = false\n",
            service.kind,
            replay.url(),
            service.base,
            PREFIX.trim_end_matches('/'),
            service.settings,
        );
        for model in models {
            let name = serde_json::Value::from(model.as_str());
            config.push_str(&format!(
                "\n[[routes]]\nmodel = {name}\ntargets = [{{ provider = \"service\" }}]\n"
            ));
        }
        config.push_str(KEY);
        Stand {
            leaf: Llmleaf::with_config(exe, &config)
                // Where it listens is told as information.
                .log(&format!("llmleaf::command=info,{log}"))
                .start(),
            replay,
            script,
            line: None,
        }
    }

    /// One exchange: the service answers every attempt by the same script.
    pub fn exchange(&mut self, ask: &Ask<'_>, script: Script) -> Exchange {
        let json = ("application/json", ask.body.as_bytes());
        self.exchange_of(ask.path, &ask.headers, json, script)
    }

    /// The same with a body of any type.
    pub fn exchange_of(
        &mut self,
        path: &str,
        more: &[(&str, &str)],
        (kind, body): (&str, &[u8]),
        script: Script,
    ) -> Exchange {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = script;
        let credential = format!("Bearer {CREDENTIAL}");
        let mut headers = vec![
            ("content-type", kind),
            ("authorization", credential.as_str()),
        ];
        headers.extend_from_slice(more);
        let mut line = match self.line.take() {
            Some(line) => line,
            None => Connection::open(self.leaf.addr),
        };
        line.send(&http::request("POST", path, &headers, body));
        let response = line.response();
        if response.end == End::Clean {
            self.line = Some(line);
        }
        Exchange {
            response,
            requests: self.replay.take_requests(),
        }
    }

    /// How many losses the program reported of an exchange: those named to the consumer, or else those counted in its
    /// usage record, which is where the losses of a running stream end up. The log filter must let `llmleaf::usage` pass.
    ///
    /// # Panics
    /// When no record was written.
    #[must_use]
    pub fn losses(&self, exchange: &Exchange) -> u64 {
        let id = exchange.response.header("x-request-id").unwrap_or_default();
        let lines = self.records(id).unwrap_or_else(|| {
            let (status, text) = (exchange.response.status, exchange.response.text());
            panic!("no usage record of {id}: {status} {text}")
        });
        let records = lines
            .iter()
            .filter_map(|line| crate::json::parse(line).ok());
        records
            .filter_map(|record| record.u64_at(&["losses"]))
            .max()
            .unwrap_or(0)
    }

    /// The last usage record of an exchange of that id. The log filter must let `llmleaf::usage` pass.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn record(&self, id: &str) -> String {
        let lines = self.records(id).and_then(|mut lines| lines.pop());
        lines.unwrap_or_else(|| panic!("no usage record of {id}"))
    }

    fn records(&self, id: &str) -> Option<Vec<String>> {
        self.leaf.wait_lines(1, LOG_LAG, |line| {
            line.contains("llmleaf::usage") && line.contains(id)
        })
    }
}

/// The model that a recorded request asks for, which may stand in its path alone; a plain name where none was published.
#[must_use]
pub fn model(recording: &Recording) -> String {
    let asked = recording
        .request()
        .map(|body| body.text_at(&["model"]).to_owned())
        // Where the path names it, the body may repeat it in another form.
        .filter(|_| !addressed(recording));
    match asked {
        Some(model) if !model.is_empty() => model,
        _ => {
            let path = recording.path.split('?').next().unwrap_or_default();
            let deployment = path.split_once("/deployments/");
            let method = path.split_once("/models/").filter(|_| addressed(recording));
            let name = deployment
                .and_then(|(_, rest)| rest.split('/').next())
                .or_else(|| method.and_then(|(_, rest)| rest.split(':').next()));
            name.unwrap_or("recorded-model").to_owned()
        }
    }
}

/// Whether the path alone says which model is asked.
fn addressed(recording: &Recording) -> bool {
    recording.provider == "vertex" || recording.wire == "gemini-generate"
}

/// Runs `work` for every recording, in stands of `lanes` threads; the recordings of one service follow each other on
/// one stand, as far as the lanes stay busy. `service` may change how a recording is served.
pub fn each(
    exe: &str,
    log: &str,
    recordings: &[Recording],
    service: impl Fn(&Recording) -> Service,
    work: impl Fn(&mut Stand, &Recording) + Sync,
) {
    /// Few enough that no lane is left alone with a long queue at the end.
    const BATCH_EVENTS: usize = 600;
    const LANES: usize = 8;
    let mut groups: BTreeMap<Service, Vec<&Recording>> = BTreeMap::new();
    for recording in recordings {
        groups
            .entry(service(recording))
            .or_default()
            .push(recording);
    }
    let mut batches = VecDeque::new();
    for (service, all) in groups {
        let mut batch = Vec::new();
        let mut weight = 0;
        for recording in all {
            weight += 1 + recording.events().len();
            batch.push(recording);
            if weight > BATCH_EVENTS {
                batches.push_back((service.clone(), std::mem::take(&mut batch)));
                weight = 0;
            }
        }
        if !batch.is_empty() {
            batches.push_back((service, batch));
        }
    }
    let batches = Mutex::new(batches);
    let take = || {
        let mut batches = batches.lock().unwrap_or_else(PoisonError::into_inner);
        batches.pop_front()
    };
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some((service, batch)) = take() {
                    let models = batch.iter().map(|recording| model(recording)).collect();
                    let mut stand = Stand::start(exe, &service, &models, log);
                    for recording in batch {
                        work(&mut stand, recording);
                    }
                }
            });
        }
    });
}

/// A recorded request as a consumer sends it: the text as it was recorded, with the model's name added where only the
/// path had it; a plain request where none was published.
#[must_use]
pub fn request(recording: &Recording) -> String {
    let name = serde_json::Value::from(model(recording).as_str());
    if recording.wire == "gemini-generate" {
        let plain = "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"Hi\"}]}]}";
        return recording
            .request_body
            .clone()
            .unwrap_or_else(|| plain.to_owned());
    }
    let Some(text) = &recording.request_body else {
        let cap = match recording.wire.as_str() {
            "anthropic-messages" => "\"max_tokens\":1024,",
            _ => "",
        };
        if recording.wire == "openai-responses" {
            let stream = recording.stream;
            return format!("{{\"model\":{name},\"input\":\"Hi\",\"stream\":{stream}}}");
        }
        return format!(
            "{{\"model\":{name},{cap}\"messages\":[{{\"role\":\"user\",\"content\":\"Hi\"}}],\"stream\":{}}}",
            recording.stream
        );
    };
    let named = recording
        .request()
        .is_some_and(|body| matches!(body.get("model"), Some(Value::String { .. })));
    match text.trim_start().strip_prefix('{') {
        Some(rest) if !named => format!("{{\"model\":{name},{rest}"),
        _ => text.clone(),
    }
}

/// The same request for a model that needs an edit on its way.
#[must_use]
pub fn prefixed(body: &str, model: &str) -> String {
    let name = serde_json::Value::from(model).to_string();
    let edited = serde_json::Value::from(format!("{PREFIX}{model}")).to_string();
    // The first occurrence behind the key: no other key of the recorded requests ends in `model"`.
    let at = body.find("\"model\"").expect("the request has a model");
    let value = at
        + body[at..]
            .find(&name)
            .expect("the model is spelled plainly");
    format!("{}{edited}{}", &body[..value], &body[value + name.len()..])
}
