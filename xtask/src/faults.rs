//! Which promise of `docs/faults.md` has a test: each row is a fault, and its tests are the functions whose names begin with
//! it, as in `fn b13_…`; one test may have several. A row without one needs a reason in the table of exceptions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::tidy::{Tree, numbered};

const PAPER: &str = "docs/faults.md";
const EXCEPTIONS: &str = "## Exceptions";
/// A test's attribute stands at most so many lines above its name.
const ATTRIBUTE_LINES: usize = 6;

/// Prints the rows that lack a test and the count of all; fails when a row lacks both a test and a reason.
pub fn run(root: &Path) -> Result<(), String> {
    let tree = Tree::read(root)?;
    let found = Coverage::of(&tree)?;
    for row in &found.missing {
        eprintln!("{row}: no test is named `{}_…`", row.to_lowercase());
    }
    for (row, why) in &found.wrong {
        eprintln!("{row}: {why}");
    }
    for (row, reason) in &found.excepted {
        eprintln!("{row}: excepted: {reason}");
    }
    eprintln!(
        "faults: {} rows, {} with {} tests, {} excepted, {} missing",
        found.rows,
        found.tested,
        found.tests,
        found.excepted.len(),
        found.missing.len()
    );
    match found.missing.len() + found.wrong.len() {
        0 => Ok(()),
        count => Err(format!("{count} rows of {PAPER} to mend")),
    }
}

/// What the paper and the tests say of each other.
#[derive(Debug, Default, PartialEq, Eq)]
struct Coverage {
    rows: usize,
    /// Rows with a test.
    tested: usize,
    /// Tests named after rows.
    tests: usize,
    /// Rows with neither test nor reason.
    missing: Vec<String>,
    /// Rows with a reason.
    excepted: Vec<(String, String)>,
    /// Exceptions and tests that make no sense.
    wrong: Vec<(String, &'static str)>,
}

impl Coverage {
    fn of(tree: &Tree) -> Result<Self, String> {
        let paper = tree
            .file(PAPER)
            .ok_or_else(|| format!("{PAPER} is not there"))?;
        let (rows, exceptions) = match paper.text.split_once(EXCEPTIONS) {
            Some((rows, exceptions)) => (table(rows), table(exceptions)),
            None => (table(&paper.text), Vec::new()),
        };
        let exceptions: BTreeMap<String, String> = exceptions.into_iter().collect();
        let tests = tests(tree);
        let mut found = Self {
            rows: rows.len(),
            tests: tests.values().sum(),
            ..Self::default()
        };
        let mut known = BTreeSet::new();
        for (row, _) in rows {
            let tested = tests.contains_key(&row);
            found.tested += usize::from(tested);
            match exceptions.get(&row) {
                Some(_) if tested => {
                    found
                        .wrong
                        .push((row.clone(), "has a test and a reason for none"));
                }
                Some(reason) if reason.is_empty() => {
                    found
                        .wrong
                        .push((row.clone(), "is excepted without a reason"));
                }
                Some(reason) => found.excepted.push((row.clone(), reason.clone())),
                None if !tested => found.missing.push(row.clone()),
                None => {}
            }
            if !known.insert(row.clone()) {
                found.wrong.push((row, "stands in the table twice"));
            }
        }
        for row in exceptions.keys().filter(|row| !known.contains(*row)) {
            found.wrong.push((row.clone(), "is excepted and no row"));
        }
        Ok(found)
    }
}

/// Rows of the tables in a text whose first cell is a letter and a number, with the second cell.
fn table(text: &str) -> Vec<(String, String)> {
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        let row = cells.next().filter(|cell| is_row(cell))?;
        Some((row.to_owned(), cells.next().unwrap_or_default().to_owned()))
    });
    rows.collect()
}

fn is_row(cell: &str) -> bool {
    let number = cell.strip_prefix(|letter: char| letter.is_ascii_uppercase());
    number.is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// How many test functions are named after each row.
fn tests(tree: &Tree) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for file in tree.files.iter().filter(|file| file.source.is_some()) {
        let mut attribute = None;
        for (number, line) in numbered(&file.text) {
            let line = line.trim_start();
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                attribute = Some(number);
            }
            let rows = named_rows(line);
            let is_test = attribute.is_some_and(|above| above + ATTRIBUTE_LINES >= number);
            if is_test && !rows.is_empty() {
                attribute = None;
                for row in rows {
                    *found.entry(row).or_default() += 1;
                }
            }
        }
    }
    found
}

/// The rows in `fn b13_name(` or `fn d1_d2_name(`, in capitals.
fn named_rows(line: &str) -> Vec<String> {
    let line = line.strip_prefix("async ").unwrap_or(line);
    let name = line.strip_prefix("fn ").unwrap_or_default();
    let words = name.split('_').map(str::to_uppercase);
    words.take_while(|word| is_row(word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coverage(paper: &str, code: &str) -> Coverage {
        let texts = vec![
            (PAPER.to_owned(), paper.to_owned()),
            ("crates/a/tests/a.rs".to_owned(), code.to_owned()),
        ];
        Coverage::of(&Tree::new(texts, BTreeSet::new())).expect("the paper is there")
    }

    const PAPER_OF_THREE: &str = "| row | x |\n| --- | --- |\n| A1 | goes | x |\n| B13 | waits | x |\n| C2 | is | x |\n\
        ## Exceptions\n| row | reason |\n| C2 | because |\n";

    #[test]
    fn a_row_needs_a_test_of_its_name_or_a_reason() {
        let both = coverage(PAPER_OF_THREE, "#[test]\nfn a1_b13_goes() {}");
        assert_eq!((both.tested, both.missing.len()), (2, 0));
        let code = "#[test]\nfn a1_goes() {}\n#[test]\n#[cfg(unix)]\nfn a1_again() {}\n#[tokio::test]\nasync fn b13_waits() {}\n";
        let found = coverage(PAPER_OF_THREE, code);
        assert_eq!((found.rows, found.tested, found.tests), (3, 2, 3));
        assert_eq!(found.excepted, [("C2".to_owned(), "because".to_owned())]);
        assert!(
            found.missing.is_empty() && found.wrong.is_empty(),
            "{found:?}"
        );
    }

    #[test]
    fn what_is_no_test_or_of_another_row_does_not_count() {
        for code in [
            "fn a1_goes() {}",
            "#[test]\nfn a11_goes() {}",
            "#[test]\nfn goes_a1_() {}",
            "// #[test]\n// fn a1_goes() {}",
            "#[test]\nfn other() {}\n\n\n\n\n\nfn a1_goes() {}",
        ] {
            let found = coverage(PAPER_OF_THREE, code);
            assert_eq!(found.missing, ["A1", "B13"], "{code}");
        }
    }

    #[test]
    fn exceptions_must_make_sense() {
        let wrong = |row: &str, code: &str| {
            let paper = format!("| A1 | goes |\n| A1 | goes |\n## Exceptions\n{row}\n");
            coverage(&paper, code).wrong
        };
        let twice = ("A1".to_owned(), "stands in the table twice");
        let empty = ("A1".to_owned(), "is excepted without a reason");
        assert_eq!(wrong("| A1 | why |", ""), std::slice::from_ref(&twice));
        assert_eq!(wrong("| A1 | |", ""), [empty.clone(), empty, twice]);
        assert!(wrong("| Z9 | why |", "").contains(&("Z9".to_owned(), "is excepted and no row")));
        let tested = "#[test]\nfn a1_goes() {}";
        assert!(wrong("| A1 | why |", tested).len() == 3);
    }
}
