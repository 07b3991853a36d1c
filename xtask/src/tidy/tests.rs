//! Each rule has a sample that turns it red and one, as near as can be, that it lets pass.

use std::collections::BTreeSet;

use super::tree::Tree;
use super::{RULES, Violation};

fn tree(files: &[(&str, &str)]) -> Tree {
    let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
    let texts: Vec<(String, String)> = files.iter().map(owned).collect();
    let tracked: BTreeSet<String> = texts.iter().map(|(path, _)| path.clone()).collect();
    Tree::new(texts, tracked)
}

fn broken(rule: &str, files: &[(&str, &str)]) -> Vec<Violation> {
    let rule = RULES.iter().find(|row| row.name == rule).expect("a rule");
    let mut found = Vec::new();
    (rule.check)(&tree(files), &mut found);
    found
}

fn places(rule: &str, files: &[(&str, &str)]) -> Vec<(String, usize)> {
    let found = broken(rule, files).into_iter();
    found.map(|found| (found.path, found.line)).collect()
}

/// The one file is reported at exactly these lines.
#[track_caller]
fn at(rule: &str, path: &str, text: &str, lines: &[usize]) {
    let expected: Vec<_> = lines.iter().map(|line| (path.to_owned(), *line)).collect();
    assert_eq!(places(rule, &[(path, text)]), expected, "{rule}: {text}");
}

#[test]
fn rules_have_names_of_their_own() {
    let names: BTreeSet<_> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(names.len(), RULES.len());
}

#[test]
fn long_and_heavy_files() {
    let path = "crates/llmleaf-model/src/event.rs";
    at("file-size", path, &"x;\n".repeat(600), &[]);
    at("file-size", path, &"x;\n".repeat(601), &[0]);
    at("file-size", path, &"x".repeat(25 * 1024 + 1), &[0]);
    let tests = "crates/llmleaf-model/src/event/tests.rs";
    at("file-size", tests, &"x;\n".repeat(601), &[]);
    let other = "docs/long.md";
    at("file-size", other, &"x\n".repeat(601), &[]);
}

#[test]
fn test_modules_declared_elsewhere_are_tests() {
    let long = "x;\n".repeat(601);
    let files = [
        ("crates/a/src/lib.rs", "#[cfg(test)]\nmod laws;\nmod rows;"),
        ("crates/a/src/laws.rs", long.as_str()),
        ("crates/a/src/laws/part.rs", long.as_str()),
        ("crates/a/src/rows.rs", long.as_str()),
        ("crates/a/src/deep.rs", "#[cfg(test)]\npub(crate) mod laws;"),
        ("crates/a/src/deep/laws.rs", long.as_str()),
    ];
    let expected = vec![("crates/a/src/rows.rs".to_owned(), 0)];
    assert_eq!(places("file-size", &files), expected);
}

#[test]
fn long_inline_test_modules() {
    let module = |lines: usize| {
        let body = "    // }\n".repeat(lines - 4);
        format!(
            "fn f() {{}}\n\n#[cfg(test)]\n#[rustfmt::skip]\nmod tests {{\n{body}}}\nfn g() {{}}\n"
        )
    };
    at("test-size", "crates/a/src/lib.rs", &module(150), &[]);
    at("test-size", "crates/a/src/lib.rs", &module(151), &[3]);
}

#[test]
fn file_names() {
    at("file-name", "crates/a/src/chat/mod.rs", "", &[0]);
    at("file-name", "crates/a/src/utils.rs", "", &[0]);
    at("file-name", "crates/a/tests/common/setup.rs", "", &[0]);
    at("file-name", "crates/a/src/common_prefix.rs", "", &[]);
    at("file-name", "docs/common.md", "", &[]);
}

#[test]
fn vendor_names() {
    let path = "crates/llmleaf-route/src/lib.rs";
    at("vendor-name", path, "fn is_openai() {}", &[1]);
    at("vendor-name", path, "\nstruct OpenAiQuirk;", &[2]);
    at("vendor-name", path, "let x = r#\"Groq\"#;", &[1]);
    at("vendor-name", path, "let kind = \"together\";", &[1]);
    at("vendor-name", path, "struct XaiKey; fn zai_key() {}", &[1]);
    at(
        "vendor-name",
        path,
        "// as openai does\n/* Groq */ fn f() {}",
        &[],
    );
    at(
        "vendor-name",
        path,
        "Self::CohereChat => \"cohere_chat\", cohere()",
        &[1],
    );
    at(
        "vendor-name",
        path,
        "Self::CohereChat => \"cohere_chat\"",
        &[],
    );
    at(
        "vendor-name",
        path,
        "// runs together: \"\nlet coherent = both_together();",
        &[],
    );
    at(
        "vendor-name",
        path,
        "#[cfg(test)]\nmod tests {\n const N: &str = \"openai\";\n}",
        &[],
    );
    at("vendor-name", "crates/llmleaf-route/src/groq.rs", "", &[0]);
    at(
        "vendor-name",
        "crates/llmleaf-route/src/tests.rs",
        "openai",
        &[],
    );
    at(
        "vendor-name",
        "crates/llmleaf-dialects/src/lib.rs",
        "openai",
        &[],
    );
}

#[test]
fn vendor_names_that_a_crate_may_say() {
    let prefix = "mount(\"/openai/v1\", \"/anthropic\");";
    at(
        "vendor-name",
        "crates/llmleaf-server/src/surface.rs",
        prefix,
        &[],
    );
    at(
        "vendor-name",
        "crates/llmleaf-exchange/src/lib.rs",
        prefix,
        &[1],
    );
    at(
        "vendor-name",
        "crates/llmleaf-server/src/lib.rs",
        "\"/openai\"; anthropic()",
        &[1],
    );
}

#[test]
fn pure_crates_reach_nothing() {
    let path = "crates/llmleaf-route/src/health.rs";
    at("pure-source", path, "let now = Instant::now();", &[1]);
    at(
        "pure-source",
        path,
        "use std::env;\nuse std::net::IpAddr;",
        &[1, 2],
    );
    at("pure-source", path, "tokio::spawn(f);", &[1]);
    at(
        "pure-source",
        path,
        "// Instant::now()\nlet s = \"tokio::spawn\"; my_tokio::x(); env!(\"X\")",
        &[],
    );
    at(
        "pure-source",
        path,
        "fn admit(now: std::time::Instant) {}",
        &[],
    );
    at(
        "pure-source",
        "crates/llmleaf-exchange/src/lib.rs",
        "Instant::now()",
        &[],
    );
}

#[test]
fn pure_crates_depend_on_nothing_impure() {
    let path = "crates/llmleaf-auth/Cargo.toml";
    at(
        "pure-manifest",
        path,
        "[dependencies]\ntokio.workspace = true",
        &[2],
    );
    at(
        "pure-manifest",
        path,
        "[dependencies.hyper]\nversion = \"1\"",
        &[1],
    );
    at(
        "pure-manifest",
        path,
        "[target.'cfg(unix)'.dependencies]\n# why\nsocket2 = \"1\"",
        &[3],
    );
    at(
        "pure-manifest",
        path,
        "[dependencies]\nsha2 = \"1\"\n[dev-dependencies]\ntokio = \"1\"",
        &[],
    );
    at(
        "pure-manifest",
        "crates/llmleaf-server/Cargo.toml",
        "[dependencies]\ntokio = \"1\"",
        &[],
    );
}

#[test]
fn arrows_point_down() {
    let path = "crates/llmleaf-route/Cargo.toml";
    at(
        "layers",
        path,
        "[dependencies]\nllmleaf-model.workspace = true",
        &[],
    );
    at(
        "layers",
        path,
        "[dependencies]\nllmleaf-exchange.workspace = true",
        &[2],
    );
    at(
        "layers",
        path,
        "[dependencies]\nllmleaf-auth = { path = \"../x\" }",
        &[2],
    );
    at(
        "layers",
        path,
        "[dependencies]\nllmleaf-testkit.workspace = true",
        &[2],
    );
    at(
        "layers",
        path,
        "[dev-dependencies]\nllmleaf-testkit.workspace = true",
        &[],
    );
    at(
        "layers",
        "crates/llmleaf-attic/Cargo.toml",
        "[package]",
        &[0],
    );
}

#[test]
fn unfinished_work() {
    let path = "crates/a/src/lib.rs";
    at("unfinished", path, concat!("fn f() { to", "do!() }"), &[1]);
    at("unfinished", path, concat!("\n// TO", "DO: later"), &[2]);
    at("unfinished", path, concat!("// FIX", "ME"), &[1]);
    at("unfinished", path, concat!("// XX", "X"), &[1]);
    at(
        "unfinished",
        path,
        concat!("let key = \"sk-XX", "X\"; let mas", "TO", "DO = 1;"),
        &[],
    );
    at("unfinished", "docs/x.md", concat!("a TO", "DO list"), &[]);
}

#[test]
fn paths_of_one_machine() {
    let path = "docs/x.md";
    at("machine-path", path, concat!("see /wo", "rk/notes"), &[1]);
    at("machine-path", path, concat!("`/ro", "ot/.cargo`"), &[1]);
    at("machine-path", path, concat!("PATH=/ho", "me/me/bin"), &[1]);
    at(
        "machine-path",
        path,
        concat!("https://x.example/ho", "me/ and ../wo", "rk/x"),
        &[],
    );
    at(
        "machine-path",
        "recordings/a/b/request.json",
        concat!("/ho", "me/u"),
        &[],
    );
}

#[test]
fn lints_tables() {
    let path = "crates/a/Cargo.toml";
    at("lints-table", path, "[lints]\nworkspace = true\n", &[]);
    at("lints-table", path, "[lints]\n\nworkspace = true\n", &[]);
    at("lints-table", path, "[package]\nname = \"a\"\n", &[0]);
    at(
        "lints-table",
        "xtask/Cargo.toml",
        "[lints]\n[dependencies]\n",
        &[0],
    );
}

#[test]
fn required_files_are_committed() {
    let none = broken("required-file", &[]);
    assert!(none.iter().any(|found| found.path == "CHANGELOG.md"));
    assert!(none.iter().any(|found| found.path == "Cargo.lock"));
    let some = broken("required-file", &[("Cargo.lock", "")]);
    assert_eq!(some.len() + 1, none.len());
    let untracked = Tree::new(
        vec![("Cargo.lock".to_owned(), String::new())],
        BTreeSet::new(),
    );
    let mut found = Vec::new();
    super::papers::required_files(&untracked, &mut found);
    assert!(found.iter().any(|found| found.path == "Cargo.lock"));
}

#[test]
fn the_map_has_every_crate() {
    let manifest = ("crates/llmleaf-model/Cargo.toml", "");
    let there = ("ARCHITECTURE.md", "| `llmleaf-model` | values |");
    assert_eq!(places("crate-map", &[manifest, there]), []);
    let missing = ("ARCHITECTURE.md", "| `llmleaf-models` |");
    assert_eq!(places("crate-map", &[manifest, missing]).len(), 1);
}

#[test]
fn the_test_command_is_one() {
    let command = "cargo test --workspace";
    assert_eq!(
        places(
            "test-command",
            &[("README.md", command), (".ci/run", command)]
        ),
        []
    );
    let other = [("README.md", command), (".ci/run", "cargo test -p a")];
    assert_eq!(places("test-command", &other), [(".ci/run".to_owned(), 0)]);
}

#[test]
fn the_image() {
    let found = broken("image", &[("Dockerfile", "FROM debian:latest")]);
    let says = |phrase: &str| found.iter().any(|found| found.message.contains(phrase));
    assert!(says("FROM scratch") && says("USER 65532") && says("STOPSIGNAL SIGTERM"));
    let channel = ("rust-toolchain.toml", "[toolchain]\nchannel = \"1.95.0\"\n");
    let old = ("Dockerfile", "ARG RUST_VERSION=1.94.0\n");
    let new = ("Dockerfile", "ARG RUST_VERSION=1.95.0\n");
    let about_channel = |files: &[(&str, &str)]| {
        let found = broken("image", files);
        found
            .iter()
            .filter(|found| found.message.contains("channel"))
            .count()
    };
    assert_eq!(about_channel(&[channel, old]), 1);
    assert_eq!(about_channel(&[channel, new]), 0);
}

#[test]
fn masks_know_strings_from_comments() {
    let path = "crates/llmleaf-route/src/lib.rs";
    for (text, lines) in [
        ("let url = \"http://x\"; openai()", &[1][..]),
        ("let c = '\"'; // openai\nlet d = '\\''; // openai", &[]),
        ("fn f<'a>(x: &'a str) {} // openai", &[]),
        ("/* a /* b */ openai */ fn f() {}", &[]),
        ("let s = \"\\\\\"; // openai", &[]),
        ("let s = br##\"x\"# // openai\"##;", &[1]),
        ("let r#type = 1; // openai", &[]),
        ("let s = \"two\n// openai\";", &[2]),
    ] {
        at("vendor-name", path, text, lines);
    }
}
