//! Issuers in trouble: keys that cannot be fetched or are others than before, and questions that are not answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use llmleaf_testkit::binary::Llmleaf;
use llmleaf_testkit::http::Response;
use llmleaf_testkit::replay::{Gate, Replay, Script};
use llmleaf_testkit::stage::LONG;
use llmleaf_testkit::websocket::{Message, Socket};
use serde_json::json;

use super::idp::{by_evil_ed, claims, ed_jwk, key_set, keys, raw, token, with};
use super::{CONFIG, ask, leaf_with};

fn models(leaf: &Llmleaf, token: &str) -> Response {
    let bearer = format!("Bearer {token}");
    ask(leaf, "GET", "/v1/models", &[("authorization", &bearer)])
}

fn set(jwk: &serde_json::Value) -> String {
    json!({ "keys": [jwk] }).to_string()
}

/// What may come instead of keys.
fn faults(idp: &str) -> Vec<(&'static str, Script)> {
    let mut other_use = ed_jwk(&keys().ed, "ed-1");
    other_use["use"] = json!("enc");
    let mut private = ed_jwk(&keys().ed, "ed-1");
    private["d"] = json!("AAAA");
    let mut signs = ed_jwk(&keys().ed, "ed-1");
    signs["key_ops"] = json!(["sign"]);
    let mut many = vec![ed_jwk(&keys().ed, "ed-1")];
    many.resize(300, many[0].clone());
    let twice = format!(r#"{{"keys":[],"keys":[{}]}}"#, ed_jwk(&keys().ed, "ed-1"));
    let whole = key_set();
    vec![
        ("silent", Script::silent()),
        ("stalls", Script::json(200, whole.clone()).stall_at(20)),
        ("fails", Script::json(500, whole.clone())),
        ("refuses", Script::json(403, whole.clone())),
        (
            "leads away",
            Script::json(302, whole.clone()).header("location", &format!("{idp}/good")),
        ),
        ("no keys", Script::json(200, r#"{"keys":[]}"#)),
        ("nothing", Script::json(200, "")),
        (
            "a page",
            Script::body(200, "text/html", "<html>sign in</html>"),
        ),
        ("a list", Script::json(200, format!("[{whole}]"))),
        ("cut", Script::json(200, whole.clone()).close_at(40)),
        ("reset", Script::json(200, whole.clone()).reset_at(40)),
        ("huge", Script::json(200, " ".repeat(300 * 1024) + &whole)),
        (
            "many keys",
            Script::json(200, json!({ "keys": many }).to_string()),
        ),
        ("keys twice", Script::json(200, twice)),
        ("for encryption", Script::json(200, set(&other_use))),
        ("a private key", Script::json(200, set(&private))),
        ("for signing", Script::json(200, set(&signs))),
        (
            "a weak key",
            Script::json(
                200,
                set(&json!({"kty": "RSA", "kid": "ed-1", "n": "AQAB", "e": "AQAB"})),
            ),
        ),
        ("no HTTP", Script::raw("hello\n")),
    ]
}

#[test]
fn f11_an_issuer_without_usable_keys_opens_no_door_and_closes_no_other() {
    let idp = Replay::start();
    let url = idp.url();
    let all = faults(&url);
    let scripts: Vec<Script> = all.iter().map(|(_, script)| script.clone()).collect();
    let here = url.clone();
    idp.on(
        move |request| match request.path.trim_start_matches('/').parse::<usize>() {
            Ok(number) => scripts[number].clone(),
            // The last one is found, by its own document.
            Err(_) if request.path == "/good/.well-known/openid-configuration" => {
                let document =
                    json!({"issuer": format!("{here}/good/"), "jwks_uri": format!("{here}/k?p=1")});
                Script::json(200, document.to_string())
            }
            Err(_) if request.path == "/evil/.well-known/openid-configuration" => {
                let document =
                    json!({"issuer": format!("{here}/good/"), "jwks_uri": format!("{here}/k")});
                Script::json(200, document.to_string())
            }
            Err(_) => Script::json(200, key_set()),
        },
    );
    let mut config = String::new();
    for number in 0..all.len() {
        config += &format!(
            "[[oauth]]\nname = \"i{number}\"\nissuer = \"{url}/i{number}\"\naudience = [\"llmleaf\"]\n\
             jwks_uri = \"{url}/{number}\"\nalgorithms = [\"EdDSA\"]\nallowed_models = [\"*\"]\ntimeout_ms = 400\n\n"
        );
    }
    for name in ["good", "evil"] {
        config += &format!(
            "[[oauth]]\nname = \"{name}\"\nissuer = \"{url}/{name}/\"\naudience = [\"llmleaf\"]\n\
             algorithms = [\"EdDSA\"]\nallowed_models = [\"*\"]\n\n"
        );
    }
    let leaf = leaf_with(&config);
    let names: Vec<&'static str> = all.iter().map(|(name, _)| *name).collect();
    let asking: Vec<_> = (names.into_iter().enumerate())
        .map(|(number, name)| {
            let token = token(&claims(&format!("{url}/i{number}")));
            let addr = leaf.addr;
            std::thread::spawn(move || {
                let bearer = format!("Bearer {token}");
                let headers = [("authorization", bearer.as_str())];
                (
                    name,
                    llmleaf_testkit::http::get(addr, "/v1/models", &headers),
                )
            })
        })
        .collect();
    let good = models(&leaf, &token(&claims(&format!("{url}/good/"))));
    assert_eq!(good.status, 200, "{}", good.text());
    for thread in asking {
        let (name, response) = thread.join().expect("an answer");
        assert_eq!(response.status, 503, "{name}: {}", response.text());
        assert!(response.text().contains("identity_unavailable"), "{name}");
        assert!(response.header("retry-after").is_some(), "{name}");
    }
    let evil = models(&leaf, &token(&claims(&format!("{url}/evil/"))));
    assert_eq!(evil.status, 503, "a document of another issuer");
    // Keys of the file open their door whatever becomes of issuers.
    assert_eq!(ask(&leaf, "GET", "/v1/models", &[super::KEY]).status, 200);
}

#[test]
fn f11_other_keys_take_over_and_good_ones_outlive_a_fault() {
    let idp = Replay::start();
    let url = idp.url();
    let rotated = Arc::new(AtomicBool::new(false));
    let broken = Arc::new(AtomicBool::new(false));
    let (is_rotated, is_broken) = (Arc::clone(&rotated), Arc::clone(&broken));
    idp.on(move |_| match is_rotated.load(Ordering::SeqCst) {
        _ if is_broken.load(Ordering::SeqCst) => Script::json(500, "{}"),
        false => Script::json(200, set(&ed_jwk(&keys().ed, "ed-1"))),
        true => Script::json(200, set(&ed_jwk(&keys().evil_ed, "ed-2"))),
    });
    let leaf = leaf_with(&format!(
        "[oauth]\nissuer = \"{url}\"\naudience = [\"llmleaf\"]\njwks_uri = \"{url}/keys\"\n\
         algorithms = [\"EdDSA\"]\nallowed_models = [\"*\"]\njwks_floor_secs = 1\n"
    ));
    let (first, claims) = (token(&claims(&url)), claims(&url).to_string());
    let second = raw(r#"{"alg":"EdDSA","kid":"ed-2"}"#, &claims, by_evil_ed);
    assert_eq!(models(&leaf, &first).status, 200);
    assert_eq!(models(&leaf, &second).status, 401);
    rotated.store(true, Ordering::SeqCst);
    // As many as it takes until the floor lets the new key be fetched; each of them names an unknown key.
    let begun = Instant::now();
    let mut asked = 0;
    while models(&leaf, &second).status != 200 {
        asked += 1;
        assert!(begun.elapsed() < LONG, "the new key is never fetched");
    }
    let floors = usize::try_from(begun.elapsed().as_secs()).expect("few");
    let fetched = idp.requests().len();
    assert!(fetched <= floors + 3, "{fetched} for {asked} tokens");
    let old = models(&leaf, &first);
    assert_eq!(old.status, 401, "a key that is gone: {}", old.text());
    broken.store(true, Ordering::SeqCst);
    let unknown = raw(r#"{"alg":"EdDSA","kid":"ed-3"}"#, &claims, by_evil_ed);
    let (begun, known) = (Instant::now(), idp.requests().len());
    while idp.requests().len() == known {
        assert_eq!(models(&leaf, &unknown).status, 401);
        assert!(begun.elapsed() < LONG, "nothing is fetched");
    }
    assert_eq!(
        models(&leaf, &second).status,
        200,
        "good as long as nothing better is known"
    );
}

/// A caller with an opaque token.
const OPAQUE: &str = "opaque-canary-Zk2q8Xy0pLm4";

/// What becomes of a token is in its name; what has none is good, once the gate is open.
fn answer_by_name(idp: &Replay, gate: &Gate) {
    let held = gate.clone();
    idp.on(move |request| {
        let text = request.text();
        let active =
            |sub: &str| json!({"active": true, "sub": sub, "scope": "llm", "roles": "dev"});
        if text.contains("slow-") {
            Script::silent()
        } else if text.contains("down-") {
            Script::json(500, "{}")
        } else if text.contains("page-") {
            Script::body(200, "text/html", "<html>")
        } else if text.contains("gone-") {
            Script::json(200, r#"{"active":false}"#)
        } else if text.contains("lacks-") {
            Script::json(200, r#"{"active":true,"sub":"bob","scope":"other"}"#)
        } else {
            Script::json(200, active("carol").to_string()).hold_head(&held)
        }
    });
}

#[test]
fn f12_an_issuer_is_asked_once_and_not_believed_when_it_says_nothing() {
    let idp = Replay::start();
    let url = idp.url();
    let gate = Gate::new();
    answer_by_name(&idp, &gate);
    let config = format!(
        "[oauth]\nissuer = \"{url}\"\naudience = [\"llmleaf\"]\njwks_uri = \"{url}/keys\"\n\
         required_scopes = [\"llm\"]\nrole_models = {{ dev = [\"demo\"] }}\n\n\
         [oauth.introspection]\nurl = \"{url}/introspect\"\nclient_id = \"leaf\"\n\
         client_secret = \"canary-secret-9fK2\"\ntokens = \"opaque\"\ntimeout_ms = 700\n"
    );
    let leaf = Arc::new(leaf_with(&config));
    let asking: Vec<_> = (0..6)
        .map(|_| {
            let leaf = Arc::clone(&leaf);
            std::thread::spawn(move || models(&leaf, OPAQUE).status)
        })
        .collect();
    assert!(gate.wait_reached(LONG), "nobody was asked");
    gate.release();
    for thread in asking {
        assert_eq!(thread.join().expect("an answer"), 200);
    }
    let asked: Vec<_> = (idp.requests().into_iter())
        .filter(|request| request.path == "/introspect")
        .collect();
    assert_eq!(asked.len(), 1, "one question for all");
    let basic = asked[0].header("authorization").unwrap_or_default();
    assert_eq!(basic, "Basic bGVhZjpjYW5hcnktc2VjcmV0LTlmSzI=");
    assert_eq!(
        asked[0].text(),
        format!("token={OPAQUE}&token_type_hint=access_token")
    );
    for (token, status, word) in [
        ("slow-0123456789abcdef", 503, "identity_unavailable"),
        ("down-0123456789abcdef", 503, "identity_unavailable"),
        ("page-0123456789abcdef", 503, "identity_unavailable"),
        ("gone-0123456789abcdef", 401, "is not active"),
        ("lacks-0123456789abcdef", 403, "insufficient_scope"),
    ] {
        let response = models(&leaf, token);
        assert_eq!(response.status, status, "{token}: {}", response.text());
        assert!(
            response.text().contains(word),
            "{token}: {}",
            response.text()
        );
    }
    // Too short for a secret, or another service's: shown to nobody.
    let known = idp.requests().len();
    for token in ["short", "sk-0123456789abcdef0123456789"] {
        assert_eq!(models(&leaf, token).status, 401);
    }
    assert_eq!(
        models(&leaf, "gone-0123456789abcdef").status,
        401,
        "remembered"
    );
    assert_eq!(idp.requests().len(), known);
    let log = leaf.log().join("\n");
    for secret in [
        OPAQUE,
        "0123456789abcdef",
        "canary-secret-9fK2",
        "bGVhZjpjYW5hcn",
    ] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

/// An issuer may revoke a token while its session goes on: it is asked again when its word does not count any more.
#[test]
fn f12_a_session_ends_when_its_token_is_revoked() {
    let idp = Replay::start();
    let url = idp.url();
    let revoked = Arc::new(AtomicBool::new(false));
    let is_revoked = Arc::clone(&revoked);
    idp.on(move |_| match is_revoked.load(Ordering::SeqCst) {
        false => Script::json(200, r#"{"active":true,"sub":"carol","roles":"dev"}"#),
        true => Script::json(200, r#"{"active":false}"#),
    });
    let leaf = leaf_with(&format!(
        "[oauth]\nissuer = \"{url}\"\naudience = [\"llmleaf\"]\njwks_uri = \"{url}/keys\"\n\
         role_models = {{ dev = [\"demo\"] }}\n\n\
         [oauth.introspection]\nurl = \"{url}/introspect\"\ntokens = \"opaque\"\n\
         client_id = \"leaf\"\nclient_secret = \"canary-secret-9fK2\"\ncache_ttl_secs = 1\n"
    ));
    let bearer = format!("Bearer {OPAQUE}");
    let headers = [("authorization", bearer.as_str())];
    let opened = Socket::open(leaf.addr, "/v1/realtime?model=demo", &headers);
    let mut session = opened.map_err(|reply| reply.text()).expect("a session");
    assert!(session.text().contains("session.created"));
    let asked = || {
        let requests = idp.requests().into_iter();
        requests
            .filter(|request| request.path == "/introspect")
            .count()
    };
    while asked() < 2 {
        let all = idp.requests().len();
        let more = idp.wait_requests(all + 1, LONG);
        assert!(more.is_some(), "it is not asked again");
    }
    session.send(r#"{"type":"session.update","session":{"type":"realtime"}}"#);
    assert!(session.text().contains("session.updated"), "it goes on");
    revoked.store(true, Ordering::SeqCst);
    let code = loop {
        match session.message() {
            Message::Close(code, _) => break code,
            Message::End => panic!("it is not told why"),
            Message::Text(_) | Message::Control(..) => {}
        }
    };
    assert_eq!(code, 1008);
    assert_eq!(models(&leaf, OPAQUE).status, 401);
}

#[test]
fn roles_open_models_and_limits_are_those_of_the_caller() {
    let idp = Replay::start();
    let url = idp.url();
    idp.on(|_| Script::json(200, key_set()));
    let leaf = leaf_with(&format!(
        "[oauth]\nissuer = \"{url}\"\naudience = [\"llmleaf\"]\njwks_uri = \"{url}/keys\"\n\
         algorithms = [\"EdDSA\"]\nroles_claim = [\"realm_access.roles\", \"groups\"]\n\
         role_models = {{ dev = [\"demo\"] }}\nexplain_roles = [\"ops\"]\n\n\
         [oauth.role_limits.dev]\nrequests_per_min = 2\n"
    ));
    let chat = |subject: &str, roles: serde_json::Value, model: &str, number: u64| {
        let claims = with(claims(&url), "realm_access", json!({ "roles": roles }));
        let claims = with(with(claims, "sub", json!(subject)), "jti", json!(number));
        let bearer = format!("Bearer {}", token(&claims));
        let body =
            format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}]}}"#);
        let headers = [
            ("authorization", bearer.as_str()),
            ("x-llmleaf-explain", "1"),
        ];
        llmleaf_testkit::http::post(leaf.addr, "/v1/chat/completions", &headers, &body)
    };
    let refused = chat("alice", json!(["dev"]), "hidden", 1);
    assert_eq!(refused.status, 403, "{}", refused.text());
    let challenge = refused.header("www-authenticate").unwrap_or_default();
    assert!(
        challenge.contains("error=\"insufficient_scope\""),
        "{challenge}"
    );
    assert_eq!(
        chat("bob", json!([]), "demo", 1).status,
        403,
        "no role, no model"
    );
    // A new token of the same caller has the same limits.
    for (number, status) in [(1, 200), (2, 200), (3, 429)] {
        let response = chat("alice", json!(["dev"]), "demo", number);
        assert_eq!(response.status, status, "{number}: {}", response.text());
        assert_eq!(response.header("x-llmleaf-explain"), None, "not her role");
    }
    let other = chat("dora", json!(["dev", "ops"]), "demo", 1);
    assert_eq!(other.status, 200, "another caller");
    assert!(other.header("x-llmleaf-explain").is_some());
}

#[test]
fn a_token_hands_over_nothing_that_outlives_it_and_its_turns_are_refused_like_requests() {
    let idp = Replay::start();
    let url = idp.url();
    idp.on(|_| Script::json(200, key_set()));
    let name = format!("llmleaf-tokens-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    let server = format!(
        "workers = 1\nwatch_secs = 0\nstate_dir = \"{}\"",
        folder.display()
    );
    let without = CONFIG.replace("ADMIN", &server);
    let config = format!(
        "{without}\n[oauth]\nissuer = \"{url}\"\naudience = [\"llmleaf\"]\njwks_uri = \"{url}/keys\"\n\
         algorithms = [\"EdDSA\"]\nroles_claim = [\"groups\"]\nrole_models = {{ dev = [\"demo\"] }}\n"
    );
    let leaf = Llmleaf::with_config(env!("CARGO_BIN_EXE_llmleaf"), &config).start();
    let claims = with(claims(&url), "groups", json!(["dev"]));
    let bearer = format!("Bearer {}", token(&claims));
    let headers = [("authorization", bearer.as_str())];
    let batch = r#"{"requests":[{"custom_id":"a","body":{"model":"demo","messages":[{"role":"user","content":"hi"}]}}]}"#;
    let refused = llmleaf_testkit::http::post(leaf.addr, "/v1/batches", &headers, batch);
    assert_eq!(refused.status, 400, "{}", refused.text());
    let refused = refused.json();
    assert_eq!(refused.text_at(&["error", "code"]), "batch_needs_key");
    let opened = Socket::open(leaf.addr, "/v1/responses", &headers);
    let mut socket = opened.map_err(|reply| reply.text()).expect("a socket");
    // Its issuer is no more.
    leaf.write_config(&without);
    leaf.signal("HUP");
    let reloaded = |line: &str| line.contains("configuration reloaded");
    assert!(leaf.wait_lines(1, LONG, reloaded).is_some());
    socket.send(r#"{"type":"response.create","model":"demo","input":"hi"}"#);
    let event = llmleaf_testkit::json::parse(&socket.text()).expect("JSON");
    assert_eq!(event.u64_at(&["status"]), Some(401), "{event}");
    let id = event.text_at(&["headers", "x-request-id"]);
    assert!(!id.is_empty(), "{event}");
    drop(leaf);
    let _ = std::fs::remove_dir_all(folder);
}
