//! The crates that must run with values in and values out: no socket, task, clock or environment.

use super::Violation;
use super::layers::dependencies;
use super::tree::Tree;

const PURE: &[&str] = &[
    "llmleaf-model",
    "llmleaf-framing",
    "llmleaf-dialects",
    "llmleaf-route",
    "llmleaf-auth",
    "llmleaf-mint",
    "llmleaf-prices",
    "llmleaf-metrics",
];

/// What is not reached from a pure crate. A type such as `std::time::Instant` as an argument is fine: reading it is not.
const IMPURE: &[&str] = &[
    "tokio::",
    "hyper::",
    "std::net",
    "std::env",
    "std::fs",
    "std::process",
    "env::var",
    "Instant::now",
    "SystemTime::now",
    "thread::spawn",
    "thread::sleep",
];

const IMPURE_CRATES: &[&str] = &[
    "tokio",
    "tokio-rustls",
    "hyper",
    "hyper-util",
    "http-body-util",
    "rustls",
    "socket2",
    "tracing-subscriber",
];

/// No pure crate's production code reaches out.
pub fn sources(tree: &Tree, found: &mut Vec<Violation>) {
    for (file, source) in tree.production() {
        let Some(name) = file.crate_name().filter(|name| PURE.contains(name)) else {
            continue;
        };
        for (number, line) in source.code_lines() {
            for path in IMPURE.iter().filter(|path| mentions(line, path)) {
                let message = format!(
                    "{name} is pure and may not reach `{path}`: take the value as an argument"
                );
                found.push(Violation::new(&file.path, number, message));
            }
        }
    }
}

/// No pure crate depends on a runtime or a socket; its tests may.
pub fn manifests(tree: &Tree, found: &mut Vec<Violation>) {
    for (name, file) in tree.manifests().filter(|(name, _)| PURE.contains(name)) {
        for (number, dependency) in dependencies(&file.text) {
            if IMPURE_CRATES.contains(&dependency) {
                let message = format!("{name} is pure and may not depend on {dependency}");
                found.push(Violation::new(&file.path, number, message));
            }
        }
    }
}

/// `path` stands in `line` and does not begin inside a longer word.
fn mentions(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        !before.is_some_and(|char| char.is_alphanumeric() || char == '_')
    })
}
