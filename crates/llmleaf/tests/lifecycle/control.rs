//! A node and its controller: what is pulled takes effect, and whatever the controller does wrong changes nothing.

use std::time::{Duration, Instant};

use llmleaf_testkit::binary::Llmleaf;
use llmleaf_testkit::controller::{Controller, Misdeed, Part, TOKEN};
use llmleaf_testkit::http::{Connection, End, Response, get, post, request};
use llmleaf_testkit::json::Value;
use llmleaf_testkit::replay::{Gate, Replay, Script};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::sessions::Sessions;
use llmleaf_testkit::stage::{LONG, Stage};
use llmleaf_testkit::websocket::Socket;

use super::{answer, stage};

const ADMIN: (&str, &str) = ("x-admin-token", "canary-admin-token-Zx81");

/// A key that only the controller knows: its credential, and its row.
pub fn pulled_key(id: &str) -> (String, String) {
    let exe = env!("CARGO_BIN_EXE_llmleaf");
    let args = ["key", "new", "--id", id];
    let (status, out, err) = Llmleaf::with_config(exe, "").args(&args).run();
    assert!(status.success(), "key new: {err}");
    let part = |before: &str, after: char| {
        let rest = out.split(before).nth(1).expect("it is told");
        rest.split(after).next().expect("it ends").trim().to_owned()
    };
    let hash = part("pw_hash = '", '\'');
    let credential = part("Bearer ", '\n');
    (
        credential,
        format!("{{\"id\":\"{id}\",\"pw_hash\":\"{hash}\"}}"),
    )
}

fn keys(rows: &[&str]) -> String {
    format!("{{\"keys\":[{}]}}", rows.join(","))
}

/// A node that pulls these parts.
fn node(controller: &Controller, parts: &[Part]) -> Stage {
    let server = format!("admin_token = \"{}\"", ADMIN.1);
    stage()
        .server(&server)
        .key(&controller.config(parts))
        .start()
}

/// Asks the first provider something with that credential.
fn ask(stage: &Stage, credential: &str) -> Response {
    stage.first.push(answer(Wire::Chat, "first answer"));
    let bearer = format!("Bearer {credential}");
    let body = Wire::Chat.request("chat-first", true);
    post(
        stage.leaf.addr,
        "/v1/chat/completions",
        &[("authorization", &bearer)],
        &body,
    )
}

/// Waits until the controller was asked for that part so many times more.
#[track_caller]
fn asked_again(controller: &Controller, part: Part, times: usize) {
    let wanted = controller.asked(part).len() + times;
    let began = Instant::now();
    while controller.asked(part).len() < wanted {
        let all = controller.replay.requests().len();
        let more = controller.replay.wait_requests(all + 1, LONG);
        assert!(more.is_some() && began.elapsed() < LONG, "it asks no more");
    }
}

/// Waits until asking with that credential is answered so.
#[track_caller]
fn until(stage: &Stage, controller: &Controller, credential: &str, status: u16) -> Response {
    let began = Instant::now();
    loop {
        let response = ask(stage, credential);
        if response.status == status {
            return response;
        }
        assert!(
            began.elapsed() < LONG,
            "status {}: {}",
            response.status,
            response.text()
        );
        let all = controller.replay.requests().len();
        assert!(controller.replay.wait_requests(all + 1, LONG).is_some());
    }
}

fn pulled(stage: &Stage, what: &str) -> Value {
    let health = get(stage.leaf.addr, "/admin/health", &[ADMIN]).json();
    let control = health
        .get("control")
        .expect("how things are with the controller");
    control.get(what).cloned().expect("it is pulled")
}

/// Nothing of what must stay between node and controller is in the log.
#[track_caller]
fn nothing_leaks(stage: &Stage) {
    let log = stage.leaf.log().join("\n");
    for secret in [TOKEN, "canary-of-the-controller", "canary-page"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn g1_a_node_without_its_roster_says_that_it_is_not_ready() {
    let controller = Controller::start();
    let (credential, row) = pulled_key("pulled");
    controller.set(Part::Keys, &keys(&[&row]));
    controller.misbehave(Part::Keys, Misdeed::Status(500));
    let stage = node(&controller, &[Part::Keys]);
    assert_eq!(get(stage.leaf.addr, "/healthz", &[]).status, 200);
    assert_eq!(get(stage.leaf.addr, "/readyz", &[]).status, 503);
    let response = ask(&stage, &credential);
    assert_eq!(response.status, 503);
    assert!(response.header("retry-after").is_some());
    let code = response.json();
    assert_eq!(code.text_at(&["error", "code"]), "identity_unavailable");
    assert_eq!(
        ask(&stage, &stage.key).status,
        200,
        "the file's keys are known"
    );
    controller.behave(Part::Keys);
    let response = until(&stage, &controller, &credential, 200);
    assert_eq!(Wire::Chat.read(&response).text(), "first answer");
    assert_eq!(get(stage.leaf.addr, "/readyz", &[]).status, 200);
    let wrong = ask(&stage, &credential.replace("llk_", "llx_"));
    assert_eq!(wrong.status, 401, "now that it can be told");
    nothing_leaks(&stage);
}

#[test]
fn f10_what_the_controller_says_of_a_key_is_heeded() {
    let controller = Controller::start();
    let (credential, row) = pulled_key("pulled");
    controller.set(Part::Keys, &keys(&[&row]));
    let stage = node(&controller, &[Part::Keys, Part::Verdicts]);
    assert_eq!(
        ask(&stage, &credential).status,
        200,
        "pulled before it listens"
    );
    controller.set(
        Part::Verdicts,
        r#"{"verdicts":{"pulled":{"blocked":true}}}"#,
    );
    let blocked = until(&stage, &controller, &credential, 403);
    assert_eq!(blocked.json().text_at(&["error", "code"]), "key_blocked");
    controller.set(
        Part::Verdicts,
        r#"{"verdicts":{"pulled":{"suspended_until":99999999999}}}"#,
    );
    let suspended = until(&stage, &controller, &credential, 429);
    let wait = suspended
        .header("retry-after")
        .and_then(|text| text.parse::<u64>().ok());
    assert!(wait.is_some_and(|wait| wait > 1_000_000), "{wait:?}");
    controller.set(
        Part::Verdicts,
        r#"{"verdicts":{"pulled":{"suspended_until":1,"allowed_models":["mess*"]}}}"#,
    );
    let narrowed = until(&stage, &controller, &credential, 403);
    assert_eq!(
        narrowed.json().text_at(&["error", "code"]),
        "permission_denied"
    );
    let shown = get(stage.leaf.addr, "/admin/keys", &[ADMIN]).json();
    let shown = shown.elements_at(&["keys"]);
    let shown = shown
        .iter()
        .find(|key| key.text_at(&["key_id"]) == "pulled");
    assert_eq!(
        shown.map(|key| key.text_at(&["source"])),
        Some("controller")
    );
    controller.set(Part::Verdicts, r#"{"verdicts":{}}"#);
    until(&stage, &controller, &credential, 200);
    controller.set(Part::Keys, &keys(&[]));
    until(&stage, &controller, &credential, 401);
    nothing_leaks(&stage);
}

/// Before the first word of an answer nothing wakes what waits for it but the look at the callers.
#[test]
fn f10_what_waits_for_its_first_word_is_cut_too() {
    for stream in [false, true] {
        let controller = Controller::start();
        let (credential, row) = pulled_key("pulled");
        controller.set(Part::Keys, &keys(&[&row]));
        let config = controller.config(&[Part::Keys, Part::Verdicts]);
        let config = config.replace("[control.limits]", "[control.limits]\non_block = \"cut\"");
        let stage = stage().key(&config).start();
        let bearer = format!("Bearer {credential}");
        let gate = Gate::new();
        let answer = Script::json(200, Wire::Chat.whole("first answer"));
        stage.first.push(answer.hold_head(&gate));
        let mut connection = Connection::open(stage.leaf.addr);
        connection.send(&request(
            "POST",
            "/v1/chat/completions",
            &[("authorization", &bearer)],
            Wire::Chat.request("chat-first", stream).as_bytes(),
        ));
        assert!(stage.first.wait_requests(1, LONG).is_some(), "it waits");
        controller.set(
            Part::Verdicts,
            r#"{"verdicts":{"pulled":{"blocked":true}}}"#,
        );
        let cut = connection.response();
        assert_eq!(cut.status, 403, "{}", cut.text());
        assert_eq!(Wire::Chat.read_error(&cut).code, "key_blocked");
        gate.release();
    }
}

/// A running stream of a caller that is turned away goes on, or is cut where that is asked for: with an error, and its upstream with it.
#[test]
fn f10_what_runs_for_a_blocked_key_ends_as_it_was_asked_for() {
    for cut in [false, true] {
        let controller = Controller::start();
        let (credential, row) = pulled_key("pulled");
        controller.set(Part::Keys, &keys(&[&row]));
        let config = controller.config(&[Part::Keys, Part::Verdicts]);
        let on_block = [
            "[control.limits]\non_block = \"finish\"",
            "[control.limits]\non_block = \"cut\"",
        ];
        let config = config.replace("[control.limits]", on_block[usize::from(cut)]);
        let stage = stage().key(&config).start();
        let gate = Gate::new();
        let stream = Wire::Chat.stream("first answer");
        let at = stream.until(1).len();
        let held = Script::sse(stream.body()).hold_at(at, &gate);
        let mut running: Vec<Connection> = [credential.as_str(), &stage.key]
            .map(|credential| {
                stage.first.push(held.clone());
                let bearer = format!("Bearer {credential}");
                let mut connection = Connection::open(stage.leaf.addr);
                connection.send(&request(
                    "POST",
                    "/v1/chat/completions",
                    &[("authorization", &bearer)],
                    Wire::Chat.request("chat-first", true).as_bytes(),
                ));
                connection.read_to("first ");
                connection
            })
            .into();
        let verdicts = r#"{"verdicts":{"pulled":{"blocked":true}}}"#;
        controller.set(Part::Verdicts, verdicts);
        if !cut {
            until(&stage, &controller, &credential, 403);
            gate.release();
        }
        let blocked = running[0].response();
        let digest = Wire::Chat.read(&blocked);
        if cut {
            assert_ne!(blocked.end, End::Clean, "a cut stream never ends well");
            assert_eq!((digest.text(), digest.terminal), ("first ", false));
            let error = digest.error.expect("an error in the stream");
            assert_eq!(error.code, "key_blocked");
            gate.release();
        } else {
            assert_eq!((blocked.end, digest.text()), (End::Clean, "first answer"));
        }
        let other = running[1].response();
        assert_eq!(
            Wire::Chat.read(&other).text(),
            "first answer",
            "another key's"
        );
    }
}

/// A row of the controller's says what its key may ask for, and another one says it anew.
#[test]
fn f14_a_pulled_key_has_limits_of_its_own() {
    let controller = Controller::start();
    let (credential, row) = pulled_key("pulled");
    let limited = |most: u32| {
        let limits = format!(",\"limits\":{{\"requests_per_min\":{most}}}}}");
        keys(&[&[row.trim_end_matches('}'), &limits].concat()])
    };
    controller.set(Part::Keys, &limited(2));
    let stage = node(&controller, &[Part::Keys]);
    let first = ask(&stage, &credential);
    assert_eq!(first.status, 200, "{}", first.text());
    assert_eq!(first.header("x-ratelimit-limit-requests"), Some("2"));
    assert_eq!(ask(&stage, &credential).status, 200);
    let over = ask(&stage, &credential);
    assert_eq!(over.status, 429, "{}", over.text());
    assert!(over.header("retry-after").is_some());
    assert_eq!(ask(&stage, &stage.key).status, 200, "a key of the file");
    controller.set(Part::Keys, &limited(600));
    until(&stage, &controller, &credential, 200);
}

/// Whatever the controller answers, the last good roster stays, the node serves, and nothing of it is sent anywhere else.
#[test]
fn g4_g7_whatever_a_controller_does_wrong_changes_nothing() {
    let controller = Controller::start();
    let elsewhere = Replay::start();
    let (credential, row) = pulled_key("pulled");
    controller.set(Part::Keys, &keys(&[&row]));
    let stage = node(&controller, &[Part::Keys]);
    let gate = Gate::new();
    let wrong = [
        ("status", Misdeed::Status(500)),
        (
            "status",
            Misdeed::Redirect(format!("{}/llmleaf/keys", elsewhere.url())),
        ),
        ("shape", Misdeed::Html),
        ("shape", Misdeed::Says(keys(&[&row, &row]))),
        ("transport", Misdeed::Cut(20)),
        ("rollback", Misdeed::Version("0".to_owned())),
    ];
    for (kind, misdeed) in wrong {
        controller.misbehave(Part::Keys, misdeed);
        asked_again(&controller, Part::Keys, 2);
        let state = pulled(&stage, "identity");
        assert!(
            state.u64_at(&["troubles", kind]).is_some(),
            "{kind}: {state:?}"
        );
        assert_eq!(ask(&stage, &credential).status, 200, "{kind}");
    }
    assert_eq!(elsewhere.requests().len(), 0, "redirects are not followed");
    controller.misbehave(Part::Keys, Misdeed::Slow(20, gate.clone()));
    asked_again(&controller, Part::Keys, 1);
    assert_eq!(ask(&stage, &credential).status, 200, "while it is slow");
    controller.behave(Part::Keys);
    gate.release();
    asked_again(&controller, Part::Keys, 2);
    assert_eq!(controller.refused(), 0);
    nothing_leaks(&stage);
}

#[test]
fn what_is_pulled_stands_beside_the_file_and_takes_effect_as_a_whole() {
    let controller = Controller::start();
    let third = Replay::start();
    let topology = |more: &str| {
        let url = third.url();
        format!(
            r#"{{"providers":[{{"name":"third","kind":"openai","endpoint":"{url}/v1","credential":"sk-canary-pulled"}}],
            "routes":[{{"model":"pulled","targets":[{{"provider":"third","model":"m"}}]}},
            {{"model":"chat-first","targets":[{{"provider":"third"}}]}}{more}]}}"#
        )
    };
    controller.set(Part::Topology, &topology(""));
    let stage = node(&controller, &[Part::Topology]);
    let to = |model: &str| {
        third.push(answer(Wire::Chat, "first answer"));
        stage.post(Wire::Chat, model, true).1.status
    };
    assert_eq!(to("pulled"), 200, "pulled before it listens");
    assert_eq!(third.requests().len(), 1);
    assert_eq!(ask(&stage, &stage.key).status, 200);
    assert_eq!(third.requests().len(), 1, "what the file says stands");
    controller.set(
        Part::Topology,
        &topology(r#",{"model":"worse","targets":7}"#),
    );
    asked_again(&controller, Part::Topology, 2);
    assert_eq!(to("pulled"), 200);
    assert!(
        pulled(&stage, "topology")
            .u64_at(&["troubles", "refused"])
            .is_some()
    );
    controller.set(
        Part::Topology,
        &topology(r#",{"model":"better","targets":[{"provider":"third","model":"m"}]}"#),
    );
    asked_again(&controller, Part::Topology, 2);
    assert_eq!(to("better"), 200);
    stage.leaf.signal("HUP");
    let reloaded = |line: &str| line.contains("nothing changed");
    assert!(stage.leaf.wait_lines(1, LONG, reloaded).is_some());
    assert_eq!(to("better"), 200, "a reload of the file keeps it");
    let log = stage.leaf.log().join("\n");
    assert!(!log.contains("sk-canary-pulled"));
    nothing_leaks(&stage);
}

/// A key with a budget spends what this node was granted, and no more; what it spent is told.
#[test]
fn a_key_with_a_budget_spends_its_slice_and_no_more() {
    let controller = Controller::start();
    let (credential, row) = pulled_key("pulled");
    controller.set(Part::Keys, &keys(&[&row]));
    controller.set(Part::Verdicts, r#"{"verdicts":{"pulled":{"leased":true}}}"#);
    let granted = r#"{"leases":[{"key":"pulled","lease":"l-1","granted":{"requests":2},
        "expires_in_secs":600,"exhausted_secs":60}]}"#;
    controller.answer(Part::Leases, granted);
    let stage = node(&controller, &[Part::Keys, Part::Verdicts, Part::Leases]);
    for _ in 0..2 {
        assert_eq!(ask(&stage, &credential).status, 200);
    }
    let over = ask(&stage, &credential);
    assert_eq!(over.status, 429);
    assert_eq!(over.json().text_at(&["error", "code"]), "budget_exhausted");
    let wait = over
        .header("retry-after")
        .and_then(|text| text.parse::<u64>().ok());
    assert!(
        wait.is_some_and(|wait| (30..=60).contains(&wait)),
        "{wait:?}"
    );
    let form =
        "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nchat-first\r\n--b--\r\n";
    let bearer = format!("Bearer {credential}");
    let kind = ("content-type", "multipart/form-data; boundary=b");
    let headers = [("authorization", bearer.as_str()), kind];
    let mut connection = Connection::open(stage.leaf.addr);
    let path = "/v1/audio/transcriptions";
    connection.send(&request("POST", path, &headers, form.as_bytes()));
    let over = connection.response();
    assert_eq!(over.status, 429, "uploads are no way around it");
    assert_eq!(over.json().text_at(&["error", "code"]), "budget_exhausted");
    assert_eq!(ask(&stage, &stage.key).status, 200, "a key without one");
    let told = controller.pushed(Part::Leases);
    let first = told.first().expect("it was asked for");
    assert!(
        first.contains("\"key\":\"pulled\"") && first.contains("\"want\":{"),
        "{first}"
    );
    nothing_leaks(&stage);
}

/// A session takes of its key's budget with each answer, and what each used is told while it goes on.
#[test]
fn a_session_spends_its_slice_answer_by_answer() {
    let controller = Controller::start();
    let (credential, row) = pulled_key("pulled");
    controller.set(Part::Keys, &keys(&[&row]));
    controller.set(Part::Verdicts, r#"{"verdicts":{"pulled":{"leased":true}}}"#);
    let granted = r#"{"leases":[{"key":"pulled","lease":"l-1","granted":{"requests":2},
        "expires_in_secs":600,"exhausted_secs":60}]}"#;
    controller.answer(Part::Leases, granted);
    let vendor = Sessions::start();
    let config = format!(
        "{}\n[[providers]]\nname = \"talks\"\nkind = \"openai\"\nendpoint = \"{}\"\ncredential = \"CANARY-talks\"\nprefix = \"talks\"\n",
        controller.config(&[Part::Keys, Part::Verdicts, Part::Leases]),
        vendor.url()
    );
    let stage = stage().key(&config).start();
    let bearer = format!("Bearer {credential}");
    let path = "/v1/realtime?model=talks/gpt-realtime";
    let open = || Socket::open(stage.leaf.addr, path, &[("authorization", &bearer)]);
    let (mut consumer, mut provider) = std::thread::scope(|scope| {
        let provider = scope.spawn(|| {
            let mut session = vendor.next();
            session.send(r#"{"type":"session.created","session":{}}"#);
            session
        });
        let opened = open().map_err(|reply| reply.text()).expect("a session");
        (opened, provider.join().expect("a session"))
    });
    consumer.text();
    let create = r#"{"type":"response.create"}"#;
    for id in ["resp_1", "resp_2"] {
        consumer.send(create);
        assert_eq!(provider.text(), create, "{id}");
        provider.send(&format!(r#"{{"type":"response.done","response":{{"id":"{id}","status":"completed","usage":{{"total_tokens":77,"input_tokens":70,"output_tokens":7}}}}}}"#));
        assert!(consumer.text().contains(id));
    }
    consumer.send(create);
    let refused = consumer.text();
    assert!(refused.contains("budget_exhausted"), "{refused}");
    let other = open().err().map(|reply| reply.status);
    assert_eq!(other, Some(429), "another session");
    // While it still goes on, the controller hears of the first answer.
    let began = Instant::now();
    let told = || controller.pushed(Part::Leases).concat();
    while !told().contains("\"tokens\":77") {
        assert!(began.elapsed() < LONG, "{}", told());
        let all = controller.replay.requests().len();
        let _ = controller
            .replay
            .wait_requests(all + 1, Duration::from_millis(100));
    }
    nothing_leaks(&stage);
}

/// What the controller does not take waits, and comes once it does, under the id that it had; the last of it before the program ends.
#[test]
fn h2_h3_usage_is_pushed_when_the_controller_takes_it() {
    let controller = Controller::start();
    controller.misbehave(Part::Usage, Misdeed::Status(503));
    let mut stage = node(&controller, &[Part::Usage]);
    assert_eq!(ask(&stage, &stage.key).status, 200);
    asked_again(&controller, Part::Usage, 1);
    assert_eq!(controller.pushed(Part::Usage), Vec::<String>::new());
    controller.behave(Part::Usage);
    let began = Instant::now();
    while controller.pushed(Part::Usage).is_empty() {
        assert!(began.elapsed() < LONG, "it is not pushed again");
        // A request is counted a moment before it is answered, so the next one may never come.
        let all = controller.replay.requests().len();
        let _ = controller
            .replay
            .wait_requests(all + 1, Duration::from_millis(100));
    }
    let first = controller.pushed(Part::Usage);
    assert!(
        first.len() == 1 && first[0].starts_with("{\"events\":[{"),
        "{first:?}"
    );
    for part in [
        "\"event\":\"usage\"",
        "\"key\":\"stage\"",
        "\"model\":\"chat-first\"",
        "\"prompt_tokens\":",
    ] {
        assert!(first[0].contains(part), "{part}: {first:?}");
    }
    assert_eq!(ask(&stage, &stage.key).status, 200);
    stage.leaf.signal("TERM");
    assert!(
        stage
            .leaf
            .wait_exit(LONG)
            .is_some_and(|status| status.success())
    );
    let all = controller.pushed(Part::Usage).concat();
    assert_eq!(all.matches("\"event\":\"usage\"").count(), 2, "{all}");
    nothing_leaks(&stage);
}

/// However long events may wait for more of them: when the program ends there will be none.
#[test]
fn h3_what_waits_for_more_is_pushed_at_the_end() {
    let controller = Controller::start();
    let config = controller.config(&[Part::Usage]);
    let config = config.replace("batch_ms = 20", "batch_ms = 60000");
    let mut stage = stage().key(&config).start();
    assert_eq!(ask(&stage, &stage.key).status, 200);
    stage.leaf.signal("TERM");
    let ended = stage.leaf.wait_exit(LONG);
    assert!(ended.is_some_and(|status| status.success()));
    let all = controller.pushed(Part::Usage).concat();
    assert_eq!(all.matches("\"event\":\"usage\"").count(), 1, "{all}");
}
