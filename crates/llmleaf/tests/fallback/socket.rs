//! Responses over a WebSocket, as Codex uses it: a warm-up, turns that bring what is new, errors as events, an end that is told.

use std::time::Duration;

use llmleaf_testkit::binary::Llmleaf;
use llmleaf_testkit::json::{self, Value};
use llmleaf_testkit::replay::{Replay, Script};
use llmleaf_testkit::websocket::{Message, PING, PONG, Socket};

const KEY: (&str, &str) = ("authorization", "Bearer bWU6czNjcmV0");
const SOON: Duration = Duration::from_secs(20);

struct Site {
    leaf: Llmleaf,
    vendor: Replay,
}

fn site() -> Site {
    let vendor = Replay::start();
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\nbatch_id_secret = \"a secret of all nodes\"\n\n\
         [[providers]]\nname = \"vendor\"\nkind = \"openai\"\nendpoint = \"{}/v1\"\ncredential = \"CANARY-vendor\"\nprefix = \"vendor\"\n\n\
         [[providers]]\nname = \"plain\"\nkind = \"echo\"\nprefix = \"plain\"\n\n\
         [[keys]]\nid = \"me\"\npw_hash = \"$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO\"\n",
        vendor.url()
    );
    let leaf = Llmleaf::with_config(env!("CARGO_BIN_EXE_llmleaf"), &config).start();
    Site { leaf, vendor }
}

impl Site {
    fn open(&self) -> Socket {
        let opened = Socket::open(self.leaf.addr, "/v1/responses", &[KEY]);
        opened.map_err(|reply| reply.text()).expect("a socket")
    }
}

/// A streamed answer with one message.
fn answer(id: &str) -> String {
    let item = "{\"type\":\"message\",\"id\":\"msg_1\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"hi\",\"annotations\":[]}]}";
    let response = |status: &str, output: &str| {
        format!(
            "{{\"id\":\"{id}\",\"object\":\"response\",\"status\":\"{status}\",\"model\":\"x\",\"output\":[{output}],\"usage\":{{\"input_tokens\":1,\"output_tokens\":1,\"total_tokens\":2}}}}"
        )
    };
    let events = [
        format!("{{\"type\":\"response.created\",\"sequence_number\":0,\"response\":{}}}", response("in_progress", "")),
        "{\"type\":\"response.output_item.added\",\"sequence_number\":1,\"output_index\":0,\"item\":{\"type\":\"message\",\"id\":\"msg_1\",\"role\":\"assistant\",\"content\":[]}}".to_owned(),
        "{\"type\":\"response.output_text.delta\",\"sequence_number\":2,\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"delta\":\"hi\"}".to_owned(),
        format!("{{\"type\":\"response.output_item.done\",\"sequence_number\":3,\"output_index\":0,\"item\":{item}}}"),
        format!("{{\"type\":\"response.completed\",\"sequence_number\":4,\"response\":{}}}", response("completed", item)),
    ];
    events
        .iter()
        .map(|event| format!("data: {event}\n\n"))
        .collect()
}

fn next(socket: &mut Socket) -> Value {
    let text = socket.text();
    json::parse(&text).expect("an event is JSON")
}

/// The events of a turn up to its last one.
fn turn(socket: &mut Socket) -> Vec<Value> {
    let mut events = vec![];
    loop {
        events.push(next(socket));
        let kind = events[events.len() - 1].text_at(&["type"]);
        if matches!(kind, "response.completed" | "response.failed" | "error") {
            return events;
        }
    }
}

fn id(events: &[Value]) -> String {
    events[events.len() - 1]
        .text_at(&["response", "id"])
        .to_owned()
}

#[test]
fn a_session_of_codex_is_served() {
    let site = site();
    let mut socket = site.open();
    // The warm-up is answered here.
    socket.send("{\"type\":\"response.create\",\"model\":\"vendor/x\",\"store\":false,\"generate\":false,\"instructions\":\"i\",\"input\":[{\"n\":1}]}");
    let warm = turn(&mut socket);
    assert_eq!(warm.len(), 2);
    assert_eq!(warm[0].text_at(&["type"]), "response.created");
    assert!(warm[1].elements_at(&["response", "output"]).is_empty());
    assert!(site.vendor.requests().is_empty());
    // Each turn brings what is new; the provider gets all of it, and no name that it does not know.
    let mut previous = id(&warm);
    let message = "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"hi\",\"annotations\":[]}]}";
    for (number, input) in [
        (1, "{\"n\":1},{\"n\":1.0}".to_owned()),
        (
            2,
            format!("{{\"n\":1}},{{\"n\":1.0}},{message},{{\"n\":2.0}}"),
        ),
    ] {
        site.vendor
            .push(Script::sse(answer(&format!("resp_{number}"))));
        socket.send(&format!("{{\"type\":\"response.create\",\"model\":\"vendor/x\",\"store\":false,\"previous_response_id\":\"{previous}\",\"input\":[{{\"n\":{number}.0}}]}}"));
        let events = turn(&mut socket);
        assert_eq!(events.len(), 5);
        previous = id(&events);
        assert_eq!(
            previous,
            format!("resp_{number}"),
            "nothing is kept, nothing is sealed"
        );
        let sent = site.vendor.take_requests().remove(0);
        assert_eq!(sent.path, "/v1/responses");
        assert_eq!(
            sent.text(),
            format!("{{\"model\":\"x\",\"store\":false,\"input\":[{input}],\"stream\":true}}")
        );
    }
    // What its provider keeps is gone on from there.
    site.vendor.on(|_| Script::sse(answer("resp_kept")));
    let mut previous = "null".to_owned();
    for upstream in ["", "\"previous_response_id\":\"resp_kept\","] {
        socket.send(&format!("{{\"type\":\"response.create\",\"model\":\"vendor/x\",\"previous_response_id\":{previous},\"input\":[{{\"n\":3}}]}}"));
        let told = id(&turn(&mut socket));
        assert!(told.starts_with("resp_") && told != "resp_kept", "{told}");
        let sent = site.vendor.take_requests().remove(0);
        assert_eq!(
            sent.text(),
            format!("{{\"model\":\"x\",{upstream}\"input\":[{{\"n\":3}}],\"stream\":true}}")
        );
        previous = format!("\"{told}\"");
    }
}

#[test]
fn who_proves_nothing_gets_no_socket() {
    let site = site();
    let refused = Socket::open(site.leaf.addr, "/v1/responses", &[])
        .err()
        .expect("no socket");
    assert_eq!(refused.status, 401);
    let plain = llmleaf_testkit::http::get(site.leaf.addr, "/v1/responses", &[KEY]);
    assert_eq!(plain.status, 426, "{}", plain.text());
}

#[test]
fn failures_are_events_and_the_socket_goes_on() {
    let site = site();
    let mut socket = site.open();
    let limited = "{\"error\":{\"message\":\"slow down\",\"type\":\"rate_limit_error\",\"code\":\"rate_limit_exceeded\"}}";
    site.vendor
        .on(move |_| Script::json(429, limited).header("retry-after", "900"));
    for (message, status, code) in [
        (
            "{\"type\":\"response.create\",\"model\":\"vendor/x\",\"input\":\"hi\",\"stream_id\":\"a\"}",
            429,
            "rate_limit_exceeded",
        ),
        (
            "{\"type\":\"response.create\",\"model\":\"none\",\"input\":\"hi\",\"stream_id\":\"a\"}",
            404,
            "model_not_found",
        ),
        (
            "{\"type\":\"response.create\",\"model\":\"none\",\"generate\":false,\"stream_id\":\"a\"}",
            404,
            "model_not_found",
        ),
        (
            "{\"type\":\"response.create\",\"model\":\"vendor/x\",\"input\":\"hi\",\"previous_response_id\":\"resp_0\",\"stream_id\":\"a\"}",
            400,
            "previous_response_not_found",
        ),
        ("{\"type\":\"other\",\"stream_id\":\"a\"}", 400, ""),
    ] {
        socket.send(message);
        let error = next(&mut socket);
        assert_eq!(error.text_at(&["type"]), "error", "{message}");
        assert_eq!(error.u64_at(&["status"]), Some(status), "{message}");
        assert_eq!(error.text_at(&["error", "code"]), code, "{message}");
        assert_eq!(error.text_at(&["stream_id"]), "a", "{message}");
        if status == 429 {
            assert_eq!(error.text_at(&["headers", "retry-after"]), "900");
        }
    }
    socket.frame(PING, b"there?");
    assert_eq!(socket.message(), Message::Control(PONG, b"there?".to_vec()));
    socket.send("{\"type\":\"response.create\",\"model\":\"plain/x\",\"input\":\"hi\"}");
    assert!(
        !id(&turn(&mut socket)).is_empty(),
        "another provider answers"
    );
}

#[test]
fn turns_of_a_lane_wait_for_each_other_and_lanes_do_not() {
    let site = site();
    let mut socket = site.open();
    let stalled = answer("resp_1");
    site.vendor
        .push(Script::sse(stalled.clone()).stall_at(stalled.len() / 2));
    let create = |model: &str, lane: &str| {
        format!(
            "{{\"type\":\"response.create\",\"model\":\"{model}\",\"input\":\"hi\",\"stream_id\":\"{lane}\"}}"
        )
    };
    socket.send(&create("vendor/x", "one"));
    socket.send(&create("plain/x", "one"));
    assert_eq!(next(&mut socket).text_at(&["stream_id"]), "one");
    socket.send(&create("plain/x", "two"));
    let other = loop {
        let event = next(&mut socket);
        if event.text_at(&["type"]) == "response.completed" {
            break event;
        }
    };
    assert_eq!(
        other.text_at(&["stream_id"]),
        "two",
        "the first of the other lane is not done"
    );
    // Who goes takes its turns along.
    let connection = site.vendor.requests()[0].connection;
    socket.reset();
    assert!(site.vendor.wait_closed(connection, SOON).is_some());
}

#[test]
fn a_node_that_drains_finishes_a_turn_and_says_why_it_goes() {
    let mut site = site();
    let mut socket = site.open();
    let gate = llmleaf_testkit::replay::Gate::new();
    let text = answer("resp_1");
    site.vendor
        .push(Script::sse(text.clone()).hold_at(text.len() / 2, &gate));
    socket.send(
        "{\"type\":\"response.create\",\"model\":\"vendor/x\",\"store\":false,\"input\":\"hi\"}",
    );
    assert_eq!(next(&mut socket).text_at(&["type"]), "response.created");
    site.leaf.signal("TERM");
    // Turns are taken until the worker has heard of it; what runs is not touched by that.
    let refused = (0..1000).any(|_| {
        socket.send("{\"type\":\"response.create\",\"model\":\"plain/x\",\"input\":\"late\",\"stream_id\":\"late\"}");
        let last = turn(&mut socket).pop();
        last.is_some_and(|event| event.text_at(&["error", "code"]) == "server_shutdown")
    });
    assert!(refused);
    gate.release();
    let events = turn(&mut socket);
    assert_eq!(id(&events), "resp_1");
    assert!(matches!(socket.message(), Message::Close(1012, _)));
    drop(socket);
    assert!(site.leaf.wait_exit(SOON).is_some());
}
