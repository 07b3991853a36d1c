//! Golden tests: what each file in `tests/mistakes` is told. `UPDATE_GOLDEN=1 cargo test -p llmleaf-config`
//! writes the expectations anew; read the difference as the author of such a file would.
//!
//! A first line `# env: NAME=value` sets a variable for that file (`\n` in it is a line break).

#![expect(
    clippy::expect_used,
    reason = "a test that cannot read its files has failed"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use llmleaf_config::environment::var;
use llmleaf_config::{Config, Severity};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes")
}

fn files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder()).expect("the folder of mistakes");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml"))
        .collect();
    files.sort();
    files
}

fn variables(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .map_while(|line| line.strip_prefix("# env: "))
        .map(|line| line.split_once('=').expect("NAME=value"))
        .map(|(name, value)| (name.to_owned(), value.replace("\\n", "\n")))
        .collect()
}

fn told(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("the file");
    let variables = variables(&text);
    // A constant name, so that the expectation does not depend on where the checkout lies.
    let outcome = Config::parse(&text, "llmleaf.toml", &|name| variables.get(name).cloned());
    match outcome {
        Ok(config) => {
            assert!(
                !config.warnings.is_empty(),
                "{}: no mistake",
                path.display()
            );
            assert_eq!(config.warnings.count(Severity::Error), 0);
            config.warnings.render(false)
        }
        Err(diagnostics) => diagnostics.render(false),
    }
}

#[test]
fn each_mistake_is_told_as_expected() {
    let update = var("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for path in files() {
        let told = told(&path);
        let golden = path.with_extension("txt");
        if update {
            std::fs::write(&golden, &told).expect("writes the expectation");
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if told != expected {
            wrong.push(format!(
                "{}\n--- told\n{told}--- expected\n{expected}",
                path.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_two_files_are_told_the_same() {
    let mut seen: BTreeMap<String, PathBuf> = BTreeMap::new();
    for path in files() {
        if let Some(other) = seen.insert(told(&path), path.clone()) {
            panic!(
                "{} and {} are told the same",
                other.display(),
                path.display()
            );
        }
    }
    assert!(seen.len() >= 40, "{} mistakes only", seen.len());
}

#[test]
fn no_expectation_is_left_without_its_file() {
    let names = |ext: &str| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder()).expect("the folder");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let mut stems: Vec<PathBuf> = paths
            .filter(|path| path.extension().is_some_and(|e| e == ext))
            .filter_map(|path| path.file_stem().map(PathBuf::from))
            .collect();
        stems.sort();
        stems
    };
    if var("UPDATE_GOLDEN").is_none() {
        assert_eq!(names("toml"), names("txt"));
    }
}

#[test]
fn colours_change_nothing_but_colours() {
    for path in files() {
        let text = std::fs::read_to_string(&path).expect("the file");
        let variables = variables(&text);
        let lookup = |name: &str| variables.get(name).cloned();
        let Err(diagnostics) = Config::parse(&text, "llmleaf.toml", &lookup) else {
            continue;
        };
        let coloured = diagnostics.render(true);
        assert!(coloured.contains('\u{1b}'), "{}", path.display());
        assert_eq!(
            plain(&coloured),
            diagnostics.render(false),
            "{}",
            path.display()
        );
    }
}

/// Without the escape sequences.
fn plain(coloured: &str) -> String {
    let mut out = String::new();
    let mut rest = coloured;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        out.push_str(before);
        rest = after.split_once('m').map_or("", |(_, tail)| tail);
    }
    out + rest
}
