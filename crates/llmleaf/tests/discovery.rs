//! Discovery and admin as their callers meet them: paths, dialects, what shows after traffic, and no secret anywhere.

use llmleaf_testkit::binary::Llmleaf;
use llmleaf_testkit::http::{get, post};
use llmleaf_testkit::json::Value;
use llmleaf_testkit::replay::RefusedPort;

const TOKEN: (&str, &str) = ("x-admin-token", "CANARY-admin-token-0123456789abcdef");
/// base64 of `local-dev:s3cret` and of `narrow:s3cret`.
const KEY: (&str, &str) = ("authorization", "Bearer bG9jYWwtZGV2OnMzY3JldA==");
const NARROW: (&str, &str) = ("x-api-key", "bmFycm93OnMzY3JldA==");
const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

fn start(refused: &RefusedPort) -> Llmleaf {
    let config = format!(
        r#"
[server]
listen = "127.0.0.1:0"
admin_token = "CANARY-admin-token-0123456789abcdef"

[[providers]]
name = "local"
kind = "echo"

[[providers]]
name = "gone"
kind = "openai-compatible"
endpoint = "http://{}/v1"
credential = "CANARY-credential"
prefix = "gone"

[[routes]]
model = "demo"
targets = [{{ provider = "local" }}]

[[routes]]
model = "vendor/lost"
targets = [{{ provider = "gone", model = "lost" }}]

[[routes]]
model = "claude-*"
targets = [{{ provider = "local" }}]

[[keys]]
id = "local-dev"
pw_hash = "$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO"

[[keys]]
id = "narrow"
allowed_models = ["claude-sonnet-*"]
pw_hash = "$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO"
"#,
        refused.addr
    );
    Llmleaf::with_config(env!("CARGO_BIN_EXE_llmleaf"), &config)
        .args(&["{config}"])
        .start()
}

fn ids(list: &Value) -> Vec<&str> {
    let data = list.elements_at(&["data"]);
    data.iter().map(|model| model.text_at(&["id"])).collect()
}

#[test]
fn every_base_url_finds_the_same_models() {
    let leaf = start(&RefusedPort::reserve());
    for base in ["/v1", "", "/openai/v1", "/anthropic/v1", "/api/v1"] {
        let list = get(leaf.addr, &format!("{base}/models?limit=1000"), &[KEY]).json();
        assert_eq!(ids(&list), ["demo", "vendor/lost"], "{base}");
        for name in ["vendor/lost", "vendor%2Flost", "vendor%2flost?beta=true"] {
            let one = get(leaf.addr, &format!("{base}/models/{name}"), &[KEY]);
            assert_eq!(one.status, 200, "{base} {name}");
            assert_eq!(one.json().text_at(&["id"]), "vendor/lost", "{base} {name}");
        }
    }
    let narrow = get(leaf.addr, "/v1/models", &[NARROW]).json();
    assert!(
        ids(&narrow).is_empty(),
        "it may use names behind a wildcard only"
    );
    let named = get(leaf.addr, "/v1/models/claude-sonnet-5", &[NARROW]);
    assert_eq!(named.status, 200);
    assert_eq!(get(leaf.addr, "/v1/models/demo", &[NARROW]).status, 404);
}

#[test]
fn errors_come_in_the_callers_dialect() {
    let leaf = start(&RefusedPort::reserve());
    for (path, headers, status, kind) in [
        ("/v1/models/none", &[KEY][..], 404, None),
        (
            "/v1/models/none",
            &[KEY, VERSION],
            404,
            Some("not_found_error"),
        ),
        (
            "/anthropic/v1/models/none",
            &[KEY],
            404,
            Some("not_found_error"),
        ),
        ("/v1/models", &[], 401, None),
        ("/v1/models", &[VERSION], 401, Some("authentication_error")),
        (
            "/anthropic/v1/models",
            &[],
            401,
            Some("authentication_error"),
        ),
        ("/v1/models?limit=0", &[KEY], 400, None),
        (
            "/v1/models?limit=0",
            &[KEY, VERSION],
            400,
            Some("invalid_request_error"),
        ),
        ("/v1/models?type=chat", &[KEY], 400, None),
    ] {
        let response = get(leaf.addr, path, headers);
        assert_eq!(response.status, status, "{path} {headers:?}");
        let body = response.json();
        let id = response.header("x-request-id").unwrap_or_default();
        assert!(!id.is_empty());
        match kind {
            Some(kind) => {
                assert_eq!(body.text_at(&["type"]), "error", "{path}");
                assert_eq!(body.text_at(&["error", "type"]), kind, "{path}");
                assert_eq!(body.text_at(&["request_id"]), id, "{path}");
                assert_eq!(response.header("request-id"), Some(id), "{path}");
            }
            None => {
                assert!(body.get("type").is_none(), "{path}");
                assert!(!body.text_at(&["error", "message"]).is_empty(), "{path}");
                let coded = !body.text_at(&["error", "code"]).is_empty();
                assert_eq!(coded, status != 400, "{path}");
            }
        }
    }
}

#[test]
fn traffic_shows_in_health_and_in_the_admin_view() {
    let leaf = start(&RefusedPort::reserve());
    let chat = |model: &str| {
        let body =
            format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}]}}"#);
        post(leaf.addr, "/v1/chat/completions", &[KEY], &body).status
    };
    let down = || {
        let list = get(leaf.addr, "/v1/models", &[KEY, TOKEN]).json();
        let all = list.elements_at(&["data"]).to_vec();
        let down = all.iter().map(|model| {
            let endpoint = &model.elements_at(&["endpoints"])[0];
            (
                model.text_at(&["id"]).to_owned(),
                endpoint.get("down").is_some_and(Value::is_truthy),
            )
        });
        down.collect::<Vec<_>>()
    };
    let all = |lost| {
        [
            ("claude-*", false),
            ("demo", false),
            ("gone/*", false),
            ("vendor/lost", lost),
        ]
        .map(|(id, down)| (id.to_owned(), down))
    };
    assert_eq!(down(), all(false));
    assert_eq!(chat("demo"), 200);
    for _ in 0..3 {
        assert_eq!(chat("vendor/lost"), 502);
    }
    assert_eq!(down(), all(true), "three failures in a row");
    let health = get(leaf.addr, "/admin/health", &[TOKEN]).json();
    let recent = health.elements_at(&["recent"]);
    assert_eq!(
        recent.last().map(|r| r.text_at(&["model"])),
        Some("demo"),
        "newest first"
    );
    assert_eq!(
        recent.last().map(|r| r.text_at(&["outcome"])),
        Some("completed")
    );
    assert_eq!(recent[0].text_at(&["provider"]), "gone");
    assert_eq!(recent[0].text_at(&["key"]), "local-dev");
}

#[test]
fn no_answer_ever_holds_a_secret() {
    let leaf = start(&RefusedPort::reserve());
    let body = r#"{"model":"vendor/lost","messages":[{"role":"user","content":"hi"}]}"#;
    let mut answers = vec![
        post(leaf.addr, "/v1/chat/completions", &[KEY], body),
        post(
            leaf.addr,
            "/v1/messages",
            &[KEY],
            r#"{"model":"gone/x","messages":[{"role":"user","content":"x"}],"max_tokens":1}"#,
        ),
    ];
    for path in [
        "/admin/routes",
        "/admin/health",
        "/admin/recent",
        "/admin/keys",
        "/v1/models",
        "/v1/models/vendor/lost",
        "/v1/models/none",
        "/v1/openapi.json",
        "/nowhere",
    ] {
        answers.push(get(leaf.addr, path, &[KEY, TOKEN]));
    }
    for answer in answers {
        let shown = format!("{:?} {}", answer.headers, answer.text());
        for secret in ["CANARY", "s3cret", "IcVq6nhz5Tf85lBpWclgKe"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }
}
