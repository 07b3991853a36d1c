//! The provider's credential and the consumer's key leave the program in one place only: the header that they are for.

use llmleaf_testkit::http::{Connection, Response, request};
use llmleaf_testkit::replay::Script;
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{CREDENTIALS, LONG, Stage};

use super::stage;

/// Forms in which a secret may leak: whole, and its first characters behind the kind.
fn forms(secret: &str) -> [String; 3] {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    // A prefix long enough to be nobody else's.
    [secret.to_owned(), secret.chars().take(14).collect(), hex]
}

#[track_caller]
fn expect_none(text: &str, secrets: &[String], place: &str) {
    for form in secrets.iter().flat_map(|secret| forms(secret)) {
        if let Some(at) = text.find(&form) {
            let around = &text[at.saturating_sub(80)..(at + 80).min(text.len())];
            assert!(!text.contains(&form), "{form} in {place}: …{around}…");
        }
    }
}

fn head(response: &Response) -> String {
    response
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect()
}

/// What a provider may say with the credential in it.
fn indiscretions(wire: Wire) -> Vec<Script> {
    let secret = CREDENTIALS[0];
    let words = format!("Incorrect API key provided: {secret}");
    let stream = wire.stream("first answer");
    let event = wire.error_event("authentication_error", &words);
    let quoting =
        |status, kind| Script::json(status, wire.error(kind, &words)).header("x-echo", secret);
    vec![
        quoting(401, "authentication_error"),
        quoting(403, "permission_error"),
        quoting(429, "rate_limit_error"),
        quoting(500, "api_error"),
        Script::body(502, "text/html", format!("<pre>{words}</pre>")),
        Script::body(503, "text/plain", words.clone()),
        Script::json(307, "{}")
            .header("location", &format!("https://elsewhere.test/?key={secret}")),
        Script::json(200, wire.error("authentication_error", &words)),
        Script::sse(event.clone()),
        Script::sse(stream.until(1) + &event),
        Script::sse(stream.until(1) + &format!("data: {{\"{secret}\n\n")),
        Script::json(200, format!("not JSON: {secret}")),
        Script::raw(format!("HTTP/1.1 200 OK\r\nbad header {secret}\r\n\r\n")),
    ]
}

#[test]
fn secrets_appear_in_no_reply_and_no_log() {
    let stage = stage()
        .server("admin_token = \"admin-canary-Lk93\"")
        .key("explain = true\n")
        .env("LLMLEAF_LOG", "trace")
        .start();
    let mut secrets = vec![stage.key.clone(), "admin-canary-Lk93".to_owned()];
    // The id in front of a key is no secret.
    let own = stage.key.rsplit('_').next().map(str::to_owned);
    secrets.extend(own);
    secrets.extend(CREDENTIALS.map(str::to_owned));
    for pair in Wire::PAIRS {
        for stream in [true, false] {
            for (number, script) in indiscretions(pair.1).into_iter().enumerate() {
                stage.first.push(script);
                let body = pair.0.request(&Stage::alone(pair.1), stream);
                let asks = [("x-llmleaf-explain", "1")];
                let mut asked = stage.ask_headed(pair.0, &body, &asks);
                let response = asked.connection.response();
                assert!(response.header("x-llmleaf-explain").is_some());
                let place = format!("reply {number}, {} to {}, stream {stream}", pair.0, pair.1);
                expect_none(&(head(&response) + &response.text()), &secrets, &place);
            }
        }
    }
    ask_around(&stage, &secrets);
    let credentials = stage.first.requests();
    for sent in &credentials {
        for (name, value) in &sent.headers {
            let own = matches!(
                name.to_ascii_lowercase().as_str(),
                "authorization" | "x-api-key"
            );
            assert_eq!(own, value.contains(CREDENTIALS[0]), "{name}");
            expect_none(value, &secrets[..1], name);
        }
        expect_none(&sent.text(), &secrets, "a request's body");
    }
    let done = |line: &str| line.contains("llmleaf::usage");
    assert!(
        stage
            .leaf
            .wait_lines(credentials.len(), LONG, done)
            .is_some()
    );
    for line in stage.leaf.log() {
        expect_none(&line, &secrets, "the log");
    }
}

/// Every other surface, with the key, with wrong ones that look like it, and with the key in the wrong places.
fn ask_around(stage: &Stage, secrets: &[String]) {
    let bearer = stage.bearer();
    let mangled = format!("{bearer}x");
    let query = format!("/v1/models?key={}", stage.key);
    let path = format!("/v1/models/{}", stage.key);
    for (target, headers) in [
        ("/v1/models", vec![("authorization", bearer.as_str())]),
        ("/v1/models", vec![("authorization", mangled.as_str())]),
        (
            "/v1/models",
            vec![("x-api-key", stage.key.as_str()), ("api-key", "other")],
        ),
        (query.as_str(), vec![]),
        ("/v1/openapi.json", vec![]),
        ("/admin/keys", vec![("x-admin-token", "admin-canary-Lk93")]),
        (
            "/admin/health",
            vec![("x-admin-token", "admin-canary-Lk93")],
        ),
        (
            "/admin/recent?limit=1000",
            vec![("x-admin-token", "admin-canary-Lk93")],
        ),
        (
            "/admin/routes",
            vec![("x-admin-token", "admin-canary-Lk93")],
        ),
        (
            "/admin/keys",
            vec![("x-admin-token", "admin-canary-Lk93-wrong")],
        ),
    ] {
        let mut connection = Connection::open(stage.leaf.addr);
        connection.send(&request("GET", target, &headers, b""));
        let response = connection.response();
        assert!(response.status > 0, "{target}");
        expect_none(&(head(&response) + &response.text()), secrets, target);
    }
    // A caller's own path is told back to it, but goes into no log.
    let mut connection = Connection::open_unwatched(stage.leaf.addr);
    connection.send(&request("GET", &path, &[("authorization", &bearer)], b""));
    assert_eq!(connection.response().status, 404);
}
