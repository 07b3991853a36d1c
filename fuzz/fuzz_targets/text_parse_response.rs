//! Any bytes as a whole text completion: the grammar, and the same words for consumers of all dialects.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use llmleaf_dialects::Dialect;
use llmleaf_fuzz::{answers, change, split};

fuzz_target!(|input: &[u8]| {
    if let Some((choice, _, text)) = split(input) {
        answers::hold(Dialect::TextCompletions, choice, text);
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    change(data, size, max_size, seed)
});
