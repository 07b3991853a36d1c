//! Who is let in where: every endpoint of the registry × every method × every state of both credentials, asked of the
//! running program. A new endpoint is in the matrix by being in the registry.

use llmleaf_dialects::Dialect;
use llmleaf_server::registry::{AuthClass, BatchCall, ENDPOINTS, Endpoint, Operation};
use llmleaf_testkit::binary::Llmleaf;
use llmleaf_testkit::http::{self, Connection, Response};

const ADMIN_TOKEN: &str = "matrix-admin-token-0123456789abcdef";

const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
batch_id_secret = "matrix-batch-secret-0123456789abcdef"
ADMIN

[[providers]]
name = "local"
kind = "echo"

[[routes]]
model = "demo"
targets = [{ provider = "local" }]

[[keys]]
id = "local-dev"
# bcrypt of `s3cret`.
pw_hash = "$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO"
"#;

const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

type Headers = &'static [(&'static str, &'static str)];

/// (what it is, whether it proves a key, headers). The good credential is base64 of `local-dev:s3cret`.
const CONSUMERS: &[(&str, bool, Headers)] = &[
    ("none", false, &[]),
    ("an empty bearer", false, &[("authorization", "Bearer ")]),
    ("no base64", false, &[("authorization", "Bearer !!!!")]),
    (
        "no colon",
        false,
        &[("authorization", "Bearer bG9jYWwtZGV2")],
    ),
    (
        "another scheme",
        false,
        &[("authorization", "Digest bG9jYWwtZGV2OnMzY3JldA==")],
    ),
    (
        "a wrong password",
        false,
        &[("authorization", "Bearer bG9jYWwtZGV2Ondyb25n")],
    ),
    (
        "an unknown id",
        false,
        &[("authorization", "Bearer bm9ib2R5OnMzY3JldA==")],
    ),
    ("the admin token", false, &[("x-api-key", ADMIN_TOKEN)]),
    (
        "two that differ",
        false,
        &[
            ("authorization", "Bearer bG9jYWwtZGV2OnMzY3JldA=="),
            ("x-api-key", "bG9jYWwtZGV2Ondyb25n"),
        ],
    ),
    (
        "bearer",
        true,
        &[("authorization", "Bearer bG9jYWwtZGV2OnMzY3JldA==")],
    ),
    (
        "basic",
        true,
        &[("authorization", "Basic bG9jYWwtZGV2OnMzY3JldA==")],
    ),
    (
        "x-api-key",
        true,
        &[("x-api-key", "bG9jYWwtZGV2OnMzY3JldA==")],
    ),
    ("api-key", true, &[("api-key", "bG9jYWwtZGV2OnMzY3JldA==")]),
    (
        "x-goog-api-key",
        true,
        &[("x-goog-api-key", "bG9jYWwtZGV2OnMzY3JldA==")],
    ),
    (
        "the same twice",
        true,
        &[
            ("authorization", "Bearer bG9jYWwtZGV2OnMzY3JldA=="),
            ("x-api-key", "bG9jYWwtZGV2OnMzY3JldA=="),
        ],
    ),
];

/// (what it is, whether it is right, headers).
const ADMINS: &[(&str, bool, Headers)] = &[
    ("no admin token", false, &[]),
    ("an empty admin token", false, &[("x-admin-token", "")]),
    (
        "a wrong admin token",
        false,
        &[("x-admin-token", "matrix-admin-token-0123456789abcdeg")],
    ),
    ("the admin token", true, &[("x-admin-token", ADMIN_TOKEN)]),
];

fn start(admin: bool) -> Llmleaf {
    let token = format!("admin_token = \"{ADMIN_TOKEN}\"");
    let config = CONFIG.replace("ADMIN", if admin { &token } else { "" });
    Llmleaf::with_config(env!("CARGO_BIN_EXE_llmleaf"), &config)
        .args(&["{config}"])
        .start()
}

fn ask(leaf: &Llmleaf, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut connection = Connection::open(leaf.addr);
    let body: &[u8] = if matches!(method, "POST" | "PUT" | "PATCH") {
        b"{}"
    } else {
        b""
    };
    connection.send(&http::request(method, path, headers, body));
    // The answer to HEAD has the length of a body, and no body.
    if method == "HEAD" {
        connection.read_head()
    } else {
        connection.response()
    }
}

/// The status of a call that was let in: each body of the matrix is `{}`, which no exchange takes.
fn inside(endpoint: &Endpoint) -> u16 {
    match endpoint.operation {
        // Nobody keeps a response of that id.
        Operation::Exchange(_) if endpoint.path.starts_with("/v1/responses/") => 404,
        Operation::Batch(BatchCall::List) => 200,
        Operation::Batch(BatchCall::Make) => 400,
        // Nor a batch or a file.
        Operation::Batch(_) => 404,
        Operation::Exchange(_) | Operation::Show => 400,
        // It is let in, and asks for no upgrade.
        Operation::Socket => 426,
        _ => 200,
    }
}

fn expected(rows: &[&Endpoint], method: &str, consumer: bool, admin: Option<bool>) -> u16 {
    let Some(endpoint) = rows.iter().find(|row| row.method.as_str() == method) else {
        return 405;
    };
    match endpoint.auth {
        AuthClass::Public => inside(endpoint),
        AuthClass::Consumer if consumer => inside(endpoint),
        AuthClass::Consumer => 401,
        AuthClass::Admin => match admin {
            None => 404,
            Some(true) => inside(endpoint),
            Some(false) => 401,
        },
    }
}

/// Asks everything of one program; `tokens` is false where it has no admin token. Returns how many cells there were.
fn matrix(leaf: &Llmleaf, tokens: bool) -> usize {
    let mut wrong = Vec::new();
    let mut cells = 0;
    let mut paths: Vec<&str> = ENDPOINTS.iter().map(|row| row.path).collect();
    paths.sort_unstable();
    paths.dedup();
    for template in paths {
        let rows: Vec<&Endpoint> = ENDPOINTS
            .iter()
            .filter(|row| row.path == template)
            .collect();
        let path = template.replace("{id}", "demo");
        for method in METHODS {
            for (consumer, proves, consumer_headers) in CONSUMERS {
                for (admin, right, admin_headers) in ADMINS {
                    let headers = [*consumer_headers, *admin_headers].concat();
                    let response = ask(leaf, method, &path, &headers);
                    let admin_state = tokens.then_some(*right);
                    let status = expected(&rows, method, *proves, admin_state);
                    cells += 1;
                    if let Some(fault) = fault(&rows, &response, status, method) {
                        wrong.push(format!("{method} {path}, {consumer}, {admin}: {fault}"));
                    }
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {cells} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    cells
}

fn fault(rows: &[&Endpoint], response: &Response, status: u16, method: &str) -> Option<String> {
    let text = response.text();
    if response.status != status {
        return Some(format!("{} instead of {status}: {text}", response.status));
    }
    if status == 405 {
        let allowed: Vec<&str> = rows.iter().map(|row| row.method.as_str()).collect();
        let told = response.header("allow").unwrap_or_default();
        return (!allowed.iter().all(|m| told.contains(m))).then(|| format!("allow: {told}"));
    }
    if status == 401 && response.header("www-authenticate").is_none() {
        return Some("401 without a challenge".into());
    }
    // Cohere's errors have no object around them.
    let bare = rows.iter().any(|row| row.dialect == Dialect::CohereChat);
    let holds = if bare { "message" } else { "error" };
    if status == 401 && method != "HEAD" && response.json().get(holds).is_none() {
        return Some(format!("no error object: {text}"));
    }
    let leak = ["s3cret", ADMIN_TOKEN, "$2y$"]
        .into_iter()
        .find(|secret| text.contains(secret));
    leak.map(|secret| format!("{secret} in {text}"))
}

#[test]
fn every_endpoint_lets_in_whom_it_should_and_nobody_else() {
    let leaf = start(true);
    let cells = matrix(&leaf, true);
    let paths = 19;
    assert!(
        cells >= paths * METHODS.len() * CONSUMERS.len() * ADMINS.len(),
        "{cells}"
    );
}

#[test]
fn without_a_token_there_is_no_admin_surface() {
    let leaf = start(false);
    for row in ENDPOINTS.iter().filter(|row| row.auth == AuthClass::Admin) {
        for (admin, _, headers) in ADMINS {
            for (consumer, _, more) in CONSUMERS {
                let headers = [*headers, *more].concat();
                let response = ask(&leaf, row.method.as_str(), row.path, &headers);
                let status = expected(&[row], row.method.as_str(), false, None);
                assert_eq!(response.status, status, "{}, {admin}, {consumer}", row.path);
            }
        }
    }
}

#[test]
fn d8_paths_that_walk_reach_nothing_else() {
    let leaf = start(true);
    let bearer = ("authorization", "Bearer bG9jYWwtZGV2OnMzY3JldA==");
    for (path, status) in [
        ("/v1/models/../../admin/keys", 404),
        ("/v1/models/%2e%2e/%2e%2e/admin/keys", 404),
        ("/admin/../v1/models", 404),
        ("/Admin/keys", 404),
        ("/admin", 404),
        ("/admin/keys/x", 404),
        (
            "/admin/keys?x-admin-token=matrix-admin-token-0123456789abcdef",
            401,
        ),
        ("/v1/models?api_key=bG9jYWwtZGV2OnMzY3JldA==", 200),
    ] {
        assert_eq!(ask(&leaf, "GET", path, &[bearer]).status, status, "{path}");
    }
    let path = "/v1/models?api_key=bG9jYWwtZGV2OnMzY3JldA==&key=bG9jYWwtZGV2OnMzY3JldA==";
    assert_eq!(
        ask(&leaf, "GET", path, &[]).status,
        401,
        "no credential in a query"
    );
}
