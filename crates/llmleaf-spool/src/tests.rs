use crate::delivery::{Delivery, Next, Verdict};
use crate::faults::{Act, refusing};
use crate::{Batch, Bounds, Kept, Open, Pen, Scribe, Spool, SpoolError, line};
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

mod delivery;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("llmleaf-spool-{}-{count}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn segments(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.0).expect("the folder");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let mut paths: Vec<PathBuf> = paths
            .filter(|path| path.extension().is_some_and(|e| e == "seg"))
            .collect();
        paths.sort();
        paths
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn small() -> Bounds {
    Bounds {
        bytes: 4096,
        segment_bytes: 256,
        memory_bytes: 1024,
    }
}

fn open(path: &Path) -> Spool {
    Spool::open(path, small()).expect("it opens")
}

fn append(spool: &Spool, numbers: std::ops::Range<u32>) {
    for number in numbers {
        spool.append([number.to_string().as_bytes()], u64::from(number) + 1000);
    }
}

fn numbers(batch: &Batch) -> Vec<u32> {
    let each = batch.records.iter();
    each.map(|r| std::str::from_utf8(r).unwrap().parse().unwrap())
        .collect()
}

fn first(spool: &Spool, most: usize) -> Batch {
    spool.batch(most, usize::MAX).expect("it can be read")
}

fn all(spool: &Spool) -> Vec<u32> {
    numbers(&first(spool, usize::MAX))
}

#[test]
fn what_is_not_acknowledged_is_told_by_the_next_process() {
    let folder = Folder::new();
    let spool = open(&folder.0);
    append(&spool, 0..40);
    assert!(folder.segments().len() > 2, "it rolls");
    let batch = first(&spool, 25);
    assert_eq!(numbers(&batch), (0..25).collect::<Vec<_>>());
    assert_eq!(numbers(&first(&spool, 3)), [0, 1, 2], "again");
    spool.acknowledge(&batch);
    assert_eq!(
        (spool.gauges(2000).waiting, spool.gauges(2025).age_ms),
        (15, 1000)
    );
    assert!(matches!(
        Spool::open(&folder.0, small()),
        Err(SpoolError::InUse(_))
    ));
    drop(spool);
    let spool = open(&folder.0);
    append(&spool, 40..42);
    assert_eq!(all(&spool), (25..42).collect::<Vec<_>>());
    let rest = first(&spool, usize::MAX);
    spool.acknowledge(&rest);
    assert_eq!(spool.gauges(0).waiting, 0);
    assert_eq!(folder.segments().len(), 1, "what is done goes");
    assert!(first(&spool, 9).is_empty());
}

#[test]
fn what_a_dead_process_left_is_taken_over_once() {
    let (mine, dead) = (Folder::new(), Folder::new());
    let other = open(&dead.0);
    append(&other, 0..30);
    let spool = open(&mine.0);
    let adopt = || spool.adopt(&dead.0, small(), 5).expect("it can be read");
    assert_eq!(adopt(), 0, "it lives");
    other.acknowledge(&first(&other, 10));
    drop(other);
    assert_eq!((adopt(), adopt()), (20, 0));
    assert_eq!(all(&spool), (10..30).collect::<Vec<_>>());
    assert!(dead.segments().is_empty());
}

#[test]
fn h5_a_torn_end_is_cut_and_a_damaged_record_costs_itself() {
    let folder = Folder::new();
    let spool = open(&folder.0);
    append(&spool, 0..6);
    drop(spool);
    let path = folder.segments().remove(0);
    let whole = std::fs::read(&path).expect("the segment");
    let lines = whole.iter().filter(|byte| **byte == b'\n').count();
    for cut in 0..whole.len() {
        std::fs::write(&path, &whole[..cut]).expect("written");
        let spool = open(&folder.0);
        let ends = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(all(&spool).len(), ends, "cut at {cut}");
        assert_eq!(spool.gauges(0).damaged, 0);
    }
    for at in 0..whole.len() {
        for bit in [at % 8] {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << bit;
            std::fs::write(&path, &flipped).expect("written");
            let spool = open(&folder.0);
            let left = all(&spool);
            // A line end that becomes a letter joins two.
            assert!(
                left.len() + 2 >= lines && left.len() < lines,
                "{at} {bit}: {left:?}"
            );
            append(&spool, 99..100);
            assert_eq!(all(&spool).last(), Some(&99));
            drop(spool);
            for more in folder.segments().into_iter().skip(1) {
                std::fs::remove_file(more).expect("removed");
            }
        }
    }
}

#[test]
fn h2_at_its_bound_the_oldest_go_and_are_counted() {
    let folder = Folder::new();
    for spool in [open(&folder.0), Spool::in_memory(small())] {
        append(&spool, 0..1000);
        let left = all(&spool);
        let gauges = spool.gauges(0);
        assert_eq!(left.last(), Some(&999));
        assert_eq!(gauges.waiting, left.len() as u64);
        assert_eq!(gauges.lost + gauges.waiting, 1000);
        assert!(
            gauges.bytes <= small().bytes && gauges.waiting > 100,
            "{gauges:?}"
        );
        // What was dropped while it was on its way leaves nothing to acknowledge.
        let batch = first(&spool, 5);
        append(&spool, 1000..2000);
        spool.acknowledge(&batch);
        let gauges = spool.gauges(0);
        assert_eq!(gauges.waiting, all(&spool).len() as u64);
        assert_eq!(gauges.lost + gauges.waiting, 2000);
    }
}

#[test]
fn h6_what_the_disk_does_not_take_waits_in_memory() {
    let folder = Folder::new();
    let spool = open(&folder.0);
    append(&spool, 0..3);
    // A folder that is gone takes no new files.
    let elsewhere = folder.0.with_extension("elsewhere");
    std::fs::rename(&folder.0, &elsewhere).expect("moved");
    append(&spool, 3..60);
    assert!(spool.gauges(0).failing);
    std::fs::rename(&elsewhere, &folder.0).expect("moved back");
    let before = all(&spool);
    assert_eq!((before[0], before.last()), (0, Some(&59)));
    spool.append([&b"60"[..]], 1_000_000);
    assert!(!spool.gauges(0).failing);
    let after = all(&spool);
    assert_eq!(after, before.into_iter().chain([60]).collect::<Vec<_>>());
}

#[test]
fn h6_what_waited_in_memory_goes_to_the_disk_when_it_takes_again() {
    let folder = Folder::new();
    let spool = open(&folder.0);
    append(&spool, 0..3);
    refusing(Act::Write, || {
        append(&spool, 3..20);
        assert_eq!(spool.sync(), Kept::No);
    });
    for again in ["at first", "until it does"] {
        let kept = refusing(Act::Sync, || spool.sync());
        assert_eq!(kept, Kept::No, "{again}");
    }
    assert!(!spool.gauges(0).failing, "the disk takes again");
    assert_eq!(spool.sync(), Kept::Yes);
    drop(spool);
    assert_eq!(all(&open(&folder.0)), (0..20).collect::<Vec<_>>());
}

#[test]
fn how_it_does_is_told_while_a_disk_is_waited_for() {
    let folder = Folder::new();
    let spool = open(&folder.0);
    append(&spool, 0..30);
    let _disk = spool.0.store.lock();
    let gauges = spool.gauges(1500);
    assert_eq!((gauges.waiting, gauges.age_ms), (30, 500));
}

#[cfg(target_os = "linux")]
#[test]
fn h6_a_full_disk_costs_no_descriptors_and_no_files() {
    let folder = Folder::new();
    let spool = open(&folder.0);
    append(&spool, 0..3);
    let open_files = || {
        let entries = std::fs::read_dir("/proc/self/fd").expect("descriptors");
        let links = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        links.filter(|link| link.starts_with(&folder.0)).count()
    };
    // A second for each, so that each is a new try.
    let at = |number: u32| u64::from(number) * 2000;
    refusing(Act::Write, || {
        for number in 3..30 {
            spool.append([number.to_string().as_bytes()], at(number));
        }
        assert_eq!(spool.sync(), Kept::No);
    });
    assert!(spool.gauges(0).failing);
    assert!(open_files() <= 2, "the lock, and at most one file");
    assert_eq!(folder.segments().len(), 1, "{:?}", folder.segments());
    spool.append([&b"30"[..]], at(30));
    assert!(!spool.gauges(0).failing);
    assert_eq!(all(&spool), (0..31).collect::<Vec<_>>());
    // A full segment is closed too.
    append(&spool, 31..60);
    let _ = spool.sync();
    assert!(folder.segments().len() > 2);
    assert_eq!(open_files(), 2);
}

#[test]
fn h5_what_cannot_be_read_is_neither_skipped_nor_acknowledged() {
    let folder = Folder::new();
    let spool = open(&folder.0);
    append(&spool, 0..40);
    let mut delivery = Delivery::new(spool.clone(), 100, 7);
    let mut now = 0;
    for _ in 0..20 {
        let next = refusing(Act::Read, || delivery.next(now));
        let Next::Wait(until) = next else {
            panic!("{next:?}");
        };
        now = until;
    }
    assert_eq!((spool.gauges(0).waiting, spool.gauges(0).lost), (40, 0));
    let Next::Push(batch) = delivery.next(now) else {
        panic!("nothing to push");
    };
    assert_eq!(numbers(&batch), (0..40).collect::<Vec<_>>());
    // A segment that is gone in the middle: what is before it comes first, then it is counted, then the rest comes.
    let victim = folder.segments().remove(1);
    std::fs::remove_file(&victim).expect("removed");
    let (taken, _) = delivery::delivered(&spool, |_| Verdict::Taken);
    let gauges = spool.gauges(0);
    assert!(gauges.lost > 0 && gauges.waiting == 0, "{gauges:?}");
    assert_eq!(taken.len() as u64 + gauges.lost, 40);
    assert_eq!((taken.first(), taken.last()), (Some(&0), Some(&39)));
}

#[test]
fn h5_what_can_never_be_read_is_laid_aside_after_long() {
    let folder = Folder::new();
    let spool = open(&folder.0);
    append(&spool, 0..3);
    let mut delivery = Delivery::new(spool.clone(), 100, 7);
    let mut now = 0;
    while spool.gauges(0).lost == 0 {
        let Next::Wait(until) = refusing(Act::Read, || delivery.next(now)) else {
            panic!("it cannot be read");
        };
        now = until;
    }
    assert!((1_500_000..3_600_000).contains(&now), "{now}");
    assert!(folder.segments().is_empty());
    let kept = std::fs::read_dir(&folder.0).expect("the folder");
    let names = kept.map(|entry| entry.expect("an entry").path());
    assert_eq!(
        names
            .filter(|n| n.extension().is_some_and(|e| e == "unread"))
            .count(),
        1
    );
    append(&spool, 3..5);
    assert_eq!(all(&spool), [3, 4]);
}

#[test]
fn a_place_that_cannot_be_read_keeps_its_records() {
    let (mine, dead) = (Folder::new(), Folder::new());
    let other = open(&dead.0);
    append(&other, 0..30);
    drop(other);
    let spool = open(&mine.0);
    let refused = refusing(Act::Read, || spool.adopt(&dead.0, small(), 5));
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(spool.adopt(&dead.0, small(), 5).ok(), Some(30));
}

#[test]
fn h5_what_is_damaged_after_it_was_written_does_not_wait_for_ever() {
    let folder = Folder::new();
    let spool = open(&folder.0);
    append(&spool, 0..6);
    let path = folder.segments().remove(0);
    let mut text = std::fs::read(&path).expect("the segment");
    text[12] ^= 1;
    std::fs::write(&path, &text).expect("written");
    let (taken, _) = delivery::delivered(&spool, |_| Verdict::Taken);
    let gauges = spool.gauges(0);
    assert_eq!(
        (taken, gauges.waiting, gauges.damaged),
        ((1..6).collect(), 0, 1)
    );
}

#[test]
fn h3_what_was_told_is_written_when_it_is_flushed() {
    let spool = Spool::in_memory(Bounds::of(1 << 20));
    struct Numbers;
    impl Pen<u32> for Numbers {
        fn write(&mut self, number: u32, records: &mut Vec<Vec<u8>>) {
            assert!(number != 13, "a fault");
            records.push(number.to_string().into_bytes());
        }
    }
    let scribe = Scribe::start(spool.clone(), 1000, Numbers);
    let scribe = scribe.expect("a thread");
    (0..500).for_each(|number| scribe.tell(number).expect("room"));
    let flushed = scribe.flush(Duration::from_secs(30));
    assert_eq!(flushed, crate::Flushed::Yes);
    let expected: Vec<u32> = (0..500).filter(|number| *number != 13).collect();
    assert_eq!((all(&spool), scribe.lost()), (expected, 1));
}

#[test]
fn h4_what_had_begun_when_the_process_died_is_known() {
    let folder = Folder::new();
    let path = folder.0.join("open");
    std::fs::create_dir_all(&folder.0).expect("made");
    let (mut open, left) = Open::recover(&folder.0).expect("it opens");
    assert!(left.is_empty());
    for number in 0..2000u32 {
        open.begin(&number.to_string(), format!("began {number}").as_bytes(), 5);
        if number % 2 == 0 {
            open.end(&number.to_string(), 6);
        }
        if number % 10 == 0 {
            open.kept(6);
        }
    }
    open.end("unknown", 7);
    for number in (1..1990u32).step_by(2) {
        open.end(&number.to_string(), 8);
    }
    open.kept(6);
    // What was not kept yet dies with the process.
    open.begin("late", b"late", 9);
    let left = |settled: bool| {
        let (mut open, left) = Open::recover(&folder.0).expect("it opens");
        if settled {
            open.settled();
        }
        words(left)
    };
    let text = std::fs::read(&path).expect("the file");
    let expected = [
        "began 1991",
        "began 1993",
        "began 1995",
        "began 1997",
        "began 1999",
    ];
    assert_eq!(left(false), expected);
    assert_eq!(left(true), expected, "again, until it is kept elsewhere");
    assert!(left(true).is_empty(), "told once");
    // A torn end takes nothing else with it.
    std::fs::write(&path, &text[..text.len() - 1]).expect("written");
    assert_eq!(left(false).len(), 4);
    // Nor does what is written behind it.
    let (mut open, _) = Open::recover(&folder.0).expect("it opens");
    open.begin("next", b"began next", 10);
    open.kept(10);
    assert_eq!(left(false).len(), 5);
}

fn words(records: Vec<Vec<u8>>) -> Vec<String> {
    let words = records.into_iter().map(String::from_utf8);
    let mut words: Vec<String> = words.map(Result::unwrap).collect();
    words.sort();
    words
}

#[test]
fn h4_a_note_that_the_disk_did_not_take_is_made_good() {
    let folder = Folder::new();
    std::fs::create_dir_all(&folder.0).expect("made");
    let (mut open, _) = Open::recover(&folder.0).expect("it opens");
    open.begin("a", b"a", 1);
    open.begin("b", b"b", 1);
    open.kept(1);
    assert!(open.end("a", 2));
    open.begin("c", b"c", 2);
    refusing(Act::Write, || open.kept(2));
    // Its end is not told again, and neither is the begin of another.
    open.kept(3);
    open.kept(2000);
    let (_, left) = Open::recover(&folder.0).expect("it opens");
    assert_eq!(words(left), ["b", "c"]);
}

#[test]
fn h5_what_had_begun_at_a_dead_process_is_taken_over_too() {
    let (mine, dead) = (Folder::new(), Folder::new());
    let other = open(&dead.0);
    append(&other, 0..3);
    let (mut notes, _) = Open::recover(&dead.0).expect("it opens");
    notes.begin("x", b"7", 1);
    notes.kept(1);
    drop((other, notes));
    let spool = open(&mine.0);
    let adopt = || spool.adopt(&dead.0, small(), 5).expect("it can be read");
    // Nothing goes from there before it is on the disk here.
    assert_eq!(refusing(Act::Write, adopt), 0);
    assert_eq!(refusing(Act::Sync, adopt), 0);
    assert_eq!((adopt(), adopt()), (4, 0));
    assert_eq!(all(&spool).split_off(all(&spool).len() - 4), [0, 1, 2, 7]);
}

#[test]
fn h5_what_has_no_room_stays_with_the_dead_process() {
    let (mine, dead) = (Folder::new(), Folder::new());
    append(&open(&dead.0), 0..100);
    let spool = open(&mine.0);
    append(&spool, 100..250);
    let taken = spool.adopt(&dead.0, small(), 5).expect("it can be read");
    assert_eq!((taken, spool.gauges(0).lost), (0, 0));
    spool.acknowledge(&first(&spool, usize::MAX));
    let taken = spool.adopt(&dead.0, small(), 5).expect("it can be read");
    assert_eq!((taken, all(&spool)), (100, (0..100).collect()));
}

proptest! {
    #[test]
    fn a_record_is_read_as_it_was_written(record in prop::collection::vec(any::<u8>(), 0..200), now in any::<u64>()) {
        let mut text = Vec::new();
        line::write(&record, now, &mut text);
        let one: Vec<u8> = record.iter().map(|b| if matches!(b, b'\n' | b'\r') { b' ' } else { *b }).collect();
        let (at, found) = line::lines(&text).next().expect("a line");
        prop_assert_eq!((at, line::read(found)), (0, Some((now, &one[..]))));
    }

    #[test]
    fn no_text_is_too_strange(text in prop::collection::vec(any::<u8>(), 0..300)) {
        for (_, line) in line::lines(&text) {
            prop_assert!(line::read(line).is_none());
        }
    }

    #[test]
    fn every_batch_is_within_its_bounds_and_in_order(most in 1usize..20, bytes in 1usize..400, count in 0u32..80) {
        let spool = Spool::in_memory(Bounds { bytes: 1 << 20, ..small() });
        append(&spool, 0..count);
        let mut told = Vec::new();
        loop {
            let batch = spool.batch(most, bytes).expect("it can be read");
            if batch.is_empty() {
                break;
            }
            let text: usize = batch.records.iter().map(Vec::len).sum();
            prop_assert!(batch.records.len() <= most && (text <= bytes || batch.records.len() == 1));
            told.extend(numbers(&batch));
            spool.acknowledge(&batch);
        }
        prop_assert_eq!(told, (0..count).collect::<Vec<_>>());
    }
}
