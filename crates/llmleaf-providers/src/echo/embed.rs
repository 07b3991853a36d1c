//! Vectors out of nothing: the same text always has the same one, and other texts have others.

use llmleaf_model::{
    EmbeddingInput, EmbeddingPart, EmbeddingRequest, Embeddings, Failure, Json, Usage, Vector,
};
use std::borrow::Cow;

/// How many numbers a vector has where nobody says.
pub const DIMENSIONS: u64 = 256;
/// Most numbers of a vector.
pub const MAX_DIMENSIONS: u64 = 4096;

/// Most numbers of an answer.
pub const MAX_NUMBERS: u64 = 4_000_000;

/// The answer to a request for vectors: of length one each, their directions given by the text's hash. Tokens are words.
///
/// # Errors
/// More is asked for than is made here, or no numbers at all.
pub fn embed(request: &EmbeddingRequest) -> Result<Embeddings, Failure> {
    let dimensions = request.dimensions.unwrap_or(DIMENSIONS);
    if !(1..=MAX_DIMENSIONS).contains(&dimensions) {
        let why = format!("`dimensions` must be between 1 and {MAX_DIMENSIONS}");
        return Err(Failure::invalid(why, Some("dimensions")));
    }
    if dimensions.saturating_mul(request.inputs.len() as u64) > MAX_NUMBERS {
        let why = format!("more than {MAX_NUMBERS} numbers are asked for");
        return Err(Failure::invalid(why, Some("input")));
    }
    let mut words = 0;
    let vectors = request.inputs.iter().map(|input| {
        let text = match input {
            EmbeddingInput::Text(text) => Cow::Borrowed(text.as_str()),
            EmbeddingInput::Parts(parts) => Cow::Owned(parts.iter().map(said).collect()),
            EmbeddingInput::Tokens(json) | EmbeddingInput::Opaque { json, .. } => {
                Cow::Borrowed(json.as_str())
            }
        };
        words += text.split_whitespace().count() as u64;
        vector(&text, dimensions)
    });
    let vectors = vectors.collect();
    Ok(Embeddings {
        id: None,
        model: Some(request.model.clone()),
        vectors,
        usage: Some(Usage {
            input: words,
            ..Usage::default()
        }),
    })
}

fn said(part: &EmbeddingPart) -> &str {
    match part {
        EmbeddingPart::Text(text) | EmbeddingPart::Image(text) => text,
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

#[cfg(test)]
mod tests {
    use super::*;
    use llmleaf_model::{DialectName, Rest, VectorEncoding};

    fn asked(count: usize, dimensions: Option<u64>) -> EmbeddingRequest {
        EmbeddingRequest {
            dialect: DialectName::ChatCompletions,
            model: "echo".to_owned(),
            inputs: vec![EmbeddingInput::Text("two words".to_owned()); count],
            bare: false,
            dimensions,
            encoding: VectorEncoding::Float,
            types: Vec::new(),
            truncate: None,
            user: None,
            task: None,
            title: None,
            mixed: false,
            rest: Rest::default(),
        }
    }

    #[test]
    fn a_text_has_one_vector_of_length_one() {
        let answer = embed(&asked(2, Some(8))).expect("an answer");
        assert_eq!(answer.usage.map(|usage| usage.input), Some(4));
        let [Vector::Numbers(one), Vector::Numbers(other)] = answer.vectors.as_slice() else {
            panic!("{:?}", answer.vectors);
        };
        assert_eq!(one, other);
        let numbers: Vec<f32> = one.read().expect("numbers");
        let length = numbers.iter().map(|x| x * x).sum::<f32>();
        assert!(numbers.len() == 8 && (length - 1.0).abs() < 1e-4, "{one:?}");
    }

    #[test]
    fn no_request_takes_much() {
        for (count, dimensions) in [
            (1, Some(0)),
            (1, Some(4097)),
            (20_000, None),
            (1000, Some(4096)),
        ] {
            assert!(
                embed(&asked(count, dimensions)).is_err(),
                "{count} {dimensions:?}"
            );
        }
    }
}
