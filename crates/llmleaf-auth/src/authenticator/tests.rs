mod controlled;
mod replaced;

use super::*;
use crate::credential::{CredentialHeaders, CredentialSource};
use crate::models::ModelPatterns;
use crate::password::PasswordHash;
use crate::random_key::NewKey;
use crate::roster::KeyEntry;

fn slow(id: &str, password: &str) -> KeyEntry {
    stored(id, &bcrypt::hash(password, 4).unwrap())
}

fn stored(id: &str, hash: &str) -> KeyEntry {
    KeyEntry {
        id: id.into(),
        name: Some(format!("{id}'s name")),
        hash: PasswordHash::parse(hash).unwrap(),
        allowed_models: None,
    }
}

fn authenticator(entries: Vec<KeyEntry>) -> Authenticator {
    Authenticator::with_key(&[7; 32], Roster::new(entries).unwrap())
}

fn credential(text: &str) -> Credential {
    let headers = CredentialHeaders::new().with(CredentialSource::XApiKey, text.as_bytes());
    Credential::from_headers(&headers).unwrap()
}

fn work(check: Check) -> Work {
    match check {
        Check::NeedsWork(work) => work,
        other => panic!("{other:?}"),
    }
}

fn granted(check: Check) -> Principal {
    match check {
        Check::Granted(principal) => principal,
        other => panic!("{other:?}"),
    }
}

fn denied(check: Check) -> AuthError {
    match check {
        Check::Denied(error) => error,
        other => panic!("{other:?}"),
    }
}

/// The whole way, as a server goes it.
fn log_in(auth: &Authenticator, text: &str) -> Result<Principal, AuthError> {
    match auth.check(&credential(text)) {
        Check::Granted(principal) => Ok(principal),
        Check::Denied(error) => Err(error),
        Check::NeedsWork(work) => auth.settle(work.run()),
    }
}

#[test]
fn it_is_shared_between_threads_and_work_moves() {
    fn shared<T: Send + Sync + 'static>() {}
    fn moved<T: Send + 'static>() {}
    shared::<Authenticator>();
    moved::<Work>();
    moved::<Verdict>();
}

#[test]
fn a_password_is_hashed_once_and_then_known() {
    let auth = authenticator(vec![slow("a", "right")]);
    let verdict = work(auth.check(&credential("a:right"))).run();
    let principal = auth.settle(verdict).unwrap();
    assert_eq!(
        (&**principal.key_id(), &**principal.display()),
        ("a", "a's name")
    );
    // In whatever spelling.
    for spelling in ["a:right", "YTpyaWdodA==", "YTpyaWdodA"] {
        assert_eq!(&**granted(auth.check(&credential(spelling))).key_id(), "a");
    }
}

#[test]
fn unknown_id_and_wrong_password_are_alike_in_every_step() {
    let auth = authenticator(vec![slow("a", "right"), slow("b", "right")]);
    let mut errors = Vec::new();
    for text in ["a:wrong", "nobody:wrong", "nobody:right"] {
        let verdict = work(auth.check(&credential(text))).run();
        errors.push(auth.settle(verdict).unwrap_err());
        // The second time both are known to be wrong.
        errors.push(denied(auth.check(&credential(text))));
    }
    assert_eq!(errors, vec![AuthError::Invalid; 6]);
    assert!(
        log_in(&auth, "a:right").is_ok(),
        "a refusal is of one password"
    );
}

#[test]
fn an_unknown_id_costs_what_some_known_id_costs_and_always_the_same() {
    let sha = "$5$saltsalt$i1q2ZQzc.tl/BQ6CHiENAcVDvEY6nJ1OWlWXKh94b1.";
    let auth = authenticator(vec![slow("a", "right"), stored("b", sha)]);
    let scheme = |id: &str| {
        let work = work(auth.check(&credential(&format!("{id}:x"))));
        assert!(!work.real);
        work.record.hash.scheme()
    };
    let mut seen = std::collections::HashMap::new();
    for number in 0..200 {
        let id = format!("nobody{number}");
        assert_eq!(scheme(&id), scheme(&id));
        *seen.entry(scheme(&id)).or_insert(0) += 1;
    }
    assert_eq!(seen.len(), 2);
    assert!(seen.values().all(|&count| count > 50), "{seen:?}");
}

#[test]
fn the_password_of_the_stand_in_lets_nobody_in() {
    let auth = authenticator(vec![slow("a", "right")]);
    assert_eq!(
        log_in(&auth, "nobody:right").unwrap_err(),
        AuthError::Invalid
    );
}

#[test]
fn random_keys_are_decided_at_once() {
    let (key, other) = (
        NewKey::generate("fast").unwrap(),
        NewKey::generate("fast").unwrap(),
    );
    let stranger = NewKey::generate("nobody").unwrap();
    let slow_one = NewKey::generate("a").unwrap();
    let auth = authenticator(vec![stored("fast", &key.stored_hash), slow("a", "right")]);
    let text = key.credential.expose();
    for spelling in [text.to_owned(), format!("fast:{text}"), format!("{text}:")] {
        assert_eq!(
            &**granted(auth.check(&credential(&spelling))).key_id(),
            "fast"
        );
    }
    for wrong in [&other, &stranger, &slow_one] {
        assert_eq!(
            denied(auth.check(&credential(wrong.credential.expose()))),
            AuthError::Invalid
        );
    }
    // A password for a key that has none is as unknown as an unknown id.
    assert!(!work(auth.check(&credential("fast:password"))).real);
    assert_eq!(log_in(&auth, "fast:right").unwrap_err(), AuthError::Invalid);
    // Without slow hashes no password is worth any work.
    let fast_only = authenticator(vec![stored("fast", &key.stored_hash)]);
    assert_eq!(
        denied(fast_only.check(&credential("fast:password"))),
        AuthError::Invalid
    );
}

#[test]
fn a_random_key_moved_to_another_id_is_worthless() {
    let key = NewKey::generate("a").unwrap();
    let auth = authenticator(vec![stored("b", &key.stored_hash)]);
    assert_eq!(
        log_in(&auth, key.credential.expose()).unwrap_err(),
        AuthError::Invalid
    );
}

#[test]
fn an_empty_roster_lets_nobody_in() {
    let auth = authenticator(vec![]);
    let key = NewKey::generate("a").unwrap();
    assert_eq!(denied(auth.check(&credential("a:b"))), AuthError::Invalid);
    assert_eq!(
        denied(auth.check(&credential(key.credential.expose()))),
        AuthError::Invalid
    );
}

#[test]
fn work_behind_the_same_credential_is_not_done_twice() {
    let auth = authenticator(vec![slow("a", "right")]);
    for (text, good) in [("a:right", true), ("a:wrong", false)] {
        let queue: Vec<Work> = (0..3)
            .map(|_| work(auth.check(&credential(text))))
            .collect();
        let mut queue = queue.into_iter();
        assert_eq!(auth.settle(queue.next().unwrap().run()).is_ok(), good);
        for mut later in queue {
            // A hash that accepts nothing: only what was remembered can give the answer.
            later.refusals = if good {
                Arc::new(Refusals::new())
            } else {
                later.refusals
            };
            later.password = Secret::new("neither".into());
            assert_eq!(auth.settle(later.run()).is_ok(), good);
        }
    }
}

#[test]
fn a_flood_of_wrong_credentials_does_not_grow_anything() {
    let auth = authenticator(vec![slow("a", "right")]);
    log_in(&auth, "a:right").unwrap();
    for number in 0..3 * MAX_REFUSALS {
        let text = format!("a:wrong{number}");
        let Work {
            digest,
            generation,
            refusals,
            ..
        } = work(auth.check(&credential(&text)));
        // What `run` does after hashing; the hash itself is beside the point here.
        refusals.insert(digest, generation);
        assert_eq!(denied(auth.check(&credential(&text))), AuthError::Invalid);
    }
    assert!(auth.refusals.filled() <= MAX_REFUSALS);
    assert!(
        auth.refusals.filled() > MAX_REFUSALS / 2,
        "spread over the table"
    );
    assert_eq!(
        &**granted(auth.check(&credential("a:right"))).key_id(),
        "a",
        "not pushed out"
    );
}

#[test]
fn a_new_roster_keeps_what_did_not_change_and_no_more() {
    let (a, b) = (
        bcrypt::hash("right", 4).unwrap(),
        bcrypt::hash("right", 4).unwrap(),
    );
    let roster = |a: &str, ids: &[&str]| {
        Roster::new(
            ids.iter()
                .map(|id| stored(id, if *id == "a" { a } else { &b }))
                .collect(),
        )
        .unwrap()
    };
    let auth = Authenticator::with_key(&[7; 32], roster(&a, &["a", "b"]));
    let (old_a, old_b) = (
        log_in(&auth, "a:right").unwrap(),
        log_in(&auth, "b:right").unwrap(),
    );
    assert!(log_in(&auth, "a:wrong").is_err());

    assert!(!auth.install(roster(&a, &["b", "a"])), "the same keys");
    assert_eq!(
        denied(auth.check(&credential("a:wrong"))),
        AuthError::Invalid
    );

    // Another hash of the same password: proven anew, and the old principal gets nothing.
    assert!(auth.install(roster(&bcrypt::hash("right", 4).unwrap(), &["a", "b"])));
    granted(auth.check(&credential("b:right")));
    let _ = work(auth.check(&credential("a:right")));
    let _ = work(auth.check(&credential("a:wrong")));
    assert_eq!(auth.authorise(&old_a, "m").unwrap_err(), AuthError::Invalid);
    assert_eq!(
        &**auth.authorise(&old_b, "m").unwrap().principal().key_id(),
        "b"
    );

    // Removed while the work ran.
    let running = work(auth.check(&credential("a:right"))).run();
    assert!(auth.install(roster(&a, &["b"])));
    assert_eq!(auth.settle(running).unwrap_err(), AuthError::Invalid);
    assert_eq!(auth.refresh(&old_a).unwrap_err(), AuthError::Invalid);
    assert!(auth.refresh(&old_b).is_ok());
}

#[test]
fn a_proof_that_arrives_after_a_reload_is_kept() {
    let hash = bcrypt::hash("right", 4).unwrap();
    let auth = authenticator(vec![stored("a", &hash)]);
    let running = work(auth.check(&credential("a:right")));
    assert!(auth.install(Roster::new(vec![stored("a", &hash), slow("b", "x")]).unwrap()));
    auth.settle(running.run()).unwrap();
    granted(auth.check(&credential("a:right")));
}

#[test]
fn models_are_checked_against_the_roster_as_it_is_now() {
    let key = NewKey::generate("a").unwrap();
    let roster = |models: Option<&[&str]>| {
        let mut entry = stored("a", &key.stored_hash);
        entry.allowed_models = models.map(|models| ModelPatterns::new(models.iter().copied()));
        Roster::new(vec![entry]).unwrap()
    };
    let auth = Authenticator::with_key(&[7; 32], roster(Some(&["x-*", "y"])));
    let principal = granted(auth.check(&credential(key.credential.expose())));
    assert_eq!(&**auth.authorise(&principal, "x-1").unwrap().model(), "x-1");
    assert_eq!(
        auth.authorise(&principal, "z").unwrap_err(),
        AuthError::ModelNotAllowed { model: "z".into() }
    );
    for (models, allowed) in [
        (Some(&[][..]), false),
        (Some(&["*"][..]), true),
        (None, true),
        (Some(&["x"][..]), false),
    ] {
        assert!(auth.install(roster(models)), "{models:?}");
        assert_eq!(
            auth.authorise(&principal, "y").is_ok(),
            allowed,
            "{models:?}"
        );
    }
}

#[test]
fn threads_agree() {
    let auth = authenticator(vec![slow("a", "right")]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert!(log_in(&auth, "a:right").is_ok());
                    assert!(log_in(&auth, "a:wrong").is_err());
                    assert!(log_in(&auth, "nobody:wrong").is_err());
                }
            });
        }
    });
}

/// What a connection that shows this value makes of it: whom it knows again, and under which mark.
fn shown(auth: &Authenticator, known: &mut Recall, value: &str) -> (Option<Principal>, Mark) {
    let headers = CredentialHeaders::new().with(CredentialSource::XApiKey, value.as_bytes());
    let mark = auth.mark(&headers).unwrap();
    (auth.recall(known, &mark), mark)
}

#[test]
fn a_connection_knows_its_caller_again_by_the_same_headers_alone() {
    let auth = authenticator(vec![slow("ada", "lovelace"), slow("bob", "baker")]);
    let mut known = Recall::default();
    let (nobody, mark) = shown(&auth, &mut known, "ada:lovelace");
    assert!(nobody.is_none(), "nothing was proven yet");
    known.keep(mark, &log_in(&auth, "ada:lovelace").unwrap());
    let (ada, _) = shown(&auth, &mut known, "ada:lovelace");
    assert_eq!(&**ada.unwrap().key_id(), "ada");
    for other in ["ada:lovelac", "ada:lovelacE", "bob:baker", "ada:lovelace "] {
        assert!(shown(&auth, &mut known, other).0.is_none(), "{other}");
    }
    let elsewhere =
        CredentialHeaders::new().with(CredentialSource::Authorization, b"ada:lovelace".as_slice());
    let twice = elsewhere.with(CredentialSource::XApiKey, b"ada:lovelace");
    for other in [elsewhere, twice] {
        let mark = auth.mark(&other).unwrap();
        assert!(auth.recall(&mut known, &mark).is_none(), "{other:?}");
    }
    assert!(auth.mark(&CredentialHeaders::new()).is_none());
}

#[test]
fn whom_a_connection_knows_counts_by_the_roster_of_the_moment() {
    let hash = bcrypt::hash("lovelace", 4).unwrap();
    let auth = authenticator(vec![stored("ada", &hash)]);
    let mut known = Recall::default();
    let (_, mark) = shown(&auth, &mut known, "ada:lovelace");
    known.keep(mark, &log_in(&auth, "ada:lovelace").unwrap());
    let mut narrowed = stored("ada", &hash);
    narrowed.allowed_models = Some(ModelPatterns::new(["demo"]));
    assert!(auth.install(Roster::new(vec![narrowed]).unwrap()));
    let (ada, _) = shown(&auth, &mut known, "ada:lovelace");
    assert!(!ada.unwrap().permits("other"), "its list as it is now");
    assert!(auth.install(Roster::new(vec![slow("ada", "king")]).unwrap()));
    assert!(
        shown(&auth, &mut known, "ada:lovelace").0.is_none(),
        "another password"
    );
    assert!(auth.install(Roster::new(vec![slow("bob", "baker")]).unwrap()));
    assert!(shown(&auth, &mut known, "ada:lovelace").0.is_none(), "gone");
}
