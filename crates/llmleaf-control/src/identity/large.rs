//! A large roster comes in while requests go on. The full size is for a release build and a quiet machine:
//!
//! `LLMLEAF_ROSTER=1000000 cargo test -p llmleaf-control --release large -- --nocapture`

use super::read;
use llmleaf_auth::{
    Authenticator, Check, Credential, CredentialHeaders, CredentialSource, NewKey, Roster,
};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A stall of the hot path is what takes longer than this.
const STALL: Duration = Duration::from_millis(1);

fn body(keys: usize, generation: usize, hash: &str) -> String {
    let mut text = "{\"keys\":[".to_owned();
    for number in 0..keys {
        let name = if number == 0 {
            "known".to_owned()
        } else {
            format!("key-{number}")
        };
        let comma = if number == 0 { "" } else { "," };
        let models = format!("[\"model-{generation}-*\"]");
        let models = if number == 0 { "null" } else { &models };
        write!(
            text,
            "{comma}{{\"id\":\"{name}\",\"pw_hash\":\"{hash}\",\"allowed_models\":{models}}}"
        )
        .expect("a string takes it");
    }
    text + "]}"
}

/// Checks of a known key until told to stop: how many, how many of them stalled, and the longest.
fn checks(auth: &Authenticator, key: &NewKey, stop: &AtomicBool) -> (u64, u64, Duration) {
    let headers = CredentialHeaders::new().with(
        CredentialSource::XApiKey,
        key.credential.expose().as_bytes(),
    );
    let credential = Credential::from_headers(&headers).expect("a credential");
    let (mut count, mut stalls, mut longest) = (0, 0, Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let Check::Granted(principal) = auth.check(&credential) else {
            panic!("the known key is known in every roster");
        };
        auth.authorise(&principal, "m").expect("it may use all");
        let took = began.elapsed();
        count += 1;
        stalls += u64::from(took > STALL);
        longest = longest.max(took);
    }
    (count, stalls, longest)
}

fn while_checking<T>(
    auth: &Arc<Authenticator>,
    key: &NewKey,
    work: impl FnOnce() -> T,
) -> (T, (u64, u64, Duration)) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let checking = scope.spawn(|| checks(auth, key, &stop));
        let done = work();
        stop.store(true, Ordering::Relaxed);
        (done, checking.join().expect("the checks go on"))
    })
}

#[test]
fn g4_a_large_roster_is_taken_beside_the_hot_path() {
    let size = std::env::vars().find(|(name, _)| name == "LLMLEAF_ROSTER");
    let size = size.map(|(_, size)| size.parse().expect("a number"));
    let keys = size.unwrap_or(2000);
    let key = NewKey::generate("known").expect("a key");
    let auth = Arc::new(Authenticator::new(Roster::default()).expect("an authenticator"));
    let bodies: Vec<String> = (0..4).map(|n| body(keys, n, &key.stored_hash)).collect();
    let install = |text: &str| {
        let began = Instant::now();
        let identity = read(text.as_bytes()).expect("a roster");
        assert_eq!(identity.roster.len(), keys);
        assert!(auth.install_upper(Some(identity.roster), false));
        began.elapsed()
    };
    let first = install(&bodies[0]);
    let wait = first.saturating_mul(3).min(Duration::from_secs(10));
    let ((), quiet) = while_checking(&auth, &key, || {
        // As long as the installs take, with a core as busy as they make it.
        let began = Instant::now();
        while began.elapsed() < wait {
            std::hint::black_box(());
        }
    });
    let (longest, busy) = while_checking(&auth, &key, || {
        bodies[1..]
            .iter()
            .map(|text| install(text))
            .max()
            .expect("some")
    });
    println!(
        "{keys} keys: read and installed in {longest:?}; quiet {quiet:?}, busy {busy:?} (checks, stalls over {STALL:?}, longest)"
    );
    assert!(busy.0 > 0);
    if size.is_some() {
        // What the machine does to a busy loop by itself is no stall of ours.
        assert!(busy.1 <= quiet.1 * 2 + 3, "{quiet:?} {busy:?}");
    }
}
