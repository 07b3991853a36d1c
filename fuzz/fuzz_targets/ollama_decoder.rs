//! Any bytes as a stream of Ollama, in either form: the grammar, one terminal, the same events under any cut, and the same words for consumers of all dialects.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use llmleaf_dialects::{Dialect, ollama::Form};
use llmleaf_fuzz::{change, split, streams};

fuzz_target!(|input: &[u8]| {
    if let Some((choice, lengths, text)) = split(input) {
        let form = if choice & 0x40 == 0 { Form::Chat } else { Form::Generate };
        streams::hold(Dialect::Ollama(form), choice, &lengths, text);
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    change(data, size, max_size, seed)
});
