//! Manifests, documents and build files say what they must, and say the same.

use super::Violation;
use super::tree::Tree;

const REQUIRED: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "COPYING",
    "COPYING.LESSER",
    "Cargo.lock",
    "Dockerfile",
    "README.md",
    "SECURITY.md",
    "SOUL.md",
    "clients/LICENSE-APACHE",
    "clients/LICENSE-MIT",
    "deny.toml",
    "docker-bake.hcl",
    "recordings/README.md",
    "rust-toolchain.toml",
];

/// How the project is tested, in the README and in CI.
const TEST_COMMAND: &str = "cargo test --workspace";

/// What an image must have to be run with no shell, no root and no surprise.
const IMAGE: &[&str] = &[
    "FROM scratch",
    "USER 65532:65532",
    "EXPOSE 8080",
    "STOPSIGNAL SIGTERM",
    "ENTRYPOINT [",
    "--locked",
    "org.opencontainers.image.title",
    "org.opencontainers.image.source",
    "org.opencontainers.image.version",
    "org.opencontainers.image.licenses",
];

/// Each crate takes the workspace's lints.
pub fn lints_table(tree: &Tree, found: &mut Vec<Violation>) {
    let chores = tree.file("xtask/Cargo.toml");
    let manifests = tree.manifests().map(|(_, file)| file).chain(chores);
    for file in manifests {
        let mut lines = file.text.lines().map(str::trim);
        let has_table = lines.any(|line| line == "[lints]")
            && lines.find(|line| !line.is_empty()) == Some("workspace = true");
        if !has_table {
            let message = "add `[lints]` with `workspace = true`";
            found.push(Violation::new(&file.path, 0, message));
        }
    }
}

/// The papers of the house are there and committed, the lock file among them.
pub fn required_files(tree: &Tree, found: &mut Vec<Violation>) {
    for path in REQUIRED {
        if !tree.tracked.contains(*path) {
            found.push(Violation::new(path, 0, "must exist and be committed"));
        }
    }
}

/// The map in ARCHITECTURE.md has every crate.
pub fn crate_map(tree: &Tree, found: &mut Vec<Violation>) {
    let map = tree.file("ARCHITECTURE.md");
    let text = map.map_or("", |file| file.text.as_str());
    for (name, _) in tree.manifests() {
        if !text.contains(&format!("`{name}`")) {
            let message = format!("the crate map has no `{name}`");
            found.push(Violation::new("ARCHITECTURE.md", 0, message));
        }
    }
}

/// What the README tells a newcomer to run is what CI runs.
pub fn test_command(tree: &Tree, found: &mut Vec<Violation>) {
    for path in ["README.md", ".ci/run"] {
        let says = tree
            .file(path)
            .is_some_and(|file| file.text.contains(TEST_COMMAND));
        if !says {
            let message = format!("must have the test command, `{TEST_COMMAND}`");
            found.push(Violation::new(path, 0, message));
        }
    }
}

/// The Dockerfile can only be read here, so what it must say is checked by reading.
pub fn image(tree: &Tree, found: &mut Vec<Violation>) {
    let Some(file) = tree.file("Dockerfile") else {
        return; // `required_files` says so.
    };
    for phrase in IMAGE.iter().filter(|phrase| !file.text.contains(**phrase)) {
        let message = format!("must say `{phrase}`");
        found.push(Violation::new(&file.path, 0, message));
    }
    let toolchain = tree.file("rust-toolchain.toml");
    let channel = toolchain.and_then(|file| file.text.split('"').nth(1));
    if let Some(channel) = channel
        && !file.text.contains(&format!("RUST_VERSION={channel}\n"))
    {
        let message =
            format!("must set RUST_VERSION={channel}, the channel of rust-toolchain.toml");
        found.push(Violation::new(&file.path, 0, message));
    }
}
