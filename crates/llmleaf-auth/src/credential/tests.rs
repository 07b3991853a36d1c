use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::CredentialSource::{
    ApiKey, Authorization, Query, WebSocketProtocol, XApiKey, XGoogApiKey,
};
use super::*;
use crate::random_key::NewKey;

const SOURCES: [CredentialSource; 6] = [
    Authorization,
    XApiKey,
    ApiKey,
    XGoogApiKey,
    WebSocketProtocol,
    Query,
];

fn read(source: CredentialSource, value: &[u8]) -> Result<Credential, AuthError> {
    Credential::from_headers(&CredentialHeaders::new().with(source, value))
}

fn hint(source: CredentialSource, value: &[u8]) -> Hint {
    match read(source, value) {
        Err(AuthError::Malformed { header, hint }) => {
            assert_eq!(header, source);
            hint
        }
        other => panic!("{other:?} for {:?}", String::from_utf8_lossy(value)),
    }
}

fn assert_pair(credential: &Credential, id: &str, secret: &str) {
    assert_eq!(
        (credential.id(), credential.secret().expose()),
        (id, secret)
    );
}

#[test]
fn every_spelling_reads_the_same_in_every_place() {
    // `~?` and `ÿ` make both `+ /` and `- _` come up.
    for (id, password) in [
        ("a", "b"),
        ("team-a", "s3cret"),
        ("i", "p:w:d"),
        ("é", "ÿÿ~?>~"),
        ("x", "two words"),
    ] {
        let raw = format!("{id}:{password}");
        for token in [
            raw.clone(),
            STANDARD.encode(&raw),
            STANDARD_NO_PAD.encode(&raw),
            URL_SAFE.encode(&raw),
            URL_SAFE_NO_PAD.encode(&raw),
        ] {
            for source in SOURCES {
                let value = match source {
                    Authorization => format!("Bearer {token}"),
                    _ => token.clone(),
                };
                assert_pair(&read(source, value.as_bytes()).unwrap(), id, password);
            }
        }
        assert_pair(
            &read(
                Authorization,
                format!("Basic {}", STANDARD.encode(&raw)).as_bytes(),
            )
            .unwrap(),
            id,
            password,
        );
    }
}

#[test]
fn a_random_key_reads_the_same_in_every_place() {
    let key = NewKey::generate("team_a").unwrap();
    let text = key.credential.expose();
    let pair = format!("team_a:{text}");
    let values = [
        text.to_owned(),
        pair.clone(),
        STANDARD.encode(&pair),
        format!("{text}:"),
        STANDARD.encode(format!("{text}:")),
    ];
    for source in SOURCES {
        for value in &values {
            let value = match source {
                Authorization => format!("Bearer {value}"),
                _ => value.clone(),
            };
            let credential = read(source, value.as_bytes()).unwrap();
            assert_pair(&credential, "team_a", text);
            assert_eq!(credential.kind(), Kind::RandomKey);
        }
    }
    let basic = format!("Basic {}", STANDARD.encode(&pair));
    assert_eq!(
        read(Authorization, basic.as_bytes()).unwrap().kind(),
        Kind::RandomKey
    );
}

#[test]
fn the_scheme_is_read_without_regard_to_case() {
    for value in [
        "Bearer a:b",
        "bearer a:b",
        "BEARER   a:b",
        "  bEaReR a:b  ",
        "basic YTpi",
        "BASIC YTpi",
    ] {
        assert_pair(&read(Authorization, value.as_bytes()).unwrap(), "a", "b");
    }
}

#[test]
fn malformed_values_say_what_they_look_like() {
    let key = NewKey::generate("team").unwrap();
    let text = key.credential.expose();
    let cut = &text[..text.len() - 1];
    let typo = format!("{cut}{}", if text.ends_with('x') { 'y' } else { 'x' });
    let long_password = format!("a:{}", "b".repeat(MAX_PASSWORD_BYTES + 1));
    let long_id = format!("{}:b", "a".repeat(129));
    let owned = [
        (format!("other:{text}"), Hint::RandomKeyId),
        (format!("team:{cut}"), Hint::RandomKeyShape),
        (cut.to_owned(), Hint::RandomKeyShape),
        (typo, Hint::RandomKeyChecksum),
        (long_password, Hint::TooLong),
        (long_id, Hint::TooLong),
        ("a".repeat(MAX_HEADER_BYTES + 1), Hint::TooLong),
        ("a".repeat(1 << 20), Hint::TooLong),
        (STANDARD.encode(":b"), Hint::EmptyId),
        (STANDARD.encode("a:"), Hint::EmptyPassword),
        (STANDARD.encode("no colon"), Hint::Base64WithoutColon),
        (STANDARD.encode("a:b\n"), Hint::ControlCharacter),
        (STANDARD.encode("a:b\0"), Hint::ControlCharacter),
        (STANDARD.encode(b"a:\xff"), Hint::Base64NotText),
    ];
    let literal: [(&[u8], Hint); 18] = [
        (b"", Hint::Empty),
        (b"  ", Hint::Empty),
        (b"a:\0", Hint::NotText),
        (b"a:b\x80", Hint::NotText),
        (b"a:b\nc", Hint::NotText),
        (b"two words", Hint::WhiteSpace),
        (b":b", Hint::EmptyId),
        (b"a:", Hint::EmptyPassword),
        (b"YTpi=", Hint::Base64NotCanonical),
        (b"YTpiYw=", Hint::Base64NotCanonical),
        (b"YTo+_w", Hint::Base64NotCanonical),
        (b"'; DROP TABLE keys", Hint::WhiteSpace),
        (b"%s%s%n", Hint::Unknown),
        (b"\"quoted\"", Hint::Unknown),
        (b"sk-proj-0123456789", Hint::ForeignKey),
        (b"sk_live_0123456789", Hint::ForeignKey),
        (b"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.", Hint::Jwt),
        (b"llk_", Hint::RandomKeyShape),
    ];
    let owned = owned
        .iter()
        .map(|(value, expected)| (value.as_bytes(), *expected));
    for (value, expected) in owned.chain(literal) {
        assert_eq!(
            hint(XApiKey, value),
            expected,
            "{:?}",
            String::from_utf8_lossy(value)
        );
    }
}

#[test]
fn authorization_needs_a_scheme() {
    for (value, expected) in [
        ("a:b", Hint::Scheme),
        ("YTpi", Hint::Scheme),
        ("Digest a:b", Hint::Scheme),
        ("Bearer", Hint::Empty),
        ("Basic ", Hint::Empty),
        ("Bearer:a:b", Hint::Scheme),
        ("Basic a:b", Hint::Unknown),
        ("Bearer a b", Hint::WhiteSpace),
    ] {
        assert_eq!(hint(Authorization, value.as_bytes()), expected, "{value}");
    }
}

#[test]
fn several_values_must_be_one_credential() {
    let headers = CredentialHeaders::new;
    let same = headers()
        .with(Authorization, b"Bearer a:b")
        .with(Authorization, b"basic YTpi")
        .with(XApiKey, b"YTpi")
        .with(XGoogApiKey, b"")
        .with(ApiKey, b"a:b");
    assert_pair(&Credential::from_headers(&same).unwrap(), "a", "b");
    for other in [&b"a:c"[..], b"c:b", b"YTpj"] {
        for (first, second) in [
            (Authorization, XApiKey),
            (Authorization, Authorization),
            (XApiKey, XApiKey),
            (ApiKey, Query),
        ] {
            let value = |source, plain: &[u8]| match source {
                Authorization => [b"Bearer ", plain].concat(),
                _ => plain.to_vec(),
            };
            let (a, b) = (value(first, b"a:b"), value(second, other));
            let error =
                Credential::from_headers(&headers().with(first, &a).with(second, &b)).unwrap_err();
            assert_eq!(error, AuthError::Conflicting);
        }
    }
    let beside_noise = headers().with(XApiKey, b"a:b").with(ApiKey, b"noise!");
    assert!(matches!(
        Credential::from_headers(&beside_noise),
        Err(AuthError::Malformed {
            header: ApiKey,
            hint: Hint::Unknown
        })
    ));
    let flood = (0..=MAX_VALUES).fold(headers(), |all, _| all.with(XApiKey, b"a:b"));
    assert_eq!(
        Credential::from_headers(&flood).unwrap_err(),
        AuthError::Conflicting
    );
    assert_eq!(
        Credential::from_headers(&headers()).unwrap_err(),
        AuthError::Missing
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2048, ..ProptestConfig::default() })]

    /// Of all strings that a lax decoder would take for one credential, only four spellings are accepted.
    #[test]
    fn base64_aliases_are_refused(id in "[a-z]{1,8}", password in "\\PC{1,12}", at in 0_usize..40, noise in "[=\\n \\-_+/A-Za-z]") {
        let raw = format!("{id}:{password}");
        prop_assume!(!password.starts_with("llk_"));
        let good = STANDARD.encode(&raw);
        let mut alias = good.clone();
        alias.insert_str(at.min(good.len()), &noise);
        for candidate in [alias, format!("{good}="), format!("={good}"), format!("{}==", good.trim_end_matches('='))] {
            let accepted = [STANDARD.encode(&raw), STANDARD_NO_PAD.encode(&raw), URL_SAFE.encode(&raw), URL_SAFE_NO_PAD.encode(&raw)];
            if let Ok(credential) = read(XApiKey, candidate.as_bytes()) {
                let same = credential.id() == id && credential.secret().expose() == password;
                prop_assert!(!same || accepted.iter().any(|form| form == candidate.trim_ascii()), "{candidate:?}");
            }
        }
    }

    /// Trailing bits that do not belong to a byte must be zero.
    #[test]
    fn trailing_bits_are_refused(raw in "[a-z]{1,3}:[a-z]{1,6}") {
        // Three bytes fill four characters and leave no bits over.
        let raw = if raw.len().is_multiple_of(3) { format!("{raw}x") } else { raw };
        let good = STANDARD_NO_PAD.encode(&raw);
        let last = good.as_bytes()[good.len() - 1];
        let alphabet = alphabet::STANDARD.as_str();
        let place = alphabet.bytes().position(|byte| byte == last).unwrap();
        let alias = format!("{}{}", &good[..good.len() - 1], &alphabet[place + 1..place + 2]);
        prop_assert_eq!(hint(XApiKey, alias.as_bytes()), Hint::Base64NotCanonical);
    }

    #[test]
    fn nothing_panics_and_nothing_is_repeated(value in prop::collection::vec(any::<u8>(), 0..1100)) {
        for source in SOURCES {
            if let Err(error) = read(source, &value) {
                let text = String::from_utf8_lossy(&value);
                prop_assert!(text.trim().len() < 6 || !error.message().contains(text.trim()));
            }
        }
    }
}
