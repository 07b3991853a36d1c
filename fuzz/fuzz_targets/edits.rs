//! Any bytes edited for a provider of the same wire: only what is named changes, and a second edit changes nothing.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use llmleaf_fuzz::{change, edits, split, wires};

fuzz_target!(|input: &[u8]| {
    if let Some((choice, _, text)) = split(input) {
        for dialect in wires::DIALECTS {
            edits::hold(dialect, choice, text);
        }
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    change(data, size, max_size, seed)
});
