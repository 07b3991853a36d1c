//! A token's parts: which form it has, and what its header says. Nothing is proven here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::fault::TokenFault;
use super::keys::Algorithm;
use super::strict;

/// Longest token, in bytes. Those of large enterprises, with hundreds of groups, have some twelve thousand.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// Longest header of a token, in bytes of base64url; certificates may stand in it.
const MAX_HEADER_BYTES: usize = 8 * 1024;
/// Longest signature, in bytes of base64url: one by RSA of 8192 bits has 1366.
const MAX_SIGNATURE_BYTES: usize = 1400;
/// Longest name of a key, in bytes.
pub const MAX_KID_BYTES: usize = 256;

/// A signed token, read and not believed.
pub struct Parts<'t> {
    /// Its algorithm: an asymmetric one.
    pub algorithm: Algorithm,
    /// The key that it names.
    pub kid: Option<String>,
    /// What it says it is.
    pub typ: Option<String>,
    /// What it claims.
    pub claims: Map<String, Value>,
    /// What is signed.
    pub signed: &'t str,
    /// By which, in base64url.
    pub signature: &'t str,
}

/// Whether that text can be a signed token, and nothing else that is taken here: it has two dots.
pub fn is_signed(text: &str) -> bool {
    text.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Takes a token apart.
///
/// # Errors
/// It is none, or none that could be accepted.
pub fn read(token: &str) -> Result<Parts<'_>, TokenFault> {
    if token.len() > MAX_TOKEN_BYTES || !is_signed(token) {
        return Err(TokenFault::Form);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenFault::Form)?;
    let (header, claims) = signed.split_once('.').ok_or(TokenFault::Form)?;
    if header.len() > MAX_HEADER_BYTES || signature.len() > MAX_SIGNATURE_BYTES {
        return Err(TokenFault::Form);
    }
    let header = decode(header)?;
    let claims = decode(claims)?;
    // An unsigned token has an empty signature.
    if decode(signature)?.is_empty() {
        return Err(TokenFault::Algorithm);
    }
    let header = strict::object(&header).ok_or(TokenFault::Json)?;
    let claims = strict::object(&claims).ok_or(TokenFault::Json)?;
    let Header {
        algorithm,
        kid,
        typ,
    } = Header::read(&header)?;
    Ok(Parts {
        algorithm,
        kid,
        typ,
        claims,
        signed,
        signature,
    })
}

/// Canonical base64url without padding.
fn decode(part: &str) -> Result<Vec<u8>, TokenFault> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Form)
}

/// What counts of a header. `jku`, `jwk`, `x5u` and `x5c` do not: a key that a token brings along proves nothing (RFC 8725 section
/// 3.10, 2020-02), and some issuers send them.
struct Header {
    algorithm: Algorithm,
    kid: Option<String>,
    typ: Option<String>,
}

impl Header {
    fn read(members: &Map<String, Value>) -> Result<Self, TokenFault> {
        // RFC 7515 section 4.1.11 (2015-05): who does not understand what is critical refuses. Nothing of it is understood here.
        if members.contains_key("crit") || members.contains_key("b64") {
            return Err(TokenFault::Extension);
        }
        if ["enc", "zip", "cty", "epk"]
            .iter()
            .any(|name| members.contains_key(*name))
        {
            return Err(TokenFault::Wrapped);
        }
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= MAX_KID_BYTES => Ok(Some(text.clone())),
            Some(_) => Err(TokenFault::Form),
        };
        let algorithm = text("alg")?.ok_or(TokenFault::Algorithm)?;
        Ok(Self {
            algorithm: Algorithm::named(&algorithm).ok_or(TokenFault::Algorithm)?,
            kid: text("kid")?,
            typ: text("typ")?,
        })
    }
}
