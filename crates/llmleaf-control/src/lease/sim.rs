//! Three nodes, one cap, and a network that loses, doubles, delays and cuts: the cap holds within what is stated, in every story.
//!
//! The controller here is a model of its own: it shares nothing with the nodes but the messages. `LLMLEAF_LEASE_SEEDS` sets how many
//! stories are told.

use super::*;
use llmleaf_route::random::Random;
use std::collections::BTreeMap;

/// What a controller knows of one lease.
#[derive(Clone, Default)]
struct Slice {
    granted: Spent,
    spent: Spent,
    over: bool,
    open: u64,
}

/// A controller with one key, whose cap it never grants beyond.
struct Controller {
    cap: Spent,
    slices: BTreeMap<String, Slice>,
    /// Which lease each run of a node has.
    current: BTreeMap<String, String>,
    count: u64,
    /// Spent without a lease.
    life: u64,
}

impl Controller {
    /// What may not be granted again: what was granted and may yet be spent, and what was spent.
    fn taken(&self) -> Spent {
        let mut sum = Spent::default();
        for slice in self.slices.values() {
            let done = slice.over && slice.open == 0;
            sum = sum.plus(if done {
                slice.spent
            } else {
                slice.granted.max(slice.spent)
            });
        }
        sum
    }

    fn answer(&mut self, run: &str, reports: &Reports) -> Told {
        let mut told = Told::default();
        for report in &reports.leases {
            if let Some(id) = &report.lease
                && let Some(slice) = self.slices.get_mut(id)
            {
                slice.spent = slice.spent.max(report.spent);
                // A report that was overtaken says nothing new: what is over, and has nothing open, stays so; and one from before the end may
                // tell of nothing open though something began since (seed 622).
                slice.open = match (slice.over, report.over) {
                    (true, true) => slice.open.min(report.open),
                    (true, false) => slice.open,
                    (false, _) => report.open,
                };
                slice.over |= report.over;
            }
            let Some(want) = report.want else { continue };
            let left = self.cap.minus(self.taken());
            let slice = Spent {
                requests: want.requests.min(left.requests / 2 + 1).min(left.requests),
                tokens: want.tokens.min(left.tokens / 2 + 1).min(left.tokens),
                nano_usd: want.nano_usd.min(left.nano_usd / 2 + 1).min(left.nano_usd),
            };
            let known = self.current.get(run).cloned();
            let id = match known.filter(|id| self.slices.get(id).is_some_and(|s| !s.over)) {
                Some(id) => id,
                None => {
                    self.count += 1;
                    let id = format!("lease-{}", self.count);
                    self.current.insert(run.to_owned(), id.clone());
                    self.slices.insert(id.clone(), Slice::default());
                    id
                }
            };
            let known = self.slices.get_mut(&id).expect("it was made");
            known.granted = known.granted.plus(slice);
            told.leases.push(Grant {
                key: "k".into(),
                lease: id,
                granted: Granted {
                    requests: Some(known.granted.requests),
                    tokens: Some(known.granted.tokens),
                    nano_usd: Some(known.granted.nano_usd),
                },
                expires_in_secs: self.life,
                exhausted_secs: (left == Spent::default()).then_some(5),
            });
        }
        told
    }
}

struct Node {
    run: String,
    leases: Leases,
    running: Vec<(Held, u64)>,
    cut: bool,
}

enum Message {
    Ask(usize, String, Reports),
    Tell(usize, String, Reports, Told),
}

/// What came of a story.
#[derive(Debug, Default)]
struct Outcome {
    used: Spent,
    /// By what requests used more than was held for them, together.
    beyond: Spent,
    /// The most that one did.
    most: Spent,
    /// How many nodes there were: one that dies and comes back is another.
    runs: u64,
    served: u64,
    denied: u64,
}

/// What goes wrong in a story.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Nothing,
    /// The network loses, doubles, delays and cuts.
    Network,
    /// And nodes die.
    Deaths,
}

const NODES: usize = 3;
const CONCURRENT: usize = 4;
const DEAREST: u64 = 900;

fn story(seed: u64, cap: Spent, goes_wrong: Trouble) -> Outcome {
    let trouble = goes_wrong != Trouble::Nothing;
    let mut random = Random::new(seed);
    let mut controller = Controller {
        cap,
        slices: BTreeMap::new(),
        current: BTreeMap::new(),
        count: 0,
        life: 5 + random.below(60),
    };
    let mut nodes: Vec<Node> = (0..NODES).map(|index| node(index, 0)).collect();
    let mut starts = 0;
    let mut wire: Vec<(u64, Message)> = Vec::new();
    let mut outcome = Outcome::default();
    for step in 0..1500u64 {
        let now = Millis(step * 50);
        for (index, node) in nodes.iter_mut().enumerate() {
            if trouble && random.below(100) == 0 {
                node.cut = !node.cut;
            }
            if goes_wrong == Trouble::Deaths && random.below(400) == 0 {
                // It dies: what ran is used, and nobody tells of it.
                for (held, tokens) in std::mem::take(&mut node.running) {
                    spend(&mut outcome, &held, tokens);
                }
                starts += 1;
                *node = self::node(index, starts);
            }
            if random.below(3) == 0 {
                begin(node, &mut random, now, &mut outcome);
            }
            if !node.running.is_empty() && random.below(3) == 0 {
                let at = usize::try_from(random.below(node.running.len() as u64)).expect("small");
                let (held, tokens) = node.running.swap_remove(at);
                let used = spend(&mut outcome, &held, tokens);
                node.leases.settle(held, used, now);
            }
            if node.leases.due().is_some_and(|due| due <= now)
                && let Some(reports) = node.leases.report(now)
            {
                let message = Message::Ask(index, node.run.clone(), reports);
                wire.push((now.0 + delay(&mut random, trouble), message));
            }
        }
        deliver(
            &mut wire,
            now,
            &mut nodes,
            &mut controller,
            &mut random,
            trouble,
        );
        assert!(
            within(controller.taken(), cap, outcome.beyond),
            "the model grants too much: seed {seed}"
        );
    }
    outcome.runs = NODES as u64 + starts;
    outcome
}

fn node(index: usize, start: u64) -> Node {
    Node {
        run: format!("{index}-{start}"),
        leases: Leases::new(false),
        running: Vec::new(),
        cut: false,
    }
}

fn begin(node: &mut Node, random: &mut Random, now: Millis, outcome: &mut Outcome) {
    if node.running.len() >= CONCURRENT {
        return;
    }
    let thought = Spent {
        requests: 1,
        tokens: 50 + random.below(300),
        nano_usd: 0,
    };
    match node.leases.hold("k", thought, now) {
        Ok(held) => {
            outcome.served += 1;
            node.running.push((held, 1 + random.below(DEAREST)));
        }
        Err(_) => outcome.denied += 1,
    }
}

/// It used so much. A token costs three.
fn spend(outcome: &mut Outcome, held: &Held, tokens: u64) -> Spent {
    let used = Spent {
        requests: 1,
        tokens,
        nano_usd: tokens * 3,
    };
    outcome.used = outcome.used.plus(used);
    let beyond = used.minus(held.amount());
    outcome.beyond = outcome.beyond.plus(beyond);
    outcome.most = outcome.most.max(beyond);
    used
}

fn delay(random: &mut Random, trouble: bool) -> u64 {
    match trouble && random.below(4) == 0 {
        true => random.below(20_000),
        false => random.below(100),
    }
}

fn deliver(
    wire: &mut Vec<(u64, Message)>,
    now: Millis,
    nodes: &mut [Node],
    controller: &mut Controller,
    random: &mut Random,
    trouble: bool,
) {
    let (due, later): (Vec<_>, Vec<_>) = wire.drain(..).partition(|(at, _)| *at <= now.0);
    *wire = later;
    for (_, message) in due {
        let index = match &message {
            Message::Ask(index, ..) | Message::Tell(index, ..) => *index,
        };
        let node = &mut nodes[index];
        if node.cut || (trouble && random.below(10) == 0) {
            if let Message::Ask(_, run, _) = &message
                && *run == node.run
            {
                node.leases
                    .unanswered(Duration::from_millis(500 + random.below(2000)), now);
            }
            continue;
        }
        match message {
            Message::Ask(index, run, reports) => {
                let mut told = controller.answer(&run, &reports);
                if trouble && random.below(10) == 0 {
                    // It came twice.
                    told = controller.answer(&run, &reports);
                }
                let at = now.0 + delay(random, trouble);
                wire.push((at, Message::Tell(index, run, reports, told)));
            }
            Message::Tell(_, run, reports, told) if run == node.run => {
                node.leases.answered(&reports, &told, now);
            }
            Message::Tell(..) => {}
        }
    }
}

/// By how much tokens and money may pass a cap: on each node those requests that ran at once, each by the most that any did.
fn stated(outcome: &Outcome) -> Spent {
    let running = outcome.runs * CONCURRENT as u64;
    Spent {
        requests: 0,
        tokens: outcome.most.tokens * running,
        nano_usd: outcome.most.nano_usd * running,
    }
}

/// Whether so much is no more than the cap and what requests used beyond what was held for them.
fn within(used: Spent, cap: Spent, beyond: Spent) -> bool {
    let most = cap.plus(beyond);
    used.requests <= most.requests && used.tokens <= most.tokens && used.nano_usd <= most.nano_usd
}

const CAP: Spent = Spent {
    requests: 300,
    tokens: 60_000,
    nano_usd: 180_000,
};

/// What `docs/control-plane.md` states: requests never pass the cap; tokens and money by what the requests that ran used beyond what
/// was held for them, which is at most nodes × requests at once × the most that one used beyond.
#[test]
fn no_story_passes_the_cap_by_more_than_is_stated() {
    let seeds = std::env::vars().find(|(name, _)| name == "LLMLEAF_LEASE_SEEDS");
    let seeds = seeds.map_or(8, |(_, count)| count.parse().expect("a number"));
    for seed in 0..seeds {
        for cap in [
            CAP,
            Spent {
                requests: u64::MAX / 4,
                ..CAP
            },
            Spent {
                tokens: u64::MAX / 4,
                nano_usd: u64::MAX / 4,
                ..CAP
            },
        ] {
            for goes_wrong in [Trouble::Network, Trouble::Deaths] {
                let outcome = story(seed, cap, goes_wrong);
                for most in [outcome.beyond, stated(&outcome)] {
                    let most = Spent {
                        requests: 0,
                        ..most
                    };
                    assert!(within(outcome.used, cap, most), "seed {seed}: {outcome:?}");
                }
            }
        }
    }
}

/// A cap is there to be used: with a sound network little of it is left over.
#[test]
fn a_cap_is_used_where_nothing_goes_wrong() {
    for seed in 0..4 {
        let cap = Spent {
            tokens: u64::MAX / 4,
            nano_usd: u64::MAX / 4,
            ..CAP
        };
        let outcome = story(seed, cap, Trouble::Nothing);
        assert!(
            outcome.used.requests * 100 >= cap.requests * 90,
            "seed {seed}: {outcome:?}"
        );
    }
}

/// The judge can tell: a node that spends what it gave back is found out.
#[test]
fn a_node_that_spends_more_than_it_was_granted_is_found_out() {
    let outcome = Outcome {
        used: CAP.plus(Spent {
            requests: 1,
            tokens: 0,
            nano_usd: 0,
        }),
        ..Outcome::default()
    };
    assert!(!within(outcome.used, CAP, outcome.beyond));
}
