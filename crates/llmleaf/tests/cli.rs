//! The program as its users meet it: arguments in, text and exit code out.

#![expect(
    clippy::expect_used,
    reason = "a test that cannot run the program has failed"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

/// Runs the program in an empty environment.
fn llmleaf(arguments: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_llmleaf"))
        .args(arguments)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    // A program that does not read its input may have closed it already.
    let _ = pipe.write_all(stdin.as_bytes());
    drop(pipe);
    child.wait_with_output().expect("ends")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

/// A file for one test; its name is what diagnostics show.
fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).expect("writes");
    path
}

#[test]
fn version_names_program_and_target() {
    let ran = llmleaf(&["--version"], "");
    assert_eq!(code(&ran), Some(0));
    assert!(out(&ran).starts_with("llmleaf 0."), "{}", out(&ran));
    assert!(out(&ran).contains(std::env::consts::ARCH), "{}", out(&ran));
}

#[test]
fn help_goes_to_standard_output_and_a_slip_to_standard_error() {
    let help = llmleaf(&["--help"], "");
    assert_eq!(code(&help), Some(0));
    for command in [
        "check",
        "conform",
        "hash-password",
        "key",
        "models",
        "providers",
    ] {
        assert!(out(&help).contains(command), "{command}");
    }
    let slip = llmleaf(&["key", "new"], "");
    assert_eq!(code(&slip), Some(2));
    assert!(err(&slip).contains("--id"), "{}", err(&slip));
    assert!(out(&slip).is_empty());
}

#[test]
fn check_of_the_built_in_configuration_shows_its_routes() {
    let ran = llmleaf(&["check"], "");
    assert_eq!(code(&ran), Some(0), "{}", err(&ran));
    assert!(out(&ran).contains("demo"), "{}", out(&ran));
    assert!(err(&ran).is_empty(), "{}", err(&ran));
}

#[test]
fn check_of_one_model_shows_what_would_be_tried() {
    let path = file(
        "route.toml",
        "[[providers]]\nname = \"a\"\nkind = \"anthropic\"\ncredential = \"sk-CANARY\"\n\
         [[routes]]\nmodel = \"smart\"\ntargets = [{ provider = \"a\", model = \"claude-x\" }]\n",
    );
    let path = path.display().to_string();
    let ran = llmleaf(&["check", "--route", "smart", &path], "");
    assert_eq!(code(&ran), Some(0), "{}", err(&ran));
    let text = out(&ran);
    assert!(text.contains("1. a (anthropic)  claude-x\n"), "{text}");
    assert!(!text.contains("CANARY"), "{text}");
    let none = llmleaf(&["check", "--route", "smar", &path], "");
    assert_eq!(code(&none), Some(2));
    assert!(
        err(&none).contains("did you mean \"smart\"?"),
        "{}",
        err(&none)
    );
}

#[test]
fn check_of_a_wrong_file_ends_with_2_and_a_caret() {
    let path = file("wrong.toml", "[server]\nlisen = \"127.0.0.1:1\"\n");
    let ran = llmleaf(&["check", &path.display().to_string()], "");
    assert_eq!(code(&ran), Some(2));
    assert!(out(&ran).is_empty(), "{}", out(&ran));
    let told = err(&ran);
    assert!(told.contains("wrong.toml:2:1"), "{told}");
    assert!(told.contains("did you mean `listen`?"), "{told}");
    assert!(
        !told.contains('\u{1b}'),
        "colours without a terminal: {told}"
    );
}

#[test]
fn a_wrong_or_absent_file_is_refused_before_serving() {
    let path = file(
        "no-provider.toml",
        "[[routes]]\nmodel = \"m\"\ntargets = []\n",
    );
    for named in [path.display().to_string(), "no-such.toml".to_owned()] {
        let ran = llmleaf(&[&named], "");
        assert_eq!(code(&ran), Some(2), "{named}");
        assert!(err(&ran).contains(&named), "{}", err(&ran));
    }
}

#[test]
fn a_new_key_pastes_into_a_file_that_checks() {
    let made = llmleaf(&["key", "new", "--id", "team-a"], "");
    assert_eq!(code(&made), Some(0), "{}", err(&made));
    assert!(
        out(&made).contains("Authorization: Bearer llk_team-a_"),
        "{}",
        out(&made)
    );
    let provider = "[[providers]]\nname = \"e\"\nkind = \"echo\"\nprefix = \"e\"\n\n";
    let path = file("pasted.toml", &format!("{provider}{}", out(&made)));
    let checked = llmleaf(&["check", &path.display().to_string()], "");
    assert_eq!(code(&checked), Some(0), "{}", err(&checked));
    assert!(err(&checked).is_empty(), "{}", err(&checked));
    let refused = llmleaf(&["key", "new", "--id", "team:a"], "");
    assert_eq!(code(&refused), Some(2));
}

#[test]
fn hash_password_takes_a_line_and_gives_hash_table_and_credential() {
    let ran = llmleaf(&["hash-password", "--id", "local-dev"], "s3cret\n");
    assert_eq!(code(&ran), Some(0), "{}", err(&ran));
    let text = out(&ran);
    let hash = text.lines().next().expect("a line");
    assert!(hash.starts_with("$argon2id$"), "{text}");
    assert!(text.contains(&format!("pw_hash = '{hash}'")), "{text}");
    // base64 of `local-dev:s3cret`, without the line break.
    assert!(text.contains("Bearer bG9jYWwtZGV2OnMzY3JldA=="), "{text}");
    let empty = llmleaf(&["hash-password"], "\n");
    assert_eq!(code(&empty), Some(2));
}

#[test]
fn models_and_providers_are_listed() {
    let models = llmleaf(&["models", "--json"], "");
    assert_eq!(code(&models), Some(0), "{}", err(&models));
    let json: serde_json::Value = serde_json::from_str(&out(&models)).expect("JSON");
    assert_eq!(json.pointer("/routes/0/model"), Some(&"demo".into()));
    let providers = llmleaf(&["providers"], "");
    assert_eq!(code(&providers), Some(0));
    assert!(
        out(&providers).contains("anthropic (claude)"),
        "{}",
        out(&providers)
    );
}

#[test]
fn the_built_in_configuration_does_not_open_itself_to_others() {
    let ran = Command::new(env!("CARGO_BIN_EXE_llmleaf"))
        .env_clear()
        .env("LLMLEAF_SERVER__LISTEN", "0.0.0.0:0")
        .stdin(Stdio::null())
        .output()
        .expect("runs");
    assert_eq!(code(&ran), Some(2));
    assert!(
        err(&ran).contains("llmleaf key new --id ID"),
        "{}",
        err(&ran)
    );
}

/// A running program, ended when the test is done with it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the built-in configuration on a free port; returns what its log says about listening.
fn serve(listen: &str, workers: &str) -> (Running, serde_json::Value) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_llmleaf"))
        .env_clear()
        .env("LLMLEAF_SERVER__LISTEN", listen)
        .env("LLMLEAF_SERVER__WORKERS", workers)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let log = BufReader::new(child.stderr.take().expect("a pipe"));
    let running = Running(child);
    let ready = log.lines().map_while(Result::ok).find_map(|line| {
        let event: serde_json::Value = serde_json::from_str(&line).ok()?;
        event.get("try_it").is_some().then_some(event)
    });
    (running, ready.expect("says where it listens"))
}

fn field<'e>(event: &'e serde_json::Value, name: &str) -> &'e str {
    event
        .get(name)
        .and_then(serde_json::Value::as_str)
        .unwrap_or("")
}

/// The request of the banner, given to a shell as it is printed. Needs `curl`.
#[test]
fn the_printed_request_works_as_printed() {
    let (_running, ready) = serve("127.0.0.1:0", "2");
    let ran = Command::new("sh")
        .args(["-c", field(&ready, "try_it")])
        .output();
    let ran = ran.expect("runs a shell");
    let answer: serde_json::Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    let content = answer.pointer("/choices/0/message/content");
    assert_eq!(content, Some(&"hi".into()), "{answer}");
}

#[test]
fn i12_a_taken_port_is_told_as_such() {
    let (_running, ready) = serve("127.0.0.1:0", "1");
    let ran = Command::new(env!("CARGO_BIN_EXE_llmleaf"))
        .env_clear()
        .env("LLMLEAF_SERVER__LISTEN", field(&ready, "listen"))
        .stdin(Stdio::null())
        .output()
        .expect("runs");
    assert_eq!(code(&ran), Some(1));
    assert!(
        err(&ran).contains("is taken by another program"),
        "{}",
        err(&ran)
    );
}

#[test]
fn conform_asks_a_configured_provider_for_everything() {
    let ran = llmleaf(
        &["conform", "--target", "echo", "--dialect", "messages"],
        "",
    );
    let text = out(&ran);
    assert_eq!(code(&ran), Some(0), "{text}{}", err(&ran));
    let asked = text.lines().filter(|line| line.contains(" ok")).count();
    assert!(asked > 15, "{text}");
    let nowhere = llmleaf(&["conform", "--target", "nobody"], "");
    assert_eq!(code(&nowhere), Some(2));
    assert!(err(&nowhere).contains("nobody"), "{}", err(&nowhere));
    let only = llmleaf(
        &[
            "conform",
            "--provider",
            "anthropic",
            "--dialect",
            "responses",
        ],
        "",
    );
    assert_eq!(code(&only), Some(0), "{}", err(&only));
    assert!(!out(&only).contains("mistral"), "{}", out(&only));
}
