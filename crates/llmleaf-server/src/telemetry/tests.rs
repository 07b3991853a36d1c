use super::*;
use crate::admin::tests::{NODE, node, text};
use llmleaf_exchange::{Began, Cost, End, EndRecord, Grade, Outcome, UsageRecord};
use llmleaf_metrics::{Family, Kind};
use llmleaf_model::Usage;
use llmleaf_testkit::metrics::Exposition;
use std::collections::{BTreeSet, HashMap};

fn attempt(number: u32, provider: &str, model: &str, outcome: Outcome) -> UsageRecord {
    let good = outcome == Outcome::Completed;
    let mut chunks = llmleaf_exchange::Chunks::default();
    if good {
        // One, and two together a while later.
        chunks.come(1, llmleaf_route::Millis(0));
        chunks.come(3, llmleaf_route::Millis(20));
    }
    UsageRecord {
        id: format!("x-{number}"),
        request_id: "r".into(),
        attempt: number,
        key: "k".into(),
        dialect: "chat_completions",
        model: "m".into(),
        provider: provider.into(),
        upstream_model: model.into(),
        credential: 0,
        stream: true,
        outcome,
        failure: (outcome == Outcome::Failed).then_some("overloaded"),
        status: Some(200),
        grade: if good { Grade::Reported } else { Grade::None },
        usage: Usage {
            input: 10,
            input_cache_read: 5,
            output: 7,
            output_reasoning: 3,
            ..Usage::default()
        },
        cost: if good {
            Cost::Computed(1_500_000_007)
        } else {
            Cost::Unknown
        },
        possibly_billed: false,
        losses: Vec::new(),
        // One after the other.
        began_ms: 100 * u64::from(number - 1),
        connect_ms: (number == 1).then_some(15),
        first_content_ms: good.then_some(30),
        chunks,
        total_ms: 100,
    }
}

fn record(key: &str, route: Option<&str>, end: End, attempts: Vec<UsageRecord>) -> Arc<EndRecord> {
    Arc::new(EndRecord {
        began: Began {
            id: "x".into(),
            request_id: "r".into(),
            at_ms: 1,
            key: key.into(),
            dialect: "chat_completions",
            operation: "chat",
            model: "m".into(),
            stream: true,
            trace: None,
        },
        route: route.map(Into::into),
        end,
        failure: (end == End::UpstreamError).then_some("overloaded"),
        status: Some(200),
        attempts,
        trail: None,
        queue_ms: 0,
        first_content_ms: Some(40),
        total_ms: 120,
        own_us: 250,
    })
}

fn tell(app: &App, record: &Arc<EndRecord>) {
    for sink in app.telemetry.sinks() {
        sink.began(&record.began);
        sink.ended(record);
    }
}

fn read(app: &App) -> Exposition {
    Exposition::read(&Telemetry::page(app, Format::OpenMetrics))
}

fn node_with(metrics: &str) -> App {
    let text = format!("{NODE}\n[metrics]\n{metrics}\n");
    let config = Config::parse(&text, "node.toml", &|_| None).unwrap_or_else(|d| panic!("{d}"));
    App::build(&config).unwrap()
}

#[test]
fn the_families_are_these() {
    let shown = names::ALL.iter().map(|family| {
        let labels = match family.labels {
            [] => "-".to_owned(),
            labels => labels.join(","),
        };
        let unit = family.unit.unwrap_or("-");
        format!("{} {} {unit} {labels}\n", family.name, family.kind.as_str())
    });
    let shown: String = shown.collect();
    let golden = include_str!("families.txt");
    assert_eq!(
        shown, golden,
        "the names are a promise: change the list only together with docs/metrics.md"
    );
}

#[test]
fn every_family_is_told_and_described_as_it_is() {
    let app = node_with("keys = 2");
    tell(
        &app,
        &record(
            "k",
            Some("a"),
            End::Completed,
            vec![attempt(1, "first", "a", Outcome::Completed)],
        ),
    );
    let page = read(&app);
    for family in names::ALL {
        let told = page.families.get(family.name);
        let told = told.unwrap_or_else(|| panic!("{} is not told", family.name));
        assert_eq!(told.kind, family.kind.as_str(), "{}", family.name);
        assert_eq!(
            told.unit,
            family.unit.unwrap_or_default(),
            "{}",
            family.name
        );
        assert_eq!(told.help, family.help);
    }
    assert_eq!(page.families.len(), names::ALL.len());
}

/// Name, labels and sum. What nobody counted is not told as used; for OpenTelemetry cached tokens are input, and a service has its name, not
/// ours; one key has a label, and that is all there is room for.
const COUNTED: &str = "
llmleaf_requests_total 5
llmleaf_requests_total end=completed route=a dialect=chat_completions 3
llmleaf_request_duration_seconds_count operation=chat 5
llmleaf_overhead_seconds_bucket le=0.0004 5
llmleaf_overhead_seconds_bucket le=0.0002 0
llmleaf_fallbacks_total route=a 3
llmleaf_attempts_total 7
llmleaf_attempts_total outcome=failed provider=first 3
llmleaf_attempt_errors_total error=overloaded 3
llmleaf_attempt_errors_total error=cancelled 1
llmleaf_request_failures_total failure=overloaded 1
llmleaf_requests_in_flight 0
llmleaf_tokens_total 75
llmleaf_tokens_total type=input_cache_read 15
llmleaf_cost_usd_total 4.500000021
llmleaf_attempts_of_unknown_cost_total 4
llmleaf_attempts_by_connection_total connection=new 4
llmleaf_attempts_by_connection_total connection=kept 3
gen_ai_client_token_usage_sum gen_ai_token_type=input gen_ai_provider_name=anthropic 45
gen_ai_client_operation_duration_seconds_count error_type=overloaded gen_ai_request_model=a 3
gen_ai_client_operation_duration_seconds_count 7
gen_ai_client_operation_time_to_first_chunk_seconds_count 3
gen_ai_client_operation_time_per_output_chunk_seconds_count 6
gen_ai_client_operation_time_per_output_chunk_seconds_sum gen_ai_provider_name=anthropic 0.06
llmleaf_key_requests_total key=one 3
llmleaf_key_requests_total key=other 2
";

#[test]
fn what_is_counted_is_what_the_records_say() {
    use Outcome::{Cancelled, Completed, Failed};
    let app = node_with("keys = 1");
    for _ in 0..3 {
        let attempts = vec![
            attempt(1, "first", "a", Failed),
            attempt(2, "second", "claude-a", Completed),
        ];
        tell(&app, &record("one", Some("a"), End::Completed, attempts));
    }
    let cancelled = vec![attempt(1, "first", "a", Cancelled)];
    tell(&app, &record("two", Some("a"), End::Cancelled, cancelled));
    tell(&app, &record("two", None, End::UpstreamError, vec![]));
    let page = read(&app);
    for line in COUNTED.trim().lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [name, labels @ .., expected] = &words[..] else {
            panic!("{line}");
        };
        let labels: Vec<_> = labels.iter().filter_map(|l| l.split_once('=')).collect();
        assert_eq!(page.sum(name, &labels).to_string(), *expected, "{line}");
    }
}

#[test]
fn a_part_takes_no_time_and_has_not_begun() {
    let app = node();
    let mut part = attempt(1, "first", "a", Outcome::Completed);
    part.id = "x".to_owned();
    for sink in app.telemetry.sinks() {
        sink.ended(&record("k", None, End::Completed, vec![part.clone()]));
    }
    let page = read(&app);
    assert!(page.sum("llmleaf_requests_total", &[]) > 0.5);
    assert!(page.sum("llmleaf_tokens_total", &[]) > 0.5);
    for without in [
        "llmleaf_request_duration_seconds_count",
        "gen_ai_client_operation_duration_seconds_count",
        "llmleaf_requests_in_flight",
    ] {
        assert!(page.sum(without, &[]) < 0.5, "{without}");
    }
}

#[test]
fn one_that_failed_beside_another_is_no_fallback() {
    use Outcome::{Completed, Failed};
    let app = node_with("keys = 0");
    let pair = || {
        [
            attempt(1, "first", "a", Failed),
            attempt(2, "second", "claude-a", Completed),
        ]
    };
    let mut beside = pair();
    beside[1].began_ms = beside[0].began_ms + 1;
    for attempts in [pair(), beside] {
        tell(
            &app,
            &record("k", Some("a"), End::Completed, attempts.into()),
        );
    }
    let told = read(&app).sum("llmleaf_fallbacks_total", &[]);
    assert_eq!(told.round() as u64, 1);
}

#[test]
fn n7_names_that_consumers_make_up_are_no_labels() {
    use Outcome::{Completed, Failed};
    let app = node_with("models = 5\nkeys = 3");
    let hostile = 100_000;
    for number in 0..hostile {
        let more = ["", "\nx", "\u{85}"][number % 3];
        let name = format!("hostile-{number}\"}} 1{more}");
        // A provider that takes any name answers, and one that does not refuses.
        let outcome = if number % 2 == 0 { Completed } else { Failed };
        let attempts = vec![attempt(1, "first", &name, outcome)];
        tell(&app, &record(&name, None, End::Completed, attempts));
    }
    // What the configuration names is told by name all the same.
    tell(
        &app,
        &record(
            "k",
            Some("a"),
            End::Completed,
            vec![attempt(1, "second", "claude-a", Completed)],
        ),
    );
    let page = read(&app);
    assert!(page.samples.len() < 1000, "{} samples", page.samples.len());
    let attempts = page
        .samples
        .iter()
        .filter(|s| s.name == "llmleaf_attempts_total");
    let models: std::collections::BTreeSet<_> =
        attempts.map(|s| s.labels["model"].as_str()).collect();
    assert_eq!(models.len(), 5 + 2, "{models:?}");
    let clean = |name: &&str| !name.contains(|c: char| c.is_control() || c == '\u{fffd}');
    assert!(models.iter().all(clean), "{models:?}");
    assert!(
        models.contains("other") && models.contains("claude-a"),
        "{models:?}"
    );
    for name in [
        "llmleaf_attempts_total",
        "llmleaf_requests_total",
        "llmleaf_key_requests_total",
    ] {
        assert_eq!(
            page.sum(name, &[]).round() as usize,
            hostile + 1,
            "{name}: each is counted"
        );
    }
}

#[test]
fn what_is_configured_is_told() {
    let app = node_with("gen_ai = false\nkeys = 0");
    tell(
        &app,
        &record(
            "k",
            Some("a"),
            End::Completed,
            vec![attempt(1, "first", "a", Outcome::Completed)],
        ),
    );
    let page = Telemetry::page(&app, Format::OpenMetrics);
    assert!(
        !page.contains("gen_ai_") && !page.contains("llmleaf_key_"),
        "{page}"
    );
}

#[tokio::test]
async fn the_numbers_have_a_door() {
    use crate::admin::tests::{TOKEN, headers};
    let bearer = ("authorization", "Bearer scrape-me-0123456789");
    let app = Arc::new(node_with("token = \"scrape-me-0123456789\""));
    let enter = async |app: &Arc<App>, given: &[(&'static str, &'static str)]| {
        let entered = door::enter(app, &headers(given), "/metrics").await;
        entered.map(|reply| {
            let kind = reply.headers()["content-type"].to_str().unwrap().to_owned();
            (kind, text(reply))
        })
    };
    for opens in [
        bearer,
        TOKEN,
        ("authorization", "bearer scrape-me-0123456789"),
    ] {
        let (kind, page) = enter(&app, &[opens]).await.unwrap();
        assert_eq!(
            kind,
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        );
        Exposition::read(&page);
    }
    let (kind, page) = enter(&app, &[bearer, ("accept", "text/plain")])
        .await
        .unwrap();
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    assert!(!page.contains("# EOF"));
    for shut in [
        ("x-x", ""),
        ("authorization", "Bearer scrape-me"),
        ("authorization", "scrape-me-0123456789"),
    ] {
        let failure = enter(&app, &[shut]).await.unwrap_err();
        assert_eq!(
            failure.kind,
            llmleaf_model::FailureKind::Authentication,
            "{shut:?}"
        );
    }
    // Where nothing opens it, it does not exist; apart, whoever reaches it may read.
    let plain = NODE.replace("admin_token =", "#");
    let config = Config::parse(&plain, "node.toml", &|_| None).unwrap_or_else(|d| panic!("{d}"));
    let open = Arc::new(App::build(&config).unwrap());
    let failure = enter(&open, &[bearer, TOKEN]).await.unwrap_err();
    assert_eq!(failure.kind, llmleaf_model::FailureKind::NotFound);
    assert!(door::enter_apart(&open, &headers(&[])).await.is_ok());
    assert!(door::enter_apart(&app, &headers(&[])).await.is_err());
    assert!(door::enter_apart(&app, &headers(&[bearer])).await.is_ok());
}

#[tokio::test]
async fn a_page_comes_squeezed_to_those_who_take_it() {
    use crate::admin::tests::headers;
    use std::io::Read;
    let app = Arc::new(node_with(""));
    let squeezed = headers(&[("accept-encoding", "br, gzip;q=0.5")]);
    let reply = door::enter_apart(&app, &squeezed).await.unwrap();
    assert_eq!(reply.headers()["content-encoding"], "gzip");
    let crate::reply::ReplyBody::Whole(Some(bytes)) = reply.into_body() else {
        panic!("no whole body");
    };
    let mut page = String::new();
    flate2::read::GzDecoder::new(&bytes[..])
        .read_to_string(&mut page)
        .unwrap();
    Exposition::read(&page);
    for plain in ["identity", "gzip;q=0", "gzip; Q =0.0", "x-gzip"] {
        let reply = door::enter_apart(&app, &headers(&[("accept-encoding", plain)]))
            .await
            .unwrap();
        assert!(!reply.headers().contains_key("content-encoding"), "{plain}");
    }
}

/// Names of metrics and labels in an expression, and the labels that it may have.
fn check_expression(expression: &str, samples: &HashMap<String, &'static Family>) {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let ours = ["llmleaf_", "gen_ai_client_", "process_"];
    let mut labels = BTreeSet::from(["le", "instance", "job"]);
    for name in expression.split(|c: char| !word(c)) {
        if ours.iter().any(|ours| name.starts_with(ours)) {
            let family = samples.get(name);
            let family = family.unwrap_or_else(|| panic!("{name} is not exported: {expression}"));
            labels.extend(family.labels);
        }
    }
    let groups = expression.split("by (").skip(1);
    let groups = groups.flat_map(|rest| rest.split(')').next().unwrap().split(','));
    let matchers = expression.split('{').skip(1);
    let matchers = matchers.flat_map(|rest| rest.split('}').next().unwrap().split("\","));
    let matchers = matchers.map(|one| one.split(['=', '!']).next().unwrap());
    for label in groups
        .chain(matchers)
        .map(|label| label.trim_start_matches(',').trim())
    {
        assert!(labels.contains(label), "no label {label:?}: {expression}");
    }
}

#[test]
fn the_dashboard_and_the_alerts_ask_for_what_there_is() {
    let mut samples: HashMap<String, &'static Family> = HashMap::new();
    for family in names::ALL {
        let endings: &[&str] = match family.kind {
            Kind::Counter => &["_total"],
            Kind::Gauge => &[""],
            Kind::Info => &["_info"],
            Kind::Histogram(_) => &["_bucket", "_sum", "_count"],
        };
        samples.extend(
            endings
                .iter()
                .map(|ending| (format!("{}{ending}", family.name), *family)),
        );
    }
    let alerts = include_str!("../../../../deploy/prometheus/alerts.yml");
    let lines = alerts.lines().map(str::trim);
    let rules: Vec<&str> = lines
        .filter_map(|line| line.strip_prefix("expr: "))
        .collect();
    assert!(rules.len() >= 10);
    assert_eq!(rules.len(), alerts.matches("- alert: ").count());
    let dashboard = include_str!("../../../../deploy/grafana/llmleaf.json");
    let dashboard: serde_json::Value = serde_json::from_str(dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array());
    let shown = targets
        .flatten()
        .map(|target| target["expr"].as_str().unwrap());
    let shown: Vec<&str> = shown.collect();
    assert!(shown.len() >= 20);
    for expression in rules.into_iter().chain(shown) {
        check_expression(expression, &samples);
    }
}

#[test]
fn every_name_is_explained() {
    let text = include_str!("../../../../docs/metrics.md");
    for family in names::ALL {
        let ending = match family.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram(_) => "",
        };
        let labels: Vec<String> = family.labels.iter().map(|l| format!("`{l}`")).collect();
        let row = format!(
            "| `{}{ending}` | {} | {} |",
            family.name,
            family.kind.as_str(),
            labels.join(", ")
        );
        assert!(text.contains(&row), "docs/metrics.md lacks {row}");
    }
}
