use super::*;
use llmleaf_exchange::{Cost, End, Grade, Outcome, UsageRecord};
use serde_json::Value;

fn began(id: &str) -> Began {
    Began {
        id: id.into(),
        request_id: "r".into(),
        at_ms: 1_795_651_200_000,
        key: "team".into(),
        dialect: "chat_completions",
        operation: "chat",
        model: "smart".into(),
        stream: true,
        trace: None,
    }
}

fn record(id: &str) -> Arc<EndRecord> {
    let usage = llmleaf_model::Usage {
        input: 10,
        input_cache_read: 90,
        input_cache_write: 5,
        input_cache_write_1h: 6,
        output: 20,
        output_reasoning: 3,
        ..llmleaf_model::Usage::default()
    };
    let attempt = UsageRecord {
        id: format!("{id}-1"),
        request_id: "r".into(),
        attempt: 1,
        key: "team".into(),
        dialect: "chat_completions",
        model: "smart".into(),
        provider: "p".into(),
        upstream_model: "m".into(),
        credential: 0,
        stream: true,
        outcome: Outcome::Completed,
        failure: None,
        status: Some(200),
        grade: Grade::Reported,
        usage,
        cost: Cost::Computed(1_234_567),
        possibly_billed: false,
        losses: vec!["seed: dropped".to_owned()],
        began_ms: 0,
        connect_ms: Some(2),
        first_content_ms: Some(3),
        chunks: llmleaf_exchange::Chunks::default(),
        total_ms: 4,
    };
    Arc::new(EndRecord {
        began: began(id),
        route: Some("smart".into()),
        end: End::Completed,
        failure: None,
        status: Some(200),
        attempts: vec![attempt],
        trail: None,
        queue_ms: 0,
        first_content_ms: Some(3),
        total_ms: 4,
        own_us: 55,
    })
}

fn events(spool: &Spool) -> Vec<Value> {
    let batch = spool.batch(100, usize::MAX).expect("it can be read");
    let body = batch.joined("{\"events\":[", "]}");
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    body["events"].as_array().expect("a list").clone()
}

#[test]
fn an_exchange_is_one_event_that_controllers_know() {
    let usage = Usage::start(Spool::in_memory(Bounds::of(1 << 20)), None).expect("a thread");
    let sink = usage.sink();
    sink.ended(&record("a"));
    usage.flush();
    let events = events(usage.spool());
    assert_eq!(events.len(), 1);
    let event = &events[0];
    for (name, value) in [
        ("event", Value::from("usage")),
        ("id", "a".into()),
        ("key", "team".into()),
        ("model", "smart".into()),
        ("outcome", "completed".into()),
        ("usage_source", "provider".into()),
        ("seq", 1.into()),
    ] {
        assert_eq!(event[name], value, "{name}");
    }
    assert!(event["ts_ms"].is_u64());
    let counts = &event["usage"];
    for (name, value) in [
        ("prompt_tokens", 111),
        ("completion_tokens", 23),
        ("total_tokens", 134),
        ("cache_read_tokens", 90),
        ("cache_creation_tokens", 11),
    ] {
        assert_eq!(counts[name], value, "{name}");
    }
    assert_eq!(counts["cost_usd"], 0.001_234_567);
    assert_eq!(event["attempts"][0]["losses"][0], "seed: dropped");
    assert_eq!(usage.gauges().1, 0);
}

#[test]
fn h4_what_was_running_when_the_process_died_is_told_once() {
    let name = format!("llmleaf-usage-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    let bounds = Bounds::of(1 << 20);
    let usage = Usage::lasting(&folder, bounds).expect("it opens");
    let sink = usage.sink();
    let begins = ["a", "b", "c"].map(began);
    sink.keep(begins.into()).expect("it is owed");
    sink.ended(&record("b"));
    usage.flush();
    // As after a kill: nobody says anything any more.
    let copy = folder.with_extension("copy");
    let _ = std::fs::remove_dir_all(&copy);
    std::fs::create_dir_all(&copy).expect("made");
    for entry in std::fs::read_dir(&folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let to = copy.join(path.file_name().expect("a name"));
        std::fs::copy(&path, to).expect("copied");
    }
    let told = |folder: &Path| {
        let usage = Usage::lasting(folder, bounds).expect("it opens");
        let all = events(usage.spool());
        let mut all: Vec<(String, String)> = all
            .iter()
            .map(|e| [&e["id"], &e["outcome"]].map(|v| v.as_str().unwrap().to_owned()))
            .map(|[id, outcome]| (id, outcome))
            .collect();
        all.sort();
        all
    };
    let expected = [("a", "crashed"), ("b", "completed"), ("c", "crashed")];
    let expected = expected.map(|(id, outcome)| (id.to_owned(), outcome.to_owned()));
    assert_eq!(told(&copy), expected);
    for folder in [folder, copy] {
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// A folder that goes with the test.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("llmleaf-usage-{}-{test}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("made");
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn h2_an_end_without_room_leaves_no_begin() {
    /// Writes nothing before it may.
    struct Held(std::sync::mpsc::Receiver<()>);
    impl Pen<Note> for Held {
        fn write(&mut self, _: Note, _: &mut Vec<Vec<u8>>) {
            let _ = self.0.recv();
        }
    }
    let folder = Folder::new("room");
    let (release, held) = std::sync::mpsc::channel();
    let spool = Spool::in_memory(Bounds::of(1 << 20));
    let usage = Usage {
        scribe: Scribe::start(spool.clone(), 1, Held(held)).expect("a thread"),
        spool,
        missed: Missed::default(),
        lasting: true,
        doubt: Arc::default(),
        told_as: Arc::default(),
    };
    for id in ["a", "b", "c"] {
        usage.ended(&record(id));
    }
    drop(release);
    assert!(
        usage.gauges().1 >= 1,
        "at most one waits, and one is written"
    );
    // What the thread that writes makes of it, whether the begin was noted before or is still on its way.
    let (open, _) = Open::recover(&folder.0).expect("it opens");
    let mut events = Events::new(Some(open), usage.missed.clone(), Arc::default());
    let mut records = Vec::new();
    events.write(Note::Began(vec![began("c")], nobody()), &mut records);
    events.kept();
    events.write(Note::Ended(record("d")), &mut records);
    usage.missed.add(&"late".into());
    events.kept();
    events.write(Note::Began(vec![began("late")], nobody()), &mut records);
    events.write(Note::Began(vec![began("lives")], nobody()), &mut records);
    events.kept();
    let (_, left) = Open::recover(&folder.0).expect("it opens");
    let left: Vec<Value> = left
        .iter()
        .map(|l| serde_json::from_slice(l).expect("JSON"))
        .collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0]["id"], "lives");
    events.write(Note::Ended(record("e")), &mut records);
    let seq = |at: usize| {
        let event: Value = serde_json::from_slice(&records[at]).expect("JSON");
        event["seq"].as_u64().expect("a number")
    };
    assert!(seq(1) > seq(0) + 1, "the gap shows");
}

#[test]
fn h5_a_place_that_cannot_be_used_keeps_nobody_from_starting() {
    let folder = Folder::new("places");
    // No folder can be made where a file lies, nor read where its lock is a folder.
    std::fs::write(folder.0.join("0"), "odd").expect("written");
    std::fs::create_dir_all(folder.0.join("2/lock")).expect("made");
    let usage = Usage::in_a_place(&folder.0, Bounds::of(1 << 20)).expect("it starts");
    usage.sink().ended(&record("a"));
    usage.flush();
    assert_eq!(events(usage.spool()).len(), 1);
    assert!(folder.0.join("1/lock").is_file());
    let odd = folder.0.join("odd");
    std::fs::write(&odd, "odd").expect("written");
    assert!(
        Usage::in_a_place(&odd, Bounds::of(1 << 20)).is_err(),
        "no place at all"
    );
}

/// The end of a word that nobody waits for.
fn nobody() -> Owed {
    Owed(oneshot::channel().0, Instant::now())
}

/// A fault in one note of a group costs neither the others nor the word that is owed, and leaves a trace of the one.
#[test]
fn h4_a_fault_in_one_begin_costs_no_other() {
    let folder = Folder::new("fault");
    let (open, _) = Open::recover(&folder.0).expect("it opens");
    let mut events = Events::new(Some(open), Missed::default(), Arc::default());
    events.told = |began| match &*began.id {
        "odd" => panic!("a fault"),
        _ => event::crashed(began),
    };
    let (word, mut given) = oneshot::channel();
    let group = ["a", "odd", "b"].map(began).into();
    let note = Note::Began(group, Owed(word, Instant::now()));
    events.write(note, &mut Vec::new());
    assert!(given.try_recv().is_err(), "nothing is kept yet");
    events.kept();
    assert!(given.try_recv().is_ok());
    let (_, left) = Open::recover(&folder.0).expect("it opens");
    let parsed = |left: &Vec<u8>| serde_json::from_slice::<Value>(left).expect("JSON");
    let mut left: Vec<Value> = left.iter().map(parsed).collect();
    left.sort_by_key(|event| event["id"].to_string());
    let ids: Vec<_> = left.iter().map(|event| event["id"].clone()).collect();
    assert_eq!(ids, ["a", "b", "odd"]);
    assert!(left.iter().all(|event| event["outcome"] == "crashed"));
}

/// Nothing is flushed here: what is owed is given as soon as a kill cannot take it away.
#[test]
fn h4_who_waits_for_a_begin_hears_of_it_when_it_is_kept() {
    let name = format!("llmleaf-begins-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    let usage = Usage::lasting(&folder, Bounds::of(1 << 20)).expect("it opens");
    let sink = usage.sink();
    for id in ["first", "second"] {
        let mut pledge = sink.keep(vec![began(id)]).expect("it is owed");
        let kept = std::future::poll_fn(|cx| pledge.poll(cx));
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(kept);
        let open = std::fs::read_to_string(folder.join("open")).expect("notes");
        assert!(open.contains(&format!("+{id} ")), "{open}");
    }
    let memory = Usage::start(Spool::in_memory(Bounds::of(1 << 20)), None).expect("a thread");
    assert!(!memory.sink().keeps_begins(), "nothing lasts");
    drop((sink, usage));
    let _ = std::fs::remove_dir_all(&folder);
}
