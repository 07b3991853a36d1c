//! What the rules look at: the repository's text files, and which of them are tests.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::source::Source;

/// The repository as paths and text.
#[derive(Debug)]
pub struct Tree {
    pub files: Vec<File>,
    /// Paths that are committed or staged; the rest is new and not ignored.
    pub tracked: BTreeSet<String>,
}

/// One text file.
#[derive(Debug)]
pub struct File {
    /// From the root, with `/`.
    pub path: String,
    pub text: String,
    /// Present for `.rs` files.
    pub source: Option<Source>,
    /// Compiled for tests only.
    pub is_test: bool,
}

impl Tree {
    /// Reads what git tracks, and what it would track; files that are not UTF-8 are left out.
    pub fn read(root: &Path) -> Result<Self, String> {
        let tracked = git_files(root, &["--cached"])?;
        let all = git_files(root, &["--cached", "--others", "--exclude-standard"])?;
        let mut texts = Vec::new();
        for path in all {
            // A file deleted but still in the index, or one that is not text, is nothing to check.
            if let Ok(text) = std::fs::read_to_string(root.join(&path)) {
                texts.push((path, text));
            }
        }
        Ok(Self::new(texts, tracked))
    }

    /// A tree of given texts.
    pub fn new(texts: Vec<(String, String)>, tracked: BTreeSet<String>) -> Self {
        let mut files: Vec<File> = texts.into_iter().map(File::new).collect();
        let declared: Vec<String> = files.iter().flat_map(File::declared_tests).collect();
        for file in &mut files {
            file.is_test |= declared.iter().any(|module| {
                file.path
                    .strip_prefix(module.as_str())
                    .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
            });
        }
        Self { files, tracked }
    }

    /// The file at `path`.
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Names of the folders in `crates/` that have a manifest, each with it.
    pub fn manifests(&self) -> impl Iterator<Item = (&str, &File)> {
        self.files.iter().filter_map(|file| {
            let name = file
                .path
                .strip_prefix("crates/")?
                .strip_suffix("/Cargo.toml")?;
            Some((name, file))
        })
    }

    /// Rust that ships or builds the product, tests excluded.
    pub fn production(&self) -> impl Iterator<Item = (&File, &Source)> {
        self.files.iter().filter_map(|file| {
            let source = file.source.as_ref()?;
            let ours = file.path.starts_with("crates/") || file.path.starts_with("xtask/");
            (ours && !file.is_test).then_some((file, source))
        })
    }
}

impl File {
    fn new((path, text): (String, String)) -> Self {
        let source = path.ends_with(".rs").then(|| Source::new(&text));
        let is_test = ["/tests/", "/benches/", "/examples/"]
            .iter()
            .any(|folder| path.contains(folder))
            || path.ends_with("/tests.rs");
        Self {
            path,
            text,
            source,
            is_test,
        }
    }

    /// The crate folder a file lies in, as in `crates/<name>/…`.
    pub fn crate_name(&self) -> Option<&str> {
        let (name, _) = self.path.strip_prefix("crates/")?.split_once('/')?;
        Some(name)
    }

    /// Paths, without extension, of the modules that this file declares for tests only.
    fn declared_tests(&self) -> Vec<String> {
        let Some(source) = &self.source else {
            return Vec::new();
        };
        let (folder, stem) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        let home = match stem {
            "lib.rs" | "main.rs" => folder.to_owned(),
            _ => self.path.trim_end_matches(".rs").to_owned(),
        };
        let outside = source.tests.iter().filter(|module| module.lines.is_none());
        outside
            .map(|module| format!("{home}/{}", module.name))
            .collect()
    }
}

fn git_files(root: &Path, which: &[&str]) -> Result<BTreeSet<String>, String> {
    let output = Command::new("git")
        .args(["ls-files", "-z"])
        .args(which)
        .current_dir(root)
        .output()
        .map_err(|error| format!("cannot start git: {error}"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("git ls-files failed: {}", why.trim()));
    }
    let listing = String::from_utf8_lossy(&output.stdout);
    Ok(listing
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(str::to_owned)
        .collect())
}
