use super::*;

fn cadence() -> Cadence {
    Cadence {
        every: Duration::from_secs(30),
        max_shrink_percent: 50,
        max_stale: None,
    }
}

fn pull() -> Pull {
    Pull::new(cadence(), 7, Millis(0))
}

fn ok(version: Option<&str>) -> Answer {
    Answer {
        status: 200,
        version: version.map(str::to_owned),
        ..Answer::default()
    }
}

/// Takes a snapshot of that size, if it is taken.
fn take(pull: &mut Pull, answer: &Answer, size: usize, now: u64) -> bool {
    match pull.answered(answer, Millis(now), || Ok(((), size))) {
        Step::Fresh((), stamp) => {
            pull.accepted(stamp, Millis(now));
            true
        }
        Step::Same | Step::Kept => false,
    }
}

fn kind(pull: &Pull) -> &'static str {
    pull.troubles()
        .last()
        .map_or("", |(trouble, _)| trouble.kind())
}

#[test]
fn g2_once_warm_it_stays_so_unless_it_may_not_be_old() {
    let mut pull = pull();
    assert!(pull.is_cold(Millis(0)));
    assert!(take(&mut pull, &ok(None), 1, 0));
    for hour in 0..24 * 365 {
        pull.failed(Trouble::Status(500), None, Millis(hour * 3_600_000));
    }
    assert!(!pull.is_cold(Millis(u64::MAX)));
    let mut bounded = cadence();
    bounded.max_stale = Some(Duration::from_secs(60));
    pull.change(bounded, Millis(1));
    assert!(!pull.is_cold(Millis(59_999)));
    assert!(pull.is_cold(Millis(60_000)));
    assert_eq!(pull.cools(), Some(Millis(60_000)));
}

#[test]
fn g5_a_much_smaller_snapshot_is_held_for_one_more_pull() {
    let mut pull = pull();
    assert!(take(&mut pull, &ok(None), 100, 0));
    assert!(take(&mut pull, &ok(None), 50, 0), "half is not too little");
    assert!(!take(&mut pull, &ok(None), 0, 0));
    assert_eq!(kind(&pull), "shrunk");
    assert!(take(&mut pull, &ok(None), 50, 0), "it was a slip");
    assert!(
        !take(&mut pull, &ok(None), 2, 0),
        "and the next one is held anew"
    );
    assert!(take(&mut pull, &ok(None), 2, 0), "said twice");
    // Of a controller that is losing what it has, each says something else.
    assert!(take(&mut pull, &ok(None), 1000, 0));
    for size in [400, 20, 0, 300] {
        assert!(!take(&mut pull, &ok(None), size, 0), "{size}");
    }
    pull.failed(Trouble::Status(500), None, Millis(0));
    assert!(take(&mut pull, &ok(None), 290, 0), "much the same");
    let mut never = cadence();
    never.max_shrink_percent = 100;
    pull.change(never, Millis(0));
    assert!(take(&mut pull, &ok(None), 0, 0));
}

#[test]
fn g6_an_earlier_snapshot_is_not_taken_back() {
    let mut pull = pull();
    assert!(take(&mut pull, &ok(Some("7")), 1, 0));
    for older in [Some("6"), Some("0.1"), None] {
        assert!(!take(&mut pull, &ok(older), 1, 0), "{older:?}");
        assert_eq!(kind(&pull), "rollback");
    }
    assert!(!take(&mut pull, &ok(Some("seven")), 1, 0));
    assert_eq!(kind(&pull), "version");
    assert!(take(&mut pull, &ok(Some("7")), 1, 0), "the same one again");
    assert!(take(&mut pull, &ok(Some("1.0")), 1, 0), "another epoch");
}

#[test]
fn g6_nothing_new_means_something_only_to_who_has_something() {
    let mut pull = pull();
    let same = Answer {
        status: 304,
        ..Answer::default()
    };
    assert!(!take(&mut pull, &same, 1, 0));
    assert!(pull.is_cold(Millis(0)), "304 to somebody who has nothing");
    let tagged = Answer {
        etag: Some("\"a\"".into()),
        ..ok(None)
    };
    assert!(take(&mut pull, &tagged, 1, 0));
    assert_eq!(pull.etag(), Some("\"a\""));
    pull.failed(Trouble::Status(500), None, Millis(5));
    assert_eq!(pull.answered(&same, Millis(9), || Ok(((), 1))), Step::Same);
    assert_eq!(pull.confirmed(), Some(Millis(9)));
    assert!(take(&mut pull, &ok(None), 1, 10));
    assert_eq!(pull.etag(), None, "the tag of what is in effect, or none");
}

#[test]
fn g4_what_cannot_be_read_leaves_all_as_it_is() {
    let mut pull = pull();
    assert!(take(&mut pull, &ok(Some("1")), 5, 0));
    let before = pull.stamp().cloned();
    let bad = || Err::<((), usize), _>(Trouble::Shape("no".into()));
    assert_eq!(pull.answered(&ok(Some("2")), Millis(1), bad), Step::Kept);
    for status in [100, 199, 301, 302, 307, 400, 401, 404, 429, 500, 503, 999] {
        let answer = Answer {
            status,
            ..Answer::default()
        };
        assert!(!take(&mut pull, &answer, 5, 1), "{status}");
    }
    assert_eq!(pull.stamp().cloned(), before);
    assert_eq!(pull.troubles().counts()["status"], 12);
}

#[test]
fn g11_a_controller_says_when_to_come_back() {
    let mut pull = pull();
    pull.failed(
        Trouble::Status(503),
        Some(Duration::from_secs(120)),
        Millis(0),
    );
    assert!(
        (120_000..=132_000).contains(&pull.due().0),
        "{:?}",
        pull.due()
    );
    pull.failed(
        Trouble::Status(503),
        Some(Duration::from_secs(u64::MAX)),
        Millis(0),
    );
    assert!(pull.due().0 <= 3_600_000 + 360_000, "{:?}", pull.due());
}

#[test]
fn a_cold_node_asks_soon_and_then_more_seldom() {
    let mut pull = pull();
    let mut now = 0;
    let mut pauses = Vec::new();
    for _ in 0..20 {
        pull.failed(Trouble::Status(500), None, Millis(now));
        pauses.push(pull.due().0 - now);
        now = pull.due().0;
    }
    assert!(pauses[0] <= 500, "{pauses:?}");
    assert!(
        pauses.iter().all(|&pause| (1..=30_000).contains(&pause)),
        "{pauses:?}"
    );
    assert!(
        pauses[10..].iter().all(|&pause| pause >= 15_000),
        "{pauses:?}"
    );
}

/// A thousand nodes begin in one moment, and their controller is away for the first minute: after two rounds no second
/// sees more than a small share of them.
#[test]
fn g11_a_thousand_nodes_that_begin_together_do_not_ask_together() {
    let mut per_second = vec![0u32; 600];
    for seed in 0..1000 {
        let mut pull = Pull::new(cadence(), seed, Millis(0));
        let mut now = 0;
        while now < 590_000 {
            per_second[usize::try_from(now / 1000).unwrap()] += 1;
            if now < 60_000 {
                pull.failed(Trouble::Status(503), None, Millis(now));
            } else {
                take(&mut pull, &ok(None), 1, now);
            }
            now = pull.due().0;
        }
    }
    assert_eq!(per_second[0] / 1000, 2, "the first, and the first anew");
    let later = &per_second[120..590];
    let most = later.iter().max().unwrap();
    // A thousand in thirty seconds are 33 in one.
    assert!(*most < 100, "{most}");
}

/// Any run of answers at all: what is in effect is never without a confirmation, versions never go back, and the next time to
/// ask lies ahead and within an hour and a bit.
#[test]
fn whatever_comes_the_laws_hold() {
    for seed in 0..2000 {
        let mut random = Random::new(seed);
        let mut pull = Pull::new(cadence(), seed, Millis(0));
        let (mut now, mut version) = (0, None);
        for _ in 0..50 {
            let number = random.below(5).to_string();
            let answer = Answer {
                status: [200, 200, 200, 304, 500, 302][usize::try_from(random.below(6)).unwrap()],
                etag: (random.below(2) == 0).then(|| number.clone()),
                version: (random.below(3) > 0).then_some(number),
                retry_after: (random.below(9) == 0).then(|| Duration::from_secs(random.next_u64())),
            };
            let size = usize::try_from(random.below(100)).unwrap();
            let before = pull.stamp().map_or(0, |stamp| stamp.size);
            if take(&mut pull, &answer, size, now) {
                let taken = pull.stamp().unwrap().version;
                assert!(taken >= version, "seed {seed}");
                version = taken;
                assert_eq!(pull.stamp().unwrap().size, size);
                assert_eq!(pull.confirmed(), Some(Millis(now)));
            } else {
                assert_eq!(
                    pull.stamp().map_or(0, |stamp| stamp.size),
                    before,
                    "seed {seed}"
                );
            }
            assert_eq!(pull.is_cold(Millis(now)), pull.stamp().is_none());
            assert!(
                pull.due().0 > now && pull.due().0 <= now + 3_960_000,
                "seed {seed}"
            );
            now = pull.due().0;
        }
    }
}
