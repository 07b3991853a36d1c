//! Batches that a node runs itself: through a crash, at two nodes with one directory, to one end. `LLMLEAF_KILLS=20` kills so often.

use super::{HASH, ME, YOU, lines};
use llmleaf_testkit::binary::{Llmleaf, played};
use llmleaf_testkit::http::{self, Connection, Response};
use llmleaf_testkit::json::Value;
use llmleaf_testkit::replay::{Gate, Replay, Script};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(30);

/// A directory that goes when this does.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("llmleaf-batches-{}-{name}", std::process::id()));
        Self(path)
    }

    pub fn path(&self) -> std::path::Display<'_> {
        self.0.display()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What is left in a temporary folder harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn config(replay: &Replay, directory: &Directory) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\ndrain_secs = 1\ntries_per_target = 1\nbatch_id_secret = \"a secret of all nodes\"\nstate_dir = \"{}\"\n\n\
         [[providers]]\nname = \"echo\"\nkind = \"echo\"\nprefix = \"echo\"\n\n\
         [[providers]]\nname = \"fake\"\nkind = \"cerebras\"\nendpoint = \"{}/v1\"\ncredential = \"CANARY-fake\"\nprefix = \"fake\"\n\n\
         [[keys]]\nid = \"me\"\npw_hash = \"{HASH}\"\n\n[[keys]]\nid = \"you\"\npw_hash = \"{HASH}\"\n",
        directory.path(),
        replay.url(),
    )
}

fn start(replay: &Replay, directory: &Directory) -> Llmleaf {
    let config = config(replay, directory);
    Llmleaf::with_config(played(env!("CARGO_BIN_EXE_llmleaf")), &config).start()
}

fn ask(node: &Llmleaf, key: (&str, &str), method: &str, path: &str, body: &str) -> Response {
    let mut line = Connection::open(node.addr);
    line.send(&http::request(method, path, &[key], body.as_bytes()));
    line.response()
}

fn get(node: &Llmleaf, path: &str) -> Value {
    let reply = ask(node, ME, "GET", path, "");
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.json()
}

/// Asks until a batch is as it should be.
#[track_caller]
fn wait(node: &Llmleaf, path: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + DEADLINE;
    loop {
        let batch = get(node, path);
        if fits(&batch) {
            return batch;
        }
        assert!(Instant::now() < until, "it stays {batch}");
        std::thread::yield_now();
    }
}

fn has_status(word: &'static str) -> impl Fn(&Value) -> bool {
    move |batch| batch.text_at(&["status"]) == word
}

fn requests(model: &str, count: usize) -> String {
    let each = (0..count).map(|at| {
        format!(
            "{{\"custom_id\":\"q {at}\",\"body\":{{\"model\":\"{model}\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"number {at}.\"}}]}}}}"
        )
    });
    format!("{{\"requests\":[{}]}}", each.collect::<Vec<_>>().join(","))
}

/// Makes a batch; its path.
fn make(node: &Llmleaf, body: &str) -> String {
    let made = ask(node, ME, "POST", "/v1/batches", body);
    assert_eq!(made.status, 200, "{}", made.text());
    format!("/v1/batches/{}", made.json().text_at(&["id"]))
}

/// The number that a request to the fake asks about.
fn number(text: &str) -> usize {
    let (_, rest) = text.split_once("number ").expect("a number");
    rest.split('.')
        .next()
        .and_then(|n| n.parse().ok())
        .expect("digits")
}

fn answered(at: usize) -> Script {
    Script::json(
        200,
        format!(
            "{{\"id\":\"c{at}\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":\"re {at}\"}},\"finish_reason\":\"stop\"}}],\"usage\":{{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}}}}"
        ),
    )
}

#[test]
fn echo_is_run_here_and_its_results_are_its_owners() {
    let directory = Directory::new("echo");
    let replay = Replay::start();
    let nodes = [start(&replay, &directory), start(&replay, &directory)];
    let path = make(&nodes[0], &requests("echo/x", 5));
    let done = wait(&nodes[1], &path, has_status("completed"));
    assert_eq!(done.u64_at(&["request_counts", "completed"]), Some(5));
    let results = lines(&ask(&nodes[1], ME, "GET", &format!("{path}/results"), ""));
    assert_eq!(results.len(), 5);
    for line in &results {
        let at = line
            .text_at(&["custom_id"])
            .trim_start_matches("q ")
            .to_owned();
        let said = line.elements_at(&["response", "body", "choices"]);
        assert!(
            said[0]
                .text_at(&["message", "content"])
                .contains(&format!("number {at}.")),
            "{line}"
        );
    }
    let file = format!("/v1/files/{}/content", done.text_at(&["output_file_id"]));
    assert_eq!(lines(&ask(&nodes[0], ME, "GET", &file, "")).len(), 5);
    for path in [&path, &file] {
        assert_eq!(ask(&nodes[0], YOU, "GET", path, "").status, 404);
    }
    let list = get(&nodes[0], "/v1/batches");
    assert_eq!(list.elements_at(&["data"]).len(), 1);
    let body = "{\"requests\":[{\"custom_id\":\"a\",\"params\":{\"model\":\"echo/x\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}}]}";
    let made = ask(&nodes[0], ME, "POST", "/v1/messages/batches", body).json();
    let path = format!("/v1/messages/batches/{}", made.text_at(&["id"]));
    let done = wait(&nodes[0], &path, |batch| {
        batch.text_at(&["processing_status"]) == "ended"
    });
    let results = lines(&ask(
        &nodes[1],
        ME,
        "GET",
        done.text_at(&["results_url"]),
        "",
    ));
    assert_eq!(
        results[0].text_at(&["result", "message", "type"]),
        "message",
        "{results:?}"
    );
    assert_eq!(ask(&nodes[1], ME, "DELETE", &path, "").status, 200);
    assert_eq!(ask(&nodes[0], ME, "GET", &path, "").status, 404);
}

#[test]
fn m2_a_batch_outlives_a_killed_node_and_asks_for_nothing_twice() {
    const COUNT: usize = 40;
    let directory = Directory::new("killed");
    let replay = Replay::start();
    let gate = Gate::new();
    // The second half waits, so that some are answered and some under way when the node goes.
    let held = gate.clone();
    replay.on(move |request| {
        let at = number(&request.text());
        let script = answered(at);
        if at < COUNT / 2 {
            script
        } else {
            script.hold_head(&held)
        }
    });
    let mut node = start(&replay, &directory);
    let path = make(&node, &requests("fake/m", COUNT));
    wait(&node, &path, |batch| {
        batch.u64_at(&["request_counts", "completed"]) == Some(COUNT as u64 / 2)
    });
    node.signal("KILL");
    assert!(node.wait_exit(DEADLINE).is_some());
    let before: Vec<usize> = replay
        .take_requests()
        .iter()
        .map(|r| number(&r.text()))
        .collect();
    gate.release();
    let node = start(&replay, &directory);
    let done = wait(&node, &path, has_status("completed"));
    assert_eq!(
        done.u64_at(&["request_counts", "completed"]),
        Some(COUNT as u64)
    );
    let after: Vec<usize> = replay
        .take_requests()
        .iter()
        .map(|r| number(&r.text()))
        .collect();
    assert!(
        after.iter().all(|at| *at >= COUNT / 2),
        "answered before: {after:?}"
    );
    assert!(
        before.len() <= COUNT && after.len() == COUNT / 2,
        "{before:?} {after:?}"
    );
    let results = lines(&ask(&node, ME, "GET", &format!("{path}/results"), ""));
    let mut ids: Vec<&str> = results
        .iter()
        .map(|line| line.text_at(&["custom_id"]))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((results.len(), ids.len()), (COUNT, COUNT));
}

/// How often the node is killed.
fn kills() -> usize {
    #[expect(
        clippy::disallowed_methods,
        reason = "how much a test does is asked of it from outside"
    )]
    let asked = std::env::var("LLMLEAF_KILLS").ok();
    asked.map_or(2, |text| text.parse().expect("a number"))
}

/// What is told as answered on the disk.
fn journaled(directory: &Directory) -> HashSet<usize> {
    let folders = std::fs::read_dir(directory.0.join("batches")).expect("a folder");
    let journals = folders.map(|folder| folder.expect("an entry").path().join("journal"));
    let text: String = journals
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .collect();
    // A line that the kill cut has no end.
    let whole = text.split_inclusive('\n').filter(|l| l.ends_with('\n'));
    whole
        .filter_map(|line| {
            let (_, rest) = line.split_once("\"id\":\"q ")?;
            rest.split('"').next()?.parse().ok()
        })
        .collect()
}

#[test]
fn m2_kills_in_the_middle_of_a_batch_lose_nothing_and_repeat_nothing_that_is_done() {
    let (kills, each) = (kills(), 300);
    let count = each * (kills + 1);
    let directory = Directory::new("kills");
    let replay = Replay::start();
    replay.on(|request| answered(number(&request.text())));
    let mut node = start(&replay, &directory);
    let path = make(&node, &requests("fake/m", count));
    let (mut asked, mut done) = (0, HashSet::new());
    for kill in 0..kills {
        // Each time at another moment of what goes on.
        let few = 10 + kill * 7 % 23;
        assert!(replay.wait_requests(few, DEADLINE).is_some());
        node.signal("KILL");
        assert!(node.wait_exit(DEADLINE).is_some());
        let more = replay.take_requests();
        let again = more.iter().map(|request| number(&request.text()));
        let again: Vec<usize> = again.filter(|at| done.contains(at)).collect();
        assert!(again.is_empty(), "done before: {again:?}");
        asked += more.len();
        done = journaled(&directory);
        assert!(done.len() < count, "it was over before kill {kill}");
        node = start(&replay, &directory);
    }
    let over = wait(&node, &path, has_status("completed"));
    let completed = over.u64_at(&["request_counts", "completed"]);
    assert_eq!(completed, Some(count as u64), "{over}");
    asked += replay.take_requests().len();
    let results = lines(&ask(&node, ME, "GET", &format!("{path}/results"), ""));
    let ids: HashSet<&str> = results
        .iter()
        .map(|line| line.text_at(&["custom_id"]))
        .collect();
    assert_eq!((results.len(), ids.len()), (count, count));
    let twice = asked - count;
    eprintln!("{kills} kills, {count} requests: {twice} were on their way and asked again");
    assert!(twice <= 16 * kills, "{twice}");
}

#[test]
fn m3_a_provider_that_is_away_for_a_moment_costs_a_batch_nothing() {
    let directory = Directory::new("away");
    let replay = Replay::start();
    let is_away = Arc::new(AtomicBool::new(true));
    let away = Arc::clone(&is_away);
    replay.on(move |request| {
        if away.load(Ordering::Relaxed) {
            return Script::json(500, "{\"error\":{\"message\":\"away\"}}");
        }
        let at = number(&request.text());
        match at {
            // It was answered, and that would be paid for again.
            0 => answered(at).close_at(40),
            _ => answered(at),
        }
    });
    let node = start(&replay, &directory);
    let path = make(&node, &requests("fake/m", 3));
    assert!(replay.wait_requests(3, DEADLINE).is_some());
    is_away.store(false, Ordering::Relaxed);
    let done = wait(&node, &path, has_status("completed"));
    let count = |name: &str| done.u64_at(&["request_counts", name]);
    assert_eq!((count("completed"), count("failed")), (Some(2), Some(1)));
    let asked = replay.take_requests();
    let cut = asked.iter().filter(|r| number(&r.text()) == 0);
    let results = lines(&ask(&node, ME, "GET", &format!("{path}/results"), ""));
    let told = results
        .iter()
        .find(|line| line.text_at(&["custom_id"]) == "q 0");
    let status = told.and_then(|line| line.u64_at(&["response", "status_code"]));
    assert_eq!(status, Some(502), "{results:?}");
    assert!(cut.count() >= 2, "{asked:?}");
}

#[test]
fn m3_what_may_have_been_paid_for_is_not_asked_for_again_after_another_target() {
    let directory = Directory::new("paid");
    let replay = Replay::start();
    replay.on(|request| match request.text().contains("\"model\":\"m\"") {
        true => answered(0).close_at(40),
        false => Script::json(500, "{\"error\":{\"message\":\"away\"}}"),
    });
    let node = start(&replay, &directory);
    let two = "\"model\":\"fake/m\",\"models\":[\"fake/n\"]";
    let file = requests("fake/m", 1).replacen("\"model\":\"fake/m\"", two, 1);
    assert!(file.contains(two), "{file}");
    let path = make(&node, &file);
    let done = wait(&node, &path, has_status("completed"));
    assert_eq!(done.u64_at(&["request_counts", "failed"]), Some(1));
    let asked = replay.take_requests();
    let of = |model: &str| asked.iter().filter(|r| r.text().contains(model)).count();
    assert!(of("\"model\":\"n\"") > 0, "{asked:?}");
    assert!(of("\"model\":\"m\"") <= 2, "{asked:?}");
}

#[test]
fn m4_a_batch_that_is_stopped_ends_once_and_tells_of_every_request() {
    const COUNT: usize = 30;
    let directory = Directory::new("stopped");
    let replay = Replay::start();
    let gate = Gate::new();
    let held = gate.clone();
    replay.on(move |request| answered(number(&request.text())).hold_head(&held));
    let node = start(&replay, &directory);
    let path = make(&node, &requests("fake/m", COUNT));
    assert!(gate.wait_reached(DEADLINE));
    let early = ask(&node, ME, "GET", &format!("{path}/results"), "");
    assert_eq!(early.json().text_at(&["error", "code"]), "batch_not_ready");
    let stopping = ask(&node, ME, "POST", &format!("{path}/cancel"), "").json();
    assert_eq!(stopping.text_at(&["status"]), "cancelling");
    gate.release();
    let done = wait(&node, &path, has_status("cancelled"));
    let count = |name: &str| done.u64_at(&["request_counts", name]).unwrap_or_default();
    assert!(count("canceled") > 0 && count("completed") > 0, "{done}");
    assert_eq!(count("total"), COUNT as u64);
    let again = ask(&node, ME, "POST", &format!("{path}/cancel"), "").json();
    assert!(again.same_meaning(&done), "{again}");
    let results = lines(&ask(&node, ME, "GET", &format!("{path}/results"), ""));
    assert_eq!(results.len(), COUNT);
    let stopped = results
        .iter()
        .filter(|line| line.text_at(&["error", "code"]) == "batch_cancelled");
    assert_eq!(stopped.count() as u64, count("canceled"));
    // One that is done cannot be stopped any more.
    let path = make(&node, &requests("echo/x", 1));
    let done = wait(&node, &path, has_status("completed"));
    let late = ask(&node, ME, "POST", &format!("{path}/cancel"), "").json();
    assert!(late.same_meaning(&done), "{late}");
}

#[test]
fn m2_a_batch_waits_for_a_key_that_is_not_known_yet() {
    let directory = Directory::new("unknown");
    let replay = Replay::start();
    let gate = Gate::new();
    let held = gate.clone();
    replay.on(move |request| answered(number(&request.text())).hold_head(&held));
    let mut node = start(&replay, &directory);
    let path = make(&node, &requests("fake/m", 1));
    assert!(gate.wait_reached(DEADLINE));
    node.signal("KILL");
    assert!(node.wait_exit(DEADLINE).is_some());
    gate.release();
    assert_eq!(replay.take_requests().len(), 1);
    // The next process does not know the key at first, as when the keys of a controller are still to come.
    let known = config(&replay, &directory);
    let unknown = known.replace("id = \"me\"", "id = \"else\"");
    let node = Llmleaf::with_config(played(env!("CARGO_BIN_EXE_llmleaf")), &unknown).start();
    let waits = |line: &str| line.contains("a batch waits for its key");
    assert!(node.wait_lines(1, DEADLINE, waits).is_some());
    assert!(replay.take_requests().is_empty());
    node.write_config(&known);
    node.signal("HUP");
    let reloaded = |line: &str| line.contains("configuration reloaded");
    assert!(node.wait_lines(1, DEADLINE, reloaded).is_some());
    let done = wait(&node, &path, has_status("completed"));
    assert_eq!(
        done.u64_at(&["request_counts", "completed"]),
        Some(1),
        "{done}"
    );
    assert_eq!(replay.take_requests().len(), 1);
}

/// A node that was killed while it ran this many requests, and has a batch of them at that path. Nobody was answered.
fn killed(replay: &Replay, directory: &Directory, count: usize) -> String {
    let gate = Gate::new();
    let held = gate.clone();
    replay.on(move |request| answered(number(&request.text())).hold_head(&held));
    let mut node = start(replay, directory);
    let path = make(&node, &requests("fake/m", count));
    assert!(gate.wait_reached(DEADLINE));
    node.signal("KILL");
    assert!(node.wait_exit(DEADLINE).is_some());
    gate.release();
    replay.on(|request| answered(number(&request.text())));
    assert!(!replay.take_requests().is_empty());
    path
}

#[test]
fn m3_a_model_that_leads_nowhere_for_a_moment_costs_a_batch_nothing() {
    let directory = Directory::new("renamed");
    let replay = Replay::start();
    let path = killed(&replay, &directory, 2);
    let known = config(&replay, &directory);
    let renamed = known.replace("prefix = \"fake\"", "prefix = \"other\"");
    let node = Llmleaf::with_config(played(env!("CARGO_BIN_EXE_llmleaf")), &renamed).start();
    let waits = |line: &str| line.contains("a model of a batch leads nowhere any more");
    assert!(node.wait_lines(2, DEADLINE, waits).is_some());
    let batch = get(&node, &path);
    assert_eq!(
        batch.u64_at(&["request_counts", "failed"]),
        Some(0),
        "{batch}"
    );
    assert!(replay.take_requests().is_empty());
    node.write_config(&known);
    node.signal("HUP");
    let done = wait(&node, &path, has_status("completed"));
    assert_eq!(
        done.u64_at(&["request_counts", "completed"]),
        Some(2),
        "{done}"
    );
}

#[test]
fn m3_a_batch_whose_requests_are_damaged_ends_and_says_so() {
    let each: [fn(&mut Vec<String>); 3] = [
        // A block that the disk lost.
        |lines| lines[1] = "\0".repeat(40),
        |lines| lines.truncate(2),
        |lines| lines.clear(),
    ];
    for (number, damage) in each.into_iter().enumerate() {
        let directory = Directory::new(&format!("damaged-{number}"));
        let replay = Replay::start();
        let path = killed(&replay, &directory, 3);
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").path();
        let batches = directory.0.join("batches");
        let folders = std::fs::read_dir(batches).expect("batches").map(name);
        let mut inputs = folders.map(|folder| folder.join("input.jsonl"));
        let input = inputs.find(|input| input.exists()).expect("an input");
        let text = std::fs::read_to_string(&input).expect("it is text");
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        damage(&mut lines);
        let left = lines.iter().filter(|line| line.starts_with('{')).count();
        match left {
            0 => std::fs::remove_file(&input).expect("it goes"),
            _ => std::fs::write(&input, lines.join("\n")).expect("it is written"),
        }
        let node = start(&replay, &directory);
        let batch = wait(&node, &path, has_status("failed"));
        let count = |name: &str| batch.u64_at(&["request_counts", name]).expect("a count");
        assert_eq!(count("completed"), left as u64, "{batch}");
        assert_eq!(count("failed"), 3 - left as u64, "{batch}");
        let problems = batch.elements_at(&["errors", "data"]);
        let codes: Vec<_> = problems.iter().map(|one| one.text_at(&["code"])).collect();
        assert_eq!(codes, ["input_damaged"], "{batch}");
        assert_eq!(replay.take_requests().len(), left);
    }
}
