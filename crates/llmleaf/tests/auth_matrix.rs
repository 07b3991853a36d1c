//! Who is let in where: every endpoint of the registry × every method × every state of both credentials, asked of the
//! running program. A new endpoint is in the matrix by being in the registry.
//!
//! Beside it: `auth_matrix/attacks.rs` (tokens that are none), `auth_matrix/issuers.rs` (issuers in trouble), `auth_matrix/verdicts.rs` (what a controller says), `auth_matrix/flood.rs` (wrong passwords without end), with
//! `auth_matrix/idp.rs` (an identity provider, played) and `auth_matrix/shapes.rs` (errors by dialect).

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

#[path = "auth_matrix/attacks.rs"]
mod attacks;
#[path = "auth_matrix/flood.rs"]
mod flood;
#[path = "auth_matrix/idp.rs"]
mod idp;
#[path = "auth_matrix/issuers.rs"]
mod issuers;
#[path = "auth_matrix/shapes.rs"]
mod shapes;
#[path = "auth_matrix/verdicts.rs"]
mod verdicts;

use llmleaf_dialects::Dialect;
use llmleaf_server::registry::{AuthClass, BatchCall, ENDPOINTS, Endpoint, Operation};
use llmleaf_testkit::binary::Llmleaf;
use llmleaf_testkit::http::{self, Connection, Response};
use llmleaf_testkit::leaks::SURFACES;
use serde_json::json;
use std::collections::BTreeSet;

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

[[routes]]
model = "hidden"
targets = [{ provider = "local" }]

[[keys]]
id = "local-dev"
# bcrypt of `s3cret`.
pw_hash = "$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO"

[[keys]]
id = "few"
pw_hash = "$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO"
allowed_models = ["demo"]
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

/// The issuer of the tokens of the matrix; its keys stand in the configuration.
const ISSUER: &str = "https://login.example";

fn oauth() -> String {
    format!(
        "[oauth]\nissuer = \"{ISSUER}\"\naudience = [\"llmleaf\"]\njwks = '{}'\n\
         algorithms = [\"EdDSA\"]\nrequired_scopes = [\"llm\"]\nrole_models = {{ dev = [\"demo\"] }}\n",
        idp::key_set()
    )
}

/// (what it is, what becomes of it: a refusal's status or nothing, the token).
fn tokens() -> Vec<(&'static str, Option<u16>, String)> {
    let good = idp::claims(ISSUER);
    let with =
        |name: &str, value: serde_json::Value| idp::token(&idp::with(good.clone(), name, value));
    let text = good.to_string();
    vec![
        ("a token", None, idp::token(&good)),
        ("an expired token", Some(401), with("exp", json!(1))),
        (
            "a token to come",
            Some(401),
            with("nbf", json!(idp::now() + 900)),
        ),
        (
            "another issuer's",
            Some(401),
            with("iss", json!("https://evil.example")),
        ),
        ("another audience's", Some(401), with("aud", json!("other"))),
        (
            "another key's",
            Some(401),
            idp::raw(idp::HEADER, &text, idp::by_evil_ed),
        ),
        (
            "of a key that is not there",
            Some(401),
            idp::raw(r#"{"alg":"EdDSA","kid":"x"}"#, &text, idp::by_ed),
        ),
        (
            "an unsigned one",
            Some(401),
            idp::raw(r#"{"alg":"none"}"#, &text, |_| Vec::new()),
        ),
        ("a scope too few", Some(403), with("scope", json!("other"))),
        (
            "a broken one",
            Some(401),
            "eyJhbGciOiJFZERTQSJ9.e30.AA".to_owned(),
        ),
    ]
}

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

/// The credential of the key of [`CONFIG`].
const KEY: (&str, &str) = ("authorization", "Bearer bG9jYWwtZGV2OnMzY3JldA==");

/// The program with more in its configuration, telling all there is to tell.
fn leaf_with(more: &str) -> Llmleaf {
    let config = format!("{}\n{more}", CONFIG.replace("ADMIN", "workers = 2"));
    Llmleaf::with_config(env!("CARGO_BIN_EXE_llmleaf"), &config)
        .env("LLMLEAF_LOG", "trace")
        .args(&["{config}"])
        .start()
}

fn start(admin: bool) -> Llmleaf {
    let token = format!("admin_token = \"{ADMIN_TOKEN}\"");
    let config = CONFIG.replace("ADMIN", if admin { &token } else { "" }) + "\n" + &oauth();
    Llmleaf::with_config(env!("CARGO_BIN_EXE_llmleaf"), &config)
        .args(&["{config}"])
        .start()
}

fn ask(leaf: &Llmleaf, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut connection = Connection::open(leaf.addr);
    let body: &[u8] = if matches!(method, "POST" | "PUT" | "PATCH") {
        b"[]"
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

/// The status of a call that was let in: each body of the matrix is `[]`, which no exchange takes, not even one whose model
/// need not be named.
fn inside(endpoint: &Endpoint) -> u16 {
    match endpoint.operation {
        // Nobody keeps a response of that id.
        Operation::Exchange(_) if endpoint.path.starts_with("/v1/responses/{id}") => 404,
        Operation::Batch(BatchCall::List | BatchCall::Files) => 200,
        Operation::Batch(BatchCall::Make | BatchCall::Upload) => 400,
        // Nor a batch or a file.
        Operation::Batch(_) => 404,
        Operation::Exchange(_) | Operation::Show => 400,
        // It is let in, and asks for no upgrade.
        Operation::Socket | Operation::Realtime => 426,
        Operation::RealtimeSecret { .. } => 400,
        _ => 200,
    }
}

/// What becomes of a consumer's credential: a refusal's status or nothing.
type Door = Option<u16>;

fn expected(rows: &[&Endpoint], method: &str, consumer: Door, admin: Option<bool>) -> u16 {
    let Some(endpoint) = rows.iter().find(|row| row.method.as_str() == method) else {
        return 405;
    };
    match endpoint.auth {
        AuthClass::Public => inside(endpoint),
        AuthClass::Consumer => consumer.unwrap_or_else(|| inside(endpoint)),
        AuthClass::Admin => match admin {
            None => 404,
            Some(true) => inside(endpoint),
            Some(false) => 401,
        },
    }
}

/// One cell's consumer and admin: what they are, what becomes of them, and their headers.
type Cell = (String, Door, bool, Vec<(&'static str, String)>);

/// Every credential with every admin token; and each token alone, in two places.
fn cells() -> Vec<Cell> {
    let owned = |headers: Headers| {
        headers
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
    };
    let mut all = Vec::new();
    for (consumer, proves, headers) in CONSUMERS {
        for (admin, right, more) in ADMINS {
            let what = format!("{consumer}, {admin}");
            let door = (!proves).then_some(401);
            all.push((
                what,
                door,
                *right,
                owned(headers).chain(owned(more)).collect(),
            ));
        }
    }
    for (what, door, token) in tokens() {
        let bearer = vec![("authorization", format!("Bearer {token}"))];
        all.push((what.to_owned(), door, false, bearer));
        all.push((
            format!("{what}, as a key"),
            door,
            false,
            vec![("x-api-key", token)],
        ));
    }
    all
}

/// Asks everything of one program; `tokens` is false where it has no admin token. Returns how many cells there were.
fn matrix(leaf: &Llmleaf, tokens: bool) -> usize {
    let mut wrong = Vec::new();
    let mut count = 0;
    let mut paths: Vec<&str> = ENDPOINTS.iter().map(|row| row.path).collect();
    paths.sort_unstable();
    paths.dedup();
    let cells = cells();
    for template in paths {
        let rows: Vec<&Endpoint> = ENDPOINTS
            .iter()
            .filter(|row| row.path == template)
            .collect();
        let path = template.replace("{id}", "demo");
        for method in METHODS {
            for (what, door, right, headers) in &cells {
                let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
                let response = ask(leaf, method, &path, &headers);
                let status = expected(&rows, method, *door, tokens.then_some(*right));
                count += 1;
                if let Some(fault) = fault(&rows, &response, status, method) {
                    wrong.push(format!("{method} {path}, {what}: {fault}"));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {count} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    count
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
    if status == 403 && response.header("www-authenticate").is_none() {
        return Some("403 of a token without a challenge".into());
    }
    let row = rows.iter().find(|row| row.method.as_str() == method);
    if let Some(row) = row.filter(|_| matches!(status, 401 | 403) && method != "HEAD") {
        // Where Google's clients ask too, whoever asks as they do gets their form.
        let forms = [row.dialect, Dialect::GenerateContent];
        if forms
            .iter()
            .all(|form| shapes::shape(*form, response).is_some())
        {
            return Some(format!("not of its dialect: {text}"));
        }
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
    println!("{cells} requests, each with its answer");
    let paths = 19;
    assert!(
        cells >= paths * METHODS.len() * CONSUMERS.len() * ADMINS.len(),
        "{cells}"
    );
}

/// Whatever is added to the registry says who may call it: its type has no other way. What it may not say without being named here
/// is that everybody may.
#[test]
fn f14_what_is_open_to_all_is_this_and_nothing_else() {
    let open = ENDPOINTS.iter().filter(|row| row.auth == AuthClass::Public);
    let open: Vec<_> = open.map(|row| (row.method.as_str(), row.path)).collect();
    let known = [
        ("GET", "/api/version"),
        ("GET", "/v1/openapi.json"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/"),
        ("HEAD", "/"),
        ("HEAD", "/api/version"),
        ("HEAD", "/api/hello"),
    ];
    assert_eq!(open, known);
    for row in ENDPOINTS {
        let admin = row.path.starts_with("/admin/") || row.path == "/metrics";
        assert_eq!(admin, row.auth == AuthClass::Admin, "{}", row.path);
    }
    // All that operators are told is searched for secrets at the end of every test.
    let told = ENDPOINTS.iter().filter(|row| row.auth == AuthClass::Admin);
    let told: BTreeSet<_> = told.map(|row| row.path).collect();
    assert_eq!(told, SURFACES.iter().copied().collect());
}

/// A model that is not the caller's is refused at every endpoint that takes one, and one that nobody has is not told from it.
#[test]
fn f14_a_model_that_is_not_the_callers_is_refused_everywhere() {
    let leaf = start(false);
    let basic = |pair: &str| format!("Bearer {pair}");
    let callers = [
        ("all", basic("bG9jYWwtZGV2OnMzY3JldA=="), 404),
        ("few", basic("ZmV3OnMzY3JldA=="), 403),
        (
            "a token",
            format!("Bearer {}", idp::token(&idp::claims(ISSUER))),
            403,
        ),
        (
            "no role",
            format!(
                "Bearer {}",
                idp::token(&idp::with(idp::claims(ISSUER), "roles", json!([])))
            ),
            403,
        ),
    ];
    let (mut wrong, mut count) = (Vec::new(), 0);
    for row in ENDPOINTS {
        let Operation::Exchange(operation) = row.operation else {
            continue;
        };
        use llmleaf_exchange::Operation as Does;
        if !matches!(operation, Does::Chat | Does::CountTokens | Does::Embed(_)) {
            continue;
        }
        for (caller, bearer, unknown) in &callers {
            for model in ["demo", "hidden", "nope"] {
                let path = row.path.replace("{id}", model);
                let body = format!(
                    r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}],"input":"hi"}}"#
                );
                let headers = [("authorization", bearer.as_str())];
                let response = http::post(leaf.addr, &path, &headers, &body);
                let status = response.status;
                let fits = match (model, *caller) {
                    ("nope", _) => status == *unknown,
                    ("demo", "all" | "few" | "a token") | (_, "all") => {
                        !matches!(status, 401 | 403 | 404)
                    }
                    _ => status == 403,
                };
                let challenged = response.header("www-authenticate").is_some();
                let challenge = challenged == (status == 403 && !matches!(*caller, "all" | "few"));
                let fault = (status == 403).then(|| shapes::shape(row.dialect, &response));
                count += 1;
                if !fits || !challenge || fault.flatten().is_some() {
                    let text = response.text();
                    wrong.push(format!("{path}, {caller}, {model}: {status} {text}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{count}:\n{}", wrong.join("\n"));
    assert!(count >= 100, "{count}");
}

#[test]
fn without_a_token_there_is_no_admin_surface() {
    let leaf = start(false);
    for row in ENDPOINTS.iter().filter(|row| row.auth == AuthClass::Admin) {
        for (admin, _, headers) in ADMINS {
            for (consumer, _, more) in CONSUMERS {
                let headers = [*headers, *more].concat();
                let response = ask(&leaf, row.method.as_str(), row.path, &headers);
                let status = expected(&[row], row.method.as_str(), Some(401), None);
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
