//! Any header values as credentials: every spelling of one is the same one, in whatever header, and none is printed.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use libfuzzer_sys::fuzz_target;
use llmleaf_auth::{Credential, CredentialHeaders, CredentialSource, PasswordHash};

const SOURCES: [CredentialSource; 6] = [
    CredentialSource::Authorization,
    CredentialSource::XApiKey,
    CredentialSource::ApiKey,
    CredentialSource::XGoogApiKey,
    CredentialSource::WebSocketProtocol,
    CredentialSource::Query,
];

fuzz_target!(|input: (Vec<(u8, &[u8])>, &[u8])| {
    let (several, one) = input;
    let mut headers = CredentialHeaders::new();
    for (source, value) in &several {
        headers.push(SOURCES[usize::from(*source) % SOURCES.len()], value);
    }
    told(Credential::from_headers(&headers));

    let alone = CredentialHeaders::new().with(CredentialSource::XApiKey, one);
    let read = Credential::from_headers(&alone);
    if let Ok(credential) = &read {
        let twice = alone.with(CredentialSource::Query, one);
        let again = Credential::from_headers(&twice).expect("the same twice is one credential");
        assert_eq!(again.id(), credential.id());
        let bearer = [b"bearer ", one.trim_ascii()].concat();
        let both = alone.with(CredentialSource::Authorization, &bearer);
        Credential::from_headers(&both).expect("a credential in any header is the same");
        if one.trim_ascii().contains(&b':') {
            spelled(&alone, one.trim_ascii());
        }
    }
    told(read);

    if let Ok(text) = std::str::from_utf8(one)
        && let Ok(hash) = PasswordHash::parse(text)
    {
        assert!(!format!("{hash:?}").contains(text));
    }
});

/// `id:password` in base64 is the same credential.
fn spelled(plain: &CredentialHeaders<'_>, text: &[u8]) {
    let basic = format!("Basic {}", STANDARD.encode(text));
    let url = URL_SAFE_NO_PAD.encode(text);
    let all = plain
        .with(CredentialSource::Authorization, basic.as_bytes())
        .with(CredentialSource::ApiKey, url.as_bytes());
    Credential::from_headers(&all).expect("every spelling is the same credential");
}

/// What a log would say of it: never the credential itself.
fn told(read: Result<Credential, llmleaf_auth::AuthError>) {
    match read {
        Ok(credential) => {
            assert!(!credential.id().is_empty());
            assert_eq!(format!("{credential:?}"), "Credential(…)");
        }
        Err(error) => assert!(!error.message().is_empty() && !error.code().is_empty()),
    }
}
