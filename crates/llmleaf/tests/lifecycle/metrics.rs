//! The numbers that scrapers read and the lines of the access log, against the records in the log: all are fed by the ledger, and count everything
//! once.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Instant;

use llmleaf_testkit::http::{Connection, Response, request};
use llmleaf_testkit::json::{self, Value};
use llmleaf_testkit::metrics::Exposition;
use llmleaf_testkit::replay::{Replay, Script};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{CREDENTIALS, LONG, Stage};

use super::stage;

const TOKEN: &str = "Bearer scrape-canary-Wd55";

fn metered() -> Stage {
    let table = "admin_token = \"admin-canary-Lk93\"\n[metrics]\ntoken = \"scrape-canary-Wd55\"\nkeys = 10\n\
        [access_log]\npath = \"access.log\"\n";
    stage()
        .first("timeouts = { headers_ms = 300 }\n")
        .server(table)
        .start()
}

fn get(stage: &Stage, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut connection = Connection::open(stage.leaf.addr);
    connection.send(&request("GET", path, headers, b""));
    connection.response()
}

fn scrape(stage: &Stage) -> Exposition {
    let response = get(stage, "/metrics", &[("authorization", TOKEN)]);
    assert_eq!(response.status, 200, "{}", response.text());
    Exposition::read(&response.text())
}

/// Scrapes until so many requests have ended and none runs.
fn settled(stage: &Stage, ended: usize) -> Exposition {
    let deadline = Instant::now() + LONG;
    loop {
        let page = scrape(stage);
        let running = page.sum("llmleaf_requests_in_flight", &[]);
        if running < 0.5 && count(&page, "llmleaf_requests_total", &[]) >= ended {
            return page;
        }
        assert!(Instant::now() < deadline, "{running} run after a long wait");
    }
}

fn count(page: &Exposition, name: &str, labels: &[(&str, &str)]) -> usize {
    let sum = page.sum(name, labels);
    assert!(sum.fract() < f64::EPSILON, "{name}: {sum}");
    format!("{sum}").parse().expect("a whole number")
}

/// What each request is answered, and whether its consumer waits for the end of it.
fn faults(wire: Wire) -> Vec<(Script, bool)> {
    let stream = wire.stream("first answer");
    let whole = || Script::sse(stream.body());
    vec![
        (whole(), true),
        (whole().close_at(stream.head().len()), true),
        (whole().close_at(stream.until(1).len()), true),
        (
            Script::json(503, wire.error("overloaded_error", "busy")),
            true,
        ),
        (
            Script::json(400, wire.error("invalid_request_error", "no")),
            true,
        ),
        (Script::raw(""), true),
        (Script::silent(), true),
        (whole().stall_at(stream.until(1).len()), false),
        // The last one: it keeps the target from the requests behind it.
        (
            Script::json(429, wire.error("rate_limit_error", "slow down")),
            true,
        ),
    ]
}

/// Every fault on every chain; how many requests were made.
fn play(stage: &Stage) -> usize {
    let mut asked = 0;
    for pair in Wire::PAIRS {
        for model in [Stage::chain(pair.1), Stage::alone(pair.1)] {
            for (script, waits) in faults(pair.1) {
                let mut request = stage.play(pair.0, &model, true, script);
                asked += 1;
                if waits {
                    let _ = request.connection.response();
                } else {
                    request.connection.read_to("first ");
                }
            }
        }
    }
    asked
}

#[test]
fn n7_what_is_counted_is_what_was_recorded() {
    let stage = metered();
    let asked = play(&stage);
    let page = settled(&stage, asked);
    for each in [
        "llmleaf_requests_total",
        "llmleaf_key_requests_total",
        "llmleaf_request_duration_seconds_count",
        "llmleaf_overhead_seconds_count",
    ] {
        assert_eq!(count(&page, each, &[]), asked, "{each}");
    }
    attempts_agree(&stage, &page);
    ends_agree(&stage, &page, asked);
    secrets_are_in_no_number(&stage);
    lines_agree(stage, asked);
}

/// One line for each request, and one for a refusal, all of them written when the program has ended.
fn lines_agree(mut stage: Stage, asked: usize) {
    let credential = [("authorization", "Bearer made-up-canary")];
    let refused = get(&stage, "/v1/models?made-up-canary", &credential);
    assert_eq!(refused.status, 401);
    let file = stage.leaf.config_path().with_file_name("access.log");
    stage.leaf.signal("TERM");
    assert!(stage.leaf.wait_exit(LONG).expect("it ends").success());
    let text = std::fs::read_to_string(file).expect("a log");
    let lines: Vec<Value> = (text.lines())
        .map(|line| json::parse(line).expect("JSON"))
        .collect();
    let (early, ended): (Vec<&Value>, Vec<&Value>) =
        (lines.iter()).partition(|line| line.at(&["method"]).is_some());
    let ids: BTreeSet<&str> = ended.iter().map(|l| l.text_at(&["request_id"])).collect();
    assert_eq!((ended.len(), ids.len()), (asked, asked));
    assert_eq!(early.len(), 1, "{early:?}");
    let early = early.first().expect("one");
    let told = ["end", "failure", "endpoint"].map(|field| early.text_at(&[field]));
    assert_eq!(told, ["refused", "authentication", "/v1/models"]);
    assert_eq!(early.u64_at(&["status"]), Some(401));
    for secret in secrets(&stage) {
        assert!(!text.contains(&secret), "{secret}");
    }
}

fn attempts_agree(stage: &Stage, page: &Exposition) {
    let attempts = count(page, "llmleaf_attempts_total", &[]);
    let of_attempt = |line: &str| line.contains("\"target\":\"llmleaf::usage\"");
    let lines = stage.leaf.wait_lines(attempts, LONG, of_attempt);
    let lines = lines.expect("as many records in the log");
    let records: Vec<Value> = (lines.iter())
        .filter_map(|line| json::parse(line).ok())
        .collect();
    assert_eq!(records.len(), attempts);
    for outcome in [
        "completed",
        "cancelled",
        "failed",
        "broken",
        "outrun",
        "proxy_error",
    ] {
        let is = |record: &&Value| record.text_at(&["outcome"]) == outcome;
        let told = records.iter().filter(is).count();
        let counted = count(page, "llmleaf_attempts_total", &[("outcome", outcome)]);
        assert_eq!(counted, told, "{outcome}");
        assert!(
            told > 0 || ["outrun", "proxy_error"].contains(&outcome),
            "{outcome}"
        );
    }
    let sum = |field: &str| -> u64 { records.iter().filter_map(|r| r.u64_at(&[field])).sum() };
    for class in ["input", "output", "input_cache_read", "output_reasoning"] {
        let told = count(page, "llmleaf_tokens_total", &[("type", class)]);
        assert_eq!(told as u64, sum(class), "{class}");
    }
    assert!(count(page, "llmleaf_tokens_total", &[]) > 0);
    let durations = count(page, "gen_ai_client_operation_duration_seconds_count", &[]);
    assert_eq!(durations, attempts);
    let errors = count(page, "llmleaf_attempt_errors_total", &[]);
    let completed = count(page, "llmleaf_attempts_total", &[("outcome", "completed")]);
    assert_eq!(errors + completed, attempts);
}

/// The log tells each end once, with the last attempt or, where nothing of any attempt came through, by itself.
fn ends_agree(stage: &Stage, page: &Exposition, asked: usize) {
    let of_end = |line: &str| line.contains("\"end\":\"");
    let ends = stage.leaf.wait_lines(asked, LONG, of_end);
    let ends = ends.expect("as many ends");
    for end in [
        "completed",
        "client_cancelled",
        "refused",
        "limited",
        "upstream_error",
        "timed_out",
        "upstream_truncated",
    ] {
        let named = format!("\"end\":\"{end}\"");
        let told = ends.iter().filter(|line| line.contains(&named)).count();
        let counted = count(page, "llmleaf_requests_total", &[("end", end)]);
        assert_eq!(counted, told, "{end}");
    }
}

fn secrets(stage: &Stage) -> Vec<String> {
    let mut secrets = vec![
        stage.key.clone(),
        "admin-canary".into(),
        "scrape-canary".into(),
        "made-up-canary".into(),
    ];
    secrets.extend(CREDENTIALS.map(str::to_owned));
    secrets.extend(["first answer".to_owned(), "Say two words".to_owned()]);
    secrets
}

/// Whoever scrapes learns names and numbers.
fn secrets_are_in_no_number(stage: &Stage) {
    let secrets = secrets(stage);
    for accept in ["application/openmetrics-text", "text/plain"] {
        let headers = [("authorization", TOKEN), ("accept", accept)];
        let page = get(stage, "/metrics", &headers).text();
        assert!(page.contains("llmleaf_requests_total{"), "{page}");
        for secret in &secrets {
            assert!(!page.contains(secret.as_str()), "{secret}");
        }
    }
}

#[test]
fn the_numbers_want_their_token() {
    let stage = metered();
    let bearer = stage.bearer();
    for (headers, status) in [
        (vec![], 401),
        (vec![("authorization", bearer.as_str())], 401),
        (vec![("authorization", "Bearer scrape-canary-Wd5")], 401),
        (vec![("authorization", TOKEN)], 200),
        (vec![("x-admin-token", "admin-canary-Lk93")], 200),
    ] {
        assert_eq!(
            get(&stage, "/metrics", &headers).status,
            status,
            "{headers:?}"
        );
    }
    // It opens nothing else.
    for path in ["/admin/health", "/v1/models"] {
        assert_eq!(
            get(&stage, path, &[("authorization", TOKEN)]).status,
            401,
            "{path}"
        );
    }
    let plain = super::stage().without_admin().start();
    assert_eq!(
        get(&plain, "/metrics", &[("authorization", TOKEN)]).status,
        404
    );
}

/// Where a listener is that has an address of its own.
fn at(stage: &Stage, line: &str, host: &str) -> SocketAddr {
    let fits = |told: &str| told.contains(line) && told.contains(host);
    let told = stage.leaf.wait_lines(1, LONG, fits).expect("it is told");
    let told = told.concat();
    let port = told.split(&format!("{host}:")).nth(1).expect("a port");
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    format!("{host}:{port}").parse().expect("an address")
}

/// An address for scrapers serves them and nothing else, open unless there is a token, and moves with a reload.
#[test]
fn scrapers_may_have_an_address_of_their_own() {
    let table = "admin_token = \"admin-canary-Lk93\"\n[metrics]\nlisten = \"127.0.0.2:0\"\n";
    let stage = stage().server(table).start();
    let bearer = stage.bearer();
    let admin = ("x-admin-token", "admin-canary-Lk93");
    let asked = |addr: SocketAddr, path: &str, headers: &[(&str, &str)]| {
        let mut connection = Connection::open(addr);
        connection.send(&request("GET", path, headers, b""));
        connection.response()
    };
    let own = at(&stage, "scrapers are served there", "127.0.0.2");
    let page = asked(own, "/metrics", &[]);
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(Exposition::read(&page.text()).sum("llmleaf_ready", &[]) > 0.5);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(asked(own, path, &[]).status, 200, "{path}");
    }
    for path in [
        "/v1/models",
        "/admin/health",
        "/admin/keys",
        "/v1/openapi.json",
    ] {
        let headers = [("authorization", bearer.as_str()), admin];
        assert_eq!(asked(own, path, &headers).status, 404, "{path}");
    }
    let chat = Wire::Chat.request("chat-first", false);
    let mut connection = Connection::open(own);
    let headers = [("authorization", bearer.as_str())];
    connection.send(&request(
        "POST",
        "/v1/chat/completions",
        &headers,
        chat.as_bytes(),
    ));
    assert_eq!(connection.response().status, 404);
    assert_eq!(stage.first.requests().len(), 0);
    // Where consumers are, it takes the operator's token as ever.
    assert_eq!(get(&stage, "/metrics", &[admin]).status, 200);
    assert_ne!(get(&stage, "/metrics", &[]).status, 200);
    let moved = stage.config.replace(
        "listen = \"127.0.0.2:0\"",
        "listen = \"127.0.0.3:0\"\ntoken = \"scrape-canary-Wd55\"",
    );
    stage.leaf.write_config(&moved);
    stage.leaf.signal("HUP");
    let moved = at(&stage, "listening there from now on", "127.0.0.3");
    let deadline = Instant::now() + LONG;
    while std::net::TcpStream::connect(own).is_ok() {
        assert!(Instant::now() < deadline, "the old address is still served");
        std::thread::yield_now();
    }
    assert_ne!(asked(moved, "/metrics", &[]).status, 200);
    let page = asked(moved, "/metrics", &[("authorization", TOKEN)]);
    assert_eq!(page.status, 200, "{}", page.text());
}

/// A trace goes through: the consumer's span is the parent of ours, and that of the attempt of whatever the provider does.
#[test]
fn a_request_is_a_part_of_its_consumers_trace() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    for exports in [true, false] {
        let collector = Replay::start();
        collector.push(Script::json(200, "{}"));
        let table = match exports {
            true => format!(
                "[traces]\nurl = \"{}/v1/traces\"\ncredential = \"otlp-canary-Pq17\"\n",
                collector.url()
            ),
            false => String::new(),
        };
        let mut stage = stage().key(&table).start();
        let body = Wire::Chat.request("chat-first", true);
        for headers in [
            &[("traceparent", parent.as_str()), ("tracestate", "a=1")][..],
            &[("traceparent", "00-none")],
        ] {
            let stream = Wire::Chat.stream("first answer");
            stage.first.push(Script::sse(stream.body()));
            let mut asked = stage.ask_headed(Wire::Chat, &body, headers);
            assert_eq!(asked.connection.response().status, 200);
        }
        let sent = stage.first.requests();
        let told = |at: usize, name: &str| sent[at].header(name).unwrap_or_default().to_owned();
        assert_eq!(told(0, "tracestate"), "a=1");
        stage.leaf.signal("TERM");
        assert!(stage.leaf.wait_exit(LONG).is_some());
        if !exports {
            assert_eq!(told(0, "traceparent"), parent, "it goes on as it came");
            assert_eq!(told(1, "traceparent"), "");
            assert_eq!(collector.requests().len(), 0);
            continue;
        }
        let calls = collector.requests();
        let export = json::parse(&calls[0].text()).expect("JSON");
        let resource = &export.elements_at(&["resourceSpans"])[0];
        let scope = &resource.elements_at(&["scopeSpans"])[0];
        let spans = scope.elements_at(&["spans"]);
        assert_eq!((calls.len(), spans.len()), (1, 4));
        let (own, attempt) = (&spans[0], &spans[1]);
        assert_eq!(own.text_at(&["traceId"]), TRACE);
        assert_eq!(own.text_at(&["parentSpanId"]), "00f067aa0ba902b7");
        assert_eq!(attempt.text_at(&["parentSpanId"]), own.text_at(&["spanId"]));
        let within = format!("00-{TRACE}-{}-01", attempt.text_at(&["spanId"]));
        assert_eq!(told(0, "traceparent"), within);
        // The other came without one, and began its own.
        let begun = spans[2].text_at(&["traceId"]);
        assert!(begun != TRACE && told(1, "traceparent").contains(begun));
        assert_eq!(spans[2].text_at(&["parentSpanId"]), "");
        let text = calls[0].text();
        for secret in CREDENTIALS.iter().chain(&["otlp-canary-Pq17", &stage.key]) {
            assert!(!text.contains(secret), "{secret} is in a span");
        }
        assert!(!text.contains("first answer"));
    }
}
