//! Arrows point down: a crate depends only on crates of a lower floor, and tests' support on nobody's floor.

use super::Violation;
use super::source::numbered;
use super::tree::Tree;

/// Every crate and its floor. A new crate gets a row here and a line in ARCHITECTURE.md.
const FLOORS: &[(&str, u8)] = &[
    ("llmleaf-model", 0),
    ("llmleaf-framing", 0),
    ("llmleaf-metrics", 0),
    ("llmleaf-memory", 0),
    ("llmleaf-dialects", 1),
    ("llmleaf-prices", 1),
    ("llmleaf-providers", 2),
    ("llmleaf-route", 2),
    ("llmleaf-auth", 2),
    ("llmleaf-transport", 2),
    ("llmleaf-mint", 2),
    ("llmleaf-spool", 2),
    ("llmleaf-config", 3),
    ("llmleaf-exchange", 3),
    ("llmleaf-control", 3),
    ("llmleaf-server", 4),
    ("llmleaf", 5),
    ("llmleaf-testkit", 6),
];

/// Looks at what each crate's manifest needs outside tests.
pub fn check(tree: &Tree, found: &mut Vec<Violation>) {
    for (name, file) in tree.manifests() {
        let Some(floor) = floor(name) else {
            let message = format!("{name} has no floor: give it one in xtask/src/tidy/layers.rs");
            found.push(Violation::new(&file.path, 0, message));
            continue;
        };
        for (number, dependency) in dependencies(&file.text) {
            let Some(below) = self::floor(dependency) else {
                continue;
            };
            if below >= floor {
                let message = format!(
                    "{name} is on floor {floor} and may not depend on {dependency}, which is on floor {below}"
                );
                found.push(Violation::new(&file.path, number, message));
            }
        }
    }
}

fn floor(name: &str) -> Option<u8> {
    let mut rows = FLOORS.iter();
    rows.find(|(known, _)| *known == name)
        .map(|(_, floor)| *floor)
}

/// Line and name of each dependency that is not for tests or build scripts alone.
pub fn dependencies(manifest: &str) -> Vec<(usize, &str)> {
    let mut inside = false;
    let mut names = Vec::new();
    for (number, line) in numbered(manifest) {
        let line = line.trim();
        if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_end_matches(']');
            inside = table == "dependencies" || table.ends_with(".dependencies");
            // `[dependencies.name]` is one dependency as a table.
            if let Some(name) = table.strip_prefix("dependencies.") {
                names.push((number, name));
            }
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            let end = line.find(['.', '=', ' ']).unwrap_or(line.len());
            names.push((number, line.split_at(end).0));
        }
    }
    names
}
