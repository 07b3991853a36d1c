//! A conversation in the order that models take it in. A session's own order is free: speech comes while a tool runs, and what comes
//! of the call is put behind it. Requests have it where its call is, and nothing thought of which nothing was said.

use super::items::{Item, Kind};
use crate::writer::json_object;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// What a call is said to have brought of which nothing came: no wire takes a call without its output, and a model that is not told of its
/// call makes it again.
const NOTHING_YET: &str = "The output of this call is not there yet.";

/// What a request says of the items.
pub fn ordered(items: &[Item]) -> Vec<Rc<str>> {
    let pairs = Pairs::of(items);
    let mut out = Ordered::default();
    for (at, item) in items.iter().enumerate() {
        out.take(at, item, items, &pairs);
    }
    out.settle();
    out.asked
}

/// The places of calls of which nothing came.
pub fn unanswered(items: &[Item]) -> HashSet<usize> {
    let pairs = Pairs::of(items);
    let calls = items.iter().enumerate();
    let calls = calls.filter(|(_, item)| matches!(item.kind, Kind::Call(_)));
    calls
        .map(|(at, _)| at)
        .filter(|at| !pairs.outputs.contains_key(at))
        .collect()
}

/// Which output is of which call, by their places.
#[derive(Default)]
struct Pairs {
    /// By the call.
    outputs: HashMap<usize, usize>,
    /// Outputs that have a call.
    paired: HashSet<usize>,
}

impl Pairs {
    fn of(items: &[Item]) -> Self {
        let mut pairs = Self::default();
        let mut open: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut early = Vec::new();
        for (at, item) in items.iter().enumerate() {
            match &item.kind {
                Kind::Call(id) => open.entry(id).or_default().push(at),
                // Not every service has other names for the calls of its next answer: the nearest one is meant.
                Kind::Output(id) => match open.get_mut(&**id).and_then(Vec::pop) {
                    Some(call) => pairs.add(call, at),
                    None => early.push((at, id)),
                },
                _ => {}
            }
        }
        for (at, id) in early {
            if let Some(call) = open.get_mut(&**id).and_then(Vec::pop) {
                pairs.add(call, at);
            }
        }
        pairs
    }

    fn add(&mut self, call: usize, output: usize) {
        self.outputs.insert(call, output);
        self.paired.insert(output);
    }
}

#[derive(Default)]
struct Ordered {
    asked: Vec<Rc<str>>,
    /// What was thought of which nothing was said yet, and whether the model said something nobody heard since.
    thoughts: Vec<Rc<str>>,
    unheard: bool,
    /// Outputs of the calls of this stretch, and what the model said behind the last of those. Calls that were made together stay together:
    /// a model that thinks before it calls takes no call by itself.
    outputs: Vec<Rc<str>>,
    behind: Vec<Rc<str>>,
}

impl Ordered {
    fn take(&mut self, at: usize, item: &Item, items: &[Item], pairs: &Pairs) {
        let asked = || Rc::clone(&item.asked);
        match &item.kind {
            Kind::Output(_) if pairs.paired.contains(&at) => {}
            Kind::Proof => self.asked.push(asked()),
            Kind::Thought => {
                self.settle();
                if std::mem::take(&mut self.unheard) {
                    self.thoughts.clear();
                }
                self.thoughts.push(asked());
            }
            Kind::Made if item.asked.is_empty() => self.unheard = true,
            Kind::Made => {
                self.say_thoughts();
                match self.outputs.is_empty() {
                    true => self.asked.push(asked()),
                    false => self.behind.push(asked()),
                }
            }
            Kind::Call(id) => {
                self.asked.append(&mut self.behind);
                self.say_thoughts();
                self.asked.push(asked());
                let output = pairs.outputs.get(&at).and_then(|at| items.get(*at));
                self.outputs.push(match output {
                    Some(output) => Rc::clone(&output.asked),
                    None => nothing_yet(id),
                });
            }
            Kind::Output(_) | Kind::Given => {
                self.settle();
                // Nothing was said of them, and a turn of thoughts alone is refused.
                self.thoughts.clear();
                self.unheard = false;
                self.asked.extend((!item.asked.is_empty()).then(asked));
            }
        }
    }

    fn say_thoughts(&mut self) {
        self.asked.append(&mut self.thoughts);
        self.unheard = false;
    }

    /// The stretch is over.
    fn settle(&mut self) {
        self.asked.append(&mut self.outputs);
        self.asked.append(&mut self.behind);
    }
}

fn nothing_yet(call: &str) -> Rc<str> {
    let json = json_object(|item| {
        item.string("type", "function_call_output")
            .string("call_id", call)
            .string("output", NOTHING_YET);
    });
    json.as_str().into()
}
