//! Plans of a configuration: order, figures, and names that are near.

use super::*;

const FILE: &str = r#"
    [[providers]]
    name = "dear"
    kind = "openai"
    credentials = ["sk-CANARY-1", "sk-CANARY-2"]
    limits = { max_concurrent = 3 }
    prefix = "oa"
    [[providers]]
    name = "cheap"
    kind = "anthropic"
    credential = "sk-CANARY-3"
    model_limits = { "claude-x" = { tokens_per_min = 9 } }
    [[providers]]
    name = "unknown"
    kind = "openai-compatible"
    endpoint = "http://127.0.0.1:9/v1"
    [[routes]]
    model = "m"
    targets = [
        { provider = "unknown", model = "u" },
        { provider = "dear", model = "d", price = { input = 5, output = 6 } },
        { provider = "cheap", model = "claude-x", price = { input = 1, output = 2 } },
    ]
    [[routes]]
    model = "w"
    strategy = "weighted"
    affinity = true
    targets = [
        { provider = "dear", model = "d", weight = 2, price = { input = 0, output = 0 } },
        { provider = "cheap", model = "claude-x", price = { input = 0, output = 0 } },
    ]
    [[routes]]
    model = "p"
    strategy = "price"
    targets = [
        { provider = "dear", model = "d", price = { input = 5, output = 6 } },
        { provider = "cheap", model = "claude-x", price = { input = 1, output = 2 } },
    ]
"#;

fn plan(model: &str) -> Result<Plan, PlanError> {
    let config = Config::parse(FILE, "x.toml", &|_| None).unwrap_or_else(|d| panic!("{d}"));
    Plan::of(&config, model)
}

/// Provider and model of each target, and why it is left out.
fn told(plan: &Plan) -> Vec<String> {
    let each = plan.targets.iter().map(|target| {
        let name = plan.upstream(target).map_or("", |upstream| &upstream.name);
        let left_out = target.left_out.map(|field| format!(" not: {field}"));
        format!("{name} {}{}", target.model, left_out.unwrap_or_default())
    });
    each.collect()
}

#[test]
fn a_plan_is_in_the_order_that_the_configuration_decides() {
    let ordered = plan("m").unwrap();
    assert_eq!(told(&ordered), ["unknown u", "dear d", "cheap claude-x"]);
    assert_eq!(
        (ordered.route.as_deref(), ordered.strategy),
        (Some("m"), Strategy::Ordered)
    );
    assert_eq!(ordered.credentials(&ordered.targets[1]), 2);
    assert_eq!(ordered.targets[1].limits[0].max_concurrent, Some(3));
    assert_eq!(ordered.targets[2].limits[1].tokens_per_min, Some(9));
    assert_eq!(
        ordered.targets[2].price.map(|p| p.output),
        Some(2_000_000_000)
    );
    assert_eq!(told(&plan("p").unwrap()), ["cheap claude-x", "dear d"]);
    let floor = plan("m:floor").unwrap();
    assert_eq!(told(&floor), ["cheap claude-x", "dear d", "unknown u"]);
    assert_eq!((floor.strategy, floor.by_suffix), (Strategy::Price, true));
    let free = plan("m:free").unwrap();
    let not = |name: &str| format!("{name} not: provider.max_price");
    assert_eq!(
        told(&free),
        ["unknown u", "dear d", "cheap claude-x"].map(not)
    );
    let prefixed = plan("oa/gpt").unwrap();
    assert_eq!(
        (told(&prefixed), prefixed.route),
        (vec!["dear gpt".to_owned()], None)
    );
    let url = ordered.url(&ordered.targets[2], Dialect::Messages);
    assert!(url.is_some_and(|url| url.ends_with("/v1/messages")));
}

/// What a suffix does not ask for is as the route has it; what it does ask for is followed before a prompt is.
#[test]
fn a_suffix_changes_what_it_asks_for_and_nothing_else() {
    for (model, strategy, by_suffix, affinity) in [
        ("w", Strategy::Weighted, false, true),
        ("w:free", Strategy::Weighted, false, true),
        ("w:floor", Strategy::Price, true, false),
        ("w:nitro", Strategy::Throughput, true, false),
        ("m:free", Strategy::Ordered, false, false),
    ] {
        let plan = plan(model).unwrap();
        let told = (plan.strategy, plan.by_suffix, plan.affinity);
        assert_eq!(told, (strategy, by_suffix, affinity), "{model}");
    }
}

#[test]
fn a_model_that_leads_nowhere_has_a_name_that_is_near() {
    let error = plan("mm").unwrap_err().to_string();
    assert_eq!(error, "the model \"mm\" is not routed; did you mean \"m\"?");
    assert!(!format!("{:?}", plan("m").unwrap()).contains("CANARY"));
}
