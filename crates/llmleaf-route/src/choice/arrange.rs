//! Preferences, strategy and affinity joined to one order.

use super::{Followed, Order, Served, Strategy, Unmet, Wishes as _};
use crate::Millis;
use crate::fleet::Member;
use crate::random::{Random, pair, unit};
use llmleaf_model::{Preferences, Sort};

/// What an order is made from.
pub(crate) struct Arranging<'a> {
    pub members: &'a [Member],
    pub strategy: Strategy,
    pub preferences: Option<&'a Preferences>,
    /// Hash of the prompt's beginning or of the session.
    pub key: Option<u64>,
    /// Who served that key.
    pub served: Option<Served>,
    pub seed: u64,
    pub now: Millis,
}

impl Arranging<'_> {
    /// By what the order is made, before it is known whether it follows a prompt.
    pub fn by(&self) -> Order {
        Order {
            strategy: match self.preferences.and_then(|p| p.sort) {
                Some(Sort::Price) => Strategy::Price,
                Some(Sort::Throughput) => Strategy::Throughput,
                Some(Sort::Latency) => Strategy::Latency,
                None => self.strategy,
            },
            asked: self.preferences.is_some_and(|p| p.orders()),
            followed: None,
        }
    }
}

/// The order in which members are to be tried, as indices, and by what it was made. Members that the preferences exclude are not in it.
pub(crate) fn arrange(a: &Arranging<'_>) -> Result<(Vec<usize>, Order), Unmet> {
    let mut order: Vec<usize> = (0..a.members.len()).collect();
    let mut by = a.by();
    let strategy = by.strategy;
    if let Some(preferences) = a.preferences {
        permitted(a, preferences, &mut order)?;
    }
    if order.is_empty() {
        return Err(Unmet::Chain);
    }
    // A chain of one, or one as configured, is the common case and costs nothing.
    if order.len() > 1 && (strategy != Strategy::Ordered || a.preferences.is_some()) {
        sort(a, strategy, &mut order);
    }
    if !by.asked {
        by.followed = follow(a, strategy, &mut order);
    }
    let alone = |p: &Preferences| p.no_fallbacks && p.order.is_empty();
    if a.preferences.is_some_and(alone) {
        order.truncate(1);
    }
    Ok((order, by))
}

fn permitted(
    a: &Arranging<'_>,
    preferences: &Preferences,
    order: &mut Vec<usize>,
) -> Result<(), Unmet> {
    let mut unmet = Unmet::Chain;
    order.retain(|index| {
        let permits = a
            .members
            .get(*index)
            .map(|m| preferences.permits(m.provider.names(), &m.facts));
        match permits {
            Some(Err(why)) => {
                unmet = why;
                false
            }
            verdict => verdict.is_some(),
        }
    });
    if order.is_empty() {
        return Err(unmet);
    }
    Ok(())
}

/// Group, place in the request's own order, then the strategy's score; ties stay as configured.
fn sort(a: &Arranging<'_>, strategy: Strategy, order: &mut Vec<usize>) {
    let across = a.preferences.is_some_and(|p| p.across_models);
    let unmeasured = match strategy {
        Strategy::Balanced => fastest(a),
        _ => 1.0,
    };
    let mut keyed: Vec<(u16, usize, f64, usize)> = order
        .iter()
        .filter_map(|index| {
            let member = a.members.get(*index)?;
            let group = if across { 0 } else { member.group };
            let place = a
                .preferences
                .map_or(0, |p| p.place(member.provider.names()));
            let score = score(a, strategy, member, unmeasured);
            Some((group, place, score, *index))
        })
        .collect();
    keyed.sort_by(|x, y| (x.0, x.1).cmp(&(y.0, y.1)).then(x.2.total_cmp(&y.2)));
    order.clear();
    order.extend(keyed.iter().map(|key| key.3));
    if strategy == Strategy::Balanced {
        two_choices(a, &keyed, order);
    }
}

/// What a target that was never measured is taken for: as fast as the fastest, and no faster, or all would go there at once.
fn fastest(a: &Arranging<'_>) -> f64 {
    let known = a
        .members
        .iter()
        .filter_map(|m| m.target.pace().latency_ms(a.now));
    known.reduce(f64::min).unwrap_or(1.0)
}

/// A strategy's figure for a member: the lower, the sooner.
fn score(a: &Arranging<'_>, strategy: Strategy, member: &Member, unmeasured: f64) -> f64 {
    let pending = f64::from(member.target.pending());
    match strategy {
        Strategy::Ordered => 0.0,
        // The smallest of -ln(u)/w is each member with probability w/Σw, and all the rest follow by the same rule.
        Strategy::Weighted if member.weight == 0 => f64::INFINITY,
        Strategy::Weighted => {
            let chance = unit(pair(a.key.unwrap_or(a.seed), member.target.id()));
            -chance.ln() / f64::from(member.weight)
        }
        // What was never measured comes first, but not with everybody at once.
        Strategy::Latency => {
            let known = member.target.pace().latency_ms(a.now);
            known.unwrap_or(pending * 100.0)
        }
        Strategy::Throughput => {
            let known = member.target.pace().tokens_per_s(a.now);
            known.map_or(pending / 1000.0, |rate| 1.0 / rate.max(1e-9))
        }
        #[expect(clippy::cast_precision_loss, reason = "an order needs no last digit")]
        Strategy::Price => member
            .facts
            .price
            .map_or(f64::INFINITY, |price| price.blended() as f64),
        Strategy::Balanced => {
            let known = member.target.pace().latency_ms(a.now);
            let latency = known.unwrap_or(unmeasured);
            let failures = f64::from(member.target.breaker().score());
            (pending + 1.0) * latency.max(1.0) * (failures + 1.0)
        }
    }
}

/// Puts the better of two members, picked by chance among the first group's first places, at the front. Always taking the best of all would
/// send every worker's next request to one and the same.
fn two_choices(a: &Arranging<'_>, keyed: &[(u16, usize, f64, usize)], order: &mut [usize]) {
    let Some(first) = keyed.first() else {
        return;
    };
    let peers = keyed
        .iter()
        .take_while(|key| (key.0, key.1) == (first.0, first.1))
        .count();
    let peers_len = u64::try_from(peers).unwrap_or_default();
    if peers < 3 {
        return;
    }
    let mut random = Random::new(a.seed);
    let one = random.below(peers_len);
    let other = (one + 1 + random.below(peers_len - 1)) % peers_len;
    // They are sorted: the lower index is the better.
    let better = usize::try_from(one.min(other)).unwrap_or_default();
    if let Some(front) = order.get_mut(..=better) {
        front.rotate_right(1);
    }
}

/// Moves the member that may have the prompt in its cache to the front of its group; says why, if there is one.
fn follow(a: &Arranging<'_>, strategy: Strategy, order: &mut [usize]) -> Option<Followed> {
    // A chain in order is its own affinity: after a blip, traffic is to come back to the first.
    if strategy == Strategy::Ordered || order.len() < 2 {
        return None;
    }
    let key = a.key?;
    let member = |index: &usize| a.members.get(*index);
    let group = order.first().and_then(member).map(|m| m.group);
    let id = |index: &usize| member(index).map(|m| m.target.id());
    let served = a.served.and_then(|served| {
        order
            .iter()
            .position(|i| id(i) == Some(served.target) && member(i).map(|m| m.group) == group)
    });
    let (at, why) = match served {
        Some(at) => (at, Followed::Served),
        None if strategy == Strategy::Balanced => (home(a, key, order)?, Followed::Home),
        None => return None,
    };
    order.get_mut(..=at)?.rotate_right(1);
    Some(why)
}

/// Where every node would send this key: the highest hash among the first group, unless it is busier than the others.
fn home(a: &Arranging<'_>, key: u64, order: &[usize]) -> Option<usize> {
    let group = order.first().and_then(|i| a.members.get(*i))?.group;
    let peers = || {
        order
            .iter()
            .enumerate()
            .filter_map(|(at, i)| Some((at, a.members.get(*i)?)))
            .filter(|(_, m)| m.group == group)
    };
    let (at, home) = peers().max_by_key(|(_, m)| pair(key, m.target.id()))?;
    let pending: u64 = peers().map(|(_, m)| u64::from(m.target.pending())).sum();
    let count = u64::try_from(peers().count()).unwrap_or(1);
    // Bounded load: a quarter more than its share, and one.
    let most = (pending.saturating_mul(5) / count.saturating_mul(4).max(1)).saturating_add(1);
    (u64::from(home.target.pending()) <= most).then_some(at)
}
