use super::*;
use crate::reply::ReplyBody;
use http::HeaderName;
use llmleaf_config::Config;
use llmleaf_model::{Failure, FailureKind};
use llmleaf_route::walk::Step;
use llmleaf_route::{Ask, Candidate, Policy, Walk};
use std::time::Duration;

/// A node with exact, wildcard and prefix routes. Each of its secrets contains `CANARY`.
pub(crate) const NODE: &str = r#"
    [server]
    admin_token = "CANARY-admin-token-0123456789"
    [[providers]]
    name = "first"
    kind = "openai"
    credential = "sk-CANARY-first"
    prefix = "oa"
    [[providers]]
    name = "second"
    kind = "anthropic"
    credential = "CANARY-second"
    [[providers]]
    name = "third"
    kind = "openai-compatible"
    endpoint = "http://127.0.0.1:9/v1"
    credential = "CANARY-third"
    [[providers]]
    name = "local"
    kind = "echo"
    [[routes]]
    model = "vendor/Model-B"
    targets = [{ provider = "third", model = "b-1" }, { provider = "first" }]
    [[routes]]
    model = "claude-*"
    targets = [{ provider = "second" }]
    [[routes]]
    model = "a"
    targets = [{ provider = "first" }, { provider = "second", model = "claude-a" }]
    [[routes]]
    model = "demo"
    targets = [{ provider = "local" }]
    [[keys]]
    id = "k-all"
    name = "All of it"
    pw_hash = "$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO"
    [[keys]]
    id = "k-some"
    allowed_models = ["vendor/*", "claude-sonnet-*", "oa/gpt"]
    pw_hash = "$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO"
"#;

pub(crate) fn node() -> App {
    let config = Config::parse(NODE, "node.toml", &|_| None).unwrap_or_else(|d| panic!("{d}"));
    App::build(&config).unwrap()
}

pub(crate) fn text(reply: Reply) -> String {
    match reply.into_body() {
        ReplyBody::Whole(Some(bytes)) => String::from_utf8(bytes.to_vec()).unwrap(),
        _ => panic!("no whole body"),
    }
}

pub(crate) fn json_of(reply: Reply) -> Value {
    serde_json::from_str(&text(reply)).unwrap()
}

pub(crate) fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pairs = pairs.iter().map(|(name, value)| {
        let name = HeaderName::from_static(name);
        (name, HeaderValue::from_static(value))
    });
    pairs.collect()
}

pub(crate) const TOKEN: (&str, &str) = ("x-admin-token", "CANARY-admin-token-0123456789");

#[test]
fn the_token_is_taken_whole_or_not_at_all() {
    let app = node();
    assert!(admitted(&app, &headers(&[TOKEN])));
    for wrong in [
        "",
        "CANARY",
        "CANARY-admin-token-01234567890",
        "canary-admin-token-0123456789",
    ] {
        assert!(
            !admitted(&app, &headers(&[("x-admin-token", wrong)])),
            "{wrong}"
        );
    }
    assert!(!admitted(&app, &headers(&[])));
    let without = App {
        admin_token: None,
        ..node()
    };
    assert!(!admitted(&without, &headers(&[TOKEN])));
    assert!(!admitted(&without, &headers(&[("x-admin-token", "")])));
}

#[test]
fn routes_show_where_they_lead() {
    let shown = json_of(routes(&node()));
    let models = shown["models"].as_array().unwrap();
    let names: Vec<&str> = models
        .iter()
        .map(|m| m["model"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["vendor/Model-B", "claude-*", "a", "demo"],
        "as configured"
    );
    let target = &models[0]["targets"][0];
    assert_eq!(target["provider"], "third");
    assert_eq!(target["model"], "b-1");
    let url = target["url"].as_str().unwrap();
    assert!(url.ends_with("127.0.0.1:9/v1/chat/completions"), "{url}");
    assert!(target["timeouts"]["total_ms"].as_u64().unwrap() > 0);
    assert_eq!(models[0]["loss_policy"], "report");
    assert_eq!(
        models[0]["targets"][1]["model"], "vendor/Model-B",
        "the name asked for"
    );
    assert_eq!(
        models[1]["targets"][0]["model"],
        Value::Null,
        "whatever is asked for"
    );
    assert_eq!(
        shown["prefixes"],
        json!([{"prefix": "oa", "provider": "first"}])
    );
}

#[test]
fn a_provider_is_down_when_nothing_of_it_is_left() {
    let app = node();
    let provider = |app: &App, name: &str| {
        let shown = json_of(health(app));
        let all = shown["providers"].as_array().unwrap();
        all.iter().find(|p| p["provider"] == name).unwrap().clone()
    };
    let load = json_of(health(&app))["load"].clone();
    assert_eq!(
        (&load["connections"], &load["shedding"]),
        (&json!(0), &json!(false))
    );
    assert!(load["max_connections"].as_u64() > Some(0), "{load}");
    let third = provider(&app, "third");
    assert_eq!(third["down"], false);
    let target = &third["targets"][0];
    assert_eq!(
        (&target["model"], &target["state"]),
        (&json!("b-1"), &json!("closed"))
    );
    assert_eq!(
        (&target["failures"], &target["pending"]),
        (&json!(0), &json!(0))
    );
    let mut limited = Failure::upstream(FailureKind::RateLimit, "429");
    limited.retry_after = Some(Duration::from_secs(40));
    let strike = |provider, model: &str| {
        let candidate = Candidate {
            provider,
            model: model.into(),
        };
        let now = app.shared.now();
        let member = app.shared.fleet.member(&candidate, 1, now).unwrap();
        let ask = Ask::default();
        let policy = Policy::default();
        let mut walk = Walk::new(&app.shared.fleet, policy, vec![member], &ask, now).unwrap();
        let Step::Try(attempt) = walk.step(now) else {
            panic!("nobody to try");
        };
        walk.failed(attempt, &limited, now);
    };
    strike(2, "b-1");
    let third = provider(&app, "third");
    assert_eq!(third["down"], true);
    let lane = &third["targets"][0]["credentials"][0];
    assert_eq!(
        (&lane["index"], &lane["cause"]),
        (&json!(0), &json!("rate_limit"))
    );
    let cooling = third["targets"][0]["cooling_ms"].as_u64().unwrap();
    assert!((1..=40_000).contains(&cooling), "{cooling}");
    // Reached by name and through a wildcard: one of the two cools, then both.
    strike(1, "claude-a");
    assert_eq!(provider(&app, "second")["down"], true);
    let other = Candidate {
        provider: 1,
        model: "claude-sonnet-5".into(),
    };
    app.shared.fleet.member(&other, 1, app.shared.now());
    assert_eq!(provider(&app, "second")["down"], false);
    strike(1, "claude-sonnet-5");
    let second = provider(&app, "second");
    assert_eq!(second["down"], true, "{second}");
    assert_eq!(second["targets"][1]["model"], "claude-sonnet-5");
}

#[test]
fn keys_show_names_and_lists() {
    let verdict = json!({
        "blocked": false, "suspended_until": null, "allowed_models": null, "leased": false,
    });
    let expected = json!({"not_listed": 0, "keys": [
        {
            "id": "All of it",
            "key_id": "k-all",
            "source": "file",
            "config_allowed": null,
            "explain": true,
            "limits": {"requests_per_min": {"limit": 5, "remaining": 5, "reset_ms": 0}, "tokens_per_min": null, "max_concurrent": null},
            "verdict": verdict,
        },
        {
            "id": "k-some",
            "key_id": "k-some",
            "source": "file",
            "config_allowed": ["vendor/*", "claude-sonnet-*", "oa/gpt"],
            "explain": false,
            "limits": null,
            "verdict": verdict,
        },
    ]});
    let name = r#"name = "All of it""#;
    let more = format!("{name}\nexplain = true\nlimits = {{ requests_per_min = 5 }}");
    let config = NODE.replace(name, &more);
    let config = Config::parse(&config, "node.toml", &|_| None).unwrap_or_else(|d| panic!("{d}"));
    assert_eq!(json_of(keys(&App::build(&config).unwrap())), expected);
}

#[test]
fn no_secret_is_ever_shown() {
    assert_eq!(NODE.matches("CANARY").count(), 4);
    let app = node();
    let last = recent::answer(&app, "").unwrap();
    for shown in [routes(&app), health(&app), keys(&app), last].map(text) {
        for secret in ["CANARY", "IcVq6nhz5Tf85lBpWclgKe", "$2y$"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }
}
