//! Any bytes as a request of Ollama, in either form: parse after render is the identity, and what is rendered is readable.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use llmleaf_dialects::{Dialect, ollama::Form};
use llmleaf_fuzz::{change, requests, split};

fuzz_target!(|input: &[u8]| {
    if let Some((choice, _, text)) = split(input) {
        let form = if choice & 0x40 == 0 { Form::Chat } else { Form::Generate };
        requests::hold(Dialect::Ollama(form), choice, text);
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    change(data, size, max_size, seed)
});
