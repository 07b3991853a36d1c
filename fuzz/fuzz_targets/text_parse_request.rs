//! Any bytes as a text completion request, to answer or to count: parse after render is the identity, and what is rendered is readable.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use llmleaf_dialects::Dialect;
use llmleaf_fuzz::{change, requests, split};

fuzz_target!(|input: &[u8]| {
    if let Some((choice, _, text)) = split(input) {
        requests::hold(Dialect::TextCompletions, choice, text);
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    change(data, size, max_size, seed)
});
