use super::*;
use crate::testing::{ec_pem, rsa_pem};

const URL: &str = "https://tokens.example/default";

fn service_account(key: &str) -> String {
    serde_json::json!({
        "type": "service_account",
        "project_id": "my-project",
        "private_key_id": "key-1",
        "private_key": key,
        "client_email": "leaf@my-project.example",
        "token_uri": "https://tokens.example/own",
    })
    .to_string()
}

#[test]
fn a_service_account_signs_and_a_person_refreshes() {
    let file = read(&service_account(rsa_pem()), URL, "scope").expect("a key file");
    assert_eq!(file.project.as_deref(), Some("my-project"));
    assert_eq!(file.source.url(), "https://tokens.example/own");
    let person = r#"{"type":"authorized_user","client_id":"c","client_secret":"s","refresh_token":"r","quota_project_id":"q"}"#;
    let file = read(person, URL, "scope").expect("a key file");
    assert_eq!(
        (file.source.url(), file.project.as_deref()),
        (URL, Some("q"))
    );
    assert!(!format!("{file:?}").contains("\"s\""), "{file:?}");
}

#[test]
fn what_will_not_do_is_told_and_not_quoted() {
    for (text, words) in [
        ("secret words".to_owned(), "no JSON object"),
        ("[1]".to_owned(), "no JSON object"),
        (r#"{"a":"secret"}"#.to_owned(), "no `type`"),
        (r#"{"type":"secret"}"#.to_owned(), "unknown"),
        (
            r#"{"type":"external_account"}"#.to_owned(),
            "`external_account` are not supported",
        ),
        (
            r#"{"type":"impersonated_service_account"}"#.to_owned(),
            "not supported",
        ),
        (
            r#"{"type":"service_account"}"#.to_owned(),
            "has no `private_key`",
        ),
        (
            r#"{"type":"authorized_user","client_id":"c"}"#.to_owned(),
            "has no `client_secret`",
        ),
        (service_account("secret"), "not a private key in PEM"),
        (service_account(&ec_pem()), "not an RSA key"),
    ] {
        let error = read(&text, URL, "scope").expect_err(&text).to_string();
        assert!(error.contains(words), "{text}: {error}");
        assert!(!error.contains("secret "), "{error}");
    }
}
