//! What the targets share: the laws of the dialects' own tests, and an engine's changes that keep JSON well-formed.

#[path = "../../crates/llmleaf-dialects/tests/laws/answers.rs"]
pub mod answers;
#[path = "../../crates/llmleaf-dialects/tests/laws/edits.rs"]
pub mod edits;
#[path = "../../crates/llmleaf-dialects/tests/laws/errors.rs"]
pub mod errors;
#[path = "../../crates/llmleaf-dialects/tests/laws/json.rs"]
pub mod json;
#[path = "../../crates/llmleaf-dialects/tests/laws/mutate.rs"]
pub mod mutate;
#[path = "../../crates/llmleaf-dialects/tests/laws/requests.rs"]
pub mod requests;
#[path = "../../crates/llmleaf-dialects/tests/laws/streams.rs"]
pub mod streams;
#[path = "../../crates/llmleaf-dialects/tests/laws/wires.rs"]
pub mod wires;

use mutate::{Random, mutate};

/// How many bytes of an input choose the conditions; the text of the wire stands behind them.
pub const PREFIX: usize = 5;

/// The conditions of an input, where to cut it, and its text. `None` for one that is too short to say.
pub fn split(input: &[u8]) -> Option<(u8, [usize; PREFIX - 1], &[u8])> {
    let (&[choice, a, b, c, d], text) = input.split_first_chunk::<PREFIX>()?;
    Some((choice, [a, b, c, d].map(usize::from), text))
}

/// Changes an input in place and returns its new length: half of the time so that the JSON in it stays well-formed,
/// else as the engine does.
pub fn change(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut random = Random::new(u64::from(seed));
    if size <= PREFIX || random.below(2) == 0 {
        return libfuzzer_sys::fuzzer_mutate(data, size, max_size);
    }
    if random.below(4) == 0 {
        data[random.below(PREFIX)] = random.next().to_le_bytes()[1];
    }
    let mut text = mutate(&data[PREFIX..size], &mut random);
    text.truncate(max_size.saturating_sub(PREFIX));
    data[PREFIX..PREFIX + text.len()].copy_from_slice(&text);
    PREFIX + text.len()
}
