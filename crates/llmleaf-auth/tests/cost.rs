//! What a check costs. Not part of a normal run, since a time means something in a release build only:
//!
//! `cargo test -p llmleaf-auth --release --test cost -- --ignored --nocapture`

#![expect(clippy::unwrap_used, reason = "a failed measurement may panic")]

use std::hint::black_box;
use std::time::Instant;

use llmleaf_auth::credential::CredentialSource;
use llmleaf_auth::{
    Authenticator, Check, Credential, CredentialHeaders, KeyEntry, NewKey, PasswordHash, Roster,
};

const ROUNDS: u32 = 200_000;
const BCRYPT: &str = "$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO";

fn entry(id: String, hash: &str) -> KeyEntry {
    KeyEntry {
        id,
        name: None,
        hash: PasswordHash::parse(hash).unwrap(),
        allowed_models: None,
    }
}

/// The best of several runs, in nanoseconds: the machine has other things to do.
fn best_ns(mut run: impl FnMut()) -> f64 {
    let once = |run: &mut dyn FnMut()| {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            run();
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS)
    };
    (0..7).map(|_| once(&mut run)).fold(f64::INFINITY, f64::min)
}

#[test]
#[ignore = "a measurement, for release builds"]
fn a_known_credential_is_checked_in_under_a_microsecond() {
    let key = NewKey::generate("fast").unwrap();
    let mut entries: Vec<KeyEntry> = (0..10_000)
        .map(|n| entry(format!("key{n}"), BCRYPT))
        .collect();
    entries.push(entry("fast".into(), &key.stored_hash));
    let auth = Authenticator::new(Roster::new(entries).unwrap()).unwrap();
    for (what, text) in [
        ("password", "Bearer a2V5NzpzM2NyZXQ=".to_owned()),
        ("random key", format!("Bearer {}", key.credential.expose())),
    ] {
        let headers =
            CredentialHeaders::new().with(CredentialSource::Authorization, text.as_bytes());
        let credential = Credential::from_headers(&headers).unwrap();
        if let Check::NeedsWork(work) = auth.check(&credential) {
            auth.settle(work.run()).unwrap();
        }
        assert!(matches!(auth.check(&credential), Check::Granted(_)));
        let read = best_ns(|| drop(black_box(Credential::from_headers(black_box(&headers)))));
        let check = best_ns(|| drop(black_box(auth.check(black_box(&credential)))));
        let principal = match auth.check(&credential) {
            Check::Granted(principal) => principal,
            other => panic!("{other:?}"),
        };
        let authorise = best_ns(|| drop(black_box(auth.authorise(black_box(&principal), "model"))));
        println!("{what}: read {read:.0} ns, check {check:.0} ns, authorise {authorise:.0} ns");
        assert!(check < 1000.0 || cfg!(debug_assertions), "{check} ns");
    }
}

#[test]
#[ignore = "a measurement, for release builds"]
fn a_million_keys_install_in_two_seconds() {
    let entries = || {
        (0..1_000_000)
            .map(|n| entry(format!("key{n}"), BCRYPT))
            .collect::<Vec<_>>()
    };
    let auth = Authenticator::new(Roster::new(entries()).unwrap()).unwrap();
    let mut second = entries();
    second.pop();
    let start = Instant::now();
    let roster = Roster::new(second).unwrap();
    let built = start.elapsed();
    assert!(auth.install(roster));
    println!("build {built:?}, build and install {:?}", start.elapsed());
    assert!(start.elapsed().as_secs_f64() < 2.0 || cfg!(debug_assertions));
}

#[test]
#[ignore = "a measurement, for release builds"]
fn what_the_ceilings_cost() {
    let password = "p".repeat(llmleaf_auth::credential::MAX_PASSWORD_BYTES);
    let sha =
        "As4wrv0kZlfch1du9WeH7qhskyLriQWySXrZzynnvi46nFnNxjdpl6ksRegrrKexvhIa/Iny8S8uF3fVWTMuC1";
    for hash in [
        "$argon2id$v=19$m=65536,t=4,p=1$c29tZSBzYWx0$AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZSBzYWx0$AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        BCRYPT.replacen("04", "12", 1),
        format!("$6$saltsalt${sha}"),
        format!("$6$rounds=700000$saltsalt${sha}"),
    ] {
        let parsed = PasswordHash::parse(&hash).unwrap();
        let start = Instant::now();
        assert!(!parsed.verify(password.as_bytes()));
        println!(
            "{:?} for {}",
            start.elapsed(),
            hash.split("salt").next().unwrap()
        );
    }
}
