//! Keys that a controller gives, and what it says of keys.

use super::*;
use crate::tokens::IdentityLimits;
use crate::verdicts::{KeyVerdict, Verdicts};

fn upper(entries: Vec<KeyEntry>) -> Option<Roster> {
    limited(entries, IdentityLimits::default())
}

fn limited(entries: Vec<KeyEntry>, limits: IdentityLimits) -> Option<Roster> {
    let entries = entries.into_iter().map(|entry| (entry, limits));
    Some(Roster::upper(entries.collect()).unwrap())
}

fn named(id: &str, name: &str) -> KeyEntry {
    KeyEntry {
        name: Some(name.into()),
        ..slow(id, "p")
    }
}

fn verdict(id: &str, verdict: KeyVerdict) -> Verdicts {
    Verdicts::new([(id.into(), verdict)]).unwrap()
}

#[test]
fn the_files_keys_stand_and_a_controllers_count_beside_them() {
    let auth = authenticator(vec![slow("a", "of the file")]);
    auth.install_upper(upper(vec![slow("a", "other"), slow("b", "p")]), false);
    assert!(log_in(&auth, "a:of the file").is_ok());
    assert!(log_in(&auth, "a:other").is_err());
    assert!(log_in(&auth, "b:p").is_ok());
    auth.install_upper(None, false);
    assert!(log_in(&auth, "b:p").is_err());
}

/// Two keys under one name would own each other's batches and share a line in every bill.
#[test]
fn a_controllers_key_under_a_name_of_the_file_is_left_out() {
    let auth = authenticator(vec![
        named("a", "Ann"),
        KeyEntry {
            name: None,
            ..slow("c", "p")
        },
    ]);
    let keys = vec![named("x", "Ann"), named("y", "c"), named("z", "Zoe")];
    auth.install_upper(upper(keys), false);
    assert!(log_in(&auth, "x:p").is_err());
    assert!(log_in(&auth, "y:p").is_err());
    assert!(log_in(&auth, "z:p").is_ok());
    // The file's change is enough for that to end.
    auth.install(Roster::default());
    assert!(log_in(&auth, "x:p").is_ok());
}

#[test]
fn alone_only_a_controllers_keys_count_once_there_are_some() {
    let auth = authenticator(vec![slow("a", "p")]);
    auth.install_upper(None, true);
    assert!(log_in(&auth, "a:p").is_ok());
    auth.install_upper(upper(vec![slow("b", "p")]), true);
    assert!(log_in(&auth, "a:p").is_err());
    assert!(log_in(&auth, "b:p").is_ok());
    // Whether they do may change while they stay as they are.
    let b = log_in(&auth, "b:p").unwrap();
    auth.set_upper_alone(false);
    assert!(log_in(&auth, "a:p").is_ok() && auth.authorise(&b, "m").is_ok());
    let a = log_in(&auth, "a:p").unwrap();
    auth.set_upper_alone(true);
    assert_eq!(auth.authorise(&a, "m").unwrap_err(), AuthError::Invalid);
}

/// What outlives the proof of a credential: work that was handed over, and passes.
#[test]
fn a_key_that_does_not_count_is_not_known_by_its_id_either() {
    let auth = authenticator(vec![slow("a", "p")]);
    let vouched = |id: &str| auth.vouched(id, |_| true).is_some();
    auth.install_upper(upper(vec![slow("b", "p")]), false);
    for id in ["a", "b"] {
        assert!(auth.known(id).is_some() && vouched(id), "{id}");
    }
    auth.set_upper_alone(true);
    assert!(auth.known("a").is_none() && !vouched("a"));
    assert!(auth.known("b").is_some() && vouched("b"));
}

#[test]
fn g1_cold_only_the_files_keys_are_let_in() {
    let auth = authenticator(vec![slow("a", "p")]);
    auth.install_upper(upper(vec![slow("b", "p")]), false);
    auth.set_cold(true);
    assert!(auth.is_cold());
    assert!(log_in(&auth, "a:p").is_ok());
    assert!(log_in(&auth, "b:p").is_err());
    auth.set_cold(false);
    assert!(log_in(&auth, "b:p").is_ok());
}

#[test]
fn f10_a_key_that_is_gone_is_gone_for_who_holds_it_too() {
    let auth = authenticator(Vec::new());
    auth.install_upper(upper(vec![slow("a", "p"), slow("b", "p")]), false);
    let (a, b) = (log_in(&auth, "a:p").unwrap(), log_in(&auth, "b:p").unwrap());
    auth.install_upper(upper(vec![slow("a", "q"), named("c", "C")]), false);
    assert_eq!(auth.authorise(&a, "m").unwrap_err(), AuthError::Invalid);
    assert_eq!(auth.authorise(&b, "m").unwrap_err(), AuthError::Invalid);
}

#[test]
fn a_renewed_roster_makes_nobody_pay_for_a_hash_again() {
    let auth = authenticator(Vec::new());
    let a = || slow("a", "p");
    let hash = a();
    auth.install_upper(
        upper(vec![stored(
            "a",
            "$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO",
        )]),
        false,
    );
    assert!(!auth.install_upper(
        upper(vec![stored(
            "a",
            "$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO"
        )]),
        false
    ));
    auth.install_upper(upper(vec![hash]), false);
    assert!(matches!(
        auth.check(&credential("a:p")),
        Check::NeedsWork(_)
    ));
    log_in(&auth, "a:p").unwrap();
    let kept = auth.upper().unwrap();
    let again = upper(vec![slow("b", "p")]).unwrap();
    again.inherit_proofs(&kept);
    assert!(matches!(auth.check(&credential("a:p")), Check::Granted(_)));
}

#[test]
fn f10_verdicts_block_suspend_and_narrow() {
    let auth = authenticator(vec![slow("a", "p")]);
    let a = log_in(&auth, "a:p").unwrap();
    let blocked = KeyVerdict {
        blocked: true,
        ..KeyVerdict::default()
    };
    auth.install_verdicts(verdict("a", blocked));
    assert_eq!(auth.admit(&a), Err(AuthError::Blocked));
    assert_eq!(auth.authorise(&a, "m").unwrap_err(), AuthError::Blocked);
    let suspended = KeyVerdict {
        suspended_until: Some(1000),
        ..KeyVerdict::default()
    };
    auth.install_verdicts(verdict("a", suspended));
    auth.tell_time(990);
    assert_eq!(auth.admit(&a), Err(AuthError::Suspended { secs: 10 }));
    auth.tell_time(1000);
    assert_eq!(auth.admit(&a), Ok(()));
    let narrowed = KeyVerdict {
        models: Some(Arc::new(ModelPatterns::new(["m*"]))),
        ..KeyVerdict::default()
    };
    auth.install_verdicts(verdict("a", narrowed));
    assert!(auth.authorise(&a, "m1").is_ok());
    assert!(auth.authorise(&a, "x").is_err());
    assert!(auth.permits(&a, "m1") && !auth.permits(&a, "x"));
    auth.install_verdicts(Verdicts::default());
    assert!(auth.authorise(&a, "x").is_ok());
}

#[test]
fn g3_nobody_is_let_in_without_verdicts_where_that_is_asked_for() {
    let auth = authenticator(vec![slow("a", "p")]);
    let a = log_in(&auth, "a:p").unwrap();
    auth.set_closed(true);
    assert_eq!(auth.admit(&a), Err(AuthError::VerdictsUnavailable));
    auth.set_closed(false);
    assert_eq!(auth.admit(&a), Ok(()));
}

/// A controller's key brings along what it may ask for; of the file's keys the file knows.
#[test]
fn a_controllers_key_has_limits_of_its_own() {
    let auth = authenticator(vec![slow("a", "p")]);
    let limits = |most| IdentityLimits {
        requests_per_min: Some(most),
        ..IdentityLimits::default()
    };
    let hash = bcrypt::hash("p", 4).unwrap();
    let b = || vec![stored("b", &hash)];
    auth.install_upper(limited(b(), limits(7)), false);
    let held = log_in(&auth, "b:p").unwrap();
    assert_eq!(held.limits(), Some(limits(7)));
    assert_eq!(log_in(&auth, "a:p").unwrap().limits(), None);
    // Other limits make another roster, and are those of who was proven before.
    assert!(!auth.install_upper(limited(b(), limits(7)), false));
    assert!(auth.install_upper(limited(b(), limits(8)), false));
    assert_eq!(auth.refresh(&held).unwrap().limits(), Some(limits(8)));
    assert!(auth.install_upper(upper(b()), false));
    let free = Some(IdentityLimits::default());
    assert_eq!(auth.refresh(&held).unwrap().limits(), free);
}

/// What runs ends with its key, and not because nobody knows of keys just now.
#[test]
fn f10_what_runs_may_go_on_until_its_caller_is_turned_away() {
    let auth = authenticator(vec![slow("a", "p")]);
    auth.install_upper(upper(vec![slow("b", "p")]), false);
    let (a, b) = (log_in(&auth, "a:p").unwrap(), log_in(&auth, "b:p").unwrap());
    let before = auth.rulings();
    auth.set_cold(true);
    auth.set_closed(true);
    assert_eq!((auth.goes_on(&a), auth.goes_on(&b)), (Ok(()), Ok(())));
    assert_eq!(auth.rulings(), before);
    auth.set_cold(false);
    assert_eq!(auth.goes_on(&b), Ok(()));
    let before = auth.rulings();
    let blocked = KeyVerdict {
        blocked: true,
        ..KeyVerdict::default()
    };
    auth.install_verdicts(verdict("a", blocked));
    assert_ne!(auth.rulings(), before);
    assert_eq!(auth.goes_on(&a), Err(AuthError::Blocked));
    assert_eq!(auth.goes_on(&b), Ok(()));
    auth.install_upper(upper(Vec::new()), false);
    assert_eq!(auth.goes_on(&b), Err(AuthError::Invalid));
    // Who asks while nobody knows of keys is to ask once more when they are known.
    auth.set_cold(true);
    let asked = auth.rulings();
    assert_eq!(auth.goes_on(&b), Ok(()));
    auth.set_cold(false);
    assert_ne!(auth.rulings(), asked);
    assert_eq!(auth.goes_on(&b), Err(AuthError::Invalid));
}
