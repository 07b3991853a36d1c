use super::*;
use crate::testing::rsa_pem;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const NOW: u64 = 1_800_000_000;

fn body(source: &Source) -> String {
    let request = source.request("/token", NOW).expect("a request");
    assert_eq!(request.method(), Method::POST);
    assert_eq!(
        request.headers()[CONTENT_TYPE],
        "application/x-www-form-urlencoded"
    );
    String::from_utf8(request.body().to_vec()).expect("text")
}

#[test]
fn an_assertion_is_signed_by_the_key_and_says_who_asks_for_what() {
    let signer = Signer::new(rsa_pem(), Some("key-1".to_owned())).expect("a key");
    let public = signer.public_key();
    let source = Source::new(
        "https://tokens.example/token".to_owned(),
        Grant::Assertion {
            issuer: "leaf@example".to_owned(),
            scope: "all".to_owned(),
            signer,
        },
    );
    let body = body(&source);
    let assertion = body
        .strip_prefix("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=")
        .expect("the grant of RFC 7523");
    let parts: Vec<&str> = assertion.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else {
        panic!("{assertion}");
    };
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).expect("base64url");
    let json =
        |part: &str| serde_json::from_slice::<serde_json::Value>(&decode(part)).expect("JSON");
    assert_eq!(
        json(header),
        serde_json::json!({"alg": "RS256", "typ": "JWT", "kid": "key-1"})
    );
    assert_eq!(
        json(claims),
        serde_json::json!({
            "iss": "leaf@example", "scope": "all", "aud": "https://tokens.example/token",
            "iat": NOW - 10, "exp": NOW - 10 + 3600,
        })
    );
    let signed = format!("{header}.{claims}");
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
    key.verify(signed.as_bytes(), &decode(signature))
        .expect("signed by the key");
    let other = format!("{header}.{claims}x");
    assert!(key.verify(other.as_bytes(), &decode(signature)).is_err());
}

#[test]
fn secrets_are_sent_as_a_form() {
    let source = Source::new(
        "https://h/t".to_owned(),
        Grant::Client {
            client_id: "id".to_owned(),
            client_secret: Hidden::new("a~b&c=d é".to_owned()),
            scope: "https://s/.default".to_owned(),
        },
    );
    assert_eq!(
        body(&source),
        "grant_type=client_credentials&client_id=id&client_secret=a%7Eb%26c%3Dd+%C3%A9&scope=https%3A%2F%2Fs%2F.default"
    );
    assert!(!format!("{source:?}").contains("a~b"));
}

#[test]
fn the_machines_own_account_is_asked_for_with_its_header() {
    let header = (
        HeaderName::from_static("metadata-flavor"),
        HeaderValue::from_static("Own"),
    );
    let source = Source::new("http://h/t".to_owned(), Grant::Ambient { header });
    let request = source.request("/t", NOW).expect("a request");
    assert_eq!(request.method(), Method::GET);
    assert_eq!(request.headers()["metadata-flavor"], "Own");
}

fn refreshing() -> Source {
    Source::new(
        "https://h/t".to_owned(),
        Grant::Refresh {
            client_id: "id".to_owned(),
            client_secret: Hidden::new("s3cret".to_owned()),
            refresh_token: Hidden::new("r3fresh".to_owned()),
        },
    )
}

#[test]
fn answers_become_tokens_or_say_whose_fault_it_is() {
    let source = refreshing();
    let read = |status, body: &str| source.answer(status, None, body.as_bytes());
    for (body, lifetime) in [
        (
            r#"{"access_token":"t","expires_in":3599,"token_type":"Bearer"}"#,
            3599,
        ),
        (
            r#"{"access_token":"t","expires_in":"3599","token_type":"bearer"}"#,
            3599,
        ),
        (r#"{"access_token":"t"}"#, 300),
        (r#"{"access_token":"t","expires_in":1e99}"#, 24 * 3600),
    ] {
        let fresh = read(200, body).expect(body);
        assert_eq!(fresh.value, "Bearer t");
        assert!(fresh.value.is_sensitive());
        assert_eq!(fresh.lifetime, Duration::from_secs(lifetime), "{body}");
    }
    for (status, body, kind) in [
        (200, "not JSON s3cret", FailureKind::InvalidResponse),
        (200, r#"{"access_token":""}"#, FailureKind::InvalidResponse),
        (
            200,
            r#"{"access_token":"a\nb"}"#,
            FailureKind::InvalidResponse,
        ),
        (
            200,
            r#"{"access_token":"t","expires_in":0}"#,
            FailureKind::InvalidResponse,
        ),
        (
            200,
            r#"{"access_token":"t","token_type":"mac"}"#,
            FailureKind::InvalidResponse,
        ),
        (302, "", FailureKind::InvalidResponse),
        (
            400,
            r#"{"error":"invalid_grant","error_description":"r3fresh is over; s3cret"}"#,
            FailureKind::Credential,
        ),
        (401, r#"{"error":{"message":"x"}}"#, FailureKind::Credential),
        (404, "<html>", FailureKind::Credential),
        (
            400,
            r#"{"error":"temporarily_unavailable"}"#,
            FailureKind::Overloaded,
        ),
        (429, "", FailureKind::RateLimit),
        (500, "", FailureKind::Server),
        (503, "", FailureKind::Overloaded),
    ] {
        let failure = read(status, body).expect_err(body);
        assert_eq!(failure.kind, kind, "{status} {body}");
        let told = format!("{failure:?}");
        assert!(
            !told.contains("s3cret") && !told.contains("r3fresh"),
            "{told}"
        );
    }
}

/// The endpoint's words are cut, and a secret at the cut or with something between its letters is still none of them.
#[test]
fn no_part_of_a_secret_is_told() {
    let source = refreshing();
    let read = |status, body: &str| source.answer(status, None, body.as_bytes());
    for before in 190..200 {
        let words = format!("{}s3\\ncret", "x".repeat(before));
        let body = format!(r#"{{"error":"invalid_grant","error_description":"{words}"}}"#);
        let failure = read(400, &body).expect_err(&body);
        assert!(!failure.message.contains("s3"), "{}", failure.message);
    }
}
