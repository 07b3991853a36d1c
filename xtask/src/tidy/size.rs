//! Files that can be read in a sitting. Long functions are clippy's (`too_many_lines`).

use super::Violation;
use super::tree::Tree;

const MAX_LINES: usize = 600;
const MAX_BYTES: usize = 25 * 1024;
const MAX_INLINE_TEST_LINES: usize = 150;

/// A production file, its inline tests included, stays under the ceiling.
pub fn production_files(tree: &Tree, found: &mut Vec<Violation>) {
    for (file, _) in tree.production() {
        let lines = file.text.lines().count();
        let bytes = file.text.len();
        if lines > MAX_LINES || bytes > MAX_BYTES {
            let message = format!(
                "{lines} lines and {bytes} bytes, the limits are {MAX_LINES} and {MAX_BYTES}: split it by a noun"
            );
            found.push(Violation::new(&file.path, 0, message));
        }
    }
}

/// A long test module gets a file of its own.
pub fn inline_tests(tree: &Tree, found: &mut Vec<Violation>) {
    for (file, source) in tree.production() {
        for module in &source.tests {
            let Some((first, last)) = module.lines else {
                continue;
            };
            let lines = last + 1 - first;
            if lines > MAX_INLINE_TEST_LINES {
                let message = format!(
                    "test module `{}` has {lines} lines, the limit is {MAX_INLINE_TEST_LINES}: move it to a sibling tests.rs",
                    module.name
                );
                found.push(Violation::new(&file.path, first, message));
            }
        }
    }
}
