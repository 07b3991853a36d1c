//! A path says what is inside: no `mod.rs`, and no drawer for what has no place.

use super::Violation;
use super::tree::Tree;

const DRAWERS: &[&str] = &["util", "utils", "helper", "helpers", "common", "misc"];

/// Looks at the path of every Rust file, tests included.
pub fn check(tree: &Tree, found: &mut Vec<Violation>) {
    for file in tree.files.iter().filter(|file| file.source.is_some()) {
        let mut parts = file
            .path
            .split('/')
            .map(|part| part.trim_end_matches(".rs"));
        if file.path.ends_with("/mod.rs") {
            let message = "write `foo.rs` beside `foo/`, not `foo/mod.rs`";
            found.push(Violation::new(&file.path, 0, message));
        }
        if let Some(drawer) = parts.find(|part| DRAWERS.contains(part)) {
            let message = format!("`{drawer}` says nothing of what is inside: name the noun");
            found.push(Violation::new(&file.path, 0, message));
        }
    }
}
