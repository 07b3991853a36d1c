//! Any status, headers and bytes as an error of a provider, and what all dialects tell of it.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use llmleaf_fuzz::{change, errors, split, wires};

fuzz_target!(|input: &[u8]| {
    if let Some((choice, [status, hundreds, with_header, _], text)) = split(input) {
        let status = 100 * (1 + hundreds % 9) + status % 100;
        let status = u16::try_from(status).unwrap_or_default();
        // Some of the body stands for the header: they look alike enough.
        let header =
            (with_header % 2 == 1).then(|| String::from_utf8_lossy(&text[..text.len().min(32)]));
        for dialect in wires::DIALECTS {
            errors::hold(dialect, choice, status, header.as_deref(), text);
        }
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    change(data, size, max_size, seed)
});
