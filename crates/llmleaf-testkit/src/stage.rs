//! The real program in front of two fake providers, in both dialects: where fault tests are played.
//!
//! Models, by the dialect that the providers behind them speak (`chat`, `messages`): `chat` is a chain of both providers,
//! `chat-first` and `chat-second` are one of them alone. The first one's chain is the same target as in the longer chain,
//! so it shares its health. A stage with a [third](Setup::third) provider also has `chat-three`, a chain of all.

mod evidence;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use crate::binary::{self, Llmleaf};
use crate::http::{self, Connection, Response};
use crate::json::{self, Value};
use crate::replay::{Replay, Script, new_canary};
use crate::samples::Wire;
use evidence::Noted;

/// How long a test waits for what must come.
pub const LONG: Duration = Duration::from_secs(30);

/// The credentials of the providers; they may appear nowhere but in requests to them.
pub const CREDENTIALS: [&str; 3] = [
    "sk-canary-Zx81first",
    "sk-canary-Qv47second",
    "sk-canary-Rm26third",
];

/// What opens the admin surface, on a stage that says nothing else: so that every test of one ends with a look at what is told there.
pub const ADMIN_TOKEN: &str = "canary-of-the-operator-Hd55";

/// What the providers' names end in, in the order of the chain.
const PLACES: [&str; 3] = ["first", "second", "third"];

/// What the samples ask.
const PROMPT: &str = "Say two words.";

/// Every failure is the answer at once, and no target is passed over for failures that it states no wait for.
const SERVER: &str =
    "workers = 1\nfallback_cooldown_secs = 0\ntries_per_target = 1\nrate_limit_max_wait_ms = 0\n";

/// The id of the consumer's key.
pub const KEY_ID: &str = "stage";

/// A stage about to be set.
pub struct Setup {
    exe: PathBuf,
    server: String,
    provider: [String; 2],
    third: bool,
    route: String,
    key: String,
    endpoint: Option<String>,
    envs: Vec<(String, String)>,
    judged: bool,
    later: bool,
    admin: Option<&'static str>,
    files: Vec<(String, String)>,
}

/// The running program, its providers, and a key to it. A [judged](Setup::judged) stage fails its test at its end when any
/// promise was broken.
pub struct Stage {
    /// The program.
    pub leaf: Llmleaf,
    /// The provider that every chain tries first.
    pub first: Replay,
    /// The one behind it.
    pub second: Replay,
    /// The last of the chain of three, on a stage that has one.
    pub third: Option<Replay>,
    /// The consumer's credential.
    pub key: String,
    /// The text of the config file that it was started with.
    pub config: String,
    asked: AtomicU64,
    noted: Mutex<Vec<Noted>>,
    base_files: Option<usize>,
    judged: bool,
}

/// A request under way.
pub struct Asked {
    /// Its request id.
    pub id: String,
    /// Its connection.
    pub connection: Connection,
}

impl Stage {
    /// A stage for the program at `exe` (in an integration test `env!("CARGO_BIN_EXE_llmleaf")`), or at the path in `LLMLEAF_BIN`:
    /// so a release build is measured by tests that are not one themselves.
    #[must_use]
    pub fn with(exe: &str) -> Setup {
        Setup {
            exe: binary::played(exe),
            server: SERVER.to_owned(),
            provider: [String::new(), String::new()],
            third: false,
            route: String::new(),
            key: String::new(),
            endpoint: None,
            envs: Vec::new(),
            judged: false,
            later: false,
            admin: Some(ADMIN_TOKEN),
            files: Vec::new(),
        }
    }

    /// A model name: the chain of providers that speak this dialect.
    #[must_use]
    pub fn chain(wire: Wire) -> String {
        wire.name().to_owned()
    }

    /// A model name: the first provider alone.
    #[must_use]
    pub fn alone(wire: Wire) -> String {
        format!("{wire}-first")
    }

    /// A model name: the chain of all three.
    #[must_use]
    pub fn three(wire: Wire) -> String {
        format!("{wire}-three")
    }

    /// Every provider, in the order of the chain.
    #[must_use]
    pub fn replays(&self) -> Vec<&Replay> {
        [&self.first, &self.second]
            .into_iter()
            .chain(&self.third)
            .collect()
    }

    /// Sends a request of a consumer's dialect and reads nothing yet.
    #[must_use]
    pub fn ask(&self, consumer: Wire, model: &str, stream: bool) -> Asked {
        let to = consumer.path_to(model, stream);
        let body = consumer.request(model, stream);
        let asked = (&*to, stream, &*body);
        self.send(consumer, &self.next_id(), asked, &new_canary(), &[])
    }

    /// The same with a body of one's own. Where it has the samples' prompt, that gets a canary.
    #[must_use]
    pub fn ask_with(&self, consumer: Wire, body: &str) -> Asked {
        self.send(
            consumer,
            &self.next_id(),
            named(consumer, body),
            &new_canary(),
            &[],
        )
    }

    /// The same with more headers.
    #[must_use]
    pub fn ask_headed(&self, consumer: Wire, body: &str, headers: &[(&str, &str)]) -> Asked {
        self.send(
            consumer,
            &self.next_id(),
            named(consumer, body),
            &new_canary(),
            headers,
        )
    }

    /// The same under a request id of one's own.
    #[must_use]
    pub fn ask_as(&self, consumer: Wire, id: &str, body: &str) -> Asked {
        self.send(consumer, id, named(consumer, body), &new_canary(), &[])
    }

    /// Asks, and has the first provider answer exactly this request with a script.
    #[must_use]
    pub fn play(&self, consumer: Wire, model: &str, stream: bool, script: Script) -> Asked {
        let canary = new_canary();
        self.first.push_for(&canary, script);
        let to = consumer.path_to(model, stream);
        let body = consumer.request(model, stream);
        let asked = (&*to, stream, &*body);
        self.send(consumer, &self.next_id(), asked, &canary, &[])
    }

    fn next_id(&self) -> String {
        format!("ask-{}", self.asked.fetch_add(1, Ordering::Relaxed))
    }

    fn send(
        &self,
        consumer: Wire,
        id: &str,
        (path, stream, body): (&str, bool, &str),
        canary: &str,
        more: &[(&str, &str)],
    ) -> Asked {
        let id = id.to_owned();
        let marked = body.replacen(PROMPT, &format!("{PROMPT} {canary}"), 1);
        let mut connection = Connection::open(self.leaf.addr);
        let bearer = self.bearer();
        let mut headers = vec![
            ("content-type", "application/json"),
            ("authorization", bearer.as_str()),
            ("x-request-id", id.as_str()),
        ];
        headers.extend_from_slice(more);
        let bytes = http::request("POST", path, &headers, marked.as_bytes());
        self.note(Noted {
            id: id.clone(),
            wire: consumer,
            stream,
            canary: (marked != body).then(|| canary.to_owned()),
            transcript: connection.transcript(),
        });
        connection.send(&bytes);
        Asked { id, connection }
    }

    /// Sends a request and reads the whole response; its request id comes with it.
    #[must_use]
    pub fn post(&self, consumer: Wire, model: &str, stream: bool) -> (String, Response) {
        let mut asked = self.ask(consumer, model, stream);
        (asked.id, asked.connection.response())
    }

    /// The value of the `authorization` header.
    #[must_use]
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.key)
    }

    /// Waits for the usage records of a request and returns them in order.
    ///
    /// # Panics
    /// When there are fewer after a long wait, or more.
    #[must_use]
    pub fn usage(&self, id: &str, count: usize) -> Vec<Value> {
        let id = format!("\"request_id\":\"{id}\"");
        let is_usage =
            |line: &str| line.contains("\"target\":\"llmleaf::usage\"") && line.contains(&id);
        let found = self.leaf.wait_lines(count, LONG, is_usage);
        let lines = found.unwrap_or_else(|| panic!("fewer than {count} usage records with {id}"));
        assert_eq!(lines.len(), count, "usage records: {lines:#?}");
        let parsed = lines.iter().map(|line| json::parse(line));
        parsed
            .collect::<Result<_, _>>()
            .expect("a usage record is JSON")
    }
}

impl Setup {
    /// More lines of `[server]`.
    #[must_use]
    pub fn server(mut self, lines: &str) -> Self {
        self.server.push_str(lines);
        self.server.push('\n');
        self
    }

    /// Replaces a line of `[server]` that a stage has by itself: `workers`, `fallback_cooldown_secs`, `tries_per_target`, `rate_limit_max_wait_ms`.
    #[must_use]
    pub fn instead(mut self, key: &str, value: &str) -> Self {
        let kept: Vec<&str> = self
            .server
            .lines()
            .filter(|l| !l.starts_with(key))
            .collect();
        self.server = format!("{}\n{key} = {value}\n", kept.join("\n"));
        self
    }

    /// No admin surface, which a stage has otherwise.
    #[must_use]
    pub fn without_admin(mut self) -> Self {
        self.admin = None;
        self
    }

    /// More lines of the first provider, such as `timeouts = { headers_ms = 100 }`.
    #[must_use]
    pub fn first(mut self, lines: &str) -> Self {
        self.provider[0].push_str(lines);
        self
    }

    /// More lines of the second provider.
    #[must_use]
    pub fn second(mut self, lines: &str) -> Self {
        self.provider[1].push_str(lines);
        self
    }

    /// A third provider behind the two.
    #[must_use]
    pub fn third(mut self) -> Self {
        self.third = true;
        self
    }

    /// Providers and routes of the wires of [`Wire::LATER_PAIRS`] too.
    #[must_use]
    pub fn later(mut self) -> Self {
        self.later = true;
        self
    }

    /// Every exchange is [judged](crate::judge) when the stage goes.
    #[must_use]
    pub fn judged(mut self) -> Self {
        self.judged = true;
        self
    }

    /// More lines of every chain.
    #[must_use]
    pub fn route(mut self, lines: &str) -> Self {
        self.route.push_str(lines);
        self
    }

    /// More lines of the consumer's key.
    #[must_use]
    pub fn key(mut self, lines: &str) -> Self {
        self.key.push_str(lines);
        self
    }

    /// Another address for the first provider, without a path.
    #[must_use]
    pub fn first_at(mut self, url: &str) -> Self {
        self.endpoint = Some(url.to_owned());
        self
    }

    /// One more file in the folder it runs in.
    #[must_use]
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// One more environment variable of the program.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.envs.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What the program logs, unless the tests themselves are told by `LLMLEAF_LOG`.
    #[must_use]
    pub fn log(self, what: &str) -> Self {
        match binary::asked_of_all() {
            None => self.env(binary::LOG, what),
            Some(_) => self,
        }
    }

    /// Starts the providers and the program.
    #[must_use]
    pub fn start(self) -> Stage {
        let (first, second) = (Replay::start(), Replay::start());
        let (key, table) = key(&self.exe);
        let third = self.third.then(Replay::start);
        let mut endpoints = vec![
            self.endpoint.clone().unwrap_or_else(|| first.url()),
            second.url(),
        ];
        endpoints.extend(third.as_ref().map(Replay::url));
        let config = self.config(&endpoints)
            + &table
            + "
" + &self.key;
        let mut setup = Llmleaf::with_config(&self.exe, &config);
        for (name, value) in &self.envs {
            setup = setup.env(name, value);
        }
        for (name, text) in &self.files {
            setup = setup.file(name, text);
        }
        let leaf = setup.start();
        Stage {
            base_files: leaf.open_files(),
            leaf,
            config,
            first,
            second,
            third,
            key,
            asked: AtomicU64::new(0),
            noted: Mutex::default(),
            judged: self.judged,
        }
    }

    fn config(&self, endpoints: &[String]) -> String {
        let mut text = format!("[server]\nlisten = \"127.0.0.1:0\"\n{}\n", self.server);
        if let Some(token) = self.admin.filter(|_| !self.server.contains("admin_token")) {
            text.push_str(&format!("admin_token = \"{token}\"\n"));
        }
        let all = [
            (Wire::Chat, "openai", "/v1"),
            (Wire::Messages, "anthropic", ""),
            (Wire::Responses, "openai", "/v1"),
            (Wire::Gemini, "gemini", ""),
        ];
        for (wire, kind, base) in all.into_iter().take(if self.later { 4 } else { 2 }) {
            let settings = match wire {
                Wire::Responses => "settings = { chat_api = \"responses\" }\n",
                _ => "",
            };
            for (index, (endpoint, place)) in endpoints.iter().zip(PLACES).enumerate() {
                let more = self.provider.get(index).map_or("", String::as_str);
                text.push_str(&format!(
                    "[[providers]]\nname = \"{wire}-{place}\"\nkind = \"{kind}\"\nendpoint = \"{}{base}\"\n\
                     credential = \"{}\"\n{settings}{}\n\
                     [[routes]]\nmodel = \"{wire}-{place}\"\n\
                     targets = [{{ provider = \"{wire}-{place}\", model = \"m-1\" }}]\n",
                    endpoint, CREDENTIALS[index], more,
                ));
            }
            text.push_str(&format!(
                "[[routes]]\nmodel = \"{wire}\"\n{}\ntargets = [{{ provider = \"{wire}-first\", model = \"m-1\" }}, \
                 {{ provider = \"{wire}-second\", model = \"m-1\" }}]\n",
                self.route
            ));
            if self.third {
                let targets = PLACES
                    .map(|place| format!("{{ provider = \"{wire}-{place}\", model = \"m-1\" }}"));
                text.push_str(&format!(
                    "[[routes]]\nmodel = \"{wire}-three\"\n{}\ntargets = [{}]\n",
                    self.route,
                    targets.join(", ")
                ));
            }
        }
        text
    }
}

/// Path, whether a stream is asked for, and body, of a request that says all of it in its body.
fn named(consumer: Wire, body: &str) -> (&'static str, bool, &str) {
    let stream = body.contains("\"stream\":true");
    (consumer.path(), stream, body)
}

/// A credential and its table, from the program itself; one for all stages of a test binary.
fn key(exe: &PathBuf) -> (String, String) {
    static MADE: OnceLock<(String, String)> = OnceLock::new();
    MADE.get_or_init(|| {
        let args = ["key", "new", "--id", KEY_ID];
        let (status, out, err) = Llmleaf::with_config(exe, "").args(&args).run();
        assert!(status.success(), "key new: {err}");
        let credential = out.split("Bearer ").nth(1).map(str::trim);
        (credential.expect("a credential").to_owned(), out.clone())
    })
    .clone()
}
