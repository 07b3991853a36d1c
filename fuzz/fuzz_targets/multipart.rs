//! Forms: one push, single bytes and random cuts must say the same, and the pieces are the bytes.

#![no_main]

#[path = "../../crates/llmleaf-framing/tests/framing/drive.rs"]
#[allow(dead_code)]
mod drive;
#[path = "../../crates/llmleaf-framing/tests/framing/reference.rs"]
#[allow(dead_code)]
mod reference;

use libfuzzer_sys::fuzz_target;

// The first bytes say how to cut, the rest is the form.
fuzz_target!(|input: ([u8; 6], &[u8])| {
    let (lengths, form) = input;
    drive::forms_hold(form, &lengths.map(|length| usize::from(length).max(1)));
});
