//! The order of a chain: what the request may ask, what the strategies do with chance and figures, where a prompt goes.

use super::arrange;
use super::{Arranging, Facts, Price, Served, Strategy, Unmet};
use crate::fleet::{Fleet, Member, ProviderSpec};
use crate::{Candidate, Millis};
use llmleaf_model::{Demands, MaxPrice, Preferences, Sort};
use std::time::Duration;

const NOW: Millis = Millis(1000);

fn fleet() -> Fleet {
    let spec = |name: &str, alias: &str| ProviderSpec {
        name: name.into(),
        aliases: vec![alias.into()],
        ..ProviderSpec::default()
    };
    let specs = [
        spec("one", "Kind A"),
        spec("two/eu", "kind-b"),
        spec("three", "kind-b"),
        spec("four", "kind-c"),
    ];
    Fleet::new(&specs, 7, NOW)
}

fn members(fleet: &Fleet, models: &[&str]) -> Vec<Member> {
    let mut all = Vec::new();
    for (group, model) in models.iter().enumerate() {
        for provider in 0..4 {
            let candidate = Candidate {
                provider,
                model: (*model).into(),
            };
            let mut member = fleet.member(&candidate, 1, NOW).unwrap();
            member.group = group as u16;
            all.push(member);
        }
    }
    all
}

fn asked(members: &[Member], preferences: &Preferences) -> Result<Vec<usize>, Unmet> {
    arranged(members, Strategy::Ordered, Some(preferences), None, None, 1)
}

fn arranged(
    members: &[Member],
    strategy: Strategy,
    preferences: Option<&Preferences>,
    key: Option<u64>,
    served: Option<Served>,
    seed: u64,
) -> Result<Vec<usize>, Unmet> {
    let arranged = arrange(&Arranging {
        members,
        strategy,
        preferences,
        key,
        served,
        seed,
        now: NOW,
    });
    arranged.map(|(order, _)| order)
}

fn list(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn providers_are_named_by_name_kind_or_family() {
    let fleet = fleet();
    let members = members(&fleet, &["m"]);
    let of = |preferences: Preferences| asked(&members, &preferences);
    let any = Preferences::default;
    let only = |names| Preferences {
        only: list(names),
        ..any()
    };
    assert_eq!(of(any()), Ok(vec![0, 1, 2, 3]));
    assert_eq!(of(only(&["kind_b", "ONE"])), Ok(vec![0, 1, 2]));
    assert_eq!(of(only(&["kind a"])), Ok(vec![0]));
    assert_eq!(of(only(&["two"])), Ok(vec![1]), "the part before the slash");
    assert_eq!(
        of(only(&["two/us"])),
        Err(Unmet::Providers),
        "and no other place"
    );
    let ignore = Preferences {
        ignore: list(&["kind-b"]),
        ..any()
    };
    assert_eq!(of(ignore), Ok(vec![0, 3]));
    let mut order = Preferences {
        order: list(&["four", "kind-b"]),
        ..any()
    };
    assert_eq!(of(order.clone()), Ok(vec![3, 1, 2, 0]));
    order.no_fallbacks = true;
    assert_eq!(of(order), Ok(vec![3, 1, 2]), "none but the named");
    let alone = Preferences {
        no_fallbacks: true,
        ..any()
    };
    assert_eq!(of(alone), Ok(vec![0]), "none but the first");
}

#[test]
fn what_is_not_known_does_not_qualify() {
    let fleet = fleet();
    let mut members = members(&fleet, &["m"]);
    members[1].facts = Facts {
        price: Some(Price {
            input: 5,
            output: 10,
            request: 0,
        }),
        expresses_all: Some(true),
        collects_data: Some(false),
        zero_retention: Some(true),
        quantization: Some("FP8".into()),
    };
    let demand = |demands: Demands| Preferences {
        demands,
        ..Preferences::default()
    };
    let most = |max_price: MaxPrice| Preferences {
        max_price,
        ..Preferences::default()
    };
    let [mut parameters, mut collection, mut retention] = [Demands::default(); 3];
    parameters.all_parameters = true;
    collection.no_collection = true;
    retention.zero_retention = true;
    for (preferences, unmet) in [
        (demand(parameters), Unmet::Parameters),
        (demand(collection), Unmet::Data),
        (demand(retention), Unmet::Data),
        (
            most(MaxPrice {
                output: Some(10),
                ..MaxPrice::default()
            }),
            Unmet::Price,
        ),
        (
            Preferences {
                quantizations: list(&["int4", "fp8"]),
                ..Preferences::default()
            },
            Unmet::Quantization,
        ),
    ] {
        assert_eq!(
            asked(&members, &preferences),
            Ok(vec![1]),
            "{preferences:?}"
        );
        assert_eq!(asked(&members[2..], &preferences), Err(unmet));
    }
    let cheap = most(MaxPrice {
        input: Some(4),
        ..MaxPrice::default()
    });
    assert_eq!(asked(&members, &cheap), Err(Unmet::Price));
    assert_eq!(asked(&[], &Preferences::default()), Err(Unmet::Chain));
}

#[test]
fn models_of_a_list_are_tried_in_turn_unless_sorted_across() {
    let fleet = fleet();
    let mut members = members(&fleet, &["m", "n"]);
    for (index, member) in members.iter_mut().enumerate() {
        member.facts.price = Some(Price {
            input: 10 - index as u64,
            ..Price::default()
        });
    }
    members[7].facts.price = None;
    let mut by_price = Preferences {
        sort: Some(Sort::Price),
        ..Preferences::default()
    };
    assert_eq!(asked(&members, &by_price), Ok(vec![3, 2, 1, 0, 6, 5, 4, 7]));
    by_price.across_models = true;
    assert_eq!(asked(&members, &by_price), Ok(vec![6, 5, 4, 3, 2, 1, 0, 7]));
}

#[test]
fn figures_decide_and_the_unknown_is_tried_first() {
    let fleet = fleet();
    let members = members(&fleet, &["m"]);
    for (index, millis) in [(0, 900), (1, 300), (2, 600)] {
        let pace = members[index].target.pace();
        pace.first_content(Duration::from_millis(millis), NOW);
        pace.throughput(millis, Duration::from_secs(1), NOW);
    }
    let order = |strategy| arranged(&members, strategy, None, None, None, 1);
    assert_eq!(order(Strategy::Latency), Ok(vec![3, 1, 2, 0]));
    assert_eq!(order(Strategy::Throughput), Ok(vec![3, 0, 2, 1]));
}

#[test]
fn weights_are_shares_and_zero_is_last() {
    let fleet = fleet();
    let mut members = members(&fleet, &["m"]);
    for (member, weight) in members.iter_mut().zip([3, 1, 0, 0]) {
        member.weight = weight;
    }
    let mut first = [0u32; 4];
    for seed in 0..10_000 {
        let order = arranged(&members, Strategy::Weighted, None, None, None, seed).unwrap();
        assert_eq!(order.len(), 4);
        first[order[0]] += 1;
    }
    assert!((7300..7700).contains(&first[0]), "{first:?}");
    assert_eq!((first[2], first[3]), (0, 0));
}

#[test]
fn a_key_goes_to_the_same_target_on_every_node() {
    for strategy in [Strategy::Weighted, Strategy::Balanced] {
        let mut first = [0u32; 4];
        for key in 0..1000 {
            let at = |seed| {
                let fleet = fleet();
                let members = members(&fleet, &["m"]);
                arranged(&members, strategy, None, Some(key), None, seed).unwrap()[0]
            };
            let one = at(1);
            assert_eq!(one, at(2));
            first[one] += 1;
        }
        assert!(first.iter().all(|n| *n > 180), "{strategy:?} {first:?}");
    }
}

#[test]
fn who_served_a_prompt_is_asked_first_but_not_against_the_request_or_an_ordered_chain() {
    let fleet = fleet();
    let members = members(&fleet, &["m"]);
    let served = Some(Served {
        target: members[2].target.id(),
        credential: 0,
    });
    let first = |strategy, preferences: Option<&Preferences>| {
        arranged(&members, strategy, preferences, Some(9), served, 1).unwrap()[0]
    };
    for strategy in Strategy::ALL {
        let expected = if strategy == Strategy::Ordered { 0 } else { 2 };
        assert_eq!(first(strategy, None), expected, "{strategy:?}");
    }
    let order = Preferences {
        order: list(&["four"]),
        ..Preferences::default()
    };
    assert_eq!(first(Strategy::Balanced, Some(&order)), 3);
}

#[test]
fn a_target_that_was_never_measured_is_not_flooded() {
    let fleet = fleet();
    let members = members(&fleet, &["m"]);
    for member in &members[..3] {
        let pace = member.target.pace();
        pace.first_content(Duration::from_millis(500), NOW);
    }
    let mut held = Vec::new();
    for seed in 0..400 {
        let order = arranged(&members, Strategy::Balanced, None, None, None, seed).unwrap();
        held.push(members[order[0]].target.pend());
    }
    let pending: Vec<u32> = members.iter().map(|m| m.target.pending()).collect();
    assert!(
        pending.iter().all(|n| (90..=110).contains(n)),
        "{pending:?}"
    );
}
