//! Vectors: lists of numbers, and the same as base64.

use super::broken;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use llmleaf_model::{Failure, Json, Vector, VectorEncoding};

/// How a vector is written.
pub fn encoding(vector: &Vector) -> VectorEncoding {
    match vector {
        Vector::Numbers(_) => VectorEncoding::Float,
        Vector::Base64(_) => VectorEncoding::Base64,
    }
}

/// How many numbers a vector has; `None` where it is none.
pub fn length(vector: &Vector) -> Option<u64> {
    match vector {
        Vector::Numbers(json) => {
            let bytes = json.as_str().as_bytes();
            // A list of numbers has as many commas as it has numbers but one, and no other brackets.
            let opens = bytes.first() == Some(&b'[');
            let nested = bytes
                .iter()
                .skip(1)
                .any(|b| matches!(b, b'[' | b'{' | b'"'));
            let digits = bytes.iter().any(u8::is_ascii_digit);
            let commas = memchr::memchr_iter(b',', bytes).count() as u64;
            (opens && digits && !nested).then_some(commas + 1)
        }
        Vector::Base64(text) => {
            let bytes = STANDARD.decode(text).ok()?.len();
            (bytes > 0 && bytes.is_multiple_of(4)).then_some(bytes as u64 / 4)
        }
    }
}

/// The vector as a JSON list of numbers.
pub fn numbers(vector: &Vector) -> Result<String, Failure> {
    let text = match vector {
        Vector::Numbers(json) => return Ok(json.as_str().to_owned()),
        Vector::Base64(text) => text,
    };
    let bytes = STANDARD.decode(text).map_err(|_| none())?;
    let (floats, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(none());
    }
    let floats: Vec<f32> = floats
        .iter()
        .map(|four| f32::from_le_bytes(*four))
        .collect();
    if floats.iter().any(|float| !float.is_finite()) {
        return Err(none());
    }
    serde_json::to_string(&floats).map_err(|_| none())
}

/// The vector as base64 of little-endian 32-bit floats.
pub fn base64(vector: &Vector) -> Result<String, Failure> {
    match vector {
        Vector::Base64(text) => Ok(text.clone()),
        Vector::Numbers(json) => {
            let floats: Vec<f32> = serde_json::from_str(json.as_str()).map_err(|_| none())?;
            let bytes: Vec<u8> = floats.into_iter().flat_map(f32::to_le_bytes).collect();
            Ok(STANDARD.encode(bytes))
        }
    }
}

/// A vector in an answer: a list or a string.
pub fn read(raw: &serde_json::value::RawValue) -> Option<Vector> {
    match raw.get().as_bytes().first()? {
        b'[' => Some(Vector::Numbers(Json::from(raw))),
        b'"' => Some(Vector::Base64(crate::object::string(raw)?.into_owned())),
        _ => None,
    }
}

fn none() -> Failure {
    broken("a vector holds no numbers")
}
