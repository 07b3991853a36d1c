//! What a controller says of callers holds for keys and for tokens alike, at every endpoint: one space of ids.

use std::time::Instant;

use llmleaf_server::registry::{AuthClass, ENDPOINTS, Operation};
use llmleaf_testkit::controller::{Controller, Part};
use llmleaf_testkit::stage::LONG;
use serde_json::json;

use super::idp::{self, claims, token, with};
use super::shapes::shape;
use super::{ISSUER, KEY, ask, leaf_with, oauth};

#[test]
fn f10_f14_a_blocked_and_a_suspended_caller_are_turned_away_everywhere() {
    let controller = Controller::start();
    controller.set(
        Part::Verdicts,
        &json!({"verdicts": {
            "few": {"blocked": true},
            "oauth:mallory": {"blocked": true},
            "oauth:sue": {"suspended_until": idp::now() + 9000},
            "oauth:ned": {"allowed_models": []},
            // Of a key, and of nobody's subject.
            "alice": {"blocked": true},
        }})
        .to_string(),
    );
    let leaf = leaf_with(&format!(
        "{}\n{}",
        oauth(),
        controller.config(&[Part::Verdicts])
    ));
    let bearer = |subject: &str| {
        let claims = with(claims(ISSUER), "sub", json!(subject));
        format!("Bearer {}", token(&claims))
    };
    let mallory = bearer("mallory");
    let models = |bearer: &str| {
        let headers = [("authorization", bearer)];
        ask(&leaf, "GET", "/v1/models", &headers).status
    };
    let begun = Instant::now();
    while models(&mallory) == 200 {
        assert!(begun.elapsed() < LONG, "verdicts are never pulled");
    }
    let callers = [
        ("a blocked key", "Bearer ZmV3OnMzY3JldA==".to_owned(), 403),
        ("a blocked token", mallory, 403),
        ("a suspended token", bearer("sue"), 429),
    ];
    let (mut wrong, mut count) = (Vec::new(), 0);
    for row in ENDPOINTS {
        if row.auth != AuthClass::Consumer {
            continue;
        }
        let path = row.path.replace("{id}", "demo");
        for (caller, bearer, status) in &callers {
            let headers = [("authorization", bearer.as_str())];
            let response = ask(&leaf, row.method.as_str(), &path, &headers);
            count += 1;
            let fault = match row.operation {
                // Google's form, at paths that others have too.
                Operation::Models | Operation::Model => None,
                _ => shape(row.dialect, &response),
            };
            if response.status != *status || fault.is_some() {
                let (status, text) = (response.status, response.text());
                wrong.push(format!("{} {path}, {caller}: {status} {text}", row.method));
            }
        }
    }
    assert!(wrong.is_empty(), "{count}:\n{}", wrong.join("\n"));
    assert!(count >= 90, "{count}");
    assert_eq!(
        models(&bearer("alice")),
        200,
        "a key's verdict is no token's"
    );
    assert_eq!(ask(&leaf, "GET", "/v1/models", &[KEY]).status, 200);
    let body = r#"{"model":"demo","messages":[{"role":"user","content":"hi"}]}"#;
    let ned = bearer("ned");
    let headers = [("authorization", ned.as_str())];
    let narrowed = llmleaf_testkit::http::post(leaf.addr, "/v1/chat/completions", &headers, body);
    assert_eq!(narrowed.status, 403, "{}", narrowed.text());
}
