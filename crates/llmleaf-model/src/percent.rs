//! Percent-encoding (RFC 3986, section 2.1). Which bytes stay as they are is the matter of the place that they are for.

use std::fmt::Write as _;

/// Encodes all bytes but plain ones, which are ASCII.
pub fn encode_but(text: &str, plain: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii() && plain(byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The value of a query, or a segment of a path: all but unreserved characters are encoded (section 2.3).
pub fn encode(text: &str) -> String {
    encode_but(text, is_unreserved)
}

/// Whether a byte is an unreserved character.
pub fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_plain_is_encoded_byte_by_byte() {
        assert_eq!(encode("a-._~Z9"), "a-._~Z9");
        assert_eq!(encode("a/b c+ä%"), "a%2Fb%20c%2B%C3%A4%25");
        assert_eq!(
            encode_but("a b/ä", |byte| byte == b' ' || byte > 127),
            "%61 %62%2F%C3%A4"
        );
    }
}
