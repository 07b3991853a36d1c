//! Any bytes as a text completion stream: the grammar, one terminal, the same events under any cut, and the same words for consumers of all dialects.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use llmleaf_dialects::Dialect;
use llmleaf_fuzz::{change, split, streams};

fuzz_target!(|input: &[u8]| {
    if let Some((choice, lengths, text)) = split(input) {
        streams::hold(Dialect::TextCompletions, choice, &lengths, text);
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    change(data, size, max_size, seed)
});
