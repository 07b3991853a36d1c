use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

fn began() -> Began {
    Began {
        id: "x".into(),
        request_id: "r".into(),
        at_ms: 1,
        key: "k".into(),
        dialect: "chat",
        operation: "chat",
        model: "m".into(),
        stream: false,
        trace: None,
    }
}

fn attempt(attempt: u32, outcome: Outcome, cost: Cost) -> UsageRecord {
    UsageRecord {
        id: format!("x-{attempt}"),
        request_id: "r".into(),
        attempt,
        key: "k".into(),
        dialect: "chat",
        model: "m".into(),
        provider: "p".into(),
        upstream_model: "u".into(),
        credential: 0,
        stream: false,
        outcome,
        failure: None,
        status: None,
        grade: Grade::None,
        usage: Usage::default(),
        cost,
        possibly_billed: false,
        losses: Vec::new(),
        began_ms: 0,
        connect_ms: None,
        first_content_ms: None,
        chunks: crate::Chunks::default(),
        total_ms: 0,
    }
}

fn ended(attempts: Vec<UsageRecord>) -> EndRecord {
    EndRecord {
        began: began(),
        route: None,
        end: End::Completed,
        failure: None,
        status: Some(200),
        attempts,
        trail: None,
        queue_ms: 0,
        first_content_ms: None,
        total_ms: 0,
        own_us: 0,
    }
}

#[test]
fn what_is_not_known_is_not_nothing() {
    use Outcome::{Completed, Failed, Outrun};
    let record = ended(vec![
        attempt(1, Failed, Cost::Computed(3)),
        attempt(2, Completed, Cost::Reported(4)),
        attempt(3, Outrun, Cost::Unknown),
    ]);
    assert_eq!(record.cost(), (7, false));
    assert_eq!(record.decided().map(|a| a.attempt), Some(2));
    assert_eq!(ended(Vec::new()).cost(), (0, true), "nobody was asked");
    assert_eq!(ended(Vec::new()).decided().map(|a| a.attempt), None);
}

#[test]
fn of_two_attempts_beside_each_other_the_answer_decides() {
    use Outcome::{Broken, Cancelled, Completed, Failed, Outrun};
    // Each attempt with its begin and its end.
    for (attempts, decided) in [
        (vec![(Completed, 0, 90), (Failed, 50, 60)], Some(1)),
        (vec![(Failed, 0, 60), (Completed, 50, 90)], Some(2)),
        (vec![(Failed, 0, 90), (Failed, 50, 60)], Some(1)),
        (vec![(Failed, 0, 10), (Failed, 10, 20)], Some(2)),
        (vec![(Failed, 0, 10), (Failed, 10, 10)], Some(2)),
        (vec![(Broken, 0, 90), (Outrun, 50, 60)], Some(1)),
        (vec![(Outrun, 0, 60), (Cancelled, 50, 90)], Some(2)),
        (vec![(Cancelled, 0, 60), (Failed, 50, 60)], Some(1)),
        (vec![(Outrun, 0, 60)], None),
    ] {
        let told = attempts
            .iter()
            .zip(1..)
            .map(|((outcome, began, end), number)| UsageRecord {
                began_ms: *began,
                total_ms: end - began,
                ..attempt(number, *outcome, Cost::Unknown)
            });
        let record = ended(told.collect());
        assert_eq!(record.decided().map(|a| a.attempt), decided, "{attempts:?}");
        // Each by a route of its own.
        let routes = Routes::default();
        routes.reached(1, Some(10));
        routes.reached(2, None);
        let route = decided.and_then(|number| (number == 1).then_some(10));
        assert_eq!(routes.of(record.decided()), route, "{attempts:?}");
    }
}

#[derive(Default)]
struct Counts(AtomicUsize, AtomicUsize, AtomicUsize);

struct Counting(Arc<Counts>);

impl Sink for Counting {
    fn began(&self, _: &Began) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
    fn aside(&self, _: &UsageRecord) {
        self.0.1.fetch_add(1, Ordering::Relaxed);
    }
    fn ended(&self, _: &Arc<EndRecord>) {
        self.0.2.fetch_add(1, Ordering::Relaxed);
    }
}

struct Faulty;

impl Sink for Faulty {
    fn ended(&self, _: &Arc<EndRecord>) {
        panic!("a fault");
    }
}

#[test]
fn every_sink_is_told_whatever_the_others_do() {
    let counts = Arc::new(Counts::default());
    let sinks: Vec<Box<dyn Sink>> = vec![Box::new(Faulty), Box::new(Counting(Arc::clone(&counts)))];
    let ledger = Ledger::new(sinks);
    ledger.began(&began());
    ledger.aside(&attempt(1, Outcome::Failed, Cost::Unknown));
    ledger.ended(ended(vec![attempt(1, Outcome::Failed, Cost::Unknown)]));
    let told = [&counts.0, &counts.1, &counts.2].map(|count| count.load(Ordering::Relaxed));
    assert_eq!(told, [1, 1, 1]);
    assert_eq!(ledger.recent().len(), 1);
}
