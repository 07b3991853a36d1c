//! How a request was decided, for those who ask and may, and for the operator.

use llmleaf_testkit::http::{Response, get, post};
use llmleaf_testkit::json::{self, Value};
use llmleaf_testkit::replay::{Gate, Script};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{LONG, Setup, Stage};
use llmleaf_testkit::websocket::Socket;

use super::{answer, expect_answer};

const ASKS: [(&str, &str); 1] = [("x-llmleaf-explain", "1")];
const ADMIN: (&str, &str) = ("x-admin-token", "admin-token-of-explain-0123");

/// Comments behind the last event and members of ours are no part of any wire, so no judge.
fn stage() -> Setup {
    let server = format!("admin_token = \"{}\"", ADMIN.1);
    Stage::with(env!("CARGO_BIN_EXE_llmleaf")).server(&server)
}

fn explaining() -> Setup {
    stage().key("explain = true\n")
}

fn ask(stage: &Stage, wire: Wire, model: &str, stream: bool) -> Response {
    let body = wire.request(model, stream);
    let mut asked = stage.ask_headed(wire, &body, &ASKS);
    asked.connection.response()
}

fn fails(wire: Wire) -> Script {
    Script::json(500, wire.error("api_error", "no"))
}

/// What the header says.
#[track_caller]
fn told(response: &Response) -> Value {
    let told = response.header("x-llmleaf-explain");
    json::parse(told.expect("it is explained")).expect("JSON")
}

/// Each candidate in a line, and each attempt.
fn lines(told: &Value) -> Vec<String> {
    let words = |value: &Value, names: &[&str]| {
        let each = names.iter().map(|name| match value.u64_at(&[name]) {
            Some(number) => number.to_string(),
            None => value.text_at(&[name]).to_owned(),
        });
        let words: Vec<String> = each.filter(|word| !word.is_empty()).collect();
        words.join(" ")
    };
    let candidates = told.elements_at(&["candidates"]).iter();
    let candidates = candidates.map(|one| words(one, &["provider", "model", "verdict", "why"]));
    let attempts = told.elements_at(&["attempts"]).iter();
    let fields = [
        "attempt",
        "provider",
        "credential",
        "outcome",
        "failure",
        "status",
    ];
    candidates
        .chain(attempts.map(|one| words(one, &fields)))
        .collect()
}

/// The operator's view of a request, which is there a moment after its end.
#[track_caller]
fn recent(stage: &Stage, id: &str) -> Value {
    let path = format!("/admin/recent?request_id={id}");
    let shown = || get(stage.leaf.addr, &path, &[ADMIN]).json();
    let mut shown = (0..100).map(|_| shown());
    let found = shown.find(|shown| shown.u64_at(&["matching"]) == Some(1));
    found.expect("it is kept").elements_at(&["exchanges"])[0].clone()
}

/// The comment at the end of a stream.
fn comment(response: &Response) -> Value {
    let text = response.text();
    let (_, told) = text
        .rsplit_once(": x-llmleaf-explain: ")
        .expect("a comment");
    json::parse(told.trim_end()).expect("JSON, and the last of the stream")
}

#[test]
fn a_fallback_is_explained_in_the_way_that_each_answer_allows() {
    let stage = explaining().start();
    for pair in Wire::PAIRS {
        for stream in [false, true] {
            let case = format!("{} to {}, stream {stream}", pair.0, pair.1);
            stage.first.push(fails(pair.1));
            stage.second.push(answer(pair.1, stream, "second answer"));
            let response = ask(&stage, pair.0, &Stage::chain(pair.1), stream);
            expect_answer(pair.0, &response, "second answer", &case);
            let (first, second) = (format!("{}-first", pair.1), format!("{}-second", pair.1));
            let mut expected = vec![
                format!("{first} m-1 tried"),
                format!("{second} m-1 tried"),
                format!("1 {first} 0 failed upstream_error 500"),
                format!("2 {second} 0 completed 200"),
            ];
            let header = told(&response);
            let body = match stream {
                true => {
                    // Of an answer that has begun it is not known how it ends.
                    assert_eq!(header.text_at(&["answering", "provider"]), second, "{case}");
                    Some(comment(&response))
                }
                false => response.json().get("x_llmleaf_explain").cloned(),
            };
            match body {
                Some(body) => assert_eq!(lines(&body), expected, "{case}"),
                None => assert_eq!(pair.0, pair.1, "bytes that go through have no more: {case}"),
            }
            if stream {
                expected.pop();
            }
            assert_eq!(lines(&header), expected, "{case}");
            assert_eq!(header.text_at(&["strategy"]), "ordered");
            assert_eq!(header.text_at(&["route"]), Stage::chain(pair.1));
        }
    }
    for sent in [stage.first.requests(), stage.second.requests()].concat() {
        let asks = |(name, _): &(String, String)| name.contains("llmleaf");
        assert!(!sent.headers.iter().any(asks), "{:?}", sent.headers);
    }
}

#[test]
fn who_may_not_ask_gets_what_everybody_gets() {
    let stage = stage().start();
    for pair in Wire::PAIRS {
        for stream in [false, true] {
            let model = Stage::alone(pair.1);
            let bodies = [true, false].map(|asks| {
                stage.first.push(answer(pair.1, stream, "first answer"));
                let response = match asks {
                    true => ask(&stage, pair.0, &model, stream),
                    false => stage.post(pair.0, &model, stream).1,
                };
                expect_answer(pair.0, &response, "first answer", "plain");
                assert_eq!(response.header("x-llmleaf-explain"), None);
                response.text()
            });
            assert!(!bodies.concat().contains("explain"), "{bodies:?}");
            // Errors neither.
            stage.first.push(fails(pair.1));
            let response = ask(&stage, pair.0, &model, stream);
            assert_eq!(response.header("x-llmleaf-explain"), None);
            assert!(!response.text().contains("explain"), "{}", response.text());
        }
    }
    let sent = stage.first.requests();
    let asks = |(name, _): &(String, String)| name.contains("explain");
    assert!(!sent.iter().any(|sent| sent.headers.iter().any(asks)));
}

#[test]
fn whoever_may_ask_and_does_not_gets_nothing_more() {
    let stage = explaining().start();
    let wire = Wire::Chat;
    stage.first.push(answer(wire, true, "first answer"));
    let (_, response) = stage.post(wire, &Stage::chain(wire), true);
    assert_eq!(response.header("x-llmleaf-explain"), None);
    assert!(!response.text().contains("explain"), "{}", response.text());
}

#[test]
fn what_is_passed_over_is_told_with_its_reason() {
    let stage = explaining()
        .instead("fallback_cooldown_secs", "3600")
        .start();
    let wire = Wire::Chat;
    // Three failures in a row open its breaker.
    stage.first.on(move |_| fails(wire));
    stage
        .second
        .on(move |_| answer(wire, false, "second answer"));
    for _ in 0..3 {
        ask(&stage, wire, &Stage::chain(wire), false);
    }
    let response = ask(&stage, wire, &Stage::chain(wire), false);
    assert_eq!(
        lines(&told(&response)),
        [
            "chat-first m-1 passed_over breaker_open",
            "chat-second m-1 tried",
            "1 chat-second 0 completed 200",
        ]
    );
    let passed = told(&response).elements_at(&["candidates"])[0].clone();
    assert!(
        passed.u64_at(&["until_ms"]) > Some(1_000_000),
        "an hour, nearly"
    );
}

#[test]
fn a_stated_wait_and_an_attempt_that_met_it_are_told() {
    let stage = explaining().start();
    let wire = Wire::Messages;
    let limited = Script::json(429, wire.error("rate_limit_error", "slow"));
    stage.first.push(limited.header("retry-after", "90"));
    stage
        .second
        .on(move |_| answer(wire, false, "second answer"));
    let expected = [
        vec![
            "messages-first m-1 tried",
            "messages-second m-1 tried",
            "1 messages-first 0 failed rate_limit_exceeded 429",
            "2 messages-second 0 completed 200",
        ],
        vec![
            "messages-first m-1 passed_over rate_limited",
            "messages-second m-1 tried",
            "1 messages-second 0 completed 200",
        ],
    ];
    for expected in expected {
        let response = ask(&stage, wire, &Stage::chain(wire), false);
        assert_eq!(lines(&told(&response)), expected);
    }
}

#[test]
fn wishes_that_nobody_meets_are_explained_in_the_error() {
    let stage = explaining().start();
    for wire in Wire::BOTH {
        let body = wire.request(&Stage::chain(wire), true);
        let wish = r#"{"provider":{"max_price":{"prompt":1}},"#;
        let body = body.replacen('{', wish, 1);
        let mut asked = stage.ask_headed(wire, &body, &ASKS);
        let response = asked.connection.response();
        assert_eq!(response.status, 404, "{}", response.text());
        let error = response.json();
        let body = error
            .get("x_llmleaf_explain")
            .expect("a member of the error");
        let expected = ["first", "second"]
            .map(|place| format!("{wire}-{place} m-1 left_out provider.max_price"));
        assert_eq!(lines(body), expected);
        assert_eq!(lines(&told(&response)), expected);
        let kept = recent(&stage, &asked.id);
        assert_eq!(lines(kept.get("trail").expect("a trail")), expected);
        assert_eq!(kept.text_at(&["end"]), "refused");
    }
}

#[test]
fn a_second_target_beside_the_first_is_told() {
    let wire = Wire::Chat;
    let stage = explaining().route("hedge = true\n").start();
    for _ in 0..20 {
        stage.first.push(answer(wire, true, "first answer"));
        let (_, response) = stage.post(wire, &Stage::chain(wire), true);
        expect_answer(wire, &response, "first answer", "fast");
    }
    let gate = Gate::new();
    stage
        .first
        .push(answer(wire, true, "late").hold_head(&gate));
    stage.second.push(answer(wire, true, "second answer"));
    let response = ask(&stage, wire, &Stage::chain(wire), true);
    expect_answer(wire, &response, "second answer", "hedged");
    let told = comment(&response);
    assert_eq!(told.u64_at(&["hedge"]), Some(2), "{}", response.text());
    assert!(lines(&told).contains(&"2 chat-second 0 completed 200".to_owned()));
    // The loser may still have been on its way when that was written.
    let id = response.header("x-request-id").expect("an id");
    let kept = recent(&stage, id);
    assert_eq!(kept.u64_at(&["trail", "hedge"]), Some(2));
    let outcomes: Vec<&str> = (kept.elements_at(&["attempts"]).iter())
        .map(|attempt| attempt.text_at(&["outcome"]))
        .collect();
    assert_eq!(outcomes, ["outrun", "completed"]);
}

#[test]
fn the_operator_sees_what_became_of_who_hung_up() {
    let stage = stage().start();
    let wire = Wire::Chat;
    stage.first.push(fails(wire));
    stage.second.push(Script::silent());
    let asked = stage.ask(wire, &Stage::chain(wire), true);
    assert!(stage.second.wait_requests(1, LONG).is_some());
    let id = asked.id.clone();
    drop(asked);
    let gone = |line: &str| line.contains(&id) && line.contains("client_cancelled");
    assert!(stage.leaf.wait_lines(1, LONG, gone).is_some());
    let kept = recent(&stage, &id);
    assert_eq!(kept.text_at(&["end"]), "client_cancelled");
    let trail = kept.get("trail").expect("a trail");
    assert_eq!(
        lines(trail),
        ["chat-first m-1 tried", "chat-second m-1 tried"]
    );
    let outcomes: Vec<&str> = (kept.elements_at(&["attempts"]).iter())
        .map(|attempt| attempt.text_at(&["outcome"]))
        .collect();
    assert_eq!(outcomes, ["failed", "cancelled"]);
    // Where the first serves at once there is nobody to name.
    stage.first.push(answer(wire, true, "first answer"));
    let (id, _) = stage.post(wire, &Stage::chain(wire), true);
    assert_eq!(stage.usage(&id, 1).len(), 1);
    let kept = recent(&stage, &id);
    assert_eq!(lines(kept.get("trail").expect("a trail")), [""; 0]);
    assert_eq!(kept.text_at(&["trail", "strategy"]), "ordered");
}

/// Whatever is written here says it in its body, and whatever comes as events behind the last of them.
#[test]
fn every_kind_of_answer_is_explained() {
    let echo =
        "explain = true\n\n[[providers]]\nname = \"own\"\nkind = \"echo\"\nprefix = \"own\"\n";
    let stage = stage().key(echo).start();
    let bearer = stage.bearer();
    let headers = [("authorization", bearer.as_str()), ASKS[0]];
    let post = |path: &str, body: &str| {
        let response = post(stage.leaf.addr, path, &headers, body);
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        assert_eq!(lines(&told(&response))[0], "own e tried", "{path}");
        response
    };
    let sound = r#"{"model":"own/e","input_audio":{"data":"U09VTkQ=","format":"wav"}}"#;
    for (path, body) in [
        ("/v1/embeddings", r#"{"model":"own/e","input":"a"}"#),
        (
            "/v1/rerank",
            r#"{"model":"own/e","query":"a","documents":["a","b"]}"#,
        ),
        ("/v1/moderations", r#"{"model":"own/e","input":"a"}"#),
        (
            "/v1/images/generations",
            r#"{"model":"own/e","prompt":"a"}"#,
        ),
        (
            "/v1/messages/count_tokens",
            r#"{"model":"own/e","messages":[{"role":"user","content":"a"}]}"#,
        ),
        ("/v1/audio/transcriptions", sound),
    ] {
        let body = post(path, body).json();
        let member = body.get("x_llmleaf_explain");
        let said = member.map(lines).unwrap_or_default();
        assert_eq!(said[0], "own e tried", "{path}: {body:?}");
    }
    let streamed = sound.replace("}}", "},\"stream\":true}");
    for (path, body) in [
        (
            "/v1/audio/speech",
            r#"{"model":"own/e","input":"a","voice":"alloy","response_format":"pcm","stream_format":"sse"}"#,
        ),
        ("/v1/audio/transcriptions", &streamed),
    ] {
        let said = lines(&comment(&post(path, body)));
        assert_eq!(said[1], "1 own 0 completed", "{path}");
    }
}

/// Of what was refused before any target was looked at that is all there is to tell.
#[test]
fn a_request_that_reached_no_target_is_told_so() {
    for (key, explains) in [("explain = true\n", true), ("", false)] {
        let limits = "limits = { requests_per_min = 1 }\n";
        let stage = stage().key(&format!("{key}{limits}")).start();
        stage.first.push(answer(Wire::Chat, false, "first answer"));
        assert_eq!(ask(&stage, Wire::Chat, "chat-first", false).status, 200);
        for (model, status, why) in [("nowhere", 404, "not_found"), ("chat-first", 429, "limits")] {
            let response = ask(&stage, Wire::Chat, model, false);
            assert_eq!(response.status, status, "{}", response.text());
            let body = response.json();
            if !explains {
                assert!(response.header("x-llmleaf-explain").is_none());
                assert!(body.get("x_llmleaf_explain").is_none());
                continue;
            }
            assert_eq!(told(&response).text_at(&["refused"]), why);
            assert_eq!(body.text_at(&["x_llmleaf_explain", "refused"]), why);
        }
    }
}

/// Over a WebSocket each turn is told behind its last event.
#[test]
fn turns_of_a_socket_are_explained() {
    let echo =
        "explain = true\n\n[[providers]]\nname = \"own\"\nkind = \"echo\"\nprefix = \"own\"\n";
    let stage = stage().key(echo).start();
    let bearer = stage.bearer();
    let headers = [("authorization", bearer.as_str()), ASKS[0]];
    let opened = Socket::open(stage.leaf.addr, "/v1/responses", &headers);
    let mut socket = opened.map_err(|reply| reply.text()).expect("a socket");
    let mut until = |model: &str, kind: &str| {
        let turn =
            format!("{{\"type\":\"response.create\",\"model\":\"{model}\",\"input\":\"hi\"}}");
        socket.send(&turn);
        loop {
            let event = json::parse(&socket.text()).expect("an event is JSON");
            if event.text_at(&["type"]) == kind {
                return event;
            }
        }
    };
    for _ in 0..2 {
        let event = until("own/e", "x_llmleaf.explain");
        let said = event.get("explain").map(lines).unwrap_or_default();
        assert_eq!(said, ["own e tried", "1 own 0 completed"]);
    }
    let refused = until("nowhere", "error");
    let said = refused.text_at(&["headers", "x-llmleaf-explain"]);
    let said = json::parse(said).expect("JSON");
    assert_eq!(said.text_at(&["refused"]), "not_found");
    // So is a session that is not opened.
    for (path, why) in [
        ("/v1/realtime?model=nowhere", "not_found"),
        ("/v1/realtime", "invalid_request"),
    ] {
        let refused = Socket::open(stage.leaf.addr, path, &headers).err();
        let refused = refused.expect("no session");
        assert_eq!(told(&refused).text_at(&["refused"]), why);
        let body = refused.json();
        assert_eq!(body.text_at(&["x_llmleaf_explain", "refused"]), why);
    }
}
