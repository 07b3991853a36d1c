//! Nothing that the crate can print contains a secret or a stored hash: every public type is printed, in both forms of
//! `Debug` and in `Display` where there is one, and searched for the canaries in several encodings.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use llmleaf_auth::credential::CredentialSource;
use llmleaf_auth::{
    AuthError, Authenticator, Check, Credential, CredentialHeaders, KeyEntry, ModelPatterns,
    NewKey, PasswordHash, Roster, Secret,
};

const CANARY: &str = "canary-Zx81";

/// All that may not be seen, whole and by its first eight characters.
fn forbidden(secrets: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    for secret in secrets {
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let decimal = format!("{:?}", secret.as_bytes());
        let forms = [
            (*secret).to_owned(),
            STANDARD.encode(secret),
            URL_SAFE_NO_PAD.encode(secret),
            STANDARD.encode(format!("team:{secret}")),
            hex,
            decimal.trim_matches(['[', ']']).to_owned(),
        ];
        all.extend(forms.iter().map(|form| form.chars().take(8).collect()));
        all.extend(forms);
    }
    all
}

#[test]
fn no_type_prints_a_secret() {
    let key = NewKey::generate("team").unwrap();
    let hash = llmleaf_auth::hash_password(CANARY).unwrap();
    // The parts behind `llk_team_`, `$llk$sha256$` and the parameters are the ones to hide.
    let secrets = [
        CANARY,
        &key.credential.expose()["llk_team_".len()..],
        &key.stored_hash["$llk$sha256$".len()..],
        hash.rsplit('$').next().unwrap(),
    ];
    let forbidden = forbidden(&secrets);
    let mut shown = Vec::new();
    let mut show = |value: &dyn std::fmt::Debug| shown.push(format!("{value:?} {value:#?}"));

    let entry = |id: &str, hash: &str| KeyEntry {
        id: id.into(),
        name: None,
        hash: PasswordHash::parse(hash).unwrap(),
        allowed_models: Some(ModelPatterns::new(["m"])),
    };
    let entries = vec![entry("human", &hash), entry("team", &key.stored_hash)];
    show(&Secret::new(CANARY.into()));
    show(&key);
    show(&entries);
    let roster = Roster::new(entries).unwrap();
    show(&roster);
    let auth = Authenticator::new(roster).unwrap();
    show(&auth);

    for text in [
        format!("human:{CANARY}"),
        format!("{CANARY}:x"),
        key.credential.expose().to_owned(),
    ] {
        let headers = CredentialHeaders::new().with(CredentialSource::XApiKey, text.as_bytes());
        show(&headers);
        let credential = Credential::from_headers(&headers).unwrap();
        show(&credential);
        let check = auth.check(&credential);
        show(&check);
        let principal = match check {
            Check::Granted(principal) => Ok(principal),
            Check::Denied(error) => Err(error),
            Check::NeedsWork(work) => {
                let verdict = work.run();
                show(&verdict);
                auth.settle(verdict)
            }
        };
        show(&principal);
        if let Ok(principal) = principal {
            show(&auth.authorise(&principal, "m"));
            show(&auth.authorise(&principal, "n"));
        }
    }
    assert!(shown.len() > 15);
    for text in shown {
        for piece in &forbidden {
            assert!(!text.contains(piece.as_str()), "{text} shows {piece}");
        }
    }
}

#[test]
fn no_error_repeats_what_was_sent() {
    let key = NewKey::generate("team").unwrap();
    let cut = &key.credential.expose()[..key.credential.expose().len() - 2];
    let wrapped = STANDARD.encode(format!("team:{CANARY}\n"));
    let bare = STANDARD.encode(CANARY);
    let headers = CredentialHeaders::new;
    let source = CredentialSource::Authorization;
    let long = CANARY.repeat(200);
    for value in [
        CANARY,
        cut,
        &wrapped,
        &bare,
        &format!("sk-{CANARY}"),
        &format!(":{CANARY}"),
        &format!("{CANARY}:"),
        &long,
    ] {
        for value in [
            value.to_owned(),
            format!("Bearer {value}"),
            format!("Basic {value}"),
            format!("{value} x"),
        ] {
            let error =
                Credential::from_headers(&headers().with(source, value.as_bytes())).unwrap_err();
            let other = b"Bearer a:b";
            let conflict = Credential::from_headers(
                &headers().with(source, other).with(source, value.as_bytes()),
            )
            .unwrap_err();
            for error in [error, conflict] {
                let text = format!("{error} {error:?} {} {}", error.message(), error.code());
                for piece in forbidden(&[CANARY, &key.credential.expose()["llk_team_".len()..]]) {
                    assert!(!text.contains(&piece), "{text} shows {piece}");
                }
            }
        }
    }
}

#[test]
fn messages_teach_and_stay_short() {
    let malformed = Credential::from_headers(
        &CredentialHeaders::new().with(CredentialSource::XApiKey, b"bm8gY29sb24="),
    );
    assert_eq!(
        malformed.unwrap_err().message(),
        "The credential in `x-api-key` looks like base64 of something without a colon. \
         Send a key made by `llmleaf key new`, or `id:password`, raw or in base64."
    );
    let denied = AuthError::ModelNotAllowed {
        model: format!("m\r\n{}", "x".repeat(100_000)),
    };
    assert!(denied.message().len() < 256);
    assert!(!denied.message().contains(['\r', '\n']));
    assert_eq!(denied.code(), "permission_denied");
    assert_eq!(AuthError::Missing.code(), AuthError::Invalid.code());
}
