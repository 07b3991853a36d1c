//! A controller for nodes to pull from and push to, which can be told to misbehave. It shares no code with the program; what it knows
//! is what `docs/control-plane.md` says.
//!
//! ```no_run
//! use llmleaf_testkit::controller::{Controller, Misdeed, Part};
//!
//! let controller = Controller::start();
//! controller.set(Part::Keys, r#"{"keys":[]}"#);
//! controller.misbehave(Part::Verdicts, Misdeed::Status(500));
//! let config = controller.config(&[Part::Keys, Part::Verdicts]);
//! # let _ = config;
//! ```

mod served;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::json::{self, Value};
use crate::leaks;
use crate::replay::{Gate, Replay, Request, Script};
pub use served::Served;

/// The token that nodes must send; a canary, so that it may be looked for wherever it must not be.
pub const TOKEN: &str = "canary-control-token-Qk27";

/// What a controller has, each at a path of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// `GET /llmleaf/keys`
    Keys,
    /// `GET /llmleaf/verdicts`
    Verdicts,
    /// `GET /llmleaf/topology`
    Topology,
    /// `POST /llmleaf/usage`
    Usage,
    /// `POST /llmleaf/leases`
    Leases,
    /// `POST /llmleaf/intercept`
    Intercept,
}

impl Part {
    /// All of them.
    pub const ALL: [Part; 6] = [
        Part::Keys,
        Part::Verdicts,
        Part::Topology,
        Part::Usage,
        Part::Leases,
        Part::Intercept,
    ];

    /// The last piece of its path.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Part::Keys => "keys",
            Part::Verdicts => "verdicts",
            Part::Topology => "topology",
            Part::Usage => "usage",
            Part::Leases => "leases",
            Part::Intercept => "intercept",
        }
    }

    /// The table of the configuration that has it.
    #[must_use]
    pub fn table(self) -> &'static str {
        match self {
            Part::Keys => "identity",
            Part::Verdicts => "limits",
            other => other.name(),
        }
    }

    fn of(path: &str) -> Option<Part> {
        let name = path.strip_prefix("/llmleaf/")?;
        let name = name.split('?').next().unwrap_or_default();
        Part::ALL.into_iter().find(|part| part.name() == name)
    }
}

/// What a controller can do wrong.
#[derive(Clone)]
pub enum Misdeed {
    /// Answers with that status and a body that is none of anybody's business.
    Status(u16),
    /// Answers with that status and asks to come back after so many seconds.
    Later(u16, u64),
    /// Sends nodes elsewhere.
    Redirect(String),
    /// Says this, whatever it is.
    Says(String),
    /// Says a page of HTML with status 200.
    Html,
    /// Says so many bytes of what it should, and closes.
    Cut(usize),
    /// Says so many bytes of what it should, and no more until the gate is opened.
    Slow(usize, Gate),
    /// Never answers.
    Silent,
    /// Says so many bytes of nothing in front of what it should.
    Huge(usize),
    /// Says what it should under that version.
    Version(String),
    /// Says that nothing is new, whatever it was asked.
    NothingNew,
    /// Answers what was said before this was set, for ever.
    Replay,
}

/// What is said of a question, as it was asked.
type Decide = dyn Fn(&str) -> String + Send;

/// An interceptor's word: it may go on.
#[must_use]
pub fn pass() -> String {
    r#"{"action":"pass"}"#.to_owned()
}

/// An interceptor's word: it may not, and why.
#[must_use]
pub fn block(reason: &str) -> String {
    format!(r#"{{"action":"block","reason":{reason:?}}}"#)
}

/// An interceptor's word: this JSON in its place.
#[must_use]
pub fn rewrite(payload: &str) -> String {
    format!(r#"{{"action":"rewrite","payload":{payload}}}"#)
}

#[derive(Clone, Default)]
struct Snapshot {
    body: String,
    number: u64,
}

#[derive(Default)]
struct State {
    snapshots: BTreeMap<Part, Snapshot>,
    before: BTreeMap<Part, Snapshot>,
    misdeeds: BTreeMap<Part, Misdeed>,
    /// Answers to what is pushed.
    answers: BTreeMap<Part, String>,
    /// What it says of each request and answer that it is shown, where that is not always the same.
    decides: Option<Box<Decide>>,
    /// No versions and no entity tags, as controllers have that know of neither.
    plain: bool,
    refused: usize,
    pushed: Vec<(Part, String)>,
}

impl State {
    fn set(&mut self, part: Part, body: &str) {
        let known = self.snapshots.entry(part).or_default();
        let before = known.clone();
        known.number += 1;
        body.clone_into(&mut known.body);
        self.before.insert(part, before);
    }
}

/// The controller. Dropping it closes everything.
pub struct Controller {
    /// Its server, for what is asked of it on the level of connections.
    pub replay: Replay,
    state: Arc<Mutex<State>>,
}

impl Controller {
    /// Listens on an ephemeral loopback port, and has no keys, no verdicts and no topology.
    #[must_use]
    pub fn start() -> Self {
        Controller::at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Listens there.
    ///
    /// # Panics
    /// When the address cannot be listened on.
    #[must_use]
    pub fn at(addr: SocketAddr) -> Self {
        let replay = Replay::start_at(addr);
        let state = Arc::<Mutex<State>>::default();
        let controller = Controller { replay, state };
        controller.set(Part::Keys, r#"{"keys":[]}"#);
        controller.set(Part::Verdicts, r#"{"verdicts":{}}"#);
        controller.set(Part::Topology, r#"{"providers":[],"routes":[]}"#);
        let state = Arc::clone(&controller.state);
        controller.replay.on(move |request| {
            let mut state = state.lock().expect("no thread panics while it holds this");
            answer(&mut state, request)
        });
        controller
    }

    /// Has another snapshot from now on, under the next number.
    pub fn set(&self, part: Part, body: &str) {
        for (name, secret) in leaks::in_config(body, |_| None, |_| None) {
            leaks::share(&format!("a pulled {name}"), &secret);
        }
        self.state().set(part, body);
    }

    /// Does that wrong from now on.
    pub fn misbehave(&self, part: Part, misdeed: Misdeed) {
        self.state().misdeeds.insert(part, misdeed);
    }

    /// Does nothing wrong any more.
    pub fn behave(&self, part: Part) {
        self.state().misdeeds.remove(&part);
    }

    /// Says neither versions nor entity tags.
    pub fn be_plain(&self) {
        self.state().plain = true;
    }

    /// What it answers to what is pushed there.
    pub fn answer(&self, part: Part, body: &str) {
        self.state().answers.insert(part, body.to_owned());
    }

    /// What it says of each request and answer that it is shown: [`pass`], [`block`], [`rewrite`], or whatever else. Without this it says what
    /// [`Self::answer`] was given for it, else that all may pass.
    pub fn decide(&self, decides: impl Fn(&str) -> String + Send + 'static) {
        self.state().decides = Some(Box::new(decides));
    }

    /// What it was shown, in order.
    ///
    /// # Panics
    /// Something else than JSON was asked.
    #[must_use]
    pub fn shown(&self) -> Vec<Value> {
        let asked = self.asked(Part::Intercept);
        let texts = asked.iter().map(Request::text);
        texts
            .map(|text| json::parse(&text).expect("a question is JSON"))
            .collect()
    }

    /// Bodies that were pushed and taken, in order.
    #[must_use]
    pub fn pushed(&self, part: Part) -> Vec<String> {
        let state = self.state();
        let of = state.pushed.iter().filter(|(pushed, _)| *pushed == part);
        of.map(|(_, body)| body.clone()).collect()
    }

    /// How many requests came without the token.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.state().refused
    }

    /// Requests for that part so far.
    #[must_use]
    pub fn asked(&self, part: Part) -> Vec<Request> {
        let mut all = self.replay.requests();
        all.retain(|request| Part::of(&request.path) == Some(part));
        all
    }

    /// Where that part is.
    #[must_use]
    pub fn url(&self, part: Part) -> String {
        format!("{}/llmleaf/{}", self.replay.url(), part.name())
    }

    /// The tables of a node's configuration that make it use these parts, as often as can be.
    #[must_use]
    pub fn config(&self, parts: &[Part]) -> String {
        let mut text =
            format!("[[control.auth]]\nid = \"stub\"\nkind = \"bearer\"\ntoken = \"{TOKEN}\"\n\n");
        for part in parts {
            let (table, url) = (part.table(), self.url(*part));
            text.push_str(&format!(
                "[control.{table}]\nurl = \"{url}\"\nauth = \"stub\"\n"
            ));
            if matches!(part, Part::Keys | Part::Verdicts | Part::Topology) {
                text.push_str("refresh_secs = 1\n");
            }
            if *part == Part::Usage {
                // What happens to the node would be told between its usage.
                text.push_str("batch_ms = 20\nlifecycle = false\n");
            }
            if *part == Part::Intercept {
                text.push_str("phases = [\"request\", \"response\"]\non_error = \"deny\"\ntimeout_ms = 20000\n");
            }
            text.push('\n');
        }
        text
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no thread panics while it holds this")
    }
}

fn answer(state: &mut State, request: &Request) -> Script {
    let Some(part) = Part::of(&request.path) else {
        return Script::json(404, "{}");
    };
    if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
        state.refused += 1;
        return Script::json(401, "{}");
    }
    let pulls = matches!(part, Part::Keys | Part::Verdicts | Part::Topology);
    let misdeed = state.misdeeds.get(&part).cloned();
    let mut snapshot = state.snapshots.get(&part).cloned().unwrap_or_default();
    if !pulls {
        leaks::look(
            &format!("what was pushed as {}", part.name()),
            &request.body,
        );
        snapshot.body = said(state, part, request);
    }
    if !pulls && misdeed.is_none() {
        state.pushed.push((part, request.text()));
        return Script::json(200, snapshot.body);
    }
    match misdeed {
        None => {}
        Some(Misdeed::Status(status)) => {
            return Script::json(status, "{\"secret\":\"canary-of-the-controller\"}");
        }
        Some(Misdeed::Later(status, secs)) => {
            return Script::json(status, "{}").header("retry-after", &secs.to_string());
        }
        Some(Misdeed::Redirect(url)) => return Script::json(307, "{}").header("location", &url),
        Some(Misdeed::Says(body)) => {
            return tagged(Script::json(200, body), &snapshot, state.plain);
        }
        Some(Misdeed::Html) => {
            let page = "<!doctype html><title>canary-page</title>";
            return tagged(Script::body(200, "text/html", page), &snapshot, state.plain);
        }
        Some(Misdeed::Cut(bytes)) => {
            let script = Script::json(200, snapshot.body.clone());
            return tagged(script, &snapshot, state.plain).close_at(bytes);
        }
        Some(Misdeed::Slow(bytes, gate)) => {
            let script = Script::json(200, snapshot.body.clone());
            return tagged(script, &snapshot, state.plain).hold_at(bytes, &gate);
        }
        Some(Misdeed::Silent) => return Script::silent(),
        Some(Misdeed::Huge(bytes)) => snapshot.body.insert_str(0, &" ".repeat(bytes)),
        Some(Misdeed::Version(version)) => {
            return Script::json(200, snapshot.body).header("x-llmleaf-snapshot", &version);
        }
        Some(Misdeed::NothingNew) => return Script::json(304, ""),
        Some(Misdeed::Replay) => {
            snapshot = state.before.get(&part).cloned().unwrap_or_default();
        }
    }
    let tag = tag(&snapshot);
    if !state.plain && request.header("if-none-match") == Some(&tag) {
        return Script::json(304, "").header("etag", &tag);
    }
    tagged(
        Script::json(200, snapshot.body.clone()),
        &snapshot,
        state.plain,
    )
}

/// What is answered to what is pushed.
fn said(state: &State, part: Part, request: &Request) -> String {
    match (part, &state.decides) {
        (Part::Intercept, Some(decides)) => decides(&request.text()),
        _ => state
            .answers
            .get(&part)
            .cloned()
            .unwrap_or_else(|| match part {
                Part::Intercept => pass(),
                _ => "{}".to_owned(),
            }),
    }
}

fn tag(snapshot: &Snapshot) -> String {
    format!("\"{}\"", snapshot.number)
}

fn tagged(script: Script, snapshot: &Snapshot, plain: bool) -> Script {
    if plain {
        return script;
    }
    script
        .header("etag", &tag(snapshot))
        .header("x-llmleaf-snapshot", &snapshot.number.to_string())
}
