//! Where an issuer says that its keys are (OpenID Connect Discovery 1.0, section 4, 2014-11).

use super::strict;

/// Largest document, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 256 * 1024;
/// What is appended to an issuer's address.
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// Where that document is.
pub fn address(issuer: &str) -> String {
    [issuer.trim_end_matches('/'), WELL_KNOWN].concat()
}

/// The address of the keys. `None` where the document is not this issuer's own (section 4.3), or leads to where the way is less safe
/// than that to the document.
pub fn key_set_address(document: &[u8], issuer: &str) -> Option<String> {
    let document = strict::object(document)?;
    let text = |name: &str| document.get(name)?.as_str();
    if text("issuer")? != issuer {
        return None;
    }
    let address = text("jwks_uri")?;
    let safe = address.starts_with("https://");
    // In plain text only where the issuer itself is: on this machine.
    let beside = || Some(origin(address)? == origin(issuer)?);
    let fits = safe || (issuer.starts_with("http://") && beside() == Some(true));
    fits.then(|| address.to_owned())
}

/// The part of a plain address before its path.
fn origin(address: &str) -> Option<&str> {
    let rest = address.strip_prefix("http://")?;
    rest.split(['/', '?', '#']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_speaks_for_its_own_issuer_and_leads_to_no_less_safe_place() {
        let issuer = "https://login.example/";
        assert_eq!(
            address(issuer),
            "https://login.example/.well-known/openid-configuration"
        );
        let told = |issuer: &str, of: &str, keys: &str| {
            let document = format!(r#"{{"issuer":"{of}","jwks_uri":"{keys}","x":1}}"#);
            key_set_address(document.as_bytes(), issuer)
        };
        let keys = "https://keys.example/k?p=1";
        assert_eq!(told(issuer, issuer, keys).as_deref(), Some(keys));
        let here = "http://127.0.0.1:9";
        assert!(told(here, here, "http://127.0.0.1:9/keys").is_some());
        for (issuer, of, keys) in [
            (issuer, "https://login.example", keys),
            (issuer, "https://evil.example/", keys),
            (issuer, issuer, "http://login.example/keys"),
            (issuer, issuer, "file:///etc/keys"),
            (issuer, issuer, ""),
            (here, here, "http://127.0.0.1:90/keys"),
            (here, here, "http://127.0.0.1:9@evil.example/keys"),
            (here, here, "http://169.254.169.254/keys"),
        ] {
            assert_eq!(told(issuer, of, keys), None, "{issuer} {of} {keys}");
        }
        assert_eq!(key_set_address(b"<html>", issuer), None);
        let twice = br#"{"issuer":"a","issuer":"https://login.example/","jwks_uri":"https://k"}"#;
        assert_eq!(key_set_address(twice, issuer), None);
    }
}
