use super::*;
use llmleaf_auth::Roster;

const ONE: &str = r#"
    [[keys]]
    id = "one"
    pw_hash = "$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO"
"#;

fn app(more: &str) -> App {
    let text = [ONE, more].concat();
    let config = Config::parse(&text, "node.toml", &|_| None).unwrap_or_else(|d| panic!("{d}"));
    App::build(&config).expect("it is built")
}

/// Whose a batch or a kept response is that says nothing of it is a matter of who else there could be.
#[test]
fn who_is_alone_has_no_other_key_no_issuer_and_no_controller() {
    let issuer = "[oauth]\nissuer = \"https://login.example\"\naudience = [\"llmleaf\"]\n";
    let identity = "[control.identity]\nurl = \"http://127.0.0.1:9/keys\"\n";
    let verdicts = "[control.limits]\nurl = \"http://127.0.0.1:9/verdicts\"\n";
    for (more, alone) in [
        ("", true),
        (&*ONE.replace("one", "two"), false),
        (issuer, false),
        (identity, false),
        (verdicts, true),
    ] {
        assert_eq!(app(more).is_alone(), alone, "{more}");
    }
    // Of a controller that is not in the configuration any more, keys are left for a moment.
    let app = app("");
    app.authenticator
        .install_upper(Some(Roster::default()), false);
    assert!(!app.is_alone());
    app.authenticator.install_upper(None, false);
    assert!(app.is_alone());
}
