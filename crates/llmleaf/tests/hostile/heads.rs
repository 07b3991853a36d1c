//! Heads: paths, sizes, hop-by-hop fields, and answers that come before the body.

use llmleaf_testkit::http::{Connection, End, Response, get, request};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{LONG, Stage};

use super::corpus::body;
use super::{answer, stage};

/// Paths that mean another one to who decodes twice, folds case, or believes in segments.
const TRICKS: &[&str] = &[
    "/v1/models/../../admin/keys",
    "/v1/../admin/keys",
    "/healthz/../admin/keys",
    "/admin/../healthz/../admin/keys",
    "/admin%2fkeys",
    "/%61dmin/keys",
    "/admin/%6beys",
    "/ADMIN/KEYS",
    "/Admin/keys",
    "/admin/keys;x=y",
    "/admin;/keys",
    "/admin/keys%00",
    "/admin/keys%20",
    "/admin/keys.json",
    "/admin/keys%2e",
    "/%2e%2e/admin/keys",
    "/..;/admin/keys",
    "/.%2e/admin/keys",
    "/v1/%2e%2e/admin/keys",
    "/%252e%252e/admin/keys",
    "/%c0%ae%c0%ae/admin/keys",
    "/%c0%afadmin/keys",
    "/admin\\keys",
    "/\\admin/keys",
    "/./admin/keys",
    "/admin/./keys",
    "/v1/chat/completions/../models",
    "/v1/chat%2fcompletions",
    "/V1/chat/completions",
    "/v1/chat/completions;v=1",
    "/v1/chat/completions%00",
    "/v1/chat/completions/x",
    "/healthz%2f..%2fadmin",
    "/.well-known/../admin/keys",
];

#[test]
fn d8_a_path_is_what_it_says_and_nothing_else() {
    let stage = stage()
        .server("admin_token = \"admin-secret-for-tests\"")
        .start();
    let bearer = stage.bearer();
    for path in TRICKS {
        for headers in [vec![], vec![("authorization", bearer.as_str())]] {
            let known = !headers.is_empty();
            let response = get(stage.leaf.addr, path, &headers);
            let text = response.text();
            assert!(!text.contains("\"keys\""), "{path}: {text}");
            // `/v1/models/{id}` takes what follows as a model's name; then a stranger is asked who it is.
            let expected: &[u16] = if known { &[404, 405] } else { &[401, 404, 405] };
            assert!(
                expected.contains(&response.status),
                "{path}: {}",
                response.status
            );
            let mut posted = Connection::open(stage.leaf.addr);
            posted.send(&request("POST", path, &headers, body("x").as_bytes()));
            let status = posted.response().status;
            assert!([401, 404, 405].contains(&status), "POST {path}: {status}");
        }
    }
    // Slashes too many are what people paste; they change nothing in who may do what.
    for path in ["//admin//keys", "/admin/keys/", "/admin/keys//"] {
        assert_eq!(get(stage.leaf.addr, path, &[]).status, 401, "{path}");
        assert_eq!(
            get(stage.leaf.addr, path, &[("authorization", &bearer)]).status,
            401,
            "{path}"
        );
    }
    assert_eq!(stage.first.connections().len(), 0);
}

fn send(stage: &Stage, text: &str) -> Response {
    let mut connection = Connection::open(stage.leaf.addr);
    connection.send(text.as_bytes());
    connection.response()
}

#[test]
fn d6_other_forms_of_targets_are_refused() {
    let stage = stage().start();
    for (text, status) in [
        ("CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\n\r\n", 405),
        ("TRACE / HTTP/1.1\r\nhost: x\r\n\r\n", 405),
        ("GET http://y/healthz HTTP/1.1\r\nhost: x\r\n\r\n", 400),
        ("GET http://x/healthz HTTP/1.1\r\nhost: X\r\n\r\n", 200),
        ("OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n", 404),
    ] {
        assert_eq!(send(&stage, text).status, status, "{text:?}");
    }
}

#[test]
fn d7_the_host_and_what_proxies_say_decide_nothing() {
    let stage = stage().start();
    for host in [
        "x",
        "localhost",
        "127.0.0.1:1",
        "[::1]:80",
        "admin.internal",
        "",
    ] {
        let response = send(
            &stage,
            &format!("GET /healthz HTTP/1.1\r\nhost: {host}\r\n\r\n"),
        );
        assert_eq!(response.status, 200, "{host}");
        let response = send(
            &stage,
            &format!("GET /v1/models HTTP/1.1\r\nhost: {host}\r\n\r\n"),
        );
        assert_eq!(response.status, 401, "{host}");
    }
    let spoofed = "x-forwarded-for: 127.0.0.1\r\nx-forwarded-host: localhost\r\nforwarded: for=127.0.0.1\r\n\
                   x-real-ip: 127.0.0.1\r\nx-original-url: /healthz\r\nx-rewrite-url: /healthz\r\n\
                   x-http-method-override: GET\r\n";
    for path in ["/v1/models", "/admin/keys"] {
        let response = send(
            &stage,
            &format!("GET {path} HTTP/1.1\r\nhost: x\r\n{spoofed}\r\n"),
        );
        assert!(
            [401, 404].contains(&response.status),
            "{path}: {}",
            response.status
        );
    }
    for fields in [
        "",
        "host: x\r\nhost: x\r\n",
        "host: a/b\r\n",
        "host: a@b\r\n",
    ] {
        let response = send(&stage, &format!("GET /healthz HTTP/1.1\r\n{fields}\r\n"));
        assert_eq!(response.status, 400, "{fields:?}");
        assert_eq!(response.header("connection"), Some("close"), "{fields:?}");
    }
}

#[test]
fn d18_nothing_that_others_say_becomes_a_field_of_an_answer() {
    let stage = stage().start();
    let bearer = stage.bearer();
    for (id, model) in [
        ("a b", "x\\r\\ninner: y"),
        ("\u{7f}inner", "\\u000d\\u000ainner: y"),
        (&*"i".repeat(500), "\\u0000inner"),
        ("\u{e4}", "chat\\ninner"),
    ] {
        let text = body("outer").replace("\"chat\"", &format!("\"{model}\""));
        let headers = [("authorization", bearer.as_str()), ("x-request-id", id)];
        let bytes = request("POST", "/v1/chat/completions", &headers, text.as_bytes());
        let mut connection = Connection::open(stage.leaf.addr);
        connection.send(&bytes);
        let response = connection.response();
        assert!(
            [400, 404].contains(&response.status),
            "{model}: {}",
            response.status
        );
        assert!(
            response
                .headers
                .iter()
                .all(|(name, value)| name != "inner" && value != id),
            "{model}"
        );
    }
    let script = answer(Wire::Chat, false)
        .header("x-request-id", "inner\u{1}")
        .header("set-cookie", "inner=1")
        .header("x-inner", "inner")
        .header("access-control-allow-origin", "*");
    stage.first.push(script);
    let (_, response) = stage.post(Wire::Chat, "chat-first", false);
    let fields = format!("{:?}", response.headers);
    assert!(
        !fields.contains("inner") && !fields.contains("access-control"),
        "{fields}"
    );
}

#[test]
fn d9_heads_are_bounded_and_the_refusal_arrives() {
    let stage = stage().start();
    let long = "x".repeat(20 << 20);
    let many: String = (0..200)
        .map(|number| format!("x-{number}: y\r\n"))
        .collect();
    for (case, text, status) in [
        (
            "64 KiB of value",
            format!(
                "GET /healthz HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
                &long[..65 << 10]
            ),
            431,
        ),
        (
            "20 MiB of value",
            format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx: {long}\r\n\r\n"),
            431,
        ),
        (
            "20 MiB of name",
            format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{long}: y\r\n\r\n"),
            431,
        ),
        (
            "200 fields",
            format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{many}\r\n"),
            431,
        ),
        (
            "10 KiB of path",
            format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", &long[..10 << 10]),
            414,
        ),
        (
            "10 KiB of query",
            format!(
                "GET /healthz?{} HTTP/1.1\r\nhost: x\r\n\r\n",
                &long[..10 << 10]
            ),
            414,
        ),
        (
            "70 KiB of path",
            format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", &long[..70 << 10]),
            414,
        ),
    ] {
        let mut connection = Connection::open(stage.leaf.addr);
        connection.send(text.as_bytes());
        let response = connection.response();
        // A head that does not even fit in the buffer is one that is too large, whichever part of it is.
        let as_told = response.status == status || (status == 414 && response.status == 431);
        // Beyond what is listened to after a refusal, the answer may be lost with the connection.
        let lost = text.len() > 1 << 20 && response.status == 0;
        assert!(as_told || lost, "{case}: {}", response.status);
        assert_ne!(connection.drain().1, End::TimedOut, "{case}: closed");
    }
    let fits = format!(
        "GET /healthz HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
        &long[..60 << 10]
    );
    let mut connection = Connection::open(stage.leaf.addr);
    connection.send(fits.as_bytes());
    assert_eq!(connection.response().status, 200);
}

#[test]
fn d12_a_stranger_with_a_large_body_hears_so_at_once() {
    let stage = stage().start();
    let before = stage.leaf.resident_kib();
    let sent: Vec<Connection> = (0..8)
        .map(|_| {
            let mut connection = Connection::open(stage.leaf.addr);
            let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer bm86bm8=\r\n\
                        content-length: 30000000\r\n\r\n";
            connection.send(head.as_bytes());
            connection.send(&vec![b'x'; 512 << 10]);
            let response = connection.response();
            assert_eq!((response.status, response.end), (401, End::Clean));
            connection
        })
        .collect();
    let grown = stage
        .leaf
        .resident_kib()
        .zip(before)
        .map(|(now, before)| now.saturating_sub(before));
    assert!(
        grown < Some(8 << 10),
        "{grown:?} KiB for {} bodies",
        sent.len()
    );
    for mut connection in sent {
        assert_ne!(connection.drain().1, End::TimedOut);
    }
}

#[test]
fn d11_no_more_is_read_than_the_limit() {
    let stage = stage().server("max_body_bytes = 65536").start();
    let head = |fields: &str| {
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\n{fields}\r\n\r\n",
            stage.bearer()
        )
    };
    let mut declared = Connection::open(stage.leaf.addr);
    declared.send(head("content-length: 65537").as_bytes());
    assert_eq!(declared.response().status, 413, "declared");

    let mut undeclared = Connection::open(stage.leaf.addr);
    undeclared.send(head("transfer-encoding: chunked").as_bytes());
    undeclared.send(format!("10001\r\n{}\r\n", " ".repeat(65537)).as_bytes());
    assert_eq!(undeclared.response().status, 413, "undeclared");

    // A length that is a lie: the rest never comes, and nothing goes upstream.
    let mut lying = Connection::open(stage.leaf.addr);
    lying.send(head("content-length: 5000").as_bytes());
    lying.send(body("outer").as_bytes());
    lying.half_close();
    let response = lying.response();
    assert!([0, 400].contains(&response.status), "{}", response.status);
    for mut connection in [declared, undeclared, lying] {
        assert_ne!(connection.drain().1, End::TimedOut, "closed");
    }
    assert_eq!(stage.first.connections().len(), 0);
}

#[test]
fn d17_fields_of_the_consumer_stay_with_it() {
    let stage = stage().start();
    let bearer = stage.bearer();
    let own = [
        ("authorization", bearer.as_str()),
        ("connection", "authorization, x-mark7f, keep-alive"),
        ("cookie", "mark7f=cookie"),
        ("x-mark7f", "mark7f"),
        ("x-forwarded-for", "mark7f"),
        ("proxy-authorization", "Basic mark7f"),
        ("openai-organization", "mark7f"),
        ("te", "trailers"),
        ("host", "mark7f.test"),
        ("x-api-base", "http://mark7f.test"),
        ("x-portkey-custom-host", "http://mark7f.test"),
        ("helicone-target-url", "http://mark7f.test"),
        ("user-agent", "mark7f"),
    ];
    stage.first.push(answer(Wire::Chat, false));
    let mut connection = Connection::open(stage.leaf.addr);
    let bytes = request(
        "POST",
        "/v1/chat/completions",
        &own,
        body("outer").as_bytes(),
    );
    // `request` names a host of its own.
    let text = String::from_utf8(bytes)
        .expect("text")
        .replacen("host: llmleaf.test\r\n", "", 1);
    connection.send(text.as_bytes());
    assert_eq!(connection.response().status, 200);
    let sent = stage.first.wait_requests(1, LONG).expect("a request");
    for (name, value) in &sent[0].headers {
        let at_all = format!("{name}: {value}");
        assert!(
            !at_all.contains("mark7f") && !at_all.contains(&stage.key),
            "{at_all}"
        );
    }
}

#[test]
fn d21_browsers_are_told_nothing_of_other_origins() {
    let stage = stage().start();
    let bearer = stage.bearer();
    let probes = [
        ("origin", "https://evil.test"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization"),
        ("sec-fetch-mode", "cors"),
        ("sec-fetch-site", "cross-site"),
    ];
    for (method, path) in [
        ("OPTIONS", "/v1/chat/completions"),
        ("OPTIONS", "/v1/models"),
        ("GET", "/v1/models"),
        ("GET", "/healthz"),
        ("GET", "/admin/keys"),
    ] {
        let mut headers = probes.to_vec();
        headers.push(("authorization", bearer.as_str()));
        let mut connection = Connection::open(stage.leaf.addr);
        connection.send(&request(method, path, &headers, b""));
        let response = connection.response();
        let cors = response
            .headers
            .iter()
            .find(|(name, _)| name.starts_with("access-control"));
        assert_eq!(cors, None, "{method} {path}");
    }
}
