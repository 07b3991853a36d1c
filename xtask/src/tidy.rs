//! The house rules that no other tool holds. Every violation is listed, not only the first.
//!
//! A rule is one row of [`RULES`] over a [`Tree`], which is only paths and text: the tests build trees in memory, and
//! each rule has a sample there that turns it red.

use std::path::Path;

mod layers;
mod leftovers;
mod names;
mod papers;
mod purity;
mod size;
mod source;
#[cfg(test)]
mod tests;
mod tree;
mod vendors;

pub use source::numbered;
pub use tree::Tree;

/// Where a rule is broken, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    path: String,
    /// Counted from 1; 0 for the file as a whole.
    line: usize,
    message: String,
}

impl Violation {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            message: message.into(),
        }
    }
}

/// A named check over the whole tree.
struct Rule {
    name: &'static str,
    check: fn(&Tree, &mut Vec<Violation>),
}

const RULES: &[Rule] = &[
    Rule {
        name: "file-size",
        check: size::production_files,
    },
    Rule {
        name: "test-size",
        check: size::inline_tests,
    },
    Rule {
        name: "file-name",
        check: names::check,
    },
    Rule {
        name: "vendor-name",
        check: vendors::check,
    },
    Rule {
        name: "pure-source",
        check: purity::sources,
    },
    Rule {
        name: "pure-manifest",
        check: purity::manifests,
    },
    Rule {
        name: "layers",
        check: layers::check,
    },
    Rule {
        name: "unfinished",
        check: leftovers::unfinished,
    },
    Rule {
        name: "machine-path",
        check: leftovers::machine_paths,
    },
    Rule {
        name: "lints-table",
        check: papers::lints_table,
    },
    Rule {
        name: "required-file",
        check: papers::required_files,
    },
    Rule {
        name: "crate-map",
        check: papers::crate_map,
    },
    Rule {
        name: "test-command",
        check: papers::test_command,
    },
    Rule {
        name: "image",
        check: papers::image,
    },
];

/// Checks the work tree at `root` and reports on standard error.
pub fn run(root: &Path) -> Result<(), String> {
    let tree = Tree::read(root)?;
    let mut count = 0;
    for rule in RULES {
        let mut found = Vec::new();
        (rule.check)(&tree, &mut found);
        count += found.len();
        for violation in found {
            let Violation {
                path,
                line,
                message,
            } = violation;
            if line == 0 {
                eprintln!("{path}: {}: {message}", rule.name);
            } else {
                eprintln!("{path}:{line}: {}: {message}", rule.name);
            }
        }
    }
    if count == 0 {
        eprintln!(
            "tidy: {} rules hold over {} files",
            RULES.len(),
            tree.files.len()
        );
        Ok(())
    } else {
        Err(format!(
            "tidy found {count} violation{}",
            if count == 1 { "" } else { "s" }
        ))
    }
}
