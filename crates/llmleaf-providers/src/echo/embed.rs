//! Vectors out of nothing: the same text always has the same one, and other texts have others.

use llmleaf_model::{EmbeddingInput, EmbeddingRequest, Embeddings, Json, Usage, Vector};

/// How many numbers a vector has where nobody says.
pub const DIMENSIONS: u64 = 256;
/// Most numbers of a vector.
pub const MAX_DIMENSIONS: u64 = 4096;

/// The answer to a request for vectors: of length one each, their directions given by the text's hash. Tokens are words.
pub fn embed(request: &EmbeddingRequest) -> Embeddings {
    let dimensions = request.dimensions.unwrap_or(DIMENSIONS);
    let mut words = 0;
    let vectors = request.inputs.iter().map(|input| {
        let text = match input {
            EmbeddingInput::Text(text) => text.as_str(),
            EmbeddingInput::Tokens(json) | EmbeddingInput::Opaque { json, .. } => json.as_str(),
        };
        words += text.split_whitespace().count() as u64;
        vector(text, dimensions.clamp(1, MAX_DIMENSIONS))
    });
    let vectors = vectors.collect();
    Embeddings {
        model: Some(request.model.clone()),
        vectors,
        usage: Some(Usage {
            input: words,
            ..Usage::default()
        }),
    }
}

fn vector(text: &str, dimensions: u64) -> Vector {
    // FNV-1a, then xorshift: nothing depends on their quality.
    let mut state = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    }) | 1;
    let raw = (0..dimensions).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let [a, b, c, _] = (state >> 32)
            .to_le_bytes()
            .map(f32::from)
            .first_chunk::<4>()
            .copied()
            .unwrap_or_default();
        (a + b + c) / 382.5 - 1.0
    });
    let raw: Vec<f32> = raw.collect();
    let length = raw
        .iter()
        .map(|x| x * x)
        .sum::<f32>()
        .sqrt()
        .max(f32::MIN_POSITIVE);
    let unit: Vec<f32> = raw.into_iter().map(|x| x / length).collect();
    Vector::Numbers(Json::from_value(&unit))
}
