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

/// Asked whenever an exchange is polled, so that nothing is looked up before something has changed.
#[test]
fn f10_what_runs_is_barred_with_its_caller_where_that_is_asked_for() {
    let limits = |more: &str| format!("[control.limits]\nurl = \"http://127.0.0.1:9/v\"\n{more}");
    let known = |app: &App| app.authenticator.known("one").expect("it is there");
    let finishes = app(&limits(""));
    assert!(finishes.bar(&known(&finishes)).is_none());
    let cuts = app(&limits("on_block = \"cut\"\n"));
    let bar = cuts.bar(&known(&cuts)).expect("it is asked for");
    assert!(!bar());
    let blocked = llmleaf_auth::KeyVerdict {
        blocked: true,
        ..llmleaf_auth::KeyVerdict::default()
    };
    let verdicts = llmleaf_auth::Verdicts::new([("one".into(), blocked)]);
    cuts.authenticator
        .install_verdicts(verdicts.expect("one of them"));
    assert!(bar());
    cuts.authenticator
        .install_verdicts(llmleaf_auth::Verdicts::default());
    assert!(!bar());
}
