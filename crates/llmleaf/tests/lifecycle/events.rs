//! What happens to a node is told to its controller among its usage.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use llmleaf_testkit::controller::{Controller, Misdeed, Part};
use llmleaf_testkit::json::{self, Value};
use llmleaf_testkit::replay::Script;
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{LONG, Stage};

use super::stage;

/// All events that were taken.
fn taken(controller: &Controller) -> Vec<Value> {
    let bodies = controller.pushed(Part::Usage);
    let each = bodies.iter().flat_map(|body| {
        let body = json::parse(body).expect("a push is JSON");
        body.elements_at(&["events"]).to_vec()
    });
    each.collect()
}

/// Waits until an event of that name was taken, with that status if it has one.
#[track_caller]
fn told(controller: &Controller, name: &str, status: &str) -> Value {
    let began = Instant::now();
    loop {
        let fits = |event: &&Value| {
            event.text_at(&["event"]) == name && event.text_at(&["status"]) == status
        };
        let events = taken(controller);
        if let Some(event) = events.iter().find(fits) {
            return event.clone();
        }
        assert!(began.elapsed() < LONG, "no {name} {status}: {events:?}");
        let all = controller.replay.requests().len();
        let _ = controller
            .replay
            .wait_requests(all + 1, Duration::from_millis(100));
    }
}

fn node(controller: &Controller, lifecycle: bool) -> Stage {
    let config = controller.config(&[Part::Usage, Part::Verdicts]);
    let config = match lifecycle {
        true => config.replace("lifecycle = false\n", ""),
        false => config,
    };
    let stage = stage().instead("fallback_cooldown_secs", "60");
    stage.key(&config).start()
}

#[test]
fn a_controller_is_told_what_happens_to_the_node() {
    let controller = Controller::start();
    // Nobody takes the first ones at once: they wait as usage does.
    controller.misbehave(Part::Usage, Misdeed::Status(503));
    let mut stage = node(&controller, true);
    let fails = |stage: &Stage| {
        stage.first.push(Script::json(
            500,
            Wire::Chat.error("server_error", "broken"),
        ));
        stage.post(Wire::Chat, "chat-first", false).1.status
    };
    let began = Instant::now();
    while !stage
        .leaf
        .log()
        .join("\n")
        .contains("a target is passed over")
    {
        assert!(began.elapsed() < LONG, "it never opens");
        fails(&stage);
    }
    controller.behave(Part::Usage);
    let started = told(&controller, "node_started", "");
    assert_eq!(started.u64_at(&["generation"]), Some(1));
    assert!(!started.text_at(&["node"]).is_empty());
    let open = told(&controller, "provider_health", "open");
    assert_eq!(open.text_at(&["provider"]), "chat-first");
    assert_eq!(open.text_at(&["upstream_model"]), "m-1");
    for (verdict, status) in [
        (r#"{"verdicts":{"stage":{"blocked":true}}}"#, "blocked"),
        (
            r#"{"verdicts":{"stage":{"suspended_until":99999999999}}}"#,
            "suspended",
        ),
        (r#"{"verdicts":{}}"#, "free"),
    ] {
        controller.set(Part::Verdicts, verdict);
        let event = told(&controller, "key_verdict", status);
        assert_eq!(event.text_at(&["key_id"]), "stage");
    }
    stage.leaf.signal("HUP");
    let reloaded = told(&controller, "config_reloaded", "");
    assert_eq!(reloaded.u64_at(&["generation"]), Some(2));
    stage.leaf.signal("TERM");
    let ended = stage.leaf.wait_exit(LONG);
    assert!(ended.is_some_and(|status| status.success()));
    told(&controller, "node_draining", "");
    let events = taken(&controller);
    let ids: BTreeSet<&str> = events.iter().map(|event| event.text_at(&["id"])).collect();
    assert_eq!(
        ids.len(),
        events.len(),
        "each has its own id, and comes once"
    );
    assert!(
        events
            .iter()
            .any(|event| event.text_at(&["event"]) == "usage")
    );
}

/// What a controller adds is refused at every pull, and told once, whatever is wrong with it and however early that is found.
#[test]
fn a_topology_that_is_refused_is_told_once() {
    let controller = Controller::start();
    let config = controller.config(&[Part::Usage, Part::Topology]);
    let config = config.replace("lifecycle = false\n", "");
    let _stage = stage().key(&config).start();
    told(&controller, "node_started", "");
    let refused = |count: usize| {
        let began = Instant::now();
        loop {
            let mut all = taken(&controller);
            all.retain(|event| event.text_at(&["event"]) == "config_refused");
            if all.len() >= count {
                return all;
            }
            assert!(began.elapsed() < LONG, "{count}: {all:?}");
            let asked = controller.replay.requests().len();
            let _ = (controller.replay).wait_requests(asked + 1, Duration::from_millis(100));
        }
    };
    // One is found to be wrong when it is read, the other when it is added.
    for (count, wrong) in [r#""else":1"#, r#""routes":[{"model":"x","targets":7}]"#]
        .iter()
        .enumerate()
    {
        controller.set(Part::Topology, &format!("{{\"providers\":[],{wrong}}}"));
        let all = refused(count + 1);
        let problems = all[count].elements_at(&["problems"]);
        let said = problems.first().and_then(Value::as_str);
        assert!(
            said.is_some_and(|said| said.starts_with("control.topology: ")),
            "{all:?}"
        );
    }
    // It is pulled again, and told no more. What is told is told before the next pull.
    let pulls = controller.asked(Part::Topology).len();
    while controller.asked(Part::Topology).len() < pulls + 2 {
        let asked = controller.replay.requests().len();
        assert!(
            controller.replay.wait_requests(asked + 1, LONG).is_some(),
            "it pulls no more"
        );
    }
    assert_eq!(refused(2).len(), 2);
}

#[test]
fn who_does_not_want_to_know_is_told_of_usage_alone() {
    let controller = Controller::start();
    let mut stage = node(&controller, false);
    stage
        .first
        .push(Script::json(200, Wire::Chat.whole("first answer")));
    assert_eq!(stage.post(Wire::Chat, "chat-first", false).1.status, 200);
    stage.leaf.signal("TERM");
    assert!(stage.leaf.wait_exit(LONG).is_some());
    let events = taken(&controller);
    let names: Vec<&str> = events
        .iter()
        .map(|event| event.text_at(&["event"]))
        .collect();
    assert_eq!(names, ["usage"]);
}
