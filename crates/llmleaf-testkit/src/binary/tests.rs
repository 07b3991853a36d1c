use std::time::Duration;

use super::{Llmleaf, listening_on};

const LONG: Duration = Duration::from_secs(20);

#[test]
fn the_address_is_read_from_text_and_from_json() {
    for line in [
        "listening on 127.0.0.1:4000",
        r#"{"level":"INFO","message":"listening","addr":"127.0.0.1:4000"}"#,
        r#"{"addr":"127.0.0.1:4000","message":"listening"}"#,
    ] {
        assert_eq!(
            listening_on(line).map(|addr| addr.port()),
            Some(4000),
            "{line}"
        );
    }
    assert_eq!(listening_on("listening on 127.0.0.1:0"), None);
    assert_eq!(listening_on("calling 127.0.0.1:4000"), None);
}

/// A shell stands in for the program: it says where it "listens", shows its config, and waits.
fn stand_in(script: &str) -> super::Setup {
    Llmleaf::with_config("/bin/sh", "listen = \"127.0.0.1:0\"")
        .args(&["-c", script, "sh", "{config}"])
}

#[test]
fn a_program_is_started_heard_and_ended() {
    let script = "echo 'listening on 127.0.0.1:7' >&2; cat \"$1\" >&2; echo >&2; \
                  echo \"{\\\"word\\\":\\\"$WORD\\\"}\" >&2; exec cat extra.txt - <&- >&2";
    let mut leaf = stand_in(script)
        .env("WORD", "hello")
        .file("extra.txt", "the extra file\n")
        .start();
    assert_eq!(leaf.addr.port(), 7);
    let seen = leaf.wait_lines(1, LONG, |line| line.contains("the extra file"));
    assert!(seen.is_some(), "{:?}", leaf.log());
    assert!(leaf.log().iter().any(|line| line.contains("listen = ")));
    assert_eq!(leaf.log_json()[0].text_at(&["word"]), "hello");
    assert!(leaf.wait_exit(LONG).is_some());
    let folder = leaf.folder().to_owned();
    drop(leaf);
    assert!(!folder.exists());
}

#[test]
fn a_signal_ends_it() {
    let mut leaf = stand_in("echo 'listening on 127.0.0.1:7' >&2; exec tail -f /dev/null").start();
    assert!(leaf.resident_kib().is_some_and(|kib| kib > 0));
    assert!(leaf.open_files().is_some_and(|count| count > 0));
    leaf.signal("TERM");
    let status = leaf.wait_exit(LONG).expect("it ended");
    assert!(!status.success());
}

#[test]
#[should_panic(expected = "no such provider")]
fn one_that_does_not_start_shows_why() {
    let _ = stand_in("echo 'no such provider' >&2; exit 1").start();
}

#[test]
fn one_that_only_runs_gives_its_output() {
    let (status, stdout, stderr) = stand_in("echo out; echo err >&2; exit 3").run();
    assert_eq!(status.code(), Some(3));
    assert_eq!((stdout.as_str(), stderr.as_str()), ("out\n", "err\n"));
}

/// A program that tells what it must not, each time in another place.
fn teller(script: &str) -> Llmleaf {
    let config = "admin_token = \"canary-of-nobody-Xy93\"\nstate_dir = \"state\"\n";
    let script = format!("{script}; echo 'listening on 127.0.0.1:7' >&2; exec tail -f /dev/null");
    Llmleaf::with_config("/bin/sh", config)
        .args(&["-c", &script, "sh", "{config}"])
        .start()
}

#[test]
fn a_secret_fails_the_test_wherever_it_got_out() {
    let planted = [
        ("the log", "cat \"$1\" >&2"),
        ("its output", "cat \"$1\""),
        ("the file spool", "grep token \"$1\" > spool"),
        (
            "the file deep",
            "mkdir -p state/a; cat \"$1\" > state/a/deep",
        ),
        ("the log", "printf canary-of-nobody-Xy93 | base64 >&2"),
    ];
    for (place, script) in planted {
        let leaf = teller(script);
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(leaf)));
        let told = told.expect_err(script);
        let told = told.downcast_ref::<String>().expect("words");
        assert!(told.contains(&format!(" in {place}")), "{script}: {told}");
        assert!(!told.contains("nobody"), "and is not told again: {told}");
    }
    drop(teller("cat \"$1\" > it.snapshot; echo nothing of it >&2"));
}

#[test]
fn a_secret_fails_the_test_where_an_answer_or_the_admin_surface_tells_it() {
    use crate::replay::{Replay, Script};
    for place in ["an answer", "/metrics"] {
        let program = Replay::start();
        program.on(move |request| match request.path.starts_with(place) {
            true => Script::json(200, "{\"a\":\"canary-of-nobody-Xy93\"}"),
            false => Script::json(200, "{}"),
        });
        if place == "an answer" {
            program.push(Script::json(200, "{\"a\":\"canary-of-nobody-Xy93\"}"));
        }
        let script = format!(
            "echo 'listening on {}' >&2; exec tail -f /dev/null",
            program.addr
        );
        let leaf = Llmleaf::with_config("/bin/sh", "admin_token = \"canary-of-nobody-Xy93\"")
            .args(&["-c", &script])
            .start();
        if place == "an answer" {
            assert_eq!(crate::http::get(leaf.addr, "/", &[]).status, 200);
        }
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(leaf)));
        let told = told.expect_err(place);
        let told = told.downcast_ref::<String>().expect("words");
        assert!(told.contains(&format!(" in {place}")), "{told}");
    }
}
