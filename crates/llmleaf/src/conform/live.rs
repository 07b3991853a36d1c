//! Each feature asked of a configured provider, through this program as it serves.
//!
//! The program listens on a local port of its own choosing, with a key that lives as long as this run.

use super::asks::{self, Feature};
use super::{DIALECTS, read, reference};
use llmleaf_auth::NewKey;
use llmleaf_config::{
    Config, Key, Limits, RetryOverrides, Route, Secret, Target, TimeoutOverrides,
};
use llmleaf_dialects::Dialect;
use llmleaf_model::ChatRequest;
use llmleaf_route::Strategy;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

/// The model that is asked for; a route of that name leads to the provider.
const MODEL: &str = "llmleaf-conform";
/// Longer than any answer of a few words takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// Why nothing was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LiveError {
    /// The configuration has no such provider.
    #[error("the configuration has no provider named {0:?}")]
    NoProvider(String),
    /// No model is known to ask for.
    #[error("no route leads to {0:?} with a model's name: name one with --model")]
    NoModel(String),
    /// The program could not serve.
    #[error("{0}")]
    Start(String),
}

/// Asks for every feature, prints a line for each as soon as it is known, and tells how many failed.
pub(crate) fn run(
    mut config: Config,
    provider: &str,
    model: Option<&str>,
    dialect: Option<Dialect>,
    say: &mut dyn FnMut(&str),
) -> Result<usize, LiveError> {
    let own = config
        .provider(provider)
        .ok_or_else(|| LiveError::NoProvider(provider.to_owned()))?;
    let local = own.row.is_local();
    let routed = config.routes.iter().flat_map(|route| &route.targets);
    let mut routed = routed.filter(|target| target.provider == provider);
    let model = model
        .map(str::to_owned)
        .or_else(|| routed.find_map(|target| target.model.clone()))
        .or_else(|| local.then(|| "demo".to_owned()))
        .ok_or_else(|| LiveError::NoModel(provider.to_owned()))?;
    let key = NewKey::generate(MODEL).map_err(|why| LiveError::Start(why.to_string()))?;
    prepare(&mut config, provider, &model, &key);
    let server = Server {
        at: serve(config)?,
        authorization: format!("Bearer {}", key.credential.expose()),
    };
    say(&format!("{provider}, model {model}\n"));
    let mut failed = 0;
    let wanted = DIALECTS
        .iter()
        .filter(|(_, it)| dialect.is_none_or(|only| only == *it));
    for (name, dialect) in wanted {
        say(&format!("\nConsumers of {name}\n"));
        for feature in asks::ALL {
            let Some(body) = written(feature, *dialect) else {
                continue;
            };
            let outcome = server.ask(*dialect, &body);
            failed += usize::from(outcome.is_err());
            say(&line(feature.name, &outcome));
        }
    }
    Ok(failed)
}

/// Nothing but one key, one route and what it needs.
fn prepare(config: &mut Config, provider: &str, model: &str, key: &NewKey) {
    config.server.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    config.server.tls = None;
    config.server.workers = 1;
    config.control = None;
    config.oauth = Vec::new();
    config.keys = vec![Key {
        id: MODEL.to_owned(),
        name: None,
        pw_hash: Secret::new(key.stored_hash.clone()),
        allowed_models: None,
        limits: Limits::default(),
        explain: false,
    }];
    config.routes = vec![Route {
        model: MODEL.to_owned(),
        targets: vec![Target {
            provider: provider.to_owned(),
            model: Some(model.to_owned()),
            weight: 1,
            price: None,
        }],
        strategy: Strategy::default(),
        affinity: false,
        hedge: false,
        retries: RetryOverrides::default(),
        timeouts: TimeoutOverrides::default(),
        loss_policy: None,
        prompt_cache: None,
        reasoning_effort: None,
        realtime: llmleaf_config::RealtimeParts::default(),
    }];
}

/// Serves on a thread until the program ends.
fn serve(config: Config) -> Result<SocketAddr, LiveError> {
    let (tell, told) = mpsc::channel();
    let ready = tell.clone();
    std::thread::spawn(move || {
        let ended = llmleaf_server::run(config, None, |listening| {
            let at = listening.first().map(|at| at.addr);
            let _ = ready.send(at.ok_or_else(|| "nothing to listen on".to_owned()));
        });
        if let Err(error) = ended {
            let _ = tell.send(Err(error.to_string()));
        }
    });
    match told.recv() {
        Ok(at) => at.map_err(LiveError::Start),
        Err(_) => Err(LiveError::Start("the server ended".to_owned())),
    }
}

/// The request of a feature in a dialect; `None` where that has no form for it.
fn written(feature: &Feature, dialect: Dialect) -> Option<Vec<u8>> {
    let mut request = ChatRequest::new(dialect.name(), MODEL);
    asks::plain(&mut request);
    (feature.make)(&mut request);
    let target = llmleaf_dialects::Target {
        model: MODEL,
        stream: false,
    };
    let written = reference(dialect).render_request(&request, target).ok()?;
    let text = std::str::from_utf8(&written.body).ok()?;
    let read = dialect.parse_request(text).ok()?;
    (feature.holds)(&read).then(|| written.body.to_vec())
}

struct Server {
    at: SocketAddr,
    authorization: String,
}

/// What was answered: the losses that were told.
type Outcome = Result<String, String>;

impl Server {
    fn ask(&self, dialect: Dialect, body: &[u8]) -> Outcome {
        let path = match dialect {
            Dialect::ChatCompletions => "/v1/chat/completions".to_owned(),
            Dialect::Messages => "/v1/messages".to_owned(),
            Dialect::Responses => "/v1/responses".to_owned(),
            Dialect::GenerateContent => format!("/v1beta/models/{MODEL}:generateContent"),
            Dialect::LINES_PROMPT => "/api/generate".to_owned(),
            Dialect::Ollama(_) => "/api/chat".to_owned(),
            Dialect::CohereChat => "/v2/chat".to_owned(),
            Dialect::TextCompletions => "/v1/completions".to_owned(),
        };
        let reply = self.post(&path, body).map_err(|error| error.to_string())?;
        let (head, body) = split(&reply).ok_or("the reply is no HTTP")?;
        let status = head.split(' ').nth(1).unwrap_or_default();
        if status != "200" {
            let text: String = String::from_utf8_lossy(body).chars().take(300).collect();
            return Err(format!("{status} {text}"));
        }
        let answered = read(&reference(dialect), body);
        let blocks = answered.map(|response| response.choices.iter().map(|c| c.blocks.len()).sum());
        if blocks.unwrap_or(0usize) == 0 {
            return Err("the answer says nothing".to_owned());
        }
        Ok(header(head, "x-llmleaf-loss")
            .unwrap_or_default()
            .to_owned())
    }

    fn post(&self, path: &str, body: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(self.at)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\nauthorization: {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            self.at,
            self.authorization,
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply)?;
        Ok(reply)
    }
}

/// Head and body of a reply; whole replies of this program state their length, and the connection ends with them.
fn split(reply: &[u8]) -> Option<(&str, &[u8])> {
    let end = reply.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, rest) = reply.split_at_checked(end)?;
    Some((std::str::from_utf8(head).ok()?, rest.get(4..)?))
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let fields = head.split("\r\n").filter_map(|line| line.split_once(':'));
    let mut named = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
    named.next().map(|(_, value)| value.trim())
}

fn line(feature: &str, outcome: &Outcome) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = match outcome {
        Ok(losses) if losses.is_empty() => writeln!(text, "  {feature:24} ok"),
        Ok(losses) => writeln!(text, "  {feature:24} ok, lost: {losses}"),
        Err(why) => writeln!(text, "  {feature:24} FAILED: {why}"),
    };
    text
}
