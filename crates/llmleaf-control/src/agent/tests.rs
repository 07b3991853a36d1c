//! A day and more with a controller that fails, in simulated time: the loops are the real ones, the controller is a script.

mod kept;

use super::*;
use crate::outbox::{Next, Pushed};
use llmleaf_auth::{
    AuthError, Check, Credential, CredentialHeaders, CredentialSource, NewKey, Principal, Roster,
};
use llmleaf_transport::TlsConfig;
use std::cell::RefCell;
use std::rc::Rc;

type Script = Rc<RefCell<dyn FnMut(What, Option<&str>) -> Result<(Answer, Bytes), Trouble>>>;

struct Scripted(Script);

impl Reach for Scripted {
    async fn get(&self, what: What, etag: Option<&str>) -> Result<(Answer, Bytes), Trouble> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut script = self.0.borrow_mut();
        script(what, etag)
    }

    async fn post(&self, what: Push, _: Bytes) -> Result<(Answer, Bytes), Trouble> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        // Leases have tests of their own.
        match what {
            Push::Leases => away(),
            Push::Usage => {
                let mut script = self.0.borrow_mut();
                script(What::Topology, Some("a push"))
            }
        }
    }
}

type Before = Box<dyn FnOnce(&mut Agent)>;

thread_local! {
    /// What the next node pushes.
    static EVENTS: RefCell<Option<Arc<Mutex<dyn Queue>>>> = const { RefCell::new(None) };
    /// What happens to the next agent before it runs.
    static BEFORE: RefCell<Option<Before>> = const { RefCell::new(None) };
}

fn away() -> Result<(Answer, Bytes), Trouble> {
    Err(Trouble::Transport("refused".into()))
}

fn says(body: impl Into<String>) -> Result<(Answer, Bytes), Trouble> {
    let answer = Answer {
        status: 200,
        ..Answer::default()
    };
    Ok((answer, Bytes::from(body.into())))
}

fn endpoint() -> Endpoint {
    let tls = TlsConfig::new().expect("trust");
    Endpoint::new(&crate::EndpointSpec {
        url: "http://127.0.0.1:1/",
        credential: None,
        timeout: Duration::from_secs(2),
        tls: &tls,
        tls_mark: [0; 32],
        node: "n",
    })
    .expect("an endpoint")
}

fn every(secs: u64) -> Option<PullPlan> {
    Some(PullPlan {
        endpoint: endpoint(),
        cadence: Cadence {
            every: Duration::from_secs(secs),
            max_shrink_percent: 50,
            max_stale: None,
        },
    })
}

struct Node {
    authenticator: Arc<Authenticator>,
    board: Arc<Board>,
    plans: watch::Sender<Arc<Plan>>,
    tried: oneshot::Receiver<()>,
    ending: watch::Sender<bool>,
    _offers: mpsc::Receiver<Offer>,
}

/// A node in front of that script; it runs as long as the story does.
async fn play<T>(plan: Plan, script: Script, story: impl AsyncFnOnce(Node) -> T) -> T {
    let authenticator = Authenticator::new(Roster::default()).expect("an authenticator");
    let authenticator = Arc::new(authenticator);
    let board = Arc::<Board>::default();
    let (topology, offers) = mpsc::channel(1);
    let (plans, heard) = watch::channel(Arc::new(plan));
    let (told, tried) = oneshot::channel();
    let (ending, ends) = watch::channel(false);
    let outlets = Outlets {
        authenticator: Arc::clone(&authenticator),
        topology,
        budget: Arc::default(),
        events: EVENTS.with(|events| events.borrow().clone()),
        ruled: Arc::new(|_| {}),
        ending: ends,
        board: Arc::clone(&board),
        unix_now: || 1_795_651_200,
        seed: 7,
    };
    let mut agent = Agent::new(outlets, told);
    if let Some(before) = BEFORE.with(RefCell::take) {
        before(&mut agent);
    }
    let node = Node {
        authenticator,
        board,
        plans,
        tried,
        ending,
        _offers: offers,
    };
    tokio::select! {
        () = run(&mut agent, heard, &script) => panic!("it ended"),
        told = story(node) => told,
    }
}

thread_local! {
    /// How many of the next reaches cannot be made.
    static FAULTS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// Runs the agent as the program does: a fault leaves it, and it is called again.
async fn run(agent: &mut Agent, mut heard: watch::Receiver<Arc<Plan>>, script: &Script) {
    loop {
        let reach = |_: &Plan| {
            let faults = FAULTS.get();
            FAULTS.set(faults.saturating_sub(1));
            assert_eq!(faults, 0, "a fault");
            Scripted(Rc::clone(script))
        };
        let unwound = {
            let mut running = std::pin::pin!(agent.run(&mut heard, reach));
            let polled = std::future::poll_fn(|cx| {
                let once = std::panic::AssertUnwindSafe(|| running.as_mut().poll(cx));
                match std::panic::catch_unwind(once) {
                    Ok(polled) => polled.map(|()| false),
                    Err(_) => std::task::Poll::Ready(true),
                }
            });
            polled.await
        };
        if !unwound {
            return;
        }
        agent.stumbled();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

struct Key(NewKey);

impl Key {
    fn new(id: &str) -> Self {
        Self(NewKey::generate(id).expect("a key"))
    }

    fn row(&self, id: &str) -> String {
        format!(r#"{{"id":"{id}","pw_hash":"{}"}}"#, self.0.stored_hash)
    }

    fn principal(&self, auth: &Authenticator) -> Result<Principal, AuthError> {
        let secret = self.0.credential.expose().as_bytes();
        let headers = CredentialHeaders::new().with(CredentialSource::XApiKey, secret);
        match auth.check(&Credential::from_headers(&headers).expect("a credential")) {
            Check::Granted(principal) => Ok(principal),
            Check::Denied(error) => Err(error),
            Check::NeedsWork(_) => panic!("a random key needs no work"),
        }
    }

    fn may(&self, auth: &Authenticator) -> bool {
        self.principal(auth)
            .is_ok_and(|principal| auth.authorise(&principal, "m").is_ok())
    }
}

fn roster(rows: &[String]) -> String {
    format!("{{\"keys\":[{}]}}", rows.join(","))
}

fn script(
    script: impl FnMut(What, Option<&str>) -> Result<(Answer, Bytes), Trouble> + 'static,
) -> Script {
    Rc::new(RefCell::new(script))
}

const DAY: Duration = Duration::from_secs(24 * 3600);

fn both() -> Plan {
    Plan {
        identity: every(30),
        verdicts: every(5),
        ..Plan::default()
    }
}

#[tokio::test(start_paused = true)]
async fn g1_without_a_controller_nobody_is_let_in_until_it_is_there() {
    let key = Key::new("a");
    let there = Rc::new(std::cell::Cell::new(false));
    let (open, body) = (Rc::clone(&there), roster(&[key.row("a")]));
    let script = script(move |what, _| match (open.get(), what) {
        (false, _) => away(),
        (true, What::Identity) => says(body.clone()),
        (true, _) => says("{\"verdicts\":{}}"),
    });
    play(both(), script, async |node| {
        node.tried.await.expect("both were asked for");
        assert!(node.authenticator.is_cold());
        tokio::time::sleep(DAY).await;
        assert!(node.authenticator.is_cold());
        assert!(!key.may(&node.authenticator));
        there.set(true);
        tokio::time::sleep(Duration::from_secs(31)).await;
        assert!(!node.authenticator.is_cold());
        assert!(key.may(&node.authenticator));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn g2_g3_a_day_without_a_controller_changes_nothing() {
    let (key, blocked) = (Key::new("a"), Key::new("b"));
    let mut asked = [0u32; 2];
    let counts = Rc::new(RefCell::new(0u32));
    let (count, body) = (
        Rc::clone(&counts),
        roster(&[key.row("a"), blocked.row("b")]),
    );
    let script = script(move |what, _| {
        let at = usize::from(what == What::Verdicts);
        asked[at] += 1;
        *count.borrow_mut() += 1;
        match (asked[at], what) {
            (1, What::Identity) => says(body.clone()),
            (1, _) => says(r#"{"verdicts":{"b":{"blocked":true}}}"#),
            _ => away(),
        }
    });
    play(both(), script, async |node| {
        node.tried.await.expect("both were asked for");
        tokio::time::sleep(DAY).await;
        assert!(key.may(&node.authenticator));
        assert!(!blocked.may(&node.authenticator));
        let asked = *counts.borrow();
        assert!((15_000..25_000).contains(&asked), "{asked} in a day");
        let views = node.board.views();
        let identity = &views[&What::Identity];
        assert!(identity.age().expect("warm") >= DAY - Duration::from_secs(1));
        assert!(identity.troubles["transport"] > 2000);
    })
    .await;
}

/// What is in effect is touched by nothing that is wrong, and by the next thing that is right.
#[tokio::test(start_paused = true)]
async fn g4_poison_is_not_taken() {
    let (old, new) = (Key::new("a"), Key::new("b"));
    let good = roster(&[old.row("a")]);
    let poison = [
        "".to_owned(),
        "<html>".to_owned(),
        "{\"keys\":null}".to_owned(),
        good.replace("\"a\"", "\"a:b\""),
        roster(&[old.row("a"), old.row("a")]),
        roster(&[old.row("a"), "{\"id\":\"x\"}".to_owned()]),
        good[..good.len() - 1].to_owned(),
    ];
    let last = roster(&[new.row("b")]);
    let mut step = 0;
    let wrong = poison.len();
    let script = script(move |_, _| {
        step += 1;
        match step {
            1 => says(good.clone()),
            n if n < wrong + 2 => says(poison[n - 2].clone()),
            _ => says(last.clone()),
        }
    });
    let plan = Plan {
        identity: every(30),
        ..Plan::default()
    };
    play(plan, script, async |node| {
        node.tried.await.expect("asked for");
        for _ in 0..wrong {
            assert!(old.may(&node.authenticator) && !new.may(&node.authenticator));
            tokio::time::sleep(Duration::from_secs(27)).await;
        }
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert!(!old.may(&node.authenticator) && new.may(&node.authenticator));
        assert_eq!(
            node.board.views()[&What::Identity].troubles["shape"],
            wrong as u64
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn f10_a_block_is_in_effect_within_the_interval_and_ends_with_the_plan() {
    let key = Key::new("a");
    let blocked = Rc::new(std::cell::Cell::new(false));
    let (block, body) = (Rc::clone(&blocked), roster(&[key.row("a")]));
    let script = script(move |what, _| match (what, block.get()) {
        (What::Identity, _) => says(body.clone()),
        (_, true) => says(r#"{"verdicts":{"a":{"blocked":true}}}"#),
        (_, false) => says(r#"{"verdicts":{}}"#),
    });
    play(both(), script, async |node| {
        node.tried.await.expect("asked for");
        assert!(key.may(&node.authenticator));
        blocked.set(true);
        tokio::time::sleep(Duration::from_millis(5000 + 1000)).await;
        assert!(!key.may(&node.authenticator));
        let identity = every(30);
        node.plans.send_replace(Arc::new(Plan {
            identity,
            ..Plan::default()
        }));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(
            key.may(&node.authenticator),
            "nobody speaks of keys any more"
        );
        node.plans.send_replace(Arc::default());
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!key.may(&node.authenticator) && !node.authenticator.is_cold());
    })
    .await;
}

/// With `max_stale_secs`, also while a call hangs.
#[tokio::test(start_paused = true)]
async fn g2_a_roster_that_may_not_be_old_counts_no_longer() {
    let key = Key::new("a");
    let body = roster(&[key.row("a")]);
    let mut first = true;
    let script = script(move |_, _| match std::mem::take(&mut first) {
        true => says(body.clone()),
        false => away(),
    });
    let mut identity = every(30);
    if let Some(plan) = &mut identity {
        plan.cadence.max_stale = Some(Duration::from_secs(3600));
    }
    let plan = Plan {
        identity,
        ..Plan::default()
    };
    play(plan, script, async |node| {
        node.tried.await.expect("asked for");
        tokio::time::sleep(Duration::from_secs(3590)).await;
        assert!(key.may(&node.authenticator));
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert!(!key.may(&node.authenticator) && node.authenticator.is_cold());
    })
    .await;
}

/// What the file's keys are beside the controller's takes effect with the plan that says so, while the roster stays as it is.
#[tokio::test(start_paused = true)]
async fn another_word_on_the_files_keys_needs_no_other_roster() {
    let (own, pulled) = (Key::new("own"), Key::new("a"));
    let body = roster(&[pulled.row("a")]);
    let script = script(move |_, _| says(body.clone()));
    let plan = |identity_alone| Plan {
        identity: every(30),
        identity_alone,
        ..Plan::default()
    };
    play(plan(false), script, async |node| {
        node.tried.await.expect("asked for");
        let hash = llmleaf_auth::PasswordHash::parse(&own.0.stored_hash).expect("a hash");
        let entry = llmleaf_auth::KeyEntry {
            id: "own".into(),
            name: None,
            hash,
            allowed_models: None,
        };
        let file = Roster::new(vec![entry]).expect("a roster");
        node.authenticator.install(file);
        for alone in [false, true, false] {
            node.plans.send_replace(Arc::new(plan(alone)));
            tokio::time::sleep(Duration::from_millis(500)).await;
            assert!(pulled.may(&node.authenticator), "{alone}");
            assert_eq!(own.may(&node.authenticator), !alone);
        }
    })
    .await;
}

/// A fault of the client is none of those who may call.
#[tokio::test(start_paused = true)]
async fn a_fault_of_the_client_makes_no_warm_node_cold() {
    let key = Key::new("a");
    let body = roster(&[key.row("a")]);
    let there = Rc::new(std::cell::Cell::new(true));
    let open = Rc::clone(&there);
    let script = script(move |_, _| match open.get() {
        true => says(body.clone()),
        false => away(),
    });
    let plan = |secs| Plan {
        identity: every(secs),
        ..Plan::default()
    };
    FAULTS.set(1);
    play(plan(30), script, async |node| {
        node.tried.await.expect("it is told after a fault, too");
        assert!(key.may(&node.authenticator));
        there.set(false);
        FAULTS.set(3);
        node.plans.send_replace(Arc::new(plan(31)));
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(key.may(&node.authenticator) && !node.authenticator.is_cold());
        }
        assert_eq!(FAULTS.get(), 0);
        assert!(node.board.views()[&What::Identity].troubles["fault"] >= 1);
    })
    .await;
}

/// Ten events a second for a day, and what was told of them.
struct Counted {
    made: u64,
    taken: u64,
    pushed: usize,
    most: usize,
    again: Option<Duration>,
}

impl Queue for Counted {
    fn next(&mut self) -> Next {
        if let Some(wait) = self.again.take() {
            return Next::Wait(wait);
        }
        if self.taken == self.made {
            return Next::Idle;
        }
        let waiting = usize::try_from(self.made - self.taken).expect("few");
        // Fewer than the plan has: events are of different sizes, and a batch has a bound in bytes as well.
        self.pushed = waiting.min(90).min(self.most);
        Next::Push {
            events: vec![Bytes::from_static(b"{}"); self.pushed],
            more: waiting > self.pushed,
        }
    }

    fn bound(&mut self, most: usize) {
        self.most = most;
    }

    fn told(&mut self, pushed: Pushed) {
        match pushed {
            Pushed::Answered(200, _) => self.taken += self.pushed as u64,
            _ => self.again = Some(Duration::from_secs(10)),
        }
    }
}

/// The sink fails for an hour: nothing is told twice after it was taken, nothing is forgotten, and the backlog goes as fast as it can.
#[tokio::test(start_paused = true)]
async fn h2_what_the_controller_does_not_take_waits() {
    let queue = Arc::new(Mutex::new(Counted {
        made: 1000,
        taken: 0,
        pushed: 0,
        most: 0,
        again: None,
    }));
    let events: Arc<Mutex<dyn Queue>> = queue.clone();
    EVENTS.with(|slot| *slot.borrow_mut() = Some(events));
    let open = Rc::new(std::cell::Cell::new(false));
    let opened = Rc::clone(&open);
    let script = script(move |_, _| if opened.get() { says("{}") } else { away() });
    let plan = Plan {
        usage: Some(UsagePlan {
            endpoint: endpoint(),
            batch_wait: Duration::from_secs(1),
            batch_max: 100,
        }),
        ..Plan::default()
    };
    let later = Plan {
        usage: plan.usage.clone().map(|usage| UsagePlan {
            batch_max: 7,
            batch_wait: Duration::from_secs(600),
            ..usage
        }),
        ..plan.clone()
    };
    play(plan, script, async |node| {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(queue.lock().taken, 0);
        open.set(true);
        tokio::time::sleep(Duration::from_secs(12)).await;
        assert_eq!(
            queue.lock().taken,
            1000,
            "full batches do not wait for more"
        );
        queue.lock().made += 5;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(queue.lock().taken, 1005);
        // Another plan, another bound; and who waits for more does not when the program ends.
        node.plans.send_replace(Arc::new(later));
        tokio::time::sleep(Duration::from_secs(1)).await;
        queue.lock().made += 50;
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_eq!(queue.lock().taken, 1005);
        assert_eq!(queue.lock().most, 7);
        node.ending.send_replace(true);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(queue.lock().taken, 1055);
    })
    .await;
}
