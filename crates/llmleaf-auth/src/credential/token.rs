//! The spellings of one credential, and what to say about the ones that are not.

use base64::Engine;
use base64::alphabet::{self, Alphabet};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::{Credential, Kind, MAX_HEADER_BYTES, MAX_PASSWORD_BYTES, Tokens};
use crate::error::Hint;
use crate::random_key;
use crate::roster::MAX_ID_BYTES;
use crate::secret::Secret;
use crate::tokens::form::{MAX_TOKEN_BYTES, is_signed};

/// The value of an `Authorization` header, trimmed and not empty.
pub(super) fn authorization(value: &[u8], tokens: Tokens) -> Result<Credential, Hint> {
    let text = text(value, tokens)?;
    let (scheme, rest) = match text.split_once(' ') {
        Some((scheme, rest)) => (scheme, rest.trim_matches(' ')),
        None => (text, ""),
    };
    let basic = scheme.eq_ignore_ascii_case("basic");
    if !basic && !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Hint::Scheme);
    }
    if rest.is_empty() {
        return Err(Hint::Empty);
    }
    if basic {
        encoded(rest)
    } else {
        bare(rest, tokens)
    }
}

/// The value of any other header, trimmed and not empty.
pub(super) fn token(value: &[u8], tokens: Tokens) -> Result<Credential, Hint> {
    bare(text(value, tokens)?, tokens)
}

/// Checks that cost nothing come first, so that a megabyte of noise is not worked on.
fn text(value: &[u8], tokens: Tokens) -> Result<&str, Hint> {
    let most = if tokens.signed || tokens.opaque {
        MAX_TOKEN_BYTES + "Bearer ".len()
    } else {
        MAX_HEADER_BYTES
    };
    if value.len() > most {
        return Err(Hint::TooLong);
    }
    let text = std::str::from_utf8(value).map_err(|_| Hint::NotText)?;
    if has_control(text) {
        return Err(Hint::NotText);
    }
    Ok(text)
}

/// `char::is_control`, with a quick way through for ASCII.
fn has_control(text: &str) -> bool {
    if text.is_ascii() {
        // Without an early end, which is a few vector instructions.
        let any = |any, byte: u8| any | byte.is_ascii_control();
        text.bytes().fold(false, any)
    } else {
        text.chars().any(char::is_control)
    }
}

/// A random key, `id:password`, or base64 of the latter. No base64 has a colon, and no base64 of text begins with
/// the prefix of the random keys (it would decode to a stray continuation byte), so the three cannot be confused.
fn bare(token: &str, tokens: Tokens) -> Result<Credential, Hint> {
    let is_key = holds(token, b':') || token.starts_with(random_key::KEY_PREFIX);
    if !is_key && tokens.signed && is_signed(token) {
        return Ok(of_issuer(token, Kind::Signed));
    }
    if !is_key && tokens.opaque && may_be_opaque(token) {
        // Base64 of a key's id and password is that: it is not shown to an issuer.
        let own = (token.len() <= MAX_HEADER_BYTES).then(|| encoded(token));
        return match own {
            Some(Ok(own)) => Ok(own),
            _ => Ok(of_issuer(token, Kind::Opaque)),
        };
    }
    if token.len() > MAX_HEADER_BYTES {
        return Err(Hint::TooLong);
    }
    if holds(token, b':') {
        return pair(token);
    }
    if token.starts_with(random_key::KEY_PREFIX) {
        return whole_key(token, None);
    }
    if holds(token, b' ') {
        return Err(Hint::WhiteSpace);
    }
    if looks_foreign(token) {
        return Err(Hint::ForeignKey);
    }
    if token.starts_with("eyJ") && token.split('.').count() == 3 {
        return Err(Hint::Jwt);
    }
    encoded(token)
}

fn of_issuer(token: &str, kind: Kind) -> Credential {
    Credential {
        id: "".into(),
        secret: Secret::new(token.to_owned()),
        kind,
    }
}

/// The form of bearer tokens (RFC 6750 section 2.1, 2012-10). One too short to be a secret, or with the mark of a provider's key, is
/// shown to nobody; and what has the dots of a signed token is none.
fn may_be_opaque(token: &str) -> bool {
    const SHORTEST: usize = 16;
    let body = token.trim_end_matches('=');
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    token.len() >= SHORTEST
        && !body.is_empty()
        && body.bytes().all(fits)
        && !looks_foreign(token)
        && !is_signed(token)
}

/// Base64 of `id:password`.
fn encoded(token: &str) -> Result<Credential, Hint> {
    let bytes = Zeroizing::new(decode(token)?);
    let text = std::str::from_utf8(&bytes).map_err(|_| Hint::Base64NotText)?;
    if !holds(text, b':') {
        return Err(Hint::Base64WithoutColon);
    }
    // RFC 7617 section 2 (2015-09) forbids control characters in both halves. It also catches the line break that
    // `echo` puts behind a password, which would otherwise be a wrong password that looks right.
    if has_control(text) {
        return Err(Hint::ControlCharacter);
    }
    pair(text)
}

/// `id:password`, where either half may be a whole random key.
fn pair(text: &str) -> Result<Credential, Hint> {
    let colon = text.bytes().position(|byte| byte == b':');
    let halves = colon.and_then(|at| text.split_at_checked(at));
    let (id, password) = halves.ok_or(Hint::Unknown)?;
    let password = password.strip_prefix(':').unwrap_or_default();
    if id.is_empty() {
        return Err(Hint::EmptyId);
    }
    if password.starts_with(random_key::KEY_PREFIX) {
        return whole_key(password, Some(id));
    }
    if password.is_empty() {
        // `curl -u llk_…:` is how many services take a key in Basic.
        return if id.starts_with(random_key::KEY_PREFIX) {
            whole_key(id, None)
        } else {
            Err(Hint::EmptyPassword)
        };
    }
    if id.len() > MAX_ID_BYTES || password.len() > MAX_PASSWORD_BYTES {
        return Err(Hint::TooLong);
    }
    Ok(Credential {
        id: id.into(),
        secret: Secret::new(password.to_owned()),
        kind: Kind::Password,
    })
}

fn whole_key(text: &str, claimed_id: Option<&str>) -> Result<Credential, Hint> {
    let id = random_key::parse(text)?;
    if claimed_id.is_some_and(|claimed| claimed != id) {
        return Err(Hint::RandomKeyId);
    }
    Ok(Credential {
        id: id.into(),
        secret: Secret::new(text.to_owned()),
        kind: Kind::RandomKey,
    })
}

/// What a byte is to base64: of one of its alphabets, of that for URLs alone, of none.
fn class(byte: u8) -> u8 {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' | b'=' => 0,
        b'-' | b'_' => OF_URL,
        _ => FOREIGN,
    }
}

const OF_URL: u8 = 1;
const FOREIGN: u8 = 2;

/// Whether a byte is in a text; for short texts, in which a search takes longer to begin.
fn holds(text: &str, byte: u8) -> bool {
    text.bytes().fold(false, |any, own| any | (own == byte))
}

/// Canonical base64 in one alphabet, with full padding or none. Trailing bits must be zero.
fn decode(token: &str) -> Result<Vec<u8>, Hint> {
    const fn engine(alphabet: &Alphabet, padding: DecodePaddingMode) -> GeneralPurpose {
        let config = GeneralPurposeConfig::new().with_decode_padding_mode(padding);
        GeneralPurpose::new(alphabet, config)
    }
    static STANDARD_PADDED: GeneralPurpose =
        engine(&alphabet::STANDARD, DecodePaddingMode::RequireCanonical);
    static STANDARD_BARE: GeneralPurpose =
        engine(&alphabet::STANDARD, DecodePaddingMode::RequireNone);
    static URL_PADDED: GeneralPurpose =
        engine(&alphabet::URL_SAFE, DecodePaddingMode::RequireCanonical);
    static URL_BARE: GeneralPurpose = engine(&alphabet::URL_SAFE, DecodePaddingMode::RequireNone);

    let classes = token.bytes().fold(0, |all, byte| all | class(byte));
    if classes & FOREIGN != 0 {
        return Err(Hint::Unknown);
    }
    let url = classes & OF_URL != 0;
    let engine = match (url, token.ends_with('=')) {
        (false, true) => &STANDARD_PADDED,
        (false, false) => &STANDARD_BARE,
        (true, true) => &URL_PADDED,
        (true, false) => &URL_BARE,
    };
    engine.decode(token).map_err(|_| Hint::Base64NotCanonical)
}

/// The prefix by which many services mark their keys. Only used to say so.
fn looks_foreign(token: &str) -> bool {
    token.starts_with("sk-") || token.starts_with("sk_")
}
