use super::*;

const FILE: &str = r#"
    [[providers]]
    name = "own"
    kind = "openai"
    credential = "sk-own"
    prefix = "own"
    [[routes]]
    model = "m"
    targets = [{ provider = "own" }]
    [control.topology]
    url = "https://control.example/topology"
    secrets = ["LISTED"]
"#;

fn env(name: &str) -> Option<String> {
    let known = ["LISTED", "UNLISTED", "OPENAI_API_KEY"];
    known.contains(&name).then(|| format!("CANARY-{name}"))
}

fn file() -> Config {
    Config::parse(FILE, "x.toml", &env).unwrap_or_else(|d| panic!("{d}"))
}

fn add(json: &str) -> (Config, Result<Added, LayerError>) {
    let mut config = file();
    let added = Layer::parse(json.as_bytes()).and_then(|layer| config.add(&layer, &env));
    (config, added)
}

#[test]
fn what_is_added_stands_beside_what_the_file_says() {
    let (config, added) = add(r#"{
        "providers": [
            {"name": "more", "kind": "groq", "credential": "sk-\"more\"", "prefix": "more", "endpoint": null,
             "limits": {"requests_per_min": 60}, "timeouts": {"connect_ms": 100}},
            {"name": "at", "kind": "openai-compatible", "endpoint": "https://at.example/v1", "credential": "env:LISTED"}
        ],
        "routes": [
            {"model": "n", "targets": [{"provider": "at", "model": "x"}, {"provider": "own", "model": "y"}]}
        ]}"#);
    let added = added.expect("added");
    assert_eq!((added.providers, added.routes), (2, 1));
    assert_eq!(added.passed, Vec::<String>::new());
    let names: Vec<&str> = config.providers.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["own", "more", "at"]);
    let more = config.provider("more").expect("added");
    assert_eq!(more.credentials[0].identity(), b"sk-\"more\"");
    assert_eq!(more.limits.requests_per_min, Some(60));
    assert_eq!(
        config.provider("at").expect("added").credentials[0].identity(),
        b"CANARY-LISTED"
    );
    assert_eq!(config.routes[1].targets.len(), 2);
}

#[test]
fn what_the_file_says_stands() {
    let (config, added) = add(r#"{
        "providers": [
            {"name": "own", "kind": "groq", "credential": "x"},
            {"name": "a", "kind": "groq", "credential": "x", "prefix": "own"},
            {"name": "b", "kind": "of-tomorrow"},
            {"name": "c", "kind": "groq", "credential": "x"},
            {"name": "c", "kind": "openai", "credential": "x"}
        ],
        "routes": [
            {"model": "m", "targets": [{"provider": "c"}]},
            {"model": "n", "targets": [{"provider": "b"}, {"provider": "c"}]},
            {"model": "o", "targets": [{"provider": "b"}]}
        ]}"#);
    let added = added.expect("added");
    assert_eq!((added.providers, added.routes), (1, 1));
    assert_eq!(
        added.passed,
        [
            "provider `own`: its name is taken",
            "provider `a`: its prefix is taken",
            "provider `b`: no kind `of-tomorrow` is known here",
            "provider `c`: its name is taken",
            "route `m`: there is one already",
            "route `n`: 1 of its targets are not here",
            "route `o`: 1 of its targets are not here",
        ]
    );
    assert_eq!(
        config.provider("own").expect("the file's").credentials[0].identity(),
        b"sk-own"
    );
    assert_eq!(config.routes[0].targets[0].provider, "own");
}

#[test]
fn g4_one_bad_entry_spoils_the_layer() {
    let good = r#"{"name": "good", "kind": "groq", "credential": "CANARY"}"#;
    for bad in [
        r#"{"name": "a", "kind": "groq", "credential": "CANARY", "colour": "blue"}"#,
        r#"{"kind": "groq", "credential": "CANARY"}"#,
        r#"{"name": "a"}"#,
        r#"{"name": "a", "kind": "openai-compatible"}"#,
        r#"{"name": "a", "kind": "groq", "credential": 7}"#,
        r#"{"name": "a", "kind": "groq", "credential": "env:ABSENT"}"#,
        r#"{"name": "a", "kind": "groq", "credential": "CANARY", "limits": {"requests_per_min": -1}}"#,
        r#"{"name": "a", "kind": "groq", "credential": "CANARY", "limits": {"requests_per_min": 18446744073709551615}}"#,
        "7",
        "null",
    ] {
        let (config, added) = add(&format!("{{\"providers\": [{good}, {bad}]}}"));
        let error = added.expect_err(bad);
        assert!(!error.to_string().contains("CANARY"), "{error}");
        assert_eq!(config.providers.len(), 1, "{bad}");
    }
    for bad in [
        r#"{"routes": [{"model": "n"}]}"#,
        r#"{"routes": [{"model": "n", "targets": []}]}"#,
        r#"{"routes": [{"model": "n", "targets": [{}]}]}"#,
        r#"{"routes": [{"targets": [{"provider": "own"}]}]}"#,
        r#"{"keys": []}"#,
        r#"[]"#,
        "",
    ] {
        assert!(add(bad).1.is_err(), "{bad}");
    }
}

/// Whoever can write a layer can send requests where he likes. What he cannot do is have a secret of this machine sent along.
#[test]
fn g7_a_layer_cannot_send_secrets_of_this_machine_elsewhere() {
    let elsewhere = r#""kind": "openai-compatible", "endpoint": "https://evil.example/v1""#;
    for entry in [
        format!(r#"{{"name": "a", {elsewhere}, "credential": "env:UNLISTED"}}"#),
        format!(r#"{{"name": "a", {elsewhere}, "credentials": ["x", "env:UNLISTED"]}}"#),
        format!(r#"{{"name": "a", {elsewhere}, "credential": "file:/etc/passwd"}}"#),
        r#"{"name": "a", "kind": "groq", "credential": "file:/etc/passwd"}"#.to_owned(),
        r#"{"name": "a", "kind": "groq", "credential": "x", "ca_file": "/etc/passwd"}"#.to_owned(),
        r#"{"name": "a", "kind": "groq", "credential": "env:UNLISTED", "proxy": "http://evil.example"}"#.to_owned(),
    ] {
        let (_, added) = add(&format!("{{\"providers\": [{entry}]}}"));
        assert!(added.is_err(), "{entry}");
    }
    // The variable that a kind looks for by itself is not there for it either.
    let (config, added) = add(
        r#"{"providers": [{"name": "a", "kind": "openai", "endpoint": "https://evil.example/v1"}]}"#,
    );
    let unsent = config.provider("a").is_none_or(|provider| {
        let mut credentials = provider.credentials.iter();
        credentials.all(|credential| credential.identity() != b"CANARY-OPENAI_API_KEY")
    });
    assert!(unsent, "{added:?}");
    let (config, added) =
        add(r#"{"providers": [{"name": "a", "kind": "openai", "credential": "env:UNLISTED"}]}"#);
    added.expect("its kind's own address");
    assert_eq!(
        config.provider("a").expect("added").credentials[0].identity(),
        b"CANARY-UNLISTED"
    );
}
