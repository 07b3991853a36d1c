//! Usage records on disk: what is there after a stop, and after a kill. `LLMLEAF_KILLS=100` kills that often.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use llmleaf_testkit::json::Value;
use llmleaf_testkit::replay::Script;
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{LONG, Stage};

use super::stage;

/// A folder that goes with the test.
pub struct State(PathBuf);

impl State {
    pub fn new(test: &str) -> Self {
        let name = format!("llmleaf-state-{}-{test}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    /// The lines of `[server]` that name it.
    pub fn server(&self) -> String {
        format!("state_dir = \"{}\"\ndrain_secs = 1", self.0.display())
    }

    fn stage(&self) -> Stage {
        stage().server(&self.server()).start()
    }

    fn events(&self) -> Vec<Value> {
        let places = (0..4).map(|place| self.0.join("usage").join(place.to_string()));
        places
            .flat_map(|place| llmleaf_testkit::spool::events(&place))
            .collect()
    }

    /// How the exchange of each request ended, and how often it is told.
    fn ends(&self) -> BTreeMap<String, Vec<String>> {
        let mut ends: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for event in self.events() {
            assert_eq!(event.text_at(&["event"]), "usage");
            let id = event.text_at(&["request_id"]).to_owned();
            let outcome = event.text_at(&["outcome"]).to_owned();
            ends.entry(id).or_default().push(outcome);
        }
        ends
    }
}

fn mentions(file: &Path, text: &str) -> bool {
    std::fs::read_to_string(file).is_ok_and(|found| found.contains(text))
}

impl Drop for State {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Waits for something that the program does in its own time.
fn until(stage: &Stage, what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        let moment = Duration::from_millis(5);
        let _ = stage.leaf.wait_lines(usize::MAX, moment, |_| true);
    }
}

#[test]
fn h3_a_stop_leaves_every_record_on_disk() {
    let state = State::new("stop");
    let mut stage = state.stage();
    let mut ids = Vec::new();
    for _ in 0..5 {
        stage
            .first
            .push(Script::json(200, Wire::Chat.whole("first answer")));
        let (id, response) = stage.post(Wire::Chat, "chat", false);
        assert_eq!(response.status, 200);
        ids.push((id, "completed"));
    }
    let bad = Script::json(400, Wire::Chat.error("invalid_request_error", "no"));
    stage.first.push(bad);
    let (id, _) = stage.post(Wire::Chat, "chat", false);
    ids.push((id, "refused"));
    let stream = Wire::Chat.stream("first answer");
    let stalled = Script::sse(stream.body()).stall_at(stream.until(1).len());
    stage.first.push(stalled);
    let mut asked = stage.ask(Wire::Chat, "chat", true);
    asked.connection.read_to("first ");
    ids.push((asked.id.clone(), "shutdown"));
    stage.leaf.signal("TERM");
    let _ = asked.connection.response();
    let status = stage.leaf.wait_exit(LONG).expect("it ends");
    assert!(status.success(), "{status}");
    let ends = state.ends();
    for (id, outcome) in &ids {
        assert_eq!(ends.get(id), Some(&vec![(*outcome).to_owned()]), "{ends:?}");
    }
    assert_eq!(ends.len(), ids.len());
    let events = state.events();
    let first = events.first().expect("an event");
    assert_eq!(first.text_at(&["usage_source"]), "provider");
    assert!(first.u64_at(&["usage", "total_tokens"]) > Some(0));
    assert!(first.u64_at(&["own_us"]).is_some());
    let shown = format!("{events:?}");
    assert!(!shown.contains("first answer"), "no word of an answer");
}

#[test]
fn h4_a_kill_loses_no_record() {
    let state = State::new("kill");
    let kills = kills();
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for round in 0..kills {
        let mut stage = state.stage();
        for number in 0..4 {
            stage
                .first
                .push(Script::json(200, Wire::Chat.whole("first answer")));
            let id = format!("kill-{round}-{number}");
            let body = Wire::Chat.request("chat", false);
            let response = stage.ask_as(Wire::Chat, &id, &body).connection.response();
            assert_eq!(response.status, 200);
            expected.insert(id, vec!["completed".to_owned()]);
        }
        let stream = Wire::Chat.stream("first answer");
        let stalled = Script::sse(stream.body()).stall_at(stream.until(1).len());
        stage.first.push(stalled);
        let id = format!("kill-{round}-running");
        let body = Wire::Chat.request("chat", true);
        let mut asked = stage.ask_as(Wire::Chat, &id, &body);
        asked.connection.read_to("first ");
        let open = state.0.join("usage/0/open");
        until(&stage, "records are written", || {
            let ends = state.ends();
            mentions(&open, &id) && (0..4).all(|n| ends.contains_key(&format!("kill-{round}-{n}")))
        });
        expected.insert(id, vec!["crashed".to_owned()]);
        stage.leaf.signal("KILL");
        assert!(stage.leaf.wait_exit(LONG).is_some());
    }
    let mut stage = state.stage();
    stage.leaf.signal("TERM");
    assert!(
        stage
            .leaf
            .wait_exit(LONG)
            .is_some_and(|status| status.success())
    );
    assert_eq!(state.ends(), expected);
}

#[expect(
    clippy::disallowed_methods,
    reason = "how much a test does is asked of it from outside"
)]
fn kills() -> u32 {
    let asked = std::env::var("LLMLEAF_KILLS").ok();
    asked.map_or(2, |number| number.parse().expect("a number"))
}

#[test]
fn h5_two_processes_on_one_folder_have_records_of_their_own() {
    let state = State::new("two");
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut stages = [state.stage(), state.stage()];
    for (number, stage) in stages.iter_mut().enumerate() {
        stage
            .first
            .push(Script::json(200, Wire::Chat.whole("first answer")));
        let id = format!("two-{number}");
        let body = Wire::Chat.request("chat", false);
        let response = stage.ask_as(Wire::Chat, &id, &body).connection.response();
        assert_eq!(response.status, 200);
        until(stage, "its record", || state.ends().contains_key(&id));
        expected.insert(id, vec!["completed".to_owned()]);
    }
    assert_eq!(state.ends(), expected);
    for mut stage in stages {
        stage.leaf.signal("KILL");
        assert!(stage.leaf.wait_exit(LONG).is_some());
    }
    let _third = state.stage();
    let second = state.0.join("usage/1");
    assert!(
        llmleaf_testkit::spool::events(&second).is_empty(),
        "taken over"
    );
    assert_eq!(state.ends(), expected);
}

/// A request that asks what its answer costs.
fn asking(model: &str, stream: bool) -> String {
    let body = Wire::Chat.request(model, stream);
    body.replacen('{', "{\"usage\":{\"include\":true},", 1)
}

/// Cost and the old name of it in an answer's report of usage, as written.
fn told(text: &str) -> Vec<String> {
    let places = text.match_indices("\"cost");
    let ends = |rest: &str| rest.find([',', '}']).unwrap_or(rest.len());
    places
        .map(|(at, _)| text[at..][..ends(&text[at..])].to_owned())
        .collect()
}

#[test]
fn an_answer_says_what_it_cost_to_who_asks() {
    let prices = "\n[[prices]]\nmodel = \"m-*\"\ninput = 2\noutput = 10\n";
    let stage = stage().key(prices).start();
    let cost = |id: &str| {
        let record = &stage.usage(id, 1)[0];
        assert_eq!(record.text_at(&["cost_source"]), "prices");
        let count = |name| record.u64_at(&[name]).expect("a count");
        let expected = count("input") * 2_000 + count("output") * 10_000;
        assert_eq!(record.u64_at(&["cost_nano_usd"]), Some(expected));
        format!("0.{expected:09}").trim_end_matches('0').to_owned()
    };
    let whole = |wire: Wire| Script::json(200, wire.whole("first answer"));
    // Who does not ask finds it in a header, and the bytes are the provider's.
    stage.first.push(whole(Wire::Chat));
    let (id, response) = stage.post(Wire::Chat, "chat", false);
    let expected = cost(&id);
    assert_eq!(response.header("x-llmleaf-cost-usd"), Some(&*expected));
    assert!(told(&response.text()).is_empty());
    for provider in [Wire::Chat, Wire::Messages] {
        stage.first.push(whole(provider));
        let mut asked = stage.ask_with(Wire::Chat, &asking(&Stage::chain(provider), false));
        let response = asked.connection.response();
        let expected = cost(&asked.id);
        let lost = response.header("x-llmleaf-loss").unwrap_or_default();
        assert!(!lost.contains("usage"), "it is told: {lost}");
        let names = [
            format!("\"cost\":{expected}"),
            format!("\"cost_usd\":{expected}"),
        ];
        assert_eq!(told(&response.text()), names, "{}", response.text());
        stage.first.push(super::answer(provider, "first answer"));
        let mut asked = stage.ask_with(Wire::Chat, &asking(&Stage::chain(provider), true));
        let response = asked.connection.response();
        let expected = cost(&asked.id);
        let names = [
            format!("\"cost\":{expected}"),
            format!("\"cost_usd\":{expected}"),
        ];
        assert_eq!(told(&response.text()), names, "{}", response.text());
        assert_eq!(Wire::Chat.read(&response).text(), "first answer");
    }
    for request in stage.first.take_requests() {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        assert!(!body.contains("\"include\""), "{body}");
    }
    let known = llmleaf_testkit::http::get(
        stage.leaf.addr,
        "/v1/models/chat",
        &[("authorization", &stage.bearer())],
    );
    let pricing = known.json();
    assert_eq!(pricing.text_at(&["pricing", "prompt"]), "0.000002");
    assert_eq!(pricing.text_at(&["pricing", "completion"]), "0.00001");
}
