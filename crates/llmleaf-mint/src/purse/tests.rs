//! A purse under simulated time.

use super::*;

const HOUR: u64 = 3_600_000;

fn fresh(text: &str, millis: u64) -> Result<Fresh, Failure> {
    Ok(Fresh {
        value: HeaderValue::from_str(text).expect("a header"),
        lifetime: Duration::from_millis(millis),
    })
}

fn failure(wait: Option<u64>) -> Result<Fresh, Failure> {
    let mut failure = Failure::upstream(FailureKind::Server, "no token");
    failure.retry_after = wait.map(Duration::from_millis);
    Err(failure)
}

/// What a look at that time comes to, in one word, with the token.
fn look(purse: &Purse, now: u64) -> String {
    let shown = |token: Token| token.value.to_str().expect("text").to_owned();
    match purse.take(now) {
        Take::Token(token) => shown(token),
        Take::TokenAndFly(token) => format!("{} and fly", shown(token)),
        Take::Fly => "fly".to_owned(),
        Take::Wait => "wait".to_owned(),
        Take::Failed(failure) => format!("failed {:?}", failure.retry_after),
    }
}

#[test]
fn the_first_gets_a_token_and_the_others_wait_for_it() {
    let purse = Purse::default();
    assert_eq!(look(&purse, 0), "fly");
    for now in 0..100 {
        assert_eq!(look(&purse, now), "wait");
    }
    purse.land(fresh("a", HOUR), 0, 100);
    assert_eq!(look(&purse, 101), "a");
}

#[test]
fn a_token_is_renewed_ahead_of_its_end_while_it_is_used() {
    let purse = Purse::default();
    look(&purse, 0);
    purse.land(fresh("a", HOUR), 0, 0);
    let due = HOUR - AHEAD;
    assert_eq!(look(&purse, due - 1), "a");
    assert_eq!(look(&purse, due), "a and fly");
    assert_eq!(look(&purse, due + 1), "a");
    purse.land(fresh("b", HOUR), due, due + 2);
    assert_eq!(look(&purse, due + 3), "b");
    // One that is over is not sent.
    let end = due + HOUR - MARGIN;
    assert_eq!(look(&purse, end - 1), "b and fly");
    assert_eq!(look(&purse, end), "wait");
}

#[test]
fn a_renewal_that_fails_is_tried_ever_more_seldom_until_nothing_else_is_left() {
    let purse = Purse::default();
    look(&purse, 0);
    purse.land(fresh("a", HOUR), 0, 0);
    let (due, end) = (HOUR - AHEAD, HOUR - MARGIN);
    let (mut now, mut tries) = (due, Vec::new());
    while now < end {
        match look(&purse, now).as_str() {
            "a and fly" => {
                tries.push(now - due);
                purse.land(failure(None), now, now);
            }
            told => assert_eq!(told, "a"),
        }
        now += 100;
    }
    assert_eq!(
        tries,
        [
            0, 1000, 3000, 7000, 15000, 31000, 63000, 95000, 127_000, 159_000, 191_000
        ]
    );
    // Without a good one the pause is short again.
    let told = look(&purse, end);
    assert!(told.starts_with("failed") || told == "fly", "{told}");
    let later = end + 32_000;
    assert_eq!(look(&purse, later), "fly");
    purse.land(failure(None), later, later);
    assert_eq!(look(&purse, later + PAUSE - 1), "failed None");
    assert_eq!(look(&purse, later + PAUSE), "fly");
}

#[test]
fn a_stated_wait_is_kept_and_told() {
    let purse = Purse::default();
    look(&purse, 0);
    purse.land(failure(Some(30_000)), 0, 0);
    assert_eq!(look(&purse, 10_000), "failed Some(20s)");
    assert_eq!(look(&purse, 30_000), "fly");
    // Nobody can ask for more than a minute.
    purse.land(failure(Some(HOUR)), 30_000, 30_000);
    assert_eq!(look(&purse, 90_000), "fly");
}

#[test]
fn a_refused_token_is_given_up_and_its_successor_is_not() {
    let purse = Purse::default();
    look(&purse, 0);
    purse.land(fresh("a", HOUR), 0, 0);
    let Take::Token(old) = purse.take(1) else {
        panic!("no token");
    };
    assert!(purse.refused(&old, 1));
    assert_eq!(look(&purse, 2), "fly");
    assert_eq!(look(&purse, 2), "wait");
    purse.land(fresh("b", HOUR), 2, 3);
    // Whoever still had the old one takes the new one, and costs nobody another.
    assert!(purse.refused(&old, 4));
    let Take::Token(new) = purse.take(5) else {
        panic!("no token");
    };
    assert_eq!(new.value, "b");
    assert!(!purse.refused(&new, REFUSALS));
    assert_eq!(look(&purse, REFUSALS), "b");
    assert!(purse.refused(&new, REFUSALS + 1));
    assert_eq!(look(&purse, REFUSALS + 1), "fly");
}

#[test]
fn what_is_abandoned_is_begun_again() {
    let purse = Purse::default();
    assert_eq!(look(&purse, 0), "fly");
    purse.abandon();
    assert_eq!(look(&purse, 0), "fly");
}

#[test]
fn short_lives_are_renewed_in_time_and_not_at_every_look() {
    let purse = Purse::default();
    look(&purse, 0);
    purse.land(fresh("a", 4000), 0, 0);
    assert_eq!(look(&purse, 2999), "a");
    assert_eq!(look(&purse, 3000), "a and fly");
    // The endpoint gives out the same token with what is left of its life.
    purse.land(fresh("a", 900), 3000, 3000);
    assert_eq!(look(&purse, 3001), "a");
    assert_eq!(look(&purse, 3810), "fly");
}
