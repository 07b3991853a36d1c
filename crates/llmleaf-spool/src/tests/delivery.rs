//! Who takes records, and who does not.

use super::*;

/// Pushes everything by a rule until nothing waits; what was pushed with success, in order.
pub(super) fn delivered(spool: &Spool, rule: impl Fn(&Batch) -> Verdict) -> (Vec<u32>, u64) {
    let mut delivery = Delivery::new(spool.clone(), 16, 7);
    let (mut now, mut taken, mut pushes) = (0, Vec::new(), 0u32);
    loop {
        match delivery.next(now) {
            Next::Idle => return (taken, now),
            Next::Wait(until) => {
                assert!(until > now);
                now = until;
            }
            Next::Push(batch) => {
                pushes += 1;
                assert!(pushes < 10_000, "it comes to an end");
                let verdict = rule(&batch);
                if verdict == Verdict::Taken {
                    taken.extend(numbers(&batch));
                }
                delivery.told(verdict, now);
            }
        }
    }
}

#[test]
fn h7_what_is_too_large_or_wrong_holds_up_nothing_else() {
    let folder = Folder::new();
    let spool = open(&folder.0);
    append(&spool, 0..50);
    let (taken, now) = delivered(&spool, |batch| match batch.records.len() {
        5.. => Verdict::TooLarge,
        _ => Verdict::Taken,
    });
    assert_eq!((taken, now), ((0..50).collect(), 0), "without a pause");
    append(&spool, 50..90);
    let (taken, now) = delivered(&spool, |batch| match numbers(batch).contains(&60) {
        true => Verdict::Wrong,
        false => Verdict::Taken,
    });
    assert_eq!(taken, (50..60).chain(61..90).collect::<Vec<_>>());
    assert!(now < 60_000, "{now}");
    assert_eq!(spool.gauges(0).dead, 1);
    let dead = std::fs::read(folder.0.join("dead.log")).expect("laid aside");
    let (_, text) = line::lines(&dead).next().expect("a line");
    assert_eq!(line::read(text), Some((0, &b"60"[..])));
}

/// What is taken of `count` records of which these are refused, each once, and how many are laid aside.
fn sifted(count: u32, bad: impl Fn(u32) -> bool, refusal: Verdict) -> (Vec<u32>, u64) {
    let spool = Spool::in_memory(Bounds::of(1 << 20));
    append(&spool, 0..count);
    let rule = |batch: &Batch| match numbers(batch).into_iter().any(&bad) {
        true => refusal,
        false => Verdict::Taken,
    };
    let (mut taken, _) = delivered(&spool, rule);
    taken.sort_unstable();
    taken.dedup();
    (taken, spool.gauges(0).dead)
}

#[test]
fn h7_only_what_is_bad_is_laid_aside() {
    for refusal in [Verdict::Wrong, Verdict::Failed, Verdict::TooLarge] {
        let kinds: [fn(u32) -> bool; 4] = [
            |n| n == 0,
            |n| n % 7 == 4,
            |n| (10..60).contains(&n),
            |n| matches!(n, 0 | 1 | 198),
        ];
        for bad in kinds {
            let (taken, dead) = sifted(200, bad, refusal);
            let good: Vec<u32> = (0..200).filter(|n| !bad(*n)).collect();
            assert_eq!(
                (taken, dead),
                (good.clone(), 200 - good.len() as u64),
                "{refusal:?}"
            );
        }
    }
}

#[test]
fn h7_who_refuses_everything_for_long_costs_no_record() {
    for status in [400, 413, 422, 500] {
        let folder = Folder::new();
        let spool = open(&folder.0);
        append(&spool, 0..60);
        let mut delivery = Delivery::new(spool.clone(), 16, 7);
        let (mut now, mut pushes) = (0, 0u32);
        while now < 3 * 3_600_000 {
            match delivery.next(now) {
                Next::Push(_) => {
                    pushes += 1;
                    delivery.told(Verdict::of_status(status, None), now);
                }
                Next::Wait(until) => now = until,
                Next::Idle => panic!("something waits"),
            }
        }
        assert_eq!((spool.gauges(0).dead, spool.gauges(0).waiting), (0, 60));
        assert!(pushes < 3 * 3_600 / 30 * 12, "{status}: {pushes}");
        let mut taken = Vec::new();
        while now < 4 * 3_600_000 {
            match delivery.next(now) {
                Next::Push(batch) => {
                    taken.extend(numbers(&batch));
                    delivery.told(Verdict::Taken, now);
                }
                Next::Wait(until) => now = until,
                Next::Idle => break,
            }
        }
        taken.sort_unstable();
        taken.dedup();
        assert_eq!(taken, (0..60).collect::<Vec<_>>(), "{status}");
        assert_eq!((spool.gauges(0).dead, spool.gauges(0).waiting), (0, 0));
    }
}

#[test]
fn h7_the_last_record_is_judged_when_another_comes() {
    let spool = Spool::in_memory(small());
    append(&spool, 0..1);
    let mut delivery = Delivery::new(spool.clone(), 16, 7);
    let mut now = 0;
    while now < 600_000 {
        match delivery.next(now) {
            Next::Push(_) => delivery.told(Verdict::Wrong, now),
            Next::Wait(until) => now = until,
            Next::Idle => panic!("it waits"),
        }
    }
    assert_eq!((spool.gauges(0).dead, spool.gauges(0).waiting), (0, 1));
    append(&spool, 1..3);
    let rule = |batch: &Batch| match numbers(batch).contains(&0) {
        true => Verdict::Wrong,
        false => Verdict::Taken,
    };
    let (taken, _) = delivered(&spool, rule);
    assert_eq!((taken, spool.gauges(0).dead), (vec![1, 2], 1));
}

#[test]
fn h7_what_cannot_be_laid_aside_waits() {
    let folder = Folder::new();
    let spool = open(&folder.0);
    append(&spool, 0..2);
    let bad = first(&spool, 1);
    assert!(refusing(Act::Write, || spool.bury(&bad)).is_err());
    assert_eq!(all(&spool), [0, 1]);
    assert!(spool.bury(&bad).is_ok());
    assert_eq!((all(&spool), spool.gauges(0).dead), (vec![1], 1));
}

#[test]
fn h7_who_is_away_or_busy_is_asked_again_and_nothing_is_laid_aside() {
    let spool = Spool::in_memory(small());
    append(&spool, 0..20);
    let mut delivery = Delivery::new(spool.clone(), 16, 1);
    let mut now = 0;
    let mut pauses = Vec::new();
    for _ in 0..200 {
        let Next::Push(batch) = delivery.next(now) else {
            panic!("nothing to push");
        };
        assert_eq!(numbers(&batch)[0], 0, "the same again");
        delivery.told(Verdict::of_status(503, None), now);
        let Next::Wait(until) = delivery.next(now) else {
            panic!("no pause");
        };
        pauses.push(until - now);
        now = until;
    }
    assert!((500..=1000).contains(&pauses[0]), "{pauses:?}");
    assert!(
        pauses
            .iter()
            .skip(7)
            .all(|ms| (30_000..=60_000).contains(ms))
    );
    let Next::Push(_) = delivery.next(now) else {
        panic!("nothing to push");
    };
    delivery.told(Verdict::of_status(429, Some(90_000)), now);
    assert!(matches!(delivery.next(now), Next::Wait(until) if until == now + 90_000));
    assert_eq!((spool.gauges(0).dead, spool.gauges(0).waiting), (0, 20));
    let mut taken = 0;
    now += 90_000;
    while let Next::Push(batch) = delivery.next(now) {
        taken += batch.records.len();
        delivery.told(Verdict::of_status(202, None), now);
    }
    assert_eq!(taken, 20);
}

/// Another configuration may want other batches; what is being halved because of its size goes on being so.
#[test]
fn another_bound_counts_from_the_next_batch_on() {
    let spool = Spool::in_memory(Bounds::of(1 << 20));
    append(&spool, 0..100);
    let mut delivery = Delivery::new(spool, 16, 7);
    let mut pushed = |bound: usize, verdict| {
        delivery.bound(bound);
        let Next::Push(batch) = delivery.next(0) else {
            panic!("nothing to push");
        };
        delivery.told(verdict, 0);
        batch.records.len()
    };
    assert_eq!(pushed(16, Verdict::Taken), 16);
    assert_eq!(pushed(4, Verdict::Taken), 4);
    assert_eq!(pushed(32, Verdict::TooLarge), 32);
    assert_eq!(pushed(64, Verdict::Taken), 16, "halved, and not forgotten");
    assert_eq!(pushed(8, Verdict::Taken), 8);
}
