use super::*;
use crate::admin::tests::{TOKEN, headers, json_of, node, text};
use llmleaf_auth::{Check, Credential, CredentialHeaders, CredentialSource};
use serde_json::{Value, json};

/// The principal of a key; every key's password is `s3cret`.
fn principal(app: &App, basic: &str) -> Principal {
    let mut found = CredentialHeaders::new();
    let value = format!("Basic {basic}");
    found.push(CredentialSource::Authorization, value.as_bytes());
    let credential = Credential::from_headers(&found).unwrap();
    match app.authenticator.check(&credential) {
        Check::Granted(principal) => principal,
        Check::Denied(error) => panic!("{error}"),
        Check::NeedsWork(work) => app.authenticator.settle(work.run()).unwrap(),
    }
}

/// base64 of `k-all:s3cret` and of `k-some:s3cret`.
const ALL: &str = "ay1hbGw6czNjcmV0";
const SOME: &str = "ay1zb21lOnMzY3JldA==";

fn ids(list: &Value) -> Vec<&str> {
    let data = list["data"].as_array().unwrap();
    data.iter().map(|m| m["id"].as_str().unwrap()).collect()
}

fn list(key: &str, query: &str, pairs: &[(&'static str, &'static str)]) -> Value {
    let app = node();
    let reply = models(&app, &principal(&app, key), Some(query), &headers(pairs)).unwrap();
    json_of(reply)
}

#[test]
fn the_list_has_what_the_key_may_use_sorted() {
    let all = list(ALL, "", &[]);
    assert_eq!(ids(&all), ["a", "demo", "vendor/Model-B"]);
    assert_eq!(ids(&list(SOME, "", &[])), ["vendor/Model-B"]);
    let wrong = list(ALL, "", &[("x-admin-token", "wrong")]);
    assert_eq!(all, wrong, "a wrong token changes nothing");
    let nothing = list(SOME, "search=zzz", &[]);
    let expected = json!({
        "object": "list", "data": [], "has_more": false, "first_id": null, "last_id": null,
        "total_count": 0, "links": {"next": null},
    });
    assert_eq!(nothing, expected);
}

#[test]
fn an_entry_is_what_three_families_read() {
    let all = list(ALL, "search=model-b", &[]);
    let expected = json!({
        "id": "vendor/Model-B",
        "object": "model",
        "type": "model",
        "created": 0,
        "created_at": "1970-01-01T00:00:00Z",
        "owned_by": "llmleaf",
        "display_name": "vendor/Model-B",
        "name": "vendor/Model-B",
        "canonical_slug": "vendor/Model-B",
        "description": "",
        "lifecycle": "active",
        "deprecated_at": null,
        "retires_at": null,
        "line": null,
        "capabilities": null,
        "max_input_tokens": null,
        "max_tokens": null,
        "context_length": null,
        "architecture": {
            "input_modalities": ["text"],
            "output_modalities": ["text"],
            "modality": "text->text",
            "tokenizer": "Other",
            "instruct_type": null,
        },
        "pricing": {"prompt": "-1", "completion": "-1"},
        "top_provider": {
            "context_length": null, "max_completion_tokens": null, "is_moderated": false,
        },
        "per_request_limits": null,
        "supported_parameters": [
            "max_tokens", "temperature", "top_p", "stop", "frequency_penalty", "presence_penalty",
            "tools", "tool_choice",
        ],
        "default_parameters": null,
        "supported_voices": null,
        "links": {"details": "/v1/models/vendor%2FModel-B"},
    });
    assert_eq!(all["data"], json!([expected]));
    let shared = list(ALL, "search=a&limit=1", &[]);
    let parameters = shared["data"][0]["supported_parameters"]
        .as_array()
        .unwrap();
    let penalty = parameters.iter().any(|p| p == "presence_penalty");
    assert!(
        !penalty,
        "the second target of `a` has no field for it: {parameters:?}"
    );
}

#[test]
fn the_admin_view_also_says_where_models_lead() {
    let all = list(ALL, "", &[TOKEN]);
    assert_eq!(
        ids(&all),
        ["a", "claude-*", "demo", "oa/*", "vendor/Model-B"]
    );
    let endpoint = |provider: &str, model: Value, source: &str| json!({"provider": provider, "model": model, "down": false, "source": source});
    let data = all["data"].as_array().unwrap();
    assert_eq!(
        data[0]["endpoints"],
        json!([
            endpoint("first", json!("a"), "route"),
            endpoint("second", json!("claude-a"), "route"),
        ])
    );
    assert_eq!(
        data[1]["endpoints"],
        json!([endpoint("second", Value::Null, "route")])
    );
    assert_eq!(
        data[3]["endpoints"],
        json!([endpoint("first", Value::Null, "prefix")])
    );
    assert_eq!(
        ids(&list(SOME, "", &[TOKEN])),
        ["vendor/Model-B"],
        "still the key's view"
    );
}

#[test]
fn pages_meet_at_their_cursors() {
    for (query, expected, more, next) in [
        (
            "limit=2",
            &["a", "demo"][..],
            true,
            Some("/v1/models?after_id=demo&limit=2"),
        ),
        ("limit=2&after_id=demo", &["vendor/Model-B"], false, None),
        ("after_id=b", &["demo", "vendor/Model-B"], false, None),
        ("after_id=z", &[], false, None),
        ("before_id=vendor%2FModel-B", &["a", "demo"], false, None),
        ("before_id=vendor/Model-B&limit=1", &["demo"], true, None),
        ("limit=1000", &["a", "demo", "vendor/Model-B"], false, None),
        (
            "offset=1&limit=1",
            &["demo"],
            true,
            Some("/v1/models?after_id=demo&limit=1"),
        ),
        ("offset=9", &[], false, None),
        (
            "type=llm&search=D&limit=1",
            &["demo"],
            true,
            Some("/v1/models?after_id=demo&limit=1&type=llm&search=d"),
        ),
        ("type=tts", &[], false, None),
    ] {
        let page = list(ALL, query, &[]);
        assert_eq!(ids(&page), expected, "{query}");
        assert_eq!(page["has_more"], more, "{query}");
        assert_eq!(page["links"]["next"].as_str(), next, "{query}");
        assert_eq!(
            page["first_id"].as_str(),
            expected.first().copied(),
            "{query}"
        );
        assert_eq!(
            page["last_id"].as_str(),
            expected.last().copied(),
            "{query}"
        );
    }
}

#[test]
fn one_model_by_any_spelling_of_its_name() {
    let app = node();
    for (key, name, id) in [
        (ALL, "a", Some("a")),
        (ALL, "vendor/Model-B", Some("vendor/Model-B")),
        (ALL, "vendor%2FModel-B", Some("vendor/Model-B")),
        (ALL, "vendor%252FModel-B", None),
        (ALL, "vendor/model-b", None),
        (ALL, "claude-opus-5", Some("claude-opus-5")),
        (ALL, "oa/gpt", Some("oa/gpt")),
        (ALL, "oa%2fgpt", Some("oa/gpt")),
        (ALL, "oa/", None),
        (ALL, "%zz", None),
        (ALL, "%FF", None),
        (SOME, "oa/gpt", Some("oa/gpt")),
        (SOME, "oa/gpt-2", None),
        (SOME, "claude-sonnet-5", Some("claude-sonnet-5")),
        (SOME, "claude-opus-5", None),
        (SOME, "a", None),
    ] {
        let found = model(&app, &principal(&app, key), name, &headers(&[]));
        let found = found.ok().map(|reply| json_of(reply)["id"].clone());
        assert_eq!(found.as_ref().and_then(Value::as_str), id, "{name}");
    }
    let admin = model(&app, &principal(&app, ALL), "claude-x", &headers(&[TOKEN])).unwrap();
    let endpoints = json!([
        {"provider": "second", "model": "claude-x", "down": false, "source": "route"},
    ]);
    assert_eq!(json_of(admin)["endpoints"], endpoints);
}

#[test]
fn a_forbidden_model_and_an_absent_one_look_alike() {
    let app = node();
    let some = principal(&app, SOME);
    let refusal = |name: &str| {
        let failure = model(&app, &some, name, &headers(&[])).err().unwrap();
        [Dialect::ChatCompletions, Dialect::Messages].map(|dialect| {
            let reply = reply::failed(dialect, &failure, "id");
            (reply.status(), text(reply).replace(name, "NAME"))
        })
    };
    assert_eq!(refusal("demo"), refusal("omed"));
    assert!(
        refusal("demo")
            .iter()
            .all(|(status, _)| *status == StatusCode::NOT_FOUND)
    );
    let long = "x".repeat(4000);
    assert!(
        refusal(&long)[0].1.len() < 400,
        "a name is not repeated without end"
    );
}

#[test]
fn the_dialect_of_errors_follows_the_caller() {
    use Dialect::{ChatCompletions, Messages};
    let version = headers(&[("anthropic-version", "2023-06-01")]);
    for (path, by_path, headers, expected) in [
        (
            "/v1/models",
            ChatCompletions,
            &headers(&[]),
            ChatCompletions,
        ),
        ("/v1/models", Messages, &headers(&[]), Messages),
        ("/v1/models", ChatCompletions, &version, Messages),
        ("/v1/models/a/b", ChatCompletions, &version, Messages),
        ("/v1/modelsx", ChatCompletions, &version, ChatCompletions),
        (
            "/v1/chat/completions",
            ChatCompletions,
            &version,
            ChatCompletions,
        ),
    ] {
        assert_eq!(dialect(path, by_path, headers), expected, "{path}");
    }
}

/// What a controller says of a key narrows what it is shown, as it narrows what it may ask.
#[test]
fn f10_a_verdict_narrows_the_list() {
    let app = node();
    let all = principal(&app, ALL);
    let narrowed = llmleaf_auth::KeyVerdict {
        models: Some(std::sync::Arc::new(llmleaf_auth::ModelPatterns::new([
            "vendor/*",
        ]))),
        ..llmleaf_auth::KeyVerdict::default()
    };
    let verdicts = llmleaf_auth::Verdicts::new([("k-all".into(), narrowed)]);
    app.authenticator.install_verdicts(verdicts.unwrap());
    let shown = json_of(models(&app, &all, None, &headers(&[])).unwrap());
    assert_eq!(ids(&shown), ["vendor/Model-B"]);
    assert!(model(&app, &all, "vendor/Model-B", &headers(&[])).is_ok());
    assert!(model(&app, &all, "demo", &headers(&[])).is_err());
}
