//! What should not be left behind: unfinished work, and the paths of the machine it was done on.

use super::Violation;
use super::source::numbered;
use super::tree::{File, Tree};

/// Put together from halves so that this file passes its own rule.
const MARKS: &[&str] = &[
    concat!("to", "do!"),
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];

const MACHINE_PATHS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
];

/// A mark in code or config: finish it, or write it down where plans are kept.
pub fn unfinished(tree: &Tree, found: &mut Vec<Violation>) {
    let code = [".rs", ".toml", ".hcl", "Dockerfile", ".ci/run"];
    let files = checked(tree).filter(|file| code.iter().any(|end| file.path.ends_with(end)));
    report(files, MARKS, found, |mark| {
        format!("`{mark}` marks unfinished work: finish it")
    });
}

/// An absolute path that exists on one machine only.
pub fn machine_paths(tree: &Tree, found: &mut Vec<Violation>) {
    report(checked(tree), MACHINE_PATHS, found, |path| {
        format!("`{path}` is a path of one machine: make it relative")
    });
}

/// Recordings are what somebody else's machine said, so they are left as they are.
fn checked(tree: &Tree) -> impl Iterator<Item = &File> {
    let files = tree.files.iter();
    files.filter(|file| !file.path.starts_with("recordings/"))
}

fn report<'a>(
    files: impl Iterator<Item = &'a File>,
    needles: &[&str],
    found: &mut Vec<Violation>,
    message: impl Fn(&str) -> String,
) {
    for file in files {
        for (number, line) in numbered(&file.text) {
            for needle in needles.iter().filter(|needle| stands_alone(line, needle)) {
                found.push(Violation::new(&file.path, number, message(needle)));
            }
        }
    }
}

/// `needle` stands in `line` and is no part of a longer word or path.
fn stands_alone(line: &str, needle: &str) -> bool {
    let joins = |char: char| char.is_alphanumeric() || matches!(char, '_' | '-' | '.' | '/' | '}');
    let is_word = needle.ends_with(char::is_alphanumeric);
    line.match_indices(needle).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let end = at + needle.len();
        let after = line.get(end..).and_then(|text| text.chars().next());
        let goes_on = is_word && after.is_some_and(char::is_alphanumeric);
        !(goes_on || before.is_some_and(joins))
    })
}
