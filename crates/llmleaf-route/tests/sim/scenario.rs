//! What a seed makes: providers and their moods, a chain, consumers.

use crate::chance::Chance;
use llmleaf_model::Preferences;
use llmleaf_route::{Clocks, Limits, Policy, ProviderSpec, Strategy};
use std::sync::Arc;
use std::time::Duration;

/// How a provider behaves for a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mood {
    Healthy,
    Refusing,
    Failing,
    /// 503 with a stated wait.
    Shedding,
    Stalling,
    /// Headers, then nothing.
    HalfStalling,
    /// Ends before content, or after it.
    Truncating,
    Garbage,
    /// 429 for the credentials in the mask.
    Limiting(u64),
    /// 401 for the credentials in the mask.
    Unauthorized(u64),
    /// 403 for the credentials in the mask.
    Forbidden(u64),
    /// 402 for the credentials in the mask.
    Unpaid(u64),
    /// Fails so many times in a hundred.
    Flapping(u64),
    /// Idle connections were closed.
    Losing,
    /// Does not offer it.
    Lacking,
}

#[derive(Clone, Debug)]
pub struct Provider {
    pub spec: ProviderSpec,
    /// (until, mood), the last without end.
    pub moods: Vec<(u64, Mood)>,
    /// Milliseconds to first content.
    pub pace: u64,
}

impl Provider {
    pub fn mood(&self, now: u64) -> Mood {
        let mut moods = self.moods.iter();
        moods
            .find(|(until, _)| now < *until)
            .map_or(Mood::Healthy, |(_, mood)| *mood)
    }
}

#[derive(Clone, Debug)]
pub struct Consumer {
    pub arrives: u64,
    /// Goes away then.
    pub cancels: Option<u64>,
    /// Its request is bad.
    pub bad: bool,
    pub stream: bool,
    pub tokens: u64,
    pub key: Option<u64>,
    /// Providers that may serve it, a bit each, and whether that is said by naming them or by naming the others.
    pub permitted: Option<(u64, bool)>,
    pub seed: u64,
}

impl Consumer {
    pub fn permits(&self, provider: usize) -> bool {
        self.permitted
            .is_none_or(|(mask, _)| mask >> provider & 1 == 1)
    }

    /// Its wishes in the request's own language.
    pub fn preferences(&self) -> Option<Preferences> {
        let (mask, by_name) = self.permitted?;
        let named = (0..3u64).filter(|provider| (mask >> provider & 1 == 1) == by_name);
        let named = named.map(|provider| format!("P{provider}")).collect();
        Some(if by_name {
            Preferences {
                only: named,
                ..Preferences::default()
            }
        } else {
            Preferences {
                ignore: named,
                ..Preferences::default()
            }
        })
    }
}

#[derive(Clone, Debug)]
pub struct Scenario {
    pub providers: Vec<Provider>,
    /// (provider, model)
    pub chain: Vec<(usize, usize)>,
    pub weights: Vec<u32>,
    pub policy: Policy,
    pub clocks: Clocks,
    pub consumers: Vec<Consumer>,
}

pub const MODELS: [&str; 3] = ["small", "large", "other"];

impl Scenario {
    pub fn new(c: &mut Chance) -> Self {
        // Some stories are long enough for a refused credential to be tried again.
        let span = if c.percent(15) {
            c.range(60_000, 600_000)
        } else {
            c.range(2_000, 60_000)
        };
        let count = c.range(1, 4);
        let providers: Vec<Provider> = (0..count).map(|i| provider(c, i, span)).collect();
        let mut chain = Vec::new();
        for _ in 0..c.range(1, 5) {
            let member = (
                c.range(0, providers.len() as u64) as usize,
                c.range(0, MODELS.len() as u64) as usize,
            );
            if !chain.contains(&member) {
                chain.push(member);
            }
        }
        let policy = Policy {
            strategy: *c.pick(&[
                Strategy::Ordered,
                Strategy::Ordered,
                Strategy::Weighted,
                Strategy::Latency,
                Strategy::Throughput,
                Strategy::Balanced,
                Strategy::Price,
            ]),
            attempts: c.range(1, 7) as u32,
            tries_per_target: c.range(1, 4) as u32,
            deadline: Duration::from_millis(c.range(500, 20_000)),
            max_wait: Duration::from_millis(*c.pick(&[0, 0, 200, 2_000, 10_000])),
            hedge: c.percent(25),
        };
        let clocks = Clocks {
            connect: Duration::from_millis(500),
            headers: Duration::from_millis(c.range(200, 2_000)),
            first_content: Duration::from_millis(c.range(200, 3_000)),
            idle: Duration::from_millis(c.range(200, 2_000)),
            total: Duration::from_millis(c.range(1_000, 20_000)),
        };
        let weights = chain.iter().map(|_| c.range(0, 4) as u32).collect();
        // A pace is known only after some twenty answers.
        let most = if policy.hedge { 200 } else { 60 };
        let consumers = (0..c.range(5, most)).map(|_| consumer(c, span)).collect();
        Self {
            providers,
            chain,
            weights,
            policy,
            clocks,
            consumers,
        }
    }
}

fn limits(c: &mut Chance) -> Limits {
    let mut some = |low, high| c.percent(50).then(|| c.range(low, high));
    Limits {
        requests_per_min: some(1, 60),
        tokens_per_min: some(100, 5_000),
        max_concurrent: some(1, 5).map(|n| n as u32),
    }
}

fn provider(c: &mut Chance, index: u64, span: u64) -> Provider {
    let limited = c.percent(30);
    let spec = ProviderSpec {
        name: format!("p{index}").into(),
        credentials: (0..c.range(0, 4)).map(|n| 100 * index + n).collect(),
        spread: c.percent(50),
        limits: if limited {
            limits(c)
        } else {
            Limits::default()
        },
        model_limits: if c.percent(20) {
            vec![(Arc::from(MODELS[0]), limits(c))]
        } else {
            Vec::new()
        },
        models: vec![MODELS[1].into()],
        cooldown: Duration::from_millis(*c.pick(&[500, 2_000, 15_000])),
        cache_for: Duration::from_secs(300),
        ..ProviderSpec::default()
    };
    let mut moods = Vec::new();
    let mut at = 0;
    while at < span {
        at += c.range(500, 20_000);
        moods.push((at, mood(c)));
    }
    moods.push((u64::MAX, Mood::Healthy));
    Provider {
        spec,
        moods,
        pace: c.range(5, 400),
    }
}

fn mood(c: &mut Chance) -> Mood {
    if c.percent(35) {
        return Mood::Healthy;
    }
    let mask = c.range(1, 16);
    *c.pick(&[
        Mood::Refusing,
        Mood::Failing,
        Mood::Shedding,
        Mood::Stalling,
        Mood::HalfStalling,
        Mood::Truncating,
        Mood::Garbage,
        Mood::Limiting(mask),
        Mood::Unauthorized(mask),
        Mood::Forbidden(mask),
        Mood::Unpaid(mask),
        Mood::Flapping(50),
        Mood::Flapping(20),
        Mood::Losing,
        Mood::Lacking,
    ])
}

fn consumer(c: &mut Chance, span: u64) -> Consumer {
    // Half of them come in crowds.
    let arrives = if c.percent(50) {
        c.range(0, 8) * span / 8
    } else {
        c.range(0, span)
    };
    Consumer {
        arrives,
        cancels: c.percent(15).then(|| arrives + c.range(0, 3_000)),
        bad: c.percent(10),
        stream: c.percent(70),
        tokens: c.range(1, 400),
        key: c.percent(50).then(|| c.range(0, 6)),
        permitted: c.percent(20).then(|| (c.range(1, 8), c.percent(50))),
        seed: c.next(),
    }
}
