//! Images out of nothing: a small square of the prompt's own colour, as a real PNG.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use llmleaf_model::usage::Units;
use llmleaf_model::{Failure, Image, ImageRequest, ImageSource, Images, Json, Rest, Usage};

/// Most images of one request.
pub const MAX_IMAGES: u64 = 10;

/// Pixels of a side.
const SIDE: u32 = 16;

/// The answer to a request for images. The same prompt always has the same colour. Tokens are words, and an image is one.
///
/// # Errors
/// More is asked for than is made here, or nothing.
pub fn draw(request: &ImageRequest) -> Result<Images, Failure> {
    let count = request.count.unwrap_or(1);
    if !(1..=MAX_IMAGES).contains(&count) {
        let why = format!("`n` must be between 1 and {MAX_IMAGES}");
        return Err(Failure::invalid(why, Some("n")));
    }
    // FNV-1a; nothing depends on its quality.
    let hash = request.prompt.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let [red, green, blue, _] = hash.to_be_bytes();
    let data = STANDARD.encode(png([red, green, blue]));
    let image = Image {
        source: ImageSource::Base64(data, None),
        revised_prompt: None,
    };
    let images = (0..count).map(|_| image.clone()).collect();
    let mut rest = Rest::default();
    rest.push("output_format", Json::from_value("png"));
    rest.push("size", Json::from_value(&format!("{SIDE}x{SIDE}")));
    let units = Units {
        images: count,
        ..Units::default()
    };
    Ok(Images {
        created: None,
        images,
        usage: Some(Usage {
            input: request.prompt.split_whitespace().count() as u64,
            input_image: request.images.len() as u64,
            output_image: count,
            units,
            ..Usage::default()
        }),
        rest,
    })
}

/// A square of one colour (PNG specification, third edition: RGB of 8 bits, rows without filter, stored uncompressed).
fn png(colour: [u8; 3]) -> Vec<u8> {
    let side = usize::try_from(SIDE).unwrap_or_default();
    let row = [vec![0], colour.repeat(side)].concat();
    let rows = row.repeat(side);
    let mut header = Vec::new();
    header.extend_from_slice(&SIDE.to_be_bytes());
    header.extend_from_slice(&SIDE.to_be_bytes());
    header.extend_from_slice(&[8, 2, 0, 0, 0]);
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut out, *b"IHDR", &header);
    chunk(&mut out, *b"IDAT", &zlib(&rows));
    chunk(&mut out, *b"IEND", &[]);
    out
}

fn chunk(out: &mut Vec<u8>, name: [u8; 4], data: &[u8]) {
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    let body = [&name, data].concat();
    out.extend_from_slice(&body);
    out.extend_from_slice(&crc32(&body).to_be_bytes());
}

/// One stored block (RFC 1950, RFC 1951 section 3.2.4); what is to be told fits into it.
fn zlib(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
    let mut out = vec![0x78, 0x01, 0x01];
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&(!length).to_le_bytes());
    out.extend_from_slice(data);
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in data {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    out.extend_from_slice(&((b << 16) | a).to_be_bytes());
    out
}

fn crc32(data: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let mask = (crc & 1).wrapping_neg();
            crc = (crc >> 1) ^ (0xedb8_8320 & mask);
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmleaf_model::DialectName;

    fn asked(prompt: &str, count: Option<u64>) -> ImageRequest {
        ImageRequest {
            dialect: DialectName::ChatCompletions,
            model: "echo".to_owned(),
            prompt: prompt.to_owned(),
            images: Vec::new(),
            mask: None,
            count,
            size: None,
            told_as: None,
            stream: false,
            partial_images: None,
            rest: Rest::default(),
        }
    }

    #[test]
    fn a_prompt_has_one_picture_and_it_is_one() {
        let answer = draw(&asked("a red door", Some(2))).expect("images");
        let [one, other] = answer.images.as_slice() else {
            panic!("{:?}", answer.images);
        };
        assert_eq!(one, other);
        let usage = answer.usage.expect("counts");
        assert_eq!(
            (usage.input, usage.output_image, usage.units.images),
            (3, 2, 2)
        );
        // Checksums against those that other programs make.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(zlib(b"abc")[10..], 0x024d_0127_u32.to_be_bytes());
        assert!(png([1, 2, 3]).starts_with(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"));
    }

    #[test]
    fn no_request_takes_much() {
        for count in [0, 11, u64::MAX] {
            assert!(draw(&asked("x", Some(count))).is_err(), "{count}");
        }
    }
}
