use super::{Entry, FEWEST, Load, PROBES, Pressure, most};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize};

fn load(most: usize, memory_ceiling: Option<u64>) -> Arc<Load> {
    Arc::new(Load {
        most,
        connections: AtomicUsize::new(0),
        memory_ceiling,
        pressure: AtomicU8::new(Pressure::None as u8),
        shed: Default::default(),
    })
}

#[test]
fn i3_connections_follow_from_the_files_that_may_be_open() {
    // 20,000 files, less an eighth, less 64 of our own, and two for each.
    assert_eq!(most(None, 2, Some(20_000)), Ok(8718));
    assert_eq!(most(Some(500), 2, Some(20_000)), Ok(500));
    assert_eq!(most(Some(500), 2, None), Ok(500));
    for files in [0, 20, 64, 100] {
        let error = most(None, 2, Some(files)).expect_err("too few");
        assert_eq!(error.wanted, FEWEST);
    }
    let error = most(Some(5000), 1, Some(1024)).expect_err("too few");
    let (need, fits) = (error.need as u64, error.fits);
    assert!(error.to_string().contains("1024 files open"), "{error}");
    assert_eq!(
        most(Some(5000), 1, Some(need)),
        Ok(5000),
        "what it asks for suffices"
    );
    assert_eq!(most(Some(fits), 1, Some(1024)), Ok(fits));
}

#[test]
fn d20_who_comes_when_it_is_full_may_ask_for_health_or_nothing() {
    let load = load(2, None);
    let first = load.enter();
    let second = load.enter();
    assert!(matches!(
        (&first, &second),
        (Entry::Served(_), Entry::Served(_))
    ));
    assert!(load.further().is_none(), "no place for a stream either");
    let probes: Vec<Entry> = (0..PROBES).map(|_| load.enter()).collect();
    assert!(probes.iter().all(|entry| matches!(entry, Entry::Probes(_))));
    assert!(matches!(load.enter(), Entry::Full));
    drop(probes);
    drop(first);
    assert!(
        matches!(load.enter(), Entry::Served(_)),
        "a place is given back"
    );
    assert!(load.further().is_some());
}

#[test]
fn i2_memory_near_its_ceiling_turns_work_away_before_connections() {
    let load = load(10, Some(1000));
    for (used, shedding, full) in [
        (0, false, false),
        (849, false, false),
        (850, true, false),
        (949, true, false),
        (950, true, true),
        (5000, true, true),
        (900, true, false),
        (100, false, false),
    ] {
        load.note(used);
        assert_eq!(load.is_shedding(), shedding, "{used}");
        assert_eq!(matches!(load.enter(), Entry::Probes(_)), full, "{used}");
    }
}
