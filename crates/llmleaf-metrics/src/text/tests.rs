use super::*;
use crate::family::Scale;
use proptest::prelude::*;

static SECONDS: Scale = Scale {
    bounds: &[10, 1000, 81_920],
    per_unit: 1000,
};
static TOOK: Family = Family {
    name: "leaf_took_seconds",
    kind: Kind::Histogram(&SECONDS),
    unit: Some("seconds"),
    help: "How long it took.",
    labels: &["route", "operation"],
};
static COST: Family = Family {
    name: "leaf_cost_usd",
    kind: Kind::Counter,
    unit: None,
    help: "What \"it\" cost.",
    labels: &["route"],
};
static BUILD: Family = Family {
    name: "leaf_build",
    kind: Kind::Info,
    unit: None,
    help: "What runs.",
    labels: &["version"],
};

fn written(format: Format) -> String {
    let mut text = Text::new(format);
    let mut took = text.family(&TOOK);
    let sums = Sums {
        ranges: vec![1, 0, 2, 1],
        sum: 123_456,
    };
    took.histogram(&["a", ""], &sums);
    let mut cost = text.family(&COST);
    cost.parts(&["x\"\\\n\u{85}"], 1_500_000_001, 1_000_000_000);
    text.family(&BUILD).whole(&["0.1.0"], 1);
    text.finish()
}

#[test]
fn open_metrics_as_its_specification_has_it() {
    let expected = r#"# TYPE leaf_took_seconds histogram
# UNIT leaf_took_seconds seconds
# HELP leaf_took_seconds How long it took.
leaf_took_seconds_bucket{route="a",le="0.01"} 1
leaf_took_seconds_bucket{route="a",le="1.0"} 1
leaf_took_seconds_bucket{route="a",le="81.92"} 3
leaf_took_seconds_bucket{route="a",le="+Inf"} 4
leaf_took_seconds_sum{route="a"} 123.456
leaf_took_seconds_count{route="a"} 4
# TYPE leaf_cost_usd counter
# HELP leaf_cost_usd What \"it\" cost.
leaf_cost_usd_total{route="x\"\\\n�"} 1.500000001
# TYPE leaf_build info
# HELP leaf_build What runs.
leaf_build_info{version="0.1.0"} 1
# EOF
"#;
    assert_eq!(written(Format::OpenMetrics), expected);
}

#[test]
fn the_older_format_names_counters_and_infos_whole_and_has_no_end() {
    let text = written(Format::Prometheus);
    assert!(text.contains("# TYPE leaf_cost_usd_total counter\n# HELP leaf_cost_usd_total "));
    assert!(text.contains("# TYPE leaf_build_info gauge\n"));
    assert!(!text.contains("# UNIT") && !text.contains("# EOF"));
    let samples = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(samples(&text), samples(&written(Format::OpenMetrics)));
}

proptest! {
    #[test]
    fn decimals_are_exact(value: u64, power in 0_u32..10) {
        let per_unit = 10_u64.pow(power);
        let mut text = String::new();
        decimal(&mut text, value, per_unit);
        let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
        prop_assert!(!part.ends_with('0'));
        let digits = format!("{whole}{part:0<width$}", width = power as usize);
        prop_assert_eq!(digits.parse::<u128>(), Ok(u128::from(value)));
    }

    #[test]
    fn a_sample_is_one_line_whatever_its_labels_say(label in any::<String>()) {
        let mut text = Text::new(Format::OpenMetrics);
        text.family(&COST).whole(&[&label], 7);
        let text = text.finish();
        prop_assert_eq!(text.split(|c: char| c.is_control()).count(), 5, "{:?}", text);
        prop_assert!(text.ends_with(" 7\n# EOF\n"));
    }
}
