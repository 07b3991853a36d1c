//! What a change must pass before it is tested: formatting, lints, tidy.

use std::path::Path;
use std::process::Command;

use crate::tidy;

const FMT: &[&str] = &["fmt", "--all", "--check"];
const CLIPPY: &[&str] = &[
    "clippy",
    "--workspace",
    "--all-targets",
    "--locked",
    "--",
    "-D",
    "warnings",
];

/// Runs the three in order and stops at the first failure.
pub fn run(root: &Path) -> Result<(), String> {
    cargo(root, FMT)?;
    cargo(root, CLIPPY)?;
    tidy::run(root)
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<(), String> {
    let typed = format!("cargo {}", arguments.join(" "));
    eprintln!("xtask: {typed}");
    let status = Command::new("cargo")
        .args(arguments)
        .current_dir(root)
        .status()
        .map_err(|error| format!("cannot start `{typed}`: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{typed}` failed"))
    }
}
