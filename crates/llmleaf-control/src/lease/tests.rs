use super::*;

const SECOND: u64 = 1000;

fn one(tokens: u64) -> Spent {
    Spent {
        requests: 1,
        tokens,
        nano_usd: 0,
    }
}

fn grant(lease: &str, requests: u64, secs: u64) -> Told {
    Told {
        leases: vec![Grant {
            key: "k".into(),
            lease: lease.into(),
            granted: Granted {
                requests: Some(requests),
                ..Granted::default()
            },
            expires_in_secs: secs,
            exhausted_secs: None,
        }],
    }
}

/// Asks, and is answered at once.
fn ask(leases: &mut Leases, told: &Told, now: u64) -> Reports {
    let reports = leases.report(Millis(now)).expect("something to tell");
    leases.answered(&reports, told, Millis(now));
    reports
}

fn fresh() -> Leases {
    let mut leases = Leases::new(false);
    assert_eq!(leases.hold("k", one(0), Millis(0)), Err(Denied::Asking));
    leases
}

#[test]
fn what_was_granted_is_spent_and_no_more() {
    let mut leases = fresh();
    assert_eq!(leases.due(), Some(Millis(0)));
    let asked = ask(&mut leases, &grant("a", 2, 60), 0);
    assert!(asked.leases[0].want.is_some_and(|want| want.requests >= 2));
    let first = leases.hold("k", one(0), Millis(1)).expect("granted");
    let second = leases.hold("k", one(0), Millis(1)).expect("granted");
    assert_eq!(leases.hold("k", one(0), Millis(1)), Err(Denied::Asking));
    leases.settle(first, one(0), Millis(2));
    assert_eq!(leases.hold("k", one(0), Millis(2)), Err(Denied::Asking));
    let told = ask(&mut leases, &grant("a", 3, 60), SECOND);
    assert_eq!((told.leases[0].spent.requests, told.leases[0].open), (1, 1));
    let third = leases.hold("k", one(0), Millis(SECOND)).expect("granted");
    for held in [second, third] {
        leases.settle(held, one(0), Millis(SECOND));
    }
    // An answer that comes late takes nothing back.
    let reports = leases.report(Millis(2 * SECOND)).expect("something");
    leases.answered(&reports, &grant("a", 2, 60), Millis(2 * SECOND));
    assert!(leases.hold("k", one(0), Millis(2 * SECOND)).is_err());
}

#[test]
fn a_lease_ends_by_the_clock_of_the_question() {
    let mut leases = fresh();
    let reports = leases.report(Millis(0)).expect("something");
    // It took nine seconds to come.
    leases.answered(&reports, &grant("a", 5, 10), Millis(9 * SECOND));
    let held = leases.hold("k", one(0), Millis(9_999)).expect("granted");
    assert_eq!(
        leases.hold("k", one(0), Millis(10_000)),
        Err(Denied::Asking)
    );
    let told = leases.report(Millis(10_000)).expect("something");
    assert!(
        told.leases
            .iter()
            .any(|l| l.lease.as_deref() == Some("a") && l.over && l.open == 1)
    );
    // What ran on it is told of it, though another one is there.
    leases.answered(&told, &grant("b", 5, 10), Millis(10_000));
    leases.settle(held, one(7), Millis(11_000));
    let told = leases.report(Millis(12_000)).expect("something");
    let old = told
        .leases
        .iter()
        .find(|l| l.lease.as_deref() == Some("a"))
        .expect("told");
    assert_eq!((old.spent.tokens, old.open, old.over), (7, 0, true));
}

#[test]
fn what_lies_idle_is_given_back() {
    let mut leases = fresh();
    ask(&mut leases, &grant("a", 5, 3600), 0);
    let later = millis(IDLE) + 1;
    let told = leases.report(Millis(later)).expect("something");
    assert!(told.leases[0].over && told.leases[0].want.is_none());
    assert_eq!(
        leases.hold("k", one(0), Millis(later)),
        Err(Denied::Asking),
        "given back before it is told"
    );
    // The same lease in a late answer stays over.
    leases.answered(&told, &grant("a", 5, 3600), Millis(later));
    assert_eq!(leases.hold("k", one(0), Millis(later)), Err(Denied::Asking));
}

#[test]
fn an_exhausted_cap_says_until_when() {
    let mut leases = fresh();
    let mut told = grant("a", 0, 60);
    told.leases[0].exhausted_secs = Some(30);
    ask(&mut leases, &told, 0);
    let until = Millis(30 * SECOND);
    assert_eq!(
        leases.hold("k", one(0), Millis(1)),
        Err(Denied::Exhausted(Some(until)))
    );
    assert_eq!(
        leases.hold("k", one(0), Millis(until.0)),
        Err(Denied::Asking)
    );
}

#[test]
fn without_a_controller_a_key_is_closed_or_open_as_it_was_asked_for() {
    for open in [false, true] {
        let mut leases = Leases::new(open);
        assert_eq!(leases.hold("k", one(0), Millis(0)), Err(Denied::Asking));
        leases.report(Millis(0)).expect("something");
        leases.unanswered(Duration::from_secs(1), Millis(10));
        let held = leases.hold("k", one(5), Millis(20));
        if !open {
            assert_eq!(held, Err(Denied::Away));
            continue;
        }
        leases.settle(held.expect("open"), one(6), Millis(30));
        let told = leases.report(Millis(2 * SECOND)).expect("something");
        let without = told
            .leases
            .iter()
            .find(|l| l.lease.is_none())
            .expect("told");
        assert_eq!(without.spent, one(6));
    }
}

#[test]
fn money_is_held_by_what_was_dearest() {
    let mut leases = fresh();
    let told = Told {
        leases: vec![Grant {
            granted: Granted {
                nano_usd: Some(100),
                ..Granted::default()
            },
            ..grant("a", 0, 60).leases[0].clone()
        }],
    };
    ask(&mut leases, &told, 0);
    let first = leases
        .hold("k", one(0), Millis(0))
        .expect("nothing is known yet");
    let used = Spent {
        nano_usd: 40,
        ..one(0)
    };
    leases.settle(first, used, Millis(1));
    let second = leases
        .hold("k", one(0), Millis(1))
        .expect("forty and forty");
    assert_eq!(second.amount().nano_usd, 40);
    assert!(
        leases.hold("k", one(0), Millis(1)).is_err(),
        "and forty are too much"
    );
}

#[test]
fn an_answer_is_read_and_nonsense_is_not() {
    let told = read(br#"{"leases":[{"key":"k","lease":"a","granted":{"tokens":5},"expires_in_secs":9,"more":1}]}"#);
    let told = told.expect("an answer");
    assert_eq!(
        told.leases[0].granted,
        Granted {
            tokens: Some(5),
            ..Granted::default()
        }
    );
    assert_eq!(read(b"{}"), Ok(Told::default()));
    for body in [
        "",
        "[]",
        "{\"leases\":7}",
        "{\"leases\":[{\"key\":\"k\"}]}",
        "{\"leases\":[{\"key\":\"k\",\"lease\":\"a\",\"granted\":{\"tokens\":-1},\"expires_in_secs\":9}]}",
    ] {
        assert!(read(body.as_bytes()).is_err(), "{body}");
    }
}

/// What is thought of the next request is a guess, and no reason to keep a key from money that it has.
#[test]
fn one_dear_request_does_not_lock_its_key_out() {
    let money = |nano_usd| Spent { nano_usd, ..one(0) };
    let mut leases = fresh();
    let mut told = grant("a", 0, 60);
    told.leases[0].granted = Granted {
        nano_usd: Some(100),
        ..Granted::default()
    };
    ask(&mut leases, &told, 0);
    let dear = leases.hold("k", one(0), Millis(0)).expect("granted");
    leases.settle(dear, money(90), Millis(1));
    // Ninety are not there, and ten are: one at a time.
    let cheap = leases.hold("k", one(0), Millis(2)).expect("some is left");
    assert_eq!(cheap.amount().nano_usd, 10);
    assert_eq!(leases.hold("k", one(0), Millis(2)), Err(Denied::Asking));
    leases.settle(cheap, money(10), Millis(3));
    assert_eq!(leases.hold("k", one(0), Millis(3)), Err(Denied::Asking));
    // And what was dear once is forgotten.
    told.leases[0].granted.nano_usd = Some(1_000_000);
    ask(&mut leases, &told, SECOND);
    for _ in 0..60 {
        let held = leases.hold("k", one(0), Millis(SECOND)).expect("granted");
        leases.settle(held, money(10), Millis(SECOND));
    }
    let held = leases.hold("k", one(0), Millis(SECOND)).expect("granted");
    assert_eq!(held.amount().nano_usd, 10);
}

/// A report is about keys that changed, whoever else has a lease, and never about too many at once.
#[test]
fn a_report_looks_at_what_changed() {
    let count = MAX_TOLD + 500;
    let mut leases = Leases::new(false);
    for n in 0..count {
        let denied = leases.hold(&n.to_string(), one(0), Millis(0));
        assert_eq!(denied, Err(Denied::Asking));
    }
    let mut told = std::collections::HashSet::new();
    while !leases.changed.is_empty() {
        let due = leases.due().expect("something has changed");
        assert!(due <= Millis(10 * SECOND));
        let reports = leases.report(due).expect("something to tell");
        assert!(reports.leases.len() <= MAX_TOLD);
        told.extend(reports.leases.iter().map(|report| report.key.clone()));
        let each = reports.leases.iter().map(|report| Grant {
            key: report.key.clone(),
            ..grant("a", 100, 3600).leases[0].clone()
        });
        let answer = Told {
            leases: each.collect(),
        };
        leases.answered(&reports, &answer, due);
        if told.len() < count {
            assert_eq!(
                leases.due(),
                Some(Millis(0)),
                "the others are told of at once"
            );
        }
    }
    assert_eq!(told.len(), count);
    let held = leases
        .hold("7", one(0), Millis(11 * SECOND))
        .expect("granted");
    assert_eq!(leases.changed.len(), 1);
    leases.settle(held, one(5), Millis(11 * SECOND));
    let reports = leases.report(Millis(21 * SECOND)).expect("it changed");
    assert_eq!(reports.leases.len(), 1);
    leases.answered(&reports, &Told::default(), Millis(21 * SECOND));
    // All are given back when they lay idle, and forgotten after that.
    let mut now = 0;
    while let Some(due) = leases.due() {
        now = due.0;
        if let Some(reports) = leases.report(due) {
            leases.answered(&reports, &Told::default(), due);
        }
    }
    assert!(leases.is_empty());
    assert!(now < 10 * millis(IDLE), "{now}");
}

/// An answer that never came leaves nothing untold.
#[test]
fn what_was_not_heard_is_told_again() {
    let mut leases = fresh();
    ask(&mut leases, &grant("a", 5, 3600), 0);
    let held = leases.hold("k", one(0), Millis(1)).expect("granted");
    leases.settle(held, one(7), Millis(1));
    let first = leases.report(Millis(10 * SECOND)).expect("spent");
    leases.unanswered(Duration::from_secs(3), Millis(10 * SECOND));
    assert_eq!(leases.due(), Some(Millis(13 * SECOND)));
    let again = leases.report(Millis(13 * SECOND)).expect("spent");
    assert_eq!(first.leases[0].spent, again.leases[0].spent);
    // And once more where not even a failure was told of.
    let due = leases
        .due()
        .expect("it is not known whether that was heard");
    assert_eq!(leases.report(due).expect("spent").leases[0].spent, one(7));
}

/// A request each tenth of a second; the controller is there and has nothing more, until then.
#[test]
fn a_budget_that_is_empty_is_asked_about_less_and_less() {
    let mut leases = fresh();
    ask(&mut leases, &grant("a", 1, 3600), 0);
    let held = leases.hold("k", one(0), Millis(1)).expect("granted");
    leases.settle(held, one(0), Millis(2));
    let mut asked = Vec::new();
    let mut denied = Vec::new();
    for now in (1..600).map(|tenth| tenth * 100) {
        let refused = leases.hold("k", one(0), Millis(now));
        denied.push(refused.expect_err("there is nothing"));
        if leases.due().is_some_and(|due| due <= Millis(now))
            && let Some(reports) = leases.report(Millis(now))
        {
            let wants = reports.leases.iter().any(|lease| lease.want.is_some());
            asked.extend(wants.then_some(now));
            leases.answered(&reports, &grant("a", 1, 3600), Millis(now));
        }
    }
    assert!((6..=11).contains(&asked.len()), "{asked:?}");
    let far = asked.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(far.is_some_and(|far| far <= 10 * SECOND + 100), "{asked:?}");
    // Whoever would wait in vain is told so, and until when.
    let said = |denied: &Denied| matches!(denied, Denied::Exhausted(Some(_)));
    let at_once = denied.iter().filter(|denied| said(denied)).count();
    assert!(at_once > 300, "{at_once}");
    // What comes at last is had with the next question, and everything is as it was.
    let now = asked[asked.len() - 1] + 10 * SECOND;
    ask(&mut leases, &grant("a", 2, 3600), now);
    let held = leases.hold("k", one(0), Millis(now)).expect("granted");
    leases.settle(held, one(0), Millis(now));
    assert_eq!(leases.hold("k", one(0), Millis(now)), Err(Denied::Asking));
    assert_eq!(leases.due(), Some(Millis(now + 200)));
}

/// However often it was asked in vain: while it is asked once more, whoever comes waits for what it says.
#[test]
fn who_comes_while_a_question_is_on_its_way_waits_for_its_answer() {
    let mut leases = fresh();
    ask(&mut leases, &grant("a", 1, 3600), 0);
    let held = leases.hold("k", one(0), Millis(1)).expect("granted");
    leases.settle(held, one(0), Millis(2));
    let (mut vain, mut now) = (0, 0);
    let asked = loop {
        now += 100;
        let _ = leases.hold("k", one(0), Millis(now));
        let due = leases.due().is_some_and(|due| due <= Millis(now));
        let reports = due.then(|| leases.report(Millis(now))).flatten();
        let Some(reports) = reports.filter(|all| all.leases.iter().any(|one| one.want.is_some()))
        else {
            continue;
        };
        vain += 1;
        if vain > 6 {
            break reports;
        }
        leases.answered(&reports, &grant("a", 1, 3600), Millis(now));
    };
    let comes = |leases: &mut Leases, now| leases.hold("k", one(0), Millis(now));
    assert_eq!(comes(&mut leases, now + 1), Err(Denied::Asking), "it waits");
    leases.answered(&asked, &grant("a", 1, 3600), Millis(now + 2));
    let refused = comes(&mut leases, now + 3);
    assert!(
        matches!(refused, Err(Denied::Exhausted(Some(_)))),
        "{refused:?}"
    );
    // One that was not heard is none.
    let later = now + 11 * SECOND;
    let _ = comes(&mut leases, later);
    leases.report(Millis(later)).expect("asked again");
    leases.unanswered(Duration::from_millis(1), Millis(later + 1));
    leases.answered(&asked, &grant("a", 1, 3600), Millis(later + 2));
    let refused = comes(&mut leases, later + 3);
    assert!(
        matches!(refused, Err(Denied::Exhausted(Some(_)))),
        "{refused:?}"
    );
}

/// That a controller had nothing more says nothing of the time in which there is none.
#[test]
fn a_controller_that_is_away_has_not_said_that_nothing_is_left() {
    let mut leases = fresh();
    ask(&mut leases, &grant("a", 1, 3600), 0);
    let held = leases.hold("k", one(0), Millis(1)).expect("granted");
    leases.settle(held, one(0), Millis(2));
    let told = (1..600).map(|tenth| tenth * 100).find(|now| {
        let refused = leases.hold("k", one(0), Millis(*now));
        if leases.due().is_some_and(|due| due <= Millis(*now))
            && let Some(reports) = leases.report(Millis(*now))
        {
            leases.answered(&reports, &grant("a", 1, 3600), Millis(*now));
        }
        matches!(refused, Err(Denied::Exhausted(Some(_))))
    });
    let now = told.expect("asked again and again, it says so");
    leases.unanswered(Duration::from_secs(1), Millis(now));
    assert_eq!(leases.hold("k", one(0), Millis(now)), Err(Denied::Away));
}

/// What was asked for ahead of time and not granted makes nobody wait who needs it.
#[test]
fn what_was_not_granted_ahead_is_asked_for_when_it_is_needed() {
    let mut leases = fresh();
    ask(&mut leases, &grant("a", 3, 3600), 0);
    let mut now = 0;
    for _ in 0..3 {
        now += 30 * SECOND;
        let held = leases.hold("k", one(0), Millis(now)).expect("granted");
        leases.settle(held, one(0), Millis(now));
        let reports = leases.report(Millis(now)).expect("low");
        assert!(reports.leases.iter().any(|lease| lease.want.is_some()));
        leases.answered(&reports, &grant("a", 3, 3600), Millis(now));
    }
    assert_eq!(
        leases.hold("k", one(0), Millis(now + 1)),
        Err(Denied::Asking)
    );
    assert_eq!(leases.due(), Some(Millis(now + 200)));
}
