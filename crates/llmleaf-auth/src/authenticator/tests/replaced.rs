//! What happens to workers while something else is put in place, and to what was there.

use super::*;
use crate::verdicts::Verdicts;
use std::sync::Weak;

fn upper(id: &str) -> Roster {
    let key = NewKey::generate(id).unwrap();
    Roster::upper(vec![(stored(id, &key.stored_hash), Default::default())]).unwrap()
}

/// A key of the roster in place, which lives as long as that does: an `Arc` with a `Weak` of its own would never be found free.
fn key_of(auth: &Authenticator, id: &str) -> Weak<Record> {
    Arc::downgrade(auth.current.load().get(id).unwrap())
}

/// Whoever replaces may be a thread that gets a processor seldom: nobody waits for it.
#[test]
fn g4_who_looks_something_up_waits_for_nobody_who_replaces() {
    let key = NewKey::generate("a").unwrap();
    let auth = authenticator(vec![stored("a", &key.stored_hash), slow("b", "x")]);
    let _turn = auth.replacing.lock();
    let _retired = auth.retired.lock();
    let principal = granted(auth.check(&credential(key.credential.expose())));
    assert!(auth.authorise(&principal, "m").is_ok());
    assert!(auth.goes_on(&principal).is_ok());
    assert!(auth.known("a").is_some() && !auth.has_upper() && !auth.is_cold());
    assert!(log_in(&auth, "b:x").is_ok() && log_in(&auth, "b:y").is_err());
}

/// A worker that looks something up while its roster is replaced is not the one that frees it, however long it takes.
#[test]
fn g4_what_was_replaced_is_freed_by_who_replaced_it() {
    let auth = authenticator(vec![slow("file", "x")]);
    auth.install_upper(Some(upper("a")), false);
    let first = key_of(&auth, "a");
    // Held for as long as anybody looks at it, as by a worker that was taken its processor away.
    let looks = auth.current.load_full();
    assert!(auth.install_upper(Some(upper("b")), false));
    drop(looks);
    assert!(first.upgrade().is_some(), "freed by who looked");
    assert!(auth.bury());
    assert!(first.upgrade().is_none());
    // Nobody holds this one.
    let second = key_of(&auth, "b");
    assert!(auth.install_upper(None, false));
    assert!(second.upgrade().is_none() && auth.retired.lock().is_empty());
}

/// A slow hash runs for up to a second, and is dropped by a worker.
#[test]
fn g4_work_for_an_id_holds_its_key_and_no_roster() {
    let auth = authenticator(vec![slow("file", "x")]);
    auth.install_upper(Some(upper("a")), false);
    let _known = work(auth.check(&credential("file:y")));
    let _unknown = work(auth.check(&credential("nobody:y")));
    let other = Roster::new(vec![slow("file", "z")]).unwrap();
    assert!(auth.install(other) && auth.install_upper(None, false));
    auth.install_verdicts(Verdicts::default());
    assert!(auth.retired.lock().is_empty());
}

#[test]
fn g4_what_is_not_wanted_any_more_is_not_put_in_place() {
    let auth = authenticator(vec![slow("file", "x")]);
    assert!(!auth.install_upper_if(Some(upper("a")), false, || false));
    assert!(!auth.has_upper());
    let blocked = Verdicts::new([(
        "file".into(),
        crate::KeyVerdict {
            blocked: true,
            ..Default::default()
        },
    )]);
    assert!(!auth.install_verdicts_if(blocked.unwrap(), || false));
    assert_eq!(auth.verdicts().len(), 0);
}
