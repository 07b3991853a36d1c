use super::*;
use crate::ledger::{Doubt, EndRecord, Sink};
use parking_lot::Mutex;
use std::future::poll_fn;
use tokio::sync::oneshot;
use tokio::task::LocalSet;
use tokio::time::Instant;

/// Ids, and who is told when they are kept.
type Told = (Vec<String>, oneshot::Sender<()>);

/// What a keeper was told.
#[derive(Clone, Default)]
struct Keeper {
    told: Arc<Mutex<Vec<Told>>>,
    doubt: Arc<Doubt>,
}

impl Sink for Keeper {
    fn keeps_begins(&self) -> bool {
        true
    }

    fn keep(&self, begins: Vec<Began>) -> Option<Pledge> {
        let (word, pledge) = oneshot::channel();
        let ids = begins.iter().map(|began| began.id.to_string()).collect();
        self.told.lock().push((ids, word));
        Some(Pledge::new(pledge, Arc::clone(&self.doubt)))
    }

    fn ended(&self, _: &Arc<EndRecord>) {}
}

impl Keeper {
    fn ledger(&self) -> Arc<Ledger> {
        Arc::new(Ledger::new(vec![Box::new(self.clone())]))
    }

    fn told(&self) -> Vec<Vec<String>> {
        self.told
            .lock()
            .iter()
            .map(|(ids, _)| ids.clone())
            .collect()
    }

    /// What was told first is kept now.
    fn keeps(&self) {
        let (_, word) = self.told.lock().remove(0);
        let _ = word.send(());
    }
}

fn began(id: &str) -> Began {
    Began {
        id: id.into(),
        request_id: "r".into(),
        at_ms: 0,
        key: "team".into(),
        dialect: "chat_completions",
        operation: "chat",
        model: "m".into(),
        stream: false,
        trace: None,
    }
}

/// Whether it may go on, as it stands.
async fn free(owed: &mut Owed) -> bool {
    poll_fn(|cx| Poll::Ready(owed.poll(cx).is_ready())).await
}

#[tokio::test]
async fn h4_begins_of_one_turn_go_together_and_all_wait_for_them() {
    let (keeper, begins) = (Keeper::default(), Rc::new(Begins::default()));
    let ledger = keeper.ledger();
    let local = LocalSet::new();
    let gone = Rc::new(RefCell::new(Vec::new()));
    for id in ["a", "b", "c"] {
        let (begins, gone) = (Rc::clone(&begins), Rc::clone(&gone));
        let mut owed = begins.add(&ledger, began(id));
        local.spawn_local(async move {
            begins.gather().await;
            poll_fn(|cx| owed.poll(cx)).await;
            gone.borrow_mut().push(id);
        });
    }
    let (told, out) = (keeper.clone(), Rc::clone(&gone));
    local.spawn_local(async move {
        while told.told().is_empty() {
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
        assert_eq!(told.told(), [["a", "b", "c"]], "one message");
        assert!(out.borrow().is_empty(), "nobody asks before");
        told.keeps();
    });
    local.await;
    assert_eq!(gone.borrow().len(), 3, "and all of them then");
}

#[tokio::test]
async fn h4_what_comes_later_goes_by_itself() {
    let (keeper, begins) = (Keeper::default(), Begins::default());
    let ledger = keeper.ledger();
    let mut first = begins.add(&ledger, began("a"));
    assert!(!free(&mut first).await);
    let mut second = begins.add(&ledger, began("b"));
    assert!(!free(&mut second).await);
    assert_eq!(keeper.told(), [["a"], ["b"]]);
    keeper.keeps();
    assert!(free(&mut first).await && !free(&mut second).await);
    assert!(!first.is_due() && second.is_due());
    keeper.keeps();
    assert!(free(&mut second).await);
}

/// One that was never told must not be: its end is told first, and nothing would ever end it.
#[tokio::test]
async fn h4_what_ends_before_it_is_told_is_not() {
    let (keeper, begins) = (Keeper::default(), Begins::default());
    let ledger = keeper.ledger();
    let mut refused = begins.add(&ledger, began("refused"));
    let mut serves = begins.add(&ledger, began("serves"));
    refused.withdraw();
    assert!(free(&mut refused).await, "it owes nothing");
    assert!(!free(&mut serves).await);
    assert_eq!(keeper.told(), [["serves"]]);
}

/// The one that would have heard of it is gone: the others do all the same.
#[tokio::test]
async fn h4_who_leaves_takes_no_word_along() {
    let (keeper, begins) = (Keeper::default(), Begins::default());
    let ledger = keeper.ledger();
    let mut stays = begins.add(&ledger, began("stays"));
    let mut leaves = begins.add(&ledger, began("leaves"));
    let local = LocalSet::new();
    let staying = local.spawn_local(async move {
        poll_fn(|cx| stays.poll(cx)).await;
    });
    let leaving = local.spawn_local(async move {
        poll_fn(|cx| leaves.poll(cx)).await;
    });
    local
        .run_until(async {
            tokio::task::yield_now().await;
            leaving.abort();
            assert!(leaving.await.is_err());
            // Whoever is left listens now.
            tokio::task::yield_now().await;
            keeper.keeps();
            staying.await.expect("it goes on");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn h4_a_disk_that_takes_nothing_is_waited_for_once() {
    let (keeper, begins) = (Keeper::default(), Begins::default());
    let ledger = keeper.ledger();
    let mut first = begins.add(&ledger, began("a"));
    let mut beside = begins.add(&ledger, began("b"));
    let waited = Instant::now();
    assert!(!free(&mut beside).await);
    poll_fn(|cx| first.poll(cx)).await;
    assert_eq!(waited.elapsed(), PATIENCE, "and no longer");
    assert!(free(&mut beside).await, "nor does any other");
    let mut next = begins.add(&ledger, began("c"));
    assert!(free(&mut next).await, "nor one that comes");
    assert_eq!(keeper.told().len(), 2, "which is told all the same");
    let now = std::time::Instant::now();
    keeper.doubt.kept(true, std::time::Duration::ZERO, now);
    let mut later = begins.add(&ledger, began("d"));
    assert!(!free(&mut later).await, "until something is kept again");
}
