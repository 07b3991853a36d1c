//! `llmleaf check --route MODEL`: what would be tried for a model, from the configuration alone. Nobody is called.

use super::Exit;
use crate::conform::{Cell, DIALECTS, ask_on, asks};
use crate::out;
use llmleaf_config::Config;
use llmleaf_dialects::Dialect;
use llmleaf_prices::decimal::dollars;
use llmleaf_route::{Limits, Strategy};
use llmleaf_server::{Plan, Planned};
use std::fmt::Write;

/// Longest line of features, in characters.
const WIDE: usize = 110;

pub(crate) fn print(config: &Config, model: &str) -> Exit {
    match Plan::of(config, model) {
        Ok(plan) => out::print(&report(model, &plan)),
        Err(error) => {
            out::error(&format!("llmleaf: {error}\n"));
            Exit::Usage
        }
    }
}

fn report(model: &str, plan: &Plan) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{model}: {}", head(plan));
    let shares: u64 = plan.targets.iter().map(|t| u64::from(t.weight)).sum();
    for (place, target) in plan.targets.iter().enumerate() {
        one(&mut text, plan, (place + 1, target), shares);
    }
    text
}

/// By what it is found, and how the chain is walked.
fn head(plan: &Plan) -> String {
    let found = match &plan.route {
        Some(route) => format!("by route `{route}`"),
        None => "by its provider's prefix".to_owned(),
    };
    let order = match plan.strategy {
        Strategy::Ordered => "in this order",
        Strategy::Price => "the cheapest first",
        Strategy::Weighted => "by chance, in these shares",
        Strategy::Latency => "whoever begins soonest first, as measured",
        Strategy::Throughput => "whoever is fastest first, as measured",
        Strategy::Balanced => "the better of two by load, latency and failures",
    };
    let suffix = if plan.by_suffix {
        " (its suffix asks for that)"
    } else {
        ""
    };
    let policy = plan.policy;
    let mut told = vec![
        found,
        format!("{order}{suffix}"),
        format!("at most {} attempts", policy.attempts),
    ];
    if plan.affinity {
        told.push("a conversation stays where it was served".to_owned());
    }
    if policy.hedge {
        told.push("a slow stream has a second one beside it".to_owned());
    }
    told.join("; ")
}

/// A target: where it is, what it costs and is limited to, and what a request may lose on its way there.
fn one(text: &mut String, plan: &Plan, (place, target): (usize, &Planned), shares: u64) {
    let upstream = plan.upstream(target);
    let (name, kind) = upstream.map_or(("", ""), |u| (&*u.name, u.row.name));
    let _ = write!(text, "\n{place}. {name} ({kind})  {}", target.model);
    if plan.strategy == Strategy::Weighted && shares > 0 {
        let _ = write!(text, "  {} of {shares}", target.weight);
    }
    if let Some(field) = target.left_out {
        let _ = write!(text, "  left out: {field}");
    }
    let url = plan.url(target, Dialect::ChatCompletions);
    let _ = writeln!(text, "\n   {}", url.unwrap_or_default());
    let _ = writeln!(text, "   {}", figures(plan, target));
    for (dialect, line) in losses(plan, target) {
        let _ = writeln!(text, "   {dialect}: {line}");
    }
}

fn figures(plan: &Plan, target: &Planned) -> String {
    let mut told = vec![match target.price {
        Some(price) => format!(
            "${} in, ${} out per million tokens",
            dollars(price.input),
            dollars(price.output)
        ),
        None => "price unknown".to_owned(),
    }];
    if let Some(sheet) = plan.sheet(target) {
        told.extend(
            sheet
                .context
                .map(|tokens| format!("{tokens} tokens of context")),
        );
    }
    let credentials = plan.credentials(target);
    if credentials > 1 {
        told.push(format!("{credentials} credentials"));
    }
    let [own, of_model] = target.limits.map(limited);
    told.extend(own.map(|limits| format!("the provider at most {limits}")));
    told.extend(of_model.map(|limits| format!("the model at most {limits}")));
    told.join("; ")
}

fn limited(limits: Limits) -> Option<String> {
    let all = [
        limits
            .requests_per_min
            .map(|n| format!("{n} requests a minute")),
        limits
            .tokens_per_min
            .map(|n| format!("{n} tokens a minute")),
        limits.max_concurrent.map(|n| format!("{n} at once")),
    ];
    let all: Vec<String> = all.into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// For consumers of each dialect: what a request may ask for and does not get, by the code that serves.
fn losses(plan: &Plan, target: &Planned) -> Vec<(&'static str, String)> {
    let each = DIALECTS.iter().filter_map(|(name, dialect)| {
        let (wire, model) = plan.wire(target, *dialect)?;
        let named = |cell: Cell| -> Vec<&str> {
            let all = asks::ALL.iter();
            let fitting = all.filter(|feature| ask_on(feature, *dialect, wire, model) == cell);
            fitting.map(|feature| feature.name).collect()
        };
        let kinds = [
            ("loses", named(Cell::Lost)),
            ("refuses", named(Cell::Refused)),
            ("the nearest of", named(Cell::Near)),
        ];
        let told: Vec<String> = (kinds.iter())
            .filter(|(_, features)| !features.is_empty())
            .map(|(kind, features)| format!("{kind} {}", list(features)))
            .collect();
        let way = match wire.dialect() == *dialect {
            true => "as it comes",
            false => "translated",
        };
        let told = match told.is_empty() {
            true => way.to_owned(),
            false => format!("{way}; {}", told.join("; ")),
        };
        Some((*name, told))
    });
    each.collect()
}

/// As many as a line holds.
fn list(features: &[&str]) -> String {
    let mut text = String::new();
    for (index, feature) in features.iter().enumerate() {
        if text.len() + feature.len() > WIDE {
            let _ = write!(text, " and {} more", features.len() - index);
            break;
        }
        if index > 0 {
            text.push_str(", ");
        }
        text.push_str(feature);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_says_what_each_target_costs_and_what_gets_lost() {
        let toml = r#"
            [[providers]]
            name = "first"
            kind = "anthropic"
            credentials = ["a", "b"]
            limits = { requests_per_min = 60, max_concurrent = 4 }
            [[providers]]
            name = "second"
            kind = "openai"
            credential = "c"
            [[routes]]
            model = "m"
            strategy = "weighted"
            targets = [
                { provider = "first", model = "claude-sonnet-4-5", weight = 3, price = { input = 3, output = 15 } },
                { provider = "second", model = "no-such-model" },
            ]
        "#;
        let config = Config::parse(toml, "x.toml", &|_| None).unwrap_or_else(|d| panic!("{d}"));
        let plan = Plan::of(&config, "m").expect("a plan");
        let text = report("m", &plan);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].starts_with("m: by route `m`; by chance, in these shares; at most 8 attempts"),
            "{text}"
        );
        assert_eq!(lines[2], "1. first (anthropic)  claude-sonnet-4-5  3 of 4");
        assert!(lines[3].ends_with("/v1/messages"), "{text}");
        assert!(
            lines[4].starts_with("   $3 in, $15 out per million tokens;"),
            "{text}"
        );
        assert!(
            lines[4]
                .ends_with("2 credentials; the provider at most 60 requests a minute, 4 at once"),
            "{text}"
        );
        let of_first = &lines[5..5 + DIALECTS.len()];
        assert!(
            of_first[0].starts_with("   chat-completions: translated; loses "),
            "{text}"
        );
        assert!(of_first[0].contains("seed"), "{text}");
        assert!(
            of_first[1].starts_with("   messages: as it comes"),
            "{text}"
        );
        assert!(
            text.contains("\n2. second (openai)  no-such-model  1 of 4\n"),
            "{text}"
        );
        assert!(text.contains("\n   price unknown"), "{text}");
    }
}
